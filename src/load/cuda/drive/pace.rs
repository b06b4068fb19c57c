//! What was done since it was last told, told once a second.

#![expect(
    clippy::cast_precision_loss,
    reason = "sizes and places in memory are 64 bits wide on every host with a GPU, and rates are floats of counts"
)]

use crate::worker::{Pipe, monotonic_nanos};
use kiln_model::{GpuIndex, LoadSaid};

const TELL_EVERY_NANOS: u64 = 1_000_000_000;

#[derive(Debug)]
pub(super) struct Pace {
    gpu: GpuIndex,
    told_at: u64,
    flop: f64,
    bytes: f64,
    /// Seconds the work took by the GPU's own marks, where it has no pauses of its own. Rates are over these: a host that is
    /// late with the next launch must not make a GPU look slow.
    busy: f64,
    pub verified: u64,
    pub mismatches: u64,
}

impl Pace {
    pub(super) fn new(gpu: GpuIndex) -> Self {
        Self { gpu, told_at: monotonic_nanos(), flop: 0.0, bytes: 0.0, busy: 0.0, verified: 0, mismatches: 0 }
    }

    pub(super) fn add(&mut self, flop: f64, bytes: f64) {
        self.flop += flop;
        self.bytes += bytes;
    }

    /// Adds work with the seconds it took by the GPU's marks.
    pub(super) fn timed(&mut self, flop: f64, bytes: f64, seconds: f64) {
        self.add(flop, bytes);
        self.busy += seconds;
    }

    pub(super) fn tell_if_due(&mut self, pipe: &Pipe) {
        if monotonic_nanos() - self.told_at >= TELL_EVERY_NANOS {
            self.tell(pipe);
        }
    }

    pub(super) fn tell(&mut self, pipe: &Pipe) {
        let now = monotonic_nanos();
        let passed = (now - self.told_at) as f64 / 1e9;
        let seconds = if self.busy > 0.0 { self.busy } else { passed }.max(1e-9);
        pipe.say(LoadSaid::Progress {
            gpu: self.gpu,
            tflops: self.flop / seconds / 1e12,
            memory_gb_per_s: self.bytes / seconds / 1e9,
            verified: self.verified,
            mismatches: self.mismatches,
        });
        (self.told_at, self.flop, self.bytes, self.busy) = (now, 0.0, 0.0, 0.0);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Vec<u8>>>);

    impl Write for Heard {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("unpoisoned").write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn rates_are_over_the_seconds_the_gpu_worked() {
        let heard = Heard::default();
        let pipe = Pipe::new(Box::new(heard.clone()));
        let mut pace = Pace::new(GpuIndex(1));
        // Half a second of work in a span of the world that is a thousand times shorter, or longer: it does not matter.
        pace.timed(1e12, 2e9, 0.25);
        pace.timed(1e12, 2e9, 0.25);
        pace.tell(&pipe);
        let told = String::from_utf8(heard.0.lock().expect("unpoisoned").clone()).expect("text");
        insta::assert_snapshot!(told, @r#"{"v":3,"say":{"said":{"progress":{"gpu":1,"tflops":4.0,"memory_gb_per_s":8.0,"verified":0,"mismatches":0}}}}"#);
    }
}
