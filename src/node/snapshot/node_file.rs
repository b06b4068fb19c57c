//! A node file of a real machine: what was read of it, over the node that comes with the program and is most like it.
//!
//! How it heats, cools and computes cannot be read from an inventory; that stays the likeness's, and the file says so.

use serde_yaml::{Mapping, Value};

use crate::sim::NodeFile;
use kiln_model::{C2c, Fabric, Gpu, GpuIndex, Inventory, LinkLayer, LinkState, Nic, Reading, Remote, Sample, Sensor};
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

/// Makes a node file with the given id. Samples tell how the GPUs rest, and may be missing.
pub fn node_file(inventory: &Inventory, samples: &[Sample], id: &str) -> Result<NodeSnapshot, SnapshotError> {
    let answering: Vec<&Gpu> = inventory.gpus.iter().filter(|gpu| gpu.identity.name.value().is_some()).collect();
    let first = *answering.first().ok_or(SnapshotError::NoGpu)?;
    let mut kinds: Vec<&str> = answering.iter().filter_map(|gpu| known(&gpu.identity.pci_device)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.len() > 1 {
        return Err(SnapshotError::Mixed(kinds.len()));
    }
    let (base, file) = likeness(first, answering.len()).ok_or(SnapshotError::NoBase)?;
    let same_gpu = known(&first.identity.pci_device) == Some(file.gpu.pci_device.as_str());
    let mut root: Value = serde_yaml::from_str(NodeFile::embedded_text(base).ok_or(SnapshotError::NoBase)?)?;
    let mut sheet = Sheet { root: &mut root, read: Vec::new() };
    let like = if same_gpu { "the same GPU" } else { "another GPU" };
    sheet.set("id", text(id));
    sheet.set("title", Value::Mapping(Mapping::from_iter([(text("en"), text(&format!("Snapshot {id}")))])));
    host(&mut sheet, inventory);
    gpu(&mut sheet, first);
    links(&mut sheet, first, same_gpu);
    rest(&mut sheet, first, samples);
    if !same_gpu {
        fit_clocks(&mut sheet, &file);
    }
    slots(&mut sheet, &answering);
    let read = sheet.read.join(", ");
    let source = format!(
        "Read from a machine: {read}, and what its slots say. Everything else is that of {base}, which has {like}; not measured. \
         Serial numbers and UUIDs are made up."
    );
    sheet.set("source", text(&source));
    let text = serde_yaml::to_string(&root)?;
    // What the simulator would refuse must not be handed out.
    NodeFile::read(id, text.as_bytes()).map_err(SnapshotError::Unfit)?;
    let in_it = |index: GpuIndex| answering.iter().any(|gpu| gpu.index == index);
    let left_out = inventory.gpus.iter().map(|gpu| gpu.index).filter(|index| !in_it(*index)).collect();
    Ok(NodeSnapshot { text, gpus: answering.len(), left_out, base, same_gpu })
}

/// The node with the same GPU; of several, the one with as many; else the one with the nearest power limit.
fn likeness(gpu: &Gpu, count: usize) -> Option<(&'static str, NodeFile)> {
    let limit = gpu.power.max.get().unwrap_or(700.0);
    NodeFile::embedded().filter_map(|name| Some((name, NodeFile::find(name).ok()?))).min_by_key(|(_, file)| {
        let same = known(&gpu.identity.pci_device) == Some(file.gpu.pci_device.as_str());
        (!same, (file.power.limit - limit).abs() as u64, file.slots.len().abs_diff(count))
    })
}

/// A node file being written over.
struct Sheet<'a> {
    root: &'a mut Value,
    /// Paths of what was read of the machine.
    read: Vec<String>,
}

impl Sheet<'_> {
    /// Puts a value at a path such as `host/nics/count`.
    fn set(&mut self, path: &str, value: Value) {
        let mut at = &mut *self.root;
        for name in path.split('/') {
            if !at.is_mapping() {
                *at = Value::Mapping(Mapping::new());
            }
            let Some(map) = at.as_mapping_mut() else { return };
            at = map.entry(text(name)).or_insert(Value::Null);
        }
        *at = value;
    }

    /// The same, where the value was read.
    fn put<T>(&mut self, path: &str, reading: Option<T>, write: impl FnOnce(T) -> Value) {
        if let Some(value) = reading {
            self.set(path, write(value));
            self.read.push(path.to_owned());
        }
    }

    fn remove(&mut self, name: &str) {
        if let Some(map) = self.root.as_mapping_mut() {
            map.remove(name);
        }
    }
}

