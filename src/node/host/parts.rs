//! Network ports and disks of the machine.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what a driver or a text tells is within the range of what it measures"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::pci::{is_address, long_address};
use super::ports::ports;
use super::source::{entries, name, number, parsed, refused, text};
use kiln_model::{Nic, Nvme, Port, Reading};

/// Every port with hardware behind it: RDMA devices first, then network interfaces that are not theirs.
pub(super) fn nics(root: &Path) -> Reading<Vec<Nic>> {
    let rdma = match entries(&root.join("sys/class/infiniband")) {
        Reading::Value(devices) => devices,
        Reading::Unsupported => Vec::new(),
        Reading::Failed(failure) => return Reading::Failed(failure),
    };
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for port in &rdma {
        seen.extend(fs::canonicalize(port.join("device")).ok());
        let ports = ports(port);
        found.push(Nic {
            name: name(port),
            model: model(port, &["board_id", "hca_type"]),
            speed_mb_per_s: fastest(&ports),
            pci_address: address(port),
            ports,
        });
    }
    let net = match entries(&root.join("sys/class/net")) {
        Reading::Value(net) => net,
        Reading::Unsupported if found.is_empty() => return Reading::Unsupported,
        Reading::Unsupported => return Reading::Value(found),
        Reading::Failed(failure) => return Reading::Failed(failure),
    };
    for interface in net {
        // A bridge, a tunnel and the loopback have no device behind them.
        let Ok(device) = fs::canonicalize(interface.join("device")) else { continue };
        if !seen.contains(&device) {
            found.push(Nic {
                name: name(&interface),
                model: model(&interface, &[]),
                speed_mb_per_s: link_speed(&interface),
                pci_address: address(&interface),
                ports: Vec::new(),
            });
        }
    }
    Reading::Value(found)
}

/// The rate of the fastest link of a device. While one of its ports cannot be read it may be that one.
fn fastest(ports: &[Port]) -> Reading<u32> {
    let failed = ports.iter().find(|port| matches!(port.rate_mb_per_s, Reading::Failed(_)));
    match (failed, ports.iter().filter_map(|port| port.rate_mb_per_s.get()).max()) {
        (Some(port), _) => port.rate_mb_per_s,
        (None, Some(rate)) => Reading::Value(rate),
        (None, None) => Reading::Unsupported,
    }
}

/// A name of the part, or its PCI ids where there is none.
fn model(port: &Path, files: &[&str]) -> String {
    if let Some(name) = files.iter().find_map(|file| text(&port.join(file)).value().cloned()) {
        return name;
    }
    let id = |file: &str| number(&port.join("device").join(file)).get();
    match (id("vendor"), id("device")) {
        (Some(vendor), Some(device)) => format!("{vendor:04x}:{device:04x}"),
        _ => "unknown".to_owned(),
    }
}

/// Mb/s of the interface as MB/s. A port without a link answers -1, or an error that means the same.
fn link_speed(interface: &Path) -> Reading<u32> {
    let up = text(&interface.join("carrier")).value().is_some_and(|carrier| carrier == "1");
    if !up {
        return Reading::Unsupported;
    }
    parsed(text(&interface.join("speed")), |text| text.parse::<i64>().ok().filter(|speed| *speed > 0))
        .map(|megabits| (megabits / 8) as u32)
}

/// Where the device sits on the bus.
fn address(port: &Path) -> Reading<String> {
    match fs::canonicalize(port.join("device")) {
        Ok(device) => parsed(Reading::Value(name(&device)), |name| is_address(name).then(|| long_address(name))),
        Err(error) => refused(&error),
    }
}

