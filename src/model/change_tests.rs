//! Two inventories held against each other: what counts as a change, and which part it is told of.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::collections::BTreeSet;

use super::*;

fn text(value: &str) -> Reading<String> {
    Reading::Value(value.to_owned())
}

fn node() -> Inventory {
    let gpu = |index: u8| {
        let mut gpu = Gpu::bare(GpuIndex(index));
        gpu.identity.name = text("Test GPU");
        gpu.identity.uuid = text(&format!("GPU-{index}"));
        gpu.identity.serial = text(&format!("S{index}"));
        gpu.identity.pci_address = text(&format!("0000:{index}0:00.0"));
        gpu.memory_mib = Reading::Value(143_771);
        gpu.pcie.max_generation = Reading::Value(5);
        let link = |link| NvLink {
            link,
            state: Reading::Value(LinkState::Active),
            speed_mb_per_s: Reading::Value(26_562),
            remote: Reading::Value(Remote::Switch { number: link, port: index }),
        };
        gpu.nvlinks = Reading::Value((0..4).map(link).collect());
        gpu
    };
    let nic = |nth: u8| Nic {
        name: format!("mlx5_{nth}"),
        model: "MT2910".to_owned(),
        speed_mb_per_s: Reading::Value(50_000),
        pci_address: Reading::Unsupported,
        ports: Vec::new(),
    };
    let drive = |nth: u8| Nvme {
        name: format!("nvme{nth}"),
        model: "D".to_owned(),
        serial: format!("D{nth}"),
        pci_address: Reading::Unsupported,
    };
    Inventory {
        node: NodeIdentity { serial: text("N1"), bios: text("1.0"), ..NodeIdentity::default() },
        driver: text("580.1"),
        gpus: (0..4).map(gpu).collect(),
        host: Host {
            memory_mib: Reading::Value(2_000_000),
            dimms: Reading::Value(32),
            nics: Reading::Value((0..2).map(nic).collect()),
            nvmes: Reading::Value((0..2).map(drive).collect()),
            psus: Reading::Value(vec![Psu { ok: true, capacity_watts: Reading::Value(3000) }; 2]),
            ..Host::default()
        },
        ..Inventory::default()
    }
}

fn told(change: impl FnOnce(&mut Inventory)) -> Vec<String> {
    let mut now = node();
    change(&mut now);
    let list = changes(&node(), &now, &BTreeSet::new());
    list.iter().map(|one| format!("{}: {one}", one.component)).collect()
}

#[test]
fn the_same_node_has_no_changes_and_a_boot_is_none() {
    assert_eq!(told(|_| ()), [""; 0]);
    assert_eq!(told(|now| now.node.boot_id = text("another")), [""; 0]);
    assert_eq!(told(|now| now.host.memory_mib = Reading::Value(1_999_000)), [""; 0]);
}

#[test]
fn every_part_that_is_another_or_less_is_told_with_what_it_was() {
    assert_eq!(told(|now| now.gpus[1].identity.name = text("Other")), ["gpu/1: name was Test GPU, is Other"]);
    assert_eq!(told(|now| now.gpus[1].memory_mib = Reading::Value(81_559)), ["gpu/1: memory was 143771, is 81559"]);
    assert_eq!(told(|now| now.gpus[2].pcie.max_generation = Reading::Value(4)), ["gpu/2: pcie.gen.max was 5, is 4"]);
    assert_eq!(told(|now| now.driver = text("580.2")), ["node: driver was 580.1, is 580.2"]);
    assert_eq!(told(|now| now.host.dimms = Reading::Value(31)), ["node: dimms was 32, is 31"]);
    assert_eq!(
        told(|now| now.host.memory_mib = Reading::Value(1_937_500)),
        ["node: memory was 2000000 MiB, is 1937500 MiB"]
    );
    let gone = |list: &mut Reading<Vec<Nic>>| match list {
        Reading::Value(list) => drop(list.pop()),
        _ => panic!("a list"),
    };
    assert_eq!(told(|now| gone(&mut now.host.nics)), ["nic/1: present was mlx5_1, is not there"]);
    assert_eq!(
        told(|now| now.host.nvmes = Reading::Value(Vec::new())),
        ["nvme/0: present was D D0, is not there", "nvme/1: present was D D1, is not there"]
    );
    assert_eq!(told(|now| now.host.psus = Reading::Unsupported), ["psu/0: present was one of 2, is unsupported"]);
}

#[test]
fn a_link_that_is_down_slower_or_elsewhere_is_told_of_its_gpu() {
    let with = |change: fn(&mut NvLink)| {
        told(|now| {
            if let Reading::Value(links) = &mut now.gpus[0].nvlinks {
                change(&mut links[3]);
            }
        })
    };
    let down = with(|link| link.state = Reading::Value(LinkState::Inactive));
    assert_eq!(down, ["gpu/0: links.active was 4, is 3"]);
    let slow = with(|link| link.speed_mb_per_s = Reading::Value(13_281));
    assert_eq!(slow, ["gpu/0: links.speed was 26562 MB/s on link 3, is 13281 MB/s on link 3"]);
    let moved = with(|link| link.remote = Reading::Value(Remote::Switch { number: 1, port: 7 }));
    assert_eq!(moved, ["gpu/0: links.ends was switch/3 port 0 on link 3, is switch/1 port 7 on link 3"]);
}

#[test]
fn a_gpu_that_is_gone_is_named_and_not_those_the_driver_counts_on_from() {
    let list = told(|now| {
        now.gpus.remove(1);
        for (place, gpu) in now.gpus.iter_mut().enumerate() {
            gpu.index = GpuIndex(place as u8);
        }
    });
    assert_eq!(list, ["gpu/1: present was S1, is not there", "gpu/2: index was 2, is 1", "gpu/3: index was 3, is 2"]);
}

#[test]
fn a_swapped_gpu_is_another_one_in_the_same_place() {
    let list = told(|now| {
        now.gpus[3].identity.uuid = text("GPU-new");
        now.gpus[3].identity.serial = text("S9");
    });
    assert_eq!(list, ["gpu/3: serial was S3, is S9", "gpu/3: uuid was GPU-3, is GPU-new"]);
}

#[test]
fn what_can_no_longer_be_read_is_not_the_same() {
    let unreadable = Reading::Failed(ReadingFailure::NoPermission);
    let list = told(|now| now.node.serial = unreadable.clone());
    assert_eq!(list, ["node: serial was N1, is no permission"]);
    let list = told(|now| {
        let (index, address) = (now.gpus[0].index, now.gpus[0].identity.pci_address.clone());
        now.gpus[0] = Gpu::bare(index);
        now.gpus[0].identity.pci_address = address;
    });
    assert_eq!(list, ["gpu/0: answers was S0, is unsupported"], "once, and not fact by fact");
    let lost = BTreeSet::from([GpuIndex(0)]);
    let mut now = node();
    now.gpus[0] = Gpu::bare(GpuIndex(0));
    assert_eq!(changes(&node(), &now, &lost), [], "a GPU that is known to be lost is no news");
}

#[test]
fn a_node_is_recognised_by_what_only_it_can_have_and_nothing_unreadable_is_equal() {
    let mut bare = node();
    bare.node.serial = Reading::Unsupported;
    assert!(is_recognised(&bare, &bare), "by its GPUs");
    for gpu in &mut bare.gpus {
        gpu.identity.uuid = Reading::Unsupported;
        gpu.identity.serial = Reading::Failed(ReadingFailure::NoPermission);
    }
    assert!(!is_recognised(&bare, &bare));
}
