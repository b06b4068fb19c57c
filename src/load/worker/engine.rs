//! What a worker runs: something that does an order while it listens to the pipe.

use super::pipe::Pipe;
use super::protocol::WorkOrder;
use kiln_model::LoadEnd;

/// Does the work of a worker.
pub trait Engine {
    /// Does an order to its end. It sets everything up, calls [`Pipe::ready`], says what comes of the work, looks at
    /// [`Pipe::stopping`] at least ten times a second, and leaves nothing running when it returns.
    fn work(&mut self, order: &WorkOrder, pipe: &Pipe) -> LoadEnd;
}
