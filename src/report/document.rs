//! The form of `result.json`: schema `kiln.result/1`. Names here are an API; a changed or removed one is a new version.
//!
//! It is filled in by `json`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use kiln_event::{Action, Case, Confidence, Operation, Outcome, RunKind, Surroundings, ToolVersion, Verdict};
use kiln_model::{Component, NoteKind, Text, Unit};
use kiln_profile::Deviation;

/// What one run of a profile on one node found out.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "kiln.result/1")]
pub(super) struct Document<'a> {
    /// `kiln.result/1`. Readers refuse what they do not know.
    pub(super) schema: &'static str,
    pub(super) run_id: &'a str,
    /// Not null: no hardware was tested, a model was.
    pub(super) simulated: Option<Simulated<'a>>,
    /// Not null: no hardware was tested now, a recording was looked at again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) replayed: Option<Replayed<'a>>,
    /// Where the driver's libraries and the host's files came from, of a run on hardware or on a stand-in's library.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) surroundings: Option<&'a Surroundings>,
    pub(super) state: State,
    pub(super) verdict: Judged<'a>,
    pub(super) findings: Vec<Found<'a>>,
    pub(super) tool: Option<&'a ToolVersion>,
    pub(super) kind: Option<RunKind>,
    /// Seed of the loads' operands and patterns.
    pub(super) seed: Option<u64>,
    pub(super) operation: Option<&'a Operation>,
    pub(super) profile: Option<UsedProfile<'a>>,
    pub(super) times: Times,
    pub(super) node: Option<Node<'a>>,
    pub(super) gpus: Vec<Gpu<'a>>,
    pub(super) interruptions: Vec<Cut>,
    /// GPUs that stopped answering.
    pub(super) lost: Vec<Lost>,
    pub(super) guards: Vec<Tripped<'a>>,
    pub(super) mismatches: Vec<WrongResult>,
    /// Loads that ended otherwise than ordered.
    pub(super) load_failures: Vec<LoadFailure>,
    /// What loads had to say that is no measurement.
    pub(super) notes: Vec<Noted>,
    /// Steps during which the test host did not keep up.
    pub(super) host_late: Vec<Late<'a>>,
    pub(super) kernel: Kernel<'a>,
    pub(super) stages: Vec<Stage<'a>>,
    /// Every attempt at every step in every round, in order of start.
    pub(super) steps: Vec<Step<'a>>,
    /// Planned steps that never began.
    pub(super) unstarted: Vec<Unstarted<'a>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Simulated<'a> {
    /// The node file, or the driver library that stood in for one.
    pub(super) node: &'a str,
    pub(super) seed: u64,
    pub(super) faults: &'a [String],
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Replayed<'a> {
    pub(super) file: &'a str,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    Finished,
    /// The run goes on, or was cut short; the verdict is of what there is.
    Unfinished,
}

/// The verdict with its meaning in words.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Judged<'a> {
    #[serde(flatten)]
    pub(super) verdict: &'a Verdict,
    pub(super) meaning: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Found<'a> {
    /// Stable and countable.
    pub(super) code: &'a str,
    pub(super) component: Component,
    pub(super) suspects: &'a [Component],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) serial: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) slot: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pci_address: Option<&'a str>,
    pub(super) cause: &'a Text,
    pub(super) action: Action,
    /// The action as a sentence.
    #[serde(rename = "do")]
    pub(super) what_to_do: &'static str,
    pub(super) confidence: Confidence,
    pub(super) evidence: Vec<Rest<'a>>,
}

