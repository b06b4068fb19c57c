//! What happened on a floor: each event a fact, with who made it so. The list of them is the audit log.

use std::collections::BTreeMap;

use kiln_event::{NodeSource, VerdictWord};
use kiln_wire::{AgentId, Assignment, BootId, Digest, Generation, Held, LotId, PlaceId, RunId, Scope, Serial, SlotId};
use serde::{Deserialize, Serialize};

use super::identity::Listed;
use super::power_cycle::{CycleDropped, CycleEnd};
use super::rollout::Setback;
use super::site::Watts;

/// Who made something so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// The floor, by its rules.
    Floor,
    Agent(AgentId),
    /// A person, by the name of their badge.
    Person(String),
}

/// What is done with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disposition {
    /// Every run of its route passed.
    Released,
    /// A run proved it bad.
    Repair,
    /// A person gave it up.
    Scrapped,
    /// A golden unit has done its work, and is taken out.
    Returned,
}

/// By what a disposition was made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Because {
    /// The floor's rules, from what its runs said.
    #[default]
    Rules,
    /// A person decided, with a reason; what releases a unit needs a second person.
    Person { why: String, second: Option<String> },
}

/// Parts that were changed, as their labels were scanned.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Parts {
    #[serde(default)]
    pub removed: Option<Serial>,
    #[serde(default)]
    pub fitted: Option<Serial>,
}

/// How it is known that a run draws no power any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// The node says that the run has ended.
    NodeSays,
    /// The node says that its process does not make the run.
    NodeRefuses,
    /// The run's own journal, whole and verified, has its end.
    Journal,
    /// A person looked, and says so.
    Person { why: String },
}

/// Whether a lot had a say in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LotSay {
    /// Nobody looked, as before this was kept.
    #[default]
    Unknown,
    /// No value was held against one.
    None,
    /// At least one value was.
    Judged,
}

/// What the floor found out about a finished run by reading its own copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFacts {
    pub run: RunId,
    /// The verdict as rolled up from the cases, not the word that was sent.
    pub verdict: VerdictWord,
    /// The run was narrowed, or its profile is not what was assigned: a pass of it is no acceptance.
    pub partial: bool,
    /// The serial number the node said in the run, where it says one.
    pub serial: Option<Serial>,
    /// Digest of the profile that was run.
    pub profile_digest: String,
    /// Codes of its findings, most important first.
    pub codes: Vec<String>,
    /// Where its readings came from; None where that is not known.
    #[serde(default)]
    pub source: Option<NodeSource>,
    #[serde(default)]
    pub lot: LotSay,
    /// Digest of the parts list that it was held against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<Digest>,
}

impl RunFacts {
    /// The end of a whole run of which nothing else is known.
    pub const fn plain(run: RunId, verdict: VerdictWord) -> Self {
        Self {
            run,
            verdict,
            partial: false,
            serial: None,
            profile_digest: String::new(),
            codes: Vec::new(),
            source: None,
            lot: LotSay::Unknown,
            parts: None,
        }
    }

    /// Whether it is a pass of the whole profile that nothing says was another unit's.
    pub fn passes(&self, unit: &Serial) -> bool {
        self.verdict == VerdictWord::Pass && self.is_whole_and_of(unit)
    }

    /// Whether the whole profile met every limit, only the unit's lot speaks against it, and nothing says that it was another
    /// unit's.
    pub fn is_outlier(&self, unit: &Serial) -> bool {
        self.verdict == VerdictWord::Held && self.is_whole_and_of(unit)
    }

    fn is_whole_and_of(&self, unit: &Serial) -> bool {
        !self.partial && self.serial.as_ref().is_none_or(|serial| serial == unit)
    }
}

