//! Neighbours who mean no good: links, pipes and devices planted where files are read and written, names that act on a
//! terminal, cells that act in a spreadsheet, reports that were doctored before they are signed.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

const KILN: &str = env!("CARGO_BIN_EXE_kiln");

/// Longer than anything here takes on a busy machine; what waits for ever ends by then.
const PATIENCE: &str = "60";

fn kiln(arguments: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command.args(["-s", "KILL", PATIENCE, KILN]).args(arguments).stdin(Stdio::null());
    command.output().expect("kiln starts")
}

fn shell(script: &str) -> Output {
    Command::new("sh").args(["-c", script]).stdin(Stdio::null()).output().expect("sh")
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("utf-8")
}

fn smoke(more: &[&str]) -> Output {
    kiln(&[&["run", "smoke", "--sim", "hgx-h200-8"][..], more].concat())
}

/// A healthy run of this file, made once, by somebody of an unusual name.
fn healthy() -> &'static Path {
    static RUN: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = RUN.get_or_init(|| {
        let folder = tempfile::tempdir().expect("folder");
        let run = folder.path().join("run");
        let operator = "=HYPERLINK(\"http://elsewhere\",\"ok\")";
        let output = smoke(&["--out", text(&run), "--operator", operator, "--station=-2+3"]);
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        folder
    });
    folder.path()
}

/// A copy of it, to be altered.
fn copy() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("folder");
    let run = folder.path().join("run");
    fs::create_dir_all(run.join("telemetry")).expect("made");
    for inside in ["", "telemetry"] {
        for entry in fs::read_dir(healthy().join("run").join(inside)).expect("list").map(|one| one.expect("entry")) {
            if entry.path().is_file() {
                fs::copy(entry.path(), run.join(inside).join(entry.file_name())).expect("copied");
            }
        }
    }
    (folder, run)
}

fn pipe(path: &Path) {
    rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).expect("a pipe");
}

