//! The run's clock for threads that nobody hands the time to.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use kiln_model::Moment;

/// Follows the moments the driver hands in, and counts on from the last one.
#[derive(Debug)]
pub(super) struct RunClock {
    anchor: Mutex<(Instant, Moment)>,
}

#[expect(clippy::disallowed_methods, reason = "an adapter: calls of a real library take real time")]
impl RunClock {
    pub(super) fn new() -> Self {
        Self { anchor: Mutex::new((Instant::now(), Moment::ZERO)) }
    }

    /// The driver says what time it is.
    pub(super) fn set(&self, now: Moment) {
        *self.anchor.lock().unwrap_or_else(PoisonError::into_inner) = (Instant::now(), now);
    }

    pub(super) fn now(&self) -> Moment {
        let (read, moment) = *self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        moment + read.elapsed()
    }
}
