//! `kiln diff --html`: two runs on one page, their plots laid over each other and their values side by side.

use std::collections::BTreeSet;

use super::super::language::Languages;
use super::super::phrase::Phrase;
use super::super::verdict::verdict_so_far;
use super::super::{value, words};
use super::crowd;
use super::page::Page;
use super::run_page::HATCH;
use super::summary::verdict_tone;
use super::svg::{LEFT, PLOT, Scale, number, rungs, short, trail};
use super::timeline::{LINES_MAX, Timeline, widened};
use super::trace::Traces;
use kiln_event::RunRecord;
use kiln_limit::Judged;
use kiln_lot::{Difference, Side};
use kiln_model::{GpuIndex, Sensor};

/// Rows of values that are judged alike; JSON has all.
const SHOWN: usize = 400;

/// One of the two runs.
#[derive(Debug, Clone, Copy)]
pub struct Compared<'a> {
    /// Its folder, as it was given.
    pub name: &'a str,
    pub record: &'a RunRecord,
    pub traces: &'a Traces,
}

/// The page of a comparison.
pub fn diff_page(a: Compared<'_>, b: Compared<'_>, differences: &[Difference], languages: Languages) -> String {
    let mut page = Page::new(languages);
    page.raw(HATCH);
    page.raw("<h1>");
    page.say(Phrase::DiffTitle);
    page.raw("</h1>\n");
    for (letter, side) in [("A", a), ("B", b)] {
        head(&mut page, letter, side);
    }
    let digest = |side: Compared<'_>| side.record.start.as_ref().map(|start| start.profile_digest.clone());
    if digest(a) != digest(b) {
        page.raw("<p class=banner>");
        page.say(Phrase::OtherProfiles);
        page.raw("</p>\n");
    }
    plots(&mut page, a, b);
    tables(&mut page, differences);
    page.finish(&format!("{} – {}", a.name, b.name))
}

fn head(page: &mut Page, letter: &str, side: Compared<'_>) {
    let verdict = verdict_so_far(side.record);
    page.put(format_args!("<div class=\"verdict {}\"><b>{letter} ", verdict_tone(verdict.word, verdict.marginal)));
    page.tell(|language| format!("{} {}", words::shape(&verdict), words::verdict_in(language, &verdict)));
    page.raw("</b><span>");
    let mut facts = vec![side.name.to_owned()];
    if let Some(start) = &side.record.start {
        let node = side.record.inventory.as_ref().and_then(|inventory| inventory.node.serial.value());
        facts.extend(start.operation.serial.as_ref().or(node).cloned());
        facts.push(format!("{} r{}", start.profile.id, start.profile.revision));
    }
    page.text(&facts.join(" · "));
    for finding in &side.record.findings {
        page.raw("<br>");
        page.text(&format!("{} {}", finding.code, finding.component));
    }
    page.raw("</span></div>\n");
    if let Some(start) = side.record.start.as_ref().filter(|start| !start.source.is_hardware()) {
        page.raw("<p class=banner>");
        page.tell(|language| format!("{letter}: {}", words::banner_in(language, &start.source).unwrap_or_default()));
        page.raw("</p>\n");
    }
    for gap in side.traces.gaps() {
        page.raw("<p class=banner>");
        page.say(Phrase::Lacking);
        page.text(&format!(" {letter}: {gap}"));
        page.raw("</p>\n");
    }
}

fn plots(page: &mut Page, a: Compared<'_>, b: Compared<'_>) {
    page.section(Phrase::LaidOver);
    if a.traces.is_empty() && b.traces.is_empty() {
        page.raw("<p class=banner>");
        page.say(Phrase::NoTelemetry);
        page.raw("</p>\n");
        return;
    }
    page.raw("<div class=key><span><svg width=22 height=10><path class=\"trail mid-a\" d=\"M0 5h22\"/></svg>A</span>");
    page.raw("<span><svg width=22 height=10><path class=\"trail mid-b\" d=\"M0 5h22\"/></svg>B</span><span>");
    page.say(Phrase::LaidOverNote);
    page.raw("</span></div>\n");
    let to = a.record.last_at.max(b.record.last_at).seconds();
    let nobody = BTreeSet::new();
    let sides = |ends| [over(&a, to, ends, &nobody), over(&b, to, ends, &nobody)];
    for (title, sensor) in [
        (Phrase::GpuTemperature, Sensor::TempGpu),
        (Phrase::MemoryTemperature, Sensor::TempMemory),
        (Phrase::InletTemperature, Sensor::TempInlet),
        (Phrase::Power, Sensor::Power),
        (Phrase::SmClock, Sensor::ClockSm),
    ] {
        laid_over(page, title, sensor, &sides((LEFT, LEFT + PLOT)));
    }
    let gpus: BTreeSet<GpuIndex> = a.traces.whole.gpus.keys().chain(b.traces.whole.gpus.keys()).copied().collect();
    if gpus.len() <= LINES_MAX {
        page.section(Phrase::EachGpu);
        for (title, sensor) in [(Phrase::GpuTemperature, Sensor::TempGpu), (Phrase::Power, Sensor::Power)] {
            page.raw("<h3>");
            page.say(title);
            page.raw("</h3><div class=small>\n");
            let sides = sides((34.0, 296.0));
            for gpu in &gpus {
                small(page, *gpu, sensor, &sides);
            }
            page.raw("</div>\n");
        }
    }
}

fn over<'a>(side: &Compared<'a>, to: f64, ends: (f64, f64), named: &'a BTreeSet<GpuIndex>) -> Timeline<'a> {
    Timeline::placed(&side.traces.whole, (0.0, to), ends, named)
}

