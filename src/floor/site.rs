//! What stands where on a floor: racks with their slots, the trees that feed and cool them, and what a unit draws.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts become floats far below 2^53, and floats become counts that were bounded before"
)]

use std::collections::BTreeMap;
use std::fmt;

use kiln_wire::{PlaceId, Scope, SlotId};
use serde::{Deserialize, Serialize};

use super::power_cycle::BmcAddress;

/// Electrical power, or the heat that comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Watts(pub u64);

impl fmt::Display for Watts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >= 1000 { write!(f, "{} kW", self.0 as f64 / 1000.0) } else { write!(f, "{} W", self.0) }
    }
}

/// What a place in a tree gives to what is below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feed {
    Power,
    Cooling,
    /// A rack itself.
    Rack,
}

/// How the power swings of units in one rack lie in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pulses {
    /// Each unit at its own moment of the period, so that the feed sees little of them.
    #[default]
    Spread,
    /// All units of a rack at one moment, as racks with energy storage of their own want it; racks apart from each other.
    Together,
}

/// A node of a tree, with what it can bear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub id: PlaceId,
    pub feed: Feed,
    /// None where only what is above it limits.
    pub limit: Option<Watts>,
    /// How much may be started within any minute.
    pub ramp: Option<Watts>,
    /// Places above it, by their numbers: its own feed, and for a rack its power and its cooling.
    pub under: Vec<usize>,
}

/// A rack of slots that are all made for one kind of unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rack {
    /// The number of its place.
    pub place: usize,
    pub slots: Vec<SlotId>,
    /// What a unit here draws at most.
    pub draw: Watts,
    pub pulses: Pulses,
    /// How old the last pass of a golden unit in this rack may be.
    pub golden_within: Option<std::time::Duration>,
}

/// Where a slot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// Its rack, by number.
    pub rack: usize,
    /// Its number among the slots of all racks.
    pub number: usize,
}

/// The places of a floor. With none, nothing is limited and units need no slot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Site {
    places: Vec<Place>,
    racks: Vec<Rack>,
    slots: BTreeMap<SlotId, Spot>,
    /// For each rack every place that bears it, itself first, each once.
    above: Vec<Vec<usize>>,
    /// Where the BMC of each slot is reached, of those that have one.
    bmcs: BTreeMap<SlotId, BmcAddress>,
}

impl Site {
    /// Puts racks and trees together. A place stands in the list after what it is under.
    pub fn new(places: Vec<Place>, racks: Vec<Rack>) -> Self {
        let mut slots = BTreeMap::new();
        let mut above = Vec::new();
        for (index, rack) in racks.iter().enumerate() {
            for slot in &rack.slots {
                let number = slots.len();
                slots.insert(slot.clone(), Spot { rack: index, number });
            }
            let mut bearing = vec![rack.place];
            let mut at = 0;
            while let Some(place) = bearing.get(at) {
                for under in places[*place].under.clone() {
                    if !bearing.contains(&under) {
                        bearing.push(under);
                    }
                }
                at += 1;
            }
            above.push(bearing);
        }
        Self { places, racks, slots, above, bmcs: BTreeMap::new() }
    }

    /// The same places, whose slots have these BMCs.
    #[must_use]
    pub fn with_bmcs(mut self, bmcs: BTreeMap<SlotId, BmcAddress>) -> Self {
        self.bmcs = bmcs;
        self
    }

    pub fn bmc(&self, slot: &SlotId) -> Option<&BmcAddress> {
        self.bmcs.get(slot)
    }

    pub fn bmcs(&self) -> usize {
        self.bmcs.len()
    }

    pub fn is_empty(&self) -> bool {
        self.racks.is_empty()
    }

    pub fn places(&self) -> &[Place] {
        &self.places
    }

    pub fn racks(&self) -> &[Rack] {
        &self.racks
    }

    pub fn slots(&self) -> impl Iterator<Item = (&SlotId, Spot)> {
        self.slots.iter().map(|(slot, spot)| (slot, *spot))
    }

    pub fn spot(&self, slot: &SlotId) -> Option<Spot> {
        self.slots.get(slot).copied()
    }

    /// Every place that bears what is drawn in a rack.
    pub fn above(&self, rack: usize) -> &[usize] {
        self.above.get(rack).map_or(&[], Vec::as_slice)
    }

