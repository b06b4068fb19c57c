//! A drill as JUnit, so that CI can guard a profile: one case for every fault and severity, and for every healthy node.
//!
//! An escape, a wrong component or a false alarm beyond what is allowed is a failure. A defect weaker than the fault's
//! default is told and never fails.

use super::document::Drill;
use super::healthy::Healthy;
use super::matrix::{Cell, MissKind, Row};
use super::text::{healthy_line, in_matrix};
use kiln_report::Xml;

/// Misses listed in a failure; the rest is in `drill.json`.
const MISSES_LISTED: usize = 20;

struct Case {
    class: String,
    name: String,
    seconds: f64,
    failure: Option<(&'static str, String, String)>,
    output: String,
}

/// The whole file.
pub fn junit(drill: &Drill) -> String {
    let mut cases = Vec::new();
    for row in &drill.rows {
        let cells = row.cells.iter().enumerate().filter_map(|(column, cell)| Some((column, cell.as_ref()?)));
        cases.extend(cells.map(|(column, cell)| of_cell(drill, row, column, cell)));
    }
    cases.extend(drill.healthy.iter().filter(|healthy| healthy.tried > 0).map(|healthy| of_healthy(drill, healthy)));
    let mut xml = Xml::new();
    xml.open("testsuites");
    xml.attribute("name", format!("drill of {} (simulated)", drill.profile));
    counts(&mut xml, &cases);
    xml.open("testsuite");
    xml.attribute("name", format!("drill.{}", drill.profile));
    counts(&mut xml, &cases);
    properties(&mut xml, drill);
    for case in &cases {
        write(&mut xml, case);
    }
    xml.finish()
}

fn counts(xml: &mut Xml, cases: &[Case]) {
    xml.attribute("tests", cases.len());
    xml.attribute("failures", cases.iter().filter(|case| case.failure.is_some()).count());
    xml.attribute("errors", 0);
    xml.attribute("time", format!("{:.3}", cases.iter().map(|case| case.seconds).sum::<f64>()));
}

fn properties(xml: &mut Xml, drill: &Drill) {
    xml.open("properties");
    for (name, value) in [
        ("simulated", "true".to_owned()),
        ("tool", drill.tool.clone()),
        ("profile", format!("{} revision {}", drill.profile, drill.revision)),
        ("profile.digest", drill.profile_digest.clone()),
        ("nodes", drill.nodes.join(" ")),
        ("seeds", drill.seeds.to_string()),
        ("first-seed", drill.first_seed.to_string()),
        ("partial", drill.partial.to_string()),
    ] {
        xml.open("property");
        xml.attribute("name", name);
        xml.attribute("value", value);
        xml.close();
    }
    xml.close();
}

fn write(xml: &mut Xml, case: &Case) {
    xml.open("testcase");
    xml.attribute("name", &case.name);
    xml.attribute("classname", &case.class);
    xml.attribute("time", format!("{:.3}", case.seconds));
    if let Some((kind, message, text)) = &case.failure {
        xml.open("failure");
        xml.attribute("type", kind);
        xml.attribute("message", message);
        xml.close_with(text);
    }
    xml.open("system-out");
    xml.close_with(&case.output);
    xml.close();
}

fn of_cell(drill: &Drill, row: &Row, column: usize, cell: &Cell) -> Case {
    let failed = !drill.is_allowed(cell, drill.counts(column));
    let listed: Vec<String> = cell
        .misses
        .iter()
        .take(MISSES_LISTED)
        .map(|miss| format!("seed {} on {}: {}", miss.seed, miss.component, miss.text))
        .collect();
    let wrong_only = cell.misses.iter().all(|miss| miss.kind == MissKind::WrongComponent);
    let kind = if wrong_only { "wrong-component" } else { "escape" };
    let message = format!("{} missed in {} of {} runs", row.fault, cell.tried - cell.well(), cell.tried);
    let by: Vec<String> = cell.by.iter().map(|word| format!("{} ({})", word.what, word.times)).collect();
    Case {
        class: format!("drill.{}.{}", drill.profile, row.node),
        name: format!("{} x{}", row.fault, drill.severities[column]),
        seconds: cell.median_s.unwrap_or(0.0),
        failure: failed.then(|| (kind, message, listed.join("\n"))),
        output: format!("caught {}; by {}", in_matrix(cell), by.join(", ")),
    }
}

fn of_healthy(drill: &Drill, healthy: &Healthy) -> Case {
    let listed: Vec<String> = healthy
        .alarms
        .iter()
        .take(MISSES_LISTED)
        .map(|alarm| format!("seed {}: {} {}", alarm.seed, alarm.verdict.shown(), alarm.why))
        .collect();
    let line = healthy_line(healthy);
    Case {
        class: format!("drill.{}.{}", drill.profile, healthy.node),
        name: "healthy".to_owned(),
        seconds: healthy.run_s,
        failure: (!drill.alarms_allowed(healthy)).then(|| ("false-alarm", line.clone(), listed.join("\n"))),
        output: line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::tests::swept;

    #[test]
    fn an_escape_is_a_failure_and_a_weak_defect_never_is() {
        insta::assert_snapshot!(junit(&swept()));
    }
}
