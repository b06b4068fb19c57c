//! Ports of RDMA devices out of `/sys/class/infiniband`: state, rate and error counters.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what a driver or a text tells is within the range of what it measures"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::source::{entries, name, number, parsed, text};
use kiln_model::{LinkLayer, Port, PortCounter, PortState, Reading, ReadingFailure, WireState};

/// What a driver answers that has no such counter for this function, as of virtual functions: EINVAL and EOPNOTSUPP.
const NO_SUCH: [i32; 2] = [22, 95];

/// Every port of the device in folder `device`, by number. Where the list of them cannot be read there is still the first: a
/// device without a port is none.
pub(super) fn ports(device: &Path) -> Vec<Port> {
    let folders = match entries(&device.join("ports")) {
        Reading::Value(folders) => folders,
        Reading::Unsupported => return Vec::new(),
        Reading::Failed(failure) => return vec![unread(failure)],
    };
    let mut ports: Vec<Port> =
        folders.iter().filter_map(|folder| Some(port(device, folder, name(folder).parse().ok()?))).collect();
    ports.sort_by_key(|port| port.number);
    ports
}

/// A port that nothing could be read of.
fn unread(failure: ReadingFailure) -> Port {
    Port {
        number: 1,
        layer: Reading::Failed(failure),
        state: Reading::Failed(failure),
        wire: Reading::Failed(failure),
        rate_mb_per_s: Reading::Failed(failure),
        width: Reading::Failed(failure),
        counters: PortCounter::ALL
            .iter()
            .filter(|counter| counter.folder() == Some("counters"))
            .map(|counter| (*counter, Reading::Failed(failure)))
            .collect(),
    }
}

fn port(device: &Path, folder: &Path, number_of_port: u8) -> Port {
    let state = parsed(text(&folder.join("state")), PortState::read);
    let wire = parsed(text(&folder.join("phys_state")), WireState::read);
    // Of a port without a link the kernel still shows a rate: the lowest there is. Whether it has one must be known for it.
    let rate = match (state, wire) {
        (Reading::Failed(failure), _) | (_, Reading::Failed(failure)) => Reading::Failed(failure),
        (Reading::Value(PortState::Init | PortState::Armed | PortState::Active), Reading::Value(WireState::LinkUp))
        | (Reading::Value(PortState::Active) | Reading::Unsupported, Reading::Unsupported) => {
            text(&folder.join("rate"))
        }
        _ => Reading::Unsupported,
    };
    Port {
        number: number_of_port,
        layer: parsed(text(&folder.join("link_layer")), |text| match text {
            "InfiniBand" => Some(LinkLayer::Infiniband),
            "Ethernet" => Some(LinkLayer::Ethernet),
            _ => None,
        }),
        state,
        wire,
        rate_mb_per_s: parsed(rate.clone(), rate_of),
        width: parsed(rate, width_of),
        counters: counters(device, folder, number_of_port),
    }
}

fn counters(device: &Path, folder: &Path, number_of_port: u8) -> BTreeMap<PortCounter, Reading<u64>> {
    let interface = interface(device, number_of_port);
    let file = |counter: PortCounter| match counter.folder() {
        Some(own) => Some(folder.join(own).join(counter.name())),
        None => interface.as_ref().map(|interface| interface.join(counter.name())),
    };
    let read = |path: PathBuf| match number(&path) {
        Reading::Failed(ReadingFailure::Driver(code)) if NO_SUCH.contains(&code) => Reading::Unsupported,
        other => other,
    };
    let all = PortCounter::ALL.iter().filter_map(|counter| Some((*counter, read(file(*counter)?))));
    all.filter(|(_, reading)| *reading != Reading::Unsupported).collect()
}

/// The network interface that goes over a port: a device with two ports has one for each, told apart by `dev_port`.
fn interface(device: &Path, number_of_port: u8) -> Option<PathBuf> {
    let interfaces = entries(&device.join("device/net"));
    let found = interfaces.value()?;
    let own = |path: &&PathBuf| number(&path.join("dev_port")).get() == u64::from(number_of_port).checked_sub(1);
    found.iter().find(own).cloned()
}

