//! nccl-tests: bandwidth of the largest message, wrong values, and whether values were checked at all.
//!
//! The text is read by its heads, which tell the columns of every version: until 2019 `bytes`, `N` and `res` in place of `size`,
//! `count` and `#wrong`, until 2021 `error` and no `root` (or no `redop`), since 2026 statistics of iterations behind each half. Launchers put tags before each line. A
//! half that is not checked says `N/A`: both with `-c 0`, the one in place with alltoall and sendrecv. With `-J FILE` the
//! report goes to a file that must be new, so the text is what is read; a report printed by a wrapper is read as well.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts become floats far below 2^53, and floats become counts that were bounded before"
)]

use serde_json::Value;

use super::adapter::{Adapter, names_no_gpu};
use super::declared;
use super::output::{Output, Told, Unread, Verdict, json_in, lacks, no_number};
use crate::declare::may;
use kiln_limit::Measurement;
use kiln_limit::Missing;
use kiln_model::{Component, ComponentKind, OutputGap, Tool, Unit, Unproven};
use kiln_profile::CheckSpec;

const NODE: ComponentKind = ComponentKind::Node;

pub(crate) static ADAPTER: Adapter = Adapter {
    tool: Tool::NcclTests,
    title: "nccl-tests",
    spec: CheckSpec {
        name: "tool.nccl",
        summary: "Runs a program of nccl-tests and tells the bandwidth of the largest message and wrong values.",
        details: "Which collective is for `program`, sizes and GPUs for the arguments: `args: [-b, 8G, -e, 8G, -g, \"8\"]`. \
                  Results that were not checked (`-c 0`) are no proof: `passed` is then not measured. Without traffic \
                  between GPUs there is none either. A launcher such as mpirun can be the `program`.",
        params: &declared::params(Tool::NcclTests),
        measurements: declared::measurements![
            may("message.size", Unit::Byte, NODE, "the largest, which the bandwidths are of"),
            may("algorithm.bandwidth", Unit::GigabytePerSecond, NODE, "size over time"),
            may("bus.bandwidth", Unit::GigabytePerSecond, NODE, "what the links carried for it"),
            may("wrong", Unit::One, NODE, "wrong values over all sizes"),
            may("checked", Unit::One, NODE, "halves of lines whose values were checked"),
        ],
        exclusive: true,
        ..declared::STRESS
    },
    first: &[],
    last: &[],
    version: &[],
    version_in: (&["nccl-tests version "], ' '),
    expected: "`size`, `time`, `algbw`, `busbw`, `#wrong` / `error`",
    takes_every_gpu: names_no_gpu,
    read,
};

/// What it or its launcher says of the trouble that ended it, the cause before the calls it came through (`common.h`, `common.cu`
/// and `util.cu` of nccl-tests; mpirun of Open MPI 4 and 5, srun). None of it is a word of a wrong value.
const ABORTED: &[&str] = &[
    "Test NCCL failure",
    "Test CUDA failure",
    "Test timeout",
    "Test failure",
    "Invalid number of GPUs",
    "Incompatible NCCL versions",
    "mpirun noticed",
    "prterun noticed",
    "exited on signal",
    "srun: error:",
    "ORTE",
];
/// What it says of its own report.
const FAILURES: &[&str] = &["# error:"];
/// The line that every whole output has below its table.
const LAST: &str = "# Out of bounds values";
/// The same until 2019.
const LAST_OF_OLD: &str = "Out of bounds values";
/// NCCL's own warnings, which tell why.
const WARNINGS: &str = "NCCL WARN";

/// Out of place or in place.
#[derive(Debug, Clone, Copy)]
struct Half {
    algorithm: f64,
    bus: f64,
    /// `None` where nothing was checked.
    wrong: Option<f64>,
}

#[derive(Debug)]
struct Row {
    size: u64,
    halves: Vec<Half>,
}

/// What stands below the table.
#[derive(Debug, Default)]
struct Foot {
    /// Whether it came to its end.
    ended: bool,
    /// What it says failed.
    failed: Option<String>,
}

