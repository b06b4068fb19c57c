//! Tests of the kernel log's events: lines in the kernel's own forms, with invented numbers.

use proptest::prelude::*;

use super::*;

fn events_of(lines: &[&str]) -> Vec<KernelEvent> {
    let record = |text: &&str| KernelRecord {
        at: Moment::from_secs(9),
        source: KernelSource::KernelLog,
        text: (*text).to_owned(),
    };
    kernel_events(&lines.iter().map(record).collect::<Vec<_>>())
}

/// One line for one event.
fn shown(lines: &[&str]) -> String {
    let one = |event: &KernelEvent| {
        let class = match &event.class {
            Class::Driver(KernelLine::Xid(line)) => format!("xid {}", line.code),
            Class::Driver(KernelLine::Sxid(line)) => format!("sxid {} switch {}", line.code, line.switch),
            Class::Driver(KernelLine::OffTheBus { .. }) => "off the bus".to_owned(),
            Class::Driver(KernelLine::InitFailed { .. }) => "not started".to_owned(),
            other => format!("{other:?}").to_lowercase(),
        };
        let place = match &event.place {
            Place::Pci(address) => address.to_string(),
            Place::Dimm(label) => format!("dimm {label}"),
            Place::Drive(drive) => drive.clone(),
            Place::Cpu(cpu) => format!("cpu {cpu}"),
            Place::Interface(name) => name.clone(),
            Place::Gpu(number) => format!("gpu {number}"),
            Place::Switch(number) => format!("switch {number}"),
            Place::Node => "node".to_owned(),
        };
        format!("{class} {:?} {place} x{}", event.severity, event.count).to_lowercase()
    };
    events_of(lines).iter().map(one).collect::<Vec<_>>().join("; ")
}

#[test]
fn the_off_bus_message_is_one_event_whether_its_lines_come_in_one_record_or_in_three() {
    let told = "off the bus unclear 00000000:b5:00.0 x1";
    let whole = "NVRM: The NVIDIA GPU 0000:b5:00.0\nNVRM: (PCI ID: 10de:2335) installed in this system has\nNVRM: fallen off the bus and is not responding to commands.";
    assert_eq!(shown(&[whole]), told);
    let split: Vec<&str> = whole.lines().collect();
    assert_eq!(shown(&split), told);
    let between = [split[0], "usb 1-1: reset", split[1], split[2]];
    assert_eq!(shown(&between), told);
    let joined = "NVRM: The NVIDIA GPU 0000:b5:00.0 (PCI ID: 10de:2335) installed in this system has fallen off the bus and is not responding to commands.";
    assert_eq!(shown(&[joined]), told);
}

#[test]
fn an_sxid_is_one_event_with_its_severity_and_data() {
    let head = "nvidia-nvswitch1: SXid (PCI:0000:84:00.0): 22013, Non-fatal, Link 12 Minion Link DLREQ interrupt";
    let severity =
        "nvidia-nvswitch1: SXid (PCI:0000:84:00.0): 22013, Severity 0 Engine instance 12 Sub-engine instance 0";
    let data = "nvidia-nvswitch1: SXid (PCI:0000:84:00.0): 22013, Data {0x0000000c, 0x00000000, 0x00000000}";
    let one = "sxid 22013 switch 1 unclear 00000000:84:00.0 x1";
    assert_eq!(shown(&[head, severity, data]), one);
    assert_eq!(shown(&[head, severity, data, head, severity, data]), format!("{one}; {one}"));
    // Its first line was lost; the rest still tells of it.
    assert_eq!(shown(&[severity, data]), one);
    let other = "nvidia-nvswitch0: SXid (PCI:0000:83:00.0): 20034, Fatal, Link 48 LTSSM Fault Up";
    assert_eq!(
        shown(&[head, other, severity, data]),
        format!("{one}; sxid 20034 switch 0 unclear 00000000:83:00.0 x1")
    );
}

