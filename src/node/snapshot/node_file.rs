//! A node file of a real machine: what was read of it, over the node that comes with the program and is most like it.
//!
//! How it heats, cools and computes cannot be read from an inventory; that stays the likeness's, and the file says so.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "what a driver or a text tells is within the range of what it measures"
)]

use serde_yaml::{Mapping, Value};

use super::sheet::{Field, FieldOrigin, Sheet, text, whole, with};
use crate::sim::NodeFile;
use kiln_model::{
    C2c, Fabric, Gpu, GpuIndex, Inventory, LinkLayer, LinkState, Nic, Reading, ReadingFailure, Remote, Sample, Sensor,
};
use kiln_yaml::Diagnostics;

/// A node file made of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSnapshot {
    pub text: String,
    /// How many GPUs it has.
    pub gpus: usize,
    /// GPUs that did not answer and are not in it.
    pub left_out: Vec<GpuIndex>,
    /// The node whose physics it has.
    pub base: &'static str,
    /// Whether that node has the same GPU, or only one like it.
    pub same_gpu: bool,
    /// Where each value of the file is from.
    pub fields: Vec<Field>,
}

/// Why no node file can be made.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("the inventory has no GPU that answers; a node file needs one")]
    NoGpu,
    #[error("the GPUs are of {0} kinds; a node file describes GPUs of one kind")]
    Mixed(usize),
    #[error("no node that comes with the program can be read")]
    NoBase,
    #[error("what was read of the machine does not make a node file:\n{0}")]
    Unfit(#[source] Diagnostics),
    #[error("the node file cannot be written as YAML")]
    Yaml(#[from] serde_yaml::Error),
}

/// A device of NVIDIA's that nobody makes.
const NO_DEVICE: &str = "000010de";

/// Makes a node file with the given id. Samples tell how the GPUs rest, and may be missing.
pub fn node_file(inventory: &Inventory, samples: &[Sample], id: &str) -> Result<NodeSnapshot, SnapshotError> {
    let answering: Vec<&Gpu> = inventory.gpus.iter().filter(|gpu| answers(gpu)).collect();
    let first = *answering.first().ok_or(SnapshotError::NoGpu)?;
    let mut kinds: Vec<&str> = answering.iter().filter_map(|gpu| known(&gpu.identity.pci_device)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.len() > 1 {
        return Err(SnapshotError::Mixed(kinds.len()));
    }
    let (base, file) = likeness(first, answering.len()).ok_or(SnapshotError::NoBase)?;
    let same_gpu = is_of(first, &file);
    let mut root: Value = serde_yaml::from_str(NodeFile::embedded_text(base).ok_or(SnapshotError::NoBase)?)?;
    let mut sheet = Sheet::over(&mut root);
    let like = if same_gpu { "the same GPU" } else { "another GPU" };
    sheet.set("id", text(id), FieldOrigin::Invented);
    let title = Value::Mapping(Mapping::from_iter([(text("en"), text(&format!("Snapshot {id}")))]));
    sheet.set("title", title, FieldOrigin::Invented);
    host(&mut sheet, inventory);
    gpu(&mut sheet, &answering);
    if !same_gpu && kinds.is_empty() {
        // A GPU that tells no device is of no model but the one its name says, and not of its likeness's.
        sheet.set("gpu/pci_device", text(NO_DEVICE), FieldOrigin::Invented);
        if of(&answering, |gpu| gpu.identity.pci_subsystem.clone()).value().is_none() {
            sheet.set("gpu/pci_subsystem", text("00000000"), FieldOrigin::Invented);
        }
    }
    links(&mut sheet, &answering, same_gpu);
    rest(&mut sheet, &answering, samples);
    if !same_gpu {
        fit_clocks(&mut sheet, &file);
        fit_power(&mut sheet, &file);
    }
    slots(&mut sheet, &answering);
    sheet.set("source", text(&source(&sheet.fields(), base, like)), FieldOrigin::Invented);
    let fields = sheet.fields();
    let text = quoted(&serde_yaml::to_string(&root)?);
    // What the simulator would refuse must not be handed out.
    NodeFile::read(id, text.as_bytes()).map_err(SnapshotError::Unfit)?;
    let in_it = |index: GpuIndex| answering.iter().any(|gpu| gpu.index == index);
    let left_out = inventory.gpus.iter().map(|gpu| gpu.index).filter(|index| !in_it(*index)).collect();
    Ok(NodeSnapshot { text, gpus: answering.len(), left_out, base, same_gpu, fields })
}

/// PCI addresses in quotation marks: readers of YAML 1.1 take `0000:07:00.0` for a number to the base of 60.
fn quoted(text: &str) -> String {
    let line = |line: &str| match line.split_once("address: ") {
        Some((before, address)) if !address.starts_with(['"', '\'']) => format!("{before}address: \"{address}\"\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// What the file says of itself.
fn source(fields: &[Field], base: &str, like: &str) -> String {
    let of = |origin: FieldOrigin| {
        let paths =
            fields.iter().filter(|field| field.origin == origin && field.path != "id" && field.path != "title/en");
        paths.map(|field| field.path.as_str()).collect::<Vec<_>>().join(", ")
    };
    let part = |said: &str, paths: String| if paths.is_empty() { String::new() } else { format!(" {said}: {paths}.") };
    format!(
        "Read from a machine: {}.{}{} Everything else is that of {base}, which has {like}; not measured. Serial numbers and UUIDs \
         are made up.",
        of(FieldOrigin::Read),
        part("Brought into the range of the simulation", of(FieldOrigin::Adjusted)),
        part("Made up", of(FieldOrigin::Invented)),
    )
}

/// The node with the same GPU; of several, the one with as many; else the one with the nearest power limit.
fn likeness(gpu: &Gpu, count: usize) -> Option<(&'static str, NodeFile)> {
    let limit = limit_of(gpu).get().unwrap_or(700.0);
    NodeFile::embedded().filter_map(|name| Some((name, NodeFile::find(name).ok()?))).min_by_key(|(_, file)| {
        (!is_of(gpu, file), (file.power.limit - limit).abs() as u64, file.slots.len().abs_diff(count))
    })
}

/// Whether a GPU is of the model that a node has: by its device, and where reports leave that out, by its name.
fn is_of(gpu: &Gpu, file: &NodeFile) -> bool {
    let (own, shown) = match known(&gpu.identity.pci_device) {
        Some(device) => (Some(device), &file.gpu.pci_device),
        None => (known(&gpu.identity.name), &file.gpu.name),
    };
    own == Some(shown.as_str())
}

/// The limit that the GPU comes with; the greatest that may be set, where its driver tells that alone.
fn limit_of(gpu: &Gpu) -> Reading<f64> {
    if gpu.power.default.value().is_some() { gpu.power.default } else { gpu.power.max }
}

/// Whether the GPU answers: it tells its name, and is lost for nothing that it was asked.
fn answers(gpu: &Gpu) -> bool {
    const LOST: ReadingFailure = ReadingFailure::Lost;
    let numbers = [gpu.power.max, gpu.power.set, gpu.clocks.max_sm, gpu.clocks.max_memory];
    let is_lost = numbers.contains(&Reading::Failed(LOST)) || gpu.memory_mib == Reading::Failed(LOST);
    gpu.identity.name.value().is_some() && !is_lost
}

/// The first value among the GPUs; where none has one, why.
fn of<T>(gpus: &[&Gpu], reading: impl Fn(&Gpu) -> Reading<T>) -> Reading<T> {
    let mut found = Reading::Unsupported;
    for gpu in gpus {
        match (reading(gpu), &found) {
            (Reading::Value(value), _) => return Reading::Value(value),
            (Reading::Failed(failure), Reading::Unsupported) => found = Reading::Failed(failure),
            _ => {}
        }
    }
    found
}

/// The ports of the NICs, as the first of them. A machine without RDMA devices has not got the likeness's.
fn ports(sheet: &mut Sheet<'_>, nics: &[Nic]) {
    let Some(port) = nics.iter().find_map(|nic| nic.ports.first()) else {
        return sheet.remove("host/nics/ports");
    };
    let layer = port.layer.map(|layer| match layer {
        LinkLayer::Infiniband => "infiniband",
        LinkLayer::Ethernet => "ethernet",
    });
    sheet.put("host/nics/ports/layer", layer, text);
    sheet.put("host/nics/ports/width", port.width, whole);
}

fn known(reading: &Reading<String>) -> Option<&str> {
    reading.value().map(String::as_str)
}

fn word(word: String) -> Value {
    Value::String(word)
}

fn host(sheet: &mut Sheet<'_>, inventory: &Inventory) {
    let host = &inventory.host;
    sheet.put("host/model", inventory.node.model.clone(), word);
    sheet.put("host/bios", inventory.node.bios.clone(), word);
    sheet.put("host/cpu_model", host.cpu_model.clone(), word);
    sheet.put("host/cpus", host.cpus, whole);
    sheet.put("host/memory", host.memory_mib.map(|mib| mib as f64), with("MiB"));
    sheet.put("host/dimms", host.dimms.map(|dimms| dimms.min(255)), whole);
    sheet.put("host/clock_source", host.clock_source.clone(), word);
    sheet.put("host/nics/count", host.nics.clone().map(|nics| nics.len() as u64), whole);
    if let Some(nics) = host.nics.value() {
        if let Some(first) = nics.first() {
            sheet.set("host/nics/model", text(&first.model), FieldOrigin::Read);
        }
        let fastest = nics.iter().filter_map(|nic| nic.speed_mb_per_s.get()).max();
        if let Some(fastest) = fastest {
            sheet.set("host/nic_speed", with("MB/s")(f64::from(fastest)), FieldOrigin::Read);
        }
        ports(sheet, nics);
    }
    sheet.put("host/nvmes/count", host.nvmes.clone().map(|disks| disks.len() as u64), whole);
    if let Some(first) = host.nvmes.value().and_then(|disks| disks.first()) {
        sheet.set("host/nvmes/model", text(&first.model), FieldOrigin::Read);
    }
    sheet.put("driver/version", inventory.driver.clone(), word);
    sheet.put("driver/cuda", inventory.cuda.clone(), word);
}

/// What is read of one GPU.
type Read<T> = fn(&Gpu) -> Reading<T>;

fn gpu(sheet: &mut Sheet<'_>, gpus: &[&Gpu]) {
    let words: [(&str, Read<String>); 6] = [
        ("gpu/name", |gpu| gpu.identity.name.clone()),
        ("gpu/pci_device", |gpu| gpu.identity.pci_device.clone()),
        ("gpu/pci_subsystem", |gpu| gpu.identity.pci_subsystem.clone()),
        ("gpu/part_number", |gpu| gpu.identity.part_number.clone()),
        ("gpu/vbios", |gpu| gpu.identity.vbios.clone()),
        ("gpu/inforom", |gpu| gpu.identity.inforom.clone()),
    ];
    for (path, reading) in words {
        sheet.put(path, of(gpus, reading), word);
    }
    let numbers: [(&str, &'static str, Read<f64>); 7] = [
        ("power/min", "W", |gpu| gpu.power.min),
        ("power/limit", "W", limit_of),
        ("clocks/max", "MHz", |gpu| gpu.clocks.max_sm),
        ("clocks/memory", "MHz", |gpu| gpu.clocks.max_memory),
        ("memory/size", "MiB", |gpu| gpu.memory_mib.map(|mib| mib as f64)),
        ("pcie/bar1", "MiB", |gpu| gpu.bar1_mib.map(|mib| mib as f64)),
        ("thermal/memory_max", "°C", |gpu| gpu.thermal.memory_max_celsius),
    ];
    for (path, unit, reading) in numbers {
        sheet.put(path, of(gpus, reading), with(unit));
    }
    let max = of(gpus, |gpu| gpu.power.max);
    if max.get().is_some_and(|max| of(gpus, limit_of).get().is_none_or(|limit| max > limit)) {
        sheet.put("power/max", max, with("W"));
    }
    let offers = match of(gpus, |gpu| gpu.clocks.application_sm) {
        Reading::Value(_) => Reading::Value(true),
        Reading::Unsupported => Reading::Value(false),
        Reading::Failed(failure) => Reading::Failed(failure),
    };
    sheet.put("clocks/application", offers, Value::Bool);
    sheet.put("pcie/generation", of(gpus, |gpu| gpu.pcie.max_generation), whole);
    sheet.put("pcie/width", of(gpus, |gpu| gpu.pcie.max_width), whole);
    let offsets: [(&str, Read<f64>); 3] = [
        ("thermal/operating_offset", |gpu| gpu.thermal.operating_margin),
        ("thermal/slowdown_offset", |gpu| gpu.thermal.slowdown_margin),
        ("thermal/shutdown_offset", |gpu| gpu.thermal.shutdown_margin),
    ];
    for (path, reading) in offsets {
        // An offset above the point where slowdown begins (some drivers write 4) means the point itself to the simulation.
        sheet.put_within(path, of(gpus, reading), -30.0..=0.0, with("°C"));
    }
}

/// Links, fabric and C2C. A report that shows none leaves the likeness's, if that has the same GPU.
fn links(sheet: &mut Sheet<'_>, gpus: &[&Gpu], same_gpu: bool) {
    let links = of(gpus, |gpu| gpu.nvlinks.clone());
    match links.value() {
        Some(links) if !links.is_empty() => {
            let speeds = links.iter().filter(|link| link.state == Reading::Value(LinkState::Active));
            if let Some(speed) = speeds.filter_map(|link| link.speed_mb_per_s.get()).max() {
                sheet.set("nvlink/speed", with("MB/s")(f64::from(speed)), FieldOrigin::Read);
            }
            let mut to_switch = std::collections::BTreeMap::<u8, u64>::new();
            for link in links {
                if let Some(Remote::Switch { number, .. }) = link.remote.value() {
                    *to_switch.entry(*number).or_default() += 1;
                }
            }
            if !to_switch.is_empty() {
                let links = Value::Sequence(to_switch.into_values().map(whole).collect());
                sheet.set("nvlink/links_to_switch", links, FieldOrigin::Read);
                // A likeness without NVLink leaves the rest of the section open: as on the boards that have switches.
                let local = of(gpus, |gpu| gpu.c2c).value().is_none();
                for (name, usual) in [
                    ("nvlink/local_switches", Value::Bool(local)),
                    ("nvlink/pair_efficiency", Value::Number(0.8.into())),
                    ("nvlink/all_efficiency", Value::Number(0.75.into())),
                ] {
                    if !sheet.has(name) {
                        sheet.set(name, usual, FieldOrigin::Invented);
                    }
                }
            } else if !same_gpu {
                sheet.remove("nvlink");
            }
        }
        _ if same_gpu => {}
        _ => sheet.remove("nvlink"),
    }
    match of(gpus, |gpu| gpu.fabric.clone()) {
        Reading::Value(Fabric { cluster_uuid, clique, health_mask, .. }) => {
            sheet.set("fabric/cluster_uuid", text(&cluster_uuid), FieldOrigin::Read);
            sheet.set("fabric/clique", whole(clique), FieldOrigin::Read);
            sheet.put("fabric/health_mask", health_mask, whole);
        }
        Reading::Unsupported => sheet.remove("fabric"),
        Reading::Failed(failure) => sheet.fail("fabric/cluster_uuid", failure),
    }
    match of(gpus, |gpu| gpu.c2c) {
        Reading::Value(C2c { links, speed_mb_per_s, .. }) => {
            sheet.set("c2c/links", whole(links), FieldOrigin::Read);
            sheet.set("c2c/speed", with("MB/s")(speed_mb_per_s.into()), FieldOrigin::Read);
        }
        Reading::Unsupported if !same_gpu => sheet.remove("c2c"),
        Reading::Unsupported => {}
        Reading::Failed(failure) => sheet.fail("c2c/links", failure),
    }
}

/// What GPUs at rest tell: their power, and at which temperature they would slow down.
fn rest(sheet: &mut Sheet<'_>, gpus: &[&Gpu], samples: &[Sample]) {
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    let resting = samples.iter().filter(|sample| sample.get(Sensor::UtilGpu) == Some(0.0));
    let limit = of(gpus, limit_of).get().unwrap_or(f64::INFINITY);
    // Some drivers tell the power of the moment alone.
    let drawn = |sample: &Sample| sample.get(Sensor::Power).or_else(|| sample.get(Sensor::PowerInstant));
    let power = median(resting.filter_map(drawn).collect());
    // A GPU that draws more than half of its limit is not at rest, whatever its counters say; small boards come near to it.
    if let Some(power) = power.filter(|power| *power > 0.0 && *power < limit / 2.0) {
        sheet.set("power/idle", with("W")(power), FieldOrigin::Read);
    }
    let slowdown = |sample: &Sample| Some(sample.get(Sensor::TempGpu)? + sample.get(Sensor::TempMargin)?);
    let margin = median(samples.iter().filter_map(slowdown).collect());
    let threshold = of(gpus, |gpu| gpu.thermal.slowdown_celsius).get();
    match (margin, threshold) {
        (Some(begins), _) => {
            sheet.set("thermal/slowdown", with("°C")(begins), FieldOrigin::Read);
            sheet.set("thermal/absolute", Value::Bool(false), FieldOrigin::Read);
        }
        // Parts before Hopper tell an absolute threshold and no margin: the one of the hardware, beyond that of the software.
        (None, Some(threshold)) => {
            let beyond = sheet.number("thermal/slowdown_offset").unwrap_or(0.0);
            sheet.set("thermal/slowdown", with("°C")(threshold + beyond), FieldOrigin::Read);
            sheet.set("thermal/absolute", Value::Bool(true), FieldOrigin::Read);
        }
        (None, None) => {}
    }
    let memory = samples.iter().map(|sample| sample[Sensor::TempMemory]);
    let answered = memory.filter_map(|reading| match reading {
        Reading::Value(_) => Some(true),
        Reading::Unsupported => Some(false),
        Reading::Failed(_) => None,
    });
    if let Some(sensor) = answered.max() {
        sheet.set("memory/sensor", Value::Bool(sensor), FieldOrigin::Read);
    }
}

/// Clocks of a likeness with another GPU, brought under this GPU's greatest: its idle clock and the knee of its voltage may lie
/// above what this one can do at all.
fn fit_clocks(sheet: &mut Sheet<'_>, like: &NodeFile) {
    let Some(greatest) = sheet.number("clocks/max") else { return };
    let clocks = &like.clocks;
    let share = greatest / clocks.max;
    if share < 1.0 {
        for (path, clock) in
            [("clocks/idle", clocks.idle), ("clocks/lowest", clocks.lowest), ("clocks/knee", clocks.knee)]
        {
            sheet.set(path, with("MHz")((clock * share).round()), FieldOrigin::Adjusted);
        }
    }
}

/// Power at rest of a likeness with another GPU, in proportion to the limit: a board of 70 W would rest above its own limit.
fn fit_power(sheet: &mut Sheet<'_>, like: &NodeFile) {
    let (Some(limit), power) = (sheet.number("power/limit"), &like.power) else { return };
    let share = limit / power.limit;
    let own = [("power/idle_memory", power.idle_memory), ("power/leakage", power.leakage)];
    let idle = (!sheet.is_told("power/idle")).then_some(("power/idle", power.idle));
    for (path, watts) in own.into_iter().chain(idle) {
        sheet.set(path, with("W")((watts * share * 10.0).round() / 10.0), FieldOrigin::Adjusted);
    }
}

/// One slot for each GPU. Where it sits in the stream of air or coolant is the likeness's.
fn slots(sheet: &mut Sheet<'_>, gpus: &[&Gpu]) {
    let based = sheet.list("slots");
    let mut slots = Vec::new();
    for (place, gpu) in gpus.iter().enumerate() {
        let mut slot = based.get(place % based.len().max(1)).cloned().unwrap_or(Value::Null);
        let mut own = Sheet::over(&mut slot);
        own.put("address", gpu.identity.pci_address.clone(), word);
        own.put("module", gpu.identity.slot.clone(), word);
        own.put("numa", gpu.pcie.numa_node, whole);
        let told = own.told();
        sheet.note_all(&format!("slots/{place}"), told);
        slots.push(slot);
    }
    sheet.replace("slots", Value::Sequence(slots));
}

#[cfg(test)]
#[path = "node_file_tests.rs"]
mod tests;
