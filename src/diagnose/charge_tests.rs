//! Tests of what events of the kernel log count as.

use super::super::kernel_event::kernel_events;
use super::*;
use kiln_model::{Gpu, KernelRecord, KernelSource, Moment, PciFunction, Reading, Span};

fn node() -> Inventory {
    let mut inventory = Inventory::default();
    for (index, bus) in [(0, "18"), (1, "5d")] {
        let mut gpu = Gpu::bare(GpuIndex(index));
        gpu.identity.pci_address = Reading::Value(format!("00000000:{bus}:00.0"));
        inventory.gpus.push(gpu);
    }
    let function = |address: &str, ports: &[&str]| PciFunction {
        address: address.to_owned(),
        device: "233010de".to_owned(),
        ports: ports.iter().map(|port| (*port).to_owned()).collect(),
    };
    inventory.pci = Reading::Value(vec![
        function("00000000:18:00.0", &["00000000:15:01.0", "00000000:17:00.0"]),
        function("00000000:5d:00.0", &["00000000:15:01.0", "00000000:5c:00.0"]),
    ]);
    inventory
}

fn charged(source: KernelSource, lines: &[&str]) -> Vec<Charge> {
    let inventory = node();
    let records: Vec<KernelRecord> =
        lines.iter().map(|text| KernelRecord { at: Moment::ZERO, source, text: (*text).to_owned() }).collect();
    let events = kernel_events(&records);
    charges(&events, &Places::of(&inventory, &events))
}

fn one(line: &str) -> Charge {
    charged(KernelSource::KernelLog, &[line])[0]
}

