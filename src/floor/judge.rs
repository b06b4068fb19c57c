//! What becomes of a unit when a run has arrived, and what many such runs say of what they were made with.

use kiln_event::VerdictWord;
use kiln_wire::{Held, RunId, Scope, Serial};

use super::event::{Actor, Because, Disposition, Evidence, FloorEvent, RunFacts};
use super::machine::Handling;
use super::policy::Policy;
use super::refusal::Refusal;
use super::state::{AssignedRun, FloorState, RunOutcome, Stage, UnitState};
use super::suspicion::{Showing, suspicions};

/// How far back units are compared with one another: a week is what a station's fault may go unseen at most, and older
/// units were made of other parts.
const LOT_WINDOW: u64 = 7 * 24 * 3600 * 1_000_000;

/// What follows from a verdict.
enum Outcome {
    Disposed(Disposition, Option<String>),
    Held(Held),
    /// The unit simply goes on, to its next stop or to the same again.
    GoesOn,
}

impl Handling<'_> {
    pub(super) fn unverified(&mut self, run: RunId) -> Result<(), Refusal> {
        let unit = self.floor.state.runs.get(&run).map(|run| run.unit.clone());
        let unit = unit.ok_or_else(|| Refusal::UnknownRun(run.clone()))?;
        // A run that no longer counts holds nothing, and what is held already is not held twice.
        let waits = |stage: &Stage| matches!(stage, Stage::Assigned(assignment) if assignment.run == run);
        if waits(self.known(&unit)?) {
            self.hold(unit, Held::Unverified { run });
        }
        Ok(())
    }

    pub(super) fn arrived(&mut self, mut facts: RunFacts) -> Result<(), Refusal> {
        let assigned = self.floor.state.runs.get(&facts.run).cloned();
        let Some(assigned) = assigned else { return Err(Refusal::UnknownRun(facts.run)) };
        let (unit, generation, wanted) = (assigned.unit.clone(), assigned.generation, assigned.digest.as_ref());
        let known = self.floor.state.units.get(&unit);
        // The same run, told twice, is one result.
        if known.is_some_and(|known| known.runs.iter().any(|outcome| outcome.facts.run == facts.run)) {
            return Ok(());
        }
        let current = known.is_some_and(|known| known.generation == generation);
        let held = known.is_some_and(|known| matches!(known.stage, Stage::Held(_)));
        let failed_before = known.is_some_and(|known| known.failed);
        let node = facts.serial.clone().filter(|serial| *serial != unit);
        // A run of another profile than was assigned is not the test that was wanted.
        facts.partial |= wanted.is_some_and(|digest| digest.as_str() != facts.profile_digest);
        let golden = self.floor.policy.golden.contains(&unit);
        let scopes = known.map(|known| self.scopes(known, &assigned, &facts)).unwrap_or_default();
        let (run, verdict) = (facts.run.clone(), facts.verdict);
        let outcome = facts.clone();
        let event = FloorEvent::RunArrived { unit: unit.clone(), generation, facts, scopes: scopes.clone(), golden };
        self.record(Actor::Floor, event);
        if self.floor.state.grants.contains_key(&run) {
            let evidence = Evidence::Journal;
            self.record(Actor::Floor, FloorEvent::PowerReturned { run, evidence });
        }
        if golden {
            self.prove(&outcome.run, outcome.passes(&unit) && outcome.serial.is_some());
        }
        if verdict != VerdictWord::Pass && !golden {
            self.suspect();
            self.count_failing();
        }
        if !current || held || matches!(self.known(&unit)?, Stage::Held(_)) {
            self.take_back_a_release(unit, verdict);
            return Ok(());
        }
        if let Some(node) = node {
            let scanned = unit.clone();
            self.hold(unit, Held::SerialMismatch { scanned, node });
            return Ok(());
        }
        if matches!(verdict, VerdictWord::Pass | VerdictWord::Held)
            && let Some(why) = self.other_parts(&unit)
        {
            self.hold(unit, why);
            return Ok(());
        }
        let suspect = scopes.into_iter().find(|scope| self.floor.state.suspects.contains_key(scope));
        let decided = match suspect {
            Some(scope) if !golden => Outcome::Held(Held::Suspect { scope }),
            _ => self.outcome(&unit, &outcome, failed_before, golden),
        };
        match decided {
            Outcome::Disposed(disposition, class) => {
                let because = Because::Rules;
                self.record(Actor::Floor, FloorEvent::Disposed { unit, disposition, because, class });
            }
            Outcome::Held(why) => self.hold(unit, why),
            Outcome::GoesOn => {}
        }
        Ok(())
    }

    /// A fail that arrives once its unit was released is proof all the same: in the right order, its pass would have been one after a fail.
    fn take_back_a_release(&mut self, unit: Serial, verdict: VerdictWord) {
        let known = self.floor.state.units.get(&unit);
        let is_released =
            known.is_some_and(|known| known.failed && known.stage == Stage::Disposed(Disposition::Released));
        if is_released && verdict == VerdictWord::Fail {
            self.hold(unit, Held::PassAfterFail);
        }
    }

    /// Why the last run of a unit speaks for nothing: the floor has a parts list for the unit, and it was not held against that.
    fn other_parts(&self, unit: &Serial) -> Option<Held> {
        let state = &self.floor.state;
        let last = state.units.get(unit)?.runs.last()?;
        let wanted = state.ordered.get(unit)?.digest.clone();
        let (run, made) = (last.facts.run.clone(), last.facts.parts.clone());
        (!state.bears_out(unit, &self.floor.policy, last)).then_some(Held::OtherParts { run, wanted, made })
    }

    /// What a unit shared with others while it was tested. It may stand elsewhere by the time its run has arrived.
    fn scopes(&self, unit: &UnitState, run: &AssignedRun, facts: &RunFacts) -> Vec<Scope> {
        let slot = run.slot.as_ref().or(unit.slot.as_ref());
        let mut scopes = slot.map(|slot| self.floor.policy.site.scopes(slot)).unwrap_or_default();
        scopes.extend(unit.lot.clone().map(Scope::Lot));
        scopes.extend(facts.profile_digest.parse().ok().map(Scope::Profile));
        scopes
            .extend(self.floor.state.agents.get(&run.agent).and_then(|agent| agent.version.clone()).map(Scope::Agent));
        scopes
    }

    fn outcome(&self, serial: &Serial, facts: &RunFacts, failed_before: bool, golden: bool) -> Outcome {
        let Some(unit) = self.floor.state.units.get(serial) else { return Outcome::GoesOn };
        let (policy, run) = (&self.floor.policy, facts.run.clone());
        if golden {
            return match facts.verdict {
                VerdictWord::Pass if !facts.partial && facts.serial.is_none() => Outcome::Held(Held::NoSerial { run }),
                VerdictWord::Pass if !facts.partial => Outcome::Disposed(Disposition::Returned, None),
                _ => Outcome::Held(Held::GoldenFailed { run }),
            };
        }
        match facts.verdict {
            VerdictWord::Fail => match policy.retest.class(&facts.codes) {
                Some(class) if unit.repairs.get(&class.id).copied().unwrap_or(0) >= class.repairs => {
                    Outcome::Held(Held::TooManyRepairs { class: class.id.clone() })
                }
                class => Outcome::Disposed(Disposition::Repair, class.map(|class| class.id.clone())),
            },
            VerdictWord::Pass | VerdictWord::Held if facts.partial => Outcome::Held(Held::Unverified { run }),
            // It would be one again: its lot stays what it is.
            VerdictWord::Held => Outcome::Held(Held::Outlier { run }),
            VerdictWord::Pass if failed_before => Outcome::Held(Held::PassAfterFail),
            VerdictWord::Pass => match unit.outlier_at_the_stop_of(serial, &run).cloned() {
                // No lot had a say in it, so that the unit is what its lot made of it.
                Some(run) => Outcome::Held(Held::Outlier { run }),
                None => after_a_pass(unit, policy),
            },
            verdict if unit.without_claim > policy.retest.repeats(verdict) => Outcome::Held(Held::NoClaim),
            _ if unit.tries >= policy.retest.most => Outcome::Held(Held::TooManyRuns { runs: unit.tries }),
            _ => Outcome::GoesOn,
        }
    }

    /// Looks for scopes in which a code is seen more often than the rest of the lot explains, and holds what was decided
    /// by it: no part is pulled for what its station did.
    fn suspect(&mut self) {
        let state = &self.floor.state;
        let golden = &self.floor.policy.golden;
        let first = |unit: &UnitState| -> Option<(Vec<String>, Vec<Scope>)> {
            let since = self.tick.now.saturating_sub(LOT_WINDOW);
            let outcome = unit.runs.first().filter(|first| first.at >= since)?;
            let uncleared = |scope: &&Scope| state.cleared.get(scope).is_none_or(|cleared| outcome.at > *cleared);
            // What a scope that is suspect already explains is not held against another that shares its units.
            let explained = |code: &String| outcome.scopes.iter().any(|scope| state.suspects.get(scope) == Some(code));
            let codes = shown(outcome).into_iter().filter(|code| !explained(code)).collect();
            Some((codes, outcome.scopes.iter().filter(uncleared).cloned().collect()))
        };
        let lot = state.units.iter().filter(|(serial, _)| !golden.contains(serial));
        let lot: Vec<(Vec<String>, Vec<Scope>)> = lot.filter_map(|(_, unit)| first(unit)).collect();
        let showing: Vec<Showing<'_>> = lot.iter().map(|(codes, scopes)| Showing { codes, scopes }).collect();
        let fresh = suspicions(&showing).into_iter().find(|found| !state.suspects.contains_key(&found.scope));
        let Some(found) = fresh else { return };
        let (scope, code) = (found.scope, found.code);
        let held: Vec<Serial> = state
            .units
            .iter()
            .filter(|(_, unit)| unit.stage == Stage::Disposed(Disposition::Repair))
            .filter(|(_, unit)| {
                unit.runs.last().is_some_and(|last| last.scopes.contains(&scope) && last.facts.codes.contains(&code))
            })
            .map(|(serial, _)| serial.clone())
            .collect();
        let (hits, of, rest_hits, rest) = (found.hits, found.of, found.rest_hits, found.rest);
        let event = FloorEvent::ScopeSuspected { scope: scope.clone(), code, hits, of, rest_hits, rest };
        self.record(Actor::Floor, event);
        for unit in held {
            self.hold(unit, Held::Suspect { scope: scope.clone() });
        }
    }

    /// Stops all starts if too many of those at work did not pass lately.
    fn count_failing(&mut self) {
        let state = &self.floor.state;
        let Some(breaker) = self.floor.policy.breaker else { return };
        if state.stopped.is_some() {
            return;
        }
        let within = u64::try_from(breaker.within.as_micros()).unwrap_or(u64::MAX);
        let since = self.tick.now.saturating_sub(within).max(state.starts_freed);
        let (mut at_work, mut failing) = (0u32, 0u32);
        for unit in state.units.values() {
            let lately = unit.runs.iter().rev().take_while(|outcome| outcome.at > since && !outcome.golden);
            let (mut runs, mut bad) = (false, false);
            for outcome in lately {
                runs = true;
                bad |= outcome.facts.verdict != VerdictWord::Pass;
            }
            at_work += u32::from(runs || matches!(unit.stage, Stage::Assigned(_)));
            failing += u32::from(bad);
        }
        if failing >= breaker.least && failing * 100 > at_work * breaker.percent {
            self.record(Actor::Floor, FloorEvent::StartsStopped { failing, of: at_work });
        }
    }
}

