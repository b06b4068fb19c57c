//! The log of wrong results of one GPU: kept there, read after each launch, each new record told.

#![expect(
    clippy::cast_possible_truncation,
    reason = "sizes and places in memory are 64 bits wide on every host with a GPU, and rates are floats of counts"
)]

use std::sync::Arc;

use super::drive_context::{Broken, DriveContext};
use super::pace::Pace;
use crate::cuda::driver::{Buffer, Gpu, HostBuffer, Stream};
use crate::cuda::layout::{Log, RECORDS, Record};
use kiln_model::{GpuWork, LoadSaid, Mismatch, WrongPlace};

#[derive(Debug)]
pub(super) struct Wrong {
    log: Buffer,
    copy: HostBuffer,
    told: usize,
    /// Results compared and wrong ones by the log as it is now, and before it was last emptied.
    now: (u64, u64),
    before: (u64, u64),
}

impl Wrong {
    pub(super) fn new(gpu: &Arc<Gpu>, stream: &Stream) -> Result<Self, Broken> {
        let log = Buffer::new(gpu, size_of::<Log>())?;
        let copy = HostBuffer::new(gpu, size_of::<Log>())?;
        stream.fill(&log, 0)?;
        Ok(Self { log, copy, told: 0, now: (0, 0), before: (0, 0) })
    }

    pub(super) const fn address(&self) -> u64 {
        self.log.address()
    }

    /// Reads the log once all that was queued is done, tells what is new in it, and gives it. `place` names where a result
    /// was wrong, and the multiprocessor if one computed it.
    pub(super) fn tell(
        &mut self,
        context: &DriveContext<'_>,
        stream: &Stream,
        pace: &mut Pace,
        what: GpuWork,
        place: impl Fn(&Record) -> (WrongPlace, Option<u32>),
    ) -> Result<Vec<Record>, Broken> {
        stream.copy_out(&self.copy, &self.log, 0, size_of::<Log>())?;
        context.wait(stream, what)?;
        let log = read(self.copy.words());
        let fresh = log.records()[self.told..].to_vec();
        for record in &fresh {
            let (place, sm) = place(record);
            let mismatch = Mismatch {
                gpu: stream.gpu().index,
                place,
                iteration: record.iteration,
                word: record.word,
                flipped_bits: (record.expected ^ record.found).count_ones(),
                sm,
            };
            context.pipe.say(LoadSaid::Mismatched(mismatch));
        }
        self.told = log.records().len();
        self.now = (log.verified, log.mismatches);
        (pace.verified, pace.mismatches) = (self.before.0 + log.verified, self.before.1 + log.mismatches);
        Ok(fresh)
    }

    /// Empties the log once half of it is taken, so that what comes later is told one by one as well. Where a GPU is wrong
    /// all the time that would be too much to tell; where bits are flipped there is one in each launch.
    pub(super) fn make_room(&mut self, context: &DriveContext<'_>, stream: &Stream) -> Result<(), Broken> {
        if self.told < RECORDS / 2 {
            return Ok(());
        }
        stream.fill(&self.log, 0)?;
        // A memory stream beside a burn writes into it too, in a stream of its own.
        context.wait(stream, GpuWork::EmptyLog)?;
        self.before = (self.before.0 + self.now.0, self.before.1 + self.now.1);
        (self.now, self.told) = ((0, 0), 0);
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
