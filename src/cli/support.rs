//! `kiln checks --support`: the page of what is judged with which driver and generation of GPU, as the plans of the shipped
//! profiles say it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::command_error::{CommandError, Sorted as _};
use super::exit_code::Exit;
use super::look::read_inventory;
use super::{dut, files, printer};
use crate::check;
use crate::model::{Inventory, LEAST_DRIVER, Reading, Spread};
use crate::node::nvml::{Generation, RELEASES, lacking};
use crate::plan::{self, Plan, PlannedStep, Readiness};
use crate::profile::{Profile, Skus, builtin};
use crate::report::{self, Language};

/// The shipped node that stands for a generation.
const fn node_of(generation: Generation) -> &'static str {
    match generation {
        Generation::Ampere => "hgx-a100-8",
        Generation::Ada => "pcie-l40s-8",
        Generation::Hopper => "hgx-h100-8",
        Generation::Blackwell => "hgx-b200-8",
    }
}

/// How something is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Judging {
    Judged,
    ByFallback,
    NotJudged,
}

impl Judging {
    const fn word(self) -> &'static str {
        match self {
            Self::Judged => "judged",
            Self::ByFallback => "by fallback",
            Self::NotJudged => "**not judged**",
        }
    }
}

/// What the plans say for one generation.
#[derive(Debug, Default)]
struct Sheet {
    /// Checks with at least one step that can run.
    run: BTreeSet<String>,
    /// Why a check has no step that can.
    skipped: BTreeMap<String, String>,
    /// What differs from release to release: the measurement or guard, and how each release judges it.
    rows: BTreeMap<String, BTreeMap<u32, Judging>>,
    /// The plans' own words of it.
    said: BTreeSet<String>,
}

/// `kiln checks --support`.
pub(super) fn support() -> Result<Exit, CommandError> {
    let skus = Skus::built_in()?;
    let mut profiles = Vec::new();
    for name in builtin::profile_names().filter(|name| *name != "base") {
        profiles.push(files::resolve(&files::find_profile(name)?, &skus, &[], None)?);
    }
    let mut text = head(&profiles, &skus);
    for generation in Generation::ALL {
        let mut chosen = dut::simulated(node_of(generation), 1, &[], Spread::default(), 0)?;
        let inventory = read_inventory(&mut chosen)?;
        put(&mut text, generation, &sheet(generation, &inventory, &profiles, &skus));
    }
    text.push_str(TAIL);
    printer::result(&text).no_claim()?;
    Ok(Exit::Pass)
}

const TAIL: &str = "
## Not supported

On hardware, nothing is read of power supplies and of the fans of the chassis: on most servers they answer to the management
controller alone (IPMI, Redfish), and the kernel has no files of them. A plan says so of its limits on supplies before the run; where they are
to be judged, have a program of your own ask the controller (`tool.run`).

Parts before Ampere (T4 and V100, for example): the kernels need compute capability 8.0. `kiln doctor` and the
first load of a run say so, and a plan where the model's facts do (`kernels: 0`, as those of `t4`).
";

fn head(profiles: &[Profile], skus: &Skus) -> String {
    let names: Vec<String> = profiles.iter().map(|profile| format!("`{}`", profile.id)).collect();
    let models: Vec<String> = skus.0.iter().map(|sku| format!("`{}`", sku.id)).collect();
    let of_none = skus.0.iter().filter(|sku| profiles.iter().all(|profile| !profile.skus.contains(&sku.id)));
    let of_none: Vec<String> = of_none.map(|sku| format!("`{}`", sku.id)).collect();
    format!(
        "# What is judged with which driver\n\n\
         Made by `kiln checks --support` from the plans of the shipped profiles ({}). The least driver is release {LEAST_DRIVER}. What a \
         driver or part does not offer is judged by something weaker (*by fallback*) or not at all (*not judged*); a plan says either \
         before the run (`kiln profile plan`, `kiln doctor`), and nothing fails because of it.\n\n\
         GPU models with facts: {}. No shipped profile is for {}: 70 W are too little to tell cooling by. \
         A profile of your own can be (`extends: smoke`, `skus: [l4]`).\n",
        names.join(", "),
        models.join(", "),
        of_none.join(", ")
    )
}

