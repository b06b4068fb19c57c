//! A building for the power simulation: a feed over rows over racks, crossed by cooling units, none of which bears all.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use kiln_floor::{Feed, Place, Pulses, Rack, Site, Watts};

use super::chance::{Chance, name};

/// Slots of a rack, and racks of a row.
const SLOTS: usize = 18;
const ROW: usize = 8;
/// What units draw: nodes of eight GPUs of three generations.
const DRAWS: [u64; 3] = [6_600, 9_100, 14_300];
/// What shares of what hangs from them the places bear, in percent.
const FEED_BEARS: u64 = 70;
const ROW_BEARS: u64 = 85;
const COOLING_BEARS: u64 = 80;
const RACK_BEARS: u64 = 90;
/// What the feed lets start within a minute, in percent of all.
const FEED_RAMP: u64 = 3;

/// A site of at least so many slots.
pub(crate) fn site(slots: usize, chance: &mut Chance) -> Site {
    let racks = slots.div_ceil(SLOTS);
    let rows = racks.div_ceil(ROW);
    let draws: Vec<u64> = (0..racks).map(|_| DRAWS[chance.below(3) as usize]).collect();
    let full = |of: &dyn Fn(usize) -> bool| -> u64 {
        (0..racks).filter(|rack| of(*rack)).map(|rack| draws[rack] * SLOTS as u64).sum()
    };
    let share = |watts: u64, percent: u64| Some(Watts((watts * percent / 100).max(2 * DRAWS[2])));
    let all = full(&|_| true);
    let mut places = vec![Place {
        id: name("feed"),
        feed: Feed::Power,
        limit: share(all, FEED_BEARS),
        ramp: share(all, FEED_RAMP),
        under: Vec::new(),
    }];
    for row in 0..rows {
        let limit = share(full(&|rack| rack / ROW == row), ROW_BEARS);
        places.push(Place { id: name(&format!("row-{row}")), feed: Feed::Power, limit, ramp: None, under: vec![0] });
    }
    // Cooling units lie across the rows.
    let units = rows.max(2);
    for unit in 0..units {
        let limit = share(full(&|rack| rack % units == unit), COOLING_BEARS);
        let id = name(&format!("cdu-{unit}"));
        places.push(Place { id, feed: Feed::Cooling, limit, ramp: None, under: Vec::new() });
    }
    let mut list = Vec::new();
    for (rack, draw) in draws.iter().enumerate() {
        let limit = share(draw * SLOTS as u64, RACK_BEARS);
        let under = vec![1 + rack / ROW, 1 + rows + rack % units];
        places.push(Place { id: name(&format!("r{rack:02}")), feed: Feed::Rack, limit, ramp: None, under });
        list.push(Rack {
            place: places.len() - 1,
            slots: (0..SLOTS).map(|slot| name(&format!("r{rack:02}-{slot:02}"))).collect(),
            draw: Watts(*draw),
            pulses: Pulses::Spread,
            golden_within: None,
        });
    }
    Site::new(places, list)
}
