//! What happened in a run, as a list of past-tense events, and the one fold over them.
//!
//! Everything shown, resumed, re-judged or reported is read off [`RunRecord`]; nothing else keeps state about a run.
//!
//! These types are read back from journals of newer minor versions, so unknown fields in them are passed over.

mod case;
mod evidence;
mod finding;
mod lateness;
mod legacy;
mod reason;
mod record;
mod run_event;
mod run_failure;
mod start;
mod taken_up;
mod trip;
mod verdict;
mod vitals;

pub use case::{Case, Outcome, Verdict, VerdictWord};
pub use evidence::{Evidence, EvidenceFact, EvidenceSource};
pub use finding::{Action, Confidence, Finding};
pub use lateness::Lateness;
pub use reason::{
    BadParameter, Ground, GuardStop, Halted, LoadTrouble, ProgramTrouble, Reason, ReasonKind, RestartTrouble, Restless,
    StepEnding,
};
pub use record::{LoadNote, RestartOrder, RunRecord, StageRecord, StepRecord, StepStatus};
pub use run_event::{Envelope, Interruption, Phase, RunEvent, StepKey};
pub use run_failure::RunFailure;
pub use start::{
    JunitDialect, LotFacts, LotValue, NodeSource, Operation, RunKind, RunStart, Surroundings, ToolVersion,
};
pub use taken_up::{Boot, Recognition, TakenUp};
pub use trip::{GuardTrip, TripCause};
pub use verdict::{Disagreement, MOST_BOOTS, Standing, concluded, roll_up, standings, uncarried_trips};
pub use vitals::Vitals;
