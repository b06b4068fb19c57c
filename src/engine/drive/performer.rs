//! What both drivers share: carrying out effects, feeding back what comes of them, until nothing is left to do now.

use crate::{Arrivals, Dut, Effect, Machine, OperatorReply, RunInput, RunTick, Witness};
use kiln_event::RunFailure;
use kiln_model::{Moment, RestartRefusal, Restarting, Text};

/// What went wrong with a run for reasons of our own.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The journal or another witness could not write; the run was stopped.
    #[error("the run could not be recorded and was stopped")]
    Witness(#[source] std::io::Error),
}

/// Answers what the operator is asked.
pub trait Operator {
    /// Shows the prompt and waits for the answer; `None` if nobody can be asked.
    fn ask(&mut self, prompt: &Text) -> Option<OperatorReply>;
}

/// The machine with the world around it.
pub(super) struct Performer<'a, 'm> {
    pub machine: &'a mut Machine<'m>,
    pub dut: &'a mut dyn Dut,
    witness: &'a mut dyn Witness,
    arrivals: Arrivals,
    effects: Vec<Effect>,
    /// The deadline in force.
    pub deadline: Option<Moment>,
    /// A prompt waiting for an answer.
    pub asked: Option<Text>,
    /// What the node said to the order to start anew.
    restart_said: Option<Result<Restarting, RestartRefusal>>,
    pub finished: bool,
}

impl<'a, 'm> Performer<'a, 'm> {
    pub(super) fn new(machine: &'a mut Machine<'m>, dut: &'a mut dyn Dut, witness: &'a mut dyn Witness) -> Self {
        let mut effects = Vec::new();
        machine.begin(&mut effects);
        Self {
            machine,
            dut,
            witness,
            arrivals: Arrivals::default(),
            effects,
            deadline: None,
            asked: None,
            restart_said: None,
            finished: false,
        }
    }

    /// Hands one input to the machine and does everything that follows from it now.
    pub(super) fn feed(&mut self, tick: RunTick, input: RunInput<'_>) -> Result<(), DriveError> {
        self.machine.handle(tick, input, &mut self.effects);
        self.settle(tick)
    }

    /// Carries out effects and takes in what comes of them, until there is nothing more to do at this moment.
    pub(super) fn settle(&mut self, tick: RunTick) -> Result<(), DriveError> {
        loop {
            if let Err(error) = self.perform(tick) {
                // The machine is told so that loads are stopped; what it wants recorded can no longer be.
                self.machine.fail(tick, RunFailure::from(&error), &mut self.effects);
                let effects = std::mem::take(&mut self.effects);
                for effect in effects {
                    if let Effect::StopLoad(load, how) = effect {
                        self.dut.stop_load(tick.now, load, how);
                    }
                }
                self.finished = true;
                return Err(DriveError::Witness(error));
            }
            if self.finished {
                return Ok(());
            }
            if let Some(said) = self.restart_said.take() {
                self.machine.handle(tick, RunInput::RestartSaid(said), &mut self.effects);
                continue;
            }
            self.dut.collect(tick.now, &mut self.arrivals);
            if self.arrivals.is_empty() {
                return Ok(());
            }
            self.take_in(tick);
        }
    }

    fn take_in(&mut self, tick: RunTick) {
        let mut arrivals = std::mem::take(&mut self.arrivals);
        // Sources and log first: a GPU that is gone says why there before its readings fail, and the first step may be one
        // that looks at the log. What comes before the run has begun is kept until it has.
        for report in arrivals.sources.drain(..) {
            self.machine.handle(tick, RunInput::SourceTold(report), &mut self.effects);
        }
        for record in arrivals.kernel.drain(..) {
            self.machine.handle(tick, RunInput::KernelLogged(record), &mut self.effects);
        }
        for read in arrivals.inventories.drain(..) {
            self.machine.handle(tick, RunInput::InventoryRead(read), &mut self.effects);
        }
        for sample in &arrivals.samples {
            self.witness.sample(sample);
            self.machine.handle(tick, RunInput::Sampled(sample), &mut self.effects);
        }
        arrivals.samples.clear();
        for report in arrivals.loads.drain(..) {
            self.machine.handle(tick, RunInput::LoadSaid(report), &mut self.effects);
        }
        for (probe, answer) in arrivals.answers.drain(..) {
            self.machine.handle(tick, RunInput::Answered(probe, answer), &mut self.effects);
        }
        self.arrivals = arrivals;
    }

    fn perform(&mut self, tick: RunTick) -> std::io::Result<()> {
        let mut unsynced = false;
        let mut effects = std::mem::take(&mut self.effects);
        let mut done = Ok(());
        for effect in effects.drain(..) {
            if done.is_err() {
                break;
            }
            if let Effect::Record(envelope) = &effect {
                done = self.witness.event(envelope, self.machine.record());
                unsynced = true;
                continue;
            }
            // Durable before done: nothing is put on a GPU before the journal knows.
            if std::mem::take(&mut unsynced) {
                done = self.witness.sync(self.machine.record());
            }
            if done.is_ok() {
                self.act(tick, effect);
            }
        }
        if unsynced && done.is_ok() {
            done = self.witness.sync(self.machine.record());
        }
        effects.clear();
        self.effects = effects;
        done
    }

    fn act(&mut self, tick: RunTick, effect: Effect) {
        let now = tick.now;
        match &effect {
            Effect::Sample | Effect::Arm(_) => tracing::trace!(at = %now, ?effect),
            Effect::Record(_) => {}
            _ => tracing::debug!(at = %now, ?effect),
        }
        match effect {
            Effect::Record(_) => {}
            Effect::ReadInventory => self.dut.read_inventory(now),
            Effect::Sample => self.dut.sample(now),
            Effect::Ask(probe) => self.dut.ask(now, probe),
            Effect::StartLoad(order) => self.dut.start_load(now, &order),
            Effect::StopLoad(load, how) => self.dut.stop_load(now, load, how),
            Effect::Arm(at) => self.deadline = Some(at),
            Effect::AskOperator(prompt) => self.asked = Some(prompt),
            Effect::Restart(how) => self.restart_said = Some(self.dut.restart(now, how)),
            Effect::Finish => self.finished = true,
        }
    }

    /// The next moment at which something is to be done.
    pub(super) fn next_moment(&self) -> Option<Moment> {
        match (self.deadline, self.dut.next_arrival()) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        }
    }
}
