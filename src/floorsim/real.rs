//! Runs of the real engine for simulated floors: a profile, a kind of node, and which defects its units have.
//!
//! A unit is a node of the model with a seed of its own. Nine of ten are sound; the others have one defect of the library, at
//! its usual severity. What must become of a unit follows from that alone, and never from what a run of it said.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use kiln_drill::{Called, Defect};
use kiln_engine::{Arrivals, Dut as _};
use kiln_model::{Inventory, Moment};
use kiln_node::sim::{FaultFile, FaultUse, Injected, NodeFile, NodeFileError, SimNode};
use kiln_profile::{Profile, Skus};
use kiln_yaml::Diagnostics;

use super::chance::{Chance, HOUR, SECOND};
use super::leg::{Leg, LegEnd, Order};
use super::packed::Packed;
use kiln_event::VerdictWord;

/// Of so many units one has a defect: more than any factory ships, so that each floor has many.
const ONE_IN: u64 = 10;

/// How long the test takes that must catch what `must` of a fault file says.
const TWO_HOURS: u64 = 2 * HOUR;

/// Why no runs can be made.
#[derive(Debug, thiserror::Error)]
pub enum RealRunsError {
    #[error("{0}")]
    Node(#[from] NodeFileError),
    #[error("the faults of the library cannot be read; this is a defect of the program: {0}")]
    Library(String),
    #[error("`{profile}` cannot be run on `{node}`: {why}")]
    Unfit { profile: String, node: String, why: String },
    #[error(
        "a sound `{node}` ends `{profile}` with {word:?}, so that no floor could release one; choose another node or profile"
    )]
    NeverPasses { profile: String, node: String, word: VerdictWord },
}

/// A defect of the library that this kind of node can have.
#[derive(Debug)]
pub(crate) struct Defective {
    pub(crate) used: FaultUse,
    /// A test of two hours must catch it.
    pub(crate) must: bool,
}

/// What every run of a simulated floor is made with.
#[derive(Debug)]
pub struct RealRuns {
    pub(crate) profile: Profile,
    pub(crate) digest: String,
    pub(crate) skus: Skus,
    pub(crate) name: String,
    pub(crate) file: NodeFile,
    pub(crate) defects: Vec<Defective>,
    /// How long the run of a sound unit takes, in microseconds.
    pub(crate) length: u64,
}

/// One unit of a floor: which node it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RealUnit {
    pub(crate) seed: u64,
    /// The place of its defect in the list.
    pub(crate) defect: Option<usize>,
}

impl RealRuns {
    /// Runs of a profile on nodes of a kind. One run of a sound node is made at once, to see that it passes.
    pub fn of(profile: Profile, skus: Skus, node: &str) -> Result<Self, RealRunsError> {
        let file = NodeFile::find(node)?;
        let defects = defects(&file)?;
        let digest = profile.digest();
        let mut runs = Self { profile, digest, skus, name: node.to_owned(), file, defects, length: 0 };
        let leg = Leg::of(
            &runs,
            &Order {
                run: super::chance::name("first"),
                unit: None,
                real: RealUnit { seed: 1, defect: None },
                epoch: 0,
                digest: runs.digest.clone(),
                parts: None,
                before: Packed::default(),
                until: None,
            },
        );
        runs.length = leg.marks.last().map_or(0, |mark| mark.at);
        let (profile, node) = (runs.profile.id.clone(), runs.name.clone());
        match leg.end {
            LegEnd::Ended(said) if said.word != VerdictWord::Pass => {
                Err(RealRunsError::NeverPasses { profile, node, word: said.word })
            }
            LegEnd::Ended(_) | LegEnd::Restarts | LegEnd::GoesOn => Ok(runs),
            LegEnd::Refused(why) => Err(RealRunsError::Unfit { profile, node, why }),
        }
    }

    pub(crate) fn draw(&self, chance: &mut Chance) -> RealUnit {
        let defective = chance.one_in(ONE_IN) && !self.defects.is_empty();
        let defect = defective.then(|| chance.below(self.defects.len() as u64) as usize);
        RealUnit { seed: chance.below(1 << 40), defect }
    }

    pub(crate) fn faults(&self, unit: RealUnit) -> Vec<FaultUse> {
        unit.defect.map(|defect| self.defects[defect].used.clone()).into_iter().collect()
    }

