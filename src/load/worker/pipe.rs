//! The ground an engine works on: whether it must stop, when to begin, and the way out for what it has to say.
//!
//! Filling it from the pipe and from the lease is left to the main loop.

#![expect(clippy::cast_sign_loss, reason = "times and counts of a load are far below the end of any of these types")]

use std::io::Write;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::protocol::{FromWorker, encode};
use kiln_model::LoadSaid;

/// Without a renewal for this long the load stops itself: five renewals missed.
pub(super) const LEASE: Duration = Duration::from_secs(5);
/// An engine that does not leave within this time of a stop is held by the driver; the process then ends itself, which
/// is the only way left to take the work off the GPU.
pub(super) const LEAVE: Duration = Duration::from_secs(10);
/// How often an engine with nothing to tell says that it lives.
const ALIVE_EVERY: Duration = Duration::from_secs(1);

/// Why the work must stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    Told,
    /// The lease was not renewed.
    LeaseLost,
    /// The supervisor closed the pipe, or is gone.
    Abandoned,
    /// Its words cannot be delivered.
    Unheard,
}

#[derive(Debug)]
struct State {
    renewed: Instant,
    begin: Option<u64>,
    stop: Option<(Cause, Instant)>,
    over: bool,
}

/// The worker's two-way connection with its supervisor: what an engine tells goes out, orders to stop come in.
pub struct Pipe {
    state: Mutex<State>,
    changed: Condvar,
    out: Mutex<Out>,
}

struct Out {
    pipe: Box<dyn Write + Send>,
    spoke: Option<Instant>,
}

impl std::fmt::Debug for Pipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipe").field("state", &self.state).finish_non_exhaustive()
    }
}

/// A panic elsewhere must not keep anybody from stopping the load.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "an adapter: leases run on the clock of the world")]
fn instant() -> Instant {
    Instant::now()
}

impl Pipe {
    pub fn new(pipe: Box<dyn Write + Send>) -> Self {
        let state = State { renewed: instant(), begin: None, stop: None, over: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), out: Mutex::new(Out { pipe, spoke: None }) }
    }

    /// Whether the work must stop now.
    pub fn stopping(&self) -> bool {
        self.cause().is_some()
    }

    pub fn cause(&self) -> Option<Cause> {
        lock(&self.state).stop.map(|(cause, _)| cause)
    }

    /// Tells the supervisor.
    pub fn say(&self, said: LoadSaid) {
        self.send(&FromWorker::Said(said));
    }

    /// Says that the work goes on, if nothing was said for a second. To be called wherever the engine waits.
    pub fn beat(&self) {
        let due = lock(&self.out).spoke.is_none_or(|spoke| spoke.elapsed() >= ALIVE_EVERY);
        if due {
            self.send(&FromWorker::Alive);
        }
    }

    /// Says that everything is set up, and waits for the moment to begin, the same for all workers of the load. Gives
    /// that moment in nanoseconds of the monotonic clock, or nothing if the work is to stop instead.
    pub fn ready(&self) -> Option<u64> {
        self.send(&FromWorker::Ready);
        let mut state = lock(&self.state);
        loop {
            if state.stop.is_some() {
                return None;
            }
            if let Some(at) = state.begin {
                drop(state);
                return self.wait_until(at).then_some(at);
            }
            state = self.changed.wait_timeout(state, ALIVE_EVERY).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until a moment of the monotonic clock. False if the work is to stop before.
    pub fn wait_until(&self, at: u64) -> bool {
        let mut state = lock(&self.state);
        loop {
            if state.stop.is_some() {
                return false;
            }
            let left = at.saturating_sub(monotonic_nanos());
            if left == 0 {
                return true;
            }
            let span = Duration::from_nanos(left).min(ALIVE_EVERY);
            state = self.changed.wait_timeout(state, span).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits a little, for whoever looks again and again for something to be done.
    pub fn pause(&self, span: Duration) {
        let state = lock(&self.state);
        let _ = self.changed.wait_timeout(state, span).unwrap_or_else(PoisonError::into_inner);
    }

    pub(super) fn send(&self, message: &FromWorker) {
        let mut out = lock(&self.out);
        let sent = out.pipe.write_all(encode(message).as_bytes()).and_then(|()| out.pipe.flush());
        out.spoke = Some(instant());
        drop(out);
        if sent.is_err() {
            self.stop(Cause::Unheard);
        }
    }

    /// The first cause stays.
    pub(super) fn stop(&self, cause: Cause) {
        lock(&self.state).stop.get_or_insert((cause, instant()));
        self.changed.notify_all();
    }

    pub(super) fn renew(&self) {
        lock(&self.state).renewed = instant();
    }

    pub(super) fn begin(&self, at: u64) {
        lock(&self.state).begin = Some(at);
        self.changed.notify_all();
    }

    /// The engine has left.
    pub(super) fn over(&self) {
        lock(&self.state).over = true;
        self.changed.notify_all();
    }

    /// Watches the lease until the engine has left. False if it does not leave when told to.
    pub(super) fn watch(&self, lease: Duration, leave: Duration) -> bool {
        let mut state = lock(&self.state);
        while !state.over {
            let now = instant();
            let deadline = match state.stop {
                Some((_, since)) => since + leave,
                None => state.renewed + lease,
            };
            if deadline <= now {
                if state.stop.is_some() {
                    return false;
                }
                state.stop = Some((Cause::LeaseLost, now));
                self.changed.notify_all();
                continue;
            }
            state = self.changed.wait_timeout(state, deadline - now).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// The monotonic clock all processes of the machine share.
pub(crate) fn monotonic_nanos() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    // Neither part is negative: the clock counts from the start of the machine.
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_that_is_not_renewed_stops_the_work() {
        let pipe = Pipe::new(Box::new(std::io::sink()));
        // The engine never leaves: the watch gives up on it after the time to leave.
        assert!(!pipe.watch(Duration::from_millis(5), Duration::from_millis(5)));
        assert_eq!(pipe.cause(), Some(Cause::LeaseLost));
    }

    #[test]
    fn the_first_cause_to_stop_stays() {
        let pipe = Pipe::new(Box::new(std::io::sink()));
        pipe.stop(Cause::Told);
        pipe.stop(Cause::Abandoned);
        assert_eq!(pipe.cause(), Some(Cause::Told));
        assert_eq!(pipe.ready(), None);
    }

    #[test]
    fn work_begins_when_it_is_told_and_not_before() {
        let pipe = Pipe::new(Box::new(std::io::sink()));
        let at = monotonic_nanos() + 2_000_000;
        pipe.begin(at);
        assert_eq!(pipe.ready(), Some(at));
        assert!(monotonic_nanos() >= at);
    }

    #[test]
    fn words_nobody_hears_stop_the_work() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let pipe = Pipe::new(Box::new(Broken));
        pipe.say(LoadSaid::Running);
        assert_eq!(pipe.cause(), Some(Cause::Unheard));
    }
}
