//! Processes of somebody else that come to a GPU while a load of ours runs on it: what is measured beside one is not the GPU's.
//!
//! The driver lists our own workers as well, and in a container without their names and with other numbers, so that processes are counted
//! and not known. Ours are as many on each GPU: one that has more than its siblings, and had not before the run, has a stranger. So has
//! one that has more than when our load had just begun.

use std::collections::BTreeMap;

use super::declare::may;
use super::sheet::Gauged;
use kiln_limit::Missing;
use kiln_model::{ComponentKind, GpuIndex, Inventory, Reading, Unit};
use kiln_profile::MeasurementSpec;

pub(super) const JOINED: MeasurementSpec = may(
    "processes.joined",
    Unit::One,
    ComponentKind::Gpu,
    "how often, looked at four times a minute, a process was on the GPU that is not of the load and was not there before",
);

/// Looks in a row at which there must be a process more, half a minute from the first to the last: a worker of ours that begins another
/// piece of work is there twice for a moment, and several that begin at once take seconds to open their GPUs, in whichever order.
const IN_A_ROW: u64 = 3;

/// What of ours is on the GPUs during the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ours {
    /// One load, whose workers are all there once it runs.
    OneLoad,
    /// Several, which begin and end by themselves: only siblings tell what is too many.
    Several,
}

/// What the looks at the processes of one GPU have shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Company {
    /// How many were there when our load had just begun.
    first: Option<usize>,
    /// The most that its siblings usually had: with fewer, workers of theirs have ended, and nobody has come.
    usual: usize,
    looks: u64,
    in_a_row: u64,
    joined: u64,
    unsupported: bool,
}

/// The processes of all GPUs of a step.
#[derive(Debug)]
pub(super) struct Strangers {
    ours: Ours,
    /// How many more than its siblings each had before the run.
    before: BTreeMap<GpuIndex, usize>,
    gpus: BTreeMap<GpuIndex, Company>,
}

impl Strangers {
    /// `before`: the node as it was found before any load.
    pub(super) fn since(before: &Inventory, ours: Ours) -> Self {
        let counts = counted(before);
        let more = |(gpu, count): (&GpuIndex, &usize)| Some((*gpu, count.saturating_sub(of_siblings(&counts, *gpu)?)));
        Self { ours, before: counts.iter().filter_map(more).collect(), gpus: BTreeMap::new() }
    }

    /// Says that a load of ours has begun, which brings its own.
    pub(super) fn begin(&mut self) {
        self.gpus.values_mut().for_each(|company| company.first = None);
    }

    /// Takes in a look at the node under load, and returns the GPUs on which there is a stranger.
    pub(super) fn look(&mut self, found: &Inventory) -> Vec<GpuIndex> {
        for gpu in found.gpus.iter().filter(|gpu| gpu.processes == Reading::Unsupported) {
            self.gpus.entry(gpu.index).or_default().unsupported = true;
        }
        let counts = counted(found);
        let mut with = Vec::new();
        for (&gpu, &count) in &counts {
            let company = self.gpus.entry(gpu).or_default();
            let grew = self.ours == Ours::OneLoad && count > *company.first.get_or_insert(count);
            let before = self.before.get(&gpu).copied().unwrap_or(0);
            let stands_out = of_siblings(&counts, gpu).is_some_and(|usual| {
                company.usual = company.usual.max(usual);
                count > company.usual + before
            });
            let joined = grew || stands_out;
            company.looks += 1;
            company.in_a_row = if joined { company.in_a_row + 1 } else { 0 };
            if company.in_a_row >= IN_A_ROW {
                company.joined += 1;
                with.push(gpu);
            }
        }
        with
    }

    pub(super) fn joined(&self, gpu: GpuIndex) -> Gauged {
        match self.gpus.get(&gpu) {
            Some(Company { looks, joined, .. }) if *looks > 0 => {
                #[expect(clippy::cast_precision_loss, reason = "looks of a step are far below 2^53")]
                let value = *joined as f64;
                Gauged::Number { value, samples: *looks }
            }
            Some(Company { unsupported: true, .. }) => Gauged::Unsupported,
            _ => Gauged::Missing(Missing::NeverRead),
        }
    }
}

fn counted(found: &Inventory) -> BTreeMap<GpuIndex, usize> {
    found.gpus.iter().filter_map(|gpu| Some((gpu.index, gpu.processes.value()?.len()))).collect()
}

