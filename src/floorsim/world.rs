//! A floor and whole agents in virtual time, over a network and on hosts that fail by seed.
//!
//! Runs are scripted (some thirty lines of a journal, the last of which says the verdict) or made by the real engine on
//! simulated nodes (`process`). Everything else is what works in a factory: the agent's machine, the floor's, and copies that
//! grow by offset and chain.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use kiln_agent::Input as AgentInput;
use kiln_event::VerdictWord;
use kiln_floor::{Floor, Input, Policy, Stage, Stamped, Tick};
use kiln_wire::{RunId, Serial, SlotId, SyncReply};

use super::bmc::{Bmc, PASSES};
use super::chance::{Chance, HOUR, MINUTE, SECOND, name};
use super::due::{Due, Entry};
use super::faults::{Fault, Faults};
use super::hands::Hands;
use super::invariants;
use super::node::{Node, OTHER_PROFILE, PROFILE};
use super::outcome::{SimSettings, Simulated};
use super::packed::Packed;
use super::power_site::site;
use super::real::RealRuns;
use super::rollout::Upgrading;
use super::trouble::{Ahead, planted};

/// Between two lines of a run.
pub(super) const LINE_EVERY: u64 = 20 * SECOND;
/// How often somebody looks at what is held.
pub(super) const ROUND: u64 = 10 * MINUTE;
/// For so long there is trouble, and for as long as a run of the engine takes; afterwards everything must come to its end.
const TROUBLE: u64 = 2 * HOUR;
/// What has not come to its end by then never will, runs of the engine aside.
const LONGEST: u64 = 48 * HOUR;
/// When nobody reaches the floor any more, where that is asked for: most first runs are under way.
pub(super) const OFFLINE_FROM: u64 = 10 * MINUTE;
/// 2026, in microseconds.
pub(super) const EPOCH: u64 = 1_770_000_000 * SECOND;

/// The node whose journals say another serial number than its agent.
pub(super) const SWAPPED: usize = 3;
/// The node that has another profile than is wanted.
pub(super) const STALE: usize = 5;

/// The floor's copy of a run.
#[derive(Debug, Default)]
pub(crate) struct Copy {
    pub(crate) journal: Packed,
    pub(crate) sealed: bool,
}

pub(crate) struct World {
    pub(super) now: u64,
    pub(super) chance: Chance,
    pub(super) faults: Faults,
    policy: Policy,
    pub(crate) floor: Floor,
    pub(crate) events: Vec<Stamped>,
    pub(crate) copies: BTreeMap<RunId, Copy>,
    pub(crate) nodes: Vec<Node>,
    /// Machines that were taken away, whose disks are still evidence.
    pub(crate) gone: Vec<Node>,
    /// How many of the nodes are the floor's own, and no copies.
    pub(crate) own: usize,
    due: BinaryHeap<Reverse<Entry>>,
    count: u64,
    pub(super) floor_full_until: u64,
    /// Nothing reaches the floor before that, from [`OFFLINE_FROM`] on.
    pub(super) online_again: u64,
    pub(super) upgrading: Upgrading,
    pub(super) bmc: Option<Bmc>,
    /// Who makes runs, where they are the engine's.
    pub(super) hands: Option<Hands>,
    /// With which profile and nodes.
    pub(crate) runs: Option<Arc<RealRuns>>,
    /// The digest of the profile that is wanted.
    pub(crate) profile: String,
    /// For so long there is trouble.
    pub(super) trouble_until: u64,
    pub(super) ahead: Ahead,
    /// What the next run is called that the floor assigns.
    fresh_run: RunId,
    /// How far the floor's clock is ahead.
    skew: u64,
    pub(crate) simulated: Simulated,
}

/// Simulates one floor.
pub fn simulate(settings: &SimSettings) -> Simulated {
    let mut world = World::new(settings);
    world.run();
    if !world.is_settled() {
        let open = world.floor.state().units.iter().filter(|(_, unit)| !is_final(&unit.stage));
        let open: Vec<String> = open.map(|(serial, unit)| format!("{serial}: {:?}", unit.stage)).take(5).collect();
        world.simulated.violations.push(format!("never settled: {}", open.join("; ")));
    }
    invariants::at_the_end(&mut world);
    world.rolled_out();
    world.simulated
}

