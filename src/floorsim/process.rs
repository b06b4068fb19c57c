//! The process of a run of the real engine on a simulated node: ordered when the agent starts it, and from then on line after
//! line on the node's disk, each at its time.

use kiln_agent::Input as AgentInput;
use kiln_wire::RefusedRun;

use super::chance::SECOND;
use super::hands::{Coming, Hands};
use super::leg::{Leg, LegEnd, Order, Said};
use super::node::Node;
use super::world::{EPOCH, World};

/// When a process that was started is looked at first: what it wrote until then is there at once.
const FIRST_LOOK: u64 = 20 * SECOND;
/// Lines that come closer together than this are looked at together.
const TOGETHER: u64 = 20 * SECOND;

/// A process under way.
#[derive(Debug)]
pub(crate) struct Process {
    /// When it began; later by as long as its node stood still.
    began: u64,
    leg: Making,
    /// How many of its lines are on the disk.
    shown: usize,
}

#[derive(Debug)]
enum Making {
    Ordered(Coming),
    Made(Leg),
}

impl Process {
    fn made(&mut self, hands: &Hands) -> &Leg {
        if let Making::Ordered(coming) = &self.leg {
            self.leg = Making::Made(hands.wait(coming));
        }
        match &self.leg {
            Making::Made(leg) => leg,
            Making::Ordered(_) => unreachable!("it was made above"),
        }
    }
}

impl World {
    /// Starts the engine on what the disk has of the run that the node is at.
    pub(super) fn begin_process(&mut self, index: usize) {
        let (now, node) = (self.now, &mut self.nodes[index]);
        let Some(hands) = &mut self.hands else { return };
        let (Some(real), Some(run)) = (node.real, node.running.clone()) else { return };
        let Some(disk) = node.disk.get(&run) else { return };
        let unit = node.saved.as_ref().map(|saved| saved.unit.clone());
        let (digest, before) = (node.profile.clone(), disk.journal.clone());
        let coming = hands.order(Order { run, unit, real, epoch: EPOCH + now, digest, before });
        node.process = Some(Process { began: now, leg: Making::Ordered(coming), shown: 0 });
        self.plan_line(index, now + FIRST_LOOK);
    }

    /// The node stood still meanwhile, and its run with it.
    pub(super) fn delay_process(node: &mut Node, by: u64) {
        if let Some(process) = &mut node.process {
            process.began += by;
        }
    }

    /// What the engine wrote until now comes to be on the disk; at its end the process is gone. What the agent hears of it, if
    /// it refused.
    pub(super) fn show_lines(&mut self, index: usize) -> Option<AgentInput> {
        let (now, node) = (self.now, &mut self.nodes[index]);
        let (hands, process, run) = (self.hands.as_ref()?, node.process.as_mut()?, node.running.clone()?);
        let (began, before) = (process.began, process.shown);
        let leg = process.made(hands);
        let shown = leg.marks.iter().take_while(|mark| began + mark.at <= now).count();
        let next = leg.marks.get(shown).map(|mark| (began + mark.at).max(now + TOGETHER));
        let end = next.is_none().then(|| leg.end.clone());
        let whole = shown.checked_sub(1).and_then(|last| leg.marks.get(last)).map(|mark| mark.end);
        let disk = node.disk.get_mut(&run)?;
        if before == 0 {
            disk.journal = leg.journal.clone();
        }
        if let Some(whole) = whole {
            disk.whole = whole;
        }
        process.shown = shown;
        match end {
            None => {}
            Some(LegEnd::Ended(said)) => node.has_ended(run, said),
            Some(LegEnd::Restarts) => {
                disk.restarting = true;
                node.tear();
                node.boots += 1;
                node.start_agent();
            }
            Some(LegEnd::Refused(why)) => {
                let is_empty = disk.whole.offset == 0;
                node.tear();
                if is_empty {
                    node.disk.remove(&run);
                }
                return Some(AgentInput::Refused(RefusedRun { run, why }));
            }
        }
        if let Some(at) = next {
            self.plan_line(index, at);
        }
        None
    }
}

impl Node {
    fn has_ended(&mut self, run: kiln_wire::RunId, said: Said) {
        if let Some(disk) = self.disk.get_mut(&run) {
            disk.ended = true;
        }
        self.said.insert(run.clone(), said.word);
        if said.was_there {
            self.was_there.insert(run.clone());
        }
        if said.naming.is_some_and(|naming| naming != kiln_drill::Naming::Wrong) {
            self.named.insert(run);
        }
        self.tear();
    }
}
