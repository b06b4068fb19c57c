//! What happened at one moment of a run and is to be seen on every plot over time.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "seconds, counts and pixels on a page are small"
)]

use std::collections::BTreeMap;

use super::super::json::matters;
use super::super::language::Language;
use super::super::phrase::Phrase;
use super::super::sentence;
use super::page::Page;
use kiln_event::{Interruption, RunRecord, StepStatus, TripCause};
use kiln_model::{Component, LoadEnd, LoadFault, Moment, WrongPlace};

/// Rows of the list; the journal and `result.json` have all.
const SHOWN: usize = 80;

/// A moment worth a mark.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mark {
    pub(super) seconds: f64,
    /// Speaks against the unit or the run.
    pub(super) bad: bool,
    pub(super) what: Phrase,
    pub(super) component: Option<Component>,
    /// What was recorded.
    pub(super) text: Words,
}

/// The words of a mark: other people's as they stand, ours in every language.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Words {
    Quoted(String),
    Trip {
        guard: String,
        cause: TripCause,
    },
    Stopped(Interruption),
    Failed(LoadFault),
    /// How many results were wrong, and where the first was.
    Wrong {
        count: usize,
        place: WrongPlace,
    },
}

impl Words {
    fn told(&self, language: Language) -> String {
        match self {
            Self::Quoted(text) => text.clone(),
            Self::Trip { guard, cause } => format!("{guard}: {}", sentence::trip_cause(language, cause)),
            Self::Stopped(by) => sentence::interruption(language, by),
            Self::Failed(why) => sentence::load_fault(language, why),
            Self::Wrong { count, place } => format!("{count}, {}", sentence::wrong_place(language, place)),
        }
    }
}

impl Mark {
    pub(super) fn told(&self, language: Language) -> String {
        let place = self.component.map(|component| format!(" {component}")).unwrap_or_default();
        let text = self.text.told(language);
        let text = if text.is_empty() { String::new() } else { format!(": {text}") };
        format!("{}{place}{text}", self.what.say(language))
    }
}

/// All of a run, in the order of their time.
pub(super) fn marks(record: &RunRecord) -> Vec<Mark> {
    let mark = |seconds, bad, what, component, text| Mark { seconds, bad, what, component, text };
    let mut marks = Vec::new();
    for (at, trip) in &record.trips {
        let text = Words::Trip { guard: trip.guard.clone(), cause: trip.cause.clone() };
        marks.push(mark(at.seconds(), true, Phrase::Guard, Some(trip.component), text));
    }
    for (gpu, at) in &record.lost {
        marks.push(mark(at.seconds(), true, Phrase::Lost, Some(Component::Gpu(*gpu)), Words::Quoted(String::new())));
    }
    for line in record.kernel.iter().filter(|line| matters(line)) {
        marks.push(mark(line.at.seconds(), true, Phrase::KernelLog, None, Words::Quoted(line.text.clone())));
    }
    let mut wrong: BTreeMap<_, (f64, usize, &WrongPlace)> = BTreeMap::new();
    for (at, _, mismatch, _) in &record.mismatches {
        wrong.entry(mismatch.gpu).or_insert((at.seconds(), 0, &mismatch.place)).1 += 1;
    }
    for (gpu, (at, count, place)) in wrong {
        let text = Words::Wrong { count, place: place.clone() };
        marks.push(mark(at, true, Phrase::WrongResults, Some(Component::Gpu(gpu)), text));
    }
    for (at, _, gpu, end) in &record.load_ends {
        if let LoadEnd::Failed(why) = end {
            let text = Words::Failed(why.clone());
            marks.push(mark(at.seconds(), true, Phrase::LoadFailed, gpu.map(Component::Gpu), text));
        }
    }
    for (at, by) in &record.interruptions {
        marks.push(mark(at.seconds(), true, Phrase::Stopping, None, Words::Stopped(by.clone())));
    }
    let cut = record.steps.iter().filter(|step| step.status == StepStatus::Interrupted);
    let mut resumed: Vec<f64> = cut.filter_map(|step| step.finished).map(Moment::seconds).collect();
    resumed.dedup();
    marks.extend(resumed.into_iter().map(|at| mark(at, false, Phrase::Resumed, None, Words::Quoted(String::new()))));
    marks.sort_by(|one, two| one.seconds.total_cmp(&two.seconds));
    marks
}

/// The list under the plots.
pub(super) fn list(page: &mut Page, marks: &[Mark]) {
    page.raw("<h3>");
    page.say(Phrase::Events);
    page.raw("</h3>\n");
    if marks.is_empty() {
        page.raw("<p class=dim>");
        page.say(Phrase::NoEvents);
        page.raw("</p>\n");
        return;
    }
    page.raw("<table>");
    page.head_row(&[Phrase::Time, Phrase::What, Phrase::Component, Phrase::AsRecorded]);
    for mark in marks.iter().take(SHOWN) {
        let moment = Moment::from_nanos((mark.seconds * 1e9) as u64);
        page.put(format_args!("<tr><td>{moment}</td><td{}>", if mark.bad { " class=fail" } else { "" }));
        page.say(mark.what);
        page.raw("</td>");
        page.cell(&mark.component.map(|component| component.to_string()).unwrap_or_default());
        page.raw("<td>");
        page.tell(|language| mark.text.told(language));
        page.raw("</td>");
        page.raw("</tr>\n");
    }
    page.raw("</table>\n");
    if marks.len() > SHOWN {
        page.raw("<p class=dim>");
        page.say_with(Phrase::AndMore, &[&(marks.len() - SHOWN)]);
        page.raw("</p>\n");
    }
}
