//! From a check's measurements to cases: limits applied, references found, what is missing made visible.
//!
//! One case per component of the step. A measurement of a part (a link, a pair) counts for the component it belongs to.

use std::collections::{BTreeMap, BTreeSet};

use kiln_diagnose::{AllAlike, LEAST_ALIKE, if_all_alike, same_sm_everywhere};
use kiln_event::{Case, LotFacts, LotValue, Outcome, Reason, RunRecord, StepEnding, StepRecord, StepStatus};
use kiln_limit::{
    Judged, Judgement, Limit, LotRange, Measured, Measurement, Miss, Missing, Peers, Range, Reference, References,
    Rule, Unjudged, WaiverUse, judge,
};
use kiln_lot::placed;
use kiln_model::{Component, ComponentKind, GpuIndex, Quantity, WallTime, median};
use kiln_plan::{PlannedStep, matches_glob};
use kiln_profile::{CheckSpec, Sku};

/// Names and kinds of parts of the limits that all parts missed alike, with the number of parts.
type Alike = BTreeMap<(String, ComponentKind), usize>;

/// All that judging looks at.
pub(super) struct Judge<'a> {
    pub planned: &'a PlannedStep,
    pub spec: &'static CheckSpec,
    pub skus: &'a BTreeMap<GpuIndex, Sku>,
    pub record: &'a RunRecord,
    pub wall: WallTime,
    /// Index into `record.trips` of the first trip since the step began.
    pub trips_from: usize,
    /// Index into `record.mismatches` likewise.
    pub mismatches_from: usize,
}

