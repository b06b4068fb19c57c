//! `tool.fio`: the disk benchmark.

use super::declare::may;
use super::program::{
    ABSENT, ARGS, DEADLINE, DIRECTORY, EXIT_CODE, KnownProgram, OUTPUT, PASSED, PROGRAM, VERSION, estimate, program,
};
use crate::model::{ComponentKind, Tool, Unit};
use crate::profile::{CheckSpec, MeasurementSpec, Wear};

pub(super) static CHECK: KnownProgram = KnownProgram { spec: &SPEC, tool: Tool::Fio };

const NODE: ComponentKind = ComponentKind::Node;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "tool.fio",
    summary: "Runs fio (`--output-format=json`) and tells the bandwidth, operations and latency of each of its jobs.",
    details: "Jobs are for the arguments: `args: [--name=scratch, --filename=/data/kiln.tmp, --size=4G, --rw=randread, \
              --direct=1]`. Measurements carry the name of the job. Whatever it is told to write to is overwritten: \
              never name a disk with data.",
    params: &[program(Some(Tool::Fio.name())), ARGS, DIRECTORY, DEADLINE, ABSENT],
    measurements: MEASUREMENTS,
    each: &[NODE],
    wear: Wear::Stress,
    faults: &[],
    exclusive: false,
    watcher: false,
    estimate,
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    PASSED,
    may("errors", Unit::One, NODE, "jobs that ended in an error"),
    may("*.bandwidth", Unit::MegabytePerSecond, NODE, "of a job and way: scratch.read.bandwidth"),
    may("*.operations", Unit::Hertz, NODE, "operations a second of a job and way"),
    may("*.latency.p99", Unit::Microsecond, NODE, "completion latency that 99 % of the operations kept to"),
    EXIT_CODE,
    PROGRAM,
    VERSION,
    OUTPUT,
];
