//! Outliers of their lot, and what takes two people: what may be released, what goes on to its next stop, and what neither.

use kiln_event::VerdictWord::{self, Error, Fail, Held as Outlying, Pass};
use kiln_wire::{Held, RunId, Serial};

use super::tests_told::{Told, name};
use super::*;

fn stops(profiles: &[&str]) -> Told {
    let mut policy = Policy::one_profile(profiles[0]);
    let first = policy.route[0].clone();
    policy.route = profiles.iter().map(|profile| Stop { profile: (*profile).to_owned(), ..first.clone() }).collect();
    Told::of(policy)
}

fn act(told: &mut Told, by: &str, act: Act) -> Result<(), Refusal> {
    told.try_tell(Input::Told { act, by: by.to_owned() }).map(|_| ())
}

fn ask(unit: &str) -> Act {
    Act::AskRelease { unit: name(unit), why: "the lot is of two batches".to_owned() }
}

fn agree(unit: &str) -> Act {
    Act::AgreeRelease { unit: name(unit) }
}

fn decide(unit: &str, disposition: Disposition) -> Act {
    Act::Decide { unit: name(unit), disposition, why: "looked".to_owned(), second: None }
}

/// The unit is scanned, and its next run comes to this end; the run.
fn ends(told: &mut Told, unit: &str, verdict: VerdictWord) -> RunId {
    told.scan(unit, None);
    let run = told.asks(unit).expect("a run");
    told.arrives(run.clone(), verdict);
    run
}

fn says(told: &mut Told, run: &RunId, verdict: VerdictWord, serial: Option<&str>, partial: bool) {
    let (serial, codes) = (serial.map(name), vec!["LOT-OUTLIER".to_owned()]);
    told.tell(Input::Arrived(RunFacts { partial, serial, codes, ..RunFacts::plain(run.clone(), verdict) }));
}

fn free(told: &mut Told, unit: &str) -> Result<(), Refusal> {
    act(told, "sato", Act::Free { unit: name(unit), why: "once more".to_owned() })
}

/// The unit's next run passes; whether a lot had a say in it.
fn passes(told: &mut Told, unit: &str, lot: LotSay) {
    let run = told.asks(unit).expect("a run");
    let facts = RunFacts { serial: Some(name(unit)), lot, ..RunFacts::plain(run, Pass) };
    told.tell(Input::Arrived(facts));
}

fn rework(told: &mut Told, unit: &str, removed: Option<&str>, fitted: Option<&str>) {
    let parts = Parts { removed: removed.map(name), fitted: fitted.map(name) };
    act(told, "sato", Act::Rework { unit: name(unit), what: "looked into".to_owned(), parts }).expect("worked on");
}

const RELEASED: Stage = Stage::Disposed(Disposition::Released);

#[test]
fn an_outlier_is_held_as_one_and_not_as_a_run_without_a_claim() {
    let mut told = Told::one_stop();
    let run = ends(&mut told, "A", Outlying);
    assert_eq!(*told.stage("A"), Stage::Held(Held::Outlier { run }));
    assert_eq!(told.asks("A"), None, "it is not tested again by itself");
    let unit = &told.floor.state().units[&name::<Serial>("A")];
    assert_eq!((unit.passed.len(), unit.without_claim, unit.failed), (0, 0, false));
    // Nor after runs that made none.
    told.scan("B", None);
    told.run("B", Error);
    let run = told.asks("B").expect("a repetition");
    told.arrives(run.clone(), Outlying);
    assert_eq!(*told.stage("B"), Stage::Held(Held::Outlier { run }));
}

