//! A burn kernel set up on one GPU: which kernel, its operands, what its results must be, and its launches.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "sizes and places in memory are 64 bits wide on every host with a GPU, and rates are floats of counts"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::drive_context::{Broken, DriveContext};
use super::flips::Flips;
use super::memory_stream::OF_THE_STREAM;
use super::pace::Pace;
use super::wrong::Wrong;
use crate::cuda::driver::{Buffer, Event, Gpu, Grid, HostBuffer, Kernel, Stream};
use crate::cuda::layout::{
    BURN_COMPARE, BURN_RECORD, BURN_STEPS, BURNS, Burn, BurnArgs, HangArgs, NONE_64, Number, OPERANDS_EXACT,
    OPERANDS_RANDOM, OPERANDS_TOGGLING, RECORDS, Record,
};
use crate::cuda::reference::{golden, steps_while_exact};
use crate::worker::Injection;
use kiln_model::{BurnKernel, GpuWork, LoadFault, LoadSaid, Mismatch, WrongPlace};

/// Different operands on every step keep wires toggling; four tiles fill most of a multiprocessor's shared memory.
const TILES: u32 = 4;
/// Kept free of operands: what a kernel declares itself.
const SHARED_KEPT: u32 = 2048;
/// Lost in each window by a burn that is slow on purpose.
const SLOW_NANOS: u32 = 5_000_000;

/// Which operands a launch takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operands {
    /// Small integers, whose results are known beforehand on every architecture.
    Exact,
    /// Random bits, whose results must be the same on every multiprocessor and in every window.
    Random,
    /// Each the complement of its neighbours, so that nearly all wires of the operands switch at once where random bits
    /// switch half of them. Results as with random ones.
    Toggling,
}

#[derive(Debug)]
pub(super) struct Burner {
    pub(super) stream: Stream,
    kernel: Burn,
    function: Kernel<BurnArgs>,
    grid: Grid,
    units: u32,
    exact: Buffer,
    random: Buffer,
    toggling: Buffer,
    dump: Buffer,
    sums: Buffer,
    sms: Buffer,
    staging: HostBuffer,
    pub(super) wrong: Wrong,
    began: Event,
    ended: Event,
    args: BurnArgs,
    exact_steps: u32,
    flips: Option<Flips>,
    /// The multiprocessors that units ran on when the random results were recorded.
    processors: BTreeSet<u32>,
    /// Whether a kernel that never ends is still to be launched.
    hang: Option<(Kernel<HangArgs>, HostBuffer)>,
}

/// Whether the image that the GPU took has the kernel at all.
pub(super) fn has_kernel(gpu: &Gpu, kernel: BurnKernel) -> bool {
    choose(gpu, kernel).is_ok()
}

fn choose(gpu: &Gpu, kernel: BurnKernel) -> Result<Burn, Broken> {
    let name = match (kernel, gpu.image) {
        (BurnKernel::Bf16, "sm_90a") => "burn_bf16_wgmma",
        (BurnKernel::Bf16, "sm_100f" | "sm_103a") => "burn_bf16_tcgen05",
        (BurnKernel::Bf16, _) => "burn_bf16_mma",
        (BurnKernel::Fp8, "sm_90a") => "burn_fp8_wgmma",
        (BurnKernel::Fp8, "sm_100f" | "sm_103a") => "burn_fp8_tcgen05",
        (BurnKernel::Fp8, "sm_89" | "sm_120") => "burn_fp8_mma",
        (BurnKernel::Fp8, image) => {
            return Err(Broken::Refused(LoadFault::NoFp8 { gpu: gpu.name.clone(), image: image.to_owned() }));
        }
        (BurnKernel::Fp32, _) => "burn_fp32",
        (BurnKernel::Fp64, _) => "burn_fp64_mma",
    };
    let found = BURNS.iter().find(|burn| burn.name == name);
    found.copied().ok_or_else(|| Broken::Refused(LoadFault::BadOrder { what: name.to_owned() }))
}

