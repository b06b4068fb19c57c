//! Instructions instead of seconds, counted by valgrind: the same on a busy machine as on an idle one.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::telemetry;

/// The argument by which this program is asked to be the bare loop.
pub(crate) const BARE: &str = "bare";
/// The engine with node, journal and telemetry, without any report at its end.
const ENGINE: &str = "*run_in_virtual_time*";

/// Makes the samples of 72 hours of eight GPUs and drops them.
pub(crate) fn bare_loop() {
    let mut feed = telemetry::soak(72);
    let mut samples = Vec::new();
    while feed(&mut samples) {
        std::hint::black_box(&samples);
        samples.clear();
    }
}

/// Instructions of a process, or of one function in it with all that it calls.
fn counted(program: &Path, arguments: &[&str], within: Option<&str>) -> u64 {
    let folder = tempfile::tempdir().expect("a folder");
    let mut valgrind = Command::new("valgrind");
    valgrind.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", folder.path().join("out").display()));
    valgrind.args(within.map(|function| format!("--toggle-collect={function}")));
    valgrind.arg(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    if arguments[0] == "run" {
        valgrind.arg("--out").arg(folder.path().join("run"));
    }
    let output = valgrind.output().expect("valgrind is installed");
    assert!(output.status.success(), "{arguments:?}: {}", output.status);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let count = told.lines().find_map(|line| line.split("Collected : ").nth(1)).expect("a count");
    count.trim().parse().expect("a number")
}

/// What a burn-in costs beside what bounds it.
pub(crate) fn table(kiln: &Path) -> String {
    let run = ["run", "burnin-72h", "--sim", "hgx-h200-8"];
    let this = std::env::current_exe().expect("this program");
    let (whole, engine, bare) =
        (counted(kiln, &run, None), counted(kiln, &run, Some(ENGINE)), counted(&this, &[BARE], None));
    let mut text =
        String::from("| `burnin-72h` on `hgx-h200-8` | instructions | beside | target |\n| --- | --- | --- | --- |\n");
    let billions = |count: u64| count as f64 / 1e9;
    let _ = writeln!(text, "| a bare loop that makes its 2.07 million samples | {:.1} billion | | |", billions(bare));
    let share = engine as f64 / bare as f64;
    let _ =
        writeln!(text, "| engine, journal and telemetry | {:.1} billion | {share:.2} of it | <= 4 |", billions(engine));
    let share = whole as f64 / engine as f64;
    let _ = writeln!(text, "| with all reports | {:.1} billion | {share:.2} of that | <= 1.5 |", billions(whole));
    text
}
