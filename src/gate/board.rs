//! What the building shows: a tile for every slot, computed once for all who look, and told on as changes.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kiln_event::VerdictWord;
use kiln_floor::{Cycling, Disposition, Floor, Stage};
use kiln_report::Language;
use tokio::sync::watch;

use super::desk::{AllHeard, now};
use super::phrase::Phrase;
use super::places::{self, Sign};
use super::serve::Site;

/// At most four times a second: more is flicker, and costs the browsers.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Silence is no event: after so many looks the tiles are made again though nothing happened.
const AGAIN_AFTER: u32 = 4;

/// One slot, or one unit where the floor has no slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tile {
    pub(crate) class: &'static str,
    pub(crate) glyph: &'static str,
    pub(crate) word: Phrase,
    /// The unit that is there.
    pub(crate) serial: Option<String>,
}

/// Sums over all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Sums {
    pub(crate) units: usize,
    pub(crate) running: usize,
    pub(crate) waiting: usize,
    pub(crate) needing_hands: usize,
    /// Nodes that hang, of which a person decides whether they are power-cycled. Golden units are among them.
    pub(crate) cycles_asked: usize,
    pub(crate) granted_watts: u64,
    /// Units that passed their whole route at the first try, of all that were decided. Golden units are outside of it.
    pub(crate) first_pass: usize,
    pub(crate) decided: usize,
}

/// The building at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Board {
    pub(crate) revision: u64,
    pub(crate) tiles: BTreeMap<String, Tile>,
    pub(crate) sums: Sums,
    /// Why what agents hand over cannot be kept.
    pub(crate) trouble: Option<String>,
}

impl Tile {
    /// A slot without a unit.
    pub(crate) const fn empty() -> Self {
        Self { class: "empty", glyph: "–", word: Phrase::Empty, serial: None }
    }
}

impl From<(Sign, &str)> for Tile {
    fn from((sign, serial): (Sign, &str)) -> Self {
        Self { class: sign.class, glyph: sign.glyph, word: sign.word, serial: Some(serial.to_owned()) }
    }
}

impl Board {
    pub(crate) fn of(floor: &Floor, heard: &AllHeard, revision: u64) -> Self {
        let (state, site) = (floor.state(), &floor.policy().site);
        let mut tiles: BTreeMap<String, Tile> =
            site.slots().map(|(slot, _)| (slot.to_string(), Tile::empty())).collect();
        let mut sums = Sums::default();
        for (serial, unit) in &state.units {
            let sign = places::place(unit, heard);
            let tile = Tile::from((sign, serial.as_str()));
            match &unit.slot {
                Some(slot) => drop(tiles.insert(slot.to_string(), tile)),
                None if site.is_empty() => drop(tiles.insert(serial.to_string(), tile)),
                None => {}
            }
            sums.cycles_asked += usize::from(floor.cycling(serial) == Some(Cycling::Asked));
            if floor.policy().golden.contains(serial) {
                continue;
            }
            sums.units += 1;
            sums.running += usize::from(matches!(unit.stage, Stage::Assigned(_)));
            sums.waiting += usize::from(unit.stage == Stage::Ready);
            sums.needing_hands += usize::from(sign.urgency <= 2);
            let bad = |outcome: &kiln_floor::RunOutcome| outcome.facts.verdict != VerdictWord::Pass;
            if matches!(unit.stage, Stage::Disposed(_) | Stage::Held(_)) {
                sums.decided += 1;
                let released = unit.stage == Stage::Disposed(Disposition::Released);
                sums.first_pass += usize::from(released && !unit.runs.iter().any(bad));
            }
        }
        sums.granted_watts = state.grants.values().map(|grant| grant.watts.0).sum();
        Self { revision, tiles, sums, trouble: None }
    }

    /// What every page says of the floor's disk, if that takes nothing.
    pub(crate) fn warning(&self, language: Language) -> Option<String> {
        self.trouble.as_ref().map(|why| format!("⚠ {} {why}", Phrase::DiskTrouble.say(language)))
    }

