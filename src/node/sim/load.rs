//! Loads on the simulated node: what each does to its GPUs, what it reports and when it ends.
//!
//! Bandwidths are `bandwidth`'s; wrong results come from `errors`.

use super::bandwidth::Paths;
use super::build::Kind;
use super::gpu::{Activity, Gpu};
use super::noise::Noise;
use super::parameter::GpuParameter as G;
use crate::model::{
    BurnKernel, CopyDirection, Endpoint, LoadEnd, LoadId, LoadKind, LoadOrder, LoadReport, LoadSaid, Mismatch, Moment,
    StopHow, Transfer,
};

const SECOND: u64 = 1_000_000_000;
/// Context, allocation and first launch of a load.
const START_UP: u64 = 1_200_000_000;
const GENTLE_STOP: u64 = 300_000_000;
const KILL: u64 = 50_000_000;
/// After this long without an end a killed load counts as held by the driver.
const UNKILLABLE: u64 = 10 * SECOND;
/// One measured copy: 512 MiB, as nvbandwidth uses; 4 warm up, 3 samples of 16 are timed.
const COPY_GB: f64 = 0.537;
const COPIES: f64 = 52.0;
/// Pinning a host buffer, and opening peer access with its first touch.
const HOST_SET_UP: f64 = 1.0;
const PAIR_SET_UP: f64 = 0.28;
/// How long an all-to-all runs that was given no length, and how often it reports.
const EXCHANGE: u64 = 20 * SECOND;
const EXCHANGE_REPORT: u64 = 5 * SECOND;
/// Sweeps over memory in one pass: 10 patterns, 8 elements each (March C- has six and two more for the background).
const SWEEPS: f64 = 80.0;
/// Passes of a march that was given no length: one to three minutes.
const PASSES: u32 = 20;
/// Share of memory the driver and the context keep for themselves.
const MEMORY_KEPT: f64 = 0.006;
/// Mismatches told one by one.
const TOLD: u64 = 64;
/// Noise of a throughput and of a bandwidth measurement.
const RATE_NOISE: f64 = 0.001;
const COPY_NOISE: f64 = 0.002;
/// Side of the tiles whose results are compared, and depth of the product: 8192³ in 128² tiles.
const TILE_FLOP: f64 = 2.0 * 128.0 * 128.0 * 8192.0;

/// One copy to time.
#[derive(Debug, Clone, Copy)]
struct Leg {
    from: Option<usize>,
    to: Option<usize>,
    direction: CopyDirection,
}

#[derive(Debug, Clone)]
enum Job {
    Steady { next: u64 },
    Legs { legs: Vec<Leg>, at: usize, until: u64 },
    Exchange { next: u64, until: u64 },
    March { next: u64, until: Option<u64>, ends: Vec<u64>, passes: Vec<u32> },
}

/// One load.
#[derive(Debug, Clone)]
pub(super) struct Load {
    id: LoadId,
    kind: LoadKind,
    /// Places in the node's list of GPUs, with what became of them.
    on: Vec<Member>,
    began: u64,
    running: bool,
    stopping: Option<u64>,
    kill_asked: Option<u64>,
    span: Option<u64>,
    job: Job,
    told: u64,
    noise: Noise,
}

#[derive(Debug, Clone)]
struct Member {
    gpu: usize,
    gone: bool,
    verified: f64,
    mismatches: u64,
    /// The last moment up to which work was counted.
    counted: u64,
}

/// What loads work with.
pub(super) struct Bench<'a> {
    pub(super) gpus: &'a mut [Gpu],
    pub(super) kind: &'a Kind,
    pub(super) paths: &'a Paths,
    pub(super) out: &'a mut Vec<LoadReport>,
}

