//! `dcgmi diag -j` of DCGM 3 and 4: one result for each test and part, with the words of its warnings.
//!
//! DCGM 4 (`dcgmi/Diag.cpp`) has the root `DCGM Diagnostic`, results by entity and a summary of each test; DCGM 3 the root
//! `DCGM GPU Diagnostic` and results by `gpu_id` or `gpu_ids`, warnings as texts or as objects. With `--iterations` both
//! put a whole report for each iteration into a list. The host engine and the plug-ins print around the report. A table in
//! place of a report is `dcgmi_text`'s.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::Value;

use super::adapter::Adapter;
use super::dcgmi_text::{All, report_in};
use super::declared;
use super::output::{Output, Told, Unread, Verdict, argument, empty, json_in, lacks, no_such_part, unknown};
use crate::declare::{flag, may, text};
use kiln_limit::Measurement;
use kiln_model::{Component, ComponentKind, GpuIndex, Tool, Unit, Unproven};
use kiln_profile::CheckSpec;

pub(crate) static ADAPTER: Adapter = Adapter {
    tool: Tool::DcgmDiag,
    title: "dcgmi diag",
    spec: CheckSpec {
        name: "tool.dcgmi",
        summary: "Runs the diagnostics of NVIDIA DCGM (`dcgmi diag -j`) and tells each of its tests for each GPU.",
        details: "What to run is for the arguments: `args: [-r, \"3\"]`. A warning counts as a failure, as its own exit \
                  code has it, and is told in DCGM's words; what DCGM itself calls software, its settings or its own trouble \
                  is an ERROR and nothing against the part. A test that was skipped is a measurement that is missing. \
                  DCGM 3 and 4 are read. It needs their host engine, which holds the GPUs meanwhile.",
        params: &declared::params(Tool::DcgmDiag),
        measurements: declared::measurements![
            flag(
                "*.passed",
                ComponentKind::Gpu,
                "the result of one of its tests: software, memory, targeted_power and so on"
            ),
            may("iterations", Unit::One, ComponentKind::Node, "how often it ran them (`--iterations`)"),
            text("remedy", ComponentKind::Gpu, "what DCGM's grading of a failure asks for, where it grades it"),
        ],
        each: declared::NODE_OR_GPU,
        exclusive: true,
        ..declared::STRESS
    },
    first: &["diag", "-j"],
    last: &[],
    version: &["--version"],
    version_in: (&[], '\n'),
    expected: "JSON `DCGM Diagnostic` (DCGM 4) / `DCGM GPU Diagnostic` (DCGM 3)",
    takes_every_gpu: |args| argument(args, CHOICE).is_empty(),
    read,
};

const ROOTS: [&str; 2] = ["DCGM Diagnostic", "DCGM GPU Diagnostic"];

/// The results of all iterations, the worst of each test and part, and what DCGM asks for of each part that failed.
#[derive(Debug, Default)]
struct Results {
    verdicts: BTreeMap<(String, Component), Verdict>,
    /// The tests and parts as they were first told of.
    order: Vec<(String, Component)>,
    remedies: BTreeMap<Component, Remedy>,
}

impl Results {
    fn put(&mut self, test: &str, component: Component, verdict: Verdict) {
        let key = (test.to_owned(), component);
        if !self.verdicts.contains_key(&key) {
            self.order.push(key.clone());
        }
        let before = self.verdicts.remove(&key).unwrap_or(Verdict::Passed);
        self.verdicts.insert(key, before.and(verdict));
    }
}

/// What chooses GPUs; `--gpuList` up to DCGM 3.
const CHOICE: &[&str] = &["-i", "--entity-id", "--gpuList", "-g", "--group"];

