//! The shipped binary on a node of fake driver libraries: the real NVML backend in the run, the real workers on a CUDA driver
//! that computes by the CPU references, both on one simulated node, faster than real time.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "numbers of tests and stand-ins are small, or words that are taken as they are"
)]

mod bench;
mod doctor;
mod fixed_clock;
mod heard;
mod node;
mod screened_clock;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use node::{HEALTHY, LIBRARY, Node, alone, eight_gpus, library};
use serde_json::Value;

#[test]
fn smoke_passes_on_a_healthy_node_and_says_that_it_is_simulated() {
    let _place = eight_gpus();
    // A worker tells of its work once a second of the world: hurried more, that would be too seldom in the time of the node.
    let outcome = HEALTHY.run(4, &["smoke"]);
    assert_eq!(outcome.told(), "exit 0 PASS", "{}", outcome.everything());
    assert!(outcome.everything().contains("SIMULATED: no hardware was tested (the driver library "));
    assert!(!outcome.result["simulated"].is_null());
    // A library of another mark would pass for hardware: where each came from stands in every output.
    let surroundings = &outcome.result["surroundings"];
    for (variable, key) in [("KILN_NVML_LIB", "nvml"), ("KILN_CUDA_LIB", "cuda")] {
        assert!(surroundings[key].as_str().is_some_and(|path| path.ends_with(LIBRARY)), "{surroundings}");
        let (told, elsewhere) = (outcome.everything(), format!("taken from elsewhere: {variable}"));
        assert!(told.lines().any(|line| line.contains(&elsewhere) && line.ends_with(LIBRARY)), "{told}");
    }
    let deviations = outcome.result["profile"]["deviations"].to_string();
    for name in ["KILN_NVML_LIB", "KILN_CUDA_LIB", "KILN_HOST_ROOT"] {
        assert!(deviations.contains(name) && surroundings["changed"][name].is_string(), "{name}: {deviations}");
    }
}

