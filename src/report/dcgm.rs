//! The JSON that programs reading `dcgmi diag -j` (DCGM 4.x) understand: categories of tests with a result for every GPU.
//!
//! Tests keep the names they have in the profile: they are other tests than DCGM's, and must not pass for them. What is no
//! pass reads `Fail` here, with an error that says whether the unit is to blame, so that no reader takes it for health.
//! A test of the node has a result for every GPU, as DCGM's own have: readers count results and not summaries.

use std::collections::BTreeMap;

use serde::Serialize;

use super::dcgm_error::{DcgmError, error_of, error_of_event};
use super::language::Language;
use super::row::{Row, RowState, rows};
use super::verdict::verdict_so_far;
use super::{explain, sentence, words};
use kiln_event::{Case, Outcome, Reason, ReasonKind, RunRecord, VerdictWord, uncarried_trips};
use kiln_limit::Judged;
use kiln_model::{Component, GpuIndex, Reading};
use kiln_plan::Readiness;
use kiln_profile::GuardResult;

/// Entity group of GPUs: `DCGM_FE_GPU`.
const GPU_GROUP: u32 = 1;

/// The categories DCGM sorts tests into, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Category {
    Deployment,
    Hardware,
    Integration,
    Stress,
}

/// DCGM's words for results, the worst last: what was to be run and was not is no pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Status {
    Skip,
    Pass,
    #[serde(rename = "Not Run")]
    NotRun,
    Fail,
}

#[derive(Debug, Serialize)]
pub(super) struct Document {
    #[serde(rename = "DCGM Diagnostic")]
    pub(super) diagnostic: Diagnostic,
    pub(super) entity_groups: Vec<Parts>,
    pub(super) metadata: Metadata,
    /// Not of DCGM: readers pass over it.
    pub(super) kiln: Origin,
}

#[derive(Debug, Serialize)]
pub(super) struct Diagnostic {
    pub(super) test_categories: Vec<Tests>,
    /// Why there are no results that could be trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) runtime_error: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Tests {
    pub(super) category: Category,
    pub(super) tests: Vec<Tested>,
}

#[derive(Debug, Serialize)]
pub(super) struct Tested {
    pub(super) name: String,
    pub(super) results: Vec<EntityResult>,
    pub(super) test_summary: Summary,
}

#[derive(Debug, Serialize)]
pub(super) struct EntityResult {
    pub(super) entity_group: &'static str,
    pub(super) entity_group_id: u32,
    pub(super) entity_id: u8,
    pub(super) status: Status,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) warnings: Vec<Told>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) info: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Summary {
    pub(super) status: Status,
    /// Those of the GPUs too, as DCGM has it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) warnings: Vec<Told>,
    /// Of what belongs to no GPU.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) info: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Told {
    pub(super) warning: String,
    pub(super) error_id: u32,
    pub(super) error_category: u32,
    pub(super) error_severity: u32,
}

#[derive(Debug, Serialize)]
pub(super) struct Parts {
    pub(super) entity_group: &'static str,
    pub(super) entity_group_id: u32,
    pub(super) entities: Vec<Part>,
}

#[derive(Debug, Serialize)]
pub(super) struct Part {
    pub(super) entity_id: u8,
    pub(super) device_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) serial_num: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Metadata {
    /// Readers print it as DCGM's version; it says whose it is.
    pub(super) version: String,
    #[serde(rename = "Driver Version Detected", skip_serializing_if = "Option::is_none")]
    pub(super) driver: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Origin {
    pub(super) run_id: String,
    pub(super) verdict: VerdictWord,
    /// The verdict with what qualifies it: `PASS with 2 deviations`.
    pub(super) shown: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) deviations: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parts_digest: Option<String>,
    pub(super) meaning: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) banner: Option<String>,
}

/// The whole document, as DCGM 4 has it.
pub fn dcgm(record: &RunRecord) -> String {
    let mut text = serde_json::to_string_pretty(&document(record)).expect("every key is a string");
    text.push('\n');
    text
}