fn read(output: &Output<'_>) -> Result<Told, Unread> {
    let all = if output.argument(CHOICE).is_empty() { All::Found } else { All::Chosen };
    let report = json_in(output.stdout).or_else(|why| report_in(output.stdout, all).ok_or(why)).map_err(|why| {
        match output.words(&["Error", "error", "Unable"]) {
            Some(words) => Unread::Refused(words.to_owned()),
            None => why,
        }
    })?;
    let iterations: Vec<&Value> = match report["iterations"].as_array() {
        Some(all) => all.iter().collect(),
        None => vec![&report],
    };
    let mut results = Results::default();
    for one in &iterations {
        read_one(one, &mut results)?;
    }
    let whole = match report["Overall Result"].as_str() {
        Some(said) if !said.eq_ignore_ascii_case("pass") => {
            let words = report["Warning"].as_str().map_or_else(String::new, |words| format!(": {words}"));
            Verdict::Failed(format!("Overall Result: {said}{words}"))
        }
        _ => Verdict::Passed,
    };
    let mut verdict = Verdict::Passed;
    let asked = output.argument(&["-r", "--run"]);
    let (mut measured, mut passed) = (Vec::new(), 0_u32);
    let mut parts: BTreeMap<Component, Vec<(String, Verdict)>> = BTreeMap::new();
    for (test, component) in &results.order {
        let (result, component) = (&results.verdicts[&(test.clone(), *component)], *component);
        measured.push(result.flag_of(&format!("{test}.passed"), component));
        if component.gpu_index().is_some() {
            parts.entry(component).or_default().push((test.clone(), result.clone()));
        }
        let place = format!("{test} {component}");
        match result {
            Verdict::Passed => passed += 1,
            Verdict::Failed(words) => verdict = verdict.and(Verdict::Failed(format!("{place}: {words}"))),
            // What a level leaves out was not asked for by name.
            Verdict::Unproven(why) if is_own_trouble(result) || asked.contains(&test.as_str()) => {
                verdict = verdict.and(Verdict::Unproven(why.clone().of(place)));
            }
            Verdict::Unproven(_) => {}
        }
    }
    for (component, results) in parts {
        measured.extend(whole_part(results).of_part("passed", component));
    }
    if measured.is_empty() {
        return Err(empty("results"));
    }
    for (component, remedy) in &results.remedies {
        measured.push(Measurement::text("remedy", *component, remedy.word().to_owned()));
    }
    // What failed where says more than that something did, and so does what could not be done.
    if !results.verdicts.values().any(is_own_trouble) {
        verdict = verdict.and(whole);
    }
    if passed == 0 {
        verdict = verdict.and(Verdict::Unproven(Unproven::AllSkipped));
    }
    measured.push(Measurement::number("iterations", Component::Node, Unit::One, iterations.len() as f64, 1));
    Ok(Told::new(measured, verdict))
}

/// What all tests of one part say together: what failed, by its test. A skipped test proves nothing either way, and a part
/// of which all were skipped has not passed.
fn whole_part(results: Vec<(String, Verdict)>) -> Verdict {
    let own_trouble = results.iter().map(|(_, result)| result).find(|result| is_own_trouble(result)).cloned();
    let all_skipped = results.iter().all(|(_, result)| matches!(result, Verdict::Unproven(_)));
    let failed: Vec<String> = results
        .into_iter()
        .filter_map(|(test, result)| match result {
            Verdict::Failed(words) => Some(format!("{test}: {words}")),
            Verdict::Passed | Verdict::Unproven(_) => None,
        })
        .collect();
    match () {
        () if !failed.is_empty() => Verdict::Failed(failed.join("; ")),
        () if own_trouble.is_some() => own_trouble.unwrap_or(Verdict::Passed),
        () if all_skipped => Verdict::Unproven(Unproven::AllSkipped),
        () => Verdict::Passed,
    }
}

/// One report.
fn read_one(report: &Value, results: &mut Results) -> Result<(), Unread> {
    let root = ROOTS.into_iter().map(|root| &report[root]).find(|root| root.is_object()).ok_or(Unread::Form)?;
    if let Some(error) = root["runtime_error"].as_str() {
        return Err(Unread::Refused(error.to_owned()));
    }
    let categories = root["test_categories"].as_array();
    for test in categories.into_iter().flatten().filter_map(|category| category["tests"].as_array()).flatten() {
        let name = test["name"].as_str().ok_or_else(|| lacks("tests", "name"))?;
        let mut worst = Verdict::Passed;
        for result in test["results"].as_array().into_iter().flatten() {
            let verdict = verdict_of(name, result)?;
            worst = worst.and(verdict.clone());
            for component in parts(name, result)? {
                results.put(name, component, verdict.clone());
                if let (Verdict::Failed(_), Some(_), Some(asked)) = (&verdict, component.gpu_index(), remedy(result)) {
                    let graver = results.remedies.get(&component).copied().max(Some(asked));
                    results.remedies.extend(graver.map(|graver| (component, graver)));
                }
            }
        }
        // A summary says more than the results where what it tells belongs to no part.
        let summary = &test["test_summary"];
        if summary.is_object() {
            let verdict = verdict_of(name, summary)?;
            let parts_tell = test["results"].as_array().is_some_and(|results| !results.is_empty());
            let silent = matches!(worst, Verdict::Passed | Verdict::Unproven(_)) && !is_own_trouble(&worst);
            let worse = silent && (matches!(verdict, Verdict::Failed(_)) || is_own_trouble(&verdict));
            if worse || !parts_tell {
                results.put(name, Component::Node, verdict);
            }
        }
    }
    Ok(())
}

