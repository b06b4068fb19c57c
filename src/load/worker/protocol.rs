//! What supervisor and worker say to one another: one JSON object a line, each with the version of the protocol.
//!
//! Reading and writing the pipes is left to both ends.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::injection::Injection;
use super::variant::Variant;
use kiln_model::{GpuIndex, LoadOrder, LoadSaid};

/// Raised whenever a line of one version would be misread by another.
pub const VERSION: u32 = 3;

/// An order as a worker gets it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkOrder {
    pub order: LoadOrder,
    /// Where the GPUs of the order are.
    pub devices: Vec<Device>,
    /// A fault to be committed on purpose, to show that it is found.
    pub injection: Option<Injection>,
    /// What is done otherwise than in a run.
    #[serde(default)]
    pub variant: Variant,
}

/// How the driver finds a GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    pub gpu: GpuIndex,
    /// PCI address; without one the GPU is found by its index in PCI order.
    pub pci: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToWorker {
    Order(Box<WorkOrder>),
    /// You may go on. Counted, so that a log of the pipe can be read.
    Lease(u64),
    /// Begin at this moment of the machine's monotonic clock, in nanoseconds: the same for all workers of a load.
    Begin {
        at: u64,
    },
    Stop,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FromWorker {
    /// The worker is there and reads its orders.
    Hello {
        pid: u32,
    },
    /// Everything is set up; it waits to begin.
    Ready,
    /// The work goes on, with nothing else to tell.
    Alive,
    Said(LoadSaid),
}

/// Why a line was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    #[error("it speaks version {theirs} of the protocol and this program version {VERSION}; install the same kiln")]
    Version { theirs: u32 },
    #[error("it said what is not the protocol: {excerpt}")]
    Garbage { excerpt: String },
}

#[derive(Serialize)]
struct Outgoing<'a, T> {
    v: u32,
    say: &'a T,
}

#[derive(Deserialize)]
struct Versioned {
    v: u32,
}

#[derive(Deserialize)]
struct Incoming<T> {
    say: T,
}

/// One line, with its end.
pub fn encode<T: Serialize>(message: &T) -> String {
    let line = serde_json::to_string(&Outgoing { v: VERSION, say: message });
    // Messages are plain data with string keys: nothing in them can fail to be written as JSON.
    let mut line = line.expect("messages are plain data");
    line.push('\n');
    line
}

/// Reads one line. The version is looked at before anything else.
pub fn decode<T: DeserializeOwned>(line: &str) -> Result<T, LineError> {
    let garbage = |_| LineError::Garbage { excerpt: excerpt(line) };
    let versioned: Versioned = serde_json::from_str(line).map_err(garbage)?;
    if versioned.v != VERSION {
        return Err(LineError::Version { theirs: versioned.v });
    }
    serde_json::from_str(line).map(|incoming: Incoming<T>| incoming.say).map_err(garbage)
}

/// Longest part of a bad line that is shown.
const EXCERPT: usize = 80;

fn excerpt(line: &str) -> String {
    let shown: String = line.chars().take(EXCERPT).collect();
    let more = if line.chars().nth(EXCERPT).is_some() { "…" } else { "" };
    format!("{shown:?}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_model::{LoadEnd, LoadId, LoadKind};

    #[test]
    fn messages_survive_the_pipe() {
        let order = LoadOrder {
            id: LoadId(7),
            kind: LoadKind::March { coverage: 0.95 },
            gpus: [GpuIndex(3)].into(),
            seed: u64::MAX,
            span: None,
        };
        let devices = vec![Device { gpu: GpuIndex(3), pci: Some("0000:17:00.0".to_owned()) }];
        let sent = ToWorker::Order(Box::new(WorkOrder {
            order,
            devices,
            injection: Some(Injection::Hang),
            variant: Variant::default(),
        }));
        assert_eq!(decode(encode(&sent).trim_end()), Ok(sent));
        let said = FromWorker::Said(LoadSaid::Ended { gpu: None, end: LoadEnd::Failed("a\nb".to_owned().into()) });
        insta::assert_snapshot!(encode(&said), @r#"{"v":3,"say":{"said":{"ended":{"gpu":null,"end":{"failed":"a\nb"}}}}}"#);
        assert_eq!(decode(encode(&said).trim_end()), Ok(said));
    }

    #[test]
    fn another_version_is_told_from_garbage() {
        let newer = decode::<FromWorker>(r#"{"v":4,"speak":{}}"#).unwrap_err();
        let garbage = decode::<FromWorker>("cuda says hi").unwrap_err();
        let unknown = decode::<FromWorker>(r#"{"v":3,"say":"dance"}"#).unwrap_err();
        insta::assert_snapshot!(format!("{newer}\n{garbage}\n{unknown}"), @r#"
        it speaks version 4 of the protocol and this program version 3; install the same kiln
        it said what is not the protocol: "cuda says hi"
        it said what is not the protocol: "{\"v\":3,\"say\":\"dance\"}"
        "#);
    }
}
