//! A drill as one HTML page that needs nothing else: the matrix as a picture, and all that stands behind it as tables.

use std::fmt::Write as _;

use super::document::Drill;
use super::matrix::{Cell, Row};
use super::page_words::{self, say};
use super::text::{in_matrix, named, shown};
use super::text_shortening::shortening_text;
use kiln_report::Language;

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
pub fn page(drill: &Drill, language: Language) -> String {
    let title = escaped(&page_words::title(language, drill));
    let mut text = format!(
        "<!doctype html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>{title}</h1>\n",
        language.code()
    );
    let _ = writeln!(
        text,
        "<p>{} <span class=\"dim\">{} {}</span></p>",
        escaped(&page_words::heading(language, drill)),
        escaped(&drill.tool),
        escaped(&drill.profile_digest)
    );
    if let Some(curve) = page_words::curve(language, drill) {
        let _ = writeln!(text, "<p><b>{}</b></p>", escaped(&curve));
    }
    if let Some(must) = &drill.must {
        let _ = writeln!(text, "<p>{}</p>", escaped(&page_words::must(language, must)));
    }
    if drill.partial {
        let _ = writeln!(text, "<p class=\"partial\">{}</p>", page_words::partial(language, drill));
    }
    let _ = writeln!(text, "<h2>{}</h2>", say(language, "Matrix", "検出結果の一覧"));
    text.push_str(&picture(drill, language));
    text.push_str(&details(drill, language));
    text.push_str(&healthy(drill, language));
    text.push_str(&left_out(drill, language));
    if let Some(shortening) = &drill.shortening {
        let head = say(language, "Shorter", "短縮の検討");
        let _ = writeln!(text, "<h2>{head}</h2>\n<pre>{}</pre>", escaped(shortening_text(shortening).trim()));
    }
    text.push_str("</body>\n</html>\n");
    text
}

const NAME_WIDTH: usize = 260;
const CELL_WIDTH: usize = 150;
const CELL_HEIGHT: usize = 22;
const GAP: usize = 4;

/// Every cell a bar, its runs shared out by what became of them.
fn picture(drill: &Drill, language: Language) -> String {
    let width = NAME_WIDTH + drill.severities.len() * (CELL_WIDTH + GAP);
    let height = (drill.rows.len() + 1) * (CELL_HEIGHT + GAP);
    let mut svg = format!(
        "<div class=\"scroll\"><svg role=\"img\" aria-label=\"{}\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\">\n",
        say(language, "fault by severity", "不良と程度")
    );
    for (column, factor) in drill.severities.iter().enumerate() {
        let x = NAME_WIDTH + column * (CELL_WIDTH + GAP);
        let severity = say(language, "severity", "程度");
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"15\">{severity} x{factor}</text>");
    }
    for (line, row) in drill.rows.iter().enumerate() {
        let y = (line + 1) * (CELL_HEIGHT + GAP);
        let _ = writeln!(svg, "<text x=\"0\" y=\"{}\">{}</text>", y + 15, escaped(&named(drill, row)));
        for (column, cell) in row.cells.iter().enumerate() {
            bar(&mut svg, NAME_WIDTH + column * (CELL_WIDTH + GAP), y, (row, cell.as_ref()), language);
        }
    }
    svg.push_str("</svg></div>\n<p>");
    for (class, word) in [
        ("right", say(language, "caught, the part named", "検出、部品も正しい")),
        ("ambiguous", say(language, "caught, the part among several", "検出、候補のうちの一つ")),
        ("wrong", say(language, "caught, the wrong part", "検出、別の部品を指摘")),
        ("held", say(language, "not passed, nothing proven", "不合格だが確証なし")),
        ("escaped", say(language, "escaped", "見逃し")),
    ] {
        let _ = write!(
            svg,
            "<svg width=\"12\" height=\"12\"><rect class=\"{class}\" width=\"12\" height=\"12\"/></svg> {word} &nbsp; "
        );
    }
    svg.push_str("</p>\n");
    svg
}

