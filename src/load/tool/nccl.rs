//! nccl-tests, as JSON (`-J`) and as text: bandwidth by message size, and wrong values.

use serde_json::Value;

use crate::limit::Measurement;
use crate::model::{Component, Unit};

/// Both halves of a line of results.
struct Half {
    algorithm: f64,
    bus: f64,
    wrong: f64,
}

struct Row {
    size: u64,
    halves: [Half; 2],
}

pub(super) fn read(output: &str) -> Result<Vec<Measurement>, String> {
    // The text comes on the same pipe when both were asked for; the report begins on a line of its own.
    let json = output.find("\n{").map_or(output.trim_start(), |at| &output[at + 1..]);
    let rows = if json.starts_with('{') { from_json(json)? } else { from_text(output)? };
    // Bandwidth of small messages says nothing of the links: the largest size counts.
    let Some(largest) = rows.iter().max_by_key(|row| row.size) else { return Ok(Vec::new()) };
    let wrong: f64 = rows.iter().flat_map(|row| &row.halves).map(|half| half.wrong).sum();
    let best = |of: fn(&Half) -> f64| largest.halves.iter().map(of).fold(f64::NAN, f64::max);
    let speed = |name, value| Measurement::number(name, Component::Node, Unit::GigabytePerSecond, value, 1);
    Ok(vec![
        Measurement::number("message.size", Component::Node, Unit::Byte, largest.size as f64, 1),
        speed("algorithm.bandwidth", best(|half| half.algorithm)),
        speed("bus.bandwidth", best(|half| half.bus)),
        Measurement::number("wrong", Component::Node, Unit::One, wrong, rows.len() as u64),
        Measurement::flag("passed", Component::Node, wrong == 0.0),
    ])
}

fn from_json(text: &str) -> Result<Vec<Row>, String> {
    // Whatever follows the report is not its.
    let mut reports = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let report = reports.next().ok_or("nothing")?.map_err(|error| error.to_string())?;
    let results = report["results"].as_array().ok_or("there is no list of results")?;
    results.iter().map(row_from_json).collect()
}

fn row_from_json(result: &Value) -> Result<Row, String> {
    let half = |name: &str| {
        let field = |key: &str| number(&result[name][key]).ok_or_else(|| format!("`{name}.{key}` is missing"));
        // Not checked is `N/A`, and not a zero.
        Ok::<_, String>(Half { algorithm: field("alg_bw")?, bus: field("bus_bw")?, wrong: field("nwrong")? })
    };
    let size = result["size"].as_u64().ok_or("a result has no size")?;
    Ok(Row { size, halves: [half("out_of_place")?, half("in_place")?] })
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

fn from_text(text: &str) -> Result<Vec<Row>, String> {
    let lines = text.lines().map(str::trim).filter(|line| line.starts_with(|first: char| first.is_ascii_digit()));
    lines.map(row_from_text).collect()
}

fn row_from_text(line: &str) -> Result<Row, String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    // size count type redop root, then time algbw busbw wrong twice.
    let [size, _, _, _, _, _, a, b, wrong, _, c, d, wrong_too] = fields[..] else {
        return Err(format!("`{line}` is no line of results"));
    };
    let parse = |text: &str| text.parse::<f64>().map_err(|_| format!("`{text}` in `{line}` is no number"));
    let half = |algorithm, bus, wrong| {
        Ok::<_, String>(Half { algorithm: parse(algorithm)?, bus: parse(bus)?, wrong: parse(wrong)? })
    };
    let size = size.parse().map_err(|_| format!("`{size}` is no size"))?;
    Ok(Row { size, halves: [half(a, b, wrong)?, half(c, d, wrong_too)?] })
}
