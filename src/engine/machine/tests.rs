//! The machine driven in virtual time against a toy station with toy checks: what stops, what is killed, what is judged.

use std::collections::{BTreeMap, BTreeSet};

use super::{Equipment, Machine};
use crate::check::{Check, CheckRun, Done, Seen, StepContext, Wants};
use crate::engine::drive::{Operator, run_in_virtual_time};
use crate::engine::{Inbox, OperatorReply, Signal, Station, Witness};
use crate::event::{Envelope, NodeSource, Operation, RunEvent, RunKind, RunRecord, RunStart, ToolVersion, VerdictWord};
use crate::limit::{Bound, IfUnsupported, Limit, Measurement, Term};
use crate::model::*;
use crate::profile::*;

// --- the toy checks ---

fn minute(_: &Params, _: usize) -> Span {
    Span::from_secs(60)
}

const fn toy(name: &'static str, watcher: bool) -> CheckSpec {
    CheckSpec {
        name,
        summary: "",
        details: "",
        params: &[],
        measurements: &[MeasurementSpec {
            name: "value",
            unit: Unit::One,
            kind: ValueKind::Number,
            of: ComponentKind::Gpu,
            required: true,
            summary: "",
        }],
        each: &[ComponentKind::Gpu],
        wear: Wear::None,
        faults: &[],
        exclusive: false,
        watcher,
        estimate: minute,
    }
}

/// Loads its GPUs for a minute, then measures 1 on each that is there.
struct Burn;
/// Never ends by itself.
struct Hang;
/// Cannot do its work at the first attempt of a run; can afterwards.
struct Shaky;
/// Ends when the others have.
struct Watch;

static BURN: CheckSpec = toy("toy.burn", false);
static HANG: CheckSpec = toy("toy.hang", false);
static SHAKY: CheckSpec = toy("toy.shaky", false);
static WATCH: CheckSpec = toy("toy.watch", true);

struct Run(&'static str);

impl CheckRun for Run {
    fn observe(&mut self, context: &StepContext<'_>, now: Moment, seen: Seen<'_>, wants: &mut Wants) {
        let values = || {
            let there = context
                .components
                .iter()
                .filter(|one| one.gpu_index().is_none_or(|gpu| !context.lost.contains_key(&gpu)));
            there.map(|one| Measurement::number("value", *one, Unit::One, 1.0, 1)).collect::<Vec<_>>()
        };
        match (self.0, seen) {
            ("toy.burn" | "toy.hang", Seen::Began) => {
                wants.start_load(LoadKind::Burn(BurnKernel::Bf16), context.gpus(), None);
                wants.wake_at(now + Span::from_secs(60));
            }
            ("toy.shaky", Seen::Began) if context.began < Moment::from_secs(10) => {
                wants.end(Done::Failed { kind: "tool", why: "not this time".to_owned(), measured: Vec::new() });
            }
            ("toy.burn", Seen::Woken) | ("toy.watch", Seen::OthersEnded) | ("toy.shaky", Seen::Began) => {
                wants.end(Done::Measured(values()));
            }
            _ => {}
        }
    }
}

macro_rules! toy_check {
    ($($check:ident $spec:ident;)*) => {
        $(impl Check for $check {
            fn spec(&self) -> &'static CheckSpec {
                &$spec
            }

            fn begin(&self, _: &StepContext<'_>) -> Box<dyn CheckRun> {
                Box::new(Run($spec.name))
            }
        })*
        static CATALOGUE: &[&CheckSpec] = &[$(&$spec,)*];

        fn find(name: &str) -> Option<&'static dyn Check> {
            let checks: &[&'static dyn Check] = &[$(&$check,)*];
            checks.iter().copied().find(|check| check.spec().name == name)
        }
    };
}

toy_check! { Burn BURN; Hang HANG; Shaky SHAKY; Watch WATCH; }

// --- the toy station ---

/// How loads take being stopped.
#[derive(Clone, Copy, PartialEq)]
enum Manners {
    Stop,
    OnlyDie,
    Never,
}

struct Toy {
    manners: Manners,
    /// From when on GPU 1 is gone.
    lost_from: Option<Moment>,
    /// From when on GPU 0 has no margin left.
    hot_from: Option<Moment>,
    loads: BTreeMap<LoadId, BTreeSet<GpuIndex>>,
    told: Vec<(LoadId, StopHow)>,
    inbox: Inbox,
}