/// What a finding rests on.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Evidence")]
pub(super) struct Rest<'a> {
    /// `stage.step`, a guard or `kernel log`.
    pub(super) from: &'a str,
    pub(super) component: Component,
    pub(super) text: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UsedProfile<'a> {
    pub(super) id: &'a str,
    pub(super) revision: u32,
    pub(super) title: &'a Text,
    /// `sha256:…` of the resolved profile's canonical JSON.
    pub(super) digest: &'a str,
    /// `sha256:…` of the parts list the unit was held against, if one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parts_digest: Option<&'a str>,
    /// `sha256:…` of the facts of each GPU model that is not built in.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) sku_digests: &'a BTreeMap<String, String>,
    pub(super) vars: &'a BTreeMap<String, String>,
    /// What the command line changed.
    pub(super) deviations: &'a [Deviation],
    /// Stages and steps of the parent that the profile leaves out.
    pub(super) without: &'a [String],
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Times {
    /// UTC, as the wall clock was read.
    pub(super) started: Option<String>,
    /// Of the last event.
    pub(super) ended: Option<String>,
    /// Time the run itself counted, without what passed between an interruption and its resume.
    pub(super) elapsed_s: f64,
    pub(super) resumes: u32,
    /// How often the node was started anew as a step had asked for, where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) restarts: Option<u32>,
    /// How often the node was started anew while the run was interrupted and no step had asked for it, where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) boots: Option<u32>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Node<'a> {
    pub(super) model: Option<&'a str>,
    pub(super) serial: Option<&'a str>,
    pub(super) board_serial: Option<&'a str>,
    pub(super) hostname: Option<&'a str>,
    pub(super) boot_id: Option<&'a str>,
    pub(super) bios: Option<&'a str>,
    pub(super) driver: Option<&'a str>,
    pub(super) cuda: Option<&'a str>,
    pub(super) cpu_model: Option<&'a str>,
    pub(super) memory_mib: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Gpu")]
pub(super) struct Gpu<'a> {
    pub(super) index: u8,
    /// The model it was recognised as.
    pub(super) sku: Option<&'a str>,
    pub(super) name: Option<&'a str>,
    pub(super) slot: Option<&'a str>,
    pub(super) serial: Option<&'a str>,
    pub(super) uuid: Option<&'a str>,
    pub(super) part_number: Option<&'a str>,
    pub(super) vbios: Option<&'a str>,
    pub(super) pci_address: Option<&'a str>,
    pub(super) memory_mib: Option<u64>,
    pub(super) power_limit_w: Option<f64>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Cut {
    pub(super) at_s: f64,
    /// `signal`, `kill` or `failure`.
    pub(super) by: &'static str,
    pub(super) text: String,
    /// The run was taken up again after it.
    pub(super) settled: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Lost {
    pub(super) at_s: f64,
    pub(super) component: Component,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Tripped<'a> {
    pub(super) at_s: f64,
    pub(super) guard: &'a str,
    pub(super) component: Component,
    pub(super) code: &'a str,
    /// `step`, `stage` or `run`.
    pub(super) stopped: &'static str,
    /// `fail` or `inconclusive`.
    pub(super) result: &'static str,
    pub(super) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reading: Option<f64>,
}

/// A wrong result of a load.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrongResult {
    pub(super) at_s: f64,
    pub(super) component: Component,
    pub(super) place: String,
    pub(super) iteration: u64,
    pub(super) word: u64,
    pub(super) flipped_bits: u32,
    pub(super) gpu_celsius: Option<f64>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoadFailure {
    pub(super) at_s: f64,
    pub(super) component: Option<Component>,
    pub(super) text: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Noted {
    pub(super) at_s: f64,
    pub(super) component: Option<Component>,
    pub(super) kind: NoteKind,
    pub(super) text: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Late<'a> {
    /// `stage.step`
    pub(super) step: &'a str,
    pub(super) round: u32,
    pub(super) attempt: u32,
    /// Samples of the node that were due, and those that were taken.
    pub(super) due: u32,
    pub(super) taken: u32,
    /// How late the latest of them was.
    pub(super) worst_s: f64,
    /// The longest that a running load told nothing of its work.
    pub(super) silence_s: f64,
}

/// Lines of the kernel log that speak of errors.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Kernel<'a> {
    pub(super) records: Vec<KernelLine<'a>>,
    /// Lines seen in the run that are not listed.
    pub(super) others: usize,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KernelLine<'a> {
    pub(super) at_s: f64,
    pub(super) text: &'a str,
}

/// One round of one stage.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Stage<'a> {
    pub(super) id: &'a str,
    pub(super) round: u32,
    pub(super) started_s: f64,
    pub(super) finished_s: Option<f64>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum StepState {
    Running,
    Finished,
    /// Cut by a crash or reboot; never counted as passed, and run again.
    Interrupted,
}

/// One attempt at a step in one round.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Step<'a> {
    /// `stage.step`.
    pub(super) path: &'a str,
    pub(super) check: Option<&'a str>,
    pub(super) round: u32,
    pub(super) attempt: u32,
    /// False: another attempt followed in the same round.
    pub(super) last_attempt: bool,
    pub(super) state: StepState,
    pub(super) started: String,
    pub(super) started_s: f64,
    pub(super) finished_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) operator: Option<Answered<'a>>,
    // As they are written: a run of days has thousands.
    #[serde(serialize_with = "write_cases")]
    #[schemars(with = "Vec<TestCase<'a>>")]
    pub(super) cases: &'a [Case],
}

fn write_cases<S: Serializer>(cases: &[Case], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(cases.iter().map(super::json::case))
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Answered<'a> {
    pub(super) yes: bool,
    pub(super) comment: Option<&'a str>,
}

/// A step on a component.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TestCase<'a> {
    pub(super) component: Component,
    pub(super) outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<Reason>,
    pub(super) values: Vec<Value<'a>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    /// A stable word.
    pub(super) kind: &'static str,
    pub(super) text: String,
}

/// A measured value and what came of holding it against its limit.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the names are the file's")]
pub(super) struct Value<'a> {
    pub(super) name: &'a str,
    /// Where it differs from the case's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) component: Option<Component>,
    /// Null: there is none, and `missing` says why. Unrounded.
    pub(super) value: Option<Plain<'a>>,
    pub(super) unit: Unit,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) missing: Option<String>,
    /// How many readings went into it.
    pub(super) samples: u64,
    pub(super) outcome: ValueOutcome,
    /// As the profile has it; absent for a value that is only told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) limit: Option<&'a str>,
    /// The bounds the limit came to, in `unit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) low: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) high: Option<f64>,
    /// Distance to the nearer bound, in `unit`; negative outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) margin: Option<f64>,
    /// Where the good units of the lot lie, of a value that was held against it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lot: Option<Reach>,
    /// How near to a bound nothing is proven, from a gauge study.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) guard_band: Option<f64>,
    /// Why no judgement could be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unjudged: Option<String>,
    pub(super) decisive: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) waiver: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Plain<'a> {
    Number(f64),
    Text(&'a str),
    Flag(bool),
}

/// Ends in the unit of the value, and of how many units.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reach {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) units: usize,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ValueOutcome {
    Pass,
    Marginal,
    /// Inside its limit, and apart from the lot.
    Outlier,
    Fail,
    Unjudged,
    /// There is no limit to it.
    Told,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Unstarted<'a> {
    pub(super) path: &'a str,
    pub(super) components: &'a [Component],
    pub(super) why: String,
}
