//! Units held against a lot: the word HELD in every output, a first lot that says so, judging again with a lot, guard bands.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

const KILN: &str = env!("CARGO_BIN_EXE_kiln");

/// Runs kiln, holds its exit code, and gives stdout and stderr.
fn said(code: i32, arguments: &[&str]) -> (String, String) {
    let output = Command::new(KILN).args(arguments).stdin(Stdio::null()).output().expect("kiln starts");
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{out}\n{err}");
    (out, err)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("utf-8")
}

/// Slow on all GPUs alike by less than any sibling or floor tells.
const SLOW: &str = "schema: kiln.fault/1\nid: batch\ntitle: { en: batch }\nnumber: 48\nabout: { en: A batch. }\nsource: test\n\
                    component: gpu\non: all\nchanges: { compute.efficiency: { scale: { per_severity: -0.04 } } }\n\
                    severity: { default: 1, min: 0.5, max: 2 }\nexpect: { code: LOT-OUTLIER, component: node }\n";

/// A folder with 30 healthy runs, their lot, and the fault of a whole batch; made once.
fn floor() -> &'static Path {
    static FLOOR: OnceLock<tempfile::TempDir> = OnceLock::new();
    FLOOR
        .get_or_init(|| {
            let folder = tempfile::tempdir().expect("folder");
            let runs = folder.path().join("runs");
            for seed in 100..130 {
                let (seed, out) = (seed.to_string(), runs.join(format!("{seed}")));
                said(0, &["run", "smoke", "--sim", "hgx-h200-8", "--seed", &seed, "--out", text(&out)]);
            }
            let lot = folder.path().join("lot.json");
            said(0, &["lot", "build", text(&runs), "--out", text(&lot)]);
            fs::write(folder.path().join("batch.yaml"), SLOW).expect("written");
            folder
        })
        .path()
}

fn run(code: i32, name: &str, more: &[&str]) -> (std::path::PathBuf, String) {
    let out = floor().join(name);
    let mut arguments = vec!["run", "smoke", "--sim", "hgx-h200-8", "--seed", "7", "--out", text(&out), "--lang", "en"];
    arguments.extend(more);
    let told = said(code, &arguments);
    (out, format!("{}{}", told.0, told.1))
}

#[test]
fn a_batch_that_is_slow_in_all_parts_is_held_and_every_output_says_so() {
    let (fault, lot) = (floor().join("batch.yaml"), floor().join("lot.json"));
    let (passed, told) = run(0, "first", &["--fault", text(&fault)]);
    assert!(told.contains("a first lot"), "{told}");
    let (held, told) = run(5, "held", &["--fault", text(&fault), "--lot", text(&lot)]);
    assert!(
        told.contains("HELD") && told.contains("LOT-OUTLIER") && told.contains("apart from its lot of 30 units"),
        "{told}"
    );
    assert!(!told.contains("a first lot"), "{told}");
    let result: Value = serde_json::from_slice(&fs::read(held.join("result.json")).expect("read")).expect("JSON");
    assert_eq!(result["verdict"]["word"], json!("HELD"), "{}", result["verdict"]);
    for (file, wanted) in
        [("junit.xml", "type=\"held\""), ("result.json", "\"outcome\":\"held\""), ("report.html", "LOT-OUTLIER")]
    {
        let text = fs::read_to_string(held.join(file)).unwrap_or_else(|_| panic!("{file} is there")).replace(": ", ":");
        assert!(text.contains(wanted), "{file} has {wanted}");
    }
    let (csv, _) = said(0, &["report", text(&held), "--format", "csv"]);
    assert!(csv.contains(",held,") && csv.contains("outlier"), "the table has both words");
    // The old run, which had no lot, is judged again with one.
    let again = ["rejudge", text(&passed), "--profile", "smoke", "--lot", text(&lot), "--json"];
    let again: Value = serde_json::from_str(&said(0, &again).0).expect("JSON");
    let verdicts = &again["runs"][0]["verdicts"];
    assert_eq!((&verdicts["before"]["word"], &verdicts["after"]["word"]), (&json!("PASS"), &json!("HELD")));
}

#[test]
fn a_unit_like_its_lot_passes_and_a_file_that_is_no_lot_is_refused() {
    let lot = floor().join("lot.json");
    run(0, "healthy", &["--lot", text(&lot)]);
    let (_, err) = said(2, &["run", "smoke", "--sim", "hgx-h200-8", "--lot", text(&floor().join("batch.yaml"))]);
    assert!(err.contains("kiln lot build"), "{err}");
}

