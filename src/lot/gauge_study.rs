//! How well a measurement repeats: a gauge study over runs of the same units again, on the same and on other stations.
//!
//! Variances are taken apart as measurement systems analysis does (AIAG MSA, 4th edition, chapter III): *repeatability* is the
//! scatter of one unit on one station, *reproducibility* what stations add, the rest is between units. A limit that is
//! nearer to a value than the gauge's own scatter decides by chance: the guard band is what it has to stand off.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Peers, Role, UnitValues};
use kiln_model::Unit;

/// Share of good values that a guard band lets a limit turn away: two standard deviations on either side.
const GUARD: f64 = 2.0;

/// The document of `kiln msa`, which a run takes its guard bands from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GaugeStudies {
    /// `kiln.msa/1`.
    pub schema: String,
    /// Of simulated nodes.
    pub simulated: bool,
    pub studies: Vec<GaugeStudy>,
}

impl GaugeStudies {
    pub const SCHEMA: &'static str = "kiln.msa/1";

    pub fn of(runs: &[UnitValues]) -> Self {
        Self {
            schema: Self::SCHEMA.to_owned(),
            simulated: runs.iter().any(|run| run.simulated),
            studies: gauge_studies(runs),
        }
    }

    /// By `stage.step.measurement`, in the unit that the check measures in.
    pub fn guard_bands(&self) -> BTreeMap<String, f64> {
        self.studies.iter().map(|study| (study.value.clone(), study.guard_band)).collect()
    }
}

/// One measurement over all places, its variances pooled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GaugeStudy {
    /// `stage.step.measurement`.
    pub value: String,
    pub unit: Unit,
    /// Places of units that were measured more than once.
    pub parts: usize,
    pub readings: usize,
    pub mean: f64,
    /// Standard deviation of one unit on one station.
    pub repeatability: f64,
    /// What stations add to it; `None` where no unit was on two.
    pub reproducibility: Option<f64>,
    /// Standard deviation between units.
    pub between_units: f64,
    /// Both of the gauge over all there is, in percent: under 10 is good, over 30 not fit to sort by (AIAG).
    pub share_percent: f64,
    /// What a limit must stand off.
    pub guard_band: f64,
}

/// Sum of squared distances to a mean, and degrees of freedom.
#[derive(Debug, Clone, Copy, Default)]
struct Scatter {
    squares: f64,
    freedom: f64,
}

impl Scatter {
    fn add(&mut self, values: &[f64]) {
        let mean = mean(values);
        self.squares += values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        self.freedom += values.len() as f64 - 1.0;
    }

    fn variance(self) -> Option<f64> {
        (self.freedom > 0.0).then(|| self.squares / self.freedom)
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Every measurement that some unit made more than once on one station, in order of its name.
pub fn gauge_studies(runs: &[UnitValues]) -> Vec<GaugeStudy> {
    // By value, then by peers and unit, then by station.
    type Parts<'a> = BTreeMap<(&'a Peers, &'a str), BTreeMap<&'a str, Vec<f64>>>;
    let mut all: BTreeMap<&str, (Unit, Parts<'_>)> = BTreeMap::new();
    for run in runs {
        for (peers, value) in run.values.iter().filter(|(_, value)| value.facts.role == Role::Held) {
            let (_, parts) = all.entry(&peers.value).or_insert((value.facts.unit, BTreeMap::new()));
            let stations = parts.entry((peers, &run.serial)).or_default();
            stations.entry(&run.station).or_default().push(value.number);
        }
    }
    all.into_iter().filter_map(|(value, (unit, parts))| study(value, unit, parts.values())).collect()
}

fn study<'a>(
    value: &str,
    unit: Unit,
    parts: impl Iterator<Item = &'a BTreeMap<&'a str, Vec<f64>>>,
) -> Option<GaugeStudy> {
    let parts: Vec<&BTreeMap<&str, Vec<f64>>> = parts.collect();
    let (mut within, mut stations) = (Scatter::default(), Scatter::default());
    let (mut readings, mut repeated, mut on_one) = (0, 0, Vec::new());
    let mut part_means = Vec::new();
    for part in &parts {
        let count: usize = part.values().map(Vec::len).sum();
        readings += count;
        repeated += usize::from(count > 1);
        part.values().for_each(|values| within.add(values));
        on_one.extend(part.values().map(|values| values.len() as f64));
        let means: Vec<f64> = part.values().map(|values| mean(values)).collect();
        stations.add(&means);
        part_means.push(mean(&means));
    }
    let repeatability = within.variance()?;
    // Means of stations scatter by the repeatability over their number of readings as well.
    let of_means = repeatability / mean(&on_one).max(1.0);
    let reproducibility = stations.variance().map(|variance| (variance - of_means).max(0.0));
    let gauge = repeatability + reproducibility.unwrap_or(0.0);
    let mut units = Scatter::default();
    units.add(&part_means);
    let between = (units.variance().unwrap_or(0.0) - of_means).max(0.0);
    let total = gauge + between;
    Some(GaugeStudy {
        value: value.to_owned(),
        unit,
        parts: repeated,
        readings,
        mean: mean(&part_means),
        repeatability: repeatability.sqrt(),
        reproducibility: reproducibility.map(f64::sqrt),
        between_units: between.sqrt(),
        share_percent: if total > 0.0 { 100.0 * (gauge / total).sqrt() } else { 0.0 },
        guard_band: GUARD * gauge.sqrt(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(serial: &str, station: &str, power: f64) -> UnitValues {
        let peers = Peers {
            profile: "acceptance revision 1".to_owned(),
            chassis: String::new(),
            model: String::new(),
            place: "slot 1".to_owned(),
            value: "load.gemm.power.mean".to_owned(),
        };
        UnitValues {
            run_id: String::new(),
            serial: serial.to_owned(),
            station: station.to_owned(),
            simulated: false,
            member: crate::Member::Good,
            values: [(peers, power, crate::Tested { unit: Unit::Watt, role: crate::Role::Held })].into_iter().collect(),
        }
    }

    #[test]
    fn scatter_is_shared_out_between_gauge_station_and_units() {
        // Units 100 apart, stations 10 apart, repeats 1 to either side.
        let mut runs = Vec::new();
        for (serial, at) in [("A", 500.0), ("B", 600.0), ("C", 700.0)] {
            for (station, more) in [("one", 0.0), ("two", 10.0)] {
                runs.extend([-1.0, 1.0].map(|off| run(serial, station, at + more + off)));
            }
        }
        let studies = gauge_studies(&runs);
        let one = &studies[0];
        assert_eq!((one.parts, one.readings), (3, 12));
        assert!((one.repeatability - 2.0_f64.sqrt()).abs() < 1e-9);
        assert!((one.reproducibility.expect("two stations") - 7.0).abs() < 0.1, "{one:?}");
        assert!((one.between_units - 100.0).abs() < 1.0);
        assert!(one.share_percent < 10.0);
        assert!(one.guard_band > 14.0);
    }

    #[test]
    fn one_run_of_each_unit_says_nothing_of_the_gauge() {
        assert!(gauge_studies(&[run("A", "", 500.0), run("B", "", 600.0)]).is_empty());
    }

    #[test]
    fn without_a_second_station_nothing_is_said_of_stations() {
        let studies = gauge_studies(&[run("A", "", 500.0), run("A", "", 502.0), run("B", "", 600.0)]);
        assert_eq!(studies[0].reproducibility, None);
        assert_eq!(studies[0].parts, 1);
    }
}
