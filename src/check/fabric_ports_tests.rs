//! Ports as nodes have them: connected or not, slow, flapping, with errors, and with counters that say nothing.

use super::*;
use crate::rig::{Rig, assert_complete, raised, shown};
use kiln_model::{LinkLayer, PortState, ReadingFailure, WireState};
use kiln_profile::ParamValue;

fn port(up: bool) -> Port {
    let counters = [PortCounter::LinkDowned, PortCounter::SymbolErrors, PortCounter::Recoveries];
    Port {
        number: 1,
        layer: Reading::Value(LinkLayer::Infiniband),
        state: Reading::Value(if up { PortState::Active } else { PortState::Down }),
        wire: Reading::Value(if up { WireState::LinkUp } else { WireState::Polling }),
        rate_mb_per_s: if up { Reading::Value(50_000) } else { Reading::Unsupported },
        width: if up { Reading::Value(4) } else { Reading::Unsupported },
        counters: counters.map(|counter| (counter, Reading::Value(2))).into_iter().collect(),
    }
}

fn nics(up: &[bool]) -> Reading<Vec<Nic>> {
    let nic = |(nth, up): (usize, &bool)| Nic {
        name: format!("mlx5_{nth}"),
        model: "MT_0838".to_owned(),
        speed_mb_per_s: Reading::Unsupported,
        pci_address: Reading::Unsupported,
        ports: vec![port(*up)],
    };
    Reading::Value(up.iter().enumerate().map(nic).collect())
}

/// A run on a node with these ports, which `change` changes before the step looks.
fn run(up: &[bool], change: impl FnOnce(&mut Rig, &mut Vec<Nic>)) -> (Done, Rig) {
    let mut rig = Rig::new(&FabricPorts, 1);
    rig.inventory.host.nics = nics(up);
    let mut found = rig.inventory.clone();
    if let Reading::Value(nics) = &mut found.host.nics {
        change(&mut rig, nics);
    }
    rig.found = Some(found);
    (rig.run(&FabricPorts), rig)
}

#[test]
fn good_ports_raise_nothing_and_have_every_value() {
    let (done, rig) = run(&[true; 4], |_, _| {});
    assert_complete(&SPEC, &done, &rig.components);
    assert_eq!(raised(&done), [""; 0]);
    let at = Component::Port(2, 1);
    assert_eq!(shown(&done, at, "link"), "mlx5_2/1: ACTIVE, LinkUp, 50000 MB/s, 4X");
    assert_eq!(shown(&done, at, "downs"), "0");
    assert_eq!(shown(&done, at, "checksum.errors"), "unsupported");
}

#[test]
fn one_port_without_a_link_among_many_is_down_and_of_ports_nobody_connected_nothing_is_said() {
    let (done, _) = run(&[true, true, false, true], |_, _| {});
    assert_eq!(raised(&done), ["nic/2/port/1 up"]);
    assert_eq!(shown(&done, Component::Port(2, 1), "link"), "mlx5_2/1: DOWN, Polling");
    let (done, _) = run(&[true, true, false, false], |_, _| {});
    assert_eq!(raised(&done), [""; 0]);
    assert_eq!(shown(&done, Component::Port(3, 1), "up"), "unsupported");
    let (done, _) = run(&[false; 4], |_, _| {});
    assert!(matches!(&done, Done::NotApplicable { why: Reason::NoPorts { shown: true } }), "{done:?}");
}

#[test]
fn a_port_that_is_empty_by_design_is_not_looked_at_and_the_number_that_must_be_up_is_counted() {
    let (done, _) = run(&[true, true, false], |rig, _| {
        rig.set("unused", ParamValue::Texts(vec!["mlx5_2/1".to_owned()]));
        rig.set("ports", ParamValue::Count(3));
    });
    assert_eq!(raised(&done), [""; 0]);
    assert_eq!(shown(&done, Component::Node, "ports"), "2");
    assert_eq!(shown(&done, Component::Node, "ports.missing"), "1");
}

#[test]
fn a_port_of_another_kind_is_not_held_against_these() {
    let (done, _) = run(&[true, true, true, false], |_, nics| {
        nics[3].ports[0].layer = Reading::Value(LinkLayer::Ethernet);
        nics[2].model = "MT_0999".to_owned();
        nics[2].ports[0].rate_mb_per_s = Reading::Value(3_125);
    });
    // It became slower than it was, but none of its kind is faster.
    assert_eq!(raised(&done), ["nic/2/port/1 kept"]);
}