#[test]
fn a_pcie_error_is_one_event_with_its_announcement_and_its_details_in_old_and_new_words() {
    let new = [
        "pcieport 0000:64:01.0: AER: Correctable error message received from 0000:65:00.0",
        "nvidia 0000:65:00.0: PCIe Bus Error: severity=Correctable, type=Physical Layer, (Receiver ID)",
        "nvidia 0000:65:00.0:   device [10de:2335] error status/mask=00000001/0000a000",
        "nvidia 0000:65:00.0:    [ 0] RxErr                  (First)",
    ];
    assert_eq!(shown(&new), "pcie corrected 00000000:65:00.0 x1");
    let old = [
        "pcieport 0000:64:01.0: AER: Uncorrected (Non-Fatal) error received: id=6500",
        "nvidia 0000:65:00.0: AER: PCIe Bus Error: severity=Uncorrected (Non-Fatal), type=Transaction Layer, (Requester ID)",
        "nvidia 0000:65:00.0: AER:   device [10de:2335] error status/mask=00004000/00400000",
        "nvidia 0000:65:00.0: AER:    [14] CmpltTO",
        "pcieport 0000:64:01.0: AER: device recovery failed",
    ];
    assert_eq!(shown(&old), "pcie recoverable 00000000:65:00.0 x1");
    // The port itself is the one with the error.
    let port = [
        "pcieport 0000:64:01.0: AER: Corrected error received: 0000:64:01.0",
        "pcieport 0000:64:01.0: PCIe Bus Error: severity=Corrected, type=Data Link Layer, (Transmitter ID)",
    ];
    assert_eq!(shown(&port), "pcie corrected 00000000:64:01.0 x1");
}

#[test]
fn an_announcement_without_details_is_an_event_of_its_own() {
    let fatal = [
        "pcieport 0000:64:01.0: AER: Multiple Uncorrectable (Fatal) error message received from 0000:65:00.0",
        "pcieport 0000:64:01.0: AER: found no error details for 0000:65:00.0",
    ];
    assert_eq!(shown(&fatal), "pcie fatal 00000000:65:00.0 x1");
    let limited = "pcieport 0000:64:01.0: AER: Correctable error message received from 0000:65:00.0";
    let twice = "pcie corrected 00000000:65:00.0 x1";
    assert_eq!(shown(&[limited, limited]), format!("{twice}; {twice}"), "the rate limit took the details");
}

#[test]
fn a_report_of_the_firmware_is_one_event_with_the_place_it_names() {
    let memory = [
        "{7}[Hardware Error]: Hardware error from APEI Generic Hardware Error Source: 0",
        "{7}[Hardware Error]: It has been corrected by h/w and requires no further action",
        "{7}[Hardware Error]: event severity: corrected",
        "{7}[Hardware Error]:  Error 0, type: corrected",
        "{7}[Hardware Error]:   section_type: memory error",
        "{7}[Hardware Error]:   node:1 card:3 module:0 rank:1 bank:2",
        "{7}[Hardware Error]:   DIMM location: P1 DIMM_D1",
    ];
    assert_eq!(shown(&memory), "hostmemory corrected dimm p1 dimm_d1 x1");
    // The memory driver of such machines says it again.
    let again = [&memory[..], &["EDAC MC0: 1 CE single-bit ECC on P1 DIMM_D1 (node:1 card:3)"]].concat();
    assert_eq!(shown(&again), "hostmemory corrected dimm p1 dimm_d1 x1");
    let pcie = [
        "{8}[Hardware Error]: Hardware error from APEI Generic Hardware Error Source: 5",
        "{8}[Hardware Error]: event severity: recoverable",
        "{8}[Hardware Error]:  Error 0, type: recoverable",
        "{8}[Hardware Error]:   section_type: PCIe error",
        "{8}[Hardware Error]:   port_type: 0, PCIe end point",
        "{8}[Hardware Error]:   device_id: 0009:01:00.0",
        "{8}[Hardware Error]:   vendor_id: 0x10de, device_id: 0x2342",
        "nvidia 0009:01:00.0: AER: aer_status: 0x00004000, aer_mask: 0x00000000",
        "nvidia 0009:01:00.0: AER:    [14] CmpltTO                (First)",
        "nvidia 0009:01:00.0: AER: aer_layer=Transaction Layer, aer_agent=Requester ID",
        "nvidia 0009:01:00.0: AER: aer_uncor_severity: 0x000ef030",
    ];
    assert_eq!(shown(&pcie), "pcie recoverable 00000009:01:00.0 x1");
    assert_eq!(shown(&pcie[7..]), "pcie recoverable 00000009:01:00.0 x1", "the registers alone tell it too");
    let cpu =
        ["{9}[Hardware Error]: event severity: fatal", "{9}[Hardware Error]:   section_type: ARM processor error"];
    assert_eq!(shown(&cpu), "machinecheck fatal node x1", "its beginning was lost");
}

