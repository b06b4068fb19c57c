//! Where a unit stands, as the pages show it: a word, a sign that needs no colour, and whether hands are needed.

use std::time::Duration;

use kiln_event::VerdictWord;
use kiln_floor::{Disposition, Stage, UnitState};
use kiln_report::Language;
use kiln_wire::{Doing, Held};

use super::desk::{AllHeard, Heard, now};
use super::phrase::Phrase;

/// An agent that was not heard for so long is shown as silent: five calls of two seconds.
const SILENT: Duration = Duration::from_secs(10);

/// How a thing is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sign {
    pub(crate) word: Phrase,
    pub(crate) glyph: &'static str,
    pub(crate) class: &'static str,
    /// Smaller comes first on the page.
    pub(crate) urgency: u8,
}

const fn sign(word: Phrase, glyph: &'static str, class: &'static str, urgency: u8) -> Sign {
    Sign { word, glyph, class, urgency }
}

pub(crate) const fn verdict(word: VerdictWord) -> Sign {
    match word {
        VerdictWord::Pass => sign(Phrase::Released, "○", "pass", 0),
        VerdictWord::Fail => sign(Phrase::Repair, "×", "fail", 0),
        VerdictWord::Error | VerdictWord::Inconclusive | VerdictWord::Aborted | VerdictWord::Nothing => {
            sign(Phrase::Undecided, "△", "unsure", 0)
        }
    }
}

/// The sign of a unit's place on its way.
pub(crate) fn place(unit: &UnitState, heard: &AllHeard) -> Sign {
    let heard: Option<&Heard> = unit.agent.as_ref().and_then(|agent| heard.get(agent));
    let silent = heard.is_none_or(|heard| now().duration_since(heard.at) > SILENT);
    match &unit.stage {
        Stage::Held(Held::NoClaim) => sign(Phrase::Undecided, "△", "unsure", 0),
        Stage::Held(_) => sign(Phrase::OnHold, "！", "unsure", 0),
        Stage::Disposed(Disposition::Repair) => sign(Phrase::Repair, "×", "fail", 1),
        Stage::Assigned(_) | Stage::Ready if silent => sign(Phrase::Silent, "？", "unsure", 2),
        Stage::Assigned(assignment) => match heard.map(|heard| &heard.doing) {
            Some(Doing::Running { run }) if *run == assignment.run => sign(Phrase::Running, "▶", "wait", 4),
            Some(Doing::Held(_)) => sign(Phrase::OnHold, "！", "unsure", 0),
            _ => sign(Phrase::Assigned, "◷", "wait", 4),
        },
        Stage::Arrived => sign(Phrase::Arrived, "◷", "wait", 3),
        Stage::Ready => sign(Phrase::Ready, "◷", "wait", 4),
        Stage::Disposed(Disposition::Released) => sign(Phrase::Released, "○", "pass", 5),
    }
}

/// What to do about a unit.
pub(crate) const fn to_do(stage: &Stage) -> Phrase {
    match stage {
        Stage::Held(_) => Phrase::DoHeld,
        Stage::Disposed(Disposition::Repair) => Phrase::DoRepair,
        Stage::Disposed(Disposition::Released) => Phrase::DoReleased,
        Stage::Arrived => Phrase::DoArrived,
        Stage::Ready | Stage::Assigned(_) => Phrase::DoWait,
    }
}

/// Why something is held, with what it is about.
pub(crate) fn why(held: &Held, language: Language) -> String {
    match held {
        Held::ClonedAgent => Phrase::HeldCloned.say(language).to_owned(),
        Held::ForkedJournal { run } => format!("{} ({run})", Phrase::HeldForked.say(language)),
        Held::SerialMismatch { scanned, node } => format!("{}: {scanned} ≠ {node}", Phrase::HeldSerial.say(language)),
        Held::WillNotStart { run, tries } => format!("{} ({run}, ×{tries})", Phrase::HeldStart.say(language)),
        Held::PassAfterFail => Phrase::HeldPassAfterFail.say(language).to_owned(),
        Held::NoClaim => Phrase::HeldNoClaim.say(language).to_owned(),
        Held::Unverified { run } => format!("{} ({run})", Phrase::HeldUnverified.say(language)),
    }
}
