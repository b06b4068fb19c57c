//! A program in progress: its pipes, how long it may run, how it is stopped, how it ended. When it must stop is the
//! pipe's to say.

#![expect(
    clippy::cast_possible_truncation,
    reason = "times and counts of a load are far below the end of any of these types"
)]

use std::io::{self, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, getpid, kill_process};

use super::kept::{Kept, LONGEST};
use super::{descendants, keeper};
use crate::worker::{Pipe, monotonic_nanos};

/// How often to look whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// From the signal that asks to the one that does not. The supervisor signals the worker a second later.
const TERMINATED_FOR: u64 = 2_000_000_000;
/// How long a keeper that is to end everything may take, before it is taken for one that cannot.
const KEEPER_FOR: u64 = 10_000_000_000;
/// How long what an ended program has written may take to be read, where something it started holds its pipe open.
const LEFT_IN_PIPE: u64 = 1_000_000_000;
/// More output than this is no report: the program is stopped.
const FLOOD: u64 = 256 << 20;

/// How it came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    ByItself,
    /// The worker must stop.
    Stopped,
    /// It ran longer than it may.
    Overdue,
    /// It wrote more than anything can mean.
    Flooded,
}

#[derive(Debug)]
pub(super) struct Ran {
    pub(super) ended: Ended,
    /// As shells count: 128 and the signal for one that a signal ended.
    pub(super) code: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// Runs a command to its end, or stops it.
pub(super) fn run(mut command: Command, pipe: &Pipe, within: Option<Duration>) -> io::Result<Ran> {
    let mut child = command.spawn()?;
    let mut hold = Hold::on(&mut child);
    let (out, err) = (Arc::new(Kept::new(LONGEST)), Arc::new(Kept::new(LONGEST)));
    if let Some(pipe) = child.stdout.take() {
        let kept = Arc::clone(&out);
        std::thread::spawn(move || kept.fill(pipe));
    }
    if let Some(pipe) = child.stderr.take() {
        let kept = Arc::clone(&err);
        std::thread::spawn(move || kept.fill(pipe));
    }
    let deadline = within.map(|span| monotonic_nanos() + span.as_nanos() as u64);
    let mut why = Ended::ByItself;
    let mut kill_at = None;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let now = monotonic_nanos();
        match kill_at {
            None => {
                let flooded = out.count() + err.count() > FLOOD;
                let overdue = deadline.is_some_and(|deadline| deadline <= now);
                let reasons = [(pipe.stopping(), Ended::Stopped), (overdue, Ended::Overdue), (flooded, Ended::Flooded)];
                if let Some((_, reason)) = reasons.into_iter().find(|(holds, _)| *holds) {
                    why = reason;
                    hold.terminate(&child);
                    kill_at = Some(now + TERMINATED_FOR);
                }
            }
            Some(at) if at <= now => hold.kill(&child, now - at),
            Some(_) => {}
        }
        hold.lives(now);
        pipe.beat();
        pipe.pause(LOOK_EVERY);
    };
    hold.clear();
    let until = monotonic_nanos() + LEFT_IN_PIPE;
    while !(out.closed() && err.closed()) && monotonic_nanos() < until {
        pipe.beat();
        pipe.pause(LOOK_EVERY);
    }
    Ok(Ran { ended: why, code: code(status), stdout: out.text(), stderr: err.text() })
}

/// What holds on to a program: the pipe to its keeper. Without one (in tests) it is signalled itself.
struct Hold {
    keeper: Option<ChildStdin>,
    is_kept: bool,
    said: u64,
}

impl Hold {
    fn on(child: &mut Child) -> Self {
        let keeper = child.stdin.take();
        if let Some(pipe) = &keeper {
            // A keeper that is stopped must not stop its worker.
            let _ = rustix::io::ioctl_fionbio(pipe, true);
        }
        Self { is_kept: keeper.is_some(), keeper, said: 0 }
    }

    /// Says to the keeper that this worker lives.
    fn lives(&mut self, now: u64) {
        if now - self.said >= keeper::SAY_EVERY.as_nanos() as u64 {
            self.said = now;
            self.say(keeper::LIVES);
        }
    }

    fn say(&mut self, word: &[u8]) {
        if let Some(pipe) = &mut self.keeper {
            // Full or closed: the keeper is stopped, or about to end.
            let _ = pipe.write(word);
        }
    }

    fn terminate(&mut self, child: &Child) {
        if self.is_kept {
            self.say(keeper::TERMINATE);
        } else {
            signal(child, Signal::TERM);
        }
    }

    /// Ends the program and all it started. A keeper does that when its pipe closes.
    fn kill(&mut self, child: &Child, since: u64) {
        self.keeper = None;
        if !self.is_kept || since >= KEEPER_FOR {
            signal(child, Signal::KILL);
        }
    }

    /// After the keeper's end: whatever still descends from this worker lost its keeper.
    fn clear(&mut self) {
        self.keeper = None;
        if self.is_kept {
            let _ = descendants::kill_all(getpid(), keeper::KILLED_WITHIN, || {});
        }
    }
}

fn signal(child: &Child, signal: Signal) {
    // It was not waited for yet, so its number is still its own.
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or(128)
}

#[cfg(test)]
mod tests {
    use super::super::launch::Way;
    use super::*;
    use std::path::Path;

    fn ran(script: &str, within_ms: Option<u64>) -> Ran {
        let pipe = Pipe::new(Box::new(io::sink()));
        let args = ["-c".to_owned(), script.to_owned()];
        let command = Way::Plain.command(Path::new("/bin/sh"), &args, None);
        run(command, &pipe, within_ms.map(Duration::from_millis)).expect("started")
    }

    fn told(script: &str, within_ms: Option<u64>) -> String {
        let ran = ran(script, within_ms);
        format!("{:?} {} {:?} {:?}", ran.ended, ran.code, ran.stdout, ran.stderr)
    }

    #[test]
    fn both_outputs_and_the_exit_code_are_told() {
        let table = [
            told("echo out; echo err >&2; exit 3", None),
            told("kill -SEGV $$", None),
            // Its input is empty and not the worker's.
            told("cat; echo $LC_ALL", None),
        ];
        insta::assert_snapshot!(table.join("\n"), @r#"
        ByItself 3 "out\n" "err\n"
        ByItself 139 "" ""
        ByItself 0 "C\n" ""
        "#);
    }

    #[test]
    fn a_program_that_runs_too_long_is_asked_and_then_killed() {
        let table = [
            told("echo begun; exec sleep 1000", Some(200)),
            told("trap 'echo in order; exit 5' TERM; while :; do sleep 0.02; done", Some(200)),
            told("trap '' TERM; echo deaf; while :; do sleep 0.02; done", Some(200)),
        ];
        insta::assert_snapshot!(table.join("\n"), @r#"
        Overdue 143 "begun\n" ""
        Overdue 5 "in order\n" ""
        Overdue 137 "deaf\n" ""
        "#);
    }

    #[test]
    fn a_flood_is_stopped() {
        let ran = ran("exec cat /dev/zero", None);
        assert_eq!((ran.ended, ran.code, ran.stdout.len()), (Ended::Flooded, 143, LONGEST));
    }

    #[test]
    fn a_pipe_that_a_child_of_it_holds_is_not_waited_for() {
        let began = monotonic_nanos();
        let ran = ran("echo done; sleep 20 & exit 0", None);
        assert_eq!((ran.ended, ran.stdout.as_str()), (Ended::ByItself, "done\n"));
        assert!(monotonic_nanos() - began < 10_000_000_000);
    }
}
