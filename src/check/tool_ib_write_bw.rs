//! `tool.ib-write-bw`: RDMA writes to another machine.

use super::declare::may;
use super::program::{
    ABSENT, ARGS, DEADLINE, DIRECTORY, EXIT_CODE, KnownProgram, OUTPUT, PASSED, PROGRAM, VERSION, estimate, program,
};
use crate::model::{ComponentKind, Tool, Unit};
use crate::profile::{CheckSpec, MeasurementSpec, Wear};

pub(super) static CHECK: KnownProgram = KnownProgram { spec: &SPEC, tool: Tool::IbWriteBw };

const NODE: ComponentKind = ComponentKind::Node;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "tool.ib-write-bw",
    summary: "Runs ib_write_bw of perftest and tells the bandwidth for each size of message.",
    details: "The other end must wait already: `args: [-d, mlx5_0, --report_gbits, station-host]`. Measurements carry \
              the size of the message in bytes.",
    params: &[program(Some(Tool::IbWriteBw.name())), ARGS, DIRECTORY, DEADLINE, ABSENT],
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
    may("*.peak.bandwidth", Unit::GigabytePerSecond, NODE, "of a message size: 65536.peak.bandwidth"),
    may("*.average.bandwidth", Unit::GigabytePerSecond, NODE, "of a message size: 65536.average.bandwidth"),
    EXIT_CODE,
    PROGRAM,
    VERSION,
    OUTPUT,
];
