//! The page of the floor itself: what is suspected, what is stopped, which agents are held, where power goes.

use std::sync::{Arc, PoisonError};

use axum::extract::{Extension, Query, State};
use axum::response::Response;
use kiln_floor::{Floor, Watts};
use kiln_report::Language;

use super::api::ApiError;
use super::desk::{AllHeard, now};
use super::html::Html;
use super::identities;
use super::outlet::{SharedStanding, Standing};
use super::pages::{Asked, page, told, who};
use super::phrase::Phrase;
use super::places::{self, SILENT};
use super::rollout;
use super::serve::Site;
use super::visitor::{Visitor, takes_at_the_doors as takes};

/// A place of the trees, as the page shows it.
struct Load {
    id: String,
    granted: Watts,
    limit: Option<Watts>,
    cut: bool,
}

/// Power that a run has.
struct Drawing {
    run: String,
    unit: String,
    slot: String,
    watts: Watts,
    silent: bool,
}

#[derive(Default)]
struct Shown {
    stopped: bool,
    /// As JSON, as words, with its code.
    suspects: Vec<(String, String, String)>,
    agents: Vec<(String, String)>,
    loads: Vec<Load>,
    drawing: Vec<Drawing>,
    outlets: Vec<Standing>,
    rollout: Option<rollout::Shown>,
}

fn look(floor: &Floor, heard: &AllHeard, language: Language) -> Shown {
    let (state, site) = (floor.state(), &floor.policy().site);
    let suspects = state.suspects.iter().map(|(scope, code)| {
        (serde_json::to_string(scope).unwrap_or_default(), places::scope(scope, language), code.clone())
    });
    let agents = state
        .agents
        .iter()
        .filter_map(|(id, agent)| Some((id.to_string(), places::why(agent.held.as_ref()?, language))));
    let loads = site.places().iter().enumerate().map(|(index, place)| {
        let cut = state.cuts.get(&place.id).copied();
        let limit = cut.into_iter().chain(place.limit).min();
        Load { id: place.id.to_string(), granted: floor.ledger().granted(index), limit, cut: cut.is_some() }
    });
    let drawing = state.grants.iter().map(|(run, grant)| Drawing {
        run: run.to_string(),
        unit: grant.unit.to_string(),
        slot: grant.slot.to_string(),
        watts: grant.watts,
        silent: heard.get(&grant.agent).is_none_or(|heard| now().duration_since(heard.at) > SILENT),
    });
    let mut drawing: Vec<Drawing> = drawing.collect();
    drawing.sort_by_key(|drawing| !drawing.silent);
    Shown {
        stopped: state.stopped.is_some(),
        suspects: suspects.collect(),
        agents: agents.collect(),
        loads: loads.collect(),
        drawing,
        outlets: Vec::new(),
        rollout: rollout::look(floor, language),
    }
}

pub(crate) async fn doors(
    State(site): State<Arc<Site>>,
    Query(asked): Query<Asked>,
    Extension(visitor): Extension<Visitor>,
) -> Result<Response, ApiError> {
    let language = asked.language(&site);
    let shown = site.desk.look(move |floor, heard| look(floor, heard, language)).await?;
    let known = identities::known(&site).await?;
    let standing = |outlet: &SharedStanding| outlet.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let shown = Shown { outlets: site.outlets.iter().map(standing).collect(), ..shown };
    Ok(page(&site, language, "/doors", told(&asked, language), &visitor, |html| {
        html.raw("<p><a href=\"/?lang=").text(language.code()).raw("\">← ").text(Phrase::Back.say(language));
        html.raw("</a></p>");
        if let Some(known) = &known {
            identities::show(html, known, &visitor, language);
        }
        show(html, &shown, &visitor, language);
    }))
}

