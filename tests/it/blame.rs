//! Whom a run blames: a part for what is the part's, and nothing of the unit for what its parts share or the station lacks.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// A run of a simulated node: exit code, standard output and `result.json`.
fn run(profile: &str, more: &[&str]) -> (Option<i32>, String, Value) {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("run");
    let mut kiln = Command::new(env!("CARGO_BIN_EXE_kiln"));
    kiln.current_dir(folder.path()).args(["run", profile, "--out", "run"]).args(more).stdin(Stdio::null());
    let output = kiln.output().expect("kiln starts");
    let text = std::fs::read(out.join("result.json"));
    let text = text.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), stdout, serde_json::from_slice(&text).expect("JSON"))
}

/// `CODE component`, of every finding.
fn findings(result: &Value) -> Vec<String> {
    let findings = result["findings"].as_array().expect("findings");
    findings
        .iter()
        .map(|one| format!("{} {}", one["code"].as_str().unwrap_or("?"), one["component"].as_str().unwrap_or("?")))
        .collect()
}

/// A fault on the first so many GPUs.
fn on(fault: &str, gpus: usize) -> Vec<String> {
    (0..gpus).flat_map(|gpu| ["--fault".to_owned(), format!("{fault}@gpu/{gpu}")]).collect()
}

fn with_faults(profile: &str, faults: &[String], more: &[&str]) -> (Option<i32>, String, Value) {
    let mut arguments = vec!["--sim", "hgx-h200-8"];
    arguments.extend(more);
    arguments.extend(faults.iter().map(String::as_str));
    run(profile, &arguments)
}

#[test]
fn a_setting_that_is_wrong_on_all_gpus_is_one_suspicion_and_on_seven_of_eight_seven_proofs() {
    let (code, _, all) = with_faults("smoke", &on("ecc-off", 8), &["--only", "identify"]);
    assert_eq!(findings(&all), ["GPU-CONFIG-ECC node"]);
    assert_eq!((code, &all["verdict"]["word"]), (Some(3), &Value::from("INCONCLUSIVE")));
    let (code, _, most) = with_faults("smoke", &on("ecc-off", 7), &["--only", "identify"]);
    assert_eq!(findings(&most).len(), 7);
    assert_eq!(code, Some(1), "{}", most["verdict"]);
}

#[test]
fn what_looks_like_eight_bad_parts_is_one_finding_of_what_they_share() {
    let (code, _, result) = with_faults("smoke", &on("inforom-corrupt", 8), &["--only", "identify"]);
    assert_eq!(findings(&result), ["GPU-INFOROM-CORRUPT node"]);
    assert_eq!((code, &result["verdict"]["word"]), (Some(3), &Value::from("INCONCLUSIVE")));
    assert_eq!(result["findings"][0]["action"], "update-firmware");
}

#[test]
fn proof_that_only_a_parts_own_hardware_gives_stays_each_parts_own() {
    let (code, stdout, result) = with_faults("smoke", &on("row-remap-failed", 8), &["--only", "identify"]);
    assert_eq!(code, Some(1), "{}", result["verdict"]);
    assert_eq!(findings(&result).len(), 8);
    assert!(findings(&result).iter().all(|one| one.starts_with("HBM-REMAP-FAILED gpu/")), "{result:#}");
    let last: Vec<&str> = stdout.lines().rev().take(12).collect();
    let last = last.join("\n");
    assert!(
        last.contains("FAIL") && last.contains("HBM-REMAP-FAILED") && last.contains("replace the part"),
        "{stdout}"
    );
}

#[test]
fn eight_gpus_that_are_really_bad_do_not_pass() {
    let (code, _, result) = with_faults("acceptance", &on("cold-plate-loose", 8), &["--only", "soak"]);
    assert_ne!(result["verdict"]["word"], "PASS");
    assert!(matches!(code, Some(1 | 3)), "{}", result["verdict"]);
    assert!(!findings(&result).iter().any(|one| one.contains("gpu/")), "{:?}", findings(&result));
}

