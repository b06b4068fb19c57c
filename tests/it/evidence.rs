//! What is left of a run and what can be done with it later: telemetry, judging again, statistics, seals, and all of these on
//! run directories that lack a part.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use kiln::model::Sensor;
use kiln::telemetry::Reader;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::RowAccessor as _;
use serde_json::Value;

use crate::kiln;

/// Runs kiln, holds its exit code, and gives stdout and stderr.
fn said(code: i32, arguments: &[&str]) -> (String, String) {
    let output = kiln(arguments);
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{out}\n{err}");
    (out, err)
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&said(0, arguments).0).expect("JSON")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("utf-8")
}

/// Runs of this file, made once: one healthy, one of another unit, one with a fault that shows within minutes.
fn runs() -> &'static Path {
    static RUNS: OnceLock<tempfile::TempDir> = OnceLock::new();
    RUNS.get_or_init(|| {
        let folder = tempfile::tempdir().expect("folder");
        let each: [(&str, &[&str]); 3] =
            [("healthy", &[]), ("other", &["--seed", "2"]), ("faulty", &["--fault", "ecc-off@gpu/3"])];
        for (name, more) in each {
            let out = folder.path().join(name);
            let mut arguments = vec!["run", "smoke", "--sim", "hgx-h200-8", "--out", text(&out)];
            arguments.extend(more);
            kiln(&arguments);
            assert!(out.join("result.json").exists(), "{name}");
        }
        folder
    })
    .path()
}

/// A copy of one of them, to be altered.
fn copy(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("folder");
    let run = folder.path().join("run");
    fs::create_dir_all(run.join("telemetry")).expect("made");
    for file in ["journal.jsonl", "junit.xml", "result.json", "telemetry/samples.ktb", "telemetry/samples.parquet"] {
        fs::copy(runs().join(name).join(file), run.join(file)).expect("copied");
    }
    (folder, run)
}

#[test]
fn every_reading_of_a_run_is_on_disk_and_in_parquet() {
    let run = runs().join("healthy");
    let mut reader = Reader::open(&run).expect("telemetry");
    let (mut rows, mut hottest) = (0, f64::MIN);
    while let Some(block) = reader.next_block().expect("read") {
        for part in &block.gpus {
            rows += part.rows();
            let celsius = part.column(Sensor::TempGpu).iter().filter_map(kiln::model::Reading::get);
            hottest = celsius.fold(hottest, f64::max);
        }
    }
    assert!(reader.gaps().is_empty(), "{:?}", reader.gaps());
    assert!(rows > 8 * 60 && hottest > 40.0, "{rows} rows, {hottest} °C");

    let file = fs::File::open(run.join("telemetry/samples.parquet")).expect("parquet");
    let parquet = SerializedFileReader::new(file).expect("parquet");
    let metadata = parquet.metadata().file_metadata();
    assert_eq!(metadata.num_rows(), rows as i64);
    let fact = |key: &str| {
        let all = metadata.key_value_metadata().expect("metadata");
        all.iter().find(|one| one.key == key).and_then(|one| one.value.clone()).unwrap_or_default()
    };
    assert_eq!(fact("unit:temp.gpu"), "°C");
    assert_eq!(fact("unit:power"), "W");
    assert!(fact("kiln.source").starts_with("SIMULATED"), "{}", fact("kiln.source"));
    let columns: Vec<String> = metadata.schema().get_fields().iter().map(|field| field.name().to_owned()).collect();
    let place = |name: &str| columns.iter().position(|column| column == name).expect("a column");
    let celsius = place("temp.gpu");
    let found = parquet.get_row_iter(None).expect("rows").map(|row| row.expect("row").get_double(celsius).expect("°C"));
    assert_eq!(found.fold(f64::MIN, f64::max), hottest);
    let printed = kiln(&["report", text(&run), "--format", "parquet"]).stdout;
    assert!(printed == fs::read(run.join("telemetry/samples.parquet")).expect("parquet"), "the same to the byte");
}

#[test]
fn a_run_judged_by_its_own_profile_comes_out_as_it_was() {
    let document = json(&["rejudge", text(runs()), "--profile", "smoke", "--json"]);
    assert_eq!(document["schema"], "kiln.rejudge/1");
    let all = document["runs"].as_array().expect("runs");
    assert_eq!(all.len(), 3);
    for run in all {
        assert_eq!(run["verdicts"]["before"], run["verdicts"]["after"], "{run}");
        assert_eq!(run["changes"], serde_json::json!([]));
        assert_eq!(run["notes"], serde_json::json!([]));
        assert_eq!(run["simulated"], true);
    }
}

