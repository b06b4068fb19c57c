//! A floor for tests, told one thing after the other, and what they tell it of.

use kiln_event::VerdictWord::{self, Pass};
use kiln_wire::{Doing, RunId, Serial, SyncReply};

use super::site::{Feed, Place, Pulses, Rack};
use super::*;

pub(super) const MINUTE: u64 = 60_000_000;

pub(super) fn name<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("a plain name")
}

/// Racks of so many slots each, of 10 kW a unit, under one feed.
pub(super) fn site(racks: usize, slots: usize) -> Site {
    let feed = Place { id: name("feed"), feed: Feed::Power, limit: Some(Watts(10_000_000)), ramp: None, under: vec![] };
    let place = |number: usize| Place {
        id: name(&format!("r{number}")),
        feed: Feed::Rack,
        limit: None,
        ramp: None,
        under: vec![0],
    };
    let rack = |number: usize| Rack {
        place: number + 1,
        slots: (0..slots).map(|slot| name(&format!("r{number}-{slot:02}"))).collect(),
        draw: Watts(10_000),
        pulses: Pulses::Spread,
        golden_within: None,
    };
    Site::new([feed].into_iter().chain((0..racks).map(place)).collect(), (0..racks).map(rack).collect())
}

/// A floor, told one thing after the other.
pub(super) struct Told {
    pub(super) floor: Floor,
    pub(super) events: Vec<Stamped>,
    pub(super) now: u64,
    pub(super) runs: u32,
    pub(super) codes: Vec<String>,
}

impl Told {
    pub(super) fn of(policy: Policy) -> Self {
        Self { floor: Floor::of(policy, &[]), events: Vec::new(), now: 1, runs: 0, codes: Vec::new() }
    }

    pub(super) fn one_stop() -> Self {
        Self::of(Policy::one_profile("smoke"))
    }

    pub(super) fn try_tell(&mut self, input: Input) -> Result<Option<SyncReply>, Refusal> {
        self.runs += 1;
        self.now += 1;
        let tick = Tick { now: self.now, fresh_run: name(&format!("run-{}", self.runs)) };
        let answer = self.floor.handle(&tick, input)?;
        self.events.extend(answer.events);
        // Whatever happens, the state is the fold of the events and the ledger that of the grants.
        let again = Floor::of(self.floor.policy().clone(), &self.events);
        assert_eq!(again.state(), self.floor.state());
        for place in 0..self.floor.policy().site.places().len() {
            assert_eq!(again.ledger().granted(place), self.floor.ledger().granted(place));
        }
        Ok(answer.reply)
    }

    pub(super) fn tell(&mut self, input: Input) -> Option<SyncReply> {
        self.try_tell(input).expect("not refused")
    }

    pub(super) fn act(&mut self, act: Act) {
        self.tell(Input::Told { act, by: "sato".to_owned() });
    }

    pub(super) fn scan(&mut self, unit: &str, slot: Option<&str>) {
        let (unit, slot) = (name(unit), slot.map(name));
        self.tell(Input::Scanned { unit, at: None, slot, lot: None, by: "sato".to_owned() });
    }

    pub(super) fn sync(&mut self, unit: &str, doing: Doing) -> SyncReply {
        self.sync_of(&format!("agent-{unit}"), unit, doing)
    }

    pub(super) fn sync_of(&mut self, agent: &str, unit: &str, doing: Doing) -> SyncReply {
        let idle = kiln_wire::Sync::idle(name(agent), name("boot-1"));
        let sync = kiln_wire::Sync { serial: Some(name(unit)), doing, ..idle };
        self.tell(Input::Synced(sync)).expect("an answer")
    }

    /// The agent asks for work; the run it gets.
    pub(super) fn asks(&mut self, unit: &str) -> Option<RunId> {
        self.sync(unit, Doing::Idle).desired.map(|assignment| assignment.run)
    }

    /// The unit's next run comes to this end.
    pub(super) fn run(&mut self, unit: &str, verdict: VerdictWord) {
        let run = self.asks(unit).unwrap_or_else(|| panic!("{unit} gets no run: {:?}", self.floor.waits()));
        self.arrives(run, verdict);
    }

    pub(super) fn arrives(&mut self, run: RunId, verdict: VerdictWord) {
        let codes = if verdict == Pass { Vec::new() } else { self.codes.clone() };
        let serial = self.floor.state().runs.get(&run).map(|run| run.unit.clone());
        self.tell(Input::Arrived(RunFacts { serial, codes, ..RunFacts::plain(run, verdict) }));
    }

    /// A pass whose journal says this serial number and this profile.
    pub(super) fn passes_as(&mut self, run: RunId, serial: Option<&str>, profile_digest: &str) {
        let (serial, profile_digest) = (serial.map(name), profile_digest.to_owned());
        self.tell(Input::Arrived(RunFacts { serial, profile_digest, ..RunFacts::plain(run, Pass) }));
    }

    pub(super) fn release(&mut self, unit: &str) -> Result<Option<SyncReply>, Refusal> {
        let (unit, why, second) = (name(unit), "looked".to_owned(), Some("mori".to_owned()));
        let act = Act::Decide { unit, disposition: Disposition::Released, why, second };
        self.try_tell(Input::Told { act, by: "sato".to_owned() })
    }

    pub(super) fn stage(&self, unit: &str) -> &Stage {
        &self.floor.state().units[&name::<Serial>(unit)].stage
    }

    pub(super) fn wait(&self, unit: &str) -> Option<&Wait> {
        self.floor.waits().get(&name::<Serial>(unit))
    }
}
