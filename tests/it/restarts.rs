//! `node.reboot` as its users meet it: each restart ends a process, `kiln resume` goes on, and what comes back worse is found.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const PROFILE: &str = "fixtures/profiles/restarts.yaml";
/// The exit code of a run whose node is being started anew.
const RESTARTING: Option<i32> = Some(6);

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

fn result(folder: &Path) -> serde_json::Value {
    let text = fs::read_to_string(folder.join("result.json")).expect("result.json");
    serde_json::from_str(&text).expect("JSON")
}

/// Runs until the run has come to its end; how often it was taken up, and the end.
fn to_the_end(folder: &Path, profile: &str, faults: &[&str]) -> (u32, Output) {
    let out = folder.to_str().expect("text");
    let mut arguments = vec!["run", profile, "--sim", "pcie-l40s-8", "--out", out];
    for fault in faults {
        arguments.extend(["--fault", fault]);
    }
    let mut output = crate::kiln(&arguments);
    let mut resumed = 0;
    while output.status.code() == RESTARTING {
        assert!(said(&output).contains("kiln resume"), "{}", said(&output));
        resumed += 1;
        output = crate::kiln(&["resume", out]);
    }
    (resumed, output)
}

#[test]
fn a_loop_of_restarts_comes_to_its_end_process_by_process_and_is_counted() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().join("run");
    let (resumed, output) = to_the_end(&folder, PROFILE, &[]);
    assert_eq!((resumed, output.status.code()), (3, Some(0)), "{}", said(&output));
    assert!(said(&output).contains("restarts of the node that steps asked for: 3"), "{}", said(&output));
    let result = result(&folder);
    assert_eq!((&result["times"]["restarts"], &result["times"]["resumes"]), (&3.into(), &3.into()));
    assert_eq!(result["times"]["boots"], serde_json::Value::Null);
    assert!(result["findings"].as_array().is_some_and(Vec::is_empty), "{result}");
}

#[test]
fn the_shipped_profile_has_ten_restarts_and_five_cold_starts_and_passes_on_a_sound_node() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().join("run");
    let (resumed, output) = to_the_end(&folder, "restarts", &[]);
    assert_eq!((resumed, output.status.code()), (15, Some(0)), "{}", said(&output));
    let journal = fs::read_to_string(folder.join("journal.jsonl")).expect("a journal");
    let asked = |how: &str| {
        let order = |line: &&str| line.contains("\"restart-asked\"") && line.contains(&format!("\"{how}\""));
        journal.lines().filter(order).count()
    };
    assert_eq!((asked("reboot"), asked("power-cycle")), (10, 5));
    assert_eq!(result(&folder)["times"]["restarts"], 15);
}

#[test]
fn a_link_that_comes_back_narrower_is_found_after_the_restart_and_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().join("run");
    let fault = dir.path().join("narrow.yaml");
    let text = "schema: kiln.fault/1\nid: test\ntitle: { en: test }\nnumber: 1\nabout: { en: test }\nsource: test\n\
                component: pcie\nchanges: { pcie.width: { set: 8 } }\nwhen: after_reboot\n\
                severity: { default: 1, min: 1, max: 1 }\nexpect: { code: PCIE-WIDTH, component: pcie }\n";
    fs::write(&fault, text).expect("written");
    let (resumed, output) = to_the_end(&folder, PROFILE, &[&format!("{}@gpu/2", fault.display())]);
    assert_eq!((resumed, output.status.code()), (3, Some(1)), "{}", said(&output));
    let result = result(&folder);
    let named = result["findings"].as_array().expect("findings").iter().any(|finding| {
        finding["code"] == "PCIE-WIDTH" && finding["component"].as_str().is_some_and(|part| part.starts_with("gpu/2"))
    });
    assert!(named, "{}", result["findings"]);
}

/// A machine behind a stand-in of the driver's library, with a boot id and settings of a station.
struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { dir: tempfile::tempdir().expect("a folder") };
        fs::create_dir_all(machine.path("host/dev")).expect("a folder");
        fs::create_dir_all(machine.path("host/proc/sys/kernel/random")).expect("a folder");
        fs::write(machine.path("host/dev/kmsg"), "5,0,0,-;Linux version 6.8.0\n").expect("a file");
        machine.boots(1);
        machine.settings("");
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn settings(&self, more: &str) {
        fs::write(self.path("config.yaml"), format!("schema: kiln.config/1\n{more}")).expect("written");
    }

    fn boots(&self, boot: u32) {
        let id = format!("{boot:08}-0000-4000-8000-000000000000\n");
        fs::write(self.path("host/proc/sys/kernel/random/boot_id"), id).expect("written");
    }

    /// Has the settings name a program that does this.
    fn reboots_by(&self, text: &str) {
        let path = self.path("restart");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its rights");
        self.settings(&format!("reboot: {}\n", path.display()));
    }

    fn kiln(&self, command: &str, arguments: &[&str]) -> Output {
        let library = std::env::current_exe().expect("the test's own path").with_file_name("libkiln_fake_driver.so");
        let (config, host, run) = (self.path("config.yaml"), self.path("host"), self.path("run"));
        let mut kiln = Command::new(crate::KILN);
        kiln.arg("--config").arg(config).arg(command).args(arguments).arg(&run).arg("--nvml-lib").arg(library);
        kiln.arg("--host-root").arg(host).env("KILN_FAKE_NODE", "pcie-l40s-8").env("KILN_FAKE_SEED", "1");
        kiln.stdin(Stdio::null()).output().expect("the binary")
    }

    fn run(&self, more: &[&str]) -> Output {
        self.kiln("run", &[&[PROFILE, "--only", "restarts.anew"], more, &["--out"]].concat())
    }

    fn journal(&self) -> String {
        fs::read_to_string(self.path("run/journal.jsonl")).expect("a journal")
    }
}

#[test]
fn a_machine_is_not_started_anew_unless_its_settings_name_the_command() {
    let machine = Machine::new();
    let output = machine.run(&[]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("the station's settings name no command for it; put `reboot: COMMAND`"));
}

#[test]
fn a_machine_that_does_not_go_down_is_our_trouble() {
    let machine = Machine::new();
    machine.reboots_by("exit 0");
    let output = machine.run(&["--set", "down=2s"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("and was still up after 2s"), "{}", said(&output));
}

#[test]
fn a_machine_that_goes_down_with_the_run_is_counted_by_its_boot_id() {
    let machine = Machine::new();
    machine.reboots_by("kill -KILL $PPID");
    let output = machine.run(&[]);
    for boot in 2..=4 {
        assert_eq!(output.status.code(), None, "killed: {}", said(&output));
        let journal = machine.journal();
        let last = journal.lines().last().expect("a line");
        assert!(last.contains("restart-asked"), "the order was written before it was given: {last}");
        let early = machine.kiln("resume", &[]);
        assert_eq!(early.status.code(), Some(3), "{}", said(&early));
        assert!(said(&early).contains("the node was told to start anew at"), "{}", said(&early));
        assert_eq!(machine.journal(), journal, "nothing is written before it went down");
        machine.boots(boot);
        let up = machine.kiln("resume", &[]);
        let ended = up.status.code().is_some();
        assert_eq!(ended, boot == 4, "{}", said(&up));
    }
    assert_eq!(result(&machine.path("run"))["times"]["restarts"], 3);
}
