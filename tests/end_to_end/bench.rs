//! `kiln bench`, `kiln calibrate` and first contact, end to end: on a node of fake driver libraries and on a simulated one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::node::{HEALTHY, Node, eight_gpus, two_gpus};

/// Two GPUs: what eight show, in less time.
const TWO: Node = Node { settings: &[("KILN_FAKE_GPUS", "2")], ..HEALTHY };

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn kiln(arguments: &[&str], paths: &[(&str, &Path)]) -> Command {
    let mut kiln = Command::new(env!("CARGO_BIN_EXE_kiln"));
    kiln.args(arguments);
    for (option, path) in paths {
        kiln.arg(option).arg(path);
    }
    kiln
}

fn phase<'a>(bench: &'a Value, name: &str) -> &'a Value {
    let phases = bench["phases"].as_array().expect("phases");
    phases.iter().find(|phase| phase["name"] == name).unwrap_or_else(|| panic!("no phase {name}: {bench}"))
}

#[test]
fn a_bench_measures_through_the_real_workers_and_what_comes_of_it_is_marked() {
    let _place = two_gpus();
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("out");
    let only = "rest,step,bf16 alone,march random,device copy,copy pairs,screen bf16,flips fp32";
    let mut bench = kiln(&["bench", "--for", "2s", "--flips", "20", "--only", only], &[("--out", &out)]);
    TWO.surround(&mut bench, folder.path(), 1);
    let output = bench.output().expect("the binary");
    let told = said(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.starts_with("SIMULATED by the library "), "{told}");
    assert!(told.contains("flipped bits found: 10 of 10"), "{told}");
    assert!(told.contains("products were not excluded (95 %)"), "{told}");

    let json = fs::read(out.join("bench.json")).expect("bench.json");
    let bench: Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(bench["schema"], "kiln.bench/1.2");
    for name in ["bf16 alone", "bf16 alone, fallback"] {
        for gpu in phase(&bench, name)["gpus"].as_array().expect("GPUs") {
            assert!(gpu["tflops"]["mean"].as_f64() > Some(1.0) && gpu["power_watts"]["mean"].as_f64() > Some(50.0));
            assert_eq!((&gpu["memory_gb_per_s"], &gpu["mismatches"]), (&Value::Null, &Value::from(0)), "{gpu}");
        }
    }
    let trace = &phase(&bench, "step bf16")["traces"][0];
    let readings = trace["seconds"].as_array().map(Vec::len);
    assert!(readings > Some(20) && trace["on_seconds"].as_f64() > Some(0.5), "{readings:?}");
    assert_eq!(phase(&bench, "copy pairs")["transfers"].as_array().map(Vec::len), Some(2));
    for name in ["bench.txt", "step-bf16.svg", "power.svg", "memory.svg"] {
        let text = fs::read_to_string(out.join(name)).expect(name);
        assert!(text.contains("no hardware was measured"), "{name}");
    }

    // It is of no hardware: refused, and marked where it is asked for.
    let file = out.join("bench.json");
    let refused = kiln(&["calibrate"], &[]).arg(&file).output().expect("the binary");
    assert_eq!(refused.status.code(), Some(2));
    insta::assert_snapshot!(said(&refused).trim(), @"error: bench.json is not of hardware; `--allow-stand-in` takes it, and marks what comes of it");
    let proposed = folder.path().join("proposed");
    let taken =
        kiln(&["calibrate", "--allow-stand-in"], &[("--out", &proposed)]).arg(&file).output().expect("the binary");
    assert_eq!(taken.status.code(), Some(0), "{}", said(&taken));
    assert!(said(&taken).contains("simulation against measurement"), "{}", said(&taken));
    for name in ["h200-sxm.yaml", "hgx-h200-8.yaml", "calibration.txt"] {
        let text = fs::read_to_string(proposed.join(name)).expect(name);
        assert!(text.contains("SIMULATED"), "{name}");
    }
}

/// What a model does not have is said to be not measured, and the model agrees with itself.
#[test]
fn a_simulated_node_is_measured_as_far_as_it_is_modelled() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("bench.json");
    let arguments = ["bench", "--sim", "hgx-h200-8", "--for", "60s"];
    let output = kiln(&arguments, &[("--json", &file)]).output().expect("the binary");
    let told = said(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("not measured: march random: a simulated node does not model it"), "{told}");
    let bench: Value = serde_json::from_slice(&fs::read(&file).expect("a file")).expect("JSON");
    let watts = &phase(&bench, "bf16 with stream")["gpus"][3]["power_watts"]["mean"];
    assert!(watts.as_f64().is_some_and(|watts| (600.0..701.0).contains(&watts)), "{watts}");

    let calibrated = kiln(&["calibrate", "--allow-stand-in"], &[]).arg(&file).output().expect("the binary");
    let told = said(&calibrated);
    let apart: Vec<f64> =
        told.lines().filter_map(|line| line.strip_suffix(" %")?.split_whitespace().last()?.parse().ok()).collect();
    assert!(apart.len() >= 10 && apart.iter().all(|percent: &f64| percent.abs() < 1.0), "{told}");

    let other =
        kiln(&["calibrate", "--allow-stand-in", "--sim", "hgx-h100-8"], &[]).arg(&file).output().expect("the binary");
    assert_eq!(other.status.code(), Some(2), "{}", said(&other));
    insta::assert_snapshot!(said(&other).trim(), @"error: the simulated node has GPUs of h100-sxm, and the benches are of h200-sxm: name one with that model");
}

