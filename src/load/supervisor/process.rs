//! A worker's process: its pipes, its signals, how it ended. Never waits for anything.
//!
//! When to signal it is the hand's to decide.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use super::line::{Heard, read};

/// Lines that may wait to be read; beyond that the worker's own pipe fills and holds it back.
const QUEUE: usize = 1024;
/// How much of what a worker last wrote on stderr is kept.
const LAST_WORDS: usize = 2048;
/// Reads of a kilobyte each before the lock is let go: a full pipe (64 KiB on Linux) and as much again.
const READS_AT_ONCE: usize = 128;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    Code(i32),
    Signal(i32),
}

/// What a hand needs of a process.
pub(super) trait Process: std::fmt::Debug + Send {
    /// Writes a line if the pipe takes it now.
    fn send(&mut self, line: &str);
    fn hear(&mut self) -> Option<Heard>;
    fn terminate(&mut self);
    fn kill(&mut self);
    /// How it ended, once it has.
    fn exit(&mut self) -> Option<Exit>;
    /// The last it wrote on stderr.
    fn last_words(&self) -> String;
}

/// Called when something came in.
pub(super) type Wake = Arc<Mutex<Option<Box<dyn Fn() + Send + Sync>>>>;

pub(super) fn call(wake: &Wake) {
    if let Some(wake) = &*wake.lock().unwrap_or_else(PoisonError::into_inner) {
        wake();
    }
}

/// A real process, leader of a group of its own.
#[derive(Debug)]
pub(super) struct ChildProcess {
    child: Child,
    stdin: Option<ChildStdin>,
    heard: Receiver<Heard>,
    words: Option<Arc<LastWords>>,
}

impl ChildProcess {
    /// Takes over a child that was spawned with three pipes and a process group of its own.
    pub(super) fn new(mut child: Child, wake: &Wake) -> Self {
        let stdin = child.stdin.take();
        if let Some(stdin) = &stdin {
            // A worker that does not read must not hold up whoever writes to it.
            let _ = rustix::io::ioctl_fionbio(stdin, true);
        }
        let (told, heard) = sync_channel(QUEUE);
        if let Some(stdout) = child.stdout.take() {
            let wake = Arc::clone(wake);
            std::thread::spawn(move || listen(stdout, &told, &wake));
        }
        let words = child.stderr.take().map(|stderr| Arc::new(LastWords::of(File::from(OwnedFd::from(stderr)))));
        if let Some(words) = &words {
            let words = Arc::clone(words);
            std::thread::spawn(move || words.keep());
        }
        Self { child, stdin, heard, words }
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.child.id()).ok()?)
    }

    fn signal_group(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            // Gone already is as good as signalled.
            let _ = rustix::process::kill_process_group(pid, signal);
        }
    }
}

fn listen(stdout: impl Read, told: &SyncSender<Heard>, wake: &Wake) {
    read(stdout, |heard| {
        let taken = told.send(heard).is_ok();
        call(wake);
        taken
    });
}

/// What a worker last wrote on stderr.
///
/// The pipe is read only under the lock, by whoever comes: a thread while the worker lives, so that it is never held up,
/// and whoever asks for its last words. What a dead worker had written lies in the pipe, so none of it is missed.
#[derive(Debug)]
struct LastWords {
    pipe: File,
    kept: Mutex<Vec<u8>>,
}

/// What there is to read on a pipe now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pipe {
    Open,
    Over,
}

impl LastWords {
    fn of(pipe: File) -> Self {
        // Reading must not wait while the lock is held.
        let _ = rustix::io::ioctl_fionbio(&pipe, true);
        Self { pipe, kept: Mutex::default() }
    }

    /// Reads along until nobody holds the other end any more.
    fn keep(&self) {
        loop {
            let mut wanted = [PollFd::new(&self.pipe, PollFlags::IN)];
            match rustix::event::poll(&mut wanted, None) {
                Ok(_) if self.drain().0 == Pipe::Over => return,
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    /// Reads what there is now and gives the end of all there was. Bounded, as one who floods must not hold the reader.
    fn drain(&self) -> (Pipe, String) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffer = [0; 1024];
        let mut state = Pipe::Open;
        for _ in 0..READS_AT_ONCE {
            match (&self.pipe).read(&mut buffer) {
                Ok(0) => state = Pipe::Over,
                Ok(count) => {
                    kept.extend_from_slice(&buffer[..count]);
                    let over = kept.len().saturating_sub(LAST_WORDS);
                    kept.drain(..over);
                    continue;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => state = Pipe::Over,
            }
            break;
        }
        (state, String::from_utf8_lossy(&kept).trim().to_owned())
    }
}

impl Process for ChildProcess {
    fn send(&mut self, line: &str) {
        let Some(stdin) = &mut self.stdin else { return };
        match stdin.write(line.as_bytes()) {
            Ok(count) if count == line.len() => {}
            // Full: it does not read, its lease runs out, and its silence is noticed. Lines are far below the size up
            // to which a pipe takes all or nothing.
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            _ => self.stdin = None,
        }
    }

    fn hear(&mut self) -> Option<Heard> {
        self.heard.try_recv().ok()
    }

    fn terminate(&mut self) {
        self.signal_group(Signal::TERM);
    }

    fn kill(&mut self) {
        self.stdin = None;
        self.signal_group(Signal::KILL);
    }

    fn exit(&mut self) -> Option<Exit> {
        let pid = self.pid()?;
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        // Looked at before it is reaped: while it is not, nobody else can have its number, and what it left behind in
        // its group can be killed.
        if let Ok(Some(_)) = rustix::process::waitid(WaitId::Pid(pid), look) {
            self.signal_group(Signal::KILL);
        }
        let status = self.child.try_wait().ok()??;
        let signal = status.signal().map(Exit::Signal);
        signal.or_else(|| status.code().map(Exit::Code))
    }

    fn last_words(&self) -> String {
        self.words.as_ref().map(|words| words.drain().1).unwrap_or_default()
    }
}
