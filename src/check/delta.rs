//! Differences of counters. A counter that went backwards says nothing; it is missing, not 0.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use super::sheet::Gauged;
use super::window::is_covered;
use kiln_limit::Missing;
use kiln_model::{Moment, Reading, Span};

/// Readings that may fail at the end of a span before its last good one is too old to stand for the end.
const STALE_AFTER: u32 = 5;

/// A counter followed through samples.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CounterSpan {
    first: Option<(Moment, f64)>,
    last: Option<(Moment, f64)>,
    good: u64,
    /// Failed since the last good reading.
    failing: u32,
    backwards: bool,
    unsupported: bool,
    failed: bool,
}

impl CounterSpan {
    pub(super) fn take(&mut self, at: Moment, reading: Reading<f64>) {
        match reading {
            Reading::Value(value) => {
                self.backwards |= self.last.is_some_and(|(_, before)| value < before);
                self.first.get_or_insert((at, value));
                self.last = Some((at, value));
                self.good += 1;
                self.failing = 0;
            }
            Reading::Unsupported => {
                self.unsupported = true;
                // What was told before and no longer is was not read.
                self.failing = self.failing.saturating_add(1);
            }
            Reading::Failed(_) => {
                self.failed = true;
                self.failing = self.failing.saturating_add(1);
            }
        }
    }

    /// How much was counted.
    pub(super) fn gauged(&self) -> Gauged {
        match self.ends() {
            Ok([(_, first), (_, last)]) => Gauged::Number { value: last - first, samples: self.good },
            Err(why) => why,
        }
    }

    /// How much was counted per second, if the counter was read near both ends of a window of this length.
    pub(super) fn rate(&self, over: Span) -> Gauged {
        match self.ends() {
            Ok([(start, _), (end, _)]) if !is_covered(end.since(start), over) => {
                Gauged::Missing(Missing::CounterCoverage { seen: end.since(start), window: over })
            }
            Ok([(start, first), (end, last)]) => {
                Gauged::Number { value: (last - first) / end.since(start).as_secs_f64(), samples: self.good }
            }
            Err(why) => why,
        }
    }

    fn ends(&self) -> Result<[(Moment, f64); 2], Gauged> {
        let (Some(first), Some(last)) = (self.first, self.last) else {
            return Err(if self.unsupported && !self.failed {
                Gauged::Unsupported
            } else {
                Gauged::Missing(Missing::CounterNeverRead)
            });
        };
        if self.backwards {
            Err(backwards())
        } else if self.good < 2 {
            Err(Gauged::Missing(Missing::CounterReadOnce))
        } else if self.failing > STALE_AFTER {
            Err(Gauged::Missing(Missing::CounterUnreadAtEnd))
        } else {
            Ok([first, last])
        }
    }
}

/// What was counted between two looks.
pub(super) fn between(first: &Reading<u64>, last: &Reading<u64>) -> Gauged {
    match (first, last) {
        (Reading::Value(first), Reading::Value(last)) => match last.checked_sub(*first) {
            Some(counted) => Gauged::Number { value: counted as f64, samples: 2 },
            None => backwards(),
        },
        (Reading::Unsupported, Reading::Unsupported) => Gauged::Unsupported,
        (Reading::Failed(why), _) | (_, Reading::Failed(why)) => Gauged::Missing(Missing::Read(*why)),
        _ => Gauged::Missing(Missing::CounterReadAtOneEnd),
    }
}

fn backwards() -> Gauged {
    Gauged::Missing(Missing::CounterBackwards)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_model::ReadingFailure;

    fn span_of(readings: &[Reading<f64>]) -> CounterSpan {
        let mut span = CounterSpan::default();
        for (second, reading) in readings.iter().enumerate() {
            span.take(Moment::from_secs(second as u64), *reading);
        }
        span
    }

    #[test]
    fn a_counter_gives_its_growth_and_rate() {
        let span = span_of(&[Reading::Value(100.0), Reading::Value(150.0), Reading::Value(180.0)]);
        assert_eq!(span.gauged(), Gauged::Number { value: 80.0, samples: 3 });
        assert_eq!(span.rate(Span::from_secs(2)), Gauged::Number { value: 40.0, samples: 3 });
    }

    #[test]
    fn a_counter_that_went_backwards_is_missing() {
        let span = span_of(&[Reading::Value(100.0), Reading::Value(0.0), Reading::Value(180.0)]);
        assert_eq!(span.gauged(), backwards());
        assert_eq!(between(&Reading::Value(5), &Reading::Value(3)), backwards());
    }

    #[test]
    fn a_counter_that_fails_or_is_not_offered_has_no_difference() {
        assert_eq!(span_of(&[Reading::Unsupported; 3]).gauged(), Gauged::Unsupported);
        let lost = Reading::Failed(ReadingFailure::Lost);
        let mut readings = vec![Reading::Value(1.0), Reading::Value(1.0)];
        readings.extend([lost; 6]);
        assert_eq!(span_of(&readings).gauged(), Gauged::Missing(Missing::CounterUnreadAtEnd));
        // Nor one that was offered and no longer is.
        let mut readings = vec![Reading::Value(1.0), Reading::Value(1.0)];
        readings.extend([Reading::Unsupported; 6]);
        assert_eq!(span_of(&readings).gauged(), Gauged::Missing(Missing::CounterUnreadAtEnd));
        assert_eq!(between(&Reading::Unsupported, &Reading::Unsupported), Gauged::Unsupported);
        assert_eq!(between(&Reading::Value(2), &Reading::Value(2)), Gauged::Number { value: 0.0, samples: 2 });
    }
}
