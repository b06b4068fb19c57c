//! Values by slot: how well each GPU gives its heat away, and how it follows a pulse of load.

#![expect(clippy::cast_precision_loss, reason = "seconds, counts and pixels on a page are small")]

use std::collections::BTreeSet;

use super::super::phrase::Phrase;
use super::link;
use super::mark::Mark;
use super::page::{Page, escaped};
use super::svg::{LEFT, PLOT, Scale, WIDTH, number, rungs, short};
use super::timeline::{Timeline, key};
use super::trace::Traces;
use kiln_event::{RunRecord, StepRecord};
use kiln_limit::{Judged, Judgement};
use kiln_model::{GpuIndex, Sensor};

const TALL: f64 = 150.0;

/// Kelvin per watt of every slot, from the last step that measured it.
pub(super) fn resistance(page: &mut Page, record: &RunRecord, named: &BTreeSet<GpuIndex>) {
    bars(page, record, named, Phrase::ResistancePerSlot, "thermal.resistance", |_| true);
}

/// Power of all GPUs through the pulse step, and how far each swings.
pub(super) fn pulse(page: &mut Page, record: &RunRecord, traces: &Traces, marks: &[Mark], named: &BTreeSet<GpuIndex>) {
    let Some(close) = &traces.close else { return };
    page.section(Phrase::PulseResponse);
    let timeline = Timeline::new(record, close, marks, named);
    key(page, close, named);
    timeline.chart(page, Phrase::PowerInPulse, Sensor::Power);
    timeline.chart(page, Phrase::ClockInPulse, Sensor::ClockSm);
    let (from, to) = (close.from, close.to);
    bars(page, record, named, Phrase::PowerSwing, "power.swing", |step| {
        step.started == from && step.finished == Some(to)
    });
}

/// Whether the page has the bars of this measurement.
pub(super) fn has_bars(record: &RunRecord, traces: &Traces, name: &str) -> bool {
    let of_pulse = |step: &StepRecord| {
        let close = traces.close.as_ref();
        close.is_some_and(|close| step.started == close.from && step.finished == Some(close.to))
    };
    match name {
        "power.swing" => last_values(record, name, of_pulse).is_some(),
        _ => last_values(record, name, |_| true).is_some(),
    }
}

/// One measurement of every GPU in the order of their slots, with its limit and the peers' median.
fn bars(
    page: &mut Page,
    record: &RunRecord,
    named: &BTreeSet<GpuIndex>,
    title: Phrase,
    name: &str,
    of: impl Fn(&StepRecord) -> bool,
) {
    let Some((path, mut values)) = last_values(record, name, of) else { return };
    let Some(inventory) = record.inventory.as_deref() else { return };
    let slot = |gpu: GpuIndex| inventory.gpu(gpu).and_then(|gpu| gpu.identity.slot.value()).map(String::as_str);
    let order = |gpu: GpuIndex| (slot(gpu).and_then(|slot| slot.parse::<u32>().ok()), gpu);
    values.sort_by_key(|(gpu, _)| order(*gpu));
    let numbers: Vec<f64> = values.iter().filter_map(|(_, one)| one.measurement.as_number()).collect();
    let ends = values.iter().flat_map(|(_, one)| [one.range.low, one.range.high]).flatten();
    // A limit far beyond the values would press them flat; it is told in the table.
    let greatest = numbers.iter().copied().fold(0.0, f64::max);
    let ends = ends.filter(|end| *end <= 2.0 * greatest);
    let high = numbers.iter().copied().chain(ends).fold(0.0, f64::max);
    let scale = Scale::new(0.0, high * 1.05, 8.0 + TALL, 8.0).rounded(4);
    page.put(format_args!("<figure id=\"{}\"><figcaption>", link::bars(name)));
    page.say(title);
    page.put(format_args!(
        " <span class=code>{} {}</span> <small>{}</small></figcaption>\n<svg viewBox=\"0 0 {WIDTH} {}\" role=img>\n",
        escaped(&path),
        escaped(name),
        values[0].1.measurement.unit,
        TALL + 46.0
    ));
    rungs(page, scale, 4, LEFT, LEFT + PLOT);
    // Under the bars, so that no label is crossed out.
    median(page, &numbers, scale);
    let share = PLOT / values.len() as f64;
    let crowded = values.len() > 24;
    for (place, (gpu, judgement)) in values.iter().enumerate() {
        let x = LEFT + share * place as f64;
        bar(page, judgement, named.contains(gpu), scale, x, share);
        let label = slot(*gpu).unwrap_or("-");
        let middle = number(x + share / 2.0, 1);
        if !crowded {
            page.put(format_args!("<text class=mid x={middle} y={}>gpu/{}</text>", TALL + 24.0, gpu.0));
            page.label(&format!("class=mid x={middle} y={}", TALL + 38.0), |language| {
                Phrase::SlotIs.with(language, &[&label])
            });
        } else if place % 4 == 0 {
            page.put(format_args!("<text class=mid x={middle} y={}>{}</text>", TALL + 24.0, gpu.0));
        }
    }
    bound(page, &values, scale);
    page.raw("</svg></figure>\n");
}

