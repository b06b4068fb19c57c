//! The part of `floor.yaml` that says what stands where: trees of power and cooling, kinds of units, racks.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use kiln_model::Unit;
use kiln_profile::Skus;
use kiln_wire::{PlaceId, SlotId};
use kiln_yaml::{Diagnostic, Diagnostics, Fields, Node, did_you_mean};

use super::file::{apart, named, watts, window};
use super::power_cycle::BmcAddress;
use super::site::{Feed, Place, Pulses, Rack, Site, Watts};

/// More slots than any rack has.
const MOST_SLOTS: u32 = 200;
/// More GPUs than any unit has.
const MOST_GPUS: u64 = 64;

/// A pass counts from its end, and whoever waits for it hears of it at the next call, up to a minute later; units are then put to
/// work one after the other.
const GOLDEN_LEAST: Duration = Duration::from_secs(10 * 60);

/// Places read so far, with where each was named.
#[derive(Default)]
struct Trees<'n> {
    places: Vec<Place>,
    seen: BTreeMap<String, &'n Node>,
    bmcs: BTreeMap<SlotId, BmcAddress>,
    seen_bmcs: BTreeMap<String, &'n Node>,
}

impl Trees<'_> {
    /// A place that was named before, by what another says it hangs from.
    fn find(&self, node: &Node, feed: Feed, all: &mut Diagnostics) -> Option<usize> {
        let text = node.text(all)?;
        let found = self.places.iter().position(|place| place.feed == feed && place.id.as_str() == text);
        if found.is_none() {
            let names = self.places.iter().filter(|place| place.feed == feed).map(|place| place.id.as_str());
            let message = match feed {
                Feed::Power => format!("no feed `{text}` stands before this in `power`"),
                Feed::Cooling | Feed::Rack => format!("no unit `{text}` stands before this in `cooling`"),
            };
            all.push(Diagnostic::new(&node.place, message).maybe_help(did_you_mean(text, names)));
        }
        found
    }
}

/// Reads `power`, `cooling`, `kinds` and `racks`; None if they cannot be put together.
pub(super) fn places(fields: &mut Fields<'_>, skus: &Skus, all: &mut Diagnostics) -> Option<Site> {
    let mut trees = Trees::default();
    for (key, feed) in [("power", Feed::Power), ("cooling", Feed::Cooling)] {
        let nodes = fields.optional(key, all).and_then(|node| node.list("places", all)).unwrap_or_default();
        for node in nodes {
            tree_node(&mut trees, node, feed, all);
        }
    }
    let kinds = fields.optional("kinds", all).map(|node| kinds(node, skus, all)).unwrap_or_default();
    let mut racks = Vec::new();
    let mut slots = BTreeMap::new();
    let nodes = fields.optional("racks", all).and_then(|node| node.list("racks", all)).unwrap_or_default();
    for node in nodes {
        racks.extend(rack(&mut trees, &kinds, &mut slots, node, all));
    }
    for index in 0..trees.places.len() {
        unborne(&trees, &racks, index, all);
    }
    if !all.is_empty() {
        return None;
    }
    let site = Site::new(trees.places, racks).with_bmcs(trees.bmcs);
    for index in 0..site.racks().len() {
        bears_one(&site, index, &trees.seen, all);
    }
    Some(site)
}

/// A place that cannot bear, or start, a single unit of a rack below it would keep that rack waiting for ever.
fn bears_one(site: &Site, rack: usize, seen: &BTreeMap<String, &Node>, all: &mut Diagnostics) {
    let draw = site.racks()[rack].draw;
    let name = &site.places()[site.racks()[rack].place].id;
    for place in site.above(rack) {
        let place = &site.places()[*place];
        let least = place.limit.into_iter().chain(place.ramp).min();
        if let (Some(node), true) = (seen.get(place.id.as_str()), least.is_some_and(|least| least < draw)) {
            let message = format!("a single unit of rack `{name}` draws up to {draw}, more than `{}` bears", place.id);
            all.push(Diagnostic::new(&node.place, message).help("raise `limit` and `ramp` to at least that"));
        }
    }
}

