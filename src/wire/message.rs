//! What an agent says and what a floor answers. Fields that a newer minor version adds are passed over.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    AgentId, Basis, BootId, Chain, Declined, Digest, Generation, LotId, PlaceId, RunId, Serial, SlotId, Upgrade,
    Version, WIRE,
};

/// A variable of a profile and its value, as `--set` takes them.
pub type Variable = (String, String);

/// Where a copy of a journal ends: after so many bytes, whose last line has this chain value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Position {
    pub offset: u64,
    pub chain: Chain,
}

/// A run in an agent's spool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spooled {
    pub run: RunId,
    pub generation: Generation,
    /// Where the whole lines of its journal end. What is behind may still be torn off by a resume.
    pub journal: Position,
    /// Whole blocks of telemetry, in bytes.
    pub telemetry: u64,
    /// The run has come to its end, and nothing will be added.
    pub ended: bool,
}

/// What an agent is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Doing {
    Idle,
    Running {
        run: RunId,
    },
    /// It does nothing until a person has looked.
    Held(Held),
}

/// Why an agent or a unit waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Held {
    /// Two machines say they are this agent.
    ClonedAgent,
    /// The agent's copy of a journal and the floor's disagree about bytes that both hold.
    ForkedJournal { run: RunId },
    /// The scanned serial number and the one the node says differ.
    SerialMismatch { scanned: Serial, node: Serial },
    /// The run could not be started so often.
    WillNotStart { run: RunId, tries: u32 },
    /// A pass followed a fail of the same unit without recorded rework.
    PassAfterFail,
    /// The run made no claim about the unit, and the allowed retests are used up.
    NoClaim,
    /// This run met every limit, and the unit is an outlier of its lot: nothing is proven, and a person looks before it is
    /// shipped.
    Outlier { run: RunId },
    /// What arrived of the run does not verify.
    Unverified { run: RunId },
    /// The slot that was scanned and the one the node says it is in differ.
    SlotMismatch { scanned: SlotId, node: SlotId },
    /// Two units are said to be in one slot.
    SlotTaken { slot: SlotId, other: Serial },
    /// The run was assigned to one program, and the agent is another one now.
    OtherProgram { run: RunId, assigned: Digest, own: Digest },
    /// What it was tested with is under suspicion itself, so that its result is not acted on.
    Suspect { scope: Scope },
    /// As many runs at one stop as the floor's rules allow, and no end of it.
    TooManyRuns { runs: u32 },
    /// Repaired for the same class of fault as often as the floor's rules allow, and it failed with it again.
    TooManyRepairs { class: String },
    /// A unit that is known to be sound did not pass.
    GoldenFailed { run: RunId },
    /// It passed, and this run's journal says no serial number: that it is this unit rests on the scan alone.
    NoSerial { run: RunId },
    /// The manufacturing system does not want it tested now.
    RouteRefused { why: String },
    /// The run's process refused to begin or go on with it, twice and with the same words: another try changes nothing.
    RunRefused { run: RunId, why: String },
    /// Another agent than the one that was assigned the unit's run says that it is on the unit.
    SecondAgent { first: AgentId, second: AgentId },
    /// This run was not held against the parts list that the floor has for the unit, but against another one or none.
    OtherParts { run: RunId, wanted: Digest, made: Option<Digest> },
}

/// A run that its process does not make, and what it said last. It is not tried again until the unit is assigned another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRun {
    pub run: RunId,
    /// As the program said it, in English.
    pub why: String,
}

/// What many units have in common, and may be the cause of what they show.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    Slot(SlotId),
    Rack(PlaceId),
    Power(PlaceId),
    Cooling(PlaceId),
    Lot(LotId),
    /// A profile, by its digest.
    Profile(Digest),
    /// The agent's program, by its version.
    Agent(String),
}