impl Burner {
    pub(super) fn new(context: &DriveContext<'_>, gpu: &Arc<Gpu>, kernel: BurnKernel) -> Result<Self, Broken> {
        let kernel = choose(gpu, kernel)?;
        let shape = kernel.shape;
        let room = gpu.shared_bytes.saturating_sub(shape.a_bytes + SHARED_KEPT);
        let tiles = (room / shape.b_bytes).min(TILES);
        if tiles == 0 {
            let (gpu, kernel) = (gpu.name.clone(), kernel.name.to_owned());
            return Err(Broken::Refused(LoadFault::LittleSharedMemory { gpu, kernel }));
        }
        let shared_bytes = shape.a_bytes + tiles * shape.b_bytes;
        let function = Kernel::new(gpu, kernel.name)?;
        function.allow_shared(shared_bytes)?;
        let units = gpu.multiprocessors * shape.units;
        let cell = if kernel.number == Number::F64 { 8 } else { 4 };
        let cells = shape.cells() as usize * cell;
        let stream = Stream::new(gpu)?;
        let wrong = Wrong::new(gpu, &stream)?;
        let limit = kernel.number.exact_limit();
        let (inject_window, slow) = match context.injection {
            Some(Injection::BitFlip { iteration }) => (iteration, 0),
            Some(Injection::Slow) => (NONE_64, SLOW_NANOS),
            Some(Injection::Hang | Injection::BitFlips { .. }) | None => (NONE_64, 0),
        };
        let hang = match context.injection {
            Some(Injection::Hang) => Some((Kernel::new(gpu, "hang")?, HostBuffer::new(gpu, 4096)?)),
            _ => None,
        };
        let args = BurnArgs {
            log: wrong.address(),
            seed: context.order.seed,
            inject_window,
            tiles,
            limit,
            inject_unit: units / 2,
            inject_word: 12_345 % shape.cells(),
            inject_bit: 7,
            slow,
            ..BurnArgs::default()
        };
        let mut burner = Self {
            kernel,
            function,
            grid: Grid { blocks: gpu.multiprocessors, threads: shape.threads, shared_bytes },
            units,
            exact: Buffer::new(gpu, cells)?,
            random: Buffer::new(gpu, cells)?,
            toggling: Buffer::new(gpu, cells)?,
            dump: Buffer::new(gpu, cells * units as usize)?,
            sums: Buffer::new(gpu, 8 * units as usize)?,
            sms: Buffer::new(gpu, 4 * units as usize)?,
            staging: HostBuffer::new(gpu, cells.max(8 * units as usize))?,
            wrong,
            began: Event::new(gpu)?,
            ended: Event::new(gpu)?,
            args,
            exact_steps: steps_while_exact(kernel.number, shape, limit, tiles),
            stream,
            flips: Flips::asked(context),
            processors: BTreeSet::new(),
            hang,
        };
        (burner.args.dump, burner.args.sums, burner.args.sms) =
            (burner.dump.address(), burner.sums.address(), burner.sms.address());
        burner.put_exact(context)?;
        burner.record(context, Operands::Random)?;
        Ok(burner)
    }

    fn steps(&self, operands: Operands) -> u32 {
        if operands == Operands::Exact { self.exact_steps } else { BURN_STEPS }
    }

    /// Floating point operations of one window.
    pub(super) fn flop(&self, operands: Operands) -> f64 {
        self.kernel.shape.flop() as f64 * f64::from(self.units) * f64::from(self.steps(operands))
    }

    /// How many products one compared result is the sum of.
    pub(super) fn products_in_a_result(&self, operands: Operands) -> f64 {
        f64::from(self.steps(operands)) * f64::from(self.kernel.shape.k)
    }