#[test]
fn wrong_usage_of_a_bench_says_what_to_do() {
    let cases: [&[&str]; 4] = [
        &["bench", "--sim", "hgx-h200-8", "--only", "march,nothing"],
        &["bench", "--sim", "hgx-h200-8", "--only", "flips", "--flips", "0"],
        &["bench", "--replay", "rec.jsonl"],
        &["calibrate", "/nowhere/bench.json"],
    ];
    let told = cases.map(|arguments| {
        let output = kiln(arguments, &[]).output().expect("the binary");
        format!("exit {}: {}", output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).trim())
    });
    insta::assert_snapshot!(told.join("\n"), @"
    exit 2: error: `--only` has `nothing`, and no phase begins like that; name phases by how they begin, with commas between them: rest; step bf16; bf16 with stream; bf16 alone; fp8 with stream; fp8 alone; fp32 with stream; fp32 alone; fp64 with stream; fp64 alone; bf16 with stream, fallback; bf16 alone, fallback; fp32 with stream, fallback; fp32 alone, fallback; fp64 with stream, fallback; fp64 alone, fallback; march; march constant; march address; march walking; march modulo; march random; device copy; copy from host; copy to host; copy both ways; copy pairs; copy all to all; screen bf16; screen fp8; screen fp64; flips bf16; flips fp8; flips fp32; flips fp64
    exit 2: error: `--only flips` names nothing that is measured here: copies between GPUs need two of them, the node has 8, and flips need `--flips` above 0; `kiln bench` alone measures all there is
    exit 2: error: a recording cannot be measured: `--replay` is for runs
    exit 2: error: /nowhere/bench.json cannot be read
      caused by: No such file or directory (os error 2)
    ");
}

/// A screen on parts of which one multiprocessor computes wrong.
#[test]
fn a_bench_names_the_multiprocessor_that_computes_wrong() {
    let _place = two_gpus();
    let folder = tempfile::tempdir().expect("folder");
    let mut bench = kiln(&["bench", "--for", "2s", "--only", "screen bf16,bf16 alone"], &[]);
    let node = Node { settings: &[("KILN_FAKE_GPUS", "2"), ("KILN_FAKE_CUDA_FAULT", "one-sm")], ..HEALTHY };
    node.surround(&mut bench, folder.path(), 1);
    let told = said(&bench.output().expect("the binary"));
    for phase in
        ["screen bf16, gpu/0: ", "screen bf16, gpu/1: ", "bf16 alone, gpu/0: ", "bf16 alone, fallback, gpu/1: "]
    {
        let line = told.lines().find(|line| line.starts_with(phase)).unwrap_or_else(|| panic!("no {phase}: {told}"));
        assert!(line.contains(" WRONG: ") && line.contains("SM 2"), "{line}");
    }
    assert!(!told.contains("none wrong"), "{told}");
}

/// What the script for the first real GPU says, in short, on stand-ins: for the driver, and for two programs that come with
/// it and with the system.
struct Contact {
    fault: &'static str,
    only: &'static str,
    /// The kernel log before and after, or that nobody may read it.
    log: Option<[String; 2]>,
    smoke: Smoke,
}

/// Whether smoke is run at the end. Then it is on the whole node and four times as fast as the world, as no test waits for it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Smoke {
    Skip,
    Run,
}

const OLD_XID: &str = "[   11.208114] NVRM: Xid (PCI:0000:1b:00): 31, pid=812, name=old, Ch 00000008, intr 00000000";
const LOADED: &str = "[   12.000341] NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  570.86.15";
const NEW_XID: &str = "[ 9021.774020] NVRM: Xid (PCI:0000:1b:00): 79, GPU has fallen off the bus.";

