//! The machine: what is wanted, what runs, and when to call.

use std::collections::BTreeSet;
use std::time::Duration;

use kiln_wire::{
    AgentId, Appended, Assignment, BootId, Digest, Doing, Held, NotTaken, Position, RefusedRun, RunId, Sealed, Serial,
    SlotId, Spooled, Sync, SyncReply, Upgrade, WIRE,
};

use super::patience::pause;
use super::shipping::Shipping;
use super::upgrading::{Being, Upgrading};

/// How often a run is started in vain before a person must look. A start that fails for a passing reason, such as a
/// driver that is still loading after a boot, has minutes to pass.
const TRIES: u32 = 5;
/// Between two tries to start a run.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// The moment of an input.
#[derive(Debug, Clone, Copy)]
pub struct Tick {
    /// Time since the agent began, on a clock that only goes forward.
    pub now: Duration,
    /// A random number in 0..1, so that a thousand agents do not call at once after an outage.
    pub jitter: f64,
}

/// What the adapter sees when it looks at the node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// Every run in the spool.
    pub spool: Vec<Spooled>,
    /// The run whose process is alive, whoever started it.
    pub running: Option<RunId>,
    /// Runs whose journals have a line that is none. What lies before it is still evidence.
    pub damaged: Vec<RunId>,
    /// Runs whose journals end in the order to start the node anew.
    pub restarting: Vec<RunId>,
    /// Parts lists of units that are whole in the spool, by their digests.
    pub lists: BTreeSet<Digest>,
}

/// What can happen to an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The adapter has looked. Given first after a start, then whenever something may have changed.
    Looked(Facts),
    /// The floor answered.
    Answered(SyncReply),
    Shipped {
        run: RunId,
        answer: Appended,
    },
    ShippedTelemetry {
        run: RunId,
        held: u64,
    },
    Sealed {
        run: RunId,
        answer: Sealed,
    },
    /// A parts list is here, and is what it should be.
    Listed(Digest),
    /// What the floor gave for a parts list is none of the run's.
    NotListed(RefusedRun),
    /// A piece of the program that was offered is here.
    Fetched,
    /// All of it is here, and is what it should be.
    Whole {
        offer: u64,
    },
    /// The agent cannot become it.
    NotTaken {
        offer: u64,
        why: NotTaken,
    },
    /// No answer came to the call that was under way.
    Unanswered,
    /// The floor is there, and a person has yet to approve this agent.
    NotYet {
        again: Duration,
    },
    /// The process of a run ended and said that it makes nothing of it: wrong usage, another node, no such profile.
    Refused(RefusedRun),
    /// Whether the agent's own journal reads the same at a position that the floor named.
    Compared {
        run: RunId,
        position: Position,
        same: bool,
    },
    /// A person has looked at what the agent was held for.
    Freed,
}

/// What the adapter is to do. At most one call to the floor is under way at any time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    Sync(Sync),
    /// Write the assignment to the spool, durably, then start its run.
    Start(Assignment),
    /// Go on with a run that was cut short.
    Resume(RunId),
    /// Take the assignment of this run out of the spool, durably: tried again later, its power may be another's by then.
    Forget(RunId),
    /// Offer whole lines of the journal from here on.
    Ship {
        run: RunId,
        from: Position,
    },
    ShipTelemetry {
        run: RunId,
        from: u64,
    },
    Seal {
        run: RunId,
    },
    /// Say whether the journal has, at this offset, the end of a line with this chain value.
    Compare {
        run: RunId,
        position: Position,
    },
    /// Fetch the parts list that a run is to be held against.
    FetchList {
        run: RunId,
        parts: Digest,
    },
    /// Fetch the next piece of a program, and look at the whole once it is there.
    Fetch(Upgrade),
    /// Be this program from now on, which is whole in the spool.
    Become(Upgrade),
    /// The program that was just become reaches the floor: note that it stays.
    Stay,
    /// It does not: be the one before again.
    GoBack,
}

