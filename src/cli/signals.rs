//! Interrupts from the keyboard, a service manager or a terminal that goes away: counted, and told to whoever runs.
//!
//! They are listened to before a device is opened or a file made: what cannot be stopped in order is not started.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use anyhow::{Context as _, anyhow};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::sync::mpsc::UnboundedSender;

use super::command_error::{CommandError, Sorted as _};
use crate::engine::Signal;

/// Open files a program needs before it can begin: those that listening takes (a pair of sockets, an event queue and its
/// waker, twice), and as many again for the first files of a run. Short of them, the library that listens would panic.
const FILES_NEEDED: usize = 16;

/// Counts interrupts.
#[derive(Debug, Clone, Default)]
pub(super) struct Interrupts {
    count: Arc<AtomicU8>,
    /// Held while an interrupt is counted, so that none is lost and none sent twice.
    forward: Arc<Mutex<Option<UnboundedSender<Signal>>>>,
}

impl Interrupts {
    /// Listens on a thread of its own, so that whoever never waits is reached as well; `each` is told of every interrupt.
    pub(super) fn listen(each: impl Fn(Signal) + Send + 'static) -> Result<Self, CommandError> {
        enough_files().no_claim()?;
        let interrupts = Self::default();
        let told = interrupts.clone();
        let (ready, listening) = mpsc::channel();
        let thread = std::thread::Builder::new().name("signals".to_owned());
        let spawned = thread.spawn(move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(ready.send(Err(error))),
            };
            runtime.block_on(async {
                let mut streams = match Streams::open() {
                    Ok(streams) => streams,
                    Err(error) => return drop(ready.send(Err(error))),
                };
                // Whoever started the thread waits for this.
                let _ = ready.send(Ok(()));
                loop {
                    streams.next().await;
                    told.raise(&each);
                }
            });
        });
        spawned.context("no thread to listen for interrupts").no_claim()?;
        match listening.recv() {
            Ok(began) => began.context("interrupts cannot be listened to, and nothing was started").no_claim()?,
            Err(mpsc::RecvError) => return Err(CommandError::NoClaim(anyhow!("interrupts cannot be listened to"))),
        }
        Ok(interrupts)
    }

    fn raise(&self, each: &impl Fn(Signal)) {
        let forward = self.forward.lock().unwrap_or_else(PoisonError::into_inner);
        let signal = sort(self.count.fetch_add(1, Ordering::SeqCst).saturating_add(1));
        each(signal);
        if signal == Signal::Third {
            // Leave. Workers see their lease end and unload the GPUs by themselves.
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
        if let Some(forward) = &*forward {
            // Nobody listens any more once the run is over.
            let _ = forward.send(signal);
        }
    }

    /// Whether there was any.
    pub(super) fn any(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// The next interrupt after those `taken`.
    pub(super) fn after(&self, taken: &mut u8) -> Option<Signal> {
        if self.count.load(Ordering::Relaxed) <= *taken {
            return None;
        }
        *taken += 1;
        Some(sort(*taken))
    }

    /// Sends interrupts on, those that came before included.
    pub(super) fn forward(&self, to: UnboundedSender<Signal>) {
        let mut forward = self.forward.lock().unwrap_or_else(PoisonError::into_inner);
        for early in 1..=self.count.load(Ordering::SeqCst) {
            let _ = to.send(sort(early));
        }
        *forward = Some(to);
    }
}

const fn sort(count: u8) -> Signal {
    match count {
        0 | 1 => Signal::First,
        2 => Signal::Second,
        _ => Signal::Third,
    }
}

/// Fails with what to do about it where too few files can be opened.
fn enough_files() -> anyhow::Result<()> {
    let mut held = Vec::with_capacity(FILES_NEEDED);
    while held.len() < FILES_NEEDED {
        match rustix::io::dup(std::io::stderr()) {
            Ok(file) => held.push(file),
            // A stderr that is closed tells nothing of the limit.
            Err(rustix::io::Errno::BADF) => return Ok(()),
            Err(error) => {
                return Err(anyhow::Error::from(error)
                    .context("too few files can be opened for a run; raise the limit with `ulimit -n 1024`"));
            }
        }
    }
    Ok(())
}

/// Everything that asks a program to end.
struct Streams {
    interrupted: Stream,
    terminated: Stream,
    /// A terminal that was closed, or a connection that was lost; not listened to where the program was started so that
    /// it outlives them (`nohup`).
    hung_up: Option<Stream>,
}

impl Streams {
    fn open() -> std::io::Result<Self> {
        let hung_up = (!is_ignored(rustix::process::Signal::HUP)).then(|| signal(SignalKind::hangup())).transpose()?;
        Ok(Self {
            interrupted: signal(SignalKind::interrupt())?,
            terminated: signal(SignalKind::terminate())?,
            hung_up,
        })
    }

    async fn next(&mut self) {
        let hung_up = async {
            match &mut self.hung_up {
                Some(stream) => drop(stream.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupted.recv() => {}
            _ = self.terminated.recv() => {}
            () = hung_up => {}
        }
    }
}

/// Whether whoever started this program had it ignore a signal: a bit of `SigIgn` in `proc_pid_status(5)`.
fn is_ignored(signal: rustix::process::Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal.as_raw() - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interrupts_that_came_before_anyone_listened_are_sent_on() {
        let interrupts = Interrupts::default();
        interrupts.raise(&|_| {});
        let (send, mut receive) = tokio::sync::mpsc::unbounded_channel();
        interrupts.forward(send);
        interrupts.raise(&|_| {});
        assert_eq!((receive.try_recv().ok(), receive.try_recv().ok()), (Some(Signal::First), Some(Signal::Second)));
        let mut taken = 0;
        let all: Vec<Signal> = std::iter::from_fn(|| interrupts.after(&mut taken)).collect();
        assert_eq!(all, [Signal::First, Signal::Second]);
        assert!(interrupts.any());
    }
}
