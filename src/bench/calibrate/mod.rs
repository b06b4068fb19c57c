//! From benches to proposals: facts of a model, parameters of its simulation, and how far the two lie apart.
//!
//! One value of each unit counts, however often it was benched; the spread is between units.

mod compare;
mod files;
mod quantity;
#[cfg(test)]
mod tests;
mod trace;

use std::collections::{BTreeMap, BTreeSet};

use kiln_model::GpuIndex;

use super::document::{Bench, PhaseMeasured, Unit};
use super::scatter::Scatter;
pub use compare::Comparison;
pub use files::{node_file_text, sku_file_text};
pub use quantity::Growth;
use quantity::{QUANTITIES, Quantity};

/// Below so many units a spread says more of chance than of the model.
const UNITS_MIN: usize = 8;
/// What is left below or above the mean of few units.
const ALLOWANCE: f64 = 0.10;
/// Deviations between the mean and a limit: one healthy unit in 741 lies beyond (normal distribution, one side).
const DEVIATIONS: f64 = 3.0;

/// Why benches are not made into facts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotUsable {
    #[error("there is no bench to calibrate by")]
    None,
    #[error("{file} is not of hardware; `--allow-stand-in` takes it, and marks what comes of it")]
    NotHardware { file: String },
    #[error("{file} is of {found}, and {first} of {known}: calibrate one model at a time")]
    OtherModel { file: String, found: String, first: String, known: String },
    #[error("{file} does not say which model its GPUs are; this program has no facts of it to hold proposals against")]
    UnknownModel { file: String },
    #[error("the simulated node has GPUs of {found}, and the benches are of {known}: name one with that model")]
    SimulatedOther { found: String, known: String },
}

/// What benches do not come to, and why.
#[derive(Debug, Clone, PartialEq)]
pub enum LeftOut {
    /// A unit that computed wrong tells nothing of healthy ones.
    Unit { file: String, gpu: GpuIndex, wrong: u64 },
    /// A floor that is not above zero holds nothing.
    Fact { fact: &'static str, unit: kiln_model::Unit, scatter: Scatter },
}

/// A proposed fact of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// As in the files of facts.
    pub fact: &'static str,
    pub unit: kiln_model::Unit,
    pub value: f64,
    /// Of the units' values.
    pub spread: Scatter,
    pub source: String,
}

/// A proposed parameter of the simulated node.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// `arithmetic.bf16.efficiency`
    pub path: &'static str,
    /// What it is to be multiplied by for the simulation to give what was measured.
    pub factor: f64,
    pub source: String,
}

/// What benches of one model come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    pub sku: String,
    /// Whether any of it is not of hardware.
    pub simulated: bool,
    pub units: usize,
    pub proposals: Vec<Proposal>,
    pub parameters: Vec<Parameter>,
    pub comparisons: Vec<Comparison>,
    pub left_out: Vec<LeftOut>,
}

/// Makes proposals of benches, each with the name of its file; `model` is a bench of the simulated node of the same kind.
pub fn calibrate(
    benches: &[(String, Bench)],
    model: Option<&Bench>,
    allow_stand_in: bool,
) -> Result<Calibration, NotUsable> {
    let (first, _) = benches.first().ok_or(NotUsable::None)?;
    let mut sku: Option<String> = None;
    for (file, bench) in benches {
        if !bench.is_of_hardware() && !allow_stand_in {
            return Err(NotUsable::NotHardware { file: file.clone() });
        }
        for unit in &bench.gpus {
            let found = unit.sku.clone().ok_or_else(|| NotUsable::UnknownModel { file: file.clone() })?;
            match &sku {
                Some(known) if *known != found => {
                    let (file, first, known) = (file.clone(), first.clone(), known.clone());
                    return Err(NotUsable::OtherModel { file, found, first, known });
                }
                _ => sku = Some(found),
            }
        }
    }
    let sku = sku.ok_or_else(|| NotUsable::UnknownModel { file: first.clone() })?;
    if let Some(found) = model.iter().flat_map(|model| &model.gpus).find(|unit| unit.sku.as_ref() != Some(&sku)) {
        let found = found.sku.clone().or_else(|| found.name.clone()).unwrap_or_else(|| "an unknown model".to_owned());
        return Err(NotUsable::SimulatedOther { found, known: sku });
    }
    let model = model.map(|model| [(String::new(), model.clone())]);
    let modelled = |quantity: &Quantity| Scatter::of(&by_unit(model.as_ref()?, quantity));
    let (mut proposals, mut parameters, mut comparisons) = (Vec::new(), Vec::new(), Vec::new());
    let mut left_out = wrong_units(benches);
    for quantity in QUANTITIES {
        let Some(spread) = Scatter::of(&by_unit(benches, quantity)) else { continue };
        match (propose(quantity, spread, benches), quantity.fact) {
            (Some(proposal), _) => proposals.push(proposal),
            (None, Some((fact, _))) => left_out.push(LeftOut::Fact { fact, unit: quantity.unit, scatter: spread }),
            (None, None) => {}
        }
        if let Some(modelled) = modelled(quantity).filter(|modelled| modelled.mean != 0.0) {
            let factor = spread.mean / modelled.mean;
            parameters.extend(quantity.parameters.iter().map(|path| Parameter {
                path,
                factor,
                source: told(quantity, spread, benches),
            }));
            comparisons.push(Comparison { what: quantity.what, unit: quantity.unit, measured: spread, modelled });
        }
    }
    let units = names(benches).len();
    let simulated = benches.iter().any(|(_, bench)| !bench.is_of_hardware());
    Ok(Calibration { sku, simulated, units, proposals, parameters, comparisons, left_out })
}

