//! A floor and whole agents in virtual time, over a network and on hosts that fail by seed.
//!
//! Runs are scripted: some thirty lines of a journal, the last of which says the verdict. Everything else is what works in
//! a factory: the agent's machine, the floor's, and copies that grow by offset and chain.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

use kiln_agent::{Effect, Input as AgentInput};
use kiln_event::VerdictWord;
use kiln_floor::{Floor, Input, Policy, Stage, Stamped, Tick};
use kiln_wire::{Position, RunId, SyncReply, Tip};

use super::chance::{Chance, HOUR, MINUTE, SECOND, name};
use super::due::{Call, Due, Entry};
use super::faults::{Fault, Faults};
use super::invariants;
use super::node::{Node, OTHER_PROFILE, PROFILE};
use super::outcome::{SimSettings, Simulated};
use super::power_site::site;
use super::rollout::Upgrading;
use super::trouble::planted;

/// Between two lines of a run.
const LINE_EVERY: u64 = 20 * SECOND;
/// How long an agent waits for an answer; as `kiln_link` does.
const PATIENCE: u64 = 10 * SECOND;
/// How often somebody looks at what is held.
pub(super) const ROUND: u64 = 10 * MINUTE;
/// For so long there is trouble; afterwards everything must come to its end.
pub(super) const TROUBLE: u64 = 2 * HOUR;
/// What has not come to its end by then never will.
const LONGEST: u64 = 48 * HOUR;
/// When nobody reaches the floor any more, where that is asked for: most first runs are under way.
const OFFLINE_FROM: u64 = 10 * MINUTE;
/// 2026, in microseconds.
const EPOCH: u64 = 1_770_000_000 * SECOND;

/// The node whose journals say another serial number than its agent.
pub(super) const SWAPPED: usize = 3;
/// The node that has another profile than is wanted.
pub(super) const STALE: usize = 5;

/// The floor's copy of a run.
#[derive(Debug, Default)]
pub(crate) struct Copy {
    pub(crate) bytes: Vec<u8>,
    pub(crate) at: Position,
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
    online_again: u64,
    pub(super) upgrading: Upgrading,
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
    fn new(settings: &SimSettings) -> Self {
        let mut chance = Chance::of(settings.seed);
        let mut policy = Policy::one_profile("smoke");
        policy.poll_every = Duration::from_secs(30);
        policy.site = site(settings.agents, &mut chance);
        policy.route[0].digest = Some(name(PROFILE));
        policy.upgrade = settings.program.map(|_| super::rollout::rules());
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
            skew: 0,
            simulated: Simulated::default(),
        };
        let slots: Vec<_> = world.policy.site.slots().map(|(slot, _)| slot.clone()).collect();
        for (number, slot) in slots.into_iter().take(settings.agents).enumerate() {
            let verdicts = planted(&mut world.chance);
            let mut node = Node::new(number, slot.clone(), verdicts);
            match number {
                SWAPPED => node.writes = name("SRV-OTHER"),
                STALE => (node.profile, node.verdicts) = (OTHER_PROFILE, vec![VerdictWord::Pass]),
                _ => {}
            }
            let unit = node.serial.clone();
            world.nodes.push(node);
            world.tell(Input::Scanned { unit, at: None, slot: Some(slot), lot: None, by: "p".to_owned() });
            let first = world.chance.below(30 * SECOND);
            world.wake(number, first);
        }
        world.push(ROUND, Due::Round);
        world.push(MINUTE, Due::Trouble);
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

    fn run(&mut self) {
        while let Some(Reverse(Entry(at, _, due))) = self.due.pop() {
            self.now = at;
            self.step(due);
            if self.simulated.violations.len() > 20 || at > LONGEST + self.online_again {
                break;
            }
            if at > TROUBLE && self.count.is_multiple_of(256) && self.is_settled() {
                break;
            }
        }
    }

    pub(super) fn push(&mut self, at: u64, due: Due) {
        self.count += 1;
        self.due.push(Reverse(Entry::new(at, self.count, due)));
    }

