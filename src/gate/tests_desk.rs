//! The floor's one order of things, over a store that is full, forgets to answer, or is away.

use axum::http::StatusCode;

use std::sync::Mutex;

use super::*;
use crate::api::ApiError;
use crate::store::{PostgresError, Sqlite};

/// A store that a test has its hands on as well.
impl<S: Store> Store for Arc<Mutex<S>> {
    fn events(&mut self) -> Result<Vec<Stamped>, StoreError> {
        self.lock().expect("a store").events()
    }

    fn append(&mut self, events: &[Stamped]) -> Result<(), StoreError> {
        self.lock().expect("a store").append(events)
    }

    fn look_again(&mut self) -> Result<Vec<Stamped>, StoreError> {
        self.lock().expect("a store").look_again()
    }

    fn beat(&mut self) -> Result<(), StoreError> {
        self.lock().expect("a store").beat()
    }

    fn may_be_away(&self) -> bool {
        self.lock().expect("a store").may_be_away()
    }
}

fn scan(unit: &str) -> Input {
    let unit = unit.parse().expect("a serial");
    Input::Scanned { unit, at: None, slot: None, lot: None, by: "sato".to_owned() }
}

#[test]
fn a_floors_time_does_not_go_back_behind_its_last_event_whatever_the_worlds_clock_says() {
    let a_year = 365 * 24 * 3600 * 1_000_000;
    let stamped = |at| {
        let name = "sato".to_owned();
        Stamped { seq: 0, at, actor: kiln_floor::Actor::Floor, event: kiln_floor::FloorEvent::PersonLocked { name } }
    };
    let ahead = stamped(micros() + a_year);
    let clock = Clock::after(Some(&ahead));
    let first = clock.now();
    assert!(first >= ahead.at && first < ahead.at + a_year && clock.now() >= first);
    let behind = stamped(micros() - a_year);
    assert!(Clock::after(Some(&behind)).now() >= behind.at + a_year, "a floor that slept knows that it did");
}

#[test]
fn a_floor_that_cannot_keep_what_it_decides_says_so_and_is_what_it_was_before() {
    let dir = tempfile::tempdir().expect("a folder");
    let database = Arc::new(Mutex::new(Sqlite::open(dir.path()).expect("a store")));
    let has_room_for = |pages| database.lock().expect("a store").has_room_for(pages);
    let store = Box::new(Arc::clone(&database));
    let policy = Policy::one_profile("smoke");
    let floor = Floor::of(policy.clone(), &[]);
    let (clock, heard, revision) = (Clock::after(None), AllHeard::new(), Arc::default());
    let reach = Reach::of(&*store, &policy, &[]);
    let mut work = Work { clock, outlets: Vec::new(), policy, floor, store, heard, revision, reach, pass_at: now() };
    let tell = |work: &mut Work, input: Input| {
        let answer = work.decide(input);
        let (reply, mut told) = oneshot::channel();
        work.keep(vec![(reply, answer)]).expect("it goes on");
        told.try_recv().expect("an answer")
    };
    has_room_for(0);
    // More than fits into what the database has already.
    let long = Input::Scanned {
        unit: "A".parse().expect("a serial"),
        at: None,
        slot: None,
        lot: None,
        by: "x".repeat(20_000),
    };
    let why = tell(&mut work, long).expect_err("not kept");
    assert!(matches!(&why, DeskError::Unkept(why) if why.contains("full")), "{why}");
    let ApiError((status, _)) = ApiError::from(why);
    assert_eq!(status, StatusCode::INSUFFICIENT_STORAGE);
    assert!(work.floor.state().units.is_empty(), "nothing was decided");
    has_room_for(100);
    tell(&mut work, scan("B")).expect("kept");
    assert_eq!(work.floor.state().units.len(), 1);
}