fn is_final(stage: &Stage) -> bool {
    matches!(stage, Stage::Disposed(_) | Stage::Held(_))
}

impl World {
    pub(super) fn new(settings: &SimSettings) -> Self {
        let mut chance = Chance::of(settings.seed);
        let runs = settings.runs.clone();
        let mut policy = Policy::one_profile(runs.as_ref().map_or("smoke", |runs| runs.profile.id.as_str()));
        policy.poll_every = Duration::from_secs(30);
        policy.site = site(settings.agents, &mut chance);
        let profile = runs.as_ref().map_or_else(|| PROFILE.to_owned(), |runs| runs.digest.clone());
        policy.route[0].digest = Some(name(&profile));
        super::bmc::equip(&mut policy, settings.bmc);
        policy.upgrade = settings.program.map(|_| super::rollout::rules());
        let trouble_until = TROUBLE + runs.as_ref().map_or(0, |runs| runs.length());
        let ahead = Ahead::drawn(Chance::of(!settings.seed), &settings.faults, settings.agents, trouble_until);
        let mut world = Self {
            now: 0,
            chance,
            faults: settings.faults.clone(),
            floor: Floor::of(policy.clone(), &[]),
            policy,
            events: Vec::new(),
            copies: BTreeMap::new(),
            nodes: Vec::new(),
            gone: Vec::new(),
            own: settings.agents,
            due: BinaryHeap::new(),
            count: 0,
            floor_full_until: 0,
            online_again: settings.offline.map_or(0, |hours| OFFLINE_FROM + hours * HOUR),
            upgrading: Upgrading::to(settings.program),
            bmc: settings.bmc,
            hands: runs.as_ref().map(Hands::new),
            trouble_until,
            ahead,
            runs,
            profile,
            fresh_run: name("run-0"),
            skew: 0,
            simulated: Simulated::default(),
        };
        let slots: Vec<_> = world.policy.site.slots().map(|(slot, _)| slot.clone()).collect();
        for (number, slot) in slots.into_iter().take(settings.agents).enumerate() {
            let node = world.drawn(number, slot.clone());
            let unit = node.serial.clone();
            // As orders come: before anybody scans the unit.
            if let Some(list) = world.as_ordered(number, &node) {
                world.tell(Input::Ordered(list));
            }
            world.nodes.push(node);
            world.tell(Input::Scanned { unit, at: None, slot: Some(slot), lot: None, by: "p".to_owned() });
            let first = world.chance.below(30 * SECOND);
            world.wake(number, first);
        }
        world.push(ROUND, Due::Round);
        if world.bmc.is_some() {
            world.push(PASSES, Due::Passed);
        }
        if let Some(first) = world.ahead.next_at() {
            world.push(first, Due::Trouble);
        }
        if settings.offline.is_some() {
            let at = world.online_again;
            world.push(at, Due::Online);
        }
        // A floor sees a jump of the world's clock when it begins again.
        if world.faults.has(Fault::FloorKill) || world.faults.has(Fault::ClockJump) {
            world.push(3 * MINUTE, Due::FloorKill);
        }
        if world.faults.has(Fault::FullDisk) {
            world.push(7 * MINUTE, Due::FloorFull);
        }
        world
    }

    /// A node as the seed wants it.
    fn drawn(&mut self, number: usize, slot: SlotId) -> Node {
        let mut node = match self.runs.clone() {
            None => Node::new(number, slot, planted(&mut self.chance)),
            Some(runs) => {
                let mut node = Node::new(number, slot, Vec::new());
                let mut unit = runs.draw(&mut self.chance);
                if number == STALE {
                    unit.defect = None;
                }
                node.real = Some(unit);
                if let Some(own) = runs.serial(unit).and_then(|serial| serial.parse::<Serial>().ok()) {
                    (node.serial, node.writes) = (own.clone(), own);
                }
                node.profile.clone_from(&runs.digest);
                node
            }
        };
        match number {
            // The label is on another machine than the one it was made for.
            SWAPPED if self.runs.is_some() => node.serial = name("SRV-LABEL"),
            SWAPPED => node.writes = name("SRV-OTHER"),
            STALE => (node.profile, node.verdicts) = (OTHER_PROFILE.to_owned(), vec![VerdictWord::Pass]),
            _ => {}
        }
        node.start_agent();
        node
    }

