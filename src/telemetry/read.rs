//! Reading telemetry back, block by block, so that memory does not grow with the length of the run.
//!
//! Everything sound is given, in order; what is not is told as gaps once the end is reached.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::block::Block;
use super::error::{TelemetryError, failed};
use super::frame::{self, Found, Frame, Scanner};
use super::gap::Gap;
use super::header::Header;
use super::{FILE_NAME, FOLDER, MOST};
use kiln_disk::{Folder, SAMPLES};
use kiln_model::Sensor;

/// Where the whole frames of a file that may still be written to end, going on from where they ended before. What is
/// behind may be torn, and is cut off should the recording be taken up again.
pub fn whole_frames(file: &File, from: u64) -> io::Result<u64> {
    let mut scanner = Scanner::new(file)?;
    scanner.go_on_from(from);
    let mut end = from;
    loop {
        match scanner.next()? {
            Found::Frame(frame) => end = frame.offset + (frame::HEAD + scanner.payload.len()) as u64,
            Found::Damaged { .. } => {}
            Found::Torn { .. } | Found::End => return Ok(end),
        }
    }
}

/// Telemetry being read.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    scanner: Scanner<File>,
    header: Header,
    /// Number the next frame must have.
    due: u32,
    closed: bool,
    gaps: Vec<Gap>,
}

impl Reader {
    /// Opens the telemetry of a run directory.
    pub fn open(run: &Path) -> Result<Self, TelemetryError> {
        let folder = Folder::open(run).map_err(failed("open", &run.join(FOLDER).join(FILE_NAME)))?;
        Self::open_in(&folder)
    }

    /// Opens the telemetry in a run directory.
    pub fn open_in(run: &Folder) -> Result<Self, TelemetryError> {
        let path = run.path().join(FOLDER).join(FILE_NAME);
        let file = run.open_bounded(SAMPLES.name, MOST).map_err(failed("open", &path))?;
        let mut scanner = Scanner::new(file).map_err(failed("read", &path))?;
        match scanner.next().map_err(failed("read", &path))? {
            Found::Frame(Frame { kind: frame::HEADER, offset: 0, .. }) => {}
            _ => return Err(TelemetryError::Foreign),
        }
        let header = Header::parse(&scanner.payload)?;
        Ok(Self { path, scanner, header, due: 1, closed: false, gaps: Vec::new() })
    }

    /// Goes back to the first block.
    pub fn rewind(&mut self) -> Result<(), TelemetryError> {
        self.scanner.rewind();
        self.due = 0;
        self.closed = false;
        self.gaps.clear();
        // The header, which was sound.
        self.scanner.next().map_err(failed("read", &self.path))?;
        self.due = 1;
        Ok(())
    }

    /// What wrote it, as `kiln 0.1.0`.
    pub fn written_by(&self) -> &str {
        &self.header.written_by
    }

    /// The next block; `None` at the end.
    pub fn next_block(&mut self) -> Result<Option<Block>, TelemetryError> {
        self.next_block_of(&|_| true)
    }

    /// The same with the wanted columns alone: all others are passed over.
    pub fn next_block_of(&mut self, wanted: &dyn Fn(Sensor) -> bool) -> Result<Option<Block>, TelemetryError> {
        loop {
            match self.scanner.next().map_err(failed("read", &self.path))? {
                Found::Frame(frame) => {
                    if let Some(block) = self.take(frame, wanted) {
                        return Ok(Some(block));
                    }
                }
                Found::Damaged { offset, bytes } => self.damaged(offset, bytes),
                Found::Torn { offset, bytes } => self.gaps.push(Gap::Torn { offset, bytes }),
                Found::End => {
                    // A torn end is the open block already.
                    if !self.closed && !matches!(self.gaps.last(), Some(Gap::Torn { .. } | Gap::Unclosed)) {
                        self.gaps.push(Gap::Unclosed);
                    }
                    return Ok(None);
                }
            }
        }
    }

    fn take(&mut self, frame: Frame, wanted: &dyn Fn(Sensor) -> bool) -> Option<Block> {
        let length = (frame::HEAD + self.scanner.payload.len()) as u64;
        if frame.number < self.due {
            // A copy of something that was there before.
            self.damaged(frame.offset, length);
            return None;
        }
        if frame.number > self.due {
            let told =
                matches!(self.gaps.last(), Some(Gap::Damaged { offset, bytes }) if offset + bytes == frame.offset);
            let frames = u64::from(frame.number - self.due);
            if !(told && frames == 1) {
                self.gaps.push(Gap::Missing { offset: frame.offset, frames });
            }
        }
        self.due = frame.number.saturating_add(1);
        match frame.kind {
            frame::BLOCK => {
                let block = Block::unpack(&self.scanner.payload, &self.header, wanted);
                if block.is_none() {
                    self.damaged(frame.offset, length);
                }
                return block;
            }
            frame::RESUMED => {
                let bytes = self.scanner.payload.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
                self.gaps.push(Gap::CutShort { offset: frame.offset, bytes });
                self.closed = false;
            }
            frame::END => self.closed = true,
            // Of a newer minor version.
            _ => {}
        }
        None
    }

