//! The run of a check that only looks once: it asks its probes, and measures from the answers.
//!
//! What is measured is the check's business, as a plain function.

use super::{CheckRun, Done, Seen, StepContext, Wants};
use kiln_event::{Phase, Reason};
use kiln_model::{Answer, GpuCounters, Inventory, Moment, Probe, Span, Unanswered};
use kiln_profile::{CheckSpec, Params, Wear};

/// What the declarations of such checks have in common: they touch nothing, and a probe takes two seconds at the most.
pub(super) const LOOK: CheckSpec = CheckSpec {
    name: "",
    summary: "",
    details: "",
    params: &[],
    measurements: &[],
    each: &[],
    wear: Wear::None,
    exclusive: false,
    watcher: false,
    estimate: |_: &Params, _| Span::from_secs(2),
};

/// Measures from an inventory.
pub(super) type OfInventory = fn(&StepContext<'_>, &Inventory) -> Done;
/// Measures from the counters; the flag says whether this is the run's first look at them.
pub(super) type OfCounters = fn(&StepContext<'_>, &[GpuCounters], bool) -> Done;

#[derive(Debug)]
pub(super) enum Look {
    Inventory(OfInventory),
    Counters { measure: OfCounters, first: bool },
}

impl Look {
    pub(super) const fn at_counters(measure: OfCounters) -> Self {
        Self::Counters { measure, first: false }
    }
}

impl CheckRun for Look {
    fn observe(&mut self, context: &StepContext<'_>, _: Moment, seen: Seen<'_>, wants: &mut Wants) {
        match (self, seen) {
            (Self::Inventory(_), Seen::Began) => {
                wants.enter(Phase::Measuring, None);
                wants.ask(Probe::Inventory);
            }
            (Self::Counters { first, .. }, Seen::Began) => {
                *first = context.first_counters.is_none();
                wants.enter(Phase::Measuring, None);
                wants.ask(Probe::Counters);
            }
            (Self::Inventory(measure), Seen::Answered(Answer::Inventory(Ok(found)))) => {
                wants.end(measure(context, found));
            }
            (Self::Counters { measure, first }, Seen::Answered(Answer::Counters(Ok(counters)))) => {
                wants.end(measure(context, counters, *first));
            }
            (_, Seen::Answered(Answer::Inventory(Err(why)) | Answer::Counters(Err(why)))) => {
                wants.end(unanswered(why));
            }
            _ => {}
        }
    }
}

/// How a step ends whose probe failed as a whole.
pub(super) fn unanswered(why: &Unanswered) -> Done {
    Done::Failed { why: Reason::Probe { said: why.clone() }, measured: Vec::new() }
}
