//! What people do on the pages beside scanning. Each form says who, and why.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, Form, Path, Query, State};
use axum::response::Response;
use axum::routing::post;
use kiln_floor::{Act, Disposition, Input, Parts, Watts};
use kiln_wire::{Scope, Serial};
use serde::Deserialize;

use super::api::ApiError;
use super::enrol::NotApproved;
use super::pages::{Asked, back, name, named, serial_of, tell};
use super::serve::Site;
use super::unit_page::findings;
use super::visitor::Visitor;

/// The longest reason that is kept.
const WHY_MOST: usize = 400;

pub(crate) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/units/{serial}/free", post(free))
        .route("/units/{serial}/rework", post(rework))
        .route("/units/{serial}/decide", post(decide))
        .route("/units/{serial}/agree", post(agree))
        .route("/units/{serial}/power-cycle", post(power_cycle))
        .route("/doors/{act}", post(at_the_doors))
}

/// What any of the forms sends.
#[derive(Debug, Deserialize)]
struct Sent {
    #[serde(default)]
    by: String,
    #[serde(default)]
    why: String,
    #[serde(default)]
    what: String,
    #[serde(default)]
    second: String,
    #[serde(default)]
    removed: String,
    #[serde(default)]
    fitted: String,
    /// Of what: an agent, a run, a place, or a scope as JSON.
    #[serde(default)]
    of: String,
    /// Kilowatts.
    #[serde(default)]
    limit: String,
}

fn line(text: &str) -> Option<String> {
    let line: String = text.trim().chars().filter(|letter| !letter.is_control()).take(WHY_MOST).collect();
    (!line.is_empty()).then_some(line)
}

async fn on_unit(
    site: &Site,
    serial: &str,
    asked: &Asked,
    (visitor, form): (&Visitor, &Sent),
    why: &str,
    act: impl FnOnce(kiln_wire::Serial, String) -> Act,
) -> Result<Response, ApiError> {
    let (language, unit) = (asked.language(site), serial_of(serial)?);
    let path = format!("/units/{unit}");
    let Some(by) = visitor.name(&form.by) else { return Ok(back(&path, language, Some(("name", "")))) };
    let Some(why) = line(why) else { return Ok(back(&path, language, Some(("why", "")))) };
    Ok(tell(site, Input::Told { act: act(unit, why), by }, &path, language).await)
}

async fn free(
    State(site): State<Arc<Site>>,
    Path(serial): Path<String>,
    Query(asked): Query<Asked>,
    Extension(visitor): Extension<Visitor>,
    Form(form): Form<Sent>,
) -> Result<Response, ApiError> {
    on_unit(&site, &serial, &asked, (&visitor, &form), &form.why, |unit, why| Act::Free { unit, why }).await
}

async fn power_cycle(
    State(site): State<Arc<Site>>,
    Path(serial): Path<String>,
    Query(asked): Query<Asked>,
    Extension(visitor): Extension<Visitor>,
    Form(form): Form<Sent>,
) -> Result<Response, ApiError> {
    on_unit(&site, &serial, &asked, (&visitor, &form), &form.why, |unit, why| Act::PowerCycle { unit, why }).await
}

async fn rework(
    State(site): State<Arc<Site>>,
    Path(serial): Path<String>,
    Query(asked): Query<Asked>,
    Extension(visitor): Extension<Visitor>,
    Form(form): Form<Sent>,
) -> Result<Response, ApiError> {
    let (language, path) = (asked.language(&site), format!("/units/{}", serial_of(&serial)?));
    let (Some(removed), Some(fitted)) = (named(&form.removed), named(&form.fitted)) else {
        return Ok(back(&path, language, Some(("no-serial", &format!("{} {}", form.removed, form.fitted)))));
    };
    let parts = Parts { removed, fitted };
    if let Some(other) = other_part(&site, &serial_of(&serial)?, &parts).await? {
        return Ok(back(&path, language, Some(("other-part", &other))));
    }
    let act = |unit, what| Act::Rework { unit, what, parts };
    on_unit(&site, &serial, &asked, (&visitor, &form), &form.what, act).await
}

/// The part that was taken out, if the last run named parts by serial number and it is none of them.
async fn other_part(site: &Arc<Site>, unit: &Serial, parts: &Parts) -> Result<Option<String>, ApiError> {
    let Some(removed) = &parts.removed else { return Ok(None) };
    let of = unit.clone();
    let runs = site.desk.look(move |floor, _| floor.state().units.get(&of).map(|unit| unit.runs.clone())).await?;
    let found = findings(site, &runs.unwrap_or_default()).await?.unwrap_or_default();
    let named: Vec<String> = found.findings.iter().filter_map(|finding| finding.serial.clone()).collect();
    let is_other = !named.is_empty() && !named.iter().any(|serial| serial == removed.as_str());
    Ok(is_other.then(|| format!("{removed} ≠ {}", named.join(", "))))
}