/// Every controller of an NVM Express disk on the bus; those reached over a network are of another machine. A field the controller
/// leaves empty is shown empty.
pub(super) fn nvmes(root: &Path) -> Reading<Vec<Nvme>> {
    let here = |controller: &&PathBuf| {
        text(&controller.join("transport"))
            .value()
            .is_none_or(|transport| ["pcie", "apple-nvme"].contains(&transport.as_str()))
    };
    entries(&root.join("sys/class/nvme")).map(|controllers| {
        controllers
            .iter()
            .filter(here)
            .map(|controller| {
                let told = |file: &str| text(&controller.join(file)).value().cloned().unwrap_or_default();
                Nvme {
                    name: name(controller),
                    model: told("model"),
                    serial: told("serial"),
                    pci_address: address(controller),
                }
            })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::super::test_tree::write;
    use super::*;

    #[test]
    fn ports_with_hardware_are_listed_once() {
        let root = tempfile::tempdir().expect("folder");
        let at = root.path();
        write(at, "devices/hca/vendor", "0x15b3\n");
        write(at, "devices/eth/vendor", "0x8086\n");
        write(at, "devices/eth/device", "0x1592\n");
        write(at, "sys/class/infiniband/mlx5_0/board_id", "MT_0000000838\n");
        for (file, text) in [("rate", "400 Gb/sec (4X NDR)"), ("state", "4: ACTIVE"), ("phys_state", "5: LinkUp")] {
            write(at, &format!("sys/class/infiniband/mlx5_0/ports/1/{file}"), text);
        }
        for interface in ["ens1np0", "ens2f0", "ens2f1", "lo"] {
            write(at, &format!("sys/class/net/{interface}/speed"), "25000\n");
            write(at, &format!("sys/class/net/{interface}/carrier"), if interface == "ens2f1" { "0\n" } else { "1\n" });
        }
        let link = |from: &str, to: &str| std::os::unix::fs::symlink(at.join(to), at.join(from)).expect("link");
        link("sys/class/infiniband/mlx5_0/device", "devices/hca");
        link("sys/class/net/ens1np0/device", "devices/hca");
        link("sys/class/net/ens2f0/device", "devices/eth");
        link("sys/class/net/ens2f1/device", "devices/eth");
        let shown: Vec<String> = nics(at)
            .value()
            .expect("ports")
            .iter()
            .map(|nic| format!("{} {} {}", nic.name, nic.model, nic.speed_mb_per_s))
            .collect();
        assert_eq!(shown, ["mlx5_0 MT_0000000838 50000", "ens2f0 8086:1592 3125", "ens2f1 8086:1592 unsupported"]);
    }

    #[test]
    fn a_device_of_two_ports_is_as_fast_as_its_faster_link_and_a_list_that_cannot_be_read_is_not_empty() {
        let root = tempfile::tempdir().expect("folder");
        let at = root.path();
        let port = |number: u8, state: &str, rate: &str| {
            for (file, text) in [("state", state), ("phys_state", "5: LinkUp"), ("rate", rate)] {
                write(at, &format!("sys/class/infiniband/mlx5_0/ports/{number}/{file}"), text);
            }
        };
        port(1, "1: DOWN", "2.5 Gb/sec (1X SDR)");
        port(2, "4: ACTIVE", "200 Gb/sec (4X HDR)");
        let speed = |at: &Path| nics(at).value().map(|nics| nics[0].speed_mb_per_s);
        assert_eq!(speed(at), Some(Reading::Value(25_000)));
        fs::remove_file(at.join("sys/class/infiniband/mlx5_0/ports/1/state")).expect("removed");
        fs::create_dir(at.join("sys/class/infiniband/mlx5_0/ports/1/state")).expect("folder");
        assert!(matches!(speed(at), Some(Reading::Failed(_))));

        let loops = tempfile::tempdir().expect("folder");
        fs::create_dir_all(loops.path().join("sys/class")).expect("folder");
        std::os::unix::fs::symlink("infiniband", loops.path().join("sys/class/infiniband")).expect("link");
        assert!(matches!(nics(loops.path()), Reading::Failed(_)));
    }

    #[test]
    fn disks_are_those_on_the_bus_and_a_machine_without_says_unsupported() {
        let root = tempfile::tempdir().expect("folder");
        assert_eq!(nvmes(root.path()), Reading::Unsupported);
        write(root.path(), "sys/class/nvme/nvme0/model", "SAMSUNG MZWLO3T8HCLS-00A07   \n");
        write(root.path(), "sys/class/nvme/nvme0/serial", "S794NG0W100001\n");
        let disk = Nvme {
            name: "nvme0".to_owned(),
            model: "SAMSUNG MZWLO3T8HCLS-00A07".to_owned(),
            serial: "S794NG0W100001".to_owned(),
            pci_address: Reading::Unsupported,
        };
        write(root.path(), "sys/class/nvme/nvme0/transport", "pcie\n");
        write(root.path(), "sys/class/nvme/nvme12/model", "a drive of another machine\n");
        write(root.path(), "sys/class/nvme/nvme12/transport", "tcp\n");
        assert_eq!(nvmes(root.path()), Reading::Value(vec![disk]));
    }
}