#[test]
fn parts_beside_the_one_that_is_named_are_not_shown_as_bad() {
    let arguments = ["--sim", "hgx-h200-8", "--fault", "nvlink-slow@gpu/1", "--only", "links"];
    let (code, stdout, result) = run("acceptance", &arguments);
    assert_eq!(code, Some(1), "{stdout}");
    assert!(findings(&result).iter().all(|one| one.contains(" gpu/1")), "{:?}", findings(&result));
    let blamed = stdout.lines().filter(|line| line.starts_with("  gpu/") && !line.starts_with("  gpu/1,"));
    assert_eq!(blamed.collect::<Vec<_>>(), [""; 0], "{stdout}");
}

/// At this pace a minute of the node is three milliseconds of the host's: no host keeps up.
#[test]
fn a_host_that_does_not_keep_up_blames_itself() {
    let (code, stdout, result) = run("smoke", &["--sim", "hgx-h200-8", "--sim-speed", "10000"]);
    assert_eq!(code, Some(3), "{stdout}");
    assert_eq!(findings(&result), ["STATION-LATE station"], "{stdout}");
    let late = result["host_late"].as_array().expect("a list");
    assert!(!late.is_empty());
    assert!(late[0]["taken"].as_u64() < late[0]["due"].as_u64(), "{late:?}");
}

fn kiln(folder: &Path, arguments: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_kiln")).current_dir(folder).args(arguments).output().expect("kiln");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_recording_without_a_load_or_that_ends_early_blames_no_gpu() {
    let folder = tempfile::tempdir().expect("folder");
    for (name, length, profile) in [("idle", "6m", "smoke"), ("short", "4s", "acceptance")] {
        let path = folder.path().join(format!("{name}.jsonl"));
        let path = path.to_str().expect("utf-8");
        kiln(folder.path(), &["record", path, "--sim", "hgx-h200-8", "--for", length]);
        let (code, stdout, result) = run(profile, &["--replay", path]);
        assert_eq!(code, Some(3), "{name}: {stdout}");
        let blamed: Vec<String> = findings(&result).into_iter().filter(|one| one.contains("gpu/")).collect();
        assert_eq!(blamed, [""; 0], "{name}: {stdout}");
        if name == "short" {
            assert!(findings(&result).contains(&"SENSORS-SILENT station".to_owned()), "{stdout}");
        }
    }
}

/// 87 of its 146 lines once were values that the others and the node lacked because of it.
#[test]
fn a_gpu_that_is_lost_is_told_once_and_what_others_lack_because_of_it_is_not_told_as_theirs() {
    let (code, told, _) = with_faults("acceptance", &["--fault".to_owned(), "fell-off-bus@gpu/2".to_owned()], &[]);
    assert_eq!(code, Some(1), "{told}");
    let (_, verdict) = told.split_once("FAIL  ").expect("a verdict");
    let causes = verdict.lines().filter(|line| line.starts_with("    cause ")).count();
    assert_eq!((causes, verdict.contains("gpu/0, slot")), (1, false), "{told}");
    assert!(!verdict.contains("unsupported"), "what the node cannot tell is nobody's trouble: {told}");
    assert!(!verdict.contains("  ERROR"), "what cools the other seven is known without it: {told}");
    let most = verdict.lines().filter(|line| line.contains("after.inventory")).count();
    assert!(most <= 1, "{told}");
}

/// A clock that a late driver did not hold in time was once a slow GPU, to be replaced.
#[test]
fn a_driver_that_is_late_is_no_slowness_of_the_part() {
    let (_, told, result) = with_faults("acceptance", &["--fault".to_owned(), "driver-slow@gpu/1".to_owned()], &[]);
    let findings = findings(&result);
    assert!(!findings.iter().any(|finding| finding.starts_with("GPU-SLOW")), "{told}");
    assert_ne!(result["verdict"]["word"], "PASS", "{told}");
    assert!(!told.contains("replace the part"), "{told}");
}
