//! What is going to happen in the simulated floor, and when: calls on their way, answers, lines of runs, trouble.

use kiln_agent::Input as AgentInput;
use kiln_wire::{Digest, Generation, Position, RunId, SlotId, Spooled, Sync};

/// What goes over the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Call {
    Sync(Box<Sync>),
    Ship {
        run: RunId,
        generation: Generation,
        from: Position,
        bytes: Vec<u8>,
    },
    Seal(Spooled),
    /// The parts list with this digest, for a run.
    List {
        run: RunId,
        parts: Digest,
    },
    /// The whole of a program that was offered.
    Fetch {
        offer: u64,
    },
}

#[derive(Debug)]
pub(super) enum Due {
    Wake(usize),
    Line(usize),
    Call {
        node: usize,
        epoch: u32,
        call: Box<Call>,
        answered: bool,
    },
    Answer {
        node: usize,
        epoch: u32,
        input: Box<AgentInput>,
    },
    Trouble,
    /// The network is back for all.
    Online,
    Round,
    FloorKill,
    /// Some time has passed, which the floor is told.
    Passed,
    /// The program of a power cycle is started, of the order with this number.
    Cycle {
        slot: SlotId,
        order: u64,
    },
    /// A node goes off and on at last, whose BMC said so long before.
    OffAndOn(usize),
    FloorFull,
}

/// A due thing, by time and order.
pub(super) struct Entry(pub(super) u64, pub(super) u64, pub(super) Due);

impl Entry {
    /// `count` orders what is due at one time by when it was planned.
    pub(super) fn new(at: u64, count: u64, due: Due) -> Self {
        Self(at, count, due)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}
