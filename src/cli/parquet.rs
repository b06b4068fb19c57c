//! Telemetry as Parquet: what the rows are labelled with comes from the journal.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, anyhow};

use super::printer;
use super::trouble::{Sorted as _, Trouble};
use crate::event::{Envelope, NodeSource, RunEvent, RunRecord};
use crate::telemetry::{self, FOLDER, Gap, Labels, Reader};
use crate::{journal, seal};

/// The Parquet file inside a run directory.
const FILE_NAME: &str = "samples.parquet";

/// Writes the telemetry of the run in `folder` to stdout, which must lead somewhere.
pub(super) fn print(folder: &Path, events: &[Envelope]) -> Result<(), Trouble> {
    let out = io::stdout();
    if out.is_terminal() {
        let error =
            anyhow!("Parquet is not for a terminal; send it to a file: `… --format parquet > telemetry.parquet`");
        return Err(Trouble::Usage(error));
    }
    seal::check_file(folder, &format!("{FOLDER}/{}", telemetry::FILE_NAME))?;
    let mut reader = Reader::open(folder).no_claim()?;
    // Not locked: the writer wants to be sent between threads.
    let gaps = telemetry::export(&mut reader, &labels(events), &out).no_claim()?;
    (&out).flush().no_claim()?;
    tell_gaps(&gaps);
    Ok(())
}

fn tell_gaps(gaps: &[Gap]) {
    for gap in gaps {
        printer::tell(&format!("telemetry: {gap}"));
    }
}

/// Writes `telemetry/samples.parquet` of a run that has come to its end. Telemetry that is missing, or is none, is told
/// and left at that: the run's other reports do not rest on it.
pub(super) fn write(folder: &Path) -> anyhow::Result<()> {
    let mut reader = match Reader::open(folder) {
        Ok(reader) => reader,
        Err(error) => {
            printer::tell(&format!("telemetry: {error}"));
            return Ok(());
        }
    };
    let events = journal::read(folder)?.events;
    let path = folder.join(FOLDER).join(FILE_NAME);
    let part = path.with_extension("parquet.part");
    let file = BufWriter::new(File::create(&part).with_context(|| format!("cannot create {}", part.display()))?);
    tell_gaps(&telemetry::export(&mut reader, &labels(&events), file)?);
    std::fs::rename(&part, &path).with_context(|| format!("cannot write {}", path.display()))
}

fn labels(events: &[Envelope]) -> Labels {
    let record = RunRecord::of(events);
    let mut labels = Labels::default();
    for envelope in events {
        if matches!(envelope.event, RunEvent::RunStarted(_) | RunEvent::RunResumed { .. }) {
            labels.clock.push((envelope.at, envelope.wall));
        }
    }
    let mut fact = |key: &str, value: &str| labels.facts.push((format!("kiln.{key}"), value.to_owned()));
    if let Some(start) = &record.start {
        fact("run_id", &start.run_id);
        fact("tool", &format!("{} {}", start.tool.name, start.tool.version));
        fact("profile", &format!("{} revision {}", start.profile.id, start.profile.revision));
        fact("profile_digest", &start.profile_digest);
        match &start.source {
            NodeSource::Hardware => fact("source", "hardware"),
            NodeSource::Simulated { node, seed, .. } => {
                fact("source", &format!("SIMULATED node {node}, seed {seed}; not a real unit"));
            }
            NodeSource::Replayed { file } => fact("source", &format!("REPLAYED from {file}")),
            NodeSource::StandIn { library } => {
                fact("source", &format!("SIMULATED by the library {library}; not a real unit"));
            }
        }
        if let Some(serial) = &start.operation.serial {
            fact("serial", serial);
        }
    }
    for gpu in record.inventory.iter().flat_map(|inventory| &inventory.gpus) {
        if let Some(serial) = gpu.identity.serial.value() {
            labels.serials.insert(gpu.index, serial.clone());
        }
    }
    labels
}
