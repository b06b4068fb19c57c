//! Drills as a person runs them: a profile that looks away lets a fault escape and is told so, one that looks catches it.

use std::path::Path;
use std::process::{Command, Output, Stdio};

const KILN: &str = env!("CARGO_BIN_EXE_kiln");

/// A burn with one limit.
fn profile(folder: &Path, limit: &str) -> String {
    let text = format!(
        "schema: kiln.profile/1\nid: toy\nrevision: 1\ntitle: {{ en: Toy }}\nskus: [h200-sxm]\ntelemetry: {{ every: 1s }}\n\
         stages:\n  - id: burn\n    steps:\n      - id: gemm\n        use: gpu.burn\n        with: {{ for: 2m, warmup: 5m }}\n\
         \x20       limits: {{ {limit}, mismatches: \"== 0\", verified: \"> 0\" }}\n"
    );
    let path = folder.join("toy.yaml");
    std::fs::write(&path, text).expect("written");
    path.to_str().expect("utf-8").to_owned()
}

/// Blind to heat: a hot GPU at its power cap draws what the others draw.
const BLIND: &str = "power.mean: \">= 90 % of sku.tdp\"";
/// Healthy GPUs differ by their place in the air as well.
const SEEING: &str = "thermal.resistance: \"<= 140 % of peers\"";

fn drill(folder: &Path, limit: &str, more: &[&str]) -> Output {
    let profile = profile(folder, limit);
    let out = folder.join("out");
    let mut arguments = vec!["drill", &profile, "--sim", "hgx-h200-8", "--out", out.to_str().expect("utf-8")];
    arguments.extend(["--seeds", "3", "--healthy", "3"]);
    arguments.extend(more);
    Command::new(KILN).args(arguments).stdin(Stdio::null()).output().expect("kiln starts")
}

fn document(folder: &Path) -> serde_json::Value {
    let text = std::fs::read(folder.join("out/drill.json")).expect("drill.json");
    serde_json::from_slice(&text).expect("JSON")
}

fn junit(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("out/junit.xml")).expect("junit.xml")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const LOOSE: &[&str] = &["--faults", "cold-plate-loose", "--severity", "1"];

#[test]
fn a_profile_blind_to_heat_lets_a_loose_cold_plate_escape() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = drill(folder.path(), BLIND, LOOSE);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let document = document(folder.path());
    assert_eq!(document["rows"][0]["cells"][0]["escaped"], 3, "{document:#}");
    assert_eq!(document["healthy"][0]["false_alarms"], 0, "{document:#}");
    assert!(stdout(&output).contains("escaped: cold-plate-loose"), "{}", stdout(&output));
    assert!(junit(folder.path()).contains("type=\"escape\""));
}

#[test]
fn a_profile_that_looks_catches_it_and_names_the_gpu() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = drill(folder.path(), SEEING, LOOSE);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    let document = document(folder.path());
    let cell = &document["rows"][0]["cells"][0];
    assert_eq!((&cell["caught"], &cell["named_right"]), (&3.into(), &3.into()), "{document:#}");
    assert_eq!(cell["by"][0]["what"], "limit thermal.resistance");
    assert_eq!(cell["steps"][0]["what"], "burn.gemm");
    assert!(!junit(folder.path()).contains("<failure"));
}

#[test]
fn the_number_of_jobs_changes_nothing() {
    let run = |jobs| {
        let folder = tempfile::tempdir().expect("a folder");
        let faults = ["--faults", "cold-plate-loose,gpu-missing,fell-off-bus", "--severity", "0.5,1", "--jobs", jobs];
        let output = drill(folder.path(), SEEING, &faults);
        let read = |name: &str| std::fs::read_to_string(folder.path().join("out").join(name)).expect("readable");
        // The path of the profile differs, and with it nothing that is told.
        (stdout(&output), read("drill.json"), read("drill.html"), junit(folder.path()))
    };
    assert_eq!(run("1"), run("3"));
}

#[test]
fn what_the_node_or_the_fault_lacks_is_refused_in_its_place() {
    for (faults, severity, message) in [
        ("cold-plate-loose@gpu/9", "1", "has no `gpu/9`"),
        ("cold-plate-loose", "400", "out of range"),
        ("cold-plate-lose", "1", "there is no fault `cold-plate-lose`"),
        ("cold-plate-loose", "-1", "not a positive number"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let severity = format!("--severity={severity}");
        let output = drill(folder.path(), SEEING, &["--faults", faults, &severity]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(message), "{stderr}");
        assert!(!folder.path().join("out").exists(), "nothing ran, nothing is written");
    }
}
