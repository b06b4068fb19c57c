//! The same document as DCGM 3 writes it: the root `DCGM GPU Diagnostic`, GPUs by `gpu_id`.
//!
//! Many readers know only this form, and most of them only the first result of a test: the worst result comes first. What
//! some of them look for beside DCGM's own keys stands in each result as well: `warning` and `warning_level` (3 isolate,
//! 2 reset or set up, 1 watch), and `error_severity`.

use serde_json::{Map, Value, json};

use super::dcgm::{Document, EntityResult, Status, Tested, Told, document};
use super::dcgm_error::{ISOLATE, MONITOR};
use kiln_event::RunRecord;

/// The whole document, as DCGM 3 has it.
pub fn dcgm3(record: &RunRecord) -> String {
    let mut text = serde_json::to_string_pretty(&form(&document(record))).expect("every key is a string");
    text.push('\n');
    text
}

fn form(document: &Document) -> Value {
    let gpus = || document.entity_groups.iter().flat_map(|group| &group.entities);
    let serials: Map<String, Value> =
        gpus().filter_map(|gpu| Some((gpu.entity_id.to_string(), gpu.serial_num.clone()?.into()))).collect();
    let categories: Vec<Value> = document
        .diagnostic
        .test_categories
        .iter()
        .map(|one| json!({ "category": one.category, "tests": one.tests.iter().map(test).collect::<Vec<_>>() }))
        .collect();
    let mut diagnostic = json!({
        "GPU Device IDs": gpus().map(|gpu| &gpu.device_id).collect::<Vec<_>>(),
        "GPU Device Serials": serials,
        "test_categories": categories,
        "version": document.metadata.version,
    });
    if let Some(driver) = &document.metadata.driver {
        diagnostic["Driver Version Detected"] = json!(driver);
    }
    if let Some(error) = &document.diagnostic.runtime_error {
        diagnostic["runtime_error"] = json!(error);
    }
    json!({ "DCGM GPU Diagnostic": diagnostic, "kiln": document.kiln })
}

fn test(test: &Tested) -> Value {
    let mut results: Vec<&EntityResult> = test.results.iter().collect();
    results.sort_by_key(|result| std::cmp::Reverse(result.status));
    let mut results: Vec<Value> = results.into_iter().map(result).collect();
    if results.is_empty() {
        // DCGM's tests of the deployment have a result without a GPU.
        let summary = &test.test_summary;
        let mut value = json!({ "status": summary.status });
        add_warnings(&mut value, summary.status, &summary.warnings);
        results.push(value);
    }
    json!({ "name": test.name, "results": results, "test_summary": test.test_summary })
}

fn result(result: &EntityResult) -> Value {
    let mut value = json!({ "gpu_id": result.entity_id.to_string(), "status": result.status });
    add_warnings(&mut value, result.status, &result.warnings);
    if !result.info.is_empty() {
        value["info"] = json!(result.info.join("; "));
    }
    value
}

/// The warnings of a result that failed, and the worst of them under the keys that readers look for.
fn add_warnings(value: &mut Value, status: Status, warnings: &[Told]) {
    if status != Status::Fail {
        return;
    }
    value["warnings"] = json!(warnings);
    if let Some(worst) = warnings.iter().max_by_key(|one| level(one.error_severity)) {
        value["warning"] = json!(worst.warning);
        value["warning_level"] = json!(level(worst.error_severity));
        value["error_severity"] = json!(worst.error_severity);
    }
}

/// DCGM 3 had levels before it had severities.
const fn level(severity: u32) -> u32 {
    match severity {
        ISOLATE => 3,
        MONITOR => 1,
        _ => 2,
    }
}
