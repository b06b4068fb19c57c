//! The page of one unit: the word, which part in which slot, what to do; and the report of a run from the floor's copy.

use std::sync::Arc;

use axum::extract::{Extension, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use kiln_event::{Finding, VerdictWord};
use kiln_floor::{
    Because, Cycling, Decided, Decision, Disposition, Ordered, Release, Rights, RunOutcome, Stage, UnitState, Wait,
    Work,
};
use kiln_model::GpuIndex;
use kiln_report::{Language, Languages, Paint, next_step};
use kiln_rundir::{Look, format};
use kiln_wire::{Held, RunId, Serial};

use super::api::{ApiError, failure, on_disk};
use super::desk::now;
use super::doors::heading;
use super::html::Html;
use super::identities::moment;
use super::pages::{Asked, page, serial_of, simulated, told, who, word};
use super::phrase::Phrase;
use super::places::{self, Sign};
use super::proof;
use super::serve::Site;
use super::visitor::Visitor;

/// A report is a page of its own with styles and scripts in it, made of what nodes said: it runs in a sandbox, apart from
/// the floor's pages, and can reach nothing.
const REPORT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; \
                             font-src data:; sandbox allow-scripts";

pub(crate) async fn unit(
    State(site): State<Arc<Site>>,
    Path(serial): Path<String>,
    Query(asked): Query<Asked>,
    Extension(visitor): Extension<Visitor>,
) -> Result<Response, ApiError> {
    let language = asked.language(&site);
    let serial = serial_of(&serial)?;
    let of = serial.clone();
    let found = site.desk.look(move |floor, heard| {
        let unit = floor.state().units.get(&of)?;
        let waits = matches!(unit.stage, Stage::Ready | Stage::Assigned(_));
        let wait = floor.waits().get(&of).filter(|_| waits).cloned();
        let ordered = floor.state().ordered.get(&of).cloned();
        let sign = places::place(unit, heard);
        let heard = unit.agent.as_ref().and_then(|agent| heard.get(agent));
        let silent_for = heard.map(|heard| now().duration_since(heard.at));
        let last_heard = (sign.word == Phrase::Silent).then(|| places::last_heard(silent_for, language));
        let cycled = floor.cycling(&of);
        Some((unit.clone(), sign, (wait, ordered, cycled), floor.release(&of).ok(), last_heard))
    });
    let found = found.await?;
    let path = format!("/units/{serial}");
    let message = told(&asked, language);
    let Some((unit, sign, (wait, ordered, cycled), release, last_heard)) = found else {
        let shown = page(&site, language, "/", message, &visitor, |html| {
            html.raw("<p>").text(Phrase::NotThere.say(language)).raw(": ").text(&serial).raw("</p>");
        });
        return Ok((StatusCode::NOT_FOUND, shown).into_response());
    };
    let findings = findings(&site, &unit.runs).await?;
    let (wait, release, ordered) = (wait.as_ref(), release.as_ref(), ordered.as_ref());
    let shown =
        Shown { serial: &serial, unit: &unit, sign, wait, ordered, release, last_heard, cycled, visitor: &visitor };
    Ok(page(&site, language, &path, message, &visitor, |html| show(html, &shown, &findings, language)))
}

/// What the last run found, read from the copy, with the GPUs it found it on; or why that cannot be read.
pub(crate) async fn findings(site: &Arc<Site>, runs: &[RunOutcome]) -> Result<Result<Found, String>, ApiError> {
    let Some(last) = runs.last() else { return Ok(Ok(Found::default())) };
    let folder = site.copies.path(&last.facts.run);
    let _turn = site.turn().await?;
    let read = on_disk(move || {
        proof::read(&folder).map(|(_, run)| {
            let gpus =
                run.record.inventory.as_ref().map(|inventory| inventory.gpus.iter().map(|gpu| gpu.index).collect());
            Found { findings: run.record.findings, gpus: gpus.unwrap_or_default() }
        })
    });
    Ok(read.await?.map_err(|error| error.to_string()))
}

/// What a run found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) findings: Vec<Finding>,
    gpus: Vec<GpuIndex>,
}

