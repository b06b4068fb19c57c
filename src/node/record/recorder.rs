//! Writes what comes in from a node to a recording.

use std::io::{self, Write};

use super::line::{Head, Line, RECORDING_SCHEMA};
use kiln_model::Arrivals;
use kiln_model::{Answer, Moment};

/// A recording being written.
#[derive(Debug)]
pub struct Recorder<W: Write> {
    out: W,
}

impl<W: Write> Recorder<W> {
    /// Begins a recording of `source`: `hardware`, or the name of what stands in for it.
    pub fn new(out: W, source: &str) -> io::Result<Self> {
        let mut recorder = Self { out };
        recorder.write(&Line::Head(Head { schema: RECORDING_SCHEMA.to_owned(), source: source.to_owned() }))?;
        Ok(recorder)
    }

    /// Writes everything in the arrivals and empties it. A question that failed as a whole leaves no line.
    pub fn take(&mut self, now: Moment, arrivals: &mut Arrivals) -> io::Result<()> {
        for inventory in arrivals.inventories.drain(..).flatten() {
            self.write(&Line::Inventory { at: now, inventory })?;
        }
        for (_, answer) in arrivals.answers.drain(..) {
            match answer {
                Answer::Inventory(Ok(inventory)) => self.write(&Line::Inventory { at: now, inventory })?,
                Answer::Counters(Ok(counters)) => self.write(&Line::Counters { at: now, counters })?,
                Answer::Inventory(Err(_)) | Answer::Counters(Err(_)) => {}
            }
        }
        for sample in arrivals.samples.drain(..) {
            self.write(&Line::Sample((&sample).into()))?;
        }
        for report in arrivals.sources.drain(..) {
            self.write(&Line::Source(report))?;
        }
        for record in arrivals.kernel.drain(..) {
            self.write(&Line::Kernel(record))?;
        }
        arrivals.loads.clear();
        self.out.flush()
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.out.write_all(&text)
    }
}