/// The ports of the NICs, as the first of them. A machine without RDMA devices has not got the likeness's.
fn ports(sheet: &mut Sheet<'_>, nics: &[Nic]) {
    let Some(port) = nics.iter().find_map(|nic| nic.ports.first()) else {
        let nics = sheet.root.get_mut("host").and_then(|host| host.get_mut("nics")).and_then(Value::as_mapping_mut);
        if let Some(nics) = nics {
            nics.remove("ports");
        }
        return;
    };
    let layer = port.layer.get().map(|layer| match layer {
        LinkLayer::Infiniband => "infiniband",
        LinkLayer::Ethernet => "ethernet",
    });
    sheet.put("host/nics/ports/layer", layer, text);
    sheet.put("host/nics/ports/width", port.width.get(), whole);
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn whole(number: impl Into<u64>) -> Value {
    Value::Number(number.into().into())
}

fn known(reading: &Reading<String>) -> Option<&str> {
    reading.value().map(String::as_str)
}

/// A number with its unit.
fn with(unit: &'static str) -> impl Fn(f64) -> Value {
    move |value| text(&format!("{value} {unit}"))
}

fn host(sheet: &mut Sheet<'_>, inventory: &Inventory) {
    let host = &inventory.host;
    sheet.put("host/model", known(&inventory.node.model), text);
    sheet.put("host/bios", known(&inventory.node.bios), text);
    sheet.put("host/cpu_model", known(&host.cpu_model), text);
    sheet.put("host/cpus", host.cpus.get(), whole);
    sheet.put("host/memory", host.memory_mib.get().map(|mib| mib as f64), with("MiB"));
    sheet.put("host/dimms", host.dimms.get().map(|dimms| dimms.min(255)), whole);
    sheet.put("host/clock_source", known(&host.clock_source), text);
    if let Some(nics) = host.nics.value() {
        sheet.set("host/nics/count", whole(nics.len() as u64));
        sheet.put("host/nics/model", nics.first().map(|nic| nic.model.as_str()), text);
        let fastest = nics.iter().filter_map(|nic| nic.speed_mb_per_s.get()).max();
        sheet.put("host/nic_speed", fastest.map(f64::from), with("MB/s"));
        ports(sheet, nics);
    }
    if let Some(disks) = host.nvmes.value() {
        sheet.set("host/nvmes/count", whole(disks.len() as u64));
        sheet.put("host/nvmes/model", disks.first().map(|disk| disk.model.as_str()), text);
    }
    sheet.put("driver/version", known(&inventory.driver), text);
    sheet.put("driver/cuda", known(&inventory.cuda), text);
}

fn gpu(sheet: &mut Sheet<'_>, gpu: &Gpu) {
    let identity = &gpu.identity;
    sheet.put("gpu/name", known(&identity.name), text);
    sheet.put("gpu/pci_device", known(&identity.pci_device), text);
    sheet.put("gpu/pci_subsystem", known(&identity.pci_subsystem), text);
    sheet.put("gpu/part_number", known(&identity.part_number), text);
    sheet.put("gpu/vbios", known(&identity.vbios), text);
    sheet.put("gpu/inforom", known(&identity.inforom), text);
    sheet.put("power/min", gpu.power.min.get(), with("W"));
    sheet.put("power/limit", gpu.power.max.get(), with("W"));
    sheet.put("clocks/max", gpu.clocks.max_sm.get(), with("MHz"));
    sheet.put("clocks/memory", gpu.clocks.max_memory.get(), with("MHz"));
    sheet.set("clocks/application", Value::Bool(gpu.clocks.application_sm.value().is_some()));
    sheet.put("memory/size", gpu.memory_mib.get().map(|mib| mib as f64), with("MiB"));
    sheet.put("pcie/generation", gpu.pcie.max_generation.get(), whole);
    sheet.put("pcie/width", gpu.pcie.max_width.get(), whole);
    sheet.put("pcie/bar1", gpu.bar1_mib.get().map(|mib| mib as f64), with("MiB"));
    // An offset above the point where slowdown begins (some drivers write 4) means the point itself to the simulation.
    let offset = |margin: Reading<f64>| margin.get().map(|kelvin| kelvin.clamp(-30.0, 0.0));
    sheet.put("thermal/operating_offset", offset(gpu.thermal.operating_margin), with("°C"));
    sheet.put("thermal/slowdown_offset", offset(gpu.thermal.slowdown_margin), with("°C"));
    sheet.put("thermal/shutdown_offset", offset(gpu.thermal.shutdown_margin), with("°C"));
    sheet.put("thermal/memory_max", gpu.thermal.memory_max_celsius.get(), with("°C"));
}

/// Links, fabric and C2C. A report that shows none leaves the likeness's, if that has the same GPU.
fn links(sheet: &mut Sheet<'_>, gpu: &Gpu, same_gpu: bool) {
    match gpu.nvlinks.value() {
        Some(links) if !links.is_empty() => {
            let speeds = links.iter().filter(|link| link.state == Reading::Value(LinkState::Active));
            sheet.put(
                "nvlink/speed",
                speeds.filter_map(|link| link.speed_mb_per_s.get()).max().map(f64::from),
                with("MB/s"),
            );
            let mut to_switch = std::collections::BTreeMap::<u8, u64>::new();
            for link in links {
                if let Some(Remote::Switch { number, .. }) = link.remote.value() {
                    *to_switch.entry(*number).or_default() += 1;
                }
            }
            if !to_switch.is_empty() {
                let links = Value::Sequence(to_switch.into_values().map(whole).collect());
                sheet.put("nvlink/links_to_switch", Some(links), |links| links);
                // A likeness without NVLink leaves the rest of the section open: as on the boards that have switches.
                for (name, usual) in [
                    ("local_switches", Value::Bool(gpu.c2c.value().is_none())),
                    ("pair_efficiency", Value::Number(0.8.into())),
                    ("all_efficiency", Value::Number(0.75.into())),
                ] {
                    if sheet.root.get("nvlink").is_none_or(|nvlink| nvlink.get(name).is_none()) {
                        sheet.set(&format!("nvlink/{name}"), usual);
                    }
                }
            } else if !same_gpu {
                sheet.remove("nvlink");
            }
        }
        _ if same_gpu => {}
        _ => sheet.remove("nvlink"),
    }
    match gpu.fabric.value() {
        Some(Fabric { cluster_uuid, clique, health_mask, .. }) => {
            sheet.set("fabric/cluster_uuid", text(cluster_uuid));
            sheet.set("fabric/clique", whole(*clique));
            sheet.put("fabric/health_mask", health_mask.get(), whole);
        }
        None => sheet.remove("fabric"),
    }
    match gpu.c2c {
        Reading::Value(C2c { links, speed_mb_per_s, .. }) => {
            sheet.set("c2c/links", whole(links));
            sheet.set("c2c/speed", with("MB/s")(speed_mb_per_s.into()));
        }
        Reading::Unsupported if !same_gpu => sheet.remove("c2c"),
        Reading::Unsupported | Reading::Failed(_) => {}
    }
}

/// What GPUs at rest tell: their power, and at which temperature they would slow down.
fn rest(sheet: &mut Sheet<'_>, gpu: &Gpu, samples: &[Sample]) {
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    let resting = samples.iter().filter(|sample| sample.get(Sensor::UtilGpu) == Some(0.0));
    let limit = gpu.power.max.get().unwrap_or(f64::INFINITY);
    let power = median(resting.filter_map(|sample| sample.get(Sensor::Power)).collect());
    // A GPU that draws more than a third of its limit is not at rest, whatever its counters say.
    sheet.put("power/idle", power.filter(|power| *power > 0.0 && *power < limit / 3.0), with("W"));
    let slowdown = |sample: &Sample| Some(sample.get(Sensor::TempGpu)? + sample.get(Sensor::TempMargin)?);
    // Parts before Hopper tell an absolute threshold and no margin.
    let told = median(samples.iter().filter_map(slowdown).collect()).or(gpu.thermal.slowdown_celsius.get());
    sheet.put("thermal/slowdown", told, with("°C"));
    if let Some(sample) = samples.first() {
        sheet.set("memory/sensor", Value::Bool(sample.get(Sensor::TempMemory).is_some()));
    }
}

/// Clocks of a likeness with another GPU, brought under this GPU's greatest: its idle clock and the knee of its voltage may lie
/// above what this one can do at all.
fn fit_clocks(sheet: &mut Sheet<'_>, like: &NodeFile) {
    let greatest = sheet.root.get("clocks").and_then(|clocks| clocks.get("max")).and_then(Value::as_str);
    let Some(greatest) = greatest.and_then(|max| max.trim_end_matches("MHz").trim().parse::<f64>().ok()) else {
        return;
    };
    let clocks = &like.clocks;
    let share = greatest / clocks.max;
    if share < 1.0 {
        for (path, clock) in
            [("clocks/idle", clocks.idle), ("clocks/lowest", clocks.lowest), ("clocks/knee", clocks.knee)]
        {
            sheet.set(path, with("MHz")((clock * share).round()));
        }
    }
}

/// One slot for each GPU. Where it sits in the stream of air or coolant is the likeness's.
fn slots(sheet: &mut Sheet<'_>, gpus: &[&Gpu]) {
    let based: Vec<Value> = sheet.root.get("slots").and_then(Value::as_sequence).cloned().unwrap_or_default();
    let slot = |(place, gpu): (usize, &&Gpu)| {
        let mut slot = based.get(place % based.len().max(1)).cloned().unwrap_or(Value::Null);
        let mut sheet = Sheet { root: &mut slot, read: Vec::new() };
        sheet.put("address", known(&gpu.identity.pci_address), text);
        sheet.put("module", known(&gpu.identity.slot), text);
        sheet.put("numa", gpu.pcie.numa_node.get(), whole);
        slot
    };
    let slots = gpus.iter().enumerate().map(slot).collect();
    sheet.set("slots", Value::Sequence(slots));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::SimNode;
    use kiln_model::Moment;
    use kiln_model::{Arrivals, Dut as _};

    fn read(node: &NodeFile) -> (Inventory, Vec<Sample>) {
        let mut node = SimNode::new(node, 7, &[]).expect("a node");
        let mut arrivals = Arrivals::default();
        node.read_inventory(Moment::ZERO);
        node.sample(Moment::ZERO);
        node.collect(Moment::ZERO, &mut arrivals);
        (*arrivals.inventories.remove(0).expect("an inventory"), arrivals.samples)
    }

    /// What a node file decides, without what is drawn for each part.
    fn kind(gpu: &Gpu) -> Gpu {
        let mut gpu = gpu.clone();
        gpu.identity.serial = Reading::Unsupported;
        gpu.identity.uuid = Reading::Unsupported;
        gpu
    }

    #[test]
    fn a_snapshot_of_each_node_simulates_a_node_of_that_kind() {
        for name in NodeFile::embedded() {
            let (inventory, samples) = read(&NodeFile::find(name).expect("a node"));
            let snapshot = node_file(&inventory, &samples, "mine").expect("a snapshot");
            assert!(snapshot.same_gpu, "{name}");
            let file = NodeFile::read("mine.yaml", snapshot.text.as_bytes()).expect("a node file");
            let (again, _) = read(&file);
            let kinds = |inventory: &Inventory| inventory.gpus.iter().map(kind).collect::<Vec<_>>();
            assert_eq!(kinds(&again), kinds(&inventory), "{name}");
            assert_eq!((&again.driver, &again.host.cpu_model), (&inventory.driver, &inventory.host.cpu_model));
        }
    }

    #[test]
    fn a_gpu_unlike_any_other_gets_the_physics_of_the_nearest_and_says_so() {
        let report = crate::snapshot::read_smi(include_str!("../../../fixtures/smi/one-gpu-595.xml"));
        let mut report = report.expect("report");
        report.inventory.gpus[0].identity.pci_device = Reading::Value("ffff10de".to_owned());
        let snapshot = node_file(&report.inventory, &report.samples, "odd").expect("a snapshot");
        assert_eq!((snapshot.base, snapshot.same_gpu), ("hgx-b200-8", false));
        assert!(snapshot.text.contains("which has another GPU; not measured"), "{}", snapshot.text);
    }

    #[test]
    fn a_part_slower_than_its_likeness_keeps_its_clocks_under_its_own() {
        let mut gpu = Gpu::bare(GpuIndex(0));
        gpu.identity.name = Reading::Value("NVIDIA A100-SXM4-80GB".to_owned());
        gpu.identity.pci_device = Reading::Value("20b210de".to_owned());
        gpu.power.max = Reading::Value(400.0);
        gpu.clocks.max_sm = Reading::Value(1410.0);
        gpu.thermal.slowdown_celsius = Reading::Value(89.0);
        gpu.thermal.operating_margin = Reading::Value(4.0);
        let inventory = Inventory { gpus: vec![gpu], ..Inventory::default() };
        let snapshot = node_file(&inventory, &[], "a100").expect("a snapshot");
        let file = NodeFile::read("a100.yaml", snapshot.text.as_bytes()).expect("a node file");
        assert!(file.clocks.idle <= file.clocks.max && file.clocks.knee < file.clocks.max, "{}", snapshot.text);
        assert_eq!((file.thermal.slowdown, file.thermal.operating_offset), (89.0, 0.0));
        let (_, samples) = read(&file);
        for sensor in [Sensor::TempGpu, Sensor::Power, Sensor::ClockSm] {
            assert!(samples[0].get(sensor).is_some_and(f64::is_finite), "{sensor:?}");
        }
        assert!(snapshot.text.contains("clocks/max") && !snapshot.text.contains("nvlink/speed"), "{}", snapshot.text);
    }

    #[test]
    fn a_node_without_a_gpu_or_with_two_kinds_makes_no_file() {
        assert!(matches!(node_file(&Inventory::default(), &[], "x"), Err(SnapshotError::NoGpu)));
        let kind = |index, device: &str| {
            let mut gpu = Gpu::bare(GpuIndex(index));
            gpu.identity.name = Reading::Value("x".to_owned());
            gpu.identity.pci_device = Reading::Value(device.to_owned());
            gpu
        };
        let gpus = vec![kind(0, "233010de"), kind(1, "233510de")];
        let mixed = Inventory { gpus, ..Inventory::default() };
        assert!(matches!(node_file(&mixed, &[], "x"), Err(SnapshotError::Mixed(2))));
    }
}
