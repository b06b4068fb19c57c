//! Part average testing: what the units of one kind measured, in facts that a wild unit does not move, and units held
//! against them.
//!
//! After AEC-Q001 (Guidelines for Part Average Testing): robust middle and sigma from at least thirty parts, for each test,
//! and parts too many sigmas away are outliers. Here a part's peers are those of the same model in the same place of the
//! same chassis, judged by the same profile revision, so that neither places nor halves of a board have to mirror. How many
//! sigmas are too many follows from the share of good units that may be held. After AEC-Q002 (Guidelines for Statistical
//! Yield Analysis) a lot is looked at as a whole as well.
//!
//! An outlier is *held*: somebody has to look. Nothing proves that it is bad.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::compared::{Compared, Role, Tested};
use super::robust::MEDIAN_OF_SIGMA;
use super::{Member, Table, median, median_deviation, quantile};
use kiln_event::{LotFacts, LotValue, RunRecord};
use kiln_limit::LotRange;
use kiln_model::{Component, Inventory, Unit};

/// Units without which a sigma says nothing (AEC-Q001).
pub const LEAST_UNITS: usize = 30;
/// Share of good units that may be held, in percent, where nothing else is asked for.
pub const USUAL_BUDGET: f64 = 2.0;
/// Sigma is at least this share of the middle. Whole degrees, clock steps and sampling make values agree better than their
/// measurement repeats; `kiln msa` tells how well it does on a line of one's own.
const LEAST_SIGMA: f64 = 0.002;
/// A lot's middle may lie as many sigmas off as one part in three may: beyond, the lot has moved and not a part of it.
const LOT_SHIFT: f64 = 1.0;

/// Whose peers a value has: those with the same of all of these.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Peers {
    /// `id revision n`.
    pub profile: String,
    /// What the node says it is.
    pub chassis: String,
    /// The GPU's model; empty of what is no GPU's.
    pub model: String,
    /// Slot of the GPU, or the component where it has none.
    pub place: String,
    /// `stage.step.measurement`.
    pub value: String,
}

/// One unit's numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnitValues {
    pub run_id: String,
    pub serial: String,
    pub station: String,
    pub simulated: bool,
    pub member: Member,
    pub values: Table<Peers, Tested>,
}

/// Whose values make the facts of a lot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Members {
    /// Units that passed.
    Passed,
    /// The first ones of a chassis whose places are unlike by design as well.
    AndAwaiting,
}

impl Members {
    fn count(self, member: &Member) -> bool {
        match member {
            Member::Good => true,
            Member::AwaitsItsLot(_) => self == Self::AndAwaiting,
            Member::No => false,
        }
    }
}

/// What peers measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Average {
    pub unit: Unit,
    pub units: usize,
    pub median: f64,
    /// Robust standard deviation.
    pub sigma: f64,
}

/// The file that units are held against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartAverages {
    /// `kiln.lot/1`.
    pub schema: String,
    /// Not of real units.
    pub simulated: bool,
    pub units: usize,
    pub runs: Vec<String>,
    /// Share of good units that may be held, in percent.
    pub budget_percent: f64,
    /// How many sigmas a value may lie off for that.
    pub sigmas: f64,
    pub averages: Vec<(Peers, Average)>,
    /// What limits stand on and no unit is held by.
    #[serde(default)]
    pub references: Vec<(Peers, Average)>,
}

/// A value outside.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outside {
    pub peers: Peers,
    pub unit: Unit,
    pub value: f64,
    pub low: f64,
    pub high: f64,
    /// Robust standard deviations from the middle.
    pub sigmas: f64,
}

/// What the lot says of a unit.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Nothing of it stands apart.
    Inside { values: usize },
    /// An outlier of its lot: not proven bad, and not to be shipped unseen.
    Held { outside: Vec<Outside> },
    /// Nothing measured of it stands apart, and values that the lot has of its like were not measured.
    Incomplete { values: usize, lacking: usize },
    /// There are too few like it: only physics and its own siblings have judged it.
    Unknown,
}

