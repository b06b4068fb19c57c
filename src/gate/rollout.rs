//! On the floor's own page: which program agents should be, how far that has come, and with which of them it stopped.

use std::collections::BTreeMap;

use kiln_floor::{Floor, Setback};
use kiln_report::Language;
use kiln_wire::{Digest, NotTaken};

use super::doors::{form, heading};
use super::html::Html;
use super::phrase::Phrase;
use super::visitor::Visitor;

/// What the page shows of a rollout.
pub(crate) struct Shown {
    program: Digest,
    wave: u32,
    back: usize,
    size: Option<u32>,
    /// That the agents of the wave are back is not enough, and the golden unit has not passed yet.
    waits_for_golden: bool,
    /// Agents that should be back by and by.
    offered: Vec<String>,
    /// How many agents are which program; None of those that cannot become another.
    programs: BTreeMap<Option<Digest>, usize>,
    /// With which agent it stopped, and why.
    stopped: Option<(String, String)>,
}

pub(crate) fn look(floor: &Floor, language: Language) -> Option<Shown> {
    let (state, rules) = (floor.state(), floor.policy().upgrade.as_ref()?);
    let rollout = state.rollout.as_ref().filter(|rollout| rollout.program == rules.program)?;
    let mut programs = BTreeMap::new();
    for agent in state.agents.values() {
        *programs.entry(agent.program.clone()).or_default() += 1;
    }
    let stopped = rollout.stopped.as_ref().map(|(agent, why)| (agent.to_string(), setback(why, language)));
    Some(Shown {
        program: rollout.program.clone(),
        wave: rollout.wave,
        back: rollout.back.len(),
        size: rollout.size,
        waits_for_golden: rollout.is_whole() && !rollout.proven && rules.proof == kiln_floor::Proof::Golden,
        offered: rollout.offered.keys().map(ToString::to_string).collect(),
        programs,
        stopped,
    })
}

/// The start of a digest, enough to tell programs apart by eye.
fn short(program: &Digest) -> String {
    program.as_str().chars().take(23).collect()
}

fn setback(why: &Setback, language: Language) -> String {
    let with = |phrase: Phrase, what: &str| format!("{}: {what}", phrase.say(language));
    match why {
        Setback::Overdue => Phrase::UpgradeOverdue.say(language).to_owned(),
        Setback::GoldenFailed { run } => with(Phrase::HeldGolden, run.as_str()),
        Setback::Declined(NotTaken::WrongDigest { found }) => with(Phrase::UpgradeWrongDigest, found.as_str()),
        Setback::Declined(NotTaken::Unsigned) => Phrase::UpgradeUnsigned.say(language).to_owned(),
        Setback::Declined(NotTaken::WrongSignature) => Phrase::UpgradeWrongSignature.say(language).to_owned(),
        Setback::Declined(NotTaken::Unkept { why }) => with(Phrase::UpgradeUnkept, why),
        Setback::Declined(NotTaken::WillNotStart { why }) => with(Phrase::UpgradeWillNotStart, why),
        Setback::Declined(NotTaken::FellBack) => Phrase::UpgradeFellBack.say(language).to_owned(),
    }
}

/// What stopped, as one line for the first page.
pub(crate) fn stopped(floor: &Floor, language: Language) -> Option<String> {
    let (agent, why) = look(floor, language)?.stopped?;
    Some(format!("{}: {agent}: {why}", Phrase::UpgradeStopped.say(language)))
}

pub(crate) fn show(html: &mut Html, shown: &Shown, visitor: &Visitor, language: Language) {
    let say = |phrase: Phrase| phrase.say(language);
    html.raw("<h2>").text(say(Phrase::Upgrades)).raw("</h2>");
    if let Some((agent, why)) = &shown.stopped {
        html.raw("<p class=\"told\">").text(say(Phrase::UpgradeStopped)).raw(": ").text(agent).raw(": ");
        html.text(why).raw("</p>");
        form(html, ("rollout", ""), Phrase::UpgradeButton, visitor, language);
    }
    html.raw("<p>").text(say(Phrase::UpgradeWave)).raw(" ").text(shown.wave).raw(": ").text(shown.back);
    if let Some(size) = shown.size {
        html.raw(" / ").text(size);
    }
    html.raw("</p>");
    if shown.waits_for_golden {
        html.raw("<p>").text(say(Phrase::UpgradeGolden)).raw("</p>");
    }
    if !shown.offered.is_empty() {
        html.raw("<p>").text(say(Phrase::UpgradeOffered)).raw(": ").text(shown.offered.join(", ")).raw("</p>");
    }
    heading(html, &[Phrase::UpgradeProgram, Phrase::UpgradeAgents, Phrase::State], language);
    for (program, count) in &shown.programs {
        html.raw("<tr><td>").text(program.as_ref().map_or_else(|| say(Phrase::None).to_owned(), short));
        html.raw("</td><td>").text(count).raw("</td><td>");
        let wanted = program.as_ref() == Some(&shown.program);
        html.text(if wanted { say(Phrase::UpgradeWanted) } else { "" }).raw("</td></tr>");
    }
    if !shown.programs.contains_key(&Some(shown.program.clone())) {
        html.raw("<tr><td>").text(short(&shown.program)).raw("</td><td>0</td><td>");
        html.text(say(Phrase::UpgradeWanted)).raw("</td></tr>");
    }
    html.raw("</tbody></table>");
}
