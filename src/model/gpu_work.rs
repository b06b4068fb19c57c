//! What a GPU was given to do, for a load that waits for it in vain; and where a result was wrong.
//!
//! These have a message in English; a report says the same in other languages.

use serde::{Deserialize, Serialize};

use super::Endpoint;

/// What one pass of a march over memory does with every word. The load's own algorithms are held to it by a test beside them.
pub mod march_pass {
    /// Reads and writes of each word.
    pub const MOVES: u32 = 38;
    /// Reads of each word that are compared with what was written.
    pub const COMPARES: u32 = 19;
}

/// One piece of work that is queued on a GPU and waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum GpuWork {
    /// A kernel that computes, by its name in the image.
    #[error("{name}")]
    Kernel { name: String },
    /// A sweep of a memory march, by the name of its algorithm.
    #[error("{algorithm}")]
    March { algorithm: String },
    #[error("the first write of the memory stream")]
    StreamBegins,
    #[error("the memory stream beside the burn")]
    Stream,
    #[error("a log being emptied")]
    EmptyLog,
    #[error("a pattern to be copied")]
    WritePattern,
    /// Copies whose speed is measured.
    #[error("a copy")]
    Copies,
    #[error("a copy to the GPU")]
    CopyIn,
    #[error("a copy from the GPU")]
    CopyOut,
    #[error("a copy on the GPU")]
    CopyWithin,
    /// What was copied here is compared with what was sent.
    #[error("copy from {}", end(*from))]
    Compare { from: Endpoint },
    #[error("a checksum")]
    Checksum,
    #[error("a pointer chase")]
    PointerChase,
    /// The words of an older journal.
    #[error("{0}")]
    #[serde(untagged)]
    Words(String),
}

/// Where a result was wrong. Places in memory are in bytes from the start of the buffer or chunk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum WrongPlace {
    /// The streaming multiprocessor that computed it, and which of the kernel's units it was.
    #[error("SM {sm}{}", unit.map(|unit| format!(" (unit {unit})")).unwrap_or_default())]
    Sm {
        sm: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<u32>,
    },
    /// A multiprocessor whose first result is not that of most units.
    #[error("SM {sm}, unlike {agree} of {units} units")]
    SmAlone { sm: u32, agree: usize, units: usize },
    #[error("memory stream at {byte:#x}")]
    Stream { byte: u64 },
    /// Memory that a march sweeps.
    #[error("chunk {chunk}{}", cell.map(|cell| cell.to_string()).unwrap_or_default())]
    Chunk {
        chunk: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cell: Option<WrongCell>,
    },
    /// What was copied to the GPU.
    #[error("copy from {} at {byte:#x}", end(*from))]
    CopyFrom { from: Endpoint, byte: u64 },
    /// What was copied from the GPU.
    #[error("copy to the host at {byte:#x}")]
    CopyToHost { byte: u64 },
    /// The words of an older journal.
    #[error("{0}")]
    #[serde(untagged)]
    Words(String),
}

/// Bits of memory that were read wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error)]
#[error(" at {byte:#x}, bits {bits:#x}, {}", again.words())]
pub struct WrongCell {
    pub byte: u64,
    pub bits: u64,
    pub again: ReadAgain,
}

/// What the same place gave when it was read a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadAgain {
    /// It was read right: the way to the memory is at fault.
    Right,
    /// It was read wrong again: the memory holds it so.
    Wrong,
}

impl ReadAgain {
    const fn words(self) -> &'static str {
        match self {
            Self::Right => "transfer: read again it was right",
            Self::Wrong => "storage",
        }
    }
}

impl WrongPlace {
    /// The place without what differs between wrong results of one part of the GPU: the units of a multiprocessor are one
    /// place.
    #[must_use]
    pub fn whole(&self) -> Self {
        match self {
            Self::Sm { sm, .. } => Self::Sm { sm: *sm, unit: None },
            place => place.clone(),
        }
    }
}

fn end(end: Endpoint) -> String {
    match end {
        Endpoint::Host => "the host".to_owned(),
        Endpoint::Gpu(gpu) => format!("gpu/{}", gpu.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GpuIndex, LoadFault, Mismatch, Span};

    #[test]
    fn the_words_of_an_older_journal_are_read_and_facts_come_back_as_they_were() {
        let old = r#"{"gpu":1,"place":"SM 17 (unit 34)","iteration":0,"word":0,"flipped_bits":1}"#;
        let old: Mismatch = serde_json::from_str(old).expect("read");
        assert_eq!(old.place, WrongPlace::Words("SM 17 (unit 34)".to_owned()));
        let hung = serde_json::json!({ "hung": { "what": "a checksum", "after": Span::from_secs(30) } });
        let hung: LoadFault = serde_json::from_value(hung).expect("read");
        assert_eq!(hung.to_string(), "a checksum hangs: it did not end within 30 s");
        let cell = WrongCell { byte: 0x40, bits: 0x800, again: ReadAgain::Right };
        for (place, words) in [
            (WrongPlace::Sm { sm: 17, unit: Some(34) }, "SM 17 (unit 34)"),
            (WrongPlace::Sm { sm: 17, unit: None }, "SM 17"),
            (WrongPlace::SmAlone { sm: 17, agree: 263, units: 264 }, "SM 17, unlike 263 of 264 units"),
            (WrongPlace::Stream { byte: 64 }, "memory stream at 0x40"),
            (WrongPlace::Chunk { chunk: 3, cell: None }, "chunk 3"),
            (
                WrongPlace::Chunk { chunk: 3, cell: Some(cell) },
                "chunk 3 at 0x40, bits 0x800, transfer: read again it was right",
            ),
            (WrongPlace::CopyFrom { from: Endpoint::Gpu(GpuIndex(2)), byte: 64 }, "copy from gpu/2 at 0x40"),
            (WrongPlace::CopyToHost { byte: 64 }, "copy to the host at 0x40"),
        ] {
            assert_eq!(place.to_string(), words);
            let text = serde_json::to_string(&place).expect("written");
            assert_eq!(serde_json::from_str::<WrongPlace>(&text).expect("read"), place, "{text}");
        }
    }

    #[test]
    fn units_of_one_multiprocessor_are_one_place() {
        let of = |unit| WrongPlace::Sm { sm: 17, unit: Some(unit) }.whole();
        assert_eq!(of(34), of(35));
        assert_eq!(of(34).to_string(), "SM 17");
    }
}