impl UnitValues {
    /// `None` of a run that had not come as far as its unit.
    pub fn of(record: &RunRecord) -> Option<Self> {
        let (start, inventory) = (record.start.as_deref()?, record.inventory.as_deref()?);
        let text = |reading: &kiln_model::Reading<String>| reading.value().cloned().unwrap_or_default();
        let profile = super::profile_key(start);
        let chassis = text(&inventory.node.model);
        let compared = Compared::of(record);
        let mut values = Vec::new();
        for step in record.decisive_steps() {
            for judgement in step.cases.iter().flat_map(|case| &case.judgements) {
                let measurement = &judgement.measurement;
                let Some(number) = measurement.as_number().filter(|number| number.is_finite()) else { continue };
                let value = format!("{}.{}", step.key.path, measurement.name);
                let Some(role) = compared.role(&value, measurement) else { continue };
                let (model, place) = placed(measurement.component, inventory);
                let peers = Peers { profile: profile.clone(), chassis: chassis.clone(), model, place, value };
                values.push((peers, number, Tested { unit: measurement.unit, role }));
            }
        }
        let serial = inventory.node.serial.value().or(start.operation.serial.as_ref());
        Some(Self {
            run_id: start.run_id.clone(),
            serial: serial.unwrap_or(&start.run_id).clone(),
            station: start.operation.station.clone().unwrap_or_default(),
            simulated: !start.source.is_hardware(),
            member: Member::of(record),
            values: values.into_iter().collect(),
        })
    }
}

/// Model and place of a component: whose peers its values have.
pub fn placed(component: Component, inventory: &Inventory) -> (String, String) {
    let gpu = component.gpu_index().and_then(|index| inventory.gpu(index));
    let Some(gpu) = gpu else { return (String::new(), component.to_string()) };
    let slot = gpu.identity.slot.value().or(gpu.identity.pci_address.value());
    let place = slot.map_or_else(|| component.to_string(), |slot| format!("slot {slot}"));
    let part = match component {
        Component::Gpu(_) => place,
        other => format!("{place} {:?}", other.kind()).to_lowercase(),
    };
    (gpu.identity.name.value().cloned().unwrap_or_default(), part)
}

impl PartAverages {
    pub const SCHEMA: &'static str = "kiln.lot/1";

    /// Facts from the units that count, the last run of each. `budget_percent`: share of good units that may be held.
    pub fn of(units: &[UnitValues], members: Members, budget_percent: f64) -> Self {
        let mut last: BTreeMap<&str, &UnitValues> = BTreeMap::new();
        for unit in units {
            last.insert(&unit.serial, unit);
        }
        // A unit that passed once and not the last time is no good unit.
        let units: Vec<&UnitValues> = last.into_values().filter(|unit| members.count(&unit.member)).collect();
        let (averages, references) = (averages(&units, Role::Held), averages(&units, Role::Reference));
        let tests = averages.len().max(1);
        let sigmas = sigmas(&units, &averages, budget_percent, tests);
        Self {
            schema: Self::SCHEMA.to_owned(),
            simulated: units.iter().any(|unit| unit.simulated),
            units: units.len(),
            runs: units.iter().map(|unit| unit.run_id.clone()).collect(),
            budget_percent,
            sigmas,
            averages: averages.into_iter().collect(),
            references: references.into_iter().collect(),
        }
    }

    /// What a run by this profile needs of it. Values of fewer units than say anything are left out.
    pub fn facts(&self, profile: &str, digest: String) -> LotFacts {
        let value = |(peers, average): &(Peers, Average)| {
            let reach = self.sigmas * average.sigma;
            LotValue {
                value: peers.value.clone(),
                chassis: peers.chassis.clone(),
                model: peers.model.clone(),
                place: peers.place.clone(),
                range: LotRange { low: average.median - reach, high: average.median + reach, units: average.units },
            }
        };
        let known = |all: &[(Peers, Average)]| {
            let known = all.iter().filter(|(peers, average)| peers.profile == profile && average.units >= LEAST_UNITS);
            known.map(value).collect()
        };
        LotFacts {
            digest,
            simulated: self.simulated,
            units: self.units,
            budget_percent: self.budget_percent,
            values: known(&self.averages),
            references: known(&self.references),
        }
    }

