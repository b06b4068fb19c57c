//! Several profiles side by side, as a Markdown table that reads as well on a terminal.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::fmt::Write as _;

use super::document::Drill;
use super::text::{percent, percents, shown};

/// One line for each drill.
pub fn comparison(drills: &[Drill]) -> String {
    let mut text = String::from(
        "| profile | a healthy run takes | faults always caught | runs caught | part named | false alarms | 95 % interval |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for drill in drills {
        text.push_str(&line(drill));
    }
    text
}

fn line(drill: &Drill) -> String {
    let coverage = &drill.coverage;
    let mut line = String::new();
    let share = |part: usize, whole: usize| {
        if whole == 0 { "-".to_owned() } else { percent(part as f64 / whole as f64) }
    };
    let taken = drill.healthy.iter().map(|healthy| healthy.run_s).fold(0.0, f64::max);
    let _ = write!(
        line,
        "| `{}`{} | {} | {} of {} | {} | {} |",
        drill.profile,
        if drill.partial { " (partial)" } else { "" },
        if taken > 0.0 { shown(taken) } else { "-".to_owned() },
        coverage.faults_caught,
        coverage.faults,
        share(coverage.caught, coverage.tried),
        share(coverage.named, coverage.caught),
    );
    let alarms = |healthy: &super::healthy::Healthy| format!("{} of {}", healthy.alarms.len(), healthy.tried);
    let counts: Vec<String> = drill.healthy.iter().map(alarms).collect();
    let intervals: Vec<String> = drill.healthy.iter().map(|healthy| percents(healthy.interval)).collect();
    let _ = writeln!(line, " {} | {} |", counts.join(", "), intervals.join(", "));
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::tests::{drill, swept};

    #[test]
    fn every_drill_is_a_line() {
        insta::assert_snapshot!(comparison(&[drill(), swept()]), @r"
        | profile | a healthy run takes | faults always caught | runs caught | part named | false alarms | 95 % interval |
        | --- | --- | --- | --- | --- | --- | --- |
        | `acceptance` | 1h 30m | 2 of 2 | 100 % | 83.33 % | 1 of 200 | 0.09 % to 2.78 % |
        | `acceptance` (partial) | 1h 30m | 2 of 2 | 100 % | 83.33 % | 1 of 200 | 0.09 % to 2.78 % |
        ");
    }
}
