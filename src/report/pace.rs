//! How often something is done on the wall clock, asked so often that even looking at the clock would cost.

use std::time::Duration;

/// Time on a clock of the machine that only goes forward; where it starts does not matter.
pub type WallClock = fn() -> Duration;

/// Says when it is time again.
#[derive(Debug)]
pub struct Pace {
    clock: WallClock,
    period: Duration,
    next: Duration,
    calls: u32,
    window_began: Duration,
    /// Calls come so thick that one look at the clock in [`WINDOW`] is enough.
    thick: bool,
}

/// Eight GPUs sampled once a second give this many calls in eight seconds; a run in virtual time in some microseconds.
const WINDOW: u32 = 64;

/// A window no longer than this is thick: at worst a tenth of what the eye sees as at once (0.1 s).
const THICK: Duration = Duration::from_millis(10);

impl Pace {
    pub fn new(clock: WallClock, period: Duration) -> Self {
        let now = clock();
        Self { clock, period, next: now, calls: 0, window_began: now, thick: false }
    }

    /// Whether the period has passed since this was last true.
    pub fn is_due(&mut self) -> bool {
        self.calls += 1;
        if self.thick && self.calls < WINDOW {
            return false;
        }
        let now = (self.clock)();
        if self.calls >= WINDOW {
            self.thick = now.saturating_sub(self.window_began) <= THICK;
            self.window_began = now;
            self.calls = 0;
        }
        let due = now >= self.next;
        if due {
            self.next = now + self.period;
        }
        due
    }

    /// Does `work` and puts the next time off so far that at most this share of the time goes into it.
    pub fn spend<T>(&mut self, share: f64, work: impl FnOnce() -> T) -> T {
        let began = (self.clock)();
        let done = work();
        let now = (self.clock)();
        self.next = now + self.period.max(now.saturating_sub(began).div_f64(share));
        done
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn slow_calls_are_each_looked_at() {
        static NOW: AtomicU64 = AtomicU64::new(0);
        let mut pace = Pace::new(|| Duration::from_millis(NOW.load(Ordering::Relaxed)), Duration::from_millis(100));
        let mut due = 0;
        for _ in 0..200 {
            NOW.fetch_add(50, Ordering::Relaxed);
            due += u32::from(pace.is_due());
        }
        assert_eq!(due, 100);
    }

    #[test]
    fn thick_calls_hardly_look_at_the_clock() {
        static LOOKS: AtomicU64 = AtomicU64::new(0);
        let mut pace =
            Pace::new(|| Duration::from_micros(LOOKS.fetch_add(1, Ordering::Relaxed)), Duration::from_secs(1));
        let due = (0..64_000).filter(|_| pace.is_due()).count();
        assert_eq!(due, 1);
        assert!(LOOKS.load(Ordering::Relaxed) < 1_200);
    }
}