impl FloorState {
    /// The result of a run comes in.
    pub(super) fn arrived(&mut self, serial: &Serial, outcome: RunOutcome) {
        if outcome.golden {
            let passed = outcome.facts.passes(serial) && outcome.facts.serial.is_some();
            for scope in &outcome.scopes {
                let Scope::Rack(rack) = scope else { continue };
                self.golden_passes.remove(rack);
                if passed {
                    self.golden_passes.insert(rack.clone(), outcome.at);
                }
            }
        }
        let as_ordered = self.is_as_ordered(serial, outcome.generation, &outcome.facts);
        let Some(unit) = self.units.get_mut(serial) else { return };
        let (verdict, passes, at) = (outcome.facts.verdict, outcome.facts.passes(serial), outcome.at);
        let unnamed = outcome.facts.serial.is_none().then(|| outcome.facts.run.clone());
        let profile = outcome.profile.clone();
        let current = outcome.generation == unit.generation;
        // A fail is proof, even of a run that no longer counts.
        unit.failed |= verdict == VerdictWord::Fail && outcome.generation >= unit.reworked;
        unit.runs.push(outcome);
        if !current {
            return;
        }
        // What holds a unit is not undone by a result that comes in meanwhile.
        if !matches!(unit.stage, Stage::Held(_)) {
            (unit.stage, unit.since) = (Stage::Ready, at);
        }
        match verdict {
            // Nobody has looked whether the unit is what was ordered.
            VerdictWord::Pass if !as_ordered => {}
            VerdictWord::Pass if passes => {
                unit.passed.push(profile);
                (unit.without_claim, unit.tries) = (0, 0);
                unit.unnamed = unit.unnamed.take().or(unnamed);
            }
            // An outlier counts as passed once two people have waived it.
            VerdictWord::Fail | VerdictWord::Held => {}
            _ => unit.without_claim += 1,
        }
    }
}

/// What becomes of a unit against whose last pass nothing speaks.
fn after_a_pass(unit: &UnitState, policy: &Policy) -> Outcome {
    match unit.unnamed.clone() {
        _ if policy.stops_passed(&unit.passed) < policy.route.len() => Outcome::GoesOn,
        Some(run) => Outcome::Held(Held::NoSerial { run }),
        None => Outcome::Disposed(Disposition::Released, None),
    }
}

/// What a run says against something: its codes, or that it made no claim and found nothing.
fn shown(outcome: &RunOutcome) -> Vec<String> {
    match outcome.facts.verdict {
        VerdictWord::Pass => Vec::new(),
        verdict if outcome.facts.codes.is_empty() => vec![format!("{verdict:?}")],
        _ => outcome.facts.codes.clone(),
    }
}
