//! The gauges of all GPUs of a step, and what every load on GPUs tells of them.

use std::collections::BTreeMap;

use super::course::Course;
use super::declare::may;
use super::foreign::{JOINED, Ours, Strangers};
use super::gauge::{LoadGauge, gpu_of};
use super::sheet::{Gauged, Sheet};
use super::window::Window;
use super::{Seen, StepContext};
use kiln_limit::Missing;
use kiln_model::{Answer, Component, ComponentKind, GpuIndex, LoadEnd, LoadSaid, Span, Unit};
use kiln_profile::MeasurementSpec;

/// One gauge for every GPU of a step.
#[derive(Debug)]
pub(super) struct Gauges {
    each: BTreeMap<GpuIndex, LoadGauge>,
    strangers: Strangers,
}

/// `floor_share`: see [`LoadGauge::new`].
pub(super) fn gauges(context: &StepContext<'_>, floor_share: f64) -> Gauges {
    let gauge = |gpu| (gpu, LoadGauge::new(context.inventory.gpu(gpu), floor_share, context.every));
    let strangers = Strangers::since(context.inventory, Ours::OneLoad);
    Gauges { each: context.gpus().into_iter().map(gauge).collect(), strangers }
}

impl Gauges {
    /// Gives an observation to the gauges it concerns.
    pub(super) fn take(&mut self, course: &Course, seen: &Seen<'_>) {
        match seen {
            Seen::Sampled(sample) => {
                if let Some(gauge) = self.each.get_mut(&sample.gpu) {
                    if course.is_measuring() { gauge.take(sample) } else { gauge.count(sample) }
                }
            }
            Seen::Load(report) => {
                let (at, said) = (report.at, &report.said);
                if matches!(said, LoadSaid::Running) {
                    self.strangers.begin();
                }
                if matches!(said, LoadSaid::Ended { end: LoadEnd::Finished, .. }) && course.repeats() {
                    return;
                }
                match gpu_of(said) {
                    Some(gpu) => {
                        if let Some(gauge) = self.each.get_mut(&gpu) {
                            gauge.hear(at, said, course.is_measuring());
                            gauge.follow(at, said, course.under_way(at));
                        }
                    }
                    None => self.each.values_mut().for_each(|gauge| gauge.hear(at, said, course.is_measuring())),
                }
            }
            Seen::Answered(Answer::Inventory(Ok(found))) if course.is_loaded() => {
                for gpu in self.strangers.look(found) {
                    if let Some(gauge) = self.each.get_mut(&gpu) {
                        gauge.broken.get_or_insert(Missing::ForeignProcess);
                    }
                }
            }
            _ => {}
        }
    }

    /// Puts how often somebody else's process was seen on the GPU.
    pub(super) fn put_joined(&self, sheet: &mut Sheet<'_>, gpu: GpuIndex) {
        sheet.put(JOINED.name, Component::Gpu(gpu), self.strangers.joined(gpu));
    }

    /// The middle of the thermal resistances at the end of the window; of two in the middle the lesser, which both have reached. Places
    /// differ, so that with one less the middle is another's: what is not known of one is not known of the middle, and beside a lost one,
    /// which is told by itself, there is none.
    pub(super) fn resistance_middle(&self, over: Span, context: &StepContext<'_>) -> Gauged {
        if self.each.keys().any(|gpu| context.lost.contains_key(gpu)) {
            return Gauged::Unsupported;
        }
        let mut all: Vec<Gauged> = self.each.values().map(|gauge| gauge.whole(gauge.resistance_end(over))).collect();
        if let Some(unknown) = all.iter().find(|one| one.number().is_none()) {
            return unknown.clone();
        }
        all.sort_by(|one, other| one.number().unwrap_or(0.0).total_cmp(&other.number().unwrap_or(0.0)));
        let middle = all.len().saturating_sub(1) / 2;
        all.get(middle).cloned().unwrap_or(Gauged::Missing(Missing::NeverRead))
    }

    /// Why nothing is known of any GPU that is there, where that is so.
    pub(super) fn all_broken(&self, context: &StepContext<'_>) -> Option<Gauged> {
        let there = || self.each.iter().filter(|(gpu, _)| !context.lost.contains_key(gpu)).map(|(_, gauge)| gauge);
        let why = there().next()?.broken.clone().filter(|_| there().all(|gauge| gauge.broken.is_some()))?;
        Some(Gauged::Missing(why))
    }

    /// Draws the line under the load's window; see [`LoadGauge::close`].
    pub(super) fn close(&mut self, over: Span) {
        self.each.values_mut().for_each(|gauge| gauge.close(over));
    }

    /// Knows that other loads of ours run beside the one that is gauged.
    pub(super) fn beside_others(mut self, context: &StepContext<'_>) -> Self {
        self.strangers = Strangers::since(context.inventory, Ours::Several);
        self
    }

    /// Lets a load tell of its work as seldom as at this interval.
    pub(super) fn told_every(mut self, interval: Span) -> Self {
        for gauge in self.each.values_mut() {
            gauge.tflops = Window::told_every(interval);
            gauge.work = Window::told_every(interval);
            gauge.memory_rate = Window::told_every(interval);
        }
        self
    }

    pub(super) fn get(&self, gpu: GpuIndex) -> Option<&LoadGauge> {
        self.each.get(&gpu)
    }

    /// Whether any GPU still answers and carries its load.
    pub(super) fn any_left(&self, context: &StepContext<'_>) -> bool {
        self.each.iter().any(|(gpu, gauge)| !context.lost.contains_key(gpu) && gauge.broken.is_none())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (GpuIndex, &LoadGauge)> {
        self.each.iter().map(|(gpu, gauge)| (*gpu, gauge))
    }
}

/// What cools all GPUs, told so that nothing of a single one is in it.
pub(super) const RESISTANCE_MIDDLE: MeasurementSpec = may(
    "resistance.middle",
    Unit::KelvinPerWatt,
    ComponentKind::Node,
    "thermal resistance at the end of the window, by straight lines through it, of the GPU in the middle; where an inlet is shown",
);

/// The part of the sheet that every GPU load shares: error counters, throttling, results.
pub(super) fn put_common(sheet: &mut Sheet<'_>, gpu: Component, gauge: &LoadGauge, over: Span) {
    let counters = &gauge.counters;
    for (name, counted) in [
        ("throttle.thermal", counters.thermal()),
        ("throttle.power-brake", counters.power_brake.gauged()),
        ("ecc.corrected", counters.ecc_corrected.gauged()),
        ("ecc.uncorrected", counters.ecc_uncorrected.gauged()),
        ("remaps", counters.remaps()),
        ("pcie.replays", counters.pcie_replays.gauged()),
    ] {
        sheet.put(name, gpu, gauge.ticks.growth(counted, over));
    }
    sheet.put("verified", gpu, gauge.verified());
    sheet.put("mismatches", gpu, gauge.mismatches());
    sheet.put("clock.memory.mean", gpu, gauge.whole(gauge.clock_memory.gauged(over, Window::mean)));
    gauge.put_kept(sheet, gpu, over);
}