impl Judge<'_> {
    /// The cases of the step.
    pub(super) fn cases(&self, measured: &[Measurement], ending: &StepEnding) -> Vec<Case> {
        let mut by_case: BTreeMap<Component, Vec<Judgement>> = BTreeMap::new();
        for component in &self.planned.components {
            by_case.insert(*component, Vec::new());
        }
        let judged: Vec<Judgement> = measured.iter().map(|measurement| self.judge(measurement, measured)).collect();
        let alike = self.alike(&judged);
        for judgement in judged {
            let home = self.home(judgement.measurement.component, judgement.limit.is_some());
            by_case.entry(home).or_default().push(judgement);
        }
        if *ending == StepEnding::Measured {
            self.add_missing(&mut by_case);
        }
        let case = |(component, judgements)| self.case(component, judgements, ending, &alike);
        by_case.into_iter().map(case).collect()
    }

    /// The limits that all parts of a kind missed on the same side, and that something they share could miss for them:
    /// driver, setting, program or station. Then they are no proof against any of the parts.
    fn alike(&self, judged: &[Judgement]) -> Alike {
        let mut groups: BTreeMap<(&str, ComponentKind), Vec<&Judgement>> = BTreeMap::new();
        for judgement in judged.iter().filter(|one| one.decisive && one.limit.is_some()) {
            let measurement = &judgement.measurement;
            let lost = measurement.component.gpu_index().is_some_and(|gpu| self.record.lost.contains_key(&gpu));
            if !lost {
                groups.entry((&measurement.name, measurement.component.kind())).or_default().push(judgement);
            }
        }
        let present = self.present();
        let same_sm = self.same_sm();
        let alike = |((name, kind), group): ((&str, ComponentKind), Vec<&Judgement>)| {
            let missed = group.iter().all(|one| one.outcome == Judged::Fail && one.waiver.is_none());
            let same_side = group.iter().all(|one| is_low(one) == is_low(group[0]));
            let of: BTreeSet<GpuIndex> = group.iter().filter_map(|one| one.measurement.component.gpu_index()).collect();
            let all = of.is_empty() || of == present;
            let parts = if of.is_empty() { group.len() } else { of.len() };
            let common = missed && same_side && all && parts >= LEAST_ALIKE;
            let any_cause = if_all_alike(name) == AllAlike::AnyCause || (name == "mismatches" && same_sm.is_some());
            (common && any_cause).then(|| ((name.to_owned(), kind), parts))
        };
        groups.into_iter().filter_map(alike).collect()
    }

    /// The GPUs that answer.
    fn present(&self) -> BTreeSet<GpuIndex> {
        let gpus = self.record.inventory.iter().flat_map(|inventory| &inventory.gpus).map(|gpu| gpu.index);
        gpus.filter(|gpu| !self.record.lost.contains_key(gpu)).collect()
    }

    /// The multiprocessor that has computed wrong on all GPUs alike, if there is one.
    fn same_sm(&self) -> Option<u32> {
        same_sm_everywhere(self.record.mismatches.iter().map(|(_, _, mismatch, _)| mismatch), &self.present())
    }

    /// Which case a measurement of `component` counts for.
    fn home(&self, component: Component, limited: bool) -> Component {
        let components = &self.planned.components;
        if components.contains(&component) {
            return component;
        }
        if let Some(gpu) = component.gpu_index()
            && let Some(home) = components.iter().find(|one| one.gpu_index() == Some(gpu))
        {
            return *home;
        }
        if components.contains(&Component::Node) {
            return Component::Node;
        }
        // A value of the whole node in a step over GPUs: its own case if it is judged, told with the first if not.
        if limited { component } else { components.first().copied().unwrap_or(component) }
    }

    fn judge(&self, measurement: &Measurement, all: &[Measurement]) -> Judgement {
        let mut judgement = self.by_limit(measurement, all);
        if self.planned.step.lot.contains(&measurement.name) {
            return match self.lot(measurement, |lot| &lot.values) {
                Some(lot) => judgement.within_lot(lot),
                None => judgement,
            };
        }
        if let Some(lot) = self.lot(measurement, |lot| &lot.references) {
            judgement.lot = Some(lot);
        }
        judgement
    }

    /// Where the lot's good units lie in a measurement, by what the lot holds units by or by what limits stand on.
    fn lot(&self, measurement: &Measurement, of: impl Fn(&LotFacts) -> &[LotValue]) -> Option<LotRange> {
        let (start, inventory) = (self.record.start.as_ref()?, self.record.inventory.as_ref()?);
        let lot = start.lot.as_ref()?;
        let value = format!("{}.{}", self.planned.path, measurement.name);
        let chassis = inventory.node.model.value().cloned().unwrap_or_default();
        let (model, place) = placed(measurement.component, inventory);
        let own =
            |one: &&LotValue| one.value == value && one.chassis == chassis && one.model == model && one.place == place;
        of(lot).iter().find(own).map(|one| one.range)
    }

    fn guard_band(&self, measurement: &Measurement) -> Option<f64> {
        let start = self.record.start.as_ref().filter(|start| !start.guard_bands.is_empty())?;
        start.guard_bands.get(&format!("{}.{}", self.planned.path, measurement.name)).copied()
    }

    fn by_limit(&self, measurement: &Measurement, all: &[Measurement]) -> Judgement {
        let Some(limit) = self.planned.step.limits.get(&measurement.name) else {
            let outcome = match measurement.value {
                Measured::Value(_) => Judged::Pass,
                Measured::Unsupported => Judged::Unjudged(Unjudged::Unsupported),
                Measured::Missing(_) => Judged::Unjudged(Unjudged::NotMeasured),
            };
            let told = Rule { decisive: false, ..Rule::new(None) };
            return Judgement::by(told, measurement.clone(), Range::default(), outcome);
        };
        let lot = if limit.stands_on(&Reference::Lot) { self.of_lot(measurement) } else { None };
        let sku = |fact: &str| -> Option<Quantity> { self.sku_of(measurement.component)?.fact(fact) };
        let references = References {
            sku: &sku,
            peers: if limit.stands_on(&Reference::Peers) { self.peers(measurement, all) } else { None },
            baseline: self.baseline(measurement),
            first: if limit.stands_on(&Reference::First) { self.first(measurement) } else { None },
            lot,
            guard_band: self.guard_band(measurement),
        };
        let mut judgement = judge(&limit.in_force(lot.is_some()), measurement, &references);
        if judgement.outcome == Judged::Fail {
            judgement.waiver = self.waiver(measurement);
        }
        judgement
    }

    /// The middle of the lot's good units, of a measurement that a limit stands on it for.
    fn of_lot(&self, measurement: &Measurement) -> Option<f64> {
        let referred = self.lot(measurement, |lot| &lot.references);
        referred.or_else(|| self.lot(measurement, |lot| &lot.values)).map(|lot| lot.middle())
    }

    /// The model of a component's GPU; for the node itself, the model of its first GPU.
    fn sku_of(&self, component: Component) -> Option<&Sku> {
        match component.gpu_index() {
            Some(gpu) => self.skus.get(&gpu),
            None => self.skus.values().next(),
        }
    }

    /// What the same-model siblings measured, `measurement` itself left out: their median, or of two GPUs the other's value.
    /// Where one has a value among several that have none, it speaks for nobody.
    fn peers(&self, measurement: &Measurement, all: &[Measurement]) -> Option<Peers> {
        let model = |component: Component| self.sku_of(component).map(|sku| sku.id.as_str());
        let siblings: Vec<&Measurement> = all
            .iter()
            .filter(|other| other.name == measurement.name && other.component != measurement.component)
            .filter(|other| other.component.kind() == measurement.component.kind())
            .filter(|other| model(other.component) == model(measurement.component))
            .collect();
        let values: Vec<f64> = siblings.iter().filter_map(|sibling| sibling.as_number()).collect();
        match values[..] {
            [other] if siblings.len() == 1 => Some(Peers::Other(other)),
            [] | [_] => None,
            _ => median(&values).map(Peers::Median),
        }
    }

    fn baseline(&self, measurement: &Measurement) -> Option<f64> {
        let start = self.record.start.as_ref().filter(|start| !start.baseline.is_empty())?;
        let key = format!("{}.{}[{}]", self.planned.path, measurement.name, measurement.component);
        start.baseline.get(&key).copied()
    }

    /// What the first step of this run that has a number of it measured: in that step, `measurement` itself. Another attempt at the
    /// step in progress is none before it.
    fn first(&self, measurement: &Measurement) -> Option<f64> {
        let own = self
            .record
            .steps
            .iter()
            .rev()
            .find(|step| step.key.path == self.planned.path && step.status == StepStatus::Running);
        let before = |step: &&StepRecord| {
            let again = own.is_some_and(|own| own.key.path == step.key.path && own.key.round == step.key.round);
            step.status == StepStatus::Finished && !again
        };
        let judged =
            self.record.steps.iter().filter(before).flat_map(|step| &step.cases).flat_map(|case| &case.judgements);
        let mut same = judged.map(|judgement| &judgement.measurement).filter(|one| {
            one.name == measurement.name && one.component == measurement.component && one.unit == measurement.unit
        });
        same.find_map(Measurement::as_number).or_else(|| measurement.as_number())
    }

    /// The waiver in force for a failed measurement.
    fn waiver(&self, measurement: &Measurement) -> Option<WaiverUse> {
        let start = self.record.start.as_ref()?;
        let name = format!("{}[{}].{}", self.planned.path, measurement.component, measurement.name);
        let today = self.wall.to_zoned_datetime(jiff::tz::TimeZone::UTC).date();
        let waiver = start
            .profile
            .waivers
            .iter()
            .find(|waiver| matches_glob(&waiver.matches, &name) && today <= waiver.until)?;
        Some(WaiverUse {
            matches: waiver.matches.clone(),
            reason: waiver.reason.clone(),
            until: waiver.until.to_string(),
            by: waiver.by.clone(),
        })
    }

    /// A limit or a required measurement that no value came for is made visible as missing.
    fn add_missing(&self, by_case: &mut BTreeMap<Component, Vec<Judgement>>) {
        let limits = &self.planned.step.limits;
        let required = self.spec.measurements.iter().filter(|spec| spec.required).map(|spec| spec.name);
        let names: BTreeSet<&str> = limits.keys().map(String::as_str).chain(required).collect();
        let mut wanted: Vec<_> = names.iter().filter_map(|name| Some((*name, self.spec.measurement(name)?))).collect();
        // In the order of declaration, as everything else is told.
        wanted.sort_by_key(|(_, spec)| self.spec.measurements.iter().position(|one| one.name == spec.name));
        for (name, spec) in wanted {
            let limit = limits.get(name);
            let homes: Vec<Component> = match spec.of {
                ComponentKind::Node if !self.planned.components.contains(&Component::Node) => vec![Component::Node],
                _ => self.planned.components.clone(),
            };
            for home in homes {
                let has = by_case.get(&home).is_some_and(|all| all.iter().any(|one| one.measurement.name == name));
                if !has {
                    let measurement = Measurement::missing(name, home, spec.unit, Missing::NotGiven);
                    by_case.entry(home).or_default().push(missing(measurement, limit));
                }
            }
        }
    }

    fn case(&self, component: Component, judgements: Vec<Judgement>, ending: &StepEnding, alike: &Alike) -> Case {
        let (mut outcome, mut reason) = self.of_judgements(component, &judgements, alike);
        // Proof stays proof, whatever ended the step; short of that an ending other than the check's own decides.
        if let Some((ended, why)) = ending.told()
            && outcome != Outcome::Fail
        {
            (outcome, reason) = (ended, Some(why.clone()));
        }
        if let Some((proof, why)) = self.proof(component)
            && proof > outcome
        {
            outcome = proof;
            reason = Some(why);
        }
        Case { component, outcome, reason, judgements }
    }

    /// What happened to a component during the step beside its measurements: lost, mismatched, tripped a guard.
    fn proof(&self, component: Component) -> Option<(Outcome, Reason)> {
        let gpu = component.gpu_index();
        let mine = |other: Component| other == component || (gpu.is_some() && other.gpu_index() == gpu);
        if let Some(at) = gpu.and_then(|gpu| self.record.lost.get(&gpu)) {
            return Some((Outcome::Fail, Reason::Lost { at: *at }));
        }
        let mismatches = self.record.mismatches.get(self.mismatches_from..).unwrap_or_default();
        if let Some((at, _, mismatch, _)) = mismatches.iter().find(|(_, _, mismatch, _)| Some(mismatch.gpu) == gpu) {
            // What is wrong at the same place of all GPUs is no part's own.
            let shared = mismatch.sm.is_some() && self.same_sm().is_some();
            let outcome = if shared { Outcome::Inconclusive } else { Outcome::Fail };
            return Some((outcome, Reason::Mismatch { at: *at, mismatch: mismatch.clone() }));
        }
        let trips = self.record.trips.get(self.trips_from..).unwrap_or_default();
        let (_, trip) = trips.iter().find(|(_, trip)| mine(trip.component))?;
        Some((trip.outcome(), Reason::Trip { guard: trip.guard.clone(), cause: trip.cause.clone() }))
    }

    fn of_judgements(
        &self,
        component: Component,
        judgements: &[Judgement],
        alike: &Alike,
    ) -> (Outcome, Option<Reason>) {
        let mut worst = Outcome::Pass;
        let mut why = None;
        let mut decided = false;
        for judgement in judgements {
            let required = self.spec.measurement(&judgement.measurement.name).is_some_and(|spec| spec.required);
            let lacking = required && matches!(judgement.outcome, Judged::Unjudged(_));
            if !(judgement.decisive || lacking || judgement.outcome == Judged::Outlier) {
                continue;
            }
            decided |= judgement.limit.is_some();
            let measurement = &judgement.measurement;
            let all = || alike.get(&(measurement.name.clone(), measurement.component.kind()));
            let (outcome, reason) = match (judgement.outcome == Judged::Fail).then(all).flatten() {
                Some(parts) => of_all_alike(judgement, *parts),
                None => of_judgement(judgement),
            };
            if outcome > worst {
                worst = outcome;
                why = reason;
            }
        }
        if !decided && worst < Outcome::Inconclusive {
            // A case beside those of the plan is there for its limits alone, and the profile has them skipped.
            let is_planned = self.planned.components.contains(&component);
            return if is_planned { (Outcome::Inconclusive, Some(Reason::NoLimit)) } else { (Outcome::Skipped, None) };
        }
        (worst, why)
    }
}

