//! `report.html` and the pages of several runs, from the real binary: rebuilt to the byte, complete with 72 GPUs, honest
//! about what is missing or altered, in the language asked for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use kiln::event::RunRecord;
use kiln::journal;
use kiln::limit::{Measured, Scalar};
use kiln::model::{Component, GpuIndex, Reading};
use kiln::report::{Languages, Traces, run_page};
use kiln::telemetry::Reader;

const KILN: &str = env!("CARGO_BIN_EXE_kiln");

fn kiln(arguments: &[&str]) -> Output {
    // The locale of who runs the tests must not matter.
    let mut command = Command::new(KILN);
    command.args(arguments).stdin(Stdio::null()).env_remove("LC_MESSAGES").env("LC_ALL", "C");
    command.output().expect("kiln starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn ran(profile: &str, more: &[&str]) -> (tempfile::TempDir, PathBuf, Output) {
    let parent = tempfile::tempdir().expect("a directory");
    let out = parent.path().join("run");
    let mut arguments = vec!["run", profile, "--sim", "hgx-h200-8", "--out", out.to_str().expect("utf-8")];
    arguments.extend(more);
    let output = kiln(&arguments);
    (parent, out, output)
}

fn page(run: &Path) -> Output {
    kiln(&["report", run.to_str().expect("utf-8"), "--format", "html"])
}

#[test]
fn the_page_is_written_with_the_run_and_rebuilt_to_the_byte() {
    let (_parent, run, output) = ran("smoke", &["--fault", "ecc-off@gpu/2"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let live = fs::read(run.join("report.html")).expect("report.html");
    assert!(page(&run).stdout == live, "printed");
    fs::remove_file(run.join("report.html")).expect("removed");
    assert_eq!(kiln(&["report", run.to_str().expect("utf-8")]).status.code(), Some(0));
    assert!(fs::read(run.join("report.html")).expect("rebuilt") == live, "rebuilt");
    let live = text(&live);
    for told in ["× FAIL", "× 不合格", "gpu/2", "SIMULATED", "ecc.as-asked", "sha256:"] {
        assert!(live.contains(told), "{told} is missing");
    }
}

#[test]
fn the_plots_show_what_tripped_where_it_was_measured_and_whose_bar_it_is() {
    let (_parent, run, _) = ran("acceptance", &["--fault", "cold-plate-loose@gpu/3"]);
    let tripped = text(&page(&run).stdout);
    let margin =
        tripped.split("Margin to slowdown").nth(1).and_then(|rest| rest.split("</figure>").next()).expect("a plot");
    assert!(margin.contains("class=limit") && margin.contains(">over-temperature 0<"), "the line the guard holds");
    assert!(margin.contains("<rect class=window"), "when it was measured");
    assert!(margin.contains("<g class=time>") && margin.contains("<g class=clock>"), "what the script zooms");
    assert!(tripped.contains("13 passed") && tripped.contains("not reached"), "what a part passed before the stop");
    let begun = tripped.split("<time datetime=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a time");
    assert!(begun.parse::<jiff::Timestamp>().is_ok(), "{begun}");
    // A healthy run has nothing of a guard to show, and nobody's bar is marked.
    let (_parent, run, _) = ran("acceptance", &[]);
    let healthy = text(&page(&run).stdout);
    assert!(!healthy.contains("bar named") && healthy.contains("class=\"bar\""));
    let (_parent, run, output) = ran("acceptance", &["--fault", "tim-pump-out@gpu/2"]);
    let pumped = text(&page(&run).stdout);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(pumped.contains("bar fail named") || pumped.contains("bar named"), "the bar of the named GPU");
}

#[test]
fn missing_truncated_and_altered_telemetry_leaves_a_page_that_says_so() {
    let (_parent, run, _) = ran("smoke", &[]);
    let path = run.join("telemetry/samples.ktb");
    let whole = fs::read(&path).expect("telemetry");
    let lacking = || {
        let output = page(&run);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let page = text(&output.stdout);
        assert!(page.contains("○ PASS"), "the verdict rests on the journal");
        page.contains("Missing data:")
    };
    assert!(!lacking());
    fs::write(&path, &whole[..whole.len() / 2]).expect("truncated");
    assert!(lacking(), "truncated");
    let mut altered = whole.clone();
    altered[whole.len() / 2] ^= 0x40;
    fs::write(&path, altered).expect("altered");
    assert!(lacking(), "altered");
    fs::remove_file(&path).expect("removed");
    assert!(lacking(), "missing");
}

#[test]
fn a_damaged_journal_gives_a_page_of_what_stands_before_and_no_claim() {
    let (_parent, run, _) = ran("smoke", &[]);
    let path = run.join("journal.jsonl");
    let mut bytes = fs::read(&path).expect("journal");
    let place = bytes.len() * 4 / 5;
    bytes[place] ^= 1;
    fs::write(&path, bytes).expect("altered");
    let output = page(&run);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let page = text(&output.stdout);
    assert!(page.contains("is damaged at line") && !page.contains("○ PASS"), "{}", text(&output.stderr));
}

#[test]
fn a_sealed_run_whose_telemetry_was_altered_gives_no_page() {
    let (parent, run, _) = ran("smoke", &[]);
    let key = parent.path().join("key");
    let (key, folder) = (key.to_str().expect("utf-8"), run.to_str().expect("utf-8"));
    assert_eq!(kiln(&["seal", "--new-key", key]).status.code(), Some(0));
    assert_eq!(kiln(&["seal", folder, "--key", key]).status.code(), Some(0));
    assert_eq!(page(&run).status.code(), Some(0));
    let path = run.join("telemetry/samples.ktb");
    let mut bytes = fs::read(&path).expect("telemetry");
    let place = bytes.len() / 2;
    bytes[place] ^= 1;
    fs::write(&path, bytes).expect("altered");
    let output = page(&run);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0), "{}", text(&output.stderr));
}

#[test]
fn languages_are_chosen_by_option_and_locale_and_others_refused_with_the_list() {
    let (_parent, run, output) = ran("smoke", &["--lang", "ja", "--serial", "ＳＩＭＮ１６７４５８８７５６５００"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    assert!(told.contains("○ 合格") && told.contains("製造番号 SIMN1674588756500"), "{told}");
    assert!(text(&output.stderr).contains("合格 ["), "{}", text(&output.stderr));
    let page = fs::read_to_string(run.join("report.html")).expect("report.html");
    let main = page.split("<main>").nth(1).expect("content");
    assert!(page.contains("<html lang=ja>") && !main.contains("lang=en"));
    let result = fs::read_to_string(run.join("result.json")).expect("result.json");
    assert!(result.contains("every limit was judged and met"), "machines are told English");
    let folder = run.to_str().expect("utf-8");
    let locale = Command::new(KILN)
        .args(["report", folder, "--format", "text"])
        .env_remove("LC_ALL")
        .env_remove("LC_MESSAGES")
        .env("TERM", "xterm")
        .env("LANG", "ja_JP.UTF-8")
        .output()
        .expect("kiln starts");
    assert!(text(&locale.stdout).contains("○ 合格"));
    let driverless = kiln(&["run", "smoke", "--nvml-lib", "/nowhere/libnvidia-ml.so.1", "--lang", "ja"]);
    let told = text(&driverless.stderr);
    assert!(driverless.status.code() == Some(2) && told.contains("NVIDIAドライバー"), "{told}");
    assert!(!told.contains("error") && !told.contains("no such library"), "{told}");
    let refused = kiln(&["report", folder, "--lang", "fr"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("`en`, `ja`"), "{}", text(&refused.stderr));
}

#[test]
fn several_runs_have_their_pages() {
    let (parent, one, _) = ran("smoke", &[]);
    let (_other, two, _) = ran("smoke", &["--seed", "2", "--fault", "ecc-off@gpu/2"]);
    let out = parent.path().join("page.html");
    let (out_name, a, b) = (out.to_str().expect("utf-8"), one.to_str().expect("utf-8"), two.to_str().expect("utf-8"));
    for (arguments, told) in [
        (&["diff", a, b][..], "Laid over each other"),
        (&["stats", a, b], "Yield"),
        (&["rejudge", a, b, "--profile", "smoke"], "Judged again"),
        (&["baseline", a], "Baseline"),
    ] {
        let mut all = arguments.to_vec();
        all.extend(["--html", out_name]);
        let output = kiln(&all);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
        let page = fs::read_to_string(&out).expect("a page");
        assert!(page.contains(told) && page.contains("SIMULATED") && page.ends_with("</html>\n"), "{arguments:?}");
        fs::remove_file(&out).expect("removed");
    }
}

/// `number` GPUs made of those there are, each a little apart from its model.
fn widened(record: &RunRecord, number: u8) -> RunRecord {
    let mut wide = record.clone();
    let inventory = wide.inventory.as_mut().expect("an inventory");
    let few = inventory.gpus.len() as u8;
    for index in few..number {
        let mut gpu = inventory.gpus[usize::from(index % few)].clone();
        gpu.index = GpuIndex(index);
        gpu.identity.slot = Reading::Value(format!("{index}"));
        gpu.identity.serial = Reading::Value(format!("SIM{index:013}"));
        inventory.gpus.push(gpu);
    }
    for step in &mut wide.steps {
        let few_cases = step.cases.clone();
        for index in few..number {
            let model = GpuIndex(index % few);
            for case in few_cases.iter().filter(|case| case.component.gpu_index() == Some(model)) {
                let mut case = case.clone();
                case.component = moved(case.component, index);
                for judgement in &mut case.judgements {
                    judgement.measurement.component = moved(judgement.measurement.component, index);
                    if let Measured::Value(Scalar::Number(value)) = &mut judgement.measurement.value {
                        *value *= 1.0 + f64::from(index) * 1e-4;
                    }
                }
                step.cases.push(case);
            }
        }
        pairs(&mut step.cases, number);
    }
    wide
}

fn moved(component: Component, index: u8) -> Component {
    match component {
        Component::Gpu(_) => Component::gpu(index),
        Component::Pcie(_) => Component::Pcie(GpuIndex(index)),
        Component::Pair(_, to) => Component::Pair(GpuIndex(index), to),
        other => other,
    }
}

/// From every GPU to every other, where there are pairs at all.
fn pairs(cases: &mut [kiln::event::Case], number: u8) {
    for case in cases {
        let Component::Gpu(from) = case.component else { continue };
        let pair = |one: &kiln::limit::Judgement| matches!(one.measurement.component, Component::Pair(..));
        let Some(model) = case.judgements.iter().find(|one| pair(one)).cloned() else { continue };
        case.judgements.retain(|one| !pair(one));
        for to in (0..number).filter(|to| *to != from.0) {
            let mut one = model.clone();
            one.measurement.component = Component::Pair(from, GpuIndex(to));
            if let Measured::Value(Scalar::Number(value)) = &mut one.measurement.value {
                *value *= 1.0 - f64::from(u32::from(from.0) * 7 % 5 + u32::from(to) * 3 % 7) * 4e-3;
            }
            case.judgements.push(one);
        }
    }
}

#[test]
fn a_page_of_72_gpus_has_them_all_and_stays_small() {
    const GPUS: u8 = 72;
    let (_parent, run, _) = ran("acceptance", &["--fault", "heatsink-film@gpu/3:0.3"]);
    let record = widened(&RunRecord::of(&journal::read(&run).expect("sound").events), GPUS);
    let mut traces = Traces::of(&record);
    let mut reader = Reader::open(&run).expect("telemetry");
    while let Some(block) = reader.next_block().expect("sound") {
        for columns in &block.gpus {
            for index in (columns.gpu.0..GPUS).step_by(8) {
                traces.take(GpuIndex(index), &columns.at, |sensor| columns.column(sensor));
            }
        }
    }
    let page = run_page(&record, &traces, &[], Languages::BOTH);
    assert!(page.len() < 3_000_000, "{} bytes", page.len());
    for index in 8..GPUS {
        assert!(page.contains(&format!("SIM{index:013}")), "gpu/{index} is missing");
    }
    // `ci/html` looks at it.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("gpus-72.html"), page).expect("written");
}