/// A fact about the floor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FloorEvent {
    /// An agent called for the first time, after another boot, or with another serial number.
    AgentMet {
        agent: AgentId,
        boot: BootId,
        serial: Option<Serial>,
        #[serde(default)]
        slot: Option<SlotId>,
        #[serde(default)]
        version: Option<String>,
        /// The digest of its program, since agents say it.
        #[serde(default)]
        program: Option<Digest>,
    },
    AgentHeld {
        agent: AgentId,
        why: Held,
    },
    /// A person looked at what an agent was held for. It hears of it with its next call.
    AgentFreed {
        agent: AgentId,
    },
    /// An agent that was let go on has gone on.
    AgentWentOn {
        agent: AgentId,
    },
    /// A person scanned a unit, at an agent's place or without one.
    UnitScanned {
        unit: Serial,
        at: Option<AgentId>,
        #[serde(default)]
        slot: Option<SlotId>,
        #[serde(default)]
        lot: Option<LotId>,
    },
    UnitHeld {
        unit: Serial,
        why: Held,
    },
    /// A person looked at why a unit was held and lets it go on.
    UnitFreed {
        unit: Serial,
        #[serde(default)]
        why: String,
    },
    Assigned {
        agent: AgentId,
        assignment: Assignment,
    },
    /// The whole of a run is here and verifies.
    RunArrived {
        unit: Serial,
        generation: Generation,
        facts: RunFacts,
        /// What the unit shared with others while it was tested.
        #[serde(default)]
        scopes: Vec<Scope>,
        /// It was a run of a golden unit.
        #[serde(default)]
        golden: bool,
    },
    Disposed {
        unit: Serial,
        disposition: Disposition,
        #[serde(default)]
        because: Because,
        /// The class of the fault it is to be repaired for.
        #[serde(default)]
        class: Option<String>,
    },
    /// A person recorded that the unit was worked on: earlier fails no longer count against a pass.
    Reworked {
        unit: Serial,
        what: String,
        #[serde(default)]
        parts: Parts,
    },
    /// A run may draw so much, in this slot.
    PowerGranted {
        run: RunId,
        agent: AgentId,
        unit: Serial,
        slot: SlotId,
        watts: Watts,
        /// The grant of an earlier run on the same node, whose place this takes: a node makes one run at a time.
        instead_of: Option<RunId>,
    },
    /// The node was heard to have begun the run.
    RunBegan {
        run: RunId,
    },
    /// It is known that the run draws nothing any more.
    PowerReturned {
        run: RunId,
        evidence: Evidence,
    },
    /// A person said that a place bears less for now; None gives it back what the file says.
    LimitCut {
        place: PlaceId,
        limit: Option<Watts>,
        why: String,
    },
    /// So many units in one scope show a code that the scope itself is the likelier cause.
    ScopeSuspected {
        scope: Scope,
        code: String,
        hits: u32,
        of: u32,
        rest_hits: u32,
        rest: u32,
    },
    /// A person looked at a scope and put right what was wrong there.
    ScopeFreed {
        scope: Scope,
        why: String,
    },
    /// So many units did not pass in a short time that nothing more is started.
    StartsStopped {
        failing: u32,
        of: u32,
    },
    StartsFreed {
        why: String,
    },
    /// A person compared the code that a machine shows, and its key is this agent's from now on.
    AgentApproved {
        agent: AgentId,
        key: Digest,
        /// As PEM.
        public_key: String,
        serial: Option<Serial>,
        evidence: BTreeMap<String, String>,
    },
    /// An approved agent was given a certificate, which ends then.
    AgentCertified {
        agent: AgentId,
        until: u64,
    },
    /// A person ended an agent's identity, for good.
    AgentRevoked {
        agent: AgentId,
        why: String,
    },
    /// Somebody typed a wrong PIN for this person as often as is allowed.
    PersonLocked {
        name: String,
    },
    PersonUnlocked {
        name: String,
    },
    /// The list of people who may log in has somebody new, or says something else of somebody. Who writes the list has the
    /// floor's machine, and is not known here.
    PersonListed(Listed),
    /// Somebody is in the list no more.
    PersonUnlisted {
        name: String,
    },
    /// A manufacturing system was asked whether this run of a unit may begin, and answered.
    RouteChecked {
        unit: Serial,
        generation: Generation,
        allowed: bool,
        why: String,
    },
    /// What a unit was ordered with, as a file or a manufacturing system says it: its runs are held against this list from now on.
    PartsListed {
        unit: Serial,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order: Option<String>,
        /// Digest of the text's bytes.
        parts: Digest,
        /// `kiln.parts/1`.
        text: String,
    },
    /// A person wants a held unit released; another one has to agree.
    ReleaseAsked {
        unit: Serial,
        why: String,
    },
    /// Two people waived what its last run held a unit for, and its route has more stops: it goes on to the next one. The actor
    /// is one of the two, `second` the other.
    HoldWaived {
        unit: Serial,
        run: RunId,
        why: String,
        second: String,
    },
    /// The node of a unit hangs, and is to be switched off and on by its BMC. Kept before anything is started.
    PowerCycleOrdered {
        unit: Serial,
        slot: SlotId,
        agent: AgentId,
        /// The boot that hangs: another one is the proof.
        boot: BootId,
        /// Counts the orders for this boot, from 1.
        tries: u32,
        why: String,
    },
    /// The program that was started for it has ended.
    PowerCycleEnded {
        slot: SlotId,
        /// The number of the event that ordered it.
        order: u64,
        end: CycleEnd,
    },
    PowerCycleDropped {
        slot: SlotId,
        why: CycleDropped,
    },
    /// So many were in vain: a person looks, and nothing more is done by itself.
    PowerCycleGivenUp {
        slot: SlotId,
        unit: Serial,
        tries: u32,
    },
    /// The floor's file names a program that agents should be, other than the one before.
    RolloutBegan {
        program: Digest,
    },
    /// The floor's file names none any more. Agents stay what they are.
    RolloutWithdrawn,
    /// So many agents more may become the program; None for all.
    WaveBegan {
        wave: u32,
        size: Option<u32>,
    },
    /// An agent should become the program. Its next [`FloorEvent::AgentMet`] says whether it did.
    UpgradeOffered {
        agent: AgentId,
    },
    /// A golden unit passed under the program.
    ProgramProven {
        run: RunId,
    },
    /// No more agents become the program, because of this one.
    RolloutStopped {
        agent: AgentId,
        why: Setback,
    },
    /// A person has looked at why it stopped.
    RolloutResumed {
        why: String,
    },
}

/// An event with its number, its time and who made it so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamped {
    /// Counts from 0 without gaps.
    pub seq: u64,
    /// Microseconds since 1970, UTC.
    pub at: u64,
    pub actor: Actor,
    pub event: FloorEvent,
}
