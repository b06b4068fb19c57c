//! A toy station with toy checks, and runs of the machine on it: what its tests stand on.

use std::collections::{BTreeMap, BTreeSet};

use super::{Equipment, Machine};
use crate::drive::{Operator, run_in_virtual_time};
use crate::{Arrivals, Dut, OperatorReply, Signal, Witness};
use kiln_check::{Check, CheckRun, Done, Seen, StepContext, Subject, Wants};
use kiln_event::{Boot, Envelope, NodeSource, Reason, RestartTrouble, RunRecord, RunStart, ToolVersion, VerdictWord};
use kiln_limit::{Bound, IfUnsupported, Limit, Measurement, Term};
use kiln_model::*;
use kiln_profile::*;

// --- the toy checks ---

pub(super) fn minute(_: &Params, _: usize) -> Span {
    Span::from_secs(60)
}

pub(super) const fn toy(name: &'static str, watcher: bool) -> CheckSpec {
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
        exclusive: false,
        watcher,
        estimate: minute,
    }
}

/// Loads its GPUs for a minute, then measures 1 on each that is there.
pub(super) struct Burn;
/// Never ends by itself.
pub(super) struct Hang;
/// Cannot do its work at the first attempt of a run; can afterwards.
pub(super) struct Shaky;
/// Ends when the others have.
pub(super) struct Watch;
/// Says at once that all is as it should be.
pub(super) struct Look;
/// Has the node started anew, which may take a minute.
pub(super) struct Anew;

pub(super) static BURN: CheckSpec = toy("toy.burn", false);
pub(super) static HANG: CheckSpec = toy("toy.hang", false);
pub(super) static SHAKY: CheckSpec = toy("toy.shaky", false);
pub(super) static WATCH: CheckSpec = toy("toy.watch", true);
pub(super) static LOOK: CheckSpec = toy("toy.look", false);
pub(super) static ANEW: CheckSpec = toy("toy.anew", false);

pub(super) struct Run(&'static str);

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
                wants.end(Done::Failed {
                    why: Reason::Probe { said: kiln_model::Unanswered::Words("not this time".to_owned()) },
                    measured: Vec::new(),
                });
            }
            ("toy.anew", Seen::Began) => {
                wants.restart(Restart::Reboot, Span::from_secs(60));
                wants.wake_at(now + Span::from_secs(60));
            }
            ("toy.anew", Seen::Restarted { boot: Boot::AsAsked, .. }) => wants.end(Done::Measured(values())),
            ("toy.anew", Seen::Woken | Seen::Restarted { .. }) => {
                wants.end(Done::Failed { why: Reason::Restart(RestartTrouble::SameBoot), measured: Vec::new() });
            }
            ("toy.burn", Seen::Woken) | ("toy.watch", Seen::OthersEnded) | ("toy.shaky" | "toy.look", Seen::Began) => {
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

            fn subject(&self) -> Subject {
                if $spec.name == "toy.look" { Subject::Condition } else { Subject::Performance }
            }

            fn begin(&self, _: &StepContext<'_>) -> Box<dyn CheckRun> {
                Box::new(Run($spec.name))
            }
        })*
        pub(super) static CATALOGUE: &[&CheckSpec] = &[$(&$spec,)*];

        pub(super) fn find(name: &str) -> Option<&'static dyn Check> {
            let checks: &[&'static dyn Check] = &[$(&$check,)*];
            checks.iter().copied().find(|check| check.spec().name == name)
        }
    };
}

toy_check! { Burn BURN; Hang HANG; Shaky SHAKY; Watch WATCH; Look LOOK; Anew ANEW; }

// --- the toy station ---

/// How loads take being stopped.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Manners {
    Stop,
    OnlyDie,
    Never,
}

pub(super) struct Toy {
    pub(super) manners: Manners,
    /// From when on GPU 1 is gone.
    pub(super) lost_from: Option<Moment>,
    /// From when on GPU 0 has no margin left.
    pub(super) hot_from: Option<Moment>,
    /// Whether the node does not answer what it is made of.
    pub(super) mute: bool,
    /// How often it was started anew.
    pub(super) boots: usize,
    /// What it says to the order to start anew.
    pub(super) anew: Result<Restarting, RestartRefusal>,
    /// What is to be changed of what it is made of.
    pub(super) change: Option<fn(&mut Inventory)>,
    pub(super) loads: BTreeMap<LoadId, BTreeSet<GpuIndex>>,
    pub(super) told: Vec<(LoadId, StopHow)>,
    pub(super) arrivals: Arrivals,
}

impl Toy {
    pub(super) fn new() -> Self {
        let arrivals = Arrivals::default();
        Self {
            manners: Manners::Stop,
            lost_from: None,
            hot_from: None,
            mute: false,
            boots: 0,
            anew: Ok(Restarting::Gone),
            change: None,
            loads: BTreeMap::new(),
            told: Vec::new(),
            arrivals,
        }
    }
}

