//! `ib_write_bw` of perftest: the rows of its tables, in either unit, with other lines between them.
//!
//! Heads and rows are those of `perftest_parameters.h` (linux-rdma/perftest). Libraries and perftest itself print between
//! the rows; a log of both ends holds every size twice.

use std::collections::BTreeMap;

use super::adapter::{Adapter, names_no_gpu};
use super::declared;
use super::output::{Output, Told, Unread, Verdict, empty, lacks, unknown};
use crate::declare::may;
use kiln_limit::Measurement;
use kiln_model::{Component, ComponentKind, Tool, Unit, Unproven};
use kiln_profile::{CheckSpec, Wear};

const NODE: ComponentKind = ComponentKind::Node;
/// Bytes in the unit that perftest counts in unless told otherwise; older versions call it `MB` and mean the same.
const MEBIBYTE: f64 = 1_048_576.0;

pub(crate) static ADAPTER: Adapter = Adapter {
    tool: Tool::IbWriteBw,
    title: "ib_write_bw",
    spec: CheckSpec {
        name: "tool.ib-write-bw",
        summary: "Runs ib_write_bw of perftest and tells the bandwidth for each size of message.",
        details: "The other end must wait already: `args: [-d, mlx5_0, --report_gbits, station-host]`. Measurements carry \
                  the size of the message in bytes. Where a size is told more than once, by both ends, the lower value \
                  counts.",
        params: &declared::params(Tool::IbWriteBw),
        measurements: declared::measurements![
            may("*.peak.bandwidth", Unit::GigabytePerSecond, NODE, "of a message size: 65536.peak.bandwidth"),
            may("*.average.bandwidth", Unit::GigabytePerSecond, NODE, "of a message size: 65536.average.bandwidth"),
        ],
        wear: Wear::None,
        ..declared::STRESS
    },
    first: &[],
    last: &[],
    version: &["--version"],
    version_in: (&[], '\n'),
    expected: "`#bytes`, `BW average[MiB/sec]` / `BW average[MB/sec]` / `BW average[Gb/sec]`",
    takes_every_gpu: names_no_gpu,
    read,
};

/// What it says when it could not do its work, or when the transfer broke.
const WORDS: &[&str] =
    &["Failed status", "Completion with error", "Couldn't", "Unable to", "Failed to", "Problems with"];
const WARNINGS: &[&str] = &["Conflicting CPU frequency", "Warning"];

/// What the tables say of one size, in gigabytes a second: the lower of what is told more than once.
#[derive(Debug, Clone, Copy)]
struct Size {
    /// Without a peak (`--noPeak`, or by time) the column holds a zero.
    peak: f64,
    average: f64,
    told: u64,
}

fn read(output: &Output<'_>) -> Result<Told, Unread> {
    let mut sizes: BTreeMap<u64, Size> = BTreeMap::new();
    let mut head = None;
    for line in output.stdout.lines().map(str::trim) {
        if line.starts_with("#bytes") {
            head = Some(Head::of(line)?);
        } else if let Some(head) = &head
            && let Some((bytes, peak, average)) = head.row(line)
        {
            let size = sizes.entry(bytes).or_insert(Size { peak, average, told: 0 });
            *size = Size {
                peak: size.peak.min(peak),
                average: if average.is_finite() { size.average.min(average) } else { average },
                told: size.told + 1,
            };
        }
    }
    let words = output.words(WORDS);
    if sizes.is_empty() {
        return Err(match words {
            Some(words) => Unread::Refused(words.to_owned()),
            None if head.is_some() => empty("#bytes"),
            None => Unread::Form,
        });
    }
    let mut measured = Vec::new();
    let mut verdict = words.map_or(Verdict::Passed, |words| Verdict::Failed(words.to_owned()));
    for (bytes, Size { peak, average, told }) in sizes {
        let name = |what: &str| format!("{bytes}.{what}.bandwidth");
        let mut put = |what: &str, value| {
            let (unit, name) = (Unit::GigabytePerSecond, name(what));
            measured.push(Measurement::number(&name, Component::Node, unit, value, told));
        };
        if peak > 0.0 && peak.is_finite() {
            put("peak", peak);
        }
        // It divides by the time that it took, of which its clock may have told nothing.
        if average > 0.0 && average.is_finite() {
            put("average", average);
        } else {
            verdict = verdict.and(Verdict::Unproven(Unproven::NothingMoved { what: format!("#bytes {bytes}") }));
        }
    }
    let warnings = output.words(WARNINGS).map(str::to_owned).into_iter().collect();
    Ok(Told { measured, verdict, warnings })
}

/// The head of a table.
struct Head {
    to_gigabytes: f64,
    /// Whether a column with the service level stands behind the size.
    levels: bool,
}

impl Head {
    fn of(line: &str) -> Result<Self, Unread> {
        if !line.contains("BW average[") {
            return Err(lacks(line, "BW average"));
        }
        let to_gigabytes = if line.contains("[MiB/sec]") || line.contains("[MB/sec]") {
            MEBIBYTE / 1e9
        } else if line.contains("[Gb/sec]") {
            1.0 / 8.0
        } else {
            return Err(unknown(line));
        };
        Ok(Self { to_gigabytes, levels: line.contains("#sl") })
    }

    /// Size, peak and average of a row; lines that are none stand between them.
    fn row(&self, line: &str) -> Option<(u64, f64, f64)> {
        let mut fields = line.split_whitespace();
        let bytes: u64 = fields.next()?.parse().ok()?;
        if self.levels {
            fields.next()?.parse::<u64>().ok()?;
        }
        fields.next()?.parse::<u64>().ok()?;
        let mut number = || Some(fields.next()?.parse::<f64>().ok()? * self.to_gigabytes);
        Some((bytes, number()?, number()?))
    }
}
