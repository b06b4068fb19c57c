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
    /// The waiver that covers a fail.
    pub waiver: Option<WaiverUse>,
}