/// What both forms of the document hold.
pub(super) fn document(record: &RunRecord) -> Document {
    let start = record.start.as_deref();
    let verdict = verdict_so_far(record);
    let inventory = record.inventory.as_deref();
    let known = |reading: &Reading<String>| reading.value().cloned();
    let entities = inventory.into_iter().flat_map(|inventory| &inventory.gpus).map(|gpu| Part {
        entity_id: gpu.index.0,
        // Device before vendor here, and DCGM has the device alone.
        device_id: known(&gpu.identity.pci_device).map_or_else(String::new, |id| id.chars().take(4).collect()),
        serial_num: known(&gpu.identity.serial),
    });
    let mut test_categories = categories(record);
    let any_failed = test_categories
        .iter()
        .flat_map(|category| &category.tests)
        .any(|test| test.test_summary.status == Status::Fail);
    // No verdict but PASS may read as health, also where no test speaks against it.
    let untold = (verdict.word != VerdictWord::Pass && !any_failed).then(|| words::meaning(&verdict).to_owned());
    let unfinished = record.verdict.is_none() || record.stops().next().is_some();
    let runtime_error = if unfinished { Some(explain::end(record)) } else { untold };
    // Some readers look at tests alone.
    if let Some(why) = runtime_error.as_ref().filter(|_| !any_failed) {
        let warning = warning(DcgmError::ABORTED.unproven(), format!("no claim about the unit: {why}"));
        let found = Found::of(Component::Node, Status::Fail, Some(warning));
        let tests = vec![test("run.completed".to_owned(), vec![found], &gpus(record))];
        test_categories.push(Tests { category: Category::Deployment, tests });
    }
    Document {
        diagnostic: Diagnostic { test_categories, runtime_error },
        entity_groups: vec![Parts { entity_group: "GPU", entity_group_id: GPU_GROUP, entities: entities.collect() }],
        metadata: Metadata {
            version: start
                .map_or_else(|| "kiln".to_owned(), |start| format!("{} {}", start.tool.name, start.tool.version)),
            driver: inventory.and_then(|inventory| known(&inventory.driver)),
        },
        kiln: Origin {
            run_id: start.map_or_else(String::new, |start| start.run_id.clone()),
            parts_digest: start.and_then(|start| start.parts.as_ref()).map(|parts| parts.digest.clone()),
            verdict: verdict.word,
            shown: words::verdict(&verdict),
            deviations: words::deviations(record),
            meaning: words::meaning(&verdict),
            banner: start.and_then(|start| words::banner(&start.source)),
        },
    }
}

fn gpus(record: &RunRecord) -> Vec<GpuIndex> {
    record.inventory.iter().flat_map(|inventory| &inventory.gpus).map(|gpu| gpu.index).collect()
}

/// One result of one part, before the parts of a GPU are taken together.
struct Found {
    component: Component,
    status: Status,
    warning: Option<Told>,
    info: Vec<String>,
    /// The GPUs that a result of the node speaks against; of none it speaks of the node.
    accused: Vec<GpuIndex>,
}

impl Found {
    const fn of(component: Component, status: Status, warning: Option<Told>) -> Self {
        Self { component, status, warning, info: Vec::new(), accused: Vec::new() }
    }
}

fn categories(record: &RunRecord) -> Vec<Tests> {
    let planned = record.plan.as_deref().into_iter().flat_map(kiln_plan::Plan::steps);
    let checks: BTreeMap<&str, &str> = planned.map(|step| (step.path.as_str(), step.step.check.as_str())).collect();
    let mut tests: Vec<(Category, String, Vec<Found>)> = Vec::new();
    let mut add = |category, name: String, found: Found| {
        // The rows of one step stand together.
        match tests.iter_mut().find(|(_, known, _)| *known == name) {
            Some((_, _, all)) => all.push(found),
            None => tests.push((category, name, vec![found])),
        }
    };
    for row in rows(record) {
        let path = format!("{}.{}", row.stage, row.step);
        let check = checks.get(path.as_str()).copied().unwrap_or_default();
        add(category(check), path, found(record, check, &row));
    }
    for (_, trip) in uncarried_trips(record) {
        let error = match trip.result {
            GuardResult::Fail => error_of_event(&trip.code).proven(),
            GuardResult::Inconclusive => DcgmError::UNKNOWN.unproven(),
        };
        let warning =
            Some(warning(error, format!("{}: {}", trip.code, sentence::trip_cause(Language::English, &trip.cause))));
        let found = Found::of(trip.component, Status::Fail, warning);
        add(Category::Stress, format!("guard.{}", trip.guard), found);
    }
    let mut categories: BTreeMap<Category, Vec<Tested>> = BTreeMap::new();
    let gpus = gpus(record);
    for (category, name, found) in tests {
        categories.entry(category).or_default().push(test(name, found, &gpus));
    }
    categories.into_iter().map(|(category, tests)| Tests { category, tests }).collect()
}

