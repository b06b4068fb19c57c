//! The nodes a drill is on: named ones, or all that come with the program and are of a model the profile is for.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};

use crate::check;
use crate::cli::command_error::{CommandError, Sorted as _};
use crate::drill::Called;
use crate::engine::{Arrivals, Dut as _};
use crate::model::{Inventory, Moment, Spread};
use crate::node::sim::{NodeFile, SimNode};
use crate::plan;
use crate::profile::{Profile, Skus};
use crate::yaml::Diagnostics;

/// A kind of node with the name it was asked for by.
#[derive(Debug)]
pub(super) struct DrillNode {
    pub name: String,
    pub file: NodeFile,
    /// What each place on its board is called.
    pub places: Arc<[Called]>,
}

/// Asks for every fitting node that comes with the program.
const ALL: &str = "all";

/// The nodes that `names` ask for, each once, in order.
pub(super) fn find(
    (names, spread): (&[String], Spread),
    profile: &Profile,
    skus: &Skus,
) -> Result<Vec<DrillNode>, CommandError> {
    let mut nodes: Vec<DrillNode> = Vec::new();
    for name in names {
        if name == ALL {
            for embedded in NodeFile::embedded() {
                let node = node(embedded, spread)?;
                if nodes.iter().all(|other| other.name != embedded) && is_for(profile, &node, skus)? {
                    nodes.push(node);
                }
            }
        } else if nodes.iter().all(|other| other.name != *name) {
            nodes.push(node(name, spread)?);
        }
    }
    if nodes.is_empty() {
        let error = anyhow!("no node that comes with the program has a GPU that `{}` is for", profile.id);
        return Err(CommandError::Usage(error));
    }
    Ok(nodes)
}

fn node(name: &str, spread: Spread) -> Result<DrillNode, CommandError> {
    let file = NodeFile::find(name)?.drawn_as(spread);
    let places =
        file.slots.iter().map(|slot| Called { slot: slot.module.clone(), pci_address: slot.address.clone() }).collect();
    Ok(DrillNode { name: name.to_owned(), places, file })
}

impl DrillNode {
    /// What the node of this seed is made of when nothing is wrong with it.
    pub(super) fn inventory(&self, seed: u64) -> Result<Option<Box<Inventory>>, Diagnostics> {
        let mut dut = SimNode::new(&self.file, seed, &[])?;
        let mut arrivals = Arrivals::default();
        dut.read_inventory(Moment::ZERO);
        dut.collect(Moment::ZERO, &mut arrivals);
        Ok(arrivals.inventories.pop().and_then(Result::ok))
    }

    /// Refuses a profile that no healthy node of this kind could be run with.
    pub(super) fn check(&self, profile: &Profile, skus: &Skus) -> Result<(), CommandError> {
        let Some(inventory) = self.inventory(1)? else { return Ok(()) };
        let planned = plan::make(profile, &inventory, skus, check::catalogue(), None);
        planned.map(drop).with_context(|| format!("`{}` cannot be run on `{}`", profile.id, self.name)).usage()
    }
}

/// Whether the profile is for every GPU of a healthy node of this kind.
fn is_for(profile: &Profile, node: &DrillNode, skus: &Skus) -> Result<bool, CommandError> {
    let inventory = node.inventory(1)?;
    let gpus = inventory.iter().flat_map(|inventory| &inventory.gpus);
    Ok(gpus.map(|gpu| skus.of(gpu)).all(|sku| sku.is_some_and(|sku| profile.skus.contains(&sku.id))))
}