    fn args_for(&self, operands: Operands, windows: u32) -> BurnArgs {
        let (golden, code) = match operands {
            Operands::Exact => (&self.exact, OPERANDS_EXACT),
            Operands::Random => (&self.random, OPERANDS_RANDOM),
            Operands::Toggling => (&self.toggling, OPERANDS_TOGGLING),
        };
        let steps = self.steps(operands);
        BurnArgs { golden: golden.address(), operands: code, windows, steps, mode: BURN_COMPARE, ..self.args }
    }

    /// Computes here what the exact operands give, and puts it where the GPU compares with it.
    fn put_exact(&mut self, context: &DriveContext<'_>) -> Result<(), Broken> {
        let results = golden(&self.args_for(Operands::Exact, 1), self.kernel.number, self.kernel.shape);
        let words = self.staging.words();
        if self.kernel.number == Number::F64 {
            words[..results.len()].copy_from_slice(&results);
        } else {
            for (word, pair) in words.iter_mut().zip(results.chunks(2)) {
                *word = pair[0] | pair.get(1).copied().unwrap_or(0) << 32;
            }
        }
        self.stream.copy_in(&self.exact, &self.staging, self.exact.bytes())?;
        context.wait(&self.stream, GpuWork::CopyIn)
    }

    /// Has every unit compute operands once whose results nobody knows beforehand, and takes what most of them say; the
    /// others are told.
    pub(super) fn record(&mut self, context: &DriveContext<'_>, operands: Operands) -> Result<(), Broken> {
        self.stream.fill(&self.sums, 0)?;
        let record = BurnArgs { mode: BURN_RECORD, ..self.args_for(operands, 1) };
        let record = BurnArgs { first_window: NONE_64 - 1, ..record };
        self.function.launch(&self.stream, self.grid, record)?;
        self.stream.copy_out(&self.staging, &self.sums, 0, self.sums.bytes())?;
        context.wait(&self.stream, self.work())?;
        let sums = self.staging.words()[..self.units as usize].to_vec();
        self.stream.copy_out(&self.staging, &self.sms, 0, self.sms.bytes())?;
        context.wait(&self.stream, GpuWork::CopyOut)?;
        let sms: Vec<u32> = self.staging.words().iter().flat_map(|word| [*word as u32, (word >> 32) as u32]).collect();
        self.processors = sms.iter().take(sums.len()).copied().collect();
        let mut votes: BTreeMap<u64, usize> = BTreeMap::new();
        for sum in &sums {
            *votes.entry(*sum).or_default() += 1;
        }
        let Some((most, count)) = votes.into_iter().max_by_key(|(_, count)| *count) else { return Ok(()) };
        if count * 2 <= sums.len() {
            let (gpu, units) = (self.stream.gpu().name.clone(), sums.len());
            return Err(Broken::Refused(LoadFault::NoMajority { gpu, agree: count, units }));
        }
        let most_at = sums.iter().position(|sum| *sum == most).unwrap_or(0);
        let right = self.dumped(context, most_at)?;
        for unit in (0..sums.len()).filter(|unit| sums[*unit] != most).take(RECORDS) {
            let found = self.dumped(context, unit)?;
            let wrong = right.iter().zip(&found).enumerate().find(|(_, (right, found))| right != found);
            // Where a checksum differs and no word does, the checksum itself was computed wrong.
            let (word, flipped_bits) = wrong.map_or((0, 0), |(at, (right, found))| (at, (right ^ found).count_ones()));
            context.pipe.say(LoadSaid::Mismatched(Mismatch {
                gpu: self.stream.gpu().index,
                place: WrongPlace::SmAlone { sm: sms[unit], agree: count, units: sums.len() },
                iteration: 0,
                word: word as u64,
                flipped_bits,
                sm: Some(sms[unit]),
            }));
        }
        let taken = if operands == Operands::Toggling { &self.toggling } else { &self.random };
        self.stream.copy_within(taken, &self.dump, most_at * taken.bytes(), taken.bytes())?;
        context.wait(&self.stream, GpuWork::CopyWithin)
    }

