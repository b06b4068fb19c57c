//! iperf3: bandwidth from its JSON report, for TCP and UDP, forward, reverse and both ways at once.
//!
//! Keys are those of `iperf_api.c` (esnet/iperf): TCP and newer versions of UDP have `sum_sent` and `sum_received`, older
//! ones of UDP only `sum`, and `--bidir` the same again with `_bidir_reverse`.

use serde_json::Value;

use super::adapter::{Adapter, names_no_gpu};
use super::declared;
use super::output::{Output, Told, Unread, Verdict, is_positive, json_in, lacks};
use crate::declare::may;
use kiln_limit::Measurement;
use kiln_model::{Component, ComponentKind, Tool, Unit, Unproven};
use kiln_profile::{CheckSpec, Wear};

const NODE: ComponentKind = ComponentKind::Node;
/// A gigabyte a second in bits.
const GIGABYTE_BITS: f64 = 8e9;

pub(crate) static ADAPTER: Adapter = Adapter {
    tool: Tool::Iperf3,
    title: "iperf3",
    spec: CheckSpec {
        name: "tool.iperf3",
        summary: "Runs iperf3 (`-J`) and tells the bandwidth sent and received.",
        details: "The other end must run `iperf3 -s`: `args: [-c, station-host, -t, \"10\", -P, \"4\"]`. Bandwidths are in \
                  bytes: 100 Gbit/s is 12.5 GB/s. With `-R` the other end sends and this one receives; with `--bidir` \
                  that way is told as `reverse.sent.bandwidth` and `reverse.received.bandwidth`.",
        params: &declared::params(Tool::Iperf3),
        measurements: declared::measurements![
            may("sent.bandwidth", Unit::GigabytePerSecond, NODE, "what the sending end sent"),
            may("received.bandwidth", Unit::GigabytePerSecond, NODE, "what the receiving end received"),
            may("reverse.*.bandwidth", Unit::GigabytePerSecond, NODE, "the way back of `--bidir`"),
            may("retransmits", Unit::One, NODE, "segments sent again; only TCP counts them"),
            may("lost", Unit::Percent, NODE, "datagrams that did not arrive; only UDP counts them"),
        ],
        wear: Wear::None,
        ..declared::STRESS
    },
    first: &["-J"],
    last: &[],
    version: &["--version"],
    version_in: (&[], '\n'),
    expected: "JSON `end.sum_received` / `end.sum` (UDP)",
    takes_every_gpu: names_no_gpu,
    read,
};

fn read(output: &Output<'_>) -> Result<Told, Unread> {
    let report = json_in(output.stdout).map_err(|why| match output.words(&["iperf3: error", "iperf3: "]) {
        Some(words) => Unread::Refused(words.to_owned()),
        None => why,
    })?;
    if let Some(error) = report["error"].as_str() {
        return Err(Unread::Refused(error.to_owned()));
    }
    let end = &report["end"];
    if !end.is_object() {
        return Err(Unread::Form);
    }
    let mut measured = Vec::new();
    take(end, "", "", &mut measured)?;
    if !end["sum_sent_bidir_reverse"].is_null() {
        take(end, "_bidir_reverse", "reverse.", &mut measured)?;
    }
    let arrived = |one: &&Measurement| one.name.ends_with("received.bandwidth");
    let verdict = if measured.iter().filter(arrived).all(is_positive) {
        Verdict::Passed
    } else {
        Verdict::Unproven(Unproven::NothingMoved { what: "received.bandwidth".to_owned() })
    };
    Ok(Told::new(measured, verdict))
}

/// One way of the traffic, whose keys end in `tail` and whose measurements begin with `head`.
fn take(end: &Value, tail: &str, head: &str, measured: &mut Vec<Measurement>) -> Result<(), Unread> {
    let [sent, received, sum] = ["sum_sent", "sum_received", "sum"].map(|key| &end[format!("{key}{tail}").as_str()]);
    let rate = |side: &Value, name: &str| {
        let bits = side["bits_per_second"].as_f64();
        let bits = bits.ok_or_else(|| lacks(format!("end.{name}{tail}"), "bits_per_second"))?;
        Ok(bits / GIGABYTE_BITS)
    };
    let lost = [received, sum].iter().find_map(|side| side["lost_percent"].as_f64());
    let (out, into) = if sent.is_null() && !sum.is_null() {
        // Of the sender's rate, what was not lost arrived.
        let out = rate(sum, "sum")?;
        let lost = lost.ok_or_else(|| lacks(format!("end.sum{tail}"), "lost_percent"))?;
        (out, out * (1.0 - lost / 100.0))
    } else {
        (rate(sent, "sum_sent")?, rate(received, "sum_received")?)
    };
    let mut number = |name: &str, unit, value| {
        measured.push(Measurement::number(&format!("{head}{name}"), Component::Node, unit, value, 1));
    };
    number("sent.bandwidth", Unit::GigabytePerSecond, out);
    number("received.bandwidth", Unit::GigabytePerSecond, into);
    if head.is_empty() {
        if let Some(again) = sent["retransmits"].as_f64() {
            number("retransmits", Unit::One, again);
        }
        if let Some(lost) = lost {
            number("lost", Unit::Percent, lost);
        }
    }
    Ok(())
}
