//! Why a load failed, and why a program could not be found.
//!
//! These are errors like any other, with a message in English; a report says the same in other languages.

use serde::{Deserialize, Serialize};

use super::load_note::after_colon;
use super::{DriverCall, GpuIndex, GpuWork, Moment, Span};

/// Why a load failed. What the driver, the system or a process says in its own words is carried as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum LoadFault {
    // --- work on a GPU ---
    /// A call to the driver failed. `holders` are the other processes on the GPU, if they may be the reason.
    #[error("{failed}{holders}")]
    Driver {
        #[serde(flatten)]
        failed: DriverCall,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        holders: String,
    },
    /// The driver or the GPU could not be opened.
    #[error(transparent)]
    Open(Box<OpenError>),
    #[error("out of memory: not one chunk of {mib} MiB free could be had{holders}")]
    NoChunk { mib: u64, holders: String },
    #[error("{gpu} has no FP8 kernel in {image}; burn it with bf16")]
    NoFp8 { gpu: String, image: String },
    #[error("{gpu} has too little shared memory for {kernel}")]
    LittleSharedMemory { gpu: String, kernel: String },
    /// The results of a GPU differ so much that none can be taken for the right one.
    #[error("no two halves of {gpu} agree on one result: only {agree} of {units} units do")]
    NoMajority { gpu: String, agree: usize, units: usize },
    /// Copies between GPUs were ordered on one alone.
    #[error("copies between GPUs need two of them")]
    NeedsTwoGpus,
    /// The order asks for what no load does; `what` quotes it.
    #[error("the order cannot be carried out: {what}")]
    BadOrder { what: String },
    #[error("the SM clock cannot be held: {0}")]
    ClockNotHeld(ClockRefusal),
    /// What was queued on the GPU did not end in time.
    #[error("{what} hangs: it did not end within {} s", after.as_secs_f64())]
    Hung { what: GpuWork, after: Span },

    // --- the process that does the work ---
    /// The system could not start it, and says why.
    #[error("the worker could not be started: {error}")]
    NoWorker { error: String },
    #[error("none of its workers could be started")]
    NoWorkers,
    /// It broke the rules of its protocol. `wrote` is the end of what it wrote to standard error.
    #[error("the worker was killed: {why}{}", words(wrote))]
    WorkerKilled { why: WorkerBreach, wrote: String },
    #[error("the worker closed its pipe, did not leave and was ended{}", words(wrote))]
    WorkerStayed { wrote: String },
    #[error("the worker left with code {code}{}", words(wrote))]
    WorkerLeft { code: i32, wrote: String },
    #[error("the worker crashed with signal {signal}{}", words(wrote))]
    WorkerCrashed { signal: i32, wrote: String },
    #[error("the worker broke: {message}")]
    WorkerPanicked { message: String },
    /// Nobody renewed its lease for so long that it stopped by itself.
    #[error("stopped: its lease was not renewed for {} s", after.as_secs())]
    LeaseLost { after: Span },

    // --- programs ---
    #[error("there is no directory {path} to run in")]
    NoDirectory { path: String },
    #[error(transparent)]
    Absent(ProgramAbsent),
    /// The system could not start the program, and says why.
    #[error("{path} cannot be started: {error}")]
    NotStarted { path: String, error: String },
    #[error("{path} cannot be started: its interpreter or loader is not on this machine")]
    NoInterpreter { path: String },
    #[error("programs are not available on a simulated node")]
    NoPrograms,

    // --- the node ---
    #[error("the node started again")]
    Rebooted,

    // --- recordings that are played back ---
    #[error("the recording shows no load on gpu/{} any more from {from} on", gpu.0)]
    RecordedAtRest { gpu: GpuIndex, from: Moment },
    #[error("the recording shows no load at this time on {}", listed(gpus))]
    RecordedIdle { gpus: Vec<GpuIndex> },
    #[error("the recording is over: it shows no load from here on")]
    RecordingOver,
    #[error("a recording holds readings only: nothing can be copied, written or run on it")]
    ReadingsOnly,

    /// Words of the driver or of the system, and of older journals.
    #[error("{0}")]
    #[serde(untagged)]
    Words(String),
}

/// Why the SM clock of a GPU could not be held at one frequency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum ClockRefusal {
    #[error("only root may; run kiln as root")]
    NotPermitted,
    /// Virtual GPUs, for one, have no such setting.
    #[error("this part or its driver has no such setting")]
    NotOffered,
    #[error("the NVIDIA management library {library} cannot be opened: {why}")]
    NoLibrary { library: String, why: String },
    #[error("{call} failed (NVML error {code})")]
    Call { call: String, code: i32 },
    /// The process that holds the clock and gives it back did not do its part.
    #[error("the process that gives the clock back did not start: {error}")]
    NoHolder { error: String },
}