/// Plans every profile with every release.
fn sheet(generation: Generation, inventory: &Inventory, profiles: &[Profile], skus: &Skus) -> Sheet {
    let mut sheet = Sheet::default();
    for release in RELEASES {
        let mut with = inventory.clone();
        with.driver = Reading::Value(format!("{release}.00"));
        // What no driver changes, and simulated nodes tell.
        with.host.psus = Reading::Unsupported;
        for gpu in &mut with.gpus {
            gpu.lacks = lacking(release, generation);
        }
        for profile in profiles {
            // A profile for other nodes, such as one for liquid cooling.
            let Ok(plan) = plan::make(profile, &with, skus, check::catalogue(), None) else { continue };
            take(&mut sheet, release, &plan);
        }
    }
    for rows in sheet.rows.values_mut() {
        for release in RELEASES {
            rows.entry(release).or_insert(Judging::Judged);
        }
    }
    let run = std::mem::take(&mut sheet.run);
    sheet.skipped.retain(|check, _| !run.contains(check));
    sheet.run = run;
    sheet
}

fn take(sheet: &mut Sheet, release: u32, plan: &Plan) {
    let steps = || plan.steps();
    for step in steps() {
        match &step.readiness {
            Readiness::Skip(why) | Readiness::Unmet(why) => {
                sheet.skipped.insert(step.step.check.clone(), report::unmet(Language::English, why));
            }
            Readiness::Ready | Readiness::Deselected => {
                sheet.run.insert(step.step.check.clone());
            }
        }
    }
    for spot in &plan.blind {
        let judging = if spot.lacking.has_stand_in() { Judging::ByFallback } else { Judging::NotJudged };
        for limit in &spot.limits {
            let row = sheet.rows.entry(row(limit, steps())).or_default();
            let known = row.entry(release).or_insert(judging);
            *known = judging.max(*known);
        }
    }
    for line in report::blind_lines(plan, Language::English) {
        // Why, which is the same for whatever is judged by it.
        sheet.said.extend(line.split_once(": ").map(|(_, why)| why.to_owned()));
    }
}

/// `load.gemm.throttle.thermal` as the check and its measurement; a guard by its name.
fn row<'a>(limit: &str, mut steps: impl Iterator<Item = &'a PlannedStep>) -> String {
    let of = |step: &PlannedStep| {
        let measurement = limit.strip_prefix(&step.path)?.strip_prefix('.')?;
        Some(format!("`{}`: `{measurement}`", step.step.check))
    };
    steps.find_map(of).unwrap_or_else(|| format!("guard `{limit}`"))
}

fn put(text: &mut String, generation: Generation, sheet: &Sheet) {
    let _ = writeln!(text, "\n## {}\n", generation.name());
    let of = |row: &String| sheet.rows.keys().any(|other| other.starts_with(&format!("`{row}`:")));
    let whole: Vec<String> = sheet.run.iter().filter(|check| !of(check)).map(|check| format!("`{check}`")).collect();
    let _ = writeln!(text, "Judged with every driver: {}.", whole.join(", "));
    if !sheet.skipped.is_empty() {
        let skipped: Vec<String> = sheet.skipped.iter().map(|(check, why)| format!("`{check}` ({why})")).collect();
        let _ = writeln!(text, "\nNot applicable on `{}`: {}.", node_of(generation), skipped.join(", "));
    }
    if sheet.rows.is_empty() {
        return;
    }
    let releases: Vec<String> = RELEASES.iter().map(|release| format!("R{release}")).collect();
    let _ = writeln!(text, "\n| check | {} |\n| --- |{}", releases.join(" | "), " --- |".repeat(releases.len()));
    for (row, cells) in &sheet.rows {
        let cells: Vec<&str> = cells.values().map(|judging| judging.word()).collect();
        let _ = writeln!(text, "| {row} | {} |", cells.join(" | "));
    }
    text.push('\n');
    for said in &sheet.said {
        let _ = writeln!(text, "- {said}");
    }
}
