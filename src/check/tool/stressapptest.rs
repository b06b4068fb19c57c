//! stressapptest: its status line, what it completed, and its reports of errors.
//!
//! Lines begin with the time unless `--no_timestamps` is given, as `logger.cc` of stressapptest writes them:
//! `2026/11/28-10:00:00(UTC) `.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use super::adapter::{Adapter, names_no_gpu};
use super::declared;
use super::output::{Output, Told, Unread, Verdict, ended_before, lacks};
use crate::declare::may;
use kiln_limit::Measurement;
use kiln_model::{Component, ComponentKind, Tool, Unit, Unproven};
use kiln_profile::CheckSpec;

const NODE: ComponentKind = ComponentKind::Node;

pub(crate) static ADAPTER: Adapter = Adapter {
    tool: Tool::StressAppTest,
    title: "stressapptest",
    spec: CheckSpec {
        name: "tool.stressapptest",
        summary: "Runs stressapptest and tells its verdict, its memory bandwidth and what went wrong.",
        details: "Size and time are for the arguments: `args: [-M, \"200000\", -s, \"3600\", -W]`. Memory it does not get \
                  it does not test: compare the size it says in its output. That it could not do its work (its \
                  `procedural errors`) or was stopped before its time is an ERROR and nothing against the unit.",
        params: &declared::params(Tool::StressAppTest),
        measurements: declared::measurements![
            may("memory.bandwidth", Unit::MegabytePerSecond, NODE, "memory copied by all its threads"),
            may("incidents", Unit::One, NODE, "hardware incidents"),
            may("errors", Unit::One, NODE, "errors"),
        ],
        ..declared::STRESS
    },
    first: &[],
    last: &[],
    version: &[],
    version_in: (&["SAT revision "], ','),
    expected: "`Stats: Completed:`, `Status: PASS` / `Status: FAIL`",
    takes_every_gpu: names_no_gpu,
    read,
};

/// Proof against the memory, the line that names the module first.
const HARDWARE: &[&str] = &["Report Error:", "Hardware Error:", "Block Error:"];
/// A page whose checksum was wrong and of which no word was, when it looked: neither proof nor nothing (`CrcCopyPage`).
const DOUBT: &[&str] = &["Log: CrcCopyPage CRC mismatch"];
/// The program's own trouble.
const PROCEDURE: &[&str] = &["Process Error:", "Procedural Error:", "Fatal Error:"];

fn read(output: &Output<'_>) -> Result<Told, Unread> {
    let lines: Vec<&str> = output.lines().map(|line| untimed(line.trim())).collect();
    let line = |start: &str| lines.iter().find_map(|line| line.strip_prefix(start));
    let said = |starts: &[&str]| {
        let first = |start: &&str| lines.iter().copied().find(|line| line.starts_with(*start));
        starts.iter().find_map(first)
    };
    let Some(status) = line("Status: ") else {
        // It ended before its time: what it found until then still counts.
        if let Some(words) = said(HARDWARE) {
            // Each error has a line of its own, with or without one that names the module.
            let of = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
            let incidents = HARDWARE.iter().map(|start| of(start)).max().unwrap_or_default();
            let measured = Measurement::number("incidents", Component::Node, Unit::One, incidents as f64, 1);
            return Ok(Told::new(vec![measured], Verdict::Failed(words.to_owned())));
        }
        return Err(match said(PROCEDURE) {
            Some(words) => Unread::Refused(words.to_owned()),
            None if line("Stats: SAT revision").is_some() => ended_before("Status:"),
            None => Unread::Form,
        });
    };
    let Some(completed) = line("Stats: Completed: ") else {
        let refused = |words: &str| Unread::Refused(words.to_owned());
        return Err(said(PROCEDURE).map_or_else(|| lacks(format!("Status: {status}"), "Stats: Completed:"), refused));
    };
    // `5070.00M in 5.04s 1006.91MB/s, with 0 hardware incidents, 0 errors`
    let before = |unit: &str| {
        let mut words = completed.split_whitespace().map(|word| word.trim_end_matches(','));
        let number = words.find_map(|word| word.strip_suffix(unit)?.parse::<f64>().ok());
        number.ok_or_else(|| lacks(completed, unit))
    };
    let count = |what: &str| {
        let part = completed.split(',').find_map(|part| part.trim().strip_suffix(what));
        let number = part.and_then(|part| part.split_whitespace().last()).and_then(|number| number.parse::<f64>().ok());
        number.ok_or_else(|| lacks(completed, what.trim()))
    };
    let (moved, rate) = (before("M")?, before("MB/s")?);
    let (incidents, errors) = (count(" hardware incidents")?, count(" errors")?);
    let early = line("Log: User exiting early");
    let verdict = match () {
        () if incidents > 0.0 || said(HARDWARE).is_some() => {
            Verdict::Failed(said(HARDWARE).map_or_else(|| format!("Status: {status}"), str::to_owned))
        }
        () if errors > 0.0 || !status.starts_with("PASS") => {
            let words = said(PROCEDURE).map_or_else(|| format!("Status: {status}"), str::to_owned);
            Verdict::Unproven(Unproven::NotDone { words })
        }
        () if said(DOUBT).is_some() => Verdict::Unproven(Unproven::Words(said(DOUBT).unwrap_or_default().to_owned())),
        () if early.is_some() => {
            let words = format!("User exiting early{}", early.unwrap_or_default());
            Verdict::Unproven(Unproven::StoppedEarly { words })
        }
        () if moved <= 0.0 || rate <= 0.0 => Verdict::Unproven(Unproven::Idle { what: completed.to_owned() }),
        () => Verdict::Passed,
    };
    let measured = vec![
        Measurement::number("memory.bandwidth", Component::Node, Unit::MegabytePerSecond, rate, 1),
        Measurement::number("incidents", Component::Node, Unit::One, incidents, 1),
        Measurement::number("errors", Component::Node, Unit::One, errors, 1),
    ];
    Ok(Told::new(measured, verdict))
}

/// The line without the time it may begin with: `2026/11/28-10:00:00(UTC) `.
fn untimed(line: &str) -> &str {
    let Some((time, rest)) = line.split_once(") ") else { return line };
    let stamp = time.split_once('(').map_or("", |(stamp, _)| stamp);
    let is_time = stamp.len() >= 10 && stamp.bytes().all(|byte| byte.is_ascii_digit() || b"/-:".contains(&byte));
    if is_time { rest } else { line }
}