fn bar(svg: &mut String, x: usize, y: usize, (row, cell): (&Row, Option<&Cell>), language: Language) {
    let Some(cell) = cell else {
        let _ =
            writeln!(svg, "<rect class=\"none\" x=\"{x}\" y=\"{y}\" width=\"{CELL_WIDTH}\" height=\"{CELL_HEIGHT}\"/>");
        return;
    };
    let by: Vec<String> = cell.by.iter().map(|word| page_words::by(language, &word.what)).collect();
    let (at, severity) = (say(language, "at severity", "程度"), cell.severity);
    let tip = escaped(&format!("{} {at} {severity}: {}; {}", row.fault, in_matrix(cell), by.join(", ")));
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

fn details(drill: &Drill, language: Language) -> String {
    let heads = [
        ("fault", "不良"),
        ("severity", "程度"),
        ("caught", "検出"),
        ("by", "何により"),
        ("step", "工程"),
        ("median", "中央値"),
        ("worst", "最長"),
        ("not well", "問題のあった試験"),
    ];
    let heads = heads.map(|(english, japanese)| format!("<th>{}</th>", say(language, english, japanese))).concat();
    let mut text = format!(
        "<h2>{}</h2>\n<div class=\"scroll\"><table>\n<tr>{heads}</tr>\n",
        say(language, "What caught it", "どの規格がどの工程で検出したか")
    );
    for row in &drill.rows {
        for (factor, cell) in drill.severities.iter().zip(&row.cells) {
            let Some(cell) = cell else { continue };
            let words = |words: &[super::matrix::Counted]| {
                let told = |what: &str| page_words::by(language, what);
                let all: Vec<String> =
                    words.iter().map(|word| format!("{} ({})", told(&word.what), word.times)).collect();
                escaped(&all.join(", "))
            };
            let time = |seconds: Option<f64>| seconds.map_or_else(|| "-".to_owned(), shown);
            let misses: Vec<String> = cell.misses.iter().map(|miss| page_words::missed(language, miss)).collect();
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

fn healthy(drill: &Drill, language: Language) -> String {
    let mut text = format!("<h2>{}</h2>\n<ul>\n", say(language, "Healthy nodes", "正常なノード"));
    for healthy in drill.healthy.iter().filter(|healthy| healthy.tried > 0) {
        let _ = writeln!(text, "<li>{}</li>", escaped(&page_words::healthy(language, healthy)));
        for alarm in &healthy.alarms {
            let seed = say(language, "seed", "シード");
            let why = page_words::alarm(language, alarm);
            let line = format!("{seed} {}: {} {why}", alarm.seed, alarm.verdict.shown());
            let _ = writeln!(text, "<li class=\"dim\">{}</li>", escaped(&line));
        }
    }
    text.push_str("</ul>\n");
    text
}

fn left_out(drill: &Drill, language: Language) -> String {
    if drill.left_out.is_empty() {
        return String::new();
    }
    let mut text = format!("<h2>{}</h2>\n<ul>\n", say(language, "Left out", "対象外にした不良"));
    for left_out in &drill.left_out {
        let _ = writeln!(
            text,
            "<li>{}: {}</li>",
            escaped(&left_out.fault),
            escaped(&page_words::left_out(language, &left_out.why))
        );
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
    use crate::document::tests::{drill, swept};
    use crate::healthy::{Against, FalseAlarm};
    use crate::matrix::{LeftOut, LeftOutWhy};
    use kiln_event::VerdictWord;
    use kiln_model::Component;

    #[test]
    fn texts_are_escaped_and_nothing_is_fetched() {
        let mut drill = swept();
        drill.profile = "<script>alert('\"')</script>".to_owned();
        drill.rows[0].fault = "a&b</svg>".to_owned();
        let page = page(&drill, Language::English);
        assert!(!page.contains("<script") && !page.contains("</svg></text>"), "{page}");
        assert!(page.contains("a&amp;b&lt;/svg&gt;"), "{page}");
        for fetched in ["http:", "https:", "src=", "@import", "url("] {
            assert!(!page.contains(fetched), "{fetched}");
        }
    }

    #[test]
    fn the_japanese_page_names_limit_and_step_and_says_nothing_of_ours_in_english() {
        for mut drill in [drill(), swept()] {
            // The tables of a shorter profile are the terminal's.
            drill.shortening = None;
            let never = LeftOutWhy::NeverCame { node: "hgx-h200-8".to_owned(), runs: 2 };
            for why in [LeftOutWhy::Severity { min: 0.5, max: 2.0 }, never] {
                drill.left_out.push(LeftOut { fault: "fan-failed".to_owned(), why });
            }
            let against = |step: Option<&str>| Against {
                step: step.map(str::to_owned),
                by: "limit thermal.resistance".to_owned(),
                component: Component::gpu(3),
            };
            for (seed, against) in [(1, Some(against(Some("burn.soak")))), (2, Some(against(None))), (3, None)] {
                let (verdict, why) = (VerdictWord::Fail, "nothing spoke against it".to_owned());
                drill.healthy[0].alarms.push(FalseAlarm { seed, verdict, why, against });
            }
            let page = page(&drill, Language::Japanese);
            assert!(page.contains("規格 thermal.resistance") && page.contains("burn.soak"), "{page}");
            let body = page.split("</head>").nth(1).expect("a body");
            for said in body.split(['<', '>']).enumerate().filter(|(nth, _)| nth % 2 == 0).map(|(_, text)| text) {
                let is_word = |word: &&str| word.len() > 1 && word.chars().all(|letter| letter.is_ascii_lowercase());
                let words: Vec<&str> = said.split([' ', ',', ';', '(', ')']).collect();
                assert!(!words.windows(2).any(|pair| pair.iter().all(is_word)), "{said}");
            }
        }
    }

    #[test]
    fn a_bar_shares_its_width_out_by_what_became_of_the_runs() {
        let drill = swept();
        let mut svg = String::new();
        bar(&mut svg, 0, 0, (&drill.rows[0], drill.rows[0].cells[1].as_ref()), Language::English);
        insta::assert_snapshot!(svg, @r#"<g><title>cold-plate-loose at severity 1: 3/3 w1; limit thermal.resistance</title><rect class="right" x="0" y="0" width="100" height="22"/><rect class="wrong" x="100" y="0" width="50" height="22"/><text class="count" x="6" y="15">3/3 w1</text></g>"#);
    }
}
