//! What version 1.0 of the journal left in words. Only journals of that version come here.
//!
//! It recorded reasons, evidence and causes as English sentences, and did not record how a step ended.

use serde::{Deserialize, Deserializer};

use super::{Case, Ground, Outcome, Reason, ReasonKind, StepEnding, TripCause};

/// Stands in the reason of a step that a guard ended, between the guard's name and the component it tripped on.
const TRIPPED_ON: &str = "` tripped on ";
/// Begins the cause of a trip for an Xid, before its number.
const XID: &str = "Xid ";

impl StepEnding {
    /// The ending of a step whose journal does not record it: any but the check's own shows in every case that did not
    /// fail.
    pub fn of_journal_1_0(cases: &[Case]) -> Self {
        let ended = |reason: &Reason| match reason {
            Reason::Legacy { kind: ReasonKind::Guard, text } => text.contains(TRIPPED_ON),
            // A guard both ends steps and is proof against the component it tripped on; other proof ends no step.
            reason => matches!(reason.kind().ground(), Ground::Guard | Ground::Ending),
        };
        let told = cases.iter().find_map(|case| Some((case.outcome, case.reason.as_ref().filter(|why| ended(why))?)));
        match told.map(|(outcome, reason)| (outcome, reason.clone())) {
            None => Self::Measured,
            Some((Outcome::Error, reason)) => Self::Failed(reason),
            Some((Outcome::Inconclusive, reason)) => Self::Undecided(reason),
            Some((outcome, reason)) => Self::Stopped { reason, outcome },
        }
    }
}

/// Reads the cause of a trip, which was a sentence: that of an Xid gives its number back.
pub(super) fn trip_cause<'de, D: Deserializer<'de>>(from: D) -> Result<TripCause, D::Error> {
    let cause = TripCause::deserialize(from)?;
    let TripCause::Legacy(text) = &cause else { return Ok(cause) };
    let code = text.strip_prefix(XID).and_then(|rest| rest.split_once(':')?.0.parse().ok());
    Ok(code.map_or(cause, |code| TripCause::Xid { code }))
}