impl Load {
    pub(super) fn new(order: &LoadOrder, now: Moment, gpus: &[Gpu], seed: u64) -> Self {
        let on: Vec<Member> = order
            .gpus
            .iter()
            .filter_map(|index| gpus.iter().position(|gpu| gpu.index == *index))
            .map(|gpu| Member { gpu, gone: false, verified: 0.0, mismatches: 0, counted: now.nanos() })
            .collect();
        let places: Vec<usize> = on.iter().map(|member| member.gpu).collect();
        let job = match order.kind {
            LoadKind::Burn(_) | LoadKind::Pulse { .. } => Job::Steady { next: 0 },
            LoadKind::HostCopy(direction) => Job::Legs { legs: host_legs(&places, direction), at: 0, until: 0 },
            LoadKind::PairCopy => Job::Legs { legs: pair_legs(&places), at: 0, until: 0 },
            LoadKind::AllToAll => Job::Exchange { next: 0, until: 0 },
            LoadKind::March { .. } => {
                Job::March { next: 0, until: None, ends: vec![0; on.len()], passes: vec![0; on.len()] }
            }
        };
        Self {
            id: order.id,
            kind: order.kind,
            on,
            began: now.nanos(),
            running: false,
            stopping: None,
            kill_asked: None,
            span: order.span.map(|span| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)),
            job,
            told: 0,
            noise: Noise::new(seed ^ order.seed, u64::from(order.id.0) + 5000),
        }
    }

    pub(super) const fn id(&self) -> LoadId {
        self.id
    }

    /// When it has something to say next.
    pub(super) fn due(&self) -> u64 {
        if let Some(at) = self.stopping {
            return at;
        }
        if !self.running {
            return self.began + START_UP;
        }
        match &self.job {
            Job::Steady { next } => *next,
            Job::Legs { until, .. } => *until,
            Job::Exchange { next, until } => (*next).min(*until),
            Job::March { next, ends, .. } => {
                let open = self.on.iter().zip(ends).filter(|(member, _)| !member.gone).map(|(_, end)| *end);
                open.min().map_or(*next, |end| end.min(*next))
            }
        }
    }

    /// Changes whenever what it does to its GPUs does.
    pub(super) fn place(&self) -> (bool, usize) {
        let at = if let Job::Legs { at, .. } = &self.job { *at } else { 0 };
        (self.running, at)
    }

    pub(super) fn stop(&mut self, now: Moment, how: StopHow, gpus: &[Gpu]) {
        let held = self.on.iter().any(|member| !member.gone && gpus[member.gpu].values[G::Hang] > 0.5);
        let after = match how {
            _ if held => {
                // A kill does not come any faster where the driver does not let go.
                self.kill_asked = Some(now.nanos());
                UNKILLABLE
            }
            StopHow::Gently => GENTLE_STOP,
            StopHow::Kill => KILL,
        };
        let at = now.nanos() + after;
        self.stopping = Some(self.stopping.map_or(at, |earlier| earlier.min(at)));
    }

    /// Does what is due at `now`. Gives false once the load is over.
    pub(super) fn work(&mut self, now: u64, bench: &mut Bench<'_>) -> bool {
        if self.on.iter().all(|member| member.gone) {
            // All its GPUs went away, or it never had one.
            self.say(now, bench, LoadSaid::Ended { gpu: None, end: LoadEnd::GpuLost });
            return false;
        }
        if let Some(at) = self.stopping {
            if now < at {
                return true;
            }
            let end = if self.kill_asked.is_some() { LoadEnd::Unkillable } else { LoadEnd::Stopped };
            self.say(now, bench, LoadSaid::Ended { gpu: None, end });
            return false;
        }
        if !self.running {
            if now < self.began + START_UP || self.hung(bench) {
                return true;
            }
            self.start(now, bench);
            return true;
        }
        match self.job {
            Job::Steady { .. } => self.work_steady(now, bench),
            Job::Legs { .. } => self.work_legs(now, bench),
            Job::Exchange { .. } => self.work_exchange(now, bench),
            Job::March { .. } => self.work_march(now, bench),
        }
    }

    /// Whether the driver holds one of its GPUs, so that the whole load waits.
    fn hung(&self, bench: &Bench<'_>) -> bool {
        self.on.iter().any(|member| !member.gone && bench.gpus[member.gpu].values[G::Hang] > 0.5)
    }

    fn start(&mut self, now: u64, bench: &mut Bench<'_>) {
        self.running = true;
        for member in &mut self.on {
            member.counted = now;
        }
        let next_second = (now / SECOND + 1) * SECOND;
        let march: Vec<u64> = self.on.iter().map(|member| now + self.pass_nanos(&bench.gpus[member.gpu])).collect();
        let (began, span) = (self.began, self.span);
        match &mut self.job {
            Job::Steady { next } => *next = next_second,
            Job::Legs { .. } => {}
            Job::Exchange { next, until } => {
                *next = now + EXCHANGE_REPORT;
                *until = began + span.unwrap_or(EXCHANGE);
            }
            Job::March { next, until, ends, .. } => {
                *next = next_second;
                *until = span.map(|span| began + span);
                *ends = march;
            }
        }
        self.say(now, bench, LoadSaid::Running);
        self.plan_leg(now, bench);
    }

    fn say(&self, now: u64, bench: &mut Bench<'_>, said: LoadSaid) {
        bench.out.push(LoadReport { load: self.id, at: Moment::from_nanos(now), said });
    }

    fn finish(&self, now: u64, bench: &mut Bench<'_>) -> bool {
        self.say(now, bench, LoadSaid::Ended { gpu: None, end: LoadEnd::Finished });
        false
    }

    fn work_steady(&mut self, now: u64, bench: &mut Bench<'_>) -> bool {
        let Job::Steady { next } = &mut self.job else { return true };
        if now < *next {
            return true;
        }
        *next = (now / SECOND + 1) * SECOND;
        self.progress(now, bench);
        true
    }

    /// Tells what each GPU has done since it was told last.
    fn progress(&mut self, now: u64, bench: &mut Bench<'_>) {
        let (kind, duty) = (self.kind, self.duty());
        for at in 0..self.on.len() {
            let member = &mut self.on[at];
            let gpu = &bench.gpus[member.gpu];
            if member.gone || gpu.values[G::Hang] > 0.5 {
                continue;
            }
            let seconds = (now - member.counted) as f64 / 1e9;
            member.counted = now;
            let wobble = 1.0 + RATE_NOISE * self.noise.bell();
            let (tflops, memory) = match kind {
                LoadKind::Burn(kernel) | LoadKind::Pulse { kernel, .. } => {
                    let tflops = throughput(gpu, bench.kind, kernel) * duty * wobble;
                    member.verified += tflops * 1e12 * seconds / TILE_FLOP;
                    (tflops, gpu.values[G::MemoryBandwidth] * bench.kind.kernel(kernel).memory * duty)
                }
                _ => (0.0, gpu.values[G::MemoryBandwidth] * wobble),
            };
            let said = LoadSaid::Progress {
                gpu: gpu.index,
                tflops,
                memory_gb_per_s: memory,
                verified: member.verified as u64,
                mismatches: member.mismatches,
            };
            bench.out.push(LoadReport { load: self.id, at: Moment::from_nanos(now), said });
        }
    }

    fn duty(&self) -> f64 {
        if let LoadKind::Pulse { duty, .. } = self.kind { duty } else { 1.0 }
    }

    /// When the copy begun now is done.
    fn plan_leg(&mut self, now: u64, bench: &Bench<'_>) {
        let Job::Legs { legs, at, until } = &mut self.job else { return };
        // Copies with a GPU that went away are left out.
        let gone = |gpu: Option<usize>| gpu.is_some_and(|gpu| bench.gpus[gpu].lost);
        while legs.get(*at).is_some_and(|leg| gone(leg.from) || gone(leg.to)) {
            *at += 1;
        }
        let Some(leg) = legs.get(*at) else {
            *until = now;
            return;
        };
        let set_up = if leg.from.is_some() && leg.to.is_some() { PAIR_SET_UP } else { HOST_SET_UP };
        let seconds = set_up + COPIES * COPY_GB / speed(leg, bench).max(0.01);
        *until = now + (seconds * 1e9) as u64;
    }

    fn work_legs(&mut self, now: u64, bench: &mut Bench<'_>) -> bool {
        let Job::Legs { legs, at, until } = &mut self.job else { return true };
        if now < *until {
            return true;
        }
        let Some(leg) = legs.get(*at).copied() else { return self.finish(now, bench) };
        let involved = [leg.from, leg.to].into_iter().flatten();
        let (mut hung, mut lost) = (false, false);
        for gpu in involved {
            hung |= bench.gpus[gpu].values[G::Hang] > 0.5;
            lost |= bench.gpus[gpu].lost;
        }
        if hung {
            // It waits for a copy that never comes back; look again later.
            *until = now + SECOND;
            return true;
        }
        *at += 1;
        if !lost {
            let gb_per_s = speed(&leg, bench) * (1.0 + COPY_NOISE * self.noise.bell());
            let end = |gpu: Option<usize>| gpu.map_or(Endpoint::Host, |gpu| Endpoint::Gpu(bench.gpus[gpu].index));
            let said = LoadSaid::Moved(Transfer { from: end(leg.from), to: end(leg.to), gb_per_s });
            self.say(now, bench, said);
        }
        self.plan_leg(now, bench);
        match &self.job {
            Job::Legs { legs, at, .. } if *at >= legs.len() => self.finish(now, bench),
            _ => true,
        }
    }

    fn work_exchange(&mut self, now: u64, bench: &mut Bench<'_>) -> bool {
        let Job::Exchange { next, until } = &mut self.job else { return true };
        let over = now >= *until;
        if now < *next && !over {
            return true;
        }
        if self.on.iter().any(|member| !member.gone && bench.gpus[member.gpu].values[G::Hang] > 0.5) {
            *next = now + SECOND;
            *until = (*until).max(now + SECOND);
            return true;
        }
        *next = now + EXCHANGE_REPORT;
        let here: Vec<usize> = self.on.iter().filter(|member| !member.gone).map(|member| member.gpu).collect();
        let peers = (here.len().max(2) - 1) as f64;
        for &from in &here {
            for &to in here.iter().filter(|to| **to != from) {
                let (a, b) = (&bench.gpus[from], &bench.gpus[to]);
                let slower = bench.paths.all(a, bench.kind).min(bench.paths.all(b, bench.kind));
                let gb_per_s = slower / peers * (1.0 + COPY_NOISE * self.noise.bell());
                let transfer = Transfer { from: Endpoint::Gpu(a.index), to: Endpoint::Gpu(b.index), gb_per_s };
                self.say(now, bench, LoadSaid::Moved(transfer));
            }
        }
        if over { self.finish(now, bench) } else { true }
    }

    fn pass_nanos(&self, gpu: &Gpu) -> u64 {
        let LoadKind::March { coverage } = self.kind else { return u64::MAX / 4 };
        let bytes = gpu.values[G::MemorySize] * 1_048_576.0 * coverage.clamp(0.01, 1.0) * (1.0 - MEMORY_KEPT);
        // Each sweep reads and writes every byte.
        (2.0 * bytes * SWEEPS / (gpu.values[G::MemoryBandwidth] * 1e9) * 1e9) as u64
    }

    fn work_march(&mut self, now: u64, bench: &mut Bench<'_>) -> bool {
        let LoadKind::March { coverage } = self.kind else { return true };
        let Job::March { next, until, .. } = &mut self.job else { return true };
        let until = *until;
        if now >= *next {
            *next = (now / SECOND + 1) * SECOND;
            self.progress(now, bench);
        }
        for at in 0..self.on.len() {
            let place = self.on[at].gpu;
            let Job::March { ends, .. } = &self.job else { return true };
            if self.on[at].gone || now < ends[at] || bench.gpus[place].values[G::Hang] > 0.5 {
                continue;
            }
            let gpu = &bench.gpus[place];
            let words = gpu.values[G::MemorySize] * 1_048_576.0 / 8.0 * coverage * SWEEPS;
            self.on[at].verified += words;
            let stuck = gpu.values[G::StuckCells] as u64;
            let (index, next_pass) = (gpu.index, now + self.pass_nanos(gpu));
            for cell in 0..stuck {
                // The same cells in every pass: they are where they are.
                let mut where_ = Noise::new(u64::from(index.0) * 7919 + cell, 77);
                self.mismatch(now, at, format!("chunk {}", where_.below(140)), where_.below(1 << 27), 1, bench);
            }
            let percent = 100.0 * coverage.clamp(0.0, 1.0) * (1.0 - MEMORY_KEPT);
            self.say(now, bench, LoadSaid::Covered { gpu: index, percent });
            let Job::March { ends, passes, .. } = &mut self.job else { return true };
            passes[at] += 1;
            let done = until.map_or(passes[at] >= PASSES, |until| now >= until);
            ends[at] = if done { u64::MAX } else { next_pass };
        }
        let Job::March { ends, .. } = &self.job else { return true };
        if self.on.iter().zip(ends).all(|(member, end)| member.gone || *end == u64::MAX) {
            self.progress(now, bench);
            return self.finish(now, bench);
        }
        true
    }

    /// A wrong result on one of its GPUs, if this load checks arithmetic.
    pub(super) fn wrong_result(&mut self, now: u64, gpu: usize, bench: &mut Bench<'_>) {
        let checks = matches!(self.kind, LoadKind::Burn(_) | LoadKind::Pulse { .. });
        let Some(at) = self.on.iter().position(|member| member.gpu == gpu && !member.gone) else { return };
        if !checks || !self.running {
            return;
        }
        // A bad unit is bad every time: nine in ten errors come from the same SM, the rest from its neighbours' luck.
        let mut home = Noise::new(bench.gpus[gpu].part.slot as u64 + 31, 13);
        let unit = home.below(bench.kind.sms);
        let unit = if self.noise.uniform() < 0.9 { unit } else { self.noise.below(bench.kind.sms) };
        let word = self.noise.below(128 * 128);
        let bits = 1 + self.noise.below(4) as u32;
        self.mismatch(now, at, format!("SM {unit}"), word, bits, bench);
    }

    fn mismatch(&mut self, now: u64, at: usize, place: String, word: u64, flipped_bits: u32, bench: &mut Bench<'_>) {
        let member = &mut self.on[at];
        member.mismatches += 1;
        self.told += 1;
        if self.told <= TOLD {
            let gpu = bench.gpus[member.gpu].index;
            let iteration = member.verified as u64;
            let mismatch = Mismatch { gpu, place, iteration, word, flipped_bits };
            self.say(now, bench, LoadSaid::Mismatched(mismatch));
        }
    }

    /// A GPU went away, or the driver threw the load off it.
    pub(super) fn leave(&mut self, now: u64, gpu: usize, end: &LoadEnd, bench: &mut Bench<'_>) {
        let Some(member) = self.on.iter_mut().find(|member| member.gpu == gpu && !member.gone) else { return };
        member.gone = true;
        let index = bench.gpus[gpu].index;
        self.say(now, bench, LoadSaid::Ended { gpu: Some(index), end: end.clone() });
    }

    /// Everything under it is gone at once.
    pub(super) fn cut_off(&self, now: u64, why: &str, out: &mut Vec<LoadReport>) {
        let end = LoadEnd::Failed(why.to_owned());
        out.push(LoadReport { load: self.id, at: Moment::from_nanos(now), said: LoadSaid::Ended { gpu: None, end } });
    }

    /// Adds what this load does to its GPUs to `activities`, one for each GPU of the node.
    pub(super) fn exert(&self, gpus: &[Gpu], kind: &Kind, paths: &Paths, activities: &mut [Activity]) {
        for member in self.on.iter().filter(|member| !member.gone) {
            let activity = &mut activities[member.gpu];
            activity.busy = true;
            activity.duty = activity.duty.max(if self.running { self.duty() } else { 1.0 });
            if !self.running {
                continue;
            }
            match self.kind {
                LoadKind::Burn(kernel) => burn(activity, kind, kernel),
                LoadKind::Pulse { kernel, hertz, .. } => {
                    burn(activity, kind, kernel);
                    activity.hertz = hertz;
                }
                LoadKind::March { .. } => {
                    activity.memory = (activity.memory + 1.0).min(1.0);
                    activity.compute = activity.compute.max(0.15);
                }
                LoadKind::AllToAll => {
                    let out = paths.all(&gpus[member.gpu], kind);
                    carry(activity, out, &gpus[member.gpu]);
                }
                LoadKind::HostCopy(_) | LoadKind::PairCopy => {}
            }
        }
        self.exert_leg(gpus, kind, paths, activities);
    }

    fn exert_leg(&self, gpus: &[Gpu], kind: &Kind, paths: &Paths, activities: &mut [Activity]) {
        let Job::Legs { legs, at, .. } = &self.job else { return };
        let Some(leg) = legs.get(*at).filter(|_| self.running) else { return };
        match (leg.from, leg.to) {
            (Some(from), Some(to)) => {
                // The two GPUs move data for about a fifth of the leg; the rest is set-up.
                let rate = paths.pair(&gpus[from], &gpus[to], kind);
                let share = COPIES * COPY_GB / rate / (PAIR_SET_UP + COPIES * COPY_GB / rate);
                carry(&mut activities[from], rate * share, &gpus[from]);
                if gpus[to].links.is_empty() {
                    activities[to].host += rate * share;
                }
            }
            (Some(gpu), None) | (None, Some(gpu)) => {
                let rate = paths.host(&gpus[gpu], leg.direction);
                let share = COPIES * COPY_GB / rate / (HOST_SET_UP + COPIES * COPY_GB / rate);
                activities[gpu].host += rate * share;
            }
            (None, None) => {}
        }
    }

    /// Whether this load is of the kind a fault's condition names.
    pub(super) fn is_kind(&self, word: LoadWord, gpu: Option<usize>) -> bool {
        let there = gpu.is_none_or(|gpu| self.on.iter().any(|member| member.gpu == gpu && !member.gone));
        there && self.running && LoadWord::of(&self.kind) == word
    }
}

