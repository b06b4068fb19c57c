//! One program from its order to its last report: looked for, asked for its version, run, read.

use std::path::Path;
use std::time::Duration;

use super::child::{self, Ended, Ran};
use super::launch::{self, Way};
use super::search;
use crate::tool::values;
use crate::worker::Pipe;
use kiln_check::{Output, adapter};
use kiln_limit::{Measured, Measurement, Missing, Scalar};
use kiln_model::{
    LoadEnd, LoadFault, LoadSaid, ProgramNumber, ProgramOrder, ProgramReader, ProgramSaid, ProgramValue, Unreadable,
};

/// Saying a version takes a moment; what takes longer does something else.
const VERSION_WITHIN: Duration = Duration::from_secs(10);
/// Longest version or name that is told. Versions are a line.
const WORDS: usize = 200;
/// Longest text of a value: a quotation of what a program says, with what it is of.
const TEXT: usize = 400;
/// How much of the end of both outputs is kept as evidence: a screen or three.
const STDOUT_KEPT: usize = 6 * 1024;
const STDERR_KEPT: usize = 2 * 1024;
/// Characters of output, and bytes of values, in one message. A line of the protocol takes 16 KiB, and a character six
/// bytes of it at most.
const PIECE: usize = 2000;
const VALUES: usize = 8 * 1024;

/// Runs the program of an order to its end.
pub(crate) fn run(order: &ProgramOrder, pipe: &Pipe) -> LoadEnd {
    // Should a program lose its keeper, what descends from it comes to this worker, which ends it.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    Session { order, pipe, way: Way::Launched }.run()
}

struct Session<'a> {
    order: &'a ProgramOrder,
    pipe: &'a Pipe,
    way: Way,
}

impl Session<'_> {
    fn run(&self) -> LoadEnd {
        if self.pipe.ready().is_none() {
            return LoadEnd::Stopped;
        }
        let directory = self.order.directory.as_deref().map(Path::new);
        if let Some(missing) = directory.filter(|directory| !directory.is_dir()) {
            return LoadEnd::Failed(LoadFault::NoDirectory { path: missing.display().to_string() });
        }
        let path = match search::find(&self.order.program, directory, std::env::var_os("PATH").as_deref()) {
            Ok(path) => path,
            Err(why) => {
                self.tell(ProgramSaid::NotInstalled(why.clone()));
                return LoadEnd::Failed(LoadFault::Absent(why));
            }
        };
        let shown = path.display().to_string();
        let version = self.version(&path);
        self.tell(ProgramSaid::Found { path: shown.clone(), version });
        // From here on its time counts.
        self.pipe.say(LoadSaid::Running);
        let args = match self.order.reader {
            ProgramReader::Tool(tool) => adapter(tool).arguments(&self.order.args),
            ProgramReader::Values(_) => self.order.args.clone(),
        };
        let ran = match child::run(self.way.command(&path, &args, directory), self.pipe, None) {
            Ok(ran) => ran,
            Err(error) => return LoadEnd::Failed(LoadFault::NotStarted { path: shown, error: error.to_string() }),
        };
        if let Some(why) = launch::failure(&shown, ran.code, &ran.stderr) {
            return LoadEnd::Failed(why);
        }
        self.report(&shown, &ran);
        if ran.ended == Ended::Stopped { LoadEnd::Stopped } else { LoadEnd::Finished }
    }

    fn tell(&self, said: ProgramSaid) {
        self.pipe.say(LoadSaid::Program(said));
    }

    fn version(&self, path: &Path) -> Option<String> {
        let args: Vec<String> = match self.order.reader {
            ProgramReader::Tool(tool) => {
                adapter(tool).version_arguments().iter().map(|arg| (*arg).to_owned()).collect()
            }
            ProgramReader::Values(_) => self.order.version.clone(),
        };
        if args.is_empty() {
            return None;
        }
        let ran = child::run(self.way.command(path, &args, None), self.pipe, Some(VERSION_WITHIN)).ok()?;
        let line = ran.stdout.lines().chain(ran.stderr.lines()).map(str::trim).find(|line| !line.is_empty())?;
        // What it says before an error is no version.
        (ran.ended == Ended::ByItself && ran.code == 0).then(|| start(line, WORDS))
    }

    fn report(&self, path: &str, ran: &Ran) {
        if let ProgramReader::Tool(tool) = self.order.reader
            && let Some(version) = adapter(tool).version_told(&ran.stdout)
        {
            self.tell(ProgramSaid::Found { path: path.to_owned(), version: Some(start(&version, WORDS)) });
        }
        // The code of one that was stopped is our doing.
        if ran.ended == Ended::ByItself {
            self.tell(ProgramSaid::Exited { code: ran.code });
        }
        let mut output = end(&ran.stdout, STDOUT_KEPT).to_owned();
        if !ran.stderr.trim().is_empty() {
            output.push_str("\n-- on standard error:\n");
            output.push_str(end(&ran.stderr, STDERR_KEPT));
        }
        let letters: Vec<char> = plain(&output).chars().collect();
        letters.chunks(PIECE).for_each(|piece| self.tell(ProgramSaid::Printed(piece.iter().collect())));
        match ran.ended {
            Ended::Stopped => {}
            Ended::Flooded => {
                self.tell(ProgramSaid::Unreadable(Unreadable::Endless));
            }
            Ended::ByItself | Ended::Overdue => match self.read(ran) {
                Ok(measured) => self.measured(&measured),
                Err(why) => self.tell(ProgramSaid::Unreadable(why)),
            },
        }
    }

    fn read(&self, ran: &Ran) -> Result<Vec<Measurement>, Unreadable> {
        match &self.order.reader {
            ProgramReader::Tool(tool) => {
                let args = &self.order.args;
                let output = Output { stdout: &ran.stdout, stderr: &ran.stderr, exit: ran.code, args };
                adapter(*tool).read(&output)
            }
            ProgramReader::Values(wanted) => values::read(wanted, &ran.stdout, ran.code),
        }
    }

    /// Tells values, as many in a message as a line takes.
    fn measured(&self, measured: &[Measurement]) {
        let mut batch = Vec::new();
        let mut bytes = 0;
        for value in measured.iter().map(value) {
            let size = serde_json::to_string(&value).map_or(0, |text| text.len());
            if bytes + size > VALUES && !batch.is_empty() {
                self.tell(ProgramSaid::Measured(std::mem::take(&mut batch)));
                bytes = 0;
            }
            bytes += size;
            batch.push(value);
        }
        if !batch.is_empty() {
            self.tell(ProgramSaid::Measured(batch));
        }
    }
}

