//! The problems of a run for a terminal: findings first, then what went wrong and no finding explains.
//!
//! A person reads this on 24 lines: what has one cause is told once, and the files hold the rest.

use super::language::Language;
use super::phrase::Phrase;
use super::plain::plain;
use super::text::{Paint, Tone};
use super::{explain, row, sentence, value, words};
use kiln_event::{Case, Evidence, Finding, Outcome, RunRecord, uncarried_trips};
use kiln_limit::{Judgement, Measured};
use kiln_model::Component;

/// The number of findings and failures shown one by one. The files hold the rest.
const SHOWN: usize = 12;
/// From so many values on that are missing for one reason they are counted, and the first of them named.
const MANY: usize = 4;
const NAMED: usize = 3;

/// The problems of a run: findings first, then failures and missing results that no finding explains.
pub(super) struct Problems<'a> {
    pub(super) record: &'a RunRecord,
    pub(super) paint: Paint,
    pub(super) language: Language,
}

impl Problems<'_> {
    pub(super) fn lines(&self) -> Vec<String> {
        let mut blocks: Vec<Vec<String>> = self.record.findings.iter().map(|one| self.finding(one)).collect();
        for (_, trip) in uncarried_trips(self.record) {
            if !explained(self.record, &trip.guard, trip.component) {
                let cause = sentence::trip_cause(self.language, &trip.cause);
                let text = format!("{}: {}", trip.guard, plain(&cause));
                blocks.push(vec![self.heading(trip.component, &trip.code), self.line(Phrase::LabelGuard, &text)]);
            }
        }
        let rows = row::rows(self.record);
        blocks.extend(alike(self.record, &rows).into_iter().filter_map(|alike| self.rows(&alike)));
        let more = blocks.len().saturating_sub(SHOWN);
        let mut lines: Vec<String> =
            blocks.into_iter().take(SHOWN).flat_map(|block| [vec![String::new()], block].concat()).collect();
        if more > 0 {
            lines.extend([String::new(), format!("  {}", Phrase::AndMoreInFiles.with(self.language, &[&more]))]);
        }
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines
    }

    /// Writes one block for all parts that have the same problem in the same step.
    fn rows(&self, alike: &[&row::Row<'_>]) -> Option<Vec<String>> {
        let (first, others) = alike.split_first()?;
        let mut lines = self.row(first)?;
        if !others.is_empty() {
            let others: Vec<String> = others.iter().map(|row| row.component.to_string()).collect();
            lines.push(self.line(Phrase::LabelAlso, &others.join(", ")));
        }
        Some(lines)
    }

    fn row(&self, row: &row::Row<'_>) -> Option<Vec<String>> {
        let path = format!("{}.{}", row.stage, row.step);
        match row.state {
            row::RowState::Judged(standing) if speaks(standing.outcome) => {
                let word = words::outcome_phrase(standing.outcome).say(self.language);
                let mut lines = vec![self.heading(row.component, word)];
                lines.extend(self.measured(&path, standing.case));
                if standing.outcome != standing.case.outcome {
                    lines.push(self.line(Phrase::LabelBecause, Phrase::Unstable.say(self.language)));
                }
                Some(lines)
            }
            row::RowState::Cut => {
                let running = Phrase::WasRunning.with(self.language, &[&path]);
                let heading = self.heading(row.component, Phrase::CutShort.say(self.language));
                Some(vec![heading, self.line(Phrase::LabelStep, &running)])
            }
            row::RowState::Judged(_) | row::RowState::Unstarted(_) => None,
        }
    }

    fn place(&self, component: Component) -> String {
        explain::place_in(self.language, self.record.inventory.as_deref(), component)
    }

    fn heading(&self, component: Component, word: &str) -> String {
        format!("  {}  {word}", self.paint.paint(Tone::Strong, &self.place(component)))
    }

    fn line(&self, label: Phrase, text: &str) -> String {
        format!("    {} {text}", label.say(self.language))
    }

    fn finding(&self, finding: &Finding) -> Vec<String> {
        let language = self.language;
        let mut lines = vec![self.heading(finding.component, &finding.code)];
        if finding.suspects.len() > 1 {
            let suspects: Vec<String> = finding.suspects.iter().map(|one| self.place(*one)).collect();
            lines.push(self.line(Phrase::LabelAmbiguous, &Phrase::AnyOf.with(language, &[&suspects.join(" | ")])));
        }
        for (evidence, more) in evidence_alike(finding) {
            let from = sentence::from(language, &evidence.from);
            let text = sentence::evidence(language, evidence);
            let mut text = Phrase::EvidenceOn.with(language, &[&from, &evidence.component, &plain(&text)]);
            if more > 0 {
                text.push(' ');
                text.push_str(&Phrase::AndMore.with(language, &[&more]));
            }
            lines.push(self.line(Phrase::LabelMeasured, &text));
        }
        let confidence = words::confidence_phrase(finding.confidence).say(language);
        let cause = Phrase::CauseWithConfidence.with(language, &[&language.of(&finding.cause), &confidence]);
        lines.push(self.line(Phrase::LabelCause, &cause));
        let action = words::action_phrase(finding.action).say(language);
        lines.push(self.line(Phrase::LabelDo, &self.paint.paint(Tone::Strong, action)));
        lines
    }

    /// One sentence for many values that are missing for one reason, else one for each.
    fn values(&self, group: &[&Judgement]) -> Vec<String> {
        match (group.len(), &group[0].measurement.value) {
            (MANY.., Measured::Missing(why)) => {
                let names: Vec<&str> = group[..NAMED].iter().map(|one| one.measurement.name.as_str()).collect();
                let why = sentence::missing(self.language, why);
                let (all, more) = (group.len(), group.len() - NAMED);
                vec![Phrase::ManyMissing.with(self.language, &[&all, &why, &names.join(", "), &more])]
            }
            _ => group.iter().map(|one| value::sentence_in(self.language, one)).collect(),
        }
    }

    /// Lists the values that speak against the component, or the reason if there are none.
    fn measured(&self, path: &str, case: &Case) -> Vec<String> {
        let told = |label, text: &str| self.line(label, &format!("{path}: {}", plain(text)));
        let groups = missing_alike(case.judgements.iter().filter(|one| explain::speaks_against(one)));
        let mut lines: Vec<String> =
            groups.iter().flat_map(|group| self.values(group)).map(|text| told(Phrase::LabelMeasured, &text)).collect();
        if lines.is_empty() {
            lines.push(told(Phrase::LabelStep, &explain::headline_in(self.language, case)));
        }
        lines
    }
}

