//! Follows the kernel log on a thread of its own and says from when to when it did.
//!
//! Only lines that may bear on the hardware are handed on from the time before the run; a ring buffer holds thousands of
//! others.

use std::io;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Weak};
use std::thread;

use super::clock::RunClock;
use crate::host::{KernelLog, is_own, log_trouble};
use kiln_diagnose::names_trouble;
use kiln_model::{KernelRecord, Moment, Source, SourceReport, SourceState, SourceTrouble};

/// What those who follow something hand on.
#[derive(Debug)]
pub(super) enum Told {
    Record(KernelRecord),
    Source(SourceReport),
}

/// Says that a source is no longer followed when it is dropped, however its follower came to its end.
pub(super) struct Following {
    source: Source,
    clock: Weak<RunClock>,
    told: Sender<Told>,
    trouble: SourceTrouble,
}

impl Following {
    /// Tells that `source` is followed from now on.
    pub(super) fn begin(source: Source, state: SourceState, clock: &Arc<RunClock>, told: Sender<Told>) -> Self {
        let _ = told.send(Told::Source(SourceReport { at: clock.now(), source, state }));
        Self { source, clock: Arc::downgrade(clock), told, trouble: SourceTrouble::ReaderGone }
    }

    /// Tells how the source stands from now on.
    fn tell(&self, state: SourceState) {
        if let Some(clock) = self.clock.upgrade() {
            let _ = self.told.send(Told::Source(SourceReport { at: clock.now(), source: self.source, state }));
        }
    }

    /// Ends following for a known reason.
    pub(super) fn end(mut self, trouble: SourceTrouble) {
        self.trouble = trouble;
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // With the node gone nobody listens any more, and that is no trouble.
        if let Some(clock) = self.clock.upgrade() {
            let state = SourceState::Ended(self.trouble);
            let _ = self.told.send(Told::Source(SourceReport { at: clock.now(), source: self.source, state }));
        }
    }
}

/// Tells that `source` could not be opened.
pub(super) fn closed(source: Source, trouble: SourceTrouble, at: Moment, told: &Sender<Told>) {
    let _ = told.send(Told::Source(SourceReport { at, source, state: SourceState::Closed(trouble) }));
}

/// Hands on what the log under `root` holds since the machine was started, then follows it. The first is done on return.
pub(super) fn follow_log(root: &Path, clock: &Arc<RunClock>, told: Sender<Told>, arrived: impl Fn() + Send + 'static) {
    follow_log_of(root, is_own(root), clock, told, arrived);
}

/// As [`follow_log`]. `own`: whether it is this machine's log, which is never empty.
fn follow_log_of(
    root: &Path,
    own: bool,
    clock: &Arc<RunClock>,
    told: Sender<Told>,
    arrived: impl Fn() + Send + 'static,
) {
    let at = clock.now();
    let opened = KernelLog::open(&root.join("dev/kmsg")).and_then(|mut log| Ok((log.read_new()?, log)));
    let (earlier, mut log) = match opened {
        Ok(opened) => opened,
        Err(error) => return closed(Source::KernelLog, log_trouble(&error), at, &told),
    };
    // What holds no record may be another file in the log's place. It is a source from its first record on, if one comes.
    let mut there = log.has_records() || !own;
    let state = if there { SourceState::Followed(log.reach()) } else { SourceState::Closed(SourceTrouble::OtherKind) };
    let following = Following::begin(Source::KernelLog, state, clock, told.clone());
    let micros = since_boot();
    for record in earlier.into_iter().filter_map(|entry| entry.into_earlier(at, micros)) {
        // The banner of this very start says nothing.
        if names_trouble(&record.text) && !record.text.starts_with("Linux version ") {
            let _ = told.send(Told::Record(record));
        }
    }
    let clock = Arc::downgrade(clock);
    let spawned = thread::Builder::new().name("kernel log".to_owned()).spawn(move || {
        while clock.strong_count() > 0 {
            match pass_on(&mut log, &clock, &told) {
                Ok(any) => {
                    if !there && log.has_records() {
                        there = true;
                        following.tell(SourceState::Followed(log.reach()));
                    }
                    if any {
                        arrived();
                    }
                }
                Err(error) => {
                    following.end(log_trouble(&error));
                    arrived();
                    return;
                }
            }
        }
    });
    // The thread that could not be started took `following` with it, which has told that nobody follows.
    drop(spawned);
}

/// Hands on what is new. Whether anything was.
fn pass_on(log: &mut KernelLog, clock: &Weak<RunClock>, told: &Sender<Told>) -> io::Result<bool> {
    let entries = log.wait()?;
    let Some(clock) = clock.upgrade() else { return Ok(false) };
    let any = !entries.is_empty();
    for entry in entries {
        // A node that is gone listens no longer; the loop ends with its clock.
        let _ = told.send(Told::Record(entry.into_record(clock.now())));
    }
    Ok(any)
}