#[test]
fn a_tighter_limit_is_missed_by_old_runs_and_what_it_was_is_named() {
    let folder = tempfile::tempdir().expect("folder");
    let profile = folder.path().join("tight.yaml");
    let limits = "limits: { power.mean: \">= 150 % of sku.tdp\" }";
    let yaml = format!(
        "schema: kiln.profile/1\nid: tight\nrevision: 2\ntitle: {{ en: Tight, ja: 厳 }}\nextends: smoke\nskus: [h200-sxm]\n\
         stages: [identify, {{ id: load, steps: [ {{ id: gemm, {limits} }} ] }}, after]\n"
    );
    fs::write(&profile, yaml).expect("written");
    let run = runs().join("healthy");
    let (out, _) = said(0, &["rejudge", text(&run), "--profile", text(&profile)]);
    let summary = "load.gemm power.mean  >= 95 % of sku.tdp -> >= 150 % of sku.tdp: pass -> fail, 8 values of 1 runs";
    assert!(out.contains(summary) && out.lines().count() < 20, "the summary comes first and is short: {out}");
    let (out, _) = said(0, &["rejudge", text(&run), "--profile", text(&profile), "--all"]);
    let change = out.lines().find(|line| line.contains("load.gemm[gpu/0]")).expect("a change");
    assert_eq!(change, "  load.gemm[gpu/0] round 1: PASS -> INCONCLUSIVE", "all GPUs miss it alike");
    assert!(out.contains(">= 95 % of sku.tdp (pass) -> >= 150 % of sku.tdp (fail)"), "{out}");
    assert!(out.contains("    1  PASS -> INCONCLUSIVE  CHANGED"), "{out}");
    let (_, err) = said(2, &["rejudge", text(&run), "--profile", "smok"]);
    assert!(err.contains("built in are"), "{err}");
}

#[test]
fn statistics_count_units_and_causes() {
    let document = json(&["stats", text(runs()), "--json"]);
    assert_eq!(document["schema"], "kiln.stats/1");
    let stats = &document["profiles"][0];
    assert_eq!((&stats["simulated"], &stats["runs"]), (&Value::Bool(true), &Value::from(3)));
    assert!(stats["spreads"].as_array().expect("spreads").iter().any(|one| {
        one["measurement"] == "power.mean"
            && one["component"] == "gpu/0"
            && one["capability"]["refused"]["too-few"].is_object()
    }));
    let (out, _) = said(0, &["stats", text(runs()), "--measurement", "power.mean"]);
    assert!(out.starts_with("smoke revision 1 (SIMULATED: not of real units): 3 runs of "), "{out}");
    assert!(out.contains("units, 30 are needed"), "{out}");
    let (_, err) = said(2, &["stats", text(runs()), "--measurement", "power.men"]);
    assert!(err.contains("nothing measures `power.men`") && err.contains("power.mean"), "{err}");
    said(2, &["stats", "no/such/folder"]);
}

#[test]
fn two_runs_stand_side_by_side() {
    let [a, b] = ["healthy", "faulty"].map(|name| runs().join(name));
    let (out, _) = said(0, &["diff", text(&a), text(&b)]);
    assert!(out.contains("identify.config.ecc.as-asked[gpu/3]") && out.contains("true (pass)"), "{out}");
    let document = json(&["diff", text(&a), text(&a), "--json"]);
    let rows = document["differences"].as_array().expect("rows");
    assert!(rows.len() > 50 && rows.iter().all(|row| row["a"] == row["b"]), "a run does not differ from itself");
    let (_, err) = said(2, &["diff", text(&a), text(&b), "--measurement", "nothing"]);
    assert!(err.contains("they have "), "{err}");
}

#[test]
fn a_baseline_of_many_runs_is_taken_where_a_run_is() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("baseline.json");
    let (_, err) = said(0, &["baseline", text(runs()), "--out", text(&file)]);
    assert!(err.contains("did not pass") && err.contains("values from 2 runs"), "{err}");
    let baseline: Value = serde_json::from_slice(&fs::read(&file).expect("file")).expect("JSON");
    assert_eq!((&baseline["schema"], &baseline["simulated"]), (&Value::from("kiln.baseline/1"), &Value::Bool(true)));
    assert_eq!(baseline["values"]["identify.inventory.memory[gpu/0]"]["runs"], 2);
    let run = runs().join("healthy");
    said(0, &["rejudge", text(&run), "--profile", "smoke", "--baseline", text(&file)]);
    fs::write(&file, "{}").expect("altered");
    let (_, err) = said(2, &["rejudge", text(&run), "--profile", "smoke", "--baseline", text(&file)]);
    assert!(err.contains("is no baseline"), "{err}");
    said(3, &["baseline", text(&runs().join("faulty"))]);
}

