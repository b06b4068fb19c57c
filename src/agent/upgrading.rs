//! Which program the agent is, which one it should become, and how far that is.

use std::time::Duration;

use kiln_wire::{Basis, Declined, Digest, NotTaken, SyncReply, Upgrade};

use super::machine::Effect;

/// Which program an agent begins as.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Being {
    /// Its digest; None of one that cannot become another.
    pub program: Option<Digest>,
    /// What it was last offered and did not become.
    pub declined: Option<Declined>,
    /// It has just become this program, and goes back to the one before unless the floor answers until then.
    pub trial_until: Option<Duration>,
}

/// How far what is offered has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    #[default]
    Wanted,
    /// The whole of it is in the spool, and is what it should be.
    Whole,
    /// It was said to be become; what is left is to hear that it cannot be.
    Begun,
}

/// Becoming another program.
#[derive(Debug, Default)]
pub(super) struct Upgrading {
    being: Being,
    /// What the floor wants, as long as it does.
    offer: Option<Upgrade>,
    stage: Stage,
    /// The floor has answered this program.
    heard: bool,
}

impl Upgrading {
    pub(super) fn of(being: Being) -> Self {
        Self { being, ..Self::default() }
    }

    pub(super) const fn being(&self) -> &Being {
        &self.being
    }

    /// The floor answered: the program that the agent is reaches it.
    pub(super) fn answered(&mut self, reply: &SyncReply) {
        self.heard = true;
        // A floor that only repeats what it knew does not take an offer back.
        if reply.basis == Basis::Memory {
            return;
        }
        let declined = self.being.declined.as_ref().map(|declined| declined.offer);
        let wanted = reply.upgrade.as_ref().filter(|wanted| {
            self.being.program.is_some()
                && self.being.program.as_ref() != Some(&wanted.program)
                && declined != Some(wanted.offer)
        });
        if self.offer.as_ref() != wanted {
            (self.offer, self.stage) = (wanted.cloned(), Stage::Wanted);
        }
    }

    /// All of the program is here.
    pub(super) fn whole(&mut self, offer: u64) {
        if self.offer.as_ref().is_some_and(|wanted| wanted.offer == offer) {
            self.stage = Stage::Whole;
        }
    }

    pub(super) fn not_taken(&mut self, offer: u64, why: NotTaken) {
        if let Some(wanted) = self.offer.take_if(|wanted| wanted.offer == offer) {
            self.being.declined = Some(Declined { offer, program: wanted.program, why });
        }
    }

    /// What the end of a trial takes: the program stays, or goes.
    pub(super) fn end_of_trial(&mut self, now: Duration) -> Option<Effect> {
        let until = self.being.trial_until?;
        let ended = if self.heard { Effect::Stay } else { Effect::GoBack };
        (self.heard || now >= until).then(|| {
            self.being.trial_until = None;
            ended
        })
    }

    /// What is still to be fetched.
    pub(super) fn fetch(&self) -> Option<Effect> {
        self.offer.clone().filter(|_| self.stage == Stage::Wanted).map(Effect::Fetch)
    }

    /// What can be become at once.
    pub(super) fn become_it(&mut self) -> Option<Effect> {
        let offer = self.offer.clone().filter(|_| self.stage == Stage::Whole)?;
        self.stage = Stage::Begun;
        Some(Effect::Become(offer))
    }
}
