//! The in-toto Statement (<https://in-toto.io/Statement/v1>) with the test-result predicate, version 0.1.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::pieces::{Pieces, hex};
use kiln_event::{Outcome, RunRecord, Verdict, VerdictWord, standings};
use kiln_model::WallTime;

pub(super) const TYPE: &str = "https://in-toto.io/Statement/v1";
pub(super) const PREDICATE: &str = "https://in-toto.io/attestation/test-result/v0.1";
/// The subject that stands for the unit, and for what only stands in for one.
const UNIT: &str = "unit";
const NO_UNIT: &str = "SIMULATED unit";

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Statement {
    #[serde(rename = "_type")]
    pub(super) kind: String,
    pub(super) subject: Vec<Resource>,
    pub(super) predicate_type: String,
    pub(super) predicate: Predicate,
}

/// An in-toto resource descriptor.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Resource {
    pub(super) name: String,
    pub(super) digest: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Predicate {
    /// `PASSED`, `WARNED` or `FAILED`. A run that makes no claim did not pass: `FAILED`; its own word stands in `kiln`. A
    /// simulated run is never `PASSED`: who looks at nothing else must not take it for a unit's.
    result: String,
    configuration: Vec<Resource>,
    passed_tests: Vec<String>,
    warned_tests: Vec<String>,
    failed_tests: Vec<String>,
    pub(super) kiln: Own,
}

/// What Kiln adds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Own {
    /// `kiln.seal/1`.
    pub(super) schema: String,
    pub(super) run_id: String,
    pub(super) verdict: Verdict,
    /// Not of a real unit.
    pub(super) simulated: bool,
    pub(super) sealed_at: WallTime,
    /// Serial numbers by component.
    pub(super) serials: BTreeMap<String, String>,
    /// The last value of the journal's hash chain.
    pub(super) journal_root: String,
    /// Tests that came to no claim about the unit.
    undecided_tests: Vec<String>,
    pub(super) files: BTreeMap<String, Pieces>,
}

pub(super) const SCHEMA: &str = "kiln.seal/1";

/// The serial numbers the run is bound to: what the label said, what the node and its GPUs say.
pub(super) fn serials(record: &RunRecord) -> BTreeMap<String, String> {
    let mut serials = BTreeMap::new();
    if let Some(serial) = record.start.as_ref().and_then(|start| start.operation.serial.as_ref()) {
        serials.insert("label".to_owned(), serial.clone());
    }
    if let Some(inventory) = &record.inventory {
        if let Some(serial) = inventory.node.serial.value() {
            serials.insert("node".to_owned(), serial.clone());
        }
        for gpu in &inventory.gpus {
            if let Some(serial) = gpu.identity.serial.value() {
                serials.insert(format!("gpu/{}", gpu.index.0), serial.clone());
            }
        }
    }
    serials
}

fn sha256(hex: String) -> BTreeMap<String, String> {
    BTreeMap::from([("sha256".to_owned(), hex)])
}

/// The unit as a subject: a digest of its serial numbers, one `component=serial` a line.
pub(super) fn unit(serials: &BTreeMap<String, String>, simulated: bool) -> Resource {
    let mut hash = Sha256::new();
    for (component, serial) in serials {
        hash.update(format!("{component}={serial}\n"));
    }
    let name = if simulated { NO_UNIT } else { UNIT };
    Resource { name: name.to_owned(), digest: sha256(hex(&hash.finalize())) }
}

impl Statement {
    pub(super) fn of(
        record: &RunRecord,
        verdict: &Verdict,
        journal_root: String,
        sealed_at: WallTime,
        files: BTreeMap<String, Pieces>,
    ) -> Self {
        let serials = serials(record);
        let mut subject: Vec<Resource> = files
            .iter()
            .map(|(name, pieces)| Resource { name: name.clone(), digest: sha256(pieces.sha256.clone()) })
            .collect();
        let start = record.start.as_deref();
        let simulated = start.is_none_or(|start| !start.source.is_hardware());
        subject.push(unit(&serials, simulated));
        let configuration = start.map(|start| Resource {
            name: format!("{} revision {}", start.profile.id, start.profile.revision),
            digest: sha256(start.profile_digest.trim_start_matches("sha256:").to_owned()),
        });
        let [mut passed, mut warned, mut failed, mut undecided] = [const { Vec::new() }; 4];
        for standing in standings(record) {
            let name = format!("{}[{}]", standing.step.key.path, standing.case.component);
            match standing.outcome {
                Outcome::Pass => passed.push(name),
                Outcome::Marginal | Outcome::Waived => warned.push(name),
                Outcome::Fail => failed.push(name),
                Outcome::Held | Outcome::Inconclusive | Outcome::Aborted | Outcome::Error => undecided.push(name),
                Outcome::Skipped | Outcome::NotReached => {}
            }
        }
        let kiln = Own {
            schema: SCHEMA.to_owned(),
            run_id: start.map(|start| start.run_id.clone()).unwrap_or_default(),
            verdict: verdict.clone(),
            simulated,
            sealed_at,
            serials,
            journal_root,
            undecided_tests: undecided,
            files,
        };
        let predicate = Predicate {
            result: result(verdict, simulated).to_owned(),
            configuration: configuration.into_iter().collect(),
            passed_tests: passed,
            warned_tests: warned,
            failed_tests: failed,
            kiln,
        };
        Self { kind: TYPE.to_owned(), subject, predicate_type: PREDICATE.to_owned(), predicate }
    }
}

fn result(verdict: &Verdict, simulated: bool) -> &'static str {
    match verdict.word {
        VerdictWord::Pass if simulated || verdict.marginal || verdict.retried || verdict.waived > 0 => "WARNED",
        VerdictWord::Pass => "PASSED",
        VerdictWord::Fail
        | VerdictWord::Error
        | VerdictWord::Inconclusive
        | VerdictWord::Held
        | VerdictWord::Aborted
        | VerdictWord::Nothing => "FAILED",
    }
}
