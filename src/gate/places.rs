//! Where a unit stands, as the pages show it: a word, a sign that needs no colour, and whether hands are needed.

use std::time::Duration;

use kiln_event::VerdictWord;
use kiln_floor::{Cycling, Disposition, Lack, Stage, UnitState, Wait};
use kiln_report::Language;
use kiln_wire::{Digest, Doing, Held, Scope};

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
        VerdictWord::Held => sign(Phrase::Outlier, "△", "unsure", 0),
        VerdictWord::Error | VerdictWord::Inconclusive | VerdictWord::Aborted | VerdictWord::Nothing => {
            sign(Phrase::Undecided, "△", "unsure", 0)
        }
    }
}

/// The sign of a unit's place on its way.
pub(crate) fn place(unit: &UnitState, heard: &AllHeard) -> Sign {
    let heard: Option<&Heard> = unit.agent.as_ref().and_then(|agent| heard.get(agent));
    let lately = heard.filter(|heard| now().duration_since(heard.at) <= SILENT);
    stands(&unit.stage, lately.map(|heard| &heard.doing))
}

/// The same by the stage and what the agent does; None of an agent that does not answer.
fn stands(stage: &Stage, doing: Option<&Doing>) -> Sign {
    match (stage, doing) {
        (Stage::Held(Held::NoClaim), _) => sign(Phrase::Undecided, "△", "unsure", 0),
        (Stage::Held(Held::Outlier { .. }), _) => sign(Phrase::Outlier, "△", "unsure", 0),
        (Stage::Held(_), _) | (Stage::Assigned(_), Some(Doing::Held(_))) => sign(Phrase::OnHold, "！", "unsure", 0),
        (Stage::Disposed(disposition), _) => disposed(*disposition),
        (Stage::Arrived, _) => sign(Phrase::Arrived, "◷", "wait", 3),
        (Stage::Assigned(_) | Stage::Ready, None) => sign(Phrase::Silent, "？", "unsure", 2),
        (Stage::Assigned(assignment), Some(Doing::Running { run })) if *run == assignment.run => {
            sign(Phrase::Running, "▶", "wait", 4)
        }
        (Stage::Assigned(_), Some(_)) => sign(Phrase::Assigned, "◷", "wait", 4),
        (Stage::Ready, Some(_)) => sign(Phrase::Ready, "◷", "wait", 4),
    }
}

/// The sign of what was decided about a unit.
pub(crate) const fn disposed(disposition: Disposition) -> Sign {
    match disposition {
        Disposition::Repair => sign(Phrase::Repair, "×", "fail", 1),
        Disposition::Scrapped => sign(Phrase::Scrapped, "×", "fail", 5),
        Disposition::Returned => sign(Phrase::Returned, "○", "pass", 5),
        Disposition::Released => sign(Phrase::Released, "○", "pass", 5),
    }
}

/// What to do about a unit.
pub(crate) const fn to_do(stage: &Stage) -> Phrase {
    match stage {
        Stage::Held(Held::Outlier { .. }) => Phrase::DoOutlier,
        Stage::Held(_) => Phrase::DoHeld,
        Stage::Disposed(Disposition::Repair) => Phrase::DoRepair,
        Stage::Disposed(Disposition::Released) => Phrase::DoReleased,
        Stage::Disposed(Disposition::Scrapped) => Phrase::DoScrapped,
        Stage::Disposed(Disposition::Returned) => Phrase::DoReturned,
        Stage::Arrived => Phrase::DoArrived,
        Stage::Ready | Stage::Assigned(_) => Phrase::DoWait,
    }
}

