//! The registration with the NVLink fabric, looked at again and again while the links carry traffic: one that comes and goes is
//! completed before the traffic and after it.

use std::collections::BTreeMap;

use super::course::Course;
use super::declare::may;
use super::sheet::Gauged;
use super::{Seen, Wants};
use kiln_limit::Missing;
use kiln_model::{Answer, ComponentKind, FabricState, GpuIndex, Inventory, Moment, Probe, Reading, Span, Unit};
use kiln_profile::MeasurementSpec;

pub(super) const FABRIC_AWAY: MeasurementSpec = may(
    "fabric.away",
    Unit::One,
    ComponentKind::Gpu,
    "how often, looked at once a minute, the GPU was not registered with its fabric",
);

/// A look reads the whole inventory, which is more than the driver should be asked beside every sample.
const EVERY: Span = Span::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct FabricWatch {
    next: Option<Moment>,
    seen: BTreeMap<GpuIndex, Looks>,
}

#[derive(Debug, Default)]
struct Looks {
    completed: u64,
    away: u64,
    has_none: bool,
}

impl FabricWatch {
    /// Takes in one observation, and asks for a look when one is due. `course` says when the traffic to look at runs.
    pub(super) fn take(&mut self, course: &Course, now: Moment, seen: &Seen<'_>, wants: &mut Wants) {
        match seen {
            Seen::Sampled(_) if course.is_measuring() && self.next.is_none_or(|next| now >= next) => {
                self.next = Some(now + EVERY);
                wants.ask(Probe::Inventory);
            }
            Seen::Answered(Answer::Inventory(Ok(found))) => self.hear(found),
            _ => {}
        }
    }

    fn hear(&mut self, found: &Inventory) {
        for gpu in &found.gpus {
            let looks = self.seen.entry(gpu.index).or_default();
            match &gpu.fabric {
                Reading::Value(fabric) if fabric.state == FabricState::Completed => looks.completed += 1,
                Reading::Value(_) => looks.away += 1,
                Reading::Unsupported => looks.has_none = true,
                // Whether it is registered was not seen.
                Reading::Failed(_) => {}
            }
        }
    }

    pub(super) fn away(&self, gpu: GpuIndex) -> Gauged {
        match self.seen.get(&gpu) {
            Some(Looks { completed, away, .. }) if completed + away > 0 => {
                Gauged::Number { value: *away as f64, samples: completed + away }
            }
            Some(Looks { has_none: true, .. }) => Gauged::Unsupported,
            _ => Gauged::Missing(Missing::NeverRead),
        }
    }
}
