//! The process of a run of the real engine on a simulated node: ordered when the agent starts it, and from then on line after
//! line on the node's disk, each at its time.

use std::sync::Arc;

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
    order: Arc<Order>,
    leg: Making,
    /// How many of its lines are on the disk.
    shown: usize,
}

#[derive(Debug)]
enum Making {
    /// Nobody makes it yet: nothing of it may ever come to be on a disk that is full.
    Wanted,
    Ordered(Coming),
    Made(Leg),
}

impl Process {
    fn made(&mut self, hands: &mut Hands) -> &Leg {
        if matches!(self.leg, Making::Wanted) {
            self.leg = Making::Ordered(hands.order(&self.order));
        }
        if let Making::Ordered(coming) = &self.leg {
            self.leg = Making::Made(hands.wait(coming, &self.order));
        }
        match &self.leg {
            Making::Made(leg) => leg,
            Making::Wanted | Making::Ordered(_) => unreachable!("it was made above"),
        }
    }

    /// It was not cut where that was foreseen, and is made again up to the next time, the same as before up to here.
    fn go_on(&mut self, until: Option<u64>) {
        let until = until.map(|until| until.saturating_sub(self.began));
        self.order = Arc::new(Order { until, ..Order::clone(&self.order) });
        self.leg = Making::Wanted;
    }

    /// When the lines after those that were ordered of it begin.
    fn goes_on_at(&self) -> Option<u64> {
        self.order.until.map(|until| self.began + until + 1)
    }
}

impl World {
    /// Starts the engine on what the disk has of the run that the node is at.
    pub(super) fn begin_process(&mut self, index: usize) {
        let now = self.now;
        let until = self.ahead.cut_after(index, now).map(|until| until - now);
        let node = &mut self.nodes[index];
        let Some(hands) = &mut self.hands else { return };
        let (Some(real), Some(run)) = (node.real, node.running.clone()) else { return };
        let Some(disk) = node.disk.get(&run) else { return };
        let unit = node.saved.as_ref().map(|saved| saved.unit.clone());
        let parts = node.made_with.get(&run).and_then(|parts| self.floor.state().lists.get(parts)).cloned();
        let (digest, before) = (node.profile.clone(), disk.journal.clone());
        let order = Arc::new(Order { run, unit, real, epoch: EPOCH + now, digest, parts, before, until });
        let is_vain = node.full_until > now + FIRST_LOOK;
        let leg = if is_vain { Making::Wanted } else { Making::Ordered(hands.order(&order)) };
        node.process = Some(Process { began: now, order, leg, shown: 0 });
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
        let now = self.now;
        let cut = self.ahead.cut_after(index, now);
        let node = &mut self.nodes[index];
        let (hands, process, run) = (self.hands.as_mut()?, node.process.as_mut()?, node.running.clone()?);
        let began = process.began;
        if process.made(hands).end == LegEnd::GoesOn && process.goes_on_at().is_some_and(|at| at <= now) {
            process.go_on(cut);
        }
        let goes_on_at = process.goes_on_at();
        let leg = process.made(hands);
        let shown = leg.marks.partition_point(|mark| began + mark.at <= now);
        let later = goes_on_at.filter(|_| leg.end == LegEnd::GoesOn);
        let next = leg.marks.get(shown).map(|mark| began + mark.at).or(later).map(|at| at.max(now + TOGETHER));
        let end = next.is_none().then(|| leg.end.clone());
        let whole = shown.checked_sub(1).and_then(|last| leg.marks.get(last)).map(|mark| mark.end);
        let disk = node.disk.get_mut(&run)?;
        if disk.journal.end() != leg.journal.end() {
            disk.journal = leg.journal.clone();
        }
        if let Some(whole) = whole {
            disk.whole = whole;
        }
        process.shown = shown;
        match end {
            None | Some(LegEnd::GoesOn) => {}
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

#[cfg(test)]
mod tests {
    use super::super::chance::MINUTE;
    use super::super::{Faults, RealRuns, SimSettings};
    use super::*;

    #[test]
    fn the_engine_is_not_started_for_what_a_full_disk_does_not_take() {
        let skus = kiln_profile::Skus::built_in().expect("models");
        let runs = RealRuns::of(crate::real::tests::smoke(), skus, "pcie-l40s-8").expect("runs");
        let runs = Some(Arc::new(runs));
        let settings = SimSettings { seed: 1, faults: Faults::none(), runs, ..SimSettings::of(3) };
        let mut world = World::new(&settings);
        for node in &mut world.nodes {
            node.full_until = 9 * MINUTE;
        }
        world.run();
        assert_eq!(world.simulated.violations, Vec::<String>::new());
        assert!(world.nodes.iter().all(|node| !node.said.is_empty()), "each went on once there was room");
        assert_eq!(world.hands.map(|hands| hands.ordered), Some(3), "and was made once");
    }
}