/// An agent.
#[derive(Debug)]
pub struct Agent {
    id: AgentId,
    boot: BootId,
    serial: Option<Serial>,
    slot: Option<SlotId>,
    /// What was last wanted; survives the agent's own end in the spool.
    assignment: Option<Assignment>,
    held: Option<Held>,
    facts: Facts,
    shipping: Shipping,
    upgrading: Upgrading,
    calling: bool,
    unanswered: u32,
    /// How far the floor was in its last answer.
    heard: Option<u64>,
    call_at: Duration,
    tries: u32,
    try_at: Duration,
    /// How far the journal of the assigned run was when it was last looked at.
    seen: u64,
    /// What its process said when it last refused it; the second time in the same words it is not tried again.
    refusal: Option<RefusedRun>,
    refused: bool,
    /// What is still to be taken out of the spool.
    forgets: Option<RunId>,
    /// Where the journal of a run ended that asked for a restart, when it was last gone on with.
    returned_at: Option<Position>,
    /// The run that another program was assigned and that a person had given up.
    given_up: Option<RunId>,
}

impl Agent {
    /// An agent that has just begun, with the assignment that lies in its spool, if one does.
    pub fn new(id: AgentId, boot: BootId, serial: Option<Serial>, assignment: Option<Assignment>) -> Self {
        Self {
            id,
            boot,
            serial,
            slot: None,
            assignment,
            held: None,
            facts: Facts::default(),
            shipping: Shipping::default(),
            upgrading: Upgrading::default(),
            calling: false,
            unanswered: 0,
            heard: None,
            call_at: Duration::ZERO,
            tries: 0,
            try_at: Duration::ZERO,
            seen: 0,
            refusal: None,
            refused: false,
            forgets: None,
            returned_at: None,
            given_up: None,
        }
    }

    /// The same agent, which knows the slot it is in.
    #[must_use]
    pub fn in_slot(mut self, slot: Option<SlotId>) -> Self {
        self.slot = slot;
        self
    }

    /// The same agent, which knows what program it is and can become another.
    #[must_use]
    pub fn being(mut self, being: Being) -> Self {
        self.upgrading = Upgrading::of(being);
        self
    }

    /// Takes in what happened and returns what is to be done about it.
    pub fn handle(&mut self, tick: Tick, input: Input) -> Vec<Effect> {
        self.take(tick, input);
        let mut effects = Vec::new();
        // Before the floor hears of it.
        effects.extend(self.forgets.take().map(Effect::Forget));
        effects.extend(self.upgrading.end_of_trial(tick.now));
        if self.held.is_none() {
            effects.extend(self.converge(tick.now));
        }
        if self.may_change() && !self.calling {
            effects.extend(self.upgrading.become_it());
        }
        effects.extend(self.shipping.take_comparison());
        if !self.calling
            && let Some(call) = self.call(tick.now)
        {
            self.calling = true;
            effects.push(call);
        }
        effects
    }

    /// When the adapter should look again though nothing has happened.
    pub fn wake_at(&self) -> Duration {
        // What it lacks is fetched by a call.
        let waits_for_list = self.lacks_list().is_some() && (self.calling || self.unanswered > 0);
        let trying = (self.wants_a_start() && !waits_for_list).then_some(self.try_at);
        let trial = self.upgrading.being().trial_until;
        // What comes of a call that is under way is heard of by itself.
        let call = (!self.calling).then_some(self.call_at);
        trying.into_iter().chain(trial).chain(call).min().unwrap_or(Duration::MAX)
    }

    pub const fn held(&self) -> Option<&Held> {
        self.held.as_ref()
    }

    /// The assigned run, if its process refuses it and it is not tried again.
    pub fn refused(&self) -> Option<&RefusedRun> {
        let assigned = self.assignment.as_ref().map(|assignment| &assignment.run);
        self.refusal.as_ref().filter(|refusal| self.refused && Some(&refusal.run) == assigned)
    }

