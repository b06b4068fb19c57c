//! Work per cycle of the SM clock as it goes on: what a part does in one cycle neither heat nor the power cap changes, so that
//! multiprocessors that stop for a while, or for good, show in it where the power cap gives the others a higher clock for it.

#![expect(clippy::cast_precision_loss, reason = "counts become floats far below 2^53")]

use super::declare::may;
use super::gauge::LoadGauge;
use super::sheet::{Gauged, Sheet};
use super::sloping::Sloping;
use super::window::Window;
use kiln_model::{Component, ComponentKind, Moment, Span, Unit};
use kiln_profile::MeasurementSpec;

pub(super) const FALL: MeasurementSpec = may(
    "throughput.per-clock.fall",
    Unit::Percent,
    ComponentKind::Gpu,
    "how much less work an SM clock cycle did at the end of the window than at its start, beyond chance; 0 where it did more",
);
pub(super) const DIPS: MeasurementSpec = may(
    "throughput.per-clock.dips",
    Unit::Percent,
    ComponentKind::Gpu,
    "share of the window in which an SM clock cycle did less than 19/20 of its usual work",
);

/// A load's word and a sample of the clock are of moments up to a second apart: over so long that does not matter.
const BLOCK: Span = Span::from_secs(5);
/// At the power cap clocks wander by a few per cent from second to second (docs/model.md), over a block by one.
const DIP: f64 = 0.95;

#[derive(Debug)]
pub(super) struct PerClock {
    block: Option<Moment>,
    work: Mean,
    clock: Mean,
    /// Million operations per cycle, of each block.
    blocks: Sloping,
}

#[derive(Debug, Default)]
struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    /// Takes out what came together.
    fn end(&mut self) -> Option<f64> {
        let Self { sum, count } = std::mem::take(self);
        (count > 0).then(|| sum / f64::from(count))
    }
}

impl Default for PerClock {
    fn default() -> Self {
        Self {
            block: None,
            work: Mean::default(),
            clock: Mean::default(),
            blocks: Sloping::over(Window::told_every(BLOCK)),
        }
    }
}

impl PerClock {
    pub(super) fn clock(&mut self, megahertz: Option<f64>) {
        if let (Some(_), Some(megahertz)) = (self.block, megahertz) {
            self.clock.add(megahertz);
        }
    }

    /// Takes in a word of the load. The first opens a block: what it tells of was before.
    pub(super) fn work(&mut self, at: Moment, tflops: f64) {
        let since = *self.block.get_or_insert(at);
        if since == at {
            return self.blocks.begin(at);
        }
        self.work.add(tflops);
        if at.since(since) >= BLOCK {
            self.block = Some(at);
            if let (Some(work), Some(clock)) = (self.work.end(), self.clock.end().filter(|clock| *clock > 0.0)) {
                self.blocks.add(at, work / clock);
            }
        }
    }

    /// The fall along a straight line, less what the scatter of so many blocks can make of none: three deviations of a slope.
    fn fall(&self, over: Span) -> Gauged {
        let fall = |blocks: &Window| {
            let scatter = (blocks.quantile(0.84)? - blocks.quantile(0.16)?) / 2.0;
            let by_chance = 3.0 * scatter * (12.0 / blocks.count() as f64).sqrt();
            Some((-100.0 * (self.blocks.slope()? * over.as_secs_f64() + by_chance) / blocks.mean()?).max(0.0))
        };
        self.blocks.gauged(over, fall)
    }

    fn dips(&self, over: Span) -> Gauged {
        self.blocks.gauged(over, |blocks| Some(100.0 * blocks.share_below(blocks.quantile(0.5)? * DIP)))
    }
}

/// Puts both of a GPU. `clock`: what is known of its clock; without one nothing is known of its cycles.
pub(super) fn put(sheet: &mut Sheet<'_>, gpu: Component, gauge: &LoadGauge, over: Span) {
    let clock = gauge.clock.gauged(over, Window::mean);
    let known = |told: Gauged| if clock.number().is_some() { told } else { clock.clone() };
    sheet.put(FALL.name, gpu, gauge.at_best(known(gauge.cycles.fall(over))));
    sheet.put(DIPS.name, gpu, gauge.at_best(known(gauge.cycles.dips(over))));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fall and dips of an hour with this work and clock in each second.
    fn told(second: impl Fn(u32) -> (f64, f64)) -> [f64; 2] {
        let mut cycles = PerClock::default();
        for at in 0..=3600 {
            let (tflops, megahertz) = second(at);
            cycles.work(Moment::from_secs(u64::from(at)), tflops);
            cycles.clock(Some(megahertz));
        }
        let over = Span::from_secs(3600);
        [cycles.fall(over), cycles.dips(over)].map(|told| told.number().expect("told"))
    }

    #[test]
    fn work_that_follows_the_clock_neither_falls_nor_dips() {
        let clock = |at: u32| if at.is_multiple_of(600) { 1000.0 } else { 1700.0 - f64::from(at) / 20.0 };
        let [fall, dips] = told(|at| (clock(at.max(1) - 1) * 0.4, clock(at)));
        assert!(fall < 0.01 && dips < 0.01, "{fall} {dips}");
    }

    #[test]
    fn multiprocessors_that_stop_for_a_while_dip_though_the_others_got_a_higher_clock() {
        let stopped = |at: u32| (1200..1236).contains(&at);
        let [_, dips] = told(|at| if stopped(at) { (690.0, 1950.0) } else { (700.0, 1750.0) });
        assert!((0.8..1.3).contains(&dips), "{dips}");
    }

    #[test]
    fn multiprocessors_that_stop_for_good_are_a_fall() {
        let [fall, dips] = told(|at| if at < 1800 { (700.0, 1750.0) } else { (690.0, 1765.0) });
        assert!((1.8..4.0).contains(&fall), "{fall}");
        assert!(dips < 0.01, "{dips}");
    }

    #[test]
    fn a_minute_that_scatters_has_not_fallen() {
        let mut cycles = PerClock::default();
        for at in 0..=60 {
            cycles.work(
                Moment::from_secs(at),
                if at < 25 { 704.0 } else { 696.0 } + if at % 10 < 5 { 4.0 } else { -4.0 },
            );
            cycles.clock(Some(1750.0));
        }
        assert_eq!(cycles.fall(Span::from_secs(60)).number(), Some(0.0));
    }
}
