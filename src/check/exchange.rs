//! What an exchange between all GPUs tells: how fast each sent to each other, summed up for one GPU.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::collections::BTreeMap;

use super::sheet::Gauged;
use super::window::Window;
use kiln_limit::Missing;
use kiln_model::{Endpoint, GpuIndex, LoadSaid, Moment, Span, Transfer};

/// Exchanges tell of every way at this interval, or more often.
const TOLD_EVERY: Span = Span::from_secs(5);

/// The ways between GPUs, each with how fast it was.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    sent: BTreeMap<(GpuIndex, GpuIndex), Window>,
}

impl Exchange {
    /// Takes in what the load tells of one way, if that is what it tells of.
    pub(super) fn hear(&mut self, at: Moment, said: &LoadSaid) {
        if let LoadSaid::Moved(Transfer { from: Endpoint::Gpu(from), to: Endpoint::Gpu(to), gb_per_s }) = said {
            let sent = self.sent.entry((*from, *to));
            sent.or_insert_with(|| Window::told_every(TOLD_EVERY)).add(at, *gb_per_s);
        }
    }

    /// What a GPU sent to all partners together over a span, and what that would be if each way were as slow as its slowest.
    /// Missing where one way is: a sum without it would hide it.
    pub(super) fn egress(&self, from: GpuIndex, partners: &[GpuIndex], over: Span) -> (Gauged, Gauged) {
        let to_each = partners.iter().filter(|to| **to != from).map(|to| match self.sent.get(&(from, *to)) {
            Some(sent) => sent.gauged(over, Window::mean),
            None => Gauged::Missing(Missing::NoTrafficTold),
        });
        let to_each = to_each.map(|one| one.number().ok_or(one)).collect::<Result<Vec<f64>, Gauged>>();
        let reports = self.sent.iter().filter(|((own, _), _)| *own == from).map(|(_, window)| window.count());
        let samples = reports.min().unwrap_or(0);
        match to_each {
            Ok(means) if !means.is_empty() => {
                let slowest = means.iter().copied().fold(f64::INFINITY, f64::min);
                let of = |value| Gauged::Number { value, samples };
                (of(means.iter().sum()), of(slowest * means.len() as f64))
            }
            Ok(_) => (Gauged::Missing(Missing::NoPartner), Gauged::Missing(Missing::NoPartner)),
            Err(why) => (why.clone(), why),
        }
    }
}