fn code(line: &str) -> CodeCharge {
    match one(line) {
        Charge::Xid { how, .. } | Charge::Sxid { how, .. } => how,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_programs_xid_is_ours_or_anothers_by_the_name_the_driver_gives() {
    let by = |name: &str| code(&format!("NVRM: Xid (PCI:0000:5d:00): 31, pid=77, name={name}, MMU Fault"));
    assert_eq!(by("kiln"), CodeCharge::Own);
    assert_eq!(by("all_reduce_perf"), CodeCharge::Own);
    assert_eq!(by("<unknown>"), CodeCharge::Own);
    assert_eq!(by("python3"), CodeCharge::Foreign);
    assert_eq!(by("kilnfire"), CodeCharge::Foreign);
    assert_eq!(code("NVRM: Xid (PCI:0000:5d:00): 43, Ch 00000010"), CodeCharge::Own);
}

#[test]
fn a_channel_removed_for_another_xid_is_a_trace_of_that_one_whosever_channel_it_was() {
    let removed = "NVRM: Xid (PCI:0000:5d:00): 45, pid=9, name=python3, Ch 00000003 caused by previous Xid";
    assert_eq!(code(&format!("{removed} 149")), CodeCharge::Suspect);
    assert_eq!(code(&format!("{removed} 43")), CodeCharge::Foreign);
    let told = charged(
        KernelSource::KernelLog,
        &["NVRM: Xid (PCI:0000:5d:00): 149, NETIR_LINK_EVT Fatal XC0 i0 Link 08", &format!("{removed} 149")],
    );
    let how = |charge: &Charge| matches!(charge, Charge::Xid { how: CodeCharge::Other, .. });
    assert!(how(&told[1]), "with the first code in the log it is no event of its own: {told:?}");
}

#[test]
fn an_announcement_counts_where_nothing_it_follows_from_was_logged() {
    let announced = "NVRM: Xid (PCI:0000:5d:00): 154, GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset)";
    assert_eq!(code(announced), CodeCharge::Suspect);
    let both = charged(KernelSource::KernelLog, &["NVRM: Xid (PCI:0000:5d:00): 95, Uncontained", announced]);
    assert!(matches!(both[1], Charge::Xid { how: CodeCharge::Other, .. }), "{both:?}");
}

#[test]
fn an_announcement_is_no_effect_of_a_code_that_accuses_nobody() {
    let announced = "NVRM: Xid (PCI:0000:5d:00): 154, GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset)";
    for harmless in [
        "NVRM: Xid (PCI:0000:5d:00): 43, pid=9, name=python3, Ch 00000008",
        "NVRM: Xid (PCI:0000:5d:00): 144, SAW_MVB Nonfatal XC0 i0 Link 03 (0x00000001)",
    ] {
        let both = charged(KernelSource::KernelLog, &[harmless, announced]);
        assert!(matches!(both[1], Charge::Xid { how: CodeCharge::Suspect, .. }), "{harmless}: {both:?}");
    }
    let both = charged(
        KernelSource::KernelLog,
        &["NVRM: Xid (PCI:0000:5d:00): 144, SAW_MVB Fatal XC0 i0 Link 03 (0x00000001)", announced],
    );
    assert!(matches!(both[1], Charge::Xid { how: CodeCharge::Other, .. }), "{both:?}");
}

#[test]
fn events_of_a_link_that_goes_on_are_counted_and_one_that_cost_our_load_its_channel_is_suspect() {
    let event = "NVRM: Xid (PCI:0000:5d:00): 145, RLW_SRC_TRACK Nonfatal XC1 i0 Link 03 (0x1 0x8)";
    assert_eq!(code(event), CodeCharge::Counted);
    assert_eq!(code("NVRM: Xid (PCI:0000:5d:00): 147, TREX Nonfatal XC0 i0 Link 00 (0xe)"), CodeCharge::Counted);
    assert_eq!(code("NVRM: Xid (PCI:0000:5d:00): 141, pid=7, name=python3, fast path"), CodeCharge::Other);
    let earlier = charged(KernelSource::BeforeRun(Span::from_secs(9)), &[event]);
    assert!(matches!(earlier[0], Charge::Xid { how: CodeCharge::Other, .. }), "{earlier:?}");
    let removed = |name: &str, first: &str| {
        let line =
            format!("NVRM: Xid (PCI:0000:5d:00): 45, pid=9, name={name}, Ch 00000009 caused by previous Xid 145");
        match charged(KernelSource::KernelLog, &[first, &line])[1] {
            Charge::Xid { how, .. } => how,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(removed("kiln", event), CodeCharge::Suspect);
    assert_eq!(removed("python3", event), CodeCharge::Other);
    assert_eq!(removed("kiln", &event.replace("Nonfatal", "Fatal")), CodeCharge::Other, "the link tells of it");
}

#[test]
fn switch_events_count_in_the_run_and_where_the_line_or_the_table_says_so() {
    let line = |text: &str| format!("nvidia-nvswitch3: SXid (PCI:0000:04:00.0): {text}");
    let before = |text: &str| match charged(KernelSource::BeforeRun(Span::from_secs(9)), &[&line(text)])[0] {
        Charge::Sxid { how, .. } => how,
        other => panic!("{other:?}"),
    };
    let (ecc, request) = ("24001, Non-fatal, Link 12 ECC limit error", "22013, Non-fatal, Link 44 DLREQ interrupt");
    assert_eq!((code(&line(ecc)), before(ecc)), (CodeCharge::Counted, CodeCharge::Ignored));
    assert_eq!((code(&line(request)), before(request)), (CodeCharge::Ignored, CodeCharge::Ignored));
    for fatal in [
        "10007, Fatal, IO failure",
        "10006, TSENSE OVERT Threshold reached. Shutting Down",
        "10004, PMGR OVERT Threshold reached. Shutting Down",
        "19084, Fatal, Link 44 AN1 Heartbeat Timeout Error (First)",
    ] {
        assert_eq!((code(&line(fatal)), before(fatal)), (CodeCharge::Failing, CodeCharge::Failing), "{fatal}");
    }
    assert_eq!(code(&line("10004, NVSWITCH Temperature 95C | TSENSE WARN Threshold 90C")), CodeCharge::Suspect);
}

#[test]
fn before_the_run_only_hardware_proof_counts() {
    let before = |line: &str| charged(KernelSource::BeforeRun(Span::from_secs(60)), &[line])[0];
    let xid = |code: u32| before(&format!("NVRM: Xid (PCI:0000:5d:00): {code}, pid=7, name=python3, x"));
    for (number, how) in [
        (48, CodeCharge::Failing),
        (79, CodeCharge::Failing),
        (13, CodeCharge::Other),
        (45, CodeCharge::Other),
        (69, CodeCharge::Other),
        (9999, CodeCharge::Other),
    ] {
        assert_eq!(xid(number), Charge::Xid { gpu: GpuIndex(1), code: number, how });
    }
    assert_eq!(before("NVRM: GPU 0000:5d:00.0: RmInitAdapter failed! (0x62:0x65:1816)"), Charge::OffBus(GpuIndex(1)));
    let check = "mce: [Hardware Error]: CPU 3: Machine Check";
    assert_eq!(before(&format!("{check} Exception: 5 Bank 7: be00000000800400")), Charge::Hardware);
    assert_eq!(before(&format!("{check}: 0 Bank 7: 8c00004000010092")), Charge::Nothing);
    assert_eq!(before("INFO: task kworker/3:1:99 blocked for more than 120 seconds."), Charge::Nothing);
    let unsupported = "nvidia 0000:5d:00.0: PCIe Bus Error: severity=Uncorrectable (Non-Fatal), type=Transaction Layer";
    assert_eq!(before(unsupported), Charge::Nothing);
    assert_eq!(one(unsupported), Charge::GpuPcie { gpu: GpuIndex(1), corrected: false });
}

#[test]
fn trouble_that_names_a_gpu_or_its_port_is_that_gpus() {
    let gpu = Some(GpuIndex(1));
    for (line, of) in [
        ("nvidia 0000:5d:00.0: probe with driver nvidia failed with error -1", gpu),
        ("pcieport 0000:5c:00.0: retraining failed", gpu),
        ("DMAR: [DMA Read NO_PASID] Request device [5d:00.0] fault addr 0xfe3a2000 [fault reason 0x06] x", gpu),
        ("NVRM: krcWatchdog_IMPL: RC watchdog: GPU is probably locked!  Notify Timeout Seconds: 7", None),
    ] {
        assert_eq!(one(line), Charge::HardwareSuspect(of), "{line}");
    }
    let board =
        "DMAR: [DMA Read] Request device [02:00.2] fault addr 791dd000 [fault reason 06] PTE Read access is not set";
    assert_eq!(one(board), Charge::Nothing, "a management controller does so on every healthy machine");
}

#[test]
fn a_gpu_that_needs_nothing_any_more_is_no_reason_to_doubt_it() {
    let changed = |to: &str| {
        code(&format!(
            "NVRM: Xid (PCI:0000:5d:00): 154, GPU recovery action changed from 0x1 (GPU Reset Required) to {to}"
        ))
    };
    assert_eq!(changed("0x0 (None)"), CodeCharge::Other);
    assert_eq!(changed("0x2 (Node Reboot Required)"), CodeCharge::Suspect);
}

#[test]
fn a_gpu_whose_configuration_cannot_be_read_is_off_the_bus() {
    let line = "nvidia 0000:5d:00.0: Unable to change power state from D3cold to D0, device inaccessible";
    assert_eq!(one(line), Charge::OffBus(GpuIndex(1)));
}

#[test]
fn a_line_without_a_known_address_is_the_one_gpus_that_does_not_answer_and_of_two_such_nobodys() {
    let charge = |silent: &[usize], told: bool, line: &str| {
        let mut inventory = node();
        for gpu in silent {
            let identity = &mut inventory.gpus[*gpu].identity;
            identity.uuid = Reading::Failed(kiln_model::ReadingFailure::Lost);
            if !told {
                identity.pci_address = Reading::Failed(kiln_model::ReadingFailure::Lost);
            }
        }
        let record = KernelRecord { at: Moment::ZERO, source: KernelSource::KernelLog, text: line.to_owned() };
        let events = kernel_events(&[record]);
        charges(&events, &Places::of(&inventory, &events))[0]
    };
    let (nameless, elsewhere) = (
        "NVRM: RmInitAdapter failed! (0x62:0x65:1816)",
        "NVRM: GPU 0000:9b:00.0: RmInitAdapter failed! (0x62:0x65:1816)",
    );
    let here = Charge::OffBus(GpuIndex(1));
    assert_eq!(charge(&[], true, nameless), Charge::Unplaced);
    assert_eq!(charge(&[1], true, nameless), here);
    assert_eq!(charge(&[0, 1], true, nameless), Charge::Unplaced);
    assert_eq!(charge(&[1], false, elsewhere), here, "its address is what could not be read");
    assert_eq!(charge(&[1], true, elsewhere), Charge::Unplaced, "it sits at another address");
    let xid = "NVRM: Xid (PCI:0000:9b:00): 143, pid=7, name=x, GPU initialization failed";
    assert_eq!(charge(&[1], false, xid), Charge::Xid { gpu: GpuIndex(1), code: 143, how: CodeCharge::Failing });
}

#[test]
fn a_port_above_one_gpu_is_that_gpus_and_a_shared_one_nobodys() {
    let down = |port: &str| one(&format!("pcieport {port}: pciehp: Slot(3): Link Down"));
    assert_eq!(down("0000:5c:00.0"), Charge::GpuPcie { gpu: GpuIndex(1), corrected: false });
    assert_eq!(down("0000:15:01.0"), Charge::HostPcie { corrected: false });
    let told = charged(
        KernelSource::KernelLog,
        &[
            "pcieport 0000:77:01.0: AER: Correctable error message received from 0000:18:00.0",
            "pcieport 0000:77:01.0: DPC: containment event, status:0x1f01 source:0x0000",
        ],
    );
    assert_eq!(
        told[1],
        Charge::GpuPcie { gpu: GpuIndex(0), corrected: false },
        "the log itself tells whose port it is"
    );
}