    /// How a unit stands in the lot.
    pub fn judge(&self, unit: &UnitValues) -> Standing {
        let mut outside = Vec::new();
        let (mut values, mut lacking) = (0, 0);
        let kinds: BTreeSet<(&str, &str)> =
            unit.values.keys().iter().map(|peers| (peers.profile.as_str(), peers.chassis.as_str())).collect();
        for (peers, average) in self.averages.iter().filter(|(_, average)| average.units >= LEAST_UNITS) {
            let Some(value) = unit.values.get(peers).map(|value| value.number) else {
                lacking += usize::from(kinds.contains(&(peers.profile.as_str(), peers.chassis.as_str())));
                continue;
            };
            values += 1;
            let off = (value - average.median) / average.sigma;
            if off.abs() > self.sigmas {
                let reach = self.sigmas * average.sigma;
                outside.push(Outside {
                    peers: peers.clone(),
                    unit: average.unit,
                    value,
                    low: average.median - reach,
                    high: average.median + reach,
                    sigmas: off,
                });
            }
        }
        outside.sort_by(|one, two| two.sigmas.abs().total_cmp(&one.sigmas.abs()));
        match (values, outside.is_empty()) {
            (0, _) => Standing::Unknown,
            (_, false) => Standing::Held { outside },
            (values, true) if lacking > 0 => Standing::Incomplete { values, lacking },
            (values, true) => Standing::Inside { values },
        }
    }

    /// What has moved in a lot as a whole (AEC-Q002): its own middle, by value, in sigmas of the lots before.
    pub fn moved(&self, lot: &[UnitValues]) -> Vec<(Peers, f64)> {
        let mut own: BTreeMap<&Peers, Vec<f64>> = BTreeMap::new();
        let mut serials = BTreeSet::new();
        for unit in lot.iter().filter(|unit| serials.insert(&unit.serial)) {
            for (peers, value) in unit.values.iter() {
                own.entry(peers).or_default().push(value.number);
            }
        }
        let known: BTreeMap<&Peers, &Average> = self.averages.iter().map(|(peers, average)| (peers, average)).collect();
        let mut moved: Vec<(Peers, f64)> = own
            .into_iter()
            .filter_map(|(peers, values)| {
                let average = known.get(peers).filter(|average| average.units >= LEAST_UNITS)?;
                let off = (median(&values)? - average.median) / average.sigma;
                // The middle of n parts scatters by 1.25 sigma over the root of n, and it may do so as far as a part may.
                let scatter = self.sigmas * 1.253 / (values.len() as f64).sqrt();
                (off.abs() > LOT_SHIFT.max(scatter)).then(|| (peers.clone(), off))
            })
            .collect();
        moved.sort_by(|one, two| two.1.abs().total_cmp(&one.1.abs()));
        moved
    }
}

fn averages(units: &[&UnitValues], role: Role) -> BTreeMap<Peers, Average> {
    let mut numbers: BTreeMap<&Peers, (Unit, Vec<f64>)> = BTreeMap::new();
    for unit in units {
        for (peers, value) in unit.values.iter().filter(|(_, value)| value.facts.role == role) {
            numbers.entry(peers).or_insert((value.facts.unit, Vec::new())).1.push(value.number);
        }
    }
    let average = |(peers, (unit, values)): (&Peers, (Unit, Vec<f64>))| {
        let (middle, deviation) = (median(&values)?, median_deviation(&values)?);
        let sigma = (deviation / MEDIAN_OF_SIGMA).max(LEAST_SIGMA * middle.abs());
        // All the same and nothing: a count in disguise.
        (sigma > 0.0).then(|| (peers.clone(), Average { unit, units: values.len(), median: middle, sigma }))
    };
    numbers.into_iter().filter_map(average).collect()
}