/// What the page is about.
struct Shown<'a> {
    serial: &'a Serial,
    unit: &'a UnitState,
    sign: Sign,
    wait: Option<&'a Wait>,
    /// The parts list that it is held against.
    ordered: Option<&'a Ordered>,
    /// What two people may make of it.
    release: Option<&'a Release>,
    /// Of an agent that does not answer: when it last did, in words.
    last_heard: Option<String>,
    /// Power cycles since it hangs.
    cycled: Option<Cycling>,
    visitor: &'a Visitor,
}

fn show(html: &mut Html, shown: &Shown<'_>, found: &Result<Found, String>, language: Language) {
    let Shown { serial, unit, sign, wait, .. } = *shown;
    let say = |phrase: Phrase| phrase.say(language);
    html.raw("<p><a href=\"/?lang=").text(language.code()).raw("\">← ").text(say(Phrase::Back)).raw("</a></p><h2>");
    html.text(say(Phrase::Unit)).raw(" ").text(serial).raw("</h2>");
    if unit.runs.last().is_some_and(|last| simulated(last.facts.source.as_ref())) {
        html.raw("<p><span class=\"sim\">").text(say(Phrase::Simulated)).raw("</span> ");
        html.text(say(Phrase::SimulatedLong)).raw("</p>");
    }
    html.raw("<p class=\"big\" role=\"status\">");
    word(html, sign, language);
    let to_do = match places::to_do(&unit.stage) {
        Phrase::DoWait if shown.last_heard.is_some() => Phrase::DoArrived,
        to_do => to_do,
    };
    html.raw("</p><p>").text(say(to_do)).raw("</p>");
    if let Some(last_heard) = &shown.last_heard {
        html.raw("<p>").text(say(Phrase::LastHeard)).raw(": ").text(last_heard).raw("</p>");
    }
    power_cycle(html, shown, language);
    if let Stage::Held(why) = &unit.stage {
        html.raw("<p class=\"told\">").text(say(Phrase::Held)).raw(": ");
        html.text(places::why_unit(unit, why, language)).raw("</p>");
    }
    if let Some(wait) = wait {
        html.raw("<p>").text(say(Phrase::Waiting)).raw(": ").text(places::wait(wait, language)).raw("</p>");
    }
    if let Some(slot) = &unit.slot {
        html.raw("<p>").text(say(Phrase::SlotLabel)).raw(": ").text(slot).raw("</p>");
    }
    if let Some(Ordered { digest, order, .. }) = shown.ordered {
        html.raw("<p>").text(say(Phrase::PartsLabel)).raw(": <span class=\"small\">").text(digest).raw("</span>");
        if let Some(order) = order {
            html.raw(" — ").text(say(Phrase::OrderLabel)).raw(" ").text(order);
        }
        html.raw("</p>");
    }
    if let (Stage::Disposed(_), Some(Because::Person { .. }), Some(last)) =
        (&unit.stage, &unit.because, unit.decisions.last())
    {
        html.raw("<p>").text(say(Phrase::DecidedBy)).raw(": ").text(&last.why);
        html.text(format!(" ({})", last.by.join(", "))).raw("</p>");
    }
    match found {
        Ok(found) if found.findings.is_empty() => {}
        Ok(found) => {
            let proven = unit.runs.last().is_some_and(|last| last.facts.verdict == VerdictWord::Fail);
            drawn(html, found, proven, language);
            parts(html, &found.findings, language);
        }
        Err(why) => drop(html.raw("<p class=\"told\">").text(say(Phrase::NotReadable)).text(why).raw("</p>")),
    }
    agreement(html, shown, language);
    forms(html, shown, language);
    decisions(html, &unit.decisions, language);
    works(html, &unit.works, language);
    runs(html, &unit.runs, language);
}

