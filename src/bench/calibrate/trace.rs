//! What a step response says: how often readings came, and how fast they follow.

use crate::document::Trace;
use crate::scatter::Scatter;

impl Trace {
    /// Seconds from one reading to the next, in the middle.
    pub fn period(&self) -> Option<f64> {
        let mut gaps: Vec<f64> = self.seconds.windows(2).map(|two| two[1] - two[0]).collect();
        gaps.sort_by(f64::total_cmp);
        gaps.get(gaps.len() / 2).copied()
    }

    /// Seconds from the load's beginning until a column has gone nine tenths of its way from rest to load.
    pub fn rise(&self, column: &[Option<f64>]) -> Option<f64> {
        let (on, off) = (self.on_seconds?, self.off_seconds?);
        let within = |from: f64, until: f64| {
            let inside = self.seconds.iter().zip(column).filter(|(at, _)| (from..until).contains(*at));
            Scatter::of(&inside.filter_map(|(_, value)| *value).collect::<Vec<f64>>())
        };
        let rest = within(0.0, on)?.mean;
        // The second half of the load: it has settled by then.
        let load = within(on + (off - on) / 2.0, off)?.mean;
        let there = rest + 0.9 * (load - rest);
        let mut readings = self.seconds.iter().zip(column).filter(|(at, _)| **at >= on);
        let (at, _) = readings.find(|(_, value)| value.is_some_and(|value| value >= there))?;
        Some(at - on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_model::GpuIndex;

    #[test]
    fn the_rise_of_a_lag_is_its_time_constant_times_the_logarithm_of_ten() {
        let lag = 0.7;
        let seconds: Vec<f64> = (0..1500).map(|tick| f64::from(tick) * 0.02).collect();
        let power = |at: &f64| Some(100.0 + if *at > 5.0 { 600.0 * (1.0 - (-(at - 5.0) / lag).exp()) } else { 0.0 });
        let watts: Vec<Option<f64>> = seconds.iter().map(power).collect();
        let trace = Trace {
            gpu: GpuIndex(0),
            on_seconds: Some(5.0),
            off_seconds: Some(25.0),
            watts: watts.clone(),
            watts_instant: Vec::new(),
            clock_mhz: Vec::new(),
            celsius: Vec::new(),
            seconds,
        };
        let rise = trace.rise(&watts).unwrap();
        assert!((rise - lag * 10f64.ln()).abs() < 0.03, "{rise}");
        assert!((trace.period().unwrap() - 0.02).abs() < 1e-9 && trace.rise(&[]).is_none());
    }
}
