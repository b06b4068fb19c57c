//! What came of holding a measurement against a limit.

use serde::{Deserialize, Serialize};

use super::{Measurement, Miss, NoReference, WaiverUse};

/// The outcome of one judgement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judged {
    Pass,
    /// Inside the limit, outside the marginal bound.
    Marginal,
    /// Inside the limit, and apart from what the good units of its lot measured.
    Outlier,
    Fail,
    /// No judgement could be made; never a pass.
    Unjudged(Unjudged),
}

/// Why no judgement could be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unjudged {
    /// There is no value; the measurement says why.
    NotMeasured,
    Unsupported,
    /// The SKU has no such fact, there are too few peers, or no baseline is given.
    NoReference(NoReference),
}

/// The absolute bounds that were in force once references were resolved, in the measurement's unit.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    pub low: Option<f64>,
    pub high: Option<f64>,
}

/// Where the good units of a lot lie, as far apart as the lot's false-alarm budget allows, in the measurement's unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LotRange {
    pub low: f64,
    pub high: f64,
    /// Of how many units the lot's facts are.
    pub units: usize,
}

impl LotRange {
    /// The lot's middle: the range reaches as far to either side of it.
    pub const fn middle(&self) -> f64 {
        self.low.midpoint(self.high)
    }
}

/// One measurement held against one limit, with all that is needed to check it by hand later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judgement {
    pub measurement: Measurement,
    /// The limit as the profile has it; `None` for a measurement that is only told.
    pub limit: Option<String>,
    pub range: Range,
    pub outcome: Judged,
    pub code: Option<String>,
    pub decisive: bool,
    /// What a miss says, where it counts.
    #[serde(default, skip_serializing_if = "Miss::is_proof")]
    pub miss: Miss,
    pub source: Option<String>,
    /// The waiver that covers a fail. Few have one, and a run of days has fifty thousand judgements.
    pub waiver: Option<Box<WaiverUse>>,
    /// What the value was held against beside its limit, where the profile asks for it and the run was given a lot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lot: Option<LotRange>,
    /// How near to an end of its limit the gauge cannot tell inside from outside, where a gauge study is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard_band: Option<f64>,
}

impl Judgement {
    /// A decisive judgement of a measurement against a limit in words, with nothing else to it: no code, no waiver, no lot.
    pub fn new(measurement: Measurement, limit: Option<&str>, range: Range, outcome: Judged) -> Self {
        Self {
            measurement,
            limit: limit.map(str::to_owned),
            range,
            outcome,
            code: None,
            decisive: true,
            miss: Miss::Proof,
            source: None,
            waiver: None,
            lot: None,
            guard_band: None,
        }
    }

    /// Holds the value against its lot as well. What is outside of the limit or was not judged stays so: a lot says
    /// nothing about physics.
    #[must_use]
    pub fn within_lot(mut self, lot: LotRange) -> Self {
        let inside = self.measurement.as_number().is_none_or(|value| value >= lot.low && value <= lot.high);
        if !inside && matches!(self.outcome, Judged::Pass | Judged::Marginal) {
            self.outcome = Judged::Outlier;
        }
        self.lot = Some(lot);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_judgement_is_small_because_a_run_of_days_holds_fifty_thousand() {
        assert!(size_of::<Judgement>() <= 304, "{} bytes", size_of::<Judgement>());
    }
}
