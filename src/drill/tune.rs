//! What limits a false-alarm budget asks for, and what they would cost in detection.
//!
//! A limit is moved in its own number: the share in `<= 115 % of peers`, the kelvins in `<= peers + 5 K`. Of every healthy
//! run the value nearest to (or farthest beyond) the limit counts, over all parts and rounds, since one part out of eight is
//! enough for a false alarm. The greatest of many values is distributed as Gumbel says (Statistics of Extremes, 1958), so
//! that two hundred runs tell where one in ten thousand would lie, within what two hundred runs can tell.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts become floats far below 2^53, and floats become counts that were bounded before"
)]

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::proof::{Says, proofs};
use kiln_event::{Outcome, RunRecord, standings};
use kiln_limit::{Bound, Judged, Judgement, Term};
use kiln_model::Unit;

/// Healthy runs without which nothing is proposed: the deviation of fewer is a guess.
pub const LEAST_HEALTHY: usize = 100;

/// How one run lies beside the limits that can be moved.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Look {
    /// The worst value of each, in the limit's own number.
    worst: BTreeMap<Movable, f64>,
    missed: BTreeSet<Movable>,
    /// Something else speaks against the unit: a guard, a wrong result, a limit that is met or not.
    otherwise: bool,
}

/// A limit with one end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Movable {
    /// `stage.step.measurement`.
    value: String,
    side: Side,
    /// The limit as it stands, and with `{}` for its number.
    text: String,
    form: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    AtLeast,
    AtMost,
}

/// One limit, and where it might lie.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Proposal {
    /// `stage.step.measurement`.
    pub value: String,
    pub now: String,
    pub proposed: String,
    /// The worst of all healthy runs, in the limit's own number.
    pub healthy_worst: f64,
    /// Runs with a fault that this limit alone catches now, and would not as proposed.
    pub lost: usize,
    /// Runs with a fault that escape now, and that it would catch as proposed.
    pub gained: usize,
}

/// All proposals of a drill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tuning {
    /// Share of healthy nodes that may be failed or held up, over all limits, in percent.
    pub budget_percent: f64,
    pub healthy: usize,
    pub runs: usize,
    /// Runs with a fault in which anything speaks against the unit: now, and with all limits as proposed.
    pub caught_now: usize,
    pub caught_as_proposed: usize,
    pub proposals: Vec<Proposal>,
}

/// Which side the limit bounds, and its form without its number.
fn numbered(bound: &Bound) -> Option<(Side, String)> {
    let (side, sign, term) = match bound {
        Bound::AtLeast(term) => (Side::AtLeast, ">=", term),
        Bound::AtMost(term) => (Side::AtMost, "<=", term),
        _ => return None,
    };
    let form = match term {
        Term::Share { of, .. } => format!("{sign} {{}} % of {of}"),
        Term::Offset { of, plus } => format!("{sign} {of} + {{}} {}", plus.unit),
        // Zero is no number that was chosen.
        Term::Absolute(quantity) if quantity.value == 0.0 => return None,
        Term::Absolute(quantity) if quantity.unit == Unit::One => format!("{sign} {{}}"),
        Term::Absolute(quantity) => format!("{sign} {{}} {}", quantity.unit),
    };
    Some((side, form))
}

/// Where the value lies in the limit's own number: the number with which it would just be met.
fn own_number(bound: &Bound, judgement: &Judgement) -> Option<f64> {
    let (Bound::AtLeast(term) | Bound::AtMost(term)) = bound else { return None };
    let value = judgement.measurement.as_number()?;
    let end = judgement.range.low.or(judgement.range.high)?;
    let number = match term {
        Term::Share { percent, .. } => (end != 0.0).then(|| percent * value / end)?,
        Term::Offset { plus, .. } => value - end + plus.value,
        Term::Absolute(quantity) => (end != 0.0).then(|| quantity.value * value / end)?,
    };
    number.is_finite().then_some(number)
}

