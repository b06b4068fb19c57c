//! Drawings: scales, ticks and trails. What is drawn where is for the files that draw.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "seconds, counts and pixels on a page are small"
)]

use std::fmt::{self, Write as _};

use super::page::Page;
use super::trace::Track;

/// Plots over time are this wide, of which the plot proper begins at `LEFT`.
pub(super) const WIDTH: f64 = 1075.0;
pub(super) const LEFT: f64 = 58.0;
pub(super) const PLOT: f64 = 960.0;

/// From a quantity to a place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    /// Places of both ends.
    begin: f64,
    end: f64,
}

impl Scale {
    pub(super) fn new(low: f64, high: f64, begin: f64, end: f64) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        Self { low, high, begin, end }
    }

    pub(super) fn place(&self, value: f64) -> f64 {
        self.begin + (value - self.low) / (self.high - self.low) * (self.end - self.begin)
    }

    pub(super) const fn ends(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// Widened so that both ends are ticks.
    pub(super) fn rounded(self, about: usize) -> Self {
        let step = step(self.high - self.low, about);
        let (low, high) = ((self.low / step).floor() * step, (self.high / step).ceil() * step);
        Self { low, high, ..self }
    }

    /// Round values inside the scale.
    pub(super) fn ticks(&self, about: usize) -> Vec<f64> {
        multiples(self.low, self.high, step(self.high - self.low, about))
    }
}

fn multiples(low: f64, high: f64, step: f64) -> Vec<f64> {
    let first = (low / step).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|number| number as f64 * step).collect()
}

/// 1, 2 or 5 times a power of ten.
fn step(span: f64, about: usize) -> f64 {
    let raw = (span / about as f64).max(f64::MIN_POSITIVE);
    let power = 10_f64.powf(raw.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= raw).unwrap_or(10.0);
    factor * power
}

/// Seconds between marks of time that clocks are read by.
const TIMES: [f64; 18] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 10800.0, 21600.0,
    43200.0, 86400.0,
];

/// Marks of time with their words.
pub(super) fn times(from: f64, to: f64, about: usize) -> Vec<(f64, String)> {
    let raw = (to - from) / about as f64;
    let step = TIMES.into_iter().find(|step| *step >= raw).unwrap_or(86400.0 * (raw / 86400.0).ceil());
    multiples(from, to, step).into_iter().map(|at| (at, clock(at, step))).collect()
}

fn clock(at: f64, step: f64) -> String {
    let seconds = at.round() as u64;
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if step < 60.0 { format!("{hours}:{minutes:02}:{rest:02}") } else { format!("{hours}:{minutes:02}") }
}

/// A number with at most `digits` decimals and no zeros at its end.
pub(super) fn number(value: f64, digits: usize) -> String {
    if digits == 1 {
        return Tenths(value).to_string();
    }
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A number with at most one decimal, as pages have tens of thousands of them: rounded as the standard library does (a half to the even
/// digit), which reckons with as many digits as the number could have.
struct Tenths(f64);

impl Tenths {
    /// The nearest whole number of tenths, without its sign; `None` where the library has to be asked.
    fn rounded(value: f64) -> Option<u64> {
        const FRACTION: u32 = f64::MANTISSA_DIGITS - 1;
        if value.is_nan() || value.abs() >= (1_u64 << FRACTION) as f64 {
            return None;
        }
        let bits = value.abs().to_bits();
        // A number is its fraction, with the bit that is not written, times 2 to the power of -`below`; the smallest have none.
        let below = 1075 - (bits >> FRACTION);
        let tenths = ((bits & ((1 << FRACTION) - 1)) | (1 << FRACTION)) * 10;
        // Ten times the fraction is less than 2^57.
        if below > 58 {
            return Some(0);
        }
        let (whole, rest, half) = (tenths >> below, tenths & ((1 << below) - 1), 1_u64 << (below - 1));
        Some(whole + u64::from(rest > half || (rest == half && whole % 2 == 1)))
    }
}

impl fmt::Display for Tenths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(tenths) = Self::rounded(self.0) else {
            let text = format!("{:.1}", self.0);
            return f.write_str(text.trim_end_matches(".0"));
        };
        let sign = if tenths > 0 && self.0 < 0.0 { "-" } else { "" };
        match tenths % 10 {
            0 => write!(f, "{sign}{}", tenths / 10),
            tenth => write!(f, "{sign}{}.{tenth}", tenths / 10),
        }
    }
}

/// Four significant digits, and never fewer than the whole number has.
pub(super) fn short(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    let magnitude = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    number(value, usize::try_from((3 - magnitude).clamp(0, 6)).unwrap_or(0))
}

/// A path that only says where the line bends.
#[derive(Debug, Default)]
pub(super) struct Trail {
    text: String,
    /// The two points last given, and whether the second is written.
    last: Option<(f64, f64)>,
    held: Option<f64>,
}

