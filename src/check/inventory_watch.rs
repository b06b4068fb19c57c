//! What can go away and come back while a load runs, looked at again and again: the registration with the NVLink fabric, the links
//! themselves, power supplies, network interfaces and drives. Each is whole before the load and after it, where it was not in between.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::collections::{BTreeMap, BTreeSet};

use super::Seen;
use super::declare::{may, text};
use super::sheet::{Gauged, Sheet};
use kiln_limit::{Missing, write_list};
use kiln_model::{
    Answer, Component, ComponentKind, FabricState, Gpu, GpuIndex, Inventory, LinkState, Moment, Nic, NvLink, Psu,
    Reading, Span, Unit,
};
use kiln_profile::MeasurementSpec;

pub(super) const FABRIC_AWAY: MeasurementSpec = may(
    "fabric.away",
    Unit::One,
    ComponentKind::Gpu,
    "how often, looked at four times a minute, the GPU was not registered with its fabric",
);
pub(super) const LINKS_AWAY: MeasurementSpec = may(
    "links.away",
    Unit::One,
    ComponentKind::Gpu,
    "how often, looked at four times a minute, NVLinks were down that were up before the run",
);
pub(super) const LINKS_INACTIVE: MeasurementSpec =
    text("links.inactive", ComponentKind::Gpu, "the NVLinks that were down at such a look");
pub(super) const PSUS_AWAY: MeasurementSpec = may(
    "psus.away",
    Unit::One,
    ComponentKind::Node,
    "how often, looked at four times a minute, a supply gave no power or reported a fault that did not before the run",
);
pub(super) const PSUS_BAD: MeasurementSpec =
    text("psus.bad", ComponentKind::Node, "the numbers of those supplies, from 0");

pub(super) const NICS_AWAY: MeasurementSpec = may(
    "nics.away",
    Unit::One,
    ComponentKind::Node,
    "how often, looked at four times a minute, a network interface was not there that was before the run",
);
pub(super) const NICS_BAD: MeasurementSpec =
    text("nics.bad", ComponentKind::Node, "the numbers of those interfaces, from 0");
pub(super) const NVMES_AWAY: MeasurementSpec = may(
    "nvmes.away",
    Unit::One,
    ComponentKind::Node,
    "how often, looked at four times a minute, an NVMe drive was not there that was before the run",
);
pub(super) const NVMES_BAD: MeasurementSpec =
    text("nvmes.bad", ComponentKind::Node, "the numbers of those drives, from 0");

pub(super) const LOOKS: MeasurementSpec =
    may("looks", Unit::One, ComponentKind::Node, "looks at the inventory while the load ran");

/// When the node is looked at while it is under load. A look reads the whole inventory, some hundred calls of the driver for each GPU: too
/// many beside every sample. Links that trained again by themselves were away for seconds to half a minute: two looks of a minute
/// between them see nothing of it.
#[derive(Debug)]
pub(super) struct Glances {
    next: Option<Moment>,
}

impl Glances {
    const EVERY: Span = Span::from_secs(15);

    pub(super) const fn new() -> Self {
        Self { next: None }
    }

    /// Whether a look is due, which is taken to be made then.
    pub(super) fn is_due(&mut self, now: Moment) -> bool {
        let due = self.next.is_none_or(|next| now >= next);
        if due {
            self.next = Some(now + Self::EVERY);
        }
        due
    }
}

#[derive(Debug, Default)]
pub(super) struct InventoryWatch {
    looks: usize,
    fabric: BTreeMap<GpuIndex, Looks>,
    links: BTreeMap<GpuIndex, Looks>,
    supplies: Looks,
    nics: Seats,
    drives: Seats,
}

/// Parts that have a name of their own, by the numbers they had before the run.
#[derive(Debug, Default)]
struct Seats {
    before: Vec<String>,
    looks: Looks,
}

impl Seats {
    fn begin(&mut self, before: &Reading<Vec<String>>) {
        self.before = before.value().cloned().unwrap_or_default();
        self.looks.first = before.value().map(|names| (0..=u8::MAX).zip(names).map(|(nth, _)| nth).collect());
    }

    fn hear(&mut self, found: Reading<Vec<String>>) {
        let numbers = |names: Vec<String>| -> BTreeSet<u8> {
            let there = (0..=u8::MAX).zip(&self.before).filter(|(_, name)| names.contains(name));
            there.map(|(nth, _)| nth).collect()
        };
        let there = found.map(numbers);
        self.looks.hear(&there);
    }
}