    pub(super) fn run(&mut self) {
        let mut settled_at = 0;
        let longest = LONGEST + self.online_again + 10 * (self.trouble_until - TROUBLE);
        while let Some(Reverse(Entry(at, _, due))) = self.due.pop() {
            self.now = at;
            self.step(due);
            if self.simulated.violations.len() > 20 || at > longest {
                break;
            }
            // Asked once a minute: it looks at everybody.
            if at > self.trouble_until && at >= settled_at {
                settled_at = at + MINUTE;
                if self.is_settled() {
                    break;
                }
            }
        }
    }

    pub(super) fn push(&mut self, at: u64, due: Due) {
        self.count += 1;
        self.due.push(Reverse(Entry::new(at, self.count, due)));
    }

    /// Has a node look at itself at a time, once, and never where that is never.
    pub(super) fn wake(&mut self, node: usize, at: u64) {
        if std::mem::replace(&mut self.nodes[node].wakes_at, at) != at && at < u64::MAX {
            self.push(at, Due::Wake(node));
        }
    }

    fn is_settled(&self) -> bool {
        let settled = |node: &Node| {
            let unit = &self.floor.state().units[&node.serial];
            let sealed = |run: &RunId| {
                let aside = self.floor.state().set_aside.contains(run);
                aside || self.copies.get(run).is_some_and(|copy| copy.sealed)
            };
            is_final(&unit.stage) && node.running.is_none() && node.disk.keys().all(sealed)
        };
        self.nodes.len() == self.own && self.is_rolled_out() && self.nodes.iter().all(settled)
    }

    pub(crate) fn tell(&mut self, input: Input) -> Option<SyncReply> {
        let tick = Tick { now: self.floor_now(), fresh_run: self.fresh_run.clone() };
        let answer = self.floor.handle(&tick, input).ok()?;
        if !answer.events.is_empty() {
            self.count += 1;
            self.fresh_run = name(&format!("run-{}", self.count));
            invariants::after_events(self, &answer.events);
            self.take_orders(&answer.events);
        }
        self.events.extend(answer.events);
        answer.reply
    }

    /// The floor's time: the world's when the floor began, never before its last event, and from then on a clock that only
    /// goes forward.
    const fn floor_now(&self) -> u64 {
        EPOCH + self.now + self.skew
    }

    pub(super) fn happened(&mut self, fault: Fault) {
        *self.simulated.happened.entry(fault).or_default() += 1;
    }

