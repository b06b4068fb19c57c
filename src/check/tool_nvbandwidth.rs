//! `tool.nvbandwidth`: copies between hosts and GPUs.

use super::declare::may;
use super::program::{
    ABSENT, ARGS, DEADLINE, DIRECTORY, EXIT_CODE, KnownProgram, OUTPUT, PASSED, PROGRAM, VERSION, estimate, program,
};
use crate::model::{ComponentKind, Tool, Unit};
use crate::profile::{CheckSpec, MeasurementSpec, Wear};

pub(super) static CHECK: KnownProgram = KnownProgram { spec: &SPEC, tool: Tool::NvBandwidth };

const NODE: ComponentKind = ComponentKind::Node;
const GPU: ComponentKind = ComponentKind::Gpu;
pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "tool.nvbandwidth",
    summary: "Runs nvbandwidth (`-j`) and tells every cell of every matrix it measures.",
    details: "Which cases is for the arguments: `args: [-t, device_to_device_memcpy_read_ce]`. Measurements carry the \
              name of the case and hang on the GPU, or on the pair of GPUs, of the cell. A case that was waived or \
              failed is missing.",
    params: &[program(Some(Tool::NvBandwidth.name())), ARGS, DIRECTORY, DEADLINE, ABSENT],
    measurements: MEASUREMENTS,
    each: &[NODE, GPU],
    wear: Wear::None,
    faults: &[],
    exclusive: true,
    watcher: false,
    estimate,
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    PASSED,
    may("*latency*", Unit::Microsecond, GPU, "of a case that measures latency"),
    may("*", Unit::GigabytePerSecond, GPU, "of a case that measures bandwidth: host_to_device_memcpy_ce"),
    EXIT_CODE,
    PROGRAM,
    VERSION,
    OUTPUT,
];
