//! Tests of what the kernel log accuses: code, component, action, and that the finding names the part and quotes the line.

use crate::findings;
use kiln_event::{Action, Case, Confidence, Envelope, Finding, Outcome, RunEvent, RunRecord, StepKey};
use kiln_limit::{Judged, Judgement, Measurement, Miss, Range, Rule};
use kiln_model::{
    Component, Gpu, GpuIndex, Inventory, KernelRecord, KernelSource, Moment, Nic, Nvme, PciFunction, Reading, Span,
    Unit, WallTime,
};

/// What a run tells of `lines`, with limits missed on `missed`.
pub(super) fn found(lines: &[&str], missed: &[(&str, Component)]) -> Vec<Finding> {
    found_of(node(), lines, missed)
}

/// Two GPUs, each alone below its ports, two network cards, two drives.
pub(super) fn node() -> Inventory {
    let mut inventory = Inventory::default();
    for (index, bus) in [(0, "18"), (1, "5d")] {
        let mut gpu = Gpu::bare(GpuIndex(index));
        gpu.identity.pci_address = Reading::Value(format!("00000000:{bus}:00.0"));
        inventory.gpus.push(gpu);
    }
    let drive = |name: &str, bus: &str| Nvme {
        name: name.to_owned(),
        model: "x".to_owned(),
        serial: format!("S-{name}"),
        pci_address: Reading::Value(format!("00000000:{bus}:00.0")),
    };
    inventory.host.nvmes = Reading::Value(vec![drive("nvme0", "E1"), drive("nvme3", "E2")]);
    let card = |name: &str, address: &str| Nic {
        name: name.to_owned(),
        model: "x".to_owned(),
        speed_mb_per_s: Reading::Unsupported,
        pci_address: Reading::Value(address.to_owned()),
        ports: Vec::new(),
    };
    inventory.host.nics = Reading::Value(vec![card("mlx5_0", "00000000:c1:00.0"), card("mlx5_1", "00000000:c2:00.0")]);
    let function = |address: &str, ports: [&str; 2]| PciFunction {
        address: address.to_owned(),
        device: "233010de".to_owned(),
        ports: ports.map(str::to_owned).to_vec(),
    };
    inventory.pci = Reading::Value(vec![
        function("00000000:18:00.0", ["00000000:15:01.0", "00000000:17:00.0"]),
        function("00000000:5d:00.0", ["00000000:5a:01.0", "00000000:5c:00.0"]),
    ]);
    inventory
}

/// Lines that begin with `before: ` were logged before the run.
pub(super) fn records(lines: &[&str]) -> Vec<KernelRecord> {
    let record = |line: &&str| {
        let (source, text) = match line.strip_prefix("before: ") {
            Some(text) => (KernelSource::BeforeRun(Span::from_secs(300)), text),
            None => (KernelSource::KernelLog, *line),
        };
        KernelRecord { at: Moment::from_secs(70), source, text: text.to_owned() }
    };
    lines.iter().map(record).collect()
}

fn found_of(inventory: Inventory, lines: &[&str], missed: &[(&str, Component)]) -> Vec<Finding> {
    let mut events = vec![RunEvent::InventoryRead(Box::new(inventory))];
    events.extend(records(lines).into_iter().map(RunEvent::KernelLogged));
    let case = |(name, component): &(&str, Component)| Case {
        component: *component,
        outcome: Outcome::Inconclusive,
        reason: None,
        judgements: vec![Judgement::by(
            Rule { miss: Miss::Suspicion, ..Rule::new(Some("== 0")) },
            Measurement::number(name, *component, Unit::One, 1.0, 1),
            Range::default(),
            Judged::Fail,
        )],
    };
    let key = StepKey { path: "after.log".to_owned(), round: 1, attempt: 1 };
    let cases = missed.iter().map(case).collect();
    events.push(RunEvent::StepFinished { key, cases, ending: Some(kiln_event::StepEnding::Measured) });
    let mut record = RunRecord::default();
    for (seq, event) in (0..).zip(events) {
        record.apply(&Envelope { seq, at: Moment::from_secs(70), wall: WallTime::UNIX_EPOCH, event });
    }
    // Without a plan nobody knows which check a limit belongs to, so that the general code is told beside.
    findings(&record).into_iter().filter(|finding| finding.code != "LIMIT-MISSED").collect()
}

