//! Programs that load the network: iperf3 (`-J`) and `ib_write_bw`.

use serde_json::Value;

use crate::limit::Measurement;
use crate::model::{Component, Unit};

/// Bytes in the unit that perftest counts in unless told otherwise.
const MEBIBYTE: f64 = 1_048_576.0;
/// A gigabyte a second in bits.
const GIGABYTE_BITS: f64 = 8e9;

pub(super) fn iperf3(output: &str) -> Result<Vec<Measurement>, String> {
    let report: Value = serde_json::from_str(output).map_err(|error| error.to_string())?;
    if let Some(error) = report["error"].as_str() {
        return Err(error.to_owned());
    }
    let end = &report["end"];
    let speed = |side: &str| {
        let bits = end[side]["bits_per_second"].as_f64();
        bits.map(|bits| bits / GIGABYTE_BITS).ok_or_else(|| format!("`end.{side}.bits_per_second` is missing"))
    };
    let number = |name, unit, value| Measurement::number(name, Component::Node, unit, value, 1);
    let mut measured = vec![
        number("sent.bandwidth", Unit::GigabytePerSecond, speed("sum_sent")?),
        number("received.bandwidth", Unit::GigabytePerSecond, speed("sum_received")?),
    ];
    // Only TCP counts them.
    if let Some(again) = end["sum_sent"]["retransmits"].as_f64() {
        measured.push(number("retransmits", Unit::One, again));
    }
    Ok(measured)
}

pub(super) fn ib_write_bw(output: &str) -> Result<Vec<Measurement>, String> {
    let mut lines = output.lines().map(str::trim);
    let header = lines.find(|line| line.starts_with("#bytes")).ok_or("there is no table of results")?;
    let to_gigabytes = if header.contains("[MiB/sec]") || header.contains("[MB/sec]") {
        // perftest calls both so and means the same.
        MEBIBYTE / 1e9
    } else if header.contains("[Gb/sec]") {
        1.0 / 8.0
    } else {
        return Err(format!("the unit of `{header}` is unknown"));
    };
    let mut measured = Vec::new();
    for line in lines.take_while(|line| !line.starts_with('-') && !line.is_empty()) {
        let fields: Vec<f64> = line.split_whitespace().map_while(|field| field.parse().ok()).collect();
        let [bytes, _, peak, average, ..] = fields[..] else { return Err(format!("`{line}` is no line of results")) };
        let name = |what: &str| format!("{bytes}.{what}.bandwidth");
        let number = |what: &str, value: f64| {
            Measurement::number(&name(what), Component::Node, Unit::GigabytePerSecond, value * to_gigabytes, 1)
        };
        measured.extend([number("peak", peak), number("average", average)]);
    }
    Ok(measured)
}
