//! Which node a run is on: the machine's own, a simulated one that was asked for by name, or a recording.

use anyhow::anyhow;

use super::args::{HardwareArgs, NodeChoice};
use super::command_error::CommandError;
use super::hardware::Hardware;
use super::playback::Playback;
use super::printer;
use crate::engine::Dut;
use crate::event::{NodeSource, Surroundings};
use crate::load::worker::{Injection, Variant};
use crate::model::Spread;
use crate::node::Narrowed;
use crate::node::sim::{FaultUse, NodeFile, SimNode, source_digest};
use crate::profile::{Deviation, Profile};

/// A node with what it is.
pub(super) struct Chosen {
    pub source: NodeSource,
    /// Of the files that a simulated node is made from.
    pub digest: Option<String>,
    /// Where the driver's libraries and the host's files came from, of hardware and of what stands in for it.
    pub surroundings: Option<Surroundings>,
    pub dut: Box<dyn Dut>,
}

impl std::fmt::Debug for Chosen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chosen").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Chosen {
    /// The same, less the GPUs that a run with this profile leaves out.
    pub(super) fn narrowed(mut self, profile: &Profile) -> Self {
        let chosen = profile.deviations.iter().find_map(|deviation| match deviation {
            Deviation::Gpus { chosen } => Some(chosen.gpus().clone()),
            Deviation::Set { .. } | Deviation::Only { .. } | Deviation::Surroundings { .. } => None,
        });
        if let Some(chosen) = chosen {
            self.dut = Box::new(Narrowed::new(self.dut, chosen));
        }
        self
    }
}

/// A node whose loads can be told to do otherwise than in a run.
pub(super) trait Workbench: Dut {
    /// Has the loads to come commit a fault and do their orders otherwise. False where this cannot be.
    fn prepare(&mut self, injection: Option<Injection>, variant: Variant) -> bool;
}

impl Workbench for Hardware {
    fn prepare(&mut self, injection: Option<Injection>, variant: Variant) -> bool {
        self.inject(injection);
        self.vary(variant);
        true
    }
}

impl Workbench for SimNode {
    fn prepare(&mut self, injection: Option<Injection>, variant: Variant) -> bool {
        injection.is_none() && variant == Variant::default()
    }
}

/// A workbench with what it is.
pub(super) struct ChosenBench {
    pub source: NodeSource,
    pub surroundings: Option<Surroundings>,
    pub dut: Box<dyn Workbench>,
}

/// The faults that are asked for. What should be written otherwise in their files is told, and they are used all the same.
fn fault_uses(faults: &[String]) -> Result<Vec<FaultUse>, CommandError> {
    let uses = faults.iter().map(|fault| FaultUse::parse(fault)).collect::<Result<Vec<_>, _>>()?;
    for warned in uses.iter().filter(|fault| !fault.file.warnings.is_empty()) {
        printer::tell(&warned.file.warnings.render_warnings(false));
    }
    Ok(uses)
}

/// The node that the arguments ask for, to be measured. A recording has no loads.
pub(super) fn choose_bench(args: &NodeChoice) -> Result<ChosenBench, CommandError> {
    if args.replay.is_some() {
        return Err(CommandError::Usage(anyhow!("a recording cannot be measured: `--replay` is for runs")));
    }
    let Some(node) = &args.sim else {
        let hardware = Hardware::open(&args.hardware, 1.0)?;
        let surroundings = Some(hardware.surroundings(&args.hardware));
        return Ok(ChosenBench { source: hardware.source(), surroundings, dut: Box::new(hardware) });
    };
    let uses = fault_uses(&args.faults)?;
    let dut = SimNode::new(&NodeFile::find(node)?.drawn_as(args.spread), args.seed, &uses)?;
    let (seed, faults, spread) = (args.seed, args.faults.clone(), args.spread);
    let source = NodeSource::Simulated { node: node.clone(), seed, faults, spread };
    Ok(ChosenBench { source, surroundings: None, dut: Box::new(dut) })
}

/// The node that the arguments ask for.
pub(super) fn choose(args: &NodeChoice) -> Result<Chosen, CommandError> {
    match (&args.sim, &args.replay) {
        (Some(node), _) => simulated(node, args.seed, &args.faults, args.spread, 0),
        (None, Some(recording)) => Ok(Chosen {
            source: NodeSource::Replayed { file: recording.display().to_string() },
            digest: None,
            surroundings: None,
            dut: Box::new(Playback::open(recording)?),
        }),
        (None, None) => hardware(&args.hardware, 1.0, None),
    }
}

/// The machine's own GPUs at a pace, which must be 1 where they are real; their loads may be told to commit a fault.
pub(super) fn hardware(args: &HardwareArgs, pace: f64, injection: Option<Injection>) -> Result<Chosen, CommandError> {
    let mut hardware = Hardware::open(args, pace)?;
    if pace != 1.0 && hardware.source() == NodeSource::Hardware {
        return Err(CommandError::Usage(anyhow!("`--sim-speed` is for simulated nodes; these GPUs are real")));
    }
    hardware.inject(injection);
    let surroundings = Some(hardware.surroundings(args));
    Ok(Chosen { source: hardware.source(), digest: None, surroundings, dut: Box::new(hardware) })
}

/// A model of a node that was started anew so often.
pub(super) fn simulated(
    node: &str,
    seed: u64,
    faults: &[String],
    spread: Spread,
    boots: u32,
) -> Result<Chosen, CommandError> {
    let file = NodeFile::find(node)?.drawn_as(spread);
    let uses = fault_uses(faults)?;
    let dut = SimNode::after_boots(&file, seed, &uses, boots)?;
    let source = NodeSource::Simulated { node: node.to_owned(), seed, faults: faults.to_vec(), spread };
    let digest = Some(source_digest(&file, &uses));
    Ok(Chosen { source, digest, surroundings: None, dut: Box::new(dut) })
}
