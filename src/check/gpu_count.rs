//! How many GPUs there are, how many there should be, and which of them is missing.
//!
//! Driver, PCI bus and slot numbers tell of them independently of one another.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::collections::BTreeSet;

use super::StepContext;
use super::sheet::{Gauged, Sheet};
use kiln_limit::{Missing, write_list};
use kiln_model::{Component, Gpu, GpuIndex, Inventory, Reading, Remote};

/// Counts the GPUs and names those that are not there.
pub(super) fn put_counts(sheet: &mut Sheet<'_>, context: &StepContext<'_>, found: &Inventory) {
    let counted = found.gpus.len();
    let expected = expected(context, found);
    sheet.put("gpus", Component::Node, Gauged::count(counted));
    let against = |difference: fn(usize, usize) -> usize| match &expected {
        Expected::Known(expected) => Gauged::count(difference(*expected as usize, counted)),
        Expected::Ambiguous(sold) => Gauged::Missing(Missing::GpuCountAmbiguous { sold: sold.clone(), found: counted }),
        Expected::Unknown => Gauged::Missing(Missing::GpuCountUnknown),
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
        (Gauged::Missing(Missing::ForeignBus), Gauged::Missing(Missing::ForeignBus))
    } else {
        (unclaimed(found, &driver), bus(&|bus| driver.difference(bus).count()))
    };
    let expected = if let Expected::Known(expected) = expected { Some(expected) } else { None };
    sheet.put("gpus.unclaimed", Component::Node, unclaimed);
    sheet.put("gpus.off-bus", Component::Node, off_bus);
    let of_all = |gauged: Gauged| if found.left_out.is_empty() { gauged } else { Gauged::Unsupported };
    sheet.put("slots.empty", Component::Node, of_all(empty_slots(&found.gpus)));
    sheet.put("slots.beyond", Component::Node, of_all(slots_beyond(&found.gpus, expected)));
    let listed: BTreeSet<GpuIndex> = found.gpus.iter().map(|gpu| gpu.index).collect();
    for gpu in &listed {
        sheet.put("present", Component::Gpu(*gpu), Gauged::Flag(true));
    }
    // Of a missing GPU nothing else is known; it is named only where the numbering or the slots show which it is.
    for gpu in missing(context.inventory, found, expected) {
        sheet.put_anyway("present", Component::Gpu(gpu), Gauged::Flag(false));
    }
}

/// Functions on the bus that no GPU of the driver sits at. As many as there are GPUs whose place could not be read may be theirs.
fn unclaimed(found: &Inventory, driver: &BTreeSet<&str>) -> Gauged {
    let unseated: Vec<Gauged> = found
        .gpus
        .iter()
        .filter_map(|gpu| match gpu.identity.pci_address {
            Reading::Value(_) => None,
            Reading::Unsupported => Some(Gauged::Unsupported),
            Reading::Failed(why) => Some(Gauged::Missing(Missing::Read(why))),
        })
        .collect();
    Gauged::of(&found.pci, |functions| {
        let free = functions.iter().filter(|function| !driver.contains(function.address.as_str())).count();
        match (free.saturating_sub(unseated.len()), unseated.first()) {
            (0, Some(why)) if free > 0 => why.clone(),
            (count, _) => Gauged::count(count),
        }
    })
}

/// Whether the bus read is another machine's, or closed, as in a container: it shows not one of the driver's GPUs.
fn is_foreign_bus(found: &Inventory, driver: &BTreeSet<&str>) -> bool {
    let on_it = |functions: &Vec<kiln_model::PciFunction>| {
        functions.iter().any(|function| driver.contains(function.address.as_str()))
    };
    !driver.is_empty() && found.pci.value().is_some_and(|functions| !on_it(functions))
}

/// How many GPUs there should be.
enum Expected {
    Known(u32),
    /// What is there may be a small node that is whole or a large one that is not.
    Ambiguous(Vec<u32>),
    Unknown,
}

