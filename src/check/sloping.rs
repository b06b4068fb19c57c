//! Change over time by least squares: of a window of readings, and of values that are no readings.

use std::ops::Deref;

use super::window::Window;
use kiln_model::{Moment, Reading};

/// A window of which the slope is asked as well: few are, and the line costs a fifth of a window.
#[derive(Debug, Clone)]
pub(super) struct Sloping {
    window: Window,
    line: Line,
}

impl Sloping {
    pub(super) fn over(window: Window) -> Self {
        Self { window, line: Line::default() }
    }

    /// Lets the first reading stand for the time since then, and not for one period.
    pub(super) const fn begin(&mut self, at: Moment) {
        self.window.begins(at);
    }

    pub(super) fn take(&mut self, at: Moment, reading: Reading<f64>) {
        match reading {
            Reading::Value(value) => self.add(at, value),
            none => self.window.take(at, none),
        }
    }

    pub(super) fn add(&mut self, at: Moment, value: f64) {
        self.window.add(at, value);
        if value.is_finite() {
            self.line.add(at, value);
        }
    }

    /// Change per second by least squares.
    pub(super) fn slope(&self) -> Option<f64> {
        self.line.slope()
    }
}

impl Deref for Sloping {
    type Target = Window;

    fn deref(&self) -> &Window {
        &self.window
    }
}

/// A straight line through readings, by running sums relative to the first.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Line {
    origin: Option<(Moment, f64)>,
    n: f64,
    t: f64,
    x: f64,
    tt: f64,
    tx: f64,
}

impl Line {
    pub(super) fn add(&mut self, at: Moment, value: f64) {
        let (start, first) = *self.origin.get_or_insert((at, value));
        let (t, x) = (at.since(start).as_secs_f64(), value - first);
        self.n += 1.0;
        self.t += t;
        self.x += x;
        self.tt += t * t;
        self.tx += t * x;
    }

    /// Change per second.
    pub(super) fn slope(&self) -> Option<f64> {
        let spread = self.n * self.tt - self.t * self.t;
        (self.n >= 2.0 && spread > 0.0).then(|| (self.n * self.tx - self.t * self.x) / spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_model::Span;

    #[test]
    fn the_slope_of_a_ramp_is_known_and_what_is_no_number_is_left_out_of_it() {
        let mut ramp = Sloping::over(Window::sampled(Span::from_secs(1)));
        for second in 1..=1000_u32 {
            ramp.add(Moment::from_secs(u64::from(second)), f64::from(second));
        }
        ramp.add(Moment::from_secs(1001), f64::NAN);
        assert!((ramp.slope().expect("slope") - 1.0).abs() < 1e-9);
        assert_eq!((ramp.count(), ramp.failed()), (1000, 1));
    }
}
