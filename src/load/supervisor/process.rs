//! A worker's process: its pipes, its signals, how it ended. Never waits for anything.
//!
//! When to signal it is the hand's to decide.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use super::line::{Heard, read};

/// Lines that may wait to be read; beyond that the worker's own pipe fills and holds it back.
const QUEUE: usize = 1024;
/// How much of what a worker last wrote on stderr is kept.
const LAST_WORDS: usize = 2048;

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
    words: Arc<Mutex<Vec<u8>>>,
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
        let words = Arc::default();
        if let Some(stderr) = child.stderr.take() {
            let words = Arc::clone(&words);
            std::thread::spawn(move || keep_last(stderr, &words));
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

fn keep_last(mut stderr: impl Read, words: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = stderr.read(&mut buffer) {
        let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
        words.extend_from_slice(&buffer[..count]);
        let over = words.len().saturating_sub(LAST_WORDS);
        words.drain(..over);
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
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&words).trim().to_owned()
    }
}
