//! Streams: a thread each that does one thing after another. Events are the moments at which it came by: of the world, or
//! on a bench of the stream's own clock, which goes on by as much as a GPU would have taken.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Gives the seconds a GPU would have taken.
type Work = Box<dyn FnOnce() -> f64 + Send>;

/// What is queued on all streams of the process.
static UNDONE: AtomicUsize = AtomicUsize::new(0);

/// How long memory is kept for work that does not end.
const KEPT_FOR: Duration = Duration::from_secs(2);

/// Waits for all streams, as the driver does before it gives memory back.
pub fn settle() {
    let began = Instant::now();
    while UNDONE.load(Ordering::SeqCst) > 0 && began.elapsed() < KEPT_FOR {
        std::thread::sleep(Duration::from_micros(50));
    }
}

pub struct Queue {
    /// Place of its GPU.
    pub gpu: i32,
    work: Sender<Work>,
    waiting: Arc<AtomicUsize>,
    clock: Arc<Mutex<f64>>,
    /// Copies to other GPUs that are still to be done.
    pub crossing: Arc<AtomicUsize>,
}

/// When an event was passed, on the world's clock and on the stream's.
pub type Passed = Arc<Mutex<Option<(Instant, f64)>>>;

impl Queue {
    pub fn new(gpu: i32) -> Self {
        let (work, todo) = channel::<Work>();
        let waiting = Arc::new(AtomicUsize::new(0));
        let left = Arc::clone(&waiting);
        let clock: Arc<Mutex<f64>> = Arc::default();
        let own = Arc::clone(&clock);
        std::thread::spawn(move || {
            while let Ok(work) = todo.recv() {
                let seconds = work();
                *own.lock().expect("unpoisoned") += seconds;
                left.fetch_sub(1, Ordering::SeqCst);
                UNDONE.fetch_sub(1, Ordering::SeqCst);
            }
        });
        Self { gpu, work, waiting, clock, crossing: Arc::default() }
    }

    pub fn push(&self, work: impl FnOnce() -> f64 + Send + 'static) {
        UNDONE.fetch_add(1, Ordering::SeqCst);
        self.waiting.fetch_add(1, Ordering::SeqCst);
        self.work.send(Box::new(work)).expect("the thread of a stream lives as long as the stream");
    }

    /// Waits until fewer than so many things are queued, as the driver has a caller do whose channel is full.
    pub fn wait_for_room(&self, most: usize) {
        while self.waiting.load(Ordering::SeqCst) >= most {
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    pub fn is_done(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) == 0
    }

    pub fn mark(&self, event: &Passed) {
        let event = Arc::clone(event);
        let clock = Arc::clone(&self.clock);
        self.push(move || {
            *event.lock().expect("unpoisoned") = Some((Instant::now(), *clock.lock().expect("unpoisoned")));
            0.0
        });
    }

    pub fn wait_for(&self, flag: u64, value: u32) {
        self.push(move || {
            // SAFETY: the address is of pinned memory that the caller keeps until the stream is done.
            let flag = unsafe { AtomicU32::from_ptr(flag as *mut u32) };
            while flag.load(Ordering::Acquire) < value {
                std::thread::sleep(Duration::from_micros(50));
            }
            0.0
        });
    }
}
