//! `tool.stress-ng`: load on processors, memory and kernel.

use super::declare::may;
use super::program::{
    ABSENT, ARGS, DEADLINE, DIRECTORY, EXIT_CODE, KnownProgram, OUTPUT, PASSED, PROGRAM, VERSION, estimate, program,
};
use crate::model::{ComponentKind, Tool, Unit};
use crate::profile::{CheckSpec, MeasurementSpec, Wear};

pub(super) static CHECK: KnownProgram = KnownProgram { spec: &SPEC, tool: Tool::StressNg };

const NODE: ComponentKind = ComponentKind::Node;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "tool.stress-ng",
    summary: "Runs stress-ng (`--metrics --yaml`) and tells the rate and time of each of its stressors.",
    details: "Stressors are for the arguments: `args: [--cpu, \"0\", --vm, \"2\", --verify, -t, 30m]`. With `--verify` \
              wrong results are a failure. That it lacked resources or was called wrongly is an ERROR and nothing \
              against the unit.",
    params: &[program(Some(Tool::StressNg.name())), ARGS, DIRECTORY, DEADLINE, ABSENT],
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
    may("*.operations", Unit::Hertz, NODE, "rate of a stressor in its own operations: cpu.operations"),
    may("*.time", Unit::Second, NODE, "how long a stressor ran"),
    EXIT_CODE,
    PROGRAM,
    VERSION,
    OUTPUT,
];
