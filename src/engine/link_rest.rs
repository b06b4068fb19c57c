//! Which GPUs have PCIe links that rest in a lower generation while nothing uses them.
//!
//! Each way down and up goes through the Recovery state (PCI Express Base Specification, 4.2.6: changes of speed), so that
//! on such a link the count of recoveries tells of rest and not of trouble.

use std::collections::{BTreeMap, BTreeSet};

use kiln_model::{GpuIndex, Inventory, Moment, Sample, Sensor, Span};

/// A link that trains again is back within seconds; one that stays low for longer rests.
const RESTS_AFTER: Span = Span::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct LinkRest {
    greatest: BTreeMap<GpuIndex, f64>,
    low_since: BTreeMap<GpuIndex, Moment>,
    resting: BTreeSet<GpuIndex>,
}

impl LinkRest {
    /// `resting`: what was found out before the run was taken up again.
    pub(super) fn new(inventory: &Inventory, resting: &BTreeSet<GpuIndex>) -> Self {
        let greatest =
            inventory.gpus.iter().filter_map(|gpu| Some((gpu.index, f64::from(gpu.pcie.max_generation.get()?))));
        Self { greatest: greatest.collect(), low_since: BTreeMap::new(), resting: resting.clone() }
    }

    /// Takes in a sample and returns the GPUs whose links are now known to rest and were not before.
    pub(super) fn take(&mut self, sample: &Sample) -> Vec<GpuIndex> {
        let Some(generation) = sample.get(Sensor::PcieGeneration) else { return Vec::new() };
        let Some(greatest) = self.greatest.get(&sample.gpu) else { return Vec::new() };
        if generation >= *greatest || sample.get(Sensor::UtilGpu).is_some_and(|util| util > 0.0) {
            self.low_since.remove(&sample.gpu);
            return Vec::new();
        }
        let since = *self.low_since.entry(sample.gpu).or_insert(sample.at);
        let mut found = BTreeSet::new();
        if sample.at.since(since) >= RESTS_AFTER {
            found.insert(sample.gpu);
        }
        // A fault drops one link; what most links of a node do at once is how links of their kind rest.
        if self.low_since.len() * 2 > self.greatest.len() {
            found.extend(self.low_since.keys().copied());
        }
        found.into_iter().filter(|gpu| self.resting.insert(*gpu)).collect()
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "values are bounded where they are made, within the narrower type")]
mod tests {
    use super::*;
    use kiln_model::{Gpu, Reading};

    fn node(gpus: u8) -> LinkRest {
        let gpu = |index| {
            let mut gpu = Gpu::bare(GpuIndex(index));
            gpu.pcie.max_generation = Reading::Value(4);
            gpu
        };
        LinkRest::new(&Inventory { gpus: (0..gpus).map(gpu).collect(), ..Inventory::default() }, &BTreeSet::new())
    }

    fn tick(rest: &mut LinkRest, second: u64, generations: &[f64]) {
        for (gpu, generation) in generations.iter().enumerate() {
            let mut sample = Sample::new(GpuIndex(gpu as u8), Moment::from_secs(second));
            sample.put(Sensor::PcieGeneration, *generation);
            sample.put(Sensor::UtilGpu, 0.0);
            let _ = rest.take(&sample);
        }
    }

    #[test]
    fn links_that_are_low_together_at_idle_rest() {
        let mut rest = node(4);
        tick(&mut rest, 1, &[1.0; 4]);
        assert_eq!(rest.resting.len(), 4);
    }

    #[test]
    fn one_link_that_drops_for_seconds_does_not_rest() {
        let mut rest = node(4);
        for second in 0..60 {
            let dropped = if (20..26).contains(&second) { 1.0 } else { 4.0 };
            tick(&mut rest, second, &[4.0, dropped, 4.0, 4.0]);
        }
        assert_eq!(&rest.resting, &BTreeSet::new());
    }

    #[test]
    fn one_link_that_stays_low_at_idle_rests() {
        let mut rest = node(4);
        for second in 0..11 {
            tick(&mut rest, second, &[4.0, 1.0, 4.0, 4.0]);
        }
        assert_eq!(&rest.resting, &BTreeSet::from([GpuIndex(1)]));
    }
}
