//! What a simulation is started with, and what it tells.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::bmc::Bmc;
use super::faults::{Fault, Faults};
use super::real::RealRuns;
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
    /// Nodes hang for hours, and the floor may power-cycle them by BMCs like this. For scripted runs.
    pub bmc: Option<Bmc>,
    /// Runs of the real engine; without, they are scripted.
    pub runs: Option<Arc<RealRuns>>,
}

impl SimSettings {
    /// So many agents, and everything that can go wrong.
    pub fn of(agents: usize) -> Self {
        Self { agents, seed: 0, faults: Faults::all(), program: None, offline: None, bmc: None, runs: None }
    }
}

/// What came of runs of the real engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EngineRuns {
    /// How often it was started: once for each run, and once more for each time that one was cut.
    pub starts: u64,
    /// Units with a defect, and those of them with one that must be caught.
    pub defective: usize,
    pub must: usize,
    /// Those of the latter that came to repair, that were held, and in which the defect was never there to be found.
    pub to_repair: usize,
    pub held: usize,
    pub never_there: usize,
    /// Of all defective ones that came to repair: whose last run named the right part.
    pub named: usize,
    pub repaired: usize,
}

impl fmt::Display for EngineRuns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { starts, defective, must, to_repair, held, never_there, named, repaired } = self;
        write!(
            f,
            "engine started {starts} times; {defective} units with a defect, {must} with one that must be caught: "
        )?;
        write!(f, "{to_repair} to repair, {held} held, in {never_there} it never was there; ")?;
        write!(f, "the right part named in {named} of {repaired} defective ones that went to repair")
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
    /// Power cycles that were ordered, those of them that were the first of a hanging node, and nodes of which they were in vain
    /// as often as is allowed.
    pub cycles: u64,
    pub cycled: u64,
    pub given_up: u64,
    /// What the engine was for, where it made the runs.
    pub engine: Option<EngineRuns>,
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
            cycles,
            cycled,
            given_up,
            engine,
            happened: _,
        } = self;
        write!(f, "{minutes} min, {calls} calls, {events} events, {troubles} troubles, {freed} let go by a person; ")?;
        write!(f, "{runs} runs: {released} released, {repair} to repair, {held} held")?;
        if *waited > 0 {
            write!(f, "; {waited} of the runs had ended while nobody reached the floor")?;
        }
        if *tried > 0 {
            write!(f, "; {tried} became the program, {stopped} stops")?;
        }
        if *cycles > 0 {
            write!(f, "; {cycled} nodes hung and were power-cycled, {cycles} times; {given_up} given up")?;
        }
        if let Some(engine) = engine {
            write!(f, "\n  {engine}")?;
        }
        violations.iter().try_for_each(|what| write!(f, "\n  WRONG: {what}"))
    }
}