    /// The results of one unit, in words of 64 bits.
    fn dumped(&mut self, context: &DriveContext<'_>, unit: usize) -> Result<Vec<u64>, Broken> {
        let bytes = self.random.bytes();
        self.stream.copy_out(&self.staging, &self.dump, unit * bytes, bytes)?;
        context.wait(&self.stream, GpuWork::CopyOut)?;
        Ok(self.staging.words()[..bytes / 8].to_vec())
    }

    /// Queues a launch of so many windows.
    pub(super) fn launch(&mut self, operands: Operands, windows: u32) -> Result<(), Broken> {
        self.stream.mark(&self.began)?;
        if let Some((hang, flag)) = &self.hang {
            let flag = flag.address_for(self.stream.gpu())?;
            hang.launch(&self.stream, Grid { blocks: 1, threads: 1, shared_bytes: 0 }, HangArgs { flag })?;
        }
        let mut args = self.args_for(operands, windows);
        if let Some(spoiled) = self.flips.as_mut().and_then(Flips::next) {
            let wide = self.kernel.number == Number::F64;
            args.inject_window = args.first_window + spoiled.below(0, u64::from(windows));
            args.inject_unit = spoiled.below(1, u64::from(self.units)) as u32;
            args.inject_word = spoiled.below(2, u64::from(self.kernel.shape.cells())) as u32;
            args.inject_bit = spoiled.below(3, if wide { 64 } else { 32 }) as u32;
            if let Some(flips) = &mut self.flips {
                flips.sow(args.inject_window, args.inject_unit, u64::from(args.inject_word));
            }
        }
        self.function.launch(&self.stream, self.grid, args)?;
        self.stream.mark(&self.ended)?;
        self.args.first_window += u64::from(windows);
        Ok(())
    }

    /// The multiprocessors of the GPU, by the numbers they give themselves.
    pub(super) fn processors(&self) -> Vec<u32> {
        self.processors.iter().copied().collect()
    }

    /// Has only one multiprocessor work in the launches to come, or all.
    pub(super) fn ask_only(&mut self, processor: Option<u32>) {
        self.args.only_sm = processor.map_or(0, |processor| processor + 1);
    }

    /// Whether all bits that were to be flipped have been.
    pub(super) fn all_flipped(&self) -> bool {
        self.flips.as_ref().is_some_and(Flips::is_over)
    }

    /// Waits for the launch, tells what was wrong, and gives the seconds it took. For a burn with nothing beside it.
    pub(super) fn finish(&mut self, context: &DriveContext<'_>, pace: &mut Pace) -> Result<f64, Broken> {
        let seconds = self.wait(context)?;
        self.tell(context, pace)?;
        Ok(seconds)
    }

    fn work(&self) -> GpuWork {
        GpuWork::Kernel { name: self.kernel.name.to_owned() }
    }

    /// Waits for the launch and gives the seconds it took.
    pub(super) fn wait(&self, context: &DriveContext<'_>) -> Result<f64, Broken> {
        context.wait(&self.stream, self.work())?;
        Ok(self.ended.seconds_since(&self.began)?)
    }

    /// Tells what was wrong. Nothing that writes into the log may run meanwhile: a record is counted before it is whole.
    pub(super) fn tell(&mut self, context: &DriveContext<'_>, pace: &mut Pace) -> Result<(), Broken> {
        let place = |record: &Record| match record.unit {
            OF_THE_STREAM => (WrongPlace::Stream { byte: record.word * 8 }, None),
            unit => (WrongPlace::Sm { sm: record.sm, unit: Some(unit) }, Some(record.sm)),
        };
        let fresh = self.wrong.tell(context, &self.stream, pace, self.work(), place)?;
        if let Some(flips) = &mut self.flips {
            flips.reap(&fresh);
            self.wrong.make_room(context, &self.stream)?;
        }
        Ok(())
    }

    /// Tells how many flipped bits were found, if any were flipped.
    pub(super) fn tell_flips(&self, context: &DriveContext<'_>) {
        if let Some(flips) = &self.flips {
            flips.tell(context, self.stream.gpu().index);
        }
    }
}