/// What the looks at one thing have shown.
#[derive(Debug, Default)]
struct Looks {
    whole: u64,
    away: u64,
    has_none: bool,
    /// What was there before the run, or at the first look that showed anything, and what of it was away at a later one.
    first: Option<BTreeSet<u8>>,
    missed: BTreeSet<u8>,
}

impl InventoryWatch {
    /// `before`: the node as it was found before any load.
    pub(super) fn since(before: &Inventory) -> Self {
        let mut watch = Self::default();
        for gpu in &before.gpus {
            watch.links.entry(gpu.index).or_default().first = active(gpu).value().cloned();
        }
        watch.supplies.first = good(before).value().cloned();
        watch.nics.begin(&nics(before));
        watch.drives.begin(&drives(before));
        watch
    }

    /// Takes in one observation: the looks that a [`Course`](super::course::Course) asks for while its load runs.
    pub(super) fn take(&mut self, seen: &Seen<'_>) {
        if let Seen::Answered(Answer::Inventory(Ok(found))) = seen {
            self.hear(found);
        }
    }

    fn hear(&mut self, found: &Inventory) {
        self.looks += 1;
        for gpu in &found.gpus {
            self.fabric.entry(gpu.index).or_default().hear_fabric(gpu);
            self.links.entry(gpu.index).or_default().hear(&active(gpu));
        }
        self.supplies.hear(&good(found));
        self.nics.hear(nics(found));
        self.drives.hear(drives(found));
    }

    pub(super) fn put_fabric(&self, sheet: &mut Sheet<'_>, gpu: GpuIndex) {
        sheet.put("fabric.away", Component::Gpu(gpu), Looks::away(self.fabric.get(&gpu)));
    }

    pub(super) fn put_links(&self, sheet: &mut Sheet<'_>, gpu: GpuIndex) {
        let looks = self.links.get(&gpu);
        sheet.put("links.away", Component::Gpu(gpu), Looks::away(looks));
        sheet.put("links.inactive", Component::Gpu(gpu), Looks::missed(looks));
    }

    /// Puts what is the node's.
    pub(super) fn put_parts(&self, sheet: &mut Sheet<'_>) {
        sheet.put("looks", Component::Node, Gauged::count(self.looks));
        for (away, bad, looks) in [
            (&PSUS_AWAY, &PSUS_BAD, &self.supplies),
            (&NICS_AWAY, &NICS_BAD, &self.nics.looks),
            (&NVMES_AWAY, &NVMES_BAD, &self.drives.looks),
        ] {
            sheet.put(away.name, Component::Node, Looks::away(Some(looks)));
            sheet.put(bad.name, Component::Node, Looks::missed(Some(looks)));
        }
    }
}

/// The GPU's links that are up.
fn active(gpu: &Gpu) -> Reading<BTreeSet<u8>> {
    let up = |link: &&NvLink| link.state == Reading::Value(LinkState::Active);
    gpu.nvlinks.as_ref().map(|links| links.iter().filter(up).map(|link| link.link).collect())
}

/// The interfaces by their places on the bus, where the kernel shows them: a name may be another's after one has come back.
fn nics(found: &Inventory) -> Reading<Vec<String>> {
    let place = |nic: &Nic| nic.pci_address.value().unwrap_or(&nic.name).clone();
    found.host.nics.as_ref().map(|nics| nics.iter().map(place).collect())
}

fn drives(found: &Inventory) -> Reading<Vec<String>> {
    found.host.nvmes.as_ref().map(|drives| drives.iter().map(|drive| drive.serial.clone()).collect())
}

/// The numbers of the supplies that give power.
fn good(found: &Inventory) -> Reading<BTreeSet<u8>> {
    let good = |psus: &Vec<Psu>| (0..=u8::MAX).zip(psus).filter(|(_, psu)| psu.ok).map(|(nth, _)| nth).collect();
    found.host.psus.as_ref().map(good)
}

impl Looks {
    fn hear_fabric(&mut self, gpu: &Gpu) {
        match &gpu.fabric {
            Reading::Value(fabric) if fabric.state == FabricState::Completed => self.whole += 1,
            Reading::Value(_) => self.away += 1,
            Reading::Unsupported => self.has_none = true,
            // Whether it is registered was not seen.
            Reading::Failed(_) => {}
        }
    }

