//! One process of a run: the real engine on a simulated node in virtual time, from the beginning or from where a journal ends,
//! up to the run's end or to the restart of the node that a step of it wants.
//!
//! All of it is made at once, with the moment of every line; the floor's simulation lets the lines appear at their time, and
//! cuts them off where a process dies.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use kiln_drill::{Naming, classify};
use kiln_engine::drive::{Operator, run_in_virtual_time};
use kiln_engine::{Equipment, Machine, OperatorReply, Signal, Witness};
use kiln_event::{Envelope, NodeSource, Operation, RunRecord, RunStart, VerdictWord, roll_up};
use kiln_journal::Lines;
use kiln_model::{Moment, Sample, Text, WallTime};
use kiln_node::sim::{SimNode, source_digest};
use kiln_profile::PartsList;
use kiln_wire::{Position, RunId, Serial, Tip};

use super::packed::Packed;
use super::real::{RealRuns, RealUnit};

/// What a process is started for.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) run: RunId,
    /// The serial number that the agent was given for the unit.
    pub(crate) unit: Option<Serial>,
    pub(crate) real: RealUnit,
    /// When it begins, in microseconds since 1970.
    pub(crate) epoch: u64,
    /// The digest of the profile that the node has.
    pub(crate) digest: String,
    /// The parts list that it is held against, as the floor gave it.
    pub(crate) parts: Option<Arc<str>>,
    /// What there is of its journal.
    pub(crate) before: Packed,
    /// It is made no further than so long after it begins, in microseconds: what comes later is not wanted yet, since the process
    /// will probably be cut before.
    pub(crate) until: Option<u64>,
}

/// A line of the journal was written so long after the process began; the journal ends there then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// In microseconds.
    pub(crate) at: u64,
    pub(crate) end: Position,
}

/// What a run said at its end, as its engine knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) word: VerdictWord,
    /// What the defect waits for came, so that there was something to find. True of sound nodes.
    pub(crate) was_there: bool,
    /// How the defective part was named, where one was.
    pub(crate) naming: Option<Naming>,
}

/// How a process ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LegEnd {
    Ended(Said),
    /// The node is to start anew, and the run to go on then.
    Restarts,
    /// It goes on after what was ordered of it.
    GoesOn,
    /// Nothing was run, and the journal is as it was.
    Refused(String),
}

#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) journal: Packed,
    pub(crate) marks: Vec<Mark>,
    pub(crate) end: LegEnd,
}

impl Leg {
    /// What comes of an order: the same for the same order.
    pub(crate) fn of(runs: &RealRuns, order: &Order) -> Self {
        let refused =
            |why: String| Self { journal: order.before.clone(), marks: Vec::new(), end: LegEnd::Refused(why) };
        match Self::made(runs, order) {
            Ok(leg) => leg,
            Err(why) => refused(why),
        }
    }

    fn made(runs: &RealRuns, order: &Order) -> Result<Self, String> {
        let equipment =
            Equipment { skus: &runs.skus, catalogue: kiln_check::catalogue(), find_check: kiln_check::find };
        let faults = runs.faults(order.real);
        let before = order.before.read(0, u64::MAX);
        let (lines, read) = Lines::after(Path::new("journal"), &before).map_err(|error| error.to_string())?;
        let record = RunRecord::of(&read.events);
        let (began, boots) = (read.events.last().map_or(Moment::ZERO, |last| last.at), record.restarts.len() as u32);
        let node = SimNode::after_boots(&runs.file, order.real.seed, &faults, boots);
        let mut dut = node.map_err(|problems| problems.to_string())?;
        let injected = dut.injected();
        let digest = Some(source_digest(&runs.file, &faults));
        let machine = if read.events.is_empty() {
            Some(Machine::new(equipment, start(runs, order, digest)?, None))
        } else {
            Machine::resume(equipment, record, digest)
        };
        let mut machine = machine.ok_or("the journal does not begin with the start of a run")?;
        let horizon = Horizon { until: order.until, beyond: Cell::new(false) };
        let journal = order.before.clone();
        let mut writer = Writer { lines, journal, marks: Vec::new(), began, horizon: &horizon };
        let epoch = i64::try_from(order.epoch).ok().and_then(|epoch| WallTime::from_microsecond(epoch).ok());
        let epoch = epoch.unwrap_or_default();
        let mut signal = || horizon.beyond.get().then_some(Signal::First);
        let driven = run_in_virtual_time(&mut machine, &mut dut, &mut writer, &mut Yes, epoch, &mut signal);
        if horizon.beyond.get() {
            return Ok(Self { journal: writer.journal, marks: writer.marks, end: LegEnd::GoesOn });
        }
        driven.map_err(|error| error.to_string())?;
        if let Some(refusal) = machine.refusal() {
            return Err(refusal.to_string());
        }
        let record = machine.record();
        let end = if record.verdict.is_none() && record.open_restart().is_some() {
            LegEnd::Restarts
        } else {
            let defect = injected.first().zip(faults.first());
            let defect = defect.map(|(injected, used)| runs.defect(injected, used));
            let trial = defect.map(|defect| classify(record, defect, 1.0, order.real.seed));
            LegEnd::Ended(Said {
                word: record.verdict.as_ref().map_or_else(|| roll_up(record).word, |verdict| verdict.word),
                was_there: !dut.faults_never_held(),
                naming: trial.and_then(|trial| trial.caught().map(|caught| caught.naming)),
            })
        };
        Ok(Self { journal: writer.journal, marks: writer.marks, end })
    }
}

