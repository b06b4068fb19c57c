//! Streams: a thread each that does one thing after another. Events are the moments at which it came by.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

type Work = Box<dyn FnOnce() + Send>;

pub struct Queue {
    work: Sender<Work>,
    waiting: Arc<AtomicUsize>,
}

pub type Passed = Arc<Mutex<Option<Instant>>>;

impl Queue {
    pub fn new() -> Self {
        let (work, todo) = channel::<Work>();
        let waiting = Arc::new(AtomicUsize::new(0));
        let left = Arc::clone(&waiting);
        std::thread::spawn(move || {
            while let Ok(work) = todo.recv() {
                work();
                left.fetch_sub(1, Ordering::SeqCst);
            }
        });
        Self { work, waiting }
    }

    pub fn push(&self, work: impl FnOnce() + Send + 'static) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        self.work.send(Box::new(work)).expect("the thread of a stream lives as long as the stream");
    }

    pub fn is_done(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) == 0
    }

    pub fn mark(&self, event: &Passed) {
        let event = Arc::clone(event);
        self.push(move || *event.lock().expect("unpoisoned") = Some(Instant::now()));
    }

    pub fn wait_for(&self, flag: u64, value: u32) {
        self.push(move || {
            // SAFETY: the address is of pinned memory that the caller keeps until the stream is done.
            let flag = unsafe { AtomicU32::from_ptr(flag as *mut u32) };
            while flag.load(Ordering::Acquire) < value {
                std::thread::sleep(Duration::from_micros(50));
            }
        });
    }
}
