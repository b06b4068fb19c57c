//! What comes out otherwise when a run is judged again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use kiln_event::{Outcome, RunRecord, Standing, Verdict, roll_up, standings};
use kiln_limit::{Judged, Judgement, Measurement};
use kiln_model::Component;

/// One case that comes out otherwise, or whose values do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub step: String,
    pub round: u32,
    pub component: Component,
    /// None where there was, or is, no such case.
    pub before: Option<Outcome>,
    pub after: Option<Outcome>,
    pub values: Vec<ValueChange>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ValueChange {
    pub measurement: String,
    pub component: Component,
    /// For people as they read it; a form that is for programs alone has it whole.
    #[serde(serialize_with = "super::quantity")]
    pub value: Measurement,
    pub limit_before: Option<String>,
    pub limit_after: Option<String>,
    pub before: Option<Judged>,
    pub after: Option<Judged>,
}

/// Both verdicts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdicts {
    pub before: Verdict,
    pub after: Verdict,
}

type Cases<'a> = BTreeMap<(String, u32, Component), (Outcome, &'a [Judgement])>;

fn cases(record: &RunRecord) -> Cases<'_> {
    let key = |one: &Standing<'_>| (one.step.key.path.clone(), one.step.key.round, one.case.component);
    standings(record).iter().map(|one| (key(one), (one.outcome, one.case.judgements.as_slice()))).collect()
}

/// The verdicts, and every case that differs, in the order of the steps' names.
pub fn changes(before: &RunRecord, after: &RunRecord) -> (Verdicts, Vec<Change>) {
    let verdict = |record: &RunRecord| record.verdict.clone().unwrap_or_else(|| roll_up(record));
    let verdicts = Verdicts { before: verdict(before), after: verdict(after) };
    let (old, new) = (cases(before), cases(after));
    let mut keys: Vec<_> = old.keys().chain(new.keys()).collect();
    keys.sort();
    keys.dedup();
    let changes = keys.into_iter().filter_map(|key| {
        let (was, is) = (old.get(key), new.get(key));
        let values = value_changes(was.map_or(&[], |(_, all)| all), is.map_or(&[], |(_, all)| all));
        let (before, after) = (was.map(|(outcome, _)| *outcome), is.map(|(outcome, _)| *outcome));
        let (step, round, component) = key.clone();
        (before != after || !values.is_empty()).then_some(Change { step, round, component, before, after, values })
    });
    (verdicts, changes.collect())
}

fn value_changes(before: &[Judgement], after: &[Judgement]) -> Vec<ValueChange> {
    /// The judgement of the same value, which is nearly always at the same place.
    fn find<'j>(all: &'j [Judgement], place: usize, like: &Judgement) -> Option<&'j Judgement> {
        let like = &like.measurement;
        let same = |one: &&Judgement| one.measurement.component == like.component && one.measurement.name == like.name;
        all.get(place).filter(same).or_else(|| all.iter().find(same))
    }
    fn outcome(one: Option<&Judgement>) -> Option<(&Judged, bool)> {
        one.map(|one| (&one.outcome, one.waiver.is_some()))
    }
    let olds = before.iter().enumerate();
    let gone = olds.filter(|(place, old)| find(after, *place, old).is_none()).map(|(_, old)| (Some(old), None));
    let pairs = after.iter().enumerate().map(|(place, new)| (find(before, place, new), Some(new)));
    pairs
        .chain(gone)
        .filter(|(was, is)| outcome(*was) != outcome(*is))
        .filter_map(|(was, is)| {
            let told = &is.or(was)?.measurement;
            Some(ValueChange {
                measurement: told.name.clone(),
                component: told.component,
                value: told.clone(),
                limit_before: was.and_then(|one| one.limit.clone()),
                limit_after: is.and_then(|one| one.limit.clone()),
                before: was.map(|one| one.outcome.clone()),
                after: is.map(|one| one.outcome.clone()),
            })
        })
        .collect()
}
