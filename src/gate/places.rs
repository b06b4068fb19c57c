//! Where a unit stands, as the pages show it: a word, a sign that needs no colour, and whether hands are needed.

use std::time::Duration;

use kiln_event::VerdictWord;
use kiln_floor::{Disposition, Lack, Stage, UnitState, Wait};
use kiln_report::Language;
use kiln_wire::{Doing, Held, Scope};

use super::desk::{AllHeard, Heard, now};
use super::phrase::Phrase;

/// An agent that was not heard for so long is shown as silent: five calls of two seconds.
pub(crate) const SILENT: Duration = Duration::from_secs(10);

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
        VerdictWord::Error
        | VerdictWord::Inconclusive
        | VerdictWord::Held
        | VerdictWord::Aborted
        | VerdictWord::Nothing => sign(Phrase::Undecided, "△", "unsure", 0),
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
        Stage::Disposed(Disposition::Scrapped) => sign(Phrase::Scrapped, "×", "fail", 5),
        Stage::Disposed(Disposition::Returned) => sign(Phrase::Returned, "○", "pass", 5),
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
        Stage::Disposed(Disposition::Scrapped) => Phrase::DoScrapped,
        Stage::Disposed(Disposition::Returned) => Phrase::DoReturned,
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
        Held::SlotMismatch { scanned, node } => format!("{}: {scanned} ≠ {node}", Phrase::HeldSlot.say(language)),
        Held::SlotTaken { slot, other } => format!("{}: {slot}, {other}", Phrase::HeldTaken.say(language)),
        Held::Suspect { scope: of } => format!("{}: {}", Phrase::Suspect.say(language), scope(of, language)),
        Held::TooManyRuns { runs } => format!("{} (×{runs})", Phrase::HeldRuns.say(language)),
        Held::TooManyRepairs { class } => format!("{} ({class})", Phrase::HeldRepairs.say(language)),
        Held::NoSerial { run } => format!("{} ({run})", Phrase::HeldNoSerial.say(language)),
        Held::SecondAgent { first, second } => format!("{}: {first}, {second}", Phrase::HeldSecond.say(language)),
        Held::RouteRefused { why } => format!("{}: {why}", Phrase::HeldRoute.say(language)),
        Held::GoldenFailed { run } => format!("{} ({run})", Phrase::HeldGolden.say(language)),
    }
}

/// What many units have in common.
pub(crate) fn scope(scope: &Scope, language: Language) -> String {
    let (phrase, name) = match scope {
        Scope::Slot(slot) => (Phrase::SlotLabel, slot.to_string()),
        Scope::Rack(rack) => (Phrase::Rack, rack.to_string()),
        Scope::Power(feed) => (Phrase::Feed, feed.to_string()),
        Scope::Cooling(unit) => (Phrase::CoolingUnit, unit.to_string()),
        Scope::Lot(lot) => (Phrase::LotLabel, lot.to_string()),
        Scope::Profile(digest) => (Phrase::Profile, digest.to_string().chars().take(19).collect()),
        Scope::Agent(version) => (Phrase::Agent, version.clone()),
    };
    format!("{} {name}", phrase.say(language))
}

/// Why a unit that could begin does not.
pub(crate) fn wait(wait: &Wait, language: Language) -> String {
    let at = |phrase: Phrase, place: &dyn std::fmt::Display| format!("{}: {place}", phrase.say(language));
    match wait {
        Wait::Stopped => Phrase::WaitStopped.say(language).to_owned(),
        Wait::Suspect(of) => at(Phrase::Suspect, &scope(of, language)),
        Wait::RouteCheck => Phrase::WaitRoute.say(language).to_owned(),
        Wait::Golden(rack) => at(Phrase::WaitGolden, rack),
        Wait::Lack(Lack::Slot) => Phrase::WaitSlot.say(language).to_owned(),
        Wait::Lack(Lack::Limit(place)) => at(Phrase::WaitLimit, place),
        Wait::Lack(Lack::Ramp(place)) => at(Phrase::WaitRamp, place),
        Wait::Lack(Lack::Turn(place)) => at(Phrase::WaitTurn, place),
    }
}
