//! Who may begin to draw power now: a pure function of the trees, of what was granted and not given back, and of who waits.
//!
//! Power is given back by evidence alone. A grant stands until the node says that the run ended, the run's own journal
//! says so, or a person does: a node that fell silent may be burning on.

use std::borrow::Cow;
use std::collections::BTreeMap;

use kiln_wire::{AgentId, PlaceId, RunId, Serial, SlotId};

use super::site::{Feed, Place, Site, Watts};

/// The window of a ramp limit, in microseconds.
pub const RAMP_WINDOW: u64 = 60_000_000;
/// Who did not ask again for so long stands in nobody's way: five calls of agents that call every 60 s at most.
const ASKS_AGAIN: u64 = 300_000_000;
/// The one that waits longest, once it has waited for so long, is waited for at every place above it, not only where power
/// lacks now: else a unit that lacks now at one place and then at another could wait for ever. One unit's worth of power
/// lies idle for it.
const PATIENCE: u64 = 600_000_000;

/// Power that was granted to a run and not given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub agent: AgentId,
    pub unit: Serial,
    pub slot: SlotId,
    pub watts: Watts,
    /// Microseconds since 1970, UTC.
    pub at: u64,
    /// When the node was first heard to have begun.
    pub began: Option<u64>,
    pub claimed: Claimed,
}

/// By how many machines a run is claimed that has power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    ByOne,
    /// Two machines said meanwhile that they are its agent: that one of them has ended says nothing of the other, whoever of
    /// the two stays.
    ByTwo,
}

/// Why a unit must wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// Nobody has said which slot it is in.
    Slot,
    /// The place bears no more.
    Limit(PlaceId),
    /// Within the last minute as much was started as the place allows.
    Ramp(PlaceId),
    /// Others that wait longer come first.
    Turn(PlaceId),
}

/// A unit that could begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// The number of its rack.
    pub rack: usize,
    /// Since when it could, in microseconds since 1970.
    pub since: u64,
    /// When it asked last.
    pub asked: u64,
}

impl Ask {
    /// Whether it asked so lately that it will ask again.
    pub const fn is_waiting(&self, now: u64) -> bool {
        self.asked + ASKS_AGAIN > now
    }
}

/// What every place bears.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    granted: Vec<Watts>,
    /// Grants that may still be rising, with their rack; None of one whose slot the file no longer has.
    rising: BTreeMap<RunId, (Option<usize>, Watts, Option<u64>)>,
}

impl Ledger {
    /// What the places of a site bear by these grants.
    pub fn of<'a>(site: &Site, grants: impl IntoIterator<Item = (&'a RunId, &'a Grant)>) -> Self {
        let mut ledger = Self { granted: vec![Watts(0); site.places().len()], rising: BTreeMap::new() };
        for (run, grant) in grants {
            ledger.give(site, run, grant);
        }
        ledger
    }

    pub fn give(&mut self, site: &Site, run: &RunId, grant: &Grant) {
        let rack = site.spot(&grant.slot).map(|spot| spot.rack);
        for place in bearing(site, rack).iter() {
            self.granted[*place].0 += grant.watts.0;
        }
        self.rising.insert(run.clone(), (rack, grant.watts, grant.began));
    }

    pub fn began(&mut self, run: &RunId, at: u64) {
        if let Some((.., began)) = self.rising.get_mut(run) {
            began.get_or_insert(at);
        }
    }

    pub fn take_back(&mut self, site: &Site, run: &RunId, grant: &Grant) {
        for place in bearing(site, site.spot(&grant.slot).map(|spot| spot.rack)).iter() {
            self.granted[*place].0 = self.granted[*place].0.saturating_sub(grant.watts.0);
        }
        // What has begun and ended within the window did rise within it.
        if self.rising.get(run).is_some_and(|(.., began)| began.is_none()) {
            self.rising.remove(run);
        }
    }

    /// Forgets what rose longer ago than the window.
    pub fn settle(&mut self, now: u64) {
        self.rising.retain(|_, (.., began)| began.is_none_or(|began| began + RAMP_WINDOW > now));
    }

    pub fn granted(&self, place: usize) -> Watts {
        self.granted.get(place).copied().unwrap_or_default()
    }

    /// What may have begun to be drawn within the window, at every place. A grant counts from when it is made until a
    /// window after the node was first heard to have begun, so that the sum is right whenever the node really began.
    fn rising(&self, site: &Site, now: u64) -> Vec<Watts> {
        let mut rising = vec![Watts(0); site.places().len()];
        for (rack, watts, began) in self.rising.values() {
            if began.is_none_or(|began| began + RAMP_WINDOW > now) {
                for place in bearing(site, *rack).iter() {
                    rising[*place].0 += watts.0;
                }
            }
        }
        rising
    }
}

