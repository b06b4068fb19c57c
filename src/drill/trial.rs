//! One run of a drill: which defect, and what came of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::defect::Defect;
use kiln_event::VerdictWord;
use kiln_model::{Component, Span};

/// One run with one defect.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    pub defect: Defect,
    /// Severity as a multiple of the fault's default.
    pub factor: f64,
    pub seed: u64,
    pub word: VerdictWord,
    pub ending: Ending,
    /// How long each step took that ran, by path.
    pub steps: BTreeMap<String, StepTime>,
    /// Whether nothing kept a planned step from running.
    pub whole: bool,
}

/// How long a step ran, over all its rounds and attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StepTime {
    pub took: Span,
}

/// What became of a defect.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// The run said what was wanted.
    Caught(Box<Caught>),
    /// The unit did not pass, but nothing was proven: somebody has to look.
    Held { why: String },
    /// The unit passed.
    Escaped,
    /// What the defect waits for, such as a temperature, never came on this node: it was not there to be found.
    NeverThere,
}

/// How a defect was caught.
#[derive(Debug, Clone, PartialEq)]
pub struct Caught {
    /// What proved it first: `limit thermal.resistance`, `guard lost`, `mismatch`.
    pub by: String,
    /// The step it came in; `None` between steps.
    pub step: Option<String>,
    /// Run time until then.
    pub after: Span,
    pub naming: Naming,
    pub named: Vec<Component>,
    pub codes: Vec<String>,
    pub code_right: bool,
    /// Every step that proves it.
    pub steps: BTreeSet<String>,
    /// Proof that came in no step.
    pub between_steps: bool,
}

/// Whether the part was named. Better ones come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Naming {
    Right,
    /// Several parts that the evidence cannot tell apart, the right one among them.
    Ambiguous,
    Wrong,
}

impl Trial {
    /// A run that was refused before it began: somebody has to look, and nothing is proven.
    pub fn refused(defect: Defect, factor: f64, seed: u64, why: String) -> Self {
        let ending = Ending::Held { why };
        Self { defect, factor, seed, word: VerdictWord::Nothing, ending, steps: BTreeMap::new(), whole: false }
    }

    pub fn caught(&self) -> Option<&Caught> {
        match &self.ending {
            Ending::Caught(caught) => Some(caught),
            Ending::Held { .. } | Ending::Escaped | Ending::NeverThere => None,
        }
    }

    /// Whether the profile did with this defect what it is for.
    pub fn is_well(&self) -> bool {
        self.caught().is_some_and(|caught| caught.naming != Naming::Wrong)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::defect::Called;

    pub(crate) fn defect(component: Component, expected: Component) -> Defect {
        let called = |place: u8| Called { slot: format!("slot {place}"), pci_address: format!("address {place}") };
        Defect {
            fault: "cold-plate-loose".to_owned(),
            component,
            severity: 1.0,
            code: "GPU-COOLING-CONTACT".to_owned(),
            expected,
            beside: Vec::new(),
            wanted: Defect::wanted_of(expected),
            standing: true,
            places: (0..8).map(called).collect(),
        }
    }

    /// A trial caught in `steps`, the first of which proved it.
    pub(crate) fn caught(fault: &str, seed: u64, after: u64, steps: &[&str]) -> Trial {
        let mut defect = defect(Component::gpu(3), Component::gpu(3));
        defect.fault = fault.to_owned();
        let caught = Caught {
            by: "limit thermal.resistance".to_owned(),
            step: steps.first().map(|step| (*step).to_owned()),
            after: Span::from_secs(after),
            naming: Naming::Right,
            named: vec![Component::gpu(3)],
            codes: vec!["GPU-COOLING-CONTACT".to_owned()],
            code_right: true,
            steps: steps.iter().map(|step| (*step).to_owned()).collect(),
            between_steps: false,
        };
        Trial { word: VerdictWord::Fail, ending: Ending::Caught(Box::new(caught)), ..escaped_as(defect, seed) }
    }

    pub(crate) fn escaped(fault: &str, seed: u64) -> Trial {
        let mut defect = defect(Component::gpu(3), Component::gpu(3));
        defect.fault = fault.to_owned();
        escaped_as(defect, seed)
    }

    fn escaped_as(defect: Defect, seed: u64) -> Trial {
        Trial {
            defect,
            factor: 1.0,
            seed,
            word: VerdictWord::Pass,
            ending: Ending::Escaped,
            steps: BTreeMap::new(),
            whole: true,
        }
    }
}