/// Microseconds since the kernel started, on the clock that stamps its log.
fn since_boot() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or_default() * 1_000_000 + u64::try_from(now.tv_nsec).unwrap_or_default() / 1000
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    use super::*;
    use kiln_model::Reach;

    struct Followed {
        clock: Arc<RunClock>,
        told: Receiver<Told>,
        root: tempfile::TempDir,
    }

    fn follow(prepare: impl Fn(&Path)) -> Followed {
        let root = tempfile::tempdir().expect("folder");
        fs::create_dir(root.path().join("dev")).expect("folder");
        prepare(&root.path().join("dev/kmsg"));
        let (sender, told) = channel();
        let clock = Arc::new(RunClock::new());
        follow_log_of(root.path(), true, &clock, sender, || {});
        Followed { clock, told, root }
    }

    impl Followed {
        fn next(&self) -> String {
            match self.told.recv_timeout(Duration::from_secs(20)).expect("told") {
                Told::Record(record) => {
                    format!("{}{}", if record.before().is_some() { "before: " } else { "" }, record.text)
                }
                Told::Source(report) => format!("{:?} {:?}", report.source, report.state),
            }
        }
    }

    #[test]
    fn a_log_that_cannot_be_opened_is_told_of_with_the_reason() {
        let absent = follow(|_| {});
        assert_eq!(absent.next(), "KernelLog Closed(Absent)");
        let folder = follow(|path| fs::create_dir(path).expect("folder"));
        assert_eq!(folder.next(), "KernelLog Closed(Directory)");
    }

    #[test]
    fn what_was_logged_before_is_told_as_such_and_what_bears_on_nothing_is_left_out() {
        let log = "5,0,0,-;Linux version 6.8.0\n\
                   4,1,100,-;NVRM: Xid (PCI:0000:5d:00): 48, pid=1, name=x, DBE\n\
                   6,2,200,-;usb 1-1: new high-speed USB device\n";
        let followed = follow(|path| fs::write(path, log).expect("file"));
        assert_eq!(followed.next(), format!("KernelLog Followed({:?})", Reach::Boot));
        assert_eq!(followed.next(), "before: NVRM: Xid (PCI:0000:5d:00): 48, pid=1, name=x, DBE");
        let path = followed.root.path().join("dev/kmsg");
        let mut file = fs::OpenOptions::new().append(true).open(&path).expect("open");
        file.write_all(b"4,3,300,-;usb 1-1: reset\n").expect("written");
        assert_eq!(followed.next(), "usb 1-1: reset");
        fs::remove_file(&path).expect("removed");
        assert_eq!(followed.next(), "KernelLog Ended(Absent)");
        drop(followed.clock);
    }

    #[test]
    fn an_empty_log_in_a_tree_that_was_given_is_all_there_is() {
        let root = tempfile::tempdir().expect("folder");
        fs::create_dir(root.path().join("dev")).expect("folder");
        fs::write(root.path().join("dev/kmsg"), "").expect("file");
        let (sender, told) = channel();
        let clock = Arc::new(RunClock::new());
        follow_log(root.path(), &clock, sender, || {});
        let followed = Followed { clock, told, root };
        assert_eq!(followed.next(), "KernelLog Followed(Boot)");
    }

    #[test]
    fn a_log_without_a_record_is_no_source_until_its_first_one() {
        let empty = follow(|path| fs::write(path, "").expect("file"));
        assert_eq!(empty.next(), "KernelLog Closed(OtherKind)");
        let record = "4,500,5000000,-;NVRM: Xid (PCI:0000:5d:00): 79, pid=1, name=x, GPU has fallen off the bus.\n";
        fs::write(empty.root.path().join("dev/kmsg"), record).expect("written");
        assert_eq!(empty.next(), "NVRM: Xid (PCI:0000:5d:00): 79, pid=1, name=x, GPU has fallen off the bus.");
        assert_eq!(empty.next(), format!("KernelLog Followed({:?})", Reach::Overwritten(500)));
    }

    #[test]
    fn a_follower_that_ends_without_a_word_is_told_of() {
        let (sender, told) = channel();
        let clock = Arc::new(RunClock::new());
        drop(Following::begin(Source::DriverEvents, SourceState::Followed(Reach::Now), &clock, sender));
        let states: Vec<String> = told.try_iter().map(|told| format!("{told:?}")).collect();
        assert!(states.len() == 2 && states[1].contains("Ended(ReaderGone)"), "{states:?}");
    }
}
