//! How long this program did not run though it wanted to: a host that stands still, or gives its processors to others.
//!
//! A call that has not come back in time is a hang only while its thread could have run. A thread of our own looks at the clock ten
//! times a second, and what it misses counts for nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kiln_model::Span;

/// How often the clock is looked at.
const BEAT: Duration = Duration::from_millis(100);
/// A beat that comes so late has missed something; a busy machine of two cores is late by some tens of milliseconds.
const LATE: Duration = Duration::from_millis(350);

/// What the beats have missed.
#[derive(Debug, Clone)]
pub(super) struct Stalls(Arc<Beats>);

#[derive(Debug)]
struct Beats {
    began: Instant,
    /// Nanoseconds from `began` to the last beat, and of all that was missed before it.
    last: AtomicU64,
    missed: AtomicU64,
}

impl Stalls {
    /// Begins to look at the clock, as long as anybody wants to know.
    #[expect(clippy::disallowed_methods, reason = "an adapter: what is measured is how the machine keeps real time")]
    pub(super) fn watch() -> std::io::Result<Self> {
        let beats = Arc::new(Beats { began: Instant::now(), last: AtomicU64::new(0), missed: AtomicU64::new(0) });
        let wanted = Arc::downgrade(&beats);
        thread::Builder::new().name("stalls".to_owned()).spawn(move || {
            loop {
                thread::sleep(BEAT);
                let Some(beats) = wanted.upgrade() else { return };
                beats.beat(beats.elapsed());
            }
        })?;
        Ok(Self(beats))
    }

    /// All that was missed until now, a beat that is due since long included.
    pub(super) fn missed(&self) -> Span {
        self.0.missed_at(self.0.elapsed())
    }
}

impl Beats {
    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn beat(&self, now: Duration) {
        let missed = nanos(self.missed_at(now));
        // In this order: who looks in between counts a little too much as missed, and waits a little longer.
        self.missed.store(missed, Ordering::SeqCst);
        self.last.store(nanos(now), Ordering::SeqCst);
    }

    fn missed_at(&self, now: Duration) -> Duration {
        let last = Duration::from_nanos(self.last.load(Ordering::SeqCst));
        let missed = Duration::from_nanos(self.missed.load(Ordering::SeqCst));
        let since = now.saturating_sub(last);
        missed + if since > LATE { since.saturating_sub(BEAT) } else { Duration::ZERO }
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the start of the beats; all else is told")]
    fn what_the_beats_miss_is_counted_at_once_and_only_once() {
        let beats = Beats { began: Instant::now(), last: AtomicU64::new(0), missed: AtomicU64::new(0) };
        let at = Duration::from_millis;
        for time in (100..=1000).step_by(100) {
            beats.beat(at(time));
        }
        assert_eq!(beats.missed_at(at(1300)), Duration::ZERO, "a little late");
        assert_eq!(beats.missed_at(at(6000)), at(4900), "seen before the beat comes");
        beats.beat(at(6000));
        beats.beat(at(6100));
        assert_eq!(beats.missed_at(at(6200)), at(4900));
    }
}
