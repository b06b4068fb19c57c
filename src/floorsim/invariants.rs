//! What must be so whatever happened: during a simulation, and at its end.

use std::collections::BTreeSet;

use kiln_event::VerdictWord;
use kiln_floor::{Disposition, FloorEvent, FloorState, Stage, Stamped};
use kiln_wire::{Held, RunId};

use super::node::{Disk, Node};
use super::outcome::EngineRuns;
use super::packed::Packed;
use super::world::{STALE, SWAPPED, World};

fn wrong(world: &mut World, what: String) {
    if !world.simulated.violations.contains(&what) {
        world.simulated.violations.push(what);
    }
}

/// After the floor decided: power is within what places bear, by its books and in truth; nothing is released that is not
/// here whole.
pub(crate) fn after_events(world: &mut World, events: &[Stamped]) {
    for stamped in events {
        match &stamped.event {
            FloorEvent::PowerGranted { .. } => power(world),
            // There was one machine of that name, ever: what held it was a call of its own.
            FloorEvent::AgentHeld { agent, why: Held::ClonedAgent }
                if !all_disks(world).any(|node| node.id == *agent && node.was_cloned) =>
            {
                wrong(world, format!("{agent} was held as one of two, and was never two"));
            }
            FloorEvent::Disposed { unit, disposition: Disposition::Released, .. } => {
                let runs = world.floor.state().units[unit].runs.clone();
                let Some(last) = runs.last() else {
                    wrong(world, format!("{unit} was released without a run"));
                    continue;
                };
                // What a node was told to say is asked of the node, not read by what the floor reads it with.
                let run = &last.facts.run.clone();
                let ordered = world.floor.state().ordered.get(unit).map(|ordered| ordered.digest.clone());
                let bears_out = |node: &Node| {
                    let same = node
                        .disk
                        .get(run)
                        .zip(world.copies.get(run))
                        .is_some_and(|(disk, copy)| disk.ended && is_whole(disk, &copy.journal));
                    let is_it = node.serial == *unit && node.writes == *unit && node.profile == world.profile;
                    let is_it = is_it && node.made_with.get(run) == ordered.as_ref();
                    same && is_it && node.said.get(run) == Some(&VerdictWord::Pass)
                };
                // Whatever its runs said: what a unit is made of does not change on a floor.
                let is_borne_out = all_disks(world).any(bears_out);
                let missed = |node: &Node| node.serial == *unit && node.was_there.contains(run) && must(world, node);
                let missed = all_disks(world).find(|node| missed(node)).and_then(|node| node.real?.defect);
                if let Some((defect, runs)) = missed.zip(world.runs.clone()) {
                    let fault = &runs.defects[defect].used.file.id;
                    wrong(world, format!("{unit} was released with {fault}"));
                }
                if !is_borne_out {
                    wrong(world, format!("{unit} was released, and no node has its run whole with a pass"));
                }
            }
            _ => {}
        }
    }
}

/// Whether a copy is the whole of what is on a disk.
fn is_whole(disk: &Disk, copy: &Packed) -> bool {
    disk.journal.end() == disk.whole && copy.end() == disk.whole && disk.journal.begins_with(copy)
}

fn must(world: &World, node: &Node) -> bool {
    node.real.zip(world.runs.as_ref()).is_some_and(|(unit, runs)| runs.must_be_caught(unit))
}

fn power(world: &mut World) {
    let site = &world.floor.policy().site;
    let mut drawn = vec![0u64; site.places().len()];
    for node in world.nodes[..world.own.min(world.nodes.len())].iter().filter(|node| node.running.is_some()) {
        let Some(spot) = site.spot(&node.slot) else { continue };
        for place in site.above(spot.rack) {
            drawn[*place] += site.racks()[spot.rack].draw.0;
        }
    }
    let mut found = Vec::new();
    for (index, place) in site.places().iter().enumerate() {
        let (Some(limit), granted) = (place.limit, world.floor.ledger().granted(index)) else { continue };
        if granted > limit || drawn[index] > limit.0 {
            found.push(format!("{}: {granted} granted, {} W drawn, {limit} borne", place.id, drawn[index]));
        }
    }
    for what in found {
        wrong(world, what);
    }
}

fn all_disks(world: &World) -> impl Iterator<Item = &Node> {
    world.nodes.iter().chain(&world.gone)
}