#[test]
fn a_link_with_less_lanes_than_it_had_is_told_though_its_rate_is_the_same() {
    let (done, _) = run(&[true], |_, nics| nics[0].ports[0].width = Reading::Value(2));
    assert_eq!(raised(&done), ["nic/0/port/1 kept"]);
}

#[test]
fn a_narrow_or_slow_link_stands_apart_and_one_that_fell_is_told() {
    let (done, _) = run(&[true; 4], |rig, nics| {
        rig.set("rate", ParamValue::Number(50_000.0));
        nics[1].ports[0].rate_mb_per_s = Reading::Value(25_000);
        nics[1].ports[0].width = Reading::Value(2);
    });
    let names = ["kept", "rate.usual", "width.usual", "rate.as-asked"].map(|name| format!("nic/1/port/1 {name}"));
    let mut raised = raised(&done);
    raised.sort();
    let mut names = names.to_vec();
    names.sort();
    assert_eq!(raised, names);
}

#[test]
fn what_happened_since_the_run_began_is_counted_and_what_was_before_is_not() {
    let (done, _) = run(&[true; 3], |_, nics| {
        let counters = &mut nics[1].ports[0].counters;
        counters.insert(PortCounter::LinkDowned, Reading::Value(5));
        counters.insert(PortCounter::SymbolErrors, Reading::Value(722));
    });
    let at = Component::Port(1, 1);
    assert_eq!(shown(&done, at, "downs"), "3");
    // 720 errors in an hour at 400 Gb/s, where 10^-12 of the bits are 1440.
    assert_eq!(shown(&done, at, "symbol.errors.share"), "50 %");
    assert_eq!(shown(&done, at, "symbol.errors.of-cable"), "50000 %");
    assert_eq!(shown(&done, Component::Port(0, 1), "downs"), "0");
}

#[test]
fn the_carrier_of_an_ethernet_port_counts_where_the_device_does_not() {
    let (done, _) = run(&[true], |rig, nics| {
        let count = |nics: &mut Vec<Nic>, carriers: u64| {
            let counters = [(PortCounter::LinkDowned, 0), (PortCounter::CarrierDown, carriers)];
            nics[0].ports[0].counters = counters.map(|(counter, count)| (counter, Reading::Value(count))).into();
        };
        if let Reading::Value(before) = &mut rig.inventory.host.nics {
            count(before, 1);
        }
        count(nics, 2);
    });
    assert_eq!(shown(&done, Component::Port(0, 1), "downs"), "1");
}

#[test]
fn a_counter_at_its_end_or_gone_backwards_says_nothing() {
    let (done, _) = run(&[true], |rig, nics| {
        if let Reading::Value(before) = &mut rig.inventory.host.nics {
            before[0].ports[0].counters.insert(PortCounter::LinkDowned, Reading::Value(255));
        }
        nics[0].ports[0].counters.insert(PortCounter::LinkDowned, Reading::Value(255));
        nics[0].ports[0].counters.insert(PortCounter::SymbolErrors, Reading::Value(1));
    });
    let at = Component::Port(0, 1);
    assert_eq!(shown(&done, at, "downs"), "missing: CounterFull { at: 255 }");
    for name in ["symbol.errors", "symbol.errors.share"] {
        assert_eq!(shown(&done, at, name), "missing: CounterBackwards");
    }
}

#[test]
fn a_port_or_all_ports_that_are_no_longer_shown_are_not_passed_over() {
    let (done, _) = run(&[true; 3], |_, nics| {
        nics.remove(1);
    });
    assert_eq!(raised(&done), ["nic/1/port/1 kept"]);
    assert_eq!(shown(&done, Component::Port(2, 1), "link"), "mlx5_2/1: ACTIVE, LinkUp, 50000 MB/s, 4X");
    let mut rig = Rig::new(&FabricPorts, 1);
    rig.inventory.host.nics = nics(&[true]);
    let mut found = rig.inventory.clone();
    found.host.nics = Reading::Unsupported;
    rig.found = Some(found.clone());
    assert!(shown(&rig.run(&FabricPorts), Component::Port(0, 1), "kept").starts_with("missing"));
    found.host.nics = Reading::Failed(ReadingFailure::NoPermission);
    rig.found = Some(found);
    assert!(shown(&rig.run(&FabricPorts), Component::Port(0, 1), "kept").starts_with("missing"));
}

