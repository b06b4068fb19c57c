//! The kernel log as the kernel hands it out: one record for each read of `/dev/kmsg`, with a number that tells of gaps.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, SeekFrom};

use crate::model::{KernelRecord, KernelSource, Moment};

/// Longer than any record: the kernel cuts a message off at 1,024 bytes, and escapes swell it at most fourfold.
const RECORD_MAX: usize = 8192;

/// How long one wait lasts, so that whoever follows the log can stop.
const WAIT: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// A plain file is always ready, also where there is nothing new in it.
const PLAIN_WAIT: Duration = Duration::from_millis(100);

/// What comes out of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KernelEntry {
    /// A line by the kernel itself.
    Line { sequence: u64, text: String },
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
}

/// The kernel log from some point on.
#[derive(Debug)]
pub struct KernelLog {
    file: File,
    /// The number of the record read last.
    last: Option<u64>,
    /// The start of a record whose end has not come: plain files give bytes, not records.
    rest: Vec<u8>,
    /// A file that stands for the device, as in a test.
    is_plain: bool,
}

impl KernelLog {
    /// Opens the log at `path` behind what has been logged so far.
    pub fn open(path: &Path) -> io::Result<Self> {
        let log = Self::open_from_start(path)?;
        rustix::fs::seek(&log.file, SeekFrom::End(0))?;
        Ok(log)
    }

    /// Opens the log at its oldest record.
    pub fn open_from_start(path: &Path) -> io::Result<Self> {
        let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
        let file = File::from(file);
        let is_plain = file.metadata()?.is_file();
        Ok(Self { file, last: None, rest: Vec::new(), is_plain })
    }

    /// Everything new; waits up to a second for something to come.
    pub fn wait(&mut self) -> io::Result<Vec<KernelEntry>> {
        match poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&WAIT)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let found = self.read_new()?;
        if found.is_empty() && self.is_plain {
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
                Ok(0) | Err(rustix::io::Errno::AGAIN) => return Ok(found),
                Ok(length) => self.take(&room[..length], &mut found),
                // The kernel's word for records overwritten before they were read; it goes on with the oldest there is.
                Err(rustix::io::Errno::PIPE) => {
                    self.last = None;
                    found.push(KernelEntry::Gap);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn take(&mut self, bytes: &[u8], found: &mut Vec<KernelEntry>) {
        self.rest.extend_from_slice(bytes);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        for line in String::from_utf8_lossy(&whole).lines() {
            let Some(record) = read_record(line) else { continue };
            if self.last.is_some_and(|last| record.sequence > last + 1) {
                found.push(KernelEntry::Gap);
            }
            self.last = Some(record.sequence);
            if record.by_kernel {
                found.push(KernelEntry::Line { sequence: record.sequence, text: record.text.to_owned() });
            }
        }
    }
}

struct Record<'a> {
    sequence: u64,
    by_kernel: bool,
    text: &'a str,
}

/// Reads `6,1234,98765432,-;NVRM: ...`: priority and facility in one number, sequence, microseconds, flags; then the text.
/// Lines that begin with a blank are a record's dictionary.
fn read_record(line: &str) -> Option<Record<'_>> {
    let (head, text) = line.split_once(';')?;
    let mut fields = head.split(',');
    let priority: u64 = fields.next()?.parse().ok()?;
    let sequence = fields.next()?.parse().ok()?;
    // Facility 0 is the kernel. Programs may write to the log, but under another facility: they cannot forge an Xid.
    Some(Record { sequence, by_kernel: priority >> 3 == 0, text })
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
4,105,5000002,c;pcieport 0000:64:01.0: AER: Corrected error received: 0000:65:00.0
";

    fn line(sequence: u64, text: &str) -> KernelEntry {
        KernelEntry::Line { sequence, text: text.to_owned() }
    }

    #[test]
    fn records_are_read_with_their_gaps_and_without_what_programs_wrote() {
        let mut file = tempfile::NamedTempFile::new().expect("file");
        file.write_all(LOG.as_bytes()).expect("written");
        let mut log = KernelLog::open_from_start(file.path()).expect("open");
        assert_eq!(
            log.read_new().expect("read"),
            [
                line(100, "NVRM: Xid (PCI:0000:b5:00): 79, pid=1, name=x, GPU has fallen off the bus."),
                KernelEntry::Gap,
                line(105, "pcieport 0000:64:01.0: AER: Corrected error received: 0000:65:00.0"),
            ]
        );
    }

    #[test]
    fn a_run_sees_only_what_is_logged_after_it_began() {
        let mut file = tempfile::NamedTempFile::new().expect("file");
        file.write_all(LOG.as_bytes()).expect("written");
        let mut log = KernelLog::open(file.path()).expect("open");
        assert_eq!(log.read_new().expect("read"), []);
        file.write_all(b"6,106,1,-;first ha").expect("written");
        assert_eq!(log.read_new().expect("read"), []);
        file.write_all(b"lf\n").expect("written");
        assert_eq!(log.read_new().expect("read"), [line(106, "first half")]);
    }

    #[test]
    fn a_gap_becomes_a_record_of_a_gap() {
        let record = KernelEntry::Gap.into_record(Moment::from_secs(3));
        assert_eq!((record.at, record.source), (Moment::from_secs(3), KernelSource::Gap));
    }
}