/// The places that bear what is drawn in a rack. Where the file no longer has the slot it is still drawn somewhere: every feed and every
/// cooling unit is taken to bear it until it ends.
fn bearing(site: &Site, rack: Option<usize>) -> Cow<'_, [usize]> {
    let is_feed = |place: &usize| site.places()[*place].feed != Feed::Rack;
    rack.map_or_else(
        || Cow::Owned((0..site.places().len()).filter(is_feed).collect()),
        |rack| Cow::Borrowed(site.above(rack)),
    )
}

/// What places bear less of than the file says, because a person said so.
pub type Cuts = BTreeMap<PlaceId, Watts>;

/// Whether one may begin, given all who wait longer. Those are let go first: what they need is kept for them wherever it
/// lacks now, and everywhere once they have waited long.
pub fn admit(site: &Site, ledger: &Ledger, cuts: &Cuts, ahead: &[Ask], ask: Ask, now: u64) -> Result<(), Lack> {
    let rising = ledger.rising(site, now);
    let limits: Vec<Option<Watts>> = site.places().iter().map(|place| limit_of(place, cuts)).collect();
    let mut kept = vec![Watts(0); site.places().len()];
    let lacks = |place: usize, watts: Watts, kept: &[Watts]| -> Option<fn(PlaceId) -> Lack> {
        let (limit, ramp) = (limits[place], site.places()[place].ramp);
        let (granted, rising, kept) = (ledger.granted(place), rising[place], kept[place]);
        let over = |have: u64, most: Option<Watts>| most.is_some_and(|most| have + watts.0 > most.0);
        if over(granted.0, limit) {
            Some(Lack::Limit)
        } else if over(rising.0, ramp) {
            Some(Lack::Ramp)
        } else if over(granted.0 + kept.0, limit) || over(rising.0 + kept.0, ramp) {
            Some(Lack::Turn)
        } else {
            None
        }
    };
    let mut short: Vec<usize> = Vec::new();
    for (turn, first) in ahead.iter().filter(|first| first.is_waiting(now)).enumerate() {
        let Some(watts) = site.racks().get(first.rack).map(|rack| rack.draw) else { continue };
        let above = site.above(first.rack);
        short.clear();
        short.extend(above.iter().copied().filter(|place| lacks(*place, watts, &kept).is_some()));
        let everywhere = short.is_empty() || (turn == 0 && first.since + PATIENCE <= now);
        for place in if everywhere { above } else { &short } {
            kept[*place].0 += watts.0;
        }
    }
    let Some(watts) = site.racks().get(ask.rack).map(|rack| rack.draw) else { return Err(Lack::Slot) };
    let lack = |place: &usize| Some(lacks(*place, watts, &kept)?(site.places()[*place].id.clone()));
    site.above(ask.rack).iter().find_map(lack).map_or(Ok(()), Err)
}

/// What a place bears: the least of what its file says and of what a person cut it to.
fn limit_of(place: &Place, cuts: &Cuts) -> Option<Watts> {
    let cut = if cuts.is_empty() { None } else { cuts.get(&place.id).copied() };
    cut.into_iter().chain(place.limit).min()
}

#[cfg(test)]
mod tests {
    use super::super::site::{Feed, Pulses, Rack};
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn place(id: &str, feed: Feed, limit: Option<u64>, ramp: Option<u64>, under: &[usize]) -> Place {
        let id = id.parse().expect("a name");
        Place { id, feed, limit: limit.map(Watts), ramp: ramp.map(Watts), under: under.to_vec() }
    }

    fn rack(place: usize, id: &str, draw: u64) -> Rack {
        let slots = (1..=4).map(|slot| format!("{id}-{slot}").parse().expect("a name")).collect();
        Rack { place, slots, draw: Watts(draw), pulses: Pulses::Spread, golden_within: None }
    }

    /// A feed of 50 kW with a ramp of 20 kW a minute over two racks; one of them hangs from a cooling unit of 20 kW.
    fn site() -> Site {
        let places = vec![
            place("feed", Feed::Power, Some(50_000), Some(20_000), &[]),
            place("cdu", Feed::Cooling, Some(20_000), None, &[]),
            place("a", Feed::Rack, None, None, &[0, 1]),
            place("b", Feed::Rack, None, None, &[0]),
        ];
        Site::new(places, vec![rack(2, "a", 10_000), rack(3, "b", 10_000)])
    }

