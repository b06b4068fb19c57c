//! What the floor holds of every run in the spool, and what to offer it next.
//!
//! A position the floor names is believed only after the agent's own journal was found to read the same there: two
//! journals that differ in bytes both hold are a fork, and no transfer can mend one.

use std::collections::{BTreeMap, BTreeSet};

use kiln_wire::{Position, Received, RunId, Spooled};

use super::machine::Effect;

/// The floor's copy of one run, as far as the agent knows.
#[derive(Debug, Clone, Copy, Default)]
struct Copied {
    /// Up to here both are known to be the same.
    journal: Position,
    telemetry: u64,
    sealed: bool,
    /// A position the floor named that has not been compared yet.
    named: Option<Position>,
    /// The comparison has been asked for.
    asked: bool,
}

/// The floor's copies of all runs.
#[derive(Debug, Default)]
pub(super) struct Shipping {
    copies: BTreeMap<RunId, Copied>,
    /// What a person said to leave as it is.
    aside: BTreeSet<RunId>,
}

impl Shipping {
    fn of(&mut self, run: &RunId) -> &mut Copied {
        self.copies.entry(run.clone()).or_default()
    }

    /// The floor told of its copy in passing.
    pub(super) fn received(&mut self, received: &Received) {
        self.floor_is_at(&received.run, received.journal, false);
        let copy = self.of(&received.run);
        (copy.telemetry, copy.sealed) = (received.telemetry, received.sealed);
    }

    /// The floor told of all it holds of the runs in the spool. One it does not name it holds nothing of, whatever it
    /// had before: a floor that lost its disk is filled again.
    pub(super) fn received_all(&mut self, all: &[Received]) {
        self.copies.retain(|run, _| all.iter().any(|received| received.run == *run));
        for received in all {
            self.received(received);
        }
    }

    /// The floor's copy of a journal ends here. Only what it appended of the agent's own bytes needs no comparison.
    pub(super) fn floor_is_at(&mut self, run: &RunId, position: Position, appended: bool) {
        let copy = self.of(run);
        if appended || position == Position::default() || position == copy.journal {
            (copy.journal, copy.named, copy.asked) = (position, None, false);
        } else {
            (copy.named, copy.asked) = (Some(position), false);
        }
    }

    /// The agent's journal reads the same up to here.
    pub(super) fn agree(&mut self, run: &RunId, position: Position) {
        let copy = self.of(run);
        if copy.named == Some(position) {
            (copy.journal, copy.named, copy.asked) = (position, None, false);
        }
    }

    pub(super) fn set_aside(&mut self, runs: &[RunId]) {
        self.aside.extend(runs.iter().cloned());
    }

    pub(super) fn is_aside(&self, run: &RunId) -> bool {
        self.aside.contains(run)
    }

    /// Looks once more at what was found to differ.
    pub(super) fn compare_again(&mut self) {
        self.copies.values_mut().for_each(|copy| copy.asked = false);
    }

    pub(super) fn telemetry_is_at(&mut self, run: &RunId, held: u64) {
        self.of(run).telemetry = held;
    }

    pub(super) fn sealed(&mut self, run: &RunId) {
        self.of(run).sealed = true;
    }

    /// The next comparison to make, asked for once each time the floor names it.
    pub(super) fn take_comparison(&mut self) -> Option<Effect> {
        let Self { copies, aside } = self;
        let open = |run: &RunId, copy: &Copied| copy.named.is_some() && !copy.asked && !aside.contains(run);
        let (run, copy) = copies.iter_mut().find(|(run, copy)| open(run, copy))?;
        copy.asked = true;
        Some(Effect::Compare { run: run.clone(), position: copy.named? })
    }

    /// What to offer next: journals before telemetry, since decisions wait for them, and older runs first.
    pub(super) fn next(&self, spool: &[Spooled]) -> Option<Effect> {
        let copy = |spooled: &Spooled| self.copies.get(&spooled.run).copied().unwrap_or_default();
        let wanted = |spooled: &&Spooled| !self.aside.contains(&spooled.run);
        let open = || {
            spool.iter().filter(wanted).map(|spooled| (spooled, copy(spooled))).filter(|(_, copy)| copy.named.is_none())
        };
        let journal = open().find(|(spooled, copy)| copy.journal.offset < spooled.journal.offset);
        if let Some((spooled, copy)) = journal {
            return Some(Effect::Ship { run: spooled.run.clone(), from: copy.journal });
        }
        let telemetry = open().find(|(spooled, copy)| copy.telemetry < spooled.telemetry);
        if let Some((spooled, copy)) = telemetry {
            return Some(Effect::ShipTelemetry { run: spooled.run.clone(), from: copy.telemetry });
        }
        let whole = open().find(|(spooled, copy)| spooled.ended && !copy.sealed && copy.journal == spooled.journal);
        whole.map(|(spooled, _)| Effect::Seal { run: spooled.run.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_without_an_answer_is_asked_for_when_the_floor_names_it_again() {
        let run: RunId = "run-1".parse().expect("a run");
        let position = Position { offset: 7, ..Position::default() };
        let received = Received { run: run.clone(), journal: position, telemetry: 0, sealed: false };
        let mut shipping = Shipping::default();
        for _ in 0..2 {
            shipping.received(&received);
            assert_eq!(shipping.take_comparison(), Some(Effect::Compare { run: run.clone(), position }));
            assert_eq!(shipping.take_comparison(), None, "once");
        }
        shipping.agree(&run, position);
        shipping.received(&received);
        assert_eq!(shipping.take_comparison(), None, "it is known to be the same");
    }
}
