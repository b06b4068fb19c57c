//! stress-ng: rate and time of each stressor from its YAML report, and its own lines of failures.

use super::adapter::{Adapter, names_no_gpu};
use super::declared;
use super::output::{Output, Told, Unread, Verdict, lacks, no_number};
use crate::declare::may;
use kiln_limit::Measurement;
use kiln_model::{Component, ComponentKind, ExitMeaning, Tool, Unit, Unproven};
use kiln_profile::CheckSpec;

const NODE: ComponentKind = ComponentKind::Node;

pub(crate) static ADAPTER: Adapter = Adapter {
    tool: Tool::StressNg,
    title: "stress-ng",
    spec: CheckSpec {
        name: "tool.stress-ng",
        summary: "Runs stress-ng (`--metrics --yaml`) and tells the rate and time of each of its stressors.",
        details: "Stressors are for the arguments: `args: [--cpu, \"0\", --vm, \"2\", --verify, -t, 30m]`. With `--verify` \
                  wrong results are a failure. That it lacked resources, skipped a stressor or was called wrongly is an \
                  ERROR and nothing against the unit; so is a stressor that did not a single operation.",
        params: &declared::params(Tool::StressNg),
        measurements: declared::measurements![
            may("*.operations", Unit::Hertz, NODE, "rate of a stressor in its own operations: cpu.operations"),
            may("*.time", Unit::Second, NODE, "how long a stressor ran"),
        ],
        ..declared::STRESS
    },
    first: &[],
    last: &["--metrics", "--yaml", "/dev/stdout"],
    version: &["--version"],
    version_in: (&[], '\n'),
    expected: "YAML `metrics:`, `bogo-ops-per-second-real-time`",
    takes_every_gpu: names_no_gpu,
    read,
};

/// The exit code for a stressor that failed, after the table in its manual.
const FAILED: i32 = 2;

/// What an exit code says of the program's own trouble, after the same table. 5 and 6 are stressors that something ended.
const fn trouble(exit: i32) -> Option<ExitMeaning> {
    match exit {
        1 => Some(ExitMeaning::Arguments),
        3 => Some(ExitMeaning::Resources),
        4 => Some(ExitMeaning::NotHere),
        7 => Some(ExitMeaning::Untrusted),
        _ => None,
    }
}

/// One entry under `metrics:`.
#[derive(Debug, Default)]
struct Stressor {
    name: String,
    operations: Option<f64>,
    rate: Option<f64>,
    seconds: Option<f64>,
}

fn read(output: &Output<'_>) -> Result<Told, Unread> {
    if let Some(meaning) = trouble(output.exit) {
        let words = output.words(&["stress-ng: error:", "stress-ng: fail:", "stress-ng:"]);
        return Err(Unread::Exit { meaning, words: words.map(str::to_owned) });
    }
    let stressors = stressors(output.stdout)?;
    let failed = output.words(&["stress-ng: fail:"]).or_else(|| nonzero(output, "failed: ")).map(str::to_owned);
    // With `--quiet` or in old versions there are no such lines, and the exit code alone tells.
    let failed = failed.or_else(|| (output.exit == FAILED).then(|| output.bad_exit()));
    if stressors.is_empty() {
        return match failed {
            Some(words) => Ok(Told::new(Vec::new(), Verdict::Failed(words))),
            None => Err(Unread::Form),
        };
    }
    let mut measured = Vec::new();
    let mut idle = None;
    for stressor in &stressors {
        let Stressor { name, operations, rate, seconds } = stressor;
        let mut put = |what: &str, unit, value: Option<f64>| {
            let name = format!("{name}.{what}");
            measured.extend(value.map(|value| Measurement::number(&name, Component::Node, unit, value, 1)));
        };
        put("operations", Unit::Hertz, *rate);
        put("time", Unit::Second, *seconds);
        if operations.or(*rate).is_none_or(|count| count <= 0.0) {
            idle = idle.or(Some(name));
        }
    }
    let verdict = match (failed, nonzero(output, "skipped: "), idle) {
        (Some(words), _, _) => Verdict::Failed(words),
        (None, Some(words), _) => Verdict::Unproven(Unproven::Skipped { words: words.to_owned() }),
        (None, None, Some(name)) => Verdict::Unproven(Unproven::Idle { what: name.clone() }),
        (None, None, None) => match ended_early(output) {
            Some(words) => Verdict::Unproven(Unproven::StoppedEarly { words: words.to_owned() }),
            None => Verdict::Passed,
        },
    };
    Ok(Told::new(measured, verdict))
}

