//! The pages for people: the list of units, a scan field, and what a form asks for.

use std::sync::Arc;

use axum::extract::{Extension, Form, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use kiln_event::NodeSource;
use kiln_floor::{Floor, FloorState, Input, Rights, UnitState};
use kiln_report::Language;
use kiln_wire::Serial;
use serde::Deserialize;

use super::acts;
use super::api::{ApiError, failure};
use super::building;
use super::desk::AllHeard;
use super::doors;
use super::html::Html;
use super::metrics;
use super::people::{is_unseen, plain};
use super::phrase::Phrase;
use super::places::{self, Sign};
use super::rollout;
use super::scan::{ScanError, scanned};
use super::serve::Site;
use super::session;
use super::stream;
use super::unit_page;
use super::visitor::Visitor;

/// Nothing but the floor's own style and script; no frame, no other site's form.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";
/// The longest name of a person.
const NAME_MOST: usize = 40;

pub(crate) fn routes() -> axum::Router<Arc<Site>> {
    axum::Router::new()
        .route("/", get(list))
        .route("/scan", post(scan))
        .route("/units/{serial}", get(unit_page::unit))
        .merge(acts::routes())
        .merge(session::routes())
        .route("/doors", get(doors::doors))
        .route("/runs/{run}/report.html", get(unit_page::report))
        .route("/building", get(building::building))
        .route("/racks/{rack}", get(building::rack))
        .route("/events", get(stream::events))
        .route("/metrics", get(metrics::metrics))
        .route("/floor.css", get(|| async { asset("text/css", include_str!("web/floor.css")) }))
        .route("/scanner.js", get(|| async { asset("text/javascript", include_str!("web/scanner.js")) }))
        .route("/floor.js", get(|| async { asset("text/javascript", include_str!("web/floor.js")) }))
}

/// What stands in an address beside its path.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    lang: Option<String>,
    /// What became of the last form, by its name in `Told`.
    told: Option<String>,
    what: Option<String>,
}

