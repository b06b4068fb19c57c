//! Looking at nodes, recording them and playing recordings, from outside: the commands that come before and after a run.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn kiln(folder: &Path, arguments: &[&str]) -> Output {
    let mut kiln = Command::new(env!("CARGO_BIN_EXE_kiln"));
    kiln.current_dir(folder).args(arguments).env_remove("KILN_NVML_LIB").output().expect("the binary")
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn serials(node: &Value) -> Vec<String> {
    let gpus = node["gpus"].as_array().expect("GPUs");
    gpus.iter().map(|gpu| gpu["identity"]["serial"].to_string()).collect()
}

/// The cases of a run whose step begins so: outcome and step.
fn outcomes(folder: &Path, step: &str) -> Vec<String> {
    let result: Value =
        serde_json::from_slice(&std::fs::read(folder.join("run/result.json")).expect("a result")).expect("JSON");
    assert!(!result["replayed"].is_null(), "it says that it was replayed");
    let rows = kiln(folder, &["report", "run", "--format", "rows"]);
    let rows = String::from_utf8(rows.stdout).expect("text");
    let mut found: Vec<String> = rows
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .filter(|row| row["step"].as_str().is_some_and(|path| path.starts_with(step)))
        .map(|row| row["result"].as_str().unwrap_or("?").to_owned())
        .collect();
    found.dedup();
    found
}

#[test]
fn a_recording_of_a_node_at_rest_proves_nothing_about_loads() {
    let folder = tempfile::tempdir().expect("folder");
    let recorded = kiln(folder.path(), &["record", "rest.jsonl", "--sim", "hgx-h200-8", "--for", "5m"]);
    assert!(recorded.status.success(), "{}", String::from_utf8_lossy(&recorded.stderr));
    let played = kiln(folder.path(), &["run", "smoke", "--replay", "rest.jsonl", "--out", "run"]);
    let said = String::from_utf8_lossy(&played.stdout).into_owned();
    assert_eq!(played.status.code(), Some(3), "{said}");
    assert!(said.starts_with("REPLAYED: no hardware was tested now"), "{said}");
    assert!(said.contains("the recording shows no load at this time on gpu/0, gpu/1,"), "{said}");
    assert_eq!(outcomes(folder.path(), "identify.inventory"), ["pass"]);
    assert_eq!(outcomes(folder.path(), "load.gemm"), ["error"]);
}

#[test]
fn a_node_file_of_a_node_is_that_node() {
    let folder = tempfile::tempdir().expect("folder");
    let made = kiln(folder.path(), &["node", "snapshot", "mine.yaml", "--sim", "hgx-h100-8"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let was = json(&kiln(folder.path(), &["node", "--sim", "hgx-h100-8", "--json"]));
    let is = json(&kiln(folder.path(), &["node", "--sim", "./mine.yaml", "--json"]));
    assert_eq!(is["gpus"], was["gpus"]);
    let again = kiln(folder.path(), &["node", "snapshot", "mine.yaml", "--sim", "hgx-h200-8"]);
    assert_eq!(again.status.code(), Some(2), "a file that is there is not written over");
}

#[test]
fn what_nvidia_smi_wrote_can_be_simulated() {
    let folder = tempfile::tempdir().expect("folder");
    // In the second report the other GPU is lost.
    let lost = "gpu/1 does not answer and is left out\n";
    for (xml, file, left_out) in [
        ("smi/one-gpu-595.xml", "one.yaml", ""),
        ("smi/two-gpus-535-mig.xml", "two.yaml", lost),
        ("smi/one-a100-570.xml", "a100.yaml", ""),
    ] {
        let xml = fixture(xml);
        let made = kiln(folder.path(), &["node", "import", xml.to_str().expect("UTF-8"), "--out", file]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        assert!(said.starts_with(left_out) && said.contains(&format!("\n{file}: GPUs: 1; ")), "{said}");
        let line = |start: &str| said.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned();
        assert!(
            line("read: ").contains("gpu/name, gpu/pci_device") && line("read: ").contains("slots/*/address"),
            "{said}"
        );
        assert!(line("taken from ").contains("thermal/sink") && line("made up: ").ends_with("UUIDs"), "{said}");
        let node = json(&kiln(folder.path(), &["node", "--sim", &format!("./{file}"), "--json"]));
        assert_eq!(serials(&node).len(), 1);
    }
    let wrong = kiln(folder.path(), &["node", "import", fixture("../README.md").to_str().expect("UTF-8")]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn the_doctor_tells_a_machine_without_a_driver_what_to_do() {
    let folder = tempfile::tempdir().expect("folder");
    let output =
        kiln(folder.path(), &["doctor", "--json", "--nvml-lib", "/nowhere/libnvidia-ml.so.1", "--host-root", "."]);
    assert_eq!(output.status.code(), Some(3));
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(told["ready"], false);
    let line = |subject: &str| {
        let lines = told["lines"].as_array().expect("lines");
        lines.iter().find(|line| line["subject"] == subject).cloned().unwrap_or_default()
    };
    assert_eq!(line("driver")["readiness"], "bad");
    assert_eq!(line("kernel log")["readiness"], "bad");
    assert!(line("driver")["action"].as_str().is_some_and(|action| action.starts_with("install the NVIDIA driver")));
}
