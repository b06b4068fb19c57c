//! `kiln run --parts`: one profile for all orders, and the bill of materials of each beside it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn kiln(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kiln")).args(arguments).stdin(Stdio::null()).output().expect("kiln starts")
}

/// The list of the healthy node, as its order would have it, with something changed.
fn list(folder: &Path, change: impl Fn(String) -> String) -> String {
    let made = kiln(&["parts", "make", "--sim", "hgx-h200-8"]);
    assert_eq!(made.status.code(), Some(0));
    let file = folder.join("parts.yaml");
    fs::write(&file, change(String::from_utf8(made.stdout).expect("utf-8"))).expect("written");
    file.to_str().expect("utf-8").to_owned()
}

fn run(folder: &Path, parts: &str, more: &[&str]) -> (Output, serde_json::Value) {
    let out = folder.join("run");
    let mut arguments =
        vec!["run", "smoke", "--sim", "hgx-h200-8", "--parts", parts, "--out", out.to_str().expect("utf-8")];
    arguments.extend(more);
    let output = kiln(&arguments);
    let result = fs::read(out.join("result.json"))
        .map_or(serde_json::Value::Null, |bytes| serde_json::from_slice(&bytes).expect("JSON"));
    (output, result)
}

#[test]
fn a_unit_that_is_as_ordered_passes_and_every_output_names_the_list() {
    let folder = tempfile::tempdir().expect("a folder");
    let parts = list(folder.path(), |text| text);
    let checked = String::from_utf8(kiln(&["parts", "check", &parts]).stdout).expect("utf-8");
    let digest = checked.trim().rsplit(' ').next().expect("a digest").to_owned();
    let (output, result) = run(folder.path(), &parts, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(result["profile"]["parts_digest"], digest.as_str());
    for file in ["junit.xml", "report.html", "ocptv.jsonl", "journal.jsonl"] {
        let text = fs::read_to_string(folder.path().join("run").join(file)).expect(file);
        assert!(text.contains(&digest), "{file} does not name the parts list");
    }
    // The profile is the same for every order.
    let bare = kiln(&["profile", "check", "smoke", "--json"]);
    let bare: serde_json::Value = serde_json::from_slice(&bare.stdout).expect("JSON");
    assert_eq!(result["profile"]["digest"], bare["digest"]);
}

#[test]
fn what_is_not_as_ordered_fails() {
    let changes: [fn(String) -> String; 5] = [
        |text| text.replacen("  vbios:\n  - ", "  vbios:\n  - 99.", 1),
        |text| text.replacen("  parts:\n  - ", "  parts:\n  - X-", 1),
        |text| text.replacen("nvmes: ", "nvmes: 1", 1),
        |text| text.replacen("\nbios:\n- ", "\nbios:\n- not-", 1),
        |text| text.replacen("  serials:\n  - ", "  serials:\n  - X", 1),
    ];
    for change in changes {
        let folder = tempfile::tempdir().expect("a folder");
        let parts = list(folder.path(), change);
        let (output, _) = run(folder.path(), &parts, &[]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
    }
}

#[test]
fn a_list_of_another_unit_or_order_is_refused_before_anything_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let parts =
        list(folder.path(), |text| text.replacen("schema: kiln.parts/1\n", "schema: kiln.parts/1\norder: WO-1\n", 1));
    for more in [["--serial", "OTHER"], ["--order", "WO-2"]] {
        let (output, result) = run(folder.path(), &parts, &more);
        assert_eq!((output.status.code(), result), (Some(2), serde_json::Value::Null));
        assert!(String::from_utf8_lossy(&output.stderr).contains("take the list of this unit"), "{output:?}");
    }
}

#[test]
fn a_profile_that_compares_nothing_refuses_a_list() {
    let folder = tempfile::tempdir().expect("a folder");
    let parts = list(folder.path(), |text| text);
    let out = folder.path().join("run");
    let profile = folder.path().join("bare.yaml");
    fs::write(
        &profile,
        "schema: kiln.profile/1\nid: bare\nrevision: 1\ntitle: { en: Bare }\nskus: [h200-sxm]\nstages:\n  - id: a\n    title: { en: A }\n    \
         steps:\n      - id: idle\n        use: gpu.idle\n        limits: { power.mean: \"< 400 W\" }\n",
    )
    .expect("written");
    let output = kiln(&[
        "run",
        profile.to_str().expect("utf-8"),
        "--sim",
        "hgx-h200-8",
        "--parts",
        &parts,
        "--out",
        out.to_str().expect("utf-8"),
    ]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("held against nothing"), "{told}");
}

#[test]
fn the_schema_takes_what_is_made_and_refuses_what_the_reader_refuses() {
    let schema = kiln(&["parts", "schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&schema.stdout).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let good = serde_json::json!({ "schema": "kiln.parts/1", "gpus": { "count": 8, "serials": ["A"] }, "host-memory": "2 TiB" });
    assert!(validator.is_valid(&good));
    for bad in [
        serde_json::json!({ "schema": "kiln.parts/2", "nics": 1 }),
        serde_json::json!({ "schema": "kiln.parts/1", "nisc": 1 }),
        serde_json::json!({ "schema": "kiln.parts/1", "psus": 0 }),
        serde_json::json!({ "schema": "kiln.parts/1" }),
    ] {
        assert!(!validator.is_valid(&bad), "{bad}");
    }
}

#[test]
fn what_a_run_was_narrowed_to_and_held_against_is_kept_when_it_is_taken_up_and_when_it_is_judged_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let parts = list(folder.path(), |text| text);
    let (output, before) = run(folder.path(), &parts, &["--gpus", "0-6"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let out = folder.path().join("run");
    let name = out.to_str().expect("utf-8");
    let journal = out.join("journal.jsonl");
    let text = fs::read_to_string(&journal).expect("a journal");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    fs::write(&journal, lines[..lines.len() / 2].concat()).expect("cut");
    assert_eq!(kiln(&["resume", name]).status.code(), Some(0));
    let after: serde_json::Value =
        serde_json::from_slice(&fs::read(out.join("result.json")).expect("result.json")).expect("JSON");
    for field in ["parts_digest", "deviations"] {
        assert_eq!(before["profile"][field], after["profile"][field], "{field}");
    }
    let again = kiln(&["rejudge", name, "--profile", "smoke", "--all"]);
    let again = String::from_utf8(again.stdout).expect("utf-8");
    assert!(again.contains("PASS with 1 deviation -> PASS with 1 deviation  unchanged"), "{again}");
    assert!(!again.contains("note:"), "it is held against the same list: {again}");
    let lot = kiln(&["lot", "build", name]);
    assert_eq!(lot.status.code(), Some(3), "a run of some of the GPUs is no fact of a lot");
}

#[test]
fn a_parts_list_that_nothing_of_a_part_of_the_run_is_held_against_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let parts = list(folder.path(), |text| text);
    let (refused, result) = run(folder.path(), &parts, &["--only", "load.gemm"]);
    assert_eq!((refused.status.code(), result), (Some(2), serde_json::Value::Null));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("write `--only load.gemm,identify.inventory`"), "{said}");
    // A part of a run is held against the list, and is no acceptance.
    let (taken, result) = run(folder.path(), &parts, &["--only", "identify.inv*"]);
    assert_eq!(taken.status.code(), Some(3), "{}", String::from_utf8_lossy(&taken.stderr));
    assert_eq!(result["verdict"]["word"], "INCONCLUSIVE");
}
