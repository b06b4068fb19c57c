//! Writes what comes in from a node to a recording.

use std::io::{self, Write};

use super::line::{Head, Line, RECORDING_SCHEMA};
use kiln_engine::Inbox;
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

    /// Writes everything in the inbox and empties it. A question that failed as a whole leaves no line.
    pub fn take(&mut self, now: Moment, inbox: &mut Inbox) -> io::Result<()> {
        for inventory in inbox.inventories.drain(..).flatten() {
            self.write(&Line::Inventory { at: now, inventory })?;
        }
        for (_, answer) in inbox.answers.drain(..) {
            match answer {
                Answer::Inventory(Ok(inventory)) => self.write(&Line::Inventory { at: now, inventory })?,
                Answer::Counters(Ok(counters)) => self.write(&Line::Counters { at: now, counters })?,
                Answer::Inventory(Err(_)) | Answer::Counters(Err(_)) => {}
            }
        }
        for sample in inbox.samples.drain(..) {
            self.write(&Line::Sample((&sample).into()))?;
        }
        for report in inbox.sources.drain(..) {
            self.write(&Line::Source(report))?;
        }
        for record in inbox.kernel.drain(..) {
            self.write(&Line::Kernel(record))?;
        }
        inbox.loads.clear();
        self.out.flush()
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.out.write_all(&text)
    }
}
