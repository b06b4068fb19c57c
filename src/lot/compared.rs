//! Which values of a run a lot compares, and what for.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use kiln_event::RunRecord;
use kiln_limit::{Measurement, Reference};
use kiln_model::Unit;
use kiln_plan::PlannedStep;

/// What a value is in, and what a lot makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tested {
    pub unit: Unit,
    pub role: Role,
}

/// What a lot makes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Units that lie outside are held.
    Held,
    /// Its middle is what limits stand on. It has no part in how many sigmas hold a unit: tails of ratios would blunt all other tests.
    Reference,
}

/// Values that a lot can say something of: no counts, which are no sample of a bell, and no temperatures, times and totals,
/// which are of the day and the step.
fn is_comparable(name: &str, unit: Unit) -> bool {
    let of_the_day =
        ["inlet", "drift", "steady-time", "half-time", "swing", "temp.fall", "rise", "energy", "resistance.half"];
    let kind = matches!(
        unit,
        Unit::Watt | Unit::Megahertz | Unit::Teraflops | Unit::GigabytePerSecond | Unit::KelvinPerWatt | Unit::Kelvin
    );
    (kind || name.ends_with("per-clock")) && !of_the_day.iter().any(|word| name.contains(word))
}

/// What the profile of a run says of lots, as `stage.step.measurement`.
#[derive(Debug)]
pub(super) struct Compared {
    /// What it holds against its lot; `None` if it says nothing of it.
    named: Option<BTreeSet<String>>,
    /// What its limits stand on the lot.
    referred: BTreeSet<String>,
}

impl Compared {
    pub(super) fn of(record: &RunRecord) -> Self {
        let plan = record.plan.as_deref();
        let steps = plan.into_iter().flat_map(kiln_plan::Plan::steps);
        let (mut named, mut referred) = (BTreeSet::new(), BTreeSet::new());
        for step in steps {
            named.extend(step.step.lot.iter().map(|name| format!("{}.{name}", step.path)));
            referred.extend(on_the_lot(step));
        }
        Self { named: (!named.is_empty()).then_some(named), referred }
    }

    /// What a lot makes of a value; `None` of what it does not compare.
    pub(super) fn role(&self, value: &str, measurement: &Measurement) -> Option<Role> {
        // A profile that names what it holds against its lot means that and nothing else.
        let held = match &self.named {
            Some(named) => named.contains(value),
            None => is_comparable(&measurement.name, measurement.unit),
        };
        // At another inlet than its own a lot says little.
        let is_asked_for = self.referred.contains(value) || measurement.name == "temp.inlet.mean";
        if held { Some(Role::Held) } else { is_asked_for.then_some(Role::Reference) }
    }
}

fn on_the_lot(step: &PlannedStep) -> impl Iterator<Item = String> {
    let limits = step.step.limits.iter().filter(|(_, limit)| limit.stands_on(&Reference::Lot));
    limits.map(|(name, _)| format!("{}.{name}", step.path))
}
