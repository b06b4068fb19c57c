//! `tool.gpu-burn`: the well-known burn by cuBLAS.

use super::declare::may;
use super::program::{
    ABSENT, ARGS, DEADLINE, DIRECTORY, EXIT_CODE, KnownProgram, OUTPUT, PASSED, PROGRAM, VERSION, estimate, program,
};
use crate::model::{ComponentKind, Tool, Unit};
use crate::profile::{CheckSpec, MeasurementSpec, Wear};

pub(super) static CHECK: KnownProgram = KnownProgram { spec: &SPEC, tool: Tool::GpuBurn };

const NODE: ComponentKind = ComponentKind::Node;
const GPU: ComponentKind = ComponentKind::Gpu;
pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "tool.gpu-burn",
    summary: "Runs gpu-burn and tells the verdict, speed and errors of each GPU.",
    details: "How long is for the arguments: `args: [\"3600\"]`. It reads its kernels from where it runs: give its \
              folder as `directory`. It always exits with 0, so its text is believed; its error count overflows, so any \
              number but zero is an error.",
    params: &[program(Some(Tool::GpuBurn.name())), ARGS, DIRECTORY, DEADLINE, ABSENT],
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
    may("throughput", Unit::Gigaflops, GPU, "as it told last"),
    may("errors", Unit::One, GPU, "wrong results, as it told last"),
    EXIT_CODE,
    PROGRAM,
    VERSION,
    OUTPUT,
];
