//! The plan as data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use kiln_model::{Component, GpuIndex, Lacking, Span};
use kiln_profile::{Capability, Loop, Sku, Skus, Step};

/// What would run, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub stages: Vec<PlannedStage>,
    pub teardown: Vec<PlannedStep>,
    /// SKU id of every GPU of the inventory, by index; planning refuses a node with an unknown one.
    pub skus: Vec<(Component, String)>,
    pub estimate: Span,
    /// What will not be judged, or only by a stand-in, because driver or part do not offer it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blind: Vec<BlindSpot>,
}

impl Plan {
    /// All steps in order, the teardown's last.
    pub fn steps(&self) -> impl Iterator<Item = &PlannedStep> {
        self.stages.iter().flat_map(|stage| &stage.steps).chain(&self.teardown)
    }

    /// The step of a path.
    pub fn step(&self, path: &str) -> Option<&PlannedStep> {
        self.steps().find(|step| step.path == path)
    }

    /// The model of every GPU as planned: one that tells nothing of itself was planned on what its siblings and the bus say.
    pub fn models(&self, skus: &Skus) -> BTreeMap<GpuIndex, Sku> {
        let model = |(component, id): &(Component, String)| Some((component.gpu_index()?, skus.by_id(id)?.clone()));
        self.skus.iter().filter_map(model).collect()
    }
}

/// One reading that is not offered, with all that was to be judged by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlindSpot {
    pub lacking: Lacking,
    pub gpus: Vec<GpuIndex>,
    /// `stage.step.measurement`, and ids of guards.
    pub limits: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedStage {
    pub id: String,
    pub repeat: Loop,
    #[serde(default)]
    pub together: bool,
    /// Stages that must have passed before this one starts.
    #[serde(default)]
    pub needs: Vec<String>,
    pub steps: Vec<PlannedStep>,
    /// Of one round.
    pub estimate: Span,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// `stage.step`; `teardown.step` in the teardown.
    pub path: String,
    pub step: Step,
    /// What the step gives a result for; one test case each.
    pub components: Vec<Component>,
    pub estimate: Span,
    pub timeout: Span,
    pub readiness: Readiness,
}

/// Whether the step can run on this node at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readiness {
    Ready,
    /// A requirement is unmet and the profile says to skip then.
    Skip(Unmet),
    /// A requirement is unmet: an ERROR.
    Unmet(Unmet),
    /// Left out by `--only`.
    Deselected,
}

/// What a step requires and the node has not got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unmet {
    /// These GPU models do not have it.
    Lacks { models: Vec<String>, capability: Capability },
    /// The node has a single GPU, so there are no peers.
    NoPeers,
    /// NVLinks lead from GPU to GPU and to no switch, as on HGX boards of four.
    LinkedDirectly,

    /// The sentence of a journal of version 1.0. Nothing makes it any more.
    #[serde(untagged)]
    Legacy(String),
}
