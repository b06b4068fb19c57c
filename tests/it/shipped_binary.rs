//! The shipped binary on a node of fake driver libraries: the real NVML backend in the run, the real workers on a CUDA driver
//! that computes by the CPU references, both on one simulated node, faster than real time.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::{fake_gpu, load_on_a_fake_gpu};

/// A node to run on.
struct Node {
    name: &'static str,
    faults: &'static str,
    settings: &'static [(&'static str, &'static str)],
}

const HEALTHY: Node = Node { name: "hgx-h200-8", faults: "", settings: &[] };

/// What came of a run.
struct Outcome {
    output: Output,
    result: Value,
}

impl Node {
    /// Runs with arguments, so many times faster than real time.
    fn run(&self, speed: u32, arguments: &[&str]) -> Outcome {
        let folder = tempfile::tempdir().expect("folder");
        let [bench, host, run] = ["bench", "host", "run"].map(|name| folder.path().join(name));
        for made in [&bench, &host] {
            std::fs::create_dir(made).expect("folder");
        }
        let mut kiln = Command::new(env!("CARGO_BIN_EXE_kiln"));
        kiln.arg("run").args(arguments).args(["--sim-speed", &speed.to_string()]).arg("--out").arg(&run);
        kiln.env("KILN_NVML_LIB", fake_gpu::library());
        kiln.env("KILN_CUDA_LIB", load_on_a_fake_gpu::library());
        kiln.env("KILN_FAKE_BENCH", &bench).env("KILN_FAKE_HOST", &host).env("KILN_HOST_ROOT", &host);
        kiln.env("KILN_FAKE_NODE", self.name).env("KILN_FAKE_FAULTS", self.faults);
        kiln.env("KILN_FAKE_SPEED", speed.to_string()).env("KILN_FAKE_CUDA_MEMORY_MIB", "16");
        kiln.envs(self.settings.iter().copied());
        let output = kiln.output().expect("the binary");
        let result = read(&run).unwrap_or_default();
        Outcome { output, result }
    }
}

fn read(run: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(run.join("result.json")).ok()?).ok()
}

impl Outcome {
    /// Exit code, verdict, and each finding with its component.
    fn told(&self) -> String {
        let mut text = format!("exit {}", self.output.status.code().unwrap_or(-1));
        let _ = write!(text, " {}", self.result["verdict"]["word"].as_str().unwrap_or("no verdict"));
        for finding in self.result["findings"].as_array().into_iter().flatten() {
            let word = |name: &str| finding[name].as_str().unwrap_or("?").to_owned();
            let _ = write!(text, ", {} on {}", word("code"), word("component"));
        }
        text
    }

    fn everything(&self) -> String {
        let said = [&self.output.stdout, &self.output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
        said.concat()
    }
}

#[test]
fn smoke_passes_on_a_healthy_node_and_says_that_it_is_simulated() {
    let outcome = HEALTHY.run(8, &["smoke"]);
    assert_eq!(outcome.told(), "exit 0 PASS", "{}", outcome.everything());
    assert!(outcome.everything().contains("SIMULATED: no hardware was tested (the driver library "));
    assert!(!outcome.result["simulated"].is_null());
}

#[test]
fn smoke_names_what_is_wrong_with_a_node() {
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
                few.iter().map(|(name, node)| (name, scope.spawn(|| node.run(8, &["smoke"])))).collect();
            started.into_iter().map(|(name, run)| (name, run.join().expect("a run"))).collect()
        });
        for (name, outcome) in runs {
            let _ = writeln!(told, "{name}: {}", outcome.told());
        }
    }
    insta::assert_snapshot!(told, @"");
}

#[test]
fn acceptance_passes_on_a_healthy_node_through_the_real_workers() {
    let short = ["burn=2m", "warmup=1m", "soak=3m", "march=30s", "fabric=1m"].map(|set| ["--set", set]).concat();
    let outcome = HEALTHY.run(16, &[&["acceptance"], short.as_slice()].concat());
    assert_eq!(outcome.told(), "exit 0 PASS", "{}", outcome.everything());
}

#[test]
fn an_injected_fault_is_found_and_the_run_is_no_acceptance() {
    let outcome = HEALTHY.run(8, &["smoke", "--inject", "bitflip@3"]);
    assert_eq!(outcome.result["kind"], "partial");
    let wrong = |finding: &Value| finding["code"] == "GPU-WRONG-RESULTS";
    let findings = outcome.result["findings"].as_array().cloned().unwrap_or_default();
    assert!(!findings.is_empty() && findings.iter().all(wrong), "{}", outcome.everything());
}

#[test]
fn a_driver_that_cannot_be_had_is_exit_3_and_says_why_and_what_to_do() {
    let folder = tempfile::tempdir().expect("folder");
    let text = folder.path().join("libnvidia-ml.so.1");
    std::fs::write(&text, "not a library, and longer than any header of one would be at the least: 64 bytes")
        .expect("file");
    // A library of this machine that is another one: every symbol is missing.
    let other = load_on_a_fake_gpu::library();
    let fake = fake_gpu::library();
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
    insta::assert_snapshot!(told, @"");
    assert!(!folder.path().join("run").exists(), "nothing ran, so nothing is left behind");
}

#[test]
fn a_stand_in_is_never_shown_as_real_gpus() {
    let mut kiln = Command::new(env!("CARGO_BIN_EXE_kiln"));
    kiln.args(["node", "--nvml-lib"]).arg(fake_gpu::library());
    let output = kiln.output().expect("the binary");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.starts_with("SIMULATED by the library "), "{said}");
}
