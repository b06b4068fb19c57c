//! Plots over time with a row for each GPU or counter: why clocks were held down, and errors as they were counted.

#![expect(clippy::cast_precision_loss, reason = "seconds, counts and pixels on a page are small")]

use super::super::phrase::Phrase;
use super::page::Page;
use super::svg::{LEFT, PLOT, WIDTH, number};
use super::timeline::{LINES_MAX, Timeline, colour};
use super::trace::COUNTERS;
use kiln_event::RunRecord;
use kiln_model::{ClockReasons, GpuIndex, Sensor};

/// Reasons from bad to harmless, with the class and the words of each: of several in one slice the first is shown.
const REASONS: [(u64, &str, Phrase); 7] = [
    (ClockReasons::HW_THERMAL, "hot", Phrase::ReasonHwThermal),
    (ClockReasons::HW_POWER_BRAKE, "braked", Phrase::ReasonBrake),
    (ClockReasons::SW_THERMAL, "warm", Phrase::ReasonSwThermal),
    (ClockReasons::HW_SLOWDOWN, "hot", Phrase::ReasonHwSlowdown),
    (ClockReasons::SW_POWER_CAP, "capped", Phrase::ReasonPowerCap),
    (ClockReasons::APPLICATION_CLOCKS | ClockReasons::SYNC_BOOST, "set", Phrase::ReasonSet),
    (ClockReasons::IDLE, "idle", Phrase::ReasonIdle),
];

fn class(bits: u16) -> Option<&'static str> {
    REASONS.iter().find(|(reason, ..)| u64::from(bits) & reason != 0).map(|(_, class, _)| *class)
}

/// A row for each GPU, coloured by the worst reason of each moment.
pub(super) fn reasons(timeline: &Timeline<'_>, page: &mut Page) {
    let gpus = &timeline.slices.gpus;
    let row = if gpus.len() > LINES_MAX { 6.0 } else { 15.0 };
    page.raw("<figure><figcaption>");
    page.say(Phrase::ThrottleReasons);
    page.raw("</figcaption>\n<div class=key>");
    let mut told = Vec::new();
    for (_, class, words) in REASONS {
        let seen = gpus.values().any(|tracks| tracks.reasons.iter().any(|bits| self::class(*bits) == Some(class)));
        if seen && !told.contains(&class) {
            told.push(class);
            page.put(format_args!("<span><svg width=12 height=12><rect class={class} width=12 height=12 /></svg>"));
            page.say(words);
            page.raw("</span>");
        }
    }
    let tall = row * gpus.len() as f64;
    page.put(format_args!("</div>\n<svg viewBox=\"0 0 {WIDTH} {}\" role=img>\n", tall + 10.0));
    for (place, (gpu, tracks)) in gpus.iter().enumerate() {
        let y = 4.0 + row * place as f64;
        if row > 10.0 || place % 8 == 0 {
            page.put(format_args!("<text class=end x={} y={} dy=4>gpu/{}</text>", LEFT - 6.0, y + row / 2.0, gpu.0));
        }
        let classes: Vec<Option<&str>> = tracks.reasons.iter().map(|bits| class(*bits)).collect();
        for part in classes.chunk_by(|one, two| one == two).scan(0, |at, part| {
            let first = *at;
            *at += part.len();
            Some((first, part))
        }) {
            if let (first, [Some(class), ..]) = part {
                let width = PLOT / timeline.slices.count as f64;
                let (x, wide) = (LEFT + first as f64 * width, part.1.len() as f64 * width);
                page.put(format_args!(
                    "<path class={class} d=\"M{} {y}h{}v{}h-{}Z\"/>",
                    number(x, 1),
                    number(wide, 1),
                    row - 1.0,
                    number(wide, 1)
                ));
            }
        }
    }
    timeline.ground(page, 4.0, tall);
    page.raw("</svg></figure>\n");
}

/// Height of a row of errors.
const ROW: f64 = 34.0;

/// A row for each counter that moved, a bar where it did, in the colour of the GPU.
pub(super) fn errors(timeline: &Timeline<'_>, page: &mut Page, record: &RunRecord) {
    let moved = |sensor: Sensor| {
        let gpus = timeline.slices.gpus.iter();
        let sums = gpus.map(|(gpu, tracks)| (*gpu, tracks.counter(sensor).iter().sum::<f32>()));
        sums.filter(|(_, sum)| *sum > 0.0).collect::<Vec<(GpuIndex, f32)>>()
    };
    let rows: Vec<(Sensor, Vec<(GpuIndex, f32)>)> =
        COUNTERS.into_iter().map(|sensor| (sensor, moved(sensor))).filter(|(_, gpus)| !gpus.is_empty()).collect();
    page.raw("<figure><figcaption>");
    page.say(Phrase::ErrorsOverTime);
    page.raw("</figcaption>\n");
    if rows.is_empty() && record.mismatches.is_empty() {
        page.raw("<p class=dim>");
        page.say(Phrase::NoErrors);
        page.raw("</p></figure>\n");
        return;
    }
    let count = rows.len() + usize::from(!record.mismatches.is_empty());
    let tall = ROW * count as f64;
    page.put(format_args!("<svg viewBox=\"0 0 {WIDTH} {}\" role=img>\n", tall + 10.0));
    timeline.ground(page, 4.0, tall);
    for (place, (sensor, sums)) in rows.iter().enumerate() {
        let base = 4.0 + ROW * (place + 1) as f64;
        let told: Vec<String> = sums.iter().map(|(gpu, sum)| format!("gpu/{} {sum}", gpu.0)).collect();
        row_head(page, base, ROW, &format!("{}: {}", sensor.name(), told.join(", ")));
        for (gpu, _) in sums {
            for (slice, count) in timeline.slices.gpus[gpu].counter(*sensor).iter().enumerate() {
                if *count > 0.0 {
                    bar(page, timeline.x(slice), base, f64::from(*count), *gpu);
                }
            }
        }
    }
    if !record.mismatches.is_empty() {
        let base = 4.0 + tall;
        let mut wrong: Vec<(f64, GpuIndex)> =
            record.mismatches.iter().map(|(at, _, mismatch, _)| (at.seconds(), mismatch.gpu)).collect();
        let all = wrong.len();
        wrong.dedup_by(|one, two| {
            one.1 == two.1 && (timeline.time.place(one.0) - timeline.time.place(two.0)).abs() < 1.0
        });
        page.label(&format!("x={} y={}", LEFT + 4.0, base - ROW + 11.0), |language| {
            format!("{}: {all}", Phrase::WrongResults.say(language))
        });
        page.put(format_args!("<path class=axis d=\"M{LEFT} {base}h{PLOT}\"/>"));
        for (at, gpu) in wrong {
            bar(page, timeline.time.place(at), base, 1.0, gpu);
        }
    }
    page.raw("</svg></figure>\n");
}

fn row_head(page: &mut Page, base: f64, row: f64, text: &str) {
    page.put(format_args!(
        "<path class=axis d=\"M{LEFT} {base}h{PLOT}\"/><text x={} y={}>",
        LEFT + 4.0,
        base - row + 11.0
    ));
    page.text(text);
    page.raw("</text>");
}

/// Higher the more were counted, by their order of magnitude.
fn bar(page: &mut Page, x: f64, base: f64, count: f64, gpu: GpuIndex) {
    let tall = (8.0 + 5.0 * count.max(1.0).log10()).min(22.0);
    let class = colour(gpu, false);
    let (x, tall) = (number(x, 1), number(tall, 1));
    page.put(format_args!("<path class=\"{class}\" d=\"M{x} {base}v-{tall}h1.4v{tall}Z\"/>"));
}
