//! The lines of a recording: `schema: kiln.recording/1`, JSON, one thing that came in to a line, in the order it came.

use std::collections::BTreeMap;
use std::io::BufRead;

use serde::{Deserialize, Serialize};

use kiln_model::{
    GpuCounters, GpuIndex, Inventory, KernelRecord, Moment, Reading, ReadingFailure, Sample, Sensor, SourceReport,
};

/// What `schema` says in the first line.
pub const RECORDING_SCHEMA: &str = "kiln.recording/1";

/// What a line holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Line {
    /// The first line.
    Head(Head),
    Inventory {
        at: Moment,
        inventory: Box<Inventory>,
    },
    Sample(SampleLine),
    Counters {
        at: Moment,
        counters: Vec<GpuCounters>,
    },
    Kernel(KernelRecord),
    Source(SourceReport),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) schema: String,
    /// What was recorded: `hardware`, or the name of what stood in for it.
    pub(super) source: String,
}

/// One sample: values and failures by sensor. A sensor in neither is unsupported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SampleLine {
    gpu: GpuIndex,
    at: Moment,
    values: BTreeMap<Sensor, f64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    failures: BTreeMap<Sensor, ReadingFailure>,
}

impl From<&Sample> for SampleLine {
    fn from(sample: &Sample) -> Self {
        let mut line = Self { gpu: sample.gpu, at: sample.at, values: BTreeMap::new(), failures: BTreeMap::new() };
        for sensor in Sensor::ALL {
            match sample[*sensor] {
                Reading::Value(value) => {
                    line.values.insert(*sensor, value);
                }
                Reading::Failed(failure) => {
                    line.failures.insert(*sensor, failure);
                }
                Reading::Unsupported => {}
            }
        }
        line
    }
}

impl From<SampleLine> for Sample {
    fn from(line: SampleLine) -> Self {
        let mut sample = Self::new(line.gpu, line.at);
        for (sensor, value) in line.values {
            sample.put(sensor, value);
        }
        for (sensor, failure) in line.failures {
            sample.set(sensor, Reading::Failed(failure));
        }
        sample
    }
}

/// Why a recording cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    #[error("the recording cannot be read")]
    Read(#[source] std::io::Error),
    #[error("line {line}: not a line of a recording; a recording is written by `kiln record`")]
    Malformed { line: usize, source: serde_json::Error },
    #[error("the recording says `{found}`; this version reads `{RECORDING_SCHEMA}`")]
    Schema { found: String },
    #[error("the recording does not begin with its schema; is it one that `kiln record` wrote?")]
    Headless,
    #[error("the recording has no inventory, so that nothing is known of the node; record it again")]
    NoInventory,
}

/// A recording, whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// What was recorded.
    pub source: String,
    /// Inventories by when they came. At least one.
    pub inventories: Vec<(Moment, Box<Inventory>)>,
    pub samples: Vec<Sample>,
    pub counters: Vec<(Moment, Vec<GpuCounters>)>,
    pub kernel: Vec<KernelRecord>,
    /// What the node said of its sources.
    pub sources: Vec<SourceReport>,
}

impl Recording {
    /// Reads a recording. A last line cut off in the middle, as by a power cut, is left out.
    pub fn read(from: impl BufRead) -> Result<Self, RecordingError> {
        let mut whole = Self {
            source: String::new(),
            inventories: vec![],
            samples: vec![],
            counters: vec![],
            kernel: vec![],
            sources: vec![],
        };
        let lines: Vec<String> = from.lines().collect::<Result<_, _>>().map_err(RecordingError::Read)?;
        let count = lines.len();
        for (place, text) in lines.iter().enumerate() {
            let line = match serde_json::from_str(text) {
                Ok(line) => line,
                Err(error) if place > 0 && place + 1 == count && error.is_eof() => break,
                Err(source) => return Err(RecordingError::Malformed { line: place + 1, source }),
            };
            if (place == 0) != matches!(line, Line::Head(_)) {
                return Err(RecordingError::Headless);
            }
            whole.take(line)?;
        }
        if count == 0 {
            return Err(RecordingError::Headless);
        }
        if whole.inventories.is_empty() {
            return Err(RecordingError::NoInventory);
        }
        Ok(whole)
    }

    fn take(&mut self, line: Line) -> Result<(), RecordingError> {
        match line {
            Line::Head(head) if head.schema != RECORDING_SCHEMA => {
                return Err(RecordingError::Schema { found: head.schema });
            }
            Line::Head(head) => self.source = head.source,
            Line::Inventory { at, inventory } => self.inventories.push((at, inventory)),
            Line::Sample(line) => self.samples.push(line.into()),
            Line::Counters { at, counters } => self.counters.push((at, counters)),
            Line::Kernel(record) => self.kernel.push(record),
            Line::Source(report) => self.sources.push(report),
        }
        Ok(())
    }

    /// The moment of the first line.
    pub fn began(&self) -> Moment {
        let samples = self.samples.first().map(|sample| sample.at);
        self.inventories.first().map(|(at, _)| *at).into_iter().chain(samples).min().unwrap_or_default()
    }

    /// The moment of the last sample.
    pub fn ended(&self) -> Moment {
        self.samples.last().map_or(self.began(), |sample| sample.at)
    }
}
