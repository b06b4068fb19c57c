//! Plots over time: one lane of steps and events, then temperature, power and clock of all GPUs under each other on the
//! same axis, with the bounds of stages, the events and what is missing marked on each.

#![expect(clippy::cast_precision_loss, reason = "seconds, counts and pixels on a page are small")]

use std::collections::BTreeSet;

use super::super::phrase::Phrase as Said;
use super::super::words;
use super::crowd;
use super::mark::Mark;
use super::page::{Page, escaped};
use super::svg::{LEFT, PLOT, Scale, WIDTH, number, rungs, short, times, trail};
use super::trace::{Slices, Tracks};
use kiln_event::{Outcome, Phase, RunRecord};
use kiln_limit::{Bound, Term};
use kiln_model::{GpuIndex, Sensor};
use kiln_profile::Trigger;

/// More GPUs than this are no longer told apart as lines.
pub(super) const LINES_MAX: usize = 16;

/// Of one plot.
const TALL: f64 = 190.0;

/// What every plot over the same time shares.
#[derive(Debug)]
pub(super) struct Timeline<'a> {
    pub(super) slices: &'a Slices,
    pub(super) time: Scale,
    /// Seconds at which stages begin and end.
    edges: Vec<f64>,
    marks: Vec<&'a Mark>,
    /// From when to when something was measured.
    windows: Vec<(f64, f64)>,
    /// What guards hold readings against: sensor, value and the guard's name.
    bounds: Vec<(Sensor, f64, &'a str)>,
    /// GPUs that findings, guards or fails name.
    pub(super) named: &'a BTreeSet<GpuIndex>,
}

impl<'a> Timeline<'a> {
    pub(super) fn new(
        record: &'a RunRecord,
        slices: &'a Slices,
        marks: &'a [Mark],
        named: &'a BTreeSet<GpuIndex>,
    ) -> Self {
        let (from, to) = slices.seconds();
        let inside = |at: &f64| *at > from && *at < to;
        let ends = |stage: &kiln_event::StageRecord| [Some(stage.started), stage.finished];
        let edges = record.stages.iter().flat_map(ends).flatten().map(kiln_model::Moment::seconds);
        let mut edges: Vec<f64> = edges.filter(inside).collect();
        edges.dedup();
        // Of a loop of hundreds of rounds the edges would be a wall.
        if edges.len() > 60 {
            edges.clear();
        }
        let marks = marks.iter().filter(|mark| mark.seconds >= from && mark.seconds <= to).collect();
        let time = Scale::new(from, to, LEFT, LEFT + PLOT);
        Self { slices, time, edges, marks, windows: windows(record, from, to), bounds: bounds(record), named }
    }

    /// Without marks, on an axis of one's own: `span` in seconds to `ends` on the drawing.
    pub(super) fn placed(
        slices: &'a Slices,
        span: (f64, f64),
        ends: (f64, f64),
        named: &'a BTreeSet<GpuIndex>,
    ) -> Self {
        let time = Scale::new(span.0, span.1, ends.0, ends.1);
        Self { slices, time, edges: Vec::new(), marks: Vec::new(), windows: Vec::new(), bounds: Vec::new(), named }
    }

    pub(super) fn x(&self, slice: usize) -> f64 {
        self.time.place(self.slices.middle(slice))
    }

