//! The lot that comes before a drill: healthy units of each node, from which the runs that follow are judged as well.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use super::bench::Bench;
use super::nodes::DrillNode;
use super::pool;
use super::progress::Progress;
use crate::event::LotFacts;
use crate::lot::{Members, PartAverages, USUAL_BUDGET, UnitValues};
use crate::profile::Profile;

/// Far from the seeds of the drill itself, which begins with at most six digits: no unit is judged by itself.
const FIRST: u64 = 1_000_000_000;

/// Averages by node; none where the profile holds nothing against a lot, and of too few units.
pub(super) fn gather(
    bench: &Bench<'_>,
    profile: &Profile,
    nodes: &[DrillNode],
    (units, first_seed): (u64, u64),
    threads: NonZeroUsize,
) -> BTreeMap<String, PartAverages> {
    if !profile.stages.iter().flat_map(|stage| &stage.steps).any(|step| !step.lot.is_empty()) {
        return BTreeMap::new();
    }
    let seed = |nth: u64| first_seed.wrapping_add(FIRST).wrapping_add(nth);
    let jobs: Vec<(usize, u64)> =
        (0..nodes.len()).flat_map(|node| (0..units).map(move |nth| (node, seed(nth)))).collect();
    let mut progress = Progress::new("lot", jobs.len());
    let work = |(node, seed): &(usize, u64)| {
        let values = bench.run(profile, &nodes[*node], *seed, &[], |done| UnitValues::of(done.record));
        values.ok().flatten().flatten()
    };
    let results = pool::spread(&jobs, threads, bench.stop, work, || progress.step());
    progress.end();
    let mut lots = BTreeMap::new();
    for (at, node) in nodes.iter().enumerate() {
        let own = jobs.iter().zip(&results).filter(|((of, _), _)| *of == at);
        let units: Vec<UnitValues> = own.filter_map(|(_, values)| values.clone()).collect();
        // All are healthy: where places of the chassis are unlike, that is its design.
        let averages = PartAverages::of(&units, Members::AndAwaiting, USUAL_BUDGET);
        if !facts(&averages, profile).values.is_empty() {
            lots.insert(node.name.clone(), averages);
        }
    }
    lots
}

/// What runs of a profile need of a lot.
pub(super) fn facts(lot: &PartAverages, profile: &Profile) -> LotFacts {
    lot.facts(&format!("{} revision {}", profile.id, profile.revision), "made for this drill".to_owned())
}

/// What the file of each node's lot is called in the folder of a drill. A node may be a path, and is no name for one.
pub(super) fn files(lots: &BTreeMap<String, PartAverages>) -> Vec<String> {
    let name = |at: usize| if lots.len() == 1 { "lot.json".to_owned() } else { format!("lot-{}.json", at + 1) };
    (0..lots.len()).map(name).collect()
}