/// At the end: one result a run and a generation, copies that are the nodes' own, every unit where it was planted to come.
pub(crate) fn at_the_end(world: &mut World) {
    world.simulated.minutes = world.events.last().map_or(0, |last| (last.at - world.events[0].at) / 60_000_000);
    world.simulated.events = world.events.len();
    if FloorState::of(&world.events) != *world.floor.state() {
        wrong(world, "the state is not the fold of the events".to_owned());
    }
    copies(world);
    let state = world.floor.state().clone();
    for (serial, unit) in &state.units {
        let runs: BTreeSet<&RunId> = unit.runs.iter().map(|outcome| &outcome.facts.run).collect();
        let generations: BTreeSet<_> = unit.runs.iter().map(|outcome| outcome.generation).collect();
        if runs.len() != unit.runs.len() || generations.len() != unit.runs.len() {
            wrong(world, format!("{serial} has a result twice"));
        }
        world.simulated.runs += unit.runs.len();
        match &unit.stage {
            Stage::Disposed(Disposition::Released) => world.simulated.released += 1,
            Stage::Disposed(_) => world.simulated.repair += 1,
            Stage::Held(_) => world.simulated.held += 1,
            Stage::Arrived | Stage::Ready | Stage::Assigned(_) => {}
        }
    }
    planted(world);
    engine(world);
    if !world.floor.state().grants.is_empty() && world.simulated.violations.is_empty() {
        // A run that was set aside may have been cut for good: its power waits for a person.
        let aside = |run: &RunId| world.floor.state().set_aside.contains(run);
        let left: Vec<String> =
            world.floor.state().grants.keys().filter(|run| !aside(run)).map(ToString::to_string).collect();
        if !left.is_empty() {
            wrong(world, format!("power was never given back by {}", left.join(", ")));
        }
    }
}

/// Every copy is a beginning of what some machine has on its disk, and the whole of it once it was sealed.
fn copies(world: &mut World) {
    let mut found = Vec::new();
    for (run, copy) in &world.copies {
        let on_disk = || all_disks(world).filter_map(|node| node.disk.get(run));
        let same = on_disk().any(|disk| {
            if copy.sealed { is_whole(disk, &copy.journal) } else { disk.journal.begins_with(&copy.journal) }
        });
        // What a machine had cut off again was never offered; copies of disks may have gone on apart from one another.
        if !same {
            found.push(format!("the copy of {run} is no machine's own"));
        }
    }
    for what in found {
        wrong(world, what);
    }
}

/// What became of units with a defect, where runs are the engine's.
fn engine(world: &mut World) {
    let Some(hands) = &world.hands else { return };
    let mut told = EngineRuns { starts: hands.ordered, ..EngineRuns::default() };
    let own = world.nodes.iter().filter(|node| node.clone_of.is_none());
    for node in own.filter(|node| node.real.is_some_and(|unit| unit.defect.is_some())) {
        let unit = &world.floor.state().units[&node.serial];
        let is_must = must(world, node);
        told.defective += 1;
        told.must += usize::from(is_must);
        let last = unit.runs.last().map(|last| &last.facts.run);
        let held = matches!(unit.stage, Stage::Held(_));
        let repair = unit.stage == Stage::Disposed(Disposition::Repair);
        told.to_repair += usize::from(is_must && repair);
        told.held += usize::from(is_must && held);
        told.never_there += usize::from(is_must && !repair && !held);
        told.repaired += usize::from(repair);
        told.named += usize::from(repair && last.is_some_and(|run| node.named.contains(run)));
    }
    world.simulated.engine = Some(told);
}

fn planted(world: &mut World) {
    use VerdictWord::{Error, Fail, Pass};
    let mut found = Vec::new();
    let own = world.nodes.iter().enumerate().filter(|(_, node)| !node.was_cloned && node.clone_of.is_none());
    for (number, node) in own {
        let unit = &world.floor.state().units[&node.serial];
        let right = match number {
            // The engine runs nothing on a node that says another serial number.
            SWAPPED if world.runs.is_some() => matches!(unit.stage, Stage::Held(Held::RunRefused { .. })),
            SWAPPED => matches!(unit.stage, Stage::Held(Held::SerialMismatch { .. })),
            STALE => matches!(unit.stage, Stage::Held(Held::Unverified { .. })),
            _ if let Some(real) = node.real => match real.defect {
                None => {
                    matches!(unit.stage, Stage::Disposed(Disposition::Released) | Stage::Held(Held::Suspect { .. }))
                }
                // What must be caught was looked for at each release; the rest may be, or not.
                Some(_) => matches!(unit.stage, Stage::Disposed(_) | Stage::Held(_)),
            },
            _ => matches!(
                (node.verdicts.as_slice(), &unit.stage),
                ([Fail], Stage::Disposed(Disposition::Repair))
                | ([Error, Error], Stage::Held(Held::NoClaim))
                | ([VerdictWord::Held], Stage::Held(Held::Outlier { .. }))
                | ([Pass] | [Error, Pass], Stage::Disposed(Disposition::Released))
                // By chance of the seed many failed in one place, and the floor thinks so too.
                | (_, Stage::Held(Held::Suspect { .. }))
            ),
        };
        if !right {
            let defect =
                node.real.zip(world.runs.as_ref()).and_then(|(unit, runs)| Some(&runs.defects[unit.defect?].used));
            let planted = defect.map_or_else(|| format!("{:?}", node.verdicts), |used| used.file.id.clone());
            found.push(format!("{}: planted {planted}, and it is {:?}", node.serial, unit.stage));
        }
        for outcome in &unit.runs {
            if node.said.get(&outcome.facts.run) != Some(&outcome.facts.verdict) {
                found.push(format!("{}: {} did not say {:?}", node.serial, outcome.facts.run, outcome.facts.verdict));
            }
        }
    }
    for what in found {
        wrong(world, what);
    }
}