#[test]
fn two_reports_at_once_are_told_apart_by_their_numbers() {
    let lines = [
        "{1}[Hardware Error]: Hardware error from APEI Generic Hardware Error Source: 0",
        "{2}[Hardware Error]: Hardware error from APEI Generic Hardware Error Source: 4",
        "{1}[Hardware Error]: event severity: corrected",
        "{2}[Hardware Error]: event severity: recoverable",
        "{1}[Hardware Error]:   section_type: memory error",
        "{2}[Hardware Error]:   section_type: memory error",
    ];
    assert_eq!(shown(&lines), "hostmemory corrected node x1; hostmemory recoverable node x1");
}

#[test]
fn a_machine_check_that_was_only_noted_is_corrected_until_something_names_it() {
    let noted = "mce: [Hardware Error]: Machine check events logged";
    let corrected = "EDAC MC2: 3 CE memory read error on CPU_SrcID#0_MC#2_Chan#1_DIMM#0 (channel:1 slot:0 page:0x1)";
    let uncorrected = "EDAC MC2: 1 UE memory scrubbing error on CPU_SrcID#0_MC#2_Chan#1_DIMM#0 (channel:1 slot:0)";
    let dimm = "dimm cpu_srcid#0_mc#2_chan#1_dimm#0";
    assert_eq!(shown(&[noted]), "machinecheck corrected node x1");
    assert_eq!(shown(&[noted, corrected]), format!("hostmemory corrected {dimm} x3"));
    assert_eq!(shown(&[corrected, noted]), format!("hostmemory corrected {dimm} x3"));
    assert_eq!(shown(&[noted, uncorrected]), format!("hostmemory recoverable {dimm} x1"));
    let poisoned = "Memory failure: 0x7f21: recovery action for dirty LRU page: Recovered";
    assert_eq!(shown(&[uncorrected, poisoned]), format!("hostmemory recoverable {dimm} x1"));
    assert_eq!(shown(&[poisoned]), "hostmemory recoverable node x1");
    assert_eq!(shown(&[noted, poisoned]), "hostmemory recoverable node x1");
    assert_eq!(shown(&[corrected, poisoned]), format!("hostmemory unclear {dimm} x3"), "given up for what was mended");
    let killed = "Memory failure: 0x7f21: Sending SIGBUS to kiln:812 due to hardware memory corruption";
    assert_eq!(shown(&[killed, poisoned]), "hostmemory recoverable node x1");
    let pretended = "Injecting memory failure at pfn 0x7f21";
    assert_eq!(shown(&[pretended, killed, poisoned]), "hostmemory unclear node x1");
    let decoded = [
        noted,
        "[Hardware Error]: Corrected error, no action required.",
        "[Hardware Error]: CPU:9 (19:11:1) MC21_STATUS[-|CE|MiscV|AddrV|-|-|SyndV|-|-|-|-]: 0x9c2040000400011b",
        "[Hardware Error]: Error Addr: 0x0000000001",
    ];
    assert_eq!(shown(&decoded), "machinecheck corrected node x1");
    let exception = [
        "mce: [Hardware Error]: CPU 12: Machine Check Exception: 5 Bank 1: bf80000000000124",
        "mce: [Hardware Error]: RIP !INEXACT! 10:<ffffffff810a1b2c> {mwait_idle}",
        "mce: [Hardware Error]: TSC 51fc ADDR 7f21 MISC 8c",
        "mce: [Hardware Error]: PROCESSOR 0:806f8 TIME 1790000000 SOCKET 0 APIC 18 microcode 2b0004d0",
    ];
    assert_eq!(shown(&exception), "machinecheck fatal cpu 12 x1");
}