/// The line `stress-ng: info:  [71] failed: 1: vm (1)`, if it counts any.
fn nonzero<'a>(output: &Output<'a>, key: &str) -> Option<&'a str> {
    let mut lines = output.lines().map(str::trim).filter(|line| line.starts_with("stress-ng: info:"));
    lines.find(|line| {
        let rest = line.split_once("] ").map_or("", |(_, rest)| rest.trim());
        rest.strip_prefix(key).is_some_and(|rest| rest.split([':', ' ']).next().is_some_and(|count| count != "0"))
    })
}

/// The line that tells of a time shorter than the one it was told to run for: a signal that ends it is a success to it.
/// `setting to a 10 second run per stressor`, `setting to a 1 min, 30 secs run per stressor`;
/// `successful run completed in 1.20s`, `passed ... successful run completed in 1 min, 30.02 secs`.
fn ended_early<'a>(output: &Output<'a>) -> Option<&'a str> {
    // With a number of operations a stressor ends when it has done them.
    if output.args.iter().any(|arg| arg.ends_with("-ops")) {
        return None;
    }
    let wanted =
        seconds(output.words(&["setting to a "])?.split_once("setting to a ")?.1.split_once(" run per stressor")?.0)?;
    let told = output.words(&["run completed in "])?;
    let ran = seconds(told.split_once("run completed in ")?.1.split('(').next()?)?;
    (ran < wanted * SHARE).then_some(told)
}

/// Of the time that was asked for; the last moment is the program's own to stop in.
const SHARE: f64 = 0.95;

/// A time in its words: `1.20s`, `10 second`, `1 hour, 2 mins, 3.50 secs`.
fn seconds(text: &str) -> Option<f64> {
    let mut sum = None;
    let mut number = None::<f64>;
    for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
        let end = word.find(|sign: char| !sign.is_ascii_digit() && sign != '.').unwrap_or(word.len());
        let (digits, unit) = word.split_at(end);
        number = digits.parse().ok().or(number);
        let Some(value) = number else { continue };
        let length = match unit.chars().next() {
            None => continue,
            Some('s') => 1.0,
            Some('m') => 60.0,
            Some('h') => 3600.0,
            Some('d') => 86400.0,
            Some(_) => return sum,
        };
        sum = Some(sum.unwrap_or(0.0) + value * length);
        number = None;
    }
    sum
}

/// Only the lines that are wanted: the file of some versions repeats keys, which no YAML reader takes, and messages may
/// stand between them.
fn stressors(text: &str) -> Result<Vec<Stressor>, Unread> {
    let mut all: Vec<Stressor> = Vec::new();
    for line in text.lines().map(str::trim) {
        let line = line.strip_prefix("- ").unwrap_or(line);
        let Some((key, value)) = line.split_once(": ") else { continue };
        if key == "stressor" {
            all.push(Stressor { name: value.trim_matches('\'').to_owned(), ..Stressor::default() });
            continue;
        }
        let Some(stressor) = all.last_mut() else { continue };
        let field = match key {
            "bogo-ops" => &mut stressor.operations,
            "bogo-ops-per-second-real-time" => &mut stressor.rate,
            "wall-clock-time" => &mut stressor.seconds,
            _ => continue,
        };
        let number: f64 = value.parse().map_err(|_| no_number(line))?;
        *field = Some(number);
    }
    if let Some(stressor) = all.iter().find(|stressor| stressor.rate.is_none()) {
        return Err(lacks(stressor.name.clone(), "bogo-ops-per-second-real-time"));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_all_the_words_they_come_in() {
        for (text, told) in
            [("1.20s", 1.2), ("10 second", 10.0), ("1 min, 30 secs", 90.0), ("1 hour, 2 mins, 3.50 secs", 3723.5)]
        {
            assert!(seconds(text).is_some_and(|read| (read - told).abs() < 1e-9), "{text}");
        }
        assert_eq!(seconds("no time"), None);
    }
}
