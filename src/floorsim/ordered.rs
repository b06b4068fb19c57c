//! What the units of a simulated floor were ordered with.
//!
//! A unit of the engine has the list that a drill gives it: read off the same node without its defect, so that a drive that is
//! missing and a part of another order are seen. Of scripted ones every other has a list, of which nothing but the digest counts.

use kiln_floor::UnitParts;
use kiln_profile::PartsList;

use super::node::Node;
use super::world::World;

impl World {
    /// The parts list of a unit, if it has one; of the label it carries, whatever machine that is on.
    pub(super) fn as_ordered(&self, number: usize, node: &Node) -> Option<UnitParts> {
        let serial = node.serial.to_string();
        let text = match (&self.runs, node.real) {
            (Some(runs), Some(unit)) => {
                PartsList { serial: Some(serial), ..PartsList::as_ordered(&*runs.healthy(unit)?) }.to_yaml()
            }
            _ if number.is_multiple_of(2) => format!("schema: kiln.parts/1\nserial: {serial}\nnvmes: 8\n"),
            _ => return None,
        };
        UnitParts::read("as ordered", text.as_bytes(), Some(&node.serial)).ok()
    }
}