/// A form about one thing, with who and why.
pub(crate) fn form(
    html: &mut Html,
    (act, of): (&'static str, &str),
    button: Phrase,
    visitor: &Visitor,
    language: Language,
) {
    if !visitor.may(takes(act)) {
        return;
    }
    html.raw("<form class=\"act\" method=\"post\" action=\"/doors/").raw(act).raw("?lang=").text(language.code());
    html.raw("\"><input type=\"hidden\" name=\"of\" value=\"").text(of).raw("\">");
    if act == "cut" {
        html.raw("<label>").text(Phrase::LimitLabel.say(language));
        html.raw("<input name=\"limit\" class=\"short\" inputmode=\"decimal\"></label>");
    }
    who(html, visitor, language);
    html.raw("<label>").text(if act == "approve" { Phrase::CodeLabel } else { Phrase::WhyLabel }.say(language));
    html.raw("<input name=\"why\" class=\"short\" required maxlength=\"400\" autocomplete=\"off\"></label>");
    html.raw("<button>").text(button.say(language)).raw("</button></form>");
}

pub(crate) fn heading(html: &mut Html, heads: &[Phrase], language: Language) {
    html.raw("<table><thead><tr>");
    for head in heads {
        html.raw("<th scope=\"col\">").text(head.say(language)).raw("</th>");
    }
    html.raw("</tr></thead><tbody>");
}

fn show(html: &mut Html, shown: &Shown, visitor: &Visitor, language: Language) {
    let say = |phrase: Phrase| phrase.say(language);
    let form = |html: &mut Html, act, of: &str, button| form(html, (act, of), button, visitor, language);
    if shown.stopped {
        html.raw("<p class=\"told\">").text(say(Phrase::WaitStopped)).raw("</p>");
        form(html, "starts", "", Phrase::StartsButton);
    }
    html.raw("<h2>").text(say(Phrase::Suspect)).raw("</h2>");
    for (json, scope, code) in &shown.suspects {
        html.raw("<p class=\"told\">").text(scope).raw(" — ").text(code).raw("</p>");
        form(html, "scope", json, Phrase::ScopeButton);
    }
    html.raw("<h2>").text(say(Phrase::AgentsHeld)).raw("</h2>");
    for (agent, why) in &shown.agents {
        html.raw("<p class=\"told\">").text(agent).raw(": ").text(why).raw("</p>");
        form(html, "agent", agent, Phrase::AgentButton);
    }
    if let Some(rollout) = &shown.rollout {
        rollout::show(html, rollout, visitor, language);
    }
    html.raw("<h2>").text(say(Phrase::Power)).raw("</h2>");
    heading(html, &[Phrase::Place, Phrase::Granted, Phrase::Limit, Phrase::None], language);
    for load in &shown.loads {
        html.raw("<tr><td>").text(&load.id).raw("</td><td>").text(load.granted).raw("</td><td>");
        html.text(load.limit.map_or_else(|| say(Phrase::None).to_owned(), |limit| limit.to_string()));
        if load.cut {
            html.raw(" ").text(say(Phrase::CutByPerson));
        }
        html.raw("</td><td>");
        form(html, "cut", &load.id, Phrase::CutButton);
        html.raw("</td></tr>");
    }
    html.raw("</tbody></table>");
    heading(html, &[Phrase::Unit, Phrase::SlotLabel, Phrase::Granted, Phrase::State, Phrase::None], language);
    for drawing in &shown.drawing {
        html.raw("<tr><td>").text(&drawing.unit).raw("</td><td>").text(&drawing.slot).raw("</td><td>");
        html.text(drawing.watts).raw("</td><td>");
        html.text(say(if drawing.silent { Phrase::Silent } else { Phrase::Running })).raw("</td><td>");
        form(html, "power", &drawing.run, Phrase::PowerOffButton);
        html.raw("</td></tr>");
    }
    html.raw("</tbody></table>");
    if !shown.outlets.is_empty() {
        html.raw("<h2>").text(say(Phrase::Outlets)).raw("</h2>");
        heading(html, &[Phrase::Place, Phrase::OutletTold, Phrase::State], language);
    }
    for Standing { name, told, trouble } in &shown.outlets {
        html.raw("<tr><td>").text(name).raw("</td><td>").text(told).raw("</td><td>");
        if let Some(trouble) = trouble {
            html.text(say(Phrase::OutletWaits)).raw(": ").text(trouble);
        }
        html.raw("</td></tr>");
    }
    if !shown.outlets.is_empty() {
        html.raw("</tbody></table>");
    }
}
