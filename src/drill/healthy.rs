//! Runs on healthy nodes: how often a profile fails what is well.

use serde::{Deserialize, Serialize};

use super::proof::{Says, proofs};
use kiln_event::{RunRecord, VerdictWord, roll_up};
use kiln_lot::{Interval, wilson_95};

/// One run on a healthy node.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthyRun {
    pub node: String,
    pub seed: u64,
    pub word: VerdictWord,
    /// What spoke against the node, if anything did.
    pub why: Option<String>,
    /// How long it ran, in seconds.
    pub seconds: f64,
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
}

impl HealthyRun {
    pub fn of(record: &RunRecord, node: &str, seed: u64) -> Self {
        let word = record.verdict.as_ref().map_or_else(|| roll_up(record).word, |verdict| verdict.word);
        let proofs = proofs(record);
        let strongest = proofs.iter().find(|proof| proof.says == Says::Fail).or(proofs.first());
        let why = strongest.map(|proof| {
            let step = proof.step.as_deref().unwrap_or("between steps");
            format!("{step} {} on {}", proof.by, proof.component)
        });
        Self { node: node.to_owned(), seed, word, why, seconds: record.last_at.seconds() }
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
    let why = run.why.clone().unwrap_or_else(|| "nothing spoke against it".to_owned());
    Some(FalseAlarm { seed: run.seed, verdict: run.word, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_but_a_pass_is_an_alarm() {
        let run = |seed, word| HealthyRun { node: "hgx".to_owned(), seed, word, why: None, seconds: 60.0 };
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
