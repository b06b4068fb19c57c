//! `tool.iperf3`: TCP or UDP to another machine.

use super::declare::may;
use super::program::{
    ABSENT, ARGS, DEADLINE, DIRECTORY, EXIT_CODE, KnownProgram, OUTPUT, PASSED, PROGRAM, VERSION, estimate, program,
};
use crate::model::{ComponentKind, Tool, Unit};
use crate::profile::{CheckSpec, MeasurementSpec, Wear};

pub(super) static CHECK: KnownProgram = KnownProgram { spec: &SPEC, tool: Tool::Iperf3 };

const NODE: ComponentKind = ComponentKind::Node;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "tool.iperf3",
    summary: "Runs iperf3 (`-J`) and tells the bandwidth sent and received.",
    details: "The other end must run `iperf3 -s`: `args: [-c, station-host, -t, \"10\", -P, \"4\"]`. Bandwidths are in \
              bytes: 100 Gbit/s is 12.5 GB/s.",
    params: &[program(Some(Tool::Iperf3.name())), ARGS, DIRECTORY, DEADLINE, ABSENT],
    measurements: MEASUREMENTS,
    each: &[NODE],
    wear: Wear::None,
    faults: &[],
    exclusive: false,
    watcher: false,
    estimate,
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    PASSED,
    may("sent.bandwidth", Unit::GigabytePerSecond, NODE, "what this end sent"),
    may("received.bandwidth", Unit::GigabytePerSecond, NODE, "what the other end received"),
    may("retransmits", Unit::One, NODE, "segments sent again; only TCP counts them"),
    EXIT_CODE,
    PROGRAM,
    VERSION,
    OUTPUT,
];