#[test]
fn ports_that_lose_their_device_tell_it_once() {
    let lines = [
        "pcieport 0000:64:01.0: DPC: containment event, status:0x1f01 source:0x0000",
        "pcieport 0000:64:01.0: DPC: unmasked uncorrectable error detected",
        "pcieport 0000:64:01.0: pciehp: Slot(17): Link Down",
        "pcieport 0000:64:01.0: pciehp: Slot(17): Card not present",
    ];
    assert_eq!(shown(&lines), "containment recoverable 00000000:64:01.0 x1");
    assert_eq!(shown(&lines[2..]), "removal recoverable 00000000:64:01.0 x1");
    let newer = "pcieport 0015:00:00.0: DPC: containment event, status:0x200d, ERR_FATAL received from 0015:01:00.0";
    assert_eq!(shown(&[newer]), "containment recoverable 00000015:01:00.0 x1");
    let older = "dpc 0000:00:03.2:pcie008: DPC containment event, status:0x1f01 source:0x0000";
    assert_eq!(shown(&[older]), "containment recoverable 00000000:00:03.2 x1");
}

#[test]
fn network_and_drives_say_by_themselves_how_bad_it_is() {
    let health = [
        "mlx5_core 0000:18:00.0: mlx5_health_try_recover:338:(pid 88): handling bad device here",
        "mlx5_core 0000:18:00.0: print_health_info:425:(pid 912): Health issue observed, firmware internal error, severity(3) ERROR:",
        "mlx5_core 0000:18:00.0: print_health_info:429:(pid 912): assert_var[0] 0x08040700",
    ];
    assert_eq!(shown(&health), "nic recoverable 00000000:18:00.0 x1");
    let warm = "mlx5_core 0000:18:00.0: print_health_info:425:(pid 912): Health issue observed, High temperature, severity(4) WARNING:";
    assert_eq!(shown(&[warm]), "nic unclear 00000000:18:00.0 x1");
    let power =
        "mlx5_core 0000:18:00.0: mlx5_pcie_event:299:(pid 7): Detected insufficient power on the PCIe slot (27W).";
    assert_eq!(shown(&[power]), "nic unclear 00000000:18:00.0 x1");
    let down = "nvme nvme3: controller is down; will reset: CSTS=0xffffffff, PCI_STATUS=0x10";
    assert_eq!(shown(&[down]), "drive recoverable nvme3 x1");
    let slow = "nvme nvme3: I/O tag 12 (100c) opcode 0x2 (I/O Cmd) QID 3 timeout, aborting req_op:READ(0) size:4096";
    assert_eq!(shown(&[slow]), "drive unclear nvme3 x1");
    let medium = "critical medium error, dev nvme3n1, sector 81920 op 0x0:(READ) flags 0x80700 phys_seg 4 prio class 2";
    // A drive that refuses to be read has an error of the medium by this line too; its own line says which it is.
    assert_eq!(shown(&[medium]), "drive unclear nvme3n1 x1");
    let own = "nvme3n1: Read(0x2) @ LBA 81920, 8 blocks, Unrecovered Read Error (sct 0x2 / sc 0x81) DNR";
    assert_eq!(shown(&[own, medium]), "drive recoverable nvme3n1 x1");
}

