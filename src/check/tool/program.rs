//! A step that runs an external program: what every such check declares, and how it ends.
//!
//! The load starts the program; the adapter knows which program it is and reads its output.

use std::collections::BTreeSet;

use super::adapter::Adapter;
use crate::declare::{choice, flag, may, span, text};
use crate::sheet::{Gauged, Sheet};
use crate::{Check, CheckRun, Done, Seen, StepContext, Wants};
use kiln_event::{BadParameter, Phase, ProgramTrouble, Reason};
use kiln_limit::{Measured, Measurement, Missing, Scalar};
use kiln_model::{
    Component, ComponentKind, GpuIndex, LoadEnd, LoadKind, LoadSaid, Moment, ProgramAbsent, ProgramNumber,
    ProgramOrder, ProgramReader, ProgramSaid, ProgramValue, Span, Unit, Unreadable,
};
use kiln_profile::{CheckSpec, MeasurementSpec, ParamKind, ParamSpec, Params};

const NODE: ComponentKind = ComponentKind::Node;

/// The deadline of a program if the profile gives none.
const WITHIN: Span = Span::from_secs(600);
/// How much of the end of the output is quoted in the reason of a step. The measurement `output` has more.
const QUOTED: usize = 600;
/// The choice to skip the step if the program is not installed.
const SKIP: &str = "skip";

/// Declares the parameter for the file to run. Its default is the usual name of the check's own program.
pub(super) const fn program(default: Option<&'static str>) -> ParamSpec {
    let summary = "the program: a name to be found in PATH, or a path";
    ParamSpec { name: "program", kind: ParamKind::Text, default, summary }
}

pub(super) const ARGS: ParamSpec = ParamSpec {
    name: "args",
    kind: ParamKind::Texts,
    default: Some("[]"),
    summary: "its arguments, one by one as it gets them: no shell reads them",
};
pub(super) const DIRECTORY: ParamSpec = ParamSpec {
    name: "directory",
    kind: ParamKind::Text,
    default: None,
    summary: "where it runs; otherwise where kiln was started",
};
pub(super) const DEADLINE: ParamSpec =
    span("within", "10m", "how long it may run before it is stopped and the step is an ERROR");
pub(super) const ABSENT: ParamSpec =
    choice("not-installed", &["error", SKIP], "error", "what becomes of the step where the program is not there");

pub(super) const PASSED: MeasurementSpec = flag(
    "passed",
    NODE,
    "true where the output proves it and the exit code is 0; not measured where it proves nothing",
);
pub(super) const FAILURE: MeasurementSpec = text("failure", NODE, "what failed, in the words of the program");
pub(super) const WARNING: MeasurementSpec = text("warning", NODE, "what the program warns of");
pub(super) const EXIT_CODE: MeasurementSpec =
    may("exit-code", Unit::One, NODE, "as shells count: 128 and the signal for one that a signal ended");
pub(super) const PROGRAM: MeasurementSpec = text("program", NODE, "the file that ran");
pub(super) const VERSION: MeasurementSpec = text("version", NODE, "the version it tells of");
pub(super) const OUTPUT: MeasurementSpec = text("output", NODE, "the end of what it printed, as evidence");

pub(super) fn estimate(params: &Params, _: usize) -> Span {
    params.span("within").unwrap_or(WITHIN)
}

impl Check for Adapter {
    fn spec(&self) -> &'static CheckSpec {
        super::adapter(self.tool).check()
    }

    fn begin(&self, context: &StepContext<'_>) -> Box<dyn CheckRun> {
        Box::new(Program::new(self.spec(), context, Ok(ProgramReader::Tool(self.tool))))
    }
}

/// One run of a program.
#[derive(Debug)]
pub(super) struct Program {
    spec: &'static CheckSpec,
    order: Result<ProgramOrder, BadParameter>,
    within: Span,
    skip: bool,
    heard: Heard,
    overdue: bool,
}

#[derive(Debug, Default)]
struct Heard {
    absent: Option<ProgramAbsent>,
    path: Option<String>,
    version: Option<String>,
    code: Option<i32>,
    unreadable: Option<Unreadable>,
    values: Vec<ProgramValue>,
    output: String,
}

