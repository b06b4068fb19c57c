//! The lines of a journal as bytes, wherever they are kept: on disk by [`Journal`](super::Journal), in memory where nothing is.

use std::io;
use std::path::Path;

use super::VERSION;
use super::error::JournalError;
use super::line::{self, Chain};
use super::read::{Header, Read, SCHEMA, parse};
use kiln_event::Envelope;

/// Events are a few thousand bytes, inventories some tens of thousands.
const LONG: usize = 64 * 1024;

/// Makes line after line of one journal.
#[derive(Debug)]
pub struct Lines {
    chain: Chain,
    next_seq: u64,
    /// The line being built; reused to avoid allocations.
    line: Vec<u8>,
}

impl Lines {
    /// Those of a new journal. The header comes first.
    pub fn begin() -> Self {
        Self::on_from(line::BEGIN, 0)
    }

    pub(super) fn on_from(chain: Chain, next_seq: u64) -> Self {
        Self { chain, next_seq, line: Vec::with_capacity(LONG) }
    }

    /// Those that come after the whole lines of a journal, with what those say.
    ///
    /// `name` is what a damaged journal is called in the error.
    pub fn after(name: &Path, whole: &[u8]) -> Result<(Self, Read), JournalError> {
        let (read, at) = parse(name, whole)?;
        Ok((Self::on_from(at.chain, read.events.len() as u64), read))
    }

    /// Sequence number the next event must have.
    pub const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The line that says which format the others have.
    pub fn header(&mut self) -> io::Result<&[u8]> {
        let header = Header {
            schema: format!("{SCHEMA}{}.{}", VERSION.0, VERSION.1),
            written_by: concat!("kiln ", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        self.close(&header)
    }

    /// The line of the next event.
    pub fn event(&mut self, envelope: &Envelope) -> io::Result<&[u8]> {
        self.next_seq += 1;
        self.close(envelope)
    }

    fn close(&mut self, body: &impl serde::Serialize) -> io::Result<&[u8]> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, body)?;
        line::close(&mut self.line, &mut self.chain);
        Ok(&self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_stories::endings;

    #[test]
    fn lines_made_in_memory_go_on_after_those_that_are_there_and_read_as_one_journal() {
        let events = &endings()["resumed"].events;
        let mut lines = Lines::begin();
        let mut bytes = lines.header().expect("a line").to_vec();
        for event in &events[..5] {
            bytes.extend_from_slice(lines.event(event).expect("a line"));
        }
        let (mut later, read) = Lines::after(Path::new("journal"), &bytes).expect("sound");
        assert_eq!((read.events.as_slice(), later.next_seq()), (&events[..5], 5));
        for event in &events[5..] {
            bytes.extend_from_slice(later.event(event).expect("a line"));
        }
        let (_, read) = Lines::after(Path::new("journal"), &bytes).expect("sound");
        assert_eq!(&read.events, events);
    }
}
