//! The NVML backend against a library that is a simulated node: what it reads is what the node is, whatever the node does.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use kiln::engine::{Arrivals, Dut as _};
use kiln::model::{Gpu, GpuIndex, Inventory, KernelSource, Moment, Reading, ReadingFailure, Sample, Sensor};
use kiln::node::record::Recording;
use kiln::node::sim::{NodeFile, SimNode};

/// The fake library, built beside the tests because they depend on it.
fn library() -> PathBuf {
    let tests = std::env::current_exe().expect("the test's own path");
    let library = tests.with_file_name("libkiln_fake_driver.so");
    assert!(library.exists(), "{} is not there", library.display());
    library
}

/// A watched node: where its files lie and how it was configured.
struct Fake {
    folder: tempfile::TempDir,
    settings: Vec<(&'static str, String)>,
}

impl Fake {
    fn new(node: &str) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        fs::create_dir(folder.path().join("dev")).expect("folder");
        fs::write(folder.path().join("dev/kmsg"), "").expect("file");
        let settings = vec![("KILN_FAKE_NODE", node.to_owned()), ("KILN_FAKE_SEED", "1".to_owned())];
        Self { folder, settings }
    }

    fn set(mut self, name: &'static str, value: &str) -> Self {
        self.settings.push((name, value.to_owned()));
        self
    }

    /// A defect of GPU 3: what changes, and after how many seconds.
    fn fault(self, changes: &str, after: &str) -> Self {
        let text = format!(
            "schema: kiln.fault/1\nid: test\ntitle: {{ en: test }}\nnumber: 1\nabout: {{ en: test }}\nsource: test\n\
             component: gpu\nchanges: {{ {changes} }}\nwhen: {{ after: {after} }}\nseverity: {{ default: 1, min: 1, max: 1 }}\n\
             expect: {{ code: GPU-LOST, component: gpu }}\n"
        );
        let path = self.folder.path().join("fault.yaml");
        fs::write(&path, text).expect("file");
        let fault = format!("{}@gpu/3", path.display());
        self.set("KILN_FAKE_FAULTS", &fault)
    }

    /// Records with the shipped binary.
    fn run(&self, ticks: u32, period_ms: u32, deadline_ms: u32) -> Output {
        let recording = self.folder.path().join("recording.jsonl");
        let mut kiln = Command::new(env!("CARGO_BIN_EXE_kiln"));
        kiln.arg("record").arg(&recording).args(["--every", &format!("{period_ms}ms")]);
        kiln.args(["--for", &format!("{}ms", period_ms * (ticks - 1))]);
        kiln.arg("--nvml-lib").arg(library()).arg("--host-root").arg(self.folder.path());
        kiln.env("KILN_NVML_DEADLINE_MS", deadline_ms.to_string());
        kiln.env("KILN_FAKE_KMSG", self.folder.path().join("dev/kmsg"));
        for (name, value) in &self.settings {
            kiln.env(name, value);
        }
        kiln.output().expect("the binary")
    }

    fn recorded(&self, ticks: u32, period_ms: u32, deadline_ms: u32) -> Recording {
        let output = self.run(ticks, period_ms, deadline_ms);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let file = fs::File::open(self.folder.path().join("recording.jsonl")).expect("a recording");
        Recording::read(std::io::BufReader::new(file)).expect("a recording")
    }

    /// Why the library could not be opened.
    fn refused(&self) -> String {
        let output = self.run(2, 10, 1000);
        assert_eq!(output.status.code(), Some(3));
        let said = String::from_utf8(output.stderr).expect("text");
        said.replace(&library().display().to_string(), "LIB").trim().to_owned()
    }
}

/// The same node, without a library between.
fn simulated(node: &str) -> (Inventory, Vec<Sample>) {
    let file = NodeFile::find(node).expect("a node file");
    let mut node = SimNode::new(&file, 1, &[]).expect("a node");
    let mut arrivals = Arrivals::default();
    node.read_inventory(Moment::ZERO);
    node.sample(Moment::ZERO);
    node.collect(Moment::ZERO, &mut arrivals);
    let inventory = arrivals.inventories.remove(0).expect("an inventory");
    (*inventory, arrivals.samples)
}

/// A GPU as the library shows it: marked, its address in the backend's spelling.
fn shown_by_library(mut gpu: Gpu) -> Gpu {
    let identity = &mut gpu.identity;
    identity.part_number = identity.part_number.clone().map(|number| format!("{number}-SIM"));
    identity.pci_address = identity.pci_address.clone().map(|address| address.to_lowercase());
    gpu
}

fn of(samples: &[Sample], gpu: u8) -> impl Iterator<Item = &Sample> {
    samples.iter().filter(move |sample| sample.gpu == GpuIndex(gpu))
}

/// Samples of a GPU, and how many of them have values.
fn answered(recording: &Recording, gpu: u8) -> (usize, usize) {
    let all: Vec<&Sample> = of(&recording.samples, gpu).collect();
    (all.len(), all.iter().filter(|sample| sample.get(Sensor::TempGpu).is_some()).count())
}

#[test]
fn the_inventory_read_through_the_library_is_that_of_the_node() {
    let recording = Fake::new("hgx-h200-8").recorded(1, 50, 5000);
    let (expected, _) = simulated("hgx-h200-8");
    let read = &recording.inventories[0].1;
    assert_eq!(read.driver, expected.driver.map(|driver| format!("{driver}-SIM")));
    assert_eq!(read.cuda, expected.cuda);
    assert_eq!(read.gpus.len(), 8);
    for (read, expected) in read.gpus.iter().zip(expected.gpus) {
        assert_eq!(*read, shown_by_library(expected));
    }
}