/// Why a unit is held. An outlier is told from a pass of one: what its lot said is of the run that is named.
pub(crate) fn why_unit(unit: &UnitState, held: &Held, language: Language) -> String {
    match (held, unit.runs.last()) {
        (Held::Outlier { run }, Some(last)) if last.facts.run != *run => {
            format!("{} ({run})", Phrase::HeldOutlierBefore.say(language))
        }
        _ => why(held, language),
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
        Held::Outlier { run } => format!("{} ({run})", Phrase::HeldOutlier.say(language)),
        Held::Unverified { run } => format!("{} ({run})", Phrase::HeldUnverified.say(language)),
        Held::SlotMismatch { scanned, node } => format!("{}: {scanned} ≠ {node}", Phrase::HeldSlot.say(language)),
        Held::SlotTaken { slot, other } => format!("{}: {slot}, {other}", Phrase::HeldTaken.say(language)),
        Held::OtherProgram { run, assigned, own } => {
            format!("{} ({run}): {assigned} ≠ {own}", Phrase::HeldProgram.say(language))
        }
        Held::Suspect { scope: of } => format!("{}: {}", Phrase::Suspect.say(language), scope(of, language)),
        Held::TooManyRuns { runs } => format!("{} (×{runs})", Phrase::HeldRuns.say(language)),
        Held::TooManyRepairs { class } => format!("{} ({class})", Phrase::HeldRepairs.say(language)),
        Held::NoSerial { run } => format!("{} ({run})", Phrase::HeldNoSerial.say(language)),
        Held::SecondAgent { first, second } => format!("{}: {first}, {second}", Phrase::HeldSecond.say(language)),
        Held::RouteRefused { why } => format!("{}: {why}", Phrase::HeldRoute.say(language)),
        Held::RunRefused { run, why } => format!("{} ({run}): {why}", Phrase::HeldRefused.say(language)),
        Held::GoldenFailed { run } => format!("{} ({run})", Phrase::HeldGolden.say(language)),
        Held::OtherParts { run, wanted, made } => {
            let made = made.as_ref().map_or(Phrase::None.say(language), Digest::as_str);
            format!("{} ({run}): {made} ≠ {wanted}", Phrase::HeldParts.say(language))
        }
    }
}

/// When an agent was last heard, of which nothing is heard now; None where it was not since the floor was started.
pub(crate) fn last_heard(silent_for: Option<Duration>, language: Language) -> String {
    let Some(silent_for) = silent_for else { return Phrase::NotHeard.say(language).to_owned() };
    let minutes = silent_for.as_secs() / 60;
    let (days, hours, rest) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    match (language, days, hours) {
        (Language::Japanese, 0, 0) => format!("{rest} 分前"),
        (Language::Japanese, 0, _) => format!("{hours} 時間 {rest} 分前"),
        (Language::Japanese, _, _) => format!("{days} 日 {hours} 時間前"),
        (Language::English, 0, 0) => format!("{rest} min ago"),
        (Language::English, 0, _) => format!("{hours} h {rest} min ago"),
        (Language::English, _, _) => format!("{days} d {hours} h ago"),
    }
}

/// What stands in a line about power cycles of a node that hangs.
pub(crate) fn cycling(cycling: Cycling, language: Language) -> String {
    match cycling {
        Cycling::Asked => Phrase::CycleWanted.say(language).to_owned(),
        Cycling::UnderWay { tries } => format!("{}: {tries}", Phrase::CycleUnderWay.say(language)),
        Cycling::GivenUp => Phrase::CycleGivenUp.say(language).to_owned(),
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
        Wait::Upgrade => Phrase::WaitUpgrade.say(language).to_owned(),
        Wait::Golden(rack) => at(Phrase::WaitGolden, rack),
        Wait::PartsList => Phrase::WaitParts.say(language).to_owned(),
        Wait::OldAgent { version } => at(Phrase::WaitOldAgent, &version.as_deref().unwrap_or("?")),
        Wait::Lack(Lack::Slot) => Phrase::WaitSlot.say(language).to_owned(),
        Wait::Lack(Lack::Limit(place)) => at(Phrase::WaitLimit, place),
        Wait::Lack(Lack::Ramp(place)) => at(Phrase::WaitRamp, place),
        Wait::Lack(Lack::Turn(place)) => at(Phrase::WaitTurn, place),
    }
}

