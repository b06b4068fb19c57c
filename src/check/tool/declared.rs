//! What the checks of all known programs declare alike.

use super::program::{ABSENT, ARGS, DEADLINE, DIRECTORY, estimate, program};
use kiln_model::{ComponentKind, Tool};
use kiln_profile::{CheckSpec, ParamSpec, Wear};

pub(super) const NODE: &[ComponentKind] = &[ComponentKind::Node];
pub(super) const NODE_OR_GPU: &[ComponentKind] = &[ComponentKind::Node, ComponentKind::Gpu];

/// The parameters, with the usual name of the program.
pub(super) const fn params(tool: Tool) -> [ParamSpec; 5] {
    [program(Some(tool.name())), ARGS, DIRECTORY, DEADLINE, ABSENT]
}

/// What a check of a program is unless it says otherwise: of the node, beside other loads.
pub(super) const STRESS: CheckSpec = CheckSpec {
    name: "",
    summary: "",
    details: "",
    params: &[],
    measurements: &[],
    each: NODE,
    wear: Wear::Stress,
    exclusive: false,
    watcher: false,
    estimate,
};

/// The measurements of a program: its verdict, its own, and what every program leaves.
macro_rules! measurements {
    ($($own:expr),* $(,)?) => {{
        use $crate::tool::program::{EXIT_CODE, FAILURE, OUTPUT, PASSED, PROGRAM, VERSION, WARNING};
        &[PASSED, $($own,)* FAILURE, WARNING, EXIT_CODE, PROGRAM, VERSION, OUTPUT]
    }};
}
pub(super) use measurements;