/// Kinds of load by the word a fault file uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadWord {
    Burn,
    Pulse,
    March,
    HostCopy,
    PairCopy,
    AllToAll,
}

impl LoadWord {
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("burn", Self::Burn),
        ("pulse", Self::Pulse),
        ("march", Self::March),
        ("host-copy", Self::HostCopy),
        ("pair-copy", Self::PairCopy),
        ("all-to-all", Self::AllToAll),
    ];

    const fn of(kind: &LoadKind) -> Self {
        match kind {
            LoadKind::Burn(_) => Self::Burn,
            LoadKind::Pulse { .. } => Self::Pulse,
            LoadKind::March { .. } => Self::March,
            LoadKind::HostCopy(_) => Self::HostCopy,
            LoadKind::PairCopy => Self::PairCopy,
            LoadKind::AllToAll => Self::AllToAll,
        }
    }
}

/// TFLOP/s at the clock of now.
fn throughput(gpu: &Gpu, kind: &Kind, kernel: BurnKernel) -> f64 {
    let kernel = kind.kernel(kernel);
    gpu.clock * 1e6 * kernel.flop_per_clock * kernel.efficiency * gpu.values[G::Efficiency] / 1e12
}

fn burn(activity: &mut Activity, kind: &Kind, kernel: BurnKernel) {
    let kernel = kind.kernel(kernel);
    activity.compute = (activity.compute + kernel.activity).min(1.2);
    activity.memory = (activity.memory + kernel.memory).min(1.0);
    activity.arithmetic = true;
}

