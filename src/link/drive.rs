//! The loop around an agent: look, let it decide, carry out, wait.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kiln_agent::{Agent, Being, Effect, Facts, Input, Tick};
use kiln_seal::PublicKey;
use kiln_wire::{
    AgentId, Assignment, Basis, BootId, Digest, Enrol, Enrolled, Generation, Held, NotTaken, RefusedRun, RunId, Sealed,
    Serial, SlotId, Sync, SyncReply, Upgrade, WIRE,
};

use super::client::{CallError, Client};
use super::lists::{Lists, NotKept};
use super::programs::{Fetched, Programs};
use super::spool::{Spool, SpoolError};
use super::supervised::{SOCKET_VARIABLE, WATCHDOG_VARIABLE};

/// How much of a journal or of telemetry is offered in a call.
const PIECE: usize = 256 << 10;
/// How `kiln run` and `kiln resume` end where nothing ran and nothing will as long as what was asked for stays what it is
/// (docs/outputs.md): another serial number, an unknown profile, another node than the run was begun on.
const REFUSES: i32 = 2;
/// How often a run that goes on is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Time and chance, which the edge has.
pub trait Clock {
    /// Time since the agent began.
    fn now(&self) -> Duration;
    fn wait(&self, span: Duration);
    /// A random number in 0..1.
    fn jitter(&self) -> f64;
    /// Tells whoever watches over the agent that it works.
    fn alive(&self) {}
}

/// The program that makes runs.
pub trait Program {
    /// The command that makes the run of an assignment in a folder, held against the list of parts in this file; or why this node
    /// cannot run it.
    fn start(&self, assignment: &Assignment, parts: Option<&Path>, folder: &Path) -> Result<Command, String>;
    /// The command that goes on with a run.
    fn resume(&self, folder: &Path) -> Command;
    /// Tells a person.
    fn tell(&self, text: &str);
}

/// Who the agent is, and when it ends.
#[derive(Debug, Clone)]
pub struct Settings {
    pub boot: BootId,
    pub serial: Option<Serial>,
    /// The slot the node is in, where that is known.
    pub slot: Option<SlotId>,
    pub fresh_id: AgentId,
    /// What the machine says of itself, for the person who approves it.
    pub evidence: BTreeMap<String, String>,
    /// End once nothing more is wanted of the unit, or the agent is held.
    pub once: bool,
    /// Which program it is.
    pub being: Being,
    /// The key that programs must be signed with; None takes what the floor offers.
    pub programs_key: Option<PublicKey>,
}

/// Why an agent ended by itself.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The floor holds all its runs and wants no other.
    Done,
    Held(Held),
    /// Another program counts from now on: the one that runs is to become it.
    Changed,
}

struct Driver<'a> {
    client: Client,
    program: &'a dyn Program,
    clock: &'a dyn Clock,
    id: AgentId,
    settings: Settings,
    spool: Spool,
    programs: Programs,
    lists: Lists,
    child: Option<(RunId, Child)>,
    facts: Facts,
    sealed: BTreeSet<RunId>,
    /// The floor's last answer wanted nothing, and came after everything was sealed.
    unwanted: bool,
    /// Another program counts, and the agent ends to become it.
    changed: bool,
    /// What was told last, so that a floor that is away is told of once.
    told: String,
}