/// What tells one unit from others: its serial number, or its UUID; else its place in its file.
fn name(file: &str, unit: &Unit) -> String {
    let known = unit.serial.clone().or_else(|| unit.uuid.clone());
    known.unwrap_or_else(|| format!("{file}#{}", unit.gpu.0))
}

/// Wrong results that nobody asked for, of one unit in all phases of its bench.
fn wrong(bench: &Bench, gpu: GpuIndex) -> u64 {
    let of = |phase: &PhaseMeasured| {
        let gpu = phase.gpus.iter().find(|measured| measured.gpu == gpu)?;
        Some(gpu.wrong_of_itself(phase.work))
    };
    bench.phases.iter().filter_map(of).sum()
}

fn wrong_units(benches: &[(String, Bench)]) -> Vec<LeftOut> {
    let units = benches.iter().flat_map(|(file, bench)| bench.gpus.iter().map(move |unit| (file, bench, unit.gpu)));
    let counted = units.map(|(file, bench, gpu)| (file.clone(), gpu, wrong(bench, gpu)));
    counted.filter(|(.., wrong)| *wrong > 0).map(|(file, gpu, wrong)| LeftOut::Unit { file, gpu, wrong }).collect()
}

/// The units that computed nothing wrong, each with its bench and its name.
fn sound(benches: &[(String, Bench)]) -> impl Iterator<Item = (&Bench, GpuIndex, String)> {
    let units = benches.iter().flat_map(|(file, bench)| bench.gpus.iter().map(move |unit| (file, bench, unit)));
    units
        .filter(|(_, bench, unit)| wrong(bench, unit.gpu) == 0)
        .map(|(file, bench, unit)| (bench, unit.gpu, name(file, unit)))
}

fn names(benches: &[(String, Bench)]) -> BTreeSet<String> {
    sound(benches).map(|(.., name)| name).collect()
}

/// One value of each unit: the mean of what its benches say.
fn by_unit(benches: &[(String, Bench)], quantity: &Quantity) -> Vec<f64> {
    let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (bench, gpu, name) in sound(benches) {
        if let Some(value) = quantity.of(bench, gpu) {
            values.entry(name).or_default().push(value);
        }
    }
    values.values().filter_map(|values| Scatter::of(values)).map(|spread| spread.mean).collect()
}

/// Where a value comes from, in one line.
fn told(quantity: &Quantity, spread: Scatter, benches: &[(String, Bench)]) -> String {
    let files: Vec<&str> = benches.iter().map(|(file, _)| file.as_str()).collect();
    let simulated =
        benches.iter().find(|(_, bench)| !bench.is_of_hardware()).map_or("", |_| "SIMULATED, no hardware: ");
    let deviation = spread.deviation.map_or_else(String::new, |deviation| format!(", deviation {}", short(deviation)));
    let unit = if quantity.unit == kiln_model::Unit::One { String::new() } else { format!(" {}", quantity.unit) };
    let units = if spread.count == 1 { "1 unit".to_owned() } else { format!("{} units", spread.count) };
    format!(
        "{simulated}kiln bench, {}: mean {}{unit} of {units}, {} to {}{deviation} ({})",
        quantity.what,
        short(spread.mean),
        short(spread.least),
        short(spread.most),
        files.join(", "),
    )
}

/// Four significant digits.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "digits after the point are few, and none at the least"
)]
fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 9) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// None where it would be a floor that everything is above.
fn propose(quantity: &Quantity, spread: Scatter, benches: &[(String, Bench)]) -> Option<Proposal> {
    let (fact, growth) = quantity.fact?;
    let few = spread.count < UNITS_MIN;
    let wide = DEVIATIONS * spread.deviation.unwrap_or(0.0);
    let room = if few { wide.max(ALLOWANCE * spread.mean) } else { wide };
    let (value, sign) = match growth {
        Growth::Floor => (spread.mean - room, "less"),
        Growth::Ceiling => (spread.mean + room, "plus"),
    };
    if growth == Growth::Floor && value <= 0.0 {
        return None;
    }
    let how = if few && room > wide {
        format!("{sign} {:.0} %, as fewer than {UNITS_MIN} units tell no spread", 100.0 * ALLOWANCE)
    } else {
        format!("{sign} {DEVIATIONS:.0} deviations")
    };
    let source = format!("{}, {how}", told(quantity, spread, benches));
    Some(Proposal { fact, unit: quantity.unit, value, spread, source })
}