    /// What a page has to draw anew that was drawn from another board; all of it without one. `age` is how long ago the
    /// floor was seen to be so.
    pub(crate) fn since(&self, before: Option<&Self>, language: Language, tiles: bool, age: Duration) -> String {
        let same = |id: &String, tile: &Tile| before.is_some_and(|before| before.tiles.get(id) == Some(tile));
        let changed: Vec<_> = self
            .tiles
            .iter()
            .filter(|(id, tile)| tiles && !same(id, tile))
            .map(|(id, tile)| (id, tile.class, tile.glyph, tile.word.say(language), &tile.serial))
            .collect();
        let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let (sums, warning) = (self.sums.say(language), self.warning(language));
        serde_json::json!({ "r": self.revision, "t": changed, "s": sums, "w": warning, "a": age }).to_string()
    }
}

impl Sums {
    pub(crate) fn say(&self, language: Language) -> String {
        let percent = |part: usize, of: usize| {
            if of == 0 {
                Phrase::None.say(language).to_owned()
            } else {
                format!("{:.1} %", part as f64 * 100.0 / of as f64)
            }
        };
        let parts = [
            (Phrase::Running, self.running.to_string()),
            (Phrase::Ready, self.waiting.to_string()),
            (Phrase::NeedsYou, self.needing_hands.to_string()),
            (Phrase::Power, format!("{:.1} kW", self.granted_watts as f64 / 1000.0)),
            (Phrase::FirstPass, percent(self.first_pass, self.decided)),
        ];
        // What asks for a decision stands beside what needs hands, where there is any.
        let asked = (self.cycles_asked > 0).then(|| (Phrase::CyclesWanted, self.cycles_asked.to_string()));
        let mut parts = parts.to_vec();
        parts.splice(3..3, asked);
        let said: Vec<String> =
            parts.iter().map(|(phrase, value)| format!("{} {value}", phrase.say(language))).collect();
        said.join("　")
    }
}

/// The board with when the floor was last seen to be so.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    pub(crate) board: Arc<Board>,
    /// None before the first look.
    pub(crate) looked: Option<Instant>,
}

/// Keeps the board up to date as long as the floor is served.
pub(crate) async fn keep(site: Arc<Site>, board: watch::Sender<Shown>) {
    let mut looks = 0;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        looks += 1;
        let revision = site.desk.revision();
        let before = Arc::clone(&board.borrow().board);
        // What cannot be known to be so any more is not told as if it were: pages say that they are old.
        if site.desk.away().is_some() || revision == before.revision && looks < AGAIN_AFTER {
            continue;
        }
        looks = 0;
        let Ok(mut fresh) = site.desk.look(move |floor, heard| Board::of(floor, heard, revision)).await else { return };
        fresh.trouble = site.copies.trouble();
        board.send_if_modified(|shown| {
            let is_news = shown.looked.replace(now()).is_none() || fresh != *shown.board;
            if is_news {
                shown.board = Arc::new(fresh);
            }
            is_news
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(revision: u64, glyphs: &[(&str, &'static str)]) -> Board {
        let tile = |glyph| Tile { class: "wait", glyph, word: Phrase::Running, serial: Some("SRV1".to_owned()) };
        let tiles = glyphs.iter().map(|(id, glyph)| ((*id).to_owned(), tile(glyph))).collect();
        Board { revision, tiles, ..Board::default() }
    }

    #[test]
    fn only_tiles_that_changed_are_told_and_all_of_them_at_first() {
        let (before, after) = (board(1, &[("a", "▶"), ("b", "▶")]), board(2, &[("a", "▶"), ("b", "○")]));
        let told = |before: Option<&Board>, tiles| -> serde_json::Value {
            serde_json::from_str(&after.since(before, Language::English, tiles, Duration::ZERO)).expect("JSON")
        };
        let changes = told(Some(&before), true);
        assert_eq!(changes["t"], serde_json::json!([["b", "wait", "○", "Testing", "SRV1"]]));
        assert_eq!(changes["r"], 2);
        assert_eq!(told(None, true)["t"].as_array().map(Vec::len), Some(2));
        assert_eq!(told(None, false)["t"].as_array().map(Vec::len), Some(0), "a page without tiles gets none");
    }
}