/// How many most of the others have; of two in the middle the greater, so that half of the GPUs that begin another piece of our work first
/// are nobody's suspects.
fn of_siblings(counts: &BTreeMap<GpuIndex, usize>, gpu: GpuIndex) -> Option<usize> {
    let mut others: Vec<usize> = counts.iter().filter(|(other, _)| **other != gpu).map(|(_, count)| *count).collect();
    others.sort_unstable();
    others.get(others.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::inventory;
    use kiln_model::Process;

    fn with(counts: [usize; 3]) -> Inventory {
        let mut found = inventory(3);
        for (gpu, count) in found.gpus.iter_mut().zip(counts) {
            let one = |pid| Process { pid, name: "unknown".to_owned(), memory_mib: 1 };
            gpu.processes = Reading::Value((0..count).map(|pid| one(u32::try_from(pid).expect("a number"))).collect());
        }
        found
    }

    fn told(before: [usize; 3], looks: &[[usize; 3]]) -> [Option<f64>; 3] {
        let mut strangers = Strangers::since(&with(before), Ours::OneLoad);
        for counts in looks {
            strangers.look(&with(*counts));
        }
        [0, 1, 2].map(|gpu| strangers.joined(GpuIndex(gpu)).number())
    }

    #[test]
    fn a_process_more_than_at_first_or_than_on_the_siblings_is_somebody_elses() {
        let joins = [[1, 1, 1], [1, 2, 1], [1, 2, 1], [1, 2, 1], [1, 2, 1], [1, 1, 1]];
        assert_eq!(told([0, 0, 0], &joins), [Some(0.0), Some(2.0), Some(0.0)]);
        // One that came before the load, and after the run had begun.
        assert_eq!(told([0, 0, 0], &[[1, 2, 1]; 3]), [Some(0.0), Some(1.0), Some(0.0)]);
        // Somebody who works on all of them.
        assert_eq!(told([0, 0, 0], &[[1, 1, 1], [2, 2, 2], [2, 2, 2], [2, 2, 2]]), [Some(1.0); 3]);
    }

    #[test]
    fn who_was_there_before_the_run_has_not_joined() {
        assert_eq!(told([0, 1, 0], &[[1, 2, 1]; 5]), [Some(0.0); 3]);
    }

    #[test]
    fn who_still_works_where_the_workers_of_the_others_have_ended_has_no_stranger() {
        assert_eq!(told([0, 0, 0], &[[1, 1, 1], [0, 1, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0]]), [Some(0.0); 3]);
    }

    #[test]
    fn workers_of_ours_that_begin_anew_or_bring_others_are_no_strangers() {
        // Two of one GPU for a moment, one that ends and one that begins.
        assert_eq!(told([0, 0, 0], &[[1, 1, 1], [1, 2, 1], [1, 1, 1], [2, 1, 1], [1, 1, 1]]), [Some(0.0); 3]);
        let mut strangers = Strangers::since(&with([0, 0, 0]), Ours::OneLoad);
        strangers.look(&with([1, 1, 1]));
        strangers.begin();
        let mut several = Strangers::since(&with([0, 0, 0]), Ours::Several);
        several.look(&with([1, 1, 1]));
        for _ in 0..5 {
            assert_eq!((strangers.look(&with([3, 3, 3])), several.look(&with([3, 3, 3]))), (Vec::new(), Vec::new()));
        }
        several.look(&with([3, 4, 3]));
        several.look(&with([3, 4, 3]));
        assert_eq!(several.look(&with([3, 4, 3])), [GpuIndex(1)]);
    }

    #[test]
    fn what_the_driver_does_not_list_is_unsupported_and_what_was_never_answered_is_missing() {
        let mut found = with([0, 0, 0]);
        found.gpus[0].processes = Reading::Unsupported;
        found.gpus[1].processes = Reading::Failed(kiln_model::ReadingFailure::Timeout);
        let mut strangers = Strangers::since(&found, Ours::OneLoad);
        strangers.look(&found);
        assert_eq!(strangers.joined(GpuIndex(0)), Gauged::Unsupported);
        assert_eq!(strangers.joined(GpuIndex(1)), Gauged::Missing(Missing::NeverRead));
        assert_eq!(strangers.joined(GpuIndex(2)).number(), Some(0.0));
    }
}