#[test]
fn no_run_and_no_report_writes_through_a_planted_link() {
    let folder = tempfile::tempdir().expect("folder");
    let (run, victim) = (folder.path().join("run"), folder.path().join("victim"));
    fs::write(&victim, "precious").expect("written");
    let names = ["result.json", "junit.xml", "ocptv.jsonl", "report.html"];
    let plant = |run: &Path| {
        for name in names.iter().copied().chain([".result.json.part", ".junit.xml.part", "report.html.part"]) {
            let _ = fs::remove_file(run.join(name));
            symlink(&victim, run.join(name)).expect("planted");
        }
    };
    fs::create_dir(&run).expect("made");
    plant(&run);
    let output = smoke(&["--out", text(&run)]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    plant(&run);
    let output = kiln(&["report", text(&run)]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(fs::read_to_string(&victim).expect("victim"), "precious");
    assert!(names.iter().all(|name| !run.join(name).is_symlink() && run.join(name).is_file()));

    let drill = folder.path().join("drill");
    fs::create_dir(&drill).expect("made");
    for name in ["drill.json", "junit.xml", "drill.html"] {
        symlink(&victim, drill.join(name)).expect("planted");
    }
    let faults = ["--faults", "ecc-off", "--seeds", "1", "--healthy", "1", "--out", text(&drill)];
    let output = kiln(&[&["drill", "smoke", "--sim", "hgx-h200-8"][..], &faults].concat());
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let page = folder.path().join("stats.html");
    symlink(&victim, &page).expect("planted");
    for (page, kind) in [(text(&page), "a symbolic link"), ("/dev/full", "a device")] {
        let output = kiln(&["stats", text(&run), "--html", page]);
        assert_eq!(output.status.code(), Some(3), "{}", err(&output));
        assert!(
            err(&output).contains(&format!("it is {kind}, and only a regular file is replaced")),
            "{}",
            err(&output)
        );
    }
    let snapshot = folder.path().join("node.yaml");
    symlink(folder.path().join("nowhere"), &snapshot).expect("planted");
    let recording = folder.path().join("node.jsonl");
    symlink(folder.path().join("nowhere"), &recording).expect("planted");
    let made = kiln(&["node", "snapshot", text(&snapshot), "--sim", "hgx-h200-8"]);
    assert_eq!(made.status.code(), Some(2), "{}", err(&made));
    let made = kiln(&["record", text(&recording), "--sim", "hgx-h200-8", "--for", "2s"]);
    assert_eq!(made.status.code(), Some(2), "{}", err(&made));
    assert!(!folder.path().join("nowhere").exists());
    assert_eq!(fs::read_to_string(&victim).expect("victim"), "precious");
}

#[test]
fn a_linked_journal_or_telemetry_folder_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("made");
    let run = folder.path().join("run");
    fs::create_dir(&run).expect("made");
    symlink(&elsewhere, run.join("telemetry")).expect("planted");
    let output = smoke(&["--out", text(&run)]);
    assert_eq!(output.status.code(), Some(3), "{}", err(&output));
    assert_eq!(fs::read_dir(&elsewhere).expect("list").count(), 0, "nothing was written there");
    let (_kept, other) = copy();
    fs::rename(other.join("journal.jsonl"), elsewhere.join("journal")).expect("moved");
    symlink(elsewhere.join("journal"), other.join("journal.jsonl")).expect("planted");
    for command in ["report", "resume"] {
        let output = kiln(&[command, text(&other)]);
        assert_eq!(output.status.code(), Some(3), "{command}: {}", err(&output));
        assert!(err(&output).contains("symbolic link"), "{command}: {}", err(&output));
    }
}

#[test]
fn pipes_devices_and_folders_are_refused_wherever_a_file_is_read() {
    let folder = tempfile::tempdir().expect("folder");
    let named = |name: &str| folder.path().join(name).display().to_string();
    pipe(Path::new(&named("pipe.yaml")));
    pipe(Path::new(&named("key.pub")));
    fs::create_dir(named("folder.yaml")).expect("made");
    let child = named("child.yaml");
    let run = healthy().join("run");
    let run = text(&run);
    let places: [(&str, &str); 3] =
        [(&named("pipe.yaml"), "a named pipe"), ("/dev/zero", "a device"), (&named("folder.yaml"), "a folder")];
    for (file, kind) in places {
        let extends = format!("schema: kiln.profile/1\nid: c\nrevision: 1\ntitle: {{ en: C }}\nextends: {file}\n");
        fs::write(&child, extends).expect("written");
        let mut commands = vec![
            vec!["profile", "check", file],
            vec!["profile", "check", &child],
            vec!["node", "--sim", file],
            vec!["run", "smoke", "--sim", "hgx-h200-8", "--fault", file],
            vec!["run", "smoke", "--replay", file],
            vec!["node", "import", file],
            vec!["verify", run, "--key", file],
            vec!["seal", run, "--key", file],
        ];
        if kind != "a folder" {
            commands.push(vec!["rejudge", run, "--profile", "smoke", "--baseline", file]);
        }
        for command in commands {
            let output = kiln(&command);
            let code = output.status.code();
            assert!(matches!(code, Some(2 | 3)), "{command:?}: {code:?} {}", err(&output));
            assert!(err(&output).contains(kind), "{command:?}: {}", err(&output));
        }
    }
    for name in ["journal.jsonl", "telemetry/samples.ktb", "seal.json"] {
        let (_kept, run) = copy();
        let _ = fs::remove_file(run.join(name));
        pipe(&run.join(name));
        for command in [&["report"][..], &["stats"], &["baseline"], &["rejudge", "--profile", "smoke"]] {
            let mut command = command.to_vec();
            command.insert(1, text(&run));
            let code = kiln(&command).status.code();
            assert!(matches!(code, Some(0..=4)), "{name}, {command:?} hangs: {code:?}");
        }
    }
}

#[test]
fn a_file_beyond_all_measure_is_refused_with_the_most_that_is_read() {
    let folder = tempfile::tempdir().expect("folder");
    let large = folder.path().join("large.yaml");
    fs::File::create(&large).expect("made").set_len(100 << 20).expect("sparse");
    for command in [
        &["profile", "check", text(&large)][..],
        &["node", "--sim", text(&large)],
        &["node", "import", text(&large)],
        &["seal", text(&healthy().join("run")), "--key", text(&large)],
    ] {
        let output = kiln(command);
        assert_eq!(output.status.code(), Some(2), "{command:?}: {}", err(&output));
        let told = err(&output);
        assert!(told.contains("larger than") || told.contains("can be read by others"), "{command:?}: {told}");
    }
}

#[test]
fn no_name_acts_on_a_terminal() {
    let hostile = "\u{1b}[31mred\u{7}\u{202e}x";
    let acts = |text: &str| {
        text.contains(|one: char| one.is_control() && one != '\n' && one != '\t') || text.contains('\u{202e}')
    };
    let folder = tempfile::tempdir().expect("folder");
    let run = folder.path().join("run");
    let output = smoke(&["--out", text(&run), "--station", hostile, "--operator", hostile]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(!acts(&out(&output)) && !acts(&err(&output)), "{}{}", out(&output), err(&output));
    assert!(!acts(&out(&kiln(&["report", text(&run), "--format", "text"]))));
    let strange = format!("{hostile}.yaml");
    for command in [
        &["profile", "check", &strange][..],
        &["node", "--sim", &strange],
        &["run", "smoke", "--sim", "hgx-h200-8", "--fault", hostile],
        &["report", hostile],
        &["checks", hostile],
        &["explain", hostile],
        &[hostile],
    ] {
        let output = kiln(command);
        assert!(!output.status.success(), "{command:?}");
        assert!(!acts(&err(&output)) && !acts(&out(&output)), "{command:?}: {:?}", err(&output));
    }
    let key = folder.path().join("key");
    assert_eq!(kiln(&["seal", "--new-key", text(&key)]).status.code(), Some(0));
    let sealed = kiln(&["seal", text(&run), "--key", text(&key)]);
    assert_eq!(sealed.status.code(), Some(0), "{}", err(&sealed));
    fs::write(run.join(hostile), "").expect("added");
    let output = kiln(&["verify", text(&run), "--key", &format!("{}.pub", text(&key))]);
    assert_eq!(output.status.code(), Some(3));
    assert!(!acts(&err(&output)) && err(&output).contains("␛[31mred␇<U+202E>x` was added"), "{}", err(&output));
}

#[test]
fn no_cell_is_a_formula_and_numbers_stay_numbers() {
    let run = healthy().join("run");
    let csv = out(&kiln(&["report", text(&run), "--format", "csv"]));
    let mut lines = csv.split("\r\n");
    let names: Vec<&str> = lines.next().expect("a header").split(',').collect();
    assert_eq!((names[0], names.last()), ("run_id", Some(&"parts_digest")));
    assert!(csv.contains("\"'=HYPERLINK(\"\"http://elsewhere\"\",\"\"ok\"\")\"") && csv.contains(",'-2+3,"));
    let cells = csv.split([',', '\n']).map(|cell| cell.trim_start_matches('"'));
    let live = cells.filter(|cell| cell.starts_with(['=', '+', '-', '@', '\t']));
    let live: Vec<&str> = live.filter(|cell| cell.trim_end().parse::<f64>().is_err()).collect();
    assert!(live.is_empty(), "{live:?}");
    let numbers = lines.filter_map(|line| line.rsplit(',').nth(1)?.parse::<f64>().ok()).count();
    assert!(numbers > 100, "{numbers} numbers");
    let excel = kiln(&["report", text(&run), "--format", "csv-excel"]).stdout;
    assert_eq!((&excel[..3], &excel[3..]), (&b"\xef\xbb\xbf"[..], csv.as_bytes()));
}

#[test]
fn only_what_can_be_made_again_is_signed_and_only_with_a_key_of_ones_own() {
    let (folder, run) = copy();
    let key = folder.path().join("key");
    assert_eq!(kiln(&["seal", "--new-key", text(&key)]).status.code(), Some(0));
    let seal = || kiln(&["seal", text(&run), "--key", text(&key)]);
    for (name, from, to) in [
        ("result.json", "\"word\": \"PASS\"", "\"word\": \"FAIL\""),
        ("junit.xml", "failures=\"0\"", "failures=\"1\""),
        ("report.html", "PASS", "FAIL"),
        ("ocptv.jsonl", "COMPLETE", "ERROR"),
    ] {
        let sound = fs::read_to_string(run.join(name)).expect("a report");
        let doctored = sound.replacen(from, to, 1);
        assert_ne!(sound, doctored, "{name} does not say {from}");
        fs::write(run.join(name), doctored).expect("doctored");
        let output = seal();
        assert_eq!(output.status.code(), Some(2), "{name}: {}", err(&output));
        assert!(err(&output).contains(&format!("`{name}` is not what")), "{}", err(&output));
        fs::write(run.join(name), sound).expect("mended");
    }
    fs::write(run.join("photo.jpg"), "").expect("added");
    assert!(err(&seal()).contains("`photo.jpg` is no file of a run"));
    fs::remove_file(run.join("photo.jpg")).expect("removed");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("opened");
    let output = seal();
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("can be read by others: its mode is 644"), "{}", err(&output));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("closed");
    let output = seal();
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
}

#[test]
fn a_page_in_one_language_and_a_junit_with_attachments_can_be_sealed() {
    let folder = tempfile::tempdir().expect("folder");
    let output = shell(&format!(
        "cd {0} && {KILN} --lang ja run smoke --sim hgx-h200-8 --junit rich --out a/../run && {KILN} seal --new-key key \
         && {KILN} seal {0}/run --key key",
        folder.path().display()
    ));
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
}

#[test]
fn what_makes_no_sense_is_refused_with_what_would() {
    for speed in ["1e300", "1e308", "1e-300", "1e12", "1e25", "0", "-1", "nan", "inf"] {
        let output = smoke(&[&format!("--sim-speed={speed}")]);
        assert_eq!(output.status.code(), Some(2), "{speed}: {}", err(&output));
        assert!(err(&output).contains("is not between 0.01 and 100000"), "{speed}: {}", err(&output));
    }
    let output = kiln(&["run", "smoke", "--nvml-lib", "/nowhere/libnvidia-ml.so.1"]);
    assert_eq!(output.status.code(), Some(2), "{}", err(&output));
    assert!(err(&output).contains("--sim hgx-h200-8"), "{}", err(&output));
    let (_kept, run) = copy();
    let before = fs::read(run.join("journal.jsonl")).expect("journal");
    let output = smoke(&["--out", text(&run)]);
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(2), ""), "no verdict: nothing ran");
    assert!(err(&output).contains("holds a run already"), "{}", err(&output));
    assert_eq!(fs::read(run.join("journal.jsonl")).expect("journal"), before);
}