#[cfg(test)]
pub(crate) use tests::signs;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kiln_wire::{Assignment, Generation};

    use super::*;

    fn name<T: std::str::FromStr>(text: &str) -> T
    where
        T::Err: std::fmt::Debug,
    {
        text.parse().expect("a plain name")
    }

    fn assigned() -> Stage {
        Stage::Assigned(Assignment {
            unit: name("SRV1"),
            generation: Generation(1),
            run: name("run-1"),
            profile: "smoke".to_owned(),
            digest: None,
            variables: BTreeMap::new(),
            program: None,
            parts: None,
            phase: None,
        })
    }

    fn holds() -> Vec<Held> {
        let (run, slot) = (|| name("run-1"), || name("r01-01"));
        vec![
            Held::ClonedAgent,
            Held::ForkedJournal { run: run() },
            Held::SerialMismatch { scanned: name("SRV1"), node: name("SRV2") },
            Held::WillNotStart { run: run(), tries: 5 },
            Held::PassAfterFail,
            Held::NoClaim,
            Held::Outlier { run: run() },
            Held::Unverified { run: run() },
            Held::OtherProgram { run: run(), assigned: name("sha256:a"), own: name("sha256:b") },
            Held::SlotMismatch { scanned: slot(), node: name("r01-02") },
            Held::SlotTaken { slot: slot(), other: name("SRV2") },
            Held::Suspect { scope: Scope::Slot(slot()) },
            Held::TooManyRuns { runs: 3 },
            Held::TooManyRepairs { class: "link".to_owned() },
            Held::GoldenFailed { run: run() },
            Held::NoSerial { run: run() },
            Held::RouteRefused { why: "station 4".to_owned() },
            Held::RunRefused { run: run(), why: "the node says `SRV2`".to_owned() },
            Held::SecondAgent { first: name("a1"), second: name("a2") },
            Held::OtherParts { run: run(), wanted: name("sha256:a"), made: None },
        ]
    }

    /// Every sign that a page can show.
    pub(crate) fn signs() -> Vec<Sign> {
        use VerdictWord::{Aborted, Error, Fail, Inconclusive, Nothing, Pass};
        let mut stages = vec![Stage::Arrived, Stage::Ready, assigned()];
        stages.extend(
            [Disposition::Released, Disposition::Repair, Disposition::Scrapped, Disposition::Returned]
                .map(Stage::Disposed),
        );
        stages.extend(holds().into_iter().map(Stage::Held));
        let doing =
            [None, Some(Doing::Idle), Some(Doing::Running { run: name("run-1") }), Some(Doing::Held(Held::NoClaim))];
        let of_stages = stages.iter().flat_map(|stage| doing.iter().map(move |doing| stands(stage, doing.as_ref())));
        let verdicts = [Pass, Fail, VerdictWord::Held, Inconclusive, Error, Aborted, Nothing].map(verdict);
        of_stages.chain(verdicts).collect()
    }

    #[test]
    fn no_state_is_told_by_its_colour_alone() {
        let mut colours: BTreeMap<String, &str> = BTreeMap::new();
        for sign in signs() {
            for language in [Language::Japanese, Language::English] {
                let word = sign.word.say(language);
                assert!(!word.trim().is_empty() && !sign.glyph.trim().is_empty(), "{sign:?}");
                // Whoever sees no colours learns as much from the sign alone, and from the word alone.
                for told in [sign.glyph, word] {
                    let colour = colours.insert(told.to_owned(), sign.class);
                    assert!(
                        colour.is_none_or(|colour| colour == sign.class),
                        "{told} is {colour:?} and {}",
                        sign.class
                    );
                }
            }
        }
    }

    #[test]
    fn an_outlier_has_the_word_of_the_report_its_own_reason_and_its_own_thing_to_do() {
        let held = Stage::Held(Held::Outlier { run: name("run-1") });
        for sign in [verdict(VerdictWord::Held), stands(&held, None)] {
            let words = [Language::Japanese, Language::English].map(|language| sign.word.say(language));
            assert_eq!((words, sign.glyph, sign.urgency), (["保留", "Held"], "△", 0));
        }
        let said: Vec<String> = holds().iter().map(|held| why(held, Language::Japanese)).collect();
        assert!(
            said.iter().any(|why| why == "すべての規格を満たしましたが、ロットの良品の分布から外れています (run-1)"),
            "{said:?}"
        );
        let mut apart = said.clone();
        apart.sort();
        apart.dedup();
        assert_eq!(apart.len(), said.len(), "two reasons in the same words");
        assert_eq!(to_do(&held), Phrase::DoOutlier);
        assert_eq!(to_do(&Stage::Held(Held::NoClaim)), Phrase::DoHeld);
    }

    #[test]
    fn an_agent_that_does_not_answer_is_shown_with_since_when() {
        let said = |seconds: u64, language| last_heard(Some(Duration::from_secs(seconds)), language);
        assert_eq!(said(59, Language::English), "0 min ago");
        assert_eq!(said(3 * 3600 + 12 * 60, Language::Japanese), "3 時間 12 分前");
        assert_eq!(said(72 * 3600 + 59, Language::English), "3 d 0 h ago");
        assert_eq!(last_heard(None, Language::English), "not since the floor was started");
        assert_eq!(stands(&assigned(), None).word, Phrase::Silent);
        assert_eq!(stands(&Stage::Ready, None).word, Phrase::Silent);
        assert_eq!(
            stands(&Stage::Disposed(Disposition::Released), None).word,
            Phrase::Released,
            "it has done its work"
        );
    }
}
