//! What the simulated floor does with a call: its machine decides, its copies grow by offset and chain.

use std::path::Path;

use kiln_agent::Input as AgentInput;
use kiln_event::RunRecord;
use kiln_floor::{Input, RunFacts};
use kiln_journal::Lines;
use kiln_wire::{Appended, Position, Received, RefusedRun, RunId, Sealed, Spooled};

use super::due::Call;
use super::node::{said_in, verdict_in};
use super::world::World;

impl World {
    /// What the floor does with a call.
    pub(super) fn serve(&mut self, call: Call) -> AgentInput {
        match call {
            Call::Sync(sync) => {
                let spool: Vec<RunId> = sync.spool.iter().map(|spooled| spooled.run.clone()).collect();
                let Some(mut reply) = self.tell(Input::Synced(*sync)) else { return AgentInput::Unanswered };
                reply.received = spool.iter().filter_map(|run| self.received(run)).collect();
                AgentInput::Answered(reply)
            }
            Call::Ship { run, generation, from, bytes } => {
                let assigned = self.floor.state().runs.get(&run).map(|run| run.generation);
                if self.floor_full_until > self.now || assigned.is_some_and(|assigned| assigned != generation) {
                    return AgentInput::Unanswered;
                }
                let copy = self.copies.entry(run.clone()).or_default();
                let Ok(answer) = copy.journal.end().offered(from, &bytes) else {
                    return AgentInput::Sealed { run, answer: Sealed::Refused };
                };
                if let Appended::Here(after) = answer {
                    copy.sealed &= after == copy.journal.end();
                    copy.journal.append_until(&bytes, after);
                }
                AgentInput::Shipped { run, answer }
            }
            Call::Seal(spooled) => self.seal(&spooled),
            Call::List { parts, .. } if self.floor.state().lists.contains_key(&parts) => AgentInput::Listed(parts),
            Call::List { run, parts } => {
                let why = format!("this floor has no parts list with the digest {parts}");
                AgentInput::NotListed(RefusedRun { run, why })
            }
            Call::Fetch { offer } => AgentInput::Whole { offer },
        }
    }

    fn received(&self, run: &RunId) -> Option<Received> {
        let copy = self.copies.get(run)?;
        Some(Received { run: run.clone(), journal: copy.journal.end(), telemetry: 0, sealed: copy.sealed })
    }

    fn seal(&mut self, spooled: &Spooled) -> AgentInput {
        let run = spooled.run.clone();
        let nothing = Received { run: run.clone(), journal: Position::default(), telemetry: 0, sealed: false };
        let here = self.received(&run).unwrap_or(nothing);
        if here.journal != spooled.journal {
            return AgentInput::Sealed { run, answer: Sealed::Incomplete(here) };
        }
        let bytes = self.copies.get(&run).map(|copy| copy.journal.read(0, u64::MAX)).unwrap_or_default();
        let facts = if self.runs.is_some() { read_as_a_floor_does(&bytes, &run) } else { scripted(&bytes, &run) };
        let Some(facts) = facts else {
            self.tell(Input::Unverified(run.clone()));
            return AgentInput::Sealed { run, answer: Sealed::Refused };
        };
        self.tell(Input::Arrived(facts));
        if let Some(copy) = self.copies.get_mut(&run) {
            copy.sealed = true;
        }
        AgentInput::Sealed { run, answer: Sealed::Verified }
    }
}

/// As the server reads its copy: the whole hash chain, and the verdict rolled up again from the cases.
fn read_as_a_floor_does(bytes: &[u8], run: &RunId) -> Option<RunFacts> {
    let (_, read) = Lines::after(Path::new("journal"), bytes).ok()?;
    RunFacts::of(&RunRecord::of(&read.events), run).ok().filter(|_| read.torn.is_none())
}

fn scripted(bytes: &[u8], run: &RunId) -> Option<RunFacts> {
    let verdict = verdict_in(bytes)?;
    Some(RunFacts {
        serial: said_in(bytes, "serial").and_then(|serial| serial.parse().ok()),
        profile_digest: said_in(bytes, "profile").map(str::to_owned).unwrap_or_default(),
        parts: said_in(bytes, "parts").and_then(|parts| parts.parse().ok()),
        ..RunFacts::plain(run.clone(), verdict)
    })
}
