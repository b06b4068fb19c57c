//! Asking a manufacturing system before a run: nothing begins before a yes to that very run.

use kiln_event::VerdictWord::{Error, Pass};
use kiln_wire::{Generation, Held};

use super::tests_told::{Told, name};
use super::*;

fn asking() -> Told {
    let mut policy = Policy::one_profile("smoke");
    policy.route_check = true;
    Told::of(policy)
}

fn allowed() -> RouteAnswer {
    RouteAnswer::Allowed { parts: None }
}

fn answer(told: &mut Told, unit: &str, generation: u64, answer: RouteAnswer) {
    let (unit, generation, profile) = (name(unit), Generation(generation), "smoke".to_owned());
    told.tell(Input::RouteAnswered { question: RouteQuestion { unit, generation, profile }, answer });
}

#[test]
fn nothing_begins_before_this_very_run_was_allowed_and_each_run_is_asked_about() {
    let mut told = asking();
    told.scan("A", None);
    assert_eq!(told.asks("A"), None);
    assert_eq!(told.wait("A"), Some(&Wait::RouteCheck));
    answer(&mut told, "A", 2, allowed());
    assert_eq!(told.asks("A"), None, "a yes to another run");
    answer(&mut told, "A", 1, allowed());
    let events = told.events.len();
    answer(&mut told, "A", 1, allowed());
    answer(&mut told, "A", 1, RouteAnswer::Refused { why: "too late".to_owned() });
    assert_eq!(told.events.len(), events, "answered twice is answered once");
    let run = told.asks("A").expect("a run");
    answer(&mut told, "A", 1, RouteAnswer::Refused { why: "too late".to_owned() });
    assert!(matches!(told.stage("A"), Stage::Assigned(_)), "what runs, runs on");
    told.arrives(run, Error);
    assert_eq!(told.asks("A"), None, "the second run is asked about anew");
    answer(&mut told, "A", 2, allowed());
    told.run("A", Pass);
    assert_eq!(*told.stage("A"), Stage::Disposed(Disposition::Released));
}

#[test]
fn a_no_holds_the_unit_and_who_lets_it_go_on_has_it_asked_about_anew() {
    let mut told = asking();
    told.scan("A", None);
    assert_eq!(told.asks("A"), None);
    let why = "station 4 is missing".to_owned();
    answer(&mut told, "A", 1, RouteAnswer::Refused { why: why.clone() });
    assert_eq!(*told.stage("A"), Stage::Held(Held::RouteRefused { why }));
    told.act(Act::Free { unit: name("A"), why: "entered".to_owned() });
    assert_eq!(told.asks("A"), None);
    answer(&mut told, "A", 1, allowed());
    assert_eq!(told.asks("A"), None, "a yes from before it was held");
    answer(&mut told, "A", 2, allowed());
    told.run("A", Pass);
    assert_eq!(*told.stage("A"), Stage::Disposed(Disposition::Released));
}

#[test]
fn golden_units_are_not_asked_about() {
    let mut policy = Policy::one_profile("smoke");
    policy.route_check = true;
    policy.golden.insert(name("G"));
    let mut told = Told::of(policy);
    told.scan("G", None);
    assert!(told.asks("G").is_some());
}