    pub(super) fn wake(&mut self, node: usize, at: u64) {
        self.nodes[node].wakes_at = at;
        self.push(at, Due::Wake(node));
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
        self.count += 1;
        let tick = Tick { now: self.floor_now(), fresh_run: name(&format!("run-{}", self.count)) };
        let answer = self.floor.handle(&tick, input).ok()?;
        if !answer.events.is_empty() {
            invariants::after_events(self, &answer.events);
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
                if self.nodes.get(node).is_some_and(|known| known.wakes_at == self.now) {
                    self.look(node, None);
                }
            }
            Due::Line(node) => self.line(node),
            Due::Call { node, epoch, call, answered } => {
                self.simulated.calls += 1;
                let input = self.serve(call);
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
                let ended =
                    |node: &Node| node.disk.iter().filter(|(run, disk)| disk.lines_left == 0 && !is_whole(run)).count();
                self.simulated.waited = self.nodes.iter().map(ended).sum();
            }
            Due::Round => self.round(),
            Due::FloorKill => {
                let again = Floor::of(self.policy.clone(), &self.events);
                if again.state() != self.floor.state() {
                    self.simulated.violations.push("the state is not the fold of the events".to_owned());
                }
                self.floor = again;
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
                if self.now < TROUBLE {
                    self.push(next, Due::FloorKill);
                }
            }
            Due::FloorFull => {
                self.happened(Fault::FullDisk);
                self.floor_full_until = self.now + 2 * MINUTE;
                let next = self.now + 15 * MINUTE;
                if self.now < TROUBLE {
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
            return self.push(at, Due::Line(index));
        }
        if node.full_until > now {
            // The run's process ends where it cannot write.
            node.tear();
        } else {
            node.write_line();
        }
        if node.running.is_some() {
            self.push(now + LINE_EVERY, Due::Line(index));
        }
        self.look(index, None);
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
        let mut inputs: VecDeque<AgentInput> = heard.into_iter().collect();
        inputs.push_back(AgentInput::Looked(node.facts()));
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

    fn carry_out(&mut self, index: usize, effect: Effect) -> Option<AgentInput> {
        let now = self.now;
        let node = &mut self.nodes[index];
        match effect {
            Effect::Start(assignment) => {
                node.start(assignment);
                self.push(now + LINE_EVERY, Due::Line(index));
                Some(AgentInput::Looked(self.nodes[index].facts()))
            }
            Effect::Resume(run) => {
                node.resume(run);
                self.push(now + LINE_EVERY, Due::Line(index));
                Some(AgentInput::Looked(self.nodes[index].facts()))
            }
            Effect::Compare { run, position } => {
                let bytes = node.disk.get(&run).map_or(&[][..], |disk| &disk.bytes);
                let own = bytes.get(..position.offset as usize);
                let same = own.is_some_and(|own| position.is_end_of(own));
                Some(AgentInput::Compared { run, position, same })
            }
            Effect::ShipTelemetry { run, .. } => Some(AgentInput::ShippedTelemetry { run, held: 0 }),
            Effect::Sync(sync) => self.send(index, Call::Sync(Box::new(sync))),
            Effect::Ship { run, from } => {
                let disk = node.disk.get(&run)?;
                let whole = &disk.bytes[..disk.whole.offset as usize];
                let bytes = Tip::whole_lines(whole.get(from.offset as usize..)?, 4096).to_vec();
                let generation = disk.generation;
                self.send(index, Call::Ship { run, generation, from, bytes })
            }
            Effect::Seal { run } => {
                let spooled = node.facts().spool.into_iter().find(|spooled| spooled.run == run)?;
                self.send(index, Call::Seal(spooled))
            }
            Effect::Fetch(upgrade) => self.send(index, Call::Fetch { offer: upgrade.offer }),
            Effect::Become(upgrade) => {
                self.become_it(index, &upgrade);
                None
            }
            Effect::Stay => node.stays(),
            Effect::GoBack => node.falls_back(),
        }
    }

    fn delay(&mut self) -> u64 {
        let longest = if self.faults.has(Fault::Delay) { 4 * SECOND } else { SECOND / 20 };
        let delay = 1 + self.chance.below(longest);
        if delay > SECOND {
            self.happened(Fault::Delay);
        }
        delay
    }

    /// Sends a call; whatever comes of it comes later.
    fn send(&mut self, index: usize, call: Call) -> Option<AgentInput> {
        let now = self.now;
        let lossy = if self.faults.has(Fault::Loss) { 12 } else { 0 };
        let (epoch, cut) = (self.nodes[index].epoch, self.nodes[index].cut_until > now || self.is_mute(index));
        let cut = cut || (OFFLINE_FROM..self.online_again).contains(&now);
        let half_open = self.nodes[index].half_open_until > now;
        let silence = Due::Answer { node: index, epoch, input: Box::new(AgentInput::Unanswered) };
        let lost = self.chance.one_in(lossy);
        if lost {
            self.happened(Fault::Loss);
        }
        if cut || lost {
            self.push(now + PATIENCE, silence);
            return None;
        }
        let answered = !half_open && !self.chance.one_in(lossy) && self.floor_full_until <= now;
        let at = now + self.delay();
        if self.faults.has(Fault::Doubling) && self.chance.one_in(12) {
            self.happened(Fault::Doubling);
            let late = at + self.chance.below(MINUTE);
            self.push(late, Due::Call { node: index, epoch, call: call.clone(), answered: false });
        }
        self.push(at, Due::Call { node: index, epoch, call, answered });
        if !answered {
            self.push(now + PATIENCE, silence);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simulated(agents: usize, seed: u64, faults: &str) -> Simulated {
        simulate(&SimSettings { seed, faults: faults.parse().expect("faults"), ..SimSettings::of(agents) })
    }

    #[test]
    fn without_faults_every_unit_comes_to_its_planted_end() {
        let done = simulated(60, 1, "none");
        assert_eq!(done.violations, Vec::<String>::new());
        assert_eq!(done.released + done.repair + done.held, 60);
        assert_eq!(done.freed, 0);
    }

    #[test]
    fn whatever_network_hosts_and_floor_do_nothing_is_lost_doubled_or_different() {
        for seed in 0..8 {
            let done = simulated(60, seed, "all");
            assert_eq!(done.violations, Vec::<String>::new(), "seed {seed}");
            assert!(done.troubles > 100, "{done:?}");
        }
    }

    #[test]
    fn runs_that_ended_while_nobody_reached_the_floor_for_three_days_all_come_in_once() {
        for faults in ["none", "all"] {
            let faults = faults.parse().expect("faults");
            let done = simulate(&SimSettings { seed: 4, faults, offline: Some(72), ..SimSettings::of(30) });
            assert_eq!(done.violations, Vec::<String>::new(), "{done}");
            assert!(done.waited > 10 && done.minutes > 72 * 60, "{done}");
        }
    }

    #[test]
    fn one_seed_is_one_story() {
        assert_eq!(simulated(30, 5, "all"), simulated(30, 5, "all"));
    }

    #[test]
    fn each_fault_alone_does_no_harm_either() {
        for fault in Faults::all().iter() {
            let done = simulated(30, 9, &fault.to_string());
            assert_eq!(done.violations, Vec::<String>::new(), "{fault}");
            assert!(done.happened.get(&fault).is_some_and(|count| *count > 0), "{fault} never happened: {done:?}");
        }
    }

    #[test]
    fn a_release_that_no_nodes_disk_bears_out_is_found() {
        let settings = SimSettings { seed: 3, faults: Faults::none(), ..SimSettings::of(12) };
        let mut world = World::new(&settings);
        world.run();
        assert_eq!(world.simulated.violations, Vec::<String>::new());
        let is_release = |stamped: &&Stamped| {
            matches!(&stamped.event, kiln_floor::FloorEvent::Disposed { disposition, .. }
                if *disposition == kiln_floor::Disposition::Released)
        };
        let release: Vec<Stamped> = world.events.iter().find(is_release).cloned().into_iter().collect();
        assert_eq!(release.len(), 1);
        for node in &mut world.nodes {
            node.said.values_mut().for_each(|said| *said = VerdictWord::Error);
        }
        invariants::after_events(&mut world, &release);
        assert_eq!(world.simulated.violations.len(), 1, "{:?}", world.simulated.violations);
    }
}