/// `400 Gb/sec (4X NDR)` as MB/s.
pub(super) fn rate_of(text: &str) -> Option<u32> {
    let (gigabits, rest) = text.split_once(' ')?;
    let gigabits: f64 = gigabits.parse().ok()?;
    (rest.starts_with("Gb/sec") && gigabits.is_finite()).then_some((gigabits * 1000.0 / 8.0) as u32)
}

/// Lanes out of the same text.
fn width_of(text: &str) -> Option<u8> {
    let (_, lanes) = text.split_once('(')?;
    lanes.split_once('X')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::test_tree::write;
    use super::*;

    fn device() -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("folder");
        for (file, text) in [
            ("state", "4: ACTIVE\n"),
            ("phys_state", "5: LinkUp\n"),
            ("link_layer", "InfiniBand\n"),
            ("rate", "200 Gb/sec (2X NDR)\n"),
            ("counters/link_downed", "3\n"),
            ("counters/symbol_error", "N/A (no PMA)\n"),
            ("hw_counters/out_of_sequence", "12\n"),
        ] {
            write(root.path(), &format!("ports/1/{file}"), text);
        }
        root
    }

    #[test]
    fn a_port_reads_as_the_kernel_shows_it_and_what_it_has_not_is_left_out() {
        let root = device();
        let [port] = &ports(root.path())[..] else { panic!("one port") };
        assert_eq!(port.to_string(), "ACTIVE, LinkUp, 25000 MB/s, 2X");
        assert_eq!(port.layer, Reading::Value(LinkLayer::Infiniband));
        assert_eq!(port.counter(PortCounter::LinkDowned), Reading::Value(3));
        assert_eq!(port.counter(PortCounter::OutOfSequence), Reading::Value(12));
        assert_eq!(port.counter(PortCounter::SymbolErrors), Reading::Unsupported);
        assert_eq!(port.counters.len(), 2);
    }

    #[test]
    fn the_rate_of_a_port_without_a_link_is_none() {
        let root = device();
        write(root.path(), "ports/1/state", "1: DOWN\n");
        write(root.path(), "ports/1/phys_state", "2: Polling\n");
        write(root.path(), "ports/1/rate", "10 Gb/sec (4X SDR)\n");
        let [port] = &ports(root.path())[..] else { panic!("one port") };
        assert_eq!((port.rate_mb_per_s, port.to_string().as_str()), (Reading::Unsupported, "DOWN, Polling"));
    }

    #[test]
    fn a_port_whose_state_or_whose_list_cannot_be_read_is_no_port_at_rest() {
        // A folder in a file's place fails to be read, also for root.
        let root = device();
        fs::remove_file(root.path().join("ports/1/state")).expect("removed");
        fs::create_dir(root.path().join("ports/1/state")).expect("folder");
        let [port] = &ports(root.path())[..] else { panic!("one port") };
        assert!(matches!(port.state, Reading::Failed(_)) && matches!(port.rate_mb_per_s, Reading::Failed(_)), "{port}");

        let loops = tempfile::tempdir().expect("folder");
        std::os::unix::fs::symlink("ports", loops.path().join("ports")).expect("link");
        let [port] = &ports(loops.path())[..] else { panic!("one port") };
        assert!(matches!(port.is_up(), Reading::Failed(_)), "{port}");
        assert!(matches!(port.counter(PortCounter::SymbolErrors), Reading::Failed(_)), "{port}");

        // A device that has no list of ports has none.
        let bare = tempfile::tempdir().expect("folder");
        assert_eq!(ports(bare.path()), []);
    }

    #[test]
    fn an_ethernet_port_counts_the_carriers_of_its_own_interface() {
        let root = device();
        for (interface, port, count) in [("ens1f0np0", 0, 0), ("ens1f1np1", 1, 7)] {
            write(root.path(), &format!("device/net/{interface}/dev_port"), &format!("{port}\n"));
            write(root.path(), &format!("device/net/{interface}/carrier_down_count"), &format!("{count}\n"));
        }
        write(root.path(), "ports/2/state", "4: ACTIVE\n");
        let counted: Vec<_> = ports(root.path()).iter().map(|port| port.counter(PortCounter::CarrierDown)).collect();
        assert_eq!(counted, [Reading::Value(0), Reading::Value(7)]);
    }
}
