//! `report.html`: one run on one page that needs nothing else.

use super::super::language::Languages;
use super::super::phrase::Phrase;
use super::super::row::rows;
use super::super::words;
use super::mark::{self, marks};
use super::page::Page;
use super::timeline::{self, Timeline};
use super::trace::Traces;
use super::{link, matrix, measured, origin, rows as row_plots, slot, summary};
use kiln_event::RunRecord;
use kiln_model::Sensor;

/// The pattern of what is missing; drawings refer to it.
pub(super) const HATCH: &str = "<svg width=0 height=0 aria-hidden=true style=\"position:absolute\"><defs><pattern id=hatch width=6 height=6 \
                     patternUnits=userSpaceOnUse patternTransform=\"rotate(45)\"><path class=hatch d=\"M0 0v6\"/></pattern>\
                     <clipPath id=plot><rect x=58 y=0 width=960 height=260 /></clipPath></defs></svg>\n";

/// The page of a run. `lacks` says what of the run directory could not be used, a line each.
pub fn run_page(record: &RunRecord, traces: &Traces, lacks: &[String], languages: Languages) -> String {
    let mut page = Page::new(languages);
    let rows = rows(record);
    let marks = marks(record);
    let named = summary::named(record);
    page.raw(HATCH);
    let lacks: Vec<String> = lacks.iter().chain(traces.gaps()).cloned().collect();
    summary::summary(&mut page, record, traces, &rows, &lacks);
    origin::components(&mut page, record, &rows);
    page.section(Phrase::OverTime);
    let timeline = Timeline::new(record, &traces.whole, &marks, &named);
    if record.last_at > kiln_model::Moment::ZERO {
        timeline.lane(&mut page, record);
    }
    if traces.is_empty() {
        page.raw("<p class=banner>");
        page.say(Phrase::NoTelemetry);
        page.raw("</p>\n");
    } else {
        timeline::key(&mut page, &traces.whole, &named);
        for (title, sensor) in [
            (Phrase::GpuTemperature, Sensor::TempGpu),
            (Phrase::TemperatureMargin, Sensor::TempMargin),
            (Phrase::MemoryTemperature, Sensor::TempMemory),
            (Phrase::InletTemperature, Sensor::TempInlet),
            (Phrase::Power, Sensor::Power),
            (Phrase::SmClock, Sensor::ClockSm),
        ] {
            page.target(&link::chart(sensor), |page| timeline.chart(page, title, sensor));
        }
        page.target(link::REASONS, |page| row_plots::reasons(&timeline, page));
        page.target(link::ERRORS, |page| row_plots::errors(&timeline, page, record));
    }
    page.target(link::EVENTS, |page| mark::list(page, &marks));
    slot::pulse(&mut page, record, traces, &marks, &named);
    page.section(Phrase::CoolingAndLinks);
    slot::resistance(&mut page, record, &named);
    matrix::pairs(&mut page, record);
    matrix::links(&mut page, record);
    page.section(Phrase::Measurements);
    // Shown by the script that makes it work.
    let hint = Phrase::FilterRows.say(page.languages().first());
    page.put(format_args!(
        "<p class=filter hidden><input type=search placeholder=\"{hint}\" aria-label=\"{hint}\"></p>\n"
    ));
    measured::steps(&mut page, record, &rows);
    origin::origin(&mut page, record);
    let title = title(record, languages);
    page.finish(&title)
}

fn title(record: &RunRecord, languages: Languages) -> String {
    let verdict = super::super::verdict::verdict_so_far(record);
    let word = words::verdict_in(languages.first(), &verdict);
    let unit = record.start.as_ref().and_then(|start| start.operation.serial.clone());
    let node = record.inventory.as_ref().and_then(|inventory| inventory.node.serial.value().cloned());
    let profile = record.start.as_ref().map(|start| start.profile.id.clone()).unwrap_or_default();
    format!("{word} {} {profile}", unit.or(node).unwrap_or_default())
}