/// The values that speak against a part, in their order; those that are missing for one reason together.
fn missing_alike<'a>(values: impl Iterator<Item = &'a Judgement>) -> Vec<Vec<&'a Judgement>> {
    let mut groups: Vec<Vec<&Judgement>> = Vec::new();
    for one in values {
        let same = |group: &&mut Vec<&Judgement>| {
            matches!(one.measurement.value, Measured::Missing(_)) && group[0].measurement.value == one.measurement.value
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    groups
}

/// Groups the evidence of one step and one measurement: the first piece, and how many more parts have the same.
fn evidence_alike(finding: &Finding) -> Vec<(&Evidence, usize)> {
    let mut told: Vec<(&Evidence, usize)> = Vec::new();
    for one in &finding.evidence {
        let same = |(first, _): &&mut (&Evidence, usize)| {
            first.from == one.from && first.subject() == one.subject() && first.component != one.component
        };
        match told.iter_mut().find(same) {
            Some((_, more)) => *more += 1,
            None => told.push((one, 0)),
        }
    }
    told
}

/// Groups the rows that speak against the unit or the run and that no finding explains, by step and reason.
fn alike<'r, 'a>(record: &RunRecord, rows: &'r [row::Row<'a>]) -> Vec<Vec<&'r row::Row<'a>>> {
    let mut groups: Vec<(String, Vec<&row::Row<'_>>)> = Vec::new();
    for row in rows {
        let path = format!("{}.{}", row.stage, row.step);
        let reason = match row.state {
            row::RowState::Judged(standing) if speaks(standing.outcome) => {
                if explained(record, &path, row.component) {
                    continue;
                }
                let kind = standing.case.reason.as_ref().map(|reason| reason.kind().word()).unwrap_or_default();
                let missed = standing.case.judgements.iter().filter(|one| explain::speaks_against(one));
                let names: Vec<&str> = missed.map(|one| one.measurement.name.as_str()).collect();
                format!("{path} {:?} {kind} {}", standing.outcome, names.join(" "))
            }
            row::RowState::Cut => format!("{path} cut"),
            row::RowState::Judged(_) | row::RowState::Unstarted(_) => continue,
        };
        match groups.iter_mut().find(|(other, _)| *other == reason) {
            Some((_, group)) => group.push(row),
            None => groups.push((reason, vec![row])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

const fn speaks(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Fail | Outcome::Error | Outcome::Inconclusive | Outcome::Held)
}

fn explained(record: &RunRecord, from: &str, component: Component) -> bool {
    !explain::findings(record, from, component).is_empty()
}