#[test]
fn an_outlier_is_released_by_two_people_and_by_no_one_alone() {
    let mut told = Told::one_stop();
    let run = ends(&mut told, "A", Outlying);
    assert_eq!(act(&mut told, "mori", agree("A")), Err(Refusal::NotAsked(name("A"))));
    act(&mut told, "sato", ask("A")).expect("asked");
    for same in ["sato", "Sato", " SATO "] {
        assert_eq!(act(&mut told, same, agree("A")), Err(Refusal::SecondPerson), "{same}");
        act(&mut told, same, ask("A")).expect("who asks again has not agreed");
    }
    assert_eq!(*told.stage("A"), Stage::Held(Held::Outlier { run }));
    act(&mut told, "mori", agree("A")).expect("agreed");
    assert_eq!(*told.stage("A"), RELEASED);
    assert_eq!(act(&mut told, "mori", agree("A")), Err(Refusal::NotHeld(name("A"))), "once");
    let unit = &told.floor.state().units[&name::<Serial>("A")];
    assert!(matches!(&unit.because, Some(Because::Person { second: Some(first), .. }) if first.trim() == "SATO"));
}

#[test]
fn an_outlier_is_scrapped_or_tested_again_by_one_person_and_not_repaired() {
    let mut told = Told::one_stop();
    ends(&mut told, "A", Outlying);
    let repaired = act(&mut told, "sato", decide("A", Disposition::Repair));
    assert_eq!(repaired, Err(Refusal::NothingProven(name("A"))), "nothing is proven against any part");
    free(&mut told, "A").expect("freed");
    passes(&mut told, "A", LotSay::Judged);
    assert_eq!(*told.stage("A"), RELEASED, "its lot takes it for one of its own now");
    ends(&mut told, "B", Outlying);
    let parts = Parts::default();
    act(&mut told, "sato", Act::Rework { unit: name("B"), what: "pads renewed".to_owned(), parts }).expect("worked on");
    told.run("B", Outlying);
    assert!(matches!(told.stage("B"), Stage::Held(Held::Outlier { .. })), "it is an outlier still");
    act(&mut told, "sato", decide("B", Disposition::Scrapped)).expect("scrapped");
    assert_eq!(*told.stage("B"), Stage::Disposed(Disposition::Scrapped));
}

#[test]
fn a_pass_that_no_lot_had_a_say_in_does_not_release_what_its_lot_held() {
    for lot in [LotSay::None, LotSay::Unknown] {
        let mut told = Told::one_stop();
        let run = ends(&mut told, "A", Outlying);
        free(&mut told, "A").expect("freed");
        passes(&mut told, "A", lot);
        assert_eq!(*told.stage("A"), Stage::Held(Held::Outlier { run: run.clone() }), "{lot:?}");
        // Nor by trying again, nor by work that exchanged nothing.
        for (removed, fitted) in [(None, None), (Some("GPU-1"), None), (None, Some("GPU-2"))] {
            rework(&mut told, "A", removed, fitted);
            passes(&mut told, "A", lot);
            assert_eq!(*told.stage("A"), Stage::Held(Held::Outlier { run: run.clone() }), "{removed:?} {fitted:?}");
        }
        let repaired = act(&mut told, "sato", decide("A", Disposition::Repair));
        assert_eq!(repaired, Err(Refusal::NothingProven(name("A"))));
        act(&mut told, "sato", ask("A")).expect("asked");
        assert_eq!(act(&mut told, "sato", agree("A")), Err(Refusal::SecondPerson));
        act(&mut told, "mori", agree("A")).expect("agreed");
        assert_eq!(*told.stage("A"), RELEASED);
    }
}

#[test]
fn an_outlier_is_none_any_more_once_a_part_was_exchanged_or_its_lot_passed_it() {
    let mut told = Told::one_stop();
    ends(&mut told, "A", Outlying);
    rework(&mut told, "A", Some("GPU-1"), Some("GPU-2"));
    passes(&mut told, "A", LotSay::None);
    assert_eq!(*told.stage("A"), RELEASED);
    // A pass that the lot judged counts for later ones as well.
    let mut told = stops(&["smoke", "acceptance"]);
    ends(&mut told, "B", Outlying);
    free(&mut told, "B").expect("freed");
    passes(&mut told, "B", LotSay::Judged);
    told.run("B", Fail);
    rework(&mut told, "B", None, None);
    passes(&mut told, "B", LotSay::None);
    passes(&mut told, "B", LotSay::None);
    assert_eq!(*told.stage("B"), RELEASED);
}