#[test]
fn a_value_within_the_guard_band_of_its_limit_is_no_plain_pass() {
    let studied = floor().join("msa.json");
    let study = json!({
        "value": "load.gemm.power.mean", "unit": "W", "parts": 8, "readings": 16, "mean": 700.0, "repeatability": 1.0,
        "reproducibility": null, "between_units": 2.0, "share_percent": 40.0, "guard_band": 60.0
    });
    let document = json!({ "schema": "kiln.msa/1", "simulated": true, "studies": [study] });
    fs::write(&studied, document.to_string()).expect("written");
    let (out, told) = run(0, "banded", &["--guard-bands", text(&studied)]);
    assert!(told.contains("PASS (marginal)"), "{told}");
    let result = fs::read_to_string(out.join("result.json")).expect("read").replace(": ", ":");
    assert!(result.contains("\"guard_band\":60"), "the JSON shows the band");
}

#[test]
fn a_drill_makes_its_lot_first_and_catches_what_is_bad_in_all_parts_alike() {
    let out = floor().join("drill");
    let fault = floor().join("batch.yaml");
    let drill = |lot: &str, code| {
        let arguments = [
            "drill",
            "smoke",
            "--sim",
            "hgx-h200-8",
            "--faults",
            text(&fault),
            "--seeds",
            "3",
            "--healthy",
            "10",
            "--first-seed",
            "40",
            "--lot",
            lot,
            "--allow-alarms",
            "0",
            "--out",
            text(&out),
        ];
        said(code, &arguments).0
    };
    let told = drill("40", 0);
    assert!(told.contains("a lot of 40 healthy units") && told.contains("3 of 3 runs caught"), "{told}");
    assert!(told.contains("lot throughput"), "{told}");
    let told = drill("0", 1);
    assert!(!told.contains("healthy units") && told.contains("0 of 3 runs caught"), "{told}");
}

/// A tray of which one half breathes what the other has warmed, by more than places of the shipped one do: the first two GPUs are in the warm.
fn tray(folder: &Path) -> std::path::PathBuf {
    let mut places = ["0.95", "0.95", "0.25", "0.25"].into_iter();
    let shipped = kiln::node::sim::NodeFile::embedded_text("gb200-tray-4").expect("a shipped node");
    let moved = |line: &str| match line.split_once("place: ") {
        Some((head, _)) => format!("{head}place: {} }}\n", places.next().expect("a slot")),
        None => format!("{line}\n"),
    };
    let file = folder.join("tray.yaml");
    fs::write(&file, shipped.lines().map(moved).collect::<String>()).expect("written");
    file
}

/// The soak alone.
const SOAK: &str = "schema: kiln.profile/1\nid: heat\nrevision: 1\ntitle: Heat\nextends: base\nskus: [gb200]\nwithout: [soak.training, \
                    soak.march, soak.pcie-bandwidth, soak.nvlink-bandwidth, soak.peer-bandwidth]\nstages: [soak]\n";

#[test]
fn a_chassis_with_a_warmer_half_by_design_passes_with_its_own_lot_and_a_blocked_branch_of_it_does_not() {
    let folder = tempfile::tempdir().expect("folder");
    let [tray, runs, lot, heat] = [tray(folder.path()), "runs".into(), "lot.json".into(), "heat.yaml".into()]
        .map(|name: std::path::PathBuf| folder.path().join(name));
    fs::write(&heat, SOAK).expect("written");
    let run = |code: i32, name: &str, more: &[&str]| {
        let out = runs.join(name);
        let mut arguments = vec!["run", text(&heat), "--sim", text(&tray), "--lang", "en", "--out", text(&out)];
        arguments.extend(more);
        said(code, &arguments).0
    };
    for seed in 100..130 {
        run(3, &seed.to_string(), &["--seed", &seed.to_string()]);
    }
    let (_, err) = said(3, &["lot", "build", text(&runs), "--out", text(&lot)]);
    assert!(err.contains("those that await a lot count with `--by-design`"), "{err}");
    let (_, err) = said(0, &["lot", "build", text(&runs), "--by-design", "--out", text(&lot)]);
    assert!(
        err.contains("soak.heat.resistance.half.of-four: 30 units missed its limit; their middle is taken"),
        "{err}"
    );

    run(0, "good", &["--seed", "7", "--lot", text(&lot)]);
    // The warm half gets warmer; the cool one is then hardly warmer than the other, which nothing but its lot finds odd.
    for (name, fault) in [("warm", "branch-blocked@cooling/0:0.4"), ("cool", "branch-blocked@cooling/1:0.7")] {
        let told = run(3, name, &["--seed", "7", "--lot", text(&lot), "--fault", fault]);
        assert!(told.contains("resistance.half.of-four") && told.contains("% of lot"), "{told}");
        let part = fault.split(['@', ':']).nth(1).expect("a branch");
        assert!(told.lines().any(|line| line.contains(part) && line.ends_with("COOLING-BRANCH-FLOW")), "{told}");
    }
    run(0, "unseen", &["--seed", "7", "--fault", "branch-blocked@cooling/1:0.7"]);
}

