//! What happened in a run, as a list of past-tense events, and the one fold over them.
//!
//! Everything shown, resumed, re-judged or reported is read off [`RunRecord`]; nothing else keeps state about a run.
//!
//! These types are read back from journals of newer minor versions, so unknown fields in them are passed over.

mod case;
mod finding;
#[cfg(any(test, feature = "stories"))]
pub mod invented;
#[cfg(any(test, feature = "stories"))]
mod invented_start;
mod lateness;
mod record;
mod run_event;
mod start;
mod taken_up;
mod verdict;
mod vitals;

pub use case::{Case, CaseReason, Outcome, Verdict, VerdictWord};
pub use finding::{Action, Confidence, Evidence, Finding};
pub use lateness::Lateness;
pub use record::{LoadNote, RunRecord, StageRecord, StepRecord, StepStatus};
pub use run_event::{Envelope, GuardTrip, Interruption, Phase, RunEvent, StepKey};
pub use start::{JunitDialect, NodeSource, Operation, RunKind, RunStart, Surroundings, ToolVersion};
pub use taken_up::{Boot, Recognition, TakenUp};
pub use verdict::{Disagreement, Standing, concluded, roll_up, standings, uncarried_trips};
pub use vitals::Vitals;
