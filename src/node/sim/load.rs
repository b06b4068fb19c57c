//! Loads on the simulated node: what each does to its GPUs, what it reports and when it ends.
//!
//! What a load does to its GPUs is `exert`; copies and the memory march are `copies` and `march`; wrong results come from
//! `errors`.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the model computes in floats, and its counters, words and addresses are whole numbers within their range"
)]

use super::bandwidth::Paths;
use super::build::Kind;
use super::copies::{EXCHANGE, EXCHANGE_REPORT, Leg, host_legs, pair_legs};
use super::exert::share_at_work;
use super::gpu::Gpu;
use super::noise::Noise;
use super::parameter::GpuParameter as G;
use kiln_model::{
    BurnKernel, LoadEnd, LoadFault, LoadId, LoadKind, LoadOrder, LoadReport, LoadSaid, Mismatch, Moment, Screened,
    StopHow, Turns, WrongPlace,
};

pub(super) const SECOND: u64 = 1_000_000_000;
/// Context, allocation and first launch of a load.
const START_UP: u64 = 1_200_000_000;
const GENTLE_STOP: u64 = 300_000_000;
const KILL: u64 = 50_000_000;
/// After this long without an end a killed load counts as held by the driver.
const UNKILLABLE: u64 = 10 * SECOND;
/// Mismatches told one by one.
const TOLD: u64 = 64;
/// Noise of a throughput and of a bandwidth measurement.
const RATE_NOISE: f64 = 0.001;
/// Noise of a throughput from second to second while a governor hunts for the clock that the power limit leaves. Successive
/// lines of a published burn, 6.6 s each, have a standard deviation of 1.0 % (wilicc/gpu-burn, issue 48): 2 % of single seconds
/// come to 0.8 % there.
const HUNTING_NOISE: f64 = 0.02;
pub(super) const COPY_NOISE: f64 = 0.002;
/// Side of the tiles whose results are compared, and depth of the product: 8192³ in 128² tiles.
pub(super) const TILE_FLOP: f64 = 2.0 * TILE_PRODUCTS;
const TILE_PRODUCTS: f64 = 128.0 * 128.0 * 8192.0;

#[derive(Debug, Clone)]
pub(super) enum Job {
    Steady { next: u64 },
    Legs { legs: Vec<Leg>, at: usize, until: u64 },
    Exchange { next: u64, until: u64 },
    March { next: u64, until: Option<u64>, ends: Vec<u64>, passes: Vec<u32> },
}

/// One load.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) id: LoadId,
    pub(super) kind: LoadKind,
    /// Places in the node's list of GPUs, with what became of them.
    pub(super) on: Vec<Member>,
    pub(super) began: u64,
    pub(super) running: bool,
    pub(super) stopping: Option<u64>,
    pub(super) kill_asked: Option<u64>,
    pub(super) span: Option<u64>,
    pub(super) job: Job,
    pub(super) told: u64,
    /// How it ended on the GPU it left last.
    pub(super) last: LoadEnd,
    pub(super) noise: Noise,
}

