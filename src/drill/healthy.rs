//! Runs on healthy nodes: how often a profile fails what is well.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::fmt;

use serde::{Deserialize, Serialize};

use super::proof::{Says, proofs};
use kiln_event::{RunRecord, VerdictWord, roll_up};
use kiln_lot::{Interval, wilson_95};
use kiln_model::Component;

/// One run on a healthy node.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthyRun {
    pub node: String,
    pub seed: u64,
    pub word: VerdictWord,
    /// What spoke against the node, if anything did.
    pub against: Option<Against>,
    /// How long it ran, in seconds.
    pub seconds: f64,
}

/// What spoke against a node in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Against {
    /// `stage.step`; `None` between steps.
    pub step: Option<String>,
    /// `limit thermal.resistance`, `guard lost`, `mismatch`, `GPU lost`.
    pub by: String,
    pub component: Component,
}

impl fmt::Display for Against {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = self.step.as_deref().unwrap_or("between steps");
        write!(f, "{step} {} on {}", self.by, self.component)
    }
}

/// The healthy runs of one kind of node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Healthy {
    pub node: String,
    pub tried: usize,
    /// Runs that ended in FAIL.
    pub false_alarms: usize,
    /// Runs that ended in anything else but PASS and HELD.
    pub without_verdict: usize,
    /// Runs that met every limit and were held as outliers of their lot: no alarm, and a share that the lot's budget allows.
    #[serde(default)]
    pub held: usize,
    /// 95 % Wilson interval of the share of both together.
    pub interval: Interval,
    /// How long a run takes, mean, in seconds.
    pub run_s: f64,
    pub alarms: Vec<FalseAlarm>,
}

/// A healthy node that was not passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FalseAlarm {
    pub seed: u64,
    pub verdict: VerdictWord,
    /// `burn.soak limit thermal.resistance on gpu/3`.
    pub why: String,
    /// The same as a fact, for the page. A document that is read back has the sentence alone.
    #[serde(skip)]
    pub against: Option<Against>,
}

impl HealthyRun {
    pub fn of(record: &RunRecord, node: &str, seed: u64) -> Self {
        let word = record.verdict.as_ref().map_or_else(|| roll_up(record).word, |verdict| verdict.word);
        let proofs = proofs(record);
        let strongest = proofs.iter().find(|proof| proof.says == Says::Fail).or(proofs.first());
        let against = strongest.map(|proof| Against {
            step: proof.step.clone(),
            by: proof.by.clone(),
            component: proof.component,
        });
        Self { node: node.to_owned(), seed, word, against, seconds: record.last_at.seconds() }
    }
}

impl Healthy {
    /// All runs on `node` among `runs`.
    pub fn of<'a>(node: &str, runs: impl IntoIterator<Item = &'a HealthyRun>) -> Self {
        let own: Vec<&HealthyRun> = runs.into_iter().filter(|run| run.node == node).collect();
        let alarms: Vec<FalseAlarm> = own.iter().filter_map(|run| alarm(run)).collect();
        let failed = alarms.iter().filter(|alarm| alarm.verdict == VerdictWord::Fail).count();
        let seconds: f64 = own.iter().map(|run| run.seconds).sum();
        Self {
            node: node.to_owned(),
            tried: own.len(),
            false_alarms: failed,
            without_verdict: alarms.len() - failed,
            held: own.iter().filter(|run| run.word == VerdictWord::Held).count(),
            interval: wilson_95(alarms.len(), own.len()),
            run_s: if own.is_empty() { 0.0 } else { seconds / own.len() as f64 },
            alarms,
        }
    }
}

fn alarm(run: &HealthyRun) -> Option<FalseAlarm> {
    if matches!(run.word, VerdictWord::Pass | VerdictWord::Held) {
        return None;
    }
    let why = run.against.as_ref().map_or_else(|| "nothing spoke against it".to_owned(), ToString::to_string);
    Some(FalseAlarm { seed: run.seed, verdict: run.word, why, against: run.against.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_but_a_pass_is_an_alarm() {
        let run = |seed, word| HealthyRun { node: "hgx".to_owned(), seed, word, against: None, seconds: 60.0 };
        let runs = [
            run(1, VerdictWord::Pass),
            run(2, VerdictWord::Fail),
            run(3, VerdictWord::Inconclusive),
            run(5, VerdictWord::Held),
            HealthyRun { node: "other".to_owned(), ..run(4, VerdictWord::Fail) },
        ];
        let healthy = Healthy::of("hgx", &runs);
        assert_eq!((healthy.tried, healthy.false_alarms, healthy.without_verdict, healthy.held), (4, 1, 1, 1));
        let seeds: Vec<u64> = healthy.alarms.iter().map(|alarm| alarm.seed).collect();
        assert_eq!(seeds, [2, 3]);
    }
}
