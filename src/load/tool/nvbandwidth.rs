//! `nvbandwidth -j`: a matrix for each test case. Cells are texts, `N/A` where a way does not exist.

use serde::Deserialize;

use crate::limit::Measurement;
use crate::model::{Component, GpuIndex, Unit};

#[derive(Deserialize)]
struct Report {
    nvbandwidth: Body,
}

#[derive(Deserialize)]
struct Body {
    error: Option<String>,
    #[serde(default)]
    testcases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    status: String,
    bandwidth_description: Option<String>,
    #[serde(default)]
    bandwidth_matrix: Vec<Vec<serde_json::Value>>,
}

pub(super) fn read(output: &str) -> Result<Vec<Measurement>, String> {
    let report: Report = serde_json::from_str(output).map_err(|error| error.to_string())?;
    if let Some(error) = report.nvbandwidth.error {
        return Err(error);
    }
    let mut measured = Vec::new();
    for case in &report.nvbandwidth.testcases {
        // One test that was waived or failed takes nothing from the others.
        if case.status != "Passed" {
            measured.push(Measurement::missing(&case.name, Component::Node, Unit::One, case.status.clone()));
            continue;
        }
        let description = case.bandwidth_description.as_deref().unwrap_or_default();
        let between = description.contains("GPU(row)");
        let latency = description.contains("(ns)");
        for (row, cells) in case.bandwidth_matrix.iter().enumerate() {
            for (column, cell) in cells.iter().enumerate() {
                let component = component(between, row, column)?;
                if let Some(value) = number(cell)? {
                    // No unit is as small as a nanosecond.
                    let (unit, value) =
                        if latency { (Unit::Microsecond, value / 1e3) } else { (Unit::GigabytePerSecond, value) };
                    measured.push(Measurement::number(&case.name, component, unit, value, 1));
                }
            }
        }
    }
    Ok(measured)
}

fn component(between: bool, row: usize, column: usize) -> Result<Component, String> {
    let gpu = |at: usize| u8::try_from(at).map(GpuIndex).map_err(|_| format!("a matrix with {at} GPUs"));
    Ok(if between { Component::Pair(gpu(row)?, gpu(column)?) } else { Component::Pcie(gpu(column)?) })
}

fn number(cell: &serde_json::Value) -> Result<Option<f64>, String> {
    match cell {
        serde_json::Value::Number(number) => Ok(number.as_f64()),
        serde_json::Value::String(text) if text == "N/A" => Ok(None),
        serde_json::Value::String(text) => {
            text.trim().parse().map(Some).map_err(|_| format!("`{text}` is no bandwidth"))
        }
        other => Err(format!("`{other}` is no bandwidth")),
    }
}