impl Dut for Toy {
    fn read_inventory(&mut self, _: Moment) {
        if self.mute {
            return;
        }
        let mut inventory = Inventory::default();
        for index in 0..2 {
            let mut gpu = Gpu::bare(GpuIndex(index));
            gpu.identity.pci_device = Reading::Value("233010de".to_owned());
            gpu.identity.uuid = Reading::Value(format!("GPU-{index}"));
            gpu.memory_mib = Reading::Value(143_771);
            inventory.gpus.push(gpu);
        }
        inventory.node.serial = Reading::Value("TOY-1".to_owned());
        inventory.node.boot_id = Reading::Value(["first", "second", "third", "fourth"][self.boots].to_owned());
        if let Some(change) = self.change {
            change(&mut inventory);
        }
        self.arrivals.inventories.push(Ok(Box::new(inventory)));
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
            self.arrivals.samples.push(sample);
        }
    }

    fn ask(&mut self, _: Moment, _: Probe) {}

    fn restart(&mut self, _: Moment, _: Restart) -> Result<Restarting, RestartRefusal> {
        self.anew.clone()
    }

    fn start_load(&mut self, _: Moment, order: &LoadOrder) {
        self.loads.insert(order.id, order.gpus.clone());
    }

    fn stop_load(&mut self, now: Moment, load: LoadId, how: StopHow) {
        self.told.push((load, how));
        let obeys = self.manners == Manners::Stop || (self.manners == Manners::OnlyDie && how == StopHow::Kill);
        if obeys && self.loads.remove(&load).is_some() {
            let said = LoadSaid::Ended { gpu: None, end: LoadEnd::Stopped };
            self.arrivals.loads.push(LoadReport { load, at: now, said });
        }
    }

    fn collect(&mut self, _: Moment, arrivals: &mut Arrivals) {
        std::mem::swap(arrivals, &mut self.arrivals);
    }

    fn next_arrival(&self) -> Option<Moment> {
        None
    }

    fn on_arrival(&mut self, _: Box<dyn Fn() + Send + Sync>) {}
}

// --- profiles and runs ---

pub(super) fn step(id: &str, check: &str) -> Step {
    let bound = Bound::AtLeast(Term::Absolute(Quantity::new(1.0, Unit::One)));
    let limit = Limit {
        bound,
        text: ">= 1".to_owned(),
        marginal: None,
        code: None,
        decisive: true,
        miss: kiln_limit::Miss::Proof,
        source: None,
        unsupported: IfUnsupported::Error,
        with_lot: None,
    };
    Step {
        id: id.to_owned(),
        check: check.to_owned(),
        title: None,
        each: ComponentKind::Gpu,
        params: Params::default(),
        limits: BTreeMap::from([("value".to_owned(), limit)]),
        lot: Vec::new(),
        then: Then { fail: Policy::Continue, error: Policy::Continue, inconclusive: Policy::Continue },
        retry: Retry { max: 0, on: BTreeSet::new(), delay: Span::ZERO },
        timeout: None,
        needs: Vec::new(),
        requires: BTreeMap::new(),
    }
}

pub(super) fn guard(stop: GuardStop) -> Guard {
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
        unsupported: IfUnsupported::Error,
        stop,
        result: GuardResult::Fail,
        code: "GPU-OVERTEMP".to_owned(),
    }
}

pub(super) fn profile(steps: Vec<Step>) -> Profile {
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
        without: Vec::new(),
        deviations: Vec::new(),
    }
}

pub(super) fn skus() -> Skus {
    Skus(vec![Sku {
        id: "toy".to_owned(),
        title: Text::english("Toy"),
        names: Vec::new(),
        pci: vec![PciId { device: "2330".to_owned(), subsystem: None }],
        gpus_per_node: vec![2],
        facts: BTreeMap::new(),
    }])
}

pub(super) fn start(profile: Profile) -> RunStart {
    let tool = ToolVersion { name: "kiln".to_owned(), version: "0".to_owned() };
    RunStart { tool, ..RunStart::plain("toy", profile, NodeSource::Hardware) }
}

#[derive(Default)]
pub(super) struct Notes {
    pub(super) events: Vec<Envelope>,
    /// Fails from this event on.
    pub(super) full_from: Option<u64>,
}

impl Witness for Notes {
    fn event(&mut self, envelope: &Envelope, _: &RunRecord) -> std::io::Result<()> {
        if self.full_from.is_some_and(|from| from <= envelope.seq) {
            return Err(std::io::Error::from(std::io::ErrorKind::StorageFull));
        }
        self.events.push(envelope.clone());
        Ok(())
    }

    fn sample(&mut self, _: &Sample) {}
}

pub(super) struct Nobody;

impl Operator for Nobody {
    fn ask(&mut self, _: &Text) -> Option<OperatorReply> {
        None
    }
}

pub(super) fn drive(machine: &mut Machine<'_>, toy: &mut Toy, notes: &mut Notes, interrupts: &[(usize, Signal)]) {
    let mut looks = 0;
    let mut signal = || {
        looks += 1;
        interrupts.iter().find(|(look, _)| *look == looks).map(|(_, signal)| *signal)
    };
    let epoch = WallTime::from_second(1_800_000_000).expect("epoch");
    let _ = run_in_virtual_time(machine, toy, notes, &mut Nobody, epoch, &mut signal);
}

pub(super) fn run_with(profile: Profile, toy: &mut Toy, interrupts: &[(usize, Signal)]) -> RunRecord {
    let skus = skus();
    let equipment = Equipment { skus: &skus, catalogue: Catalogue(CATALOGUE), find_check: find };
    let mut machine = Machine::new(equipment, start(profile), None);
    let mut notes = Notes::default();
    drive(&mut machine, toy, &mut notes, interrupts);
    assert_eq!(RunRecord::of(&notes.events), *machine.record(), "the journal tells all that the machine knows");
    machine.record().clone()
}

pub(super) fn outcomes(record: &RunRecord) -> Vec<String> {
    let case = |case: &kiln_event::Case| format!("{} {}", case.component, case.outcome.shown());
    let steps = record.steps.iter().map(|step| {
        let cases: Vec<String> = step.cases.iter().map(case).collect();
        format!("{}#{}: {}", step.key.path, step.key.attempt, cases.join(", "))
    });
    steps.collect()
}

pub(super) fn word(record: &RunRecord) -> VerdictWord {
    record.verdict.as_ref().expect("a verdict").word
}
