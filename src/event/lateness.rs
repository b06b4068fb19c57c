//! How far the host was behind its own clock: a measurement of the station, never of the unit.

use serde::{Deserialize, Serialize};

use kiln_model::{Moment, Span};

/// Share of the samples due that must be taken, in percent: what checks ask of a window before they speak of it.
const LEAST_TAKEN_PERCENT: u64 = 90;
/// A load tells of its work about once a second, and a slow pulse once in twenty: after this long it is late.
const LONGEST_SILENCE: Span = Span::from_secs(30);

/// What became of the moments at which something was due while a step ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Lateness {
    /// Samples of the node that were due.
    pub due: u32,
    /// Samples that were taken.
    pub taken: u32,
    /// How late the latest of them was.
    pub worst: Span,
    /// The longest that a load which told of its work was silent.
    pub silence: Span,
}

impl Lateness {
    /// A sample that was due at `due` is taken now; those due since are left out.
    pub fn sample(&mut self, due: Moment, now: Moment, every: Span) {
        let late = now.since(due);
        let left_out = if every.is_zero() { 0 } else { late.as_nanos() / every.as_nanos() };
        self.due = self.due.saturating_add(1).saturating_add(u32::try_from(left_out).unwrap_or(u32::MAX));
        self.taken = self.taken.saturating_add(1);
        self.worst = self.worst.max(late);
    }

    /// A load tells of its work after so long.
    pub fn told(&mut self, after: Span) {
        self.silence = self.silence.max(after);
    }

    /// Whether what was measured meanwhile may be lacking for it.
    pub fn matters(&self) -> bool {
        u64::from(self.taken) * 100 < u64::from(self.due) * LEAST_TAKEN_PERCENT || self.silence > LONGEST_SILENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_now_and_then_that_is_late_does_not_matter_and_a_host_that_leaves_them_out_does() {
        let every = Span::from_secs(1);
        let mut lateness = Lateness::default();
        for second in 0..100 {
            let due = Moment::from_secs(second);
            lateness.sample(due, due + Span::from_millis(400), every);
        }
        assert_eq!((lateness.due, lateness.taken), (100, 100));
        assert!(!lateness.matters(), "{lateness:?}");
        lateness.sample(Moment::from_secs(100), Moment::from_secs(112), every);
        assert_eq!((lateness.due, lateness.taken, lateness.worst), (113, 101, Span::from_secs(12)));
        assert!(lateness.matters(), "{lateness:?}");
    }

    #[test]
    fn a_load_that_was_silent_for_long_matters() {
        let mut lateness = Lateness::default();
        lateness.told(Span::from_secs(20));
        assert!(!lateness.matters());
        lateness.told(Span::from_secs(31));
        assert!(lateness.matters());
    }
}
