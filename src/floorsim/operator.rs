//! A day of one operator at a small hall, with the mistakes that people make: the wrong label, the wrong slot, trays that
//! change places, one that is pulled in its run, work that nobody did, a held unit that is let go on without a look.
//!
//! A start is wrong where the unit that was assigned is not the machine that got it, where the machine is known to be in
//! another slot than the floor thinks, where a unit is run twice at once, and where it goes on after a fail without recorded
//! work and without a person who said so. A release is wrong after a fail without recorded work. Where a machine cannot tell
//! its slot, a wrong scan of it is seen by nobody; such starts are counted for themselves.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use kiln_event::VerdictWord;
use kiln_floor::{Act, Disposition, Floor, FloorEvent, Input, Parts, Policy, RunFacts, Stage, Stamped, Tick};
use kiln_wire::{AgentId, Assignment, Chain, Doing, Generation, Held, Position, RunId, Serial, SlotId, Spooled};

use super::chance::{Chance, HOUR, MINUTE, name};
use super::operator_day::{Mistake, OperatorDay};
use super::power_site::site;

/// How long one works.
const DAY: u64 = 12 * HOUR;
/// How long a run takes.
const RUN: u64 = 10 * MINUTE;

/// A run on a tray's disk.
#[derive(Debug)]
struct Kept {
    run: RunId,
    unit: Serial,
    generation: Generation,
    ended: bool,
    arrived: bool,
}

/// What runs proved of a tray since work was last recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    None,
    Bad,
    /// A person let it go on all the same.
    BadAndLetOn,
}

#[derive(Debug)]
struct Tray {
    label: Serial,
    /// What its firmware says.
    own: Serial,
    agent: AgentId,
    says_slot: bool,
    /// None on the cart.
    slot: Option<SlotId>,
    boots: u32,
    sound: bool,
    last: Option<Generation>,
    kept: Vec<Kept>,
    running: Option<(RunId, u64)>,
    proof: Proof,
}

struct Hall {
    now: u64,
    chance: Chance,
    floor: Floor,
    slots: Vec<SlotId>,
    trays: Vec<Tray>,
    count: u64,
    day: OperatorDay,
}

/// Simulates one day.
pub fn operator_day(trays: usize, seed: u64) -> OperatorDay {
    let mut hall = Hall::new(trays, seed);
    while hall.now < DAY {
        hall.now += MINUTE;
        hall.operator();
        for index in 0..hall.trays.len() {
            hall.tray(index);
        }
    }
    hall.evening()
}

impl Hall {
    fn new(trays: usize, seed: u64) -> Self {
        let mut chance = Chance::of(seed);
        let mut policy = Policy::one_profile("smoke");
        // Twice the slots, so that there is always a wrong one that is free.
        policy.site = site(2 * trays, &mut chance);
        let slots = policy.site.slots().map(|(slot, _)| slot.clone()).take(2 * trays).collect();
        let mut list: Vec<Tray> = (0..trays).map(|number| Tray::new(number, &mut chance)).collect();
        // Labels that were stuck on the wrong trays.
        if list.len() > 3 {
            let own = (list[1].own.clone(), list[2].own.clone());
            (list[1].label, list[2].label) = (own.1, own.0);
        }
        let day = OperatorDay { trays, ..OperatorDay::default() };
        Self { now: 0, chance, floor: Floor::of(policy, &[]), slots, trays: list, count: 0, day }
    }

    /// Has the floor decide; what is wanted of who called.
    fn tell(&mut self, input: Input) -> Option<Assignment> {
        self.count += 1;
        let tick = Tick { now: self.now, fresh_run: name(&format!("run-{}", self.count)) };
        let Ok(answer) = self.floor.handle(&tick, input) else {
            self.day.refused += 1;
            return None;
        };
        for stamped in &answer.events {
            self.happened(stamped);
        }
        answer.reply.and_then(|reply| reply.desired)
    }

    fn told(&mut self, act: Act) {
        if let Act::Free { unit, .. } = &act {
            for tray in self.trays.iter_mut().filter(|tray| tray.own == *unit && tray.proof == Proof::Bad) {
                tray.proof = Proof::BadAndLetOn;
            }
        }
        self.tell(Input::Told { act, by: "sato".to_owned() });
    }