fn start(runs: &RealRuns, order: &Order, source_digest: Option<String>) -> Result<RunStart, String> {
    let (seed, spread) = (order.real.seed, runs.file.drawn_as);
    let faults = runs.faults(order.real).iter().map(|used| used.file.id.clone()).collect();
    let source = NodeSource::Simulated { node: runs.name.clone(), seed, faults, spread };
    let serial = order.unit.as_ref().map(ToString::to_string);
    let mut profile = runs.profile.clone();
    let read = |text: &Arc<str>| PartsList::read("parts", text.as_bytes()).map_err(|error| error.to_string());
    let parts = order.parts.as_ref().map(read).transpose()?;
    if let Some(parts) = &parts {
        parts.apply(&mut profile).map_err(|error| error.to_string())?;
    }
    Ok(RunStart {
        seed,
        source_digest,
        operation: Operation { serial, ..Operation::default() },
        profile_digest: order.digest.clone(),
        parts,
        ..RunStart::plain(order.run.as_str(), profile, source)
    })
}

/// How far a leg is made. Beyond it the engine is told to stop, and nothing that it says to that is kept: what is there is what a
/// process wrote that is still at work.
struct Horizon {
    until: Option<u64>,
    beyond: Cell<bool>,
}

impl Horizon {
    fn is_beyond(&self, at: u64) -> bool {
        self.beyond.set(self.beyond.get() || self.until.is_some_and(|until| at > until));
        self.beyond.get()
    }
}

/// Keeps what the engine records as the lines of a journal.
struct Writer<'a> {
    lines: Lines,
    journal: Packed,
    marks: Vec<Mark>,
    /// The run's time when this process began.
    began: Moment,
    horizon: &'a Horizon,
}

impl Writer<'_> {
    /// How long after the process began that is.
    fn since_began(&self, at: Moment) -> u64 {
        u64::try_from(at.since(self.began).as_micros()).unwrap_or(u64::MAX)
    }

    fn write(journal: &mut Packed, line: &[u8]) -> std::io::Result<()> {
        let end = Tip::after(journal.end(), line).map_err(|error| std::io::Error::other(error.to_string()))?;
        journal.append_until(line, end);
        Ok(())
    }
}

impl Witness for Writer<'_> {
    fn event(&mut self, envelope: &Envelope, _: &RunRecord) -> std::io::Result<()> {
        let at = self.since_began(envelope.at);
        if self.horizon.is_beyond(at) {
            return Err(std::io::Error::other("nothing is kept beyond what was ordered"));
        }
        if self.journal.end() == Position::default() {
            Self::write(&mut self.journal, self.lines.header()?)?;
        }
        Self::write(&mut self.journal, self.lines.event(envelope)?)?;
        self.marks.push(Mark { at, end: self.journal.end() });
        Ok(())
    }

    fn sample(&mut self, sample: &Sample) {
        self.horizon.is_beyond(self.since_began(sample.at));
    }
}

/// An operator who finds everything well: what only a person can see is not simulated.
struct Yes;

impl Operator for Yes {
    fn ask(&mut self, _: &Text) -> Option<OperatorReply> {
        Some(OperatorReply { yes: true, comment: Some("answered by the simulation".to_owned()) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::chance::{MINUTE, name};
    use super::*;

    #[test]
    fn a_process_that_is_made_up_to_a_time_is_the_whole_one_up_to_there() {
        let skus = kiln_profile::Skus::built_in().expect("models");
        let runs = RealRuns::of(super::super::real::tests::smoke(), skus, "pcie-l40s-8").expect("runs");
        let order = |until| Order {
            run: name("run-1"),
            unit: None,
            real: RealUnit { seed: 7, defect: None },
            epoch: 0,
            digest: runs.digest.clone(),
            parts: None,
            before: Packed::default(),
            until,
        };
        let whole = Leg::of(&runs, &order(None));
        assert!(matches!(whole.end, LegEnd::Ended(_)), "{:?}", whole.end);
        let last = whole.marks.last().expect("lines").at;
        for until in [MINUTE / 2, MINUTE, last - 1, last, last + MINUTE] {
            let leg = Leg::of(&runs, &order(Some(until)));
            let within = whole.marks.partition_point(|mark| mark.at <= until);
            assert_eq!(leg.marks, whole.marks[..within], "until {until}");
            assert_eq!(leg.end, if until < last { LegEnd::GoesOn } else { whole.end.clone() }, "until {until}");
            assert!(whole.journal.begins_with(&leg.journal), "until {until}");
            assert!(until < last || leg.journal.begins_with(&whole.journal), "until {until}");
        }
    }
}
