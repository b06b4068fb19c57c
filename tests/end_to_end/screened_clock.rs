//! A screen at clocks that are held: each while its loads run, and given back after it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use crate::node::{HEALTHY, Node, alone};

const PROFILE: &str = "schema: kiln.profile/1
id: screened
revision: 1
title: { en: Screen }
skus: [h200-sxm]
stages:
  - id: load
    steps:
      - id: screen
        use: gpu.screen
        with: { alone: 9s, light: 3s, full: 3s, held: 9s }
        limits:
          mismatches: \"== 0\"
";

/// Times faster than real time.
const SPEED: u32 = 2;

/// What came of a screen of two GPUs: the exit code, what was said, and the clocks that GPU 0 was locked to meanwhile.
struct Screened {
    code: Option<i32>,
    said: String,
    locked: BTreeSet<String>,
    left_locked: bool,
}

#[expect(clippy::disallowed_methods, reason = "looks at a process that lives in the world's time")]
fn screened(node: &Node, folder: &Path) -> Screened {
    let profile = folder.join("screened.yaml");
    std::fs::write(&profile, PROFILE).expect("a profile");
    let mut kiln = Command::new(env!("CARGO_BIN_EXE_kiln"));
    kiln.arg("run")
        .arg(profile)
        .args(["--gpus", "0-1", "--sim-speed", &SPEED.to_string()])
        .arg("--out")
        .arg(folder.join("run"));
    node.surround(&mut kiln, folder, SPEED);
    let mut child = kiln.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the binary");
    let lock = folder.join("bench/clock-0");
    let (mut locked, began) = (BTreeSet::new(), Instant::now());
    while child.try_wait().expect("a child").is_none() {
        assert!(began.elapsed() < Duration::from_secs(300), "it does not end");
        locked.extend(std::fs::read_to_string(&lock).ok().filter(|text| !text.is_empty()));
        park_timeout(Duration::from_millis(50));
    }
    let output = child.wait_with_output().expect("its end");
    Screened {
        code: output.status.code(),
        said: String::from_utf8_lossy(&output.stdout).into_owned(),
        locked,
        left_locked: lock.exists(),
    }
}

#[test]
fn a_screens_clocks_are_held_while_it_runs_at_them_and_given_back_after() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("folder");
    let told = screened(&HEALTHY, folder.path());
    assert_eq!(told.code, Some(0), "{}", told.said);
    // 30 % and 60 % of the 1980 MHz of an H200, in steps of 15 MHz.
    assert_eq!(told.locked, ["1185", "600"].map(str::to_owned).into());
    assert!(!told.left_locked, "given back before the run ends");
}
