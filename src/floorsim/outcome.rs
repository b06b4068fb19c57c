//! What a simulation is started with, and what it tells.

use std::collections::BTreeMap;
use std::fmt;

use super::faults::{Fault, Faults};
use super::rollout::NewProgram;

/// What to simulate.
#[derive(Debug, Clone)]
pub struct SimSettings {
    pub agents: usize,
    pub seed: u64,
    pub faults: Faults,
    /// A program that the floor wants its agents to be.
    pub program: Option<NewProgram>,
    /// Nobody reaches the floor for so many hours.
    pub offline: Option<u64>,
}

impl SimSettings {
    /// So many agents, and everything that can go wrong.
    pub fn of(agents: usize) -> Self {
        Self { agents, seed: 0, faults: Faults::all(), program: None, offline: None }
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Simulated {
    pub minutes: u64,
    pub calls: u64,
    pub events: usize,
    pub runs: usize,
    pub released: usize,
    pub repair: usize,
    pub held: usize,
    /// How often a person had to let an agent go on.
    pub freed: u64,
    pub troubles: u64,
    /// How many nodes became the program that was wanted, for however long.
    pub tried: usize,
    /// How often the rollout stopped.
    pub stopped: u64,
    /// Runs that had ended and waited when the network came back for all.
    pub waited: usize,
    /// How often each fault came about, of those that can be counted one by one.
    pub happened: BTreeMap<Fault, u64>,
    /// What must never be so, and was.
    pub violations: Vec<String>,
}

impl fmt::Display for Simulated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            minutes,
            calls,
            events,
            runs,
            released,
            repair,
            held,
            freed,
            troubles,
            violations,
            tried,
            stopped,
            waited,
            ..
        } = self;
        write!(f, "{minutes} min, {calls} calls, {events} events, {troubles} troubles, {freed} let go by a person; ")?;
        write!(f, "{runs} runs: {released} released, {repair} to repair, {held} held")?;
        if *waited > 0 {
            write!(f, "; {waited} of the runs had ended while nobody reached the floor")?;
        }
        if *tried > 0 {
            write!(f, "; {tried} became the program, {stopped} stops")?;
        }
        violations.iter().try_for_each(|what| write!(f, "\n  WRONG: {what}"))
    }
}
