//! Which phrase says a verdict, an outcome, an action: shapes and status words, and sentences made of several phrases.
//!
//! The phrases themselves are in `phrase`. Functions without a language are for what machines read, and give English.

use super::language::Language;
use super::phrase::Phrase;
use super::sentence;
use kiln_event::{Action, Confidence, Interruption, NodeSource, Outcome, RunRecord, Verdict, VerdictWord};
use kiln_profile::Deviation;

/// A shape that says the same as the word and the colour. A tick is not among them: it can mean "wrong" in Japan.
pub(super) const fn shape(verdict: &Verdict) -> &'static str {
    match verdict.word {
        VerdictWord::Pass if verdict.marginal || verdict.deviations > 0 => "△",
        VerdictWord::Pass => "○",
        VerdictWord::Fail => "×",
        VerdictWord::Error => "!",
        VerdictWord::Inconclusive | VerdictWord::Held => "△",
        VerdictWord::Aborted => "■",
        VerdictWord::Nothing => "–",
    }
}

/// The word with what qualifies it: `PASS (marginal, retried)`.
pub(super) fn verdict_in(language: Language, verdict: &Verdict) -> String {
    let flags = [
        (verdict.marginal, Phrase::FlagMarginal),
        (verdict.retried, Phrase::FlagRetried),
        (verdict.partial, Phrase::FlagPartial),
    ];
    let flags: Vec<&str> = flags.into_iter().filter(|(on, _)| *on).map(|(_, word)| word.say(language)).collect();
    let word = verdict_word(verdict.word).say(language);
    let word = match verdict.deviations {
        0 => word.to_owned(),
        1 => format!("{word} {}", Phrase::WithOneDeviation.say(language)),
        more => format!("{word} {}", Phrase::WithDeviations.with(language, &[&more])),
    };
    if flags.is_empty() { word } else { format!("{word} ({})", flags.join(", ")) }
}

pub(super) fn verdict(verdict: &Verdict) -> String {
    verdict_in(Language::English, verdict)
}

pub(super) const fn verdict_word(word: VerdictWord) -> Phrase {
    match word {
        VerdictWord::Pass => Phrase::Pass,
        VerdictWord::Fail => Phrase::Fail,
        VerdictWord::Error => Phrase::Error,
        VerdictWord::Inconclusive => Phrase::Inconclusive,
        VerdictWord::Held => Phrase::Held,
        VerdictWord::Aborted => Phrase::Aborted,
        VerdictWord::Nothing => Phrase::NothingJudged,
    }
}

/// A change made from outside the profile, as it was asked for and with what it replaced.
pub(super) fn deviation(deviation: &Deviation) -> String {
    match deviation {
        Deviation::Set { name, value, was, least: Some(least), kept: false } => {
            format!("--set {name}={value} (was {was}, at least {least})")
        }
        Deviation::Set { name, value, was, .. } => format!("--set {name}={value} (was {was})"),
        Deviation::Only { filter } => format!("--only {filter}"),
        Deviation::Gpus { chosen } => format!("--gpus {chosen}"),
        Deviation::Surroundings { name, value } => format!("{name}={value}"),
    }
}

/// Those that make the run less than what the profile stands for, in one line; empty where there are none.
pub(super) fn deviations(record: &RunRecord) -> String {
    let all = record.start.iter().flat_map(|start| &start.profile.deviations);
    all.filter(|one| one.lessens()).map(deviation).collect::<Vec<_>>().join("; ")
}

/// What a verdict means, where the word alone does not say it.
pub(super) const fn meaning_phrase(verdict: &Verdict) -> Phrase {
    match verdict.word {
        VerdictWord::Pass if verdict.deviations > 0 => Phrase::MeansDeviating,
        VerdictWord::Pass if verdict.marginal => Phrase::MeansMarginal,
        VerdictWord::Pass if verdict.waived > 0 => Phrase::MeansWaived,
        VerdictWord::Pass => Phrase::MeansPass,
        VerdictWord::Fail => Phrase::MeansFail,
        VerdictWord::Error => Phrase::MeansError,
        VerdictWord::Inconclusive if verdict.partial => Phrase::MeansPartial,
        VerdictWord::Inconclusive => Phrase::MeansInconclusive,
        VerdictWord::Held => Phrase::MeansHeld,
        VerdictWord::Aborted => Phrase::MeansAborted,
        VerdictWord::Nothing => Phrase::MeansNothing,
    }
}

