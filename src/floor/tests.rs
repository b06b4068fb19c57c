//! Many agents and one floor in virtual time, over a network that loses, doubles and delays, with both sides killed:
//! whatever happens, every unit is decided once, on what its node has on disk.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use kiln_agent::{Agent, Effect, Facts, Input as AgentInput};
use kiln_event::VerdictWord;
use kiln_wire::{
    AgentId, Appended, Assignment, BootId, Generation, Held, Position, Received, RunId, Sealed, Serial, Spooled, Tip,
};

use super::tests_told::name;
use super::{Act, Disposition, Floor, FloorState, Input, Policy, RunFacts, Stage, Stamped, Tick};

/// A generator of test input; splitmix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
    fn one_in(&mut self, bound: u64) -> bool {
        bound > 0 && self.below(bound) == 0
    }
}

/// How bad the world is: each the n of "one in n", 0 for never.
#[derive(Debug, Clone, Copy, Default)]
struct Weather {
    lost: u64,
    doubled: u64,
    agent_killed: u64,
    floor_killed: u64,
}

fn told(act: Act) -> Input {
    Input::Told { act, by: "sato".to_owned() }
}

/// A run on a node's disk.
#[derive(Debug, Clone)]
struct Disk {
    generation: Generation,
    bytes: Vec<u8>,
    lines_left: u32,
}

impl Disk {
    fn position(&self) -> Position {
        Tip::after(Position::default(), Tip::whole_lines(&self.bytes, usize::MAX)).expect("lines")
    }
}

struct Node {
    agent: Agent,
    id: AgentId,
    serial: Serial,
    boots: u32,
    saved: Option<Assignment>,
    disk: BTreeMap<RunId, Disk>,
    running: Option<RunId>,
    waiting: VecDeque<(Duration, AgentInput)>,
    /// What each run of this unit will say, in order.
    verdicts: VecDeque<VerdictWord>,
    said: BTreeMap<RunId, VerdictWord>,
}

impl Node {
    fn new(number: usize, verdicts: &[VerdictWord]) -> Self {
        let serial: Serial = name(&format!("SRV{number:04}"));
        let id: AgentId = name(&format!("agent-{number}"));
        Self {
            agent: Agent::new(id.clone(), name("boot-0"), Some(serial.clone()), None),
            id,
            serial,
            boots: 0,
            saved: None,
            disk: BTreeMap::new(),
            running: None,
            waiting: VecDeque::new(),
            verdicts: verdicts.iter().copied().collect(),
            said: BTreeMap::new(),
        }
    }

    /// The agent's process dies; sometimes the machine with it, and then the run is cut in the middle of a line.
    fn kill(&mut self, chance: &mut Chance) {
        self.waiting.clear();
        if chance.one_in(2) {
            self.boots += 1;
            if let Some(run) = self.running.take()
                && let Some(disk) = self.disk.get_mut(&run)
            {
                disk.bytes.extend_from_slice(b"{\"torn");
            }
        }
        let boot: BootId = name(&format!("boot-{}", self.boots));
        self.agent = Agent::new(self.id.clone(), boot, Some(self.serial.clone()), self.saved.clone());
    }

    fn facts(&self) -> Facts {
        let spooled = |(run, disk): (&RunId, &Disk)| Spooled {
            run: run.clone(),
            generation: disk.generation,
            journal: disk.position(),
            telemetry: 0,
            ended: disk.lines_left == 0,
        };
        let spool = self.disk.iter().map(spooled).collect();
        Facts { spool, running: self.running.clone(), ..Facts::default() }
    }

    /// The run under way writes a line.
    fn work(&mut self) {
        let Some(run) = self.running.clone() else { return };
        let disk = self.disk.get_mut(&run).expect("a running run is on disk");
        disk.lines_left -= 1;
        let chain = format!("{:064x}", disk.bytes.len() as u64 * 31 + u64::from(disk.lines_left));
        disk.bytes.extend_from_slice(format!("{{\"run\":\"{run}\",\"chain\":\"{chain}\"}}\n").as_bytes());
        if disk.lines_left == 0 {
            self.running = None;
        }
    }

    fn start(&mut self, assignment: Assignment) {
        let disk = Disk { generation: assignment.generation, bytes: Vec::new(), lines_left: 12 };
        // A run that was cut before its first line is started again, and is the same run.
        let Self { said, verdicts, .. } = self;
        said.entry(assignment.run.clone()).or_insert_with(|| verdicts.pop_front().unwrap_or(VerdictWord::Pass));
        self.disk.insert(assignment.run.clone(), disk);
        self.running = Some(assignment.run.clone());
        self.saved = Some(assignment);
    }
}

