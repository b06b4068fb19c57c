//! Records a node through a library, for tests that choose the library's node by the environment of a process.
//!
//! `fake-driver-watch LIBRARY ROOT TICKS PERIOD_MS DEADLINE_MS` writes a recording to stdout. Why a library could not be
//! opened goes to stderr, with exit code 3. After the ticks it says on stderr how much processor time they took and how
//! late the latest was.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "numbers of tests and stand-ins are small, or words that are taken as they are"
)]

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use kiln_model::{Arrivals, Moment, Probe, Span};
use kiln_node::nvml::{Deadlines, NvmlNode, NvmlOptions};
use kiln_node::record::Recorder;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [library, root, ticks, period, deadline] = arguments.as_slice() else {
        return said("usage: fake-driver-watch LIBRARY ROOT TICKS PERIOD_MS DEADLINE_MS", 2);
    };
    let (Ok(ticks), Ok(period), Ok(deadline)) = (ticks.parse(), period.parse(), deadline.parse()) else {
        return said("a number does not read", 2);
    };
    let deadline = Duration::from_millis(deadline);
    let options = NvmlOptions {
        lib: Some(PathBuf::from(library)),
        root: PathBuf::from(root),
        deadlines: Deadlines { tick: deadline, inventory: deadline * 6, overruns: 3 },
    };
    let node = match NvmlNode::open_with(&options) {
        Ok(node) => node,
        Err(error) => return said(&error.to_string(), 3),
    };
    match watch(node, ticks, Duration::from_millis(period)) {
        Ok(told) => said(&told, 0),
        Err(error) => said(&error.to_string(), 1),
    }
}

fn said(text: &str, code: u8) -> ExitCode {
    // Nobody is left to be told if stderr is closed.
    let _ = writeln!(io::stderr(), "{text}");
    ExitCode::from(code)
}

/// The watched node with its clock.
struct Watch {
    node: NvmlNode,
    began: Instant,
    woken: Receiver<()>,
    recorder: Recorder<io::StdoutLock<'static>>,
    arrivals: Arrivals,
    seen: usize,
}

#[expect(clippy::disallowed_methods, reason = "a program that lives in real time")]
fn watch(mut node: NvmlNode, ticks: u32, period: Span) -> io::Result<String> {
    let (wake, woken) = channel();
    node.on_arrival(Box::new(move || {
        // The watch is over when nobody listens.
        let _ = wake.send(());
    }));
    let recorder = Recorder::new(io::stdout().lock(), "a library")?;
    let mut watch = Watch { node, began: Instant::now(), woken, recorder, arrivals: Arrivals::default(), seen: 0 };
    watch.node.read_inventory(watch.now());
    watch.until(|watch| watch.seen > 0, None)?;
    watch.node.ask(watch.now(), Probe::Counters);
    let seen = watch.seen;
    watch.until(|watch| watch.seen > seen, None)?;
    let busy = processor_seconds();
    let first = watch.now();
    let mut latest = Duration::ZERO;
    for tick in 0..ticks {
        let due = first + period * tick;
        watch.until(|_| false, Some(due))?;
        latest = latest.max(watch.now().since(due));
        watch.node.sample(watch.now());
    }
    watch.until(|_| false, Some(first + period * ticks))?;
    let took = (processor_seconds() - busy) / (period * ticks.max(1)).as_secs_f64();
    Ok(format!("{:.3} % of one core, latest tick {:.1} ms late", took * 100.0, latest.as_secs_f64() * 1e3))
}

impl Watch {
    fn now(&self) -> Moment {
        Moment::ZERO + self.began.elapsed()
    }

    /// Takes in what comes until `enough`, or until `end`.
    fn until(&mut self, enough: impl Fn(&Self) -> bool, end: Option<Moment>) -> io::Result<()> {
        loop {
            let now = self.now();
            self.node.collect(now, &mut self.arrivals);
            self.seen += self.arrivals.inventories.len() + self.arrivals.answers.len();
            if !self.arrivals.is_empty() {
                self.recorder.take(now, &mut self.arrivals)?;
            }
            if enough(self) || end.is_some_and(|end| now >= end) {
                return Ok(());
            }
            let next = self.node.next_arrival().into_iter().chain(end).min();
            let wait = next.map_or(Duration::from_secs(1), |next| next.since(now));
            // Woken or timed out: both mean to look again.
            let _ = self.woken.recv_timeout(wait);
        }
    }
}

/// Processor time of this process so far, all threads, user and system.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    // Fields 14 and 15 of proc_pid_stat(5), in ticks of a hundredth of a second.
    after.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
