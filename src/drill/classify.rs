//! Sorting a run with a known defect: caught, held or escaped.

use std::collections::{BTreeMap, BTreeSet};

use super::defect::{Defect, Wanted};
use super::naming::{Named, named};
use super::proof::{Proof, Says, proofs};
use super::trial::{Caught, Ending, Naming, StepTime, Trial};
use kiln_event::{Outcome, RunRecord, StepStatus, VerdictWord, roll_up};
use kiln_model::{Component, Moment};

/// What came of a run with `defect` in it.
pub fn classify(record: &RunRecord, defect: Defect, factor: f64, seed: u64) -> Trial {
    let word = record.verdict.as_ref().map_or_else(|| roll_up(record).word, |verdict| verdict.word);
    let ending = ending(record, &defect, word);
    let mut steps: BTreeMap<String, StepTime> = BTreeMap::new();
    for step in record.steps.iter().filter(|step| step.status == StepStatus::Finished) {
        let took = step.finished.unwrap_or(step.started).since(step.started);
        steps.entry(step.key.path.clone()).or_default().took += took;
    }
    let cut = |outcome: Outcome| matches!(outcome, Outcome::NotReached | Outcome::Aborted);
    let whole = !record.steps.iter().flat_map(|step| &step.cases).any(|case| cut(case.outcome));
    Trial { defect, factor, seed, word, ending, steps, whole }
}

fn ending(record: &RunRecord, defect: &Defect, word: VerdictWord) -> Ending {
    if matches!(word, VerdictWord::Pass | VerdictWord::Nothing) {
        return Ending::Escaped;
    }
    let named = named(record, defect);
    // A verdict short of FAIL is what is wanted of the station's defects, and as good where the defect is named by its
    // code: a sensor that lies makes ERROR, and no number of FAILs would say it better.
    // Where all parts are bad alike nothing but their lot can tell, and an outlier of a lot is never proof.
    let shared = word == VerdictWord::Held && defect.is_shared() && named.naming != Naming::Wrong;
    let undecided = defect.wanted == Wanted::Undecided || named.code_right || shared;
    let proofs = proofs(record);
    let counts = |proof: &&Proof| proof.says == Says::Fail || undecided;
    let Some(first) = proofs.iter().find(counts) else {
        let why = proofs.first().map_or_else(|| word.shown().to_owned(), |proof| proof.by.clone());
        return Ending::Held { why };
    };
    if word != VerdictWord::Fail && !undecided {
        return Ending::Held { why: first.by.clone() };
    }
    let first = best_of_moment(&proofs, first, &named);
    let counted = || proofs.iter().filter(counts);
    let steps: BTreeSet<String> = counted().filter_map(|proof| proof.step.clone()).collect();
    Ending::Caught(Box::new(Caught {
        by: first.by.clone(),
        step: first.step.clone(),
        after: first.at.since(Moment::ZERO),
        naming: naming(&named, defect, word),
        between_steps: counted().any(|proof| proof.step.is_none()),
        steps,
        named: named.components,
        codes: named.codes,
        code_right: named.code_right,
    }))
}

/// Of all that was known at the moment of the first proof, what speaks of a component that was named.
fn best_of_moment<'a>(proofs: &'a [Proof], first: &'a Proof, named: &Named) -> &'a Proof {
    let on_named = |component: Component| named.components.contains(&component);
    let same = |proof: &&Proof| proof.at == first.at && proof.says == first.says;
    proofs.iter().filter(same).find(|proof| on_named(proof.component)).unwrap_or(first)
}

/// A unit that is failed for the station's defect is the wrong part, whatever else is named.
fn naming(named: &Named, defect: &Defect, word: VerdictWord) -> Naming {
    if defect.wanted == Wanted::Undecided && word == VerdictWord::Fail { Naming::Wrong } else { named.naming }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::tests::defect;
    use kiln_event::Finding;
    use kiln_model::Span;
    use kiln_stories::{GPUS, endings};

    fn failed_in_soak(finding: Option<Finding>) -> RunRecord {
        let mut record = endings()["fail-limit"].record();
        record.findings = finding.into_iter().collect();
        record
    }

    fn on(component: Component) -> Finding {
        let finding = endings()["fail-limit"].record().findings[0].clone();
        Finding { component, suspects: Vec::new(), slot: None, ..finding }
    }

    fn caught(record: &RunRecord, component: Component) -> Caught {
        let trial = classify(record, defect(component, component), 1.0, 1);
        trial.caught().cloned().unwrap_or_else(|| panic!("{:?}", trial.ending))
    }

    #[test]
    fn a_failed_case_catches_with_its_limit_step_and_time() {
        let caught = caught(&failed_in_soak(Some(on(GPUS[1]))), GPUS[1]);
        assert_eq!(caught.by, "limit thermal.resistance");
        assert_eq!(caught.step.as_deref(), Some("burn.soak"));
        assert_eq!(caught.after.as_secs(), 434);
        assert_eq!(caught.naming, Naming::Right);
        assert_eq!(caught.steps, BTreeSet::from(["burn.soak".to_owned()]));
    }

    #[test]
    fn the_part_is_right_ambiguous_or_wrong() {
        let naming = |finding: Option<Finding>, component| caught(&failed_in_soak(finding), component).naming;
        assert_eq!(naming(Some(on(GPUS[1])), GPUS[0]), Naming::Wrong);
        assert_eq!(naming(None, GPUS[1]), Naming::Right, "the failed case stands in");
        let open = Finding { suspects: GPUS.to_vec(), ..on(GPUS[1]) };
        assert_eq!(naming(Some(open.clone()), GPUS[0]), Naming::Ambiguous);
        assert_eq!(naming(Some(open), Component::Switch(1)), Naming::Wrong);
    }

    #[test]
    fn a_pass_is_an_escape() {
        let record = endings()["pass"].record();
        let trial = classify(&record, defect(GPUS[1], GPUS[1]), 1.0, 1);
        assert_eq!((trial.ending, trial.whole), (Ending::Escaped, true));
        assert_eq!(trial.steps["burn.soak"].took, Span::from_millis(321_800));
    }

    #[test]
    fn inconclusive_is_wanted_of_the_station_and_only_holds_anything_else() {
        let record = endings()["inconclusive"].record();
        let held = classify(&record, defect(GPUS[1], GPUS[1]), 1.0, 1);
        assert_eq!(held.ending, Ending::Held { why: "restless".to_owned() });
        let station = classify(&record, defect(Component::Station, Component::Station), 1.0, 1);
        assert!(station.caught().is_some());
        // With the code that is wanted it is as good as a fail.
        let mut named = record;
        named.findings.push(on(GPUS[1]));
        assert!(classify(&named, defect(GPUS[1], GPUS[1]), 1.0, 1).is_well());
    }

    #[test]
    fn failing_the_unit_for_the_station_is_the_wrong_part() {
        let trial = classify(&failed_in_soak(None), defect(Component::Station, Component::Station), 1.0, 1);
        assert_eq!(trial.caught().map(|caught| caught.naming), Some(Naming::Wrong));
    }
}