    fn grant(slot: &str, at: u64, began: Option<u64>) -> Grant {
        let [agent, unit] = ["agent", "SRV1"];
        let (agent, unit) = (agent.parse().expect("a name"), unit.parse().expect("a name"));
        Grant {
            agent,
            unit,
            slot: slot.parse().expect("a name"),
            watts: Watts(10_000),
            at,
            began,
            claimed: Claimed::ByOne,
        }
    }

    fn granted(slots: &[&str], began: Option<u64>) -> Vec<(RunId, Grant)> {
        let run = |slot: &str| format!("run-{slot}").parse().expect("a name");
        slots.iter().map(|slot| (run(slot), grant(slot, 0, began))).collect()
    }

    fn asked(grants: &[(RunId, Grant)], ahead: &[Ask], rack: usize, now: u64) -> Result<(), Lack> {
        let site = site();
        let ledger = Ledger::of(&site, grants.iter().map(|(run, grant)| (run, grant)));
        admit(&site, &ledger, &Cuts::new(), ahead, Ask { rack, since: now, asked: now }, now)
    }

    fn at(id: &str) -> PlaceId {
        id.parse().expect("a name")
    }

    #[test]
    fn every_place_above_a_slot_must_bear_it() {
        let later = 100 * SECOND;
        let began = Some(0);
        assert_eq!(asked(&granted(&["a-1"], began), &[], 0, later), Ok(()));
        assert_eq!(asked(&granted(&["a-1", "a-2"], began), &[], 0, later), Err(Lack::Limit(at("cdu"))));
        assert_eq!(asked(&granted(&["a-1", "a-2"], began), &[], 1, later), Ok(()));
        let all = granted(&["a-1", "a-2", "b-1", "b-2", "b-3"], began);
        assert_eq!(asked(&all, &[], 1, later), Err(Lack::Limit(at("feed"))));
    }

    #[test]
    fn what_was_granted_counts_as_rising_until_a_minute_after_it_was_heard_to_have_begun() {
        let hour = 3600 * SECOND;
        assert_eq!(asked(&granted(&["a-1", "b-1"], None), &[], 1, hour), Err(Lack::Ramp(at("feed"))));
        let began = granted(&["a-1", "b-1"], Some(hour - 30 * SECOND));
        assert_eq!(asked(&began, &[], 1, hour), Err(Lack::Ramp(at("feed"))));
        assert_eq!(asked(&began, &[], 1, hour + 30 * SECOND), Ok(()));
        // One that ended at once has risen all the same.
        let site = site();
        let mut ledger = Ledger::of(&site, began.iter().map(|(run, grant)| (run, grant)));
        ledger.take_back(&site, &began[0].0, &began[0].1);
        let ask = Ask { rack: 1, since: hour, asked: hour };
        assert_eq!(admit(&site, &ledger, &Cuts::new(), &[], ask, hour), Err(Lack::Ramp(at("feed"))));
    }

    #[test]
    fn who_waits_longer_is_waited_for_where_power_lacks_and_nowhere_else() {
        let now = 1000 * SECOND;
        let waits = |since: u64, asked: u64| Ask { rack: 0, since, asked };
        let cdu_full = granted(&["a-1", "a-2"], Some(0));
        // The first waits for the cooling of its rack, which is no reason to keep the other rack waiting.
        assert_eq!(asked(&cdu_full, &[waits(now - 60 * SECOND, now)], 1, now), Ok(()));
        // Room for one: it is the first one's.
        let one_left = granted(&["a-1", "b-1", "b-2", "b-3"], Some(0));
        assert_eq!(asked(&one_left, &[waits(now - 60 * SECOND, now)], 1, now), Err(Lack::Turn(at("feed"))));
        // Unless it asks no more.
        assert_eq!(asked(&one_left, &[waits(0, now - ASKS_AGAIN)], 1, now), Ok(()));
        // The one that has waited longest, and very long, is waited for everywhere.
        let both_lack = granted(&["a-1", "a-2", "b-1", "b-2"], Some(0));
        assert_eq!(asked(&both_lack, &[waits(now - PATIENCE, now)], 1, now), Err(Lack::Turn(at("feed"))));
    }

    #[test]
    fn a_place_that_a_person_cut_bears_that_much() {
        let site = site();
        let ledger = Ledger::of(&site, []);
        let cuts = Cuts::from([(at("feed"), Watts(5_000))]);
        let ask = Ask { rack: 1, since: 0, asked: 0 };
        assert_eq!(admit(&site, &ledger, &cuts, &[], ask, 0), Err(Lack::Limit(at("feed"))));
    }
}