    fn damaged(&mut self, offset: u64, bytes: u64) {
        self.gaps.push(Gap::Damaged { offset, bytes });
    }

    /// What was found missing up to here; all of it once the last block was given.
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }
}

#[cfg(test)]
#[expect(
    clippy::cast_precision_loss,
    reason = "columns are bounded by the length of a block, and values are kept in the width they came in"
)]
mod tests {
    use super::super::write::{Safety, Telemetry};
    use super::*;
    use kiln_model::{GpuIndex, Moment, Reading, ReadingFailure, Sample};

    fn sample(gpu: u8, second: u64) -> Sample {
        let mut sample = Sample::new(GpuIndex(gpu), Moment::from_secs(second));
        sample.put(Sensor::TempGpu, 40.0 + (second % 7) as f64);
        sample.put(Sensor::Power, 650.0 + (second * 37 % 100) as f64 / 100.0);
        sample.put(Sensor::Energy, second as f64 * 650.25);
        sample.put(Sensor::ClockReasons, 4.0);
        if gpu == 1 && second > 900 {
            sample.fail_all(ReadingFailure::Lost);
        } else if second % 50 == 3 {
            sample.set(Sensor::TempMemory, Reading::Failed(ReadingFailure::Driver(-999)));
        }
        sample
    }

    fn record(telemetry: &mut Telemetry, seconds: std::ops::Range<u64>) {
        for second in seconds {
            telemetry.sample(&sample(0, second));
            telemetry.sample(&sample(1, second));
        }
    }

    /// 20 minutes of two GPUs, closed.
    fn recorded() -> tempfile::TempDir {
        let run = tempfile::tempdir().expect("folder");
        let mut telemetry = Telemetry::create(run.path(), Safety::AtTheEnd).expect("telemetry");
        record(&mut telemetry, 0..1200);
        telemetry.close().expect("closed");
        run
    }

    fn file(run: &Path) -> PathBuf {
        run.join(FOLDER).join(FILE_NAME)
    }

    /// Seconds read of GPU 0, after holding every row against what was recorded, and the gaps.
    fn read(run: &Path) -> (Vec<u64>, Vec<Gap>) {
        let mut reader = Reader::open(run).expect("telemetry");
        let mut seconds = Vec::new();
        while let Some(block) = reader.next_block().expect("read") {
            for part in &block.gpus {
                for (row, at) in part.at.iter().enumerate() {
                    let second = at.nanos() / 1_000_000_000;
                    let expected = sample(part.gpu.0, second);
                    for sensor in Sensor::ALL {
                        assert_eq!(part.column(*sensor)[row], expected[*sensor], "{} at {at}", sensor.name());
                    }
                    if part.gpu == GpuIndex(0) {
                        seconds.push(second);
                    }
                }
            }
        }
        (seconds, reader.gaps().to_vec())
    }

    #[test]
    fn everything_recorded_is_read_again() {
        let run = recorded();
        assert_eq!(read(run.path()), ((0..1200).collect(), vec![]));
    }

    #[test]
    fn columns_that_are_not_wanted_change_nothing_in_those_that_are() {
        let run = recorded();
        let (mut all, mut some) = (Reader::open(run.path()).expect("one"), Reader::open(run.path()).expect("two"));
        while let Some(block) = all.next_block().expect("read") {
            let only = some.next_block_of(&|sensor| sensor == Sensor::Energy).expect("read").expect("as many");
            for (whole, part) in block.gpus.iter().zip(&only.gpus) {
                assert_eq!((part.gpu, &part.at), (whole.gpu, &whole.at));
                assert_eq!(part.column(Sensor::Energy), whole.column(Sensor::Energy));
            }
        }
        assert!(some.next_block().expect("read").is_none());
    }

    #[test]
    fn a_kill_at_any_byte_loses_at_most_the_open_block_and_says_so() {
        let run = recorded();
        let bytes = std::fs::read(file(run.path())).expect("bytes");
        let header = bytes.windows(4).skip(1).position(|four| four == &bytes[..4]).expect("a block") + 1;
        for length in header..bytes.len() {
            std::fs::write(file(run.path()), &bytes[..length]).expect("cut");
            let (seconds, gaps) = read(run.path());
            assert_eq!(seconds, (0..seconds.len() as u64).collect::<Vec<_>>(), "cut at {length}");
            assert_eq!(seconds.len() % 300, 0, "whole blocks, cut at {length}");
            assert_eq!(gaps.len(), 1, "cut at {length}: {gaps:?}");
            assert!(matches!(gaps[0], Gap::Torn { .. } | Gap::Unclosed), "cut at {length}: {gaps:?}");
        }
    }

