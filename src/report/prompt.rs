//! What the command line says of its own accord, in the language of the console.

use std::path::Path;

use super::language::Language;
use super::phrase::Phrase;
use kiln_engine::Signal;

/// What follows a question.
pub const fn yes_or_no(language: Language) -> &'static str {
    Phrase::YesOrNo.say(language)
}

/// What becomes of the run now that it was interrupted.
pub const fn signalled(language: Language, signal: Signal) -> &'static str {
    match signal {
        Signal::First => Phrase::FirstSignal,
        Signal::Second => Phrase::SecondSignal,
        Signal::Third => Phrase::ThirdSignal,
    }
    .say(language)
}

/// Said where a run ends with its node, which a step has started anew.
pub fn restarts(language: Language, folder: &Path) -> String {
    Phrase::Restarts.with(language, &[&folder.display()])
}

/// Where a run was written.
pub fn files_are(language: Language, folder: &Path) -> String {
    Phrase::FilesAre.with(language, &[&folder.display()])
}