    /// The lane of steps, coloured by how they ended, with the events above.
    pub(super) fn lane(&self, page: &mut Page, record: &RunRecord) {
        const ROW: f64 = 20.0;
        let (top, height) = (22.0, 22.0 + 2.0 * ROW + 26.0);
        page.put(format_args!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=img>\n"));
        for stage in &record.stages {
            let end = stage.finished.map_or(record.last_at, |at| at).seconds();
            self.block(page, (stage.started.seconds(), end), top, "block", &stage.id, &stage.id);
        }
        for step in &record.steps {
            let Some(end) = step.finished.or(Some(record.last_at)).filter(|end| *end > step.started) else { continue };
            let worst = step.cases.iter().map(|case| case.outcome).max();
            let class = match worst {
                Some(Outcome::Pass | Outcome::Marginal | Outcome::Waived) => "block good",
                Some(Outcome::Fail) => "block bad",
                Some(Outcome::Inconclusive | Outcome::Held) => "block doubt",
                Some(Outcome::Error) | None => "block trouble",
                Some(Outcome::Skipped | Outcome::NotReached | Outcome::Aborted) => "block",
            };
            let word = worst.map_or("", words::outcome);
            let name = step.key.path.split_once('.').map_or(step.key.path.as_str(), |(_, name)| name);
            let tip = format!("{} {word}", super::super::text::step_name(&step.key, page.languages().first()));
            self.block(page, (step.started.seconds(), end.seconds()), top + ROW, class, name, &tip);
        }
        for mark in &self.marks {
            let x = number(self.time.place(mark.seconds), 1);
            let class = if mark.bad { "mark" } else { "mark quiet" };
            page.put(format_args!("<path class=\"{class}\" d=\"M{x} 20l-5 -9h10Z\"><title>"));
            let first = page.languages().first();
            page.text(&mark.told(first));
            page.raw("</title></path>");
        }
        self.clock(page, height - 8.0, top + 2.0 * ROW);
        page.raw("</svg>\n");
    }

    fn block(&self, page: &mut Page, (from, to): (f64, f64), top: f64, class: &str, name: &str, tip: &str) {
        let (x, end) = (self.time.place(from), self.time.place(to));
        let wide = (end - x).max(0.6);
        page.put(format_args!(
            "<g><title>{}</title><rect class=\"{class}\" x={} y={top} width={} height=18 rx=2 />",
            escaped(tip),
            number(x, 1),
            number(wide, 1)
        ));
        // About six pixels a letter.
        if wide > 8.0 + 6.2 * name.chars().count() as f64 {
            page.put(format_args!(
                "<text class=\"mid ink\" x={} y={}>{}</text>",
                number(x + wide / 2.0, 1),
                top + 13.0,
                escaped(name)
            ));
        }
        page.raw("</g>");
    }

    /// The words of the time axis, and its line.
    pub(super) fn clock(&self, page: &mut Page, y: f64, line: f64) {
        let (from, to) = self.time.ends();
        page.put(format_args!("<path class=axis d=\"M{LEFT} {line}h{PLOT}\"/>"));
        for (at, text) in times(from, to, 12) {
            let x = number(self.time.place(at), 1);
            page.put(format_args!("<path class=axis d=\"M{x} {line}v4\"/><text class=mid x={x} y={y}>{text}</text>"));
        }
    }

    /// What is on every plot under the trails: bounds of stages, events, what is missing.
    pub(super) fn ground(&self, page: &mut Page, top: f64, tall: f64) {
        for (from, to) in &self.windows {
            let (x, end) = (self.time.place(*from), self.time.place(*to));
            let wide = number((end - x).max(0.6), 1);
            page.put(format_args!("<rect class=window x={} y={top} width={wide} height={tall} />", number(x, 1)));
        }
        for edge in &self.edges {
            page.put(format_args!("<path class=edge d=\"M{} {top}v{tall}\"/>", number(self.time.place(*edge), 1)));
        }
        for (first, last) in self.slices.holes() {
            let half = PLOT / self.slices.count as f64 / 2.0;
            let (x, end) = (self.x(first) - half, self.x(last) + half);
            page.put(format_args!(
                "<rect class=gap x={} y={top} width={} height={tall} />",
                number(x, 1),
                number(end - x, 1)
            ));
        }
        for mark in &self.marks {
            let x = number(self.time.place(mark.seconds), 1);
            let class = if mark.bad { "mark" } else { "mark quiet" };
            page.put(format_args!("<line class=\"{class}\" x1={x} y1={top} x2={x} y2={} />", top + tall));
        }
    }

    /// One quantity of all GPUs.
    pub(super) fn chart(&self, page: &mut Page, title: Said, sensor: Sensor) {
        let ranges = self.slices.gpus.values().filter_map(|tracks| tracks.gauge(sensor)?.range());
        let Some((low, high)) = ranges.reduce(|one, two| (one.0.min(two.0), one.1.max(two.1))) else {
            page.raw("<p class=dim>");
            page.say(title);
            page.raw(": ");
            page.say(Said::NoReadings);
            page.raw("</p>\n");
            return;
        };
        let (top, tall) = (8.0, TALL);
        let (low, high) = self.with_bound(sensor, f64::from(low), f64::from(high));
        let (low, high) = widened(sensor, low, high);
        let scale = Scale::new(low, high, top + tall, top).rounded(4);
        page.raw("<figure><figcaption>");
        page.say(title);
        page.put(format_args!(" <small>{}</small></figcaption>\n", sensor.unit()));
        self.open(page, scale, (top, tall), sensor.unit().symbol());
        rungs(page, scale, 4, LEFT, LEFT + PLOT);
        // What moves and stretches when a stretch of time is looked at closely.
        page.raw("<g clip-path=\"url(#plot)\"><g class=time>");
        self.ground(page, top, tall);
        if self.slices.gpus.len() > LINES_MAX {
            crowd::bands(self, page, sensor, scale);
        } else {
            for (gpu, tracks) in &self.slices.gpus {
                self.line(page, *gpu, tracks, sensor, scale);
            }
        }
        page.raw("</g></g><g class=clock>");
        self.clock(page, top + tall + 18.0, top + tall);
        page.raw("</g>");
        self.guarded(page, sensor, scale);
        page.raw("</svg></figure>\n");
    }

    /// The lines that guards hold a quantity against, each with the guard's name, where they lie on the plot.
    fn guarded(&self, page: &mut Page, sensor: Sensor, scale: Scale) {
        let (low, high) = scale.ends();
        for (_, value, guard) in
            self.bounds.iter().filter(|(of, value, _)| *of == sensor && (low..=high).contains(value))
        {
            let y = number(scale.place(*value), 1);
            page.put(format_args!("<path class=limit d=\"M{LEFT} {y}h{PLOT}\"/>"));
            page.put(format_args!(
                "<text class=\"strong end\" x={} y={y} dy=-4>{} {}</text>",
                LEFT + PLOT - 4.0,
                escaped(guard),
                short(*value)
            ));
        }
    }

    /// Takes a guard's bound in where it is near: one that readings never come close to would press them flat.
    fn with_bound(&self, sensor: Sensor, low: f64, high: f64) -> (f64, f64) {
        let near = (high - low).max(10.0);
        let bounds = self.bounds.iter().filter(|(of, ..)| *of == sensor).map(|(_, value, _)| *value);
        bounds
            .filter(|value| (low - near..=high + near).contains(value))
            .fold((low, high), |(low, high), value| (low.min(value), high.max(value)))
    }

    /// Begins a drawing whose scales a script can read.
    pub(super) fn open(&self, page: &mut Page, scale: Scale, (top, tall): (f64, f64), unit: &str) {
        let ((from, to), (low, high)) = (self.time.ends(), scale.ends());
        page.put(format_args!(
            "<svg viewBox=\"0 0 {WIDTH} {}\" role=img data-from=\"{from}\" data-to=\"{to}\" data-left=\"{LEFT}\" \
             data-wide=\"{PLOT}\" data-low=\"{low}\" data-high=\"{high}\" data-top=\"{top}\" data-tall=\"{tall}\" \
             data-unit=\"{unit}\">\n",
            top + tall + 24.0
        ));
    }

    pub(super) fn line(&self, page: &mut Page, gpu: GpuIndex, tracks: &Tracks, sensor: Sensor, scale: Scale) {
        let Some(track) = tracks.gauge(sensor) else { return };
        let path = trail(track, |slice| self.x(slice), scale);
        if !path.is_empty() {
            let class = colour(gpu, self.named.contains(&gpu));
            page.put(format_args!("<path class=\"trail {class}\" data-name=\"gpu/{}\" d=\"{path}\"/>\n", gpu.0));
        }
    }
}

/// The stretches in which steps measured. Of a loop of hundreds of rounds they would be a wall.
fn windows(record: &RunRecord, from: f64, to: f64) -> Vec<(f64, f64)> {
    const MOST: usize = 60;
    let of_step = |step: &kiln_event::StepRecord| {
        let end = step.finished.unwrap_or(record.last_at);
        let ends: Vec<kiln_model::Moment> = step.phases.iter().skip(1).map(|(at, _)| *at).chain([end]).collect();
        let begun = step.phases.iter().zip(ends).filter(|((_, phase), _)| *phase == Phase::Measuring);
        begun.map(|((at, _), end)| (at.seconds().max(from), end.seconds().min(to))).collect::<Vec<_>>()
    };
    let windows: Vec<(f64, f64)> = record.steps.iter().flat_map(of_step).filter(|(from, to)| to > from).collect();
    if windows.len() > MOST { Vec::new() } else { windows }
}

/// What guards hold sensors against, as far as it is a number of its own.
fn bounds(record: &RunRecord) -> Vec<(Sensor, f64, &str)> {
    let guards = record.start.iter().flat_map(|start| &start.profile.guards);
    guards
        .filter_map(|guard| match &guard.trigger {
            Trigger::Reading {
                sensor,
                bound:
                    Bound::AtMost(Term::Absolute(value))
                    | Bound::LessThan(Term::Absolute(value))
                    | Bound::AtLeast(Term::Absolute(value))
                    | Bound::MoreThan(Term::Absolute(value)),
            } => Some((*sensor, value.value_in(sensor.unit())?, guard.id.as_str())),
            _ => None,
        })
        .collect()
}

/// Power from zero, and no quantity so near that its noise fills the plot.
pub(super) fn widened(sensor: Sensor, low: f64, high: f64) -> (f64, f64) {
    let least = match sensor {
        Sensor::Power => return (0.0, high),
        Sensor::ClockSm => 200.0,
        _ => 8.0,
    };
    let more = ((least - (high - low)) / 2.0).max(0.0);
    (low - more, high + more)
}

/// Eight colours, then the same dashed; thick where something is said of the GPU.
pub(super) fn colour(gpu: GpuIndex, named: bool) -> String {
    let dash = if gpu.0 >= 8 { " dash" } else { "" };
    format!("c{}{dash}{}", gpu.0 % 8, if named { " named" } else { "" })
}

/// Which line is which GPU.
pub(super) fn key(page: &mut Page, slices: &Slices, named: &BTreeSet<GpuIndex>) {
    if slices.gpus.len() > LINES_MAX {
        crowd::key(page);
        return;
    }
    page.raw("<div class=key>");
    for gpu in slices.gpus.keys() {
        page.put(format_args!(
            "<span><svg width=22 height=8><path class=\"trail {}\" d=\"M0 4h22\"/></svg>gpu/{}</span>",
            colour(*gpu, named.contains(gpu)),
            gpu.0
        ));
    }
    page.raw("</div>\n");
}
