//! Which driver runs a run, and who answers the operator's prompts.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use unicode_normalization::UnicodeNormalization as _;

use super::args::YesNo;
use super::command_error::CommandError;
use super::dut::Chosen;
use super::printer;
use super::signals::Interrupts;
use crate::engine::drive::{DriveError, Operator, Pace, run_in_real_time, run_in_virtual_time};
use crate::engine::{Machine, OperatorReply, Witness};
use crate::event::NodeSource;
use crate::journal::Durability;
use crate::model::{Text, WallTime};
use crate::report::{self, Language};

/// `--sim-speed` as meant; `None` for as fast as possible.
pub(super) fn pace(factor: Option<f64>) -> Result<Option<Pace>, CommandError> {
    factor
        .map(|factor| {
            Pace::new(factor).ok_or_else(|| {
                let (least, most) = (Pace::RANGE.start(), Pace::RANGE.end());
                CommandError::Usage(anyhow!(
                    "`--sim-speed {factor:?}` is not between {least} and {most}; leave it out to run as fast as possible"
                ))
            })
        })
        .transpose()
}

/// Whether nobody waits for the clock.
pub(super) fn in_virtual_time(source: &NodeSource, pace: Option<Pace>) -> bool {
    pace.is_none() && matches!(source, NodeSource::Simulated { .. } | NodeSource::Replayed { .. })
}

/// How safe the journal of a run must be at every step.
pub(super) fn durability(in_virtual_time: bool) -> Durability {
    if in_virtual_time { Durability::virtual_time(monotonic) } else { Durability::EverySync }
}

/// Time since the program first asked.
#[expect(clippy::disallowed_methods, reason = "the edge reads the clock for the journal and the console")]
pub(super) fn monotonic() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// Runs the machine to its end with the driver that fits.
pub(super) fn drive(
    machine: &mut Machine<'_>,
    chosen: &mut Chosen,
    recorder: &mut dyn Witness,
    pace: Option<Pace>,
    mut operator: Prompter,
    signals: &Interrupts,
) -> Result<(), DriveError> {
    if in_virtual_time(&chosen.source, pace) {
        let mut taken = 0;
        let mut next = || signals.after(&mut taken);
        return run_in_virtual_time(machine, &mut *chosen.dut, recorder, &mut operator, now(), &mut next);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(DriveError::Witness)?;
    let (send, receive) = tokio::sync::mpsc::unbounded_channel();
    signals.forward(send);
    let pace = pace.unwrap_or(Pace::REAL_TIME);
    runtime.block_on(run_in_real_time(machine, &mut *chosen.dut, recorder, operator, pace, receive))
}

#[expect(clippy::disallowed_methods, reason = "the edge reads the clock for the driver of virtual time")]
pub(super) fn now() -> WallTime {
    WallTime::now()
}

/// Asks at the terminal, or answers as told beforehand.
#[derive(Debug)]
pub(super) struct Prompter {
    pub(super) answer: Option<YesNo>,
    pub(super) language: Language,
}

impl Operator for Prompter {
    fn ask(&mut self, prompt: &Text) -> Option<OperatorReply> {
        if let Some(answer) = self.answer {
            let comment = Some("answered on the command line".to_owned());
            return Some(OperatorReply { yes: answer == YesNo::Yes, comment });
        }
        if !io::stdin().is_terminal() {
            return None;
        }
        loop {
            printer::ask(&format!("{} {}", self.language.of(prompt), report::yes_or_no(self.language))).ok()?;
            let mut line = String::new();
            if io::stdin().lock().read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.nfkc().collect::<String>().trim().to_lowercase().as_str() {
                "y" | "yes" | "はい" => return Some(OperatorReply { yes: true, comment: None }),
                "n" | "no" | "いいえ" => return Some(OperatorReply { yes: false, comment: None }),
                _ => {}
            }
        }
    }
}
