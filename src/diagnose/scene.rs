//! What a run left to reason from: every judged value with its step, the kernel's lines with their GPUs, the guards' trips.
//!
//! Only looks things up; what they mean is for the rules.

use std::collections::{BTreeMap, BTreeSet};

use super::{Charge, Class, KernelEvent, KernelLine, Places, charges, kernel_events};
use kiln_event::{Confidence, Evidence, EvidenceFact, EvidenceSource, GuardTrip, RunRecord, StepStatus};
use kiln_limit::{Judged, Judgement, Measured, Scalar, read_list};
use kiln_model::{Component, GpuIndex, Inventory, Moment, Sensor, Span, Text};
use kiln_profile::Trigger;

/// One judged value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fact<'a> {
    /// `stage.step`.
    pub(super) path: &'a str,
    pub(super) check: &'a str,
    pub(super) judgement: &'a Judgement,
}

/// One event of the GPU driver in the kernel log.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) gpu: Option<GpuIndex>,
    pub(super) said: KernelLine,
}

#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) record: &'a RunRecord,
    pub(super) inventory: &'a Inventory,
    pub(super) facts: Vec<Fact<'a>>,
    pub(super) lines: Vec<Line>,
    /// Everything the kernel log tells, with what it counts as.
    pub(super) events: Vec<(KernelEvent, Charge)>,
}

