//! Reads what `nvidia-smi -q -x` writes: an inventory, and a sample of each GPU.
//!
//! The tool shows no links and nothing of the host; those stay unsupported.

use super::element::{Element, parse};
use super::smi_error::SmiError;
use super::smi_gpu::{gpu, sample};
use kiln_model::{GpuIndex, Inventory, Reading, ReadingFailure, Sample};

/// A node as the tool saw it.
#[derive(Debug, Clone, PartialEq)]
pub struct SmiReport {
    pub inventory: Inventory,
    /// One for each GPU, at moment zero.
    pub samples: Vec<Sample>,
}

/// Reads a report of one GPU or many, by drivers from 535 on.
pub fn read_smi(xml: &str) -> Result<SmiReport, SmiError> {
    if let Some(said) = failure_of_the_tool(xml) {
        return Err(SmiError::ToolFailed { said });
    }
    // `nvidia-smi -q` writes text, and so do programs that gather outputs.
    let begin = xml.trim_start();
    if !begin.is_empty() && !begin.starts_with('<') {
        let begin = begin.lines().next().unwrap_or_default();
        return Err(SmiError::Text { begin: begin.chars().filter(|char| !char.is_control()).take(40).collect() });
    }
    let root = parse(xml)?;
    if root.name != "nvidia_smi_log" {
        return Err(SmiError::AnotherDocument { found: root.name });
    }
    let found: Vec<&Element> = root.all("gpu").collect();
    match found.len() {
        0 => return Err(SmiError::NoGpus),
        count if count > usize::from(u8::MAX) => return Err(SmiError::TooMany { count }),
        _ => {}
    }
    let each = || (0_u8..).map(GpuIndex).zip(&found);
    let inventory = Inventory {
        driver: word(&root, "driver_version"),
        cuda: word(&root, "cuda_version"),
        gpus: each().map(|(index, element)| gpu(index, element)).collect(),
        ..Inventory::default()
    };
    Ok(SmiReport { inventory, samples: each().map(|(index, element)| sample(index, element)).collect() })
}

/// What the tool writes in place of a report when it cannot talk to the driver.
fn failure_of_the_tool(text: &str) -> Option<String> {
    const SIGNS: [&str; 3] = ["NVIDIA-SMI has failed", "NVIDIA-SMI couldn't find", "Failed to initialize NVML"];
    let first = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    SIGNS.iter().any(|sign| first.starts_with(sign)).then(|| first.chars().take(200).collect())
}

/// The text of a file: as UTF-8, or as UTF-16 where it begins with that mark, which is how PowerShell writes.
pub fn decoded(bytes: &[u8]) -> String {
    let wide = |pair: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes[2..].chunks_exact(2).map(|unit| pair([unit[0], unit[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        // Names a driver garbled must not keep the rest from being read.
        _ => String::from_utf8_lossy(bytes).trim_start_matches('\u{feff}').to_owned(),
    }
}

/// The text at a path, or what the tool's word for want of one means.
pub(super) fn word(element: &Element, path: &str) -> Reading<String> {
    let Some(text) = element.find(path).map(|element| element.text.as_str()) else { return Reading::Unsupported };
    let plain = text.trim_matches(['[', ']']).to_ascii_lowercase();
    match plain.as_str() {
        "" | "n/a" | "not supported" | "requested functionality has been deprecated" => Reading::Unsupported,
        "insufficient permissions" => Reading::Failed(ReadingFailure::NoPermission),
        "gpu is lost" => Reading::Failed(ReadingFailure::Lost),
        // NVML_ERROR_RESET_REQUIRED and NVML_ERROR_UNKNOWN of nvml.h.
        "gpu requires reset" | "reset required" => Reading::Failed(ReadingFailure::Driver(16)),
        "unknown error" | "err!" => Reading::Failed(ReadingFailure::Driver(999)),
        _ => Reading::Value(text.to_owned()),
    }
}

/// The first of some paths that is there: later drivers renamed some.
pub(super) fn first(element: &Element, paths: &[&str]) -> Reading<String> {
    let path = paths.iter().find(|path| element.find(path).is_some());
    path.map_or(Reading::Unsupported, |path| word(element, path))
}

/// A reading of the text, where it reads as wanted; what does not is a driver we do not understand.
pub(super) fn read<T>(text: Reading<String>, wanted: impl FnOnce(&str) -> Option<T>) -> Reading<T> {
    match text {
        Reading::Value(text) => wanted(&text).map_or(Reading::Unsupported, Reading::Value),
        Reading::Unsupported => Reading::Unsupported,
        Reading::Failed(failure) => Reading::Failed(failure),
    }
}

/// A number before its unit: `65.64 W`, `16x`, `0 us`. The unit must be the one expected.
pub(super) fn number(text: &str, unit: &str) -> Option<f64> {
    text.trim().strip_suffix(unit)?.trim_end().parse().ok().filter(|value: &f64| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_model::Sensor;

    const ADA: &str = include_str!("../../../fixtures/smi/one-gpu-595.xml");
    const HOPPER: &str = include_str!("../../../fixtures/smi/two-gpus-535-mig.xml");

    /// Every value of a sample on a line of its own.
    fn shown(sample: &Sample) -> String {
        let known = Sensor::ALL.iter().filter(|sensor| sample[**sensor] != Reading::Unsupported);
        known.map(|sensor| format!("{} {}", sensor.name(), sample[*sensor])).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_report_of_one_gpu_reads_whole() {
        let report = read_smi(ADA).expect("report");
        insta::assert_snapshot!(serde_json::to_string_pretty(&report.inventory).expect("json"));
        insta::assert_snapshot!(shown(&report.samples[0]));
    }

    #[test]
    fn a_report_of_an_older_driver_with_instances_reads_whole() {
        let report = read_smi(HOPPER).expect("report");
        assert_eq!(report.inventory.gpus.len(), 2);
        insta::assert_snapshot!(serde_json::to_string_pretty(&report.inventory.gpus[0]).expect("json"));
        insta::assert_snapshot!(shown(&report.samples[0]));
    }

    #[test]
    fn a_gpu_that_is_lost_stays_lost_in_its_report() {
        let report = read_smi(HOPPER).expect("report");
        let lost = Reading::Failed(ReadingFailure::Lost);
        assert_eq!(report.inventory.gpus[1].identity.serial, lost);
        assert_eq!(report.samples[1][Sensor::TempGpu], Reading::Failed(ReadingFailure::Lost));
    }

    #[test]
    fn a_report_that_powershell_wrote_reads_as_any_other() {
        let wide: Vec<u8> = [0xff, 0xfe].into_iter().chain(ADA.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        assert_eq!(read_smi(&decoded(&wide)), read_smi(ADA));
        assert_eq!(read_smi(&decoded(format!("\u{feff}{ADA}").as_bytes())), read_smi(ADA));
    }

    #[test]
    fn a_tool_that_failed_is_told_in_its_own_words() {
        let said = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n";
        let error = read_smi(said).expect_err("refused").to_string();
        assert!(error.starts_with("nvidia-smi itself failed: `NVIDIA-SMI has failed because"), "{error}");
    }

    #[test]
    fn what_is_no_report_is_refused_with_the_reason() {
        let refused = |xml: &str| read_smi(xml).expect_err("refused").to_string();
        let told = [
            refused("<html></html>"),
            refused("<nvidia_smi_log><driver_version>1</driver_version></nvidia_smi_log>"),
            refused("No devices were found"),
        ];
        insta::assert_snapshot!(told.join("\n"));
    }
}
