//! `tool.stressapptest`: memory under mixed traffic.

use super::declare::may;
use super::program::{
    ABSENT, ARGS, DEADLINE, DIRECTORY, EXIT_CODE, KnownProgram, OUTPUT, PASSED, PROGRAM, VERSION, estimate, program,
};
use crate::model::{ComponentKind, Tool, Unit};
use crate::profile::{CheckSpec, MeasurementSpec, Wear};

pub(super) static CHECK: KnownProgram = KnownProgram { spec: &SPEC, tool: Tool::StressAppTest };

const NODE: ComponentKind = ComponentKind::Node;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "tool.stressapptest",
    summary: "Runs stressapptest and tells its verdict, its memory bandwidth and what went wrong.",
    details: "Size and time are for the arguments: `args: [-M, \"200000\", -s, \"3600\", -W]`. Memory it does not get \
              it does not test: compare the size it says in its output.",
    params: &[program(Some(Tool::StressAppTest.name())), ARGS, DIRECTORY, DEADLINE, ABSENT],
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
    may("memory.bandwidth", Unit::MegabytePerSecond, NODE, "memory copied by all its threads"),
    may("incidents", Unit::One, NODE, "hardware incidents"),
    may("errors", Unit::One, NODE, "errors"),
    EXIT_CODE,
    PROGRAM,
    VERSION,
    OUTPUT,
];
