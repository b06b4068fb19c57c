//! `bench.json`: everything a bench measured, under a versioned schema.

use std::fmt;

use kiln_event::{NodeSource, Surroundings};
use kiln_model::{GpuIndex, Mismatch, Screened, Transfer};
use serde::{Deserialize, Serialize};

use super::phase::Work;
use super::scatter::Scatter;

/// Grows by a minor number with new fields, by a major one when old ones change.
pub const BENCH_SCHEMA: &str = "kiln.bench/1.2";

/// A whole bench of one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bench {
    pub schema: String,
    /// Where the readings come from; only those of hardware say something of a part.
    pub source: NodeSource,
    #[serde(default)]
    pub surroundings: Option<Surroundings>,
    /// `kiln 0.1.0`.
    pub tool: String,
    /// When it began.
    pub at: String,
    pub driver: Option<String>,
    pub cuda: Option<String>,
    pub node: Option<String>,
    pub gpus: Vec<Unit>,
    pub phases: Vec<PhaseMeasured>,
}

/// A GPU that was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unit {
    pub gpu: GpuIndex,
    pub name: Option<String>,
    pub serial: Option<String>,
    pub uuid: Option<String>,
    /// The model's id, where the program knows it.
    pub sku: Option<String>,
    pub power_limit_watts: Option<f64>,
    /// Million bf16 operations that all its units can do in a clock, where the model's facts say so.
    pub bf16_per_clock: Option<f64>,
}

/// What one phase came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseMeasured {
    pub name: String,
    pub work: Work,
    /// How long it took, with setting up.
    pub seconds: f64,
    pub gpus: Vec<GpuMeasured>,
    pub transfers: Vec<Transfer>,
    /// What the load noted.
    pub notes: Vec<String>,
    /// Why it is not a measurement, where it is not.
    pub trouble: Option<Trouble>,
    /// Of a step: each reading with its time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traces: Vec<Trace>,
}

/// Why a phase is not a measurement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trouble {
    /// A simulated node does not do this work, which nobody has to look into.
    NotModelled,
    /// Something went wrong. Before 1.2 everything was told like this.
    #[serde(untagged)]
    Missed(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotModelled => f.write_str("a simulated node does not model it"),
            Self::Missed(why) => f.write_str(why),
        }
    }
}

/// What one GPU did in a phase: statistics over its last two thirds, when it had warmed up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GpuMeasured {
    pub gpu: GpuIndex,
    pub power_watts: Option<Scatter>,
    pub power_instant_watts: Option<Scatter>,
    pub clock_mhz: Option<Scatter>,
    pub celsius: Option<Scatter>,
    pub memory_celsius: Option<Scatter>,
    pub tflops: Option<Scatter>,
    pub memory_gb_per_s: Option<Scatter>,
    /// Million operations in a clock of the SMs.
    pub per_clock: Option<f64>,
    /// The same as a share of what the units can do, in percent.
    pub duty_percent: Option<f64>,
    pub covered_percent: Option<f64>,
    /// Results compared, and those that were wrong.
    pub verified: u64,
    pub mismatches: u64,
    /// The wrong ones told one by one.
    pub told: Vec<Mismatch>,
    /// Where bits were flipped on purpose: since 1.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flips: Option<Flips>,
    /// What a screen compared, and where: since 1.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub screened: Option<Screened>,
}

/// Bits flipped on purpose on one GPU, and those of them whose very place was told as wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flips {
    pub flipped: u32,
    pub found: u32,
}

impl GpuMeasured {
    /// Wrong results. A unit that differs from the others when a burn is set up is told, and not among those counted.
    pub fn wrong(&self) -> u64 {
        self.mismatches.max(self.told.len() as u64)
    }

    /// Wrong results that nobody asked for.
    pub fn wrong_of_itself(&self, work: Work) -> u64 {
        let asked = match (work, self.flips) {
            (_, Some(flips)) => u64::from(flips.found),
            // Before 1.1 nobody knew which they were.
            (Work::Flips { count, .. }, None) => u64::from(count),
            _ => 0,
        };
        self.wrong().saturating_sub(asked)
    }
}

/// Readings of one GPU one by one, from the moment the phase began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    pub gpu: GpuIndex,
    /// When the load was told to begin and to end.
    pub on_seconds: Option<f64>,
    pub off_seconds: Option<f64>,
    pub seconds: Vec<f64>,
    pub watts: Vec<Option<f64>>,
    pub watts_instant: Vec<Option<f64>>,
    pub clock_mhz: Vec<Option<f64>>,
    pub celsius: Vec<Option<f64>>,
}

/// Why a file is not a bench that this program reads.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("it is not JSON of a bench: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("it is of the schema `{found}`, and a bench is of `{BENCH_SCHEMA}`; make it with `kiln bench --json FILE`")]
    Other { found: String },
    #[error("it is of the schema `{found}`, newer than this program's `{BENCH_SCHEMA}`; read it with a newer kiln")]
    Newer { found: String },
}

/// The file's text.
pub fn document(bench: &Bench) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(bench).map(|text| text + "\n")
}

/// Reads a file's text. Fields that a newer minor version added are passed over.
pub fn read(text: &[u8]) -> Result<Bench, ReadError> {
    #[derive(Deserialize)]
    struct Head {
        schema: String,
    }
    let found = serde_json::from_slice::<Head>(text)?.schema;
    let version = |schema: &str| {
        let (major, minor) = schema.strip_prefix("kiln.bench/")?.split_once('.')?;
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    };
    match (version(&found), version(BENCH_SCHEMA)) {
        (Some((theirs, _)), Some((ours, _))) if theirs == ours => Ok(serde_json::from_slice(text)?),
        (Some((theirs, _)), Some((ours, _))) if theirs > ours => Err(ReadError::Newer { found }),
        _ => Err(ReadError::Other { found }),
    }
}

impl Bench {
    /// Whether it says something of real parts.
    pub const fn is_of_hardware(&self) -> bool {
        self.source.is_hardware()
    }

    pub fn unit(&self, gpu: GpuIndex) -> Option<&Unit> {
        self.gpus.iter().find(|unit| unit.gpu == gpu)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Bench {
        Bench {
            schema: BENCH_SCHEMA.to_owned(),
            source: NodeSource::Hardware,
            surroundings: None,
            tool: "kiln 0.1.0".to_owned(),
            at: "2026-01-01T00:00:00Z".to_owned(),
            driver: None,
            cuda: None,
            node: None,
            gpus: Vec::new(),
            phases: Vec::new(),
        }
    }

    #[test]
    fn a_bench_survives_its_file_and_a_newer_minor_version_is_read() {
        let text = document(&empty()).unwrap();
        assert_eq!(read(text.as_bytes()).unwrap(), empty());
        let newer = text.replacen("kiln.bench/1.2", "kiln.bench/1.7", 1).replacen('{', "{\"novelty\": 3,", 1);
        assert_eq!(read(newer.as_bytes()).unwrap().gpus, []);
    }

    #[test]
    fn a_newer_major_version_and_other_files_are_refused_each_in_its_words() {
        let text = document(&empty()).unwrap();
        let refused = |schema: &str| read(text.replace(BENCH_SCHEMA, schema).as_bytes()).unwrap_err().to_string();
        let told = ["kiln.bench/2.0", "kiln.drill/1.1", "kiln.bench/0.9", "bench"].map(refused).join("\n");
        insta::assert_snapshot!(told);
        assert!(read(b"{}").is_err() && read(b"").is_err());
    }
}
