//! Whether a GPU's wrong results come from one multiprocessor, and whether that is the same one on every GPU.

use std::collections::{BTreeMap, BTreeSet};

use kiln_model::{GpuIndex, Mismatch};

/// Fewer wrong results than this show no pattern. Two results of a part with a hundred multiprocessors fall on the same one by
/// chance in one case of a hundred.
const LEAST: usize = 2;

/// The multiprocessor that most of a GPU's wrong results come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OneSm {
    pub sm: u32,
    /// Wrong results told of it, and of all together.
    pub told: usize,
    pub of: usize,
}

/// The GPUs of which one multiprocessor gave more than half of the wrong results that were told, and no fewer than two.
pub fn one_sm<'m>(wrong: impl IntoIterator<Item = &'m Mismatch>) -> BTreeMap<GpuIndex, OneSm> {
    let mut counts: BTreeMap<GpuIndex, BTreeMap<Option<u32>, usize>> = BTreeMap::new();
    for mismatch in wrong {
        *counts.entry(mismatch.gpu).or_default().entry(mismatch.sm).or_default() += 1;
    }
    let mut found = BTreeMap::new();
    for (gpu, counts) in counts {
        let of = counts.values().sum();
        let known = counts.iter().filter_map(|(sm, told)| sm.map(|sm| (sm, *told)));
        if let Some((sm, told)) = known.max_by_key(|(_, told)| *told)
            && told >= LEAST
            && told * 2 > of
        {
            found.insert(gpu, OneSm { sm, told, of });
        }
    }
    found
}

/// The multiprocessor that is wrong on every one of these GPUs. Parts are not broken at the same place alike: what is wrong
/// there is the kernel, or what the driver made of it.
pub fn same_sm_everywhere<'m>(
    wrong: impl IntoIterator<Item = &'m Mismatch>,
    present: &BTreeSet<GpuIndex>,
) -> Option<u32> {
    let found = one_sm(wrong);
    let mut of_each = present.iter().map(|gpu| found.get(gpu).map(|one| one.sm));
    let first = of_each.next()??;
    (present.len() >= super::LEAST_ALIKE && of_each.all(|other| other == Some(first))).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_model::WrongPlace;

    fn wrong(gpu: u8, sms: &[Option<u32>]) -> Vec<Mismatch> {
        let of = |sm: &Option<u32>| Mismatch {
            gpu: GpuIndex(gpu),
            place: WrongPlace::Stream { byte: 0 },
            iteration: 0,
            word: 0,
            flipped_bits: 1,
            sm: *sm,
        };
        sms.iter().map(of).collect()
    }

    fn named(sms: &[Option<u32>]) -> Option<u32> {
        one_sm(&wrong(3, sms)).get(&GpuIndex(3)).map(|one| one.sm)
    }

    #[test]
    fn one_sm_is_named_if_it_gave_most_of_the_wrong_results() {
        assert_eq!(named(&[Some(56), Some(56)]), Some(56));
        assert_eq!(named(&[Some(56), Some(2), Some(56)]), Some(56));
        assert_eq!(named(&[Some(56)]), None, "a single one shows no pattern");
        assert_eq!(named(&[Some(56), Some(2), Some(56), Some(3)]), None, "half is not most");
        assert_eq!(named(&[None, None, None]), None, "memory has no multiprocessor");
        assert_eq!(named(&[Some(56), Some(56), None, None]), None);
    }

    #[test]
    fn the_same_sm_on_all_gpus_is_common_and_on_all_but_one_is_not() {
        let present: BTreeSet<GpuIndex> = (0..3).map(GpuIndex).collect();
        let all = |third: u32| -> Vec<Mismatch> {
            let of = |(gpu, sm)| wrong(gpu, &[Some(sm), Some(sm)]);
            [(0, 56), (1, 56), (2, third)].into_iter().flat_map(of).collect()
        };
        assert_eq!(same_sm_everywhere(&all(56), &present), Some(56));
        assert_eq!(same_sm_everywhere(&all(57), &present), None);
        assert_eq!(same_sm_everywhere(&wrong(0, &[Some(5), Some(5)]), &[GpuIndex(0)].into()), None, "one is not alike");
        assert_eq!(same_sm_everywhere(&wrong(0, &[Some(5), Some(5)]), &present), None, "two are right");
    }
}
