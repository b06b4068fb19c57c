//! What a program left behind when it ended, what an adapter makes of it, and why it may make nothing of it.

use serde_json::Value;

use kiln_limit::Missing;
use kiln_limit::{Measured, Measurement, Scalar};
use kiln_model::{Component, ExitMeaning, OutputGap, Unit, Unproven, Unreadable};

/// Longest quotation of what a program says: three lines of a terminal.
const QUOTED: usize = 300;

/// Everything an adapter may look at.
#[derive(Debug, Clone, Copy)]
pub struct Output<'a> {
    pub stdout: &'a str,
    pub stderr: &'a str,
    /// As shells count: 128 and the signal for one that a signal ended.
    pub exit: i32,
    /// The arguments of the profile, which may choose GPUs and cases.
    pub args: &'a [String],
}

impl<'a> Output<'a> {
    /// The lines of both outputs, those of the standard output first. Progress that goes back to the start of its line
    /// counts as lines.
    pub(super) fn lines(&self) -> impl Iterator<Item = &'a str> {
        self.stdout.split(['\r', '\n']).chain(self.stderr.split(['\r', '\n']))
    }

    /// The first line of either output that has the first of these texts in it, or else the next.
    pub(super) fn words(&self, texts: &[&str]) -> Option<&'a str> {
        texts.iter().find_map(|text| self.lines().find(|line| line.contains(text))).map(str::trim)
    }

    /// The last line on standard error, as the end of a sentence.
    pub(super) fn last_error(&self) -> String {
        let last = self.stderr.lines().map(str::trim).rfind(|line| !line.is_empty());
        last.map_or_else(String::new, |line| format!(": {line}"))
    }

    /// An exit code that speaks against what was printed, with the last line on standard error.
    pub(super) fn bad_exit(&self) -> String {
        format!("exit-code {}{}", self.exit, self.last_error())
    }

    /// The values of an argument: behind it, glued to it, or behind `=`; lists with commas taken apart.
    pub(super) fn argument(&self, names: &[&str]) -> Vec<&'a str> {
        argument(self.args, names)
    }
}

pub(super) fn argument<'a>(args: &'a [String], names: &[&str]) -> Vec<&'a str> {
    let mut values = Vec::new();
    for (at, arg) in args.iter().enumerate() {
        for name in names {
            let Some(rest) = arg.strip_prefix(name) else { continue };
            let value = match rest.strip_prefix('=') {
                Some(value) => value,
                None if rest.is_empty() => args.get(at + 1).map_or("", String::as_str),
                // `-i3`; a long option that only begins alike is another one.
                None if name.starts_with("--") => continue,
                None => rest,
            };
            values.extend(value.split(',').map(str::trim).filter(|value| !value.is_empty()));
        }
    }
    values
}

/// What the output says of the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Proven by what was measured.
    Passed,
    /// The program says so, in these words. They are its own: its messages, keys and numbers, and no sentence of ours.
    Failed(String),
    /// It does not say that it failed, and what it shows is no proof that it passed.
    Unproven(Unproven),
}

impl Verdict {
    /// Of several parts: a failure outweighs what is unproven, and that a pass.
    pub(super) fn and(self, other: Self) -> Self {
        let rank = |verdict: &Self| match verdict {
            Self::Passed => 0,
            Self::Unproven(_) => 1,
            Self::Failed(_) => 2,
        };
        if rank(&other) > rank(&self) { other } else { self }
    }

    /// The flag `name` of a part that this verdict is of, with the words that go with it.
    pub(super) fn of_part(&self, name: &str, component: Component) -> Vec<Measurement> {
        let words = match self {
            Self::Failed(words) => Some(Measurement::text("failure", component, shortened(words))),
            Self::Passed | Self::Unproven(_) => None,
        };
        std::iter::once(self.flag_of(name, component)).chain(words).collect()
    }

    /// The flag alone, for one of several tests of a part.
    pub(super) fn flag_of(&self, name: &str, component: Component) -> Measurement {
        match self {
            Self::Passed => Measurement::flag(name, component, true),
            Self::Failed(_) => Measurement::flag(name, component, false),
            Self::Unproven(why) => {
                let why = Missing::Program(why.clone().shortened(&shortened));
                Measurement::missing(name, component, Unit::One, why)
            }
        }
    }
}

/// What an adapter made of an output.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    pub(super) measured: Vec<Measurement>,
    pub(super) verdict: Verdict,
    /// What the program warns of without calling it a failure.
    pub(super) warnings: Vec<String>,
}

impl Told {
    pub(super) const fn new(measured: Vec<Measurement>, verdict: Verdict) -> Self {
        Self { measured, verdict, warnings: Vec::new() }
    }
}

/// Why an output gives no measurements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unread {
    /// It is in no form that is known.
    Form,
    /// It is in a known form, but for this.
    Place(OutputGap),
    /// The program says that it did not test, in these words.
    Refused(String),
    /// The program's exit code says that it did not test.
    Exit { meaning: ExitMeaning, words: Option<String> },
}

/// There is no `key` in this place of the output.
pub(super) fn lacks(place: impl Into<String>, key: impl Into<String>) -> Unread {
    Unread::Place(OutputGap::Lacks { place: place.into(), key: key.into() })
}

