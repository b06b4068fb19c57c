//! Bits flipped on purpose, many in one load: one in each launch, each in a place of its own, and looked for there.

use std::collections::BTreeSet;

use super::drive_context::DriveContext;
use crate::cuda::layout::Record;
use crate::cuda::reference::mix;
use crate::worker::Injection;
use kiln_model::{GpuIndex, LoadSaid};

/// How many are still to be flipped, and how many were found.
#[derive(Debug)]
pub(super) struct Flips {
    seed: u64,
    done: u32,
    count: u32,
    /// Iteration, unit and word of those that were flipped and are not found yet.
    sown: BTreeSet<(u64, u32, u64)>,
    flipped: u32,
    found: u32,
}

/// Where one goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spoiled(u64);

impl Flips {
    /// Those that the order asks for, if it does.
    pub(super) const fn asked(context: &DriveContext<'_>) -> Option<Self> {
        match context.injection {
            Some(Injection::BitFlips { count }) => Some(Self::new(context.order.seed, count)),
            _ => None,
        }
    }

    const fn new(seed: u64, count: u32) -> Self {
        Self { seed, done: 0, count, sown: BTreeSet::new(), flipped: 0, found: 0 }
    }

    pub(super) const fn is_over(&self) -> bool {
        self.done >= self.count
    }

    /// The next, if there is one left.
    pub(super) fn next(&mut self) -> Option<Spoiled> {
        if self.is_over() {
            return None;
        }
        self.done += 1;
        Some(Spoiled(mix(self.seed ^ u64::from(self.done))))
    }

    /// Remembers where one was flipped: as a record of it would say.
    pub(super) fn sow(&mut self, iteration: u64, unit: u32, word: u64) {
        self.flipped += 1;
        self.sown.insert((iteration, unit, word));
    }

    /// Counts those that these records find. A wrong result elsewhere is none of them, however many there are.
    pub(super) fn reap(&mut self, records: &[Record]) {
        for record in records {
            self.found += u32::from(self.sown.remove(&(record.iteration, record.unit, record.word)));
        }
    }

    pub(super) fn tell(&self, context: &DriveContext<'_>, gpu: GpuIndex) {
        context.pipe.say(LoadSaid::Flipped { gpu, flipped: self.flipped, found: self.found });
    }
}

impl Spoiled {
    /// A number below `bound`; another for each `what`.
    pub(super) fn below(self, what: u64, bound: u64) -> u64 {
        mix(self.0 ^ what << 56) % bound.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_result_elsewhere_does_not_stand_for_a_flipped_bit() {
        let mut flips = Flips::new(7, 3);
        for iteration in 0..3 {
            flips.sow(iteration, 4, 100);
        }
        let record = |iteration, unit, word| Record { iteration, word, unit, ..Record::default() };
        // One found, told twice; one beside its word, one beside its unit.
        flips.reap(&[record(0, 4, 100), record(0, 4, 100), record(1, 4, 101), record(2, 5, 100)]);
        assert_eq!((flips.flipped, flips.found), (3, 1));
    }
}
