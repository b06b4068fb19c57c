//! The last lines of a long verdict: the word, the parts and what to do once more, so that they stay on the screen.

use unicode_width::UnicodeWidthStr as _;

use super::explain;
use super::language::Language;
use super::phrase::Phrase;
use super::text::{Paint, Tone};
use super::words;
use kiln_event::{Finding, RunRecord};
use kiln_model::Component;

/// The smallest terminal people still work at: 80 columns, 24 lines, of which the last step lines and the prompt take some.
const COLUMNS: usize = 80;
const LINES: usize = 15;
/// Parts told once more; with two lines each and lines that wrap, these fit.
const PARTS: usize = 2;

/// Nothing where what is said already fits.
pub(super) fn ending(
    record: &RunRecord,
    said: &[String],
    banner: Option<&str>,
    heading: &str,
    paint: Paint,
    language: Language,
) -> Vec<String> {
    let height: usize = said.iter().map(String::as_str).chain(banner).map(height).sum();
    if height <= LINES {
        return Vec::new();
    }
    let mut lines = vec![heading.to_owned()];
    for finding in record.findings.iter().take(PARTS) {
        lines.extend(part(record, finding, paint, language));
    }
    let more = record.findings.len().saturating_sub(PARTS);
    if more > 0 {
        lines.push(format!("  {}", Phrase::MoreFindings.with(language, &[&more])));
    }
    lines
}

fn part(record: &RunRecord, finding: &Finding, paint: Paint, language: Language) -> [String; 2] {
    let action = words::action_phrase(finding.action).say(language);
    [
        format!("  {}  {}", paint.paint(Tone::Strong, &short_place(record, finding.component, language)), finding.code),
        format!("    {} {}", Phrase::LabelDo.say(language), paint.paint(Tone::Strong, action)),
    ]
}

/// Component, slot and serial: what is needed to find the part, without the address that only the host knows it by.
fn short_place(record: &RunRecord, component: Component, language: Language) -> String {
    let place = explain::place_in(language, record.inventory.as_deref(), component);
    place.split(", PCI ").next().unwrap_or_default().to_owned()
}

/// Rows of the terminal that a line takes.
fn height(line: &str) -> usize {
    let mut shown = String::new();
    let mut rest = line;
    // Colours take no room: from the escape sign to the letter that ends the sequence.
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        shown.push_str(before);
        rest = after.split_once('m').map_or("", |(_, after)| after);
    }
    shown.push_str(rest);
    shown.width().div_ceil(COLUMNS).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::verdict_block;
    use kiln_stories::endings;

    #[test]
    fn the_last_fifteen_lines_say_the_verdict_the_part_and_what_to_do_whatever_was_wrong() {
        for (name, story) in endings() {
            let mut record = story.record();
            // As many findings as a node can have, with every list as long as it gets.
            if let Some(finding) = record.findings.first().cloned() {
                record.findings.extend(std::iter::repeat_n(finding, 30));
            }
            for language in Language::ALL {
                let block = verdict_block(&record, Paint::Colour, language);
                let lines: Vec<&str> = block.lines().collect();
                let mut room = LINES;
                let mut last: Vec<&str> = Vec::new();
                for line in lines.iter().rev() {
                    let Some(left) = room.checked_sub(height(line)) else { break };
                    room = left;
                    last.push(line);
                }
                let last = last.join("\n");
                let verdict = crate::verdict::verdict_so_far(&record);
                assert!(last.contains(&words::verdict_in(language, &verdict)), "{name}: {block}");
                if let Some(finding) = record.findings.first() {
                    assert!(last.contains(&finding.code), "{name}: {block}");
                    assert!(last.contains(words::action_phrase(finding.action).say(language)), "{name}: {block}");
                }
            }
        }
    }

    #[test]
    fn colours_take_no_room_and_wide_letters_two_columns() {
        assert_eq!(height("\u{1b}[1mword\u{1b}[0m"), 1);
        assert_eq!(height(""), 1);
        assert_eq!(height(&"字".repeat(41)), 2);
    }
}