pub(super) fn no_number(text: impl Into<String>) -> Unread {
    Unread::Place(OutputGap::NoNumber { text: text.into() })
}

pub(super) fn unknown(text: impl Into<String>) -> Unread {
    Unread::Place(OutputGap::Unknown { text: text.into() })
}

pub(super) fn no_such_part(text: impl Into<String>) -> Unread {
    Unread::Place(OutputGap::NoSuchPart { text: text.into() })
}

pub(super) fn ended_before(text: &str) -> Unread {
    Unread::Place(OutputGap::EndedBefore { text: text.to_owned() })
}

pub(super) fn empty(list: &str) -> Unread {
    Unread::Place(OutputGap::Empty { list: list.to_owned() })
}

impl Unread {
    /// As a person is told of it: of which program, what was expected of it, and the first line that was seen.
    pub(super) fn told(self, title: &str, expected: &str, first: Option<String>) -> Unreadable {
        let (title, expected) = (title.to_owned(), expected.to_owned());
        match self {
            Self::Form => Unreadable::Form { title, expected, first },
            Self::Place(what) => {
                Unreadable::Place { title, what: Box::new(what.shortened(&shortened)), expected, first }
            }
            Self::Refused(words) => Unreadable::Refused { title, words: shortened(&words) },
            Self::Exit { meaning, words } => {
                Unreadable::Exit { title, meaning, words: words.as_deref().map(shortened) }
            }
        }
    }
}

/// The first line that is not empty, on standard output or else on standard error.
pub(super) fn first_line(output: &Output<'_>) -> Option<String> {
    output.lines().map(str::trim).find(|line| !line.is_empty()).map(shortened)
}

/// A quotation of bounded length, on one line.
pub(super) fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= QUOTED {
        return line;
    }
    line.chars().take(QUOTED).chain(['…']).collect()
}

/// The first JSON object that begins a line, whatever text stands before and after it: programs, their launchers and
/// their libraries print warnings around their reports. Falls back to the first brace anywhere.
pub(super) fn json_in(text: &str) -> Result<Value, Unread> {
    reports_in(text).map(|(first, _)| first)
}

/// The last of the JSON objects that follow one another from there on: a program that reports at intervals says all that it has
/// come to in each.
pub(super) fn last_json_in(text: &str) -> Result<Value, Unread> {
    reports_in(text).map(|(first, rest)| rest.into_iter().last().unwrap_or(first))
}

fn reports_in(text: &str) -> Result<(Value, Vec<Value>), Unread> {
    let at_lines = text.match_indices('{').map(|(at, _)| at).filter(|at| {
        let line = text[..*at].rfind('\n').map_or(0, |end| end + 1);
        text[line..*at].trim().is_empty()
    });
    let mut broken = None;
    for at in at_lines.take(TRIED).chain(text.find('{')) {
        let mut reports = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>();
        match reports.next() {
            Some(Ok(first)) if first.as_object().is_some_and(|object| !object.is_empty()) => {
                let rest = reports.map_while(Result::ok).filter(Value::is_object).collect();
                return Ok((first, rest));
            }
            Some(Err(error)) if broken.is_none() => broken = Some(error),
            _ => {}
        }
    }
    // A report that breaks off says where; without any there is nothing to say.
    Err(broken.map_or(Unread::Form, |error| Unread::Place(OutputGap::Broken { error: error.to_string() })))
}

/// Braces at the beginning of a line that are tried: reports are the first or the second.
const TRIED: usize = 50;

/// Whether a measurement is a number above zero.
pub(super) fn is_positive(measured: &Measurement) -> bool {
    matches!(measured.value, Measured::Value(Scalar::Number(value)) if value > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_found_between_other_lines() {
        let found = |text: &str| json_in(text).map(|value| value.to_string());
        let report = Ok(r#"{"a":1}"#.to_owned());
        assert_eq!(found(r#"{"a":1}"#), report);
        assert_eq!(found("warning: {x} is odd\n  {\"a\": 1}\nbye {"), report);
        assert_eq!(found("note {\"a\": 1}"), report);
        assert_eq!(found("{}\n{\"a\": 1}"), report);
        assert_eq!(found("Segmentation fault\n"), Err(Unread::Form));
        assert_eq!(found("{}"), Err(Unread::Form));
        assert!(matches!(found("{\"a\": [1, 2"), Err(Unread::Place(_))));
    }

    #[test]
    fn arguments_are_found_in_every_spelling() {
        let of = |args: &[&str], names: &[&str]| {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            argument(&args, names).iter().map(|value| (*value).to_owned()).collect::<Vec<_>>()
        };
        for args in [&["-i", "3"][..], &["-i3"], &["-i=3"]] {
            assert_eq!(of(args, &["-i"]), ["3"]);
        }
        assert_eq!(of(&["--testcase=a,b", "-t", "c"], &["-t", "--testcase"]), ["a", "b", "c"]);
        assert!(of(&["--testcases", "-i"], &["--testcase", "-i"]).is_empty());
    }

    #[test]
    fn a_quotation_is_one_line_of_bounded_length() {
        assert_eq!(shortened(" a\n  b\t"), "a b");
        assert_eq!(shortened(&"x".repeat(1000)).chars().count(), QUOTED + 1);
    }
}