/// Whether a check looks, tests a part, tests links between parts, or loads the whole.
fn category(check: &str) -> Category {
    match check.split('.').next().unwrap_or_default() {
        "nvlink" | "pcie" | "fabric" => Category::Integration,
        "counters" | "sensor" => Category::Hardware,
        "gpu" if check == "gpu.memory" || check == "gpu.idle" => Category::Hardware,
        "gpu" | "thermal" => Category::Stress,
        _ => Category::Deployment,
    }
}

fn found(record: &RunRecord, check: &str, row: &Row<'_>) -> Found {
    let info = explain::row_naming_parts(record, row);
    let mut accused = Vec::new();
    let unproven = |text: &str| format!("{}: no claim about the unit: {text}", row.component);
    let (status, warning) = match row.state {
        RowState::Cut => (Status::Fail, Some(warning(DcgmError::ABORTED.unproven(), unproven(&explain::end(record))))),
        RowState::Unstarted(Readiness::Skip(_)) => (Status::Skip, None),
        RowState::Unstarted(_) => (Status::NotRun, None),
        RowState::Judged(standing) => {
            let headline = explain::headline(standing.case);
            match standing.outcome {
                Outcome::Pass | Outcome::Marginal | Outcome::Waived => (Status::Pass, None),
                Outcome::Skipped => (Status::Skip, None),
                Outcome::NotReached => (Status::NotRun, None),
                Outcome::Fail => {
                    let reason = standing.case.reason.as_ref().map_or(ReasonKind::Limit, Reason::kind);
                    let worst = super::value::worst(&standing.case.judgements);
                    let name = worst.map_or("", |judgement| judgement.measurement.name.as_str());
                    let text = format!("{}: {headline}", row.component);
                    let trip = record.trips_on(row.component).last().filter(|_| reason == ReasonKind::Guard);
                    let error = trip.map_or_else(|| error_of(check, name, reason), |trip| error_of_event(&trip.code));
                    let path = format!("{}.{}", row.stage, row.step);
                    // It was only measured together with the one that is bad.
                    if let Some(far) = explain::at_the_far_end(record, &path, row.component).first() {
                        let (code, place) = (&far.code, far.component);
                        let text = format!("{}: no claim about it, see {code} on {place}: {headline}", row.component);
                        (Status::Fail, Some(warning(error.unproven(), text)))
                    } else {
                        accused = accused_by(record, row, standing.case);
                        (Status::Fail, Some(warning(error.proven(), text)))
                    }
                }
                Outcome::Aborted => (Status::Fail, Some(warning(DcgmError::ABORTED.unproven(), unproven(&headline)))),
                Outcome::Error => (Status::Fail, Some(warning(DcgmError::INTERNAL.unproven(), unproven(&headline)))),
                Outcome::Inconclusive | Outcome::Held => {
                    (Status::Fail, Some(warning(DcgmError::UNKNOWN.unproven(), unproven(&headline))))
                }
            }
        }
    };
    Found { component: row.component, status, warning, info, accused }
}

/// The GPUs whose values failed a step of the node, and those that a finding resting on it names.
fn accused_by(record: &RunRecord, row: &Row<'_>, case: &Case) -> Vec<GpuIndex> {
    let path = format!("{}.{}", row.stage, row.step);
    let failed = case.judgements.iter().filter(|one| one.outcome == Judged::Fail && one.waiver.is_none());
    let values: Vec<Component> = failed.map(|one| one.measurement.component).collect();
    // A value of the node itself that failed is of all its GPUs, unless a finding says whose it is.
    let found = explain::findings(record, &path, row.component).into_iter().map(|finding| finding.component);
    let mut gpus: Vec<GpuIndex> = found.chain(values).flat_map(gpus_of).collect();
    gpus.sort_unstable();
    gpus.dedup();
    gpus
}

/// The GPUs that a part is or belongs to; traffic between two belongs to both.
fn gpus_of(component: Component) -> Vec<GpuIndex> {
    match component {
        Component::Pair(from, to) => vec![from, to],
        other => other.gpu_index().into_iter().collect(),
    }
}

