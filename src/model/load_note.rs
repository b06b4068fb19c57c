//! What a load notes beside its results, and why it had to take slower kernels.
//!
//! These have a message in English; a report says the same in other languages.

use serde::{Deserialize, Serialize};

use super::{ClockRefusal, DriverCall, GpuIndex};

/// What a load noted of a GPU. `holders` are the other processes on the GPU, as the end of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum NoteFact {
    #[error("{mib} MiB of memory are taken before the march begins{holders}")]
    MemoryTaken { mib: u64, holders: String },
    #[error("only {got} of {wanted} MiB could be had{holders}")]
    LessMemory { got: u64, wanted: u64, holders: String },
    #[error("a read of its own memory takes {nanos} ns")]
    OwnReadTakes { nanos: u64 },
    #[error("a read of host memory takes {nanos} ns")]
    HostReadTakes { nanos: u64 },
    #[error("there is no direct way to gpu/{}: copies go through the host", peer.0)]
    NoDirectWay { peer: GpuIndex },
    /// The driver opens direct ways to a limited number of peers.
    #[error("the driver opens no further direct way, to gpu/{}: copies go through the host", peer.0)]
    TooManyPeers { peer: GpuIndex },
    /// `capability` and `cuda` are versions, of the GPU's architecture and of the driver.
    #[error(
        "{name} (compute capability {capability}, driver CUDA {cuda}): kernels from {image}, slower than it could be: {why}"
    )]
    SlowerKernel { name: String, capability: String, cuda: String, image: String, why: KernelFallback },
    /// The driver did not take back the clock that it was told to hold.
    #[error("the SM clock stays locked, give it back with `nvidia-smi -rgc`: {why}")]
    ClockStaysLocked { why: ClockRefusal },
    /// The sentence of an older journal.
    #[error("{0}")]
    #[serde(untagged)]
    Words(String),
}

/// Why a GPU works with kernels that are not its best.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum KernelFallback {
    /// The driver refused the best image; `log` is what its compiler says.
    #[error("the first choice of kernel image was refused: {failed}{}", after_colon(log))]
    Refused {
        #[serde(flatten)]
        failed: DriverCall,
        log: String,
    },
    #[error("this architecture has no image of its own")]
    NoOwnImage,
    #[error("only the fallback was asked for")]
    Asked,
}

/// A quotation that may be empty, as the end of a sentence.
pub(crate) fn after_colon(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(": {words}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_comes_back_as_it_was_and_one_of_an_older_journal_is_read() {
        for note in [
            NoteFact::NoDirectWay { peer: GpuIndex(3) },
            NoteFact::SlowerKernel {
                name: "NVIDIA H200".to_owned(),
                capability: "9.0".to_owned(),
                cuda: "12.4".to_owned(),
                image: "sm_80".to_owned(),
                why: KernelFallback::NoOwnImage,
            },
        ] {
            let text = serde_json::to_string(&note).expect("written");
            assert_eq!(serde_json::from_str::<NoteFact>(&text).expect("read"), note, "{text}");
        }
        let old = serde_json::from_str::<NoteFact>("\"only 3 of 4 MiB could be had\"").expect("read");
        assert_eq!(old, NoteFact::Words("only 3 of 4 MiB could be had".to_owned()));
    }
}