impl Toy {
    fn new() -> Self {
        let inbox = Inbox::default();
        Self {
            manners: Manners::Stop,
            lost_from: None,
            hot_from: None,
            loads: BTreeMap::new(),
            told: Vec::new(),
            inbox,
        }
    }
}

impl Station for Toy {
    fn read_inventory(&mut self, _: Moment) {
        let mut inventory = Inventory::default();
        for index in 0..2 {
            let mut gpu = Gpu::bare(GpuIndex(index));
            gpu.identity.pci_device = Reading::Value("233010de".to_owned());
            inventory.gpus.push(gpu);
        }
        inventory.node.serial = Reading::Value("TOY-1".to_owned());
        self.inbox.inventories.push(Ok(Box::new(inventory)));
    }

    fn sample(&mut self, now: Moment) {
        for index in 0..2 {
            let mut sample = Sample::new(GpuIndex(index), now);
            sample.put(Sensor::TempGpu, 50.0);
            sample.put(Sensor::Power, 100.0);
            let hot = index == 0 && self.hot_from.is_some_and(|from| from <= now);
            sample.put(Sensor::TempMargin, if hot { -1.0 } else { 20.0 });
            if index == 1 && self.lost_from.is_some_and(|from| from <= now) {
                sample.fail_all(ReadingFailure::Lost);
            }
            self.inbox.samples.push(sample);
        }
    }

    fn ask(&mut self, _: Moment, _: Probe) {}

    fn start_load(&mut self, _: Moment, order: &LoadOrder) {
        self.loads.insert(order.id, order.gpus.clone());
    }

    fn stop_load(&mut self, now: Moment, load: LoadId, how: StopHow) {
        self.told.push((load, how));
        let obeys = self.manners == Manners::Stop || (self.manners == Manners::OnlyDie && how == StopHow::Kill);
        if obeys && self.loads.remove(&load).is_some() {
            let said = LoadSaid::Ended { gpu: None, end: LoadEnd::Stopped };
            self.inbox.loads.push(LoadReport { load, at: now, said });
        }
    }

    fn collect(&mut self, _: Moment, inbox: &mut Inbox) {
        std::mem::swap(inbox, &mut self.inbox);
    }

    fn next_arrival(&self) -> Option<Moment> {
        None
    }

    fn on_arrival(&mut self, _: Box<dyn Fn() + Send + Sync>) {}
}

// --- profiles and runs ---

fn step(id: &str, check: &str) -> Step {
    let bound = Bound::AtLeast(Term::Absolute(Quantity::new(1.0, Unit::One)));
    let limit = Limit {
        bound,
        text: ">= 1".to_owned(),
        marginal: None,
        code: None,
        decisive: true,
        source: None,
        unsupported: IfUnsupported::Error,
    };
    Step {
        id: id.to_owned(),
        check: check.to_owned(),
        title: None,
        each: ComponentKind::Gpu,
        params: Params::default(),
        limits: BTreeMap::from([("value".to_owned(), limit)]),
        then: Then { fail: Policy::Continue, error: Policy::Continue, inconclusive: Policy::Continue },
        retry: Retry { max: 0, on: BTreeSet::new(), delay: Span::ZERO },
        timeout: None,
        needs: Vec::new(),
        requires: BTreeMap::new(),
    }
}

fn guard(stop: GuardStop) -> Guard {
    Guard {
        id: "hot".to_owned(),
        scope: GuardScope::EachGpu,
        trigger: Trigger::Reading {
            sensor: Sensor::TempMargin,
            bound: Bound::AtMost(Term::Absolute(Quantity::new(0.0, Unit::Celsius))),
        },
        hold: Span::from_secs(3),
        clear: None,
        stale: None,
        stop,
        result: GuardResult::Fail,
        code: "GPU-OVERTEMP".to_owned(),
    }
}

fn profile(steps: Vec<Step>) -> Profile {
    let then = Then { fail: Policy::Continue, error: Policy::Continue, inconclusive: Policy::Continue };
    Profile {
        id: "toy".to_owned(),
        revision: 1,
        title: Text::english("Toy"),
        skus: vec!["toy".to_owned()],
        telemetry: Telemetry { every: Span::from_secs(1) },
        guards: Vec::new(),
        stages: vec![Stage {
            id: "main".to_owned(),
            title: None,
            then,
            repeat: Loop::Count(1),
            together: false,
            needs: Vec::new(),
            requires: BTreeMap::new(),
            steps,
        }],
        teardown: vec![step("after", "toy.burn")],
        waivers: Vec::new(),
        vars: BTreeMap::new(),
        deviations: Vec::new(),
    }
}

