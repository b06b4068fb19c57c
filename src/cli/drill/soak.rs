//! What of a profile is its soak: the stage that repeats for a time, or else the step under load that takes the longest.

use std::collections::BTreeSet;

use crate::check;
use crate::model::Span;
use crate::profile::{Loop, Profile, Stage, Step, Wear};

/// The part of a profile whose length is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Soak {
    Step { path: String, span: Span },
    Stage { id: String, span: Span, steps: BTreeSet<String> },
}

impl Soak {
    /// The longest there is.
    pub(super) fn of(profile: &Profile) -> Option<Self> {
        let stages = profile.stages.iter().filter_map(repeated);
        let steps = profile.stages.iter().flat_map(|stage| stage.steps.iter().filter_map(|step| loaded(stage, step)));
        stages.chain(steps).max_by_key(Self::span)
    }

    pub(super) const fn span(&self) -> Span {
        match self {
            Self::Step { span, .. } | Self::Stage { span, .. } => *span,
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Step { path, .. } => path,
            Self::Stage { id, .. } => id,
        }
    }

    /// Paths of the steps that are in it.
    pub(super) fn steps(&self) -> BTreeSet<String> {
        match self {
            Self::Step { path, .. } => BTreeSet::from([path.clone()]),
            Self::Stage { steps, .. } => steps.clone(),
        }
    }
}

fn repeated(stage: &Stage) -> Option<Soak> {
    let Loop::For(span) = stage.repeat else { return None };
    let steps = stage.steps.iter().map(|step| format!("{}.{}", stage.id, step.id)).collect();
    Some(Soak::Stage { id: stage.id.clone(), span, steps })
}

fn loaded(stage: &Stage, step: &Step) -> Option<Soak> {
    let stress = check::catalogue().find(&step.check).is_some_and(|spec| spec.wear == Wear::Stress);
    let span = step.params.span("for").filter(|_| stress)?;
    Some(Soak::Step { path: format!("{}.{}", stage.id, step.id), span })
}
