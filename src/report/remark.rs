//! What loads and the test host had to say that is no result, in words.

use super::language::Language;
use super::phrase::Phrase;
use super::plain::plain;
use super::screened;
use super::sentence::note_fact;
use kiln_event::{Lateness, LoadNote, RunRecord, StepKey};
use kiln_model::{Component, GpuIndex, NoteFact, NoteKind, format_span};

/// `gpu/3: 4096 MiB of memory are taken before the march begins`.
pub(super) fn note_in(language: Language, gpu: Option<GpuIndex>, what: &NoteFact) -> String {
    let told = note_fact(language, what);
    match gpu {
        Some(gpu) => Phrase::NotedOn.with(language, &[&Component::Gpu(gpu), &plain(&told)]),
        None => plain(&told).into_owned(),
    }
}

/// `load.gemm: the host took 412 of 1200 samples that were due, the latest 3s late`.
pub(super) fn late_in(language: Language, key: &StepKey, lateness: &Lateness) -> String {
    let worst = format_span(lateness.worst);
    Phrase::HostWasLate.with(language, &[&key.path, &lateness.taken, &lateness.due, &worst])
}

/// Notes that something follows from; the rest is for machines.
pub(super) fn telling(record: &RunRecord) -> impl Iterator<Item = &LoadNote> {
    record.notes.iter().filter(|note| is_telling(note.kind, &note.what))
}

/// Whether a person has to hear of a note: something follows from it, or is to be done.
pub(super) const fn is_telling(kind: NoteKind, what: &NoteFact) -> bool {
    !matches!(kind, NoteKind::Plain) || matches!(what, NoteFact::ClockStaysLocked { .. })
}

/// What the run could not put back: one GPU's note, and how many have the same.
pub(super) fn left_behind(record: &RunRecord, language: Language) -> Option<String> {
    let is_left = |note: &&LoadNote| matches!(note.what, NoteFact::ClockStaysLocked { .. });
    let mut left = record.notes.iter().filter(is_left);
    let first = left.next().map(|note| note_in(language, note.gpu, &note.what))?;
    let more = left.count();
    Some(if more == 0 { first } else { format!("{first} {}", Phrase::AndMore.with(language, &[&more])) })
}

/// Everything worth a line beside the results, in the order it came.
pub(super) fn remarks(record: &RunRecord, language: Language) -> Vec<String> {
    let notes = telling(record).map(|note| note_in(language, note.gpu, &note.what));
    let late = record.late.iter().map(|(_, key, lateness)| late_in(language, key, lateness));
    notes.chain(late).chain(screened::sentences(record, language)).collect()
}
