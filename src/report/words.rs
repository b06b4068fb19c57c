//! The words and sentences reports share, in one place: shapes, status words, what to do about a finding.

use crate::event::{Action, Confidence, Interruption, NodeSource, Outcome, Verdict, VerdictWord};

/// A shape that says the same as the word and the colour. A tick is not among them: it can mean "wrong" in Japan.
pub(super) const fn shape(verdict: &Verdict) -> &'static str {
    match verdict.word {
        VerdictWord::Pass if verdict.marginal => "△",
        VerdictWord::Pass => "○",
        VerdictWord::Fail => "×",
        VerdictWord::Error => "!",
        VerdictWord::Inconclusive => "△",
        VerdictWord::Aborted => "■",
        VerdictWord::Nothing => "–",
    }
}

/// The word with what qualifies it: `PASS (marginal, retried)`.
pub(super) fn verdict(verdict: &Verdict) -> String {
    let flags = [(verdict.marginal, "marginal"), (verdict.retried, "retried"), (verdict.partial, "partial run")];
    let flags: Vec<&str> = flags.into_iter().filter(|(on, _)| *on).map(|(_, word)| word).collect();
    let word = verdict.word.shown();
    if flags.is_empty() { word.to_owned() } else { format!("{word} ({})", flags.join(", ")) }
}

/// What a verdict means, where the word alone does not say it.
pub(super) const fn meaning(verdict: &Verdict) -> &'static str {
    match verdict.word {
        VerdictWord::Pass if verdict.marginal => "every limit was met, at least one only just",
        VerdictWord::Pass if verdict.waived > 0 => "every limit was judged, and met or waived",
        VerdictWord::Pass => "every limit was judged and met",
        VerdictWord::Fail => "the unit is proven bad",
        VerdictWord::Error => "no claim about the unit: the test itself had trouble",
        VerdictWord::Inconclusive if verdict.partial => "only a part was run: no acceptance",
        VerdictWord::Inconclusive => "the data cannot decide",
        VerdictWord::Aborted => "stopped before its end: no claim about the unit",
        VerdictWord::Nothing => "nothing was judged: no claim about the unit",
    }
}

pub(super) const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "PASS",
        Outcome::Marginal => "MARGINAL",
        Outcome::Waived => "WAIVED",
        Outcome::Skipped => "SKIPPED",
        Outcome::NotReached => "NOT REACHED",
        Outcome::Inconclusive => "INCONCLUSIVE",
        Outcome::Aborted => "ABORTED",
        Outcome::Error => "ERROR",
        Outcome::Fail => "FAIL",
    }
}

/// The one thing to do next, as a person is told it.
pub(super) const fn action(action: Action) -> &'static str {
    match action {
        Action::Reseat => "power off, reseat the part and its cables, then test again",
        Action::ReplaceFru => "replace the part, keep it with this report, then test again",
        Action::CheckCoolant => "check coolant supply, flow and connections, then test again",
        Action::CheckCooling => {
            "check that the cold plate or heatsink sits flat and its screws and paste are right, then test again"
        }
        Action::CheckPower => "check power cables, supplies and power limits, then test again",
        Action::Reconfigure => "set the configuration the profile asks for, then test again",
        Action::UpdateFirmware => "install the firmware the profile asks for, then test again",
        Action::RetestLonger => "test again with a longer profile: the evidence is too thin",
        Action::FixStation => "repair the test station: the unit is not to blame",
        Action::CallEngineer => "call a test engineer",
    }
}

pub(super) const fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Low => "low",
        Confidence::Medium => "medium",
        Confidence::High => "high",
    }
}

pub(super) fn interruption(by: &Interruption) -> String {
    match by {
        Interruption::Signal => "stopped by a signal".to_owned(),
        Interruption::Kill => "stopped at once by a second signal".to_owned(),
        Interruption::Failure(text) => text.clone(),
    }
}

/// What every report of a run on anything but hardware says first.
pub(super) fn banner(source: &NodeSource) -> Option<String> {
    match source {
        NodeSource::Hardware => None,
        NodeSource::Simulated { node, seed, faults } => {
            let faults = if faults.is_empty() { "none".to_owned() } else { faults.join(", ") };
            Some(format!("SIMULATED: no hardware was tested (node {node}, seed {seed}, faults: {faults})"))
        }
        NodeSource::Replayed { file } => Some(format!("REPLAYED: no hardware was tested now (recording {file})")),
        NodeSource::StandIn { library } => {
            Some(format!("SIMULATED: no hardware was tested (the driver library {library} is a stand-in)"))
        }
    }
}

/// `1 fan`, `2 fans`.
pub(super) fn count(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}
