//! How many GPUs there are, how many there should be, and which of them is missing.
//!
//! Driver, PCI bus and slot numbers tell of them independently of one another.

use std::collections::BTreeSet;

use super::StepContext;
use super::sheet::{Gauged, Sheet};
use kiln_model::{Component, Gpu, GpuIndex, Inventory};

/// Counts the GPUs and names those that are not there.
pub(super) fn put_counts(sheet: &mut Sheet<'_>, context: &StepContext<'_>, found: &Inventory) {
    let counted = found.gpus.len();
    let expected = context.params.count("gpus").or_else(|| usual(context, found));
    sheet.put("gpus", Component::Node, Gauged::count(counted));
    let against = |difference: fn(usize, usize) -> usize| match expected {
        Some(expected) => Gauged::count(difference(expected as usize, counted)),
        None => {
            Gauged::missing("how many GPUs there should be is not known: the model is unknown and gpus is not given")
        }
    };
    sheet.put("gpus.missing", Component::Node, against(usize::saturating_sub));
    sheet.put("gpus.extra", Component::Node, against(|expected, counted| counted.saturating_sub(expected)));
    let driver: BTreeSet<&str> =
        found.gpus.iter().filter_map(|gpu| gpu.identity.pci_address.value()).map(String::as_str).collect();
    let bus = |count: &dyn Fn(&BTreeSet<&str>) -> usize| {
        Gauged::of(&found.pci, |functions| {
            Gauged::count(count(&functions.iter().map(|function| function.address.as_str()).collect()))
        })
    };
    let (unclaimed, off_bus) = if is_foreign_bus(found, &driver) {
        let why = "none of the driver's GPUs is on the PCI bus that this process sees: it is not this machine's bus";
        (Gauged::missing(why), Gauged::missing(why))
    } else {
        (bus(&|bus| bus.difference(&driver).count()), bus(&|bus| driver.difference(bus).count()))
    };
    sheet.put("gpus.unclaimed", Component::Node, unclaimed);
    sheet.put("gpus.off-bus", Component::Node, off_bus);
    sheet.put("slots.empty", Component::Node, empty_slots(&found.gpus));
    sheet.put("slots.beyond", Component::Node, slots_beyond(&found.gpus, expected));
    let listed: BTreeSet<GpuIndex> = found.gpus.iter().map(|gpu| gpu.index).collect();
    for gpu in &listed {
        sheet.put("present", Component::Gpu(*gpu), Gauged::Flag(true));
    }
    // Of a missing GPU nothing else is known; it is named only where the numbering or the slots show which it is.
    for gpu in missing(context.inventory, found, expected) {
        sheet.put_anyway("present", Component::Gpu(gpu), Gauged::Flag(false));
    }
}

/// Whether the bus read is another machine's, or closed, as in a container: it shows not one of the driver's GPUs.
fn is_foreign_bus(found: &Inventory, driver: &BTreeSet<&str>) -> bool {
    let on_it = |functions: &Vec<kiln_model::PciFunction>| {
        functions.iter().any(|function| driver.contains(function.address.as_str()))
    };
    !driver.is_empty() && found.pci.value().is_some_and(|functions| !on_it(functions))
}

/// How many GPUs a node of this model has: the least number it is sold in that is no less than what the driver, the bus or
/// the run's beginning shows.
fn usual(context: &StepContext<'_>, found: &Inventory) -> Option<u32> {
    let counts: BTreeSet<u32> =
        context.skus.values().flat_map(|sku| &sku.gpus_per_node).map(|count| u32::from(*count)).collect();
    let bus = found.pci.value().map_or(0, Vec::len);
    let least = found.gpus.len().max(context.inventory.gpus.len()).max(bus) as u32;
    counts.iter().find(|count| **count >= least).or(counts.last()).copied()
}

