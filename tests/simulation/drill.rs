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
const SEEING: &str = "thermal.resistance: \"<= 125 % of peers\"";

fn drill(folder: &Path, limit: &str, more: &[&str]) -> Output {
    let profile = profile(folder, limit);
    let out = folder.join("out");
    let mut arguments = vec!["drill", &profile, "--sim", "hgx-h200-8", "--out", out.to_str().expect("utf-8")];
    arguments.extend(["--seeds", "3", "--healthy", "3", "--first-seed", "1"]);
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

#[test]
fn a_drill_takes_fresh_seeds_and_tells_how_to_have_the_same_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let profile = profile(folder.path(), SEEING);
    let drilled = |name: &str, more: &[&str]| {
        let out = folder.path().join(name);
        let mut arguments = vec!["drill", &profile, "--sim", "hgx-h200-8", "--seeds", "1", "--healthy", "1"];
        arguments.extend(LOOSE);
        arguments.extend(more);
        let output = Command::new(KILN).args(&arguments).arg("--out").arg(&out).stdin(Stdio::null()).output();
        let output = stdout(&output.expect("kiln starts"));
        let document: serde_json::Value =
            serde_json::from_slice(&std::fs::read(out.join("drill.json")).expect("drill.json")).expect("JSON");
        (output, document)
    };
    let (text, first) = drilled("first", &[]);
    let seed = first["first_seed"].as_u64().expect("a seed").to_string();
    assert!(text.contains(&format!("--first-seed {seed}")), "{text}");
    let (_, again) = drilled("again", &["--first-seed", &seed]);
    assert_eq!(first, again);
    let (_, other) = drilled("other", &[]);
    assert_ne!(first["first_seed"], other["first_seed"]);
}

#[test]
fn a_fault_that_the_node_cannot_have_is_left_out_and_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let faults = ["--faults", "cold-plate-loose,p2p-off", "--severity", "1"];
    let output = drill(folder.path(), SEEING, &faults);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert_eq!(document(folder.path())["left_out"][0]["fault"], "p2p-off");
    assert!(stdout(&output).contains("p2p-off"), "{}", stdout(&output));
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
    let folder = tempfile::tempdir().expect("a folder");
    let run = |jobs| {
        let faults = ["--faults", "cold-plate-loose,gpu-missing,fell-off-bus", "--severity", "0.5,1", "--jobs", jobs];
        let output = drill(folder.path(), SEEING, &faults);
        let read = |name: &str| std::fs::read_to_string(folder.path().join("out").join(name)).expect("readable");
        (stdout(&output), read("drill.json"), read("drill.html"), junit(folder.path()))
    };
    // Far too long to be shown when they differ.
    assert!(run("1") == run("3"), "one job and three tell different things");
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

#[test]
fn an_interrupted_drill_tells_what_it_has_and_says_that_it_is_partial() {
    use std::io::BufRead as _;

    let folder = tempfile::tempdir().expect("a folder");
    let profile = profile(folder.path(), SEEING);
    let out = folder.path().join("out");
    let mut drill = Command::new(KILN)
        .args(["drill", &profile, "--sim", "hgx-h200-8", "--healthy", "0", "--seeds", "20000"])
        .args(LOOSE)
        .arg("--out")
        .arg(&out)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kiln starts");
    let mut stderr = std::io::BufReader::new(drill.stderr.take().expect("stderr"));
    let mut line = String::new();
    // It listens from before the first run on, and this line is told before it too.
    stderr.read_line(&mut line).expect("readable");
    assert!(line.contains("runs"), "{line}");
    let pid = rustix::process::Pid::from_raw(drill.id() as i32).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("told");
    let output = drill.wait_with_output().expect("ended");
    assert_eq!(output.status.code(), Some(130));
    assert!(stdout(&output).contains("PARTIAL: interrupted after"), "{}", stdout(&output));
    assert_eq!(document(folder.path())["partial"], true);
}
