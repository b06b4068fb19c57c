//! `drill.json`: everything a drill found, under a versioned schema.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::collections::BTreeMap;

use kiln_model::Spread;
use serde::{Deserialize, Serialize};

use super::curve::Curve;
use super::healthy::Healthy;
use super::matrix::{Coverage, LeftOut, MissKind, Row};
use super::shortening::Shortening;
use super::tune::Tuning;

/// Grows by a minor number with new fields, by a major one when old ones change.
pub const DRILL_SCHEMA: &str = "kiln.drill/1.6";

/// A whole drill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Drill {
    pub schema: String,
    /// All of it is of models: it says something of the profile and nothing of any unit.
    pub simulated: bool,
    /// `kiln 0.1.0`.
    pub tool: String,
    pub profile: String,
    /// The profile as it was asked for: a name, or a path.
    pub asked: String,
    pub revision: u32,
    pub profile_digest: String,
    pub nodes: Vec<String>,
    /// Runs for each fault and severity.
    pub seeds: u64,
    /// The seed of the first of them; the others follow. Since 1.2.
    #[serde(default = "first")]
    pub first_seed: u64,
    /// How far healthy parts lay from one another. Since 1.3.
    #[serde(default)]
    pub spread: Spread,
    /// Whether every run was given the bill of materials of its node. Since 1.1.
    #[serde(default)]
    pub parts_list: bool,
    /// Of how many healthy units the lot was that every run was held against; none where the profile asks for no lot, and of
    /// a first lot. Since 1.4.
    #[serde(default)]
    pub lot: Option<usize>,
    /// The file of each node's lot, as a command of one run names it. Since 1.5.
    #[serde(default)]
    pub lot_files: BTreeMap<String, String>,
    /// The bill of materials of each run that went wrong, by node and seed, as a command of that run names it. Since 1.6.
    #[serde(default)]
    pub parts_files: BTreeMap<String, BTreeMap<u64, String>>,
    /// What a command of one run takes beside profile, node, fault and seed, word by word: variables that were set, SKU facts,
    /// answers. Since 1.6.
    #[serde(default)]
    pub run_options: Vec<String>,
    /// Severities as multiples of each fault's default, one for each column.
    pub severities: Vec<f64>,
    /// Whether the drill was interrupted, so that runs are missing.
    pub partial: bool,
    pub runs_planned: usize,
    pub runs_done: usize,
    /// By severity, where there are several. Since 1.3.
    #[serde(default)]
    pub curve: Option<Curve>,
    /// Over runs at the default severity or more.
    pub coverage: Coverage,
    /// The same over the faults that a test of two hours must catch, by their files. Since 1.3.
    #[serde(default)]
    pub must: Option<Coverage>,
    pub rows: Vec<Row>,
    pub left_out: Vec<LeftOut>,
    pub healthy: Vec<Healthy>,
    pub allowed: Allowed,
    pub shortening: Option<Shortening>,
    /// Limits for a false-alarm budget. Since 1.4.
    #[serde(default)]
    pub tuning: Option<Tuning>,
}

/// What a drill may show and still count as well.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Allowed {
    /// Share of the runs of one fault that may escape or name the wrong part, in percent.
    pub misses_percent: f64,
    /// Share of healthy runs of one node that may not pass, in percent.
    pub alarms_percent: f64,
}

/// What drills began with before they told it.
const fn first() -> u64 {
    1
}

/// The file's text.
pub fn document(drill: &Drill) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(drill).map(|text| text + "\n")
}

/// JSON Schema of the file.
pub fn drill_schema() -> schemars::Schema {
    schemars::schema_for!(Drill)
}

/// A row and a column that missed more than is allowed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fault<'a> {
    pub row: &'a Row,
    pub column: usize,
}

impl Drill {
    /// Whether misses in a column count: a defect weaker than usual is told to show where detection begins, not asked for.
    pub fn counts(&self, column: usize) -> bool {
        self.severities.get(column).is_some_and(|factor| *factor >= 1.0)
    }

