//! The plan as data.

use serde::{Deserialize, Serialize};

use crate::model::{Component, Span};
use crate::profile::{Loop, Step};

/// What would run, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub stages: Vec<PlannedStage>,
    pub teardown: Vec<PlannedStep>,
    /// SKU id of every GPU of the inventory, by index; planning refuses a node with an unknown one.
    pub skus: Vec<(Component, String)>,
    pub estimate: Span,
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
    Skip(String),
    /// A requirement is unmet: an ERROR.
    Unmet(String),
    /// Left out by `--only`.
    Deselected,
}
