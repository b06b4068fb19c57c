//! One row for every step and component, over all rounds and attempts: what a list of test cases shows.
//!
//! Rows come in the plan's order and are the same for every unit of one model, whatever happened.

#![expect(clippy::cast_possible_truncation, reason = "seconds, counts and pixels on a page are small")]

use std::collections::BTreeMap;

use super::value;
use kiln_event::{Case, Outcome, RunRecord, Standing, StepRecord, StepStatus, standings};
use kiln_model::{Component, Span};
use kiln_plan::{PlannedStep, Readiness};

/// A step on a component.
#[derive(Debug, Clone)]
pub(super) struct Row<'a> {
    pub(super) stage: &'a str,
    pub(super) step: &'a str,
    pub(super) component: Component,
    pub(super) state: RowState<'a>,
    /// Over all rounds and attempts.
    pub(super) elapsed: Span,
    /// In how many rounds it has a result.
    pub(super) rounds: u32,
    /// Whole attempts that were followed by another and did not pass.
    pub(super) earlier: Vec<(&'a StepRecord, &'a Case)>,
    /// How often the program or machine went away under it.
    pub(super) interrupted: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum RowState<'a> {
    /// The worst of all rounds.
    Judged(Standing<'a>),
    /// It was running when the record ends.
    Cut,
    /// No event speaks of it.
    Unstarted(&'a Readiness),
}

/// All rows of a run.
pub(super) fn rows(record: &RunRecord) -> Vec<Row<'_>> {
    let mut table = Table::default();
    if let Some(plan) = &record.plan {
        for stage in &plan.stages {
            stage.steps.iter().for_each(|step| table.plan(&stage.id, step));
        }
        plan.teardown.iter().for_each(|step| table.plan("teardown", step));
    }
    for standing in standings(record) {
        table.stand(standing);
    }
    let decisive = record.decisive();
    for (index, step) in record.steps.iter().enumerate() {
        table.pass_through(step, record, decisive.contains(&index));
    }
    table.rows
}

#[derive(Debug, Default)]
struct Table<'a> {
    rows: Vec<Row<'a>>,
    places: BTreeMap<(&'a str, Component), usize>,
    /// Rows of every path.
    paths: BTreeMap<&'a str, Vec<usize>>,
}

impl<'a> Table<'a> {
    fn plan(&mut self, stage: &'a str, planned: &'a PlannedStep) {
        for component in &planned.components {
            let state = RowState::Unstarted(&planned.readiness);
            self.add(&planned.path, stage, &planned.step.id, *component, state);
        }
    }

    fn add(
        &mut self,
        path: &'a str,
        stage: &'a str,
        step: &'a str,
        component: Component,
        state: RowState<'a>,
    ) -> usize {
        let at = self.rows.len();
        if let Some(found) = self.places.get(&(path, component)) {
            return *found;
        }
        let (elapsed, rounds, earlier, interrupted) = (Span::ZERO, 0, Vec::new(), 0);
        self.rows.push(Row { stage, step, component, state, elapsed, rounds, earlier, interrupted });
        self.places.insert((path, component), at);
        self.paths.entry(path).or_default().push(at);
        at
    }

    /// The row of a path and component, made where the plan has none.
    fn at(&mut self, path: &'a str, component: Component, state: RowState<'a>) -> usize {
        let (stage, step) = path.split_once('.').unwrap_or(("run", path));
        self.add(path, stage, step, component, state)
    }

    fn stand(&mut self, standing: Standing<'a>) {
        let at = self.at(&standing.step.key.path, standing.case.component, RowState::Judged(standing));
        let row = &mut self.rows[at];
        row.rounds += 1;
        match row.state {
            RowState::Judged(worst) if badness(&worst) >= badness(&standing) => {}
            _ => row.state = RowState::Judged(standing),
        }
    }

    /// Takes in the time of an attempt and what it leaves behind besides its standing.
    fn pass_through(&mut self, step: &'a StepRecord, record: &RunRecord, decisive: bool) {
        let elapsed = step.finished.unwrap_or(record.last_at).since(step.started);
        if !self.paths.contains_key(step.key.path.as_str()) {
            self.at(&step.key.path, Component::Node, RowState::Cut);
        }
        for at in self.paths.get(step.key.path.as_str()).into_iter().flatten() {
            let row = &mut self.rows[*at];
            row.elapsed += elapsed;
            row.interrupted += u32::from(step.status == StepStatus::Interrupted);
            let failed = matches!(row.state, RowState::Judged(standing) if standing.outcome == Outcome::Fail);
            if decisive && step.status != StepStatus::Finished && !failed {
                row.state = RowState::Cut;
            }
            if !decisive
                && let Some(case) = step.cases.iter().find(|case| case.component == row.component)
                && !matches!(
                    case.outcome,
                    Outcome::Pass | Outcome::Marginal | Outcome::Waived | Outcome::Held | Outcome::Skipped
                )
            {
                row.earlier.push((step, case));
            }
        }
    }
}

/// Worse outcomes first by their order, then by how near a value came to its limit.
fn badness(standing: &Standing<'_>) -> (Outcome, i64) {
    let nearest = value::worst(&standing.case.judgements).and_then(value::relative_margin);
    // In parts per million, so that it has a total order.
    (standing.outcome, nearest.map_or(i64::MIN, |margin| (-margin * 1e6) as i64))
}
