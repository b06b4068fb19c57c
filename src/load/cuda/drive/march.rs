//! March: as much of a GPU's memory as can be had, in chunks, swept by every algorithm in turn.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "sizes and places in memory are 64 bits wide on every host with a GPU, and rates are floats of counts"
)]

use std::sync::Arc;
use std::time::Duration;

use super::drive_context::{Broken, DriveContext};
use super::flips::Flips;
use super::pace::Pace;
use super::sweep::{Algorithm, Element, only, pass};
use super::wrong::Wrong;
use crate::cuda::driver::{Buffer, Event, Gpu, Grid, Kernel, Stream};
use crate::cuda::holders::holders;
use crate::cuda::layout::{MarchArgs, NONE_64, Record};
use crate::worker::{Injection, MarchWork, monotonic_nanos};
use kiln_model::{GpuIndex, GpuWork, LoadFault, LoadSaid, NoteFact, NoteKind, ReadAgain, WrongCell, WrongPlace};

/// One allocation; larger ones fail where memory is fragmented.
const CHUNK: usize = 2 << 30;
/// Not worth a chunk of its own.
const CHUNK_MIN: usize = 1 << 20;
const THREADS: u32 = 512;
/// Blocks for each multiprocessor: enough loads in flight to fill the memory.
const BLOCKS: u32 = 4;
const SLOW_NANOS: u32 = 2_000_000;
/// Memory that others have before a load begins is told from here on: contexts and consoles take less.
const WORTH_TELLING: usize = 1 << 30;

struct Marcher<'a> {
    context: &'a DriveContext<'a>,
    gpu: Arc<Gpu>,
    stream: Stream,
    march: Kernel<MarchArgs>,
    began: Event,
    ended: Event,
    chunks: Vec<Buffer>,
    wrong: Wrong,
    pace: Pace,
    /// Sweeps done so far.
    sweep: u64,
    flips: Option<Flips>,
}

/// Marches over a share of memory until its span is over; once if it was given none.
pub(in crate::cuda) fn march(context: &DriveContext<'_>, gpu: &Arc<Gpu>, coverage: f64) -> Result<(), Broken> {
    let mut marcher = Marcher::new(context, gpu, coverage)?;
    let began = context.pipe.ready().ok_or(Broken::Stopped)?;
    let until = context.ends_at(began);
    marcher.pace = Pace::new(gpu.index);
    context.pipe.say(LoadSaid::Running);
    let done = marcher.passes(until);
    // Also where it was stopped in the middle of a pass: what it found in its last second counts.
    if matches!(done, Ok(()) | Err(Broken::Stopped)) {
        marcher.pace.tell(context.pipe);
        if let Some(flips) = &marcher.flips {
            flips.tell(context, gpu.index);
        }
    }
    done
}

impl<'a> Marcher<'a> {
    fn new(context: &'a DriveContext<'a>, gpu: &Arc<Gpu>, coverage: f64) -> Result<Self, Broken> {
        let stream = Stream::new(gpu)?;
        let wrong = Wrong::new(gpu, &stream)?;
        let (free, total) = gpu.memory()?;
        if total - free > WORTH_TELLING {
            let mib = ((total - free) >> 20) as u64;
            let what = NoteFact::MemoryTaken { mib, holders: holders(&gpu.pci) };
            context.pipe.say(LoadSaid::Noted { gpu: Some(gpu.index), kind: NoteKind::MemoryHeld, what });
        }
        let wanted = (free as f64 * coverage.clamp(0.0, 1.0)) as usize;
        let chunks = take(context, gpu, wanted);
        if chunks.is_empty() {
            let mib = (free >> 20) as u64;
            return Err(Broken::Refused(LoadFault::NoChunk { mib, holders: holders(&gpu.pci) }));
        }
        let got: usize = chunks.iter().map(Buffer::bytes).sum();
        if got + CHUNK_MIN < wanted {
            let (got, wanted) = ((got >> 20) as u64, (wanted >> 20) as u64);
            let what = NoteFact::LessMemory { got, wanted, holders: holders(&gpu.pci) };
            context.pipe.say(LoadSaid::Noted { gpu: Some(gpu.index), kind: NoteKind::Plain, what });
        }
        let (march, pace) = (Kernel::new(gpu, "march")?, Pace::new(gpu.index));
        let (began, ended) = (Event::new(gpu)?, Event::new(gpu)?);
        Ok(Self {
            context,
            gpu: Arc::clone(gpu),
            stream,
            march,
            began,
            ended,
            chunks,
            wrong,
            pace,
            sweep: 0,
            flips: Flips::asked(context),
        })
    }