/// The GPUs in their order, with what is to be seen to marked by sign, word and colour; a part against which nothing is
/// proven is marked as no more than doubtful.
fn drawn(html: &mut Html, found: &Found, proven: bool, language: Language) {
    let bad = |gpu: GpuIndex| found.findings.iter().find(|finding| finding.component.gpu_index() == Some(gpu));
    if !found.gpus.iter().any(|gpu| bad(*gpu).is_some()) {
        return;
    }
    html.raw("<ol class=\"drawn\" aria-label=\"").text(Phrase::Drawn.say(language)).raw("\">");
    for gpu in &found.gpus {
        match bad(*gpu) {
            Some(finding) => {
                let (class, glyph, word) =
                    if proven { ("fail", "×", Phrase::DrawnBad) } else { ("unsure", "△", Phrase::DrawnDoubt) };
                html.raw("<li class=\"").raw(class).raw("\"><b>").raw(glyph).raw(" gpu/").text(gpu.0).raw("</b><br>");
                if let Some(slot) = &finding.slot {
                    html.text(Phrase::Slot.say(language)).raw(" ").text(slot).raw("<br>");
                }
                html.raw("<span class=\"small\">").text(word.say(language)).raw("</span></li>");
            }
            None => drop(html.raw("<li>gpu/").text(gpu.0).raw("</li>")),
        }
    }
    html.raw("</ol>");
}

/// What people decided, newest first: who let an outlier go on is seen for as long as the unit is.
fn decisions(html: &mut Html, decisions: &[Decision], language: Language) {
    if decisions.is_empty() {
        return;
    }
    html.raw("<h3>").text(Phrase::Decisions.say(language)).raw("</h3>");
    let heads = [Phrase::When, Phrase::NameLabel, Phrase::DecideLabel, Phrase::WhyLabel, Phrase::OutlierRun];
    heading(html, &heads, language);
    for Decision { at, by, why, what, outlier, .. } in decisions.iter().rev() {
        let what = match what {
            Decided::Disposed(disposition) => places::disposed(*disposition).word,
            Decided::WentOn => Phrase::WentOn,
        };
        html.raw("<tr><td>").text(moment(*at)).raw("</td><td>").text(by.join(", ")).raw("</td><td>");
        html.text(what.say(language)).raw("</td><td>").text(why).raw("</td><td class=\"small\">");
        html.text(outlier.as_ref().map_or(Phrase::None.say(language), |run| run.as_str())).raw("</td></tr>");
    }
    html.raw("</tbody></table>");
}

/// What people recorded, newest first.
fn works(html: &mut Html, works: &[Work], language: Language) {
    if works.is_empty() {
        return;
    }
    let or_none =
        |part: &Option<Serial>| part.as_ref().map_or(Phrase::None.say(language).to_owned(), ToString::to_string);
    html.raw("<h3>").text(Phrase::Worked.say(language)).raw("</h3>");
    let heads = [Phrase::When, Phrase::NameLabel, Phrase::ReworkLabel, Phrase::RemovedPart, Phrase::FittedPart];
    heading(html, &heads, language);
    for Work { at, by, what, parts } in works.iter().rev() {
        html.raw("<tr><td>").text(moment(*at)).raw("</td><td>").text(by).raw("</td><td>").text(what);
        html.raw("</td><td>").text(or_none(&parts.removed)).raw("</td><td>").text(or_none(&parts.fitted));
        html.raw("</td></tr>");
    }
    html.raw("</tbody></table>");
}

fn parts(html: &mut Html, findings: &[Finding], language: Language) {
    let say = |phrase: Phrase| phrase.say(language);
    html.raw("<table><thead><tr>");
    let heads = [Phrase::WhatPart, Phrase::Slot, Phrase::ToDo, Phrase::Cause, Phrase::PartSerial, Phrase::Codes];
    for head in heads {
        html.raw("<th scope=\"col\">").text(say(head)).raw("</th>");
    }
    html.raw("</tr></thead><tbody>");
    for finding in findings {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| say(Phrase::None).to_owned());
        html.raw("<tr><td class=\"word\">").text(finding.component);
        html.raw("</td><td class=\"word\">").text(or_none(&finding.slot));
        html.raw("</td><td>").text(next_step(language, finding.action));
        html.raw("</td><td>").text(language.of(&finding.cause));
        html.raw("</td><td>").text(or_none(&finding.serial));
        html.raw("</td><td class=\"small\">").text(&finding.code).raw("</td></tr>");
    }
    html.raw("</tbody></table>");
}