/// Least and greatest of a sensor in both runs, on all GPUs or one.
fn ends(sides: &[Timeline<'_>; 2], sensor: Sensor, only: Option<GpuIndex>) -> Option<(f64, f64)> {
    let tracks = sides.iter().flat_map(|side| side.slices.gpus.iter());
    let ranges = tracks
        .filter(|(gpu, _)| only.is_none_or(|only| only == **gpu))
        .filter_map(|(_, tracks)| tracks.gauge(sensor)?.range());
    let (low, high) = ranges.reduce(|one, two| (one.0.min(two.0), one.1.max(two.1)))?;
    Some(widened(sensor, f64::from(low), f64::from(high)))
}

fn laid_over(page: &mut Page, title: Phrase, sensor: Sensor, sides: &[Timeline<'_>; 2]) {
    let Some((low, high)) = ends(sides, sensor, None) else { return };
    let (top, tall) = (8.0, 190.0);
    let scale = Scale::new(low, high, top + tall, top).rounded(4);
    page.raw("<figure><figcaption>");
    page.say(title);
    page.put(format_args!(" <small>{}</small></figcaption>\n", sensor.unit()));
    sides[0].open(page, scale, (top, tall), sensor.unit().symbol());
    rungs(page, scale, 4, LEFT, LEFT + PLOT);
    for (side, class) in sides.iter().zip(["", "b"]) {
        side.ground(page, top, tall);
        crowd::envelope(side, page, sensor, scale, class);
    }
    sides[0].clock(page, top + tall + 18.0, top + tall);
    page.raw("</svg></figure>\n");
}

fn small(page: &mut Page, gpu: GpuIndex, sensor: Sensor, sides: &[Timeline<'_>; 2]) {
    let Some((low, high)) = ends(sides, sensor, Some(gpu)) else { return };
    let scale = Scale::new(low, high, 88.0, 18.0).rounded(3);
    page.put(format_args!("<svg viewBox=\"0 0 300 96\" role=img><text class=strong x=34 y=12>gpu/{}</text>", gpu.0));
    rungs(page, scale, 3, 34.0, 296.0);
    for (side, class) in sides.iter().zip(["mid-a", "mid-b"]) {
        if let Some(track) = side.slices.gpus.get(&gpu).and_then(|tracks| tracks.gauge(sensor)) {
            let path = trail(track, |slice| side.x(slice), scale);
            page.put(format_args!("<path class=\"trail {class}\" d=\"{path}\"/>"));
        }
    }
    page.raw("</svg>\n");
}

fn tables(page: &mut Page, differences: &[Difference]) {
    let (both, single): (Vec<&Difference>, Vec<&Difference>) = differences.iter().partition(|one| one.is_in_both());
    let (otherwise, alike): (Vec<&Difference>, Vec<&Difference>) =
        both.into_iter().partition(|one| one.is_judged_otherwise());
    let mut rest: Vec<&Difference> = alike.into_iter().filter(|one| one.differs()).collect();
    let share = |one: &Difference| one.percent.map_or(-1.0, f64::abs);
    rest.sort_by(|one, two| share(two).total_cmp(&share(one)).then_with(|| one.key.cmp(&two.key)));
    for (title, rows) in
        [(Phrase::JudgedOtherwise, otherwise), (Phrase::OtherValues, rest), (Phrase::OnlyInOne, single)]
    {
        page.section(title);
        table(page, &rows);
    }
}

fn table(page: &mut Page, rows: &[&Difference]) {
    if rows.is_empty() {
        page.raw("<p class=dim>");
        page.say(Phrase::Nothing);
        page.raw("</p>\n");
        return;
    }
    page.raw("<table><tr>");
    page.head_cell(Phrase::Measurement);
    page.head_cell(Phrase::Component);
    page.raw("<th>A</th><th>B</th>");
    page.head_cell(Phrase::Change);
    page.head_cell(Phrase::Limit);
    page.raw("</tr>\n");
    for row in rows.iter().take(SHOWN) {
        page.raw("<tr>");
        page.cell(&format!("{}.{}", row.key.step, row.key.measurement));
        page.cell(&row.key.component.to_string());
        side(page, row.a.as_ref());
        side(page, row.b.as_ref());
        let delta = row.delta.map(|delta| format!("{}{}", if delta > 0.0 { "+" } else { "" }, short(delta)));
        let percent =
            row.percent.map(|percent| format!(" ({}{} %)", if percent > 0.0 { "+" } else { "" }, number(percent, 2)));
        page.cell(&format!("{}{}", delta.unwrap_or_default(), percent.unwrap_or_default()));
        let limit = |side: &Option<Side>| side.as_ref().and_then(|side| side.limit.clone()).unwrap_or_default();
        let (a, b) = (limit(&row.a), limit(&row.b));
        page.cell(&if a == b || b.is_empty() { a } else { format!("{a} → {b}") });
        page.raw("</tr>\n");
    }
    page.raw("</table>\n");
    if rows.len() > SHOWN {
        page.raw("<p class=dim>");
        page.say_with(Phrase::AndMore, &[&(rows.len() - SHOWN)]);
        page.raw("</p>\n");
    }
}

fn side(page: &mut Page, side: Option<&Side>) {
    let Some(side) = side else {
        page.raw("<td>–</td>");
        return;
    };
    let (class, shape) = match side.outcome {
        _ if side.limit.is_none() => ("", ""),
        Judged::Pass => ("", "○ "),
        Judged::Marginal | Judged::Outlier => ("marginal", "△ "),
        Judged::Fail => ("fail", "× "),
        Judged::Unjudged(_) => ("unjudged", "? "),
    };
    page.put(format_args!("<td class=\"{class}\">{shape}"));
    page.tell(|language| value::shown(language, &side.measurement));
    page.raw("</td>");
}