fn skus() -> Skus {
    Skus(vec![Sku {
        id: "toy".to_owned(),
        title: Text::english("Toy"),
        names: Vec::new(),
        pci: vec![PciId { device: "2330".to_owned(), subsystem: None }],
        gpus_per_node: 2,
        facts: BTreeMap::new(),
    }])
}

fn start(profile: Profile) -> RunStart {
    RunStart {
        run_id: "toy".to_owned(),
        tool: ToolVersion { name: "kiln".to_owned(), version: "0".to_owned() },
        kind: RunKind::Production,
        source: NodeSource::Hardware,
        operation: Operation::default(),
        seed: 1,
        profile,
        profile_digest: String::new(),
        baseline: BTreeMap::new(),
    }
}

#[derive(Default)]
struct Notes {
    events: Vec<Envelope>,
    /// Fails from this event on.
    full_from: Option<u64>,
}

impl Witness for Notes {
    fn event(&mut self, envelope: &Envelope) -> std::io::Result<()> {
        if self.full_from.is_some_and(|from| from <= envelope.seq) {
            return Err(std::io::Error::from(std::io::ErrorKind::StorageFull));
        }
        self.events.push(envelope.clone());
        Ok(())
    }

    fn sample(&mut self, _: &Sample) {}
}

struct Nobody;

impl Operator for Nobody {
    fn ask(&mut self, _: &Text) -> Option<OperatorReply> {
        None
    }
}

fn drive(machine: &mut Machine<'_>, toy: &mut Toy, notes: &mut Notes, interrupts: &[(usize, Signal)]) {
    let mut looks = 0;
    let mut signal = || {
        looks += 1;
        interrupts.iter().find(|(look, _)| *look == looks).map(|(_, signal)| *signal)
    };
    let epoch = WallTime::from_second(1_800_000_000).expect("epoch");
    let _ = run_in_virtual_time(machine, toy, notes, &mut Nobody, epoch, &mut signal);
}

fn run_with(profile: Profile, toy: &mut Toy, interrupts: &[(usize, Signal)]) -> RunRecord {
    let skus = skus();
    let equipment = Equipment { skus: &skus, catalogue: Catalogue(CATALOGUE), find_check: find };
    let mut machine = Machine::new(equipment, start(profile), None);
    let mut notes = Notes::default();
    drive(&mut machine, toy, &mut notes, interrupts);
    assert_eq!(RunRecord::of(&notes.events), *machine.record(), "the journal tells all that the machine knows");
    machine.record().clone()
}

fn outcomes(record: &RunRecord) -> Vec<String> {
    let case = |case: &crate::event::Case| format!("{} {}", case.component, case.outcome.shown());
    let steps = record.steps.iter().map(|step| {
        let cases: Vec<String> = step.cases.iter().map(case).collect();
        format!("{}#{}: {}", step.key.path, step.key.attempt, cases.join(", "))
    });
    steps.collect()
}

fn word(record: &RunRecord) -> VerdictWord {
    record.verdict.as_ref().expect("a verdict").word
}

// --- what must hold ---

#[test]
fn a_healthy_run_passes_with_its_teardown() {
    let record = run_with(profile(vec![step("burn", "toy.burn")]), &mut Toy::new(), &[]);
    assert_eq!(outcomes(&record), ["main.burn#1: gpu/0 PASS, gpu/1 PASS", "teardown.after#1: gpu/0 PASS, gpu/1 PASS"]);
    assert_eq!(word(&record), VerdictWord::Pass);
}

#[test]
fn a_guard_stops_the_load_fails_its_gpu_and_the_teardown_still_runs() {
    let mut hot = profile(vec![step("burn", "toy.burn"), step("more", "toy.burn")]);
    hot.guards.push(guard(GuardStop::Run));
    let mut toy = Toy::new();
    toy.hot_from = Some(Moment::from_secs(10));
    let record = run_with(hot, &mut toy, &[]);
    assert_eq!(
        outcomes(&record),
        [
            "main.burn#1: gpu/0 FAIL, gpu/1 NOT REACHED",
            "main.more#1: gpu/0 NOT REACHED, gpu/1 NOT REACHED",
            "teardown.after#1: gpu/0 PASS, gpu/1 PASS",
        ]
    );
    assert_eq!(toy.told[0], (LoadId(1), StopHow::Gently));
    assert_eq!(record.trips[0].0, Moment::from_secs(13), "held for three seconds, and no longer");
    assert_eq!(word(&record), VerdictWord::Fail);
}

