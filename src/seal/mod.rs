//! Seals: signs everything in a run directory, and finds the first place that was changed afterwards.
//!
//! `seal.json` is a DSSE envelope over an in-toto Statement with the test-result predicate: its subjects are the files by
//! SHA-256 and the unit by its serial numbers, its signature Ed25519. Stock tools for either can read it. What Kiln adds
//! stands under `kiln` in the predicate: the verdict's own word, the journal's root, and short digests of the pieces of
//! every file, so that an altered one is named by line or by bytes. Whether a journal is sound in itself is for `journal`.
//! `papers` are a floor's signature over what it did with a unit, and over the seals of the runs that it did it for.

mod envelope;
mod error;
mod folder;
mod key;
mod make;
mod papers;
mod pieces;
mod statement;
mod verify;

pub use error::{Altered, SealError};
pub use key::{PublicKey, SecretKey};
pub use make::{Sealed, seal};
pub use papers::{PaperDecision, PaperRun, Papers, PapersError, seal_digest};
pub use verify::{Verified, check_file, is_sealed, verify};

/// File name of the seal in a run directory.
pub const FILE_NAME: &str = "seal.json";