/// Why there is no GPU to work on. `gpu` is its name among the components, `name` what the driver calls it; `holders` are the
/// other processes on it, as the end of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum OpenError {
    #[error(
        "the NVIDIA driver's library {library} cannot be opened: {why}; install the driver, or name the library in KILN_CUDA_LIB"
    )]
    NoLibrary { library: String, why: String },
    #[error("the NVIDIA driver is too old: its library has no {symbol}; install release 535 or later")]
    TooOld { symbol: String },
    #[error("MIG is on for {gpu} ({name}); a load needs the whole GPU: turn MIG off with `nvidia-smi -i ID -mig 0`")]
    Mig { gpu: String, name: String },
    /// `mode` is the word of `nvidia-smi`.
    #[error("{gpu} is in compute mode {mode}{holders}; set it to default with `nvidia-smi -i ID -c 0`")]
    ComputeMode { gpu: String, mode: String, holders: String },
    #[error("{gpu} cannot be used{holders}: {failed}")]
    Taken {
        gpu: String,
        holders: String,
        #[serde(flatten)]
        failed: DriverCall,
    },
    #[error("{gpu} ({name}) has compute capability {capability}; the kernels need 8.0 or newer")]
    TooOldGpu { gpu: String, name: String, capability: String },
    /// `log` is what the driver's compiler says.
    #[error("no kernel image runs on {gpu} ({name}, compute capability {capability}): {failed}{}", after_colon(log))]
    NoImage {
        gpu: String,
        name: String,
        capability: String,
        #[serde(flatten)]
        failed: DriverCall,
        log: Box<str>,
    },
    #[error(transparent)]
    Call(DriverCall),
}

/// What a worker did that its protocol forbids. Times are how long it was silent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum WorkerBreach {
    #[error("it did not come up for {} s", after.as_secs())]
    DidNotComeUp { after: Span },
    #[error("it did not get ready for {} s", after.as_secs())]
    DidNotGetReady { after: Span },
    #[error("it hangs: it said nothing for {} s", after.as_secs())]
    Silent { after: Span },
    #[error("it wrote a line without end")]
    EndlessLine,
    #[error("it broke off within a line: {half:?}")]
    HalfLine { half: String },
    #[error("it floods: more than {most} messages within a second")]
    Floods { most: u32 },
    #[error("it speaks version {theirs} of the protocol and this program version {ours}; install the same kiln")]
    OtherVersion { theirs: u32, ours: u32 },
    /// It wrote a line that no worker of this version writes.
    #[error("it said what is not the protocol: {excerpt}")]
    BadLine { excerpt: String },
    #[error("it spoke before it said hello")]
    SpokeEarly,
    #[error("it spoke out of turn: {message}")]
    OutOfTurn { message: String },
    /// The sentence of an older journal.
    #[error("{0}")]
    Protocol(String),
}

/// Where a program was looked for in vain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum ProgramAbsent {
    #[error(
        "`{program}` is not installed: it is in no directory of PATH ({}); install it, or name its file under `program`",
        directories.join(", ")
    )]
    NotInPath { program: String, directories: Vec<String> },
    #[error("{path} is no program that can be run")]
    NoProgram { path: String },
    /// The sentence of an older journal.
    #[error("{0}")]
    #[serde(untagged)]
    Words(String),
}

impl From<String> for LoadFault {
    fn from(words: String) -> Self {
        Self::Words(words)
    }
}

fn words(wrote: &str) -> String {
    if wrote.is_empty() { String::new() } else { format!("; it wrote: {wrote}") }
}

fn listed(gpus: &[GpuIndex]) -> String {
    gpus.iter().map(|gpu| format!("gpu/{}", gpu.0)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LoadEnd;

    #[test]
    fn the_words_of_an_older_journal_are_read_and_facts_come_back_as_they_were() {
        let old: LoadEnd = serde_json::from_str(r#"{"failed":"the worker left with code 3"}"#).expect("read");
        assert_eq!(old, LoadEnd::Failed("the worker left with code 3".to_owned().into()));
        let after = Span::from_secs(30);
        for fault in [
            LoadFault::NoWorkers,
            LoadFault::WorkerKilled { why: WorkerBreach::Silent { after }, wrote: "x".to_owned() },
            LoadFault::Absent(ProgramAbsent::Words("gone".to_owned())),
            LoadFault::RecordedIdle { gpus: vec![GpuIndex(1)] },
        ] {
            let end = LoadEnd::Failed(fault);
            let text = serde_json::to_string(&end).expect("written");
            assert_eq!(serde_json::from_str::<LoadEnd>(&text).expect("read"), end, "{text}");
        }
    }
}