    /// Takes in which of several are there. What is not there from the first is for other checks to judge.
    fn hear(&mut self, there: &Reading<BTreeSet<u8>>) {
        let there = match there {
            Reading::Value(there) => there,
            Reading::Unsupported => {
                self.has_none = true;
                return;
            }
            Reading::Failed(_) => return,
        };
        let first = self.first.get_or_insert_with(|| there.clone());
        let gone: BTreeSet<u8> = first.difference(there).copied().collect();
        if gone.is_empty() {
            self.whole += 1;
        } else {
            self.away += 1;
        }
        self.missed.extend(gone);
    }

    fn away(looks: Option<&Self>) -> Gauged {
        match looks {
            Some(Self { whole, away, .. }) if whole + away > 0 => {
                Gauged::Number { value: *away as f64, samples: whole + away }
            }
            Some(Self { has_none: true, .. }) => Gauged::Unsupported,
            _ => Gauged::Missing(Missing::NeverRead),
        }
    }

    fn missed(looks: Option<&Self>) -> Gauged {
        match (Self::away(looks), looks) {
            (Gauged::Number { .. }, Some(looks)) => Gauged::Text(write_list(&looks.missed)),
            (other, _) => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::inventory;
    use kiln_model::ReadingFailure;

    fn told(watch: &InventoryWatch, gpu: u8) -> [String; 2] {
        let looks = watch.links.get(&GpuIndex(gpu));
        [Looks::away(looks), Looks::missed(looks)].map(|gauged| format!("{gauged:?}"))
    }

    #[test]
    fn an_interface_that_was_away_is_known_by_its_place_whatever_the_others_are_called_then() {
        let nic = |name: &str, at: &str| Nic {
            name: name.to_owned(),
            model: String::new(),
            speed_mb_per_s: Reading::Unsupported,
            pci_address: Reading::Value(at.to_owned()),
            ports: Vec::new(),
        };
        let mut whole = inventory(1);
        whole.host.nics = Reading::Value(vec![nic("a", "1"), nic("b", "2"), nic("c", "3")]);
        let mut without = whole.clone();
        without.host.nics = Reading::Value(vec![nic("a", "1"), nic("b", "3")]);
        let mut watch = InventoryWatch::since(&whole);
        for found in [&whole, &without, &whole] {
            watch.hear(found);
        }
        let looks = Some(&watch.nics.looks);
        assert_eq!(Looks::away(looks), Gauged::Number { value: 1.0, samples: 3 });
        assert_eq!(Looks::missed(looks), Gauged::Text("1".to_owned()));
    }

    #[test]
    fn links_that_were_down_at_one_of_the_looks_are_counted_and_listed() {
        let whole = inventory(2);
        let mut without = whole.clone();
        if let Reading::Value(links) = &mut without.gpus[1].nvlinks {
            links[3].state = Reading::Value(LinkState::Inactive);
        }
        let mut silent = whole.clone();
        silent.gpus[0].nvlinks = Reading::Failed(ReadingFailure::Timeout);
        let mut watch = InventoryWatch::since(&whole);
        for found in [&whole, &without, &silent, &without, &whole] {
            watch.hear(found);
        }
        // A look that gave no answer is none.
        assert_eq!(told(&watch, 0), ["Number { value: 0.0, samples: 4 }", "Text(\"none\")"]);
        assert_eq!(told(&watch, 1), ["Number { value: 2.0, samples: 5 }", "Text(\"3\")"]);
        assert_eq!(watch.looks, 5);
    }

    #[test]
    fn supplies_that_failed_from_the_first_are_another_checks_and_those_that_fail_later_are_counted() {
        let with = |ok: [bool; 3]| {
            let mut found = inventory(1);
            let psu = |ok| Psu { ok, capacity_watts: Reading::Unsupported };
            found.host.psus = Reading::Value(ok.map(psu).to_vec());
            found
        };
        let mut watch = InventoryWatch::since(&with([true, true, false]));
        for ok in [[true, false, false], [true, true, true], [true, true, false]] {
            watch.hear(&with(ok));
        }
        let told = [Looks::away(Some(&watch.supplies)), Looks::missed(Some(&watch.supplies))];
        assert_eq!(told, [Gauged::Number { value: 1.0, samples: 3 }, Gauged::Text("1".to_owned())]);
    }
}
