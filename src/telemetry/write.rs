//! Recording: samples into open columns, every few minutes a block to the file.
//!
//! Resident memory is that of the open block. A file that cannot be written to stops the recording, not the run; closing
//! tells of it.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::block::{self, GpuEncoder};
use super::error::{TelemetryError, failed};
use super::frame::{self, Found, Scanner};
use super::header::Header;
use super::{FILE_NAME, FOLDER};
use kiln_disk::{Folder, SAMPLES};
use kiln_model::{GpuIndex, Moment, Sample, Span};

/// What a kill or power cut may cost at most.
const SPAN_MAX: Span = Span::from_secs(300);
/// Rows of one GPU in a block, where samples come faster than once a second.
const ROWS_MAX: u64 = 4096;
/// Of 72 simulated hours of eight GPUs: level 1 makes 9.44 MB in 0.04 s, 3 makes 9.30 MB in 0.05 s, 9 makes 9.13 MB in 0.29 s.
const LEVEL: i32 = 3;

/// When what was written must be on the disk itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Safety {
    /// Every block survives a power cut.
    EveryBlock,
    /// Blocks reach the kernel, the disk at the end: for runs in virtual time, where hours pass in a second.
    AtTheEnd,
}

/// Telemetry being recorded.
pub struct Telemetry {
    path: PathBuf,
    file: File,
    safety: Safety,
    header: Header,
    /// By index; GPUs are few and counted from 0.
    gpus: Vec<Option<Box<GpuEncoder>>>,
    /// The first moment of the open block.
    since: Option<Moment>,
    /// Number of the next frame.
    number: u32,
    compressor: zstd::bulk::Compressor<'static>,
    raw: Vec<u8>,
    payload: Vec<u8>,
    frame: Vec<u8>,
    failure: Option<io::Error>,
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").field("path", &self.path).field("number", &self.number).finish_non_exhaustive()
    }
}

impl Telemetry {
    /// Begins the telemetry of a new run.
    pub fn create(run: &Path, safety: Safety) -> Result<Self, TelemetryError> {
        let made = Folder::create(run).and_then(|run| run.make_subfolder(FOLDER));
        let folder = made.map_err(failed("make", &run.join(FOLDER)))?;
        let path = run.join(FOLDER).join(FILE_NAME);
        let file = folder.create_new(FILE_NAME).map_err(failed("create", &path))?;
        let mut telemetry = Self::over(path, file, safety, 0)?;
        telemetry.begin()?;
        Ok(telemetry)
    }

    /// Goes on recording a run that was cut short: what is whole stays, a torn end is cut off and told in the file.
    pub fn resume(run: &Path, safety: Safety) -> Result<Self, TelemetryError> {
        let path = run.join(FOLDER).join(FILE_NAME);
        let file = match Folder::open(run).and_then(|run| run.open_to_append(SAMPLES.name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::create(run, safety),
            opened => opened.map_err(failed("open", &path))?,
        };
        let mut scanner = Scanner::new(&file).map_err(failed("read", &path))?;
        let (mut number, mut length, mut torn) = (0, 0, 0);
        let mut header = None;
        loop {
            match scanner.next().map_err(failed("read", &path))? {
                Found::Frame(frame) => {
                    if frame.offset == 0 {
                        header = Some(Header::parse(&scanner.payload)?);
                    }
                    number = frame.number.saturating_add(1);
                    length = frame.offset + (frame::HEAD + scanner.payload.len()) as u64;
                }
                Found::Damaged { .. } => {}
                Found::Torn { bytes, .. } => torn = bytes,
                Found::End => break,
            }
        }
        if torn > 0 {
            file.set_len(length).map_err(failed("cut the torn end off", &path))?;
        }
        let mut telemetry = Self::over(path, file, safety, number)?;
        match header {
            None if length == 0 => telemetry.begin()?,
            None => return Err(TelemetryError::Foreign),
            Some(header) if header.sensors != telemetry.header.sensors => return Err(TelemetryError::Foreign),
            Some(_) => {
                let told = telemetry.put(frame::RESUMED, &torn.to_le_bytes());
                told.map_err(failed("write", &telemetry.path))?;
            }
        }
        Ok(telemetry)
    }

    fn over(path: PathBuf, file: File, safety: Safety, number: u32) -> Result<Self, TelemetryError> {
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => TelemetryError::InUse { path: path.clone() },
            TryLockError::Error(source) => TelemetryError::Io { doing: "lock", path: path.clone(), source },
        })?;
        let compressor = zstd::bulk::Compressor::new(LEVEL).map_err(failed("set up compression for", &path))?;
        Ok(Self {
            path,
            file,
            safety,
            header: Header::current(),
            gpus: Vec::new(),
            since: None,
            number,
            compressor,
            raw: Vec::new(),
            payload: Vec::new(),
            frame: Vec::new(),
            failure: None,
        })
    }

    fn begin(&mut self) -> Result<(), TelemetryError> {
        let header = serde_json::to_vec(&self.header).map_err(io::Error::from);
        let written = header.and_then(|header| self.put(frame::HEADER, &header));
        written.map_err(failed("write", &self.path))
    }

    /// Takes in one sample of one GPU.
    #[inline]
    pub fn sample(&mut self, sample: &Sample) {
        let since = *self.since.get_or_insert(sample.at);
        if sample.at.since(since) >= SPAN_MAX {
            self.flush();
            self.since = Some(sample.at);
        }
        if self.encoder(sample.gpu).push(sample) >= ROWS_MAX {
            self.flush();
        }
    }

    fn encoder(&mut self, gpu: GpuIndex) -> &mut GpuEncoder {
        if self.gpus.len() <= gpu.at() {
            self.gpus.resize(gpu.at() + 1, None);
        }
        let header = &self.header;
        self.gpus[gpu.at()].get_or_insert_with(|| Box::new(GpuEncoder::new(gpu, header)))
    }

    /// Writes the open block, as when something happened whose evidence must not be lost.
    pub fn flush(&mut self) {
        self.since = None;
        self.raw.clear();
        for gpu in self.gpus.iter_mut().flatten() {
            gpu.finish(&mut self.raw);
        }
        if self.raw.is_empty() || self.failure.is_some() {
            return;
        }
        let written = self.put_block();
        self.failure = written.err();
    }

    fn put_block(&mut self) -> io::Result<()> {
        let mut payload = std::mem::take(&mut self.payload);
        let packed = block::pack(&self.raw, &mut self.compressor, &mut payload);
        let written = packed.and_then(|()| self.put(frame::BLOCK, &payload));
        self.payload = payload;
        written
    }

    fn put(&mut self, kind: u8, payload: &[u8]) -> io::Result<()> {
        self.frame.clear();
        frame::put(&mut self.frame, kind, self.number, payload);
        self.file.write_all(&self.frame)?;
        self.number += 1;
        if self.safety == Safety::EveryBlock { self.file.sync_data() } else { Ok(()) }
    }

    /// Why nothing is recorded any more, if so.
    pub const fn failure(&self) -> Option<&io::Error> {
        self.failure.as_ref()
    }

    /// Writes what is left, and that this was all.
    pub fn close(mut self) -> Result<(), TelemetryError> {
        self.flush();
        let written = match self.failure.take() {
            Some(failure) => Err(failure),
            None => self.put(frame::END, &[]).and_then(|()| self.file.sync_all()),
        };
        written.map_err(failed("write", &self.path))
    }
}
