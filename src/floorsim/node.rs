//! A node of the simulation: a real agent over a disk that survives what its process and its power do not.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kiln_agent::{Agent, Being, Facts, Input as AgentInput};
use kiln_event::VerdictWord;
use kiln_wire::{
    AgentId, Assignment, BootId, Declined, Digest, Generation, NotTaken, Position, RunId, Serial, SlotId, Spooled,
    Sync, Upgrade,
};

use super::chance::name;
use super::packed::Packed;
use super::process::Process;
use super::real::RealUnit;

/// The digest of the profile that is wanted, and of another.
pub(crate) const PROFILE: &str = "profile-1";
pub(crate) const OTHER_PROFILE: &str = "profile-2";

/// The program that agents begin as.
const OLD: &str = "sha256:old";

/// Lines of a run: as many events as a short burn-in has.
pub(crate) const LINES: u32 = 30;

/// A run on a node's disk.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    pub(crate) generation: Generation,
    /// What is on the disk, and of a run of the engine that goes on what will be there later as well.
    pub(crate) journal: Packed,
    /// Where what is on the disk ends: whole lines. Half of one that was torn is never offered, and cut off when the run goes on.
    pub(crate) whole: Position,
    /// Of a scripted run.
    pub(crate) lines_left: u32,
    pub(crate) ended: bool,
    /// It waits for the node to be started anew.
    pub(crate) restarting: bool,
}

impl Disk {
    const fn new(generation: Generation, journal: Packed) -> Self {
        let whole = journal.end();
        Self { generation, journal, whole, lines_left: LINES, ended: false, restarting: false }
    }
}

/// A node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) agent: Agent,
    pub(crate) id: AgentId,
    pub(crate) serial: Serial,
    /// The serial number that its runs' journals say: another than the agent's, where trays were swapped.
    pub(crate) writes: Serial,
    /// The digest of the profile that it has.
    pub(crate) profile: String,
    pub(crate) slot: SlotId,
    pub(crate) boots: u32,
    /// Counts processes of the agent: what was on its way to an earlier one reaches nobody.
    pub(crate) epoch: u32,
    pub(crate) saved: Option<Assignment>,
    pub(crate) disk: BTreeMap<RunId, Disk>,
    /// Parts lists that came from the floor.
    pub(crate) lists: BTreeSet<Digest>,
    /// Which of them each run was begun with.
    pub(crate) made_with: BTreeMap<RunId, Digest>,
    pub(crate) running: Option<RunId>,
    /// Which node it is, where runs are the engine's.
    pub(crate) real: Option<RealUnit>,
    /// What makes the run that goes on, where that is the engine.
    pub(crate) process: Option<Process>,
    /// What its runs will say, in the order in which they first begin.
    pub(crate) verdicts: Vec<VerdictWord>,
    pub(crate) said: BTreeMap<RunId, VerdictWord>,
    /// Runs of the engine in which the node's defect was there to be found, and those that named its part.
    pub(crate) was_there: BTreeSet<RunId>,
    pub(crate) named: BTreeSet<RunId>,
    /// It neither runs nor calls until then.
    pub(crate) frozen_until: u64,
    /// Nothing reaches it, and nothing it sends arrives, until then.
    pub(crate) cut_until: u64,
    pub(crate) half_open_until: u64,
    pub(crate) full_until: u64,
    /// What it says of itself is not its own: a copy of another one's disk.
    pub(crate) clone_of: Option<usize>,
    /// A copy of it was at work, so that what came of its runs need not be what was planted.
    pub(crate) was_cloned: bool,
    /// The last calls in which its agent said how it stands, newest last.
    pub(crate) said_last: VecDeque<Sync>,
    /// Which program its agent is, and what it was last offered.
    pub(crate) being: Being,
    pub(crate) offered: Option<Upgrade>,
    /// Its next wake is due at this time, and the next line of its run.
    pub(crate) wakes_at: u64,
    pub(crate) line_at: u64,
}