#[test]
fn a_load_that_does_not_stop_is_killed_and_then_told_to_be_unkillable() {
    let mut toy = Toy::new();
    toy.manners = Manners::OnlyDie;
    let record = run_with(profile(vec![step("burn", "toy.burn")]), &mut toy, &[]);
    assert_eq!(toy.told[..2], [(LoadId(1), StopHow::Gently), (LoadId(1), StopHow::Kill)]);
    assert_eq!(word(&record), VerdictWord::Pass);

    toy = Toy::new();
    toy.manners = Manners::Never;
    let record = run_with(profile(vec![step("burn", "toy.burn")]), &mut toy, &[]);
    assert!(record.load_ends.iter().any(|(_, load, _, end)| *load == LoadId(1) && *end == LoadEnd::Unkillable));
    assert_eq!(outcomes(&record)[0], "main.burn#1: gpu/0 ERROR, gpu/1 ERROR");
    assert_eq!(word(&record), VerdictWord::Error);
}

#[test]
fn a_lost_gpu_fails_and_its_sibling_is_still_judged() {
    let mut toy = Toy::new();
    toy.lost_from = Some(Moment::from_secs(20));
    let record = run_with(profile(vec![step("burn", "toy.burn")]), &mut toy, &[]);
    assert_eq!(outcomes(&record)[0], "main.burn#1: gpu/0 PASS, gpu/1 FAIL");
    assert_eq!(record.lost.get(&GpuIndex(1)), Some(&Moment::from_secs(20)));
}

#[test]
fn a_step_that_hangs_is_an_error_and_no_claim_about_the_unit() {
    let record = run_with(profile(vec![step("hang", "toy.hang")]), &mut Toy::new(), &[]);
    assert_eq!(outcomes(&record)[0], "main.hang#1: gpu/0 ERROR, gpu/1 ERROR");
    assert_eq!(record.steps[0].cases[0].reason.as_ref().map(|why| why.kind.as_str()), Some("timeout"));
    assert_eq!(word(&record), VerdictWord::Error);
}

#[test]
fn an_error_is_retried_and_the_pass_says_so() {
    let mut shaky = step("shaky", "toy.shaky");
    shaky.retry = Retry { max: 1, on: BTreeSet::from([RetryOn::Error]), delay: Span::from_secs(10) };
    let record = run_with(profile(vec![shaky]), &mut Toy::new(), &[]);
    assert_eq!(
        outcomes(&record)[..2],
        ["main.shaky#1: gpu/0 ERROR, gpu/1 ERROR", "main.shaky#2: gpu/0 PASS, gpu/1 PASS"]
    );
    let verdict = record.verdict.expect("verdict");
    assert_eq!((verdict.word, verdict.retried), (VerdictWord::Pass, true));
}

#[test]
fn a_watcher_ends_with_the_steps_beside_it() {
    let mut together = profile(vec![step("watch", "toy.watch"), step("burn", "toy.burn")]);
    together.stages[0].together = true;
    let record = run_with(together, &mut Toy::new(), &[]);
    assert_eq!(outcomes(&record)[..2], ["main.watch#1: gpu/0 PASS, gpu/1 PASS", "main.burn#1: gpu/0 PASS, gpu/1 PASS"]);
    assert_eq!(record.steps[0].started, record.steps[1].started);
    assert_eq!(record.steps[0].finished, record.steps[1].finished);
}

#[test]
fn the_first_interrupt_runs_the_teardown_and_the_second_kills() {
    let steps = || vec![step("burn", "toy.burn"), step("more", "toy.burn")];
    let record = run_with(profile(steps()), &mut Toy::new(), &[(5, Signal::First)]);
    assert_eq!(
        outcomes(&record),
        [
            "main.burn#1: gpu/0 ABORTED, gpu/1 ABORTED",
            "main.more#1: gpu/0 NOT REACHED, gpu/1 NOT REACHED",
            "teardown.after#1: gpu/0 PASS, gpu/1 PASS",
        ]
    );
    assert_eq!(word(&record), VerdictWord::Aborted);

    let mut toy = Toy::new();
    toy.manners = Manners::OnlyDie;
    let record = run_with(profile(steps()), &mut toy, &[(5, Signal::First), (6, Signal::Second)]);
    assert_eq!(toy.told, [(LoadId(1), StopHow::Gently), (LoadId(1), StopHow::Kill)]);
    assert!(!record.steps.iter().any(|step| step.key.path.starts_with("teardown")));
    assert_eq!(word(&record), VerdictWord::Aborted);
}