fn missing(measurement: Measurement, limit: Option<&Limit>) -> Judgement {
    let rule = Rule {
        code: limit.and_then(|limit| limit.code.clone()),
        decisive: limit.is_none_or(|limit| limit.decisive),
        miss: limit.map(|limit| limit.miss).unwrap_or_default(),
        source: limit.and_then(|limit| limit.source.clone()),
        ..Rule::new(limit.map(|limit| limit.text.as_str()))
    };
    Judgement::by(rule, measurement, Range::default(), Judged::Unjudged(Unjudged::NotMeasured))
}

/// Whether the value is below its range; what is no number has but one side.
fn is_low(judgement: &Judgement) -> bool {
    judgement.measurement.as_number().zip(judgement.range.low).is_some_and(|(value, low)| value < low)
}

fn of_all_alike(judgement: &Judgement, parts: usize) -> (Outcome, Option<Reason>) {
    (Outcome::Inconclusive, Some(Reason::Alike { judgement: Box::new(judgement.clone()), parts }))
}

fn of_judgement(judgement: &Judgement) -> (Outcome, Option<Reason>) {
    let (outcome, reason): (_, fn(Box<Judgement>) -> Reason) = match &judgement.outcome {
        Judged::Pass => return (Outcome::Pass, None),
        Judged::Marginal => (Outcome::Marginal, Reason::Marginal),
        Judged::Outlier => (Outcome::Held, Reason::Outlier),
        Judged::Fail if judgement.waiver.is_some() => (Outcome::Waived, Reason::Waived),
        Judged::Fail => match judgement.miss {
            Miss::Proof => (Outcome::Fail, Reason::Limit),
            Miss::Suspicion => (Outcome::Inconclusive, Reason::Limit),
        },
        Judged::Unjudged(Unjudged::NotMeasured) => (Outcome::Error, Reason::NotMeasured),
        Judged::Unjudged(Unjudged::Unsupported) => (Outcome::Error, Reason::Unsupported),
        Judged::Unjudged(Unjudged::NoReference(_)) => (Outcome::Inconclusive, Reason::NoReference),
    };
    (outcome, Some(reason(Box::new(judgement.clone()))))
}
