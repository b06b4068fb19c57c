//! The building on one screen, and one rack of it.

use std::sync::Arc;

use axum::extract::{Extension, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use kiln_floor::{Floor, Stage};
use kiln_report::Language;

use super::api::ApiError;
use super::board::{Board, Tile};
use super::desk::AllHeard;
use super::html::Html;
use super::pages::{Asked, page, told, word};
use super::phrase::Phrase;
use super::places::{self, Sign};
use super::serve::Site;
use super::visitor::Visitor;

/// So many racks fill a screen when they are shown large.
const FEW: usize = 12;

/// Racks with their slots, as the file has them; without racks, all units under no name.
fn racks(floor: &Floor, board: &Board) -> Vec<(String, Vec<String>)> {
    let site = &floor.policy().site;
    if site.is_empty() {
        return vec![(String::new(), board.tiles.keys().cloned().collect())];
    }
    let rack = |rack: &kiln_floor::Rack| {
        let slots = rack.slots.iter().map(ToString::to_string).collect();
        (site.places()[rack.place].id.to_string(), slots)
    };
    site.racks().iter().map(rack).collect()
}

pub(crate) async fn building(
    State(site): State<Arc<Site>>,
    Query(asked): Query<Asked>,
    Extension(visitor): Extension<Visitor>,
) -> Result<Response, ApiError> {
    let language = asked.language(&site);
    let board = Arc::clone(&site.board.borrow().board);
    let of = Arc::clone(&board);
    let racks = site.desk.look(move |floor, _| racks(floor, &of)).await?;
    Ok(page(&site, language, "/building", told(&asked, language), &visitor, |html| {
        show(html, &racks, &board, language);
    }))
}

fn show(html: &mut Html, racks: &[(String, Vec<String>)], board: &Board, language: Language) {
    let say = |phrase: Phrase| phrase.say(language);
    html.raw("<p><a href=\"/?lang=").text(language.code()).raw("\">← ").text(say(Phrase::Back)).raw("</a></p>");
    html.raw("<p id=\"sums\" role=\"status\">").text(board.sums.say(language)).raw("</p><div id=\"building\"");
    // Few racks are shown large; a whole hall has to fit on one screen.
    html.raw(if racks.len() <= FEW { " class=\"few\">" } else { ">" });
    for (rack, slots) in racks {
        html.raw("<section><h3>");
        if rack.is_empty() {
            html.text(say(Phrase::Unit));
        } else {
            html.raw("<a href=\"/racks/")
                .text(rack)
                .raw("?lang=")
                .text(language.code())
                .raw("\">")
                .text(rack)
                .raw("</a>");
        }
        html.raw("</h3>");
        for slot in slots {
            if let Some(tile) = board.tiles.get(slot) {
                one(html, slot, tile, language);
            }
        }
        html.raw("</section>");
    }
    html.raw("</div>");
}

/// A tile says by its glyph and its colour the same, and in words to who asks.
fn one(html: &mut Html, slot: &str, tile: &Tile, language: Language) {
    let serial = tile.serial.as_deref().unwrap_or_default();
    let words = format!("{slot} {serial} {}", tile.word.say(language));
    html.raw("<a class=\"tile ").text(tile.class).raw("\" id=\"t-").text(slot).raw("\" title=\"").text(&words);
    html.raw("\" aria-label=\"").text(&words).raw("\"");
    if let Some(serial) = &tile.serial {
        html.raw(" href=\"/units/").text(serial).raw("?lang=").text(language.code()).raw("\"");
    }
    html.raw(">").text(tile.glyph).raw("</a>");
}

/// A slot of a rack.
struct Row {
    slot: String,
    unit: Option<(String, Sign, Option<String>)>,
}

fn rows(floor: &Floor, heard: &AllHeard, rack: &str, language: Language) -> Option<Vec<Row>> {
    let site = &floor.policy().site;
    let rack = site.racks().iter().find(|known| site.places()[known.place].id.as_str() == rack)?;
    let row = |slot: &kiln_wire::SlotId| {
        let unit = floor.state().unit_in(slot).map(|(serial, unit)| {
            let waits = floor.waits().get(serial).filter(|_| unit.stage == Stage::Ready);
            let waits = waits.map(|wait| places::wait(wait, language));
            let held = match &unit.stage {
                Stage::Held(why) => Some(places::why_unit(unit, why, language)),
                _ => None,
            };
            let cycling = floor.cycling(serial).map(|cycling| places::cycling(cycling, language));
            (serial.to_string(), places::place(unit, heard), held.or(cycling).or(waits))
        });
        Row { slot: slot.to_string(), unit }
    };
    // As they stand in the rack: the lowest slot at the bottom.
    Some(rack.slots.iter().rev().map(row).collect())
}

pub(crate) async fn rack(
    State(site): State<Arc<Site>>,
    Path(rack): Path<String>,
    Query(asked): Query<Asked>,
    Extension(visitor): Extension<Visitor>,
) -> Result<Response, ApiError> {
    let language = asked.language(&site);
    let of = rack.clone();
    let found = site.desk.look(move |floor, heard| rows(floor, heard, &of, language)).await?;
    let Some(rows) = found else {
        let shown = page(&site, language, "/building", None, &visitor, |html| {
            html.raw("<p>").text(Phrase::NotThere.say(language)).raw("</p>");
        });
        return Ok((StatusCode::NOT_FOUND, shown).into_response());
    };
    // The name was found among the floor's own: it is safe in an address.
    let path = format!("/racks/{rack}");
    Ok(page(&site, language, &path, told(&asked, language), &visitor, |html| {
        html.raw("<p><a href=\"/building?lang=").text(language.code()).raw("\">← ");
        html.text(Phrase::Building.say(language)).raw("</a></p><h2>").text(Phrase::Rack.say(language)).raw(" ");
        html.text(&rack).raw("</h2><table><tbody>");
        for Row { slot, unit } in &rows {
            html.raw("<tr><th scope=\"row\">").text(slot).raw("</th><td>");
            if let Some((serial, sign, why)) = unit {
                html.raw("<a href=\"/units/").text(serial).raw("?lang=").text(language.code()).raw("\">").text(serial);
                html.raw("</a></td><td>");
                word(html, *sign, language);
                html.raw("</td><td>").text(why.as_deref().unwrap_or_default()).raw("</td></tr>");
            } else {
                html.text(Phrase::Empty.say(language)).raw("</td><td></td><td></td></tr>");
            }
        }
        html.raw("</tbody></table>");
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_says_by_a_sign_and_in_words_what_its_colour_says() {
        let units = places::signs().into_iter().map(|sign| Tile::from((sign, "SRV1")));
        for tile in units.chain([Tile::empty()]) {
            for language in [Language::Japanese, Language::English] {
                let mut html = Html::default();
                one(&mut html, "r01-01", &tile, language);
                let html = html.finish();
                let word = tile.word.say(language);
                assert!(!tile.glyph.trim().is_empty() && html.contains(&format!(">{}</a>", tile.glyph)), "{html}");
                for attribute in ["title", "aria-label"] {
                    let said = html.split(&format!("{attribute}=\"")).nth(1).and_then(|rest| rest.split('"').next());
                    assert!(said.is_some_and(|said| said.starts_with("r01-01") && said.ends_with(word)), "{html}");
                }
            }
        }
    }
}
