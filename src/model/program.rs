//! Programs of other people run as a load: what is ordered, and what came of running one.
//!
//! How they are started and how their output is read is left to the load adapters.

use serde::{Deserialize, Serialize};

use super::load_note::after_colon;
use super::{Component, ExitMeaning, OutputGap, ProgramAbsent, Unit};

/// A program whose output is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    DcgmDiag,
    NvBandwidth,
    NcclTests,
    GpuBurn,
    StressNg,
    StressAppTest,
    Fio,
    Iperf3,
    IbWriteBw,
}

impl Tool {
    pub const ALL: [Self; 9] = [
        Self::DcgmDiag,
        Self::NvBandwidth,
        Self::NcclTests,
        Self::GpuBurn,
        Self::StressNg,
        Self::StressAppTest,
        Self::Fio,
        Self::Iperf3,
        Self::IbWriteBw,
    ];

    /// The program's usual name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DcgmDiag => "dcgmi",
            Self::NvBandwidth => "nvbandwidth",
            Self::NcclTests => "all_reduce_perf",
            Self::GpuBurn => "gpu_burn",
            Self::StressNg => "stress-ng",
            Self::StressAppTest => "stressapptest",
            Self::Fio => "fio",
            Self::Iperf3 => "iperf3",
            Self::IbWriteBw => "ib_write_bw",
        }
    }
}

/// A program to run once, without a shell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramOrder {
    /// A name that is looked for in `PATH`, or a path.
    pub program: String,
    /// As the profile wants them; what makes the output readable is added when it is started.
    pub args: Vec<String>,
    /// Where it runs; without one, where this program does.
    pub directory: Option<String>,
    /// Arguments that make a program without an adapter say its version.
    pub version: Vec<String>,
    pub reader: ProgramReader,
}

/// What makes sense of the output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProgramReader {
    Tool(Tool),
    /// Numbers of a JSON report on standard output; with none of them only the exit code counts.
    Values(Vec<NamedValue>),
}

/// One number of a JSON report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedValue {
    pub name: String,
    /// RFC 6901: `/jobs/0/read/iops`.
    pub pointer: String,
}

/// What came of running a program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProgramSaid {
    /// It is not on this machine.
    NotInstalled(ProgramAbsent),
    /// Which file runs, and the version it tells of, if it tells of one.
    Found {
        path: String,
        version: Option<String>,
    },
    /// It has ended; by a signal counts as 128 and the signal, as shells count.
    Exited {
        code: i32,
    },
    Measured(Vec<ProgramValue>),
    /// Its output, or the way it ended, says nothing of the unit.
    Unreadable(Unreadable),
    /// A piece of the end of what it printed, in order.
    Printed(String),
}

/// Why the output of a program, or the way it ended, says nothing of the unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Unreadable {
    /// It printed more than anybody reads.
    #[error("it printed without end and was stopped")]
    Endless,
    /// In no form that is known. `first` is the first line that it printed.
    #[error("this is not what {title} prints in any version known here: expected {expected}{}", seen(first.as_deref()))]
    Form { title: String, expected: String, first: Option<String> },
    /// In a known form, but for what is told.
    #[error("{title}: {what}; expected {expected}{}", seen(first.as_deref()))]
    Place { title: String, what: Box<OutputGap>, expected: String, first: Option<String> },
    /// The program says that it did not test.
    #[error("{title} did not test: {words}")]
    Refused { title: String, words: String },
    /// The program's exit code says that it did not test.
    #[error("{title} did not test: {meaning}{}", after_colon(words.as_deref().unwrap_or_default()))]
    Exit { title: String, meaning: ExitMeaning, words: Option<String> },
    /// It is not the JSON report that numbers were to be picked from.
    #[error("it is not JSON: {error}")]
    NotJson { error: String },
    /// The sentence of an older journal.
    #[error("{0}")]
    #[serde(untagged)]
    Words(String),
}

fn seen(first: Option<&str>) -> String {
    first.map_or_else(|| "; it printed nothing".to_owned(), |line| format!("; its first line is `{line}`"))
}

/// One value that a program measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProgramValue {
    pub name: String,
    pub component: Component,
    pub unit: Unit,
    pub value: ProgramNumber,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProgramNumber {
    Number {
        value: f64,
        samples: u64,
    },
    Flag(bool),
    Text(String),
    /// Asked for and not given.
    Missing(super::Missing),
}
