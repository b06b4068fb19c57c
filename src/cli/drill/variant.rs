//! Profiles made from a profile for shortening: with every step run, without a step, with a shorter soak.

use std::collections::BTreeSet;

use super::soak::Soak;
use crate::profile::{GuardStop, Loop, ParamValue, Policy, Profile, Stage, Then};

/// Nothing stops anything: what a step says no longer keeps a later one from running.
pub(super) fn unhalted(profile: &Profile) -> Profile {
    const ON: Then = Then { fail: Policy::Continue, error: Policy::Continue, inconclusive: Policy::Continue };
    let mut profile = profile.clone();
    for guard in &mut profile.guards {
        guard.stop = GuardStop::Step;
    }
    for stage in &mut profile.stages {
        stage.then = ON;
        stage.needs.clear();
        for step in &mut stage.steps {
            step.then = ON;
            step.needs.clear();
        }
    }
    profile
}

/// Without the steps of these paths; a stage that is left empty goes too.
pub(super) fn without(profile: &Profile, paths: &BTreeSet<String>) -> Profile {
    let mut profile = profile.clone();
    for stage in &mut profile.stages {
        let id = stage.id.clone();
        stage.steps.retain(|step| !paths.contains(&format!("{id}.{}", step.id)));
    }
    let gone: BTreeSet<String> =
        profile.stages.iter().filter(|stage| stage.steps.is_empty()).map(|stage| stage.id.clone()).collect();
    profile.stages.retain(|stage| !gone.contains(&stage.id));
    for stage in &mut profile.stages {
        stage.needs.retain(|needed| !gone.contains(needed));
    }
    profile
}

/// With the soak at a share of its length.
pub(super) fn with_soak(profile: &Profile, soak: &Soak, share: f64) -> Profile {
    let mut profile = profile.clone();
    for stage in &mut profile.stages {
        cut(stage, soak, share);
    }
    profile
}

fn cut(stage: &mut Stage, soak: &Soak, share: f64) {
    match soak {
        Soak::Stage { id, span, .. } if *id == stage.id => stage.repeat = Loop::For(span.mul_f64(share)),
        Soak::Step { path, span } => {
            for step in &mut stage.steps {
                if *path == format!("{}.{}", stage.id, step.id) {
                    step.params.0.insert("for".to_owned(), ParamValue::Span(span.mul_f64(share)));
                }
            }
        }
        Soak::Stage { .. } => {}
    }
}

/// Every step of the stages, by path.
pub(super) fn paths(profile: &Profile) -> Vec<String> {
    let of =
        |stage: &Stage| -> Vec<String> { stage.steps.iter().map(|step| format!("{}.{}", stage.id, step.id)).collect() };
    profile.stages.iter().flat_map(of).collect()
}

/// Steps that others name, or that only take stock: without them others could not say what they say.
pub(super) fn bound(profile: &Profile) -> BTreeSet<String> {
    let mut bound = BTreeSet::new();
    for stage in &profile.stages {
        for step in &stage.steps {
            let full = |needed: &String| {
                if needed.contains('.') { needed.clone() } else { format!("{}.{needed}", stage.id) }
            };
            bound.extend(step.needs.iter().map(full));
        }
    }
    bound
}
