//! How far simulation and measurement lie apart.

use std::fmt::Write as _;

use kiln_model::Unit;

use super::{Calibration, LeftOut, short};
use crate::scatter::Scatter;

/// One quantity, measured and simulated.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    pub what: &'static str,
    pub unit: Unit,
    pub measured: Scatter,
    pub modelled: Scatter,
}

impl Comparison {
    /// How much more the simulation says than the measurement, in percent of the measurement.
    pub fn apart_percent(&self) -> f64 {
        100.0 * (self.modelled.mean - self.measured.mean) / self.measured.mean
    }
}

impl Calibration {
    /// For people: proposals, then simulation beside measurement.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if self.simulated {
            text.push_str("SIMULATED: some of this is not of hardware, and no fact of any part\n");
        }
        let _ = writeln!(text, "{}: {} units\n", self.sku, self.units);
        let _ = writeln!(text, "{:<24} {:>12} {:<8} {:>12} {:>10}", "fact", "proposed", "", "mean", "deviation");
        for one in &self.proposals {
            let deviation = one.spread.deviation.map_or_else(|| "-".to_owned(), short);
            let unit = if one.unit == Unit::One { String::new() } else { one.unit.to_string() };
            let (value, mean) = (short(one.value), short(one.spread.mean));
            let _ = writeln!(text, "{:<24} {value:>12} {unit:<8} {mean:>12} {deviation:>10}", one.fact);
        }
        for one in &self.left_out {
            let _ = match one {
                LeftOut::Unit { file, gpu, wrong } => {
                    writeln!(text, "left out: gpu/{} of {file}, which gave {wrong} wrong results", gpu.0)
                }
                LeftOut::Fact { fact, unit, scatter } => {
                    let unit = if *unit == Unit::One { String::new() } else { format!(" {unit}") };
                    let (mean, deviation) =
                        (short(scatter.mean), scatter.deviation.map_or_else(|| "-".to_owned(), short));
                    writeln!(
                        text,
                        "not proposed: {fact}: a mean of {mean}{unit} with a deviation of {deviation} leaves no floor above zero"
                    )
                }
            };
        }
        if !self.comparisons.is_empty() {
            let _ = writeln!(
                text,
                "\n{:<50} {:>10} {:>10} {:>8}",
                "simulation against measurement", "measured", "simulated", "apart"
            );
            for one in &self.comparisons {
                let (measured, modelled) = (short(one.measured.mean), short(one.modelled.mean));
                let _ =
                    writeln!(text, "{:<50} {measured:>10} {modelled:>10} {:>+7.1} %", one.what, one.apart_percent());
            }
        }
        text
    }
}
