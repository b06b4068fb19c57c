//! The curve: how badly a part must be off to be caught, over all faults of a drill.
//!
//! A share at one severity says as much of the severity as of the profile. Where half and where nearly all runs are caught,
//! beside how many healthy nodes are not passed, says what the profile can see.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::matrix::Row;
use kiln_lot::{Interval, wilson_95};

/// Shares whose severities are told.
const HALF: f64 = 0.5;
const NEARLY_ALL: f64 = 0.99;

/// Runs caught with the right part by severity, over the faults that have every severity of the drill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Curve {
    pub faults: usize,
    pub points: Vec<Point>,
    /// Severity, as a multiple of the default, from which half of the runs are caught; `None` where the drill has none.
    pub half: Option<f64>,
    /// The same for 99 %.
    pub nearly_all: Option<f64>,
}

/// All runs at one severity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Point {
    pub severity: f64,
    pub tried: usize,
    /// Caught, and no wrong part named.
    pub caught: usize,
    pub interval: Interval,
}

impl Point {
    fn share(&self) -> f64 {
        self.caught as f64 / self.tried.max(1) as f64
    }
}

impl Curve {
    /// `None` for a drill at one severity, or where no fault has all of them.
    pub fn of(severities: &[f64], rows: &[Row]) -> Option<Self> {
        let whole: Vec<&Row> = rows.iter().filter(|row| row.cells.iter().all(Option::is_some)).collect();
        if severities.len() < 2 || whole.is_empty() {
            return None;
        }
        let point = |(column, severity): (usize, &f64)| {
            let cells = || whole.iter().filter_map(|row| row.cells[column].as_ref());
            let (tried, caught) = (cells().map(|cell| cell.tried).sum(), cells().map(super::matrix::Cell::well).sum());
            Point { severity: *severity, tried, caught, interval: wilson_95(caught, tried) }
        };
        let points: Vec<Point> = severities.iter().enumerate().map(point).collect();
        let (half, nearly_all) = (reaches(&points, HALF), reaches(&points, NEARLY_ALL));
        Some(Self { faults: whole.len(), points, half, nearly_all })
    }

    /// One line for a reader.
    pub(super) fn words(&self) -> String {
        let mut text = String::new();
        for (share, severity) in [("50 %", self.half), ("99 %", self.nearly_all)] {
            let so = severity.map_or_else(
                || "at no severity of this drill".to_owned(),
                |severity| format!("from severity x{severity:.2} on"),
            );
            let _ = write!(text, "{}{share} of runs caught {so}", if text.is_empty() { "" } else { ", " });
        }
        format!("{text} ({} faults that have all severities)", self.faults)
    }
}

/// The severity from which on all points reach `share`, between two of them on a scale of ratios.
fn reaches(points: &[Point], share: f64) -> Option<f64> {
    let first = points.iter().rposition(|point| point.share() < share).map_or(0, |below| below + 1);
    let above = points.get(first)?;
    let Some(below) = first.checked_sub(1).map(|at| points[at]) else { return Some(above.severity) };
    let part = (share - below.share()) / (above.share() - below.share());
    Some(below.severity * (above.severity / below.severity).powf(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(shares: &[(f64, usize)]) -> Vec<Point> {
        let point = |(severity, caught): &(f64, usize)| Point {
            severity: *severity,
            tried: 100,
            caught: *caught,
            interval: wilson_95(*caught, 100),
        };
        shares.iter().map(point).collect()
    }

    #[test]
    fn a_share_is_reached_between_the_severities_around_it() {
        let curve = points(&[(0.25, 20), (0.5, 40), (1.0, 60), (2.0, 100)]);
        assert_eq!(reaches(&curve, 0.5).map(|at| (at * 100.0).round()), Some(71.0));
        assert!(reaches(&curve, 0.99).is_some_and(|at| (1.9..2.0).contains(&at)));
    }

    #[test]
    fn a_share_that_is_lost_again_counts_from_where_it_stays() {
        let curve = points(&[(0.5, 60), (1.0, 40), (2.0, 80)]);
        assert!(reaches(&curve, 0.5).is_some_and(|at| at > 1.0));
    }

    #[test]
    fn what_is_never_reached_is_told_as_that() {
        assert_eq!(reaches(&points(&[(0.5, 10), (1.0, 90)]), 0.99), None);
        assert_eq!(reaches(&points(&[(0.5, 99), (1.0, 100)]), 0.99), Some(0.5));
    }
}
