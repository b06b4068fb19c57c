//! Digests of a file: one of the whole, and short ones of its pieces that help to find what was changed.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::io::{self, BufRead as _, BufReader, Read as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::error::How;
use kiln_disk::{Folder, GIB};

/// Length of a piece's digest in bytes. It only locates a change; the digest of the whole file proves it.
const SHORT: usize = 8;
/// Size of a piece in bytes for files without lines.
const PIECE: u64 = 65_536;
/// Files with lines short enough for a person to read.
const BY_LINE: [&str; 5] = ["jsonl", "json", "xml", "csv", "yaml"];

/// Size limit of a file: far more than a run writes.
const MOST: u64 = 16 * GIB;
/// Size limit of a file that is read by lines, because a single line may fill it and is held in memory.
const MOST_BY_LINE: u64 = GIB;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum By {
    Line,
    Bytes(u64),
}

/// The digests of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pieces {
    pub(super) bytes: u64,
    pub(super) sha256: String,
    by: By,
    /// The short digests, concatenated, in base64.
    digests: String,
}

/// Formats bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Calls `each` with every piece.
fn walk(folder: &Folder, name: &str, by: By, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let most = if by == By::Line { MOST_BY_LINE } else { MOST };
    let mut file = BufReader::with_capacity(PIECE as usize, folder.open_bounded(name, most)?);
    let mut piece = Vec::new();
    loop {
        piece.clear();
        match by {
            By::Line => file.read_until(b'\n', &mut piece)?,
            By::Bytes(size) => file.by_ref().take(size).read_to_end(&mut piece)?,
        };
        if piece.is_empty() {
            return Ok(());
        }
        each(&piece);
    }
}

fn short(piece: &[u8]) -> [u8; SHORT] {
    let mut short = [0; SHORT];
    short.copy_from_slice(&Sha256::digest(piece)[..SHORT]);
    short
}

impl Pieces {
    pub(super) fn of(folder: &Folder, name: &str) -> io::Result<Self> {
        let by_line = name.rsplit_once('.').is_some_and(|(_, extension)| BY_LINE.contains(&extension));
        let by = if by_line { By::Line } else { By::Bytes(PIECE) };
        let (mut bytes, mut whole, mut digests) = (0, Sha256::new(), Vec::new());
        walk(folder, name, by, |piece| {
            bytes += piece.len() as u64;
            whole.update(piece);
            digests.extend(short(piece));
        })?;
        Ok(Self { bytes, sha256: hex(&whole.finalize()), by, digests: STANDARD.encode(digests) })
    }

    /// Returns true if these are the digests of `bytes`.
    pub(super) fn are_of(&self, bytes: &[u8]) -> bool {
        self.bytes == bytes.len() as u64 && self.sha256 == hex(&Sha256::digest(bytes))
    }

    /// Finds the first place at which the file differs; `None` if it is identical.
    pub(super) fn difference(&self, folder: &Folder, name: &str) -> io::Result<Option<How>> {
        let by = if self.by == By::Bytes(0) { By::Bytes(PIECE) } else { self.by };
        let digests = STANDARD.decode(&self.digests).unwrap_or_default();
        let mut sealed = digests.chunks(SHORT);
        let (mut bytes, mut whole, mut number, mut first) = (0, Sha256::new(), 0_u64, None);
        walk(folder, name, by, |piece| {
            number += 1;
            let end = bytes + piece.len() as u64;
            if first.is_none() && sealed.next() != Some(&short(piece)[..]) {
                first = Some(match by {
                    _ if bytes == self.bytes => None,
                    By::Line => Some(How::Line { line: number, offset: bytes }),
                    By::Bytes(_) => Some(How::Bytes { from: bytes, to: end }),
                });
            }
            bytes = end;
            whole.update(piece);
        })?;
        if bytes == self.bytes && hex(&whole.finalize()) == self.sha256 {
            return Ok(None);
        }
        Ok(Some(match first {
            Some(Some(place)) => place,
            _ if bytes < self.bytes => How::Cut { bytes, sealed: self.bytes },
            _ if bytes > self.bytes => How::Longer { bytes, sealed: self.bytes },
            // The pieces agree and the whole does not: the pieces are not those of the file.
            _ => How::Bytes { from: 0, to: bytes },
        }))
    }
}
