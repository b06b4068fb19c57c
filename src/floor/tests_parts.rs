//! Parts lists of units: what an assignment pins, and what a run that was made without its list is worth.

use kiln_event::VerdictWord::{self, Fail, Pass};
use kiln_wire::{Digest, Doing, Held, RunId, Sync};

use super::tests_told::{Told, name};
use super::*;

fn list(unit: &str, drives: u32) -> UnitParts {
    let text = format!("schema: kiln.parts/1\norder: WO-1\nserial: {unit}\nnvmes: {drives}\n");
    UnitParts::read("parts.yaml", text.as_bytes(), None).expect("a list")
}

fn lists(told: &mut Told, unit: &str, drives: u32) -> Digest {
    let list = list(unit, drives);
    let digest = list.digest().clone();
    told.tell(Input::Ordered(list));
    digest
}

/// The list that the unit's next assignment pins.
fn pinned(told: &mut Told, unit: &str) -> (RunId, Option<Digest>) {
    let assignment = told.sync(unit, Doing::Idle).desired.expect("an assignment");
    (assignment.run, assignment.parts)
}

fn arrives_with(told: &mut Told, run: RunId, unit: &str, verdict: VerdictWord, parts: Option<Digest>) {
    told.tell(Input::Arrived(RunFacts { serial: Some(name(unit)), parts, ..RunFacts::plain(run, verdict) }));
}

#[test]
fn a_unit_is_assigned_with_the_list_that_the_floor_has_for_it_and_released_on_a_run_with_that_list() {
    let mut told = Told::one_stop();
    // Before anybody scanned it, as orders come.
    let digest = lists(&mut told, "A", 8);
    told.scan("A", None);
    told.scan("B", None);
    let (run, parts) = pinned(&mut told, "A");
    assert_eq!(parts, Some(digest.clone()));
    arrives_with(&mut told, run, "A", Pass, Some(digest));
    assert_eq!(*told.stage("A"), Stage::Disposed(Disposition::Released));
    let (run, parts) = pinned(&mut told, "B");
    assert_eq!(parts, None, "another unit's list is none of its");
    arrives_with(&mut told, run, "B", Pass, None);
    assert_eq!(*told.stage("B"), Stage::Disposed(Disposition::Released));
}

#[test]
fn a_run_without_its_list_or_with_another_holds_the_unit_and_two_people_cannot_release_it() {
    for made in [None, Some(list("A", 7).digest().clone())] {
        let mut told = Told::one_stop();
        let wanted = lists(&mut told, "A", 8);
        told.scan("A", None);
        let (run, _) = pinned(&mut told, "A");
        arrives_with(&mut told, run.clone(), "A", Pass, made.clone());
        assert_eq!(*told.stage("A"), Stage::Held(Held::OtherParts { run, wanted: wanted.clone(), made }));
        assert_eq!(told.release("A"), Err(Refusal::OtherParts(name("A"))));
        told.act(Act::Free { unit: name("A"), why: "agent upgraded".to_owned() });
        let (run, _) = pinned(&mut told, "A");
        arrives_with(&mut told, run, "A", Pass, Some(wanted));
        assert_eq!(*told.stage("A"), Stage::Disposed(Disposition::Released));
    }
}

#[test]
fn a_fail_is_proof_without_the_list_as_well() {
    let mut told = Told::one_stop();
    lists(&mut told, "A", 8);
    told.scan("A", None);
    let (run, _) = pinned(&mut told, "A");
    arrives_with(&mut told, run, "A", Fail, None);
    assert_eq!(*told.stage("A"), Stage::Disposed(Disposition::Repair));
}

#[test]
fn an_outlier_that_was_not_held_against_its_list_is_released_by_nobody() {
    let mut told = Told::one_stop();
    told.scan("A", None);
    let (run, _) = pinned(&mut told, "A");
    arrives_with(&mut told, run.clone(), "A", VerdictWord::Held, None);
    assert_eq!(*told.stage("A"), Stage::Held(Held::Outlier { run }));
    lists(&mut told, "A", 8);
    assert_eq!(told.release("A"), Err(Refusal::OtherParts(name("A"))));
}