async fn decide(
    State(site): State<Arc<Site>>,
    Path(serial): Path<String>,
    Query(asked): Query<Asked>,
    Extension(visitor): Extension<Visitor>,
    Form(form): Form<Sent>,
) -> Result<Response, ApiError> {
    let disposition = match form.what.as_str() {
        "release" => Disposition::Released,
        "repair" => Disposition::Repair,
        "scrap" => Disposition::Scrapped,
        _ => return Ok(back(&format!("/units/{}", serial_of(&serial)?), asked.language(&site), Some(("empty", "")))),
    };
    let second = name(&form.second);
    let act = |unit, why| match (disposition, visitor.is_person()) {
        // The other person logs in and agrees; a name that is typed proves nobody.
        (Disposition::Released, true) => Act::AskRelease { unit, why },
        (_, true) => Act::Decide { unit, disposition, why, second: None },
        (_, false) => Act::Decide { unit, disposition, why, second },
    };
    on_unit(&site, &serial, &asked, (&visitor, &form), &form.why, act).await
}

/// The second of two persons agrees to a release.
async fn agree(
    State(site): State<Arc<Site>>,
    Path(serial): Path<String>,
    Query(asked): Query<Asked>,
    Extension(visitor): Extension<Visitor>,
) -> Result<Response, ApiError> {
    let (language, unit) = (asked.language(&site), serial_of(&serial)?);
    let path = format!("/units/{unit}");
    match visitor {
        Visitor::Person { name, .. } => {
            Ok(tell(&site, Input::Told { act: Act::AgreeRelease { unit }, by: name }, &path, language).await)
        }
        Visitor::Anyone | Visitor::Stranger => Ok(back(&path, language, Some(("name", "")))),
    }
}

/// What concerns no unit: agents, suspicions, starts, power.
async fn at_the_doors(
    State(site): State<Arc<Site>>,
    Path(act): Path<String>,
    Query(asked): Query<Asked>,
    Extension(visitor): Extension<Visitor>,
    Form(form): Form<Sent>,
) -> Response {
    let language = asked.language(&site);
    let told = |told: &str, what: &str| back("/doors", language, Some((told, what)));
    let Some(by) = visitor.name(&form.by) else { return told("name", "") };
    if let ("approve", Some(secure)) = (act.as_str(), &site.secure) {
        return match secure.approve(&form.of, &form.why) {
            Ok(act) => tell(&site, Input::Told { act, by }, "/doors", language).await,
            Err(NotApproved::WrongCode) => told("code", ""),
            Err(NotApproved::Gone) => told("gone", ""),
        };
    }
    let Some(why) = line(&form.why) else { return told("why", "") };
    let act = match act.as_str() {
        "agent" => form.of.parse().ok().map(|agent| Act::FreeAgent { agent }),
        "power" => form.of.parse().ok().map(|run| Act::PowerOff { run, why }),
        "scope" => serde_json::from_str::<Scope>(&form.of).ok().map(|scope| Act::FreeScope { scope, why }),
        "starts" => Some(Act::FreeStarts { why }),
        "rollout" => Some(Act::ResumeRollout { why }),
        "revoke" => form.of.parse().ok().map(|agent| Act::Revoke { agent, why }),
        "unlock" => {
            if let Some(secure) = &site.secure {
                secure.sessions.forgive(&form.of);
            }
            Some(Act::Unlock { name: form.of.clone() })
        }
        "cut" => limit(&form.limit).and_then(|limit| {
            let place = form.of.parse().ok()?;
            Some(Act::Cut { place, limit, why })
        }),
        _ => None,
    };
    match act {
        Some(act) => tell(&site, Input::Told { act, by }, "/doors", language).await,
        None => told("unread", &format!("{} {}", form.of, form.limit)),
    }
}

/// Kilowatts as typed; nothing for what the file says. None if it is no number.
#[expect(clippy::option_option, reason = "no number, nothing typed and a number are three answers")]
fn limit(text: &str) -> Option<Option<Watts>> {
    if text.trim().is_empty() {
        return Some(None);
    }
    let kilowatts: f64 = text.trim().parse().ok()?;
    (0.0..=1e9).contains(&kilowatts).then(|| Some(Watts((kilowatts * 1000.0).round() as u64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_kilowatts_or_left_to_the_file() {
        assert_eq!(limit(" 8.5 "), Some(Some(Watts(8500))));
        assert_eq!(limit("0"), Some(Some(Watts(0))));
        assert_eq!(limit(""), Some(None));
        for text in ["x", "-1", "NaN", "inf", "1e300", "1 kW"] {
            assert_eq!(limit(text), None, "{text}");
        }
    }
}