struct World {
    now: Duration,
    chance: Chance,
    weather: Weather,
    policy: Policy,
    floor: Floor,
    events: Vec<Stamped>,
    copies: BTreeMap<RunId, Vec<u8>>,
    sealed: BTreeMap<RunId, u32>,
    nodes: Vec<Node>,
    runs: u64,
}

impl World {
    fn new(seed: u64, weather: Weather, nodes: Vec<Node>) -> Self {
        let policy = Policy::one_profile("smoke");
        Self {
            now: Duration::ZERO,
            chance: Chance(seed),
            weather,
            floor: Floor::of(policy.clone(), &[]),
            policy,
            events: Vec::new(),
            copies: BTreeMap::new(),
            sealed: BTreeMap::new(),
            nodes,
            runs: 0,
        }
    }

    fn tell_floor(&mut self, input: Input) -> Option<kiln_wire::SyncReply> {
        self.runs += 1;
        let tick = Tick { now: self.now.as_micros() as u64, fresh_run: name(&format!("run-{}", self.runs)) };
        let answer = self.floor.handle(&tick, input).expect("nothing here is refused");
        self.events.extend(answer.events);
        answer.reply
    }

    fn scan_all(&mut self) {
        for serial in self.nodes.iter().map(|node| node.serial.clone()).collect::<Vec<_>>() {
            self.tell_floor(Input::Scanned { unit: serial, at: None, slot: None, lot: None, by: "sato".to_owned() });
        }
    }

    /// What the floor does with a call that reached it.
    fn serve(&mut self, node: usize, effect: &Effect) -> AgentInput {
        let position = |bytes: &[u8]| Tip::after(Position::default(), bytes).expect("a copy is whole lines");
        match effect.clone() {
            Effect::Sync(sync) => {
                let spool = sync.spool.clone();
                let mut reply = self.tell_floor(Input::Synced(sync)).expect("a reply");
                reply.received = spool
                    .iter()
                    .filter_map(|spooled| {
                        let bytes = self.copies.get(&spooled.run)?;
                        let sealed = self.sealed.contains_key(&spooled.run);
                        Some(Received { run: spooled.run.clone(), journal: position(bytes), telemetry: 0, sealed })
                    })
                    .collect();
                AgentInput::Answered(reply)
            }
            Effect::Ship { run, from } => {
                let offered = &self.nodes[node].disk[&run].bytes[from.offset as usize..];
                let offered = Tip::whole_lines(offered, 200).to_vec();
                let copy = self.copies.entry(run.clone()).or_default();
                let at = position(copy);
                if at != from {
                    return AgentInput::Shipped { run, answer: Appended::Elsewhere(at) };
                }
                copy.extend_from_slice(&offered);
                AgentInput::Shipped { run, answer: Appended::Here(position(copy)) }
            }
            Effect::Seal { run } => {
                let verdict = self.nodes[node].said[&run];
                let serial = Some(self.nodes[node].serial.clone());
                let facts = RunFacts { serial, ..RunFacts::plain(run.clone(), verdict) };
                *self.sealed.entry(run.clone()).or_default() += 1;
                self.tell_floor(Input::Arrived(facts));
                AgentInput::Sealed { run, answer: Sealed::Verified }
            }
            other => panic!("{other:?} is no call"),
        }
    }

    fn carry_out(&mut self, node: usize, effect: Effect) {
        let later = self.now + Duration::from_millis(1 + self.chance.below(1500));
        let input = match effect {
            Effect::Start(assignment) => return self.nodes[node].start(assignment),
            Effect::Resume(run) => {
                let disk = self.nodes[node].disk.get_mut(&run).expect("on disk");
                let whole = Tip::whole_lines(&disk.bytes, usize::MAX).len();
                disk.bytes.truncate(whole);
                self.nodes[node].running = Some(run);
                return;
            }
            Effect::Compare { run, position } => {
                let bytes = &self.nodes[node].disk[&run].bytes;
                let same = bytes
                    .get(..position.offset as usize)
                    .is_some_and(|bytes| Tip::after(Position::default(), bytes) == Ok(position));
                AgentInput::Compared { run, position, same }
            }
            call if self.chance.one_in(self.weather.lost) => {
                let _ = call;
                AgentInput::Unanswered
            }
            call => {
                if self.chance.one_in(self.weather.doubled) {
                    let _ = self.serve(node, &call);
                }
                let answer = self.serve(node, &call);
                // The floor did it, and the answer is lost.
                if self.chance.one_in(self.weather.lost) { AgentInput::Unanswered } else { answer }
            }
        };
        self.nodes[node].waiting.push_back((later, input));
    }

