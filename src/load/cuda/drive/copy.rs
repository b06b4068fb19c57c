//! Copies one after another: between host and each GPU, and between each pair of GPUs, by the copy engines.
//!
//! Everything is queued behind a flag and then released, so that what is timed is the copying and not the queueing; the
//! first copies warm up; the median of several rounds counts; what arrived is compared in full.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "sizes and places in memory are 64 bits wide on every host with a GPU, and rates are floats of counts"
)]

use std::sync::Arc;

use super::affinity;
use super::drive_context::{Broken, DriveContext};
use super::pace::Pace;
use super::wrong::Wrong;
use std::collections::BTreeSet;

use crate::cuda::driver::{Buffer, Event, Gpu, Grid, HostBuffer, Kernel, PeerReach, Stream};
use crate::cuda::layout::{
    ChaseArgs, ChecksumArgs, MARCH_VERIFY, MARCH_WRITE, MarchArgs, NONE_64, PATTERN_RANDOM, Pattern, Record,
};
use crate::cuda::reference::{checksum, pattern_word};
use crate::worker::{Injection, monotonic_nanos};
use kiln_model::{
    CopyDirection, Endpoint, GpuIndex, GpuWork, LoadFault, LoadSaid, Mismatch, NoteFact, NoteKind, Transfer, WrongPlace,
};

/// As nvbandwidth has it: half a gigabyte, four copies to warm up, sixteen timed, three rounds.
const BYTES: usize = 512 << 20;
const WARM_UPS: u32 = 4;
const COPIES: u32 = 16;
const ROUNDS: usize = 3;
/// Dependent reads of a chase: microseconds each at the most.
const HOPS: u64 = 4096;
/// A page apart, so that every read is of another line and mostly of another page.
const STRIDE: u64 = 512;

/// What one path copies, and where to.
pub(super) enum Path<'a> {
    In(&'a Buffer, &'a HostBuffer),
    Out(&'a HostBuffer, &'a Buffer),
    Across(&'a Buffer, &'a Buffer),
    /// From one GPU to another where there is no direct way: the driver copies through the host, and may have this thread
    /// wait while it does.
    Staged(&'a Buffer, &'a Buffer),
}

/// One path with its queue and marks.
pub(super) struct Lane<'a> {
    pub(super) path: Path<'a>,
    pub(super) stream: &'a Stream,
    began: Event,
    ended: Event,
}

/// Raises the flag whatever happens: a stream that waits for it would wait for ever.
struct Gate<'a>(&'a HostBuffer);

impl Drop for Gate<'_> {
    fn drop(&mut self) {
        self.0.raise_flag(1);
    }
}

impl<'a> Lane<'a> {
    pub(super) fn new(path: Path<'a>, stream: &'a Stream) -> Result<Self, Broken> {
        let (began, ended) = (Event::new(stream.gpu())?, Event::new(stream.gpu())?);
        Ok(Self { path, stream, began, ended })
    }

    fn copy(&self, bytes: usize) -> Result<(), Broken> {
        match self.path {
            Path::In(to, from) => self.stream.copy_in(to, from, bytes)?,
            Path::Out(to, from) => self.stream.copy_out(to, from, 0, bytes)?,
            Path::Across(to, from) | Path::Staged(to, from) => self.stream.copy_to_peer(to, from, bytes)?,
        }
        Ok(())
    }

    /// Whether it can be queued behind a closed gate. The queue of staged copies may be full before all are in it, and then
    /// this thread would wait for a gate that only it can open.
    const fn is_gated(&self) -> bool {
        !matches!(self.path, Path::Staged(..))
    }

    fn queue(&self, flag: &HostBuffer, bytes: usize, copies: u32) -> Result<(), Broken> {
        if self.is_gated() {
            self.stream.wait_for_flag(flag)?;
        }
        for _ in 0..WARM_UPS {
            self.copy(bytes)?;
        }
        self.stream.mark(&self.began)?;
        for _ in 0..copies {
            self.copy(bytes)?;
        }
        Ok(self.stream.mark(&self.ended)?)
    }
}