pub(super) const fn meaning(verdict: &Verdict) -> &'static str {
    meaning_phrase(verdict).say(Language::English)
}

pub(super) const fn outcome_phrase(outcome: Outcome) -> Phrase {
    match outcome {
        Outcome::Pass => Phrase::Pass,
        Outcome::Marginal => Phrase::Marginal,
        Outcome::Waived => Phrase::Waived,
        Outcome::Skipped => Phrase::Skipped,
        Outcome::NotReached => Phrase::NotReached,
        Outcome::Held => Phrase::Held,
        Outcome::Inconclusive => Phrase::Inconclusive,
        Outcome::Aborted => Phrase::Aborted,
        Outcome::Error => Phrase::Error,
        Outcome::Fail => Phrase::Fail,
    }
}

pub(super) const fn outcome(outcome: Outcome) -> &'static str {
    outcome_phrase(outcome).say(Language::English)
}

/// The one thing to do next, as a person is told it.
pub(super) const fn action_phrase(action: Action) -> Phrase {
    match action {
        Action::Reseat => Phrase::DoReseat,
        Action::ReplaceFru => Phrase::DoReplace,
        Action::CheckCoolant => Phrase::DoCoolant,
        Action::CheckCooling => Phrase::DoCooling,
        Action::CheckPower => Phrase::DoPower,
        Action::Reconfigure => Phrase::DoReconfigure,
        Action::UpdateFirmware => Phrase::DoFirmware,
        Action::RetestLonger => Phrase::DoRetest,
        Action::ResetGpu => Phrase::DoReset,
        Action::Reboot => Phrase::DoReboot,
        Action::FixStation => Phrase::DoStation,
        Action::CallEngineer => Phrase::DoEngineer,
    }
}

/// The one thing to do next, in a language.
pub const fn next_step(language: Language, action: Action) -> &'static str {
    action_phrase(action).say(language)
}

pub(super) const fn action(action: Action) -> &'static str {
    action_phrase(action).say(Language::English)
}

pub(super) const fn confidence_phrase(confidence: Confidence) -> Phrase {
    match confidence {
        Confidence::Low => Phrase::ConfidenceLow,
        Confidence::Medium => Phrase::ConfidenceMedium,
        Confidence::High => Phrase::ConfidenceHigh,
    }
}

pub(super) const fn confidence(confidence: Confidence) -> &'static str {
    confidence_phrase(confidence).say(Language::English)
}

pub(super) fn interruption(by: &Interruption) -> String {
    sentence::interruption(Language::English, by)
}

/// What every report of a run on anything but hardware says first.
pub(super) fn banner_in(language: Language, source: &NodeSource) -> Option<String> {
    match source {
        NodeSource::Hardware => None,
        NodeSource::Simulated { node, seed, faults, spread } => {
            let node = if spread.is_tight() { node.clone() } else { format!("{node} --spread {}", spread.word()) };
            let none = Phrase::NoFaults.say(language).to_owned();
            let faults = if faults.is_empty() { none } else { faults.join(", ") };
            Some(Phrase::Simulated.with(language, &[&node, seed, &faults]))
        }
        NodeSource::Replayed { file } => Some(Phrase::Replayed.with(language, &[file])),
        NodeSource::StandIn { library } => Some(Phrase::StandIn.with(language, &[library])),
    }
}

pub(super) fn banner(source: &NodeSource) -> Option<String> {
    banner_in(Language::English, source)
}

/// One of two phrases, by whether the number is one.
pub(super) fn counted(language: Language, number: usize, one: Phrase, more: Phrase) -> String {
    if number == 1 { one.say(language).to_owned() } else { more.with(language, &[&number]) }
}

/// `1 fan`, `2 fans`.
pub(super) fn count(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}