/// The peers' median, with its name at the right.
fn median(page: &mut Page, numbers: &[f64], scale: Scale) {
    if numbers.len() > 1
        && let Some(middle) = kiln_model::median(numbers)
    {
        let y = number(scale.place(middle), 1);
        page.put(format_args!("<path class=middle d=\"M{LEFT} {y}h{PLOT}\"/>"));
        page.label(&format!("x={} y={y} dy=4", LEFT + PLOT + 4.0), |language| Phrase::Median.say(language).to_owned());
    }
}

/// What the dashed line is: the limit, written at its right end.
fn bound(page: &mut Page, values: &[(GpuIndex, &Judgement)], scale: Scale) {
    let (low, high) = scale.ends();
    let Some((_, last)) = values.last() else { return };
    let Some(text) = &last.limit else { return };
    if let Some(end) = [last.range.high, last.range.low].into_iter().flatten().find(|end| (low..=high).contains(end)) {
        let y = number(scale.place(end) - 4.0, 1);
        page.put(format_args!("<text class=\"strong end\" x={} y={y}>{}</text>", LEFT + PLOT - 2.0, escaped(text)));
    }
}

/// A bar in the colour of its judgement; one of a GPU that a finding names has a frame and a cross whatever this limit says.
fn bar(page: &mut Page, judgement: &Judgement, named: bool, scale: Scale, x: f64, share: f64) {
    let class = match judgement.outcome {
        _ if judgement.limit.is_none() => "bar",
        Judged::Pass => "bar",
        Judged::Marginal | Judged::Outlier => "bar marginal",
        Judged::Fail => "bar fail",
        Judged::Unjudged(_) => "bar unjudged",
    };
    let class = if named { format!("{class} named") } else { class.to_owned() };
    let (left, wide) = (number(x + share * 0.15, 1), number(share * 0.7, 1));
    if let Some(value) = judgement.measurement.as_number() {
        let (base, top) = (scale.place(0.0), scale.place(value));
        page.put(format_args!(
            "<path class=\"{class}\" d=\"M{left} {}h{wide}V{}h-{wide}Z\"><title>{} {}</title></path>",
            number(base, 1),
            number(top, 1),
            judgement.measurement.component,
            escaped(&judgement.measurement.quantity().unwrap_or_default())
        ));
        if share > 40.0 {
            let cross = if named || judgement.outcome == Judged::Fail { "× " } else { "" };
            page.put(format_args!(
                "<text class=\"mid strong\" x={} y={}>{cross}{}</text>",
                number(x + share / 2.0, 1),
                number(top - 4.0, 1),
                short(value)
            ));
        }
    }
    for end in [judgement.range.low, judgement.range.high].into_iter().flatten() {
        let (low, high) = scale.ends();
        if end >= low && end <= high {
            page.put(format_args!(
                "<path class=limit d=\"M{} {}h{}\"/>",
                number(x, 1),
                number(scale.place(end), 1),
                number(share, 1)
            ));
        }
    }
}

/// The values of a measurement on GPUs in the last step that has any.
fn last_values<'r>(
    record: &'r RunRecord,
    name: &str,
    of: impl Fn(&StepRecord) -> bool,
) -> Option<(String, Vec<(GpuIndex, &'r Judgement)>)> {
    record.decisive_steps().into_iter().rev().filter(|step| of(step)).find_map(|step| {
        let judgements = step.cases.iter().flat_map(|case| &case.judgements);
        let values: Vec<(GpuIndex, &Judgement)> = judgements
            .filter(|one| one.measurement.name == name && one.measurement.as_number().is_some())
            .filter_map(|one| Some((one.measurement.component.gpu_index()?, one)))
            .collect();
        (!values.is_empty()).then(|| (step.key.path.clone(), values))
    })
}
