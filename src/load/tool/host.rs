//! Programs that load processors, memory and disks: stress-ng (`--yaml`), stressapptest, fio (`--output-format=json`).

use serde_json::Value;

use crate::limit::Measurement;
use crate::model::{Component, Unit};

/// Only the lines that are wanted: the file of some versions repeats keys, which no YAML reader takes.
pub(super) fn stress_ng(output: &str) -> Result<Vec<Measurement>, String> {
    let mut measured = Vec::new();
    let mut stressor = None;
    for line in output.lines().map(str::trim) {
        let line = line.strip_prefix("- ").unwrap_or(line);
        let Some((key, value)) = line.split_once(": ") else { continue };
        match (key, &stressor) {
            ("stressor", _) => stressor = Some(value.trim_matches('\'').to_owned()),
            ("bogo-ops-per-second-real-time", Some(stressor)) => {
                let rate: f64 = value.parse().map_err(|_| format!("`{value}` is no rate"))?;
                let name = format!("{stressor}.operations");
                measured.push(Measurement::number(&name, Component::Node, Unit::Hertz, rate, 1));
            }
            ("wall-clock-time", Some(stressor)) => {
                let seconds: f64 = value.parse().map_err(|_| format!("`{value}` is no time"))?;
                let name = format!("{stressor}.time");
                measured.push(Measurement::number(&name, Component::Node, Unit::Second, seconds, 1));
            }
            _ => {}
        }
    }
    Ok(measured)
}

pub(super) fn stressapptest(output: &str) -> Result<Vec<Measurement>, String> {
    let line = |start: &str| output.lines().find_map(|line| line.trim().strip_prefix(start));
    let status = line("Status: ").ok_or("it gives no status")?;
    // `5070.00M in 5.04s 1006.91MB/s, with 0 hardware incidents, 0 errors`
    let completed = line("Stats: Completed: ").ok_or("it says nothing of what it completed")?;
    let before = |unit: &str| {
        let words = completed.split_whitespace();
        let word = words.map(|word| word.trim_end_matches(',')).find_map(|word| word.strip_suffix(unit));
        word.and_then(|number| number.parse::<f64>().ok()).ok_or_else(|| format!("`{completed}` has no {unit}"))
    };
    let count = |what: &str| {
        let part = completed.split(',').find_map(|part| part.trim().strip_suffix(what));
        let number = part.and_then(|part| part.split_whitespace().last()).and_then(|number| number.parse::<f64>().ok());
        number.ok_or_else(|| format!("`{completed}` does not count {}", what.trim()))
    };
    Ok(vec![
        Measurement::number("memory.bandwidth", Component::Node, Unit::MegabytePerSecond, before("MB/s")?, 1),
        Measurement::number("incidents", Component::Node, Unit::One, count(" hardware incidents")?, 1),
        Measurement::number("errors", Component::Node, Unit::One, count(" errors")?, 1),
        Measurement::flag("passed", Component::Node, status.starts_with("PASS")),
    ])
}

pub(super) fn fio(output: &str) -> Result<Vec<Measurement>, String> {
    // Warnings may stand before the report.
    let report = output.find('{').map_or(output, |at| &output[at..]);
    let report: Value = serde_json::from_str(report).map_err(|error| error.to_string())?;
    let jobs = report["jobs"].as_array().ok_or("there is no list of jobs")?;
    let mut measured = Vec::new();
    let mut errors = 0.0;
    for job in jobs {
        let job_name = job["jobname"].as_str().ok_or("a job has no name")?;
        errors += f64::from(u8::from(job["error"].as_i64().ok_or("a job does not say whether it failed")? != 0));
        for way in ["read", "write"] {
            let field =
                |key: &str| job[way][key].as_f64().ok_or_else(|| format!("`{way}.{key}` of {job_name} is missing"));
            if field("io_bytes")? == 0.0 {
                continue;
            }
            let name = |what: &str| format!("{job_name}.{way}.{what}");
            let number = |what: &str, unit, value| Measurement::number(&name(what), Component::Node, unit, value, 1);
            measured.push(number("bandwidth", Unit::MegabytePerSecond, field("bw_bytes")? / 1e6));
            measured.push(number("operations", Unit::Hertz, field("iops")?));
            if let Some(p99) = job[way]["clat_ns"]["percentile"]["99.000000"].as_f64() {
                measured.push(number("latency.p99", Unit::Microsecond, p99 / 1e3));
            }
        }
    }
    if measured.is_empty() {
        return Err("no job moved a byte".to_owned());
    }
    measured.push(Measurement::number("errors", Component::Node, Unit::One, errors, jobs.len() as u64));
    measured.push(Measurement::flag("passed", Component::Node, errors == 0.0));
    Ok(measured)
}