impl Asked {
    pub(crate) fn language(&self, site: &Site) -> Language {
        match self.lang.as_deref() {
            Some("en") => Language::English,
            Some("ja") => Language::Japanese,
            _ => site.language,
        }
    }
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    let kind = format!("{kind}; charset=utf-8");
    ([(header::CONTENT_TYPE, kind.as_str()), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")], text).into_response()
}

/// A whole page around its main part.
pub(crate) fn page(
    site: &Site,
    language: Language,
    path: &str,
    told: Option<String>,
    visitor: &Visitor,
    main: impl FnOnce(&mut Html),
) -> Response {
    let say = |phrase: Phrase| phrase.say(language);
    let other = if language == Language::Japanese { "en" } else { "ja" };
    let mut html = Html::default();
    html.raw("<!doctype html><html lang=\"").text(language.code()).raw("\"><head><meta charset=\"utf-8\"><title>");
    html.text(say(Phrase::Title)).raw("</title><meta name=\"viewport\" content=\"width=device-width\">");
    html.raw("<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>");
    html.raw("<link rel=\"stylesheet\" href=\"/floor.css\">");
    // Nobody listens before logging in.
    if *visitor != Visitor::Stranger {
        html.raw("<script defer src=\"/floor.js\"></script>");
    }
    html.raw("<script defer src=\"/scanner.js\"></script></head><body>");
    // Before anything else on the page.
    html.raw("<div id=\"stale\" role=\"alert\" hidden>⚠ ").text(say(Phrase::Stale)).raw("</div>");
    html.raw("<div id=\"scanning\" role=\"status\" hidden>").text(say(Phrase::Scanning)).raw(" <b></b></div>");
    html.raw("<header><h1>");
    html.text(say(Phrase::Title)).raw("</h1><a href=\"").text(path).raw("?lang=").text(other).raw("\">");
    html.text(say(Phrase::OtherLanguage)).raw("</a><a href=\"/doors?lang=").text(language.code()).raw("\">");
    html.text(say(Phrase::Doors)).raw("</a><a href=\"/building?lang=").text(language.code()).raw("\">");
    html.text(say(Phrase::Building)).raw("</a>");
    if let Visitor::Person { name, .. } = visitor {
        html.raw("<form class=\"who\" method=\"post\" action=\"/logout\">").text(name);
        who(&mut html, visitor, language);
        html.raw("<button>").text(say(Phrase::LogOut)).raw("</button></form>");
    }
    html.raw("</header>");
    if visitor.may(Rights::Operator) {
        scan_form(&mut html, visitor, language);
    }
    if let Some(why) = site.desk.away() {
        html.raw("<p class=\"told\" role=\"alert\">⚠ ").text(say(Phrase::StoreAway)).raw(" ").text(why).raw("</p>");
    }
    // Shown and taken away by the page's script as well: a screen on the wall is not asked for anew.
    let warning = site.board.borrow().board.warning(language);
    html.raw("<p id=\"trouble\" class=\"told\" role=\"alert\"").raw(if warning.is_some() { ">" } else { " hidden>" });
    html.text(warning.unwrap_or_default()).raw("</p>");
    if let Some(told) = told {
        html.raw("<p class=\"told\" role=\"alert\">").text(told).raw("</p>");
    }
    html.raw("<main>");
    main(&mut html);
    html.raw("</main></body></html>");
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
    ];
    (headers, html.finish()).into_response()
}

fn scan_form(html: &mut Html, visitor: &Visitor, language: Language) {
    let say = |phrase: Phrase| phrase.say(language);
    html.raw("<form class=\"scan\" method=\"post\" action=\"/scan?lang=").text(language.code()).raw("\"><label>");
    html.text(say(Phrase::ScanLabel))
        .raw("<input name=\"serial\" required maxlength=\"200\" autofocus data-scan=\"send\" ");
    html.raw("autocomplete=\"off\" spellcheck=\"false\"></label>");
    who(html, visitor, language);
    for (name, phrase) in [("slot", Phrase::SlotLabel), ("lot", Phrase::LotLabel)] {
        html.raw("<label>").text(say(phrase)).raw("<input name=\"").text(name);
        html.raw(
            "\" class=\"short\" maxlength=\"80\" data-scan=\"keep\" autocomplete=\"off\" spellcheck=\"false\"></label>",
        );
    }
    html.raw("<button>").text(say(Phrase::ScanButton)).raw("</button></form>");
}

/// In a form, who sends it: a name that is typed, or the secret of the session.
pub(crate) fn who(html: &mut Html, visitor: &Visitor, language: Language) {
    match visitor {
        Visitor::Person { token, .. } => {
            html.raw("<input type=\"hidden\" name=\"token\" value=\"").text(token).raw("\">")
        }
        Visitor::Anyone | Visitor::Stranger => {
            html.raw("<label>").text(Phrase::NameLabel.say(language));
            html.raw("<input name=\"by\" required maxlength=\"40\"></label>")
        }
    };
}

/// A unit as the list shows it.
struct Row {
    serial: Serial,
    sign: Sign,
    verdict: Option<Sign>,
    simulated: bool,
    codes: Vec<String>,
    agent: String,
    runs: usize,
}

/// Whether a result is of anything but hardware; what does not say is not taken for it.
pub(crate) fn simulated(source: Option<&NodeSource>) -> bool {
    !source.is_some_and(NodeSource::is_hardware)
}

fn row((serial, unit): (&Serial, &UnitState), heard: &AllHeard) -> Row {
    let last = unit.runs.last().map(|outcome| &outcome.facts);
    Row {
        serial: serial.clone(),
        sign: places::place(unit, heard),
        verdict: last.map(|facts| places::verdict(facts.verdict)),
        simulated: last.is_some_and(|facts| simulated(facts.source.as_ref())),
        codes: last.map(|facts| facts.codes.clone()).unwrap_or_default(),
        agent: unit.agent.as_ref().map(ToString::to_string).unwrap_or_default(),
        runs: unit.runs.len(),
    }
}

/// What of the floor itself waits for a person.
fn held(state: &FloorState, language: Language) -> Vec<String> {
    let agents = state.agents.iter().filter_map(|(id, agent)| Some((id, agent.held.as_ref()?)));
    let agents = agents.map(|(id, why)| format!("{id}: {}", places::why(why, language)));
    let scopes = state
        .suspects
        .iter()
        .map(|(scope, code)| format!("{}: {} ({code})", Phrase::Suspect.say(language), places::scope(scope, language)));
    let stopped = state.stopped.map(|_| Phrase::WaitStopped.say(language).to_owned());
    stopped.into_iter().chain(scopes).chain(agents).collect()
}

async fn list(
    State(site): State<Arc<Site>>,
    Query(asked): Query<Asked>,
    Extension(visitor): Extension<Visitor>,
) -> Result<Response, ApiError> {
    let language = asked.language(&site);
    let look = move |floor: &Floor, heard: &AllHeard| {
        let state = floor.state();
        let mut rows: Vec<Row> = state.units.iter().map(|unit| row(unit, heard)).collect();
        rows.sort_by_key(|row| row.sign.urgency);
        let mut held = held(state, language);
        held.extend(rollout::stopped(floor, language));
        (rows, held)
    };
    let (rows, held) = site.desk.look(look).await?;
    Ok(page(&site, language, "/", told(&asked, language), &visitor, |html| table(html, &rows, &held, language)))
}

pub(crate) fn word(html: &mut Html, sign: Sign, language: Language) {
    html.raw("<span class=\"word ").text(sign.class).raw("\">").text(sign.word.say(language)).raw(" ");
    html.text(sign.glyph).raw("</span>");
}

fn table(html: &mut Html, rows: &[Row], held: &[String], language: Language) {
    let say = |phrase: Phrase| phrase.say(language);
    if !held.is_empty() {
        html.raw("<p class=\"told\"><a href=\"/doors?lang=").text(language.code()).raw("\">");
        html.text(say(Phrase::NeedsYou)).raw("</a>: ").text(held.join("; ")).raw("</p>");
    }
    if rows.is_empty() {
        html.raw("<p>").text(say(Phrase::NoUnits)).raw("</p>");
        return;
    }
    html.raw("<table><thead><tr>");
    for head in [Phrase::Unit, Phrase::State, Phrase::LastVerdict, Phrase::Codes, Phrase::Runs, Phrase::Agent] {
        html.raw("<th scope=\"col\">").text(say(head)).raw("</th>");
    }
    html.raw("</tr></thead><tbody>");
    for row in rows {
        html.raw("<tr><td><a href=\"/units/").text(&row.serial).raw("?lang=").text(language.code()).raw("\">");
        html.text(&row.serial).raw("</a></td><td>");
        word(html, row.sign, language);
        html.raw("</td><td>");
        match row.verdict {
            Some(sign) => word(html, sign, language),
            None => drop(html.text(say(Phrase::None))),
        }
        if row.simulated {
            html.raw(" <span class=\"sim\">").text(say(Phrase::Simulated)).raw("</span>");
        }
        html.raw("</td><td>").text(row.codes.join(", ")).raw("</td><td>").text(row.runs);
        html.raw("</td><td class=\"small\">").text(&row.agent).raw("</td></tr>");
    }
    html.raw("</tbody></table>");
}

/// What the last form is answered with. Its words are the page's; only what was typed is carried.
pub(crate) fn told(asked: &Asked, language: Language) -> Option<String> {
    let phrase = match asked.told.as_deref()? {
        "empty" => Phrase::ScanEmpty,
        "no-serial" => Phrase::ScanNoSerial,
        "placeholder" => Phrase::ScanPlaceholder,
        "name" => Phrase::NameBad,
        "slot" => Phrase::SlotBad,
        "why" => Phrase::WhyBad,
        "unread" => Phrase::Unread,
        "refused" => Phrase::Refused,
        "login" => Phrase::LogInBad,
        "locked" => Phrase::LockedOut,
        "code" => Phrase::CodeBad,
        "gone" => Phrase::MachineGone,
        "other-part" => Phrase::OtherPart,
        _ => return None,
    };
    let what: String = asked.what.as_deref().unwrap_or_default().chars().take(200).collect();
    Some(format!("{}{what}", phrase.say(language)))
}

#[derive(Debug, Deserialize)]
struct Scan {
    serial: String,
    #[serde(default)]
    by: String,
    #[serde(default)]
    slot: String,
    #[serde(default)]
    lot: String,
}

/// A person's name, as it is kept with what they did. Wide letters are plain ones, and no name differs from another by what
/// nobody sees: who is asked for a second person cannot be that person in other letters.
pub(crate) fn name(by: &str) -> Option<String> {
    let by = plain(by);
    let fits = !by.is_empty() && by.chars().count() <= NAME_MOST && !by.chars().any(is_unseen);
    fits.then_some(by)
}

/// Back to a page, with what became of the form.
pub(crate) fn back(path: &str, language: Language, told: Option<(&str, &str)>) -> Response {
    let mut to = format!("{path}?lang={}", language.code());
    if let Some((told, what)) = told {
        let plain = |byte: u8| byte.is_ascii_alphanumeric();
        let escaped =
            what.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
        to = format!("{to}&told={told}&what={}", escaped.collect::<String>());
    }
    Redirect::to(&to).into_response()
}

async fn scan(
    State(site): State<Arc<Site>>,
    Query(asked): Query<Asked>,
    Extension(visitor): Extension<Visitor>,
    Form(form): Form<Scan>,
) -> Response {
    let language = asked.language(&site);
    let Some(by) = visitor.name(&form.by) else { return back("/", language, Some(("name", ""))) };
    let unit = match scanned(&form.serial) {
        Ok(unit) => unit,
        Err(ScanError::Empty) => return back("/", language, Some(("empty", ""))),
        Err(ScanError::NoSerial(shown)) => return back("/", language, Some(("no-serial", &shown))),
        Err(ScanError::Placeholder(shown)) => return back("/", language, Some(("placeholder", &shown))),
    };
    let path = format!("/units/{unit}");
    let (Some(slot), Some(lot)) = (named(&form.slot), named(&form.lot)) else {
        return back("/", language, Some(("slot", &format!("{} {}", form.slot, form.lot))));
    };
    tell(&site, Input::Scanned { unit, at: None, slot, lot, by }, &path, language).await
}

/// A slot or a lot, read as a scan is; nothing if the field was left empty, and None if it is no name.
#[expect(clippy::option_option, reason = "no name, nothing typed and a name are three answers")]
pub(crate) fn named<T: std::str::FromStr>(text: &str) -> Option<Option<T>> {
    match scanned(text) {
        Err(ScanError::Empty) => Some(None),
        Ok(name) => name.as_str().parse().ok().map(Some),
        Err(_) => None,
    }
}

pub(crate) async fn tell(site: &Site, input: Input, path: &str, language: Language) -> Response {
    match site.desk.tell(input).await {
        Ok(_) => back(path, language, None),
        Err(error) => back(path, language, Some(("refused", &error.to_string()))),
    }
}

pub(crate) fn serial_of(text: &str) -> Result<Serial, ApiError> {
    text.parse().map_err(|error| ApiError(failure(StatusCode::BAD_REQUEST, error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_person_has_one_name_however_it_is_typed() {
        for typed in ["sato", " sato ", "ｓａｔｏ", "\u{3000}ｓａｔｏ\u{3000}"] {
            assert_eq!(name(typed).as_deref(), Some("sato"), "{typed:?}");
        }
        assert_eq!(name("佐藤\u{3000}花子").as_deref(), name("佐藤  花子").as_deref());
        for typed in [
            "",
            "  ",
            "sa\u{200b}to",
            "sa\u{ad}to",
            "sato\u{feff}",
            "\u{202e}otas",
            "sa\u{2060}to",
            "sa\u{7}to",
            "sato\u{3164}",
            "sato\u{fe0f}",
            "sato\u{2800}",
            "sato\u{e0001}",
        ] {
            assert_eq!(name(typed), None, "{typed:?}");
        }
        assert_eq!(name(&"x".repeat(NAME_MOST + 1)), None);
    }
}
