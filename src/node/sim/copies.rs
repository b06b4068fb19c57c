//! Copies with a bandwidth to tell: leg by leg between host and GPUs or between pairs, and all to all at once.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the model computes in floats, and its counters, words and addresses are whole numbers within their range"
)]

use super::load::{Bench, COPY_NOISE, Job, Load, SECOND};
use super::parameter::GpuParameter as G;
use kiln_model::{CopyDirection, Endpoint, LoadSaid, Transfer};

/// One measured copy: 512 MiB, as nvbandwidth uses; 4 warm up, 3 samples of 16 are timed.
pub(super) const COPY_GB: f64 = 0.537;
pub(super) const COPIES: f64 = 52.0;
/// Pinning a host buffer, and opening peer access with its first touch.
pub(super) const HOST_SET_UP: f64 = 1.0;
pub(super) const PAIR_SET_UP: f64 = 0.28;
/// How long an all-to-all runs that was given no length, and how often it reports.
pub(super) const EXCHANGE: u64 = 20 * SECOND;
pub(super) const EXCHANGE_REPORT: u64 = 5 * SECOND;

/// One copy to time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leg {
    pub(super) from: Option<usize>,
    pub(super) to: Option<usize>,
    pub(super) direction: CopyDirection,
}

impl Load {
    /// When the copy begun now is done.
    pub(super) fn plan_leg(&mut self, now: u64, bench: &Bench<'_>) {
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

    pub(super) fn work_legs(&mut self, now: u64, bench: &mut Bench<'_>) -> bool {
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
        self.end_round(now, bench)
    }

    /// Ends the load once all is copied, or begins again where the order says for how long.
    fn end_round(&mut self, now: u64, bench: &mut Bench<'_>) -> bool {
        let goes_on = self.span.is_some_and(|span| now < self.began + span);
        let left = self.on.iter().any(|member| !bench.gpus[member.gpu].lost);
        match &mut self.job {
            Job::Legs { legs, at, .. } if *at >= legs.len() => {
                if !(goes_on && left) {
                    return self.finish(now, bench);
                }
                *at = 0;
                self.plan_leg(now, bench);
                true
            }
            _ => true,
        }
    }

    pub(super) fn work_exchange(&mut self, now: u64, bench: &mut Bench<'_>) -> bool {
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
        let rates: Vec<f64> = here.iter().map(|&gpu| bench.paths.all(&bench.gpus[gpu], bench.kind)).collect();
        for (&from, rate_from) in here.iter().zip(&rates) {
            for (&to, rate_to) in here.iter().zip(&rates).filter(|(to, _)| **to != from) {
                let (a, b) = (&bench.gpus[from], &bench.gpus[to]);
                let slower = rate_from.min(*rate_to);
                let gb_per_s = slower / peers * (1.0 + COPY_NOISE * self.noise.bell());
                let transfer = Transfer { from: Endpoint::Gpu(a.index), to: Endpoint::Gpu(b.index), gb_per_s };
                self.say(now, bench, LoadSaid::Moved(transfer));
            }
        }
        if over { self.finish(now, bench) } else { true }
    }
}

fn speed(leg: &Leg, bench: &Bench<'_>) -> f64 {
    match (leg.from, leg.to) {
        (Some(from), Some(to)) => bench.paths.pair(&bench.gpus[from], &bench.gpus[to], bench.kind),
        (Some(gpu), None) | (None, Some(gpu)) => bench.paths.host(&bench.gpus[gpu], leg.direction),
        (None, None) => 1.0,
    }
}

pub(super) fn host_legs(gpus: &[usize], direction: CopyDirection) -> Vec<Leg> {
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

pub(super) fn pair_legs(gpus: &[usize]) -> Vec<Leg> {
    let mut legs = Vec::new();
    for &from in gpus {
        for &to in gpus.iter().filter(|to| **to != from) {
            legs.push(Leg { from: Some(from), to: Some(to), direction: CopyDirection::Both });
        }
    }
    legs
}