/// Times all lanes at once, one round. Gigabytes a second for each.
pub(super) fn round(
    context: &DriveContext<'_>,
    lanes: &[Lane<'_>],
    flag: &HostBuffer,
    bytes: usize,
) -> Result<Vec<f64>, Broken> {
    context.go_on()?;
    flag.raise_flag(0);
    let gate = Gate(flag);
    for lane in lanes.iter().filter(|lane| lane.is_gated()) {
        lane.queue(flag, bytes, COPIES)?;
    }
    drop(gate);
    for lane in lanes.iter().filter(|lane| !lane.is_gated()) {
        lane.queue(flag, bytes, COPIES)?;
    }
    let mut speeds = Vec::new();
    for lane in lanes {
        context.wait(lane.stream, GpuWork::Copies)?;
        let seconds = lane.ended.seconds_since(&lane.began)?.max(1e-9);
        speeds.push(bytes as f64 * f64::from(COPIES) / seconds / 1e9);
    }
    Ok(speeds)
}

fn timed(context: &DriveContext<'_>, lanes: &[Lane<'_>], flag: &HostBuffer, bytes: usize) -> Result<Vec<f64>, Broken> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(round(context, lanes, flag, bytes)?);
    }
    let median = |lane: usize| {
        let mut speeds: Vec<f64> = rounds.iter().map(|round| round[lane]).collect();
        speeds.sort_by(f64::total_cmp);
        speeds[ROUNDS / 2]
    };
    Ok((0..lanes.len()).map(median).collect())
}

pub(super) fn size(gpu: &Gpu, buffers: usize) -> Result<usize, Broken> {
    let (free, _) = gpu.memory()?;
    Ok((free / (buffers * 2)).min(BYTES) & !0xFFFF)
}

pub(super) fn pattern(context: &DriveContext<'_>, salt: u64) -> Pattern {
    Pattern { kind: PATTERN_RANDOM, parameter: context.order.seed ^ salt << 32, ..Pattern::default() }
}

/// Writes a pattern into a buffer of a GPU.
pub(super) fn write(context: &DriveContext<'_>, buffer: &Buffer, pattern: Pattern) -> Result<(), Broken> {
    let (stream, _wrong) = sweep(buffer, MarchArgs { write: pattern, flags: MARCH_WRITE, ..unspoiled() })?;
    context.wait(&stream, GpuWork::WritePattern)
}

/// Compares a buffer of a GPU with the pattern that was copied there.
pub(super) fn compare(
    context: &DriveContext<'_>,
    buffer: &Buffer,
    pattern: Pattern,
    from: Endpoint,
) -> Result<(), Broken> {
    let spoiled = matches!(context.injection, Some(Injection::BitFlip { .. }));
    let inject_word = if spoiled { 4321 } else { NONE_64 };
    let args = MarchArgs { expect: pattern, flags: MARCH_VERIFY, inject_word, ..unspoiled() };
    let (stream, mut wrong) = sweep(buffer, args)?;
    let mut pace = Pace::new(buffer.gpu().index);
    let place = |record: &Record| (WrongPlace::CopyFrom { from, byte: record.word * 8 }, None);
    wrong.tell(context, &stream, &mut pace, GpuWork::Compare { from }, place)?;
    pace.tell(context.pipe);
    Ok(())
}

fn unspoiled() -> MarchArgs {
    MarchArgs { inject_word: NONE_64, ..MarchArgs::default() }
}

/// Queues one sweep over a buffer, with a log of its own.
fn sweep(buffer: &Buffer, args: MarchArgs) -> Result<(Stream, Wrong), Broken> {
    let gpu = buffer.gpu();
    let stream = Stream::new(gpu)?;
    let wrong = Wrong::new(gpu, &stream)?;
    let args = MarchArgs { log: wrong.address(), base: buffer.address(), pairs: buffer.bytes() as u64 / 16, ..args };
    let grid = Grid { blocks: gpu.multiprocessors * 4, threads: 512, shared_bytes: 0 };
    Kernel::new(gpu, "march")?.launch(&stream, grid, args)?;
    Ok((stream, wrong))
}

/// Copies between the host and each GPU, one GPU after another.
pub(in crate::cuda) fn host_copy(
    context: &DriveContext<'_>,
    gpus: &[Arc<Gpu>],
    direction: CopyDirection,
) -> Result<(), Broken> {
    let until = context.ends_at(context.pipe.ready().ok_or(Broken::Stopped)?);
    context.pipe.say(LoadSaid::Running);
    for round in 0u64.. {
        // Once, or over and over where the order says for how long.
        if round > 0 && until.is_none_or(|until| until <= monotonic_nanos()) {
            break;
        }
        for gpu in gpus {
            affinity::move_to(&gpu.pci);
            host_leg(context, gpu, direction)?;
            if round == 0 {
                latency(context, gpu)?;
            }
        }
        context.go_on()?;
    }
    Ok(())
}

