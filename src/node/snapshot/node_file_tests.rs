//! Node files made of reports, and what a simulation of them shows.

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
fn every_field_says_where_it_is_from_and_an_error_is_no_value() {
    let report = crate::snapshot::read_smi(include_str!("../../../fixtures/smi/two-gpus-535-mig.xml"));
    let mut report = report.expect("report");
    let lost = Reading::Failed(kiln_model::ReadingFailure::Lost);
    report.inventory.gpus[0].clocks.application_sm = lost;
    report.inventory.gpus[0].thermal.operating_margin = Reading::Value(4.0);
    report.inventory.gpus[0].bar1_mib = Reading::Failed(kiln_model::ReadingFailure::Driver(999));
    let snapshot = node_file(&report.inventory, &report.samples, "two").expect("a snapshot");
    let field = |path: &str| snapshot.fields.iter().find(|field| field.path == path).expect(path);
    assert_eq!(field("gpu/name").origin, FieldOrigin::Read);
    assert_eq!(field("slots/0/address").origin, FieldOrigin::Read);
    assert_eq!(field("thermal/operating_offset").origin, FieldOrigin::Adjusted);
    assert_eq!(field("thermal/sink").origin, FieldOrigin::Template);
    assert_eq!(field("id").origin, FieldOrigin::Invented);
    for path in ["clocks/application", "pcie/bar1"] {
        assert_eq!(field(path).origin, FieldOrigin::Template, "{path}");
        assert!(field(path).failed.is_some(), "{path}");
    }
    // Every value of the file has a line.
    let file: Value = serde_yaml::from_str(&snapshot.text).expect("YAML");
    assert!(file["power"].as_mapping().expect("a section").keys().all(|key| {
        let path = format!("power/{}", key.as_str().expect("text"));
        snapshot.fields.iter().any(|field| field.path == path)
    }));
}

#[test]
fn what_a_report_says_is_what_its_node_file_shows_and_a_snapshot_of_that_is_the_same_node() {
    for xml in [
        include_str!("../../../fixtures/smi/one-gpu-595.xml"),
        include_str!("../../../fixtures/smi/two-gpus-535-mig.xml"),
        include_str!("../../../fixtures/smi/one-a100-570.xml"),
        include_str!("../../../fixtures/smi/four-gb200-580.xml"),
    ] {
        let report = crate::snapshot::read_smi(xml).expect("report");
        let snapshot = node_file(&report.inventory, &report.samples, "mine").expect("a snapshot");
        let file = NodeFile::read("mine.yaml", snapshot.text.as_bytes()).expect("a node file");
        let (shown, samples) = read(&file);
        let answering = report.inventory.gpus.iter().filter(|gpu| gpu.identity.name.value().is_some());
        for (told, shown) in answering.zip(&shown.gpus) {
            same_where_told(told, shown);
        }
        let again = node_file(&shown, &samples, "mine").expect("a snapshot");
        let again = NodeFile::read("mine.yaml", again.text.as_bytes()).expect("a node file");
        let kinds = |inventory: &Inventory| inventory.gpus.iter().map(kind).collect::<Vec<_>>();
        assert_eq!(kinds(&read(&again).0), kinds(&shown));
    }
}

/// What a report told of a GPU is what its simulation shows.
fn same_where_told(told: &Gpu, shown: &Gpu) {
    fn same<T: PartialEq + std::fmt::Debug>(told: &Reading<T>, shown: &Reading<T>) {
        if told.value().is_some() {
            assert_eq!(told, shown);
        }
    }
    let (one, other) = (&told.identity, &shown.identity);
    for (told, shown) in [
        (&one.name, &other.name),
        (&one.pci_address, &other.pci_address),
        (&one.pci_device, &other.pci_device),
        (&one.pci_subsystem, &other.pci_subsystem),
        (&one.part_number, &other.part_number),
        (&one.vbios, &other.vbios),
        (&one.slot, &other.slot),
    ] {
        same(told, shown);
    }
    same(&told.memory_mib, &shown.memory_mib);
    same(&told.bar1_mib, &shown.bar1_mib);
    for (told, shown) in [
        (told.power.min, shown.power.min),
        (told.power.max, shown.power.max),
        (told.clocks.max_sm, shown.clocks.max_sm),
        (told.clocks.max_memory, shown.clocks.max_memory),
        (told.thermal.slowdown_celsius, shown.thermal.slowdown_celsius),
        (told.thermal.slowdown_margin, shown.thermal.slowdown_margin),
        (told.thermal.shutdown_margin, shown.thermal.shutdown_margin),
    ] {
        same(&told, &shown);
    }
    same(&told.pcie.max_generation, &shown.pcie.max_generation);
    same(&told.pcie.max_width, &shown.pcie.max_width);
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
    let (inventory, samples) = read(&file);
    // In degrees as it was read, and no margin.
    assert_eq!(inventory.gpus[0].thermal.slowdown_celsius, Reading::Value(89.0));
    assert_eq!((samples[0][Sensor::TempMargin], file.thermal.operating_offset), (Reading::Unsupported, 0.0));
    for sensor in [Sensor::TempGpu, Sensor::Power, Sensor::ClockSm] {
        assert!(samples[0].get(sensor).is_some_and(f64::is_finite), "{sensor:?}");
    }
    assert!(snapshot.text.contains("clocks/max") && !snapshot.text.contains("nvlink/speed"), "{}", snapshot.text);
}

