//! What is known about one result, as lines a person reads: where, measured against what, why, what to do.

use std::collections::BTreeSet;

use super::language::Language;
use super::phrase::Phrase;
use super::plain::plain;
use super::row::{Row, RowState};
use super::{sentence, value, words};
use kiln_event::{Case, Finding, Interruption, Outcome, Reason, RunRecord};
use kiln_limit::{Judged, Judgement, Measured, Scalar};
use kiln_model::{Component, GpuIndex, Inventory, Missing};

/// `gpu/1, slot 4, serial 1650123000001, PCI 00000000:53:00.0`.
pub(super) fn place_in(language: Language, inventory: Option<&Inventory>, component: Component) -> String {
    let mut parts = vec![component.to_string()];
    if let Some(inventory) = inventory {
        let gpu = component.gpu_index().and_then(|index| inventory.gpu(index));
        let identity = gpu.map(|gpu| &gpu.identity);
        let slot = identity.and_then(|identity| identity.slot.value());
        parts.extend(slot.map(|slot| Phrase::SlotIs.with(language, &[slot])));
        parts.extend(inventory.serial(component).map(|serial| Phrase::SerialIs.with(language, &[&serial])));
        parts
            .extend(identity.and_then(|identity| identity.pci_address.value()).map(|address| format!("PCI {address}")));
    }
    parts.join(", ")
}

pub(super) fn place(inventory: Option<&Inventory>, component: Component) -> String {
    place_in(Language::English, inventory, component)
}

/// The short form: the value that decided, or the reason.
pub(super) fn headline_in(language: Language, case: &Case) -> String {
    let decided_by_value = case.reason.as_ref().is_none_or(|reason| matches!(reason, Reason::Limit(_)));
    let text = match (value::worst(&case.judgements), &case.reason) {
        (Some(judgement), _) if decided_by_value => {
            let sentence = value::sentence_in(language, judgement);
            match said(case, judgement.measurement.component) {
                Some(words) if judgement.outcome == Judged::Fail => format!("{sentence}: {words}"),
                _ => sentence,
            }
        }
        (_, Some(reason)) => sentence::reason(language, reason),
        (Some(judgement), None) => value::sentence_in(language, judgement),
        (None, None) => words::outcome_phrase(case.outcome).say(language).to_lowercase(),
    };
    plain(&text).into_owned()
}

/// What a program says failed on a part, in its own words.
fn said(case: &Case, component: Component) -> Option<&str> {
    let of = |one: &&Judgement| one.measurement.name == "failure" && one.measurement.component == component;
    match &case.judgements.iter().find(of)?.measurement.value {
        Measured::Value(Scalar::Text(words)) => Some(words),
        _ => None,
    }
}

pub(super) fn headline(case: &Case) -> String {
    headline_in(Language::English, case)
}

/// Why a result is not what its last attempt says.
pub(super) const UNSTABLE: &str = Phrase::Unstable.say(Language::English);

/// Everything about a row, a line each.
pub(super) fn row(record: &RunRecord, row: &Row<'_>) -> Vec<String> {
    row_with(record, row, judgement)
}

/// The same, with the part of each value that is not of the row's own: a node's step has the values of many.
pub(super) fn row_naming_parts(record: &RunRecord, row: &Row<'_>) -> Vec<String> {
    row_with(record, row, |one| match one.measurement.component {
        part if part == row.component => judgement(one),
        part => format!("{part}: {}", judgement(one)),
    })
}

fn row_with(record: &RunRecord, row: &Row<'_>, line: impl Fn(&Judgement) -> String) -> Vec<String> {
    let mut lines = vec![place(record.inventory.as_deref(), row.component)];
    if let RowState::Judged(standing) = row.state {
        lines.extend(standing.case.reason.as_ref().map(reason));
        if standing.outcome != standing.case.outcome {
            lines.push(UNSTABLE.to_owned());
        }
        lines.extend(standing.case.judgements.iter().map(line));
        if row.rounds > 1 {
            lines.push(format!("this is round {}, the worst of {}", standing.step.key.round, row.rounds));
        }
    }
    if row.interrupted > 0 {
        lines.push(format!("interrupted {} and run again", words::count(row.interrupted as usize, "time")));
    }
    lines.extend(row.earlier.iter().map(|(step, case)| {
        format!("attempt {}: {}, {}", step.key.attempt, words::outcome(case.outcome), headline(case))
    }));
    lines
}

fn judgement(judgement: &Judgement) -> String {
    format!("{}: {}", value::sentence(judgement), value::judged(judgement))
}

/// The findings that explain a step and component: those that rest on it or point at it, or else those against the far ends
/// of the pairs that it was slow with.
pub(super) fn findings<'a>(record: &'a RunRecord, path: &str, component: Component) -> Vec<&'a Finding> {
    let own = own(record, path, component);
    if own.is_empty() { of_far_ends(record, path, component) } else { own }
}

/// The findings that rest on, or point at, this step and component. What a finding against the whole node or the station
/// rests on in a step explains all parts of that step; and whatever else a GPU shows, which no finding of its own tells,
/// follows from what it is accused of.
fn own<'a>(record: &'a RunRecord, path: &str, component: Component) -> Vec<&'a Finding> {
    let rests_on = |finding: &&Finding| {
        let of_all = matches!(finding.component, Component::Node | Component::Station);
        let touches = |one: Component| of_all || one.overlaps(component);
        finding.evidence.iter().any(|evidence| evidence.from.word() == path && touches(evidence.component))
    };
    let gpu = component.gpu_index();
    let points_at = |finding: &&Finding| {
        finding.component == component
            || (gpu.is_some() && finding.component.gpu_index() == gpu)
            || (finding.suspects.len() > 1 && finding.suspects.contains(&component))
    };
    record.findings.iter().filter(|finding| rests_on(finding) || points_at(finding)).collect()
}