fn opened(html: &mut Html, serial: &Serial, act: &'static str, visitor: &Visitor, language: Language) {
    html.raw("<form class=\"act\" method=\"post\" action=\"/units/").text(serial).raw(act);
    html.raw("?lang=").text(language.code()).raw("\">");
    who(html, visitor, language);
}

/// What became of power cycles of a node that hangs, and the question whether one is wanted.
fn power_cycle(html: &mut Html, shown: &Shown<'_>, language: Language) {
    let say = |phrase: Phrase| phrase.say(language);
    match shown.cycled {
        Some(Cycling::GivenUp) => {
            html.raw("<p class=\"told\">").text(say(Phrase::CycleGivenUp)).raw("</p>");
        }
        Some(Cycling::UnderWay { tries }) => {
            html.raw("<p>").text(say(Phrase::CycleUnderWay)).raw(": ").text(tries).raw("</p>");
        }
        Some(Cycling::Asked) | None => {}
    }
    if shown.cycled == Some(Cycling::Asked) && shown.visitor.may(Rights::Engineer) {
        html.raw("<p>").text(say(Phrase::CycleAsk)).raw("</p>");
        opened(html, shown.serial, "/power-cycle", shown.visitor, language);
        html.raw("<label>").text(say(Phrase::WhyLabel)).raw("<input name=\"why\" required maxlength=\"400\"></label>");
        html.raw("<button>").text(say(Phrase::CycleButton)).raw("</button></form>");
    }
}

/// One person wants it released: what another one does about it.
fn agreement(html: &mut Html, shown: &Shown<'_>, language: Language) {
    let Shown { serial, unit, release, visitor, .. } = *shown;
    let Some((first, why)) = unit.release_asked.as_ref().filter(|_| visitor.is_person()) else { return };
    html.raw("<p class=\"told\">")
        .text(Phrase::ReleaseAsked.say(language))
        .text(first)
        .raw(" — ")
        .text(why)
        .raw("</p>");
    if visitor.may(Rights::Engineer) && visitor.name("").as_ref() != Some(first) {
        let goes_on = matches!(release, Some(Release::ToTheNextStop(_)));
        let button = if goes_on { Phrase::AgreeGoOn } else { Phrase::AgreeButton };
        opened(html, serial, "/agree", visitor, language);
        html.raw("<button>").text(button.say(language)).raw("</button></form>");
    } else {
        html.raw("<p>").text(Phrase::AgreeOther.say(language)).raw("</p>");
    }
}

/// What a person can do about the unit.
fn forms(html: &mut Html, shown: &Shown<'_>, language: Language) {
    let Shown { serial, unit: UnitState { stage, .. }, release, visitor, .. } = *shown;
    let say = |phrase: Phrase| phrase.say(language);
    let opened = |html: &mut Html, act: &'static str| opened(html, serial, act, visitor, language);
    let is_held = matches!(stage, Stage::Held(_));
    let decides = visitor.may(Rights::Engineer);
    let is_outlier = matches!(stage, Stage::Held(Held::Outlier { .. }));
    if is_outlier {
        let may = match release {
            Some(Release::ToTheNextStop(_)) => Phrase::MayOutlierGoOn,
            Some(Release::OfTheUnit) => Phrase::MayOutlier,
            None => Phrase::MayOutlierNot,
        };
        html.raw("<p>").text(say(may)).raw("</p>");
    }
    if is_held && decides {
        opened(html, "/free");
        html.raw("<label>").text(say(Phrase::WhyLabel)).raw("<input name=\"why\" required maxlength=\"400\"></label>");
        html.raw("<button>").text(say(Phrase::FreeButton)).raw("</button></form>");
    }
    if visitor.may(Rights::Operator) && (is_held || matches!(stage, Stage::Disposed(Disposition::Repair))) {
        opened(html, "/rework");
        html.raw("<label>")
            .text(say(Phrase::ReworkLabel))
            .raw("<input name=\"what\" required maxlength=\"400\"></label>");
        for (name, phrase) in [("removed", Phrase::RemovedPart), ("fitted", Phrase::FittedPart)] {
            html.raw("<label>").text(say(phrase)).raw("<input name=\"").text(name);
            html.raw("\" maxlength=\"80\" data-scan=\"keep\" autocomplete=\"off\" spellcheck=\"false\"></label>");
        }
        html.raw("<button>").text(say(Phrase::ReworkButton)).raw("</button></form>");
    }
    if is_held && decides {
        opened(html, "/decide");
        html.raw("<label>").text(say(Phrase::DecideLabel)).raw("<select name=\"what\">");
        // What would be refused is not offered.
        let repair = (!is_outlier).then_some(("repair", Phrase::DecideRepair));
        let release = release.map(|release| match release {
            Release::OfTheUnit => ("release", Phrase::DecideRelease),
            Release::ToTheNextStop(_) => ("release", Phrase::DecideGoOn),
        });
        for (value, phrase) in repair.into_iter().chain([("scrap", Phrase::DecideScrap)]).chain(release) {
            html.raw("<option value=\"").text(value).raw("\">").text(say(phrase)).raw("</option>");
        }
        html.raw("</select></label>");
        // Who has logged in cannot type another one's name: that one logs in and agrees.
        let second = (!visitor.is_person()).then_some(("second", Phrase::SecondLabel, false));
        for (name, phrase, required) in [("why", Phrase::WhyLabel, true)].into_iter().chain(second) {
            html.raw("<label>").text(say(phrase)).raw("<input name=\"").text(name).raw("\" maxlength=\"400\"");
            html.raw(if required { " required></label>" } else { "></label>" });
        }
        html.raw("<button>").text(say(Phrase::DecideButton)).raw("</button></form>");
    }
}