impl Fact<'_> {
    pub(super) fn name(&self) -> &str {
        &self.judgement.measurement.name
    }

    pub(super) fn component(&self) -> Component {
        self.judgement.measurement.component
    }

    pub(super) fn gpu(&self) -> Option<GpuIndex> {
        self.component().gpu_index()
    }

    pub(super) fn number(&self) -> Option<f64> {
        self.judgement.measurement.as_number()
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.judgement.measurement.value {
            Measured::Value(Scalar::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn flag(&self) -> Option<bool> {
        match &self.judgement.measurement.value {
            Measured::Value(Scalar::Flag(flag)) => Some(*flag),
            _ => None,
        }
    }

    /// How sure a miss makes: a limit that healthy parts come close to raises a suspicion and no more.
    pub(super) fn confidence(&self) -> Confidence {
        if self.judgement.miss.is_proof() { Confidence::High } else { Confidence::Low }
    }

    /// Whether the value is below its range.
    pub(super) fn is_below(&self) -> bool {
        self.judgement.range.low.zip(self.number()).is_some_and(|(low, value)| value < low)
    }

    /// A limit that counts was missed and nobody waived it.
    pub(super) fn failed(&self) -> bool {
        self.judgement.decisive && self.judgement.outcome == Judged::Fail && self.judgement.waiver.is_none()
    }

    pub(super) fn evidence(&self) -> Evidence {
        Evidence {
            from: EvidenceSource::Step(self.path.to_owned()),
            component: self.component(),
            fact: EvidenceFact::Value(Box::new(self.judgement.clone())),
        }
    }
}

impl<'a> Scene<'a> {
    /// `None` while the run has no inventory: then there is nothing to reason about.
    pub(super) fn new(record: &'a RunRecord) -> Option<Self> {
        let inventory = record.inventory.as_deref()?;
        let mut checks: BTreeMap<&str, &str> = BTreeMap::new();
        if let Some(plan) = record.plan.as_deref() {
            let steps = plan.steps();
            checks.extend(steps.map(|step| (step.path.as_str(), step.step.check.as_str())));
        }
        let mut facts = Vec::new();
        for step in record.decisive_steps() {
            if step.status != StepStatus::Finished {
                continue;
            }
            let path = step.key.path.as_str();
            let check = checks.get(path).copied().unwrap_or_default();
            let judgements = step.cases.iter().flat_map(|case| &case.judgements);
            facts.extend(judgements.map(|judgement| Fact { path, check, judgement }));
        }
        let events = kernel_events(&record.kernel);
        let places = Places::of(inventory, &events);
        let charges = charges(&events, &places);
        let lines = events.iter().filter_map(|event| match &event.class {
            Class::Driver(said) => Some(Line { gpu: places.gpu_of(event), said: said.clone() }),
            _ => None,
        });
        let lines = lines.collect();
        Some(Self { record, inventory, facts, lines, events: events.into_iter().zip(charges).collect() })
    }

    /// The slot of what a component belongs to. Of a GPU that does not tell its own, the one number that its siblings leave.
    pub(super) fn slot_of(&self, component: Component) -> Option<String> {
        let gpu = self.inventory.gpu(component.gpu_index()?)?;
        if let Some(slot) = gpu.identity.slot.value() {
            return Some(slot.clone());
        }
        let others = self.inventory.gpus.iter().filter(|other| other.index != gpu.index);
        let taken: BTreeSet<usize> =
            others.map(|other| other.identity.slot.value()?.parse().ok()).collect::<Option<_>>()?;
        let all = self.inventory.gpus.len();
        // Boards number their modules from 0 or from 1; with 1 to all but one taken it may be either end.
        let numbers = if taken.contains(&0) { 0..all } else { 1..all + 1 };
        let left: Vec<usize> = numbers.filter(|number| !taken.contains(number)).collect();
        match left[..] {
            [slot] if taken.len() + 1 == all && (taken.contains(&0) || slot != all) => Some(slot.to_string()),
            [slot] if taken.len() + 1 == all && all > 1 => Some(format!("{slot} or 0")),
            _ => None,
        }
    }

    /// Whether a limit that counts was missed by this GPU, in whichever step.
    pub(super) fn missed(&self, gpu: GpuIndex, name: &str) -> bool {
        self.facts.iter().any(|fact| fact.failed() && fact.name() == name && fact.gpu() == Some(gpu))
    }

    /// Whether it was measured on this GPU.
    pub(super) fn measured(&self, gpu: GpuIndex, name: &str) -> bool {
        self.facts.iter().any(|fact| fact.name() == name && fact.gpu() == Some(gpu) && fact.number().is_some())
    }

    pub(super) fn gpus(&self) -> BTreeSet<GpuIndex> {
        self.inventory.gpus.iter().map(|gpu| gpu.index).collect()
    }

    /// The last number of this name for every component, whatever the step.
    pub(super) fn numbers(&self, name: &str) -> BTreeMap<Component, f64> {
        let named = self.facts.iter().filter(|fact| fact.name() == name);
        named.filter_map(|fact| Some((fact.component(), fact.number()?))).collect()
    }

    /// The first number of this name that `check` measured on every GPU.
    pub(super) fn first_numbers(&self, check: &str, name: &str) -> BTreeMap<GpuIndex, f64> {
        let named = self.facts.iter().rev().filter(|fact| fact.check == check && fact.name() == name);
        named.filter_map(|fact| Some((fact.gpu()?, fact.number()?))).collect()
    }

    /// The last value of this name on `component` in steps at `path`, if it is a text.
    pub(super) fn beside(&self, path: &str, component: Component, name: &str) -> Option<&Fact<'a>> {
        let beside = |fact: &&Fact<'a>| fact.path == path && fact.component() == component && fact.name() == name;
        self.facts.iter().rev().find(beside).filter(|fact| fact.text().is_some())
    }

    /// The last text of this name on `component` in steps at `path`.
    pub(super) fn text_beside(&self, path: &str, component: Component, name: &str) -> Option<&str> {
        self.beside(path, component, name).and_then(Fact::text)
    }

    /// The sensor a guard watches, if it watches one.
    pub(super) fn sensor_of(&self, trip: &GuardTrip) -> Option<Sensor> {
        let guards = &self.record.start.as_ref()?.profile.guards;
        match &guards.iter().find(|guard| guard.id == trip.guard)?.trigger {
            Trigger::Reading { sensor, .. } => Some(*sensor),
            Trigger::GpuLost | Trigger::Xid => None,
        }
    }

    /// Whether a guard watches for GPUs that answer no more.
    pub(super) fn watches_for_loss(&self, trip: &GuardTrip) -> bool {
        let guards = self.record.start.iter().flat_map(|start| &start.profile.guards);
        guards.into_iter().any(|guard| guard.id == trip.guard && guard.trigger == Trigger::GpuLost)
    }

    /// The check of the step that a load belonged to.
    pub(super) fn check_of_load(&self, load: kiln_model::LoadId) -> Option<&'a str> {
        let step = self.record.steps.iter().find(|step| step.loads.contains(&load))?;
        let plan = self.record.plan.as_deref()?;
        plan.step(&step.key.path).map(|planned| planned.step.check.as_str())
    }
}

/// An event of the kernel log as evidence against `component`: its lines, and when they were logged.
pub(super) fn event_evidence(event: &KernelEvent, component: Component) -> Evidence {
    let before = event.before.map(|span| Span::from_secs(span.as_secs()));
    let fact = EvidenceFact::Logged { text: event.text.trim().to_owned(), at: event.at, before };
    Evidence { from: EvidenceSource::KernelLog, component, fact }
}

/// A trip as evidence.
pub(super) fn trip_evidence(at: Moment, trip: &GuardTrip) -> Evidence {
    let fact = EvidenceFact::Trip { at, cause: trip.cause.clone() };
    Evidence { from: EvidenceSource::Guard(trip.guard.clone()), component: trip.component, fact }
}

/// The numbers of a list of links as checks write it: `3, 7`, or `none`.
pub(super) fn listed(text: Option<&str>) -> Vec<u8> {
    read_list(text.unwrap_or_default()).into_iter().filter_map(|number| number.parse().ok()).collect()
}

/// English and Japanese of one text.
pub(super) fn both(en: String, ja: String) -> Text {
    Text { en, ja: Some(ja) }
}