fn warning(error: DcgmError, text: String) -> Told {
    Told { warning: text, error_id: error.id, error_category: error.category, error_severity: error.severity }
}

/// A test with a result for every GPU it is of: those of its parts, and all of the node's where it is of the node.
fn test(name: String, found: Vec<Found>, all: &[GpuIndex]) -> Tested {
    let status = found.iter().map(|one| one.status).max().unwrap_or(Status::NotRun);
    let mut gpus: BTreeMap<u8, EntityResult> = BTreeMap::new();
    let mut summary = Summary { status, warnings: Vec::new(), info: Vec::new() };
    for one in found {
        summary.warnings.extend(one.warning.clone());
        let own = gpus_of(one.component);
        let of_the_node = own.is_empty();
        for gpu in if of_the_node { all } else { &own[..] } {
            let cleared = of_the_node && !one.accused.is_empty() && !one.accused.contains(gpu);
            let status = if cleared { Status::Pass } else { one.status };
            let result = gpus.entry(gpu.0).or_insert_with(|| EntityResult {
                entity_group: "GPU",
                entity_group_id: GPU_GROUP,
                entity_id: gpu.0,
                status,
                warnings: Vec::new(),
                info: Vec::new(),
            });
            result.status = result.status.max(status);
            if !cleared {
                result.warnings.extend(one.warning.clone());
            }
            if !of_the_node {
                result.info.extend(one.info.iter().cloned());
            }
        }
        if of_the_node {
            summary.info.extend(one.info);
        }
    }
    Tested { name, results: gpus.into_values().collect(), test_summary: summary }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use kiln_stories::endings;

    #[test]
    fn every_gpu_of_every_test_has_its_result() {
        insta::assert_snapshot!("fail-limit", dcgm(&endings()["fail-limit"].record()));
        insta::assert_snapshot!("guard", dcgm(&endings()["guard"].record()));
    }

    /// As the consumers of `dcgmi diag -j` read it: any result that is no pass, skip or not-run, by GPU.
    fn bad(document: &Value) -> Vec<(i64, i64)> {
        let mut bad = Vec::new();
        for category in document["DCGM Diagnostic"]["test_categories"].as_array().expect("categories") {
            assert!(category["category"].is_string());
            for test in category["tests"].as_array().expect("tests") {
                assert!(test["name"].is_string() && test["test_summary"]["status"].is_string());
                for result in test["results"].as_array().expect("results") {
                    assert_eq!((&result["entity_group"], &result["entity_group_id"]), (&"GPU".into(), &1.into()));
                    for warning in result["warnings"].as_array().into_iter().flatten() {
                        assert!(warning["warning"].is_string() && warning["error_category"].is_i64());
                        let id = result["entity_id"].as_i64().expect("a number");
                        assert!(warning["error_severity"].is_i64());
                        bad.push((id, warning["error_id"].as_i64().expect("a number")));
                    }
                    let told = result["warnings"].is_array();
                    assert_eq!(result["status"] == "Fail", told, "a fail has its warning, and nothing else has");
                }
            }
        }
        bad
    }

    #[test]
    fn no_ending_but_a_pass_reads_as_health() {
        for (name, story) in endings() {
            let document: Value = serde_json::from_str(&dcgm(&story.record())).expect("JSON");
            let verdict = document["kiln"]["verdict"].as_str().expect("a verdict").to_owned();
            let summaries = document.to_string().contains(r#""status":"Fail""#);
            let troubled =
                !bad(&document).is_empty() || summaries || document["DCGM Diagnostic"]["runtime_error"].is_string();
            assert_eq!(troubled, verdict != "PASS", "{name}: {verdict}");
        }
    }

    #[test]
    fn errors_carry_the_numbers_of_dcgm() {
        let of = |name: &str| -> BTreeSet<(i64, i64)> {
            bad(&serde_json::from_str(&dcgm(&endings()[name].record())).expect("JSON")).into_iter().collect()
        };
        assert_eq!(of("fail-mismatch"), BTreeSet::from([(1, 52)]));
        assert_eq!(of("error"), BTreeSet::from([(1, 44)]));
        assert_eq!(of("inconclusive"), BTreeSet::from([(0, 1), (1, 1)]));
    }
}
