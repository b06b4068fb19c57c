//! What a GPU must keep while a load runs: the lanes and the speed of its PCIe link, its power limit, its memory clock.
//!
//! A look before and a look after miss what changed in between, and a load over NVLink or none at all hides a lame PCIe link.
//! The samples carry all of them every second.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use super::sheet::{Gauged, Sheet};
use kiln_limit::Missing;
use kiln_model::{Component, ComponentKind, Reading, Sample, Sensor, Unit};
use kiln_profile::MeasurementSpec;

/// The measurements of every check that loads GPUs.
pub(super) const WIDTH_LOST: MeasurementSpec = super::declare::may(
    "pcie.width.lost",
    Unit::One,
    ComponentKind::Gpu,
    "PCIe lanes by which the link fell below the most it had during the step",
);
pub(super) const GEN_LOWER: MeasurementSpec = super::declare::may(
    "pcie.gen.lower",
    Unit::Percent,
    ComponentKind::Gpu,
    "share of the window in which the PCIe generation was below the highest of the step",
);
pub(super) const LIMIT_FALL: MeasurementSpec = super::declare::may(
    "power.limit.fall",
    Unit::Percent,
    ComponentKind::Gpu,
    "how far the power limit fell below the highest of the step",
);

/// Memory has one clock under load, which all parts of a model share.
pub(super) const MEMORY_CLOCK: MeasurementSpec =
    super::declare::may("clock.memory.mean", Unit::Megahertz, ComponentKind::Gpu, "memory clock, mean of the window");

/// Follows one GPU over a step.
#[derive(Debug, Default)]
pub(super) struct Kept {
    width: Extent,
    generation: Extent,
    power_limit: Extent,
    /// Generations seen while the window was open, each with how often.
    under_load: Vec<(f64, u64)>,
}

/// Least and greatest of what was read.
#[derive(Debug, Default)]
struct Extent {
    ends: Option<(f64, f64)>,
    failed: bool,
}

impl Extent {
    fn take(&mut self, reading: Reading<f64>) {
        match reading {
            Reading::Value(value) => {
                let (least, most) = self.ends.unwrap_or((value, value));
                self.ends = Some((least.min(value), most.max(value)));
            }
            Reading::Failed(_) => self.failed = true,
            Reading::Unsupported => {}
        }
    }

    fn gauged(&self, of: impl FnOnce(f64, f64) -> f64) -> Gauged {
        match self.ends {
            Some((least, most)) => Gauged::once(of(least, most)),
            None if self.failed => Gauged::Missing(Missing::NeverRead),
            None => Gauged::Unsupported,
        }
    }
}

impl Kept {
    /// Takes in a sample; `loaded` of the window, in which an idle link is no excuse.
    pub(super) fn take(&mut self, sample: &Sample, loaded: bool) {
        self.width.take(sample[Sensor::PcieWidth]);
        self.generation.take(sample[Sensor::PcieGeneration]);
        self.power_limit.take(sample[Sensor::PowerLimit]);
        // A GPU whose load has ended, or that rests between two pulses, lets its link rest as well.
        let busy = loaded && sample.get(Sensor::UtilGpu) != Some(0.0);
        if let (true, Some(generation)) = (busy, sample.get(Sensor::PcieGeneration)) {
            match self.under_load.iter_mut().find(|(known, _)| *known == generation) {
                Some((_, count)) => *count += 1,
                None => self.under_load.push((generation, 1)),
            }
        }
    }

    /// Puts the measurements, each as `seen` leaves it: that nothing fell says nothing of a window that was hardly looked at.
    pub(super) fn put(&self, sheet: &mut Sheet<'_>, gpu: Component, seen: impl Fn(Gauged) -> Gauged) {
        sheet.put(WIDTH_LOST.name, gpu, seen(self.width.gauged(|least, most| most - least)));
        let fall = self.power_limit.gauged(|least, most| 100.0 * (most - least) / most.max(1.0));
        sheet.put(LIMIT_FALL.name, gpu, seen(fall));
        let all: u64 = self.under_load.iter().map(|(_, count)| count).sum();
        let lower = self.generation.gauged(|_, most| {
            let lower: u64 = self.under_load.iter().filter(|(one, _)| *one < most).map(|(_, count)| count).sum();
            100.0 * lower as f64 / all.max(1) as f64
        });
        sheet.put(
            GEN_LOWER.name,
            gpu,
            if all == 0 && lower.number().is_some() {
                Gauged::Missing(Missing::NoReadingUnderLoad)
            } else {
                seen(lower)
            },
        );
    }
}
