//! Sampling: when the next sample is due, and what the last readings of every GPU were.

use std::collections::BTreeMap;

use crate::link_rest::LinkRest;
use crate::stand_in::StandIns;
use kiln_event::{RunRecord, Vitals};
use kiln_model::{GpuIndex, Inventory, Moment, Reading, Sample, Sensor, Span};

/// The samples of a run.
#[derive(Default)]
pub(super) struct Sampling {
    /// When the next sample is due, once the run has begun.
    next: Option<Moment>,
    stand_ins: StandIns,
    link_rest: LinkRest,
    temperatures: BTreeMap<GpuIndex, Reading<f64>>,
    /// The last readings of every GPU that still answers.
    vitals: BTreeMap<GpuIndex, Vitals>,
}

impl Sampling {
    /// Begins on the beat that the run began with, wherever on it the run is taken up.
    pub(super) fn begin(&mut self, inventory: &Inventory, record: &RunRecord, now: Moment, every: Span) {
        let into = u128::from(now.nanos()) % every.as_nanos().max(1);
        self.next = Some(now - Span::from_nanos(u64::try_from(into).unwrap_or(0)));
        self.stand_ins = StandIns::new(inventory);
        self.link_rest = LinkRest::new(inventory, &record.resting_links);
    }

    pub(super) const fn is_begun(&self) -> bool {
        self.next.is_some()
    }

    pub(super) const fn next(&self) -> Option<Moment> {
        self.next
    }

    /// Returns when the sample was due that is to be taken now, and sets the next one.
    pub(super) fn due(&mut self, now: Moment, every: Span) -> Option<Moment> {
        let due = self.next.filter(|due| *due <= now)?;
        // A late tick is not made up for: the next one is due at the regular time.
        let next = due + every;
        self.next = Some(if next <= now { now + every } else { next });
        Some(due)
    }

    /// Takes in a sample and returns it with what stands in for sensors that the driver does not offer, if anything does, and the
    /// GPUs whose link turns out to rest.
    pub(super) fn take(&mut self, sample: &Sample) -> (Option<Box<Sample>>, Vec<GpuIndex>) {
        let whole = self.stand_ins.complete(sample);
        let sample = whole.as_deref().unwrap_or(sample);
        let resting = self.link_rest.take(sample);
        self.temperatures.insert(sample.gpu, sample[Sensor::TempGpu]);
        self.vitals.insert(sample.gpu, Vitals::of(sample));
        (whole, resting)
    }

    pub(super) fn lose(&mut self, gpu: GpuIndex) {
        self.vitals.remove(&gpu);
    }

    pub(super) fn celsius(&self, gpu: GpuIndex) -> Reading<f64> {
        self.temperatures.get(&gpu).copied().unwrap_or_default()
    }

    pub(super) fn vitals(&self) -> Vec<Vitals> {
        self.vitals.values().copied().collect()
    }
}