#[test]
fn smoke_names_what_is_wrong_with_a_node() {
    let _machine = alone();
    let faulty = |faults| Node { faults, ..HEALTHY };
    let nodes = [
        ("off the bus", faulty("fell-off-bus@gpu/3")),
        ("hangs", faulty("gsp-hang@gpu/3")),
        ("duplicate", faulty("duplicate-identity@gpu/3")),
        ("link down", faulty("nvlink-inactive@gpu/3")),
        ("uncorrectable", faulty("hbm-uncorrectable@gpu/3")),
        ("throttled", faulty("thermal-slowdown@gpu/3")),
        ("wrong results", faulty("wrong-always@gpu/3")),
        ("ECC off", faulty("ecc-off@gpu/3")),
        ("braked", faulty("power-brake@gpu/3")),
        ("7 of 8", Node { settings: &[("KILN_FAKE_GPUS", "7")], ..HEALTHY }),
    ];
    let mut told = String::new();
    // Mostly they wait: a few at a time leave room for the workers of each.
    for few in nodes.chunks(4) {
        let runs: Vec<_> = std::thread::scope(|scope| {
            let started: Vec<_> =
                few.iter().map(|(name, node)| (name, scope.spawn(|| node.run(6, &["smoke"])))).collect();
            started.into_iter().map(|(name, run)| (name, run.join().expect("a run"))).collect()
        });
        for (name, outcome) in runs {
            // That one multiprocessor gives them shows at the second wrong result: a busy machine may not get that far.
            let _ = writeln!(told, "{name}: {}", outcome.told().replace("GPU-SM-WRONG", "GPU-WRONG-RESULTS"));
        }
    }
    insta::assert_snapshot!(told, @"
    off the bus: exit 1 FAIL, GPU-LOST on gpu/3
    hangs: exit 1 FAIL, GPU-HANG on gpu/3
    duplicate: exit 1 FAIL, GPU-IDENTITY-DUPLICATE on gpu/3
    link down: exit 1 FAIL, NVLINK-INACTIVE on gpu/3/nvlink/10
    uncorrectable: exit 1 FAIL, HBM-UNCORRECTABLE on gpu/3/memory
    throttled: exit 1 FAIL, GPU-THERMAL-SLOWDOWN on gpu/3
    wrong results: exit 1 FAIL, GPU-WRONG-RESULTS on gpu/3
    ECC off: exit 1 FAIL, GPU-CONFIG-ECC on gpu/3
    braked: exit 1 FAIL, GPU-POWER-BRAKE on gpu/3
    7 of 8: exit 1 FAIL, GPU-NOT-STARTED on node
    ");
}

#[test]
fn an_injected_fault_is_found_and_the_run_is_no_acceptance() {
    let _place = eight_gpus();
    let outcome = HEALTHY.run(8, &["smoke", "--inject", "bitflip@3"]);
    assert_eq!(outcome.result["kind"], "partial");
    let wrong = |finding: &Value| finding["code"] == "GPU-WRONG-RESULTS";
    let findings = outcome.result["findings"].as_array().cloned().unwrap_or_default();
    assert!(!findings.is_empty() && findings.iter().all(wrong), "{}", outcome.everything());
}

/// The C library that this very process has loaded.
fn system_library() -> PathBuf {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("the libraries of this process");
    let mut files = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
    PathBuf::from(files.find(|file| file.contains("/libc.")).expect("a C library"))
}

#[test]
fn a_driver_that_cannot_be_had_is_no_claim_and_one_that_is_not_there_is_wrong_usage_and_each_says_why_and_what_to_do() {
    let folder = tempfile::tempdir().expect("folder");
    let text = folder.path().join("libnvidia-ml.so.1");
    std::fs::write(&text, "not a library, and longer than any header of one would be at the least: 64 bytes")
        .expect("file");
    // A library of this machine that is another one: every symbol is missing.
    let other = system_library();
    let fake = library();
    let cases = [
        ("missing", Path::new("/nowhere/libnvidia-ml.so.1"), "", ""),
        ("not a library", text.as_path(), "", ""),
        ("another library", other.as_path(), "", ""),
        ("driver not loaded", fake.as_path(), "KILN_FAKE_INIT", "9"),
        ("no permission", fake.as_path(), "KILN_FAKE_INIT", "4"),
        ("versions", fake.as_path(), "KILN_FAKE_INIT", "18"),
        ("no GPUs", fake.as_path(), "KILN_FAKE_GPUS", "0"),
        ("vanished", fake.as_path(), "KILN_FAKE_VANISH", "5"),
    ];
    let mut told = String::new();
    for (name, library, variable, value) in cases {
        let mut kiln = Command::new(env!("CARGO_BIN_EXE_kiln"));
        kiln.args(["run", "smoke", "--nvml-lib"]).arg(library).arg("--out").arg(folder.path().join("run"));
        if !variable.is_empty() {
            kiln.env(variable, value);
        }
        let output = kiln.output().expect("the binary");
        let said = String::from_utf8_lossy(&output.stderr).replace(&library.display().to_string(), "LIB");
        let _ = writeln!(told, "{name}: exit {}: {}", output.status.code().unwrap_or(-1), said.trim());
    }
    insta::assert_snapshot!(told, @"
    missing: exit 2: error: LIB: no such library; install the NVIDIA driver (its package `libnvidia-ml1`, `nvidia-driver-*` or `nvidia-utils`), or name the file with --nvml-lib
    to run without GPUs, simulate a node: `--sim hgx-h200-8`; `kiln doctor` looks at this machine
    not a library: exit 3: error: LIB: cannot be loaded (invalid ELF header); name another file with --nvml-lib, or install the driver again
    another library: exit 3: error: LIB: too old or not the NVIDIA management library: it has no `nvmlInit_v2`; a driver of release 535 or later is needed
    driver not loaded: exit 3: error: the NVIDIA kernel driver is not loaded; load it with `modprobe nvidia`, and look for why not in `dmesg`
    no permission: exit 3: error: no permission to use the GPUs; run as root, or open /dev/nvidiactl and /dev/nvidia* to this user
    versions: exit 3: error: the loaded NVIDIA kernel driver and LIB are of different versions; reboot, or unload and load the nvidia modules, so that both come from one installation
    no GPUs: exit 3: error: the driver shows no GPU; see `lspci -d 10de:` for whether the bus does, and `dmesg` for why not the driver
    vanished: exit 3: error: the driver counted 8 GPUs, but GPU 5 was gone when it was opened; see `dmesg`, and start again once the count is steady
    ");
    assert!(!folder.path().join("run").exists(), "nothing ran, so nothing is left behind");
}

#[test]
fn a_stand_in_is_never_shown_as_real_gpus() {
    let mut kiln = Command::new(env!("CARGO_BIN_EXE_kiln"));
    kiln.args(["node", "--nvml-lib"]).arg(library());
    let output = kiln.output().expect("the binary");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.starts_with("SIMULATED by the library "), "{said}");
}