impl Node {
    pub(crate) fn new(number: usize, slot: SlotId, verdicts: Vec<VerdictWord>) -> Self {
        let (id, serial): (AgentId, Serial) = (name(&format!("agent-{number}")), name(&format!("SRV{number:05}")));
        let being = Being { program: Some(name(OLD)), ..Being::default() };
        let agent = Agent::new(id.clone(), name("boot-0"), Some(serial.clone()), None).in_slot(Some(slot.clone()));
        let agent = agent.being(being.clone());
        Self {
            agent,
            id,
            writes: serial.clone(),
            serial,
            profile: PROFILE.to_owned(),
            slot,
            boots: 0,
            epoch: 0,
            saved: None,
            disk: BTreeMap::new(),
            lists: BTreeSet::new(),
            made_with: BTreeMap::new(),
            running: None,
            real: None,
            process: None,
            verdicts,
            said: BTreeMap::new(),
            was_there: BTreeSet::new(),
            named: BTreeSet::new(),
            frozen_until: 0,
            cut_until: 0,
            half_open_until: 0,
            full_until: 0,
            clone_of: None,
            was_cloned: false,
            said_last: VecDeque::new(),
            being,
            offered: None,
            wakes_at: u64::MAX,
            line_at: u64::MAX,
        }
    }

    /// A machine with a copy of a node's disk.
    pub(crate) fn copy_of(&self, index: usize) -> Self {
        let mut copy = Self::new(0, self.slot.clone(), self.verdicts.clone());
        (copy.id, copy.serial) = (self.id.clone(), self.serial.clone());
        (copy.writes, copy.profile, copy.real) = (self.writes.clone(), self.profile.clone(), self.real);
        (copy.saved, copy.disk, copy.said) = (self.saved.clone(), self.disk.clone(), self.said.clone());
        (copy.lists, copy.made_with) = (self.lists.clone(), self.made_with.clone());
        (copy.was_there, copy.named) = (self.was_there.clone(), self.named.clone());
        copy.being = Being { trial_until: None, ..self.being.clone() };
        copy.boots = self.boots + 1000;
        copy.clone_of = Some(index);
        copy.start_agent();
        copy
    }

    /// The agent's process begins anew.
    pub(crate) fn start_agent(&mut self) {
        self.epoch += 1;
        let boot: BootId = name(&format!("boot-{}", self.boots));
        let agent = Agent::new(self.id.clone(), boot, Some(self.serial.clone()), self.saved.clone());
        self.agent = agent.in_slot(Some(self.slot.clone())).being(self.being.clone());
    }

    /// The program that it just became reaches the floor.
    pub(crate) fn stays(&mut self) -> Option<AgentInput> {
        self.being.trial_until = None;
        None
    }

    /// It does not: the one before is the agent again, and says so.
    pub(crate) fn falls_back(&mut self) -> Option<AgentInput> {
        self.declines(NotTaken::FellBack);
        self.start_agent();
        None
    }

    pub(crate) fn declines(&mut self, why: NotTaken) {
        let Some(Upgrade { offer, program, .. }) = self.offered.clone() else { return };
        self.being =
            Being { program: Some(name(OLD)), declined: Some(Declined { offer, program, why }), trial_until: None };
    }

    /// Power goes, or the run's process ends where it stands.
    pub(crate) fn tear(&mut self) {
        (self.running, self.process) = (None, None);
    }

    /// Whether the machine is at a run: its process is at work, or its agent will start it.
    pub(crate) fn is_at(&self, run: &RunId) -> bool {
        let ended = self.disk.get(run).is_some_and(|disk| disk.ended);
        !ended && (self.running.as_ref() == Some(run) || self.saved.as_ref().is_some_and(|saved| saved.run == *run))
    }

    pub(crate) fn facts(&self) -> Facts {
        let spooled = |(run, disk): (&RunId, &Disk)| Spooled {
            run: run.clone(),
            generation: disk.generation,
            journal: disk.whole,
            telemetry: 0,
            ended: disk.ended,
        };
        let spool = self.disk.iter().map(spooled).collect();
        let restarting = self.disk.iter().filter(|(_, disk)| disk.restarting).map(|(run, _)| run.clone()).collect();
        let lists = self.lists.clone();
        Facts { spool, running: self.running.clone(), restarting, lists, ..Facts::default() }
    }