#[test]
fn an_outlier_is_one_at_its_own_stop_only_and_goes_on_from_there_by_two_people() {
    let mut told = stops(&["smoke", "acceptance"]);
    let run = ends(&mut told, "A", Outlying);
    free(&mut told, "A").expect("freed");
    passes(&mut told, "A", LotSay::None);
    assert_eq!(*told.stage("A"), Stage::Held(Held::Outlier { run }));
    told.release("A").expect("two names");
    assert_eq!(*told.stage("A"), Stage::Ready, "its pass counts once");
    assert_eq!(told.floor.state().units[&name::<Serial>("A")].passed.len(), 1);
    passes(&mut told, "A", LotSay::None);
    assert_eq!(*told.stage("A"), RELEASED, "nothing is said against it here");
}

#[test]
fn an_outlier_whose_run_arrives_late_is_one_all_the_same_unless_a_part_was_exchanged_since() {
    for exchanged in [false, true] {
        let mut told = Told::one_stop();
        told.scan("A", None);
        let late = told.asks("A").expect("a run");
        told.tell(Input::Unverified(late.clone()));
        free(&mut told, "A").expect("freed");
        if exchanged {
            rework(&mut told, "A", Some("GPU-1"), Some("GPU-2"));
        }
        told.arrives(late.clone(), Outlying);
        passes(&mut told, "A", LotSay::None);
        let held = Stage::Held(Held::Outlier { run: late });
        assert_eq!(*told.stage("A"), if exchanged { RELEASED } else { held });
    }
}

#[test]
fn two_people_let_an_outlier_go_on_to_its_next_stop_and_it_is_released_after_its_last() {
    let mut told = stops(&["smoke", "acceptance"]);
    let run = ends(&mut told, "A", Outlying);
    assert_eq!(told.floor.release(&name("A")), Ok(Release::ToTheNextStop(run.clone())));
    act(&mut told, "sato", ask("A")).expect("asked");
    act(&mut told, "mori", agree("A")).expect("agreed");
    assert_eq!(*told.stage("A"), Stage::Ready, "nothing is released that has a stop before it");
    let last = told.events.last().expect("an event");
    let (why, second) = ("the lot is of two batches".to_owned(), "sato".to_owned());
    assert_eq!(last.event, FloorEvent::HoldWaived { unit: name("A"), run, why, second });
    assert_eq!(last.actor, Actor::Person("mori".to_owned()));
    let run = told.asks("A").expect("its next stop");
    assert_eq!(told.floor.state().runs[&run].profile, "acceptance");
    told.arrives(run, Outlying);
    assert_eq!(told.floor.release(&name("A")), Ok(Release::OfTheUnit));
    told.release("A").expect("two names");
    assert_eq!(*told.stage("A"), RELEASED);
}

#[test]
fn a_pass_after_a_fail_at_an_earlier_stop_goes_on_by_two_people_and_still_has_its_last_stop_before_it() {
    let mut told = stops(&["smoke", "acceptance"]);
    told.scan("A", None);
    let first = told.asks("A").expect("a run");
    told.tell(Input::Unverified(first.clone()));
    told.act(Act::Free { unit: name("A"), why: "looked".to_owned() });
    told.arrives(first, Fail);
    told.run("A", Pass);
    assert_eq!(*told.stage("A"), Stage::Held(Held::PassAfterFail));
    told.release("A").expect("two names");
    told.run("A", Pass);
    assert_eq!(*told.stage("A"), Stage::Held(Held::PassAfterFail), "it failed once, and is looked at to the end");
    told.release("A").expect("two names");
    assert_eq!(*told.stage("A"), RELEASED);
}

#[test]
fn what_was_waived_keeps_what_else_there_is_to_ask_about() {
    let mut told = stops(&["smoke", "acceptance"]);
    told.scan("A", None);
    let run = told.asks("A").expect("a run");
    says(&mut told, &run, Outlying, None, false);
    assert_eq!(*told.stage("A"), Stage::Held(Held::Outlier { run: run.clone() }));
    told.release("A").expect("two names");
    told.run("A", Pass);
    assert_eq!(*told.stage("A"), Stage::Held(Held::NoSerial { run }), "its first run says no serial number");
}