/// Works for a floor until the agent ends by itself, which it does only with `once`.
pub fn drive(
    settings: Settings,
    spool: Spool,
    programs: Programs,
    client: Client,
    program: &dyn Program,
    clock: &dyn Clock,
) -> Result<End, SpoolError> {
    let id = spool.agent_id(settings.fresh_id.clone())?;
    let assignment = spool.assignment()?;
    program.tell(&format!("agent {id}, serial number {}", settings.serial.as_ref().map_or("unknown", Serial::as_str)));
    let (boot, serial, slot) = (settings.boot.clone(), settings.serial.clone(), settings.slot.clone());
    let being = settings.being.clone();
    let mut agent = Agent::new(id.clone(), boot, serial, assignment).in_slot(slot).being(being);
    let (once, lists) = (settings.once, Lists::open(&spool)?);
    let mut driver = Driver {
        client,
        program,
        clock,
        id,
        settings,
        spool,
        programs,
        lists,
        child: None,
        facts: Facts::default(),
        sealed: BTreeSet::new(),
        unwanted: false,
        changed: false,
        told: String::new(),
    };
    loop {
        clock.alive();
        let refused = driver.look()?;
        let mut inputs: VecDeque<Input> = refused.map(Input::Refused).into_iter().collect();
        inputs.push_back(Input::Looked(driver.facts.clone()));
        while let Some(input) = inputs.pop_front() {
            let tick = Tick { now: clock.now(), jitter: clock.jitter() };
            for effect in agent.handle(tick, input) {
                inputs.extend(driver.carry_out(effect)?);
            }
        }
        if driver.changed {
            return Ok(End::Changed);
        }
        if let Some(held) = agent.held() {
            driver.say(&format!("held until a person has looked: {held:?}"));
            if once {
                return Ok(End::Held(held.clone()));
            }
        }
        if let Some(RefusedRun { run, why }) = agent.refused().cloned() {
            driver.say(&format!("run {run} cannot be made here, and is not tried again: {why}"));
            // The floor has heard of it, and holds the unit.
            if once && driver.unwanted {
                return Ok(End::Held(Held::RunRefused { run, why }));
            }
        }
        if once && driver.is_done() {
            return Ok(End::Done);
        }
        let next = agent.wake_at().saturating_sub(clock.now());
        clock.wait(next.clamp(Duration::from_millis(10), LOOK_EVERY));
    }
}

