//! One run as statistics see it: whose it is, how it ended, what it measured, whether it counts.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::values::{Facts, Values};
use kiln_event::{RunKind, RunRecord, RunStart, Verdict, VerdictWord};
use kiln_model::{Component, WallTime};

/// What is measured where: the same over all runs that can be compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ValueKey {
    /// `stage.step`.
    pub step: String,
    pub measurement: String,
    pub component: Component,
}

impl fmt::Display for ValueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}[{}]", self.step, self.measurement, self.component)
    }
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    pub run_id: String,
    /// Of the node; a run without one is a unit of its own.
    pub serial: Option<String>,
    pub started: Option<WallTime>,
    /// `id revision n`.
    pub profile: String,
    pub profile_digest: String,
    pub simulated: bool,
    pub verdict: Option<Verdict>,
    pub kind: RunKind,
    /// Code and component of every finding.
    pub findings: Vec<(String, Component)>,
    /// Of the last round of every step.
    pub values: Values,
}

/// Why a run does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exclusion {
    /// A reference unit, whose result is known.
    Golden,
    Aborted,
    Partial,
    Unfinished,
    NothingJudged,
    /// Among runs of hardware.
    Simulated,
}

impl Exclusion {
    pub const fn shown(self) -> &'static str {
        match self {
            Self::Golden => "golden unit",
            Self::Aborted => "aborted",
            Self::Partial => "partial (--only or --gpus)",
            Self::Unfinished => "not finished",
            Self::NothingJudged => "nothing judged",
            Self::Simulated => "simulated, among runs of hardware",
        }
    }
}

/// The serial number of the node, or else the one that was typed.
pub fn serial(record: &RunRecord) -> Option<&String> {
    let node = record.inventory.as_ref().and_then(|inventory| inventory.node.serial.value());
    node.or(record.start.as_ref().and_then(|start| start.operation.serial.as_ref()))
}

/// `id revision n`.
pub fn profile_key(start: &RunStart) -> String {
    format!("{} revision {}", start.profile.id, start.profile.revision)
}

impl RunSummary {
    /// `None` of a record that has not even begun.
    pub fn of(record: &RunRecord) -> Option<Self> {
        Some(Self { values: values(record), ..Self::without_values(record)? })
    }

    /// Everything but its values, which are most of the work.
    pub(super) fn without_values(record: &RunRecord) -> Option<Self> {
        let start = record.start.as_deref()?;
        Some(Self {
            run_id: start.run_id.clone(),
            serial: serial(record).cloned(),
            started: record.started_wall,
            profile: profile_key(start),
            profile_digest: start.profile_digest.clone(),
            simulated: !start.source.is_hardware(),
            verdict: record.verdict.clone(),
            kind: start.kind,
            findings: record.findings.iter().map(|finding| (finding.code.clone(), finding.component)).collect(),
            values: Values::default(),
        })
    }

    /// Whose run it is.
    pub fn unit(&self) -> &str {
        self.serial.as_deref().unwrap_or(&self.run_id)
    }

    /// Whether it passed; what makes no claim has not.
    pub fn passed(&self) -> bool {
        self.verdict.as_ref().is_some_and(|verdict| verdict.word == VerdictWord::Pass)
    }

    /// Why it does not count by itself, if so. `golden` are serial numbers.
    pub fn exclusion(&self, golden: &[String]) -> Option<Exclusion> {
        let Some(verdict) = &self.verdict else { return Some(Exclusion::Unfinished) };
        if self.serial.as_ref().is_some_and(|serial| golden.contains(serial)) {
            Some(Exclusion::Golden)
        } else if self.kind != RunKind::Production || verdict.partial {
            Some(Exclusion::Partial)
        } else {
            match verdict.word {
                VerdictWord::Aborted => Some(Exclusion::Aborted),
                VerdictWord::Nothing => Some(Exclusion::NothingJudged),
                VerdictWord::Pass
                | VerdictWord::Fail
                | VerdictWord::Error
                | VerdictWord::Inconclusive
                | VerdictWord::Held => None,
            }
        }
    }
}

/// Every number of the last attempt of the last round of every step.
fn values(record: &RunRecord) -> Values {
    let steps = record.decisive_steps();
    let judgements = steps.iter().flat_map(|step| {
        step.cases.iter().flat_map(|case| &case.judgements).map(|judgement| (&step.key.path, judgement))
    });
    let values = judgements.filter_map(|(path, judgement)| {
        let measurement = &judgement.measurement;
        let key =
            ValueKey { step: path.clone(), measurement: measurement.name.clone(), component: measurement.component };
        let facts = Facts { unit: measurement.unit, limit: judgement.limit.clone(), range: judgement.range };
        Some((key, measurement.as_number()?, facts))
    });
    values.collect()
}