/// As many as the parameter says, or as there are where they are all that were ordered. Else as many as the model usually has, unless what is there is another number that it is
/// sold in and its links show that it is all there is.
fn expected(context: &StepContext<'_>, found: &Inventory) -> Expected {
    let left_out = found.left_out.len() as u32;
    if let Some(count) = context.params.count("gpus") {
        return Expected::Known(count.saturating_sub(left_out));
    }
    // Whether others than those under test are missing is not asked.
    if left_out > 0 {
        return Expected::Known(context.inventory.gpus.len() as u32);
    }
    if are_the_ordered(context.params.texts("serials"), &found.gpus) {
        return Expected::Known(found.gpus.len() as u32);
    }
    let sold: Vec<u32> = context
        .skus
        .values()
        .next()
        .map(|sku| &sku.gpus_per_node)
        .into_iter()
        .flatten()
        .map(|one| u32::from(*one))
        .collect();
    let Some(usual) = sold.first().copied() else { return Expected::Unknown };
    let bus = found.pci.value().map_or(0, Vec::len);
    let there = found.gpus.len().max(context.inventory.gpus.len()).max(bus) as u32;
    if there <= usual && (there == usual || !sold.contains(&there)) {
        return Expected::Known(usual);
    }
    if !sold.contains(&there) {
        let next = sold.iter().copied().filter(|count| *count > there).min();
        return Expected::Known(next.unwrap_or(usual));
    }
    // More than it is ever sold with cannot be missing.
    if sold.iter().copied().max() == Some(there) {
        return Expected::Known(there);
    }
    match board(&found.gpus) {
        Board::Direct => Expected::Known(there),
        Board::Switched => Expected::Known(usual),
        Board::Untold => Expected::Ambiguous(sold),
    }
}

/// Whether the GPUs are those of the order, each by a serial number of its own, and none of the order is missing.
fn are_the_ordered(ordered: Option<&[String]>, gpus: &[Gpu]) -> bool {
    let found: BTreeSet<&String> = gpus.iter().filter_map(|gpu| gpu.identity.serial.value()).collect();
    let ordered: BTreeSet<&String> = ordered.into_iter().flatten().collect();
    !gpus.is_empty() && found.len() == gpus.len() && found == ordered
}

/// How the GPUs of a node are linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Board {
    /// Every GPU is linked to every other, and to no one else: the board is whole. HGX boards of four are built so; pairs with
    /// a bridge between them are not, of which any number may be gone.
    Direct,
    /// Links end at switches, as on HGX boards of eight.
    Switched,
    Untold,
}

fn board(gpus: &[Gpu]) -> Board {
    let mut direct = !gpus.is_empty();
    for gpu in gpus {
        let links = gpu.nvlinks.value().map(Vec::as_slice).unwrap_or_default();
        let mut partners = BTreeSet::new();
        for link in links {
            match link.remote.value() {
                Some(Remote::Switch { .. }) => return Board::Switched,
                Some(Remote::Gpu(other)) => {
                    partners.insert(*other);
                }
                Some(Remote::Cpu(_) | Remote::Other(_)) | None => direct = false,
            }
        }
        let others: BTreeSet<_> = gpus.iter().map(|other| other.index).filter(|other| *other != gpu.index).collect();
        direct &= !partners.is_empty() && partners == others;
    }
    if direct { Board::Direct } else { Board::Untold }
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
            // Numbered from 0, as many GPUs as the last number and one more leave 1..=last full.
            Gauged::Text(write_list((1..=last).filter(|slot| !slots.contains(slot))))
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
        let away = |gpu: &GpuIndex| !listed.contains(gpu) && !found.left_out.contains(gpu);
        missing.extend((0..last).map(GpuIndex).filter(away));
    }
    missing
}

#[cfg(test)]
mod tests {
    use kiln_model::ReadingFailure;

    use super::*;
    use crate::find;
    use crate::rig::{Rig, shown};

    /// A node of eight, sold with eight or four, with GPUs away and slots numbered from 1.
    fn told(without: &[usize], name: &str) -> String {
        told_of(without, name, |_| ())
    }

    fn told_of(without: &[usize], name: &str, change: fn(&mut Gpu)) -> String {
        let check = find("inventory.match").expect("the check");
        let mut rig = Rig::new(check, 8);
        rig.sku.gpus_per_node = vec![8, 4];
        for (nth, gpu) in rig.inventory.gpus.iter_mut().enumerate() {
            gpu.identity.slot = kiln_model::Reading::Value((nth + 1).to_string());
        }
        let kept = |nth: &usize| !without.contains(nth);
        let gpus: Vec<Gpu> = (0..8).filter(kept).map(|nth| rig.inventory.gpus[nth].clone()).collect();
        rig.inventory.pci = kiln_model::Reading::Unsupported;
        rig.inventory.gpus = gpus;
        rig.inventory.gpus.iter_mut().for_each(change);
        shown(&rig.run(check), Component::Node, name)
    }

