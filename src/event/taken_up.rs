//! A run taken up again: what the node was found to be, held against what the run began with.

use std::collections::BTreeSet;

use super::RunStart;
use kiln_model::{Change, Component, Fact, FactState, GpuIndex, Inventory, Moment, Reading, changes, is_recognised};

/// One time that a run was taken up again.
#[derive(Debug, Clone, PartialEq)]
pub struct TakenUp {
    pub at: Moment,
    /// What is not what the run began with, as far as the node was looked at.
    pub changes: Vec<Change>,
    /// Whether this is the node the run began on.
    pub node: Recognition,
    pub boot: Boot,
}

/// Whether a node is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recognition {
    /// The node was not read before the run was interrupted once more, or this is the first time it was read.
    NotCompared,
    /// By a serial number or UUID that only one node can have.
    Known,
    /// Nothing that only one node can have can be read on both sides: it may be another of the same make.
    Unknown,
}

/// Whether the node was started anew while the run was away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boot {
    /// The boot id could not be read on both sides.
    NotCompared,
    Same,
    /// Nobody had asked for it.
    Another,
    /// As a step had asked for.
    AsAsked,
}

impl TakenUp {
    /// The run goes on at `at`, from files with this digest.
    pub(super) fn new(at: Moment, start: Option<&RunStart>, digest: Option<&String>) -> Self {
        let was = start.and_then(|start| start.source_digest.as_ref());
        let files = was.zip(digest).filter(|(was, is)| was != is).map(|(was, is)| Change {
            component: Component::Node,
            fact: Fact::Files,
            was: FactState::value(was),
            is: FactState::value(is),
        });
        Self { at, changes: files.into_iter().collect(), node: Recognition::NotCompared, boot: Boot::NotCompared }
    }

    /// Takes in the node as it is. `boot` is the boot id that was read last; `asked` says whether a step waits for another.
    pub(super) fn compare(
        &mut self,
        before: &Inventory,
        boot: &Reading<String>,
        now: &Inventory,
        lost: &BTreeSet<GpuIndex>,
        asked: bool,
    ) {
        self.changes.extend(changes(before, now, lost));
        self.node = if is_recognised(before, now) { Recognition::Known } else { Recognition::Unknown };
        self.boot = match (boot.value(), now.node.boot_id.value()) {
            (Some(was), Some(is)) if was == is => Boot::Same,
            (Some(_), Some(_)) if asked => Boot::AsAsked,
            (Some(_), Some(_)) => Boot::Another,
            _ => Boot::NotCompared,
        };
    }
}
