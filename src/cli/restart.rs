//! Starting the machine anew by the commands that the station's settings name: naming one is the permission.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::drive::monotonic;
use crate::model::{Restart, RestartRefusal, Restarting};

/// How long a command may take to say that it took the order. `systemctl reboot` says so at once, and a baseboard controller
/// answers within seconds.
const WITHIN: Duration = Duration::from_secs(20);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(50);
/// The most that is kept of what it printed.
const PRINTED: u64 = 400;

/// The commands, each a program and its arguments with spaces between, which no shell reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RestartCommands {
    pub reboot: Option<String>,
    pub power_cycle: Option<String>,
}

impl RestartCommands {
    /// Every command from here, or from `other` where there is none.
    pub(super) fn over(self, other: Self) -> Self {
        Self { reboot: self.reboot.or(other.reboot), power_cycle: self.power_cycle.or(other.power_cycle) }
    }

    /// Gives the order, and waits until the command has ended. The machine may go down meanwhile, and this program with it.
    pub(super) fn give(&self, how: Restart) -> Result<Restarting, RestartRefusal> {
        let named = match how {
            Restart::Reboot => &self.reboot,
            Restart::PowerCycle => &self.power_cycle,
        };
        let Some(line) = named else { return Err(RestartRefusal::NotAllowed(how)) };
        let command = line.clone();
        let mut words = line.split_whitespace();
        let mut started = Command::new(words.next().unwrap_or_default());
        // In a group of its own: what ends this program's group must not take the order back.
        started.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
        let child = started.spawn();
        let mut child =
            child.map_err(|error| RestartRefusal::NotStarted { command: command.clone(), error: error.to_string() })?;
        match end_of(&mut child) {
            Ok(Some(0)) => Ok(Restarting::UnderWay),
            Ok(exit) => Err(RestartRefusal::Failed { command, exit, printed: printed_by(child) }),
            Err(Unended) => Err(RestartRefusal::Hung { command }),
        }
    }
}

struct Unended;

/// The exit code; None if a signal ended it.
#[expect(clippy::disallowed_methods, reason = "the edge waits for a command, while nothing is under load")]
fn end_of(child: &mut Child) -> Result<Option<i32>, Unended> {
    let until = monotonic() + WITHIN;
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Ok(status.code());
        }
        if monotonic() >= until {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Unended);
        }
        std::thread::sleep(LOOK);
    }
}

fn printed_by(mut child: Child) -> String {
    let mut text = Vec::new();
    if let Some(errors) = child.stderr.take() {
        let _ = errors.take(PRINTED).read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reboot(command: &str) -> Result<Restarting, RestartRefusal> {
        RestartCommands { reboot: Some(command.to_owned()), power_cycle: None }.give(Restart::Reboot)
    }

    #[test]
    fn only_the_command_that_the_settings_name_starts_the_machine_anew() {
        assert_eq!(reboot("true"), Ok(Restarting::UnderWay));
        let none = RestartCommands { reboot: Some("true".to_owned()), power_cycle: None }.give(Restart::PowerCycle);
        assert_eq!(none, Err(RestartRefusal::NotAllowed(Restart::PowerCycle)));
    }

    #[test]
    fn a_command_that_fails_is_told_with_what_it_printed() {
        let Err(RestartRefusal::Failed { exit, printed, .. }) = reboot("ls /no-such-folder-of-this-test") else {
            panic!("it was taken");
        };
        assert!(exit.is_some_and(|exit| exit != 0) && printed.contains("no-such-folder-of-this-test"), "{printed}");
        assert!(matches!(reboot("no-such-program-of-this-test"), Err(RestartRefusal::NotStarted { .. })));
    }
}