    #[test]
    fn a_cut_header_is_told_as_no_telemetry() {
        let run = recorded();
        let bytes = std::fs::read(file(run.path())).expect("bytes");
        std::fs::write(file(run.path()), &bytes[..40]).expect("cut");
        let error = Reader::open(run.path()).expect_err("no header");
        assert_eq!(error.to_string(), "this is no telemetry of kiln: its header is damaged or is not one");
    }

    #[test]
    fn any_changed_byte_costs_its_block_alone_and_is_told() {
        let run = recorded();
        let bytes = std::fs::read(file(run.path())).expect("bytes");
        let header = bytes.windows(4).skip(1).position(|four| four == &bytes[..4]).expect("a block") + 1;
        for at in (header..bytes.len()).step_by(11) {
            let mut altered = bytes.clone();
            altered[at] ^= 0x10;
            std::fs::write(file(run.path()), &altered).expect("altered");
            let (seconds, gaps) = read(run.path());
            assert!(seconds.len() >= 900, "altered at {at}: {} seconds", seconds.len());
            assert!(!gaps.is_empty(), "altered at {at}");
        }
    }

    #[test]
    fn a_block_taken_out_or_put_in_twice_is_told() {
        let run = recorded();
        let bytes = std::fs::read(file(run.path())).expect("bytes");
        let starts: Vec<usize> = (0..bytes.len() - 4).filter(|at| bytes[*at..*at + 4] == bytes[..4]).collect();
        let (two, three) = (starts[2], starts[3]);
        std::fs::write(file(run.path()), [&bytes[..two], &bytes[three..]].concat()).expect("taken out");
        let (seconds, gaps) = read(run.path());
        assert_eq!((seconds.len(), gaps), (900, vec![Gap::Missing { offset: two as u64, frames: 1 }]));
        std::fs::write(file(run.path()), [&bytes[..three], &bytes[two..]].concat()).expect("put in twice");
        let (seconds, gaps) = read(run.path());
        let bytes = (three - two) as u64;
        assert_eq!((seconds.len(), gaps), (1200, vec![Gap::Damaged { offset: three as u64, bytes }]));
    }

    #[test]
    fn a_resumed_recording_keeps_what_is_whole_and_tells_where_it_was_cut() {
        let run = recorded();
        let bytes = std::fs::read(file(run.path())).expect("bytes");
        std::fs::write(file(run.path()), &bytes[..bytes.len() - 40]).expect("cut");
        let mut telemetry = Telemetry::resume(run.path(), Safety::AtTheEnd).expect("resumed");
        record(&mut telemetry, 1300..1400);
        telemetry.close().expect("closed");
        let (seconds, gaps) = read(run.path());
        assert_eq!(seconds, (0..900).chain(1300..1400).collect::<Vec<_>>());
        assert!(matches!(gaps[..], [Gap::CutShort { .. }]), "{gaps:?}");
    }

    #[test]
    fn two_recorders_never_write_one_file() {
        let run = tempfile::tempdir().expect("folder");
        let _open = Telemetry::create(run.path(), Safety::AtTheEnd).expect("telemetry");
        let refused = Telemetry::resume(run.path(), Safety::AtTheEnd).expect_err("in use");
        assert!(refused.to_string().ends_with("samples.ktb is in use: the run is still going on"));
    }

    #[test]
    fn a_newer_major_version_is_refused_by_both_names() {
        let run = recorded();
        let text = r#"{"schema":"kiln.telemetry/2.0","written_by":"kiln 9.0.0","sensors":[]}"#;
        let mut bytes = Vec::new();
        frame::put(&mut bytes, frame::HEADER, 0, text.as_bytes());
        std::fs::write(file(run.path()), bytes).expect("written");
        assert_eq!(
            Reader::open(run.path()).expect_err("newer").to_string(),
            "the telemetry is in format kiln.telemetry/2.0, written by kiln 9.0.0; this version reads kiln.telemetry/1"
        );
    }

    #[test]
    fn a_sensor_of_a_newer_minor_version_is_passed_over() {
        let run = recorded();
        let header = Header::current();
        let mut text = serde_json::to_value(&header).expect("json");
        text["sensors"][0]["name"] = "temp.moon".into();
        let mut bytes = std::fs::read(file(run.path())).expect("bytes");
        let second = bytes.windows(4).skip(1).position(|four| four == &bytes[..4]).expect("a block") + 1;
        let mut renamed = Vec::new();
        frame::put(&mut renamed, frame::HEADER, 0, text.to_string().as_bytes());
        bytes.splice(..second, renamed);
        std::fs::write(file(run.path()), bytes).expect("written");
        let mut reader = Reader::open(run.path()).expect("telemetry");
        let block = reader.next_block().expect("read").expect("a block");
        assert_eq!(block.gpus[0].column(Sensor::TempGpu)[0], Reading::Unsupported);
        assert_eq!(block.gpus[0].column(Sensor::Power)[0], Reading::Value(650.0));
    }
}
