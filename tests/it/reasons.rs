//! Reasons, endings and evidence are facts: in the journals of older programs, in JUnit, and on a Japanese page.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kiln::check;
use kiln::engine::{Against, Equipment, rejudge};
use kiln::event::{Case, Envelope, Reason, RunEvent, RunRecord, StepEnding, TripCause};
use kiln::journal;
use kiln::limit::Measured;
use kiln::profile::Skus;
use kiln::report::{Language, Languages, Paint, evidence, missing, reason, trip_cause};
use kiln::rundir::{Look, RunDir};

/// A run of a profile that waives one limit and fails another, on a node whose persistence mode is off.
const WAIVED: &str = "\
schema: kiln.profile/1
id: waived
revision: 1
title: Waived
skus: [gb200]
stages:
  - id: identify
    steps:
      - id: config
        use: config.policy
        with: { persistence: enabled }
        limits: { persistence.as-asked: \"== true\" }
waivers:
  - { match: \"identify.config[gpu/1].persistence.as-asked\", until: 2090-12-31, by: qa, reason: ECN-1042 }
";

fn kiln(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    let output = command.current_dir(folder).args(arguments).stdin(Stdio::null()).output().expect("kiln starts");
    assert!(folder.join("run/journal.jsonl").exists(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn record(folder: &Path) -> RunRecord {
    RunDir::open(&folder.join("run")).and_then(|dir| dir.record()).expect("a run")
}

/// The journal as version 1.0 wrote it, alone in a run directory.
fn old_run() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let run = folder.path().join("run");
    fs::create_dir(&run).expect("made");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/journals/version-1.0.jsonl");
    fs::copy(path, run.join(journal::FILE_NAME)).expect("copied");
    (folder, run)
}

fn outcomes(record: &RunRecord) -> Vec<String> {
    let of_step = |path: &str, case: &Case| format!("{path}[{}] {}", case.component, case.outcome.shown());
    let steps = record.steps.iter();
    steps.flat_map(|step| step.cases.iter().map(|case| of_step(&step.key.path, case))).collect()
}

fn events(run: &Path) -> Vec<Envelope> {
    RunDir::open(run).and_then(|dir| dir.events()).expect("sound")
}

#[test]
fn a_journal_of_version_1_0_is_judged_again_as_it_was_judged() {
    let (_folder, run) = old_run();
    let events = events(&run);
    let before = RunRecord::of(&events);
    let skus = Skus::built_in().expect("SKU files");
    let equipment = Equipment { skus: &skus, catalogue: check::catalogue(), find_check: check::find };
    let profile = before.start.as_ref().expect("begun").profile.clone();
    let after = rejudge(&events, &profile, Against::default(), &equipment).expect("judged again").record;
    assert_eq!(outcomes(&after), outcomes(&before));
    assert_eq!(after.verdict, before.verdict);
    let codes = |record: &RunRecord| {
        let found = record.findings.iter();
        found.map(|finding| format!("{} {}", finding.code, finding.component)).collect::<Vec<_>>()
    };
    assert_eq!(codes(&after), codes(&before));
    // How each step ended is found again, though that journal does not say it.
    let mut endings = Vec::new();
    for envelope in &events {
        let RunEvent::StepFinished { key, cases, ending } = &envelope.event else { continue };
        assert_eq!(*ending, None, "version 1.0 recorded none");
        endings.push((key.path.as_str(), StepEnding::of_journal_1_0(cases)));
    }
    let ended = |path: &str| endings.iter().find(|(other, _)| *other == path).map(|(_, ending)| ending.clone());
    assert_eq!(ended("identify.wrong"), Some(StepEnding::Measured));
    assert!(matches!(ended("load.burn"), Some(StepEnding::Stopped { .. })), "{:?}", ended("load.burn"));
    assert!(matches!(ended("last.cut"), Some(StepEnding::Failed(_))), "{:?}", ended("last.cut"));
    assert!(before.trips.iter().any(|(_, trip)| trip.cause == TripCause::Xid { code: 79 }), "{:?}", before.trips);
}

#[test]
fn reports_of_a_journal_of_version_1_0_tell_what_it_recorded() {
    let (_folder, run) = old_run();
    let dir = RunDir::open(&run).and_then(RunDir::lock).expect("a run");
    let held = dir.run().expect("sound");
    let look = Look { language: Language::English, paint: Paint::Plain, languages: Languages::BOTH };
    dir.write_reports(&held, look).expect("written").first_failure().expect("every report");
    let junit = fs::read_to_string(run.join("junit.xml")).expect("junit.xml");
    for told in [
        "waived: ECN-1042, until 2090-12-31 (by qa); persistence.as-asked false, limit == true",
        "the step was not done after 5s",
        "guard `lost` tripped on gpu/2: the GPU no longer answers",
    ] {
        assert!(junit.contains(told), "{told}");
    }
}

#[test]
fn junit_says_what_was_waived_with_its_value_and_its_limit() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("waived.yaml"), WAIVED).expect("written");
    let fault = "persistence-off@gpu/1";
    kiln(folder.path(), &["run", "waived.yaml", "--sim", "gb200-tray-4", "--fault", fault, "--out", "run"]);
    let junit = fs::read_to_string(folder.path().join("run/junit.xml")).expect("junit.xml");
    let told = "waived: ECN-1042, until 2090-12-31 (by qa); persistence.as-asked false, limit == true";
    assert!(junit.contains(told), "{junit}");
    let record = record(folder.path());
    let waived = record.steps[0].cases.iter().find_map(|case| case.reason.as_ref()).expect("a reason");
    let Reason::Waived(judgement) = waived else { panic!("{waived:?}") };
    let waiver = judgement.waiver.as_ref().expect("a waiver");
    assert_eq!(waiver.matches, "identify.config[gpu/1].persistence.as-asked");
}

/// What is told in English of every fact of a record, where Japanese says it otherwise.
fn told_in_english(record: &RunRecord) -> Vec<String> {
    let both: [Language; 2] = [Language::English, Language::Japanese];
    let mut all: Vec<[String; 2]> = Vec::new();
    for case in record.steps.iter().flat_map(|step| &step.cases) {
        all.extend(case.reason.iter().map(|one| both.map(|language| reason(language, one))));
        for judgement in &case.judgements {
            if let Measured::Missing(why) = &judgement.measurement.value {
                all.push(both.map(|language| missing(language, why)));
            }
        }
    }
    all.extend(record.trips.iter().map(|(_, trip)| both.map(|language| trip_cause(language, &trip.cause))));
    let found = record.findings.iter().flat_map(|finding| &finding.evidence);
    all.extend(found.map(|one| both.map(|language| evidence(language, one))));
    all.into_iter().filter(|[en, ja]| en != ja).map(|[en, _]| en).collect()
}

#[test]
fn a_japanese_page_and_console_tell_no_reason_in_english() {
    for fault in ["fell-off-bus@gpu/2:4", "cold-plate-loose@gpu/3", "inlet-hot@station", "nvlink-slow@gpu/1"] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
        command.current_dir(folder.path()).stdin(Stdio::null());
        command.args(["run", "acceptance", "--sim", "hgx-h200-8", "--fault", fault, "--out", "run", "--lang", "ja"]);
        let output = command.output().expect("kiln starts");
        let console = String::from_utf8_lossy(&output.stdout).into_owned();
        let page = fs::read_to_string(folder.path().join("run/report.html")).expect("report.html");
        let english = told_in_english(&record(folder.path()));
        assert!(!english.is_empty(), "{fault}: {console}");
        for told in english {
            let escaped = told.replace('<', "&lt;").replace('>', "&gt;");
            assert!(!page.contains(&escaped) && !console.contains(&told), "{fault}: {told}");
        }
    }
}