fn value(measured: &Measurement) -> ProgramValue {
    let number = match &measured.value {
        Measured::Value(Scalar::Number(value)) => ProgramNumber::Number { value: *value, samples: measured.samples },
        Measured::Value(Scalar::Flag(flag)) => ProgramNumber::Flag(*flag),
        Measured::Value(Scalar::Text(text)) => ProgramNumber::Text(start(text, TEXT)),
        Measured::Unsupported => ProgramNumber::Missing(Missing::NotOffered),
        Measured::Missing(why) => ProgramNumber::Missing(match (**why).clone() {
            Missing::Program(why) => Missing::Program(why.shortened(&|text| start(text, TEXT))),
            other => other,
        }),
    };
    ProgramValue { name: name(&measured.name), component: measured.component, unit: measured.unit, value: number }
}

/// The name as a profile can write it: job names and the like may hold anything.
fn name(text: &str) -> String {
    let plain = |letter: char| match letter.to_ascii_lowercase() {
        letter @ ('a'..='z' | '0'..='9' | '.' | '-' | '_') => letter,
        _ => '-',
    };
    start(text, WORDS).chars().map(plain).collect()
}

/// The text without what no report can show: every run of control characters is one sign that there was something.
fn plain(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for letter in text.chars() {
        // Progress goes back to the start of its line.
        let letter = if letter == '\r' { '\n' } else { letter };
        if !letter.is_control() || matches!(letter, '\n' | '\t') {
            kept.push(letter);
        } else if !kept.ends_with('\u{fffd}') {
            kept.push('\u{fffd}');
        }
    }
    kept
}

fn start(text: &str, longest: usize) -> String {
    text.chars().take(longest).collect()
}

fn end(text: &str, longest: usize) -> &str {
    let mut from = text.len().saturating_sub(longest);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    &text[from..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_from_outside_are_cut_and_made_plain() {
        assert_eq!(plain("1 %\r2 %\u{0}\u{0}\u{1b}[1mok\n"), "1 %\n2 %\u{fffd}[1mok\n");
        assert_eq!(name("My Job/1.read.iops"), "my-job-1.read.iops");
        assert_eq!((end("aé", 1), end("aé", 2), start("éa", 1).as_str()), ("", "é", "é"));
    }
}