    #[test]
    fn what_may_be_half_of_a_larger_node_is_not_taken_for_a_smaller_one() {
        assert_eq!(told(&[], "gpus.missing"), "0");
        assert_eq!(told(&[2], "gpus.missing"), "1");
        // Their links end at switches, which no board of four has.
        for away in [[4, 5, 6, 7], [0, 1, 2, 3]] {
            assert_eq!(told(&away, "gpus.missing"), "4");
        }
        let unlinked = told_of(&[4, 5, 6, 7], "gpus.missing", |gpu| gpu.nvlinks = kiln_model::Reading::Unsupported);
        assert!(unlinked.contains("sold: [8, 4], found: 4"), "{unlinked}");
    }

    #[test]
    fn gpus_that_are_all_of_the_order_are_all_there_are() {
        let missing = |ordered: usize| {
            let check = find("inventory.match").expect("the check");
            let mut rig = Rig::new(check, 6);
            rig.sku.gpus_per_node = vec![8, 4];
            let serials: Vec<String> = (0..ordered).map(|nth| format!("order-{nth}")).collect();
            for (gpu, serial) in rig.inventory.gpus.iter_mut().zip(&serials) {
                gpu.identity.serial = kiln_model::Reading::Value(serial.clone());
            }
            rig.set("serials", kiln_profile::ParamValue::Texts(serials));
            shown(&rig.run(check), Component::Node, "gpus.missing")
        };
        assert_eq!(missing(6), "0");
        assert_eq!(missing(7), "2", "one of the order is not there: then the model's usual number is asked for");
    }

    #[test]
    fn a_function_on_the_bus_may_be_the_gpus_whose_place_could_not_be_read_and_more_than_that_may_not() {
        let unclaimed = |listed: usize, unread: usize, answer: &Reading<String>| {
            let check = find("inventory.match").expect("the check");
            let mut rig = Rig::new(check, 8);
            let address = |gpu: &Gpu| gpu.identity.pci_address.value().cloned().expect("an address");
            let function = |gpu: &Gpu| kiln_model::PciFunction {
                address: address(gpu),
                device: "233010de".to_owned(),
                ports: Vec::new(),
            };
            rig.inventory.pci = Reading::Value(rig.inventory.gpus.iter().map(function).collect());
            rig.inventory.gpus.truncate(listed);
            for gpu in rig.inventory.gpus.iter_mut().take(unread) {
                gpu.identity.pci_address = answer.clone();
            }
            shown(&rig.run(check), Component::Node, "gpus.unclaimed")
        };
        let late = Reading::Failed(ReadingFailure::Timeout);
        assert_eq!((unclaimed(8, 0, &late), unclaimed(7, 0, &late)), ("0".to_owned(), "1".to_owned()));
        assert!(unclaimed(8, 1, &late).contains("Timeout"), "{}", unclaimed(8, 1, &late));
        assert_eq!(unclaimed(8, 1, &Reading::Unsupported), "unsupported");
        assert_eq!(unclaimed(7, 1, &late), "1");
    }

    #[test]
    fn links_tell_a_board_of_four_from_half_a_board_of_eight() {
        let linked = |remote: fn(u8) -> Remote| -> Vec<Gpu> {
            let rig = Rig::new(find("inventory.match").expect("the check"), 4);
            let to = |own: u8| (0..4).filter(move |other| *other != own).map(remote);
            let mut gpus = rig.inventory.gpus;
            for gpu in &mut gpus {
                let link = |(link, remote): (usize, Remote)| kiln_model::NvLink {
                    link: link as u8,
                    state: kiln_model::Reading::Unsupported,
                    speed_mb_per_s: kiln_model::Reading::Unsupported,
                    remote: kiln_model::Reading::Value(remote),
                };
                gpu.nvlinks = kiln_model::Reading::Value(to(gpu.index.0).enumerate().map(link).collect());
            }
            gpus
        };
        let direct = linked(|other| Remote::Gpu(GpuIndex(other)));
        assert_eq!(board(&direct), Board::Direct);
        assert_eq!(board(&direct[1..]), Board::Untold, "one of the four is away");
        assert_eq!(board(&linked(|_| Remote::Switch { number: 0, port: 0 })), Board::Switched);
        assert_eq!(board(&[]), Board::Untold);
        // Pairs with a bridge between them: of such a node half may be gone and what is left is linked as before.
        let mut pairs = linked(|other| Remote::Gpu(GpuIndex(other)));
        for gpu in &mut pairs {
            let partner = Remote::Gpu(GpuIndex(gpu.index.0 ^ 1));
            if let kiln_model::Reading::Value(links) = &mut gpu.nvlinks {
                for link in links.iter_mut() {
                    link.remote = kiln_model::Reading::Value(partner.clone());
                }
            }
        }
        assert_eq!(board(&pairs), Board::Untold);
    }
}
