//! Comparing the GPUs of a node with one another: what most of them are is right, and the odd ones are named.

use std::collections::{BTreeMap, BTreeSet};

use super::sheet::{Gauged, Sheet};
use kiln_model::{Component, Gpu, GpuIdentity, GpuIndex, Inventory, Reading};

/// The identity texts under their measurement names.
pub(super) fn texts(identity: &GpuIdentity) -> [(&'static str, &Reading<String>); 6] {
    [
        ("name", &identity.name),
        ("part", &identity.part_number),
        ("vbios", &identity.vbios),
        ("inforom", &identity.inforom),
        ("gsp", &identity.gsp_firmware),
        ("subsystem", &identity.pci_subsystem),
    ]
}

pub(super) fn put_topology(sheet: &mut Sheet<'_>, found: &Inventory) {
    let gpus = &found.gpus;
    let addresses: Vec<Option<&String>> = gpus.iter().map(|gpu| gpu.identity.pci_address.value()).collect();
    let numas: Vec<Option<u8>> = gpus.iter().map(|gpu| gpu.pcie.numa_node.get()).collect();
    let domains: Vec<Option<String>> =
        addresses.iter().map(|address| Some(address.as_ref()?.split(':').next()?.to_owned())).collect();
    let usual = majority(&domains.iter().map(Option::as_ref).collect::<Vec<_>>()).cloned();
    let elsewhere: Vec<bool> = domains.iter().map(|domain| usual.is_some() && *domain != usual).collect();
    // Beside GPUs that are left out one may well be the only one of its node.
    let whole = gpus.len() >= 3 && found.left_out.is_empty();
    let alone: Vec<bool> = numas.iter().map(|numa| whole && is_alone(*numa, &numas)).collect();
    // What is odd by itself would make its neighbours look out of order.
    let twice = slot_that_stands_twice(gpus);
    let (placed, near) = (out_of_order(&without(&addresses, &elsewhere)), out_of_order(&without(&numas, &alone)));
    for (nth, gpu) in gpus.iter().enumerate() {
        let component = Component::Gpu(gpu.index);
        let topology =
            |_: &String| Gauged::Flag(!elsewhere[nth] && !placed.contains(&nth) && !twice.contains(&gpu.index));
        sheet.put("topology.regular", component, Gauged::of(&gpu.identity.pci_address, topology));
        let regular = |_: &u8| Gauged::Flag(!near.contains(&nth) && !alone[nth]);
        sheet.put("numa.regular", component, Gauged::of(&gpu.pcie.numa_node, regular));
    }
}

/// The GPUs that show the same slot where all others have one of their own. Nodes of several boards that each count from the
/// same number have more than one slot twice.
fn slot_that_stands_twice(gpus: &[Gpu]) -> BTreeSet<GpuIndex> {
    let mut by_slot: BTreeMap<&String, BTreeSet<GpuIndex>> = BTreeMap::new();
    for gpu in gpus {
        if let Some(slot) = gpu.identity.slot.value() {
            by_slot.entry(slot).or_default().insert(gpu.index);
        }
    }
    let slots = by_slot.len();
    let mut shared = by_slot.into_values().filter(|gpus| gpus.len() > 1);
    match (shared.next(), shared.next()) {
        (Some(gpus), None) if gpus.len() == 2 && slots > 2 => gpus,
        _ => BTreeSet::new(),
    }
}

/// Whether one GPU is by itself on a NUMA node, where every other node has several.
fn is_alone(numa: Option<u8>, numas: &[Option<u8>]) -> bool {
    let on = |numa: u8| numas.iter().filter(|other| **other == Some(numa)).count();
    numa.is_some_and(|numa| {
        on(numa) == 1 && numas.iter().flatten().filter(|other| **other != numa).all(|other| on(*other) > 1)
    })
}

fn without<T: Copy>(values: &[Option<T>], odd: &[bool]) -> Vec<Option<T>> {
    values.iter().zip(odd).map(|(value, odd)| value.filter(|_| !odd)).collect()
}

/// Places of the values that break a rising order: those that not every longest rising run goes through. Where two values
/// could each be the one out of order, both are.
fn out_of_order<T: PartialOrd>(values: &[Option<T>]) -> BTreeSet<usize> {
    let known: Vec<usize> = (0..values.len()).filter(|nth| values[*nth].is_some()).collect();
    let rises = |one: usize, two: usize| values[one] <= values[two];
    // Length of the longest run that ends at each, and of the longest that begins there.
    let (mut to, mut from) = (vec![1_usize; values.len()], vec![1_usize; values.len()]);
    for (place, nth) in known.iter().enumerate() {
        let before = known[..place].iter().filter(|other| rises(**other, *nth)).map(|other| to[*other]).max();
        to[*nth] = before.unwrap_or(0) + 1;
    }
    for (place, nth) in known.iter().enumerate().rev() {
        let after = known[place + 1..].iter().filter(|other| rises(*nth, **other)).map(|other| from[*other]).max();
        from[*nth] = after.unwrap_or(0) + 1;
    }
    let longest = known.iter().map(|nth| to[*nth]).max().unwrap_or(0);
    let on_one = |nth: usize| to[nth] + from[nth] == longest + 1;
    // A value is on all longest runs if no other value on one of them takes its step.
    let alone = |nth: usize| known.iter().filter(|other| on_one(**other) && to[**other] == to[nth]).count() == 1;
    known.iter().copied().filter(|nth| !(on_one(*nth) && alone(*nth))).collect()
}

pub(super) fn put_uniform(sheet: &mut Sheet<'_>, gpus: &[Gpu]) {
    const UNIFORM: [&str; 6] =
        ["name.uniform", "part.uniform", "vbios.uniform", "inforom.uniform", "gsp.uniform", "subsystem.uniform"];
    for (nth, measurement) in UNIFORM.into_iter().enumerate() {
        let values: Vec<Option<&String>> = gpus.iter().map(|gpu| texts(&gpu.identity)[nth].1.value()).collect();
        let usual = majority(&values);
        for gpu in gpus {
            let uniform = |value: &String| Gauged::Flag(usual == Some(value));
            sheet.put(measurement, Component::Gpu(gpu.index), Gauged::of(texts(&gpu.identity)[nth].1, uniform));
        }
    }
}

/// The value more than half of those that have one agree on.
fn majority<'a>(values: &[Option<&'a String>]) -> Option<&'a String> {
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    for value in values.iter().flatten() {
        *counts.entry(value).or_default() += 1;
    }
    let all: usize = counts.values().sum();
    counts.into_iter().find(|(_, count)| count * 2 > all).map(|(value, _)| value)
}