    fn take(&mut self, tick: Tick, input: Input) {
        match input {
            Input::Looked(facts) => {
                let damaged = facts.damaged.iter().find(|run| !self.shipping.is_aside(run));
                if let Some(run) = damaged.filter(|_| self.held.is_none()) {
                    self.held = Some(Held::Unverified { run: run.clone() });
                }
                self.facts = facts;
                self.got_on();
                self.came_back(tick.now);
            }
            Input::Answered(reply) => self.answered(tick, reply),
            Input::Shipped { run, answer } => {
                self.got_through();
                let (Appended::Here(position) | Appended::Elsewhere(position)) = answer;
                self.shipping.floor_is_at(&run, position, matches!(answer, Appended::Here(_)));
            }
            Input::ShippedTelemetry { run, held } => {
                self.got_through();
                self.shipping.telemetry_is_at(&run, held);
            }
            Input::Sealed { run, answer } => {
                self.got_through();
                match answer {
                    Sealed::Verified => self.shipping.sealed(&run),
                    Sealed::Incomplete(received) => self.shipping.received(&received),
                    Sealed::Refused => self.held = Some(Held::Unverified { run }),
                }
            }
            Input::Listed(parts) => {
                self.got_through();
                self.facts.lists.insert(parts);
            }
            Input::NotListed(refusal) => {
                self.got_through();
                self.try_at = tick.now + TRY_AGAIN;
                self.is_refused(tick.now, refusal);
            }
            Input::Fetched => self.got_through(),
            Input::Whole { offer } => {
                self.got_through();
                self.upgrading.whole(offer);
            }
            Input::NotTaken { offer, why } => {
                self.got_through();
                self.upgrading.not_taken(offer, why);
                // The floor hears of it at once.
                self.call_at = tick.now;
            }
            Input::Unanswered => {
                self.calling = false;
                self.call_at = tick.now + pause(self.unanswered, tick.jitter);
                self.unanswered += 1;
            }
            Input::NotYet { again } => {
                self.calling = false;
                // Nothing is offered to a floor that does not know the agent.
                self.unanswered = self.unanswered.max(1);
                self.call_at = tick.now + again;
            }
            Input::Refused(refusal) => self.is_refused(tick.now, refusal),
            Input::Compared { run, position, same: true } => self.shipping.agree(&run, position),
            Input::Compared { run, same: false, .. } => self.held = Some(Held::ForkedJournal { run }),
            Input::Freed => self.go_on(),
        }
    }

    /// The run cannot be made. What is said twice in the same words is not tried again.
    fn is_refused(&mut self, now: Duration, refusal: RefusedRun) {
        self.refused = self.refusal.as_ref() == Some(&refusal);
        if self.refused {
            self.forgets = Some(refusal.run.clone());
            // The floor hears of it at once.
            self.call_at = now;
        }
        self.refusal = Some(refusal);
    }

    /// Forgets what it was held for. Whatever still is so holds it again.
    fn go_on(&mut self) {
        if let Some(Held::OtherProgram { run, .. }) = self.held.take() {
            self.given_up = Some(run);
        }
        self.tries = 0;
        // Whether it is tried again is the floor's to say, which may have given its power to others.
        if self.refused().is_some() {
            self.assignment = None;
        }
        (self.refusal, self.refused) = (None, false);
        self.shipping.compare_again();
    }

    /// A run whose journal grows was not started in vain. That a process is alive says nothing: one that ends without a line
    /// was alive as well.
    fn got_on(&mut self) {
        let run = self.assignment.as_ref().map(|assignment| &assignment.run);
        let journal = run.and_then(|run| self.spooled(run)).map_or(0, |spooled| spooled.journal.offset);
        if journal > self.seen {
            self.tries = 0;
        }
        self.seen = journal;
    }

    fn got_through(&mut self) {
        self.calling = false;
        self.unanswered = 0;
    }

    fn answered(&mut self, tick: Tick, reply: SyncReply) {
        self.got_through();
        if reply.let_go {
            self.go_on();
        }
        self.heard = reply.mark.or(self.heard);
        self.call_at = tick.now + reply.poll_after;
        self.upgrading.answered(&reply);
        self.shipping.set_aside(&reply.set_aside);
        self.shipping.received_all(&reply.received);
        let newer = |desired: &Assignment| {
            self.assignment.as_ref().is_none_or(|own| own.unit != desired.unit || own.generation < desired.generation)
        };
        // While a run is on, only its end makes room for the next: the floor cannot stop one by wanting another.
        if self.facts.running.is_none()
            && let Some(desired) = reply.desired.filter(newer)
        {
            self.assignment = Some(desired);
            (self.tries, self.try_at) = (0, tick.now);
        }
    }

    fn spooled(&self, run: &RunId) -> Option<&Spooled> {
        self.facts.spool.iter().find(|spooled| spooled.run == *run)
    }

