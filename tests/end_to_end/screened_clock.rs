//! A screen at clocks that are held: each while its loads run, given back after it, and told where none may be held.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::node::{HEALTHY, Node, eight_gpus, two_gpus};

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

/// What came of a screen of two GPUs: the exit code, what was said, the document, and the clocks that GPU 0 was locked to meanwhile.
struct Screened {
    code: Option<i32>,
    said: String,
    result: Value,
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
    let result = std::fs::read(folder.join("run/result.json")).expect("a document");
    Screened {
        code: output.status.code(),
        said: String::from_utf8_lossy(&output.stdout).into_owned(),
        result: serde_json::from_slice(&result).expect("JSON"),
        locked,
        left_locked: lock.exists(),
    }
}

impl Screened {
    /// A value of GPU 0: a number, or why there is none.
    fn value(&self, name: &str) -> Value {
        let steps = self.result["steps"].as_array().expect("steps");
        let cases = steps.iter().flat_map(|step| step["cases"].as_array().expect("cases"));
        let values = cases.filter(|case| case["component"] == "gpu/0").filter_map(|case| case["values"].as_array());
        let found = values.flatten().find(|value| value["name"] == name).expect("a value of that name");
        if found["value"].is_null() { found["missing"].clone() } else { found["value"].clone() }
    }
}

#[test]
fn a_screens_clocks_are_held_while_it_runs_at_them_and_given_back_after() {
    let _place = two_gpus();
    let folder = tempfile::tempdir().expect("folder");
    let told = screened(&HEALTHY, folder.path());
    assert_eq!(told.code, Some(0), "{}", told.said);
    // 30 % and 60 % of the 1980 MHz of an H200, in steps of 15 MHz.
    assert_eq!(told.locked, ["1185", "600"].map(str::to_owned).into());
    assert!(!told.left_locked, "given back before the run ends");
    for (name, held) in [("clock.low", 600.0), ("clock.middle", 1185.0)] {
        let clock = told.value(name).as_f64().expect("a number");
        assert!((clock - held).abs() <= 60.0, "{name}: {clock}");
    }
    assert!(told.value("clock.alone").as_f64().is_some_and(|clock| clock > 1500.0), "{}", told.value("clock.alone"));
    assert_eq!(told.value("clocks.unscreened"), 0.0);
    assert!(told.value("products.low").as_f64() > Some(0.0) && told.value("products.low.alone").as_f64() > Some(0.0));
    assert!(told.said.contains("At a held clock of 600 MHz: rarer than 1 in 10^"), "{}", told.said);
}

#[test]
fn where_no_clock_may_be_held_a_screen_runs_all_the_same_and_says_what_it_left_out() {
    const NO_PERMISSION: &[(&str, &str)] = &[("KILN_FAKE_ERRORS", "*:nvmlDeviceSetGpuLockedClocks:4")];
    const NOT_SUPPORTED: &[(&str, &str)] = &[("KILN_FAKE_ERRORS", "*:nvmlDeviceSetGpuLockedClocks:3")];
    let _place = eight_gpus();
    let both = std::thread::scope(|scope| {
        let screen = |settings| {
            let folder = tempfile::tempdir().expect("folder");
            screened(&Node { settings, ..HEALTHY }, folder.path())
        };
        [NO_PERMISSION, NOT_SUPPORTED]
            .map(|settings| scope.spawn(move || screen(settings)))
            .map(|screening| screening.join().expect("a screen"))
    });
    for (told, (counted, why)) in both.into_iter().zip([
        (Some(2.0), "the SM clock cannot be held: only root may; run kiln as root"),
        (None, "the part or its driver has no such setting"),
    ]) {
        assert_eq!(told.code, Some(0), "{}", told.said);
        assert_eq!(told.locked, BTreeSet::new());
        assert_eq!(told.value("clocks.unscreened").as_f64(), counted);
        assert!(told.value("products").as_f64() > Some(0.0), "the other parts have run");
        let sentence = told.said.lines().find(|line| line.contains("Not screened at 30 % of the greatest SM clock"));
        assert!(sentence.is_some_and(|line| line.contains(why) && line.contains("60 %")), "{}", told.said);
    }
}