#[test]
fn an_outlier_that_is_narrowed_or_of_another_unit_is_released_by_nobody() {
    for (serial, partial) in [(Some("A"), true), (Some("B"), false), (Some("B"), true)] {
        let mut told = Told::one_stop();
        told.scan("A", None);
        let run = told.asks("A").expect("a run");
        says(&mut told, &run, Outlying, serial, partial);
        assert!(!matches!(told.stage("A"), Stage::Held(Held::Outlier { .. })), "{:?}", told.stage("A"));
        assert!(matches!(told.stage("A"), Stage::Held(_)), "{:?}", told.stage("A"));
        assert_eq!(told.release("A"), Err(Refusal::NotPassed(name("A"))), "{serial:?} {partial}");
        assert_eq!(act(&mut told, "sato", ask("A")), Err(Refusal::NotPassed(name("A"))));
    }
}

#[test]
fn an_outlier_that_arrives_while_the_unit_is_held_for_something_else_is_released_by_nobody() {
    let mut told = Told::one_stop();
    told.scan("A", None);
    let run = told.asks("A").expect("a run");
    told.tell(Input::Unverified(run.clone()));
    told.arrives(run, Outlying);
    assert!(matches!(told.stage("A"), Stage::Held(Held::Unverified { .. })), "{:?}", told.stage("A"));
    assert_eq!(told.release("A"), Err(Refusal::NotPassed(name("A"))), "nobody was told that it is an outlier");
}

#[test]
fn a_golden_unit_that_is_an_outlier_opens_no_rack() {
    let mut policy = Policy::one_profile("smoke");
    policy.golden = [name("GOLD")].into();
    let mut told = Told::of(policy);
    let run = ends(&mut told, "GOLD", Outlying);
    assert_eq!(*told.stage("GOLD"), Stage::Held(Held::GoldenFailed { run }));
    assert_eq!(told.release("GOLD"), Err(Refusal::NotPassed(name("GOLD"))));
}

#[test]
fn who_let_an_outlier_go_on_or_released_it_is_kept_with_both_names_and_the_reason() {
    let mut told = stops(&["smoke", "acceptance"]);
    let first = ends(&mut told, "A", Outlying);
    act(&mut told, "sato", ask("A")).expect("asked");
    act(&mut told, "mori", agree("A")).expect("agreed");
    let second = told.asks("A").expect("its next stop");
    told.arrives(second.clone(), Outlying);
    told.release("A").expect("two names");
    free(&mut told, "A").expect_err("it is released");
    let decisions = &told.floor.state().units[&name::<Serial>("A")].decisions;
    let said =
        |decision: &Decision| (decision.by.join(" "), decision.why.clone(), decision.what, decision.outlier.clone());
    let wanted = [
        ("sato mori".to_owned(), "the lot is of two batches".to_owned(), Decided::WentOn, Some(first)),
        ("mori sato".to_owned(), "looked".to_owned(), Decided::Disposed(Disposition::Released), Some(second)),
    ];
    assert_eq!(decisions.iter().map(said).collect::<Vec<_>>(), wanted);
    let numbers: Vec<u64> = decisions.iter().map(|decision| decision.event).collect();
    let is_one = |event: &&Stamped| matches!(event.event, FloorEvent::HoldWaived { .. } | FloorEvent::Disposed { .. });
    assert_eq!(numbers, told.events.iter().filter(is_one).map(|event| event.seq).collect::<Vec<_>>());
}

#[test]
fn the_hold_and_its_waiver_are_kept_as_words_that_stay() {
    let run: RunId = name("run-1");
    let held = serde_json::to_string(&Held::Outlier { run: run.clone() }).expect("JSON");
    assert_eq!(held, "{\"outlier\":{\"run\":\"run-1\"}}");
    let (why, second) = ("looked".to_owned(), "sato".to_owned());
    let event = FloorEvent::HoldWaived { unit: name("A"), run, why, second };
    let text = serde_json::to_string(&event).expect("JSON");
    assert_eq!(text, "{\"hold-waived\":{\"unit\":\"A\",\"run\":\"run-1\",\"why\":\"looked\",\"second\":\"sato\"}}");
    assert_eq!(serde_json::from_str::<FloorEvent>(&text).expect("read back"), event);
}