#[test]
fn too_few_open_files_are_told_before_anything_is_begun() {
    let folder = tempfile::tempdir().expect("folder");
    let run = folder.path().join("run");
    let output = shell(&format!("ulimit -n 8; exec {KILN} run smoke --sim hgx-h200-8 --out {}", run.display()));
    assert_eq!(output.status.code(), Some(3), "{}", err(&output));
    assert!(err(&output).contains("ulimit -n") && !err(&output).contains("panicked"), "{}", err(&output));
    assert!(!run.exists());
}

#[test]
fn a_proven_failure_survives_a_full_stdout_with_all_its_reports() {
    let folder = tempfile::tempdir().expect("folder");
    let run = |fault: &str, name: &str| {
        let run = folder.path().join(name);
        let script = format!("exec {KILN} run smoke --sim hgx-h200-8 {fault} --out {} > /dev/full", run.display());
        (shell(&script), run)
    };
    let (output, bad) = run("--fault wrong-always@gpu/3", "bad");
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    let files = ["result.json", "junit.xml", "report.html", "telemetry/samples.parquet", "ocptv.jsonl"];
    assert!(files.iter().all(|name| bad.join(name).is_file()), "every report is there");
    let (output, good) = run("", "good");
    assert_eq!(output.status.code(), Some(3), "a pass that nobody could read is none: {}", err(&output));
    assert!(files.iter().all(|name| good.join(name).is_file()), "every report is there");
}
