//! What people expect of any command line: lists, JSON, settings of a station, completions, manual pages, a log.

use std::fs;
use std::process::{Command, Output, Stdio};

fn kiln(arguments: &[&str], home: &std::path::Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .env("HOME", home)
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("KILN_CONFIG");
    command.env_remove("KILN_STATION");
    command.env_remove("KILN_LOG").env("LC_ALL", "C").output().expect("kiln starts")
}

fn out(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn everything_built_in_is_listed_for_people_and_for_programs_alike() {
    let home = tempfile::tempdir().expect("a folder");
    for what in ["profiles", "nodes", "faults", "skus", "checks", "findings"] {
        let people = out(&kiln(&["list", what], home.path()));
        let programs: serde_json::Value =
            serde_json::from_str(&out(&kiln(&["list", what, "--json"], home.path()))).expect("JSON");
        let names: Vec<&str> =
            programs.as_array().expect("a list").iter().filter_map(|one| one["name"].as_str()).collect();
        let first: Vec<&str> = people.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert!(!names.is_empty() && names == first, "{what}: {names:?} {first:?}");
    }
}

#[test]
fn an_xid_is_explained_by_its_number_and_an_unknown_one_is_refused() {
    let home = tempfile::tempdir().expect("a folder");
    for words in [&["79"][..], &["xid", "79"], &["XID-79"]] {
        let text = out(&kiln(&[&["explain"], words].concat(), home.path()));
        assert!(text.starts_with("Xid 79: fallen off the bus"), "{text}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&out(&kiln(&["explain", "48", "--json"], home.path()))).expect("JSON");
    assert_eq!(json["xid"], 48);
    let unknown = kiln(&["explain", "4711"], home.path());
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("Xid 4711 is not in the table"));
}

#[test]
fn settings_give_station_language_and_folder_and_the_command_line_wins() {
    let home = tempfile::tempdir().expect("a folder");
    let runs = home.path().join("runs");
    fs::create_dir_all(home.path().join(".config/kiln")).expect("a folder");
    let text = format!("schema: kiln.config/1\nstation: ST-9\nlang: ja\nruns: {}\n", runs.display());
    fs::write(home.path().join(".config/kiln/config.yaml"), text).expect("written");
    let told = kiln(&["run", "smoke", "--sim", "hgx-h200-8"], home.path());
    assert!(out(&told).contains("合格"), "{told:?}");
    let run = fs::read_dir(&runs).expect("runs").next().expect("a run").expect("a run").path();
    let result = fs::read_to_string(run.join("result.json")).expect("result.json");
    assert!(result.contains("ST-9"));
    let english = kiln(&["run", "smoke", "--sim", "hgx-h200-8", "--lang", "en", "--station", "ST-1"], home.path());
    assert!(out(&english).contains("PASS") && !out(&english).contains("合格"));
    let of = |station: &str| {
        let result = |run: &std::path::PathBuf| fs::read_to_string(run.join("result.json")).expect("result.json");
        let runs = fs::read_dir(&runs).expect("runs").map(|run| run.expect("a run").path());
        runs.filter(|run| result(run).contains(&format!("\"{station}\""))).count()
    };
    assert_eq!((of("ST-9"), of("ST-1")), (1, 1), "the command line wins over the settings");
}

#[test]
fn a_mistake_in_the_settings_is_placed_and_nothing_runs() {
    let home = tempfile::tempdir().expect("a folder");
    let file = home.path().join("mine.yaml");
    fs::write(&file, "schema: kiln.config/1\nstaton: X\n").expect("written");
    let output = kiln(&["--config", file.to_str().expect("utf-8"), "list", "nodes"], home.path());
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("mine.yaml:2:1") && told.contains("did you mean `station`"), "{told}");
    let missing = kiln(&["--config", "nowhere.yaml", "list", "nodes"], home.path());
    assert_eq!(missing.status.code(), Some(2));
}

#[test]
fn quiet_leaves_just_the_result_and_colour_is_as_asked() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("run");
    let run = folder.to_str().expect("utf-8");
    let output =
        kiln(&["run", "smoke", "--sim", "hgx-h200-8", "--out", run, "--quiet", "--color", "always"], home.path());
    assert!(out(&output).contains('\u{1b}') && output.stderr.is_empty(), "{output:?}");
    let plain = out(&kiln(&["report", run, "--format", "text", "--color", "never"], home.path()));
    assert!(plain.contains("PASS") && !plain.contains('\u{1b}'));
}

#[test]
fn a_run_leaves_a_log_of_what_the_program_did() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("run");
    let run = folder.to_str().expect("utf-8");
    out(&kiln(&["run", "smoke", "--sim", "hgx-h200-8", "--out", run], home.path()));
    let log = fs::read_to_string(folder.join("kiln.log")).expect("a log");
    assert!(log.contains("StartLoad") && log.contains("load.gemm started, round 1, attempt 1"), "{log}");
    // A run that is refused leaves none.
    let folder = home.path().join("refused");
    let run = folder.to_str().expect("utf-8");
    let refused = kiln(&["run", "smoke", "--sim", "hgx-h200-8", "--only", "no.such", "--out", run], home.path());
    assert_eq!(refused.status.code(), Some(2));
    assert!(!folder.exists());
}

#[test]
fn the_first_profile_is_a_profile_and_is_not_written_over() {
    let home = tempfile::tempdir().expect("a folder");
    let file = home.path().join("mine.yaml");
    let name = file.to_str().expect("utf-8");
    out(&kiln(&["init", name], home.path()));
    assert!(out(&kiln(&["profile", "check", name], home.path())).contains("ok: first revision 1"));
    let checked: serde_json::Value =
        serde_json::from_str(&out(&kiln(&["profile", "check", name, "--json"], home.path()))).expect("JSON");
    assert_eq!((&checked["ok"], checked["errors"].as_array().map(Vec::len)), (&true.into(), Some(0)));
    assert_eq!(kiln(&["init", name], home.path()).status.code(), Some(2));
}

#[test]
fn mistakes_of_a_profile_are_told_to_programs_with_line_and_column() {
    let home = tempfile::tempdir().expect("a folder");
    let file = home.path().join("bad.yaml");
    fs::write(&file, "schema: kiln.profile/1\nid: bad\nrevision: one\ntitle: { en: Bad }\nextends: smoke\n")
        .expect("written");
    let output = kiln(&["profile", "check", file.to_str().expect("utf-8"), "--json"], home.path());
    assert_eq!(output.status.code(), Some(2));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&told["ok"], &told["errors"][0]["line"], &told["errors"][0]["column"]),
        (&false.into(), &3.into(), &11.into())
    );
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    let home = tempfile::tempdir().expect("a folder");
    let help = out(&kiln(&["--help"], home.path()));
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(commands.len() > 20, "{commands:?}");
    for shell in ["bash", "zsh", "fish"] {
        let script = out(&kiln(&["completions", shell], home.path()));
        for word in commands.iter().copied().chain(["sim-speed"]) {
            assert!(script.contains(word), "{shell} does not complete {word}");
        }
    }
    let pages = home.path().join("man");
    out(&kiln(&["man", "--out", pages.to_str().expect("utf-8")], home.path()));
    let pages_of = commands.iter().map(|name| format!("kiln-{name}.1"));
    for page in pages_of.chain(["kiln.1".to_owned(), "kiln-profile-check.1".to_owned()]) {
        assert!(fs::read_to_string(pages.join(&page)).expect(&page).starts_with(".ie"), "{page}");
    }
}
