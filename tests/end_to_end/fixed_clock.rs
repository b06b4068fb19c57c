//! A clock that is held: while the load runs, given back after it, and given back when nobody is left who could be asked to.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::node::{HEALTHY, Node, two_gpus};

const PROFILE: &str = "schema: kiln.profile/1
id: fixed
revision: 1
title: { en: Fixed clock }
skus: [h200-sxm]
stages:
  - id: load
    steps:
      - id: fixed-clock
        use: gpu.fixed-clock
        with: { for: 20s, warmup: 5s }
        limits:
          mismatches: { limit: \"== 0\", unsupported: skip }
          clock.of-held: { limit: \">= 97 %\", unsupported: skip }
          throughput.mean: { limit: \">= 90 % of peers\", unsupported: skip }
";

/// Two GPUs: what is held of eight is held alike.
fn started(folder: &Path, node: &Node, speed: u32) -> Child {
    let profile = folder.join("fixed.yaml");
    std::fs::write(&profile, PROFILE).expect("a profile");
    let mut kiln = Command::new(env!("CARGO_BIN_EXE_kiln"));
    kiln.arg("run").arg(profile).args(["--gpus", "0-1", "--sim-speed", &speed.to_string()]);
    kiln.arg("--out").arg(folder.join("run"));
    node.surround(&mut kiln, folder, speed);
    kiln.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary")
}

fn is_locked(folder: &Path, gpu: u8) -> bool {
    folder.join("bench").join(format!("clock-{gpu}")).exists()
}

/// The processes that hold clocks of the node in a folder.
fn holders(folder: &Path) -> Vec<Pid> {
    let folder = folder.display().to_string();
    let is_here = |pid: &i32| {
        let of = |file: &str| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        of("comm") == b"clock-holder\n" && String::from_utf8_lossy(&of("environ")).contains(&folder)
    };
    let all = std::fs::read_dir("/proc").expect("processes").flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(is_here).filter_map(Pid::from_raw).collect()
}

#[track_caller]
#[expect(clippy::disallowed_methods, reason = "waits for processes that live in the world's time")]
fn eventually(what: &str, is: impl Fn() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn a_clock_is_held_while_its_load_runs_and_given_back_after_it() {
    let _place = two_gpus();
    let folder = tempfile::tempdir().expect("folder");
    let child = started(folder.path(), &HEALTHY, 2);
    eventually("both clocks are held", || is_locked(folder.path(), 0) && is_locked(folder.path(), 1));
    let held = std::fs::read_to_string(folder.path().join("bench/clock-0")).expect("held");
    assert_eq!(held, "990", "half of the 1980 MHz of an H200");
    // As a service that is stopped does to all that belongs to it.
    let holders = holders(folder.path());
    assert_eq!(holders.len(), 2);
    for holder in holders {
        for signal in [Signal::HUP, Signal::INT, Signal::TERM] {
            kill_process(holder, signal).expect("it lives");
        }
    }
    let output = child.wait_with_output().expect("its end");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!is_locked(folder.path(), 0) && !is_locked(folder.path(), 1), "given back before the run ends");
}

#[test]
fn a_clock_is_given_back_when_kiln_is_killed() {
    let _place = two_gpus();
    let folder = tempfile::tempdir().expect("folder");
    let mut child = started(folder.path(), &HEALTHY, 1);
    eventually("both clocks are held", || is_locked(folder.path(), 0) && is_locked(folder.path(), 1));
    child.kill().expect("killed");
    child.wait().expect("its end");
    eventually("both are given back", || !is_locked(folder.path(), 0) && !is_locked(folder.path(), 1));
}

#[test]
fn a_clock_that_may_not_be_held_is_an_error_and_one_that_no_driver_holds_is_skipped() {
    let _place = two_gpus();
    let told = |settings| {
        let folder = tempfile::tempdir().expect("folder");
        let node = Node { settings, ..HEALTHY };
        let output = started(folder.path(), &node, 2).wait_with_output().expect("its end");
        assert!(!is_locked(folder.path(), 0));
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, said) = told(&[("KILN_FAKE_ERRORS", "*:nvmlDeviceSetGpuLockedClocks:4")]);
    assert!(code == Some(3) && said.contains("the SM clock cannot be held: only root may; run kiln as root"), "{said}");
    let (code, said) = told(&[("KILN_FAKE_ERRORS", "*:nvmlDeviceSetGpuLockedClocks:3")]);
    assert!(code != Some(0) && said.contains("`power.mean` is not supported by this part"), "{code:?} {said}");
}

#[test]
fn a_clock_that_cannot_be_given_back_is_told_with_what_to_do() {
    let _place = two_gpus();
    let folder = tempfile::tempdir().expect("folder");
    let node = Node { settings: &[("KILN_FAKE_ERRORS", "*:nvmlDeviceResetGpuLockedClocks:999")], ..HEALTHY };
    let output = started(folder.path(), &node, 2).wait_with_output().expect("its end");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let page = std::fs::read_to_string(folder.path().join("run/report.html")).expect("a page");
    let junit = std::fs::read_to_string(folder.path().join("run/junit.xml")).expect("a document");
    for (name, text) in [("console", &said), ("page", &page), ("JUnit", &junit)] {
        assert!(text.contains("nvidia-smi -rgc"), "{name} says nothing of it:\n{said}");
    }
}
