//! The one place where the floor decides: a thread that takes inputs in one order, and keeps their events before it
//! answers. Inputs that came meanwhile share one commit, so that a thousand agents cost a few syncs of the disk.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime};

use kiln_floor::{Answer, Floor, Input, Policy, Refusal, Stamped, Tick};
use kiln_wire::{AgentId, Doing};
use tokio::sync::oneshot;

use super::outlet::Outlet;
use super::store::{Store, StoreError};

/// The most inputs that share a commit.
const TOGETHER: usize = 256;

/// Why an input was not taken.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum DeskError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the floor cannot keep what it decides, so nothing was decided: {0}")]
    Unkept(String),
    #[error("the floor has stopped")]
    Stopped,
}

/// What an agent said last. Not an event: lost with the process, and told again within seconds.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) at: Instant,
    pub(crate) doing: Doing,
}

pub(crate) type AllHeard = BTreeMap<AgentId, Heard>;

/// Told when the thread has ended, with why; without a reason if it panicked.
pub(crate) type Ended = oneshot::Receiver<StoreError>;

type Reply = oneshot::Sender<Result<Answer, DeskError>>;
type Looking = Box<dyn FnOnce(&Floor, &AllHeard) + Send>;

enum Order {
    Tell(Box<Input>, Reply),
    Look(Looking),
}

/// Hands inputs to the thread.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    orders: mpsc::Sender<Order>,
    revision: Arc<AtomicU64>,
}

/// The floor's time: the world's when it began, and from then on a clock that only goes forward, so that a jump of the
/// world's clock neither shortens a ramp nor turns the order of events around.
struct Clock {
    began: Instant,
    anchor: u64,
}

impl Clock {
    /// Not before the last event, whatever the world's clock says now.
    fn after(last: Option<&Stamped>) -> Self {
        Self { began: now(), anchor: micros().max(last.map_or(0, |last| last.at)) }
    }

    fn now(&self) -> u64 {
        self.anchor + now().duration_since(self.began).as_micros() as u64
    }
}

struct Work {
    clock: Clock,
    /// Who drops files for other systems hears of events once they are kept.
    outlets: Vec<mpsc::Sender<Vec<Stamped>>>,
    policy: Policy,
    floor: Floor,
    store: Store,
    heard: AllHeard,
    revision: Arc<AtomicU64>,
}

impl Desk {
    /// Reads the events, and begins. A floor whose desk has ended has ended.
    pub(crate) fn open(policy: Policy, store: Store, outlets: Vec<Outlet>) -> Result<(Self, Ended), StoreError> {
        let events = store.events()?;
        let floor = Floor::of(policy.clone(), &events);
        let clock = Clock::after(events.last());
        let thread = |source| StoreError::Io { path: "thread".into(), source };
        let started = outlets.into_iter().map(|outlet| {
            let (news, heard_of) = mpsc::channel();
            outlet.run(events.clone(), heard_of).map(|()| news)
        });
        let outlets = started.collect::<Result<_, _>>().map_err(thread)?;
        let (orders, arrivals) = mpsc::channel();
        let revision = Arc::new(AtomicU64::new(0));
        let mut work =
            Work { clock, outlets, policy, floor, store, heard: AllHeard::new(), revision: Arc::clone(&revision) };
        let spawned = std::thread::Builder::new().name("desk".to_owned());
        let (tell, ended) = oneshot::channel();
        let thread_of = move || {
            if let Err(error) = work.work(&arrivals) {
                let _ = tell.send(error);
            }
        };
        spawned.spawn(thread_of).map_err(thread)?;
        Ok((Self { orders, revision }, ended))
    }

    /// Gives an input; the answer comes once its events are kept.
    pub(crate) async fn tell(&self, input: Input) -> Result<Answer, DeskError> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(Order::Tell(Box::new(input), reply)).map_err(|_| DeskError::Stopped)?;
        answer.await.unwrap_or(Err(DeskError::Stopped))
    }

    /// Looks at the state.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Floor, &AllHeard) -> T + Send + 'static,
    ) -> Result<T, DeskError> {
        let (reply, answer) = oneshot::channel();
        let looking: Looking = Box::new(move |floor, heard| drop(reply.send(look(floor, heard))));
        self.orders.send(Order::Look(looking)).map_err(|_| DeskError::Stopped)?;
        answer.await.map_err(|_| DeskError::Stopped)
    }

    /// Counts what changed that a page shows.
    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Relaxed)
    }
}