fn read(output: &Output<'_>) -> Result<Told, Unread> {
    let (rows, foot) = match json_in(output.stdout) {
        Ok(report) if report["results"].is_array() => from_json(&report)?,
        _ => from_text(output)?,
    };
    let warnings: Vec<String> =
        output.lines().filter(|line| line.contains(WARNINGS)).take(3).map(|line| line.trim().to_owned()).collect();
    // Bandwidth of small messages says nothing of the links: the largest size counts.
    let Some(largest) = rows.iter().max_by_key(|row| row.size) else {
        return Err(match output.words(ABORTED).or_else(|| output.words(&[FAILURES, &[WARNINGS]].concat())) {
            Some(words) => Unread::Refused(words.to_owned()),
            None => Unread::Form,
        });
    };
    let halves = || rows.iter().flat_map(|row| &row.halves);
    let checked = halves().filter(|half| half.wrong.is_some()).count();
    let wrong: f64 = halves().filter_map(|half| half.wrong).sum();
    let best = |of: fn(&Half) -> f64| largest.halves.iter().map(of).fold(f64::NAN, f64::max);
    let bus = best(|half| half.bus);
    let verdict = match (foot.failed, output.words(FAILURES)) {
        _ if wrong > 0.0 => Verdict::Failed(format!("#wrong: {wrong}")),
        (Some(words), _) => Verdict::Failed(words),
        (None, Some(words)) => Verdict::Failed(words.to_owned()),
        (None, None) if output.words(ABORTED).is_some() => {
            Verdict::Unproven(Unproven::NotDone { words: output.words(ABORTED).unwrap_or_default().to_owned() })
        }
        // It was killed, or broke off without a word.
        (None, None) if !foot.ended => {
            let exit = (output.exit != 0).then(|| output.bad_exit());
            let words = [exit, warnings.first().cloned()].into_iter().flatten().collect::<Vec<_>>().join(": ");
            let words = Some(words).filter(|words| !words.is_empty());
            Verdict::Unproven(Unproven::EndedBefore { line: LAST.to_owned(), words })
        }
        (None, None) if checked == 0 => Verdict::Unproven(Unproven::NothingChecked),
        (None, None) if bus.is_nan() || bus <= 0.0 => Verdict::Unproven(Unproven::NothingBetweenGpus),
        (None, None) => Verdict::Passed,
    };
    let mut measured = Vec::new();
    // One that broke off did not come to the size it was to be judged by.
    if foot.ended {
        let speed = |name, value| Measurement::number(name, Component::Node, Unit::GigabytePerSecond, value, 1);
        measured.push(Measurement::number("message.size", Component::Node, Unit::Byte, largest.size as f64, 1));
        measured.push(speed("algorithm.bandwidth", best(|half| half.algorithm)));
        measured.push(speed("bus.bandwidth", bus));
    }
    measured.push(if checked == 0 {
        Measurement::missing("wrong", Component::Node, Unit::One, Missing::NoValueChecked)
    } else {
        Measurement::number("wrong", Component::Node, Unit::One, wrong, checked as u64)
    });
    measured.push(Measurement::number("checked", Component::Node, Unit::One, checked as f64, 1));
    Ok(Told { measured, verdict, warnings })
}

fn from_json(report: &Value) -> Result<(Vec<Row>, Foot), Unread> {
    let results = report["results"].as_array().ok_or(Unread::Form)?;
    let rows = results.iter().map(row_from_json).collect::<Result<_, _>>()?;
    let errors: Vec<&str> = report["errors"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let bounds = &report["out_of_bounds"];
    let failed = if let Some(error) = errors.iter().find(|error| !error.is_empty()) {
        Some((*error).to_owned())
    } else if bounds["okay"].as_bool() == Some(false) {
        Some("out_of_bounds.okay: false".to_owned())
    } else if report["average_bus_bandwidth"]["okay"].as_bool() == Some(false) {
        Some("average_bus_bandwidth.okay: false".to_owned())
    } else {
        None
    };
    // The first version with a report did not have the key.
    let ended = bounds.is_object() || !report["end_time"].is_null();
    Ok((rows, Foot { ended, failed }))
}

fn row_from_json(result: &Value) -> Result<Row, Unread> {
    let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok());
    let mut halves = Vec::new();
    for name in ["out_of_place", "in_place"] {
        let half = &result[name];
        if half.is_null() {
            continue;
        }
        let field = |key: &str| number(&half[key]).ok_or_else(|| lacks(name, key));
        let wrong = match &half["nwrong"] {
            Value::Null if half.get("nwrong").is_some() => None,
            Value::String(text) if text == "N/A" => None,
            value => Some(number(value).ok_or_else(|| lacks(name, "nwrong"))?),
        };
        halves.push(Half { algorithm: field("alg_bw")?, bus: field("bus_bw")?, wrong });
    }
    let size = number(&result["size"]).ok_or_else(|| lacks("results", "size"))?;
    Ok(Row { size: size as u64, halves })
}

