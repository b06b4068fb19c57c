//! The only place that writes to the terminal, but for the live display: results to stdout, everything else to stderr.
//!
//! What is told comes from drivers, labels, file names and other people's runs. Nothing of it may move the cursor, hide a
//! line or turn a word around: what would act on a terminal is shown as a sign that stands for it.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::sync::OnceLock;

use super::args::Color;
use crate::report::{Language, Paint, visible};
use crate::yaml::Diagnostics;

/// Writes a result to stdout, with nothing in it that acts on a terminal.
pub(super) fn result(text: &str) -> io::Result<()> {
    put(&with_line_break(&visible(text, Paint::Plain)))
}

/// Writes a result that was painted by us to stdout: our own colours act, and nothing else does.
pub(super) fn painted(text: &str) -> io::Result<()> {
    put(&with_line_break(&visible(text, paint(io::stdout().is_terminal()))))
}

/// Writes a document for programs to stdout: just this, with a line break at its end. On a terminal, what would act on it is
/// shown instead.
pub(super) fn document(text: &str) -> io::Result<()> {
    exactly(&with_line_break(text))
}

/// Writes a value as JSON to stdout.
pub(super) fn json(value: &impl serde::Serialize) -> io::Result<()> {
    document(&serde_json::to_string_pretty(value)?)
}

/// Writes to stdout just this, and at once: a stream for programs has no line more than its own. On a terminal, what would
/// act on it is shown instead.
pub(super) fn exactly(text: &str) -> io::Result<()> {
    put(&if io::stdout().is_terminal() { visible(text, Paint::Plain) } else { Cow::Borrowed(text) })
}

/// A reader that has gone away (`kiln checks | head`) is no trouble of ours.
fn put(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn with_line_break(text: &str) -> Cow<'_, str> {
    if text.ends_with('\n') { Cow::Borrowed(text) } else { Cow::Owned(format!("{text}\n")) }
}

/// Tells something on stderr, with nothing in it that acts on a terminal; a stderr that cannot be written to leaves nobody
/// to tell.
pub(super) fn tell(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", visible(text, Paint::Plain));
}

/// Tells on stderr what is good to know and no warning; `--quiet` leaves it out.
pub(super) fn note(text: &str) {
    if !is_quiet() {
        tell(text);
    }
}

/// Tells something that was painted by us on stderr.
pub(super) fn tell_painted(text: &str) {
    let paint = if wants_color() { Paint::Colour } else { Paint::Plain };
    let _ = writeln!(io::stderr().lock(), "{}", visible(text, paint));
}

/// Asks something on stderr; the answer is typed on the same line.
pub(super) fn ask(text: &str) -> io::Result<()> {
    let mut err = io::stderr().lock();
    write!(err, "{} ", visible(text, Paint::Plain)).and_then(|()| err.flush())
}

/// Tells of an error with its causes.
pub(super) fn error(error: &anyhow::Error) {
    let mut text = format!("error: {error}");
    for cause in error.chain().skip(1) {
        let _ = write!(text, "\n  caused by: {cause}");
    }
    tell(&text);
}

/// Shows placed errors of a file.
pub(super) fn diagnostics(diagnostics: &Diagnostics) {
    tell_painted(diagnostics.render(wants_color()).trim_end());
}

/// What `--color` asked for; the terminal decides where nothing did.
static COLOR: OnceLock<Color> = OnceLock::new();

/// Whether `--quiet` was given.
static QUIET: OnceLock<bool> = OnceLock::new();

/// The language of messages that have more than one.
static LANGUAGE: OnceLock<Language> = OnceLock::new();

/// Sets the language of the console; the first call counts.
pub(super) fn set_language(language: Language) {
    let _ = LANGUAGE.set(language);
}

pub(super) fn language() -> Language {
    LANGUAGE.get().copied().unwrap_or_default()
}

/// Sets when to colour; the first call counts.
pub(super) fn set_color(color: Color) {
    let _ = COLOR.set(color);
}

/// Sets whether only errors, warnings and questions are told; the first call counts.
pub(super) fn set_quiet(quiet: bool) {
    let _ = QUIET.set(quiet);
}

pub(super) fn is_quiet() -> bool {
    QUIET.get().copied().unwrap_or(false)
}

/// How a stream is painted that is a terminal or none.
pub(super) fn paint(is_terminal: bool) -> Paint {
    match COLOR.get() {
        Some(Color::Always) => Paint::Colour,
        Some(Color::Never) => Paint::Plain,
        Some(Color::Auto) | None => Paint::for_terminal(is_terminal),
    }
}

/// Whether stderr takes colour: as `--color` says, or a terminal where nobody asked for none (<https://no-color.org>).
pub(super) fn wants_color() -> bool {
    paint(io::stderr().is_terminal()) == Paint::Colour
}
