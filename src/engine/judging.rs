//! From a check's measurements to cases: limits applied, references found, what is missing made visible.
//!
//! One case per component of the step. A measurement of a part (a link, a pair) counts for the component it belongs to.

use std::collections::{BTreeMap, BTreeSet};

use kiln_diagnose::{AllAlike, LEAST_ALIKE, if_all_alike};
use kiln_event::{Case, CaseReason, Outcome, RunRecord};
use kiln_limit::{Judged, Judgement, Limit, Measured, Measurement, Miss, Range, References, Unjudged, judge};
use kiln_model::{Component, ComponentKind, GpuIndex, Quantity, WallTime};
use kiln_plan::{PlannedStep, matches_glob};
use kiln_profile::{CheckSpec, Sku};

/// Why a measurement that was to come is missing, where the check does not say.
pub(super) const NOT_GIVEN: &str = "the check gave no such value";

/// Kinds of reasons that come of measurements and of what happened to the component; any other comes of the ending.
const JUDGED: [&str; 10] = [
    "limit",
    ALIKE,
    "marginal",
    "waived",
    "not-measured",
    "unsupported",
    "no-reference",
    "no-limit",
    "lost",
    "mismatch",
];
/// Kind of the reason of a limit that all parts missed alike.
pub(super) const ALIKE: &str = "alike";

/// How a step came to its end.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ending {
    /// The check said so.
    Measured,
    /// The check could not do its work.
    Failed {
        kind: String,
        why: String,
    },
    Undecided {
        kind: String,
        why: String,
    },
    /// Stopped from outside before the check was done.
    Stopped {
        kind: &'static str,
        why: String,
        outcome: Outcome,
    },
}

/// Kind of the reason of a step whose check found that it does not apply here.
pub(super) const NOT_APPLICABLE: &str = "not-applicable";
/// Between the guard's name and the component in the reason of a step that a guard ended.
pub(super) const TRIPPED_ON: &str = "` tripped on ";

