//! Invented runs for tests: a small node of two GPUs, a small profile, and the events of runs that end in every way.

use std::collections::BTreeMap;

pub use super::invented_start::inventory;
use super::invented_start::{plan, start};
use super::{
    Action, Case, Confidence, Envelope, Evidence, EvidenceFact, EvidenceSource, Finding, GuardTrip, Interruption,
    NodeSource, Outcome, Reason, Restless, RunEvent, RunKind, RunRecord, StepEnding, StepKey, TripCause, roll_up,
};
use kiln_limit::{Judged, Judgement, LotRange, Measurement, Missing, Range, Unjudged, WaiverUse};
use kiln_model::{Component, GpuIndex, KernelRecord, KernelSource, Mismatch, Moment, Span, Text, Unit, WallTime};
use kiln_plan::Unmet;
use kiln_profile::{GuardResult, GuardStop};

/// Both GPUs of the invented node.
pub const GPUS: [Component; 2] = [Component::gpu(0), Component::gpu(1)];

/// A run being told.
#[derive(Debug, Clone)]
pub struct Story {
    pub events: Vec<Envelope>,
    at: Moment,
}

impl Story {
    /// Started, inventory read, plan made.
    pub fn begun() -> Self {
        Self::begun_as(RunKind::Production, NodeSource::Hardware)
    }

    pub fn begun_as(kind: RunKind, source: NodeSource) -> Self {
        let mut story = Self { events: Vec::new(), at: Moment::ZERO };
        story.tell(0.0, RunEvent::RunStarted(Box::new(start(kind, source))));
        story.tell(0.1, RunEvent::InventoryRead(Box::new(inventory())));
        story.tell(0.0, RunEvent::PlanMade(Box::new(plan())));
        story
    }

    /// Nothing but the start.
    pub fn started() -> Self {
        let mut story = Self::begun();
        story.events.truncate(1);
        story
    }

    /// One more event, `seconds` after the last.
    pub fn tell(&mut self, seconds: f64, event: RunEvent) -> &mut Self {
        self.at = self.at + Span::from_secs_f64(seconds);
        let begin: WallTime = "2026-03-01T06:00:00Z".parse().expect("a stamp");
        let wall = begin + self.at.since(Moment::ZERO);
        self.events.push(Envelope { seq: self.events.len() as u64, at: self.at, wall, event });
        self
    }

    /// A whole attempt at a step, taking `seconds`.
    pub fn step(&mut self, path: &str, attempt: u32, seconds: f64, cases: Vec<Case>) -> &mut Self {
        self.round(path, 1, attempt, seconds, cases)
    }

    pub fn round(&mut self, path: &str, round: u32, attempt: u32, seconds: f64, cases: Vec<Case>) -> &mut Self {
        let key = key(path, round, attempt);
        self.tell(0.5, RunEvent::StepStarted { key: key.clone() });
        self.tell(seconds, finished(key, cases))
    }

    /// Passes all that the profile has up to, not including, `path`.
    #[must_use]
    pub fn passed_before(mut self, path: &str) -> Self {
        let all = ["identify.inventory", "burn.gemm", "burn.soak", "teardown.load"];
        for step in all.into_iter().take_while(|step| *step != path) {
            self.pass(step);
        }
        self
    }

    pub fn pass(&mut self, path: &str) -> &mut Self {
        let cases = match path {
            "identify.inventory" => GPUS.map(|gpu| passed(gpu, matched(gpu, true))).to_vec(),
            "burn.gemm" => GPUS.map(|gpu| passed(gpu, celsius(gpu, 71.5))).to_vec(),
            "burn.soak" => GPUS.map(|gpu| passed(gpu, resistance(gpu, 0.0582))).to_vec(),
            _ => vec![passed(Component::Node, matched(Component::Node, true))],
        };
        self.step(path, 1, 60.25, cases)
    }

    /// Passes what is left, from `path` on, and ends.
    pub fn then_passed_from(&mut self, path: &str) -> &mut Self {
        let all = ["identify.inventory", "burn.gemm", "burn.soak", "teardown.load"];
        for step in all.into_iter().skip_while(|step| *step != path) {
            self.pass(step);
        }
        self.end()
    }