#[test]
fn a_list_that_comes_during_the_run_holds_the_unit_at_once_and_its_result_releases_nothing() {
    let mut told = Told::one_stop();
    told.scan("A", None);
    let (run, _) = pinned(&mut told, "A");
    let wanted = lists(&mut told, "A", 8);
    let held = Stage::Held(Held::OtherParts { run: run.clone(), wanted: wanted.clone(), made: None });
    assert_eq!(*told.stage("A"), held);
    arrives_with(&mut told, run, "A", Pass, None);
    assert_eq!(*told.stage("A"), held);
    assert_eq!(told.release("A"), Err(Refusal::OtherParts(name("A"))));
    told.act(Act::Free { unit: name("A"), why: "listed".to_owned() });
    let (_, parts) = pinned(&mut told, "A");
    assert_eq!(parts, Some(wanted));
}

#[test]
fn another_list_begins_the_route_anew_and_the_same_one_changes_nothing() {
    let mut policy = Policy::one_profile("smoke");
    policy.route.push(Stop { profile: "acceptance".to_owned(), ..policy.route[0].clone() });
    let mut told = Told::of(policy);
    let first = lists(&mut told, "A", 8);
    told.scan("A", None);
    let (run, _) = pinned(&mut told, "A");
    arrives_with(&mut told, run, "A", Pass, Some(first));
    let events = told.events.len();
    lists(&mut told, "A", 8);
    assert_eq!(told.events.len(), events);
    let second = lists(&mut told, "A", 7);
    for profile in ["smoke", "acceptance"] {
        let assignment = told.sync("A", Doing::Idle).desired.expect("an assignment");
        assert_eq!((assignment.profile.as_str(), assignment.parts.as_ref()), (profile, Some(&second)));
        arrives_with(&mut told, assignment.run, "A", Pass, Some(second.clone()));
    }
    assert_eq!(*told.stage("A"), Stage::Disposed(Disposition::Released));
}

#[test]
fn a_profile_that_compares_nothing_gets_no_list_and_a_route_of_those_alone_releases_no_unit_that_has_one() {
    let mut policy = Policy::one_profile("short");
    policy.route[0].compares_parts = false;
    policy.route.push(Stop { compares_parts: true, ..policy.route[0].clone() });
    let mut told = Told::of(policy.clone());
    let digest = lists(&mut told, "A", 8);
    told.scan("A", None);
    let (run, parts) = pinned(&mut told, "A");
    assert_eq!(parts, None);
    arrives_with(&mut told, run, "A", Pass, None);
    let (run, parts) = pinned(&mut told, "A");
    assert_eq!(parts, Some(digest.clone()));
    arrives_with(&mut told, run, "A", Pass, parts);
    assert_eq!(*told.stage("A"), Stage::Disposed(Disposition::Released));
    policy.route.truncate(1);
    let mut told = Told::of(policy);
    lists(&mut told, "A", 8);
    told.scan("A", None);
    let (run, _) = pinned(&mut told, "A");
    arrives_with(&mut told, run.clone(), "A", Pass, None);
    assert_eq!(*told.stage("A"), Stage::Held(Held::OtherParts { run, wanted: digest, made: None }));
}

