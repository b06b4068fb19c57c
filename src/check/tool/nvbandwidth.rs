//! nvbandwidth: a matrix for each test case, from its JSON report (`-j`) or its text.
//!
//! Forms are those of `json_output.cpp` and `output.cpp` (NVIDIA/nvbandwidth). Its exit code is 0 also where a case ended
//! in an error, so that only what each case says of itself counts.

use serde::Deserialize;

use super::adapter::Adapter;
use super::declared;
use super::output::{Output, Told, Unread, Verdict, empty, is_positive, json_in, no_number, no_such_part};
use crate::declare::may;
use kiln_limit::Measurement;
use kiln_limit::Missing;
use kiln_model::{Component, ComponentKind, GpuIndex, OutputGap, Tool, Unit, Unproven};
use kiln_profile::{CheckSpec, Wear};

const GPU: ComponentKind = ComponentKind::Gpu;

pub(crate) static ADAPTER: Adapter = Adapter {
    tool: Tool::NvBandwidth,
    title: "nvbandwidth",
    spec: CheckSpec {
        name: "tool.nvbandwidth",
        summary: "Runs nvbandwidth (`-j`) and tells every cell of every matrix it measures.",
        details: "Which cases is for the arguments: `args: [-t, device_to_device_memcpy_read_ce]`. Measurements carry the \
                  name of the case and hang on the GPU, or on the pair of GPUs, of the cell. A case that was waived or \
                  ended in an error is missing. With an error, with a GPU of the node that no case tells of, or with a \
                  waived case that was asked for by its name, `passed` is not measured.",
        params: &declared::params(Tool::NvBandwidth),
        measurements: declared::measurements![
            may("*latency*", Unit::Microsecond, GPU, "of a case that measures latency"),
            may("*", Unit::GigabytePerSecond, GPU, "of a case that measures bandwidth: host_to_device_memcpy_ce"),
        ],
        each: declared::NODE_OR_GPU,
        wear: Wear::None,
        exclusive: true,
        ..declared::STRESS
    },
    first: &["-j"],
    last: &[],
    version: &[],
    version_in: (&["\"version\" : \"", "\"version\": \"", "nvbandwidth Version: "], '"'),
    expected: "JSON `nvbandwidth.testcases` / `nvbandwidth Version:`",
    // No argument chooses GPUs: every case measures all that it sees.
    takes_every_gpu: |_| true,
    read,
};

#[derive(Deserialize)]
struct Report {
    nvbandwidth: Body,
}

#[derive(Deserialize)]
struct Body {
    error: Option<String>,
    warning: Option<String>,
    #[serde(default)]
    testcases: Vec<Case>,
}

#[derive(Debug, Default, Deserialize)]
struct Case {
    name: String,
    status: String,
    error: Option<String>,
    bandwidth_description: Option<String>,
    #[serde(default)]
    bandwidth_matrix: Vec<Vec<serde_json::Value>>,
}

/// What it says of data that arrived otherwise than they were sent (`memcmpPattern` of memcpy.cpp), before it aborts.
const WRONG_DATA: &[&str] = &["Invalid value when checking the pattern"];

fn read(output: &Output<'_>) -> Result<Told, Unread> {
    if let Some(words) = output.words(WRONG_DATA) {
        return Ok(Told::new(Vec::new(), Verdict::Failed(words.to_owned())));
    }
    let body = match json_in(output.stdout) {
        Ok(report) if !report["nvbandwidth"].is_null() => {
            let report = serde_json::from_value::<Report>(report);
            let broken = |error: serde_json::Error| Unread::Place(OutputGap::Broken { error: error.to_string() });
            report.map_err(broken)?.nvbandwidth
        }
        Err(why @ Unread::Place(_)) => return Err(why),
        _ => from_text(output.stdout).ok_or_else(|| {
            output.words(&["ERROR", "Error", "error"]).map_or(Unread::Form, |words| Unread::Refused(words.to_owned()))
        })?,
    };
    if let Some(error) = body.error.as_ref().filter(|_| body.testcases.iter().all(|case| case.status != PASSED)) {
        return Err(Unread::Refused(error.clone()));
    }
    if body.testcases.is_empty() {
        return Err(empty("testcases"));
    }
    let asked = output.argument(&["-t", "--testcase"]);
    let mut measured = Vec::new();
    let mut verdict = match &body.error {
        Some(error) => Verdict::Unproven(Unproven::Words(error.clone())),
        None => Verdict::Passed,
    };
    for case in &body.testcases {
        let cells = cells(case)?;
        let told = case
            .verdict(cells.iter().any(is_positive) && cells.iter().all(carried), asked.contains(&case.name.as_str()));
        // One case that was waived or failed takes nothing from the others.
        if case.status != PASSED || cells.is_empty() {
            measured.push(Measurement::missing(&case.name, Component::Node, Unit::One, Missing::Program(case.words())));
        }
        measured.extend(cells);
        verdict = verdict.and(told);
    }
    if body.testcases.iter().all(|case| case.status == WAIVED) {
        verdict = Verdict::Unproven(Unproven::AllWaived);
    }
    let warnings = body.warning.into_iter().collect();
    Ok(Told { measured, verdict, warnings })
}

const PASSED: &str = "Passed";
const WAIVED: &str = "Waived";

