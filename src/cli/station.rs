//! Which node a run is on: the machine's own, or a simulated one that was asked for by name.

use anyhow::anyhow;

use super::args::SimArgs;
use super::trouble::Trouble;
use crate::engine::Station;
use crate::event::NodeSource;
use crate::node::sim::{FaultUse, NodeFile, SimNode};

/// A node with what it is.
pub(super) struct Chosen {
    pub source: NodeSource,
    pub station: Box<dyn Station>,
}

impl std::fmt::Debug for Chosen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chosen").field("source", &self.source).finish_non_exhaustive()
    }
}

/// The node that the arguments ask for.
pub(super) fn choose(args: &SimArgs) -> Result<Chosen, Trouble> {
    match &args.sim {
        Some(node) => simulated(node, args.seed, &args.faults),
        None => hardware(),
    }
}

/// The machine's own GPUs.
pub(super) fn hardware() -> Result<Chosen, Trouble> {
    Err(Trouble::Usage(anyhow!(
        "this version cannot reach GPUs yet: it has no driver backend. Simulate a node with `--sim hgx-h200-8`; `kiln node --help` tells more"
    )))
}

/// A model of a node.
pub(super) fn simulated(node: &str, seed: u64, faults: &[String]) -> Result<Chosen, Trouble> {
    let file = NodeFile::find(node)?;
    let uses = faults.iter().map(|fault| FaultUse::parse(fault)).collect::<Result<Vec<_>, _>>()?;
    let station = SimNode::new(&file, seed, &uses)?;
    let source = NodeSource::Simulated { node: node.to_owned(), seed, faults: faults.to_vec() };
    Ok(Chosen { source, station: Box::new(station) })
}