    fn mistaken(&mut self, mistake: Mistake) {
        *self.day.mistakes.entry(mistake).or_default() += 1;
    }

    fn scan(&mut self, unit: Serial, slot: Option<SlotId>) {
        self.tell(Input::Scanned { unit, at: None, slot, lot: None, by: "sato".to_owned() });
    }

    fn happened(&mut self, stamped: &Stamped) {
        match &stamped.event {
            FloorEvent::UnitHeld { .. } => self.day.held += 1,
            FloorEvent::Disposed { unit, disposition: Disposition::Released, .. } => {
                let bears_out = |tray: &Tray| tray.own == *unit && tray.proof == Proof::None;
                if !self.trays.iter().any(bears_out) {
                    self.day.violations.push(format!("{unit} was released after a fail without recorded work"));
                }
            }
            _ => {}
        }
    }

    fn free_slot(&mut self) -> Option<SlotId> {
        let taken = |slot: &SlotId| self.trays.iter().any(|tray| tray.slot.as_ref() == Some(slot));
        let free: Vec<SlotId> = self.slots.iter().filter(|slot| !taken(slot)).cloned().collect();
        let at = self.chance.below(free.len() as u64) as usize;
        free.get(at).cloned()
    }

    fn any(&mut self, of: impl Fn(&Tray) -> bool) -> Option<usize> {
        let found: Vec<usize> = (0..self.trays.len()).filter(|index| of(&self.trays[*index])).collect();
        let at = self.chance.below(found.len() as u64) as usize;
        found.get(at).copied()
    }

    /// One thing that the operator does in a minute.
    fn operator(&mut self) {
        // The last hours are for what is left over.
        let careful = self.now > DAY - 4 * HOUR;
        let next = self.trays.iter().position(|tray| tray.slot.is_none());
        match self.chance.below(10) {
            0 if !careful => self.mischief(),
            1..6 => match next {
                Some(index) => self.put_in(index, careful),
                None => self.put_right(careful),
            },
            _ => self.put_right(careful),
        }
    }

    fn put_in(&mut self, index: usize, careful: bool) {
        let Some(slot) = self.free_slot() else { return };
        (self.trays[index].slot, self.trays[index].boots) = (Some(slot.clone()), self.trays[index].boots + 1);
        let (mut label, mut place) = (self.trays[index].label.clone(), Some(slot));
        let slip = if careful { 9 } else { self.chance.below(12) };
        let mistake = match slip {
            0 => self.any(|tray| tray.label != label).map(|other| {
                label = self.trays[other].label.clone();
                Mistake::OtherLabel
            }),
            1 => {
                label = name(&format!("{label}7"));
                Some(Mistake::Mistyped)
            }
            2 => {
                let at = self.chance.below(self.slots.len() as u64) as usize;
                place = Some(self.slots[at].clone());
                Some(Mistake::OtherSlot)
            }
            3 => {
                place = None;
                Some(Mistake::NoSlot)
            }
            4 => {
                self.scan(label.clone(), place.clone());
                Some(Mistake::Twice)
            }
            _ => None,
        };
        if let Some(mistake) = mistake {
            self.mistaken(mistake);
        }
        self.scan(label, place);
    }

    fn mischief(&mut self) {
        match self.chance.below(4) {
            0 => {
                let (one, other) = (self.any(|tray| tray.slot.is_some()), self.any(|tray| tray.slot.is_some()));
                let Some((one, other)) = one.zip(other).filter(|(one, other)| one != other) else { return };
                let slots = (self.trays[one].slot.clone(), self.trays[other].slot.clone());
                self.moves(one, slots.1);
                self.moves(other, slots.0);
                self.mistaken(Mistake::Swapped);
            }
            1 => {
                let Some((index, slot)) = self.any(|tray| tray.running.is_some()).zip(self.free_slot()) else { return };
                self.moves(index, Some(slot));
                self.mistaken(Mistake::Pulled);
            }
            2 => {
                let held = |(serial, unit): (&Serial, &kiln_floor::UnitState)| {
                    matches!(unit.stage, Stage::Held(_)).then(|| serial.clone())
                };
                let held: Vec<Serial> = self.floor.state().units.iter().filter_map(held).collect();
                let at = self.chance.below(held.len() as u64) as usize;
                let Some(unit) = held.get(at).cloned() else { return };
                self.mistaken(Mistake::LetGo);
                self.told(Act::Free { unit, why: "fine, I think".to_owned() });
            }
            _ => {
                let Some(index) = self.any(|tray| tray.proof != Proof::None) else { return };
                self.mistaken(Mistake::NoWork);
                self.worked_on(index);
            }
        }
    }

