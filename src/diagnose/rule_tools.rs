//! Programs that the profile runs and that say what failed: on which part, and in which words.
//!
//! A check of a program tells `passed` (or `memory.passed` for one of its tests) of the node and, where the program tells
//! parts apart, of each part; its own words are `failure`. What it says of a part explains what it says of the node.

use super::board::Board;
use super::scene::{Fact, Scene};
use kiln_event::{Action, Confidence, Evidence};
use kiln_model::Component;

/// The measurement that says of the node or a part that the program found nothing.
const PASSED: &str = "passed";
/// The measurement in which a program is quoted.
const FAILURE: &str = "failure";
/// The measurement in which it says what to do.
const REMEDY: &str = "remedy";

pub(super) fn read_tools(scene: &Scene<'_>, board: &mut Board) {
    let missed = |fact: &Fact<'_>| fact.failed() && fact.check.starts_with("tool.") && is_passed(fact.name());
    let failed: Vec<(usize, &Fact<'_>)> = scene.facts.iter().enumerate().filter(|(_, fact)| missed(fact)).collect();
    for (place, fact) in &failed {
        // A code that the profile gives says more than a program's name.
        if fact.judgement.code.is_some() {
            continue;
        }
        let of_a_part =
            |(_, other): &(usize, &Fact<'_>)| other.path == fact.path && other.component() != Component::Node;
        if fact.component() == Component::Node && failed.iter().any(of_a_part) {
            board.claim(*place);
            continue;
        }
        let (code, confidence) = told_by(scene, fact);
        let suspicion = board.accuse(code, fact.component(), confidence, with_words(scene, fact));
        if code == "TOOL-FAILED" && fact.gpu().is_some() {
            suspicion.action = Some(asked_for(scene, fact).unwrap_or(Action::Reseat));
        }
        board.claim(*place);
    }
}

fn is_passed(name: &str) -> bool {
    name == PASSED || name.strip_suffix(PASSED).is_some_and(|test| test.ends_with('.'))
}

/// What the program itself asks for of a part, where it grades what failed.
fn asked_for(scene: &Scene<'_>, fact: &Fact<'_>) -> Option<Action> {
    match scene.text_beside(fact.path, fact.component(), REMEDY)? {
        "check-cooling" => Some(Action::CheckCooling),
        "reset-gpu" => Some(Action::ResetGpu),
        "replace-fru" => Some(Action::ReplaceFru),
        _ => None,
    }
}

/// The code for what this program found, and how sure it makes.
fn told_by(scene: &Scene<'_>, fact: &Fact<'_>) -> (&'static str, Confidence) {
    let counted = |name: &str| {
        let beside = |one: &&Fact<'_>| one.path == fact.path && one.component() == fact.component();
        scene.facts.iter().filter(beside).any(|one| one.name() == name && one.number().is_some_and(|count| count > 0.0))
    };
    match fact.check {
        // It compares products of matrices with each other.
        "tool.gpu-burn" if counted("errors") => ("GPU-WRONG-RESULTS", Confidence::High),
        // It compares what it copied with what it wrote; what it calls a procedural error is no incident.
        "tool.stressapptest" if counted("incidents") => ("HOST-WRONG-DATA", Confidence::High),
        _ => ("TOOL-FAILED", Confidence::Medium),
    }
}

/// A missed value, and what the program of its step says failed there: that explains it better than a flag.
pub(super) fn with_words(scene: &Scene<'_>, fact: &Fact<'_>) -> Vec<Evidence> {
    let of_test =
        |one: &&Fact<'_>| one.path == fact.path && one.component() == fact.component() && one.name() == FAILURE;
    let said = scene.facts.iter().find(of_test);
    [Some(fact), said].into_iter().flatten().map(Fact::evidence).collect()
}
