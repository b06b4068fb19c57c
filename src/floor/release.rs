//! What people decide about a held unit: repair and scrap by one, release by two. A unit that is held for what its last run
//! said at an earlier stop of its route is not released by that: it goes on to its next stop. An outlier stays one until its lot
//! says otherwise or a part was exchanged.

use kiln_wire::{Held, RunId, Serial};

use super::event::{Actor, Because, Disposition, FloorEvent, LotSay, Stamped};
use super::machine::{Floor, Handling};
use super::refusal::Refusal;
use super::state::{FloorState, RunOutcome, Stage, UnitState};

/// What people decided about a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The number of the event.
    pub event: u64,
    /// Microseconds since 1970, UTC.
    pub at: u64,
    /// Everybody it took: who asked before who agreed.
    pub by: Vec<String>,
    pub why: String,
    pub what: Decided,
    /// The run that showed it to be an outlier of its lot, where it was held for that.
    pub outlier: Option<RunId>,
}

/// What became of a unit by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    Disposed(Disposition),
    /// What its last run said was waived, and it went on to its next stop.
    WentOn,
}

/// What two people who agree make of a held unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Release {
    /// It has passed every stop of its route, and is released.
    OfTheUnit,
    /// What this run said is waived, and the unit goes on to the next stop of its route.
    ToTheNextStop(RunId),
}

impl Floor {
    /// What two people may make of a unit: it is held, and what is here of its last run passed, or met every limit and is held
    /// for its lot alone.
    pub fn release(&self, unit: &Serial) -> Result<Release, Refusal> {
        let known = self.state.units.get(unit).ok_or_else(|| Refusal::UnknownUnit(unit.clone()))?;
        let Stage::Held(held) = &known.stage else { return Err(Refusal::NotHeld(unit.clone())) };
        let last = known.runs.last().filter(|last| last.generation == known.generation);
        let last = last.ok_or_else(|| Refusal::NotPassed(unit.clone()))?;
        // Nobody has looked whether it is what was ordered.
        if !self.state.bears_out(unit, &self.policy, last) {
            return Err(Refusal::OtherParts(unit.clone()));
        }
        // Held for anything else, nobody was told that it is an outlier.
        let is_outlier = matches!(held, Held::Outlier { run } if *run == last.facts.run) && last.facts.is_outlier(unit);
        let waived = is_outlier.then(|| last.profile.clone());
        let passed: Vec<String> = known.passed.iter().cloned().chain(waived).collect();
        if !is_outlier && !last.facts.passes(unit) {
            return Err(Refusal::NotPassed(unit.clone()));
        }
        if self.policy.stops_passed(&passed) >= self.policy.route.len() {
            return Ok(Release::OfTheUnit);
        }
        // Of a unit that is held for who or where it is, what was measured counts for nothing.
        match held {
            Held::Outlier { .. } | Held::PassAfterFail => Ok(Release::ToTheNextStop(last.facts.run.clone())),
            _ => Err(Refusal::NotPassed(unit.clone())),
        }
    }
}

