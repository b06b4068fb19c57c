//! The one place where the floor decides: a thread that takes inputs in one order, and keeps their events before it
//! answers. Inputs that came meanwhile share one commit, so that a thousand agents cost a few syncs of the disk.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant, SystemTime};

use kiln_floor::{Answer, Floor, Input, Policy, Refusal, Stamped, Tick};
use kiln_wire::{AgentId, Basis, Doing};
use tokio::sync::oneshot;

use super::outlet::{Outlet, tell};
use super::store::{Store, StoreError};

/// The most inputs that share a commit.
const TOGETHER: usize = 256;
/// How often a floor that keeps nothing makes sure that it still decides; well within what the database takes for silence.
const BEAT: Duration = Duration::from_secs(5);
/// How often the floor is told that time passes: what is overdue by minutes is told within seconds.
const PASSES: Duration = Duration::from_secs(5);
/// An agent that found the floor away calls again within a minute; until then nobody is overdue for a floor that was away itself.
const ALL_CALL_WITHIN: Duration = Duration::from_secs(60);
/// A floor that hears so late that time passes stood still meanwhile.
const LATE: Duration = Duration::from_secs(2);
/// Between two tries to reach events that are away.
const REACH_AGAIN: Duration = Duration::from_secs(1);

/// Why an input was not taken.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum DeskError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the floor cannot keep what it decides, so nothing was decided: {0}")]
    Unkept(String),
    #[error("the floor cannot reach its events, and decides nothing until it can: {0}")]
    Away(String),
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
type LookingAsLead = Box<dyn FnOnce(Result<Instant, DeskError>, &Floor, &AllHeard) + Send>;

enum Order {
    Tell(Box<Input>, Reply),
    Look(Looking),
    LookAsLead(LookingAsLead),
}

/// What was seen by a floor that led.
#[derive(Debug)]
pub(crate) struct Led<T> {
    pub(crate) seen: T,
    /// It led at some moment after this one, by the word of whoever keeps its events.
    pub(crate) after: Instant,
}

/// Hands inputs to the thread.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    orders: mpsc::Sender<Order>,
    revision: Arc<AtomicU64>,
    away: SharedAway,
}

/// Why the floor's events cannot be reached, while they cannot.
type SharedAway = Arc<Mutex<Option<String>>>;

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
    store: Box<dyn Store>,
    heard: AllHeard,
    revision: Arc<AtomicU64>,
    reach: Reach,
    /// When the floor is told next that time passes.
    pass_at: Instant,
}

/// How the events are reached.
struct Reach {
    /// The floor of what is known to be kept, where events may be away: what is shown then. `Work::floor` may be ahead of it by what was
    /// decided and perhaps not kept.
    settled: Option<Floor>,
    away: SharedAway,
    /// When they were last heard of, or looked for.
    last: Instant,
}

impl Reach {
    fn of(store: &dyn Store, policy: &Policy, events: &[Stamped]) -> Self {
        let settled = store.may_be_away().then(|| Floor::of(policy.clone(), events));
        Self { settled, away: SharedAway::default(), last: now() }
    }

    fn away(&self) -> Option<String> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn say(&self, away: Option<String>) {
        let mut before = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*before, &away) {
            (None, Some(why)) => tell(&format!("{why}; trying again, and deciding nothing meanwhile")),
            (Some(_), None) => tell("the floor's events are reached again"),
            _ => {}
        }
        *before = away;
    }
}