    fn step(&mut self, due: Due) {
        match due {
            Due::Wake(node) => {
                if let Some(known) = self.nodes.get_mut(node).filter(|known| known.wakes_at == self.now) {
                    known.wakes_at = u64::MAX;
                    self.look(node, None);
                }
            }
            Due::Line(node) => {
                if self.nodes.get(node).is_some_and(|known| known.line_at == self.now) {
                    self.line(node);
                }
            }
            Due::Call { node, epoch, call, answered } => {
                self.simulated.calls += 1;
                let input = self.serve(*call);
                if answered {
                    let at = self.now + self.delay();
                    self.push(at, Due::Answer { node, epoch, input: Box::new(input) });
                }
            }
            Due::Answer { node, epoch, input } => {
                if self.nodes.get(node).is_some_and(|known| known.epoch == epoch) {
                    self.look(node, Some(*input));
                }
            }
            Due::Trouble => self.trouble(),
            Due::Online => {
                let is_whole = |run: &RunId| self.copies.get(run).is_some_and(|copy| copy.sealed);
                let ended = |node: &Node| node.disk.iter().filter(|(run, disk)| disk.ended && !is_whole(run)).count();
                self.simulated.waited = self.nodes.iter().map(ended).sum();
            }
            Due::Round => self.round(),
            Due::Passed => {
                self.tell(Input::TimePassed);
                self.push(self.now + PASSES, Due::Passed);
            }
            Due::Cycle { slot, order } => self.cycle(slot, order),
            Due::OffAndOn(node) => self.off_and_on(node),
            Due::FloorKill => {
                let again = Floor::of(self.policy.clone(), &self.events);
                if again.state() != self.floor.state() {
                    self.simulated.violations.push("the state is not the fold of the events".to_owned());
                }
                self.floor = again;
                self.left_open();
                self.happened(Fault::FloorKill);
                // A clock that was put right while the floor was down, either way.
                if self.faults.has(Fault::ClockJump) {
                    let (before, last) = (self.skew, self.events.last().map_or(0, |last| last.at));
                    self.skew = self.chance.below(3 * HOUR).max(last.saturating_sub(EPOCH + self.now));
                    if self.skew.abs_diff(before) > MINUTE {
                        self.happened(Fault::ClockJump);
                    }
                }
                let next = self.now + MINUTE + self.chance.below(8 * MINUTE);
                if self.now < self.trouble_until {
                    self.push(next, Due::FloorKill);
                }
            }
            Due::FloorFull => {
                self.happened(Fault::FullDisk);
                self.floor_full_until = self.now + 2 * MINUTE;
                let next = self.now + 15 * MINUTE;
                if self.now < self.trouble_until {
                    self.push(next, Due::FloorFull);
                }
            }
        }
    }

    fn line(&mut self, index: usize) {
        let (now, Some(node)) = (self.now, self.nodes.get_mut(index)) else { return };
        if node.running.is_none() {
            return;
        }
        if node.frozen_until > now {
            let at = node.frozen_until;
            Self::delay_process(node, at - now);
            return self.plan_line(index, at);
        }
        let mut heard = None;
        let is_real = node.process.is_some();
        if node.full_until > now {
            // The run's process ends where it cannot write.
            node.tear();
        } else if is_real {
            heard = self.show_lines(index);
        } else {
            node.write_line();
        }
        if !is_real && self.nodes[index].running.is_some() {
            self.plan_line(index, now + LINE_EVERY);
        }
        self.look(index, heard);
    }

    /// One line is due for a node at a time, so that a run that was cut and goes on writes no faster.
    pub(super) fn plan_line(&mut self, node: usize, at: u64) {
        self.nodes[node].line_at = at;
        self.push(at, Due::Line(node));
    }

    /// The agent looks at its node, after something was heard.
    pub(super) fn look(&mut self, index: usize, heard: Option<AgentInput>) {
        let now = self.now;
        let Some(node) = self.nodes.get(index) else { return };
        if node.frozen_until > now {
            let at = node.frozen_until;
            if let Some(input) = heard {
                let epoch = node.epoch;
                self.push(at, Due::Answer { node: index, epoch, input: Box::new(input) });
            }
            return self.wake(index, at);
        }
        if let Some(AgentInput::Listed(parts)) = &heard {
            self.nodes[index].lists.insert(parts.clone());
        }
        let mut inputs: VecDeque<AgentInput> = heard.into_iter().collect();
        inputs.push_back(AgentInput::Looked(self.nodes[index].facts()));
        while let Some(input) = inputs.pop_front() {
            let tick = kiln_agent::Tick { now: Duration::from_micros(now), jitter: self.chance.share() };
            for effect in self.nodes[index].agent.handle(tick, input) {
                if let Some(answer) = self.carry_out(index, effect) {
                    inputs.push_back(answer);
                    inputs.push_back(AgentInput::Looked(self.nodes[index].facts()));
                }
            }
        }
        let due = u64::try_from(self.nodes[index].agent.wake_at().as_micros()).unwrap_or(u64::MAX);
        self.wake(index, due.max(now + SECOND));
    }
}

#[cfg(test)]
#[path = "tests_world.rs"]
mod tests;