/// GPU-to-GPU traffic goes over NVLink where there is one.
fn carry(activity: &mut Activity, gb_per_s: f64, gpu: &Gpu) {
    if gpu.links.is_empty() {
        activity.host += gb_per_s;
    } else {
        activity.nvlink += gb_per_s;
        // What goes out is read from memory, and as much comes in and is written.
        activity.memory = (activity.memory + 2.0 * gb_per_s / gpu.values[G::MemoryBandwidth]).min(1.0);
    }
}

fn speed(leg: &Leg, bench: &Bench<'_>) -> f64 {
    match (leg.from, leg.to) {
        (Some(from), Some(to)) => bench.paths.pair(&bench.gpus[from], &bench.gpus[to], bench.kind),
        (Some(gpu), None) | (None, Some(gpu)) => bench.paths.host(&bench.gpus[gpu], leg.direction),
        (None, None) => 1.0,
    }
}

fn host_legs(gpus: &[usize], direction: CopyDirection) -> Vec<Leg> {
    let leg = |gpu: usize, direction| match direction {
        CopyDirection::DeviceToHost => Leg { from: Some(gpu), to: None, direction },
        _ => Leg { from: None, to: Some(gpu), direction },
    };
    gpus.iter()
        .flat_map(|&gpu| match direction {
            // Measured one after the other, so that each direction has its number.
            CopyDirection::Both => {
                vec![leg(gpu, CopyDirection::HostToDevice), leg(gpu, CopyDirection::DeviceToHost)]
            }
            one => vec![leg(gpu, one)],
        })
        .collect()
}

fn pair_legs(gpus: &[usize]) -> Vec<Leg> {
    let mut legs = Vec::new();
    for &from in gpus {
        for &to in gpus.iter().filter(|to| **to != from) {
            legs.push(Leg { from: Some(from), to: Some(to), direction: CopyDirection::Both });
        }
    }
    legs
}