impl Driver<'_> {
    /// Looks at the spool and at the run's process; what that one refused, if it has ended so.
    fn look(&mut self) -> Result<Option<RefusedRun>, SpoolError> {
        let mut refused = None;
        if let Some((run, child)) = &mut self.child {
            match child.try_wait() {
                Ok(None) => {}
                Ok(Some(status)) if status.code() == Some(REFUSES) => {
                    let run = run.clone();
                    refused = Some(RefusedRun { why: self.spool.last_words(&run), run });
                    self.child = None;
                }
                _ => self.child = None,
            }
        }
        let lists = self.lists.here().clone();
        self.facts = Facts { lists, ..self.spool.look(self.child.as_ref().map(|(run, _)| run))? };
        Ok(refused)
    }

    fn is_done(&self) -> bool {
        let sealed = |run: &RunId| self.sealed.contains(run);
        self.unwanted && !self.facts.spool.is_empty() && self.facts.spool.iter().all(|one| sealed(&one.run))
    }

    fn say(&mut self, text: &str) {
        if self.told != text {
            self.program.tell(text);
            text.clone_into(&mut self.told);
        }
    }

    fn carry_out(&mut self, effect: Effect) -> Result<Option<Input>, SpoolError> {
        let input = match effect {
            Effect::Start(assignment) => {
                self.start(&assignment)?;
                return Ok(None);
            }
            Effect::Resume(run) => {
                let command = self.program.resume(&self.spool.run(&run));
                self.spawn(run, command)?;
                return Ok(None);
            }
            Effect::Forget(run) => {
                self.spool.forget(&run)?;
                return Ok(None);
            }
            Effect::Compare { run, position } => {
                match self.spool.reads_same(&run, position) {
                    Ok(same) => Input::Compared { run, position, same },
                    // Trouble of this disk is no fork. The floor names the position again, and then it is compared again.
                    Err(error) => {
                        self.say(&format!("the journal of run {run} cannot be read now: {error}"));
                        return Ok(None);
                    }
                }
            }
            Effect::Sync(sync) => self.sync(&sync),
            Effect::Ship { run, from } => {
                let Ok(lines) = self.spool.lines(&run, from.offset, PIECE) else { return Ok(Some(Input::Unanswered)) };
                match self.client.append(&run, self.generation(&run), from, &lines) {
                    Ok(answer) => Input::Shipped { run, answer },
                    Err(error) if error.is_final() => self.refused(run, &error),
                    Err(error) => self.unanswered(&error),
                }
            }
            Effect::ShipTelemetry { run, from } => {
                let Ok(frames) = self.spool.telemetry(&run, from, PIECE as u64) else {
                    return Ok(Some(Input::Unanswered));
                };
                match self.client.append_telemetry(&run, from, &frames) {
                    Ok(held) => Input::ShippedTelemetry { run, held },
                    Err(error) => self.unanswered(&error),
                }
            }
            Effect::Seal { run } => self.seal(run),
            Effect::FetchList { run, parts } => self.fetch_list(run, &parts),
            Effect::Fetch(upgrade) => self.fetch(&upgrade),
            Effect::Become(upgrade) => return Ok(self.change_to(&upgrade)),
            Effect::Stay => return self.programs.stay().map(|()| None),
            Effect::GoBack => {
                self.program.tell("this program did not reach the floor in time; going back to the one before");
                self.changed = true;
                return self.programs.go_back(NotTaken::FellBack).map(|()| None);
            }
        };
        Ok(Some(input))
    }

    fn fetch(&mut self, upgrade: &Upgrade) -> Input {
        let (client, key) = (&self.client, self.settings.programs_key.as_ref());
        match self.programs.fetch(upgrade, key, |from| client.program(&upgrade.program, from)) {
            Ok(Fetched::Part) => Input::Fetched,
            Ok(Fetched::Whole) => Input::Whole { offer: upgrade.offer },
            Ok(Fetched::Not(why)) => self.not_taken(upgrade, why),
            Err(error) => self.unanswered(&error),
        }
    }

    /// What is not the list that was pinned is told the floor; trouble of the network or of this disk passes.
    fn fetch_list(&mut self, run: RunId, parts: &Digest) -> Input {
        let kept = match self.client.parts(parts) {
            Ok(bytes) => self.lists.keep(parts, &bytes),
            Err(error) => return self.unanswered(&error),
        };
        match kept {
            Ok(()) => Input::Listed(parts.clone()),
            Err(why @ NotKept::OtherList { .. }) => Input::NotListed(RefusedRun { run, why: why.to_string() }),
            Err(why @ NotKept::Io { .. }) => {
                self.say(&why.to_string());
                Input::Unanswered
            }
        }
    }

    fn change_to(&mut self, upgrade: &Upgrade) -> Option<Input> {
        if let Err(error) = self.programs.change_to(upgrade) {
            return Some(self.not_taken(upgrade, NotTaken::Unkept { why: error.to_string() }));
        }
        self.program.tell(&format!("becoming the program {}", upgrade.program));
        self.changed = true;
        None
    }

    fn not_taken(&mut self, upgrade: &Upgrade, why: NotTaken) -> Input {
        self.program.tell(&format!("the program {} is not taken: {why:?}", upgrade.program));
        Input::NotTaken { offer: upgrade.offer, why }
    }

    fn seal(&mut self, run: RunId) -> Input {
        let Some(spooled) = self.facts.spool.iter().find(|spooled| spooled.run == run) else {
            return Input::Unanswered;
        };
        match self.client.sealed(spooled, &self.spool.run(&run)) {
            Ok(answer) => {
                if answer == Sealed::Verified {
                    self.say(&format!("run {run} is at the floor, whole and verified"));
                    self.sealed.insert(run.clone());
                    self.unwanted = false;
                }
                Input::Sealed { run, answer }
            }
            Err(error) => self.unanswered(&error),
        }
    }

    fn sync(&mut self, sync: &Sync) -> Input {
        if let Some(instead) = self.certified_first() {
            return instead;
        }
        match self.client.sync(sync) {
            Ok(reply) => self.synced(reply),
            Err(error) => {
                if error.is_unknown() {
                    self.client.forget();
                }
                self.unanswered(&error)
            }
        }
    }

    /// Asks for a certificate where there is none or it is time to renew it. What comes of it instead of the call, if the
    /// call cannot be made.
    fn certified_first(&mut self) -> Option<Input> {
        let now = self.clock.now();
        if !self.client.wants_certificate(now) {
            return None;
        }
        let Settings { boot, serial, slot, evidence, .. } = self.settings.clone();
        let asked = self.client.request(&self.id).and_then(|request| {
            let Some(request) = request else { return Ok(None) };
            let (agent, version) = (self.id.clone(), Some(env!("CARGO_PKG_VERSION").to_owned()));
            let enrol = Enrol { wire: WIRE, agent, boot, serial, slot, version, request, evidence };
            self.client.enrol(&enrol, now).map(Some)
        });
        match asked {
            Ok(None) => None,
            Ok(Some(Enrolled::Certified { .. })) => {
                self.say("the floor gave this agent a certificate");
                None
            }
            Ok(Some(Enrolled::Pending { code, again })) => {
                self.say(&format!("not approved yet: compare the code {code} with the one on the floor's page /doors"));
                Some(Input::NotYet { again })
            }
            // The one it has may hold for days.
            Err(error) if self.client.has_certificate() && !error.is_unknown() => None,
            Err(error) => {
                if error.is_unknown() {
                    self.client.forget();
                }
                Some(self.unanswered(&error))
            }
        }
    }

    fn synced(&mut self, reply: SyncReply) -> Input {
        "".clone_into(&mut self.told);
        self.sealed.extend(reply.received.iter().filter(|one| one.sealed).map(|one| one.run.clone()));
        self.sealed.extend(reply.set_aside.iter().cloned());
        // A floor that only repeats what it knew does not say that it wants nothing more.
        let wanted = reply.desired.as_ref().is_some_and(|desired| !self.sealed.contains(&desired.run));
        self.unwanted = reply.basis == Basis::Decided && !wanted && reply.upgrade.is_none();
        Input::Answered(reply)
    }

    fn unanswered(&mut self, error: &CallError) -> Input {
        self.say(&error.to_string());
        Input::Unanswered
    }

    /// Bytes that the floor will never take: both sides keep what they have, and a person looks.
    fn refused(&mut self, run: RunId, error: &CallError) -> Input {
        self.say(&error.to_string());
        Input::Sealed { run, answer: Sealed::Refused }
    }

    fn generation(&self, run: &RunId) -> Generation {
        let spooled = self.facts.spool.iter().find(|spooled| spooled.run == *run);
        spooled.map_or_else(Generation::default, |spooled| spooled.generation)
    }

    fn start(&mut self, assignment: &Assignment) -> Result<(), SpoolError> {
        self.spool.keep(assignment)?;
        if let Err(error) = self.spool.clear(&assignment.run) {
            self.say(&error.to_string());
            return Ok(());
        }
        let folder = self.spool.run(&assignment.run);
        self.program.tell(&format!("run {} of {} begins", assignment.run, assignment.profile));
        let parts = assignment.parts.as_ref().map(|parts| self.lists.path(parts));
        match self.program.start(assignment, parts.as_deref(), &folder) {
            Ok(command) => self.spawn(assignment.run.clone(), command),
            Err(why) => {
                self.say(&format!("run {} cannot begin: {why}", assignment.run));
                Ok(())
            }
        }
    }

    /// Starts a process in a group of its own, so that an interrupt from the keyboard ends the agent and not the run. A
    /// process that does not start is seen by its absence, and tried again.
    fn spawn(&mut self, run: RunId, mut command: Command) -> Result<(), SpoolError> {
        let log = self.spool.log(&run)?;
        // What is told to a service manager is of the agent, and a run is none.
        command.env_remove(SOCKET_VARIABLE).env_remove(WATCHDOG_VARIABLE);
        let errors = log.try_clone().map_or_else(|_| Stdio::null(), Stdio::from);
        command.stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0);
        match command.spawn() {
            Ok(child) => self.child = Some((run, child)),
            Err(error) => self.say(&format!("run {run} cannot be started: {error}")),
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "tests_drive.rs"]
mod tests;
