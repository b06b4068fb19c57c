//! On the floor's own page: machines that wait for a person to compare codes, agents that are approved, people locked out.

use std::sync::Arc;

use kiln_floor::{FloorState, Identity};
use kiln_report::Language;

use super::api::ApiError;
use super::doors::{form, heading};
use super::enrol::Candidature;
use super::html::Html;
use super::phrase::Phrase;
use super::serve::Site;
use super::visitor::Visitor;

/// What the page shows of identities.
pub(crate) struct Known {
    waiting: Vec<Candidature>,
    agents: Vec<(String, Identity)>,
    locked: Vec<String>,
}

/// None for a floor that speaks no TLS.
pub(crate) async fn known(site: &Arc<Site>) -> Result<Option<Known>, ApiError> {
    let Some(secure) = &site.secure else { return Ok(None) };
    let waiting = secure.waiting.list();
    let look = |state: &FloorState| {
        let agents = state.identities.iter().map(|(agent, identity)| (agent.to_string(), identity.clone())).collect();
        (agents, state.locked.iter().cloned().collect())
    };
    let (agents, locked) = site.desk.look(move |floor, _| look(floor.state())).await?;
    Ok(Some(Known { waiting, agents, locked }))
}

/// The start of a key's digest, enough to tell keys apart by eye.
fn short(key: &impl ToString) -> String {
    key.to_string().trim_start_matches("sha256:").chars().take(16).collect()
}

/// A moment as people read it, to the minute.
pub(crate) fn moment(micros: u64) -> String {
    let at = i64::try_from(micros).ok().and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok());
    at.map_or_else(String::new, |at| at.strftime("%Y-%m-%d %H:%M").to_string())
}

pub(crate) fn show(html: &mut Html, known: &Known, visitor: &Visitor, language: Language) {
    let say = |phrase: Phrase| phrase.say(language);
    if !known.waiting.is_empty() {
        html.raw("<h2>").text(say(Phrase::MachinesWaiting)).raw("</h2>");
    }
    for Candidature { candidate, .. } in &known.waiting {
        html.raw("<section class=\"told\"><p class=\"word\">").text(say(Phrase::Unit)).raw(" ");
        html.text(candidate.serial.as_ref().map_or(say(Phrase::None), |serial| serial.as_str())).raw("</p><p>");
        html.text(&candidate.agent).raw("</p><p>").text(say(Phrase::KeyLabel)).raw(" ").text(short(&candidate.key));
        html.raw("</p><p>").text(say(Phrase::Evidence)).raw(":</p><ul>");
        for (name, value) in &candidate.evidence {
            html.raw("<li>").text(name).raw(": ").text(value).raw("</li>");
        }
        html.raw("</ul>");
        form(html, ("approve", candidate.key.as_str()), Phrase::ApproveButton, visitor, language);
        html.raw("</section>");
    }
    if !known.locked.is_empty() {
        html.raw("<h2>").text(say(Phrase::PeopleLocked)).raw("</h2>");
    }
    for name in &known.locked {
        html.raw("<p class=\"told\">").text(name).raw("</p>");
        form(html, ("unlock", name), Phrase::UnlockButton, visitor, language);
    }
    if known.agents.is_empty() {
        return;
    }
    html.raw("<h2>").text(say(Phrase::KnownAgents)).raw("</h2>");
    heading(html, &[Phrase::Agent, Phrase::Unit, Phrase::KeyLabel, Phrase::CertifiedUntil, Phrase::None], language);
    for (agent, identity) in &known.agents {
        html.raw("<tr><td class=\"small\">").text(agent).raw("</td><td>");
        html.text(identity.serial.as_ref().map_or(say(Phrase::None), |serial| serial.as_str()));
        html.raw("</td><td class=\"small\">").text(short(&identity.key)).raw("</td><td>");
        if identity.revoked {
            html.text(say(Phrase::Revoked)).raw("</td><td></td></tr>");
            continue;
        }
        html.text(identity.until.map_or_else(|| say(Phrase::None).to_owned(), moment)).raw("</td><td>");
        form(html, ("revoke", agent), Phrase::RevokeButton, visitor, language);
        html.raw("</td></tr>");
    }
    html.raw("</tbody></table>");
}