pub(super) fn put_unique(sheet: &mut Sheet<'_>, gpus: &[Gpu]) {
    type Pick = fn(&GpuIdentity) -> &Reading<String>;
    let picks: [(&str, Pick); 2] =
        [("serial.unique", |identity| &identity.serial), ("uuid.unique", |identity| &identity.uuid)];
    for (measurement, pick) in picks {
        for gpu in gpus {
            let same = |value: &String| {
                let others = gpus.iter().filter(|other| other.index != gpu.index);
                let same = others.filter(|other| pick(&other.identity).value() == Some(value)).count();
                match same {
                    0 => Gauged::Flag(true),
                    // What the two GPUs of a Grace-Blackwell board show is the number of their board.
                    1 if measurement == "serial.unique" && is_on_a_board_of_two(gpu) => Gauged::Unsupported,
                    _ => Gauged::Flag(false),
                }
            };
            sheet.put(measurement, Component::Gpu(gpu.index), Gauged::of(pick(&gpu.identity), same));
        }
    }
}

/// Whether the GPU is soldered to a board beside a processor, which only chip-to-chip links tell.
const fn is_on_a_board_of_two(gpu: &Gpu) -> bool {
    matches!(gpu.c2c, Reading::Value(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn odd(values: &[u8]) -> Vec<usize> {
        let values: Vec<Option<u8>> = values.iter().copied().map(Some).collect();
        out_of_order(&values).into_iter().collect()
    }

    #[test]
    fn the_one_out_of_order_is_told_and_both_where_it_could_be_either() {
        assert_eq!(odd(&[1, 2, 3, 4]), [0; 0]);
        assert_eq!(odd(&[9, 1, 2, 3]), [0]);
        assert_eq!(odd(&[0, 0, 2, 1, 1, 1]), [2]);
        assert_eq!(odd(&[1, 2, 4, 3]), [2, 3]);
    }

    #[test]
    fn a_slot_stands_twice_where_all_others_stand_once() {
        let twice = |slots: &[&str]| {
            let gpu = |(nth, slot): (u8, &&str)| {
                let mut gpu = Gpu::bare(GpuIndex(nth));
                gpu.identity.slot = Reading::Value((*slot).to_owned());
                gpu
            };
            let gpus: Vec<Gpu> = (0..).zip(slots).map(gpu).collect();
            slot_that_stands_twice(&gpus).into_iter().map(|gpu| gpu.0).collect::<Vec<u8>>()
        };
        assert_eq!(twice(&["1", "2", "3", "4"]), [0; 0]);
        assert_eq!(twice(&["1", "2", "2", "4"]), [1, 2]);
        assert_eq!(twice(&["0", "1", "0", "1"]), [0; 0], "two boards that count alike");
    }

    #[test]
    fn a_value_that_is_odd_by_itself_leaves_its_neighbours_in_order() {
        let numas = [0, 0, 0, 2, 1, 1].map(Some);
        let alone: Vec<bool> = numas.iter().map(|numa| is_alone(*numa, &numas)).collect();
        assert_eq!(alone, [false, false, false, true, false, false]);
        assert_eq!(out_of_order(&without(&numas, &alone)), BTreeSet::new());
    }
}
