//! Every call of the driver's library that the inventory is made of, refused with every code there is, before the run and in it:
//! whether that is a GPU's fault, our trouble, or nothing at all.
//!
//! The library is read for every code. What a run makes of it is asked once for all codes that mean the same, after their
//! inventories were seen to be the same but for the number in them.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use kiln::event::{Outcome, RunRecord};
use kiln::model::{Gpu, GpuIndex, Inventory, Reading, ReadingFailure, Sample, Sensor};
use serde_json::Value;

use crate::refusing::{Looked, Refusing};
use crate::trial::Trial;
use crate::withheld::{Withheld, node};

/// The first look at a node, with the limits of the base profile.
const PROFILE: &str = "schema: kiln.profile/1
id: first-look
revision: 1
title: { en: First look }
extends: base
stages: [{ id: identify }]
";

const GPU: GpuIndex = GpuIndex(3);

/// All calls that the inventory of a GPU is made of.
const CALLS: &[&str] = &[
    "GetName",
    "GetUUID",
    "GetSerial",
    "GetBoardPartNumber",
    "GetVbiosVersion",
    "GetInforomImageVersion",
    "GetGspFirmwareVersion",
    "ValidateInforom",
    "GetPciInfo_v3",
    "GetModuleId",
    "GetMemoryInfo_v2",
    "GetBAR1MemoryInfo",
    "GetPowerManagementLimitConstraints",
    "GetPowerManagementDefaultLimit",
    "GetPowerManagementLimit",
    "GetEnforcedPowerLimit",
    "GetMaxClockInfo",
    "GetApplicationsClock",
    "GetDefaultApplicationsClock",
    "GetTemperatureThreshold",
    "GetEccMode",
    "GetMigMode",
    "GetPersistenceMode",
    "GetComputeMode",
    "GetMaxPcieLinkGeneration",
    "GetMaxPcieLinkWidth",
    "GetMemoryAffinity",
    "GetNvLinkState",
    "GetNvLinkRemoteDeviceType",
    "GetNvLinkRemotePciInfo_v2",
    "GetGpuFabricInfoV",
    "GetComputeRunningProcesses",
    "GetFieldValues",
];

/// All codes of nvml.h but that of success.
fn codes() -> Vec<u32> {
    (1..=28).chain([999]).collect()
}

/// What a refusal changed of a GPU: the places in it, with what stands there now. Which failure it was, if it was one, is left out
/// unless the GPU is lost.
type Changes = BTreeMap<String, String>;

fn changes(whole: &Gpu, refused: &Gpu) -> Changes {
    let tree = |gpu: &Gpu| serde_json::to_value(gpu).expect("JSON");
    let mut found = Changes::new();
    compare("", &tree(whole), &tree(refused), &mut found);
    found
}

fn compare(place: &str, whole: &Value, refused: &Value, found: &mut Changes) {
    match (whole, refused) {
        (Value::Object(one), Value::Object(other)) if one.keys().eq(other.keys()) => {
            one.iter().for_each(|(key, value)| compare(&format!("{place}.{key}"), value, &other[key], found));
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            one.iter().zip(other).for_each(|(value, other)| compare(&format!("{place}[]"), value, other, found));
        }
        (one, other) if one != other => {
            let failed = other.get("failed").is_some_and(|failure| failure != "lost");
            found.insert(place.to_owned(), if failed { "failed".to_owned() } else { other.to_string() });
        }
        _ => {}
    }
}

/// The readings of every code for a call, each on a GPU of its own: seven codes in one look, and GPU 0 stays whole.
fn looks(refusing: &Refusing, call: &str, whole: &Inventory, before: bool) -> BTreeMap<u32, Changes> {
    let mut found = BTreeMap::new();
    for seven in codes().chunks(7) {
        let what: Vec<String> = (1..).zip(seven).map(|(gpu, code)| format!("{gpu}:{call}:{code}")).collect();
        let inventory = look(refusing, &what.join(";"), before).0;
        assert_eq!(changes(&whole.gpus[0], &inventory.gpus[0]), Changes::new(), "{call} {seven:?}: gpu/0");
        let gpus = whole.gpus.iter().zip(&inventory.gpus).skip(1);
        found.extend(seven.iter().copied().zip(gpus.map(|(whole, refused)| changes(whole, refused))));
    }
    found
}

