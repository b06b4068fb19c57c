//! What agents want done is done: runs begin and go on, calls go out over a network that delays, loses, doubles and cuts them.

use kiln_agent::{Effect, Input as AgentInput};
use kiln_wire::{Position, Tip};

use super::chance::{MINUTE, SECOND};
use super::due::{Call, Due};
use super::faults::Fault;
use super::node::Disk;
use super::world::{LINE_EVERY, OFFLINE_FROM, World};

/// How long an agent waits for an answer; as `kiln_link` does.
const PATIENCE: u64 = 10 * SECOND;
/// The most bytes of a journal that are offered at once: of a scripted one, and of the engine's, as `kiln_link` does.
const PIECE: usize = 4096;
const REAL_PIECE: usize = 256 << 10;

/// So many calls of the boot before come late, where that is asked for.
const LATE_CALLS: usize = 3;

impl World {
    /// What a node said before it went down comes once more, minutes after it is back.
    pub(super) fn come_late(&mut self, index: usize) {
        if !self.faults.has(Fault::Late) {
            return;
        }
        let epoch = self.nodes[index].epoch;
        for sync in std::mem::take(&mut self.nodes[index].said_last) {
            self.happened(Fault::Late);
            let at = self.now + MINUTE + self.chance.below(9 * MINUTE);
            let call = Box::new(Call::Sync(Box::new(sync)));
            self.push(at, Due::Call { node: index, epoch, call, answered: false });
        }
    }

    fn has_begun(&mut self, index: usize) -> AgentInput {
        if self.hands.is_some() {
            self.begin_process(index);
        } else {
            self.plan_line(index, self.now + LINE_EVERY);
        }
        AgentInput::Looked(self.nodes[index].facts())
    }

    pub(super) fn carry_out(&mut self, index: usize, effect: Effect) -> Option<AgentInput> {
        let node = &mut self.nodes[index];
        match effect {
            Effect::Start(assignment) => {
                node.start(assignment);
                Some(self.has_begun(index))
            }
            Effect::Resume(run) => {
                node.resume(run);
                Some(self.has_begun(index))
            }
            Effect::Forget(run) => {
                node.saved = node.saved.take().filter(|saved| saved.run != run);
                None
            }
            Effect::Compare { run, position } => {
                let has = |disk: &Disk| position.offset <= disk.whole.offset && disk.journal.is_at(position);
                let same = node.disk.get(&run).map_or(position == Position::default(), has);
                Some(AgentInput::Compared { run, position, same })
            }
            Effect::ShipTelemetry { run, .. } => Some(AgentInput::ShippedTelemetry { run, held: 0 }),
            Effect::Sync(sync) => {
                node.said_last.push_back(sync.clone());
                if node.said_last.len() > LATE_CALLS {
                    node.said_last.pop_front();
                }
                self.send(index, Call::Sync(Box::new(sync)))
            }
            Effect::Ship { run, from } => {
                let disk = node.disk.get(&run)?;
                let most = if self.runs.is_some() { REAL_PIECE } else { PIECE };
                let until = disk.whole.offset.min(from.offset + (most + Tip::LONGEST_LINE) as u64);
                let bytes = Tip::whole_lines(&disk.journal.read(from.offset, until), most).to_vec();
                let generation = disk.generation;
                self.send(index, Call::Ship { run, generation, from, bytes })
            }
            Effect::Seal { run } => {
                let spooled = node.facts().spool.into_iter().find(|spooled| spooled.run == run)?;
                self.send(index, Call::Seal(spooled))
            }
            Effect::FetchList { run, parts } => self.send(index, Call::List { run, parts }),
            Effect::Fetch(upgrade) => self.send(index, Call::Fetch { offer: upgrade.offer }),
            Effect::Become(upgrade) => {
                self.become_it(index, &upgrade);
                None
            }
            Effect::Stay => node.stays(),
            Effect::GoBack => node.falls_back(),
        }
    }

    pub(super) fn delay(&mut self) -> u64 {
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
            let call = Box::new(call.clone());
            self.push(late, Due::Call { node: index, epoch, call, answered: false });
        }
        self.push(at, Due::Call { node: index, epoch, call: Box::new(call), answered });
        if !answered {
            self.push(now + PATIENCE, silence);
        }
        None
    }
}
