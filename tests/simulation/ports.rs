//! Ports of the network that go down and come back between two looks: only what counts tells of them.

use kiln::event::VerdictWord;
use kiln::model::{Component, PortCounter, Reading};

use crate::trial::Trial;

/// The device's own counter of an Ethernet port stands still; the carrier of its interface counts.
#[test]
fn a_port_that_is_away_for_seconds_within_one_step_is_told_on_infiniband_and_on_ethernet() {
    let trial = Trial::of("acceptance");
    for node in ["hgx-h200-8", "pcie-l40s-8"] {
        let tried = trial.run(node, 1, Some("port-flaps@nic/1"));
        let verdict = tried.record.verdict.as_ref().expect("a verdict");
        assert_eq!(verdict.word, VerdictWord::Fail, "{node}:\n{}", tried.blemishes());
        let named: Vec<_> = tried.record.findings.iter().map(|one| (one.code.as_str(), one.component)).collect();
        assert_eq!(named, [("NIC-LINK-DOWN", Component::Port(1, 1))], "{node}");
        let inventory = tried.record.inventory.as_ref().expect("an inventory");
        let port = &inventory.host.nics.value().expect("devices")[1].ports[0];
        let carrier = port.counter(PortCounter::CarrierDown);
        assert_eq!(carrier == Reading::Value(0), node == "pcie-l40s-8", "{node}: {carrier}");
    }
}