/// The columns of a table, as its head names them.
#[derive(Debug, Clone)]
struct Head {
    columns: usize,
    halves: Vec<HalfAt>,
}

#[derive(Debug, Clone, Copy)]
struct HalfAt {
    algorithm: usize,
    bus: usize,
    wrong: usize,
    /// `error` or `res`, the largest deviation, in place of a count of wrong values.
    deviation: bool,
}

impl Head {
    fn of(line: &str) -> Option<Self> {
        let names: Vec<&str> = line.strip_prefix('#')?.split_whitespace().collect();
        if ![["size", "count"], ["bytes", "N"]].iter().any(|first| names.starts_with(first)) {
            return None;
        }
        let at = |name: &str| names.iter().enumerate().filter(|(_, one)| **one == name).map(|(at, _)| at).collect();
        let (algorithm, bus): (Vec<usize>, Vec<usize>) = (at("algbw"), at("busbw"));
        let count: Vec<usize> = at("#wrong");
        let deviation = [at("error"), at("res")].concat();
        let is_deviation = count.is_empty();
        let wrong = if is_deviation { deviation } else { count };
        if algorithm.is_empty() || algorithm.len() != bus.len() || bus.len() != wrong.len() {
            return None;
        }
        let halves = algorithm.iter().zip(&bus).zip(&wrong);
        let halves = halves.map(|((algorithm, bus), wrong)| HalfAt {
            algorithm: *algorithm,
            bus: *bus,
            wrong: *wrong,
            deviation: is_deviation,
        });
        Some(Self { columns: wrong.last().map_or(0, |last| last + 1), halves: halves.collect() })
    }

    /// A row of results; anything else that begins with a number is an output of its own.
    fn row(&self, line: &str) -> Result<Option<Row>, Unread> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let whole = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let [size, count, kind, ..] = fields[..] else { return Ok(None) };
        if !whole(&size) || !whole(&count) || !kind.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return Ok(None);
        }
        // Messages of NCCL can break a line apart; half a result is none.
        let broken = || {
            let setting = "NCCL_DEBUG_FILE".to_owned();
            Unread::Place(OutputGap::BrokenLine { line: line.to_owned(), setting })
        };
        if fields.len() < self.columns {
            return Err(broken());
        }
        let number = |text: &str| match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            Ok(_) => Err(no_number(line)),
            Err(_) => Err(broken()),
        };
        let mut halves = Vec::new();
        for at in &self.halves {
            let wrong = match fields[at.wrong] {
                "N/A" => None,
                text if at.deviation => number(text).map(|_| Some(0.0))?,
                text => Some(number(text)?),
            };
            halves.push(Half { algorithm: number(fields[at.algorithm])?, bus: number(fields[at.bus])?, wrong });
        }
        let size = size.parse().map_err(|_| no_number(size))?;
        Ok(Some(Row { size, halves }))
    }
}

fn from_text(output: &Output<'_>) -> Result<(Vec<Row>, Foot), Unread> {
    let (mut rows, mut foot, mut head) = (Vec::new(), Foot::default(), None::<Head>);
    for line in output.stdout.lines().map(|line| untagged(line.trim())) {
        if let Some(columns) = Head::of(line) {
            head = Some(columns);
        } else if line.starts_with(LAST) || line.starts_with(LAST_OF_OLD) {
            foot.ended = true;
            // Of the deviations of old versions this is the verdict.
            if line.ends_with("FAILED") {
                foot.failed = Some(line.trim_start_matches("# ").to_owned());
            }
        } else if line.trim_start_matches("# ").starts_with("Avg bus bandwidth") && line.ends_with("FAILED") {
            foot.failed = foot.failed.or_else(|| Some(line.trim_start_matches("# ").to_owned()));
        } else if let Some(head) = &head
            && let Some(row) = head.row(line)?
        {
            rows.push(row);
        }
    }
    Ok((rows, foot))
}

/// The line without what launchers put before it: `[1,0]<stdout>:` of mpirun, `0: ` of srun.
fn untagged(line: &str) -> &str {
    if line.starts_with('[')
        && let Some((tag, rest)) = line.split_once('>')
        && (tag.ends_with("<stdout") || tag.ends_with("<stderr"))
    {
        return rest.trim_start_matches(':').trim_start();
    }
    match line.split_once(':') {
        Some((rank, rest)) if !rank.is_empty() && rank.bytes().all(|byte| byte.is_ascii_digit()) => rest.trim_start(),
        _ => line,
    }
}
