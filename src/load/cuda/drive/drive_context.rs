//! What every driver has at hand: the order, the pipe, and a wait that ends when the work does, when it hangs, or soon
//! after it is to stop.

use std::time::Duration;

use crate::cuda::driver::{DriverError, Stream};
use crate::worker::{Injection, Pipe, Variant, monotonic_nanos};
use kiln_model::{GpuWork, LoadEnd, LoadFault, LoadOrder, Span};

/// Between two looks at work that takes a fifth of a second: costs a thousandth of a core.
const LOOK_EVERY: Duration = Duration::from_micros(100);

/// Why a driver left off.
#[derive(Debug)]
pub(in crate::cuda) enum Broken {
    Driver(DriverError),
    /// Work did not end; the GPU is not waited for any more.
    Hung {
        what: GpuWork,
        after: Span,
    },
    Stopped,
    /// Cannot be done on this machine.
    Refused(LoadFault),
}

impl From<DriverError> for Broken {
    fn from(error: DriverError) -> Self {
        Self::Driver(error)
    }
}

impl Broken {
    pub(in crate::cuda) fn end(self) -> LoadEnd {
        match self {
            Self::Driver(error) => error.end(),
            Self::Hung { what, after } => LoadEnd::Failed(LoadFault::Hung { what, after }),
            Self::Stopped => LoadEnd::Stopped,
            Self::Refused(why) => LoadEnd::Failed(why),
        }
    }
}

/// One order being done.
#[derive(Debug, Clone, Copy)]
pub(in crate::cuda) struct DriveContext<'a> {
    pub order: &'a LoadOrder,
    pub injection: Option<Injection>,
    pub variant: Variant,
    pub pipe: &'a Pipe,
    pub patience: Duration,
}

impl DriveContext<'_> {
    /// Waits until all that was queued is done.
    pub(super) fn wait(&self, stream: &Stream, what: GpuWork) -> Result<(), Broken> {
        let began = monotonic_nanos();
        while !stream.is_done()? {
            self.pipe.beat();
            if u128::from(monotonic_nanos() - began) > self.patience.as_nanos() {
                stream.gpu().give_up();
                let after = Span::from_secs_f64(self.patience.as_secs_f64());
                return Err(Broken::Hung { what, after });
            }
            self.pipe.pause(LOOK_EVERY);
        }
        Ok(())
    }

    pub(super) fn go_on(&self) -> Result<(), Broken> {
        if self.pipe.stopping() { Err(Broken::Stopped) } else { Ok(()) }
    }

    /// When the order's span ends, counted from a moment of the monotonic clock.
    pub(super) fn ends_at(&self, began: u64) -> Option<u64> {
        self.order.span.map(|span| began + u64::try_from(span.as_nanos()).unwrap_or(u64::MAX / 2))
    }
}
