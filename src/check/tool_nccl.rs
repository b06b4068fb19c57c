//! `tool.nccl`: collectives over all GPUs.

use super::declare::may;
use super::program::{
    ABSENT, ARGS, DEADLINE, DIRECTORY, EXIT_CODE, KnownProgram, OUTPUT, PASSED, PROGRAM, VERSION, estimate, program,
};
use crate::model::{ComponentKind, Tool, Unit};
use crate::profile::{CheckSpec, MeasurementSpec, Wear};

pub(super) static CHECK: KnownProgram = KnownProgram { spec: &SPEC, tool: Tool::NcclTests };

const NODE: ComponentKind = ComponentKind::Node;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "tool.nccl",
    summary: "Runs a program of nccl-tests (`-J`) and tells the bandwidth of the largest message and wrong values.",
    details: "Which collective is for `program`, sizes and GPUs for the arguments: `args: [-b, 8G, -e, 8G, -g, \"8\"]`. \
              Older versions print text only, which is read as well. Give `-c 1`: results that were not checked are no \
              results.",
    params: &[program(Some(Tool::NcclTests.name())), ARGS, DIRECTORY, DEADLINE, ABSENT],
    measurements: MEASUREMENTS,
    each: &[NODE],
    wear: Wear::Stress,
    faults: &[],
    exclusive: true,
    watcher: false,
    estimate,
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    PASSED,
    may("message.size", Unit::Byte, NODE, "the largest, which the bandwidths are of"),
    may("algorithm.bandwidth", Unit::GigabytePerSecond, NODE, "size over time"),
    may("bus.bandwidth", Unit::GigabytePerSecond, NODE, "what the links carried for it"),
    may("wrong", Unit::One, NODE, "wrong values over all sizes"),
    EXIT_CODE,
    PROGRAM,
    VERSION,
    OUTPUT,
];
