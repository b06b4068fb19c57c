//! The device under test as the engine sees it: what it can be asked for, and what has come in from it.
//!
//! Real nodes, simulated nodes and recordings each implement it, so it lies below all of them and knows none.

use super::{
    Answer, Inventory, KernelRecord, LoadId, LoadOrder, LoadReport, Moment, Probe, Restart, RestartRefusal, Restarting,
    Sample, SourceReport, StopHow,
};

/// What has come in from the world since the last look.
#[derive(Debug, Default)]
pub struct Arrivals {
    /// Samples; the vector's capacity is reused.
    pub samples: Vec<Sample>,
    pub inventories: Vec<Result<Box<Inventory>, String>>,
    pub loads: Vec<LoadReport>,
    pub answers: Vec<(Probe, Answer)>,
    pub kernel: Vec<KernelRecord>,
    pub sources: Vec<SourceReport>,
}

impl Arrivals {
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
            && self.inventories.is_empty()
            && self.loads.is_empty()
            && self.answers.is_empty()
            && self.kernel.is_empty()
            && self.sources.is_empty()
    }
}

/// Asks and drives the device under test: the node together with the loads that can be put on it, as one thing.
///
/// Requests return at once; what comes of them appears in the arrivals, at once or later.
pub trait Dut {
    fn read_inventory(&mut self, now: Moment);
    fn sample(&mut self, now: Moment);
    fn ask(&mut self, now: Moment, probe: Probe);
    fn start_load(&mut self, now: Moment, order: &LoadOrder);
    fn stop_load(&mut self, now: Moment, load: LoadId, how: StopHow);

    /// Has the node start anew. What nobody can start anew says so.
    fn restart(&mut self, now: Moment, how: Restart) -> Result<Restarting, RestartRefusal> {
        let _ = (now, how);
        Err(RestartRefusal::NotOffered)
    }

    /// Moves everything that has come in by `now` into the arrivals.
    fn collect(&mut self, now: Moment, arrivals: &mut Arrivals);

    /// When something will come in without being asked for, as far as that is known: a load that will end, say. A
    /// driver of real time also looks whenever [`Dut::on_arrival`] calls it.
    fn next_arrival(&self) -> Option<Moment>;

    /// Gives the device a way to wake the driver from another thread.
    fn on_arrival(&mut self, wake: Box<dyn Fn() + Send + Sync>);
}