impl Ending {
    /// The ending that judged cases tell of: one other than the check's own shows in every case that did not fail.
    pub(super) fn told_by(cases: &[Case]) -> Self {
        let by_ending = |why: &CaseReason| {
            // A guard both ends steps and is proof against the component it tripped on.
            let ended = why.kind != "guard" || why.text.contains(TRIPPED_ON);
            ended && !JUDGED.contains(&why.kind.as_str())
        };
        let told = cases.iter().find_map(|case| Some((case, case.reason.as_ref().filter(|why| by_ending(why))?)));
        let Some((case, why)) = told else { return Self::Measured };
        let (kind, text) = (why.kind.clone(), why.text.clone());
        match case.outcome {
            Outcome::Error => Self::Failed { kind, why: text },
            Outcome::Inconclusive => Self::Undecided { kind, why: text },
            outcome => {
                let kind =
                    ["guard", "interrupted", NOT_APPLICABLE].into_iter().find(|one| *one == kind).unwrap_or("stopped");
                Self::Stopped { kind, why: text, outcome }
            }
        }
    }
}

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
    pub(super) fn cases(&self, measured: &[Measurement], ending: &Ending) -> Vec<Case> {
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
        if *ending == Ending::Measured {
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
        let gpus = self.record.inventory.iter().flat_map(|inventory| &inventory.gpus).map(|gpu| gpu.index);
        let present: BTreeSet<GpuIndex> = gpus.filter(|gpu| !self.record.lost.contains_key(gpu)).collect();
        let alike = |((name, kind), group): ((&str, ComponentKind), Vec<&Judgement>)| {
            let missed = group.iter().all(|one| one.outcome == Judged::Fail && one.waiver.is_none());
            let same_side = group.iter().all(|one| is_low(one) == is_low(group[0]));
            let of: BTreeSet<GpuIndex> = group.iter().filter_map(|one| one.measurement.component.gpu_index()).collect();
            let all = of.is_empty() || of == present;
            let parts = if of.is_empty() { group.len() } else { of.len() };
            let common = missed && same_side && all && parts >= LEAST_ALIKE;
            (common && if_all_alike(name) == AllAlike::AnyCause).then(|| ((name.to_owned(), kind), parts))
        };
        groups.into_iter().filter_map(alike).collect()
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
        let Some(limit) = self.planned.step.limits.get(&measurement.name) else {
            return Judgement {
                measurement: measurement.clone(),
                limit: None,
                range: Range::default(),
                outcome: match measurement.value {
                    Measured::Value(_) => Judged::Pass,
                    Measured::Unsupported => Judged::Unjudged(Unjudged::Unsupported),
                    Measured::Missing(_) => Judged::Unjudged(Unjudged::NotMeasured),
                },
                code: None,
                decisive: false,
                miss: Miss::Proof,
                source: None,
                waiver: None,
            };
        };
        let sku = |fact: &str| -> Option<Quantity> { self.sku_of(measurement.component)?.fact(fact) };
        let references =
            References { sku: &sku, peers: self.peers(measurement, all), baseline: self.baseline(measurement) };
        let mut judgement = judge(limit, measurement, &references);
        if judgement.outcome == Judged::Fail {
            judgement.waiver = self.waiver(measurement);
        }
        judgement
    }

    /// The model of a component's GPU; for the node itself, the model of its first GPU.
    fn sku_of(&self, component: Component) -> Option<&Sku> {
        match component.gpu_index() {
            Some(gpu) => self.skus.get(&gpu),
            None => self.skus.values().next(),
        }
    }

    /// The median over the same-model siblings, `measurement` itself left out. Fewer than two siblings are no peers.
    fn peers(&self, measurement: &Measurement, all: &[Measurement]) -> Option<f64> {
        let model = |component: Component| self.sku_of(component).map(|sku| sku.id.as_str());
        let mut values: Vec<f64> = all
            .iter()
            .filter(|other| other.name == measurement.name && other.component != measurement.component)
            .filter(|other| other.component.kind() == measurement.component.kind())
            .filter(|other| model(other.component) == model(measurement.component))
            .filter_map(Measurement::as_number)
            .collect();
        if values.len() < 2 {
            return None;
        }
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        Some(if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) })
    }

    fn baseline(&self, measurement: &Measurement) -> Option<f64> {
        let start = self.record.start.as_ref()?;
        let key = format!("{}.{}[{}]", self.planned.path, measurement.name, measurement.component);
        start.baseline.get(&key).copied()
    }

    /// The waiver in force for a failed measurement, named by its reason.
    fn waiver(&self, measurement: &Measurement) -> Option<String> {
        let start = self.record.start.as_ref()?;
        let name = format!("{}[{}].{}", self.planned.path, measurement.component, measurement.name);
        let today = self.wall.to_zoned_datetime(jiff::tz::TimeZone::UTC).date();
        let waiver = start
            .profile
            .waivers
            .iter()
            .find(|waiver| matches_glob(&waiver.matches, &name) && today <= waiver.until)?;
        Some(format!("{} (until {}, by {})", waiver.reason, waiver.until, waiver.by))
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
                    let measurement = Measurement::missing(name, home, spec.unit, NOT_GIVEN);
                    by_case.entry(home).or_default().push(missing(measurement, limit));
                }
            }
        }
    }

    fn case(&self, component: Component, judgements: Vec<Judgement>, ending: &Ending, alike: &Alike) -> Case {
        let (mut outcome, mut reason) = self.of_judgements(&judgements, alike);
        // Proof stays proof, whatever ended the step; short of that an ending other than the check's own decides.
        if *ending != Ending::Measured && outcome != Outcome::Fail {
            (outcome, reason) = of_ending(ending);
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
    fn proof(&self, component: Component) -> Option<(Outcome, CaseReason)> {
        let gpu = component.gpu_index();
        let mine = |other: Component| other == component || (gpu.is_some() && other.gpu_index() == gpu);
        if let Some(at) = gpu.and_then(|gpu| self.record.lost.get(&gpu)) {
            return Some((Outcome::Fail, reason("lost", format!("the GPU no longer answers since {at}"))));
        }
        let mismatches = self.record.mismatches.get(self.mismatches_from..).unwrap_or_default();
        if let Some((at, _, mismatch, _)) = mismatches.iter().find(|(_, _, mismatch, _)| Some(mismatch.gpu) == gpu) {
            return Some((Outcome::Fail, reason("mismatch", format!("wrong result from {} at {at}", mismatch.place))));
        }
        let trips = self.record.trips.get(self.trips_from..).unwrap_or_default();
        let (_, trip) = trips.iter().find(|(_, trip)| mine(trip.component))?;
        Some((trip.outcome(), reason("guard", format!("guard `{}`: {}", trip.guard, trip.text))))
    }

    fn of_judgements(&self, judgements: &[Judgement], alike: &Alike) -> (Outcome, Option<CaseReason>) {
        let mut worst = Outcome::Pass;
        let mut why = None;
        let mut decided = false;
        for judgement in judgements {
            let required = self.spec.measurement(&judgement.measurement.name).is_some_and(|spec| spec.required);
            let lacking = required && matches!(judgement.outcome, Judged::Unjudged(_));
            if !(judgement.decisive || lacking) {
                continue;
            }
            decided |= judgement.limit.is_some();
            let measurement = &judgement.measurement;
            let (outcome, reason) = match alike.get(&(measurement.name.clone(), measurement.component.kind())) {
                Some(parts) if judgement.outcome == Judged::Fail => of_all_alike(judgement, *parts),
                _ => of_judgement(judgement),
            };
            if outcome > worst {
                worst = outcome;
                why = reason;
            }
        }
        if !decided && worst < Outcome::Inconclusive {
            let text = "no limit applied, so nothing was judged".to_owned();
            return (Outcome::Inconclusive, Some(reason("no-limit", text)));
        }
        (worst, why)
    }
}

fn missing(measurement: Measurement, limit: Option<&Limit>) -> Judgement {
    Judgement {
        measurement,
        limit: limit.map(|limit| limit.text.clone()),
        range: Range::default(),
        outcome: Judged::Unjudged(Unjudged::NotMeasured),
        code: limit.and_then(|limit| limit.code.clone()),
        decisive: limit.is_none_or(|limit| limit.decisive),
        miss: limit.map(|limit| limit.miss).unwrap_or_default(),
        source: limit.and_then(|limit| limit.source.clone()),
        waiver: None,
    }
}

/// Whether the value is below its range; what is no number has but one side.
fn is_low(judgement: &Judgement) -> bool {
    judgement.measurement.as_number().zip(judgement.range.low).is_some_and(|(value, low)| value < low)
}

fn of_all_alike(judgement: &Judgement, parts: usize) -> (Outcome, Option<CaseReason>) {
    let limit = judgement.limit.as_deref().unwrap_or("no limit");
    let text = format!("{}; all {parts} parts alike, so it is none of them alone", told(judgement, limit));
    (Outcome::Inconclusive, Some(reason(ALIKE, text)))
}

fn of_judgement(judgement: &Judgement) -> (Outcome, Option<CaseReason>) {
    let name = &judgement.measurement.name;
    let limit = judgement.limit.as_deref().unwrap_or("no limit");
    match &judgement.outcome {
        Judged::Pass => (Outcome::Pass, None),
        Judged::Marginal => (Outcome::Marginal, Some(reason("marginal", told(judgement, limit)))),
        Judged::Fail => {
            if let Some(waiver) = &judgement.waiver {
                (Outcome::Waived, Some(reason("waived", waiver.clone())))
            } else {
                let outcome = match judgement.miss {
                    Miss::Proof => Outcome::Fail,
                    Miss::Suspicion => Outcome::Inconclusive,
                };
                (outcome, Some(reason("limit", told(judgement, limit))))
            }
        }
        Judged::Unjudged(Unjudged::NotMeasured) => (
            Outcome::Error,
            Some(reason("not-measured", format!("`{name}` was not measured: {}", judgement.measurement.shown()))),
        ),
        Judged::Unjudged(Unjudged::Unsupported) => (
            Outcome::Error,
            Some(reason("unsupported", format!("`{name}` is not supported by this part, and the profile requires it"))),
        ),
        Judged::Unjudged(Unjudged::NoReference(what)) => (
            Outcome::Inconclusive,
            Some(reason(
                "no-reference",
                format!("`{name}` has limit `{limit}`, and there is no {what} to compare with"),
            )),
        ),
    }
}

fn told(judgement: &Judgement, limit: &str) -> String {
    let unit = judgement.measurement.unit;
    let shown = |value: f64| Quantity::new(value, unit).to_string();
    let measured = judgement.measurement.shown();
    let range = match (judgement.range.low, judgement.range.high) {
        (Some(low), Some(high)) if low == high => format!(" ({})", shown(low)),
        (Some(low), Some(high)) => format!(" ({} to {})", shown(low), shown(high)),
        (Some(end), None) | (None, Some(end)) => format!(" ({})", shown(end)),
        (None, None) => String::new(),
    };
    format!("{} {measured}, limit {limit}{range}", judgement.measurement.name)
}

fn of_ending(ending: &Ending) -> (Outcome, Option<CaseReason>) {
    match ending {
        Ending::Measured => (Outcome::Pass, None),
        Ending::Failed { kind, why } => (Outcome::Error, Some(reason(kind, why.clone()))),
        Ending::Undecided { kind, why } => (Outcome::Inconclusive, Some(reason(kind, why.clone()))),
        Ending::Stopped { kind, why, outcome } => (*outcome, Some(reason(kind, why.clone()))),
    }
}

pub(super) fn reason(kind: &str, text: String) -> CaseReason {
    CaseReason { kind: kind.to_owned(), text }
}
