//! Tests of `kernel.log`.

use super::*;
use crate::rig::{Rig, assert_complete, lines, shown};
use kiln_model::{KernelRecord, Reach};

fn record(text: &str) -> KernelRecord {
    let source = if text.is_empty() { KernelSource::Gap } else { KernelSource::KernelLog };
    KernelRecord { at: Moment::ZERO, source, text: text.to_owned() }
}

fn run_with(texts: &[&str], sources: &[(Source, SourceState)]) -> Done {
    let mut rig = Rig::new(&KernelLog, 2);
    rig.kernel = texts.iter().map(|text| record(text)).collect();
    rig.sources = sources
        .iter()
        .map(|(source, state)| SourceReport { at: Moment::ZERO, source: *source, state: *state })
        .collect();
    rig.components.push(Component::Node);
    let done = rig.run(&KernelLog);
    assert_complete(&SPEC, &done, &rig.components);
    done
}

const FOLLOWED: (Source, SourceState) = (Source::KernelLog, SourceState::Followed(Reach::Boot));

fn run(texts: &[&str]) -> Done {
    run_with(texts, &[FOLLOWED])
}

#[test]
fn codes_are_counted_by_what_they_mean_and_named() {
    let done = run(&[
        "NVRM: Xid (PCI:0000:20:00): 79, GPU has fallen off the bus.",
        "NVRM: Xid (PCI:0000:20:00): 43, pid=1, name=kiln, Ch 00000008",
        "NVRM: Xid (PCI:0000:20:00): 9999, something new",
        "NVRM: GPU 0000:20:00.0: GPU has fallen off the bus.",
        "NVRM: Xid (PCI:0000:10:00): 31, pid=1, name=kiln, Ch 00000008, MMU Fault",
        "NVRM: Xid (PCI:0000:10:00): 13, pid=9, name=python3, Graphics SM Warp Exception",
        "nvidia 0000:10:00.0: PCIe Bus Error: severity=Corrected, type=Data Link Layer, (Receiver ID)",
        "nvidia-nvswitch0: SXid (PCI:0000:83:00.0): 20034, Fatal, Link 30 LTSSM Fault Up",
        "mce: [Hardware Error]: CPU 3: Machine Check Exception: 5 Bank 7: be00000000800400",
        "NVRM: Xid (PCI:0000:77:00): 48, a GPU that is not here",
        "EDAC MC1: 3 CE memory read error on CPU_SrcID#1_MC#0_Chan#2_DIMM#0 (channel:2 slot:0)",
        "mlx5_core 0000:18:00.0: PCIe Bus Error: severity=Correctable, type=Physical Layer, (Receiver ID)",
        "EDAC MC1: Giving out device to module",
        "usb 1-1: new high-speed USB device number 2",
    ]);
    insta::assert_snapshot!(lines(&done, Component::gpu(0)), @r"
    xid.failing 0
    xid.suspect 0
    xid.own 1
    xid.foreign 1
    xid.harmless 0
    xid.other 0
    xid.codes 13, 31
    aer.corrected 1
    aer.corrected.rate 1 1/h
    aer.uncorrected 0
    off-bus 0
    ");
    insta::assert_snapshot!(lines(&done, Component::gpu(1)), @r"
    xid.failing 1
    xid.suspect 1
    xid.own 0
    xid.foreign 0
    xid.harmless 0
    xid.other 1
    xid.codes 43, 79, 9999
    aer.corrected 0
    aer.corrected.rate 0 1/h
    aer.uncorrected 0
    off-bus 1
    ");
    insta::assert_snapshot!(lines(&done, Component::Node), @r"
    sxid.failing 1
    sxid.suspect 0
    sxid.other 0
    sxid.codes 20034
    hardware 1
    hardware.suspect 0
    pcie.uncorrected 0
    pcie.corrected.rate 1 1/h
    edac.corrected 3
    edac.corrected.rate 3 1/h
    boots 0
    unplaced 1
    overwritten 0
    sources 1
    gaps 0
    ");
}

#[test]
fn nothing_is_absent_from_a_log_with_gaps() {
    let done = run(&["", "NVRM: Xid (PCI:0000:20:00): 79, GPU has fallen off the bus."]);
    assert_eq!(shown(&done, Component::gpu(0), "xid.failing"), "missing: KernelLogGaps");
    assert_eq!(shown(&done, Component::gpu(1), "xid.failing"), "1");
}

#[test]
fn a_log_that_is_not_followed_measures_nothing_and_says_why() {
    for (state, trouble) in [
        (SourceState::Closed(SourceTrouble::Absent), "Absent"),
        (SourceState::Closed(SourceTrouble::NoPermission), "NoPermission"),
        (SourceState::Closed(SourceTrouble::Directory), "Directory"),
        (SourceState::Ended(SourceTrouble::ReaderGone), "ReaderGone"),
    ] {
        let done = run_with(&[], &[FOLLOWED, (Source::KernelLog, state)]);
        for (component, name) in [
            (Component::gpu(0), "xid.failing"),
            (Component::gpu(1), "aer.uncorrected"),
            (Component::gpu(1), "off-bus"),
            (Component::gpu(1), "xid.codes"),
            (Component::Node, "hardware"),
            (Component::Node, "boots"),
            (Component::Node, "edac.corrected.rate"),
            (Component::Node, "sources"),
        ] {
            assert_eq!(shown(&done, component, name), format!("missing: KernelLogUnread({trouble})"));
        }
    }
    assert!(shown(&run_with(&[], &[]), Component::Node, "hardware").contains("NotTold"));
}

#[test]
fn what_was_logged_before_the_log_went_away_still_counts() {
    let ended = (Source::KernelLog, SourceState::Ended(SourceTrouble::Replaced));
    let done = run_with(&["NVRM: Xid (PCI:0000:20:00): 79, GPU has fallen off the bus."], &[FOLLOWED, ended]);
    assert_eq!(shown(&done, Component::gpu(1), "xid.failing"), "1");
    assert!(shown(&done, Component::gpu(0), "xid.failing").starts_with("missing"));
}

#[test]
fn corrected_memory_errors_are_not_told_of_without_a_driver_for_the_controllers() {
    let node = Component::Node;
    let controllers = |state| (Source::MemoryControllers, state);
    assert_eq!(shown(&run(&[]), node, "edac.corrected"), "unsupported");
    let there = run_with(&[], &[FOLLOWED, controllers(SourceState::Followed(Reach::Boot))]);
    assert_eq!(shown(&there, node, "edac.corrected"), "0");
    let gone = run_with(&[], &[FOLLOWED, controllers(SourceState::Ended(SourceTrouble::Absent))]);
    assert!(shown(&gone, node, "edac.corrected").starts_with("missing: SourceGone { source: MemoryControllers"));
    assert!(shown(&gone, node, "sources").starts_with("missing: SourceGone { source: MemoryControllers"));
}

#[test]
fn an_event_channel_that_ends_takes_nothing_away_while_the_log_is_followed() {
    let channel = (Source::DriverEvents, SourceState::Ended(SourceTrouble::ReaderGone));
    assert_eq!(shown(&run_with(&[], &[FOLLOWED, channel]), Component::Node, "sources"), "1");
    let closed = (Source::KernelLog, SourceState::Closed(SourceTrouble::Absent));
    assert!(shown(&run_with(&[], &[closed, channel]), Component::Node, "sources").starts_with("missing"));
}

#[test]
fn records_overwritten_before_the_run_are_told_and_take_nothing_away() {
    let done = run_with(&[], &[(Source::KernelLog, SourceState::Followed(Reach::Overwritten(812)))]);
    assert_eq!(shown(&done, Component::Node, "overwritten"), "812");
    assert_eq!(shown(&done, Component::gpu(0), "xid.failing"), "0");
}
