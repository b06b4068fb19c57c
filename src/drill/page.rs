//! A drill as one HTML page that needs nothing else: the matrix as a picture, and all that stands behind it as tables.

use std::fmt::Write as _;

use super::document::Drill;
use super::matrix::{Cell, Row};
use super::text::{alarm_words, coverage_words, healthy_line, in_matrix, must_words, named, parts_list, shown};
use super::text_shortening::shortening_text;

/// Colours by class, for light and dark. Counts stand in every cell, so that colour says nothing alone.
const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#5b6470;--paper:#fff;--line:#d5dae1;\
--right:#2e8b57;--ambiguous:#5f8f3e;--wrong:#d9822b;--held:#8f7a1f;--escaped:#c23b3b;--on:#fff}\
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ee;--dim:#9aa4b1;--paper:#14171b;--line:#343b45;\
--right:#2f7d52;--ambiguous:#6f9650;--wrong:#b96a1e;--held:#94832f;--escaped:#a83a3a}}\
body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:2rem auto;max-width:75rem;padding:0 1rem}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}.dim{color:var(--dim)}.partial{border:2px solid var(--wrong);padding:.5rem 1rem}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.2rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}\
pre{overflow-x:auto;font-size:13px}.scroll{overflow-x:auto}svg text{font:12px system-ui,sans-serif;fill:var(--ink)}\
svg .count{fill:var(--on);font-weight:600}.right{fill:var(--right)}.ambiguous{fill:var(--ambiguous)}.wrong{fill:var(--wrong)}\
.held{fill:var(--held)}.escaped{fill:var(--escaped)}.none{fill:none;stroke:var(--line)}";

/// The whole page.
pub fn page(drill: &Drill) -> String {
    let title = escaped(&format!("Drill of {} revision {}", drill.profile, drill.revision));
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>{title}</h1>\n"
    );
    let _ = writeln!(
        text,
        "<p>SIMULATED nodes: {}. {}. {} seeds from {} on for each fault and severity. {}. <span class=\"dim\">{} {}</span></p>",
        escaped(&drill.nodes.join(", ")),
        escaped(&coverage_words(&drill.coverage)),
        drill.seeds,
        drill.first_seed,
        parts_list(drill),
        escaped(&drill.tool),
        escaped(&drill.profile_digest)
    );
    if let Some(curve) = &drill.curve {
        let _ = writeln!(text, "<p><b>{}</b>; {}.</p>", escaped(&curve.words()), escaped(&alarm_words(drill)));
    }
    if let Some(must) = &drill.must {
        let _ = writeln!(text, "<p>{}.</p>", escaped(&must_words(must)));
    }
    if drill.partial {
        let _ = writeln!(
            text,
            "<p class=\"partial\">PARTIAL: interrupted after {} of {} runs.</p>",
            drill.runs_done, drill.runs_planned
        );
    }
    text.push_str("<h2>Matrix</h2>\n");
    text.push_str(&picture(drill));
    text.push_str(&details(drill));
    text.push_str(&healthy(drill));
    text.push_str(&left_out(drill));
    if let Some(shortening) = &drill.shortening {
        let _ = writeln!(text, "<h2>Shorter</h2>\n<pre>{}</pre>", escaped(shortening_text(shortening).trim()));
    }
    text.push_str("</body>\n</html>\n");
    text
}

const NAME_WIDTH: usize = 260;
const CELL_WIDTH: usize = 150;
const CELL_HEIGHT: usize = 22;
const GAP: usize = 4;

/// Every cell a bar, its runs shared out by what became of them.
fn picture(drill: &Drill) -> String {
    let width = NAME_WIDTH + drill.severities.len() * (CELL_WIDTH + GAP);
    let height = (drill.rows.len() + 1) * (CELL_HEIGHT + GAP);
    let mut svg = format!(
        "<div class=\"scroll\"><svg role=\"img\" aria-label=\"fault by severity\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\">\n"
    );
    for (column, factor) in drill.severities.iter().enumerate() {
        let x = NAME_WIDTH + column * (CELL_WIDTH + GAP);
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"15\">severity x{factor}</text>");
    }
    for (line, row) in drill.rows.iter().enumerate() {
        let y = (line + 1) * (CELL_HEIGHT + GAP);
        let _ = writeln!(svg, "<text x=\"0\" y=\"{}\">{}</text>", y + 15, escaped(&named(drill, row)));
        for (column, cell) in row.cells.iter().enumerate() {
            bar(&mut svg, NAME_WIDTH + column * (CELL_WIDTH + GAP), y, row, cell.as_ref());
        }
    }
    svg.push_str("</svg></div>\n<p>");
    for (class, word) in [
        ("right", "caught, the part named"),
        ("ambiguous", "caught, the part among several"),
        ("wrong", "caught, the wrong part"),
        ("held", "not passed, nothing proven"),
        ("escaped", "escaped"),
    ] {
        let _ = write!(
            svg,
            "<svg width=\"12\" height=\"12\"><rect class=\"{class}\" width=\"12\" height=\"12\"/></svg> {word} &nbsp; "
        );
    }
    svg.push_str("</p>\n");
    svg
}