    pub fn end(&mut self) -> &mut Self {
        let verdict = roll_up(&self.record());
        self.tell(0.25, RunEvent::RunFinished { verdict })
    }

    pub fn record(&self) -> RunRecord {
        RunRecord::of(&self.events)
    }
}

/// Every way a run can end, by name.
pub fn endings() -> BTreeMap<&'static str, Story> {
    let simulated = || NodeSource::Simulated {
        node: "hgx-h100-8".to_owned(),
        seed: 7,
        faults: vec!["cold-plate@gpu/1".to_owned()],
        spread: kiln_model::Spread::Tight,
    };
    let mut all = BTreeMap::new();
    let mut add = |name, story: &Story| all.insert(name, story.clone());
    add("pass", Story::begun().then_passed_from("identify.inventory"));
    add("simulated", Story::begun_as(RunKind::Production, simulated()).then_passed_from("identify.inventory"));
    add("partial", Story::begun_as(RunKind::Partial, NodeSource::Hardware).then_passed_from("identify.inventory"));
    add("unfinished", &unfinished());
    add("before-plan", Story::started().tell(30.0, failure("no answer from the driver in 30s")).end());
    add("nothing", &nothing());
    add("aborted", &aborted());
    add("resumed", &resumed());
    for (name, cases) in soak_endings() {
        let mut story = Story::begun_as(RunKind::Production, simulated()).passed_before("burn.soak");
        story.step("burn.soak", 1, 1800.0, cases);
        if name == "fail-limit" {
            story.tell(0.0, RunEvent::FindingMade(finding()));
        }
        add(name, story.then_passed_from("teardown.load"));
    }
    add("guard", &guard_between_steps());
    let no_answer = Reason::Probe { said: "no answer in 30s".to_owned() };
    let missed = Reason::Limit(Box::new(resistance(GPUS[0], 0.093)));
    for (name, first, why) in [("retried", Outcome::Error, no_answer), ("unstable", Outcome::Fail, missed)] {
        let mut story = Story::begun().passed_before("burn.soak");
        story.step(
            "burn.soak",
            1,
            300.0,
            vec![with_reason(GPUS[0], first, why), passed(GPUS[1], resistance(GPUS[1], 0.058))],
        );
        story.step("burn.soak", 2, 300.0, GPUS.map(|gpu| passed(gpu, resistance(gpu, 0.058))).to_vec());
        add(name, story.then_passed_from("teardown.load"));
    }
    let mut story = Story::begun().passed_before("burn.gemm");
    for (round, kelvin_per_watt) in [(1, 0.058), (2, 0.093), (3, 0.059)] {
        story.round("burn.gemm", round, 1, 60.0, GPUS.map(|gpu| passed(gpu, celsius(gpu, 70.0))).to_vec());
        story.round(
            "burn.soak",
            round,
            1,
            300.0,
            vec![judged(GPUS[0], resistance(GPUS[0], kelvin_per_watt)), passed(GPUS[1], resistance(GPUS[1], 0.058))],
        );
    }
    add("rounds", story.then_passed_from("teardown.load"));
    all
}

/// Inside its limit, and apart from its lot.
fn outlier(gpu: Component) -> Case {
    let judgement = resistance(gpu, 0.0635).within_lot(LotRange { low: 0.055, high: 0.0615, units: 40 });
    let reason = Reason::Outlier(Box::new(judgement.clone()));
    Case { outcome: Outcome::Held, reason: Some(reason), ..judged(gpu, judgement) }
}