#[test]
fn a_stop_after_a_failure_leaves_the_rest_unreached() {
    let mut first = step("burn", "toy.burn");
    first.limits.get_mut("value").expect("limit").bound = Bound::AtLeast(Term::Absolute(Quantity::new(2.0, Unit::One)));
    first.then.fail = Policy::Stop;
    let record = run_with(profile(vec![first, step("more", "toy.burn")]), &mut Toy::new(), &[]);
    assert_eq!(
        outcomes(&record)[..2],
        ["main.burn#1: gpu/0 FAIL, gpu/1 FAIL", "main.more#1: gpu/0 NOT REACHED, gpu/1 NOT REACHED"]
    );
    assert_eq!(
        record.steps[1].cases[0].reason.as_ref().map(|why| why.text.as_str()),
        Some("`main.burn` ended in FAIL")
    );
}

#[test]
fn a_stage_that_loops_for_a_time_finishes_the_round_it_is_in() {
    let mut looped = profile(vec![step("burn", "toy.burn")]);
    looped.stages[0].repeat = Loop::For(Span::from_secs(150));
    let record = run_with(looped, &mut Toy::new(), &[]);
    assert_eq!(record.stages.iter().map(|stage| stage.round).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn resume_never_passes_an_interrupted_step() {
    let skus = skus();
    let equipment = Equipment { skus: &skus, catalogue: Catalogue(CATALOGUE), find_check: find };
    let mut whole =
        Machine::new(equipment, start(profile(vec![step("burn", "toy.burn"), step("more", "toy.burn")])), None);
    let mut notes = Notes::default();
    drive(&mut whole, &mut Toy::new(), &mut notes, &[]);
    for cut in 3..notes.events.len() - 1 {
        let before = RunRecord::of(&notes.events[..cut]);
        let running: Vec<_> = before.running().map(|step| step.key.clone()).collect();
        let mut machine = Machine::resume(equipment, before).expect("begun");
        let mut rest = Notes { events: notes.events[..cut].to_vec(), full_from: None };
        drive(&mut machine, &mut Toy::new(), &mut rest, &[]);
        let record = machine.record();
        assert_eq!(word(record), VerdictWord::Pass, "cut at {cut}");
        for key in &running {
            let again = record.steps.iter().filter(|step| step.key.path == key.path).count();
            assert_eq!(again, 2, "{key:?} was run again after a cut at {cut}");
            assert!(
                record.steps.iter().any(|step| step.key == *key && step.cases.is_empty()),
                "and the first has no result"
            );
        }
        let passed =
            |path: &str| record.steps.iter().filter(|step| step.key.path == path && !step.cases.is_empty()).count();
        assert_eq!((passed("main.burn"), passed("main.more"), passed("teardown.after")), (1, 1, 1), "cut at {cut}");
    }
}

#[test]
fn a_journal_that_cannot_be_written_stops_the_load() {
    let skus = skus();
    let equipment = Equipment { skus: &skus, catalogue: Catalogue(CATALOGUE), find_check: find };
    let mut machine = Machine::new(equipment, start(profile(vec![step("burn", "toy.burn")])), None);
    let mut toy = Toy::new();
    // The eighth event is the end of the load: by then it runs.
    let mut notes = Notes { events: Vec::new(), full_from: Some(6) };
    toy.hot_from = Some(Moment::from_secs(10));
    drive(&mut machine, &mut toy, &mut notes, &[]);
    assert!(notes.events.iter().all(|event| !matches!(event.event, RunEvent::RunFinished { .. })));
    assert!(toy.loads.is_empty(), "nothing is under load any more");
}

#[test]
fn the_wrong_serial_refuses_the_run_before_anything_is_recorded() {
    let skus = skus();
    let equipment = Equipment { skus: &skus, catalogue: Catalogue(CATALOGUE), find_check: find };
    let mut wrong = start(profile(vec![step("burn", "toy.burn")]));
    wrong.operation.serial = Some("TOY-2".to_owned());
    let mut machine = Machine::new(equipment, wrong, None);
    let mut notes = Notes::default();
    drive(&mut machine, &mut Toy::new(), &mut notes, &[]);
    assert!(notes.events.is_empty());
    let refusal = machine.refusal().expect("refused").to_string();
    assert_eq!(
        refusal,
        "the serial number given is `TOY-2`, but the node says `TOY-1`; scan the label of the node under test again"
    );
}