/// What a result or a summary says, with its words.
fn verdict_of(test: &str, result: &Value) -> Result<Verdict, Unread> {
    let status = result["status"].as_str().unwrap_or_default();
    let (warnings, info) = (texts(&result["warnings"]), texts(&result["info"]));
    let words = if warnings.is_empty() { info } else { warnings.clone() }.join("; ");
    let said = if words.is_empty() { status.to_owned() } else { format!("{status}: {words}") };
    Ok(match status.to_ascii_lowercase().replace('_', " ").as_str() {
        "skip" | "skipped" | "not run" => Verdict::Unproven(Unproven::Words(said)),
        "pass" if warnings.is_empty() => Verdict::Passed,
        "pass" | "fail" | "warn" | "warning" if is_of_software(result) => {
            Verdict::Unproven(Unproven::NotDone { words: said })
        }
        "pass" | "fail" | "warn" | "warning" => Verdict::Failed(said),
        _ => return Err(unknown(format!("{test}: {status}"))),
    })
}

/// How DCGM classes an error (`dcgmErrorCategory_enum` of `dcgm_errors.h`): its settings, libraries, the software around it and
/// its own trouble, and the vendor's diagnostic that was not started (EUD). A call of CUDA (6) is told by its words, and what the
/// driver reported (XID) is none of it.
const OF_SOFTWARE: [u64; 6] = [3, 4, 6, 7, 8, 16];
/// Likewise: heat, and memory.
const HARDWARE_THERMAL: u64 = 9;
const HARDWARE_MEMORY: u64 = 10;
/// How it grades one (`dcgmErrorSeverity_enum`): the GPU is to be isolated, or drained and reset.
const ISOLATE: u64 = 2;
const RESET: u64 = 6;
/// Errors (`DCGM_FR_VOLATILE_DBE_DETECTED`, `DCGM_FR_ROW_REMAP_FAILURE`) of which its message asks for something else than its
/// grade, or whose grade changed between releases.
const VOLATILE_DBE: u64 = 4;
const ROW_REMAP_FAILURE: u64 = 80;

/// What a failure asks for, the mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Remedy {
    CheckCooling,
    ResetGpu,
    ReplaceFru,
}

impl Remedy {
    /// As actions are named in findings.
    const fn word(self) -> &'static str {
        match self {
            Self::CheckCooling => "check-cooling",
            Self::ResetGpu => "reset-gpu",
            Self::ReplaceFru => "replace-fru",
        }
    }
}

/// What DCGM's grading of the warnings of a result asks for.
fn remedy(result: &Value) -> Option<Remedy> {
    let one = |warning: &Value| {
        let number = |key: &str| warning[key].as_u64();
        match (number("error_id"), number("error_category")?, number("error_severity")?) {
            (Some(VOLATILE_DBE), ..) => Some(Remedy::ResetGpu),
            (Some(ROW_REMAP_FAILURE), ..) | (_, HARDWARE_MEMORY, ISOLATE) => Some(Remedy::ReplaceFru),
            (_, _, RESET) => Some(Remedy::ResetGpu),
            (_, HARDWARE_THERMAL, _) => Some(Remedy::CheckCooling),
            _ => None,
        }
    };
    result["warnings"].as_array()?.iter().filter_map(one).max()
}

/// The errors of those classes (`dcgmErrorMeta` of `dcgm_errors.c`): files, libraries, settings and other processes (18 to 27, 29),
/// DCGM's own calls and tests that were ended (32, 37, 44, 47 to 49, 53, 64, 65, 67, 68), memory that was not to be had (56, 73),
/// modes and states (74, 77, 78), an empty list of GPUs (82), the EUD's rights and its start (89 to 94), a file that could not be
/// made (96), a pause (97); CUDA's settings, contexts and devices (28, 54, 59, 66), the fabric manager (108, 112), a test that was
/// skipped (117), a program's rights (124), a test that is to be started anew before it says anything (130).
const SOFTWARE_ERRORS: [RangeInclusive<u64>; 22] = [
    18..=29,
    32..=32,
    37..=37,
    44..=44,
    47..=49,
    53..=53,
    54..=54,
    56..=56,
    59..=59,
    64..=65,
    66..=66,
    67..=68,
    73..=74,
    77..=78,
    82..=82,
    89..=94,
    96..=97,
    108..=108,
    112..=112,
    117..=117,
    124..=124,
    130..=130,
];
/// Errors of a class of hardware that are graded as settings: ECC that is off or that the part does not have (55, 60), a power limit that
/// is below what the test wants (72).
const SETTINGS: [u64; 3] = [55, 60, 72];
/// The grade of a setting.
const CONFIG: u64 = 5;