impl Work {
    fn work(&mut self, arrivals: &mpsc::Receiver<Order>) -> Result<(), StoreError> {
        while let Ok(first) = arrivals.recv() {
            let mut looks = Vec::new();
            let mut answers = Vec::new();
            let more = std::iter::from_fn(|| arrivals.try_recv().ok()).take(TOGETHER);
            for order in std::iter::once(first).chain(more) {
                match order {
                    Order::Tell(input, reply) => answers.push((reply, self.decide(*input))),
                    Order::Look(look) => looks.push(look),
                }
            }
            self.keep(answers)?;
            for look in looks {
                look(&self.floor, &self.heard);
            }
        }
        Ok(())
    }

    fn decide(&mut self, input: Input) -> Result<Answer, DeskError> {
        let tick = Tick { now: self.clock.now(), fresh_run: fresh_run() };
        let heard = match &input {
            Input::Synced(sync) => Some((sync.agent.clone(), sync.doing.clone())),
            _ => None,
        };
        let answer = self.floor.handle(&tick, input)?;
        if let Some((agent, doing)) = heard {
            let before = self.heard.insert(agent, Heard { at: now(), doing: doing.clone() });
            if before.is_none_or(|before| before.doing != doing) {
                self.revision.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(answer)
    }

    /// Keeps the events of all answers, then gives these. If they cannot be kept nothing was decided, and the floor is what
    /// it was before. A floor that cannot read back what it kept cannot go on.
    fn keep(&mut self, answers: Vec<(Reply, Result<Answer, DeskError>)>) -> Result<(), StoreError> {
        let events: Vec<Stamped> = answers
            .iter()
            .filter_map(|(_, answer)| answer.as_ref().ok())
            .flat_map(|answer| answer.events.clone())
            .collect();
        let Some(first) = events.first().map(|event| event.seq as usize) else {
            give(answers);
            return Ok(());
        };
        if let Err(error) = self.store.append(&events) {
            let there = self.store.look_again();
            // An error may come after the commit; what is there was decided.
            let is_kept = there.as_ref().is_ok_and(|there| there.get(first..) == Some(&events[..]));
            if !is_kept {
                let why = DeskError::Unkept(error.to_string());
                give(answers.into_iter().map(|(reply, _)| (reply, Err(why.clone()))).collect());
                self.floor = Floor::of(self.policy.clone(), &there?);
                return Ok(());
            }
        }
        self.revision.fetch_add(1, Ordering::Relaxed);
        for outlet in &self.outlets {
            let _ = outlet.send(events.clone());
        }
        give(answers);
        Ok(())
    }
}

/// Answers; who asked may have gone.
fn give(answers: Vec<(Reply, Result<Answer, DeskError>)>) {
    for (reply, answer) in answers {
        let _ = reply.send(answer);
    }
}

#[expect(clippy::disallowed_methods, reason = "the edge reads the clock for the floor")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the edge reads the clock for the floor")]
pub(crate) fn micros() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_micros() as u64
}

fn fresh_run() -> kiln_wire::RunId {
    uuid::Uuid::now_v7().to_string().parse().expect("a UUID is letters, digits and dashes")
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;
    use crate::api::ApiError;

    fn scan(unit: &str) -> Input {
        let unit = unit.parse().expect("a serial");
        Input::Scanned { unit, at: None, slot: None, lot: None, by: "sato".to_owned() }
    }

    #[test]
    fn a_floors_time_does_not_go_back_behind_its_last_event_whatever_the_worlds_clock_says() {
        let a_year = 365 * 24 * 3600 * 1_000_000;
        let stamped = |at| {
            let name = "sato".to_owned();
            Stamped {
                seq: 0,
                at,
                actor: kiln_floor::Actor::Floor,
                event: kiln_floor::FloorEvent::PersonLocked { name },
            }
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
        let store = Store::open(dir.path()).expect("a store");
        let policy = Policy::one_profile("smoke");
        let floor = Floor::of(policy.clone(), &[]);
        let (clock, heard, revision) = (Clock::after(None), AllHeard::new(), Arc::default());
        let mut work = Work { clock, outlets: Vec::new(), policy, floor, store, heard, revision };
        let tell = |work: &mut Work, input: Input| {
            let answer = work.decide(input);
            let (reply, mut told) = oneshot::channel();
            work.keep(vec![(reply, answer)]).expect("it goes on");
            told.try_recv().expect("an answer")
        };
        work.store.has_room_for(0);
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
        work.store.has_room_for(100);
        tell(&mut work, scan("B")).expect("kept");
        assert_eq!(work.floor.state().units.len(), 1);
    }

    #[test]
    fn an_error_after_the_commit_leaves_nobody_out() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open(dir.path()).expect("a store");
        let (policy, (outlet, news)) = (Policy::one_profile("smoke"), mpsc::channel());
        let floor = Floor::of(policy.clone(), &[]);
        let (clock, heard, revision) = (Clock::after(None), AllHeard::new(), Arc::default());
        let mut work = Work { clock, outlets: vec![outlet], policy, floor, store, heard, revision };
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
}