    /// Whether a unit has a defect that must be caught. Nobody asks that of a profile that is shorter than the test which
    /// `must` of a fault is about.
    pub(crate) fn must_be_caught(&self, unit: RealUnit) -> bool {
        self.length >= TWO_HOURS && unit.defect.is_some_and(|defect| self.defects[defect].must)
    }

    /// What the firmware of a unit says its serial number is.
    pub(crate) fn serial(&self, unit: RealUnit) -> Option<String> {
        self.healthy(unit)?.node.serial.value().cloned()
    }

    /// What the unit is made of, without its defect.
    pub(crate) fn healthy(&self, unit: RealUnit) -> Option<Box<Inventory>> {
        let mut dut = SimNode::new(&self.file, unit.seed, &[]).ok()?;
        let mut arrivals = Arrivals::default();
        dut.read_inventory(Moment::ZERO);
        dut.collect(Moment::ZERO, &mut arrivals);
        arrivals.inventories.pop()?.ok()
    }

    /// How long a run of a sound unit takes, in microseconds.
    pub(crate) fn length(&self) -> u64 {
        self.length.max(SECOND)
    }

    pub(crate) fn defect(&self, injected: &Injected, used: &FaultUse) -> Defect {
        let slots = self.file.slots.iter();
        let places = slots.map(|slot| Called { slot: slot.module.clone(), pci_address: slot.address.clone() });
        Defect {
            fault: injected.fault.clone(),
            component: injected.component,
            severity: injected.severity,
            code: injected.code.clone(),
            expected: injected.expected,
            beside: injected.beside.clone(),
            wanted: Defect::wanted_of(injected.expected),
            standing: used.file.is_standing(),
            places: places.collect(),
        }
    }
}

/// The faults of the library that a node of this kind can have.
fn defects(file: &NodeFile) -> Result<Vec<Defective>, RealRunsError> {
    let mut found = Vec::new();
    for name in FaultFile::embedded() {
        let used = FaultUse::parse(name).map_err(|error| RealRunsError::Library(error.to_string()))?;
        let fits: Result<SimNode, Diagnostics> = SimNode::new(file, 1, std::slice::from_ref(&used));
        if fits.is_ok() {
            found.push(Defective { must: used.file.must.is_some(), used });
        }
    }
    Ok(found)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use kiln_profile::{Request, builtin, resolve};

    use super::super::{SimSettings, Simulated, simulate};
    use super::*;

    pub(crate) fn smoke() -> Profile {
        let skus = Skus::built_in().expect("models");
        let bytes = builtin::profile("smoke").expect("shipped").as_bytes();
        let read = |path: &str| Err(format!("{path} is not shipped"));
        let catalogue = kiln_check::catalogue();
        let request = Request { name: "smoke", bytes, catalogue, skus: &skus, set: &[], only: None, read: &read };
        resolve(&request).expect("resolves")
    }

    fn runs(node: &str) -> Result<RealRuns, RealRunsError> {
        RealRuns::of(smoke(), Skus::built_in().expect("models"), node)
    }

    fn simulated(agents: usize, seed: u64, faults: &str) -> Simulated {
        let runs = Some(Arc::new(runs("pcie-l40s-8").expect("runs")));
        simulate(&SimSettings { seed, faults: faults.parse().expect("faults"), runs, ..SimSettings::of(agents) })
    }

    #[test]
    fn runs_of_the_engine_release_sound_units_and_send_others_to_repair_for_the_right_part() {
        let done = simulated(40, 4, "none");
        assert_eq!(done.violations, Vec::<String>::new(), "{done}");
        let engine = done.engine.expect("runs of the engine");
        assert!(engine.repaired > 0 && engine.named > 0, "{done}");
        assert_eq!(done.released + done.repair + done.held, 40, "{done}");
    }

    #[test]
    fn runs_of_the_engine_that_are_cut_go_on_where_their_journals_end() {
        let done = simulated(12, 5, "all");
        assert_eq!(done.violations, Vec::<String>::new(), "{done}");
        assert_eq!(done, simulated(12, 5, "all"), "one seed is one story, whichever thread made what");
    }

    #[test]
    fn what_no_floor_could_test_is_refused_before_it_begins() {
        let told = |node: &str| runs(node).expect_err("refused").to_string();
        assert!(told("hgx-h200-9").contains("there is no node `hgx-h200-9`"), "{}", told("hgx-h200-9"));
    }
}