impl Case {
    /// What it says of itself; of one without a status nothing more was said.
    fn words(&self) -> Unproven {
        match &self.error {
            _ if self.status.is_empty() => Unproven::Unfinished,
            Some(error) => Unproven::Words(format!("{}: {error}", self.status)),
            None => Unproven::Words(self.status.clone()),
        }
    }

    fn verdict(&self, moved: bool, asked: bool) -> Verdict {
        match self.status.as_str() {
            PASSED if moved => Verdict::Passed,
            PASSED => Verdict::Unproven(Unproven::NothingMoved { what: self.name.clone() }),
            // Most machines cannot run every case of the whole list.
            WAIVED if !asked => Verdict::Passed,
            _ => Verdict::Unproven(self.words().of(self.name.as_str())),
        }
    }
}

/// Whether a cell tells that data came through. What a GPU copies to itself is a zero in early versions.
fn carried(cell: &Measurement) -> bool {
    is_positive(cell) || matches!(cell.component, Component::Gpu(_))
}

/// The cells of its matrix, each with its part.
fn cells(case: &Case) -> Result<Vec<Measurement>, Unread> {
    if case.status != PASSED {
        return Ok(Vec::new());
    }
    let description = case.bandwidth_description.as_deref().unwrap_or_default();
    let latency = description.contains("(ns)");
    let mut measured = Vec::new();
    for (row, cells) in case.bandwidth_matrix.iter().enumerate() {
        for (column, cell) in cells.iter().enumerate() {
            let Some(value) = number(cell)? else { continue };
            // No unit is as small as a nanosecond.
            let (unit, value) =
                if latency { (Unit::Microsecond, value / 1e3) } else { (Unit::GigabytePerSecond, value) };
            measured.push(Measurement::number(&case.name, part(description, row, column)?, unit, value, 1));
        }
    }
    Ok(measured)
}

/// What a cell is of, by the description: `GPU(row) -> GPU(column)`, `CPU(row) -> GPU(column)`, `local GPU(column)`.
fn part(description: &str, row: usize, column: usize) -> Result<Component, Unread> {
    let gpu = |at: usize| u8::try_from(at).map(GpuIndex).map_err(|_| no_such_part(format!("GPU {at}")));
    Ok(if description.contains("GPU(row)") {
        let (from, to) = (gpu(row)?, gpu(column)?);
        if from == to { Component::Gpu(to) } else { Component::Pair(from, to) }
    } else if description.contains("local GPU") {
        Component::Gpu(gpu(column)?)
    } else {
        Component::Pcie(gpu(column)?)
    })
}

fn number(cell: &serde_json::Value) -> Result<Option<f64>, Unread> {
    match cell {
        serde_json::Value::Number(number) => Ok(number.as_f64()),
        serde_json::Value::String(text) if text == "N/A" => Ok(None),
        serde_json::Value::String(text) => {
            let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
            number.map(Some).ok_or_else(|| no_number(text.as_str()))
        }
        other => Err(no_number(other.to_string())),
    }
}

/// The text: `Running NAME.`, then the description, a line of columns and the rows, or what became of the case.
fn from_text(text: &str) -> Option<Body> {
    text.lines().find(|line| line.starts_with("nvbandwidth Version:"))?;
    let mut cases: Vec<Case> = Vec::new();
    let mut error = None;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("Running ") {
            cases.push(Case { name: name.trim_end_matches('.').to_owned(), ..Case::default() });
            continue;
        }
        let Some(case) = cases.last_mut() else {
            error = error.or_else(|| line.strip_prefix("ERROR").map(|rest| rest.trim_start_matches(':').to_owned()));
            continue;
        };
        if let Some((status, rest)) = [WAIVED, "Error", "ERROR", "Not Found"]
            .into_iter()
            .find_map(|status| Some((status, line.strip_prefix(status)?.strip_prefix(':')?)))
        {
            status.clone_into(&mut case.status);
            case.error = Some(rest.trim().to_owned()).filter(|rest| !rest.is_empty());
        } else if line.contains("GPU(column)") {
            case.bandwidth_description = Some(line.to_owned());
            PASSED.clone_into(&mut case.status);
        } else if case.status == PASSED
            && let Some(cells) = text_row(line, case.bandwidth_matrix.len())
        {
            case.bandwidth_matrix.push(cells);
        } else if line.starts_with("[CUDA_ERROR") || line.starts_with("[NVML_ERROR") {
            "Error".clone_into(&mut case.status);
            case.error = Some(line.to_owned());
        }
    }
    Some(Body { error, warning: None, testcases: cases })
}

/// ` 0       N/A    276.07` where `at` is 0. The line of column numbers is told apart by its cells, which have no point.
fn text_row(line: &str, at: usize) -> Option<Vec<serde_json::Value>> {
    let mut fields = line.split_whitespace();
    (fields.next()?.parse::<usize>().ok()? == at).then_some(())?;
    let cells: Vec<&str> = fields.collect();
    let is_cell = |cell: &&str| **cell == *"N/A" || (cell.contains('.') && cell.parse::<f64>().is_ok());
    let all = !cells.is_empty() && cells.iter().all(is_cell);
    all.then(|| cells.into_iter().map(|cell| cell.to_owned().into()).collect())
}