/// The findings of others that this step and component suffers from, where it has none of its own.
pub(super) fn at_the_far_end<'a>(record: &'a RunRecord, path: &str, component: Component) -> Vec<&'a Finding> {
    if own(record, path, component).is_empty() { of_far_ends(record, path, component) } else { Vec::new() }
}

/// The findings against the GPUs at the other ends of all that was missed here, where nothing but pairs was missed and each
/// pair has such an end, or because of which it could not be measured: the bandwidth between a good GPU and a bad one says
/// nothing against the good one.
fn of_far_ends<'a>(record: &'a RunRecord, path: &str, component: Component) -> Vec<&'a Finding> {
    let last = record.steps.iter().rev().find(|step| step.key.path == path);
    let case = last.and_then(|step| step.cases.iter().find(|case| case.component == component));
    match case {
        Some(case) if case.outcome == Outcome::Fail => of_far_pairs(record, case),
        Some(case) if case.outcome == Outcome::Error => of_losses(record, case),
        _ => Vec::new(),
    }
}

/// What was only to be told, and could not be, speaks against nobody.
pub(super) fn speaks_against(one: &Judgement) -> bool {
    one.limit.is_some() && (one.outcome == Judged::Fail || (one.decisive && matches!(one.outcome, Judged::Unjudged(_))))
}

/// The findings against GPUs that stopped answering, where all that a part lacks is lacking because of them: it is what is to
/// be done about them that brings the part its values.
fn of_losses<'a>(record: &'a RunRecord, case: &Case) -> Vec<&'a Finding> {
    let mut lost: BTreeSet<GpuIndex> = BTreeSet::new();
    for one in case.judgements.iter().filter(|one| speaks_against(one)) {
        let Measured::Missing(why) = &one.measurement.value else { return Vec::new() };
        match **why {
            Missing::PeerLost { gpu } => lost.extend([gpu]),
            Missing::GpuLost { at } => {
                lost.extend(record.lost.iter().filter(|(_, when)| **when == at).map(|(gpu, _)| *gpu));
            }
            _ => return Vec::new(),
        }
    }
    let of = |gpu: &GpuIndex| record.findings.iter().find(|finding| finding.component.gpu_index() == Some(*gpu));
    let found: Option<Vec<&Finding>> = lost.iter().map(of).collect();
    found.unwrap_or_default()
}

fn of_far_pairs<'a>(record: &'a RunRecord, case: &Case) -> Vec<&'a Finding> {
    let mut found: Vec<&Finding> = Vec::new();
    for missed in case.judgements.iter().filter(|one| one.decisive && one.outcome == Judged::Fail) {
        let Component::Pair(from, to) = missed.measurement.component else { return Vec::new() };
        let at_an_end = |finding: &&Finding| {
            finding.component.gpu_index().is_some_and(|gpu| gpu == from || gpu == to)
                || matches!(finding.component, Component::Pair(one, other) if (one, other) == (from, to))
        };
        let more: Vec<&Finding> = record.findings.iter().filter(at_an_end).collect();
        if more.is_empty() {
            return Vec::new();
        }
        for finding in more {
            if !found.iter().any(|known| std::ptr::eq(*known, finding)) {
                found.push(finding);
            }
        }
    }
    found
}

/// A finding, a line each.
pub(super) fn finding(finding: &Finding) -> Vec<String> {
    let mut lines = vec![format!("finding {}: {}", finding.code, finding.cause.en)];
    if finding.suspects.len() > 1 {
        let suspects: Vec<String> = finding.suspects.iter().map(ToString::to_string).collect();
        lines.push(format!("ambiguous, any of: {}", suspects.join(", ")));
    }
    let mut part = finding.component.to_string();
    let more = [("slot", &finding.slot), ("serial", &finding.serial), ("PCI", &finding.pci_address)];
    for (name, value) in more {
        part.extend(value.iter().map(|value| format!(", {name} {value}")));
    }
    lines.push(format!("part: {part}"));
    lines.push(format!("do: {}", words::action(finding.action)));
    lines.push(format!("confidence: {}", words::confidence(finding.confidence)));
    lines.extend(finding.evidence.iter().map(|one| {
        let text = sentence::evidence(Language::English, one);
        format!("evidence: {} on {}: {text}", one.from.word(), one.component)
    }));
    lines
}

/// Whether somebody wanted the run stopped.
pub(super) fn is_aborted(record: &RunRecord) -> bool {
    matches!(record.stops().next_back(), Some((_, Interruption::Signal | Interruption::Kill)))
}

/// Why steps at the end of the run have no result.
pub(super) fn end_in(language: Language, record: &RunRecord) -> String {
    match record.stops().next_back() {
        Some((_, Interruption::Signal | Interruption::Kill)) => Phrase::EndAborted.say(language).to_owned(),
        Some((_, Interruption::Failure(why))) => {
            Phrase::EndStopped.with(language, &[&sentence::run_failure(language, why)])
        }
        None if record.verdict.is_none() => Phrase::EndNotReached.say(language).to_owned(),
        None => Phrase::EndByResult.say(language).to_owned(),
    }
}

pub(super) fn end(record: &RunRecord) -> String {
    end_in(Language::English, record)
}

/// The stable word and the sentence, as machines are told.
pub(super) fn reason(reason: &Reason) -> String {
    format!("{}: {}", reason.kind().word(), sentence::reason(Language::English, reason))
}
