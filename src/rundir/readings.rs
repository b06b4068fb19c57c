//! The telemetry of a run, opened once and shared by everything that is made from it.

use kiln_disk::Folder;
use kiln_event::RunRecord;
use kiln_report::Traces;
use kiln_telemetry::{Reader, TelemetryError};

/// The telemetry readings of a run, or why there are none.
#[derive(Debug)]
pub struct Readings {
    reader: Result<Reader, TelemetryError>,
    read: bool,
}

impl Readings {
    pub(super) fn open(run: &Folder) -> Self {
        Self { reader: Reader::open_in(run), read: false }
    }

    /// Creates an empty set, for reports that need no readings.
    pub(super) const fn none() -> Self {
        Self { reader: Err(TelemetryError::Foreign), read: false }
    }

    /// Returns the reader, positioned at the first block.
    pub(super) fn reader(&mut self) -> Result<&mut Reader, String> {
        let reader = self.reader.as_mut().map_err(|error| told(error))?;
        if std::mem::replace(&mut self.read, true) {
            reader.rewind().map_err(|error| told(&error))?;
        }
        Ok(reader)
    }

    /// Returns the readings prepared for plots. Gaps are marked in the result and are no error.
    pub fn traces(&mut self, record: &RunRecord) -> Traces {
        let mut traces = Traces::of(record);
        if let Err(why) = self.fill(&mut traces) {
            traces.gap(why);
        }
        traces
    }

    fn fill(&mut self, traces: &mut Traces) -> Result<(), String> {
        let reader = self.reader()?;
        while let Some(block) = reader.next_block_of(&Traces::draws).map_err(|error| told(&error))? {
            for gpu in &block.gpus {
                traces.take(gpu.gpu, &gpu.at, |sensor| gpu.column(sensor));
            }
        }
        for gap in reader.gaps() {
            traces.gap(format!("telemetry: {gap}"));
        }
        Ok(())
    }
}

fn told(error: &TelemetryError) -> String {
    format!("telemetry: {}", super::run_dir::with_causes(error))
}
