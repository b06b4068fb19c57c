//! How far a drill is: a bar with the time left on a terminal, a line now and then elsewhere.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::printer;

/// Without a terminal a line is written each time another of so many parts is done.
const LINES: u64 = 10;

#[derive(Debug)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    what: &'static str,
    total: u64,
    done: u64,
}

impl Progress {
    pub(super) fn new(what: &'static str, total: usize) -> Self {
        let total = total as u64;
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total);
            if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} runs, {eta} left") {
                bar.set_style(style);
            }
            bar.set_message(what);
            bar
        });
        if bar.is_none() && total > 0 {
            printer::note(&format!("{what}: {total} runs"));
        }
        Self { bar, what, total, done: 0 }
    }

    /// One more run is done.
    pub(super) fn step(&mut self) {
        self.done += 1;
        if let Some(bar) = &self.bar {
            bar.inc(1);
        } else if self.done * LINES / self.total.max(1) > (self.done - 1) * LINES / self.total.max(1) {
            printer::note(&format!("{}: {} of {} runs", self.what, self.done, self.total));
        }
    }

    pub(super) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