/// A feed that bears nothing is a slip of the pen: something hangs from the wrong one.
fn unborne(trees: &Trees<'_>, racks: &[Rack], index: usize, all: &mut Diagnostics) {
    let place = &trees.places[index];
    let bears = trees.places.iter().any(|other| other.under.contains(&index));
    if !bears && !racks.is_empty() && place.feed != Feed::Rack {
        let message = format!("nothing hangs from `{}`", place.id);
        if let Some(node) = trees.seen.get(place.id.as_str()) {
            all.push(Diagnostic::new(&node.place, message).help("name it at a rack, or delete it"));
        }
    }
}

fn tree_node<'n>(trees: &mut Trees<'n>, node: &'n Node, feed: Feed, all: &mut Diagnostics) {
    let what = if feed == Feed::Power { "a feed" } else { "a cooling unit" };
    let Some(mut fields) = Fields::of(node, what, all) else { return };
    let id = fields.required("id", all);
    let limit = fields.required("limit", all).and_then(|node| watts(node, all));
    let ramp = fields.optional("ramp", all).and_then(|node| watts(node, all));
    let under = fields.optional("under", all).map(|node| trees.find(node, feed, all));
    fields.finish(all);
    let Some(node) = id else { return };
    apart(&mut trees.seen, node, all);
    if let Some(id) = named::<PlaceId>(node, all) {
        // What a wrong `under` named is told already.
        let under = under.into_iter().flatten().collect();
        trees.places.push(Place { id, feed, limit, ramp, under });
    }
}

/// What a unit of a kind draws at most: all its GPUs at their thermal design power, and the rest of the node.
fn kinds<'n>(node: &'n Node, skus: &Skus, all: &mut Diagnostics) -> BTreeMap<&'n str, Option<Watts>> {
    let mut seen = BTreeMap::new();
    let mut kinds = BTreeMap::new();
    for node in node.list("kinds", all).unwrap_or_default() {
        let Some(mut fields) = Fields::of(node, "a kind", all) else { continue };
        let id = fields.required("id", all);
        let sku = fields.required("sku", all).and_then(|node| {
            let id = node.text(all)?;
            let found = skus.by_id(id);
            if found.is_none() {
                let help = did_you_mean(id, skus.0.iter().map(|sku| sku.id.as_str()));
                all.push(Diagnostic::new(&node.place, format!("there is no SKU `{id}`")).maybe_help(help));
            }
            found
        });
        let gpus = fields.required("gpus", all).and_then(|node| {
            let gpus = node.whole::<u64>(all)?;
            if !(1..=MOST_GPUS).contains(&gpus) {
                all.push(Diagnostic::new(&node.place, format!("a unit has between 1 and {MOST_GPUS} GPUs")));
            }
            Some(gpus)
        });
        let host = fields.required("host", all).and_then(|node| watts(node, all));
        fields.finish(all);
        let Some(node) = id else { continue };
        apart(&mut seen, node, all);
        let tdp = sku.and_then(|sku| sku.fact_in("tdp", Unit::Watt));
        let draw = match (tdp, gpus, host) {
            (Some(tdp), Some(gpus), Some(host)) => Some(Watts(tdp.ceil() as u64 * gpus + host.0)),
            _ => None,
        };
        kinds.extend(node.raw().map(|id| (id, draw)));
    }
    kinds
}