impl Desk {
    /// Reads the events, and begins. A floor whose desk has ended has ended.
    pub(crate) fn open(
        policy: Policy,
        mut store: Box<dyn Store>,
        outlets: Vec<Outlet>,
    ) -> Result<(Self, Ended), StoreError> {
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
        let (heard, reach) = (AllHeard::new(), Reach::of(&*store, &policy, &events));
        let away = Arc::clone(&reach.away);
        let pass_at = now() + if events.is_empty() { PASSES } else { ALL_CALL_WITHIN };
        let mut work =
            Work { clock, outlets, policy, floor, store, heard, revision: Arc::clone(&revision), reach, pass_at };
        let spawned = std::thread::Builder::new().name("desk".to_owned());
        let (tell, ended) = oneshot::channel();
        let thread_of = move || {
            if let Err(error) = work.work(&arrivals) {
                let _ = tell.send(error);
            }
        };
        spawned.spawn(thread_of).map_err(thread)?;
        Ok((Self { orders, revision, away }, ended))
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

    /// Looks at the state once whoever keeps the events has said anew that this floor leads. For what cannot be taken back: a floor that was
    /// paused knows nothing of another one that leads by now.
    pub(crate) async fn look_as_lead<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Floor, &AllHeard) -> T + Send + 'static,
    ) -> Result<Led<T>, DeskError> {
        let (reply, answer) = oneshot::channel();
        let looking: LookingAsLead = Box::new(move |leads, floor, heard| {
            let _ = reply.send(leads.map(|after| Led { seen: look(floor, heard), after }));
        });
        self.orders.send(Order::LookAsLead(looking)).map_err(|_| DeskError::Stopped)?;
        answer.await.unwrap_or(Err(DeskError::Stopped))
    }

    /// Why the floor cannot reach its events, while it cannot. What it shows then is what it knew before.
    pub(crate) fn away(&self) -> Option<String> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts what changed that a page shows.
    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Relaxed)
    }
}

impl Work {
    fn work(&mut self, arrivals: &mpsc::Receiver<Order>) -> Result<(), StoreError> {
        loop {
            let wait = self.pass_at.saturating_duration_since(now()).min(BEAT);
            let first = match arrivals.recv_timeout(wait) {
                Ok(first) => first,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    self.mind()?;
                    self.pass()?;
                    continue;
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(()),
            };
            self.mind()?;
            self.pass()?;
            let away = self.reach.away();
            let (mut looks, mut looks_as_lead) = (Vec::new(), Vec::new());
            let mut answers = Vec::new();
            let more = std::iter::from_fn(|| arrivals.try_recv().ok()).take(TOGETHER);
            for order in std::iter::once(first).chain(more) {
                match order {
                    Order::Tell(input, reply) => {
                        let answer = match &away {
                            Some(why) => self.recall(*input, why),
                            None => self.decide(*input),
                        };
                        answers.push((reply, answer));
                    }
                    Order::Look(look) => looks.push(look),
                    Order::LookAsLead(look) => looks_as_lead.push(look),
                }
            }
            self.keep(answers)?;
            let away = self.reach.away().is_some();
            let shown = self.reach.settled.as_ref().filter(|_| away).unwrap_or(&self.floor);
            for look in looks {
                look(shown, &self.heard);
            }
            for look in looks_as_lead {
                let leads = self.lead()?;
                look(leads, &self.floor, &self.heard);
            }
        }
    }

    /// Asks whether this floor leads: after which moment it did. An error is the floor's end.
    fn lead(&mut self) -> Result<Result<Instant, DeskError>, StoreError> {
        let after = now();
        if self.reach.away().is_none() {
            let beat = self.store.beat();
            self.reach.last = now();
            self.unless_away(beat)?;
        }
        Ok(self.reach.away().map_or(Ok(after), |why| Err(DeskError::Away(why))))
    }

    /// Asks from time to time whether this floor still decides, and looks for its events while they are away.
    fn mind(&mut self) -> Result<(), StoreError> {
        let (away, since) = (self.reach.away().is_some(), now().duration_since(self.reach.last));
        if since < if away { REACH_AGAIN } else { BEAT } {
            return Ok(());
        }
        let done = if away { self.catch_up().map(drop) } else { self.store.beat() };
        self.reach.last = now();
        self.unless_away(done)
    }

    /// Tells the floor from time to time that time passes, while it can decide.
    fn pass(&mut self) -> Result<(), StoreError> {
        let since = now().checked_duration_since(self.pass_at);
        let Some(late) = since else { return Ok(()) };
        // It was stopped, or its events are away.
        if late > LATE || self.reach.away().is_some() {
            self.pass_at = now() + ALL_CALL_WITHIN;
            return Ok(());
        }
        self.pass_at = now() + PASSES;
        let answer = self.decide(Input::TimePassed);
        // Nobody waits for an answer.
        let (reply, _) = oneshot::channel();
        self.keep(vec![(reply, answer)])
    }

