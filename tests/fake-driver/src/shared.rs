//! What the management library and the CUDA drivers of one simulated node tell one another.
//!
//! `KILN_FAKE_BENCH` names a folder they share. The management library, which has the simulated node, writes
//! there how fast each GPU is now and what is wrong with it; each CUDA driver writes what its process has running, and
//! the node is loaded with that. A process that is gone has nothing running.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use kiln_model::{CopyDirection, GpuIndex, LoadKind};
use kiln_node::sim::GpuSpeeds;
use serde::{Deserialize, Serialize};

/// The environment variable that names the folder.
pub(crate) const VARIABLE: &str = "KILN_FAKE_BENCH";

const STATE: &str = "state.json";
const WORK: &str = "work-";
const CLOCK: &str = "clock-";

/// The node as the CUDA drivers must know it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) gpus: Vec<GpuState>,
    /// The process whose node it is: another that opens the management library meanwhile has one of its own.
    pub(crate) owner: u32,
}

/// One GPU.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct GpuState {
    /// As the management library spells it.
    pub(crate) pci: String,
    pub(crate) speeds: GpuSpeeds,
    /// Wrong results so far: the CUDA driver computes as many.
    pub(crate) wrong: u64,
}

/// A kind of work a CUDA driver can tell by what is launched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Work {
    Bf16,
    Fp8,
    Fp32,
    Fp64,
    March,
    HostCopy,
    PairCopy,
}

impl Work {
    /// The load of the simulated node that is like it.
    pub(crate) const fn load(self) -> LoadKind {
        use kiln_model::BurnKernel;
        match self {
            Self::Bf16 => LoadKind::Burn(BurnKernel::Bf16),
            Self::Fp8 => LoadKind::Burn(BurnKernel::Fp8),
            Self::Fp32 => LoadKind::Burn(BurnKernel::Fp32),
            Self::Fp64 => LoadKind::Burn(BurnKernel::Fp64),
            Self::March => LoadKind::March { coverage: 1.0 },
            Self::HostCopy => LoadKind::HostCopy(CopyDirection::Both),
            Self::PairCopy => LoadKind::AllToAll,
        }
    }
}

/// What runs where.
pub(crate) type Running = BTreeSet<(GpuIndex, Work)>;

/// The folder.
#[derive(Debug, Clone)]
pub(crate) struct Bench {
    folder: PathBuf,
}

impl Bench {
    pub(crate) fn from_environment() -> Option<Self> {
        let folder = std::env::var_os(VARIABLE).filter(|value| !value.is_empty())?;
        Some(Self { folder: PathBuf::from(folder) })
    }

    /// Tells the CUDA drivers of the node, unless another process that lives does so. What cannot be written is told next time.
    pub(crate) fn tell(&self, state: &State) {
        let others = |told: State| told.owner != state.owner && lives(told.owner);
        if self.state().is_some_and(others) {
            return;
        }
        let _ = write(&self.folder, STATE, &serde_json::to_vec(state).unwrap_or_default());
    }

    pub(crate) fn state(&self) -> Option<State> {
        serde_json::from_slice(&fs::read(self.folder.join(STATE)).ok()?).ok()
    }

    /// Tells the node what this process has running.
    pub(crate) fn work(&self, running: &Running) {
        let name = format!("{WORK}{}", std::process::id());
        let _ = write(&self.folder, &name, &serde_json::to_vec(running).unwrap_or_default());
    }

    /// Locks the clock of a GPU in MHz, or gives it back. It stays locked when the process that did so is gone.
    pub(crate) fn lock_clock(&self, gpu: GpuIndex, megahertz: Option<u32>) -> std::io::Result<()> {
        let name = format!("{CLOCK}{}", gpu.0);
        match megahertz {
            Some(megahertz) => write(&self.folder, &name, megahertz.to_string().as_bytes()),
            None => fs::remove_file(self.folder.join(name)).or_else(|error| match error.kind() {
                // Giving back what is not locked is no error of the real call either.
                std::io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            }),
        }
    }

    /// The clock of a GPU in MHz, where it is locked.
    pub(crate) fn locked_clock(&self, gpu: GpuIndex) -> Option<u32> {
        fs::read_to_string(self.folder.join(format!("{CLOCK}{}", gpu.0))).ok()?.parse().ok()
    }

    /// What all processes that live have running, by process.
    pub(crate) fn running(&self) -> BTreeMap<u32, Running> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.strip_prefix(WORK)?.parse::<u32>().ok()) else {
                continue;
            };
            if lives(pid)
                && let Some(running) = fs::read(entry.path()).ok().and_then(|text| serde_json::from_slice(&text).ok())
            {
                found.insert(pid, running);
            }
        }
        found
    }
}

/// A process that has ended and was not waited for has no command line any more.
fn lives(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

/// Whole or not at all, for readers that come at any time.
fn write(folder: &Path, name: &str, text: &[u8]) -> std::io::Result<()> {
    let new = folder.join(format!(".{name}.{}", std::process::id()));
    fs::write(&new, text)?;
    fs::rename(new, folder.join(name))
}