impl Trail {
    pub(super) fn point(&mut self, x: f64, y: f64) {
        let y = (y * 10.0).round() / 10.0;
        match self.last {
            None => self.write('M', x, y),
            Some((_, before)) if before == y => self.held = Some(x),
            Some((_, before)) => {
                if let Some(held) = self.held.take() {
                    self.write('L', held, before);
                }
                self.write('L', x, y);
            }
        }
        self.last = Some((x, y));
    }

    /// The next point does not follow from the last.
    pub(super) fn lift(&mut self) {
        if let (Some(held), Some((_, y))) = (self.held.take(), self.last) {
            self.write('L', held, y);
        }
        self.last = None;
    }

    pub(super) fn finish(mut self) -> String {
        self.lift();
        self.text
    }

    fn write(&mut self, letter: char, x: f64, y: f64) {
        let _ = write!(self.text, "{letter}{} {}", Tenths(x), Tenths(y));
    }
}

/// Least and greatest of every slice as one line, broken where nothing was read.
pub(super) fn trail(track: &Track, x: impl Fn(usize) -> f64, y: Scale) -> String {
    let mut trail = Trail::default();
    let (mut empty, mut last) = (0, f64::NAN);
    for slice in 0..track.low.len() {
        let Some((low, high)) = track.at(slice) else {
            empty += 1;
            if empty == BREAK {
                trail.lift();
                last = f64::NAN;
            }
            continue;
        };
        empty = 0;
        let (low, high) = (y.place(f64::from(low)), y.place(f64::from(high)));
        if (low - high).abs() < 0.35 {
            // Less than a third of a pixel is not seen.
            trail.point(x(slice), high);
            last = high;
        } else {
            // The nearer end first, so that the line does not cross itself.
            let (first, second) = if (last - low).abs() < (last - high).abs() { (low, high) } else { (high, low) };
            trail.point(x(slice), first);
            trail.point(x(slice), second);
            last = second;
        }
    }
    trail.finish()
}

/// Empty slices that break a line.
const BREAK: usize = 3;

/// A closed shape between two lines.
pub(super) fn ribbon(points: &[(f64, f64, f64)]) -> String {
    let mut there = Trail::default();
    for (x, low, _) in points {
        there.point(*x, *low);
    }
    let mut back = Trail::default();
    for (x, _, high) in points.iter().rev() {
        back.point(*x, *high);
    }
    format!("{}{}Z", there.finish(), back.finish().replacen('M', "L", 1))
}

/// Horizontal lines with their numbers.
pub(super) fn rungs(page: &mut Page, scale: Scale, about: usize, from: f64, to: f64) {
    for tick in scale.ticks(about) {
        let y = number(scale.place(tick), 1);
        page.put(format_args!("<path class=grid d=\"M{} {y}H{}\"/>", number(from, 1), number(to, 1)));
        page.put(format_args!("<text class=end x={} y={y} dy=4>{}</text>", number(from - 6.0, 1), short(tick)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_is_rounded_as_the_standard_library_does() {
        let library = |value: f64| {
            let text = format!("{value:.1}");
            let text = text.trim_end_matches(".0");
            if text == "-0" { "0".to_owned() } else { text.to_owned() }
        };
        let halves = (-4000..4000).map(|number| f64::from(number) / 16.0);
        let decimals = (0..4000).map(|number| f64::from(number) / 20.0 - 50.0);
        // Of every magnitude, and neighbours of halves.
        let bits = (0..40_000_u64).map(|number| f64::from_bits(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let near = (0..4000).flat_map(|number| {
            let half = f64::from(number) / 4.0;
            [half.next_up(), half.next_down()]
        });
        let odd = [
            0.0,
            -0.0,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MAX,
            f64::MIN_POSITIVE,
            4_503_599_627_370_495.5,
        ];
        for value in halves.chain(decimals).chain(bits).chain(near).chain(odd) {
            assert_eq!(number(value, 1), library(value), "{value:e}");
        }
    }

    #[test]
    fn a_trail_says_only_where_it_bends() {
        let mut trail = Trail::default();
        for (x, y) in [(0.0, 5.0), (1.0, 5.0), (2.0, 5.02), (3.0, 7.25), (4.0, 7.25)] {
            trail.point(x, y);
        }
        trail.lift();
        trail.point(9.0, 1.0);
        assert_eq!(trail.finish(), "M0 5L2 5L3 7.3L4 7.3M9 1");
    }

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(Scale::new(31.0, 68.0, 0.0, 1.0).ticks(4), [40.0, 50.0, 60.0]);
        assert_eq!(Scale::new(31.0, 68.0, 0.0, 1.0).rounded(4).ends(), (30.0, 70.0));
        let times: Vec<String> = times(0.0, 7000.0, 8).into_iter().map(|(_, text)| text).collect();
        assert_eq!(times, ["0:00", "0:15", "0:30", "0:45", "1:00", "1:15", "1:30", "1:45"]);
    }

    #[test]
    fn numbers_are_short_and_never_lose_whole_digits() {
        let shown = [52.114_46, 0.057_98, 143_771.0, 0.0, -0.041_2, 1980.0, 1577.694].map(short);
        assert_eq!(shown, ["52.11", "0.05798", "143771", "0", "-0.0412", "1980", "1578"]);
    }
}