fn runs(html: &mut Html, runs: &[RunOutcome], language: Language) {
    let say = |phrase: Phrase| phrase.say(language);
    if runs.is_empty() {
        return;
    }
    html.raw("<h3>").text(say(Phrase::Runs)).raw("</h3><table><thead><tr>");
    let heads =
        [Phrase::Generation, Phrase::LastVerdict, Phrase::Profile, Phrase::PartsLabel, Phrase::Codes, Phrase::Report];
    for head in heads {
        html.raw("<th scope=\"col\">").text(say(head)).raw("</th>");
    }
    html.raw("</tr></thead><tbody>");
    for outcome in runs.iter().rev() {
        html.raw("<tr><td>").text(outcome.generation.0).raw("</td><td>");
        word(html, places::verdict(outcome.facts.verdict), language);
        html.raw("</td><td>").text(&outcome.profile).raw("</td><td class=\"small\">");
        // As much of it as tells two apart; the whole is in the run's own report.
        let parts = outcome.facts.parts.as_ref().map(|parts| parts.as_str().chars().take(19).collect::<String>());
        html.text(parts.as_deref().unwrap_or(say(Phrase::None))).raw("</td><td class=\"small\">");
        html.text(outcome.facts.codes.join(", ")).raw("</td><td><a href=\"/runs/").text(&outcome.facts.run);
        html.raw("/report.html?lang=").text(language.code()).raw("\">").text(say(Phrase::Report)).raw("</a></td></tr>");
    }
    html.raw("</tbody></table>");
}

/// The page of a run, made on demand from the copy and kept nowhere.
pub(crate) async fn report(
    State(site): State<Arc<Site>>,
    Path(run): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, ApiError> {
    let language = asked.language(&site);
    let run: RunId = run.parse().map_err(|error| ApiError(failure(StatusCode::BAD_REQUEST, error)))?;
    let folder = site.copies.path(&run);
    let _turn = site.turn().await?;
    let made = on_disk(move || made(&folder, language)).await?;
    let text = made.map_err(|why| ApiError(failure(StatusCode::NOT_FOUND, why)))?;
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, REPORT_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, text).into_response())
}

fn made(folder: &std::path::Path, language: Language) -> Result<Vec<u8>, String> {
    let (dir, run) = proof::read(folder).map_err(|error| error.to_string())?;
    let look = Look { language, paint: Paint::Plain, languages: Languages::only(language) };
    let view = dir.view(&run, look).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let page = format("html").ok_or("there is no such form")?;
    page.write(&view, &mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}
