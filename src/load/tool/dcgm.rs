//! `dcgmi diag -j` of DCGM 4: one result for each test and GPU. Warnings count as failures, as its own exit code has them;
//! a skipped test is a measurement that is missing, not one that passed.

use serde::Deserialize;

use crate::limit::Measurement;
use crate::model::{Component, GpuIndex, Unit};

#[derive(Deserialize)]
struct Report {
    #[serde(rename = "DCGM Diagnostic")]
    diagnostic: Diagnostic,
}

#[derive(Deserialize)]
struct Diagnostic {
    runtime_error: Option<String>,
    #[serde(default)]
    test_categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Category {
    tests: Vec<Test>,
}

#[derive(Deserialize)]
struct Test {
    name: String,
    results: Vec<TestResult>,
}

#[derive(Deserialize)]
struct TestResult {
    entity_group: String,
    entity_id: u8,
    status: String,
    #[serde(default)]
    warnings: Vec<Warning>,
    #[serde(default)]
    info: serde_json::Value,
}

#[derive(Deserialize)]
struct Warning {
    warning: String,
}

pub(super) fn read(output: &str) -> Result<Vec<Measurement>, String> {
    let report: Report = serde_json::from_str(output).map_err(|error| error.to_string())?;
    if let Some(error) = report.diagnostic.runtime_error {
        return Err(error);
    }
    let mut measured = Vec::new();
    for test in report.diagnostic.test_categories.into_iter().flat_map(|category| category.tests) {
        for result in &test.results {
            let component = match result.entity_group.as_str() {
                "GPU" => Component::Gpu(GpuIndex(result.entity_id)),
                "CPU" => Component::Cpu(result.entity_id),
                _ => Component::Node,
            };
            let name = format!("{}.passed", test.name);
            measured.push(one(&name, component, result)?);
        }
    }
    Ok(measured)
}

fn one(name: &str, component: Component, result: &TestResult) -> Result<Measurement, String> {
    let why = || {
        let warnings: Vec<&str> = result.warnings.iter().map(|warning| warning.warning.as_str()).collect();
        if warnings.is_empty() { result.info.to_string() } else { warnings.join("; ") }
    };
    Ok(match result.status.as_str() {
        _ if !result.warnings.is_empty() => Measurement::flag(name, component, false),
        "Pass" => Measurement::flag(name, component, true),
        "Fail" | "Warn" => Measurement::flag(name, component, false),
        "Skip" | "Not Run" => Measurement::missing(name, component, Unit::One, format!("skipped: {}", why())),
        other => return Err(format!("the status `{other}` of {name} is unknown")),
    })
}