fn host_leg(context: &DriveContext<'_>, gpu: &Arc<Gpu>, direction: CopyDirection) -> Result<(), Broken> {
    let bytes = size(gpu, 2)?;
    let (there, back) = (Buffer::new(gpu, bytes)?, Buffer::new(gpu, bytes)?);
    let (mut source, mut target) = (HostBuffer::new(gpu, bytes)?, HostBuffer::new(gpu, bytes)?);
    let flag = HostBuffer::new(gpu, 4096)?;
    let (out, home) = (Stream::new(gpu)?, Stream::new(gpu)?);
    let (going, coming) = (pattern(context, 1), pattern(context, 2));
    context.pipe.beat();
    for (at, word) in source.words().iter_mut().enumerate() {
        *word = pattern_word(&going, at as u64);
    }
    write(context, &back, coming)?;
    let mut lanes = Vec::new();
    if direction != CopyDirection::DeviceToHost {
        lanes.push(Lane::new(Path::In(&there, &source), &out)?);
    }
    if direction != CopyDirection::HostToDevice {
        lanes.push(Lane::new(Path::Out(&target, &back), &home)?);
    }
    let speeds = timed(context, &lanes, &flag, bytes)?;
    let here = Endpoint::Gpu(gpu.index);
    for (lane, gb_per_s) in lanes.iter().zip(speeds) {
        let (from, to) =
            if matches!(lane.path, Path::In(..)) { (Endpoint::Host, here) } else { (here, Endpoint::Host) };
        context.pipe.say(LoadSaid::Moved(Transfer { from, to, gb_per_s }));
    }
    drop(lanes);
    if direction != CopyDirection::DeviceToHost {
        compare(context, &there, going, Endpoint::Host)?;
    }
    if direction != CopyDirection::HostToDevice {
        compare_on_host(context, gpu, &back, &mut target, coming)?;
    }
    Ok(())
}

/// The GPU sums up what it sent, the host what came; where they differ, the words are looked at one by one.
fn compare_on_host(
    context: &DriveContext<'_>,
    gpu: &Arc<Gpu>,
    sent: &Buffer,
    came: &mut HostBuffer,
    pattern: Pattern,
) -> Result<(), Broken> {
    let stream = Stream::new(gpu)?;
    let mut answer = HostBuffer::new(gpu, 4096)?;
    let out = Buffer::new(gpu, 4096)?;
    stream.fill(&out, 0)?;
    let args =
        ChecksumArgs { base: sent.address(), pairs: sent.bytes() as u64 / 16, first_word: 0, out: out.address() };
    let grid = Grid { blocks: gpu.multiprocessors * 4, threads: 512, shared_bytes: 0 };
    Kernel::new(gpu, "checksum")?.launch(&stream, grid, args)?;
    stream.copy_out(&answer, &out, 0, 8)?;
    context.wait(&stream, GpuWork::Checksum)?;
    let words = came.words();
    if matches!(context.injection, Some(Injection::BitFlip { .. })) {
        words[1234] ^= 1 << 11;
    }
    context.pipe.beat();
    if checksum(words, 0) == answer.words()[0] {
        return Ok(());
    }
    let mut told = 0;
    for (at, word) in words.iter().enumerate() {
        let expected = pattern_word(&pattern, at as u64);
        if *word != expected && told < 64 {
            told += 1;
            let place = WrongPlace::CopyToHost { byte: at as u64 * 8 };
            let flipped_bits = (*word ^ expected).count_ones();
            let mismatch = Mismatch { gpu: gpu.index, place, iteration: 0, word: at as u64, flipped_bits, sm: None };
            context.pipe.say(LoadSaid::Mismatched(mismatch));
        }
    }
    Ok(())
}

/// Four times the largest cache there is (126 MB of L2 on a B200): filling so much leaves nothing else in it.
const FLUSH_BYTES: usize = 512 << 20;

