//! Bits flipped on purpose, many in one load: one in each launch, each in a place of its own.

use super::drive_context::DriveContext;
use crate::cuda::reference::mix;
use crate::worker::Injection;

/// How many are still to be flipped.
#[derive(Debug)]
pub(super) struct Flips {
    seed: u64,
    done: u32,
    count: u32,
}

/// Where one goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spoiled(u64);

impl Flips {
    /// Those that the order asks for, if it does.
    pub(super) const fn asked(context: &DriveContext<'_>) -> Option<Self> {
        match context.injection {
            Some(Injection::BitFlips { count }) => Some(Self { seed: context.order.seed, done: 0, count }),
            _ => None,
        }
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
}

impl Spoiled {
    /// A number below `bound`; another for each `what`.
    pub(super) fn below(self, what: u64, bound: u64) -> u64 {
        mix(self.0 ^ what << 56) % bound.max(1)
    }
}
