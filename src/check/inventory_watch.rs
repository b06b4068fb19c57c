//! What can go away and come back while a load runs, looked at again and again: the registration with the NVLink fabric, the links
//! themselves, and the power supplies. Each is whole before the load and after it, where it was not in between.

use std::collections::{BTreeMap, BTreeSet};

use super::course::Course;
use super::declare::{may, text};
use super::sheet::{Gauged, Sheet};
use super::{Seen, Wants};
use kiln_limit::{Missing, write_list};
use kiln_model::{
    Answer, Component, ComponentKind, FabricState, Gpu, GpuIndex, Inventory, LinkState, Moment, Probe, Psu, Reading,
    Span, Unit,
};
use kiln_profile::MeasurementSpec;

pub(super) const FABRIC_AWAY: MeasurementSpec = may(
    "fabric.away",
    Unit::One,
    ComponentKind::Gpu,
    "how often, looked at once a minute, the GPU was not registered with its fabric",
);
pub(super) const LINKS_AWAY: MeasurementSpec = may(
    "links.away",
    Unit::One,
    ComponentKind::Gpu,
    "how often, looked at once a minute, NVLinks were down that were up at the first look",
);
pub(super) const LINKS_INACTIVE: MeasurementSpec =
    text("links.inactive", ComponentKind::Gpu, "the NVLinks that were down at such a look");
pub(super) const PSUS_AWAY: MeasurementSpec = may(
    "psus.away",
    Unit::One,
    ComponentKind::Node,
    "how often, looked at once a minute, a supply gave no power or reported a fault that did not at the first look",
);
pub(super) const PSUS_BAD: MeasurementSpec =
    text("psus.bad", ComponentKind::Node, "the numbers of those supplies, from 0");

pub(super) const LOOKS: MeasurementSpec =
    may("looks", Unit::One, ComponentKind::Node, "looks at the inventory while the load ran");

/// A look reads the whole inventory, which is more than the driver should be asked beside every sample.
const EVERY: Span = Span::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct InventoryWatch {
    next: Option<Moment>,
    looks: usize,
    fabric: BTreeMap<GpuIndex, Looks>,
    links: BTreeMap<GpuIndex, Looks>,
    supplies: Looks,
}

/// What the looks at one thing have shown.
#[derive(Debug, Default)]
struct Looks {
    whole: u64,
    away: u64,
    has_none: bool,
    /// What was there at the first look that showed anything, and what of it was away at a later one.
    first: Option<BTreeSet<u8>>,
    missed: BTreeSet<u8>,
}

impl InventoryWatch {
    /// Takes in one observation, and asks for a look when one is due. `course` says when the load to look at runs.
    pub(super) fn take(&mut self, course: &Course, now: Moment, seen: &Seen<'_>, wants: &mut Wants) {
        match seen {
            Seen::Sampled(_) if course.is_measuring() && self.next.is_none_or(|next| now >= next) => {
                self.next = Some(now + EVERY);
                wants.ask(Probe::Inventory);
            }
            Seen::Answered(Answer::Inventory(Ok(found))) => self.hear(found),
            _ => {}
        }
    }

    fn hear(&mut self, found: &Inventory) {
        self.looks += 1;
        for gpu in &found.gpus {
            self.fabric.entry(gpu.index).or_default().hear_fabric(gpu);
            self.links.entry(gpu.index).or_default().hear(&gpu.nvlinks.as_ref().map(|links| {
                links
                    .iter()
                    .filter(|link| link.state == Reading::Value(LinkState::Active))
                    .map(|link| link.link)
                    .collect()
            }));
        }
        let good = |psus: &Vec<Psu>| (0..=u8::MAX).zip(psus).filter(|(_, psu)| psu.ok).map(|(nth, _)| nth).collect();
        self.supplies.hear(&found.host.psus.as_ref().map(good));
    }

    pub(super) fn put_fabric(&self, sheet: &mut Sheet<'_>, gpu: GpuIndex) {
        sheet.put("fabric.away", Component::Gpu(gpu), Looks::away(self.fabric.get(&gpu)));
    }

    pub(super) fn put_links(&self, sheet: &mut Sheet<'_>, gpu: GpuIndex) {
        let looks = self.links.get(&gpu);
        sheet.put("links.away", Component::Gpu(gpu), Looks::away(looks));
        sheet.put("links.inactive", Component::Gpu(gpu), Looks::missed(looks));
    }

    pub(super) fn put_supplies(&self, sheet: &mut Sheet<'_>) {
        let looks = Some(&self.supplies);
        sheet.put("looks", Component::Node, Gauged::count(self.looks));
        sheet.put("psus.away", Component::Node, Looks::away(looks));
        sheet.put("psus.bad", Component::Node, Looks::missed(looks));
    }
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
