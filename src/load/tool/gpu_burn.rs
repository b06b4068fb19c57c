//! gpu-burn: its last line for each GPU, and the speeds and errors of its last progress line. It always exits with zero, and
//! counts errors in 32 bits that overflow: any number but zero is an error.

use crate::limit::Measurement;
use crate::model::{Component, GpuIndex, Unit};

pub(super) fn read(output: &str) -> Result<Vec<Measurement>, String> {
    let mut measured = Vec::new();
    let mut all = true;
    for line in output.lines() {
        let Some((gpu, verdict)) = line.trim().strip_prefix("GPU ").and_then(|rest| rest.split_once(": ")) else {
            continue;
        };
        let gpu: u8 = gpu.parse().map_err(|_| format!("`{line}` names no GPU"))?;
        let passed = match verdict.trim() {
            "OK" => true,
            "FAULTY" => false,
            other => return Err(format!("the verdict `{other}` is unknown")),
        };
        all &= passed;
        measured.push(Measurement::flag("passed", Component::Gpu(GpuIndex(gpu)), passed));
    }
    if measured.is_empty() {
        return Err("it names no tested GPU".to_owned());
    }
    // Progress overwrites itself by carriage returns.
    let last = output.split(['\r', '\n']).rfind(|line| line.contains("proc'd:")).ok_or("it shows no progress")?;
    let (speeds, errors) = (speeds(last), errors(last));
    if speeds.len() != measured.len() || errors.len() != measured.len() {
        return Err(format!("{} GPUs were tested, and `{}` is of another number", measured.len(), last.trim()));
    }
    for (gpu, (speed, errors)) in speeds.into_iter().zip(errors).enumerate() {
        let component = Component::Gpu(GpuIndex(gpu as u8));
        measured.push(Measurement::number("throughput", component, Unit::Gigaflops, speed, 1));
        measured.push(Measurement::number("errors", component, Unit::One, errors.abs(), 1));
        all &= errors == 0.0;
    }
    measured.push(Measurement::flag("passed", Component::Node, all));
    Ok(measured)
}

fn speeds(line: &str) -> Vec<f64> {
    let parts = line.split('(').skip(1);
    parts.filter_map(|part| part.split_once(" Gflop/s")).filter_map(|(speed, _)| speed.parse().ok()).collect()
}

fn errors(line: &str) -> Vec<f64> {
    let section = line.split_once("errors:").map_or("", |(_, rest)| rest);
    let section = section.split_once("temps:").map_or(section, |(errors, _)| errors);
    // Signs belong to the numbers, lone dashes separate them.
    section.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}