impl Program {
    pub(super) fn new(
        spec: &'static CheckSpec,
        context: &StepContext<'_>,
        reader: Result<ProgramReader, BadParameter>,
    ) -> Self {
        let params = context.params;
        let texts = |name: &str| params.texts(name).unwrap_or_default().to_vec();
        let order = reader.and_then(|reader| {
            let program = params.text("program").filter(|program| !program.is_empty());
            Ok(ProgramOrder {
                program: program.ok_or(BadParameter::NoProgram)?.to_owned(),
                args: texts("args"),
                directory: params.text("directory").map(str::to_owned),
                version: texts("version-args"),
                reader,
            })
        });
        Self {
            spec,
            order,
            within: params.span("within").unwrap_or(WITHIN),
            skip: params.text("not-installed") == Some(SKIP),
            heard: Heard::default(),
            overdue: false,
        }
    }

    fn name(&self) -> &str {
        self.order.as_ref().map_or("the program", |order| &order.program)
    }

    fn begin(&self, context: &StepContext<'_>, wants: &mut Wants) {
        match &self.order {
            Ok(order) => {
                // A program that does not use GPUs puts no load on them.
                let gpus = if self.spec.exclusive { context.gpus() } else { std::collections::BTreeSet::new() };
                wants.enter(Phase::Measuring, None);
                wants.start_load(LoadKind::Program(Box::new(order.clone())), gpus, Some(self.within));
            }
            Err(why) => {
                wants.end(Done::Failed { why: Reason::Parameter(why.clone()), measured: Vec::new() });
            }
        }
    }

    fn end(&self, context: &StepContext<'_>, end: &LoadEnd) -> Done {
        // If the run says nothing about the unit, only texts are kept: a number could be taken for proof against the unit.
        let evidence = || self.texts(context).into_list();
        let failed = |why| Done::Failed { why, measured: evidence() };
        let trouble = |trouble| failed(Reason::Program { program: self.name().to_owned(), trouble });
        match (&self.heard, end) {
            (Heard { absent: Some(said), .. }, _) if self.skip => {
                Done::NotApplicable { why: Reason::NotApplicable { said: said.clone() } }
            }
            (Heard { absent: Some(said), .. }, _) => failed(Reason::NotInstalled { said: said.clone() }),
            _ if self.overdue => trouble(ProgramTrouble::Overdue { after: self.within, printed: self.quoted() }),
            (Heard { unreadable: Some(why), code, .. }, _) => {
                let (why, printed) = (why.clone(), self.quoted());
                trouble(ProgramTrouble::Unreadable { exit: *code, why, printed })
            }
            (heard, LoadEnd::Finished) => match foreign(context, &heard.values) {
                Some(foreign) => trouble(foreign),
                None => Done::Measured(self.measured(context)),
            },
            _ => trouble(ProgramTrouble::Ended(end.clone())),
        }
    }

    /// Returns the end of the output, with its lines joined.
    fn quoted(&self) -> Option<String> {
        let lines = self.heard.output.lines().map(str::trim).filter(|line| !line.is_empty());
        let output = lines.collect::<Vec<_>>().join(" / ");
        if output.is_empty() {
            return None;
        }
        let from = output.char_indices().rev().nth(QUOTED - 1).map_or(0, |(at, _)| at);
        Some(format!("{}{}", if from > 0 { "…" } else { "" }, &output[from..]))
    }

    fn measured(&self, context: &StepContext<'_>) -> Vec<Measurement> {
        let heard = &self.heard;
        let gone = |gpu: Option<GpuIndex>| gpu.and_then(|gpu| context.lost.get(&gpu));
        let value = |value: &ProgramValue| {
            let (name, component, unit) = (value.name.as_str(), value.component, value.unit);
            match (gone(component.gpu_index()), &value.value) {
                (Some(at), _) => Measurement::missing(name, component, unit, Missing::GpuLost { at: *at }),
                (None, ProgramNumber::Number { value, samples }) => {
                    Measurement::number(name, component, unit, *value, *samples)
                }
                (None, ProgramNumber::Flag(flag)) => Measurement::flag(name, component, *flag),
                (None, ProgramNumber::Text(text)) => Measurement::text(name, component, text.clone()),
                (None, ProgramNumber::Missing(why)) => Measurement::missing(name, component, unit, why.clone()),
            }
        };
        let mut sheet = self.texts(context);
        if let Some(code) = heard.code {
            sheet.put("exit-code", Component::Node, Gauged::once(f64::from(code)));
        }
        let mut measured: Vec<Measurement> = heard.values.iter().map(value).collect();
        if let Some(untold) = self.untold(context)
            && let Some(passed) = measured.iter_mut().find(|one| is_passed(one))
        {
            *passed = Measurement::missing("passed", Component::Node, Unit::One, untold);
        }
        measured.extend(sheet.into_list());
        measured
    }