#[test]
fn every_sensor_is_a_value_or_unsupported_as_the_node_has_it() {
    let recording = Fake::new("hgx-h200-8").recorded(3, 100, 5000);
    let (_, expected) = simulated("hgx-h200-8");
    for expected in expected {
        let read = of(&recording.samples, expected.gpu.0).last().expect("a sample");
        for sensor in Sensor::ALL {
            // The inlet is the host's, and this host's tree has no sensors.
            if *sensor != Sensor::TempInlet {
                let (read, expected) = (read[*sensor], expected[*sensor]);
                assert_eq!(read.value().is_some(), expected.value().is_some(), "{sensor:?}: {read} for {expected}");
            }
        }
        let (read, expected) = (read.get(Sensor::Power).expect("power"), expected.get(Sensor::Power).expect("power"));
        assert!((read - expected).abs() < 20.0, "{read} W for {expected} W");
    }
}

#[test]
fn a_gpu_that_falls_off_the_bus_is_lost_with_its_xid_and_the_others_go_on() {
    let recording = Fake::new("hgx-h200-8").fault("driver.lost: { add: 1 }", "1s").recorded(25, 100, 5000);
    let lost: Vec<bool> = of(&recording.samples, 3).map(Sample::is_lost).collect();
    assert!(!lost[0] && *lost.last().expect("samples"), "{lost:?}");
    assert_eq!(answered(&recording, 4), (25, 25));
    for source in [KernelSource::DriverEvent, KernelSource::KernelLog] {
        let told = recording.kernel.iter().find(|record| record.source == source && record.text.contains("Xid"));
        let text = told.map(|record| record.text.as_str()).unwrap_or_default();
        assert!(
            text.starts_with("NVRM: Xid (PCI:0000:5D:00): 79,") || text.starts_with("NVRM: Xid (PCI:0000:5d:00): 79,"),
            "{source:?}: {text}"
        );
    }
}

#[test]
fn a_gpu_whose_calls_hang_times_out_then_is_lost_and_the_others_are_on_time() {
    let recording = Fake::new("hgx-h200-8").fault("driver.hang: { set: 1 }", "1s").recorded(30, 100, 300);
    let states: Vec<Reading<f64>> = of(&recording.samples, 3).map(|sample| sample[Sensor::TempGpu]).collect();
    let timed_out = states.iter().position(|state| *state == Reading::Failed(ReadingFailure::Timeout));
    let lost = states.iter().position(|state| *state == Reading::Failed(ReadingFailure::Lost));
    assert!(states[0].value().is_some() && timed_out.is_some() && timed_out < lost, "{states:?}");
    assert_eq!(answered(&recording, 4), (30, 30));
}

#[test]
fn a_gpu_of_which_every_call_fails_is_lost_though_no_call_says_so() {
    let recording = Fake::new("hgx-h200-8").fault("driver.error: { set: 999 }", "1s").recorded(20, 100, 5000);
    let states: Vec<bool> = of(&recording.samples, 3).map(Sample::is_lost).collect();
    assert!(!states[0] && *states.last().expect("samples"), "{states:?}");
}

#[test]
fn a_process_whose_name_is_blank_is_an_unknown_one_and_no_process_without_a_name() {
    for (shown, name) in [("train.py", "train.py"), ("  ", "unknown")] {
        let fake = Fake::new("hgx-h200-8").set("KILN_FAKE_PROCESS_NAME", shown);
        let recording = fake.set("KILN_FAKE_FAULTS", "foreign-process@gpu/3").recorded(1, 50, 5000);
        let processes = recording.inventories[0].1.gpus[3].processes.value().expect("processes");
        let names: Vec<&str> = processes.iter().map(|process| process.name.as_str()).collect();
        assert_eq!(names, [name], "{shown:?}");
    }
}

#[test]
fn seven_of_eight_are_seven() {
    let recording = Fake::new("hgx-h200-8").set("KILN_FAKE_GPUS", "7").recorded(1, 50, 5000);
    assert_eq!(recording.inventories[0].1.gpus.len(), 7);
}

#[test]
fn every_refusal_has_its_own_message() {
    let init = |code: &str| Fake::new("hgx-h200-8").set("KILN_FAKE_INIT", code).refused();
    let told = [
        init("9"),
        init("4"),
        init("18"),
        init("999"),
        Fake::new("hgx-h200-8").set("KILN_FAKE_GPUS", "0").refused(),
        Fake::new("hgx-h200-8").set("KILN_FAKE_VANISH", "5").refused(),
    ];
    insta::assert_snapshot!(told.join("\n"), @r"
    error: the NVIDIA kernel driver is not loaded; load it with `modprobe nvidia`, and look for why not in `dmesg`
    error: no permission to use the GPUs; run as root, or open /dev/nvidiactl and /dev/nvidia* to this user
    error: the loaded NVIDIA kernel driver and LIB are of different versions; reboot, or unload and load the nvidia modules, so that both come from one installation
    error: LIB: initialisation refused with code 999 (an internal driver error occurred); see `dmesg` for what the driver says
    error: the driver shows no GPU; see `lspci -d 10de:` for whether the bus does, and `dmesg` for why not the driver
    error: the driver counted 8 GPUs, but GPU 5 was gone when it was opened; see `dmesg`, and start again once the count is steady
    ");
}
