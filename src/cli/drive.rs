//! Which driver runs a run, how interrupts reach it and who answers the operator's prompts.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use unicode_normalization::UnicodeNormalization as _;

use super::args::YesNo;
use super::printer;
use super::recorder::Recorder;
use super::station::Chosen;
use super::trouble::Trouble;
use crate::engine::drive::{DriveError, Operator, Pace, run_in_real_time, run_in_virtual_time};
use crate::engine::{Machine, OperatorReply, Signal};
use crate::event::NodeSource;
use crate::journal::Durability;
use crate::model::{Text, WallTime};
use crate::report::{self, Language};

/// `--sim-speed` as meant; `None` for as fast as possible.
pub(super) fn pace(factor: Option<f64>) -> Result<Option<Pace>, Trouble> {
    factor
        .map(|factor| {
            Pace::new(factor).ok_or_else(|| Trouble::Usage(anyhow!("`--sim-speed {factor}` is not a positive number")))
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
    recorder: &mut Recorder,
    pace: Option<Pace>,
    mut operator: Prompter,
) -> Result<(), DriveError> {
    let signals = Interrupts::listen(operator.language);
    if in_virtual_time(&chosen.source, pace) {
        let mut taken = 0;
        let mut next = || signals.after(&mut taken);
        return run_in_virtual_time(machine, &mut *chosen.station, recorder, &mut operator, now(), &mut next);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(DriveError::Witness)?;
    let (send, receive) = tokio::sync::mpsc::unbounded_channel();
    signals.forward(send);
    let pace = pace.unwrap_or(Pace::REAL_TIME);
    runtime.block_on(run_in_real_time(machine, &mut *chosen.station, recorder, operator, pace, receive))
}

#[expect(clippy::disallowed_methods, reason = "the edge reads the clock for the driver of virtual time")]
pub(super) fn now() -> WallTime {
    WallTime::now()
}

/// Counts interrupts from the keyboard or a service manager.
#[derive(Debug, Clone, Default)]
struct Interrupts {
    language: Language,
    count: Arc<AtomicU8>,
    forward: Arc<OnceLock<tokio::sync::mpsc::UnboundedSender<Signal>>>,
}

impl Interrupts {
    /// Listens on a thread of its own, so that a driver that never waits is reached as well.
    fn listen(language: Language) -> Self {
        let interrupts = Self { language, ..Self::default() };
        let told = interrupts.clone();
        std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            runtime.block_on(async {
                let kind = tokio::signal::unix::SignalKind::terminate();
                let Ok(mut terminated) = tokio::signal::unix::signal(kind) else { return };
                loop {
                    tokio::select! {
                        interrupted = tokio::signal::ctrl_c() => if interrupted.is_err() { return },
                        _ = terminated.recv() => {}
                    }
                    told.raise();
                }
            });
        });
        interrupts
    }

    fn raise(&self) {
        let count = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        let signal = signal(count);
        printer::tell(report::signalled(self.language, signal));
        if signal == Signal::Third {
            // Third: leave. Workers see their lease end and unload the GPUs by themselves.
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
        if let Some(forward) = self.forward.get() {
            let _ = forward.send(signal);
        }
    }

    /// The next interrupt after those `taken`.
    fn after(&self, taken: &mut u8) -> Option<Signal> {
        if self.count.load(Ordering::Relaxed) <= *taken {
            return None;
        }
        *taken += 1;
        Some(signal(*taken))
    }

    fn forward(&self, to: tokio::sync::mpsc::UnboundedSender<Signal>) {
        let _ = self.forward.set(to);
    }
}

const fn signal(count: u8) -> Signal {
    match count {
        0 | 1 => Signal::First,
        2 => Signal::Second,
        _ => Signal::Third,
    }
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
            let mut err = io::stderr().lock();
            write!(err, "{} {} ", self.language.of(prompt), report::yes_or_no(self.language))
                .and_then(|()| err.flush())
                .ok()?;
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
