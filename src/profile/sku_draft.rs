//! A SKU file to start from, made of a node: what could be read of its GPUs is filled in, the rest is for a data sheet.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use serde_yaml::Value;

use super::facts::{FACTS, FactSpec};
use super::sku_file::SCHEMA;
use kiln_model::{Gpu, Inventory, LinkState, Unit};

/// Why no SKU file can be made of a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SkuDraftError {
    #[error("no GPU of the node says its PCI id, by which a model is known")]
    NoGpu,
    #[error("the GPUs of the node are of {0} models; a SKU file describes one")]
    Mixed(usize),
}

/// What a reader of the draft is told first.
const HEAD: &str = "\
# Facts about one GPU product. Every fact needs a source: what was read of one node may be that node's own defect, so compare
# it with the maker's data sheet and name that. Facts behind `#` could not be read; the file is refused until they are there.
";

/// A SKU file as it is typed.
#[derive(Serialize)]
struct Draft<'a> {
    schema: &'static str,
    id: &'a str,
    title: BTreeMap<&'static str, &'a str>,
    names: [&'a str; 1],
    pci: [DraftPci<'a>; 1],
    gpus_per_node: usize,
    facts: BTreeMap<&'static str, DraftFact>,
}

#[derive(Serialize)]
struct DraftPci<'a> {
    device: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subsystem: Option<String>,
}

#[derive(Serialize)]
struct DraftFact {
    value: Value,
    source: String,
}

/// The text of a SKU file with the given id. Facts that a node cannot tell are left as comments, so that the file is refused
/// until each has a value and the source it was taken from.
pub fn sku_draft(id: &str, inventory: &Inventory) -> Result<String, SkuDraftError> {
    let device = |gpu: &Gpu| gpu.identity.pci_device.value().and_then(|id| id.get(..4)).map(str::to_lowercase);
    let mut devices: Vec<String> = inventory.gpus.iter().filter_map(device).collect();
    devices.sort_unstable();
    devices.dedup();
    let [only] = &devices[..] else {
        return Err(if devices.is_empty() { SkuDraftError::NoGpu } else { SkuDraftError::Mixed(devices.len()) });
    };
    let gpu = inventory.gpus.iter().find(|gpu| device(gpu).is_some()).ok_or(SkuDraftError::NoGpu)?;
    let name = gpu.identity.name.value().map_or("", String::as_str);
    let driver = inventory.driver.value().map_or("an unknown driver", String::as_str);
    let subsystem = gpu.identity.pci_subsystem.value().and_then(|id| id.get(..4)).map(str::to_lowercase);
    let source = format!("read of a node, driver {driver}; not yet compared with a data sheet");
    let told = |fact: &FactSpec| {
        let value = read(gpu, fact.name)?;
        let value = if fact.unit == Unit::One { value.into() } else { in_unit(value, fact.unit).into() };
        Some((fact.name, DraftFact { value, source: source.clone() }))
    };
    let draft = Draft {
        schema: SCHEMA,
        id,
        title: BTreeMap::from([("en", name)]),
        names: [name],
        pci: [DraftPci { device: only, subsystem }],
        gpus_per_node: inventory.gpus.len().max(1),
        facts: FACTS.iter().filter_map(told).collect(),
    };
    // The facts come last, so that what is missing of them can follow.
    let mut text =
        format!("{HEAD}{}", serde_yaml::to_string(&draft).expect("texts and numbers can be written as YAML"));
    for fact in FACTS.iter().filter(|fact| read(gpu, fact.name).is_none()) {
        let need = if fact.everywhere { "required" } else { "where the part has it" };
        let _ = writeln!(text, "  # {}, {need}: {}, in {}", fact.name, fact.summary, unit_word(fact.unit));
        let _ = writeln!(text, "  # {}:\n  #   value:\n  #   source: \"\"", fact.name);
    }
    Ok(text)
}

fn in_unit(value: f64, unit: Unit) -> String {
    if unit == Unit::One { value.to_string() } else { format!("{value} {unit}") }
}

fn unit_word(unit: Unit) -> String {
    if unit == Unit::One { "a plain number".to_owned() } else { unit.to_string() }
}