    fn wants_a_start(&self) -> bool {
        let ended = |run: &RunId| self.spooled(run).is_some_and(|spooled| spooled.ended);
        // A damaged journal cannot be gone on with, and must not be begun anew.
        let given_up = |run: &RunId| self.given_up.as_ref() == Some(run);
        let done = |run: &RunId| ended(run) || self.facts.damaged.contains(run) || given_up(run);
        self.held.is_none()
            && self.refused().is_none()
            && self.facts.running.is_none()
            && self.assignment.as_ref().is_some_and(|assignment| !done(&assignment.run))
    }

    fn has_begun(&self, run: &RunId) -> bool {
        // A journal that has no whole line is no run yet.
        self.spooled(run).is_some_and(|spooled| spooled.journal.offset > 0)
    }

    /// The assigned run and the parts list that it lacks to begin. One that has begun has it in its journal.
    fn lacks_list(&self) -> Option<(&RunId, &Digest)> {
        let assignment = self.assignment.as_ref()?;
        let parts = assignment.parts.as_ref().filter(|parts| !self.facts.lists.contains(parts))?;
        (!self.has_begun(&assignment.run)).then_some((&assignment.run, parts))
    }

    /// A run that ended with its node, as a step of it asked, was not begun in vain, and goes on at once. One that cannot yet,
    /// since the node is still on its way down, is tried again as others are, for as long as its journal ends so.
    fn came_back(&mut self, now: Duration) {
        let Some(run) = self.assignment.as_ref().map(|assignment| &assignment.run) else { return };
        if !self.facts.restarting.contains(run) {
            return;
        }
        self.tries = 0;
        let ends = self.spooled(run).map(|spooled| spooled.journal);
        if self.facts.running.is_none() && ends != self.returned_at {
            (self.returned_at, self.try_at) = (ends, now);
        }
    }

    /// Whether nothing that goes on or is about to begin would be made by two programs.
    fn may_change(&self) -> bool {
        self.held.is_none() && self.facts.running.is_none() && !self.wants_a_start()
    }

    /// Starts or resumes what is wanted and is not so.
    fn converge(&mut self, now: Duration) -> Option<Effect> {
        if !self.wants_a_start() || now < self.try_at {
            return None;
        }
        let assignment = self.assignment.clone()?;
        let own = self.upgrading.being().program.clone();
        if let (Some(assigned), Some(own)) = (assignment.program.clone(), own)
            && assigned != own
        {
            self.held = Some(Held::OtherProgram { run: assignment.run, assigned, own });
            return None;
        }
        if self.lacks_list().is_some() {
            return None;
        }
        if self.tries == TRIES {
            self.held = Some(Held::WillNotStart { run: assignment.run, tries: TRIES });
            return None;
        }
        self.tries += 1;
        self.try_at = now + TRY_AGAIN;
        Some(if self.has_begun(&assignment.run) { Effect::Resume(assignment.run) } else { Effect::Start(assignment) })
    }

    /// The one call to make now, if any: the floor hears of the node first, then gets what it lacks.
    fn call(&mut self, now: Duration) -> Option<Effect> {
        if now >= self.call_at {
            return Some(Effect::Sync(self.sync()));
        }
        // A floor that does not answer is not offered bytes either.
        if self.unanswered > 0 {
            return None;
        }
        if let Some((run, parts)) = self.lacks_list().filter(|_| self.wants_a_start() && now >= self.try_at) {
            return Some(Effect::FetchList { run: run.clone(), parts: parts.clone() });
        }
        let program = || self.upgrading.fetch().filter(|_| self.may_change());
        self.shipping.next(&self.facts.spool).or_else(program)
    }

    fn sync(&self) -> Sync {
        let doing = match (&self.held, &self.facts.running) {
            (Some(held), _) => Doing::Held(held.clone()),
            (None, Some(run)) => Doing::Running { run: run.clone() },
            (None, None) => Doing::Idle,
        };
        Sync {
            wire: WIRE,
            agent: self.id.clone(),
            boot: self.boot.clone(),
            serial: self.serial.clone(),
            doing,
            generation: self.assignment.as_ref().map(|assignment| assignment.generation),
            spool: self.facts.spool.clone(),
            slot: self.slot.clone(),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            program: self.upgrading.being().program.clone(),
            declined: self.upgrading.being().declined.clone(),
            refused: self.refused().cloned(),
            heard: self.heard,
        }
    }
}