    fn moves(&mut self, index: usize, slot: Option<SlotId>) {
        let tray = &mut self.trays[index];
        (tray.slot, tray.running, tray.boots) = (slot, None, tray.boots + 1);
    }

    fn worked_on(&mut self, index: usize) {
        let unit = self.trays[index].own.clone();
        let refused = self.day.refused;
        self.told(Act::Rework { unit, what: "reseated".to_owned(), parts: Parts::default() });
        // While it is under test nothing is recorded.
        if self.day.refused == refused {
            self.trays[index].proof = Proof::None;
        }
    }

    /// Looks at one tray that has not come to its end, and does for it what the page asks for.
    fn put_right(&mut self, careful: bool) {
        let state = self.floor.state();
        let is_open = |tray: &Tray| {
            tray.slot.is_some()
                && state.units.get(&tray.own).is_none_or(|unit| {
                    matches!(unit.stage, Stage::Held(_) | Stage::Arrived | Stage::Disposed(Disposition::Repair))
                        || unit.slot != tray.slot
                            && !matches!(unit.stage, Stage::Disposed(_))
                            && (tray.says_slot || careful)
                })
        };
        let open: Vec<usize> = (0..self.trays.len()).filter(|index| is_open(&self.trays[*index])).collect();
        let at = self.chance.below(open.len() as u64) as usize;
        let Some(index) = open.get(at).copied() else { return };
        let (own, agent, slot) =
            (self.trays[index].own.clone(), self.trays[index].agent.clone(), self.trays[index].slot.clone());
        if self.floor.state().agents.get(&agent).is_some_and(|agent| agent.held.is_some()) {
            self.told(Act::FreeAgent { agent });
        }
        match self.floor.state().units.get(&own).map(|unit| unit.stage.clone()) {
            Some(Stage::Disposed(Disposition::Repair)) => {
                self.trays[index].sound = true;
                self.worked_on(index);
            }
            Some(Stage::Held(Held::PassAfterFail)) => {
                self.trays[index].sound = true;
                self.worked_on(index);
                self.told(Act::Free { unit: own, why: "worked on".to_owned() });
            }
            stage => {
                // Who looks at the machine itself finds what it really is, and sticks the right label on it.
                self.trays[index].label = own.clone();
                self.scan(own.clone(), slot);
                if matches!(stage, Some(Stage::Held(_))) {
                    self.told(Act::Free { unit: own, why: "scanned anew".to_owned() });
                }
            }
        }
    }

    /// A tray's minute: its run comes to its end, and its agent calls.
    fn tray(&mut self, index: usize) {
        let now = self.now;
        let tray = &mut self.trays[index];
        let Some(slot) = tray.slot.clone() else { return };
        if let Some((run, _)) = tray.running.take_if(|(_, end)| *end <= now) {
            tray.kept.iter_mut().filter(|kept| kept.run == run).for_each(|kept| kept.ended = true);
        }
        let spooled = |kept: &Kept| Spooled {
            run: kept.run.clone(),
            generation: kept.generation,
            journal: Position { offset: 1, chain: Chain::default() },
            telemetry: 0,
            ended: kept.ended,
        };
        let doing = tray.running.as_ref().map_or(Doing::Idle, |(run, _)| Doing::Running { run: run.clone() });
        let sync = kiln_wire::Sync {
            serial: Some(tray.own.clone()),
            slot: tray.says_slot.then_some(slot),
            doing,
            // It had every answer.
            heard: Some(self.floor.events()),
            generation: tray.last,
            spool: tray.kept.iter().map(spooled).collect(),
            ..kiln_wire::Sync::idle(tray.agent.clone(), name(&format!("boot-{}", tray.boots)))
        };
        let desired = self.tell(Input::Synced(sync));
        self.hands_over(index);
        if let Some(desired) = desired.filter(|_| self.trays[index].running.is_none()) {
            self.begins(index, desired);
        }
    }

