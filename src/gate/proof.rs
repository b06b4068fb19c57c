//! What the floor finds out about a run by reading its own copy. No word that was sent counts.

use std::path::Path;

use kiln_event::{RunKind, RunRecord, roll_up};
use kiln_floor::{LotSay, RunFacts};
use kiln_journal::JournalError;
use kiln_model::Reading;
use kiln_rundir::{Run, RunDir, RunDirError};
use kiln_wire::RunId;

/// Why a copy proves nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProofError {
    /// Trouble of the floor's own disk; it says nothing about the run.
    #[error("the copy cannot be read now: {0}")]
    Unreadable(RunDirError),
    #[error("{0}")]
    Unsound(RunDirError),
    #[error("the journal says it is run {found}, and it was sent as {sent}")]
    OtherRun { found: String, sent: RunId },
    #[error("the journal has no end of the run")]
    Unfinished,
    #[error("the run's seal cannot be kept now: {0}")]
    SealUnkept(std::io::Error),
    #[error("the run is not sealed by its agent's key")]
    Unsealed,
    #[error("the run's seal does not hold: {0}")]
    Seal(kiln_seal::SealError),
}

/// Reads a copy: the whole chain, and the verdict again from the cases.
pub(crate) fn read(folder: &Path) -> Result<(RunDir, Run), ProofError> {
    let sorted = |error| match error {
        RunDirError::Journal(JournalError::Io { .. }) | RunDirError::Unopened { .. } => ProofError::Unreadable(error),
        other => ProofError::Unsound(other),
    };
    let dir = RunDir::open(folder).map_err(sorted)?;
    let run = dir.run().map_err(sorted)?;
    Ok((dir, run))
}

/// What a whole copy says.
pub(crate) fn facts(folder: &Path, run: &RunId) -> Result<RunFacts, ProofError> {
    let (_, read) = read(folder)?;
    if read.torn || read.record.verdict.is_none() {
        return Err(ProofError::Unfinished);
    }
    of(&read.record, run)
}

fn of(record: &RunRecord, run: &RunId) -> Result<RunFacts, ProofError> {
    let Some(start) = record.start.as_deref() else { return Err(ProofError::Unfinished) };
    if start.run_id != run.as_str() {
        return Err(ProofError::OtherRun { found: start.run_id.clone(), sent: run.clone() });
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
    Ok(RunFacts {
        run: run.clone(),
        verdict: roll_up(record).word,
        partial: start.kind != RunKind::Production,
        serial,
        profile_digest: start.profile_digest.clone(),
        codes,
        source: Some(start.source.clone()),
        lot: lot(record),
    })
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
