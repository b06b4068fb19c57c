//! The process between a worker and the program it runs. It outlives the worker for as long as it takes to end everything
//! that descends from the program, however the worker came to its end.
//!
//! The worker holds a pipe to it, says each half second that it lives, and asks for an orderly end. A pipe that closes, or
//! a worker that says nothing (because it is stopped), ends the program and all that it started. So does the program's own
//! end: nothing of it runs on. It has a session of its own, so that no signal to the worker's group reaches it, and is a
//! subreaper, so that no descendant of the program can leave it. If it is killed itself, the program dies by the kernel's
//! signal and what is left goes to the worker, which ends it likewise.

use std::io::stdin;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, set_child_subreaper, setsid, wait};

use super::descendants;
use crate::worker::monotonic_nanos;

/// What a worker says: that it lives, and that the program is to end in order.
pub(super) const LIVES: &[u8] = b".";
pub(super) const TERMINATE: &[u8] = b"T";
/// How often a worker says that it lives.
pub(super) const SAY_EVERY: Duration = Duration::from_millis(500);
/// A worker that has said nothing for so long is stopped or hangs; twenty of its signs missed. It is twice the lease a
/// worker holds itself, for machines whose processors the program itself keeps busy.
const PATIENCE: u64 = 10_000_000_000;
/// How often to look whether the program has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long ending everything may take. What is still there then sits in a call that does not return.
pub(super) const KILLED_WITHIN: Duration = Duration::from_secs(8);

/// Runs the command to its end, or to the worker's, and gives the program's exit code as shells count.
pub(super) fn keep(mut command: Command) -> std::io::Result<i32> {
    setsid()?;
    set_child_subreaper(Some(getpid()))?;
    // As process lists show it.
    let _ = rustix::thread::set_name(c"program-keeper");
    let child = command.stdin(Stdio::null()).spawn()?;
    let mut program = Program { child, code: None };
    let mut heard = monotonic_nanos();
    while program.code.is_none() {
        match listen() {
            Heard::Nothing if monotonic_nanos() - heard > PATIENCE => break,
            Heard::Nothing => {}
            Heard::Lives => heard = monotonic_nanos(),
            Heard::Terminate => {
                heard = monotonic_nanos();
                program.terminate();
            }
            Heard::Gone => break,
        }
        program.reap();
    }
    let _ = descendants::kill_all(getpid(), KILLED_WITHIN, || program.reap());
    program.reap();
    // One that cannot die has no code of its own.
    Ok(program.code.unwrap_or(128 + Signal::KILL.as_raw()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Nothing,
    Lives,
    Terminate,
    Gone,
}

/// Waits a moment for a word of the worker.
fn listen() -> Heard {
    let input = stdin();
    let mut wanted = [PollFd::new(&input, PollFlags::IN)];
    let timeout = Timespec::try_from(LOOK_EVERY).ok();
    match poll(&mut wanted, timeout.as_ref()) {
        Ok(0) | Err(rustix::io::Errno::INTR) => return Heard::Nothing,
        Ok(_) => {}
        Err(_) => return Heard::Gone,
    }
    let mut words = [0; 64];
    // Past the buffer of the standard input, in which a word could wait unseen.
    match rustix::io::read(&input, &mut words) {
        Ok(0) => Heard::Gone,
        Ok(count) if words[..count].contains(&TERMINATE[0]) => Heard::Terminate,
        Ok(_) => Heard::Lives,
        Err(rustix::io::Errno::INTR) => Heard::Nothing,
        Err(_) => Heard::Gone,
    }
}

struct Program {
    /// Never waited for by itself: orphans are waited for with it.
    child: Child,
    code: Option<i32>,
}

impl Program {
    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.child.id()).ok()?)
    }

    /// Asks the program itself: most end their own in order, and what is left of them is killed.
    fn terminate(&self) {
        // It was not waited for yet, so its number is still its own.
        if let (Some(pid), None) = (self.pid(), self.code) {
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Takes note of the program's end, and of the orphans' it left.
    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if Some(pid) == self.pid() {
                self.code = Some(code(status));
            }
        }
    }
}

fn code(status: WaitStatus) -> i32 {
    status.exit_status().or_else(|| Some(128 + status.terminating_signal()?)).unwrap_or(128)
}
