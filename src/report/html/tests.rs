//! Pages as a whole: every way a run can end, what a hostile node may try, what is missing.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "seconds, counts and pixels on a page are small"
)]

use std::collections::BTreeSet;

use crate::{Compared, Language, Languages, Traces, baseline_page, diff_page, run_page, stats_page};
use kiln_event::{Case, EvidenceFact, EvidenceSource, Outcome, Reason, RunEvent, RunRecord, TripCause};
use kiln_lot as lot;
use kiln_model::{GpuIndex, KernelRecord, KernelSource, Moment, Reading, Sensor, Span};
use kiln_stories::{Story, endings};

/// What a serial number, a name or a log line may hold to break out of its place.
const HOSTILE: [&str; 5] = [
    "</title></style></script><script>alert(1)</script>",
    "\"><img src=x onerror=alert(2)>",
    "'><svg onload=alert(3)></svg>",
    "]]>--><!--<a href=javascript:alert(4)>",
    "\u{1b}]0;title\u{7}\u{202e}evil\u{0}{0}{{1}}",
];

fn page(record: &RunRecord) -> String {
    run_page(record, &readings(record), &[], Languages::BOTH)
}

/// Two GPUs, a reading a second.
fn readings(record: &RunRecord) -> Traces {
    let mut traces = Traces::of(record);
    let at: Vec<Moment> = (0..=record.last_at.seconds() as u64).map(Moment::from_secs).collect();
    for gpu in 0..2 {
        let values: Vec<Reading<f64>> =
            at.iter().map(|at| Reading::Value(at.seconds() % 70.0 + f64::from(gpu))).collect();
        let none = vec![Reading::Unsupported; at.len()];
        traces.take(GpuIndex(gpu), &at, |sensor| {
            if matches!(sensor, Sensor::TempGpu | Sensor::Power | Sensor::ClockSm) { &values } else { &none }
        });
    }
    traces
}

/// A page that fetches nothing and holds no markup but its own.
fn sound(page: &str, name: &str) {
    for fetched in ["http:", "https:", "@import", "url(h", "url(\"", "javascript:alert(4)>", "//cdn"] {
        assert!(!page.contains(fetched), "{name}: {fetched}");
    }
    assert_eq!(page.matches("<script").count(), 1, "{name}");
    for markup in ["<img", "<iframe", "onerror=alert(2)>", "<svg onload"] {
        assert!(!page.contains(markup), "{name}: {markup}");
    }
    // Links lead to places on the page, and the places are there.
    let links: Vec<&str> = page.split("<a ").skip(1).map(|link| link.split('>').next().unwrap_or_default()).collect();
    for link in links {
        let id = link.strip_prefix("href=\"#").and_then(|link| link.strip_suffix('"'));
        let id = id.unwrap_or_else(|| panic!("{name}: a link to {link}"));
        assert_eq!(page.matches(&format!("id=\"{id}\"")).count(), 1, "{name}: {id}");
    }
    for broken in ["NaN", ">inf<", ">inf ", ">-inf", "\u{0}", "\u{1b}", "\u{202e}"] {
        assert!(!page.contains(broken), "{name}: {broken:?}");
    }
    for tag in ["table", "div", "svg", "details", "figure", "tr", "td", "p", "span", "h2", "h3"] {
        let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{name}: <{tag}>");
    }
}

#[test]
fn every_ending_has_its_page_with_the_verdict_at_the_top_in_both_languages() {
    for (name, story) in endings() {
        for cut in [1, story.events.len() / 2, story.events.len()] {
            let record = RunRecord::of(&story.events[..cut]);
            let page = page(&record);
            sound(&page, name);
            let top = page.split("<main>").nth(1).and_then(|main| main.split("<table").next()).unwrap_or_default();
            let verdict = super::super::verdict::verdict_so_far(&record);
            for language in Languages::BOTH.all() {
                let word = super::super::words::verdict_in(language, &verdict);
                assert!(top.contains(&word), "{name} cut at {cut}: {word}");
            }
        }
    }
}

#[test]
fn the_part_to_act_on_and_what_to_do_stand_before_everything_else() {
    let page = run_page(&endings()["fail-limit"].record(), &empty(), &[], Languages::only(Language::Japanese));
    let main = page.split("<main>").nth(1).expect("content");
    let place = |what: &str| main.find(what).unwrap_or_else(|| panic!("{what} is missing"));
    assert!(place("× 不合格") < place("gpu/1, スロット 5, 製造番号 SIM"));
    assert!(place("製造番号 SIM") < place("部品とケーブルを挿し直して再試験する"));
    assert!(place("部品とケーブルを挿し直して再試験する") < place("構成部品"));
    assert!(place("構成部品") < place("測定値"));
    for told in ["0.0738", "&lt;= 0.064 K/W", "&gt;= 60 % of sku.tdp", "sha256:", "580.105.08", "st-07", ">-0.009827<"]
    {
        assert!(main.contains(told), "{told} is missing");
    }
}

fn empty() -> Traces {
    Traces::spanning(Moment::from_secs(100), Span::from_secs(1))
}