/// Slots further on than there are GPUs: the better half of a board may look like a small board.
fn slots_beyond(gpus: &[Gpu], expected: Option<u32>) -> Gauged {
    let slots: Option<BTreeSet<u32>> = gpus.iter().map(|gpu| gpu.identity.slot.value()?.parse().ok()).collect();
    match (slots, expected) {
        // A number that occurs twice is no slot number.
        (Some(slots), Some(expected)) if slots.len() == gpus.len() => {
            Gauged::count(slots.iter().filter(|slot| **slot > expected).count())
        }
        _ => Gauged::Unsupported,
    }
}

/// Slots are numbered without gaps, from 0 or 1 on; a number between that no GPU has is an empty slot.
fn empty_slots(gpus: &[Gpu]) -> Gauged {
    let slots: Option<BTreeSet<u32>> = gpus.iter().map(|gpu| gpu.identity.slot.value()?.parse().ok()).collect();
    match slots {
        // A number that occurs twice is no slot number.
        Some(slots) if slots.len() == gpus.len() && !slots.is_empty() => {
            let last = slots.last().copied().unwrap_or(1).max(gpus.len() as u32);
            let empty: Vec<String> =
                (1..=last).filter(|slot| !slots.contains(slot)).map(|slot| slot.to_string()).collect();
            // Numbered from 0, as many GPUs as the last number and one more leave 1..=last full.
            Gauged::Text(if empty.is_empty() { "none".to_owned() } else { empty.join(", ") })
        }
        _ => Gauged::Unsupported,
    }
}

/// Which GPUs are missing, as far as that can be told: those listed when the run began, and gaps in the numbering.
fn missing(before: &Inventory, found: &Inventory, expected: Option<u32>) -> BTreeSet<GpuIndex> {
    let listed: BTreeSet<GpuIndex> = found.gpus.iter().map(|gpu| gpu.index).collect();
    let mut missing: BTreeSet<GpuIndex> =
        before.gpus.iter().map(|gpu| gpu.index).filter(|gpu| !listed.contains(gpu)).collect();
    // A driver that numbers on over an absent GPU shows a gap. One that closes the ranks shows none, and then the last
    // numbers would be named, which is not where the GPU is missing.
    let last = listed.last().map_or(0, |gpu| gpu.0);
    if expected.is_some_and(|expected| listed.len() < expected as usize) {
        missing.extend((0..last).map(GpuIndex).filter(|gpu| !listed.contains(gpu)));
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find;
    use crate::rig::{Rig, shown};

    /// A node of eight, sold with four or eight, with GPUs away and slots numbered from 1.
    fn told(without: &[usize], name: &str) -> String {
        let check = find("inventory.match").expect("the check");
        let mut rig = Rig::new(check, 8);
        rig.sku.gpus_per_node = vec![4, 8];
        for (nth, gpu) in rig.inventory.gpus.iter_mut().enumerate() {
            gpu.identity.slot = kiln_model::Reading::Value((nth + 1).to_string());
        }
        let kept = |nth: &usize| !without.contains(nth);
        let gpus: Vec<Gpu> = (0..8).filter(kept).map(|nth| rig.inventory.gpus[nth].clone()).collect();
        rig.inventory.pci = kiln_model::Reading::Unsupported;
        rig.inventory.gpus = gpus;
        shown(&rig.run(check), Component::Node, name)
    }

    #[test]
    fn a_number_that_the_model_is_sold_in_lacks_nothing() {
        assert_eq!(told(&[], "gpus.missing"), "0");
        assert_eq!(told(&[2], "gpus.missing"), "1");
        assert_eq!(told(&[4, 5, 6, 7], "gpus.missing"), "0", "a board of four");
        assert_eq!(told(&[4, 5, 6, 7], "slots.beyond"), "0");
    }

    #[test]
    fn half_a_board_with_the_slots_of_the_other_half_is_no_board_of_four_for_sure() {
        assert_eq!(told(&[0, 1, 2, 3], "gpus.missing"), "0");
        assert_eq!(told(&[0, 1, 2, 3], "slots.beyond"), "4");
    }
}
