//! `tool.run`: any program, with its exit code as its verdict and numbers of its JSON report as measurements.

use super::program::{
    ABSENT, ARGS, DEADLINE, DIRECTORY, EXIT_CODE, OUTPUT, PASSED, PROGRAM, Program, VERSION, estimate, program,
};
use crate::declare::{list, may};
use crate::{Check, CheckRun, StepContext};
use kiln_event::BadParameter;
use kiln_model::{ComponentKind, NamedValue, ProgramReader, Unit};
use kiln_profile::{CheckSpec, MeasurementSpec, Wear};

#[derive(Debug)]
pub(crate) struct ToolRun {
    pub(crate) spec: CheckSpec,
}

pub(crate) static CHECK: ToolRun = ToolRun { spec: SPEC };

const NODE: ComponentKind = ComponentKind::Node;

const SPEC: CheckSpec = CheckSpec {
    name: "tool.run",
    summary: "Runs any program; its exit code is its verdict, and numbers of its JSON report can be limited.",
    details: "For a test of your own, or of somebody's, that no check knows. `values` picks numbers from a JSON report on \
              standard output: `values: [iops=/jobs/0/read/iops]` gives the measurement `value.iops`, without a unit, as \
              only the program knows it. Without `values` nothing is read and only the exit code counts.",
    params: &[
        program(None),
        ARGS,
        list("values", "numbers of its JSON report, each as name=/json/pointer"),
        list("version-args", "the arguments that make it say its version"),
        DIRECTORY,
        DEADLINE,
        ABSENT,
    ],
    measurements: MEASUREMENTS,
    each: &[NODE],
    wear: Wear::Stress,
    exclusive: true,
    watcher: false,
    estimate,
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    PASSED,
    may("value.*", Unit::One, NODE, "a number that `values` picks: value.iops"),
    EXIT_CODE,
    PROGRAM,
    VERSION,
    OUTPUT,
];

impl Check for ToolRun {
    fn spec(&self) -> &'static CheckSpec {
        &CHECK.spec
    }

    fn begin(&self, context: &StepContext<'_>) -> Box<dyn CheckRun> {
        let wanted = context.params.texts("values").unwrap_or_default();
        let values = wanted.iter().map(|text| named(text)).collect::<Result<_, _>>();
        Box::new(Program::new(self.spec(), context, values.map(ProgramReader::Values)))
    }
}

fn named(text: &str) -> Result<NamedValue, BadParameter> {
    let sound = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_'))
    };
    match text.split_once('=').map(|(name, pointer)| (name.trim(), pointer.trim())) {
        // RFC 6901: the empty pointer is the whole report.
        Some((name, pointer)) if sound(name) && (pointer.is_empty() || pointer.starts_with('/')) => {
            Ok(NamedValue { name: name.to_owned(), pointer: pointer.to_owned() })
        }
        _ => Err(BadParameter::Value(text.to_owned())),
    }
}
