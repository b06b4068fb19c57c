//! Drivers of every release that is promised, and older parts: what they do not offer is stood in for or said beforehand, and is
//! never a fault of the part.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kiln::model::{Inventory, Lacking, Reading, Sensor};
use kiln::node::nvml::{Generation, RELEASES, lacking};
use kiln::node::record::Recording;

const KILN: &str = env!("CARGO_BIN_EXE_kiln");

fn library() -> PathBuf {
    std::env::current_exe().expect("the test's own path").with_file_name("libkiln_fake_driver.so")
}

/// The binary on a stand-in of the driver's library, in a folder that stands for the machine.
fn kiln(folder: &Path, settings: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new(KILN);
    command.args(arguments).arg("--nvml-lib").arg(library()).arg("--host-root").arg(folder.join("host"));
    command.env("KILN_FAKE_HOST", folder.join("host")).env("KILN_FAKE_SEED", "1").current_dir(folder);
    command.envs(settings.iter().copied());
    command.output().expect("the binary")
}

fn recorded(node: &str, driver: &str, part: &str) -> Recording {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = [("KILN_FAKE_NODE", node), ("KILN_FAKE_DRIVER", driver), ("KILN_FAKE_PART", part)];
    let output = kiln(folder.path(), &settings, &["record", "recording.jsonl", "--every", "50ms", "--for", "50ms"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let file = fs::File::open(folder.path().join("recording.jsonl")).expect("a recording");
    Recording::read(std::io::BufReader::new(file)).expect("a recording")
}

fn lacks(inventory: &Inventory) -> Vec<Lacking> {
    let first = &inventory.gpus[0].lacks;
    assert!(inventory.gpus.iter().all(|gpu| gpu.lacks == *first));
    first.clone()
}

#[test]
fn what_each_release_and_part_does_not_offer_is_told_with_the_inventory() {
    let nodes = [
        ("hgx-h100-8", Generation::Hopper),
        ("hgx-b200-8", Generation::Blackwell),
        ("pcie-l40s-8", Generation::Ada),
        ("hgx-a100-8", Generation::Ampere),
    ];
    let drivers = ["525.147.05", "535.183.06", "550.163.01", "570.148.08", "575.57.08", "580.105.08", "595.58.03"];
    for driver in drivers {
        let release: u32 = driver[..3].parse().expect("a release");
        assert_eq!(RELEASES.contains(&release), release >= kiln::model::LEAST_DRIVER);
        for (node, generation) in nodes {
            let recording = recorded(node, driver, "");
            let mut expected = lacking(release, generation);
            // Before the least release that is promised not even these are counted, and this host's kernel counts none either.
            expected.extend((release < 535).then_some(Lacking::PcieErrors));
            assert_eq!(lacks(&recording.inventories[0].1), expected, "{node} with {driver}");
            let failed = recording
                .samples
                .iter()
                .any(|sample| Sensor::ALL.iter().any(|sensor| matches!(sample[*sensor], Reading::Failed(_))));
            assert!(!failed, "{node} with {driver}: what is not offered is no failure");
        }
    }
    let ampere = recorded("hgx-h100-8", "580.105.08", "ampere");
    assert_eq!(lacks(&ampere.inventories[0].1), [Lacking::MarginCall]);
}

/// The steps of a smoke test that put no load on anything; there is no CUDA library here to do it with.
const IDLE: &str = "identify,after.inventory,after.config,after.fabric,after.counters,after.nvlinks,after.log";

/// Idle steps of a real run on the stand-in: they end within seconds.
#[test]
fn no_release_makes_a_healthy_node_fail_and_what_is_not_judged_is_said_first() {
    for (driver, part, said) in [
        ("535.183.06", "", "over-temperature cannot be judged on gpu/0"),
        ("535.183.06", "ampere", "is judged by less"),
        ("595.58.03", "", ""),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = [("KILN_FAKE_NODE", "hgx-h100-8"), ("KILN_FAKE_DRIVER", driver), ("KILN_FAKE_PART", part)];
        let run = ["run", "smoke", "--only", IDLE, "--out", "run", "--sim-speed", "10"];
        let output = kiln(folder.path(), &settings, &run);
        let told = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(told.contains("partial run"), "{driver} {part}: {told}");
        assert!(!told.contains("GPU-HANG") && !told.contains("ERROR") && !told.contains("FAIL "), "{driver}: {told}");
        assert!(told.contains(said), "{driver} {part}: {told}");
    }
}

#[test]
fn the_least_release_is_the_same_wherever_it_is_said() {
    let least = format!("release {} or later", kiln::model::LEAST_DRIVER);
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("the README");
    let nvml = kiln::node::nvml::NvmlOpenError::SymbolMissing { library: "lib".to_owned(), symbol: "nvmlInit_v2" };
    let cuda = kiln::model::OpenError::TooOld { symbol: "cuInit".to_owned() };
    for said in [readme, nvml.to_string(), cuda.to_string()] {
        assert!(said.contains(&least), "{said}");
    }
}