impl Handling<'_> {
    /// What a person decided about a held unit.
    pub(super) fn decided(
        &self,
        unit: Serial,
        disposition: Disposition,
        why: String,
        second: Option<String>,
        by: &str,
    ) -> Result<FloorEvent, Refusal> {
        let Stage::Held(held) = self.known(&unit)? else { return Err(Refusal::NotHeld(unit)) };
        match disposition {
            Disposition::Repair if matches!(held, Held::Outlier { .. }) && !self.has_failed(&unit) => {
                return Err(Refusal::NothingProven(unit));
            }
            Disposition::Repair | Disposition::Scrapped => {}
            Disposition::Returned => return Err(Refusal::NoDecision),
            Disposition::Released => {
                let second = second.filter(|name| is_another(name, by)).ok_or(Refusal::SecondPerson)?;
                return self.released(unit, why, second);
            }
        }
        let because = Because::Person { why, second };
        Ok(FloorEvent::Disposed { unit, disposition, because, class: None })
    }

    /// Whether a run of the unit since its last repair ended in FAIL.
    fn has_failed(&self, unit: &Serial) -> bool {
        self.floor.state.units.get(unit).is_some_and(|unit| unit.failed)
    }

    /// The second person agrees to what the first one asked for.
    pub(super) fn agreed(&self, unit: Serial, by: &str) -> Result<FloorEvent, Refusal> {
        self.floor.release(&unit)?;
        let asked = self.floor.state.units.get(&unit).and_then(|unit| unit.release_asked.clone());
        let Some((first, why)) = asked else { return Err(Refusal::NotAsked(unit)) };
        if !is_another(&first, by) {
            return Err(Refusal::SecondPerson);
        }
        self.released(unit, why, first)
    }

    fn released(&self, unit: Serial, why: String, second: String) -> Result<FloorEvent, Refusal> {
        Ok(match self.floor.release(&unit)? {
            Release::OfTheUnit => {
                let because = Because::Person { why, second: Some(second) };
                FloorEvent::Disposed { unit, disposition: Disposition::Released, because, class: None }
            }
            Release::ToTheNextStop(run) => FloorEvent::HoldWaived { unit, run, why, second },
        })
    }
}

/// Whether a name is another person's.
fn is_another(name: &str, by: &str) -> bool {
    !name.trim().is_empty() && name.trim().to_lowercase() != by.trim().to_lowercase()
}

impl UnitState {
    /// The run that showed it to be an outlier at the stop that this run is of, unless a later pass there was held against the
    /// lot, or a part was exchanged since. A pass that no lot had a say in takes nothing back.
    pub(super) fn outlier_at_the_stop_of(&self, serial: &Serial, run: &RunId) -> Option<&RunId> {
        let profile = self.runs.iter().find(|outcome| outcome.facts.run == *run).map(|outcome| &outcome.profile)?;
        let says = |outcome: &&RunOutcome| {
            let facts = &outcome.facts;
            facts.is_outlier(serial) || (facts.lot == LotSay::Judged && facts.passes(serial))
        };
        let here = self.runs.iter().filter(|one| one.profile == *profile && one.generation >= self.exchanged);
        // By when they were made: what arrives late is not what is so now.
        let last = here.filter(says).max_by_key(|outcome| outcome.generation)?;
        last.facts.is_outlier(serial).then_some(&last.facts.run)
    }
}

impl FloorState {
    /// Keeps who decided what about a unit, before it is so.
    pub(super) fn decided(&mut self, stamped: &Stamped) {
        let (unit, why, second, what) = match &stamped.event {
            FloorEvent::Disposed { unit, disposition, because: Because::Person { why, second }, .. } => {
                (unit, why, second.as_ref(), Decided::Disposed(*disposition))
            }
            FloorEvent::HoldWaived { unit, why, second, .. } => (unit, why, Some(second), Decided::WentOn),
            _ => return,
        };
        let (Some(unit), Actor::Person(by)) = (self.units.get_mut(unit), &stamped.actor) else { return };
        let by = second.into_iter().chain([by]).cloned().collect();
        let outlier = if let Stage::Held(Held::Outlier { run }) = &unit.stage { Some(run.clone()) } else { None };
        unit.decisions.push(Decision { event: stamped.seq, at: stamped.at, by, why: why.clone(), what, outlier });
    }

    /// A unit goes on to its next stop. A pass was counted when it arrived; an outlier counts from now on.
    pub(super) fn waived(&mut self, serial: &Serial, at: u64) {
        let Some(unit) = self.units.get_mut(serial) else { return };
        if let Some(last) = unit.runs.last().filter(|last| last.facts.is_outlier(serial)) {
            let unnamed = last.facts.serial.is_none().then(|| last.facts.run.clone());
            unit.passed.push(last.profile.clone());
            unit.unnamed = unit.unnamed.take().or(unnamed);
        }
        (unit.without_claim, unit.tries) = (0, 0);
        unit.stage = if unit.agent.is_some() { Stage::Ready } else { Stage::Arrived };
        (unit.since, unit.release_asked) = (at, None);
    }
}