/// How long one read takes that waits for the one before: of the GPU's own memory and of the host's.
fn latency(context: &DriveContext<'_>, gpu: &Arc<Gpu>) -> Result<(), Broken> {
    let stream = Stream::new(gpu)?;
    let (free, _) = gpu.memory()?;
    let flush = Buffer::new(gpu, (free / 4).min(FLUSH_BYTES) & !0xFFFF)?;
    let bytes = (HOPS * STRIDE * 8) as usize;
    let mut chain = HostBuffer::new(gpu, bytes)?;
    for hop in 0..HOPS {
        // A full cycle that jumps about: 1021 is prime to the number of hops.
        chain.words()[(hop * STRIDE) as usize] = (hop + 1021) % HOPS * STRIDE;
    }
    let own = Buffer::new(gpu, bytes)?;
    let out = Buffer::new(gpu, 4096)?;
    let mut answer = HostBuffer::new(gpu, 4096)?;
    stream.copy_in(&own, &chain, bytes)?;
    let chase = Kernel::new(gpu, "chase")?;
    for (base, is_own) in [(own.address(), true), (chain.address_for(gpu)?, false)] {
        // What has just been copied lies in the cache, which is not what is to be timed.
        stream.fill(&flush, 0)?;
        chase.launch(
            &stream,
            Grid { blocks: 1, threads: 32, shared_bytes: 0 },
            ChaseArgs { base, hops: HOPS, out: out.address() },
        )?;
        stream.copy_out(&answer, &out, 0, 16)?;
        context.wait(&stream, GpuWork::PointerChase)?;
        let nanos = (answer.words()[1] as f64 / HOPS as f64).round() as u64;
        let what = if is_own { NoteFact::OwnReadTakes { nanos } } else { NoteFact::HostReadTakes { nanos } };
        context.pipe.say(LoadSaid::Noted { gpu: Some(gpu.index), kind: NoteKind::Plain, what });
    }
    Ok(())
}

/// Copies between every ordered pair of GPUs, one after another.
pub(in crate::cuda) fn pair_copy(context: &DriveContext<'_>, gpus: &[Arc<Gpu>]) -> Result<(), Broken> {
    let [first, _, ..] = gpus else {
        return Err(Broken::Refused(LoadFault::NeedsTwoGpus));
    };
    let mut buffers = Vec::new();
    for (number, gpu) in gpus.iter().enumerate() {
        let bytes = size(gpu, 2)?;
        let (source, target) = (Buffer::new(gpu, bytes)?, Buffer::new(gpu, bytes)?);
        write(context, &source, pattern(context, number as u64))?;
        buffers.push((source, target, Stream::new(gpu)?));
    }
    let staged = connect(context, gpus)?;
    let flag = HostBuffer::new(first, 4096)?;
    context.pipe.ready().ok_or(Broken::Stopped)?;
    context.pipe.say(LoadSaid::Running);
    for from in 0..gpus.len() {
        for to in (0..gpus.len()).filter(|to| *to != from) {
            let (source, stream) = (&buffers[from].0, &buffers[from].2);
            let target = &buffers[to].1;
            let lanes = [Lane::new(across(&staged, (from, to), target, source), stream)?];
            let bytes = source.bytes().min(target.bytes());
            let gb_per_s = timed(context, &lanes, &flag, bytes)?[0];
            let (a, b) = (gpus[from].index, gpus[to].index);
            context.pipe.say(moved(a, b, gb_per_s));
            compare(context, target, pattern(context, from as u64), Endpoint::Gpu(a))?;
        }
    }
    Ok(())
}

pub(super) const fn moved(from: GpuIndex, to: GpuIndex, gb_per_s: f64) -> LoadSaid {
    LoadSaid::Moved(Transfer { from: Endpoint::Gpu(from), to: Endpoint::Gpu(to), gb_per_s })
}

/// Ways, by the places of their ends in the order, that go through the host.
pub(super) type Staged = BTreeSet<(usize, usize)>;

/// A copy between two GPUs, by the way there is.
pub(super) fn across<'a>(staged: &Staged, ends: (usize, usize), to: &'a Buffer, from: &'a Buffer) -> Path<'a> {
    if staged.contains(&ends) { Path::Staged(to, from) } else { Path::Across(to, from) }
}

/// Opens the direct ways between all GPUs, tells which there are not, and gives those.
pub(super) fn connect(context: &DriveContext<'_>, gpus: &[Arc<Gpu>]) -> Result<Staged, Broken> {
    let mut staged = Staged::new();
    for (from, gpu) in gpus.iter().enumerate() {
        for (to, peer) in gpus.iter().enumerate().filter(|(to, _)| *to != from) {
            let reach = gpu.reach(peer)?;
            let peer = peer.index;
            let what = match reach {
                PeerReach::Direct => continue,
                PeerReach::None => NoteFact::NoDirectWay { peer },
                PeerReach::TooMany => NoteFact::TooManyPeers { peer },
            };
            staged.insert((from, to));
            context.pipe.say(LoadSaid::Noted { gpu: Some(gpu.index), kind: NoteKind::ThroughHost, what });
        }
    }
    Ok(staged)
}