#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) gpu: usize,
    pub(super) gone: bool,
    pub(super) verified: f64,
    pub(super) mismatches: u64,
    /// The last moment up to which work was counted.
    pub(super) counted: u64,
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
        // A model has no processors to run programs on: with no GPU under it, the load ends as soon as it has started.
        let program = matches!(order.kind, LoadKind::Program(_));
        let on = if program { Vec::new() } else { on };
        let places: Vec<usize> = on.iter().map(|member| member.gpu).collect();
        let job = match &order.kind {
            LoadKind::Burn(_)
            | LoadKind::FixedClock { .. }
            | LoadKind::Pulse { .. }
            | LoadKind::Screen { .. }
            | LoadKind::Program(_) => Job::Steady { next: 0 },
            LoadKind::HostCopy(direction) => Job::Legs { legs: host_legs(&places, *direction), at: 0, until: 0 },
            LoadKind::PairCopy => Job::Legs { legs: pair_legs(&places), at: 0, until: 0 },
            LoadKind::AllToAll => Job::Exchange { next: 0, until: 0 },
            LoadKind::March { .. } => {
                Job::March { next: 0, until: None, ends: vec![0; on.len()], passes: vec![0; on.len()] }
            }
        };
        Self {
            id: order.id,
            kind: order.kind.clone(),
            on,
            began: now.nanos(),
            running: false,
            stopping: None,
            kill_asked: None,
            span: order.span.map(|span| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)),
            job,
            told: 0,
            last: if program { LoadEnd::Failed(LoadFault::NoPrograms) } else { LoadEnd::GpuLost },
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
            // It ends as its last GPU did, or it never had one.
            self.say(now, bench, LoadSaid::Ended { gpu: None, end: self.last.clone() });
            return false;
        }
        if let Some(at) = self.stopping {
            if now < at {
                return true;
            }
            let end = if self.kill_asked.is_some() { LoadEnd::Unkillable } else { LoadEnd::Stopped };
            if end == LoadEnd::Stopped && self.running {
                self.tell_screened(now, bench);
            }
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

    pub(super) fn say(&self, now: u64, bench: &mut Bench<'_>, said: LoadSaid) {
        bench.out.push(LoadReport { load: self.id, at: Moment::from_nanos(now), said });
    }

    pub(super) fn finish(&self, now: u64, bench: &mut Bench<'_>) -> bool {
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
        let screens = matches!(self.kind, LoadKind::Screen { .. });
        if screens && self.span.is_some_and(|span| now >= self.began + START_UP + span) {
            self.tell_screened(now, bench);
            return self.finish(now, bench);
        }
        true
    }

    /// Tells what a screen has compared on each of its GPUs.
    fn tell_screened(&self, now: u64, bench: &mut Bench<'_>) {
        let LoadKind::Screen { turns, .. } = self.kind else { return };
        for member in self.on.iter().filter(|member| !member.gone) {
            let products = member.verified.floor() * TILE_PRODUCTS;
            let alone = match turns {
                Turns::AllAtOnce => 0.0,
                // Half of the work of each is done alone.
                Turns::EachInTurn => 0.5 * products / bench.kind.sms as f64,
            };
            let gpu = &bench.gpus[member.gpu];
            let there = bench.kind.sms.saturating_sub(gpu.values[G::UnitsOff] as u64);
            let sms = u32::try_from(there).unwrap_or(u32::MAX);
            // One that gets no work done is asked until the end, and gives no product alone.
            let silent = (gpu.values[G::UnitsLost] as u32).min(sms);
            let unreached = match turns {
                Turns::AllAtOnce => Vec::new(),
                Turns::EachInTurn => (sms - silent..sms).collect(),
            };
            let screened = Screened { gpu: gpu.index, sms, products, least_alone: alone, unreached };
            self.say(now, bench, LoadSaid::Screened(screened));
        }
    }

    /// Tells what each GPU has done since it was told last.
    pub(super) fn progress(&mut self, now: u64, bench: &mut Bench<'_>) {
        let (kind, duty) = (&self.kind.clone(), self.duty());
        for at in 0..self.on.len() {
            let member = &mut self.on[at];
            let gpu = &bench.gpus[member.gpu];
            if member.gone || gpu.values[G::Hang] > 0.5 {
                continue;
            }
            let seconds = (now - member.counted) as f64 / 1e9;
            member.counted = now;
            let wobble = 1.0 + if gpu.hunts() { HUNTING_NOISE } else { RATE_NOISE } * self.noise.bell();
            let (tflops, memory) = match kind {
                &LoadKind::Burn(kernel) | &LoadKind::FixedClock { kernel, .. } | &LoadKind::Pulse { kernel, .. } => {
                    let tflops = throughput(gpu, bench.kind, kernel) * duty * wobble;
                    member.verified += tflops * 1e12 * seconds / TILE_FLOP;
                    (tflops, gpu.memory_bandwidth() * bench.kind.kernel(kernel).memory * duty)
                }
                &LoadKind::Screen { kernel, turns, .. } => {
                    let share = share_at_work(turns, bench.kind.sms);
                    let tflops = throughput(gpu, bench.kind, kernel) * share * wobble;
                    member.verified += tflops * 1e12 * seconds / TILE_FLOP;
                    (tflops, 0.0)
                }
                _ => (0.0, gpu.memory_bandwidth() * wobble),
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

    pub(super) fn duty(&self) -> f64 {
        if let LoadKind::Pulse { duty, .. } = self.kind { duty } else { 1.0 }
    }

    /// A wrong result on one of its GPUs, if this load checks arithmetic.
    pub(super) fn wrong_result(&mut self, now: u64, gpu: usize, bench: &mut Bench<'_>) {
        let checks = matches!(
            self.kind,
            LoadKind::Burn(_) | LoadKind::FixedClock { .. } | LoadKind::Pulse { .. } | LoadKind::Screen { .. }
        );
        let Some(at) = self.on.iter().position(|member| member.gpu == gpu && !member.gone) else { return };
        if !checks || !self.running {
            return;
        }
        // A bad unit is bad every time: nine in ten errors come from the same SM, the rest from its neighbours' luck.
        let mut home = Noise::new(bench.gpus[gpu].part.slot as u64 + 31, 13);
        let unit = home.below(bench.kind.sms);
        let unit = if self.noise.uniform() < 0.9 { unit } else { self.noise.below(bench.kind.sms) };
        let known = bench.gpus[gpu].values[G::WrongUnit].round() as u64;
        let unit = if known > 0 { (known - 1).min(bench.kind.sms.saturating_sub(1)) } else { unit };
        let word = self.noise.below(128 * 128);
        let bits = 1 + self.noise.below(4) as u32;
        let sm = unit as u32;
        self.mismatch(now, at, (WrongPlace::Sm { sm, unit: None }, Some(sm)), word, bits, bench);
    }

    pub(super) fn mismatch(
        &mut self,
        now: u64,
        at: usize,
        (place, sm): (WrongPlace, Option<u32>),
        word: u64,
        flipped_bits: u32,
        bench: &mut Bench<'_>,
    ) {
        let member = &mut self.on[at];
        member.mismatches += 1;
        self.told += 1;
        if self.told <= TOLD {
            let gpu = bench.gpus[member.gpu].index;
            let iteration = member.verified as u64;
            let mismatch = Mismatch { gpu, place, iteration, word, flipped_bits, sm };
            self.say(now, bench, LoadSaid::Mismatched(mismatch));
        }
    }

    /// A GPU went away, or the driver threw the load off it.
    pub(super) fn leave(&mut self, now: u64, gpu: usize, end: &LoadEnd, bench: &mut Bench<'_>) {
        let Some(member) = self.on.iter_mut().find(|member| member.gpu == gpu && !member.gone) else { return };
        member.gone = true;
        self.last = end.clone();
        let index = bench.gpus[gpu].index;
        self.say(now, bench, LoadSaid::Ended { gpu: Some(index), end: end.clone() });
    }

    /// Everything under it is gone at once.
    pub(super) fn cut_off(&self, now: u64, why: LoadFault, out: &mut Vec<LoadReport>) {
        let end = LoadEnd::Failed(why);
        out.push(LoadReport { load: self.id, at: Moment::from_nanos(now), said: LoadSaid::Ended { gpu: None, end } });
    }
}

/// TFLOP/s at the clock of now.
pub(super) fn throughput(gpu: &Gpu, kind: &Kind, kernel: BurnKernel) -> f64 {
    let kernel = kind.kernel(kernel);
    let idle = gpu.values[G::UnitsLost] + gpu.values[G::UnitsOff];
    let working = 1.0 - (idle / kind.sms as f64).min(1.0);
    gpu.clock * 1e6 * kernel.flop_per_clock * kernel.efficiency * gpu.values[G::Efficiency] * working / 1e12
}