#[test]
fn a_unit_apart_from_its_lot_at_another_inlet_than_the_lots_accuses_the_station_and_no_part_alone() {
    let folder = tempfile::tempdir().expect("folder");
    let [heat, out] = ["heat.yaml", "drill"].map(|name| folder.path().join(name));
    fs::write(&heat, SOAK).expect("written");
    let asked = ["--faults", "hot-recirculation", "--seeds", "3", "--healthy", "10", "--lot", "30"];
    let mut arguments = vec!["drill", text(&heat), "--sim", "gb200-tray-4", "--spread", "usual", "--first-seed", "41"];
    arguments.extend(asked);
    arguments.extend(["--out", text(&out)]);
    let (told, _) = said(0, &arguments);
    assert!(told.contains("3 of 3 runs caught") && told.contains("0 with the wrong part"), "{told}");
}

#[test]
fn the_lot_of_a_drill_is_kept_and_gives_one_run_the_verdict_that_it_had_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let (out, fault) = (folder.path().join("drill"), floor().join("batch.yaml"));
    let drill = ["drill", "smoke", "--sim", "hgx-h200-8", "--seeds", "1", "--healthy", "0", "--lot", "40"];
    let more = ["--first-seed", "7", "--faults", text(&fault), "--out", text(&out)];
    said(0, &[&drill[..], &more[..]].concat());
    let told: Value = serde_json::from_slice(&fs::read(out.join("drill.json")).expect("read")).expect("JSON");
    let lot = told["lot_files"]["hgx-h200-8"].as_str().expect("the lot's file");
    assert_eq!(Path::new(lot), out.join("lot.json"));
    let (_, told) = run(5, "as-drilled", &["--fault", text(&fault), "--lot", lot]);
    assert!(told.contains("LOT-OUTLIER") && told.contains("apart from its lot of 40 units"), "{told}");
}

/// A limit that is a variable, and an inventory that is held against a bill of materials.
const DRILLED: &str = "schema: kiln.profile/1\nid: drilled\nrevision: 1\ntitle: Drilled\nextends: base\nskus: [h200-sxm]\n\
                       vars: { least: \">= 90 % of sku.throughput.bf16.min\" }\n\
                       without: [load.march, load.pulse, load.exchange, load.screen, load.fixed-clock]\nstages:\n  - identify\n\
                       \x20 - id: load\n    steps:\n      - id: gemm\n        with: { for: 60s, warmup: 20s }\n\
                       \x20       limits: { throughput.mean: \"${least}\" }\n      - id: look\n        use: operator.confirm\n\
                       \x20       limits: { confirmed: \"== true\" }\n";

#[test]
fn the_command_of_one_run_of_a_drill_ends_as_that_run_did_with_its_parts_and_what_was_set() {
    let folder = tempfile::tempdir().expect("a folder");
    let [profile, out] = ["a drilled.yaml", "the drill"].map(|name| folder.path().join(name));
    fs::write(&profile, DRILLED).expect("written");
    let drill = |out: &Path, more: &[&str]| {
        let drill = ["drill", text(&profile), "--sim", "hgx-h200-8", "--faults", "gpu-missing", "--seeds", "1"];
        let seeds = ["--healthy", "2", "--first-seed", "7", "--spread", "usual", "--out", text(out)];
        said(1, &[&drill[..], &seeds[..], more].concat()).0
    };
    let hard = ["--set", "least=>= 300 % of sku.throughput.bf16.min"];
    let told = drill(&out, &hard);
    assert!(told.contains("INCONCLUSIVE seed 7"), "{told}");
    let command = told.lines().map(str::trim).find(|line| line.starts_with("kiln run ")).expect("a command");
    // As a person pastes it into a shell.
    let again = |command: &str, name: &str| {
        let run = folder.path().join(name);
        let line =
            format!("'{KILN}' {} --lang en --out '{}'", command.strip_prefix("kiln ").expect("ours"), text(&run));
        let ended = Command::new("sh").args(["-c", &line]).stdin(Stdio::null()).output().expect("a shell");
        let journal = fs::read_to_string(run.join("journal.jsonl")).expect("a journal");
        (ended.status.code(), String::from_utf8_lossy(&ended.stdout).into_owned(), journal)
    };
    let (code, said_again, journal) = again(command, "again");
    assert!(code == Some(3) && said_again.contains("INCONCLUSIVE"), "{code:?} {said_again}");
    let list = out.join("parts-7.yaml");
    let digest = said(0, &["parts", "check", text(&list)]).0;
    let digest = digest.trim().rsplit(' ').next().expect("a digest").to_owned();
    assert!(digest.starts_with("sha256:") && journal.contains(&digest), "{digest}");
    // Without any of it, it is another run.
    let (plain, _) = command.split_once(" --spread").expect("options");
    let (code, said_plain, journal) = again(&format!("{plain} --answer yes"), "plain");
    assert!(code == Some(0) && !journal.contains(&digest), "{code:?} {said_plain}");
    let told = drill(&folder.path().join("bare"), &[&hard[..], &["--no-parts-list"]].concat());
    assert!(told.contains("--answer yes") && !told.contains("--parts"), "{told}");
}
