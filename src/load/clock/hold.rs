//! The worker's side: starts the holder of one GPU's clock, and lets it go.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "times and counts of a load are far below the end of any of these types"
)]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::holder::{self, Hold};
use crate::worker::Device;
use kiln_model::ClockRefusal;

/// A clock that is held. Dropped, or lost with its process, it is given back.
#[derive(Debug)]
pub(crate) struct ClockHold {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl ClockHold {
    /// Holds the SM clock of a GPU at a frequency. Returns when the driver has taken it.
    pub(crate) fn take(device: &Device, megahertz: f64) -> Result<Self, ClockRefusal> {
        // Also when the file of this binary was replaced meanwhile.
        let mut command = Command::new("/proc/self/exe");
        command.args(std::env::args_os().skip(1));
        Self::take_by(command, device, megahertz)
    }

    /// As [`ClockHold::take`], with the command that becomes the holder.
    fn take_by(mut command: Command, device: &Device, megahertz: f64) -> Result<Self, ClockRefusal> {
        // Frequencies are far below 2^32 MHz.
        let hold = Hold { gpu: device.gpu, pci: device.pci.clone(), megahertz: megahertz.round() as u32 };
        let no_holder = |error: String| ClockRefusal::NoHolder { error };
        command.env(holder::VARIABLE, hold.to_text());
        // Its standard error must not be the worker's: who waits for the worker's to close would wait for the holder.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| no_holder(error.to_string()))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or_else(|| no_holder("its output is no pipe".to_owned()))?;
        let mut held = Self { child, stdin, stdout: BufReader::new(stdout) };
        held.answer().map(|()| held)
    }

    /// Gives the clock back and waits until the driver has taken it.
    pub(crate) fn give_back(mut self) -> Result<(), ClockRefusal> {
        self.stdin = None;
        self.answer()
    }

    fn answer(&mut self) -> Result<(), ClockRefusal> {
        let mut line = String::new();
        let said = self.stdout.read_line(&mut line).map_err(|error| error.to_string());
        said.and_then(|_| holder::read_answer(&line)).unwrap_or_else(|error| Err(ClockRefusal::NoHolder { error }))
    }
}

impl Drop for ClockHold {
    fn drop(&mut self) {
        self.stdin = None;
        // It ends by itself now. One that the driver holds is not waited for: it would hold this process too.
        let _ = self.child.try_wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_model::GpuIndex;

    fn holder_that(script: &str) -> Result<ClockHold, ClockRefusal> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        let device = Device { gpu: GpuIndex(0), pci: Some("0000:17:00.0".to_owned()) };
        ClockHold::take_by(command, &device, 990.0)
    }

    const HELD: &str = r#"echo '{"Ok":null}'; cat > /dev/null; "#;

    #[test]
    fn a_clock_is_given_back_when_the_pipe_closes() {
        let held = holder_that(&format!("{HELD} echo '{{\"Ok\":null}}'")).expect("held");
        assert_eq!(held.give_back(), Ok(()));
    }

    #[test]
    fn a_holder_that_refuses_says_why_and_one_that_dies_is_told() {
        let refused = holder_that(r#"echo '{"Err":"not-permitted"}'"#).unwrap_err();
        assert_eq!(refused, ClockRefusal::NotPermitted);
        let dead = holder_that("exit 3").unwrap_err();
        assert_eq!(dead.to_string(), "the process that gives the clock back did not start: it ended without a word");
        let stuck =
            holder_that(&format!(r#"{HELD} echo '{{"Err":{{"call":{{"call":"x","code":999}}}}}}'"#)).expect("held");
        assert_eq!(stuck.give_back(), Err(ClockRefusal::Call { call: "x".to_owned(), code: 999 }));
    }

    #[test]
    fn the_holder_is_told_which_gpu_and_which_clock() {
        let script = format!(
            r#"[ "${}" = '{}' ] && {HELD} true"#,
            holder::VARIABLE,
            r#"{"gpu":0,"pci":"0000:17:00.0","megahertz":990}"#
        );
        assert!(holder_that(&script).is_ok());
    }
}