impl Look {
    pub fn of(record: &RunRecord) -> Self {
        let mut look = Self::default();
        let plan = record.plan.iter().flat_map(|plan| plan.stages.iter().flat_map(|stage| &stage.steps));
        let limits: BTreeMap<(&str, &str), &Bound> = plan
            .flat_map(|step| {
                step.step.limits.iter().map(|(name, limit)| ((step.path.as_str(), name.as_str()), &limit.bound))
            })
            .collect();
        for standing in standings(record) {
            let path = standing.step.key.path.as_str();
            let mut explained = false;
            for judgement in standing.case.judgements.iter().filter(|one| one.decisive) {
                let bound = limits.get(&(path, judgement.measurement.name.as_str()));
                let movable = bound.and_then(|bound| {
                    let (side, form) = numbered(bound)?;
                    let value = format!("{path}.{}", judgement.measurement.name);
                    Some((Movable { value, side, text: bound.to_string(), form }, own_number(bound, judgement)?))
                });
                let missed = judgement.outcome == Judged::Fail && judgement.waiver.is_none();
                match movable {
                    Some((movable, number)) => {
                        explained |= missed;
                        look.take(movable, number, missed);
                    }
                    None => look.otherwise |= missed,
                }
            }
            let speaks = matches!(standing.outcome, Outcome::Fail | Outcome::Inconclusive | Outcome::Error);
            look.otherwise |= speaks && !explained;
        }
        // What was known in the middle of a step, such as a wrong result, is proof whatever the limits say.
        look.otherwise |= !record.trips.is_empty() || !record.mismatches.is_empty() || !record.lost.is_empty();
        look.otherwise |= proofs(record).iter().any(|proof| proof.step.is_none() && proof.says == Says::Fail);
        look
    }

    fn take(&mut self, movable: Movable, number: f64, missed: bool) {
        if missed {
            self.missed.insert(movable.clone());
        }
        let side = movable.side;
        let worst = self.worst.entry(movable).or_insert(number);
        *worst = match side {
            Side::AtLeast => worst.min(number),
            Side::AtMost => worst.max(number),
        };
    }

    fn is_caught(&self, bounds: &BTreeMap<&Movable, f64>) -> bool {
        self.otherwise
            || self.worst.iter().any(|(movable, number)| match bounds.get(movable) {
                Some(bound) => beyond(movable.side, *number, *bound),
                None => self.missed.contains(movable),
            })
    }
}

fn beyond(side: Side, number: f64, bound: f64) -> bool {
    match side {
        Side::AtLeast => number < bound,
        Side::AtMost => number > bound,
    }
}

/// Proposes limits. `budget_percent`: share of healthy nodes that may be failed or held up, over all limits.
pub fn tune(healthy: &[Look], faulty: &[Look], budget_percent: f64) -> Tuning {
    let movables: BTreeSet<&Movable> = healthy.iter().flat_map(|look| look.worst.keys()).collect();
    let share = budget_percent / 100.0 / movables.len().max(1) as f64;
    let mut bounds: BTreeMap<&Movable, (f64, f64)> = BTreeMap::new();
    for movable in movables {
        let worst: Vec<f64> = healthy.iter().filter_map(|look| look.worst.get(movable).copied()).collect();
        if worst.len() >= LEAST_HEALTHY
            && let Some(bound) = bound(movable.side, &worst, share)
        {
            bounds.insert(movable, bound);
        }
    }
    let proposed: BTreeMap<&Movable, f64> = bounds.iter().map(|(movable, (bound, _))| (*movable, *bound)).collect();
    let nothing = BTreeMap::new();
    let now: Vec<bool> = faulty.iter().map(|look| look.is_caught(&nothing)).collect();
    let proposals = bounds.iter().map(|(movable, (bound, worst))| {
        let alone = BTreeMap::from([(*movable, *bound)]);
        let after: Vec<bool> = faulty.iter().map(|look| look.is_caught(&alone)).collect();
        let changed = |from: bool| now.iter().zip(&after).filter(|(one, two)| **one == from && **two != from).count();
        Proposal {
            value: movable.value.clone(),
            now: movable.text.clone(),
            proposed: movable.form.replace("{}", &shown(*bound)),
            healthy_worst: *worst,
            lost: changed(true),
            gained: changed(false),
        }
    });
    Tuning {
        budget_percent,
        healthy: healthy.len(),
        runs: faulty.len(),
        caught_now: now.iter().filter(|caught| **caught).count(),
        caught_as_proposed: faulty.iter().filter(|look| look.is_caught(&proposed)).count(),
        proposals: proposals.collect(),
    }
}