    /// One pass after another until the span is over or all bits that were to be flipped are; one if there is no span.
    fn passes(&mut self, until: Option<u64>) -> Result<(), Broken> {
        let order = self.context.order;
        for number in 0.. {
            let algorithms = match self.context.variant.march {
                MarchWork::Only(pattern) => vec![only(pattern, order.seed)],
                MarchWork::Passes | MarchWork::DeviceCopy => pass(number, order.seed, order.span),
            };
            for algorithm in algorithms {
                self.run(&algorithm)?;
                if number == 0 && self.sweep > 0 {
                    self.tell_coverage()?;
                }
                let flipped = self.flips.as_ref().is_some_and(Flips::is_over);
                if flipped || until.is_some_and(|until| until <= monotonic_nanos()) {
                    return Ok(());
                }
            }
            if until.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn run(&mut self, algorithm: &Algorithm) -> Result<(), Broken> {
        for element in &algorithm.elements {
            self.context.go_on()?;
            match element {
                Element::Rest(span) => self.rest(*span)?,
                Element::Sweep { .. } => self.sweep(algorithm.name, element)?,
            }
        }
        Ok(())
    }

    fn sweep(&mut self, name: &str, element: &Element) -> Result<(), Broken> {
        let Element::Sweep { expect, write, down } = *element else { return Ok(()) };
        let (inject, slow) = match self.context.injection {
            Some(Injection::BitFlip { iteration }) => (iteration, 0),
            Some(Injection::Slow) => (NONE_64, SLOW_NANOS),
            _ => (NONE_64, 0),
        };
        let grid = Grid { blocks: self.gpu.multiprocessors * BLOCKS, threads: THREADS, shared_bytes: 0 };
        // Only a sweep that reads finds what is spoiled in it.
        let flip = if expect.is_some() { self.flips.as_mut().and_then(Flips::next) } else { None };
        let (mut first_word, mut sown) = (0, None);
        let mut args = Vec::new();
        for (number, chunk) in self.chunks.iter().enumerate() {
            let pairs = chunk.bytes() as u64 / 16;
            let spoiled = number == 0 && self.sweep == inject;
            let flip = flip.filter(|_| number == 0);
            let inject_word = match flip {
                Some(flip) => flip.below(0, 2 * pairs),
                None if spoiled => pairs,
                None => NONE_64,
            };
            if flip.is_some() {
                sown = Some((self.sweep, number as u32, inject_word));
            }
            args.push(MarchArgs {
                log: self.wrong.address(),
                base: chunk.address(),
                pairs,
                first_word,
                iteration: self.sweep,
                inject_word,
                expect: expect.unwrap_or_default(),
                write: write.unwrap_or_default(),
                flags: element.flags(),
                chunk: number as u32,
                inject_bit: flip.map_or(11, |flip| flip.below(1, 64) as u32),
                slow,
            });
            first_word += 2 * pairs;
        }
        // A march downwards begins with the last chunk.
        if down {
            args.reverse();
        }
        self.stream.mark(&self.began)?;
        for args in args {
            self.march.launch(&self.stream, grid, args)?;
        }
        self.stream.mark(&self.ended)?;
        let work = GpuWork::March { algorithm: name.to_owned() };
        let fresh =
            self.wrong.tell(self.context, &self.stream, &mut self.pace, work, |record| (place(record), None))?;
        if let Some(flips) = &mut self.flips {
            if let Some((iteration, unit, word)) = sown {
                flips.sow(iteration, unit, word);
            }
            flips.reap(&fresh);
            self.wrong.make_room(self.context, &self.stream)?;
        }
        let bytes: usize = self.chunks.iter().map(Buffer::bytes).sum();
        let times = f64::from(u8::from(expect.is_some()) + u8::from(write.is_some()));
        self.pace.timed(0.0, times * bytes as f64, self.ended.seconds_since(&self.began)?);
        self.pace.tell_if_due(self.context.pipe);
        // A sweep that only writes cannot find what is injected into it.
        if expect.is_some() || self.sweep != inject {
            self.sweep += 1;
        }
        Ok(())
    }

    fn rest(&self, span: Duration) -> Result<(), Broken> {
        let until = monotonic_nanos() + u64::try_from(span.as_nanos()).unwrap_or(0);
        while monotonic_nanos() < until {
            self.context.go_on()?;
            self.context.pipe.beat();
            self.context.pipe.pause(Duration::from_millis(100));
        }
        Ok(())
    }

    fn tell_coverage(&self) -> Result<(), Broken> {
        let (_, total) = self.gpu.memory()?;
        let bytes: usize = self.chunks.iter().map(Buffer::bytes).sum();
        let gpu: GpuIndex = self.gpu.index;
        self.context.pipe.say(LoadSaid::Covered { gpu, percent: 100.0 * bytes as f64 / total as f64 });
        Ok(())
    }
}

fn place(record: &Record) -> WrongPlace {
    let again = if record.reread == record.expected { ReadAgain::Right } else { ReadAgain::Wrong };
    let cell = WrongCell { byte: record.word * 8, bits: record.expected ^ record.found, again };
    WrongPlace::Chunk { chunk: record.unit.into(), cell: Some(cell) }
}

/// Takes chunks until it has what it wants or there is no more, halving them where large ones fail.
fn take(context: &DriveContext<'_>, gpu: &Arc<Gpu>, wanted: usize) -> Vec<Buffer> {
    let mut chunks = Vec::new();
    let mut left = wanted & !0xFFFF;
    let mut size = CHUNK;
    while left >= CHUNK_MIN && size >= CHUNK_MIN && !context.pipe.stopping() {
        context.pipe.beat();
        let bytes = size.min(left);
        match Buffer::new(gpu, bytes) {
            Ok(chunk) => {
                chunks.push(chunk);
                left -= bytes;
            }
            Err(_) => size = (bytes / 2) & !0xFFFF,
        }
    }
    chunks
}