    fn hands_over(&mut self, index: usize) {
        let tray = &mut self.trays[index];
        let Some(kept) = tray.kept.iter_mut().find(|kept| kept.ended && !kept.arrived) else { return };
        kept.arrived = true;
        let (run, unit) = (kept.run.clone(), kept.unit.clone());
        // What is bad does not show every time.
        let passes = tray.sound || self.chance.one_in(3);
        let verdict = if passes { VerdictWord::Pass } else { VerdictWord::Fail };
        if !passes {
            tray.proof = Proof::Bad;
        }
        let facts = RunFacts { serial: Some(tray.own.clone()), ..RunFacts::plain(run, verdict) };
        debug_assert_eq!(unit, tray.own);
        self.tell(Input::Arrived(facts));
    }

    /// The floor wants a run of a machine: the one that it should be?
    fn begins(&mut self, index: usize, desired: Assignment) {
        let (now, tray) = (self.now, &self.trays[index]);
        let own = tray.own.clone();
        let mut wrong = Vec::new();
        if desired.unit != own {
            wrong.push(format!("{own} got the run of {}", desired.unit));
        }
        let known = self.floor.state().units.get(&desired.unit).and_then(|unit| unit.slot.clone());
        let misplaced = known != tray.slot;
        if misplaced && tray.says_slot {
            wrong.push(format!("{own} is in {:?}, and was begun in {known:?}", tray.slot));
        }
        if tray.proof == Proof::Bad && !tray.kept.iter().any(|kept| kept.run == desired.run) {
            wrong.push(format!("{own} was begun after a fail without recorded work"));
        }
        let elsewhere = |other: &Tray| {
            other.agent != tray.agent
                && other.running.as_ref().is_some_and(|(run, _)| {
                    *run == desired.run || other.kept.iter().any(|kept| kept.run == *run && kept.unit == desired.unit)
                })
        };
        if self.trays.iter().any(elsewhere) {
            wrong.push(format!("{own} is run on two machines"));
        }
        self.day.violations.extend(wrong);
        let tray = &mut self.trays[index];
        tray.last = Some(desired.generation);
        match tray.kept.iter().find(|kept| kept.run == desired.run) {
            Some(kept) if kept.ended => return,
            Some(_) => {}
            None => {
                let Assignment { run, unit, generation, .. } = desired.clone();
                tray.kept.push(Kept { run, unit, generation, ended: false, arrived: false });
            }
        }
        tray.running = Some((desired.run, now + RUN));
        self.day.starts += 1;
        self.day.unseen += u64::from(misplaced);
    }

    fn evening(mut self) -> OperatorDay {
        let state = self.floor.state();
        let stage = |tray: &&Tray| state.units.get(&tray.own).map(|unit| &unit.stage);
        let released = |tray: &&Tray| stage(tray) == Some(&Stage::Disposed(Disposition::Released));
        self.day.released = self.trays.iter().filter(released).count();
        self.day.open =
            self.trays.len() - self.trays.iter().filter(|tray| released(tray) || tray.proof != Proof::None).count();
        self.day
    }
}

impl Tray {
    fn new(number: usize, chance: &mut Chance) -> Self {
        let own: Serial = name(&format!("SRV{number:05}"));
        Self {
            label: own.clone(),
            own,
            agent: name(&format!("agent-{number}")),
            says_slot: chance.one_in(2),
            slot: None,
            boots: 0,
            sound: !chance.one_in(12),
            last: None,
            kept: Vec::new(),
            running: None,
            proof: Proof::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn whatever_a_person_scans_types_and_swaps_in_a_day_no_wrong_unit_is_started() {
        let mut mistakes: BTreeMap<Mistake, u64> = BTreeMap::new();
        for seed in 0..20 {
            let day = operator_day(24, seed);
            assert_eq!(day.violations, Vec::<String>::new(), "seed {seed}: {day}");
            assert!(day.starts >= 20 && day.held > 0, "seed {seed}: {day}");
            // Nobody is left behind where somebody looks at last.
            assert_eq!(day.open, 0, "seed {seed}: {day}");
            for (mistake, count) in day.mistakes {
                *mistakes.entry(mistake).or_default() += count;
            }
        }
        assert_eq!(mistakes.len(), 9, "every mistake was made: {mistakes:?}");
    }

    #[test]
    fn one_seed_is_one_day() {
        assert_eq!(operator_day(12, 3), operator_day(12, 3));
    }
}
