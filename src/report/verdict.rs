//! The verdict a report shows, of a run that ended or of one that has not.

use std::borrow::Cow;

use kiln_event::{RunRecord, Verdict, VerdictWord, roll_up};

/// The recorded verdict; before the end, what the record says so far. A run that has not come to its end has not passed.
pub(super) fn verdict_so_far(record: &RunRecord) -> Cow<'_, Verdict> {
    if let Some(verdict) = &record.verdict {
        return Cow::Borrowed(verdict);
    }
    let mut verdict = roll_up(record);
    if verdict.word == VerdictWord::Pass {
        (verdict.word, verdict.marginal, verdict.retried) = (VerdictWord::Inconclusive, false, false);
    }
    Cow::Owned(verdict)
}
