//! What the simulated floor does with a call: its machine decides, its copies grow by offset and chain.

use kiln_agent::Input as AgentInput;
use kiln_floor::{Input, RunFacts};
use kiln_wire::{Appended, Position, Received, RunId, Sealed, Spooled};

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
                let Ok(answer) = copy.at.offered(from, &bytes) else {
                    return AgentInput::Sealed { run, answer: Sealed::Refused };
                };
                if let Appended::Here(after) = answer {
                    copy.bytes.extend_from_slice(&bytes);
                    (copy.sealed, copy.at) = (copy.sealed && after == copy.at, after);
                }
                AgentInput::Shipped { run, answer }
            }
            Call::Seal(spooled) => self.seal(&spooled),
            Call::Fetch { offer } => AgentInput::Whole { offer },
        }
    }

    fn received(&self, run: &RunId) -> Option<Received> {
        let copy = self.copies.get(run)?;
        Some(Received { run: run.clone(), journal: copy.at, telemetry: 0, sealed: copy.sealed })
    }

    fn seal(&mut self, spooled: &Spooled) -> AgentInput {
        let run = spooled.run.clone();
        let nothing = Received { run: run.clone(), journal: Position::default(), telemetry: 0, sealed: false };
        let here = self.received(&run).unwrap_or(nothing);
        if here.journal != spooled.journal {
            return AgentInput::Sealed { run, answer: Sealed::Incomplete(here) };
        }
        let Some(verdict) = self.copies.get(&run).and_then(|copy| verdict_in(&copy.bytes)) else {
            self.tell(Input::Unverified(run.clone()));
            return AgentInput::Sealed { run, answer: Sealed::Refused };
        };
        let said = |key: &str| self.copies.get(&run).and_then(|copy| said_in(&copy.bytes, key)).map(str::to_owned);
        let facts = RunFacts {
            serial: said("serial").and_then(|serial| serial.parse().ok()),
            profile_digest: said("profile").unwrap_or_default(),
            ..RunFacts::plain(run.clone(), verdict)
        };
        self.tell(Input::Arrived(facts));
        if let Some(copy) = self.copies.get_mut(&run) {
            copy.sealed = true;
        }
        AgentInput::Sealed { run, answer: Sealed::Verified }
    }
}