    pub fn by_id(&self, id: &PlaceId) -> Option<usize> {
        self.places.iter().position(|place| place.id == *id)
    }

    /// What a unit in a slot shares with others there.
    pub fn scopes(&self, slot: &SlotId) -> Vec<Scope> {
        let Some(spot) = self.spot(slot) else { return Vec::new() };
        let shared = self.above(spot.rack).iter().map(|place| {
            let place = &self.places[*place];
            match place.feed {
                Feed::Rack => Scope::Rack(place.id.clone()),
                Feed::Power => Scope::Power(place.id.clone()),
                Feed::Cooling => Scope::Cooling(place.id.clone()),
            }
        });
        shared.chain([Scope::Slot(slot.clone())]).collect()
    }

    /// The moment in a period, in thousandths of it, at which a slot's swings of power begin.
    pub fn phase(&self, slot: &SlotId) -> Option<u16> {
        let spot = self.spot(slot)?;
        let number = match self.racks[spot.rack].pulses {
            Pulses::Spread => spot.number,
            Pulses::Together => spot.rack,
        };
        Some((van_der_corput(number as u64) * 1000.0) as u16)
    }
}

/// Reads the binary digits of a number backwards behind the point: any run of neighbours lies evenly over 0..1, whichever
/// of them are at work. (Van der Corput's sequence.)
fn van_der_corput(number: u64) -> f64 {
    number.reverse_bits() as f64 / 2f64.powi(64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(id: &str, feed: Feed, under: &[usize]) -> Place {
        Place { id: id.parse().expect("a name"), feed, limit: None, ramp: None, under: under.to_vec() }
    }

    fn rack(place: usize, slots: &[&str], pulses: Pulses) -> Rack {
        let slots = slots.iter().map(|slot| slot.parse().expect("a name")).collect();
        Rack { place, slots, draw: Watts(1000), pulses, golden_within: None }
    }

    #[test]
    fn a_rack_is_borne_by_both_trees_and_each_place_counts_once() {
        let places = vec![
            place("feed", Feed::Power, &[]),
            place("row", Feed::Power, &[0]),
            place("cdu", Feed::Cooling, &[]),
            place("r1", Feed::Rack, &[1, 2]),
        ];
        let site = Site::new(places, vec![rack(3, &["r1-01"], Pulses::Spread)]);
        assert_eq!(site.above(0), [3, 1, 2, 0]);
        assert_eq!(site.scopes(&"r1-01".parse().expect("a name")).len(), 5);
    }

    /// The largest sum of square waves over a period, as a share of all of them in step.
    fn largest_swing(phases: &[u16]) -> f64 {
        let on = |moment: u16| phases.iter().filter(|phase| (1000 + moment - **phase) % 1000 < 500).count();
        let counts: Vec<usize> = (0..1000).map(on).collect();
        let (least, most) = (counts.iter().min().expect("some"), counts.iter().max().expect("some"));
        (most - least) as f64 / phases.len() as f64
    }

    #[test]
    fn spread_pulses_cancel_and_those_of_one_rack_may_go_together() {
        let names: Vec<String> = (0..64).map(|number| format!("s{number:02}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let places = || (0..4).map(|number| place(&format!("r{number}"), Feed::Rack, &[])).collect();
        let racks = |pulses| names.chunks(16).enumerate().map(|(at, slots)| rack(at, slots, pulses)).collect();
        let spread = Site::new(places(), racks(Pulses::Spread));
        let phases: Vec<u16> = spread.slots().filter_map(|(slot, _)| spread.phase(slot)).collect();
        assert!(largest_swing(&phases) < 0.05, "{}", largest_swing(&phases));
        // Whichever neighbours are at work.
        assert!(phases.windows(10).all(|some| largest_swing(some) <= 0.4));
        let together = Site::new(places(), racks(Pulses::Together));
        let of = |rack: usize| -> Vec<u16> {
            together.racks()[rack].slots.iter().filter_map(|slot| together.phase(slot)).collect()
        };
        assert_eq!(largest_swing(&of(1)), 1.0);
        assert!(largest_swing(&(0..4).flat_map(of).collect::<Vec<_>>()) < 0.05, "racks apart");
    }
}
