//! The figures of `docs/figures.md`: how long whole runs of the binary take, how much memory they hold, how big it is, and how
//! large telemetry is in each of its forms. `cargo bench --bench figures` prints the tables; with `-- lots 1000` statistics over
//! so many runs, with `-- instructions` what a burn-in costs beside what bounds it, counted by valgrind.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "numbers of tests and stand-ins are small, or words that are taken as they are"
)]

mod instructions;
mod lots;
mod telemetry;

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const KILN: &str = env!("CARGO_BIN_EXE_kiln");

/// Wall time and greatest resident memory of one whole process, the least of several runs. `state` is where it keeps what it
/// wants to find again.
fn measure(runs: u32, arguments: &[&str], state: Option<&Path>) -> (Duration, u64) {
    let mut best = Duration::MAX;
    let mut peak = 0;
    for _ in 0..runs {
        let folder = tempfile::tempdir().expect("a directory");
        let out = folder.path().join("run");
        let mut command = Command::new(KILN);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(state) = state {
            command.env("XDG_STATE_HOME", state);
        }
        if arguments[0] == "run" && !arguments.contains(&"--out") {
            command.arg("--out").arg(&out);
        }
        let began = now();
        let mut child = command.spawn().expect("kiln starts");
        let status = format!("/proc/{}/status", child.id());
        // A run that is refused takes no time at all: that is no figure.
        let ended = loop {
            if let Some(ended) = child.try_wait().expect("status") {
                break ended;
            }
            let high = std::fs::read_to_string(&status).ok().and_then(|text| high_water(&text)).unwrap_or(0);
            peak = peak.max(high);
            std::thread::park_timeout(Duration::from_millis(1));
        };
        best = best.min(began.elapsed());
        assert!(ended.success(), "{arguments:?}: {ended}");
    }
    (best, peak)
}

#[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn now() -> Instant {
    Instant::now()
}

/// `VmHWM` in KiB.
fn high_water(status: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}

#[expect(clippy::print_stdout, reason = "a bench prints its table")]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => println!("{}", whole_runs()),
        [instructions::BARE] => instructions::bare_loop(),
        ["instructions"] => println!("{}", instructions::table(Path::new(KILN))),
        ["lots", runs] => println!("{}", lots::table(runs.parse().expect("a number of runs"))),
        _ => println!("usage: cargo bench --bench figures [-- instructions | -- lots RUNS]"),
    }
}

fn whole_runs() -> String {
    let mut text = String::from("| what | wall, least of n | peak resident |\n| --- | --- | --- |\n");
    let rows: [(&str, u32, &[&str]); 4] = [
        ("`kiln --version`", 10, &["--version"]),
        ("`smoke` on `hgx-h200-8`", 10, &["run", "smoke", "--sim", "hgx-h200-8"]),
        ("`acceptance` on `hgx-h200-8`", 10, &["run", "acceptance", "--sim", "hgx-h200-8"]),
        ("`burnin-72h` on `hgx-h200-8`", 3, &["run", "burnin-72h", "--sim", "hgx-h200-8"]),
    ];
    for (what, runs, arguments) in rows {
        let (wall, peak) = measure(runs, arguments, None);
        let _ = writeln!(text, "| {what} | {:.3} s ({runs}) | {} MiB |", wall.as_secs_f64(), peak / 1024);
    }
    let size = std::fs::metadata(KILN).map_or(0, |file| file.len());
    let _ = writeln!(text, "| size of the binary | {:.1} MB | |\n", size as f64 / 1e6);
    let figures = telemetry::figures(&mut telemetry::soak(72));
    text.push_str(&telemetry::table(&figures));
    let ratio = figures[1].bytes as f64 / figures[0].bytes as f64;
    let _ = writeln!(text, "Parquet beside the blocks: {ratio:.2} (<= 1.3)");
    text
}
