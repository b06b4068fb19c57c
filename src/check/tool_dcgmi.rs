//! `tool.dcgmi`: the diagnostics of NVIDIA DCGM.

use super::declare::flag;
use super::program::{
    ABSENT, ARGS, DEADLINE, DIRECTORY, EXIT_CODE, KnownProgram, OUTPUT, PASSED, PROGRAM, VERSION, estimate, program,
};
use crate::model::{ComponentKind, Tool};
use crate::profile::{CheckSpec, MeasurementSpec, Wear};

pub(super) static CHECK: KnownProgram = KnownProgram { spec: &SPEC, tool: Tool::DcgmDiag };

const NODE: ComponentKind = ComponentKind::Node;
const GPU: ComponentKind = ComponentKind::Gpu;
pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "tool.dcgmi",
    summary: "Runs the diagnostics of NVIDIA DCGM (`dcgmi diag -j`) and tells each of its tests for each GPU.",
    details: "What to run is for the arguments: `args: [-r, \"3\"]`. A warning counts as a failure, as its own exit \
              code has it; a test that was skipped is a measurement that is missing. It needs the host engine of DCGM \
              4, which holds the GPUs meanwhile.",
    params: &[program(Some(Tool::DcgmDiag.name())), ARGS, DIRECTORY, DEADLINE, ABSENT],
    measurements: MEASUREMENTS,
    each: &[NODE, GPU],
    wear: Wear::Stress,
    faults: &[],
    exclusive: true,
    watcher: false,
    estimate,
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    PASSED,
    flag("*.passed", GPU, "the result of one of its tests: software, memory, pcie, targeted_power and so on"),
    EXIT_CODE,
    PROGRAM,
    VERSION,
    OUTPUT,
];
