//! What the machine takes in and gives out, and what it needs of the world: the traits adapters implement.

use kiln_event::{Envelope, RunRecord};
use kiln_model::{
    Answer, Inventory, KernelRecord, LoadId, LoadOrder, LoadReport, Moment, Probe, Restart, RestartRefusal, Restarting,
    Sample, SourceReport, StopHow, Text, WallTime,
};

/// The time at which an input is handed over, on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunTick {
    pub now: Moment,
    pub wall: WallTime,
}

/// Something the machine must know.
#[derive(Debug)]
pub enum RunInput<'a> {
    InventoryRead(Result<Box<Inventory>, String>),
    Sampled(&'a Sample),
    LoadSaid(LoadReport),
    Answered(Probe, Answer),
    KernelLogged(KernelRecord),
    SourceTold(SourceReport),
    /// The deadline armed last has come.
    DeadlineReached,
    OperatorAnswered(OperatorReply),
    /// Nobody can be asked: no terminal, or the station says so.
    OperatorUnavailable,
    /// What the node says to the order to start anew.
    RestartSaid(Result<Restarting, RestartRefusal>),
    Signalled(Signal),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorReply {
    pub yes: bool,
    pub comment: Option<String>,
}

/// Which interrupt it is: first graceful, second kills loads, third leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    First,
    Second,
    Third,
}

/// Something the machine wants done. Effects are carried out in order; a `Record` is durable before any later effect.
#[derive(Debug)]
pub enum Effect {
    Record(Box<Envelope>),
    ReadInventory,
    /// Read every sensor of every GPU now.
    Sample,
    Ask(Probe),
    StartLoad(LoadOrder),
    StopLoad(LoadId, StopHow),
    /// Call back with `DeadlineReached` at this moment; replaces the deadline armed before.
    Arm(Moment),
    AskOperator(Text),
    /// Start the node anew. What comes of it is asked for at once.
    Restart(Restart),
    /// The run is over; nothing follows.
    Finish,
}

/// Who listens to a run: journal, console, telemetry.
///
/// `record` is the machine's own, so that nobody has to keep a second one. It may be ahead: it holds the events of this
/// moment that are still to be handed over.
pub trait Witness {
    /// An event happened. Returning an error stops the run in order: a journal that cannot be written is our trouble.
    fn event(&mut self, envelope: &Envelope, record: &RunRecord) -> std::io::Result<()>;

    /// A sample arrived.
    fn sample(&mut self, sample: &Sample);

    /// Everything up to here must survive a power cut before anything else is done.
    fn sync(&mut self, record: &RunRecord) -> std::io::Result<()> {
        let _ = record;
        Ok(())
    }
}
