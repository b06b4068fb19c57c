//! What loads note is heard: in the journal, on the console, on the page and in JUnit; and a fallback kernel accuses no part.

use std::path::Path;
use std::process::Command;

use crate::node::{HEALTHY, Node, two_gpus};

const PROFILE: &str = "schema: kiln.profile/1
id: heard
revision: 1
title: { en: Notes of loads }
skus: [h200-sxm]
stages:
  - id: load
    steps:
      - id: gemm
        use: gpu.burn
        with: { for: 10s, warmup: 5s }
        limits:
          mismatches: \"== 0\"
          throughput.mean: \">= sku.throughput.bf16.min\"
          power.mean: \">= 95 % of sku.tdp\"
";

/// Runs the profile on two GPUs: the exit code and all it said.
fn run(folder: &Path, node: &Node) -> (Option<i32>, String) {
    let profile = folder.join("heard.yaml");
    std::fs::write(&profile, PROFILE).expect("a profile");
    let mut kiln = Command::new(env!("CARGO_BIN_EXE_kiln"));
    kiln.arg("run").arg(profile).args(["--gpus", "0-1", "--sim-speed", "4"]).arg("--out").arg(folder.join("run"));
    node.surround(&mut kiln, folder, 4);
    let output = kiln.output().expect("the binary");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn what_loads_note_is_heard_everywhere_and_a_fallback_kernel_fails_no_part() {
    let _place = two_gpus();
    let folder = tempfile::tempdir().expect("folder");
    let settings = &[("KILN_FAKE_CUDA_FAULT", "image")];
    let (code, said) = run(folder.path(), &Node { settings, ..HEALTHY });
    let file = |name: &str| std::fs::read_to_string(folder.path().join("run").join(name)).expect("a file of the run");
    let (page, junit, journal) = (file("report.html"), file("junit.xml"), file("journal.jsonl"));
    let words = "slower than it could be";
    for (name, text) in [("console", &said), ("page", &page), ("JUnit", &junit)] {
        assert!(text.contains(words), "{name} says nothing of {words:?}:\n{said}");
    }
    assert!(journal.contains("slower-kernel"), "the journal has no note");
    assert_eq!(code, Some(3), "not judged, and not failed: {said}");
    assert!(!said.contains("FAIL") && said.contains("load.gemm"), "{said}");
}
