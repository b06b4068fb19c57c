//! The two steps between a worker and the program it runs, both processes of this binary: the keeper, which stays, and one
//! that asks the kernel to kill it when the keeper dies and then becomes the program. That wish outlives the change.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};

use super::keeper;
use kiln_model::LoadFault;

/// The variable that tells a fresh process of this binary what to become.
const VARIABLE: &str = "KILN_LAUNCH";
/// How a process that could not become the program says so: with this before the reason, and this exit code (which is
/// also the shells').
const FAILED: &str = "kiln-launch: ";
const FAILED_CODE: i32 = 127;
/// The reason where the file is there and what it needs to be run is not.
const NO_INTERPRETER: &str = "no interpreter or loader";

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Step {
    Keeper,
    /// The keeper that started it; if that is gone by then, nobody would end the program.
    Program {
        parent: i32,
    },
}

#[derive(Serialize, Deserialize)]
struct Launch {
    program: PathBuf,
    args: Vec<String>,
    step: Step,
}

impl Launch {
    /// A process of this binary that takes the step.
    fn command(&self) -> Command {
        // Also when the file of this binary was replaced meanwhile.
        let mut command = Command::new("/proc/self/exe");
        command.args(std::env::args_os().skip(1));
        // Paths of programs come from texts; nothing else in there can fail to be written as JSON.
        command.env(VARIABLE, serde_json::to_string(self).expect("what to launch is plain data"));
        command
    }
}

/// How programs are started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Through processes of this binary, which must be one that calls [`become_program_if_asked`].
    Launched,
    #[cfg(test)]
    Plain,
}

impl Way {
    /// The command that runs `program` without input. Both its outputs are pipes, and so is its keeper's input.
    pub(super) fn command(self, program: &Path, args: &[String], directory: Option<&Path>) -> Command {
        let mut command = match self {
            Self::Launched => {
                let launch = Launch { program: program.to_owned(), args: args.to_vec(), step: Step::Keeper };
                let mut command = launch.command();
                // The keeper's; the program gets none.
                command.stdin(Stdio::piped());
                command
            }
            #[cfg(test)]
            Self::Plain => {
                let mut command = Command::new(program);
                command.args(args).stdin(Stdio::null());
                command
            }
        };
        if let Some(directory) = directory {
            command.current_dir(directory);
        }
        // Numbers with a point.
        command.env("LC_ALL", "C");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// Why a process that has ended never became the program, if so.
pub(super) fn failure(path: &str, code: i32, stderr: &str) -> Option<LoadFault> {
    let why = stderr.strip_prefix(FAILED).filter(|_| code == FAILED_CODE).map(str::trim_end)?;
    let path = path.to_owned();
    Some(match why {
        NO_INTERPRETER => LoadFault::NoInterpreter { path },
        error => LoadFault::NotStarted { path, error: error.to_owned() },
    })
}

#[expect(clippy::disallowed_methods, reason = "this process is to be a program, and has no journal and no load")]
/// Becomes the program it was started for. Returns only where there is none.
pub(crate) fn become_program_if_asked() {
    let Some(launch) = std::env::var_os(VARIABLE) else { return };
    let why = launch
        .to_str()
        .ok_or_else(|| "its order is no text".to_owned())
        .and_then(|text| serde_json::from_str(text).map_err(|error| error.to_string()))
        .map_or_else(|why| why, take_step);
    // With nobody to hear it there is nothing else to do.
    let _ = writeln!(std::io::stderr(), "{FAILED}{why}");
    std::process::exit(FAILED_CODE);
}

#[expect(
    clippy::disallowed_methods,
    reason = "a keeper has no journal and no load of its own, and its code is the program's"
)]
/// Takes the step. Returns only why it could not.
fn take_step(mut launch: Launch) -> String {
    match launch.step {
        Step::Keeper => {
            launch.step = Step::Program { parent: getpid().as_raw_nonzero().get() };
            match keeper::keep(launch.command()) {
                Ok(code) => std::process::exit(code),
                Err(error) => format!("it could not be kept: {error}"),
            }
        }
        Step::Program { parent } => become_program(&launch, parent),
    }
}

fn become_program(launch: &Launch, parent: i32) -> String {
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return format!("it could not be tied to its keeper: {error}");
    }
    if getppid() != Pid::from_raw(parent) {
        return "its keeper is gone".to_owned();
    }
    let error = Command::new(&launch.program).args(&launch.args).env_remove(VARIABLE).exec();
    // The file itself was found before.
    if error.kind() == std::io::ErrorKind::NotFound { NO_INTERPRETER.to_owned() } else { error.to_string() }
}
