//! How long an agent waits before it calls a floor again that did not answer.

use std::time::Duration;

/// The first pause after a call without an answer; each further one is twice as long, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The pause after the n-th call in a row that got no answer: doubled each time, and spread over its upper half.
pub(super) fn pause(unanswered: u32, jitter: f64) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(1 << unanswered.min(6)).min(LONGEST_PAUSE);
    longest.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
}