/// One look at the library while it refuses `what`, from the start or after a first look at the whole node.
fn look(refusing: &Refusing, what: &str, before: bool) -> (Inventory, Looked) {
    refusing.refuse(if before { what } else { "" });
    let mut looked = Looked::open();
    if !before {
        looked.inventory();
        refusing.refuse(what);
    }
    (looked.inventory(), looked)
}

/// What a run makes of GPU 3 of `refused`, from the start or from the second look on.
fn run(trial: &Trial, (whole, refused): (&Inventory, &Inventory), lost: bool, before: bool) -> String {
    let asked = Cell::new(0);
    let inventory = |inventory: &mut Inventory| {
        asked.set(asked.get() + 1);
        let read = if before || asked.get() > 1 { refused } else { whole };
        inventory.gpus.clone_from(&read.gpus);
        if let Reading::Value(functions) = &mut inventory.pci {
            for function in functions {
                function.address.make_ascii_lowercase();
            }
        }
    };
    let sample = |sample: &mut Sample| {
        if lost && sample.gpu == GPU && (before || asked.get() > 1) {
            for sensor in Sensor::ALL {
                sample.set(*sensor, Reading::Failed(ReadingFailure::Lost));
            }
        }
    };
    let mut dut = Withheld { node: node("hgx-h200-8"), inventory: &inventory, sample: &sample, counters: &|_| {} };
    told(&trial.run_on(&mut dut, 1).record)
}

/// The verdict, what is found, and the steps that tell of it.
fn told(record: &RunRecord) -> String {
    let mut told = record.verdict.as_ref().map(|verdict| verdict.word.shown().to_owned()).unwrap_or_default();
    for finding in &record.findings {
        let _ = write!(told, ", {} {}", finding.code, finding.component);
    }
    let bad = |outcome| matches!(outcome, Outcome::Fail | Outcome::Error | Outcome::Inconclusive);
    let steps = record.steps.iter().filter(|step| step.cases.iter().any(|case| bad(case.outcome)));
    let paths: Vec<&str> = steps.map(|step| step.key.path.as_str()).collect();
    if record.findings.is_empty() && !paths.is_empty() {
        let _ = write!(told, " in {}", paths.join(" "));
    }
    told
}

/// What a run made of a call that ended so: the row of the table.
fn row(before: bool, codes: &[u32], told: &str) -> String {
    let when = if before { "before" } else { "during" };
    let codes = match codes {
        codes if codes.len() == self::codes().len() => "every code".to_owned(),
        // The codes that are neither of a lost GPU nor of something that is not offered.
        codes if codes.len() > 15 => {
            let others: Vec<u32> = self::codes().into_iter().filter(|code| !codes.contains(code)).collect();
            format!("all but {}", listed(&others))
        }
        codes => listed(codes),
    };
    format!("  {when}, {codes}: {told}\n")
}

fn listed(codes: &[u32]) -> String {
    codes.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_call_of_the_inventory_refused_with_every_code_is_a_fault_with_its_place_or_our_trouble_or_nothing() {
    let refusing = Refusing::open();
    refusing.refuse("");
    let trial = Trial::written(PROFILE);
    let whole = Looked::open().inventory();
    let mut table = String::new();
    for call in CALLS {
        let _ = writeln!(table, "{call}");
        let mut told = BTreeMap::new();
        for before in [true, false] {
            let mut groups: BTreeMap<Changes, Vec<u32>> = BTreeMap::new();
            for (code, changes) in looks(&refusing, call, &whole, before) {
                groups.entry(changes).or_default().push(code);
            }
            let mut groups: Vec<(Vec<u32>, Changes)> =
                groups.into_iter().map(|(changes, codes)| (codes, changes)).collect();
            groups.sort();
            for (codes, changes) in groups {
                let (refused, mut looked) = look(&refusing, &format!("{}:{call}:{}", GPU.0, codes[0]), before);
                let lost = looked.samples()[GPU.at()].is_lost();
                refusing.refuse("");
                let said = run(&trial, (&whole, &refused), lost, before);
                assert!(!changes.is_empty() || said == "PASS", "{call} {codes:?}: {said}");
                // Whoever is accused is the GPU whose call failed.
                let accused = said.split(", ").skip(1).filter(|finding| finding.contains(' '));
                let others: Vec<&str> = accused.filter(|finding| !finding.contains("gpu/3")).collect();
                assert_eq!(others, [""; 0], "{call} {codes:?}");
                told.insert((!before, codes), said);
            }
        }
        for ((during, codes), said) in told {
            table.push_str(&row(!during, &codes, &said));
        }
    }
    insta::assert_snapshot!(table);
}