fn rack<'n>(
    trees: &mut Trees<'n>,
    kinds: &BTreeMap<&str, Option<Watts>>,
    taken: &mut BTreeMap<SlotId, &'n Node>,
    node: &'n Node,
    all: &mut Diagnostics,
) -> Option<Rack> {
    let mut fields = Fields::of(node, "a rack", all)?;
    let id = fields.required("id", all);
    let kind = fields.required("kind", all).and_then(|node| {
        let kind = node.text(all)?;
        let draw = kinds.get(kind).copied();
        if draw.is_none() {
            let help = did_you_mean(kind, kinds.keys().copied());
            all.push(Diagnostic::new(&node.place, format!("there is no kind `{kind}`")).maybe_help(help));
        }
        draw.flatten()
    });
    let slots = fields.required("slots", all);
    let power = fields.optional("power", all).and_then(|node| trees.find(node, Feed::Power, all));
    let cooling = fields.optional("cooling", all).and_then(|node| trees.find(node, Feed::Cooling, all));
    let limit = fields.optional("limit", all).and_then(|node| watts(node, all));
    let words = [("spread", Pulses::Spread), ("together", Pulses::Together)];
    let pulses = fields.optional("pulses", all).and_then(|node| node.one_of("rule for pulses", &words, all));
    let why = "a pass of a golden unit would be too old before another unit can begin";
    let golden_within = fields.optional("golden", all).and_then(|node| window(node, GOLDEN_LEAST, why, all));
    let bmc = fields.optional("bmc", all);
    fields.finish(all);
    let node = id?;
    apart(&mut trees.seen, node, all);
    let id = named::<PlaceId>(node, all)?;
    let slots = slots.map(|node| slot_ids(&id, node, all)).unwrap_or_default();
    for slot in &slots {
        if let Some(first) = taken.insert(slot.clone(), node) {
            let message = format!("the slot `{slot}` is there already");
            all.push(Diagnostic::new(&node.place, message).secondary(&first.place, "in this rack"));
        }
    }
    if let Some(node) = bmc {
        bmcs(trees, &id, &slots, node, all);
    }
    let under = [power, cooling].into_iter().flatten().collect();
    trees.places.push(Place { id, feed: Feed::Rack, limit, ramp: None, under });
    let place = trees.places.len() - 1;
    Some(Rack { place, slots, draw: kind?, pulses: pulses.unwrap_or_default(), golden_within })
}

/// `18` for `rack-01` to `rack-18`, or a list of names, each of which gets the rack's before it.
fn slot_ids(rack: &PlaceId, node: &Node, all: &mut Diagnostics) -> Vec<SlotId> {
    if let Some(elements) = node.elements() {
        let named = |node: &Node, all: &mut Diagnostics| {
            node.parse_with(|text| format!("{rack}-{text}").parse::<SlotId>(), all)
        };
        return elements.iter().filter_map(|node| named(node, all)).collect();
    }
    let Some(count) = node.whole::<u32>(all) else { return Vec::new() };
    if !(1..=MOST_SLOTS).contains(&count) {
        all.push(Diagnostic::new(&node.place, format!("a rack has between 1 and {MOST_SLOTS} slots")));
        return Vec::new();
    }
    (1..=count).filter_map(|number| format!("{rack}-{number:02}").parse().ok()).collect()
}

/// Where the BMCs of a rack's slots are reached, each by what stands after the rack in its slot's name. Two slots with one BMC would
/// have the wrong node switched off.
fn bmcs<'n>(trees: &mut Trees<'n>, rack: &PlaceId, slots: &[SlotId], node: &'n Node, all: &mut Diagnostics) {
    let before = format!("{rack}-");
    for (name, address) in node.mapping("addresses of BMCs", all).unwrap_or_default() {
        let Some(text) = name.text(all) else { continue };
        let ends = || slots.iter().filter_map(|slot| slot.as_str().strip_prefix(&before));
        let Some(slot) = slots.iter().find(|slot| slot.as_str().strip_prefix(&before) == Some(text)) else {
            let message = format!("rack `{rack}` has no slot `{text}`");
            all.push(Diagnostic::new(&name.place, message).maybe_help(did_you_mean(text, ends())));
            continue;
        };
        apart(&mut trees.seen_bmcs, address, all);
        if let Some(address) = named::<BmcAddress>(address, all) {
            trees.bmcs.insert(slot.clone(), address);
        }
    }
}