#[test]
fn an_agent_of_before_parts_lists_gets_no_run_of_a_unit_that_has_one_and_the_floor_says_so() {
    let mut told = Told::one_stop();
    lists(&mut told, "A", 8);
    told.scan("A", None);
    told.scan("B", None);
    let old = |unit: &str| Sync {
        wire: "kiln.wire/1.0".parse().expect("a version"),
        serial: Some(name(unit)),
        version: Some("0.1.0".to_owned()),
        ..Sync::idle(name(&format!("agent-{unit}")), name("boot-1"))
    };
    let mut asks = |sync: Sync| told.tell(Input::Synced(sync)).and_then(|reply| reply.desired);
    assert_eq!(asks(old("A")), None);
    assert!(asks(old("B")).is_some(), "a unit without a list is tested by it as before");
    assert_eq!(told.wait("A"), Some(&Wait::OldAgent { version: Some("0.1.0".to_owned()) }));
    let run = told.asks("A").expect("the upgraded agent gets it");
    // The node was given its old program back.
    assert_eq!(told.tell(Input::Synced(old("A"))).and_then(|reply| reply.desired), None);
    assert_eq!(told.wait("A"), Some(&Wait::OldAgent { version: Some("0.1.0".to_owned()) }));
    assert_eq!(told.asks("A"), Some(run));
    assert_eq!(told.wait("A"), None);
}

#[test]
fn where_lists_are_required_nothing_begins_without_one_but_golden_units() {
    let mut policy = Policy::one_profile("smoke");
    policy.parts = PartsRule::Required;
    policy.golden.insert(name("G"));
    let mut told = Told::of(policy);
    told.scan("A", None);
    told.scan("G", None);
    assert_eq!(told.asks("A"), None);
    assert_eq!(told.wait("A"), Some(&Wait::PartsList));
    assert!(told.asks("G").is_some());
    lists(&mut told, "A", 8);
    assert!(told.asks("A").is_some());
}

#[test]
fn a_manufacturing_system_may_say_the_list_with_its_yes() {
    let mut policy = Policy::one_profile("smoke");
    (policy.parts, policy.route_check) = (PartsRule::Required, true);
    let mut told = Told::of(policy);
    told.scan("A", None);
    told.asks("A");
    assert_eq!(told.wait("A"), Some(&Wait::RouteCheck), "it is asked before its list is missed");
    let question = |unit: &str| RouteQuestion {
        unit: name(unit),
        generation: kiln_wire::Generation(1),
        profile: "smoke".to_owned(),
    };
    let parts = Some(list("A", 8));
    told.tell(Input::RouteAnswered { question: question("A"), answer: RouteAnswer::Allowed { parts } });
    assert_eq!(pinned(&mut told, "A").1, Some(list("A", 8).digest().clone()));
    assert!(told.floor.state().lists[list("A", 8).digest()].contains("nvmes: 8"), "its text is given out");
}

#[test]
fn what_is_no_list_of_the_unit_is_refused_with_what_is_wrong_with_it() {
    let unit = name("A");
    let said = |text: &str| {
        let read = UnitParts::read("x.yaml", text.as_bytes(), Some(&unit));
        read.expect_err("refused").to_string()
    };
    let schema = "schema: kiln.parts/1\n";
    for (text, says) in [
        (format!("{schema}nisc: 4\nnics: 9\n"), "did you mean `nics`"),
        (format!("{schema}serial: B\nnvmes: 8\n"), "x.yaml is of unit B, and was given for unit A"),
        (format!("{schema}serial: \"a b\"\nnvmes: 8\n"), "is no serial number"),
        ("schema: kiln.parts/2\nnvmes: 8\n".to_owned(), "kiln.parts/1"),
        (format!("{schema}nvmes: 8\n#{}", "x".repeat(70_000)), "has at most 65536"),
        (String::new(), "x.yaml"),
    ] {
        assert!(said(&text).contains(says), "{text:.60}: {}", said(&text));
    }
    let nobody = UnitParts::read("x.yaml", format!("{schema}nvmes: 8\n").as_bytes(), None).expect_err("refused");
    assert!(nobody.to_string().contains("does not say which unit"), "{nobody}");
    let told = UnitParts::read("x.yaml", b"\xff\xfe", None).expect_err("refused");
    assert!(!told.to_string().is_empty());
}
