//! What a run's record says to the floor. No word that was sent counts: the verdict is rolled up again from the cases.

use kiln_event::{RunKind, RunRecord, roll_up};
use kiln_model::Reading;
use kiln_wire::RunId;

use super::event::{LotSay, RunFacts};

/// Why a record says nothing of a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoFacts {
    #[error("the journal says it is run {found}, and it was sent as {sent}")]
    OtherRun { found: String, sent: RunId },
    #[error("the journal has no end of the run")]
    Unfinished,
}

impl RunFacts {
    /// What the record of a copy says that was sent as `run`.
    pub fn of(record: &RunRecord, run: &RunId) -> Result<Self, NoFacts> {
        let Some(start) = record.start.as_deref().filter(|_| record.verdict.is_some()) else {
            return Err(NoFacts::Unfinished);
        };
        if start.run_id != run.as_str() {
            return Err(NoFacts::OtherRun { found: start.run_id.clone(), sent: run.clone() });
        }
        let said = record.inventory.as_ref().map(|inventory| &inventory.node.serial);
        // `To be filled by O.E.M.` and its like are no serial numbers: the node says none.
        let serial = match said {
            Some(Reading::Value(text)) => text.trim().parse().ok(),
            _ => None,
        };
        let mut codes: Vec<String> = Vec::new();
        for finding in &record.findings {
            if !codes.contains(&finding.code) {
                codes.push(finding.code.clone());
            }
        }
        Ok(Self {
            run: run.clone(),
            verdict: roll_up(record).word,
            partial: start.kind != RunKind::Production,
            serial,
            profile_digest: start.profile_digest.clone(),
            codes,
            source: Some(start.source.clone()),
            lot: lot(record),
            parts: start.parts.as_ref().and_then(|parts| parts.digest.parse().ok()),
        })
    }
}

/// Whether a value that counts was held against the lot: a lot that lacks the unit's chassis, model and places has no say.
fn lot(record: &RunRecord) -> LotSay {
    let steps = record.decisive_steps();
    let mut judgements = steps.iter().flat_map(|step| &step.cases).flat_map(|case| &case.judgements);
    if judgements.any(|one| one.lot.is_some() && one.measurement.as_number().is_some()) {
        LotSay::Judged
    } else {
        LotSay::None
    }
}