/// As many sigmas as hold no more than the budget of the units the facts are of, and no fewer than a bell would need for so
/// many tests. Tests of a unit depend on one another and tails are fat, so that the bell alone would hold too many.
fn sigmas(units: &[&UnitValues], averages: &BTreeMap<Peers, Average>, budget_percent: f64, tests: usize) -> f64 {
    let farthest = |unit: &&UnitValues| {
        let off = unit.values.iter().filter_map(|(peers, value)| {
            let average = averages.get(peers)?;
            Some((value.number - average.median).abs() / average.sigma)
        });
        off.fold(0.0, f64::max)
    };
    let farthest: Vec<f64> = units.iter().map(farthest).collect();
    let share = budget_percent / 100.0;
    let seen = quantile(&farthest, 1.0 - share).unwrap_or(0.0);
    // The farthest of few is not the farthest of many: room for as much again as the median distance is uncertain, which is
    // 1.17 over the root of n of its own size.
    let room = 1.0 + 1.17 / (units.len().max(1) as f64).sqrt();
    seen.max(bell(share / (2.0 * tests as f64))) * room
}

/// How many standard deviations a bell's tail of this share begins at (Abramowitz and Stegun 26.2.23, within 4.5e-4).
fn bell(tail: f64) -> f64 {
    let t = (-2.0 * tail.clamp(1e-300, 0.5).ln()).sqrt();
    let above = 2.515_517 + 0.802_853 * t + 0.010_328 * t * t;
    let below = 1.0 + 1.432_788 * t + 0.189_269 * t * t + 0.001_308 * t * t * t;
    t - above / below
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(value: &str) -> Peers {
        Peers {
            profile: "acceptance revision 1".to_owned(),
            chassis: "HGX".to_owned(),
            model: "NVIDIA H200".to_owned(),
            place: "slot 3".to_owned(),
            value: value.to_owned(),
        }
    }

    const fn held(unit: Unit) -> Tested {
        Tested { unit, role: Role::Held }
    }

    fn unit(number: usize, power: f64, contact: f64) -> UnitValues {
        UnitValues {
            run_id: format!("run {number}"),
            serial: format!("U{number:03}"),
            station: String::new(),
            simulated: false,
            member: Member::Good,
            values: [
                (peers("load.gemm.power.mean"), power, held(Unit::Watt)),
                (peers("soak.heat.thermal.resistance"), contact, held(Unit::KelvinPerWatt)),
            ]
            .into_iter()
            .collect(),
        }
    }

    /// Units whose values lie within ±3 % of their middles.
    fn lot(count: usize) -> Vec<UnitValues> {
        let off = |number: usize, step: usize| ((number * step) % 13) as f64 / 13.0 * 0.06 - 0.03;
        (0..count).map(|number| unit(number, 690.0 * (1.0 + off(number, 5)), 0.05 * (1.0 + off(number, 7)))).collect()
    }

    #[test]
    fn a_unit_far_from_its_lot_is_held_with_what_stands_apart() {
        let facts = PartAverages::of(&lot(40), Members::Passed, USUAL_BUDGET);
        let Standing::Held { outside } = facts.judge(&unit(99, 690.0, 0.08)) else { panic!("not held") };
        assert_eq!(outside.len(), 1);
        assert_eq!(outside[0].peers.value, "soak.heat.thermal.resistance");
        assert!(outside[0].value > outside[0].high && outside[0].sigmas > facts.sigmas);
    }

    #[test]
    fn good_units_of_the_lot_are_inside() {
        let units = lot(60);
        let facts = PartAverages::of(&units[..40], Members::Passed, USUAL_BUDGET);
        assert!(units.iter().all(|unit| matches!(facts.judge(unit), Standing::Inside { values: 2 })));
    }

    #[test]
    fn fewer_than_thirty_units_judge_nothing() {
        let facts = PartAverages::of(&lot(29), Members::Passed, USUAL_BUDGET);
        assert_eq!(facts.judge(&unit(99, 690.0, 5.0)), Standing::Unknown);
    }

    #[test]
    fn a_unit_that_failed_after_it_had_passed_makes_no_fact() {
        let mut units = lot(30);
        let mut again = units[3].clone();
        (again.run_id, again.member) = ("again".to_owned(), Member::No);
        units.push(again);
        let facts = PartAverages::of(&units, Members::Passed, USUAL_BUDGET);
        assert_eq!(facts.units, 29);
    }

    #[test]
    fn a_unit_of_which_half_was_not_measured_is_not_inside() {
        let facts = PartAverages::of(&lot(40), Members::Passed, USUAL_BUDGET);
        let mut half = unit(99, 690.0, 0.05);
        half.values.retain(|key| *key != peers("soak.heat.thermal.resistance"));
        assert_eq!(facts.judge(&half), Standing::Incomplete { values: 1, lacking: 1 });
        half.values =
            [(Peers { chassis: "another".to_owned(), ..peers("load.gemm.power.mean") }, 1.0, held(Unit::Watt))]
                .into_iter()
                .collect();
        assert_eq!(facts.judge(&half), Standing::Unknown);
    }

    #[test]
    fn a_unit_that_did_not_pass_does_not_make_a_fact_and_one_that_ran_twice_makes_one() {
        let mut units = lot(31);
        units[3].member = Member::No;
        units.push(unit(5, 690.0, 0.05));
        assert_eq!(PartAverages::of(&units, Members::Passed, USUAL_BUDGET).units, 30);
    }

    #[test]
    fn units_that_await_their_lot_count_where_they_are_asked_to() {
        let mut units = lot(31);
        units[3].member = Member::AwaitsItsLot(BTreeSet::from(["soak.heat.resistance.half".to_owned()]));
        units[4].member = Member::No;
        assert_eq!(PartAverages::of(&units, Members::Passed, USUAL_BUDGET).units, 29);
        assert_eq!(PartAverages::of(&units, Members::AndAwaiting, USUAL_BUDGET).units, 30);
    }

    #[test]
    fn what_limits_stand_on_neither_holds_a_unit_nor_makes_room_for_others() {
        let plain = PartAverages::of(&lot(40), Members::Passed, USUAL_BUDGET);
        let ratio = peers("soak.heat.resistance.half");
        let mut units = lot(40);
        for (nth, unit) in units.iter_mut().enumerate() {
            let kept = unit.values.iter().map(|(peers, value)| (peers.clone(), value.number, *value.facts));
            // One in ten lies far from the others.
            let far = if nth % 10 == 0 { 200.0 } else { 100.0 + nth as f64 / 40.0 };
            let tested = Tested { unit: Unit::Percent, role: Role::Reference };
            unit.values = kept.chain([(ratio.clone(), far, tested)]).collect();
        }
        let facts = PartAverages::of(&units, Members::Passed, USUAL_BUDGET);
        assert_eq!((facts.sigmas, &facts.averages), (plain.sigmas, &plain.averages));
        assert_eq!(facts.references.len(), 1);
        assert!(matches!(facts.judge(&units[0]), Standing::Inside { values: 2 }));
    }

    #[test]
    fn wild_units_among_the_facts_do_not_hide_the_next_one() {
        let mut units = lot(100);
        units[7] = unit(7, 690.0, 0.09);
        let facts = PartAverages::of(&units, Members::Passed, USUAL_BUDGET);
        assert!(matches!(facts.judge(&units[7]), Standing::Held { .. }));
    }

    #[test]
    fn a_lot_that_is_off_as_a_whole_is_told_as_a_lot() {
        let facts = PartAverages::of(&lot(40), Members::Passed, USUAL_BUDGET);
        let shifted: Vec<UnitValues> = (0..30).map(|number| unit(200 + number, 690.0, 0.058)).collect();
        let moved = facts.moved(&shifted);
        assert_eq!(moved.len(), 1);
        assert!(moved[0].1 > 3.0 && moved[0].0.value.ends_with("thermal.resistance"));
        assert!(facts.moved(&lot(30)).is_empty());
    }

    #[test]
    fn the_bell_is_that_of_tables() {
        for (tail, wanted) in [(0.025, 1.960), (0.001_35, 3.0), (3.167e-5, 4.0)] {
            assert!((bell(tail) - wanted).abs() < 1e-3, "{tail}: {}", bell(tail));
        }
    }
}