    fn second(&mut self) {
        self.now += Duration::from_secs(1);
        if self.chance.one_in(self.weather.floor_killed) {
            self.floor = Floor::of(self.policy.clone(), &self.events);
        }
        for node in 0..self.nodes.len() {
            if self.chance.one_in(self.weather.agent_killed) {
                let Self { nodes, chance, .. } = self;
                nodes[node].kill(chance);
            }
            self.nodes[node].work();
            let facts = self.nodes[node].facts();
            let mut inputs = vec![AgentInput::Looked(facts)];
            while self.nodes[node].waiting.front().is_some_and(|(at, _)| *at <= self.now) {
                inputs.extend(self.nodes[node].waiting.pop_front().map(|(_, input)| input));
            }
            for input in inputs {
                let tick = kiln_agent::Tick { now: self.now, jitter: 0.5 };
                for effect in self.nodes[node].agent.handle(tick, input) {
                    self.carry_out(node, effect);
                }
            }
        }
    }

    fn stages(&self) -> Vec<&Stage> {
        self.nodes.iter().map(|node| &self.floor.state().units[&node.serial].stage).collect()
    }

    fn is_settled(&self) -> bool {
        self.stages().iter().all(|stage| matches!(stage, Stage::Disposed(_) | Stage::Held(_)))
    }

    fn run_until_settled(&mut self) {
        for _ in 0..20_000 {
            self.second();
            if self.is_settled() {
                return;
            }
        }
        panic!("not settled after {:?}: {:?}", self.now, self.stages());
    }

    /// What must be so whatever happened.
    fn check(&self) {
        assert_eq!(*self.floor.state(), FloorState::of(&self.events));
        for (run, copy) in &self.copies {
            let node = self.nodes.iter().find(|node| node.disk.contains_key(run)).expect("a run is some node's");
            assert!(node.disk[run].bytes.starts_with(copy), "the copy of {run} is not the node's own bytes");
            if self.sealed.contains_key(run) {
                assert_eq!(*copy, node.disk[run].bytes, "{run} was sealed before it was whole");
            }
        }
        for node in &self.nodes {
            let unit = &self.floor.state().units[&node.serial];
            let mut runs: Vec<&RunId> = unit.runs.iter().map(|outcome| &outcome.facts.run).collect();
            runs.sort();
            runs.dedup();
            assert_eq!(runs.len(), unit.runs.len(), "a run counted twice");
            for outcome in &unit.runs {
                assert_eq!(outcome.facts.verdict, node.said[&outcome.facts.run]);
            }
        }
    }
}

fn settled(seed: u64, weather: Weather, nodes: Vec<Node>) -> World {
    let mut world = World::new(seed, weather, nodes);
    world.scan_all();
    world.run_until_settled();
    world.check();
    world
}

use VerdictWord::{Error, Fail, Pass};

#[test]
fn a_unit_is_released_repaired_or_held_by_what_its_runs_said() {
    for (said, expected) in [
        (&[Pass][..], Stage::Disposed(Disposition::Released)),
        (&[Fail], Stage::Disposed(Disposition::Repair)),
        (&[Error, Pass], Stage::Disposed(Disposition::Released)),
        (&[Error, Error], Stage::Held(Held::NoClaim)),
        (&[Error, Fail], Stage::Disposed(Disposition::Repair)),
    ] {
        let world = settled(1, Weather::default(), vec![Node::new(0, said)]);
        assert_eq!(*world.stages()[0], expected, "{said:?}");
    }
}

#[test]
fn a_pass_after_a_fail_is_held_unless_rework_was_recorded() {
    let mut world = settled(2, Weather::default(), vec![Node::new(0, &[Fail, Pass])]);
    let unit = world.nodes[0].serial.clone();
    let tick = Tick { now: 1, fresh_run: name("unused") };
    let freed = world.floor.handle(&tick, told(Act::Free { unit: unit.clone(), why: "looked".to_owned() }));
    assert!(freed.is_err(), "a unit in repair is not held");
    world.tell_floor(told(Act::Rework { unit, what: "gpu/3 replaced".to_owned(), parts: super::Parts::default() }));
    world.run_until_settled();
    assert_eq!(*world.stages()[0], Stage::Disposed(Disposition::Released));
}