/// A run in which every text from outside is one of these.
fn hostile(text: &str) -> RunRecord {
    let mut story = endings()["pass"].cut_in("burn.soak");
    story.tell(
        1.0,
        RunEvent::KernelLogged(KernelRecord {
            at: Moment::from_secs(100),
            source: KernelSource::KernelLog,
            text: format!("NVRM: Xid (PCI:0000:53:00): 79, {text}"),
        }),
    );
    let mut trip = endings()["guard"].record().trips[0].1.clone();
    trip.cause = TripCause::Legacy(text.to_owned());
    trip.guard = text.to_owned();
    story.tell(0.0, RunEvent::GuardTripped(trip));
    let failed = endings()["fail-limit"].record();
    let mut cases = failed.steps.iter().find(|step| step.key.path == "burn.soak").expect("a soak").cases.clone();
    for judgement in &mut cases[0].judgements {
        judgement.limit = Some(text.to_owned());
        judgement.source = Some(text.to_owned());
        judgement.measurement.name = text.to_owned();
    }
    let reason = Some(Reason::Probe { said: kiln_model::Unanswered::Words(text.to_owned()) });
    cases[1] = Case { outcome: Outcome::Fail, reason, judgements: Vec::new(), ..cases[1].clone() };
    story.tell(60.0, RunEvent::StepFinished { key: Story::key("burn.soak"), cases, ending: None });
    let mut finding = failed.findings[0].clone();
    finding.code = text.to_owned();
    finding.cause.en = text.to_owned();
    finding.evidence[0].fact = EvidenceFact::Legacy(text.to_owned());
    finding.evidence[0].from = EvidenceSource::Guard(text.to_owned());
    story.tell(0.0, RunEvent::FindingMade(finding));
    let verdict = kiln_event::roll_up(&story.record());
    let mut record = story.tell(1.0, RunEvent::RunFinished { verdict }).record();
    let start = record.start.as_mut().expect("begun");
    start.operation.serial = Some(text.to_owned());
    start.operation.station = Some(text.to_owned());
    start.operation.operator = Some(text.to_owned());
    start.profile.title.en = text.to_owned();
    let inventory = record.inventory.as_mut().expect("read");
    inventory.node.serial = Reading::Value(text.to_owned());
    inventory.node.model = Reading::Value(text.to_owned());
    inventory.driver = Reading::Value(text.to_owned());
    for gpu in &mut inventory.gpus {
        gpu.identity.serial = Reading::Value(text.to_owned());
        gpu.identity.slot = Reading::Value(text.to_owned());
        gpu.identity.name = Reading::Value(text.to_owned());
        gpu.identity.vbios = Reading::Value(text.to_owned());
    }
    record.stages.push(kiln_event::StageRecord {
        id: text.to_owned(),
        round: 1,
        started: Moment::ZERO,
        finished: Some(Moment::from_secs(90)),
    });
    record
}

#[test]
fn no_text_from_the_node_becomes_markup() {
    for text in HOSTILE {
        let record = hostile(text);
        let mut traces = readings(&record);
        traces.gap(text);
        sound(&run_page(&record, &traces, &[text.to_owned()], Languages::BOTH), text);
        let side = || Compared { name: text, record: &record, traces: &traces };
        let differences = lot::differences(&record, &endings()["fail-limit"].record());
        sound(&diff_page(side(), side(), &differences, Languages::BOTH), text);
        let summaries: Vec<lot::RunSummary> = lot::RunSummary::of(&record).into_iter().collect();
        let why = [(text.to_owned(), text.to_owned())];
        sound(&stats_page(&lot::stats(&summaries, &[]), &why, Languages::BOTH), text);
        sound(&baseline_page(&lot::baseline(&summaries, &[]).0, &why, Languages::BOTH), text);
    }
}

#[test]
fn what_is_missing_is_marked() {
    let record = endings()["pass"].record();
    let page = run_page(&record, &empty(), &["the journal is damaged at line 7".to_owned()], Languages::BOTH);
    assert!(page.contains("There are no readings over time") && page.contains("the journal is damaged at line 7"));
    assert!(!page.contains("class=gap"));

    let mut traces = Traces::of(&record);
    let seconds = record.last_at.seconds() as u64;
    let at: Vec<Moment> = (0..seconds).filter(|at| !(60..120).contains(at)).map(Moment::from_secs).collect();
    let values: Vec<Reading<f64>> = at.iter().map(|_| Reading::Value(60.0)).collect();
    traces.take(GpuIndex(0), &at, |_| &values);
    traces.gap("2 blocks are missing");
    let page = run_page(&record, &traces, &[], Languages::BOTH);
    assert!(page.contains("class=gap") && page.contains("2 blocks are missing"));
}

#[test]
fn evidence_leads_to_the_plot_of_its_quantity_or_else_to_its_step() {
    let leads = |name: &str, traces: &dyn Fn(&RunRecord) -> Traces| -> BTreeSet<String> {
        let record = endings()[name].record();
        let page = run_page(&record, &traces(&record), &[], Languages::BOTH);
        sound(&page, name);
        page.split("<a href=\"#").skip(1).filter_map(|link| Some(link.split_once('"')?.0.to_owned())).collect()
    };
    assert!(leads("fail-limit", &readings).contains("bars-thermal.resistance"));
    assert!(leads("over-temperature", &readings).contains("plot-temp.gpu"));
    let undrawn = leads("over-temperature", &|_| empty());
    assert!(undrawn.contains("events") && !undrawn.contains("plot-temp.gpu"), "{undrawn:?}");
}

#[test]
fn a_step_that_was_cut_short_is_open_and_named() {
    let page = page(&endings()["unfinished"].record());
    assert!(page.contains("CUT SHORT") && page.contains("途中打切り"));
}
