//! What was measured, what is acceptable, and the judgement of the one by the other.
//!
//! Where measurements come from is for checks; which limits a step has is for profiles.

mod bound;
mod judge;
mod judgement;
mod list;
mod measurement;
mod parse;
mod references;
mod rule;
mod settled;
mod show;
mod term;
mod words;

pub use bound::{Bound, IfUnsupported, Instead, Limit, Miss, Pattern, Reference, Term};
pub use judge::{Peers, References, judge};
pub use judgement::{Judged, Judgement, LotRange, Range, Ruling, Unjudged};
pub use list::{read_list, write_list};
pub use measurement::{Measurand, Measured, Measurement, Scalar};
pub use parse::{ParseLimitError, Target, Wanted};
pub use references::{NoReference, WaiverUse};
pub use rule::Rule;
pub use settled::Settled;

pub use kiln_model::{Missing, Setting};
