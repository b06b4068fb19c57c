//! What a worker runs: something that does an order while it listens to the floor.

use super::floor::Floor;
use super::protocol::WorkOrder;
use kiln_model::LoadEnd;

/// Does the work of a worker.
pub trait Engine {
    /// Does an order to its end. It sets everything up, calls [`Floor::ready`], says what comes of the work, looks at
    /// [`Floor::stopping`] at least ten times a second, and leaves nothing running when it returns.
    fn work(&mut self, order: &WorkOrder, floor: &Floor) -> LoadEnd;
}
