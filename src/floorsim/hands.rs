//! Makes legs of runs beside the simulation, on as many threads as there are cores. What comes of an order does not depend on when
//! it is made, so that one seed stays one story.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::leg::{Leg, Order};
use super::real::RealRuns;

type Job = (Arc<Order>, Sender<Leg>);

/// Threads that make what is ordered, first come first served. They end with this value.
#[derive(Debug)]
pub(crate) struct Hands {
    jobs: Sender<Job>,
    runs: Arc<RealRuns>,
    pub(crate) ordered: u64,
}

/// A leg that was ordered.
#[derive(Debug)]
pub(crate) struct Coming(Receiver<Leg>);

impl Hands {
    pub(crate) fn new(runs: &Arc<RealRuns>) -> Self {
        let (jobs, taken) = channel::<Job>();
        let taken = Arc::new(Mutex::new(taken));
        for _ in 0..std::thread::available_parallelism().map_or(1, std::num::NonZero::get) {
            let (taken, runs) = (Arc::clone(&taken), Arc::clone(runs));
            std::thread::spawn(move || {
                loop {
                    let next = taken.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((order, to)) = next else { return };
                    // Who ordered it may have been cut off meanwhile.
                    let _ = to.send(Leg::of(&runs, &order));
                }
            });
        }
        Self { jobs, runs: Arc::clone(runs), ordered: 0 }
    }

    pub(crate) fn order(&mut self, order: &Arc<Order>) -> Coming {
        self.ordered += 1;
        let (to, from) = channel();
        let _ = self.jobs.send((Arc::clone(order), to));
        Coming(from)
    }

    /// Waits for it. One that nobody makes any more is made here.
    pub(crate) fn wait(&self, coming: &Coming, order: &Order) -> Leg {
        coming.0.recv().unwrap_or_else(|_| Leg::of(&self.runs, order))
    }
}
