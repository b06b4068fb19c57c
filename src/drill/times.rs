//! Middle and worst of times to detection, and how such times are written.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "values are bounded where they are made, within the narrower type"
)]

use kiln_model::Span;

/// The middle of `times`; of an even number the later of the two in the middle, so that it is a time that occurred.
pub(super) fn median(times: &[Span]) -> Option<Span> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}

/// A time to detection in at most two units: `4s`, `3m 20s`, `7h 05m`.
pub(super) fn short(span: Span) -> String {
    let seconds = span.as_secs_f64().round() as u64;
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}h {minutes:02}m")
    } else if minutes > 0 {
        format!("{minutes}m {rest:02}s")
    } else {
        format!("{rest}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_a_time_that_occurred() {
        let times = [9, 1, 5, 3].map(Span::from_secs);
        assert_eq!(median(&times), Some(Span::from_secs(5)));
        assert_eq!(median(&times[..3]), Some(Span::from_secs(5)));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn times_are_told_in_two_units() {
        let told = [4, 200, 25_500].map(|seconds| short(Span::from_secs(seconds)));
        assert_eq!(told, ["4s", "3m 20s", "7h 05m"]);
    }
}