#[test]
fn a_sealed_run_is_verified_and_an_altered_one_is_refused() {
    let (folder, run) = copy("healthy");
    let key = folder.path().join("station.key");
    said(0, &["seal", "--new-key", text(&key)]);
    said(2, &["seal", "--new-key", text(&key)]);
    let public = folder.path().join("station.key.pub");
    said(2, &["verify", text(&run), "--key", text(&public)]);
    said(0, &["seal", text(&run), "--key", text(&key)]);
    said(2, &["seal", text(&run), "--key", text(&key)]);
    let (out, _) = said(0, &["verify", text(&run), "--key", text(&public)]);
    assert!(out.contains("PASS (SIMULATED: not of a real unit)") && out.contains("gpu/7 SIM"), "{out}");
    let (_, err) = said(2, &["report", text(&run)]);
    assert!(err.contains("is sealed"), "{err}");

    let telemetry = run.join("telemetry/samples.ktb");
    let sound = fs::read(&telemetry).expect("telemetry");
    fs::write(&telemetry, &sound[..sound.len() - 1]).expect("cut");
    let (_, err) = said(3, &["verify", text(&run), "--key", text(&public)]);
    assert!(err.contains("this is not what was sealed: `telemetry/samples.ktb` "), "{err}");
    let (_, err) = said(3, &["report", text(&run), "--format", "parquet"]);
    assert!(err.contains("this is not what was sealed: `telemetry/samples.ktb` "), "{err}");
    fs::write(&telemetry, &sound).expect("mended");

    let journal = run.join("journal.jsonl");
    let sound = fs::read_to_string(&journal).expect("journal");
    let last = sound.trim_end().rfind('\n').expect("more than one line");
    fs::write(&journal, &sound[..=last]).expect("cut");
    let found: Value =
        serde_json::from_str(&said(3, &["verify", text(&run), "--key", text(&public), "--json"]).0).expect("JSON");
    assert_eq!((&found["sound"], &found["file"]), (&Value::Bool(false), &Value::from("journal.jsonl")));
    for command in [&["report", "--format", "json"][..], &["rejudge", "--profile", "smoke"], &["stats"]] {
        let mut arguments = command.to_vec();
        arguments.insert(1, text(&run));
        let (_, err) = said(3, &arguments);
        assert!(err.contains("this is not what was sealed: `journal.jsonl` ends at byte"), "{command:?}: {err}");
    }
}

#[test]
fn what_is_left_of_a_damaged_run_is_reported_and_the_gap_is_told() {
    let (_folder, run) = copy("healthy");
    let telemetry = run.join("telemetry/samples.ktb");
    let sound = fs::read(&telemetry).expect("telemetry");
    fs::write(&telemetry, &sound[..sound.len() - 30]).expect("cut");
    let (_, err) = said(0, &["report", text(&run)]);
    assert!(err.contains("telemetry: the last block, at byte ") && err.contains("was torn off"), "{err}");
    fs::write(&telemetry, "not telemetry").expect("altered");
    let (_, err) = said(0, &["report", text(&run)]);
    assert!(err.contains("telemetry: this is no telemetry of kiln"), "{err}");
    fs::remove_dir_all(run.join("telemetry")).expect("removed");
    let (_, err) = said(0, &["report", text(&run)]);
    assert!(err.contains("telemetry: there is no telemetry"), "{err}");
    said(3, &["report", text(&run), "--format", "parquet"]);
    said(2, &["report", text(&run), "--format", "pdf"]);

    let (_folder, run) = copy("healthy");
    let journal = run.join("journal.jsonl");
    let mut bytes = fs::read(&journal).expect("journal");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&journal, bytes).expect("altered");
    let (out, err) = said(3, &["stats", text(&run), text(&runs().join("healthy"))]);
    assert!(out.contains("1 runs of 1 units") && err.contains("left out: ") && err.contains("line "), "{out}{err}");
}