fn only(lines: &[&str], missed: &[(&str, Component)]) -> Finding {
    let mut all = found(lines, missed);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn told(finding: &Finding) -> (&str, Component, Action) {
    (&finding.code, finding.component, finding.action)
}

const GPU: Component = Component::gpu(1);

/// What the kernel logged, where that is the first evidence.
fn logged(finding: &Finding) -> Option<&str> {
    match &finding.evidence[0].fact {
        kiln_event::EvidenceFact::Logged { text, .. } => Some(text),
        _ => None,
    }
}

#[test]
fn a_suspect_code_asks_for_what_its_table_asks_for_and_is_not_sure() {
    let remapped =
        "NVRM: Xid (PCI:0000:5d:00): 63, pid='<unknown>', name=<unknown>, Row Remapper: New row marked for remapping";
    let finding = only(&[remapped], &[("xid.suspect", GPU)]);
    assert_eq!(told(&finding), ("HBM-REMAP-PENDING", Component::Memory(GpuIndex(1)), Action::ResetGpu));
    assert_eq!(finding.confidence, Confidence::Medium);
    assert_eq!(logged(&finding), Some(remapped));
    let announced = "NVRM: Xid (PCI:0000:5d:00): 154, pid='<unknown>', name=<unknown>, GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)";
    let finding = only(&[announced], &[("xid.suspect", GPU)]);
    assert_eq!(told(&finding), ("GPU-RECOVERY-NEEDED", GPU, Action::ResetGpu));
    assert_eq!(found(&[announced], &[]), [], "without a limit on suspects nothing is accused");
}

#[test]
fn our_own_loads_xid_names_the_gpu_and_another_programs_nothing() {
    let own = "NVRM: Xid (PCI:0000:5d:00): 31, pid=2411, name=kiln, Ch 00000008, MMU Fault";
    assert_eq!(told(&only(&[own], &[("xid.own", GPU)])), ("LOAD-FAULT", GPU, Action::RetestLonger));
    let foreign = "NVRM: Xid (PCI:0000:5d:00): 31, pid=2411, name=python3, Ch 00000008, MMU Fault";
    assert_eq!(found(&[foreign], &[]), []);
}

#[test]
fn a_gpu_that_could_not_be_started_again_is_named_with_the_line() {
    let line = "NVRM: GPU 0000:5d:00.0: RmInitAdapter failed! (0x62:0x65:1816)";
    let finding = only(&[line], &[]);
    assert_eq!(told(&finding), ("GPU-NOT-STARTED", GPU, Action::Reseat));
    assert_eq!(logged(&finding), Some(line));
    let elsewhere = only(&["NVRM: GPU 0000:99:00.0: RmInitAdapter failed! (0x26:0x56:1474)"], &[]);
    assert_eq!(told(&elsewhere), ("GPU-NOT-STARTED", Component::Node, Action::Reseat));
    assert_eq!(elsewhere.pci_address.as_deref(), Some("00000000:99:00.0"));
}

#[test]
fn only_the_switch_with_errors_of_the_missed_class_is_blamed() {
    let suspect = "nvidia-nvswitch0: SXid (PCI:0000:83:00.0): 12028, Non-fatal, Link 61 egress non-posted PRIV error";
    let harmless = "nvidia-nvswitch1: SXid (PCI:0000:84:00.0): 19049, Non-fatal, Link 3 tx sys ncisoc ecc limit error";
    let finding = only(&[suspect, harmless], &[("sxid.suspect", Component::Node)]);
    assert_eq!(told(&finding), ("SWITCH-ERRORS", Component::Switch(0), Action::Reconfigure));
    let other = only(&[suspect, harmless], &[("sxid.other", Component::Node)]);
    assert_eq!(other.component, Component::Switch(1));
}

#[test]
fn host_errors_name_module_drive_processor_or_address() {
    let memory = "EDAC MC3: 1 UE memory read error on CPU_SrcID#1_MC#1_Chan#0_DIMM#0 (channel:0 slot:0 page:0x1)";
    let finding = only(&[memory], &[]);
    assert_eq!(told(&finding), ("HOST-MEMORY-UNCORRECTABLE", Component::Node, Action::ReplaceFru));
    assert!(finding.cause.en.contains("CPU_SrcID#1_MC#1_Chan#0_DIMM#0"), "{}", finding.cause.en);
    let drive = only(&["nvme nvme3: controller is down; will reset: CSTS=0xffffffff, PCI_STATUS=0x10"], &[]);
    assert_eq!(told(&drive), ("NVME-FAULT", Component::Nvme(1), Action::ReplaceFru));
    assert_eq!(drive.serial.as_deref(), Some("S-nvme3"));
    // By its place on the bus as well.
    let bus = only(
        &["nvme 0000:e2:00.0: PCIe Bus Error: severity=Uncorrectable (Fatal), type=Transaction Layer, (Receiver ID)"],
        &[],
    );
    assert_eq!(told(&bus), ("HOST-PCIE-ERRORS", Component::Nvme(1), Action::Reseat));
    let cpu = only(&["mce: [Hardware Error]: CPU 12: Machine Check Exception: 5 Bank 7: be00000000800400"], &[]);
    assert_eq!(cpu.code, "HOST-HARDWARE");
    assert!(cpu.cause.en.contains("Processor 12"), "{}", cpu.cause.en);
    let nic = only(
        &["mlx5_core 0000:18:00.1: print_health_info:423:(pid 88): Health issue observed, PCI slot is unavailable"],
        &[],
    );
    assert_eq!((nic.code.as_str(), nic.pci_address.as_deref()), ("NIC-FAULT", Some("00000000:18:00.1")));
    let port = only(&["pcieport 0000:19:01.0: pciehp: Slot(3): Link Down"], &[]);
    assert_eq!((port.code.as_str(), port.pci_address.as_deref()), ("HOST-PCIE-ERRORS", Some("00000000:19:01.0")));
    let stuck = "watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [kworker/3:1:99]";
    assert_eq!(found(&[stuck], &[]), []);
    assert_eq!(only(&[stuck], &[("hardware.suspect", Component::Node)]).code, "HOST-SUSPECT");
}

#[test]
fn corrected_errors_over_their_rate_name_the_modules_they_came_from() {
    let line = "EDAC MC1: 40 CE memory read error on CPU_SrcID#0_MC#1_Chan#2_DIMM#1 (channel:2 slot:1)";
    assert_eq!(found(&[line], &[]), []);
    let finding = only(&[line], &[("edac.corrected.rate", Component::Node)]);
    assert_eq!(told(&finding), ("HOST-DIMM-ERRORS", Component::Node, Action::ReplaceFru));
    assert!(finding.cause.en.contains("CPU_SrcID#0_MC#1_Chan#2_DIMM#1"));
}

#[test]
fn a_port_error_of_a_gpu_is_that_gpus() {
    let line = "pcieport 0000:5c:01.0: AER: Multiple Uncorrectable (Fatal) error message received from 0000:5d:00.0";
    let finding = only(&[line], &[]);
    assert_eq!((finding.code.as_str(), finding.component), ("PCIE-UNSTABLE", Component::Pcie(GpuIndex(1))));
    assert_eq!(finding.confidence, Confidence::High);
}

#[test]
fn a_network_card_is_named_by_its_number_also_by_another_of_its_functions() {
    for address in ["0000:c2:00.0", "0000:c2:00.1"] {
        let line = format!(
            "mlx5_core {address}: print_health_info:423:(pid 88): Health issue observed, PCI slot is unavailable"
        );
        assert_eq!(told(&only(&[&line], &[])), ("NIC-FAULT", Component::Nic(1), Action::Reseat));
    }
    let other =
        "mlx5_core 0000:c3:00.0: print_health_info:423:(pid 88): Health issue observed, PCI slot is unavailable";
    assert_eq!(only(&[other], &[]).component, Component::Node);
}

#[test]
fn a_memory_error_asks_for_what_the_gravest_of_its_codes_asks_for() {
    let line = |code: u32, said: &str| format!("NVRM: Xid (PCI:0000:5d:00): {code}, pid=1, name=x, {said}");
    let (double, contained) =
        (line(48, "An uncorrectable double bit error (DBE)"), line(94, "Contained: FB DED (0x1, 0x0)"));
    let uncontained = line(95, "Uncontained: FB DED (0x1, 0x0)");
    let memory = Component::Memory(GpuIndex(1));
    for lines in [vec![double.as_str()], vec![contained.as_str()], vec![double.as_str(), contained.as_str()]] {
        assert_eq!(told(&only(&lines, &[])), ("HBM-UNCORRECTABLE", memory, Action::ResetGpu), "{lines:?}");
    }
    for lines in [
        vec![uncontained.as_str()],
        vec![double.as_str(), uncontained.as_str()],
        vec![uncontained.as_str(), double.as_str()],
    ] {
        assert_eq!(told(&only(&lines, &[])), ("HBM-UNCORRECTABLE", memory, Action::ReplaceFru), "{lines:?}");
    }
}

#[test]
fn a_memory_error_is_of_the_memory_that_its_line_names_and_of_neither_where_it_was_only_passed_on() {
    let line = |code: u32, said: &str| format!("NVRM: Xid (PCI:0000:5d:00): {code}, pid=1, name=x, {said}");
    let memory = Component::Memory(GpuIndex(1));
    let cache = line(95, "Uncontained: LTC TAG (0x2,0x0). RST: Yes, D-RST: No");
    assert_eq!(told(&only(&[&cache], &[])), ("SRAM-UNCORRECTABLE", memory, Action::ReplaceFru));
    let (contained, hub) = (line(94, "Contained: SM (0x1). RST: No"), line(95, "Uncontained: FBHUB. RST: Yes"));
    assert_eq!(told(&only(&[&contained], &[])), ("GPU-XID", GPU, Action::ResetGpu));
    assert_eq!(told(&only(&[&contained, &hub], &[])), ("GPU-XID", GPU, Action::ReplaceFru));
    let remapped = line(63, "Row Remapper: New row marked for remapping, reset gpu to activate.");
    for lines in [[&contained, &remapped], [&remapped, &contained]] {
        let finding = only(&lines.map(String::as_str), &[]);
        assert_eq!(told(&finding), ("HBM-UNCORRECTABLE", memory, Action::ResetGpu), "the remapped row tells which");
    }
}

#[test]
fn links_to_a_gpu_that_went_away_are_evidence_of_that_and_of_no_link() {
    let lost = "NVRM: Xid (PCI:0000:5d:00): 79, GPU has fallen off the bus.";
    let link = "NVRM: Xid (PCI:0000:18:00): 74, NVLink: fatal error detected on link 6(0x10000, 0x0, 0x0, 0x0, 0x0)";
    assert_eq!(told(&only(&[lost, link], &[])), ("GPU-LOST", GPU, Action::Reseat));
    assert_eq!(told(&only(&[link], &[])), ("NVLINK-DOWN", Component::NvLink(GpuIndex(0), 6), Action::Reseat));
}