    /// Notes that the events are away; every other error is the floor's end.
    fn unless_away(&mut self, done: Result<(), StoreError>) -> Result<(), StoreError> {
        match done {
            Err(error) if error.is_away() => {
                self.reach.say(Some(error.to_string()));
                Ok(())
            }
            other => other,
        }
    }

    /// The events as they are there, and the floor as they left it; what was kept unheard of is told on.
    fn catch_up(&mut self) -> Result<Vec<Stamped>, StoreError> {
        let there = self.store.look_again()?;
        let known = self.reach.settled.as_ref().map_or(0, Floor::events);
        let unheard = there.get(known as usize..).unwrap_or_default();
        if self.reach.settled.is_some() && !unheard.is_empty() {
            self.told_on(unheard);
        }
        self.floor = Floor::of(self.policy.clone(), &there);
        self.reach.say(None);
        Ok(there)
    }

    /// Events that are kept, for whoever follows them.
    fn told_on(&mut self, events: &[Stamped]) {
        if let Some(settled) = &mut self.reach.settled {
            for event in events {
                settled.follow(event);
            }
        }
        self.revision.fetch_add(1, Ordering::Relaxed);
        for outlet in &self.outlets {
            let _ = outlet.send(events.to_vec());
        }
    }

    fn decide(&mut self, input: Input) -> Result<Answer, DeskError> {
        let tick = Tick { now: self.clock.now(), fresh_run: fresh_run() };
        let heard = match &input {
            Input::Synced(sync) => Some((sync.agent.clone(), sync.doing.clone())),
            _ => None,
        };
        let answer = self.floor.handle(&tick, input)?;
        // A call of an earlier boot that came late says nothing of now.
        let is_late = answer.reply.as_ref().is_some_and(|reply| reply.basis == Basis::Memory);
        if let Some((agent, doing)) = heard.filter(|_| !is_late) {
            self.hear(agent, doing);
        }
        Ok(answer)
    }

    /// Answers while the events are away. An agent is told what it says itself and what is known to be kept, so that its run goes
    /// on as it would have; whatever would be a decision waits.
    fn recall(&mut self, input: Input, why: &str) -> Result<Answer, DeskError> {
        let (Input::Synced(sync), Some(settled)) = (input, &self.reach.settled) else {
            return Err(DeskError::Away(why.to_owned()));
        };
        let reply = Some(settled.recall(&sync)?);
        self.hear(sync.agent, sync.doing);
        Ok(Answer { events: Vec::new(), reply })
    }

    fn hear(&mut self, agent: AgentId, doing: Doing) {
        let is_news = self.heard.get(&agent).is_none_or(|before| before.doing != doing);
        self.heard.insert(agent, Heard { at: now(), doing });
        if is_news {
            self.revision.fetch_add(1, Ordering::Relaxed);
        }
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
        self.reach.last = now();
        let Err(error) = self.store.append(&events) else {
            self.told_on(&events);
            give(answers);
            return Ok(());
        };
        // An error may come after the commit; what is there was decided.
        match self.catch_up() {
            Ok(there) if there.get(first..) == Some(&events[..]) => {
                if self.reach.settled.is_none() {
                    self.told_on(&events);
                }
                give(answers);
                Ok(())
            }
            // The way there was lost and found again, and nobody decided anything meanwhile.
            Ok(there) if error.is_away() && there.len() == first && self.store.append(&events).is_ok() => {
                for event in &events {
                    self.floor.follow(event);
                }
                self.told_on(&events);
                give(answers);
                Ok(())
            }
            looked => {
                let why = match &looked {
                    Err(away) if away.is_away() => DeskError::Away(away.to_string()),
                    _ => DeskError::Unkept(error.to_string()),
                };
                give(answers.into_iter().map(|(reply, _)| (reply, Err(why.clone()))).collect());
                self.unless_away(looked.map(drop))
            }
        }
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
#[path = "tests_desk.rs"]
mod tests;