#[test]
fn an_error_after_the_commit_leaves_nobody_out() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Box::new(Sqlite::open(dir.path()).expect("a store"));
    let (policy, (outlet, news)) = (Policy::one_profile("smoke"), mpsc::channel());
    let floor = Floor::of(policy.clone(), &[]);
    let (clock, heard, revision) = (Clock::after(None), AllHeard::new(), Arc::default());
    let reach = Reach::of(&*store, &policy, &[]);
    let mut work = Work { clock, outlets: vec![outlet], policy, floor, store, heard, revision, reach, pass_at: now() };
    let answer = work.decide(scan("A")).expect("decided");
    // The same events once more are refused by the database, and are there.
    work.store.append(&answer.events).expect("kept");
    let (reply, mut told) = oneshot::channel();
    work.keep(vec![(reply, Ok(answer.clone()))]).expect("it goes on");
    assert!(told.try_recv().expect("an answer").is_ok());
    assert_eq!(news.try_recv().expect("the outlet hears of it"), answer.events);
    // What is not there was not decided.
    let other = work.decide(scan("B")).expect("decided");
    let foreign = Answer { events: answer.events.clone(), ..Answer::default() };
    let (reply, mut told) = oneshot::channel();
    work.keep(vec![(reply, Ok(other)), (oneshot::channel().0, Ok(foreign))]).expect("it goes on");
    assert!(told.try_recv().expect("an answer").is_err());
    assert!(news.try_recv().is_err());
    assert_eq!(work.floor.state().units.len(), 1);
}

/// A store that is away when a test says so, and may have kept what it did not answer to.
#[derive(Default)]
struct Far {
    kept: Vec<Stamped>,
    /// How many calls find it away.
    away: usize,
    /// Whether it keeps what it is told in a call that finds it away.
    keeps_unheard: bool,
    taken: bool,
}

impl Far {
    fn call(&mut self) -> Result<(), StoreError> {
        if self.taken {
            return Err(PostgresError::LeadTaken { at: "far".to_owned(), ours: 1, theirs: 2 }.into());
        }
        self.away = self.away.checked_sub(1).map_or(Ok(0), |left| {
            self.away = left;
            Err(StoreError::from(PostgresError::Away { at: "far".to_owned(), why: "it is far".to_owned() }))
        })?;
        Ok(())
    }
}

impl Store for Far {
    fn events(&mut self) -> Result<Vec<Stamped>, StoreError> {
        self.call().map(|()| self.kept.clone())
    }

    fn append(&mut self, events: &[Stamped]) -> Result<(), StoreError> {
        let done = self.call();
        if done.is_ok() || self.keeps_unheard && self.away > 0 {
            self.kept.extend_from_slice(events);
        }
        done
    }

    fn look_again(&mut self) -> Result<Vec<Stamped>, StoreError> {
        self.events()
    }

    fn beat(&mut self) -> Result<(), StoreError> {
        self.call()
    }

    fn may_be_away(&self) -> bool {
        true
    }
}

/// A desk over such a store, with the hand on the store, and what an outlet hears.
fn over(far: Far) -> (Work, Arc<Mutex<Far>>, mpsc::Receiver<Vec<Stamped>>) {
    let far = Arc::new(Mutex::new(far));
    let store: Box<dyn Store> = Box::new(Arc::clone(&far));
    let (policy, (outlet, news)) = (Policy::one_profile("smoke"), mpsc::channel());
    let floor = Floor::of(policy.clone(), &[]);
    let (clock, heard, revision) = (Clock::after(None), AllHeard::new(), Arc::default());
    let reach = Reach::of(&*store, &policy, &[]);
    (Work { clock, outlets: vec![outlet], policy, floor, store, heard, revision, reach, pass_at: now() }, far, news)
}

fn told(work: &mut Work, unit: &str) -> Result<Answer, DeskError> {
    let answer = work.decide(scan(unit));
    let (reply, mut told) = oneshot::channel();
    work.keep(vec![(reply, answer)]).expect("it goes on");
    told.try_recv().expect("an answer")
}

#[test]
fn a_way_that_was_lost_and_found_at_once_costs_nobody_an_answer() {
    let (mut work, far, news) = over(Far { away: 1, ..Far::default() });
    told(&mut work, "A").expect("kept at the second try");
    assert_eq!((far.lock().expect("a store").kept.len(), work.reach.away()), (1, None));
    assert_eq!(news.try_recv().expect("the outlet hears of it").len(), 1);
    told(&mut work, "B").expect("kept");
    assert_eq!(work.floor.state().units.len(), 2);
}