impl Contact {
    /// The exit code, the table, and what it says was trouble, without the times.
    fn made(&self, folder: &Path) -> (Option<i32>, String, Vec<String>) {
        let out = folder.join("out");
        let tools = folder.join("tools");
        fs::create_dir(&tools).expect("folder");
        let smi = concat!("cat ", env!("CARGO_MANIFEST_DIR"), "/fixtures/smi/one-gpu-595.xml").to_owned();
        let dmesg = match &self.log {
            Some([before, after]) => {
                let asked = tools.join("asked");
                let asked = asked.display();
                format!("if [ -e {asked} ]; then echo '{after}'; else : >{asked}; echo '{before}'; fi")
            }
            None => "echo 'dmesg: read kernel buffer failed: Operation not permitted' >&2; exit 1".to_owned(),
        };
        for (name, body) in [("nvidia-smi", smi), ("dmesg", dmesg)] {
            let path = tools.join(name);
            fs::write(&path, format!("#!/bin/sh\n{body}\n")).expect("a program");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a program");
        }
        let kiln = tools.join("kiln");
        let (real, own) = (env!("CARGO_BIN_EXE_kiln"), folder.join("run-bench"));
        fs::create_dir(&own).expect("folder");
        let fast = format!(
            "KILN_FAKE_GPUS= KILN_FAKE_SPEED=4 KILN_FAKE_BENCH={} exec {real} \"$@\" --sim-speed 4",
            own.display()
        );
        fs::write(&kiln, format!("#!/bin/sh\nif [ \"$1\" = run ]; then {fast}; fi\nexec {real} \"$@\"\n"))
            .expect("a program");
        fs::set_permissions(&kiln, fs::Permissions::from_mode(0o755)).expect("a program");
        let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/ci/first-contact"));
        script.arg(&kiln);
        let path = std::env::var("PATH").expect("a path");
        script.env("PATH", format!("{}:{path}", tools.display())).env("OUT", &out);
        script.env("FOR", "2s").env("FLIPS", "40").env("BUDGET", "240").env("ONLY", self.only);
        script.env("SMOKE", if self.smoke == Smoke::Run { "run" } else { "skip" });
        TWO.surround(&mut script, folder, 1);
        script.env("KILN_FAKE_CUDA_FAULT", self.fault);
        let output = script.output().expect("the script");
        let table = fs::read_to_string(out.join("table.txt")).unwrap_or_default();
        let everything = format!("{}\n{table}", said(&output));
        assert!(out.join("first-contact.tar.gz").metadata().is_ok_and(|file| file.len() > 1000), "{everything}");
        let troubles = table.lines().filter_map(|line| line.split_once("trouble: "));
        // Doctor may find something about this machine; nothing else may.
        let troubles = troubles.map(|(_, what)| what.to_owned()).filter(|what| !what.starts_with("doctor "));
        let troubles = troubles.collect();
        (output.status.code(), everything, troubles)
    }
}

#[test]
fn first_contact_leaves_one_archive_and_a_table() {
    let _place = two_gpus();
    let folder = tempfile::tempdir().expect("folder");
    let only = "rest,bf16 alone,march constant,device copy,flips bf16";
    // An old Xid scrolls out while it runs.
    let log = [[OLD_XID, LOADED].join("\n"), LOADED.to_owned()];
    let contact = Contact { fault: "", only, log: Some(log), smoke: Smoke::Skip };
    let (code, everything, troubles) = contact.made(folder.path());
    for line in [
        "node: exit 0",
        "snapshot: exit 0",
        "nvidia-smi: exit 0",
        "import: exit 0",
        "bench: exit 0",
        "calibrate: exit 0",
        "flipped bits found: 20 of 20",
        "march against the device copy",
        "done after",
    ] {
        assert!(everything.contains(line), "`{line}` is missing: {everything}");
    }
    assert_eq!(troubles, Vec::<String>::new(), "{everything}");
    let only_doctor = !everything.contains("doctor: exit 0");
    assert_eq!(code, Some(if only_doctor { 3 } else { 0 }), "{everything}");
}

/// It once ran a part of smoke, which is never a pass.
#[test]
fn first_contact_ends_with_smoke_and_a_healthy_node_passes_it() {
    let _place = eight_gpus();
    let folder = tempfile::tempdir().expect("folder");
    let log = [LOADED.to_owned(), LOADED.to_owned()];
    let contact = Contact { fault: "", only: "rest", log: Some(log), smoke: Smoke::Run };
    let (_, everything, troubles) = contact.made(folder.path());
    assert!(everything.contains("smoke: exit 0"), "{everything}");
    assert_eq!(troubles, Vec::<String>::new(), "{everything}");
}

/// Each of these once left exit 0.
#[test]
fn first_contact_tells_wrong_results_missed_flips_xids_and_a_log_that_it_may_not_read() {
    let _place = two_gpus();
    let log = [LOADED.to_owned(), [LOADED, NEW_XID].join("\n")];
    let cases = [
        Contact { fault: "astray", only: "rest,flips bf16", log: Some(log), smoke: Smoke::Skip },
        Contact { fault: "one-sm", only: "rest,screen fp64", log: None, smoke: Smoke::Skip },
    ];
    let told = cases.map(|contact| {
        let folder = tempfile::tempdir().expect("folder");
        let (code, everything, troubles) = contact.made(folder.path());
        assert_eq!(code, Some(3), "{everything}");
        format!("{}: {}", contact.fault, troubles.join("\n"))
    });
    insta::assert_snapshot!(told.join("\n"), @"
    astray: results were computed wrong: the lines with WRONG say where
    some flipped bits were not found: flipped bits found: 12 of 20
    1 Xids came: dmesg-new.txt has them
    one-sm: the kernel log cannot be read before the loads, so that Xids are not known: dmesg: read kernel buffer failed: Operation not permitted
    results were computed wrong: the lines with WRONG say where
    the kernel log cannot be read after the loads, so that Xids are not known: dmesg: read kernel buffer failed: Operation not permitted
    ");
}