#[test]
fn a_gpu_that_tells_no_device_is_of_the_model_its_name_says_and_not_of_its_likenesss() {
    let named = |name: &str| {
        let mut gpu = Gpu::bare(GpuIndex(0));
        gpu.identity.name = Reading::Value(name.to_owned());
        gpu.power.default = Reading::Value(350.0);
        let snapshot = node_file(&Inventory { gpus: vec![gpu], ..Inventory::default() }, &[], "x").expect("a snapshot");
        let file = NodeFile::read("x.yaml", snapshot.text.as_bytes()).expect("a node file");
        (snapshot.same_gpu, file.gpu.pci_device)
    };
    assert_eq!(named("NVIDIA GeForce RTX 3090"), (false, "000010de".to_owned()));
    let (file, likeness) = (NodeFile::find("pcie-l40s-8").expect("built in"), "NVIDIA L40S");
    assert_eq!((named(likeness), file.gpu.name.as_str()), ((true, file.gpu.pci_device.clone()), likeness));
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

#[test]
fn a_limit_that_parts_come_with_may_be_below_the_greatest_and_power_of_the_moment_is_power() {
    let report = crate::snapshot::read_smi(include_str!("../../../fixtures/smi/four-gb200-580.xml"));
    let mut report = report.expect("report");
    for gpu in &mut report.inventory.gpus {
        gpu.power.default = Reading::Value(1000.0);
        gpu.power.max = Reading::Value(1200.0);
    }
    for sample in &mut report.samples {
        sample.set(Sensor::UtilGpu, Reading::Value(0.0));
        sample.set(Sensor::Power, Reading::Unsupported);
        sample.set(Sensor::PowerInstant, Reading::Value(33.5));
    }
    let snapshot = node_file(&report.inventory, &report.samples, "two").expect("a snapshot");
    let file: Value = serde_yaml::from_str(&snapshot.text).expect("YAML");
    let power = ["limit", "max", "idle"].map(|name| file["power"][name].as_str().expect(name).to_owned());
    assert_eq!(power, ["1000 W", "1200 W", "33.5 W"]);
    let addresses = snapshot.text.lines().filter(|line| line.contains("address: "));
    assert!(addresses.clone().count() == 4 && addresses.clone().all(|line| line.ends_with('"')), "{}", snapshot.text);
}

#[test]
fn a_gpu_that_is_lost_while_it_is_asked_is_left_out() {
    let report = crate::snapshot::read_smi(include_str!("../../../fixtures/smi/four-gb200-580.xml"));
    let mut report = report.expect("report");
    report.inventory.gpus[1].memory_mib = Reading::Failed(kiln_model::ReadingFailure::Lost);
    let snapshot = node_file(&report.inventory, &report.samples, "two").expect("a snapshot");
    assert_eq!((snapshot.gpus, snapshot.left_out), (3, vec![kiln_model::GpuIndex(1)]));
}

#[test]
fn what_a_likeness_draws_at_rest_is_brought_to_the_size_of_the_limit() {
    let report = crate::snapshot::read_smi(include_str!("../../../fixtures/smi/one-gpu-595.xml"));
    let mut report = report.expect("report");
    for gpu in &mut report.inventory.gpus {
        (gpu.power.min, gpu.power.default, gpu.power.max) =
            (Reading::Value(60.0), Reading::Value(70.0), Reading::Value(70.0));
        gpu.identity.pci_device = Reading::Value("ffff10de".to_owned());
    }
    let snapshot = node_file(&report.inventory, &[], "small").expect("a snapshot");
    assert!(!snapshot.same_gpu);
    let file: Value = serde_yaml::from_str(&snapshot.text).expect("YAML");
    let watts = |name: &str| -> f64 {
        let text = file["power"][name].as_str().expect(name);
        text.trim_end_matches(" W").parse().expect("watts")
    };
    assert!(watts("idle") + watts("leakage") < 70.0, "{} and {}", watts("idle"), watts("leakage"));
    let field = snapshot.fields.iter().find(|field| field.path == "power/idle").expect("told");
    assert_eq!(field.origin, FieldOrigin::Adjusted);
}
