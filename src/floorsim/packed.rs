//! A journal in memory, packed: a thousand runs of an acceptance have 1.4 GB of it, and some 60 MB packed.
//!
//! It grows by whole lines, and knows where each of its blocks begins, so that one place of it is looked at by unpacking one
//! block.

use std::sync::Arc;

use kiln_wire::{LineError, Position, Tip};

/// How much is packed at once. Smaller blocks pack worse, larger ones leave more unpacked at the end of each journal.
const BLOCK: usize = 32 << 10;
/// The level that costs least; a journal repeats itself enough for it.
const LEVEL: i32 = 1;

#[derive(Debug)]
enum Content {
    Packed(Box<[u8]>),
    Plain(Box<[u8]>),
}

#[derive(Debug)]
struct Block {
    start: Position,
    length: usize,
    content: Content,
}

impl Block {
    fn of(start: Position, bytes: &[u8]) -> Self {
        let packed = zstd::bulk::compress(bytes, LEVEL);
        // What is packed comes with room for what could not be packed at all: kept, it would be as large as the journal.
        let content =
            packed.map_or_else(|_| Content::Plain(bytes.into()), |packed| Content::Packed(packed.into_boxed_slice()));
        Self { start, length: bytes.len(), content }
    }

    /// What was packed. Bytes that are lost in memory show as a journal that is nobody's own.
    fn bytes(&self) -> Vec<u8> {
        match &self.content {
            Content::Packed(packed) => zstd::bulk::decompress(packed, self.length).unwrap_or_default(),
            Content::Plain(bytes) => bytes.to_vec(),
        }
    }
}

/// Whole lines of a journal. Copies of it share what they have in common.
#[derive(Debug, Clone, Default)]
pub(crate) struct Packed {
    blocks: Vec<Arc<Block>>,
    tail_start: Position,
    tail: Arc<Vec<u8>>,
    end: Position,
}

impl Packed {
    /// Where it ends.
    pub(crate) const fn end(&self) -> Position {
        self.end
    }

    pub(crate) fn append(&mut self, lines: &[u8]) -> Result<(), LineError> {
        let end = Tip::after(self.end, lines)?;
        self.append_until(lines, end);
        Ok(())
    }

    /// Appends lines of which it is known where they end.
    pub(crate) fn append_until(&mut self, lines: &[u8], end: Position) {
        Arc::make_mut(&mut self.tail).extend_from_slice(lines);
        self.end = end;
        if self.tail.len() >= BLOCK {
            self.blocks.push(Arc::new(Block::of(self.tail_start, &self.tail)));
            self.tail = Arc::default();
            self.tail_start = end;
        }
    }

    /// The bytes from one offset up to another, as far as they are there.
    pub(crate) fn read(&self, from: u64, until: u64) -> Vec<u8> {
        let mut read = Vec::new();
        let mut take = |start: u64, bytes: &[u8]| {
            let at = |offset: u64| {
                usize::try_from(offset.saturating_sub(start)).map_or(bytes.len(), |at| at.min(bytes.len()))
            };
            read.extend_from_slice(&bytes[at(from)..at(until).max(at(from))]);
        };
        for block in &self.blocks {
            let (start, end) = (block.start.offset, block.start.offset + block.length as u64);
            if start < until && end > from {
                take(start, &block.bytes());
            }
        }
        take(self.tail_start.offset, &self.tail);
        read
    }

    /// Whether it reads the same up to a position as what ends there.
    pub(crate) fn is_at(&self, position: Position) -> bool {
        let found = |start: Position, bytes: &[u8]| {
            let length = usize::try_from(position.offset - start.offset).ok();
            let own = length.and_then(|length| bytes.get(..length));
            own.is_some_and(|own| Tip::after(start, own) == Ok(position))
        };
        if position.offset >= self.tail_start.offset {
            return found(self.tail_start, &self.tail);
        }
        let block = self.blocks.iter().rfind(|block| block.start.offset <= position.offset);
        block.is_some_and(|block| found(block.start, &block.bytes()))
    }

    /// The same up to a position that is one of its own.
    pub(crate) fn until(&self, position: Position) -> Self {
        let mut kept = Self::default();
        for block in &self.blocks {
            if block.start.offset + block.length as u64 > position.offset {
                break;
            }
            kept.blocks.push(Arc::clone(block));
            let next = block.start.offset + block.length as u64;
            kept.tail_start = self.blocks.get(kept.blocks.len()).map_or(self.tail_start, |after| after.start);
            debug_assert_eq!(kept.tail_start.offset, next, "blocks are without gaps");
        }
        kept.tail = Arc::new(self.read(kept.tail_start.offset, position.offset));
        kept.end = position;
        kept
    }

    /// Whether it reads the same as another one, up to where that one ends.
    pub(crate) fn begins_with(&self, other: &Self) -> bool {
        let length = other.end.offset;
        self.end.offset >= length && self.read(0, length) == other.read(0, length)
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "values are bounded where they are made, within the narrower type")]
mod tests {
    use super::*;

    fn line(number: u64, body: usize) -> Vec<u8> {
        format!("{{\"a\":\"{}\",\"chain\":\"{number:064x}\"}}\n", "x".repeat(body)).into_bytes()
    }

    #[test]
    fn what_was_packed_reads_as_it_was_from_and_up_to_every_line() {
        let mut journal = Packed::default();
        let mut plain = Vec::new();
        let mut ends = vec![Position::default()];
        for number in 0..200 {
            let line = line(number, 40 * number as usize);
            plain.extend_from_slice(&line);
            journal.append(&line).expect("a line");
            ends.push(journal.end());
        }
        assert!(journal.blocks.len() > 5 && journal.read(0, u64::MAX) == plain);
        for (number, end) in ends.iter().enumerate() {
            let at = end.offset as usize;
            assert!(journal.is_at(*end), "line {number}");
            let other = Position { offset: end.offset, chain: ends[(number + 7) % ends.len()].chain };
            assert!(!journal.is_at(other), "line {number}");
            assert_eq!(journal.read(end.offset, end.offset + 100), plain[at..(at + 100).min(plain.len())]);
            let mut kept = journal.until(*end);
            assert!(kept.end() == *end && kept.read(0, u64::MAX) == plain[..at], "line {number}");
            assert!(journal.begins_with(&kept) && (kept.begins_with(&journal) == (at == plain.len())));
            kept.append(&line(7, 9)).expect("a line");
            assert!(!journal.begins_with(&kept), "line {number}");
        }
        assert!(journal.append(b"{}\n").is_err() && journal.read(0, u64::MAX) == plain);
    }
}
