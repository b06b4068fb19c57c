//! Messages between a factory's floor and the agents on its nodes.
//!
//! Two rules shape them. A run's journal is its own queue: an agent offers the bytes of that file, and the floor takes
//! them only where offset and hash chain continue its copy, so that late, doubled, lost and reordered transfers do no
//! harm. And an assignment is a desired state with a generation, not a message that could be delivered twice. Who sends
//! a message, over what, and what is decided from it are for others.

mod enrol;
mod identifier;
mod journal_line;
mod message;
mod program;
mod version;

pub use enrol::{EVIDENCE_LONGEST, EVIDENCE_MOST, Enrol, Enrolled, HandOver};
pub use identifier::{AgentId, BootId, Digest, Generation, LotId, PlaceId, RunId, Serial, SlotId};
pub use journal_line::{Chain, LineError, Tip};
pub use message::{
    Appended, Assignment, Doing, Failure, Held, Position, Received, RefusedRun, Scope, Sealed, Spooled, Sync,
    SyncReply, Variable,
};
pub use program::{Basis, Declined, NotTaken, Upgrade};
pub use version::{PARTS_MOST, Version, VersionError, WIRE};