/// What DCGM says of its own trouble, of libraries, settings and services in the way: its messages by the words that are the same in
/// every release (`dcgm_errors.h`), and what CUDA answers to one who asks it to begin (`cuGetErrorString`). The table and reports
/// before 3.3 give no numbers, and a call of CUDA has one number whichever it was.
const SOFTWARE_WORDS: [&str; 34] = [
    "Persistence mode",
    "persistence mode",
    "Fabric Manager",
    "FabricManager",
    "IMEX ",
    "Cannot open library",
    "Cannot get pointer to",
    "could not be accessed directly",
    "driver on the denylist",
    "Bad parameter to function",
    "graphics contexts open",
    "Could not connect to the host engine",
    "Could not query field",
    "CUDA performance-limiting environment variable",
    "CUDA API cuInit",
    "CUDA API cudaGetDeviceCount",
    "Unable to find a corresponding CUDA device",
    "failed to create a CUDA context",
    "no longer bound to a CUDA context",
    "Error using DCGM API",
    "without 2 or more gpus",
    "EUD binary",
    "not running as root",
    "was aborted",
    "out of memory",
    "not enough memory",
    "initialization error",
    "system not yet initialized",
    "no CUDA-capable device",
    "driver version is insufficient",
    "unsupported display driver",
    "forward compatibility was attempted",
    "is busy or unavailable",
    "operation not supported",
];
/// Words that outweigh those: something broke.
const HARDWARE_WORDS: [&str; 13] = [
    "uncorrectable",
    "ECC error",
    "is lost",
    "fallen off",
    "XID",
    "hardware",
    "NVLINK",
    "DBE",
    "row remap",
    "memory error",
    "etirement",
    "faulty",
    "exceed",
];

/// Whether every warning of a result is one of software: by its class and its number, which say the same where it is so, and none
/// asks for the GPU to be isolated; or by its words.
fn is_of_software(result: &Value) -> bool {
    let warnings = result["warnings"].as_array().map_or(&[][..], Vec::as_slice);
    let has = |text: &str, words: &[&str]| words.iter().any(|word| text.contains(word));
    let by_words = |text: &str| has(text, &SOFTWARE_WORDS) && !has(text, &HARDWARE_WORDS);
    let of_software = |warning: &Value| {
        let (class, error) = (warning["error_category"].as_u64(), warning["error_id"].as_u64());
        let by_number = class.is_some_and(|class| OF_SOFTWARE.contains(&class))
            && warning["error_severity"].as_u64() != Some(ISOLATE)
            && error.is_some_and(|error| SOFTWARE_ERRORS.iter().any(|range| range.contains(&error)));
        let setting =
            warning["error_severity"].as_u64() == Some(CONFIG) && error.is_some_and(|error| SETTINGS.contains(&error));
        let told = texts(warning).join("; ");
        by_words(&told) || setting || (by_number && !has(&told, &HARDWARE_WORDS))
    };
    match &result["warnings"] {
        Value::String(text) => by_words(text),
        _ => !warnings.is_empty() && warnings.iter().all(of_software),
    }
}

/// Whether a test did not do its work, which is another thing than one that was left out.
const fn is_own_trouble(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Unproven(Unproven::NotDone { .. }))
}

/// Warnings and notes: one text, a list of texts, or a list of objects.
fn texts(value: &Value) -> Vec<String> {
    let one = |value: &Value| {
        let text = value.as_str().or_else(|| value["warning"].as_str());
        text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    match value {
        Value::Array(all) => all.iter().filter_map(one).collect(),
        other => one(other).into_iter().collect(),
    }
}

/// The parts that a result is of: an entity (DCGM 4), GPUs by number (DCGM 3), or the node.
fn parts(test: &str, result: &Value) -> Result<Vec<Component>, Unread> {
    let number = |value: &Value| {
        let id = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok());
        id.ok_or_else(|| no_such_part(format!("{test}: {value}")))
    };
    let index = |id: u64| u8::try_from(id).map_err(|_| no_such_part(format!("{test}: {id}")));
    if let Some(group) = result["entity_group"].as_str() {
        let id = &result["entity_id"];
        return Ok(vec![match group {
            "GPU" => Component::Gpu(GpuIndex(index(number(id)?)?)),
            "CPU" => Component::Cpu(index(number(id)?)?),
            _ => Component::Node,
        }]);
    }
    match (&result["gpu_ids"], &result["gpu_id"]) {
        (Value::String(ids), _) => {
            let ids = ids.split(',').map(str::trim).filter(|id| !id.is_empty());
            ids.map(|id| Ok(Component::Gpu(GpuIndex(index(number(&Value::from(id))?)?)))).collect()
        }
        (_, id @ (Value::String(_) | Value::Number(_))) => Ok(vec![Component::Gpu(GpuIndex(index(number(id)?)?))]),
        _ => Ok(vec![Component::Node]),
    }
}
