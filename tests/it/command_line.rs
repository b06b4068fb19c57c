//! The real binary as a person or a script uses it: exit codes, a killed run taken up again, interrupts, a full disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::{KILN, kiln};

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder for one run, not made yet.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().expect("a directory");
    let run = parent.path().join("run");
    (parent, run)
}

fn run(profile: &str, more: &[&str]) -> (Output, tempfile::TempDir, PathBuf) {
    let (parent, out) = folder();
    let mut arguments = vec!["run", profile, "--sim", "hgx-h200-8", "--out", out.to_str().expect("utf-8")];
    arguments.extend(more);
    (kiln(&arguments), parent, out)
}

fn result(folder: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(folder.join("result.json")).expect("result.json")).expect("JSON")
}

#[test]
fn a_healthy_node_passes_and_every_output_says_that_it_was_simulated() {
    let (output, _parent, out) =
        run("smoke", &["--serial", "SIMN1674588756500", "--station", "ST-7", "--order", "WO-1"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let result = result(&out);
    assert_eq!(result["verdict"]["word"], "PASS");
    assert_eq!(result["simulated"]["node"], "hgx-h200-8");
    assert_eq!(result["operation"]["station"], "ST-7");
    let junit = fs::read_to_string(out.join("junit.xml")).expect("junit.xml");
    assert!(junit.to_lowercase().contains("simulated") && junit.contains("WO-1"), "{junit}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("SIMULATED"));
}

#[test]
fn a_bad_unit_exits_with_1_and_the_part_is_named() {
    let (output, _parent, out) = run("acceptance", &["--fault", "cold-plate-loose@gpu/3"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("gpu/3") && text.contains("SIM1674588756004"), "{text}");
    assert_eq!(result(&out)["findings"][0]["component"], "gpu/3");
}

#[test]
fn usage_and_file_mistakes_exit_with_2_and_write_nothing() {
    for arguments in [
        &["run", "smoke", "--sim", "hgx-h20-8"][..],
        &["run", "smok", "--sim", "hgx-h200-8"],
        &["run", "fixtures/profiles-invalid/key-unknown.yaml", "--sim", "hgx-h200-8"],
        &["run", "smoke", "--sim", "hgx-h200-8", "--fault", "cold-plate-loose@gpu/9"],
        &["run", "smoke", "--sim", "hgx-h200-8", "--set", "burm=1h"],
        &["run", "smoke", "--sim", "hgx-h200-8", "--serial", "ANOTHER"],
        &["run", "smoke", "--sim", "hgx-h200-8", "--only", "nothing.here"],
        &["run", "smoke", "--sim", "hgx-h200-8", "--sim-speed", "0"],
        &["frobnicate"],
    ] {
        let (_parent, out) = folder();
        let mut all = arguments.to_vec();
        if arguments[0] == "run" {
            all.extend(["--out", out.to_str().expect("utf-8")]);
        }
        let output = kiln(&all);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(!output.stderr.is_empty(), "{arguments:?} says nothing");
        assert!(!out.exists(), "{arguments:?} wrote something");
    }
}

#[test]
fn without_a_driver_the_way_to_simulate_is_told() {
    assert!(stderr(&kiln(&["run", "smoke"])).contains("--sim hgx-h200-8"));
}

#[test]
fn a_narrowed_run_is_never_an_acceptance() {
    let (output, _parent, out) = run("acceptance", &["--only", "identify"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let result = result(&out);
    assert_eq!(result["kind"], "partial");
    assert_eq!(result["verdict"]["word"], "INCONCLUSIVE");
}

#[test]
fn a_run_that_judged_nothing_exits_with_4() {
    let (parent, out) = folder();
    let profile = parent.path().join("links.yaml");
    let text = "schema: kiln.profile/1\nid: links\nrevision: 1\ntitle: { en: Links }\nskus: [l40s]\nstages:\n  - id: links\n    \
                steps:\n      - { use: nvlink.state, requires: { nvlink: skip }, limits: { links.lacking: \"== 0\" } }\n";
    fs::write(&profile, text).expect("written");
    let (profile, out) = (profile.to_str().expect("utf-8"), out.to_str().expect("utf-8"));
    let output = kiln(&["run", profile, "--sim", "pcie-l40s-8", "--out", out]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
}

#[test]
fn reports_rebuilt_by_the_command_are_the_same_bytes() {
    let (_output, _parent, out) = run("smoke", &["--fault", "ecc-off@gpu/2"]);
    let files = || ["result.json", "junit.xml"].map(|name| fs::read(out.join(name)).expect("a report"));
    let before = files();
    for name in ["result.json", "junit.xml"] {
        fs::remove_file(out.join(name)).expect("removed");
    }
    let output = kiln(&["report", out.to_str().expect("utf-8")]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(before == files());
}

#[test]
fn a_folder_that_cannot_be_written_exits_with_3_and_names_it() {
    let parent = tempfile::tempdir().expect("a directory");
    let file = parent.path().join("file");
    fs::write(&file, "not a folder").expect("written");
    let out = file.join("run");
    let output = kiln(&["run", "smoke", "--sim", "hgx-h200-8", "--out", out.to_str().expect("utf-8")]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains(out.to_str().expect("utf-8")), "{}", stderr(&output));
}

#[test]
fn a_disk_that_fills_up_stops_the_run_with_3_and_the_verdict_so_far() {
    let (_parent, out) = folder();
    let out = out.to_str().expect("utf-8");
    // 128 blocks of 512 bytes: enough for the start of a journal and not for all of it.
    let script = format!("trap '' XFSZ; ulimit -f 128; exec {KILN} run smoke --sim hgx-h200-8 --out {out}");
    let output = Command::new("sh").args(["-c", &script]).output().expect("sh");
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains(out), "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("ERROR"));
}

// --- runs that are cut short ---

/// A run slowed down so that it can be met in the middle, waited for until its burn step has begun.
fn caught_in_the_burn(out: &Path) -> Child {
    let out = out.to_str().expect("utf-8");
    // Started under `nohup`, the tests ignore SIGHUP, and what they start would too.
    let mut child = Command::new("env")
        .args(["--default-signal=HUP", KILN])
        .args(["run", "smoke", "--sim", "hgx-h200-8", "--sim-speed", "20", "--out", out])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("kiln starts");
    let journal = Path::new(out).join("journal.jsonl");
    while !fs::read_to_string(&journal).is_ok_and(|text| text.contains(r#""load-started":{"key":{"path":"load.gemm""#))
    {
        assert_eq!(child.try_wait().expect("status"), None, "the run ended before its burn began");
        std::thread::yield_now();
    }
    child
}

#[test]
fn a_killed_run_is_finished_by_resume_and_its_interrupted_step_runs_again() {
    let (_parent, out) = folder();
    let mut child = caught_in_the_burn(&out);
    child.kill().expect("killed");
    child.wait().expect("gone");
    let junit = fs::read_to_string(out.join("junit.xml")).expect("a killed run leaves its JUnit");
    assert!(junit.trim_end().ends_with("</testsuites>"), "and a whole one: {junit}");

    let output = kiln(&["resume", out.to_str().expect("utf-8")]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let result = result(&out);
    assert_eq!(result["times"]["resumes"], 1);
    let burns: Vec<&serde_json::Value> =
        result["steps"].as_array().expect("steps").iter().filter(|step| step["path"] == "load.gemm").collect();
    assert_eq!(burns.len(), 2, "{burns:?}");

    let again = kiln(&["resume", out.to_str().expect("utf-8")]);
    assert_eq!(again.status.code(), Some(2), "a finished run is not resumed: {}", stderr(&again));
}

#[test]
fn an_interrupt_or_a_closed_terminal_ends_the_run_in_order_with_130() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let (_parent, out) = folder();
        let mut child = caught_in_the_burn(&out);
        let id = child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().expect("kill").success());
        assert_eq!(child.wait().expect("status").code(), Some(130), "{signal}");
        let result = result(&out);
        assert_eq!(result["verdict"]["word"], "ABORTED", "{signal}");
        let torn_down = result["steps"].as_array().expect("steps").iter().any(|step| step["path"] == "teardown.config");
        assert!(torn_down, "{signal}: the teardown ran");
    }
}

#[test]
fn a_flipped_byte_in_the_journal_is_named() {
    let (_output, _parent, out) = run("smoke", &[]);
    let path = out.join("journal.jsonl");
    let mut bytes = fs::read(&path).expect("journal");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).expect("written");
    let output = kiln(&["report", out.to_str().expect("utf-8")]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("line"), "{}", stderr(&output));
}

/// The example of the README's section on profiles, with what it extends.
fn readme_example() -> String {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("the README");
    let (_, after) = readme.split_once("## Profiles").expect("the section");
    let (_, code) = after.split_once("```yaml\n").expect("an example");
    code.split_once("```").expect("its end").0.to_owned()
}

#[test]
fn the_example_of_the_readme_loses_nothing_of_its_parent() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mine.yaml");
    fs::write(&path, readme_example()).expect("written");
    let plan = |profile: &str| {
        let output = kiln(&["profile", "plan", profile, "--sim", "hgx-h200-8"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let steps = |plan: &str| -> Vec<String> {
        let lines = plan.lines().filter(|line| line.starts_with("  ") && !line.starts_with("      "));
        lines.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
    };
    let mine = plan(path.to_str().expect("utf-8"));
    assert_eq!(steps(&mine), steps(&plan("acceptance")));
    assert!(!mine.contains("left out"), "{mine}");
    let faults = "--faults=nvlink-slow,pcie-width-drops,cold-plate-loose,sensor-stuck,slow-outlier";
    let out = folder.path().join("drill");
    let output = kiln(&[
        "drill",
        path.to_str().expect("utf-8"),
        "--sim",
        "hgx-h200-8",
        faults,
        "--seeds",
        "1",
        "--healthy",
        "1",
        "--first-seed",
        "77",
        "--lot",
        "0",
        "--out",
        out.to_str().expect("utf-8"),
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_fault_file_in_words_of_an_older_version_is_used_and_what_to_write_is_told_by_a_run_and_by_a_drill() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).to_str().expect("utf-8").to_owned();
    let text = "schema: kiln.fault/1\nid: old-words\ntitle: { en: Old words }\nnumber: 1\nabout: { en: test }\nsource: test\n\
                component: nv-link\nlog: a line\nseverity: { default: 1, min: 1, max: 1 }\n\
                expect: { code: LIMIT-MISSED, component: nvlink }\n";
    fs::write(at("old.yaml"), text).expect("written");
    let fault = format!("{}@gpu/3/nvlink/7", at("old.yaml"));
    let node = ["smoke", "--sim", "hgx-h200-8"];
    let run = ["--only", "identify", "--fault", &fault, "--out", &at("run")];
    let drill = ["--faults", &fault, "--seeds", "1", "--healthy", "0", "--out", &at("drill")];
    for (command, more, left) in [("run", &run[..], "run/journal.jsonl"), ("drill", &drill[..], "drill/drill.json")] {
        let output = kiln(&[&[command], &node[..], more].concat());
        let told = stderr(&output);
        assert!(told.contains("is the word of an older version") && told.contains("write `nvlink`"), "{told}");
        assert!(folder.path().join(left).exists(), "{command}: {told}");
    }
}

#[test]
fn what_a_profile_leaves_out_is_told_before_the_run_and_in_its_record() {
    let told = "left out of the parent: rest, load.march";
    for arguments in
        [&["profile", "check", "interconnect"][..], &["profile", "plan", "interconnect", "--sim", "hgx-h200-8"]]
    {
        let output = kiln(arguments);
        assert!(String::from_utf8_lossy(&output.stdout).contains(told), "{}", stderr(&output));
    }
    let explained = kiln(&["profile", "explain", "interconnect"]);
    assert!(
        String::from_utf8_lossy(&explained.stdout).contains("without: [rest, load.march"),
        "{}",
        stderr(&explained)
    );
    let (_, _parent, out) = run("interconnect", &["--only", "identify"]);
    assert_eq!(result(&out)["profile"]["without"][0], "rest");
}

#[test]
fn a_shortened_acceptance_is_a_pass_with_deviations_in_every_output() {
    let (output, _parent, out) = run("acceptance", &["--set", "soak=1m", "--set", "burn=30s", "--set", "fabric=20m"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = "PASS with 2 deviations";
    let which = "--set soak=1m (was 40m, at least 40m)";
    for text in [
        String::from_utf8_lossy(&output.stdout).into_owned(),
        fs::read_to_string(out.join("report.html")).expect("a page"),
    ] {
        assert!(text.contains(said) && text.contains(which), "{text:.2000}");
    }
    let result = result(&out);
    assert_eq!((&result["kind"], &result["verdict"]["deviations"]), (&"deviating".into(), &2.into()));
    for (format, words) in [("text", said), ("junit", said), ("csv", which), ("dcgm-json", said), ("ocptv", said)] {
        let shown = kiln(&["report", out.to_str().expect("utf-8"), "--format", format]);
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.contains(words) && shown.contains(which), "{format}: {words}");
    }
    let (_, _parent, longer) = run("smoke", &["--set", "march=1h"]);
    assert!(!longer.exists(), "smoke marches nowhere, and a setting that does nothing is refused");
}

#[test]
fn chosen_gpus_are_tested_alone_and_every_output_says_which() {
    let (output, _parent, out) =
        run("smoke", &["--gpus", "5,0-3", "--fault", "gsp-hang@gpu/6", "--fault", "mig-left-on@gpu/7"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("PASS with 1 deviation") && text.contains("--gpus 0-3,5"), "{text}");
    let told = result(&out);
    assert_eq!((&told["kind"], &told["verdict"]["word"]), (&"deviating".into(), &"PASS".into()));
    for file in ["result.json", "junit.xml", "ocptv.jsonl", "report.html"] {
        let written = fs::read_to_string(out.join(file)).expect(file);
        assert!(written.contains("0-3,5"), "{file} does not say which GPUs were tested");
        // The faults that were asked for name it; nothing else may.
        let told = written.replace("gsp-hang@gpu/6", "");
        assert!(!told.contains("gpu/6"), "{file} speaks of a GPU that was left out");
    }
    let rows = kiln(&["report", out.to_str().expect("utf-8"), "--format", "csv"]);
    assert!(String::from_utf8_lossy(&rows.stdout).contains("--gpus 0-3,5"));
}

#[test]
fn a_chosen_gpu_that_is_bad_fails_under_its_own_number_and_one_that_is_not_there_is_refused() {
    let (output, _parent, out) = run("smoke", &["--gpus", "2,5", "--fault", "mig-left-on@gpu/5"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(result(&out)["findings"][0]["component"], "gpu/5");
    for (gpus, why) in [("3,9", "gpu/9 is asked for, and the node has gpu/0, gpu/1"), ("3-1", "names no GPUs")] {
        let (output, _parent, out) = run("smoke", &["--gpus", gpus]);
        assert_eq!(output.status.code(), Some(2), "{gpus}: {}", stderr(&output));
        assert!(stderr(&output).contains(why) && !out.exists(), "{}", stderr(&output));
    }
}

/// A reboot would take away every run that is not at the floor yet.
#[test]
fn an_agent_whose_spool_is_in_memory_ends_where_its_spool_must_last() {
    let spool = tempfile::tempdir_in("/dev/shm").expect("memory");
    let spool = spool.path().join("spool");
    let arguments = ["agent", "--floor", "http://127.0.0.1:9", "--sim", "hgx-h200-8", "--lasting-spool", "--spool"];
    let mut kiln = Command::new(env!("CARGO_BIN_EXE_kiln"));
    let output = kiln.args(arguments).arg(&spool).stdin(Stdio::null()).output().expect("kiln starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(
        told.contains("is on tmpfs, which is in memory") && told.contains("give --spool a folder on a disk"),
        "{told}"
    );
    assert!(!spool.exists(), "nothing was begun");
}
