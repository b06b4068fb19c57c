//! What is kept of a pipe: its end, to a bound. What comes before is counted and dropped.

use std::io::Read;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Longest output that is kept. The largest honest report, nvbandwidth's of sixteen GPUs, is below a megabyte; programs
/// that show progress for days need only its end.
pub(super) const LONGEST: usize = 4 << 20;

#[derive(Debug, Default)]
struct State {
    /// Up to twice what is kept, so that not every read moves it.
    bytes: Vec<u8>,
    dropped: u64,
    closed: bool,
}

/// One pipe's output, filled by a thread of its own.
#[derive(Debug)]
pub(super) struct Kept {
    state: Mutex<State>,
    longest: usize,
}

impl Kept {
    pub(super) fn new(longest: usize) -> Self {
        Self { state: Mutex::default(), longest }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads until the pipe closes.
    pub(super) fn fill(&self, mut pipe: impl Read) {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match pipe.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => self.take(&buffer[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.lock().closed = true;
    }

    fn take(&self, bytes: &[u8]) {
        let mut state = self.lock();
        state.bytes.extend_from_slice(bytes);
        if state.bytes.len() > 2 * self.longest {
            self.trim(&mut state);
        }
    }

    fn trim(&self, state: &mut State) {
        let over = state.bytes.len().saturating_sub(self.longest);
        state.bytes.drain(..over);
        state.dropped += over as u64;
    }

    pub(super) fn closed(&self) -> bool {
        self.lock().closed
    }

    /// How much has come in.
    pub(super) fn count(&self) -> u64 {
        let state = self.lock();
        state.dropped + state.bytes.len() as u64
    }

    /// The end of what came in.
    pub(super) fn text(&self) -> String {
        let mut state = self.lock();
        self.trim(&mut state);
        String::from_utf8_lossy(&state.bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_and_the_rest_counted() {
        let kept = Kept::new(4);
        kept.fill(&b"0123456789abc"[..]);
        assert_eq!((kept.text().as_str(), kept.count(), kept.closed()), ("9abc", 13, true));
    }

    #[test]
    fn a_flood_stays_within_its_bound() {
        let kept = Kept::new(1000);
        kept.fill(std::io::repeat(b'x').take(10_000_000));
        assert!(kept.lock().bytes.capacity() < 256 << 10);
        assert_eq!((kept.text().len(), kept.count()), (1000, 10_000_000));
    }
}
