//! The processes that descend from one, found under `/proc`, and their end.
//!
//! A program's children may leave its process group and its session; what they cannot leave is their descent, as long as
//! the root of it is a subreaper: the kernel then gives orphans to it and not to the first process of the machine.

#![expect(
    clippy::cast_possible_truncation,
    reason = "times and counts of a load are far below the end of any of these types"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::event::{Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

use crate::worker::monotonic_nanos;

/// Between two looks for what is still there.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A process as `/proc/PID/stat` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: Pid,
    parent: i32,
    /// It has ended and waits for its parent to take note.
    ended: bool,
    /// When it started, which with its number names it for good.
    started: u64,
}

/// Fields behind the name, which may hold anything: `PID (NAME) STATE PPID ...`; the 22nd of all is the start.
fn parse(stat: &str) -> Option<Process> {
    let pid = Pid::from_raw(stat.split(' ').next()?.parse().ok()?)?;
    let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_whitespace().collect();
    Some(Process {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        ended: matches!(*fields.first()?, "Z" | "X"),
        started: fields.get(19)?.parse().ok()?,
    })
}

fn look_at(pid: Pid) -> Option<Process> {
    parse(&std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?)
}

/// All living descendants of `root`, children before their own children.
fn living(root: Pid) -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let mut children: BTreeMap<i32, Vec<Process>> = BTreeMap::new();
    for entry in entries.flatten() {
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        if let Some(process) = number.and_then(look_at) {
            children.entry(process.parent).or_default().push(process);
        }
    }
    let (mut found, mut next) = (Vec::new(), vec![root.as_raw_nonzero().get()]);
    while let Some(parent) = next.pop() {
        for process in children.remove(&parent).unwrap_or_default() {
            // Children of one that has ended belong to somebody else already.
            next.push(process.pid.as_raw_nonzero().get());
            found.extend((!process.ended).then_some(process));
        }
    }
    found
}

/// Kills one process and no other: its number may have gone to another one since it was seen.
fn kill(process: Process) {
    let Ok(handle) = pidfd_open(process.pid, PidfdFlags::empty()) else {
        // Gone, or a kernel before 5.3, where the number must do.
        if look_at(process.pid).is_some_and(|now| now.started == process.started) {
            let _ = kill_process(process.pid, Signal::KILL);
        }
        return;
    };
    // The handle is of whoever has the number now; if that is still the one that was seen, it stays so.
    if look_at(process.pid).is_some_and(|now| now.started == process.started) {
        let _ = pidfd_send_signal(handle, Signal::KILL);
    }
}

/// Kills everything that descends from `root`, again and again until nothing is left, as what is killed may have started
/// more. `between` is called after each round, to take note of children that have ended. Gives how many are left after
/// the time: processes that a driver holds cannot die.
pub(super) fn kill_all(root: Pid, within: Duration, mut between: impl FnMut()) -> usize {
    let until = monotonic_nanos() + within.as_nanos() as u64;
    loop {
        let living = living(root);
        if living.is_empty() || monotonic_nanos() >= until {
            return living.len();
        }
        living.into_iter().for_each(kill);
        between();
        let _ = poll(&mut [], Timespec::try_from(LOOK_EVERY).ok().as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_signs_in_it_does_not_shift_the_fields() {
        let fields = "S 41 42 42 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 987654 0";
        let process = parse(&format!("43 (a) b (c) {fields}")).expect("a process");
        assert_eq!((process.parent, process.ended, process.started), (41, false, 987_654));
        assert_eq!(parse("43 (a) Z 41"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn this_process_is_found_and_is_alive() {
        let own = look_at(rustix::process::getpid()).expect("under /proc");
        assert!(!own.ended && own.pid == rustix::process::getpid());
    }
}
