//! The form of a frame, and finding the next sound one in a file that may be damaged anywhere.

#![expect(
    clippy::cast_possible_truncation,
    reason = "columns are bounded by the length of a block, and values are kept in the width they came in"
)]

use std::io::{self, Read, Seek, SeekFrom};

use sha2::{Digest as _, Sha256};

/// The first byte is not valid UTF-8 and no text begins with it.
const MAGIC: [u8; 4] = [0xf5, b'K', b'L', b'N'];
/// Magic, kind, number, length, checksum.
pub(super) const HEAD: usize = 4 + 1 + 4 + 4 + 8;
/// No block comes near this; a length beyond is damage.
const PAYLOAD_MAX: u32 = 64 << 20;
/// How far a search for the next frame reads at once.
const WINDOW: usize = 64 << 10;

pub(super) const HEADER: u8 = b'H';
pub(super) const BLOCK: u8 = b'B';
pub(super) const RESUMED: u8 = b'R';
pub(super) const END: u8 = b'E';

/// Of all that follows the magic but the checksum itself.
fn checksum(kind: u8, number: u32, payload: &[u8]) -> [u8; 8] {
    let mut hash = Sha256::new();
    hash.update([kind]);
    hash.update(number.to_le_bytes());
    hash.update((payload.len() as u32).to_le_bytes());
    hash.update(payload);
    let mut short = [0; 8];
    short.copy_from_slice(&hash.finalize()[..8]);
    short
}

/// Appends a frame to `out`.
pub(super) fn put(out: &mut Vec<u8>, kind: u8, number: u32, payload: &[u8]) {
    out.extend_from_slice(&MAGIC);
    out.push(kind);
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&checksum(kind, number, payload));
    out.extend_from_slice(payload);
}

/// A frame whose checksum holds; its payload is in the scanner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) number: u32,
    pub(super) offset: u64,
}

/// What is found at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Frame(Frame),
    /// No frame from `offset` on for `bytes`; then comes one.
    Damaged {
        offset: u64,
        bytes: u64,
    },
    /// A frame begins and the file ends before it does.
    Torn {
        offset: u64,
        bytes: u64,
    },
    End,
}

/// Walks over the frames of a file.
#[derive(Debug)]
pub(super) struct Scanner<R> {
    file: R,
    length: u64,
    at: u64,
    pub(super) payload: Vec<u8>,
}

impl<R: Read + Seek> Scanner<R> {
    pub(super) fn new(mut file: R) -> io::Result<Self> {
        let length = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Self { file, length, at: 0, payload: Vec::new() })
    }

    /// Goes on from a place where a frame ended.
    pub(super) const fn go_on_from(&mut self, offset: u64) {
        self.at = offset;
    }

    /// Goes back to the first frame.
    pub(super) const fn rewind(&mut self) {
        self.at = 0;
    }

    /// The next frame, or what is in its place.
    pub(super) fn next(&mut self) -> io::Result<Found> {
        let offset = self.at;
        if offset >= self.length {
            return Ok(Found::End);
        }
        let cut = match self.frame_at(offset)? {
            At::Frame(kind, number) => {
                self.at = offset + (HEAD + self.payload.len()) as u64;
                return Ok(Found::Frame(Frame { kind, number, offset }));
            }
            At::Cut => true,
            At::Nothing => false,
        };
        // A frame that seems cut may be one whose length was altered: only if no other follows is it the torn last.
        let mut from = offset + 1;
        while let Some(candidate) = self.find_magic(from)? {
            if let At::Frame(..) = self.frame_at(candidate)? {
                self.at = candidate;
                return Ok(Found::Damaged { offset, bytes: candidate - offset });
            }
            from = candidate + 1;
        }
        self.at = self.length;
        let bytes = self.length - offset;
        Ok(if cut { Found::Torn { offset, bytes } } else { Found::Damaged { offset, bytes } })
    }

    fn frame_at(&mut self, offset: u64) -> io::Result<At> {
        let left = self.length - offset;
        self.file.seek(SeekFrom::Start(offset))?;
        let mut head = [0; HEAD];
        let have = left.min(HEAD as u64) as usize;
        self.file.read_exact(&mut head[..have])?;
        let magic = have.min(MAGIC.len());
        if head[..magic] != MAGIC[..magic] {
            return Ok(At::Nothing);
        }
        if have < HEAD {
            return Ok(At::Cut);
        }
        let word = |from: usize| u32::from_le_bytes([head[from], head[from + 1], head[from + 2], head[from + 3]]);
        let (kind, number, length) = (head[4], word(5), word(9));
        if length > PAYLOAD_MAX {
            return Ok(At::Nothing);
        }
        if left - (HEAD as u64) < u64::from(length) {
            return Ok(At::Cut);
        }
        self.payload.resize(length as usize, 0);
        self.file.read_exact(&mut self.payload)?;
        let sound = checksum(kind, number, &self.payload) == head[13..];
        Ok(if sound { At::Frame(kind, number) } else { At::Nothing })
    }

    fn find_magic(&mut self, from: u64) -> io::Result<Option<u64>> {
        let mut window = vec![0; WINDOW];
        let mut at = from;
        while at + MAGIC.len() as u64 <= self.length {
            let have = (self.length - at).min(WINDOW as u64) as usize;
            self.file.seek(SeekFrom::Start(at))?;
            self.file.read_exact(&mut window[..have])?;
            if let Some(found) = window[..have].windows(MAGIC.len()).position(|bytes| bytes == MAGIC) {
                return Ok(Some(at + found as u64));
            }
            at += (have - (MAGIC.len() - 1)) as u64;
        }
        Ok(None)
    }
}

enum At {
    Frame(u8, u32),
    /// It begins like a frame and the file ends too early.
    Cut,
    Nothing,
}