fn bar(svg: &mut String, x: usize, y: usize, row: &Row, cell: Option<&Cell>) {
    let Some(cell) = cell else {
        let _ =
            writeln!(svg, "<rect class=\"none\" x=\"{x}\" y=\"{y}\" width=\"{CELL_WIDTH}\" height=\"{CELL_HEIGHT}\"/>");
        return;
    };
    let by: Vec<&str> = cell.by.iter().map(|word| word.what.as_str()).collect();
    let tip = escaped(&format!("{} at severity {}: {}; {}", row.fault, cell.severity, in_matrix(cell), by.join(", ")));
    let _ = write!(svg, "<g><title>{tip}</title>");
    let parts = [
        ("right", cell.named_right),
        ("ambiguous", cell.named_ambiguous),
        ("wrong", cell.named_wrong),
        ("held", cell.held),
        ("escaped", cell.escaped),
    ];
    let mut before = 0;
    for (class, count) in parts.into_iter().filter(|(_, count)| *count > 0) {
        let from = CELL_WIDTH * before / cell.tried;
        before += count;
        let to = CELL_WIDTH * before / cell.tried;
        let (left, width) = (x + from, to - from);
        let _ =
            write!(svg, "<rect class=\"{class}\" x=\"{left}\" y=\"{y}\" width=\"{width}\" height=\"{CELL_HEIGHT}\"/>");
    }
    let _ = writeln!(svg, "<text class=\"count\" x=\"{}\" y=\"{}\">{}</text></g>", x + 6, y + 15, in_matrix(cell));
}

fn details(drill: &Drill) -> String {
    let mut text = String::from(
        "<h2>What caught it</h2>\n<div class=\"scroll\"><table>\n<tr><th>fault</th><th>severity</th><th>caught</th><th>by</th>\
         <th>step</th><th>median</th><th>worst</th><th>not well</th></tr>\n",
    );
    for row in &drill.rows {
        for (factor, cell) in drill.severities.iter().zip(&row.cells) {
            let Some(cell) = cell else { continue };
            let words = |words: &[super::matrix::Counted]| {
                let all: Vec<String> = words.iter().map(|word| format!("{} ({})", word.what, word.times)).collect();
                escaped(&all.join(", "))
            };
            let time = |seconds: Option<f64>| seconds.map_or_else(|| "-".to_owned(), shown);
            let misses: Vec<String> = cell
                .misses
                .iter()
                .map(|miss| format!("seed {} on {}: {}", miss.seed, miss.component, miss.text))
                .collect();
            let _ = writeln!(
                text,
                "<tr><td>{}</td><td>x{factor}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                escaped(&named(drill, row)),
                in_matrix(cell),
                words(&cell.by),
                words(&cell.steps),
                time(cell.median_s),
                time(cell.worst_s),
                escaped(&misses.join("; "))
            );
        }
    }
    text.push_str("</table></div>\n");
    text
}

fn healthy(drill: &Drill) -> String {
    let mut text = String::from("<h2>Healthy nodes</h2>\n<ul>\n");
    for healthy in drill.healthy.iter().filter(|healthy| healthy.tried > 0) {
        let _ = writeln!(text, "<li>{}</li>", escaped(&healthy_line(healthy)));
        for alarm in &healthy.alarms {
            let line = format!("seed {}: {} {}", alarm.seed, alarm.verdict.shown(), alarm.why);
            let _ = writeln!(text, "<li class=\"dim\">{}</li>", escaped(&line));
        }
    }
    text.push_str("</ul>\n");
    text
}

fn left_out(drill: &Drill) -> String {
    if drill.left_out.is_empty() {
        return String::new();
    }
    let mut text = String::from("<h2>Left out</h2>\n<ul>\n");
    for left_out in &drill.left_out {
        let _ = writeln!(text, "<li>{}: {}</li>", escaped(&left_out.fault), escaped(&left_out.why));
    }
    text.push_str("</ul>\n");
    text
}

/// Text as HTML content or attribute value.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::tests::swept;

    #[test]
    fn texts_are_escaped_and_nothing_is_fetched() {
        let mut drill = swept();
        drill.profile = "<script>alert('\"')</script>".to_owned();
        drill.rows[0].fault = "a&b</svg>".to_owned();
        let page = page(&drill);
        assert!(!page.contains("<script") && !page.contains("</svg></text>"), "{page}");
        assert!(page.contains("a&amp;b&lt;/svg&gt;"), "{page}");
        for fetched in ["http:", "https:", "src=", "@import", "url("] {
            assert!(!page.contains(fetched), "{fetched}");
        }
    }

    #[test]
    fn a_bar_shares_its_width_out_by_what_became_of_the_runs() {
        let drill = swept();
        let mut svg = String::new();
        bar(&mut svg, 0, 0, &drill.rows[0], drill.rows[0].cells[1].as_ref());
        insta::assert_snapshot!(svg, @r#"<g><title>cold-plate-loose at severity 1: 3/3 w1; limit thermal.resistance</title><rect class="right" x="0" y="0" width="100" height="22"/><rect class="wrong" x="100" y="0" width="50" height="22"/><text class="count" x="6" y="15">3/3 w1</text></g>"#);
    }
}
