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

use super::document::Bench;
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
    let all: Vec<&Bench> = benches.iter().map(|(_, bench)| bench).collect();
    let modelled = |quantity: &Quantity| model.and_then(|model| Scatter::of(&by_unit(&[model], quantity)));
    let (mut proposals, mut parameters, mut comparisons) = (Vec::new(), Vec::new(), Vec::new());
    for quantity in QUANTITIES {
        let Some(spread) = Scatter::of(&by_unit(&all, quantity)) else { continue };
        proposals.extend(propose(quantity, spread, benches));
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
    let units = names(&all).len();
    let simulated = benches.iter().any(|(_, bench)| !bench.is_of_hardware());
    Ok(Calibration { sku, simulated, units, proposals, parameters, comparisons })
}

/// What tells one unit from others: its serial number, or its UUID; else its place in its file.
fn name(bench: &Bench, at: usize) -> String {
    let unit = &bench.gpus[at];
    let known = unit.uuid.clone().or_else(|| unit.serial.clone());
    known.unwrap_or_else(|| format!("{}#{}", bench.at, unit.gpu.0))
}

fn names(benches: &[&Bench]) -> BTreeSet<String> {
    benches.iter().flat_map(|bench| (0..bench.gpus.len()).map(|at| name(bench, at))).collect()
}

/// One value of each unit: the mean of what its benches say.
fn by_unit(benches: &[&Bench], quantity: &Quantity) -> Vec<f64> {
    let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for bench in benches {
        for (at, unit) in bench.gpus.iter().enumerate() {
            if let Some(value) = quantity.of(bench, unit.gpu) {
                values.entry(name(bench, at)).or_default().push(value);
            }
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
fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 9) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn propose(quantity: &Quantity, spread: Scatter, benches: &[(String, Bench)]) -> Option<Proposal> {
    let (fact, growth) = quantity.fact?;
    let few = spread.count < UNITS_MIN;
    let wide = DEVIATIONS * spread.deviation.unwrap_or(0.0);
    let room = if few { wide.max(ALLOWANCE * spread.mean) } else { wide };
    let (value, sign) = match growth {
        Growth::Floor => (spread.mean - room, "less"),
        Growth::Ceiling => (spread.mean + room, "plus"),
    };
    let how = if few && room > wide {
        format!("{sign} {:.0} %, as fewer than {UNITS_MIN} units tell no spread", 100.0 * ALLOWANCE)
    } else {
        format!("{sign} {DEVIATIONS:.0} deviations")
    };
    let source = format!("{}, {how}", told(quantity, spread, benches));
    Some(Proposal { fact, unit: quantity.unit, value, spread, source })
}