    /// The run under way writes a line; the last one says its verdict.
    pub(crate) fn write_line(&mut self) {
        let Some(run) = self.running.clone() else { return };
        let (boots, verdict) = (self.boots, self.said.get(&run).copied());
        let (writes, profile) = (&self.writes, &self.profile);
        let parts = self.made_with.get(&run).map_or("", Digest::as_str);
        let Some(disk) = self.disk.get_mut(&run) else { return };
        disk.lines_left -= 1;
        let word = if disk.lines_left == 0 { verdict } else { None };
        // Over all lines before, as a hash chain is: two copies of one disk that wrote differently never read the same again.
        let before = u64::from_str_radix(&disk.whole.chain.to_string()[48..], 16).unwrap_or_default();
        let mixed = (before ^ disk.whole.offset).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ u64::from(boots).wrapping_mul(0x1000_0001);
        let line = format!(
            "{{\"run\":\"{run}\",\"serial\":\"{writes}\",\"profile\":\"{profile}\",\"parts\":\"{parts}\",\"left\":{},\"verdict\":\"{}\",\"chain\":\"{mixed:064x}\"}}\n",
            disk.lines_left,
            word.map_or(String::new(), |word| format!("{word:?}"))
        );
        if disk.journal.append(line.as_bytes()).is_ok() {
            disk.whole = disk.journal.end();
        }
        if disk.lines_left == 0 {
            disk.ended = true;
            self.running = None;
        }
    }

    pub(crate) fn start(&mut self, assignment: Assignment) {
        if self.real.is_none() {
            // A run that was cut before its first line is started again, and is the same run.
            let next =
                self.verdicts.get(self.said.len()).or(self.verdicts.last()).copied().unwrap_or(VerdictWord::Pass);
            self.said.entry(assignment.run.clone()).or_insert(next);
        }
        if let Some(parts) = assignment.parts.clone() {
            self.made_with.insert(assignment.run.clone(), parts);
        }
        self.disk.insert(assignment.run.clone(), Disk::new(assignment.generation, Packed::default()));
        self.running = Some(assignment.run.clone());
        self.saved = Some(assignment);
    }

    pub(crate) fn resume(&mut self, run: RunId) {
        if let Some(disk) = self.disk.get_mut(&run) {
            // What a process that died had not come to is not there.
            let whole = disk.whole;
            if disk.journal.end() != whole {
                disk.journal = disk.journal.until(whole);
            }
            disk.restarting = false;
            self.running = Some(run);
        }
    }
}

/// What the last line of a journal says under a key.
pub(crate) fn said_in<'a>(bytes: &'a [u8], key: &str) -> Option<&'a str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let last = text.trim_end().lines().last()?;
    last.split(&format!("\"{key}\":\"")).nth(1)?.split('"').next()
}

/// The verdict that the last line of a journal says; None before its end.
pub(crate) fn verdict_in(bytes: &[u8]) -> Option<VerdictWord> {
    use VerdictWord::{Aborted, Error, Fail, Held, Inconclusive, Pass};
    let text = std::str::from_utf8(bytes).ok()?;
    let last = text.trim_end().lines().last()?;
    if !last.contains("\"left\":0,") {
        return None;
    }
    let word = said_in(bytes, "verdict")?;
    [Pass, Fail, Error, Inconclusive, Aborted, Held].into_iter().find(|known| format!("{known:?}") == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_one_disk_that_wrote_differently_never_read_the_same_again() {
        let mut node = Node::new(1, name("r1-01"), vec![VerdictWord::Pass]);
        let run: RunId = name("run-1");
        node.start(Assignment {
            unit: node.serial.clone(),
            generation: Generation(1),
            run: run.clone(),
            profile: "smoke".to_owned(),
            digest: None,
            variables: BTreeMap::new(),
            program: None,
            parts: None,
            phase: None,
        });
        node.write_line();
        let mut earlier = node.copy_of(1);
        node.write_line();
        let mut later = node.copy_of(1);
        earlier.resume(run.clone());
        later.resume(run.clone());
        earlier.write_line();
        // Both are at the second line, which one of them wrote itself, and write the third.
        earlier.write_line();
        later.write_line();
        let (earlier, later) = (&earlier.disk[&run], &later.disk[&run]);
        assert_eq!(earlier.whole.offset, later.whole.offset);
        assert_ne!(earlier.journal.read(0, u64::MAX), later.journal.read(0, u64::MAX));
        assert_ne!(earlier.whole.chain, later.whole.chain);
    }
}
