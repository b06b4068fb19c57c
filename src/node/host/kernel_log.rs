//! The kernel log as the kernel hands it out: one record for each read of `/dev/kmsg`, with a number that tells of gaps.
//!
//! The log is read from its oldest record, so that what the kernel said since the machine was started is known too.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, major, minor};

use super::kernel_record::{read_record, unescaped};
use kiln_model::{KernelRecord, KernelSource, Moment, Reach, SourceTrouble, Span};

/// Longer than any record: the kernel cuts a message off at 1,024 bytes, and escapes swell it at most fourfold.
const RECORD_MAX: usize = 8192;

/// How long one wait lasts, so that whoever follows the log can stop.
const WAIT: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// A plain file is always ready, also where there is nothing new in it.
const PLAIN_WAIT: Duration = Duration::from_millis(100);

/// The device number of the log: memory devices, the eleventh (Documentation/admin-guide/devices.txt of the kernel).
const DEVICE: (u32, u32) = (1, 11);

/// What comes out of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KernelEntry {
    /// A line by the kernel itself, so many microseconds after the kernel started.
    Line { sequence: u64, micros: u64, text: String },
    /// Records were overwritten before they could be read.
    Gap,
}

impl KernelEntry {
    pub fn into_record(self, at: Moment) -> KernelRecord {
        match self {
            Self::Line { text, .. } => KernelRecord { at, source: KernelSource::KernelLog, text },
            Self::Gap => {
                let text = "kernel log records were overwritten before they were read".to_owned();
                KernelRecord { at, source: KernelSource::Gap, text }
            }
        }
    }

    /// The entry as one that the log held already when it was opened, `now` microseconds after the kernel started. Gaps
    /// between such entries are told by [`KernelLog::reach`].
    pub fn into_earlier(self, at: Moment, now: u64) -> Option<KernelRecord> {
        match self {
            Self::Line { micros, text, .. } => {
                let before = Span::from_micros(now.saturating_sub(micros));
                Some(KernelRecord { at, source: KernelSource::BeforeRun(before), text })
            }
            Self::Gap => None,
        }
    }
}

/// Why the log cannot be read.
pub fn trouble(error: &io::Error) -> SourceTrouble {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => SourceTrouble::Absent,
        io::ErrorKind::PermissionDenied => SourceTrouble::NoPermission,
        io::ErrorKind::IsADirectory => SourceTrouble::Directory,
        io::ErrorKind::Unsupported => SourceTrouble::OtherKind,
        io::ErrorKind::UnexpectedEof => SourceTrouble::Replaced,
        _ => SourceTrouble::Failed(error.raw_os_error().unwrap_or_default()),
    }
}

/// The kernel log from its oldest record on.
#[derive(Debug)]
pub struct KernelLog {
    file: File,
    /// The number of the record read last.
    last: Option<u64>,
    /// How many records before the first one read are no longer there.
    overwritten: u64,
    /// The start of a record whose end has not come: plain files give bytes, not records.
    rest: Vec<u8>,
    /// Where a file lies that stands for the device, as in a test, and how much of it was read.
    plain: Option<(PathBuf, u64)>,
}

/// Whether files under `root` are this machine's own, and no tree that somebody gives in its place (`--host-root`): of that nothing says
/// that a kernel has written its log.
pub fn is_own(root: &Path) -> bool {
    root == Path::new("/")
}

impl KernelLog {
    /// Opens the log at `path`. A folder or anything else that is no log is refused.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
        let file = File::from(file);
        let about = file.metadata()?;
        let kind = about.file_type();
        if kind.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        // Containers are given `/dev/null` or a terminal in the log's place: those would be silent for ever.
        let is_log = kind.is_char_device() && (major(about.rdev()), minor(about.rdev())) == DEVICE;
        if !kind.is_file() && !is_log {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let plain = kind.is_file().then(|| (path.to_path_buf(), 0));
        Ok(Self { file, last: None, overwritten: 0, rest: Vec::new(), plain })
    }