/// What an agent tells on every call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sync {
    pub wire: Version,
    pub agent: AgentId,
    pub boot: BootId,
    /// The serial number the node itself says. None where the firmware has none that can be read.
    pub serial: Option<Serial>,
    pub doing: Doing,
    /// The assignment it works on or has worked on last.
    pub generation: Option<Generation>,
    pub spool: Vec<Spooled>,
    /// Where the node says it is. None where it cannot know.
    #[serde(default)]
    pub slot: Option<SlotId>,
    /// The version of the agent's program.
    #[serde(default)]
    pub version: Option<String>,
    /// The digest of that program. One that does not say it cannot be upgraded by the floor.
    #[serde(default)]
    pub program: Option<Digest>,
    /// The last program that it was offered and did not become.
    #[serde(default)]
    pub declined: Option<Declined>,
    /// The assigned run, where it cannot be made here and that will not change by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedRun>,
    /// [`SyncReply::mark`] of the last answer that this process of the agent had; None before the first one. A call that came late
    /// is told by it from one of a machine that is still there: nobody has had an answer that was given after their end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<u64>,
}

impl Sync {
    /// The call of an agent that has nothing: no serial number, no run, no place.
    pub const fn idle(agent: AgentId, boot: BootId) -> Self {
        Self {
            wire: WIRE,
            agent,
            boot,
            serial: None,
            doing: Doing::Idle,
            generation: None,
            spool: Vec::new(),
            slot: None,
            version: None,
            program: None,
            declined: None,
            refused: None,
            heard: None,
        }
    }
}

/// What is to be done on a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    pub unit: Serial,
    pub generation: Generation,
    pub run: RunId,
    /// A shipped profile's name.
    pub profile: String,
    /// What that profile must be on the node; another one is not run. None trusts the node's own.
    pub digest: Option<Digest>,
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// The program that makes the run: what the agent said it was when the run was assigned. Another one neither begins it
    /// nor goes on with it. None of an agent that does not say which program it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<Digest>,
    /// The unit's parts list, by the digest of its bytes: the run is held against that one, and not made without it. The agent fetches it
    /// from the floor. None of a unit for which the floor has none, and of a profile that compares none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<Digest>,
    /// Where in their period steps that swing the power should begin, in thousandths of it. No step follows it yet.
    #[serde(default)]
    pub phase: Option<u16>,
}

/// How much of a run the floor holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    pub run: RunId,
    pub journal: Position,
    pub telemetry: u64,
    /// The floor has verified the whole of it: the agent may forget it after its own time.
    pub sealed: bool,
}

/// The floor's answer to a [`Sync`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncReply {
    pub wire: Version,
    /// What the floor wants done; None while it wants nothing.
    pub desired: Option<Assignment>,
    pub received: Vec<Received>,
    /// When the agent should call again.
    pub poll_after: Duration,
    /// A person has looked at what the agent says it is held for: it goes on.
    #[serde(default)]
    pub let_go: bool,
    /// Runs that a person set aside: both sides keep what they have, and neither offers nor compares it any more.
    #[serde(default)]
    pub set_aside: Vec<RunId>,
    /// The program that the agent should become, once it makes no run.
    #[serde(default)]
    pub upgrade: Option<Upgrade>,
    #[serde(default)]
    pub basis: Basis,
    /// How many events the floor had when it gave this answer; the agent says it back. None where the floor cannot know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<u64>,
}

/// The floor's answer to bytes of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Appended {
    /// They are on the floor's disk; its copy now ends here.
    Here(Position),
    /// They do not continue the floor's copy, which ends here. The agent goes on from there, if its own bytes say so.
    Elsewhere(Position),
}

/// The floor's answer to "this run has ended and you hold all of it".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sealed {
    Verified,
    /// The floor holds less than the agent.
    Incomplete(Received),
    /// The copy does not verify; both sides keep what they have, and a person looks.
    Refused,
}

/// What a floor says instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub wire: Version,
    pub why: String,
}