    pub(super) fn missed_too_much(&self) -> Vec<Fault<'_>> {
        let columns = || 0..self.severities.len();
        let all = self.rows.iter().flat_map(|row| columns().map(move |column| Fault { row, column }));
        let missed = |fault: &Fault<'_>| {
            fault.row.cells[fault.column].as_ref().is_some_and(|cell| !self.is_allowed(cell, self.counts(fault.column)))
        };
        all.filter(missed).collect()
    }

    /// `counts`: whether a defect of this severity is asked for. A healthy part must not be accused at any.
    pub(super) fn is_allowed(&self, cell: &super::matrix::Cell, counts: bool) -> bool {
        let missed = if counts { cell.tried - cell.well() } else { cell.named_wrong };
        missed as f64 * 100.0 <= self.allowed.misses_percent * cell.tried as f64
    }

    pub(super) fn alarms_allowed(&self, healthy: &Healthy) -> bool {
        healthy.alarms.len() as f64 * 100.0 <= self.allowed.alarms_percent * healthy.tried as f64
    }

    /// Whether the profile does what it is for, as far as this drill can say.
    pub fn is_well(&self) -> bool {
        self.missed_too_much().is_empty() && self.healthy.iter().all(|healthy| self.alarms_allowed(healthy))
    }

    /// How many misses of a kind there are in columns that count.
    pub(super) fn misses(&self, kind: MissKind) -> usize {
        let asked = |column: &usize| kind == MissKind::WrongComponent || self.counts(*column);
        let columns = (0..self.severities.len()).filter(asked);
        let cells = columns.flat_map(|column| self.rows.iter().filter_map(move |row| row.cells[column].as_ref()));
        cells.flat_map(|cell| &cell.misses).filter(|miss| miss.kind == kind).count()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::healthy::HealthyRun;
    use crate::matrix::LeftOutWhy;
    use crate::trial::tests::{caught, escaped};
    use crate::trial::{Ending, Naming, Trial};
    use kiln_event::VerdictWord;

    fn trials(factor: f64) -> Vec<Trial> {
        let mut wrong = caught("cold-plate-loose", 3, 2_000, &["burn.gemm"]);
        if let Ending::Caught(caught) = &mut wrong.ending {
            caught.naming = Naming::Wrong;
        }
        let weak = factor < 1.0;
        let mut all = vec![
            if weak { escaped("cold-plate-loose", 1) } else { caught("cold-plate-loose", 1, 1_800, &["burn.gemm"]) },
            caught("cold-plate-loose", 2, 1_900, &["burn.soak"]),
            wrong,
            caught("gpu-missing", 1, 2, &["identify.inventory"]),
            caught("gpu-missing", 2, 2, &["identify.inventory"]),
            caught("gpu-missing", 3, 3, &["identify.inventory"]),
        ];
        for trial in &mut all {
            trial.factor = factor;
            trial.defect.severity = factor;
        }
        all
    }

    fn of(severities: Vec<f64>) -> Drill {
        let all: Vec<Trial> = severities.iter().flat_map(|factor| trials(*factor)).collect();
        let row = |fault: &str| {
            let own: Vec<&Trial> = all.iter().filter(|trial| trial.defect.fault == fault).collect();
            Row::of(fault, "hgx-h200-8", "A-CODE", &severities, &own)
        };
        let run =
            |seed, word| HealthyRun { node: "hgx-h200-8".to_owned(), seed, word, against: None, seconds: 5_400.0 };
        let healthy: Vec<HealthyRun> =
            (1..=200).map(|seed| run(seed, if seed == 7 { VerdictWord::Fail } else { VerdictWord::Pass })).collect();
        Drill {
            schema: DRILL_SCHEMA.to_owned(),
            simulated: true,
            tool: "kiln 0.1.0".to_owned(),
            profile: "acceptance".to_owned(),
            asked: "acceptance".to_owned(),
            revision: 3,
            profile_digest: "sha256:0".to_owned(),
            nodes: vec!["hgx-h200-8".to_owned()],
            seeds: 3,
            first_seed: 1,
            spread: Spread::Tight,
            parts_list: true,
            lot: Some(60),
            lot_files: [("hgx-h200-8".to_owned(), "drills/my lots/lot.json".to_owned())].into(),
            parts_files: BTreeMap::from([(
                "hgx-h200-8".to_owned(),
                (1..=60).map(|seed| (seed, format!("drills/my lots/parts-{seed}.yaml"))).collect(),
            )]),
            run_options: ["--set", "soak=30 m", "--answer", "yes"].map(str::to_owned).to_vec(),
            partial: false,
            runs_planned: all.len() + 200,
            runs_done: all.len() + 200,
            coverage: Coverage::of(all.iter().filter(|trial| trial.factor >= 1.0)),
            must: None,
            curve: Curve::of(&severities, &[row("cold-plate-loose"), row("gpu-missing")]),
            rows: vec![row("cold-plate-loose"), row("gpu-missing")],
            left_out: vec![LeftOut {
                fault: "fan-failed".to_owned(),
                why: LeftOutWhy::NoNode { said: "the node has no fan".to_owned() },
            }],
            healthy: vec![Healthy::of("hgx-h200-8", &healthy)],
            allowed: Allowed::default(),
            shortening: None,
            tuning: None,
            severities,
        }
    }

    /// At the default severity alone.
    pub(crate) fn drill() -> Drill {
        of(vec![1.0])
    }

    /// A sweep that was interrupted.
    pub(crate) fn swept() -> Drill {
        let mut drill = of(vec![0.5, 1.0]);
        drill.rows[1].cells[0] = None;
        drill.partial = true;
        drill.runs_planned = 600;
        drill
    }

    #[test]
    fn a_drill_reads_back_as_written() {
        let drill = swept();
        let text = document(&drill).expect("written");
        assert_eq!(serde_json::from_str::<Drill>(&text).expect("read"), drill);
    }

    #[test]
    fn misses_below_the_default_severity_do_not_count_but_wrong_parts_do() {
        let mut drill = swept();
        assert_eq!(drill.missed_too_much().len(), 2, "the wrong part at either severity");
        drill.allowed = Allowed { misses_percent: 34.0, alarms_percent: 0.0 };
        assert!(drill.missed_too_much().is_empty());
        assert!(!drill.is_well(), "one false alarm in 200");
        drill.allowed.alarms_percent = 0.5;
        assert!(drill.is_well());
    }
}