/// Euler's constant, by which the mean of a Gumbel distribution lies beside its mode.
const EULER: f64 = 0.577_215_664_9;

/// The bound that a share of healthy runs passes, and the worst that was seen. `None` where all are the same.
fn bound(side: Side, worst: &[f64], share: f64) -> Option<(f64, f64)> {
    // Mirrored, so that the worst is always the greatest.
    let sign = if side == Side::AtMost { 1.0 } else { -1.0 };
    let values: Vec<f64> = worst.iter().map(|value| sign * value).collect();
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    if deviation <= 0.0 {
        return None;
    }
    // Gumbel by moments: scale from the deviation, place from the mean and Euler's constant.
    let scale = deviation * 6.0_f64.sqrt() / std::f64::consts::PI;
    let expected = mean - EULER * scale - scale * (-(1.0 - share).ln()).ln();
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Some((sign * expected.max(greatest), sign * greatest))
}

/// Three digits that count.
fn shown(number: f64) -> String {
    let digits = (2 - number.abs().max(1e-12).log10().floor() as i32).clamp(0, 6);
    let text = format!("{number:.*}", digits as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Lines for the terminal: what would change much first.
pub(super) fn tuning_text(tuning: &Tuning) -> String {
    use std::fmt::Write as _;
    let mut text = format!(
        "\nLimits for {} % of healthy nodes not passed, from {} healthy runs; with all of them {} of {} runs with a fault are caught, now {}:\n",
        tuning.budget_percent, tuning.healthy, tuning.caught_as_proposed, tuning.runs, tuning.caught_now
    );
    if tuning.proposals.is_empty() {
        let _ = writeln!(text, "  none: at least {LEAST_HEALTHY} healthy runs are needed (--healthy)");
    }
    for one in &tuning.proposals {
        let _ = writeln!(
            text,
            "  {}: now \"{}\", proposed \"{}\"; the worst healthy run {}; {} runs lost, {} gained",
            one.value,
            one.now,
            one.proposed,
            shown(one.healthy_worst),
            one.lost,
            one.gained
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn movable() -> Movable {
        Movable {
            value: "soak.heat.thermal.resistance".to_owned(),
            side: Side::AtMost,
            text: "<= 150 % of peers".to_owned(),
            form: "<= {} % of peers".to_owned(),
        }
    }

    fn look(number: f64, missed: bool) -> Look {
        let mut look = Look::default();
        look.take(movable(), number, missed);
        look
    }

    #[test]
    fn a_bound_lies_beyond_the_healthy_and_costs_what_it_no_longer_catches() {
        // 100 to 104 %: a limit of 150 % is far looser than a budget of 1 % asks for.
        let healthy: Vec<Look> = (0..200).map(|nth| look(100.0 + f64::from(nth % 41) / 10.0, false)).collect();
        let faulty = [look(160.0, true), look(120.0, false), look(101.0, false)];
        let tuning = tune(&healthy, &faulty, 1.0);
        let one = &tuning.proposals[0];
        assert_eq!((tuning.caught_now, tuning.caught_as_proposed, one.lost, one.gained), (1, 2, 0, 1));
        let number: f64 = one.proposed.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("a number");
        assert!((104.0..112.0).contains(&number), "{}", one.proposed);
        // A tighter budget asks for more.
        let tighter = tune(&healthy, &faulty, 0.01);
        assert!(tighter.proposals[0].proposed != one.proposed);
    }

    #[test]
    fn few_healthy_runs_propose_nothing() {
        let healthy: Vec<Look> = (0..50).map(|nth| look(f64::from(nth), false)).collect();
        assert!(tune(&healthy, &[], 1.0).proposals.is_empty());
    }

    #[test]
    fn numbers_are_as_short_as_they_are_good() {
        assert_eq!([115.234, 0.012_345, 3.0, 1234.5].map(shown), ["115", "0.0123", "3", "1234"]);
    }
}