/// What an inventory tells of a fact, in the fact's unit.
fn read(gpu: &Gpu, fact: &str) -> Option<f64> {
    let links = || gpu.nvlinks.value().filter(|links| !links.is_empty());
    match fact {
        "tdp" => gpu.power.default.get(),
        "power.min" => gpu.power.min.get(),
        "memory" => gpu.memory_mib.get().map(|mib| mib as f64),
        "bar1" => gpu.bar1_mib.get().map(|mib| mib as f64),
        "clock.sm.max" => gpu.clocks.max_sm.get(),
        "clock.memory.max" => gpu.clocks.max_memory.get(),
        "pcie.gen" => gpu.pcie.max_generation.get().map(f64::from),
        "pcie.width" => gpu.pcie.max_width.get().map(f64::from),
        "nvlink.links" => links().map(|links| links.len() as f64),
        "nvlink.speed" => links()?
            .iter()
            .filter(|link| link.state.value() == Some(&LinkState::Active))
            .filter_map(|link| link.speed_mb_per_s.get())
            .max()
            .map(f64::from),
        "c2c.links" => gpu.c2c.get().map(|c2c| f64::from(c2c.links)),
        "c2c.speed" => gpu.c2c.get().map(|c2c| f64::from(c2c.speed_mb_per_s)),
        "temp.slowdown" => gpu.thermal.slowdown_margin.get().or_else(|| gpu.thermal.slowdown_celsius.get()),
        "temp.shutdown" => gpu.thermal.shutdown_margin.get(),
        "temp.max-operating" => gpu.thermal.operating_margin.get(),
        "temp.memory.max" => gpu.thermal.memory_max_celsius.get(),
        "fabric" => gpu.fabric.value().map(|_| 1.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Skus;
    use kiln_model::{GpuIndex, Reading};

    fn node() -> Inventory {
        let mut gpu = Gpu::bare(GpuIndex(0));
        gpu.identity.name = Reading::Value("NVIDIA \"X\" 24GB".to_owned());
        gpu.identity.pci_device = Reading::Value("27B810DE".to_owned());
        gpu.identity.pci_subsystem = Reading::Value("16ca10de".to_owned());
        gpu.power.default = Reading::Value(72.0);
        gpu.memory_mib = Reading::Value(23_034);
        Inventory { gpus: vec![gpu.clone(), gpu], driver: Reading::Value("580.1".to_owned()), ..Inventory::default() }
    }

    #[test]
    fn a_draft_has_what_could_be_read_and_is_refused_for_the_rest() {
        let text = sku_draft("x-24", &node()).expect("a draft");
        assert!(text.contains("  tdp:\n    value: 72 W\n"), "{text}");
        assert!(text.contains("device: 27b8\n  subsystem: 16ca\n") && text.contains("gpus_per_node: 2"), "{text}");
        assert!(text.contains("  # memory.bandwidth, required: theoretical peak of the memory, in TB/s"), "{text}");
        let error = Skus::read([("x.yaml", text.as_bytes())]).expect_err("not whole").render(false);
        assert!(error.contains("the fact `memory.bandwidth` is missing"), "{error}");
        assert!(!error.contains("the fact `memory` is missing"), "{error}");
    }

    #[test]
    fn a_draft_with_every_value_filled_in_reads() {
        let draft = sku_draft("x-24", &node()).expect("a draft");
        let filled: Vec<String> = draft
            .lines()
            .filter(|line| !(line.starts_with("  # ") && line.contains(", in ")))
            .map(|line| {
                line.replacen("  # ", "  ", 1)
                    .replacen("  #   ", "    ", 1)
                    .replace("source: \"\"", "source: \"a sheet\"")
            })
            .collect();
        let mut fact = "";
        let mut text = String::new();
        for line in &filled {
            if let Some(spec) = FACTS.iter().find(|spec| line.trim() == format!("{}:", spec.name)) {
                fact = spec.name;
            }
            let unit = FACTS.iter().find(|spec| spec.name == fact).map_or(Unit::One, |spec| spec.unit);
            let line =
                if line.trim() == "value:" { format!("    value: {}", in_unit(1.0, unit)) } else { line.clone() };
            text.push_str(&line);
            text.push('\n');
        }
        let skus =
            Skus::read([("x.yaml", text.as_bytes())]).unwrap_or_else(|error| panic!("{text}\n{}", error.render(false)));
        assert_eq!(skus.of(&node().gpus[0]).map(|sku| sku.id.as_str()), Some("x-24"));
    }

    #[test]
    fn nothing_is_made_of_no_gpu_or_of_several_models() {
        assert_eq!(sku_draft("x", &Inventory::default()), Err(SkuDraftError::NoGpu));
        let mut mixed = node();
        mixed.gpus[1].identity.pci_device = Reading::Value("2330".to_owned());
        assert_eq!(sku_draft("x", &mixed), Err(SkuDraftError::Mixed(2)));
    }
}
