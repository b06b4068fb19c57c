//! A node as a text for people: GPUs, firmware, limits, readings now, and what every link ends at.

use std::fmt::Write as _;

use crate::event::NodeSource;
use crate::model::{Gpu, Inventory, LinkState, NvLink, Reading, Remote, Sample, Sensor};
use crate::profile::Skus;

/// Readings that tell how a GPU is.
const NOW: [(Sensor, &str); 8] = [
    (Sensor::TempGpu, "°C"),
    (Sensor::TempMemory, "HBM °C"),
    (Sensor::Power, "W"),
    (Sensor::ClockSm, "SM MHz"),
    (Sensor::UtilGpu, "util %"),
    (Sensor::PcieGeneration, "PCIe gen"),
    (Sensor::PcieWidth, "width"),
    (Sensor::EccUncorrected, "ECC unc."),
];

/// Everything in one text.
pub(super) fn text(inventory: &Inventory, samples: &[Sample], source: &NodeSource, skus: &Skus) -> String {
    let mut text = String::new();
    match source {
        NodeSource::Hardware => {}
        NodeSource::Simulated { node, seed, .. } => {
            let _ = writeln!(text, "SIMULATED node {node}, seed {seed}");
        }
        NodeSource::Replayed { file } => {
            let _ = writeln!(text, "REPLAYED from {file}");
        }
        NodeSource::StandIn { library } => {
            let _ = writeln!(text, "SIMULATED by the library {library}");
        }
    }
    head(&mut text, inventory);
    let gpus = |row: &dyn Fn(&Gpu) -> Vec<String>| inventory.gpus.iter().map(row).collect::<Vec<_>>();
    section(
        &mut text,
        "GPUs",
        &["gpu", "slot", "sku", "PCI address", "serial", "memory MiB", "links"],
        gpus(&|gpu| {
            let sku = skus.of(gpu).map_or_else(|| "unknown".to_owned(), |sku| sku.id.clone());
            let identity = &gpu.identity;
            vec![
                gpu.index.0.to_string(),
                identity.slot.to_string(),
                sku,
                identity.pci_address.to_string(),
                identity.serial.to_string(),
                gpu.memory_mib.to_string(),
                links(gpu),
            ]
        }),
    );
    section(
        &mut text,
        "Firmware",
        &["gpu", "name", "part number", "VBIOS", "InfoROM", "GSP"],
        gpus(&|gpu| {
            let identity = &gpu.identity;
            let firmware =
                [&identity.name, &identity.part_number, &identity.vbios, &identity.inforom, &identity.gsp_firmware];
            std::iter::once(gpu.index.0.to_string()).chain(firmware.map(ToString::to_string)).collect()
        }),
    );
    section(
        &mut text,
        "Limits",
        &[
            "gpu",
            "power W",
            "of max W",
            "SM MHz",
            "mem MHz",
            "slowdown °C",
            "ECC",
            "MIG",
            "persistence",
            "compute mode",
        ],
        gpus(&|gpu| {
            vec![
                gpu.index.0.to_string(),
                gpu.power.enforced.to_string(),
                gpu.power.max.to_string(),
                gpu.clocks.max_sm.to_string(),
                gpu.clocks.max_memory.to_string(),
                gpu.thermal.slowdown_celsius.to_string(),
                on(gpu.config.ecc),
                on(gpu.config.mig),
                on(gpu.config.persistence),
                gpu.config.compute_mode.to_string(),
            ]
        }),
    );
    let names: Vec<&str> = std::iter::once("gpu").chain(NOW.map(|(_, name)| name)).collect();
    let now = samples.iter().map(|sample| {
        let readings = NOW.map(|(sensor, _)| rounded(sample[sensor]));
        std::iter::once(sample.gpu.0.to_string()).chain(readings).collect()
    });
    section(&mut text, "Now", &names, now.collect());
    matrix(&mut text, inventory);
    text
}

fn head(text: &mut String, inventory: &Inventory) {
    let (node, host) = (&inventory.node, &inventory.host);
    let _ =
        writeln!(text, "{}, serial {}, driver {}, CUDA {}", node.model, node.serial, inventory.driver, inventory.cuda);
    let _ = writeln!(
        text,
        "{}, {} CPUs, {} MiB, clock source {}",
        host.cpu_model, host.cpus, host.memory_mib, host.clock_source
    );
}

fn on(reading: Reading<bool>) -> String {
    reading.map(|on| if on { "on" } else { "off" }).to_string()
}

/// Whole numbers: tenths of a watt are noise here.
fn rounded(reading: Reading<f64>) -> String {
    reading.map(f64::round).to_string()
}

fn links(gpu: &Gpu) -> String {
    match &gpu.nvlinks {
        Reading::Value(links) if links.is_empty() => "none".to_owned(),
        Reading::Value(links) => format!("{} of {}", links.iter().filter(|link| is_active(link)).count(), links.len()),
        other => other.clone().map(|_| "").to_string(),
    }
}

fn is_active(link: &NvLink) -> bool {
    link.state == Reading::Value(LinkState::Active)
}

/// What each link ends at; links that are not active are in brackets.
fn matrix(text: &mut String, inventory: &Inventory) {
    let most = inventory.gpus.iter().filter_map(|gpu| gpu.nvlinks.value()).map(Vec::len).max().unwrap_or(0);
    if most == 0 {
        return;
    }
    let names: Vec<String> =
        std::iter::once("gpu".to_owned()).chain((0..most).map(|link| format!("l{link}"))).collect();
    let rows = inventory.gpus.iter().map(|gpu| {
        let ends = gpu.nvlinks.value().map(Vec::as_slice).unwrap_or_default().iter().map(|link| {
            let end = match &link.remote {
                Reading::Value(Remote::Gpu(other)) => format!("g{}", other.0),
                Reading::Value(Remote::Switch { number, port }) => format!("s{number}.{port}"),
                Reading::Value(Remote::Cpu(number)) => format!("c{number}"),
                Reading::Value(Remote::Other(address)) => address.clone(),
                Reading::Unsupported => "?".to_owned(),
                Reading::Failed(_) => "!".to_owned(),
            };
            if is_active(link) { end } else { format!("[{end}]") }
        });
        std::iter::once(gpu.index.0.to_string()).chain(ends).collect()
    });
    let rows = rows.collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    section(text, "NVLinks: g GPU, s switch and port, c CPU, [..] not active, ? not told", &names, rows);
}

/// A titled table whose columns are as wide as what is in them.
fn section(text: &mut String, title: &str, names: &[&str], rows: Vec<Vec<String>>) {
    if rows.is_empty() {
        return;
    }
    let head: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let all: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| all.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..names.len()).map(|column| width(column).unwrap_or(0)).collect();
    let _ = writeln!(text, "\n{title}");
    for row in &all {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
}
