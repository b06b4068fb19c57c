//! A defect as it was put into a node, and what a good profile says of it.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::sync::Arc;

use kiln_model::{Component, GpuIndex, Inventory};

/// A defect in a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Defect {
    pub fault: String,
    /// Where it sits. GPUs are counted by their place on the board, present or not.
    pub component: Component,
    pub severity: f64,
    /// Code and component of the finding that is wanted.
    pub code: String,
    pub expected: Component,
    /// Where else it sits.
    pub beside: Vec<Component>,
    pub wanted: Wanted,
    /// Whether it is there from the start and for good, so that it matters in no way when a step runs.
    pub standing: bool,
    /// What each place on the board is called, in order.
    pub places: Arc<[Called]>,
}

/// What a good profile says of the unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Fail,
    /// It is the station's defect: the unit must not be blamed for it.
    Undecided,
}

/// Names of one place on the board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    pub slot: String,
    pub pci_address: String,
}

impl Defect {
    /// What this is wanted to end in.
    pub fn wanted_of(expected: Component) -> Wanted {
        if expected == Component::Station { Wanted::Undecided } else { Wanted::Fail }
    }

    /// Whether it is on all parts of its kind, so that none of them is to blame.
    pub(super) fn is_shared(&self) -> bool {
        self.expected == Component::Node && !self.beside.is_empty()
    }

    /// What the place of the defect's GPU is called.
    pub(super) fn place(&self) -> Option<&Called> {
        self.places.get(self.component.gpu_index()?.at())
    }

    /// `component` with its GPU counted by place instead of by the driver, which leaves no gap for a missing GPU. An
    /// address that no place has, on a board that is wired otherwise than it should be, is left as the driver counts.
    pub(super) fn by_place(&self, component: Component, inventory: Option<&Inventory>) -> Component {
        let place = |gpu: GpuIndex| {
            let found = inventory.and_then(|inventory| inventory.gpus.iter().find(|own| own.index == gpu));
            let address = found.and_then(|own| own.identity.pci_address.value());
            let at = address.and_then(|address| self.places.iter().position(|place| place.pci_address == *address));
            at.map_or(gpu, |at| GpuIndex(at as u8))
        };
        match component {
            Component::Gpu(gpu) => Component::Gpu(place(gpu)),
            Component::Pcie(gpu) => Component::Pcie(place(gpu)),
            Component::Memory(gpu) => Component::Memory(place(gpu)),
            Component::NvLink(gpu, link) => Component::NvLink(place(gpu), link),
            Component::Pair(from, to) => Component::Pair(place(from), place(to)),
            other => other,
        }
    }
}
