//! The log of wrong results of one GPU: kept there, read after each launch, each new record told.

use std::sync::Arc;

use super::drive_context::{Broken, DriveContext};
use super::pace::Pace;
use crate::cuda::driver::{Buffer, Gpu, HostBuffer, Stream};
use crate::cuda::layout::{Log, RECORDS, Record};
use kiln_model::{LoadSaid, Mismatch};

#[derive(Debug)]
pub(super) struct Wrong {
    log: Buffer,
    copy: HostBuffer,
    told: usize,
}

impl Wrong {
    pub(super) fn new(gpu: &Arc<Gpu>, stream: &Stream) -> Result<Self, Broken> {
        let log = Buffer::new(gpu, size_of::<Log>())?;
        let copy = HostBuffer::new(gpu, size_of::<Log>())?;
        stream.fill(&log, 0)?;
        Ok(Self { log, copy, told: 0 })
    }

    pub(super) const fn address(&self) -> u64 {
        self.log.address()
    }

    /// Reads the log once all that was queued is done, and tells what is new in it.
    pub(super) fn tell(
        &mut self,
        context: &DriveContext<'_>,
        stream: &Stream,
        pace: &mut Pace,
        what: &str,
        place: impl Fn(&Record) -> String,
    ) -> Result<(), Broken> {
        stream.copy_out(&self.copy, &self.log, 0, size_of::<Log>())?;
        context.wait(stream, what)?;
        let log = read(self.copy.words());
        for record in &log.records()[self.told..] {
            let mismatch = Mismatch {
                gpu: stream.gpu().index,
                place: place(record),
                iteration: record.iteration,
                word: record.word,
                flipped_bits: (record.expected ^ record.found).count_ones(),
            };
            context.pipe.say(LoadSaid::Mismatched(mismatch));
        }
        self.told = log.records().len();
        (pace.verified, pace.mismatches) = (log.verified, log.mismatches);
        Ok(())
    }
}

fn read(words: &[u64]) -> Log {
    let mut log = Log { verified: words[0], mismatches: words[1], recorded: words[2], ..Log::default() };
    // Six words a record; the last holds two numbers of half the size.
    for (record, words) in log.records.iter_mut().zip(words[3..].chunks_exact(6)).take(RECORDS) {
        *record = Record {
            iteration: words[0],
            word: words[1],
            expected: words[2],
            found: words[3],
            reread: words[4],
            sm: words[5] as u32,
            unit: (words[5] >> 32) as u32,
        };
    }
    log
}