#[test]
fn what_was_perhaps_kept_by_events_that_are_away_is_shown_and_told_on_once_they_are_back_and_not_before() {
    for kept in [true, false] {
        let (mut work, far, news) = over(Far { away: 4, keeps_unheard: kept, ..Far::default() });
        let why = told(&mut work, "A").expect_err("it is away");
        assert!(matches!(&why, DeskError::Away(why) if why.contains("it is far")), "{why}");
        let ApiError((status, _)) = ApiError::from(why);
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        let settled = |work: &Work| work.reach.settled.as_ref().expect("a floor of what is kept").state().units.len();
        assert_eq!((settled(&work), work.reach.away().is_some()), (0, true), "nothing is shown that may not be so");
        assert!(news.try_recv().is_err());
        // Away once more, then back.
        assert!(work.catch_up().is_err_and(|error| error.is_away()));
        assert!(work.catch_up().is_err_and(|error| error.is_away()));
        work.catch_up().expect("it is back");
        assert_eq!((settled(&work), work.floor.state().units.len()), (usize::from(kept), usize::from(kept)));
        assert_eq!((news.try_iter().flatten().count(), work.reach.away()), (usize::from(kept), None));
        told(&mut work, "B").expect("kept");
        assert_eq!(far.lock().expect("a store").kept.len(), 1 + usize::from(kept));
        assert_eq!(settled(&work), 1 + usize::from(kept));
    }
}

#[test]
fn a_floor_that_another_one_has_replaced_answers_no_and_ends() {
    let (mut work, far, _news) = over(Far::default());
    told(&mut work, "A").expect("kept");
    far.lock().expect("a store").taken = true;
    let answer = work.decide(scan("B"));
    let (reply, mut told) = oneshot::channel();
    assert!(work.keep(vec![(reply, answer)]).is_err_and(|error| !error.is_away()), "it ends");
    assert!(told.try_recv().expect("an answer").is_err());
    work.reach.last = work.reach.last.checked_sub(BEAT).expect("a moment before");
    assert!(work.mind().is_err(), "also one that keeps nothing");
}

#[test]
fn a_floor_says_that_it_leads_only_once_its_events_have_said_so_anew() {
    let (mut work, far, _news) = over(Far::default());
    told(&mut work, "A").expect("kept");
    let before = now();
    let after = work.lead().expect("it goes on").expect("it leads");
    assert!(before <= after && after <= now());
    far.lock().expect("a store").away = 1;
    assert!(matches!(work.lead().expect("it goes on"), Err(DeskError::Away(why)) if why.contains("it is far")));
    assert!(matches!(work.lead().expect("it goes on"), Err(DeskError::Away(_))), "until it was looked again");
    work.catch_up().expect("it is back");
    assert!(work.lead().expect("it goes on").is_ok());
    far.lock().expect("a store").taken = true;
    assert!(work.lead().is_err_and(|error| !error.is_away()), "it ends");
}

#[test]
fn an_agent_is_answered_while_the_events_are_away_and_nothing_is_kept_of_it() {
    let (mut work, far, _news) = over(Far::default());
    told(&mut work, "A").expect("kept");
    let sync = kiln_wire::Sync {
        serial: Some("A".parse().expect("a serial")),
        ..kiln_wire::Sync::idle("agent-1".parse().expect("a name"), "boot-1".parse().expect("a name"))
    };
    let assigned = work.decide(Input::Synced(sync.clone())).expect("decided");
    let run = assigned.reply.as_ref().and_then(|reply| reply.desired.clone()).expect("a run");
    let (reply, _) = oneshot::channel();
    work.keep(vec![(reply, Ok(assigned))]).expect("it goes on");
    let kept = far.lock().expect("a store").kept.len();
    let busy =
        kiln_wire::Sync { doing: Doing::Running { run: run.run.clone() }, generation: Some(run.generation), ..sync };
    let answer = work.recall(Input::Synced(busy), "it is far").expect("an answer");
    let reply = answer.reply.expect("a reply");
    assert_eq!((reply.desired, reply.basis, answer.events.len()), (Some(run), kiln_wire::Basis::Memory, 0));
    assert!(work.recall(scan("B"), "it is far").is_err_and(|error| matches!(error, DeskError::Away(_))));
    assert_eq!(far.lock().expect("a store").kept.len(), kept);
    assert!(matches!(work.heard.values().next().map(|heard| &heard.doing), Some(Doing::Running { .. })));
}