    /// Whether it is a log of a kernel: what holds no record is none, as the kernel says something at every start, and a reader gets
    /// that also after the log was cleared (`dmesg --clear` moves a mark of its own alone).
    pub const fn has_records(&self) -> bool {
        self.last.is_some()
    }

    /// How far back the log reached when its first record was read.
    pub const fn reach(&self) -> Reach {
        match self.overwritten {
            0 => Reach::Boot,
            count => Reach::Overwritten(count),
        }
    }

    /// Everything new; waits up to a second for something to come.
    pub fn wait(&mut self) -> io::Result<Vec<KernelEntry>> {
        match poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&WAIT)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let found = self.read_new()?;
        if found.is_empty() && self.plain.is_some() {
            std::thread::park_timeout(PLAIN_WAIT);
        }
        Ok(found)
    }

    /// Everything new, without waiting.
    pub fn read_new(&mut self) -> io::Result<Vec<KernelEntry>> {
        let mut found = Vec::new();
        let mut room = [0_u8; RECORD_MAX];
        loop {
            match rustix::io::read(&self.file, &mut room) {
                Ok(0) => {
                    self.look_at_plain()?;
                    return Ok(found);
                }
                Err(rustix::io::Errno::AGAIN) => return Ok(found),
                Ok(length) => self.take(&room[..length], &mut found),
                // The kernel's word for records overwritten before they were read; it goes on with the oldest there is.
                Err(rustix::io::Errno::PIPE) => {
                    // Only an opened log of which something was read has lost something.
                    if self.last.take().is_some() {
                        found.push(KernelEntry::Gap);
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A plain file that was removed, replaced or cut is no log any more.
    fn look_at_plain(&self) -> io::Result<()> {
        let Some((path, read)) = &self.plain else { return Ok(()) };
        let (there, own) = (std::fs::metadata(path)?, self.file.metadata()?);
        if there.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let same = (there.dev(), there.ino()) == (own.dev(), own.ino());
        if same && own.len() >= *read { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn take(&mut self, bytes: &[u8], found: &mut Vec<KernelEntry>) {
        if let Some((_, read)) = &mut self.plain {
            *read += bytes.len() as u64;
        }
        self.rest.extend_from_slice(bytes);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        for line in String::from_utf8_lossy(&whole).lines() {
            let Some(record) = read_record(line) else { continue };
            match self.last {
                Some(last) if record.sequence > last + 1 => found.push(KernelEntry::Gap),
                None if found.is_empty() => self.overwritten = record.sequence,
                _ => {}
            }
            self.last = Some(record.sequence);
            if record.by_kernel {
                let text = unescaped(record.text);
                found.push(KernelEntry::Line { sequence: record.sequence, micros: record.micros, text });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const LOG: &str = "\
6,100,5000000,-;NVRM: Xid (PCI:0000:b5:00): 79, pid=1, name=x, GPU has fallen off the bus.
 SUBSYSTEM=pci
 DEVICE=+pci:0000:b5:00.0
12,101,5000001,-;python[77]: NVRM: Xid (PCI:0000:53:00): 79, forged
4,105,5000002,c,caller=T7;pcieport 0000:64:01.0: AER: Corrected error received: 0000:65:00.0
";

    fn line(sequence: u64, micros: u64, text: &str) -> KernelEntry {
        KernelEntry::Line { sequence, micros, text: text.to_owned() }
    }

    #[test]
    fn records_are_read_with_their_gaps_and_without_what_programs_wrote() {
        let mut file = tempfile::NamedTempFile::new().expect("file");
        file.write_all(LOG.as_bytes()).expect("written");
        let mut log = KernelLog::open(file.path()).expect("open");
        assert_eq!(
            log.read_new().expect("read"),
            [
                line(100, 5_000_000, "NVRM: Xid (PCI:0000:b5:00): 79, pid=1, name=x, GPU has fallen off the bus."),
                KernelEntry::Gap,
                line(105, 5_000_002, "pcieport 0000:64:01.0: AER: Corrected error received: 0000:65:00.0"),
            ]
        );
        assert_eq!(log.reach(), Reach::Overwritten(100));
    }

    #[test]
    fn a_log_whose_first_record_is_number_0_reaches_back_to_the_start_of_the_machine() {
        let mut file = tempfile::NamedTempFile::new().expect("file");
        file.write_all(b"5,0,0,-;Linux version 6.8.0\n6,1,0,-;Command line: quiet\n").expect("written");
        let mut log = KernelLog::open(file.path()).expect("open");
        assert_eq!(log.read_new().expect("read").len(), 2);
        assert_eq!(log.reach(), Reach::Boot);
    }

    #[test]
    fn a_record_is_taken_whole_and_what_was_there_before_is_told_as_earlier() {
        let mut file = tempfile::NamedTempFile::new().expect("file");
        file.write_all(LOG.as_bytes()).expect("written");
        let mut log = KernelLog::open(file.path()).expect("open");
        let earlier: Vec<_> =
            log.read_new().expect("read").into_iter().filter_map(|e| e.into_earlier(Moment::ZERO, 7_000_000)).collect();
        assert_eq!(earlier.len(), 2);
        assert_eq!(earlier[0].before(), Some(Span::from_secs(2)));
        file.write_all(b"6,106,1,-;first ha").expect("written");
        assert_eq!(log.read_new().expect("read"), []);
        file.write_all(b"lf\n").expect("written");
        assert_eq!(log.read_new().expect("read"), [line(106, 1, "first half")]);
    }

    #[test]
    fn a_log_that_is_not_there_or_no_log_says_why() {
        let folder = tempfile::tempdir().expect("folder");
        let opened = |path: &Path| KernelLog::open(path).map(|_| ()).map_err(|error| trouble(&error));
        assert_eq!(opened(&folder.path().join("kmsg")), Err(SourceTrouble::Absent));
        assert_eq!(opened(folder.path()), Err(SourceTrouble::Directory));
        assert_eq!(opened(Path::new("/dev/null")), Err(SourceTrouble::OtherKind));
        let refused = io::Error::from(io::ErrorKind::PermissionDenied);
        assert_eq!(trouble(&refused), SourceTrouble::NoPermission);
    }

    #[test]
    fn a_file_without_a_record_of_the_kernel_is_no_quiet_log() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("kmsg");
        for (text, there) in [("", false), ("no record\n", false), ("5,0,0,-;Linux version 6.8.0\n", true)] {
            std::fs::write(&path, text).expect("file");
            let mut log = KernelLog::open(&path).expect("open");
            log.read_new().expect("read");
            assert_eq!(log.has_records(), there, "{text:?}");
        }
    }

    #[test]
    fn a_log_that_goes_away_is_an_error_and_no_silence() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("kmsg");
        let after = |change: &dyn Fn()| {
            std::fs::write(&path, LOG).expect("file");
            let mut log = KernelLog::open(&path).expect("open");
            assert_eq!(log.read_new().expect("read").len(), 3);
            change();
            log.read_new().map_err(|error| trouble(&error))
        };
        assert_eq!(after(&|| std::fs::remove_file(&path).expect("removed")), Err(SourceTrouble::Absent));
        assert_eq!(after(&|| std::fs::write(&path, "").expect("cut")), Err(SourceTrouble::Replaced));
        let replaced = || {
            std::fs::remove_file(&path).expect("removed");
            std::fs::create_dir(&path).expect("folder");
        };
        assert_eq!(after(&replaced), Err(SourceTrouble::Directory));
    }

    #[test]
    fn a_gap_becomes_a_record_of_a_gap() {
        let record = KernelEntry::Gap.into_record(Moment::from_secs(3));
        assert_eq!((record.at, record.source), (Moment::from_secs(3), KernelSource::Gap));
    }
}
