//! Plots of more GPUs than lines can tell apart: where half and nearly all of them lie, and by name those that stand out.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "seconds, counts and pixels on a page are small"
)]

use super::super::phrase::Phrase;
use super::page::Page;
use super::svg::{Scale, number, ribbon};
use super::timeline::{Timeline, colour};
use super::trace::{Slices, Track};
use kiln_model::{GpuIndex, Sensor};

/// GPUs shown as lines of their own beside those that findings name.
const FAR: usize = 4;
/// As multiples of the usual distance from the median: nearer is not apart (Iglewicz and Hoaglin, 1993).
const APART: f64 = 3.5;

/// The middle of each slice of every GPU, sorted, by slice.
fn sorted(slices: &Slices, sensor: Sensor) -> Vec<Vec<f64>> {
    let tracks: Vec<&Track> = slices.gpus.values().filter_map(|tracks| tracks.gauge(sensor)).collect();
    let middles = |slice: usize| {
        let mut values: Vec<f64> = tracks.iter().filter_map(|track| middle(track, slice)).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    (0..slices.count).map(middles).collect()
}

fn middle(track: &Track, slice: usize) -> Option<f64> {
    track.at(slice).map(|(low, high)| f64::from(low + high) / 2.0)
}

fn share(values: &[f64], share: f64) -> f64 {
    values[((values.len() - 1) as f64 * share).round() as usize]
}

/// Least to greatest, 10 % to 90 %, the median, and the GPUs that stand apart.
pub(super) fn bands(timeline: &Timeline<'_>, page: &mut Page, sensor: Sensor, scale: Scale) {
    let sorted = sorted(timeline.slices, sensor);
    ribbons(timeline, page, &sorted, scale, "");
    let mut labels = Vec::new();
    for gpu in apart(timeline, sensor, &sorted) {
        if let Some(tracks) = timeline.slices.gpus.get(&gpu) {
            timeline.line(page, gpu, tracks, sensor, scale);
            let track = tracks.gauge(sensor);
            let last = track.and_then(|track| (0..timeline.slices.count).rev().find_map(|at| middle(track, at)));
            labels.extend(last.map(|last| (scale.place(last), gpu)));
        }
    }
    labels.sort_by(|one, two| one.0.total_cmp(&two.0));
    let mut below = f64::NEG_INFINITY;
    for (y, gpu) in labels {
        // Names under each other, as near to their lines as there is room.
        below = y.max(below + LABEL);
        let x = super::svg::LEFT + super::svg::PLOT + 3.0;
        page.put(format_args!("<text x={x} y={} dy=4>gpu/{}</text>", number(below, 1), gpu.0));
    }
}

/// Height of a name beside a line.
const LABEL: f64 = 11.0;

/// The bands and the median alone; `side` is a class of its own for the second of two.
pub(super) fn ribbons(timeline: &Timeline<'_>, page: &mut Page, sorted: &[Vec<f64>], scale: Scale, side: &str) {
    for (class, low, high) in [("band", 0.0, 1.0), ("band inner", 0.1, 0.9)] {
        for part in parts(sorted) {
            let points: Vec<(f64, f64, f64)> = part
                .clone()
                .map(|slice| {
                    let values = &sorted[slice];
                    (timeline.x(slice), scale.place(share(values, low)), scale.place(share(values, high)))
                })
                .collect();
            page.put(format_args!("<path class=\"{class} {side}\" d=\"{}\"/>", ribbon(&points)));
        }
    }
    let mut trail = super::svg::Trail::default();
    for part in parts(sorted) {
        part.for_each(|slice| trail.point(timeline.x(slice), scale.place(share(&sorted[slice], 0.5))));
        trail.lift();
    }
    let (name, stroke) = if side == "b" { ("B median", "mid-b") } else { ("median", "mid-a") };
    page.put(format_args!("<path class=\"trail {stroke}\" data-name=\"{name}\" d=\"{}\"/>\n", trail.finish()));
}

/// The same for one of two runs.
pub(super) fn envelope(timeline: &Timeline<'_>, page: &mut Page, sensor: Sensor, scale: Scale, side: &str) {
    ribbons(timeline, page, &sorted(timeline.slices, sensor), scale, side);
}

/// Stretches of slices with values.
fn parts(sorted: &[Vec<f64>]) -> Vec<std::ops::Range<usize>> {
    let mut parts: Vec<std::ops::Range<usize>> = Vec::new();
    for (slice, values) in sorted.iter().enumerate() {
        if !values.is_empty() {
            match parts.last_mut() {
                Some(part) if slice <= part.end => part.end = slice + 1,
                _ => parts.push(slice..slice + 1),
            }
        }
    }
    parts
}

/// GPUs that something is said of, and those whose usual distance from the median is far beyond that of the others.
fn apart(timeline: &Timeline<'_>, sensor: Sensor, sorted: &[Vec<f64>]) -> Vec<GpuIndex> {
    let distance = |track: &Track| {
        let slices = (0..timeline.slices.count).filter(|slice| !sorted[*slice].is_empty());
        let far = slices.filter_map(|slice| Some((middle(track, slice)? - share(&sorted[slice], 0.5)).abs()));
        let far: Vec<f64> = far.collect();
        far.iter().sum::<f64>() / far.len().max(1) as f64
    };
    let gpus = timeline.slices.gpus.iter();
    let mut far: Vec<(f64, GpuIndex)> =
        gpus.filter_map(|(gpu, tracks)| Some((distance(tracks.gauge(sensor)?), *gpu))).collect();
    far.sort_by(|one, two| two.0.total_cmp(&one.0));
    let usual = far.get(far.len() / 2).map_or(0.0, |(distance, _)| *distance);
    let mut apart: Vec<GpuIndex> =
        far.iter().take(FAR).filter(|(distance, _)| *distance > APART * usual).map(|(_, gpu)| *gpu).collect();
    apart.extend(timeline.named.iter().take(FAR));
    apart.sort();
    apart.dedup();
    apart
}

/// What the shapes mean.
pub(super) fn key(page: &mut Page) {
    page.raw("<div class=key><span><svg width=22 height=12><path class=band d=\"M0 0h22v12h-22Z\"/></svg>");
    page.say(Phrase::AllGpus);
    page.raw("</span><span><svg width=22 height=12><path class=band d=\"M0 0h22v12h-22Z\"/><path class=\"band inner\" d=\"M0 0h22v12h-22Z\"/></svg>");
    page.say(Phrase::MostGpus);
    page.raw("</span><span><svg width=22 height=8><path class=\"trail mid-a\" d=\"M0 4h22\"/></svg>");
    page.say(Phrase::Median);
    page.put(format_args!(
        "</span><span><svg width=22 height=8><path class=\"trail {}\" d=\"M0 4h22\"/></svg>",
        colour(GpuIndex(1), true)
    ));
    page.say(Phrase::Apart);
    page.raw("</span></div>\n");
}
