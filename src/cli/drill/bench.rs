//! One run of a drill, in virtual time through the machine that every run goes through, with nothing written.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use super::nodes::DrillNode;
use crate::check;
use crate::engine::drive::{Operator, run_in_virtual_time};
use crate::engine::{Equipment, Machine, OperatorReply, Signal, Witness};
use crate::event::{Envelope, LotFacts, NodeSource, RunRecord, RunStart};
use crate::model::{Sample, Text, WallTime};
use crate::node::sim::{FaultUse, Injected, SimNode};
use crate::profile::{PartsList, Profile, Skus};
use crate::yaml::Diagnostics;

/// What all runs of a drill share.
#[derive(Debug)]
pub(super) struct Bench<'a> {
    pub skus: &'a Skus,
    /// Wall time at which every run begins: waivers end by it, nothing else looks at it.
    pub epoch: WallTime,
    /// Whether every run has the bill of materials of its node.
    pub parts_list: bool,
    /// What the units of each node are held against beside the profile, by its name.
    pub lots: BTreeMap<String, LotFacts>,
    /// Raised when the drill is to end.
    pub stop: &'a AtomicBool,
}

/// What a run came to.
#[derive(Debug)]
pub(super) struct Done<'a> {
    pub record: &'a RunRecord,
    pub injected: &'a [Injected],
    /// Whether what the faults wait for never came.
    pub never_held: bool,
    /// Why the run could not begin, if so.
    pub refusal: Option<String>,
}

impl Bench<'_> {
    /// Runs `profile` once and hands what came of it to `see`. `None` when the drill is to end.
    pub(super) fn run<R>(
        &self,
        profile: &Profile,
        node: &DrillNode,
        seed: u64,
        faults: &[FaultUse],
        see: impl FnOnce(&Done<'_>) -> R,
    ) -> Result<Option<R>, Diagnostics> {
        let mut dut = SimNode::new(&node.file, seed, faults)?;
        let injected = dut.injected();
        let equipment = Equipment { skus: self.skus, catalogue: check::catalogue(), find_check: check::find };
        let mut start = start(profile, node, seed);
        start.lot = self.lots.get(&node.name).cloned();
        if self.parts_list
            && let Some(healthy) = node.inventory(seed)?
        {
            PartsList::as_ordered(&healthy).fill(&mut start.profile);
        }
        let mut machine = Machine::new(equipment, start, None);
        let mut told = false;
        let mut asked_to_stop = || {
            // Once is enough: asked for ever, the run would never come to its end.
            let stop = !told && self.stop.load(Ordering::Relaxed);
            told |= stop;
            stop.then_some(Signal::Second)
        };
        let mut never_held = true;
        loop {
            // Nothing is written, so that nothing can fail.
            let driven =
                run_in_virtual_time(&mut machine, &mut dut, &mut Deaf, &mut Yes, self.epoch, &mut asked_to_stop);
            if driven.is_err() || self.stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            never_held &= dut.faults_never_held();
            // A step had the node started anew.
            let restarts = machine.record().restarts.len() as u32;
            let on = machine.record().open_restart().map(|_| machine.record().clone());
            let Some(on) = on.and_then(|record| Machine::resume(equipment, record, None)) else { break };
            (machine, dut) = (on, SimNode::after_boots(&node.file, seed, faults, restarts)?);
        }
        let refusal = machine.refusal().map(ToString::to_string);
        Ok(Some(see(&Done { record: machine.record(), injected: &injected, never_held, refusal })))
    }
}

fn start(profile: &Profile, node: &DrillNode, seed: u64) -> RunStart {
    let source =
        NodeSource::Simulated { node: node.name.clone(), seed, faults: Vec::new(), spread: node.file.drawn_as };
    // Nobody will ever look for this run: the same seed is the same run.
    RunStart { seed, ..RunStart::plain(&uuid::Uuid::nil().to_string(), profile.clone(), source) }
}

/// Keeps nothing: the machine's own record is all a drill looks at.
struct Deaf;

impl Witness for Deaf {
    fn event(&mut self, _: &Envelope, _: &RunRecord) -> std::io::Result<()> {
        Ok(())
    }

    fn sample(&mut self, _: &Sample) {}
}

/// An operator who finds everything well: what only a person can see is not drilled.
struct Yes;

impl Operator for Yes {
    fn ask(&mut self, _: &Text) -> Option<OperatorReply> {
        Some(OperatorReply { yes: true, comment: Some("answered by the drill".to_owned()) })
    }
}
