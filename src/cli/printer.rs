//! The only place that writes to the terminal: results to stdout, everything else to stderr.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};

use crate::yaml::Diagnostics;

/// Writes a result to stdout. A reader that has gone away (`kiln checks | head`) is no trouble of ours.
pub(super) fn result(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let written =
        out.write_all(text.as_bytes()).and_then(|()| if text.ends_with('\n') { Ok(()) } else { out.write_all(b"\n") });
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Writes to stdout just this, and at once: a stream for programs has no line more than its own.
pub(super) fn exactly(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Tells something on stderr; a stderr that cannot be written to leaves nobody to tell.
pub(super) fn tell(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
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
    tell(diagnostics.render(wants_color()).trim_end());
}

/// Whether stderr takes colour: a terminal, and nobody asked for none (<https://no-color.org>).
pub(super) fn wants_color() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
