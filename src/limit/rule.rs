//! What a value is held against, and the form in which a judgement is written: flat, with the rule's parts between its own.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Judged, Judgement, LotRange, Measurement, Miss, Range, Ruling, WaiverUse};

/// The limit and all that goes with it. A step judges by the same rules in every round of a run, so that judgements share them.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The limit as the profile has it; `None` for a measurement that is only told.
    pub limit: Option<String>,
    pub code: Option<String>,
    pub decisive: bool,
    /// What a miss says, where it counts.
    pub miss: Miss,
    pub source: Option<String>,
    /// The waiver that covers a fail.
    pub waiver: Option<WaiverUse>,
    /// What the value was held against beside its limit, where the profile asks for it and the run was given a lot.
    pub lot: Option<LotRange>,
    /// How near to an end of its limit the gauge cannot tell inside from outside, where a gauge study is in force.
    pub guard_band: Option<f64>,
}

impl Rule {
    /// A decisive limit in words, with nothing else to it: no code, no waiver, no lot.
    pub fn new(limit: Option<&str>) -> Self {
        Self {
            limit: limit.map(str::to_owned),
            code: None,
            decisive: true,
            miss: Miss::Proof,
            source: None,
            waiver: None,
            lot: None,
            guard_band: None,
        }
    }

    /// Whether nothing that is written of it differs: zero and minus zero are equal, and not written alike.
    pub(super) fn is_to_the_bit(&self, other: &Self) -> bool {
        let ends = |rule: &Self| rule.lot.map(|lot| [lot.low.to_bits(), lot.high.to_bits()]);
        let band = |rule: &Self| rule.guard_band.map(f64::to_bits);
        self == other && ends(self) == ends(other) && band(self) == band(other)
    }
}

/// A judgement as journals and documents have it.
#[derive(Serialize)]
#[serde(rename = "Judgement")]
struct Written<'a> {
    measurement: &'a Measurement,
    limit: &'a Option<String>,
    range: Range,
    outcome: &'a Judged,
    code: &'a Option<String>,
    decisive: bool,
    #[serde(skip_serializing_if = "Miss::is_proof")]
    miss: Miss,
    source: &'a Option<String>,
    waiver: &'a Option<WaiverUse>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lot: Option<LotRange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guard_band: Option<f64>,
}

/// The same, read back.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename = "Judgement")]
struct Read {
    measurement: Measurement,
    limit: Option<String>,
    range: Range,
    outcome: Judged,
    code: Option<String>,
    decisive: bool,
    #[serde(default)]
    miss: Miss,
    source: Option<String>,
    waiver: Option<WaiverUse>,
    #[serde(default)]
    lot: Option<LotRange>,
    #[serde(default)]
    guard_band: Option<f64>,
}

impl Serialize for Judgement {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self { measurement, ruling } = self;
        let Ruling { range, outcome, rule } = &**ruling;
        let Rule { limit, code, decisive, miss, source, waiver, lot, guard_band } = &**rule;
        Written {
            measurement,
            limit,
            range: *range,
            outcome,
            code,
            decisive: *decisive,
            miss: *miss,
            source,
            waiver,
            lot: *lot,
            guard_band: *guard_band,
        }
        .serialize(to)
    }
}

impl<'de> Deserialize<'de> for Judgement {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let read = Read::deserialize(from)?;
        let Read { measurement, limit, range, outcome, code, decisive, miss, source, waiver, lot, guard_band } = read;
        let rule = Arc::new(Rule { limit, code, decisive, miss, source, waiver, lot, guard_band });
        Ok(Self { measurement, ruling: Arc::new(Ruling { range, outcome, rule }) })
    }
}
