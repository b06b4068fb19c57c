//! A bench as plots: SVG with nothing in it but lines and words, so that every browser and viewer shows it.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::fmt::Write as _;

use super::document::{Bench, GpuMeasured};
use super::phase::Work;
use super::scatter::Scatter;
use super::table::caveat;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;
/// Told apart also without colour sight: Okabe and Ito's eight.
const COLOURS: [&str; 8] = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442"];

/// File names and texts of all plots that there are values for.
pub fn plots(bench: &Bench) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for phase in bench.phases.iter().filter(|phase| !phase.traces.is_empty()) {
        let series = |trace: &super::document::Trace| {
            let points = |column: &[Option<f64>]| {
                trace.seconds.iter().zip(column).filter_map(|(at, value)| Some((*at, (*value)?))).collect()
            };
            [
                (format!("gpu/{}", trace.gpu.0), points(&trace.watts)),
                (format!("gpu/{} instant", trace.gpu.0), points(&trace.watts_instant)),
            ]
        };
        let lines: Vec<(String, Vec<(f64, f64)>)> = phase.traces.iter().flat_map(series).collect();
        let name = format!("{}.svg", phase.name.replace(' ', "-"));
        all.extend(
            lines_plot(bench, &format!("Power over {}", phase.name), ("s", "W"), &lines).map(|text| (name, text)),
        );
    }
    let bars = |works: fn(Work) -> bool, value: fn(&GpuMeasured) -> Option<Scatter>| {
        let of = |phase: &super::document::PhaseMeasured| {
            let means: Vec<f64> = phase.gpus.iter().filter_map(value).map(|spread| spread.mean).collect();
            Some((phase.name.clone(), Scatter::of(&means)?))
        };
        bench.phases.iter().filter(|phase| works(phase.work)).filter_map(of).collect::<Vec<_>>()
    };
    let burns = |work| matches!(work, Work::Burn { .. } | Work::Rest);
    let memory = |work| matches!(work, Work::March { .. } | Work::DeviceCopy);
    for (file, title, unit, values) in [
        ("power.svg", "Power of each load", "W", bars(burns, |gpu| gpu.power_watts)),
        ("throughput.svg", "Work of each load", "TFLOP/s", bars(burns, |gpu| gpu.tflops)),
        ("memory.svg", "Marches beside the device copy", "GB/s", bars(memory, |gpu| gpu.memory_gb_per_s)),
    ] {
        all.extend(bars_plot(bench, title, unit, &values).map(|text| (file.to_owned(), text)));
    }
    all
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn begin(bench: &Bench, title: &str) -> String {
    let caveat = caveat(&bench.source).map_or_else(String::new, |caveat| format!(" ({caveat})"));
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    word(&mut text, (LEFT, 22.0), "start", &format!("{title}{caveat}"));
    text
}

fn word(text: &mut String, (x, y): (f64, f64), anchor: &str, said: &str) {
    let _ = writeln!(text, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escaped(said));
}

/// A round step that divides a range into about five.
fn step(range: f64) -> f64 {
    let raw = (range / 5.0).max(f64::MIN_POSITIVE);
    let ten = 10f64.powf(raw.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|times| times * ten).find(|step| *step >= raw).unwrap_or(raw)
}

/// The value axis from zero, with its lines; gives the height of a value.
fn axis(text: &mut String, most: f64, unit: &str) -> impl Fn(f64) -> f64 + use<> {
    let step = step(most);
    let top = (most / step).ceil().max(1.0) * step;
    let height = move |value: f64| HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM);
    let mut value = 0.0;
    while value <= top * 1.001 {
        let y = height(value);
        let _ = writeln!(
            text,
            "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>",
            WIDTH - RIGHT
        );
        word(text, (LEFT - 6.0, y + 4.0), "end", &format!("{value}"));
        value += step;
    }
    word(text, (LEFT - 6.0, TOP - 8.0), "end", unit);
    height
}

fn lines_plot(
    bench: &Bench,
    title: &str,
    (x_unit, y_unit): (&str, &str),
    lines: &[(String, Vec<(f64, f64)>)],
) -> Option<String> {
    let points = || lines.iter().flat_map(|(_, points)| points);
    let longest = points().map(|(x, _)| *x).fold(0.0, f64::max);
    let most = points().map(|(_, y)| *y).fold(0.0, f64::max);
    if longest <= 0.0 || most <= 0.0 {
        return None;
    }
    let mut text = begin(bench, title);
    let y = axis(&mut text, most, y_unit);
    let x = |value: f64| LEFT + value / longest * (WIDTH - LEFT - RIGHT);
    let each = step(longest);
    let mut tick = 0.0;
    while tick <= longest {
        word(&mut text, (x(tick), HEIGHT - BOTTOM + 16.0), "middle", &format!("{tick}"));
        tick += each;
    }
    word(&mut text, (WIDTH - RIGHT, HEIGHT - BOTTOM + 32.0), "end", x_unit);
    for (at, (name, points)) in lines.iter().filter(|(_, points)| !points.is_empty()).enumerate() {
        let colour = COLOURS[at % COLOURS.len()];
        let path: Vec<String> = points.iter().map(|(px, py)| format!("{:.1},{:.1}", x(*px), y(*py))).collect();
        let _ = writeln!(
            text,
            "<polyline fill=\"none\" stroke=\"{colour}\" points=\"{}\"><title>{}</title></polyline>",
            path.join(" "),
            escaped(name)
        );
    }
    Some(text + "</svg>\n")
}

/// Means over all GPUs as bars, with the least and the greatest.
fn bars_plot(bench: &Bench, title: &str, unit: &str, bars: &[(String, Scatter)]) -> Option<String> {
    let most = bars.iter().map(|(_, spread)| spread.most).fold(0.0, f64::max);
    if most <= 0.0 {
        return None;
    }
    let mut text = begin(bench, title);
    let y = axis(&mut text, most, unit);
    let each = (WIDTH - LEFT - RIGHT) / bars.len() as f64;
    for (at, (name, spread)) in bars.iter().enumerate() {
        let (left, middle) = (LEFT + each * (at as f64 + 0.15), LEFT + each * (at as f64 + 0.5));
        let (top, ground) = (y(spread.mean), y(0.0));
        let _ = writeln!(
            text,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\"><title>{}: {:.1} {unit}</title></rect>\n\
             <line x1=\"{middle:.1}\" x2=\"{middle:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"black\"/>",
            each * 0.7,
            (ground - top).max(0.0),
            COLOURS[0],
            escaped(name),
            spread.mean,
            y(spread.least),
            y(spread.most),
        );
        // Long names in two rows, so that neighbours do not write over one another.
        let row = if at % 2 == 0 { 14.0 } else { 28.0 };
        let _ = writeln!(
            text,
            "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"8\">{}</text>",
            ground + row,
            escaped(name)
        );
    }
    Some(text + "</svg>\n")
}