#[test]
fn nothing_is_lost_doubled_or_different_whatever_the_network_and_the_power_do() {
    let verdicts = [[Pass, Pass], [Fail, Pass], [Error, Pass], [Error, Error]];
    let seed = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_nanos() as u64;
    for round in 0..20 {
        let seed = seed.wrapping_add(round);
        let weather = Weather { lost: 4, doubled: 5, agent_killed: 60, floor_killed: 15 };
        let nodes = (0..12).map(|number| Node::new(number, &verdicts[number % 4])).collect();
        let world = settled(seed, weather, nodes);
        for (number, stage) in world.stages().into_iter().enumerate() {
            let expected = [
                Stage::Disposed(Disposition::Released),
                Stage::Disposed(Disposition::Repair),
                Stage::Disposed(Disposition::Released),
                Stage::Held(Held::NoClaim),
            ];
            assert_eq!(*stage, expected[number % 4], "unit {number}, seed {seed}");
        }
    }
}

#[test]
fn a_floor_that_lost_its_copies_is_filled_again() {
    let mut world = settled(3, Weather::default(), vec![Node::new(0, &[Pass]), Node::new(1, &[Fail])]);
    world.copies.clear();
    world.sealed.clear();
    // One agent lives through it, the other was started again; what was on its way to its old process reaches nobody.
    let node = &mut world.nodes[0];
    node.agent = Agent::new(name("agent-0"), name("boot-0"), Some(node.serial.clone()), node.saved.clone());
    node.waiting.clear();
    for _ in 0..200 {
        world.second();
    }
    world.check();
    assert_eq!(world.sealed.len(), 2);
}

#[test]
fn a_journal_that_differs_from_the_floors_copy_holds_the_agent() {
    let mut world = World::new(4, Weather::default(), vec![Node::new(0, &[Pass])]);
    world.scan_all();
    while world.copies.values().all(Vec::is_empty) {
        world.second();
    }
    let copy = world.copies.values_mut().next().expect("a copy");
    let at = copy.len() - 10;
    copy[at] = if copy[at] == b'0' { b'1' } else { b'0' };
    for _ in 0..60 {
        world.second();
    }
    assert!(matches!(world.nodes[0].agent.held(), Some(Held::ForkedJournal { .. })));
    assert!(world.floor.state().agents.values().all(|agent| agent.held.is_some()), "and the floor knows");
}

#[test]
fn a_result_that_arrives_while_a_unit_is_held_releases_nothing() {
    let mut world = World::new(6, Weather::default(), vec![Node::new(0, &[Pass, Pass])]);
    world.scan_all();
    while world.nodes[0].running.is_none() {
        world.second();
    }
    let unit = world.nodes[0].serial.clone();
    let run = world.nodes[0].running.clone().expect("a run");
    world.tell_floor(Input::Unverified(run));
    for _ in 0..100 {
        world.second();
    }
    assert!(!world.sealed.is_empty(), "the run arrived");
    assert!(matches!(world.stages()[0], Stage::Held(Held::Unverified { .. })), "{:?}", world.stages());
    world.tell_floor(told(Act::Free { unit, why: "looked".to_owned() }));
    world.run_until_settled();
    world.check();
    assert_eq!(*world.stages()[0], Stage::Disposed(Disposition::Released));
    assert_eq!(world.sealed.len(), 2, "it was tested again");
}

#[test]
fn an_agent_that_moves_to_another_unit_leaves_the_first_as_it_was_disposed() {
    let mut world = settled(7, Weather::default(), vec![Node::new(0, &[Pass])]);
    let node = &mut world.nodes[0];
    let (first, next) = (node.serial.clone(), name::<Serial>("SRV0001"));
    node.serial = next.clone();
    node.agent = Agent::new(name("agent-0"), name("boot-1"), Some(next.clone()), node.saved.clone());
    node.waiting.clear();
    world.scan_all();
    world.run_until_settled();
    let units = &world.floor.state().units;
    assert_eq!([&units[&first].stage, &units[&next].stage], [&Stage::Disposed(Disposition::Released); 2]);
}

#[test]
fn a_scan_that_contradicts_the_node_holds_the_unit_before_any_load() {
    let mut world = World::new(5, Weather::default(), vec![Node::new(0, &[Pass])]);
    for _ in 0..3 {
        world.second();
    }
    let at = Some(name("agent-0"));
    world.tell_floor(Input::Scanned { unit: name("SRV9999"), at, slot: None, lot: None, by: "sato".to_owned() });
    for _ in 0..30 {
        world.second();
    }
    assert!(world.nodes[0].disk.is_empty(), "nothing was started");
    let held = &world.floor.state().units[&name::<Serial>("SRV9999")].stage;
    assert!(matches!(held, Stage::Held(Held::SerialMismatch { .. })), "{held:?}");
}