    /// Returns the GPUs that were to be tested and that the output does not mention.
    fn untold(&self, context: &StepContext<'_>) -> Option<Missing> {
        let order = self.order.as_ref().ok()?;
        let ProgramReader::Tool(tool) = order.reader else { return None };
        if !(super::adapter(tool).takes_every_gpu)(&order.args) {
            return None;
        }
        let told: BTreeSet<GpuIndex> = self.heard.values.iter().flat_map(|one| gpus_of(one.component)).collect();
        let untold = context.inventory.gpus.iter().filter(|gpu| !told.contains(&gpu.index));
        let gpus: Vec<GpuIndex> = untold.map(|gpu| gpu.index).collect();
        (!gpus.is_empty()).then_some(Missing::SilentOn { gpus })
    }

    /// Returns a sheet with what ran and what it printed.
    fn texts<'a>(&self, context: &StepContext<'a>) -> Sheet<'a> {
        let heard = &self.heard;
        let mut sheet = Sheet::new(self.spec, context.lost);
        if let Some(path) = &heard.path {
            sheet.put("program", Component::Node, Gauged::Text(path.clone()));
            let version = heard.version.clone().map_or(Gauged::Unsupported, Gauged::Text);
            sheet.put("version", Component::Node, version);
        }
        if !heard.output.is_empty() {
            sheet.put("output", Component::Node, Gauged::Text(heard.output.clone()));
        }
        sheet
    }
}

/// Returns true if this is a program's verdict that the whole test passed.
fn is_passed(measured: &Measurement) -> bool {
    let well = Measured::Value(Scalar::Flag(true));
    measured.name == PASSED.name && measured.component == Component::Node && measured.value == well
}

/// Finds a GPU that the output mentions and this node does not have.
fn foreign(context: &StepContext<'_>, values: &[ProgramValue]) -> Option<ProgramTrouble> {
    let known = |gpu: GpuIndex| context.inventory.gpus.iter().any(|one| one.index == gpu);
    let strange = values.iter().flat_map(|value| gpus_of(value.component)).find(|gpu| !known(*gpu))?;
    Some(ProgramTrouble::Foreign { gpu: strange, of: context.inventory.gpus.len() })
}

/// The GPUs that a component is of.
fn gpus_of(component: Component) -> Vec<GpuIndex> {
    match component {
        Component::Pair(from, to) => vec![from, to],
        other => other.gpu_index().into_iter().collect(),
    }
}

impl Heard {
    fn take(&mut self, said: &ProgramSaid) {
        match said {
            ProgramSaid::NotInstalled(why) => self.absent = Some(why.clone()),
            ProgramSaid::Found { path, version } => {
                self.path = Some(path.clone());
                self.version.clone_from(version);
            }
            ProgramSaid::Exited { code } => self.code = Some(*code),
            ProgramSaid::Measured(values) => self.values.extend_from_slice(values),
            ProgramSaid::Unreadable(why) => self.unreadable = Some(why.clone()),
            ProgramSaid::Printed(piece) => self.output.push_str(piece),
        }
    }
}

impl CheckRun for Program {
    fn observe(&mut self, context: &StepContext<'_>, now: Moment, seen: Seen<'_>, wants: &mut Wants) {
        match seen {
            Seen::Began => self.begin(context, wants),
            Seen::Woken => {
                self.overdue = true;
                wants.stop_loads();
            }
            Seen::Load(report) => match &report.said {
                LoadSaid::Running => {
                    let until = now + self.within;
                    wants.enter(Phase::Measuring, Some(until));
                    wants.wake_at(until);
                }
                LoadSaid::Program(said) => self.heard.take(said),
                LoadSaid::Ended { gpu: None, end } => wants.end(self.end(context, end)),
                _ => {}
            },
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "program_tests.rs"]
mod tests;
