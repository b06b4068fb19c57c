//! What the output of a program lacks, and why it proves nothing of the unit.
//!
//! Facts only. The words of the programs themselves, their keys and the names of their jobs are carried as data. Some of these
//! are errors like any other, with a message in English; a report says the same in other languages.

use serde::{Deserialize, Serialize};

/// What is wrong with an output whose form is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum OutputGap {
    /// A key, column or word that should stand in this place.
    #[error("`{place}` has no `{key}`")]
    Lacks { place: String, key: String },
    #[error("there is nothing under `{list}`")]
    Empty { list: String },
    #[error("`{text}` is no number")]
    NoNumber { text: String },
    /// A word or a unit of which no version of the program is known to make use.
    #[error("`{text}` is unknown")]
    Unknown { text: String },
    #[error("`{text}` names no part of a node")]
    NoSuchPart { text: String },
    #[error("it ended before `{text}`")]
    EndedBefore { text: String },
    /// It tells of more or fewer GPUs than it was to test.
    #[error("{wanted} GPUs were to be tested, and it tells of {found}")]
    OtherCount { wanted: usize, found: usize },
    /// Messages of a library stand in the middle of a line of results.
    #[error("its line `{line}` is broken by messages; send them elsewhere (`{setting}`)")]
    BrokenLine { line: String, setting: String },
    /// What the parser of its report says.
    #[error("its report is broken: {error}")]
    Broken { error: String },
    /// The sentence of an older journal.
    #[error("{0}")]
    #[serde(untagged)]
    Words(String),
}

/// What the exit code of a program says of trouble that is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum ExitMeaning {
    #[error("it refused its arguments or could not set itself up")]
    Arguments,
    #[error("it lacked the resources")]
    Resources,
    #[error("it cannot run on this machine")]
    NotHere,
    #[error("it does not trust its own figures")]
    Untrusted,
}

/// Why an output that tells of no failure is no proof that all is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unproven {
    /// A job, test case or stressor did no work.
    Idle {
        what: String,
    },
    /// A transfer carried no data.
    NothingMoved {
        what: String,
    },
    NothingBetweenGpus,
    /// The program compared no results.
    NothingChecked,
    /// It ended before a line that every whole output has. `words` are its warnings.
    EndedBefore {
        line: String,
        words: Option<String>,
    },
    /// A test case did not come to its end.
    Unfinished,
    /// Tests were skipped that were asked for.
    Skipped {
        words: String,
    },
    AllSkipped,
    AllWaived,
    /// It had trouble of its own.
    NotDone {
        words: String,
    },
    StoppedEarly {
        words: String,
    },
    /// It could not begin on this part.
    NotStarted {
        words: String,
    },
    /// One of these, told of a part or of one of several tests.
    Of {
        what: String,
        why: Box<Self>,
    },
    /// What the program says in its own words, and the sentences of older journals.
    #[serde(untagged)]
    Words(String),
}

impl Unproven {
    /// The same of one of several parts or tests.
    #[must_use]
    pub fn of(self, what: impl Into<String>) -> Self {
        Self::Of { what: what.into(), why: Box::new(self) }
    }

    /// The same with every quotation as `shorten` makes it.
    #[must_use]
    pub fn shortened(self, shorten: &dyn Fn(&str) -> String) -> Self {
        match self {
            Self::Idle { what } => Self::Idle { what: shorten(&what) },
            Self::NothingMoved { what } => Self::NothingMoved { what: shorten(&what) },
            Self::EndedBefore { line, words } => {
                Self::EndedBefore { line: shorten(&line), words: words.map(|words| shorten(&words)) }
            }
            Self::Skipped { words } => Self::Skipped { words: shorten(&words) },
            Self::NotDone { words } => Self::NotDone { words: shorten(&words) },
            Self::StoppedEarly { words } => Self::StoppedEarly { words: shorten(&words) },
            Self::NotStarted { words } => Self::NotStarted { words: shorten(&words) },
            Self::Of { what, why } => Self::Of { what: shorten(&what), why: Box::new(why.shortened(shorten)) },
            Self::Words(words) => Self::Words(shorten(&words)),
            plain @ (Self::NothingBetweenGpus
            | Self::NothingChecked
            | Self::Unfinished
            | Self::AllSkipped
            | Self::AllWaived) => plain,
        }
    }
}

impl OutputGap {
    /// The same with every quotation as `shorten` makes it.
    #[must_use]
    pub fn shortened(self, shorten: &dyn Fn(&str) -> String) -> Self {
        match self {
            Self::Lacks { place, key } => Self::Lacks { place: shorten(&place), key: shorten(&key) },
            Self::Empty { list } => Self::Empty { list: shorten(&list) },
            Self::NoNumber { text } => Self::NoNumber { text: shorten(&text) },
            Self::Unknown { text } => Self::Unknown { text: shorten(&text) },
            Self::NoSuchPart { text } => Self::NoSuchPart { text: shorten(&text) },
            Self::EndedBefore { text } => Self::EndedBefore { text: shorten(&text) },
            Self::BrokenLine { line, setting } => Self::BrokenLine { line: shorten(&line), setting },
            Self::Broken { error } => Self::Broken { error: shorten(&error) },
            Self::Words(words) => Self::Words(shorten(&words)),
            plain @ Self::OtherCount { .. } => plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_come_back_as_they_were_and_the_words_of_older_journals_are_read() {
        let through = |one: &Unproven| {
            let text = serde_json::to_string(one).expect("written");
            serde_json::from_str::<Unproven>(&text).expect("read")
        };
        for one in [
            Unproven::AllSkipped,
            Unproven::Idle { what: "scratch".to_owned() }.of("gpu/3"),
            Unproven::Words("Waived: no GPU".to_owned()),
        ] {
            assert_eq!(through(&one), one);
        }
        assert_eq!(
            serde_json::from_str::<Unproven>("\"job a moved no byte\"").expect("read"),
            Unproven::Words("job a moved no byte".to_owned())
        );
        let gap = OutputGap::OtherCount { wanted: 8, found: 7 };
        let text = serde_json::to_string(&gap).expect("written");
        assert_eq!(serde_json::from_str::<OutputGap>(&text).expect("read"), gap);
        let old = serde_json::from_str::<OutputGap>("\"a job has no name\"").expect("read");
        assert_eq!(old, OutputGap::Words("a job has no name".to_owned()));
    }

    #[test]
    fn quotations_are_shortened_wherever_they_stand() {
        let short = |text: &str| text.chars().take(2).collect::<String>();
        let long = Unproven::NotStarted { words: "Couldn't init".to_owned() }.of("gpu/3");
        assert_eq!(long.shortened(&short), Unproven::NotStarted { words: "Co".to_owned() }.of("gp"));
        let gap = OutputGap::Lacks { place: "end.sum".to_owned(), key: "lost".to_owned() };
        assert_eq!(gap.shortened(&short).to_string(), "`en` has no `lo`");
    }
}