/// What `burn.soak` may say on its two GPUs.
fn soak_endings() -> [(&'static str, Vec<Case>); 7] {
    let [one, two] = GPUS;
    let waived = Judgement { waiver: Some(waiver()), ..resistance(two, 0.093) };
    let unmeasured = Judgement {
        measurement: Measurement::missing("thermal.resistance", two, Unit::KelvinPerWatt, few_readings()),
        outcome: Judged::Unjudged(Unjudged::NotMeasured),
        ..resistance(two, 0.0)
    };
    let fine = || passed(one, resistance(one, 0.058));
    let waived = Case {
        outcome: Outcome::Waived,
        reason: Some(Reason::Waived(Box::new(waived.clone()))),
        ..judged(two, waived)
    };
    [
        ("fail-limit", vec![fine(), judged(two, resistance(two, 0.093))]),
        (
            "fail-mismatch",
            vec![
                fine(),
                with_reason(two, Outcome::Fail, Reason::Mismatch { at: Moment::from_secs(83), mismatch: mismatch() }),
            ],
        ),
        ("marginal", vec![fine(), Case { outcome: Outcome::Marginal, ..judged(two, resistance(two, 0.0645)) }]),
        ("waived", vec![fine(), waived]),
        ("held", vec![fine(), outlier(two)]),
        (
            "error",
            vec![
                fine(),
                Case {
                    judgements: vec![unmeasured.clone()],
                    ..with_reason(two, Outcome::Error, Reason::NotMeasured(Box::new(unmeasured)))
                },
            ],
        ),
        ("inconclusive", vec![fine(), with_reason(two, Outcome::Inconclusive, restless())]),
    ]
}

fn unfinished() -> Story {
    let mut story = Story::begun().passed_before("burn.soak");
    story.tell(0.5, RunEvent::StepStarted { key: key("burn.soak", 1, 1) });
    story
}

fn nothing() -> Story {
    let mut story = Story::begun();
    for path in ["identify.inventory", "burn.gemm", "burn.soak"] {
        let skipped = GPUS.map(|gpu| with_reason(gpu, Outcome::Skipped, Reason::Unmet(Unmet::NoPeers))).to_vec();
        story.step(path, 1, 0.0, skipped);
    }
    story.then_passed_from("teardown.load");
    story
}

fn aborted() -> Story {
    let mut story = Story::begun().passed_before("burn.gemm");
    story.tell(0.5, RunEvent::StepStarted { key: key("burn.gemm", 1, 1) });
    story.tell(12.0, RunEvent::RunInterrupted { by: Interruption::Signal });
    let cut = |outcome| GPUS.map(|gpu| with_reason(gpu, outcome, Reason::Interrupted)).to_vec();
    story.tell(0.1, finished(key("burn.gemm", 1, 1), cut(Outcome::Aborted)));
    story.tell(0.0, finished(key("burn.soak", 1, 1), cut(Outcome::NotReached)));
    story.then_passed_from("teardown.load");
    story
}

fn resumed() -> Story {
    let mut story = unfinished();
    story.tell(40.0, failure("cannot write journal.jsonl: no space left on device"));
    story.tell(600.0, RunEvent::RunResumed { interrupted: vec![key("burn.soak", 1, 1)], source_digest: None });
    story.step("burn.soak", 2, 60.0, GPUS.map(|gpu| passed(gpu, resistance(gpu, 0.058))).to_vec());
    story.then_passed_from("teardown.load");
    story
}

fn guard_between_steps() -> Story {
    let mut story = Story::begun().passed_before("burn.soak");
    story.tell(
        2.0,
        RunEvent::KernelLogged(KernelRecord {
            at: Moment::from_secs(120),
            source: KernelSource::KernelLog,
            text: "NVRM: Xid (PCI:0000:53:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
                .to_owned(),
        }),
    );
    story.tell(0.0, RunEvent::GpuLost { gpu: GpuIndex(1) });
    story.tell(0.0, RunEvent::GuardTripped(trip(GPUS[1])));
    let cut = GPUS.map(|gpu| with_reason(gpu, Outcome::NotReached, guard_stop())).to_vec();
    story.tell(0.0, finished(key("burn.soak", 1, 1), cut));
    story.then_passed_from("teardown.load");
    story
}

pub fn trip(component: Component) -> GuardTrip {
    GuardTrip {
        guard: "lost".to_owned(),
        component,
        code: "GPU-LOST".to_owned(),
        stop: GuardStop::Run,
        result: GuardResult::Fail,
        cause: TripCause::GpuLost,
        reading: None,
        around: Vec::new(),
    }
}

fn failure(text: &str) -> RunEvent {
    RunEvent::RunInterrupted { by: Interruption::Failure(text.to_owned()) }
}

pub fn key(path: &str, round: u32, attempt: u32) -> StepKey {
    StepKey { path: path.to_owned(), round, attempt }
}

pub fn passed(component: Component, judgement: Judgement) -> Case {
    Case { component, outcome: Outcome::Pass, reason: None, judgements: vec![judgement] }
}

/// A case that says what its judgement says.
pub fn judged(component: Component, judgement: Judgement) -> Case {
    let failed = judgement.outcome == Judged::Fail;
    let reason = failed.then(|| Reason::Limit(Box::new(judgement.clone())));
    let outcome = if failed { Outcome::Fail } else { Outcome::Pass };
    Case { component, outcome, reason, judgements: vec![judgement] }
}

pub fn with_reason(component: Component, outcome: Outcome, reason: Reason) -> Case {
    Case { component, outcome, reason: Some(reason), judgements: Vec::new() }
}

/// The reason of steps that the guard for lost GPUs stopped on GPU 1.
pub fn guard_stop() -> Reason {
    Reason::GuardStop(trip(GPUS[1]).as_stop())
}

/// The reason of a step that found GPU 1 busy.
pub fn restless() -> Reason {
    Reason::Restless { gpus: vec![Restless { gpu: GpuIndex(1), busy: true }] }
}

pub fn waiver() -> WaiverUse {
    WaiverUse {
        matches: "burn.soak[gpu/1].*".to_owned(),
        reason: "ECN-1042".to_owned(),
        until: "2027-01-31".to_owned(),
        by: "qa".to_owned(),
    }
}

pub fn few_readings() -> Missing {
    Missing::Coverage { readings: 3, covered: Span::from_secs(3), window: Span::from_secs(60) }
}

fn mismatch() -> Mismatch {
    let place = "SM \u{1b}[31m41\u{1b}[0m\u{7}".to_owned();
    Mismatch { gpu: GpuIndex(1), place, iteration: 7, word: 1024, flipped_bits: 1, sm: None }
}

/// The end of a step as its cases tell it.
pub fn finished(key: StepKey, cases: Vec<Case>) -> RunEvent {
    let ending = Some(StepEnding::of_journal_1_0(&cases));
    RunEvent::StepFinished { key, cases, ending }
}

pub fn matched(component: Component, value: bool) -> Judgement {
    Judgement {
        measurement: Measurement::flag("matches", component, value),
        limit: Some("== true".to_owned()),
        range: Range::default(),
        outcome: if value { Judged::Pass } else { Judged::Fail },
        code: None,
        decisive: true,
        miss: kiln_limit::Miss::Proof,
        source: None,
        waiver: None,
        lot: None,
        guard_band: None,
    }
}

pub fn celsius(component: Component, value: f64) -> Judgement {
    Judgement {
        measurement: Measurement::number("temp.p95", component, Unit::Celsius, value, 3600),
        limit: Some("<= 83 °C".to_owned()),
        range: Range { low: None, high: Some(83.0) },
        outcome: if value <= 83.0 { Judged::Pass } else { Judged::Fail },
        ..matched(component, true)
    }
}

pub fn resistance(component: Component, value: f64) -> Judgement {
    Judgement {
        measurement: Measurement::number("thermal.resistance", component, Unit::KelvinPerWatt, value, 60),
        limit: Some("<= 115 % of peers".to_owned()),
        range: Range { low: None, high: Some(0.0667) },
        outcome: match value {
            _ if value > 0.0667 => Judged::Fail,
            _ if value > 0.064 => Judged::Marginal,
            _ => Judged::Pass,
        },
        code: Some("GPU-COOLING-CONTACT".to_owned()),
        source: Some("field data, 2026".to_owned()),
        ..matched(component, true)
    }
}

pub fn finding() -> Finding {
    Finding {
        code: "GPU-COOLING-CONTACT".to_owned(),
        component: GPUS[1],
        suspects: vec![GPUS[1]],
        serial: Some("1650123000001".to_owned()),
        slot: Some("4".to_owned()),
        pci_address: Some("00000000:53:00.0".to_owned()),
        cause: Text {
            en: "the cold plate of gpu/1 does not carry its heat away".to_owned(),
            ja: Some("gpu/1 のコールドプレートの接触不良".to_owned()),
        },
        action: Action::CheckCooling,
        confidence: Confidence::High,
        evidence: vec![Evidence {
            from: EvidenceSource::Step("burn.soak".to_owned()),
            component: GPUS[1],
            fact: EvidenceFact::Value(Box::new(resistance(GPUS[1], 0.093))),
        }],
    }
}