#[test]
fn lockups_crashes_and_heat_are_suspect_and_a_reboot_is_told() {
    for line in [
        "watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [kworker/3:1:99]",
        "NMI watchdog: Watchdog detected hard LOCKUP on cpu 3",
        "INFO: task nvidia-smi:4711 blocked for more than 120 seconds.",
        "BUG: unable to handle page fault for address: ffffc90000a00000",
    ] {
        assert_eq!(shown(&[line]), "stuck unclear node x1", "{line}");
    }
    let hot = "CPU7: Core temperature is above threshold, cpu clock is throttled (total events = 4)";
    assert_eq!(shown(&[hot]), "heat unclear cpu 7 x1");
    assert_eq!(shown(&["Kernel panic - not syncing: Fatal hardware error!"]), "machinecheck fatal node x1");
    assert_eq!(shown(&["Linux version 6.8.0-51-generic (buildd@x) (gcc 13.2.0)"]), "boot told node x1");
    assert_eq!(shown(&["python[7]: quotes Linux version 6.8"]), "");
}

#[test]
fn an_unknown_line_with_an_error_word_is_an_event_and_one_that_explains_a_code_is_part_of_it() {
    let unknown = "NVRM: GPU 0000:65:00.0: brand new engine reported a fatal condition";
    assert_eq!(shown(&[unknown]), "unknown unclear 00000000:65:00.0 x1");
    let dump = [
        "NVRM: Xid (PCI:0000:65:00): 119, pid=7, name=kiln, Timeout after 45s of waiting for RPC response from GPU0 GSP!",
        "NVRM: GPU0 RPC history (CPU -> GSP): entry function data0 error",
        "NVRM: _kgspLogXid119: ****************************** GSP-CrashCat Report failed",
    ];
    assert_eq!(shown(&dump), "xid 119 unclear 00000000:65:00.0 x1");
    let init = [
        "NVRM: GPU 0000:65:00.0: RmInitAdapter failed! (0x62:0x65:1816)",
        "NVRM: GPU 0000:65:00.0: rm_init_adapter failed, device minor number 3",
    ];
    assert_eq!(shown(&init), "not started unclear 00000000:65:00.0 x1");
}

#[test]
fn the_event_channel_and_the_log_tell_of_one_xid_once_whichever_comes_first() {
    let record = |source, text: &str| KernelRecord { at: Moment::ZERO, source, text: text.to_owned() };
    let channel =
        record(KernelSource::DriverEvent, "NVRM: Xid (PCI:0000:65:00): 79, reported by the driver's event channel");
    let log = record(
        KernelSource::KernelLog,
        "NVRM: Xid (PCI:0000:65:00): 79, pid=1, name=kiln, GPU has fallen off the bus.",
    );
    for order in [[channel.clone(), log.clone()], [log.clone(), channel.clone()]] {
        let events = kernel_events(&order);
        assert_eq!(events.len(), 1, "{events:?}");
        assert!(events[0].text.contains("fallen off"), "{events:?}");
    }
    assert_eq!(kernel_events(&[channel]).len(), 1);
}

proptest! {
    #[test]
    fn no_log_makes_the_reader_panic_or_count_more_events_than_lines(lines in proptest::collection::vec("\\PC{0,60}", 0..20)) {
        let starts = ["{1}[Hardware Error]: ", "EDAC MC0: ", "NVRM: The NVIDIA GPU ", "mce: [Hardware Error]: ", ""];
        let lines: Vec<String> = lines.iter().enumerate().map(|(at, line)| format!("{}{line}", starts[at % 5])).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        prop_assert!(events_of(&lines).len() <= lines.len());
    }
}