#[test]
fn a_node_without_ports_is_not_condemned_and_one_that_cannot_be_read_is_not_passed() {
    let done = |nics: Reading<Vec<Nic>>, wanted: Option<u32>| {
        let mut rig = Rig::new(&FabricPorts, 1);
        rig.inventory.host.nics = nics;
        if let Some(wanted) = wanted {
            rig.set("ports", ParamValue::Count(wanted));
        }
        rig.run(&FabricPorts)
    };
    for none in [Reading::Unsupported, Reading::Value(Vec::new())] {
        assert!(matches!(done(none, None), Done::NotApplicable { .. }));
    }
    let closed = done(Reading::Failed(ReadingFailure::NoPermission), None);
    assert_eq!(shown(&closed, Component::Port(0, 1), "up"), "missing: Read(NoPermission)");
    assert_eq!(shown(&done(Reading::Value(Vec::new()), Some(2)), Component::Node, "ports.missing"), "2");
    assert_eq!(shown(&done(nics(&[false; 2]), Some(2)), Component::Node, "ports.missing"), "2");
    let unknown = done(Reading::Unsupported, Some(2));
    assert!(shown(&unknown, Component::Node, "ports.missing").starts_with("missing"));
}

#[test]
fn where_as_many_ports_are_slow_as_fast_neither_is_unusual() {
    for slow in [&[1][..], &[1, 3]] {
        let up = vec![true; 2 * slow.len()];
        let (done, _) = run(&up, |rig, nics| {
            if let Reading::Value(before) = &mut rig.inventory.host.nics {
                for at in slow {
                    before[*at].ports[0].rate_mb_per_s = Reading::Value(25_000);
                }
            }
            for at in slow {
                nics[*at].ports[0].rate_mb_per_s = Reading::Value(25_000);
            }
        });
        assert_eq!(raised(&done), [""; 0], "{slow:?}: a network for data and one for storage");
    }
}

#[test]
fn symbol_errors_up_to_the_end_of_their_counter_are_any_number() {
    let full = PortCounter::SymbolErrors.full().expect("a small counter");
    let (done, _) = run(&[true; 3], |rig, nics| {
        if let Reading::Value(before) = &mut rig.inventory.host.nics {
            before[1].ports[0].counters.insert(PortCounter::SymbolErrors, Reading::Value(full - 535));
        }
        nics[1].ports[0].counters.insert(PortCounter::SymbolErrors, Reading::Value(full));
        nics[2].ports[0].counters.insert(PortCounter::LinkDowned, Reading::Value(255));
    });
    for name in ["symbol.errors", "symbol.errors.share"] {
        assert_eq!(shown(&done, Component::Port(1, 1), name), format!("missing: CounterFull {{ at: {full} }}"));
    }
    // From zero, more than a link may have in so short a time: what it counted is proof, however many more there were.
    let (proven, _) = run(&[true; 3], |rig, nics| {
        if let Reading::Value(before) = &mut rig.inventory.host.nics {
            before[1].ports[0].counters.insert(PortCounter::SymbolErrors, Reading::Value(0));
        }
        nics[1].ports[0].counters.insert(PortCounter::SymbolErrors, Reading::Value(full));
    });
    assert_eq!(shown(&proven, Component::Port(1, 1), "symbol.errors"), full.to_string());
    assert_eq!(shown(&done, Component::Port(2, 1), "downs"), "253", "that it went down at all is proof");
}

#[test]
fn what_cannot_be_read_of_a_port_is_missing_and_never_no_matter() {
    let (done, _) = run(&[true; 4], |rig, nics| {
        rig.set("rate", ParamValue::Number(50_000.0));
        let failed = ReadingFailure::Driver(5);
        for nic in &mut nics[..2] {
            nic.ports[0].state = Reading::Failed(failed);
        }
        nics[2].ports[0].width = Reading::Failed(failed);
        nics[3].ports[0].rate_mb_per_s = Reading::Unsupported;
        nics[3].ports[0].counters.insert(PortCounter::LinkDowned, Reading::Value(2));
        nics[3].ports[0].counters.insert(PortCounter::CarrierDown, Reading::Failed(failed));
    });
    for (port, name) in [(0, "up"), (1, "up"), (2, "width.usual"), (3, "rate.as-asked"), (3, "downs")] {
        let told = shown(&done, Component::Port(port, 1), name);
        assert!(told.starts_with("missing: "), "{port} {name}: {told}");
    }
}
