//! `inventory.match`: whether the node is made of what it should be made of, and of the same everywhere.

use super::declare::{flag, list, may, must, required, text};
use super::gpu_count::put_counts;
use super::host_lost::put_gone;
use super::look::{LOOK, Look};
use super::parts_list::{matcher, put_parts_list, told};
use super::sheet::{Gauged, Sheet};
use super::siblings::{put_topology, put_uniform, put_unique, texts};
use super::{Check, CheckRun, Done, StepContext, Subject};
use kiln_event::{BadParameter, Reason};
use kiln_model::{C2c, Component, ComponentKind, Gpu, GpuIdentity, Inventory, Nic, Psu, Unit};
use kiln_profile::{CheckSpec, MeasurementSpec, ParamKind, ParamSpec, Params};

#[derive(Debug)]
pub(super) struct InventoryMatch;

const GPU: ComponentKind = ComponentKind::Gpu;
const NODE: ComponentKind = ComponentKind::Node;

/// A count that only the bill of materials knows.
const fn fitted(name: &'static str, summary: &'static str) -> ParamSpec {
    ParamSpec { name, kind: ParamKind::Count { min: 1, max: 1024 }, default: None, summary }
}

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "inventory.match",
    summary: "Compares what the node is made of with what its model should have, and its GPUs with one another.",
    details: "Reads the inventory anew. The GPUs the driver lists are counted against the parameter gpus, or else the number \
              the model usually has in a node, and against the functions the PCI bus shows, which come from another source. \
              Another number that the model is sold in is taken only where the links show that no GPU is missing. Names, part \
              numbers and firmware are compared over all GPUs: the majority is right and the others are named; where \
              there is no majority every GPU is. Lists of regular expressions under parts, vbios, inforom and gsp say \
              what is allowed; without a list nothing is held against it and the measurement is absent. A node whose \
              GPUs are all wrong in the same way is seen only by such a list or by limits on the texts. What only a bill \
              of materials knows is given as serials, nics, nvmes, dimms, host-memory, psus and bios: what is not given is not \
              compared (unsupported), what is given and cannot be read is missing.",
    params: &[
        ParamSpec {
            name: "gpus",
            kind: ParamKind::Count { min: 1, max: 64 },
            default: None,
            summary: "GPUs the node must have; otherwise what is usual for the model",
        },
        list("parts", "regular expressions, one of which every part number must match"),
        list("vbios", "regular expressions, one of which every VBIOS version must match"),
        list("inforom", "regular expressions, one of which every InfoROM version must match"),
        list("gsp", "regular expressions, one of which every GSP firmware version must match"),
        list("serials", "serial numbers of the GPUs that were shipped for this node"),
        list("bios", "regular expressions, one of which the BIOS version must match"),
        fitted("nics", "network interfaces the node must have"),
        fitted("nvmes", "NVMe drives the node must have"),
        fitted("dimms", "memory modules the node must have"),
        fitted("psus", "power supplies the node must have"),
        ParamSpec {
            name: "host-memory",
            kind: ParamKind::Quantity { unit: Unit::Mebibyte, min: 1024.0, max: 1.0e9 },
            default: None,
            summary: "memory the host must have, as fitted",
        },
    ],
    measurements: MEASUREMENTS,
    each: &[NODE],
    ..LOOK
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    must("gpus", Unit::One, NODE, "GPUs the driver lists"),
    must("gpus.missing", Unit::One, NODE, "GPUs the node should have and the driver does not list"),
    may("gpus.extra", Unit::One, NODE, "GPUs beyond those the node should have"),
    may("gpus.unclaimed", Unit::One, NODE, "GPUs the PCI bus shows and the driver does not list"),
    may("gpus.off-bus", Unit::One, NODE, "GPUs the driver lists and the PCI bus does not show"),
    text("slots.empty", NODE, "slot numbers between those in use that no listed GPU has, or none"),
    may("slots.beyond", Unit::One, NODE, "GPUs in slots numbered higher than there are GPUs"),
    required(flag("present", GPU, "whether a GPU that should be there is listed")),
    text("driver", NODE, "driver version"),
    text("cuda", NODE, "CUDA version the driver offers"),
    text("bios", NODE, "BIOS version"),
    text("clock-source", NODE, "the kernel's clock source"),
    may("cpus", Unit::One, NODE, "logical CPUs"),
    may("memory.host", Unit::Mebibyte, NODE, "memory of the host"),
    may("dimms", Unit::One, NODE, "memory modules fitted"),
    flag("dimms.balanced", NODE, "whether the memory modules fill all channels of both sockets alike"),
    may("nics", Unit::One, NODE, "network interfaces fitted"),
    may("nic.speed", Unit::MegabytePerSecond, ComponentKind::Nic, "speed of a network interface"),
    flag("nic.usual", ComponentKind::Nic, "whether the interface is as fast as most of its model"),
    may("nvmes", Unit::One, NODE, "NVMe drives fitted"),
    may("psus", Unit::One, NODE, "power supplies fitted"),
    may("psus.failed", Unit::One, NODE, "power supplies that give no power or report a fault"),
    flag("psu.ok", ComponentKind::Psu, "whether the power supply gives power and reports no fault"),
    may("nics.gone", Unit::One, NODE, "network interfaces that were there when the run began and are not now"),
    may("nvmes.gone", Unit::One, NODE, "NVMe drives that were there when the run began and are not now"),
    may("dimms.gone", Unit::One, NODE, "memory modules that were there when the run began and are not now"),
    may("psus.gone", Unit::One, NODE, "power supplies that were there when the run began and are not now"),
    text("name", GPU, "product name"),
    text("part", GPU, "part number"),
    text("vbios", GPU, "VBIOS version"),
    text("inforom", GPU, "InfoROM version"),
    text("gsp", GPU, "GSP firmware version"),
    text("subsystem", GPU, "PCI subsystem id"),
    flag("name.known", GPU, "whether the name belongs to the model that the PCI id names"),
    flag("name.uniform", GPU, "whether the name is that of most GPUs"),
    flag("part.uniform", GPU, "whether the part number is that of most GPUs"),
    flag("vbios.uniform", GPU, "whether the VBIOS version is that of most GPUs"),
    flag("inforom.uniform", GPU, "whether the InfoROM version is that of most GPUs"),
    flag("gsp.uniform", GPU, "whether the GSP firmware version is that of most GPUs"),
    flag("subsystem.uniform", GPU, "whether the PCI subsystem id is that of most GPUs"),
    flag("part.allowed", GPU, "whether the part number matches the list"),
    flag("vbios.allowed", GPU, "whether the VBIOS version matches the list"),
    flag("inforom.allowed", GPU, "whether the InfoROM version matches the list"),
    flag("gsp.allowed", GPU, "whether the GSP firmware version matches the list"),
    flag("serial.unique", GPU, "whether no other GPU of the node has the same serial number"),
    flag("uuid.unique", GPU, "whether no other GPU of the node has the same UUID"),
    flag("serial.expected", GPU, "whether the serial number is in the list"),
    flag("bios.allowed", NODE, "whether the BIOS version matches the list"),
    may("nics.missing", Unit::One, NODE, "network interfaces that should be there and are not"),
    may("nvmes.missing", Unit::One, NODE, "NVMe drives that should be there and are not"),
    may("dimms.missing", Unit::One, NODE, "memory modules that should be there and are not"),
    may("psus.missing", Unit::One, NODE, "power supplies that should be there and are not"),
    may("memory.host.share", Unit::Percent, NODE, "memory the host sees of what should be fitted"),
    flag("inforom.valid", GPU, "whether the InfoROM's checksums hold"),
    may("memory", Unit::Mebibyte, GPU, "frame buffer"),
    may("bar1", Unit::Mebibyte, GPU, "BAR1 aperture"),
    may("pcie.gen.max", Unit::One, GPU, "PCIe generation the GPU and its slot can do"),
    may("pcie.width.max", Unit::One, GPU, "PCIe lanes the GPU and its slot have"),
    may("numa", Unit::One, GPU, "NUMA node of the GPU"),
    flag("numa.regular", GPU, "whether the NUMA node fits those of the GPUs beside it on the bus"),
    flag("topology.regular", GPU, "whether the PCI address fits the order and domain of the other GPUs"),
    may("c2c.lacking", Unit::One, GPU, "chip-to-chip links that should be up by the model and are not"),
];

impl Check for InventoryMatch {
    fn spec(&self) -> &'static CheckSpec {
        &SPEC
    }

    fn subject(&self) -> Subject {
        Subject::Condition
    }

    fn begin(&self, _: &StepContext<'_>) -> Box<dyn CheckRun> {
        Box::new(Look::Inventory(|context, found| match measure(context, found) {
            Ok(done) => done,
            Err(why) => Done::Failed { why: Reason::Parameter(why), measured: Vec::new() },
        }))
    }
}

fn measure(context: &StepContext<'_>, found: &Inventory) -> Result<Done, BadParameter> {
    let mut sheet = Sheet::new(&SPEC, context.lost);
    put_counts(&mut sheet, context, found);
    put_host(&mut sheet, found);
    put_gone(&mut sheet, &context.inventory.host, &found.host);
    for gpu in &found.gpus {
        let component = Component::Gpu(gpu.index);
        let identity = &gpu.identity;
        for (name, reading) in texts(identity) {
            sheet.put(name, component, Gauged::text_of(reading));
        }
        if let Some(sku) = context.skus.get(&gpu.index) {
            let known = |name: &String| Gauged::Flag(sku.names.contains(name));
            sheet.put("name.known", component, Gauged::of(&identity.name, known));
        }
        sheet.put("inforom.valid", component, Gauged::flag_of(identity.inforom_valid));
        sheet.put("memory", component, Gauged::whole_of(&gpu.memory_mib));
        sheet.put("bar1", component, Gauged::whole_of(&gpu.bar1_mib));
        sheet.put("pcie.gen.max", component, Gauged::number_of(&gpu.pcie.max_generation));
        sheet.put("pcie.width.max", component, Gauged::number_of(&gpu.pcie.max_width));
        sheet.put("numa", component, Gauged::number_of(&gpu.pcie.numa_node));
        sheet.put("c2c.lacking", component, c2c_lacking(context, gpu));
        put_allowed(&mut sheet, context.params, component, identity)?;
    }
    put_topology(&mut sheet, found);
    put_uniform(&mut sheet, &found.gpus);
    put_unique(&mut sheet, &found.gpus);
    put_parts_list(&mut sheet, context.params, found)?;
    Ok(Done::Measured(sheet.into_list()))
}

fn put_host(sheet: &mut Sheet<'_>, found: &Inventory) {
    let node = Component::Node;
    sheet.put("driver", node, Gauged::text_of(&found.driver));
    sheet.put("cuda", node, Gauged::text_of(&found.cuda));
    sheet.put("bios", node, Gauged::text_of(&found.node.bios));
    sheet.put("clock-source", node, Gauged::text_of(&found.host.clock_source));
    sheet.put("cpus", node, Gauged::number_of(&found.host.cpus));
    sheet.put("memory.host", node, Gauged::whole_of(&found.host.memory_mib));
    sheet.put("dimms", node, Gauged::number_of(&found.host.dimms));
    // Boards take modules by pairs of channels on each of two sockets; soldered memory counts no modules at all.
    let balanced = |dimms: &u16| Gauged::Flag(dimms.is_multiple_of(4));
    sheet.put("dimms.balanced", node, Gauged::of(&found.host.dimms, balanced));
    sheet.put("nics", node, Gauged::of(&found.host.nics, |nics| Gauged::count(nics.len())));
    sheet.put("psus", node, Gauged::of(&found.host.psus, |psus| Gauged::count(psus.len())));
    let failed = |psus: &Vec<Psu>| Gauged::count(psus.iter().filter(|psu| !psu.ok).count());
    sheet.put("psus.failed", node, Gauged::of(&found.host.psus, failed));
    for (nth, psu) in (0..=u8::MAX).zip(found.host.psus.value().into_iter().flatten()) {
        sheet.put("psu.ok", Component::Psu(nth), Gauged::Flag(psu.ok));
    }
    match found.host.nics.value() {
        Some(nics) if !nics.is_empty() => put_nics(sheet, nics),
        // With no interface to be seen there is none to be slow, which must be told as well.
        _ => sheet.put("nic.usual", Component::Nic(0), Gauged::Unsupported),
    }
    sheet.put("nvmes", node, Gauged::of(&found.host.nvmes, |nvmes| Gauged::count(nvmes.len())));
}

/// Interfaces of one model run at one speed in one node.
fn put_nics(sheet: &mut Sheet<'_>, nics: &[Nic]) {
    for (nth, nic) in (0..=u8::MAX).zip(nics) {
        let component = Component::Nic(nth);
        let mut speeds: Vec<u32> =
            nics.iter().filter(|one| one.model == nic.model).filter_map(|one| one.speed_mb_per_s.get()).collect();
        speeds.sort_unstable();
        let usual = speeds.get(speeds.len() / 2).copied();
        sheet.put("nic.speed", component, Gauged::number_of(&nic.speed_mb_per_s));
        sheet.put(
            "nic.usual",
            component,
            Gauged::of(&nic.speed_mb_per_s, |speed| Gauged::Flag(usual.is_some_and(|usual| *speed >= usual))),
        );
    }
}

fn c2c_lacking(context: &StepContext<'_>, gpu: &Gpu) -> Gauged {
    let nominal = context.skus.get(&gpu.index).and_then(|sku| sku.fact_in("c2c.links", Unit::One));
    let lacking = |c2c: &C2c| {
        let links = nominal.unwrap_or(f64::from(c2c.links)).max(f64::from(c2c.links));
        Gauged::once((links - f64::from(c2c.links_active)).max(0.0))
    };
    Gauged::of(&gpu.c2c, lacking)
}

fn put_allowed(
    sheet: &mut Sheet<'_>,
    params: &Params,
    component: Component,
    identity: &GpuIdentity,
) -> Result<(), BadParameter> {
    for (param, measurement, reading) in [
        ("parts", "part.allowed", &identity.part_number),
        ("vbios", "vbios.allowed", &identity.vbios),
        ("inforom", "inforom.allowed", &identity.inforom),
        ("gsp", "gsp.allowed", &identity.gsp_firmware),
    ] {
        let found = match params.texts(param) {
            None => Gauged::Unsupported,
            Some(patterns) => told(Gauged::of(reading, matcher(param, patterns)?), param),
        };
        sheet.put(measurement, component, found);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{Rig, assert_complete, inventory, lines, raised, shown};
    use kiln_model::{GpuIndex, Reading};
    use kiln_profile::ParamValue;

    fn run(change: impl FnOnce(&mut Rig)) -> (Done, Rig) {
        let mut rig = Rig::new(&InventoryMatch, 4);
        change(&mut rig);
        (rig.run(&InventoryMatch), rig)
    }

    #[test]
    fn a_node_as_it_should_be_raises_nothing() {
        let (done, rig) = run(|_| {});
        assert_complete(&SPEC, &done, &rig.components);
        assert_eq!(raised(&done), [""; 0]);
        insta::assert_snapshot!(lines(&done, Component::Node), @r"
        gpus 4
        gpus.missing 0
        gpus.extra 0
        gpus.unclaimed 0
        gpus.off-bus 0
        slots.empty none
        slots.beyond 0
        driver 580.105.08
        cuda 13.0
        bios unsupported
        clock-source unsupported
        cpus unsupported
        memory.host unsupported
        dimms 32
        dimms.balanced true
        nics unsupported
        psus unsupported
        psus.failed unsupported
        nvmes unsupported
        nics.gone unsupported
        nvmes.gone unsupported
        dimms.gone 0
        psus.gone unsupported
        nics.missing unsupported
        nvmes.missing unsupported
        psus.missing unsupported
        dimms.missing unsupported
        memory.host.share unsupported
        bios.allowed unsupported
        ");
        insta::assert_snapshot!(lines(&done, Component::gpu(3)), @r"
        present true
        name Toy 80GB
        part 2330-885-A1
        vbios 96.00.74.00.01
        inforom G520.0200.00.05
        gsp 580.105.08
        subsystem 16c110de
        name.known true
        inforom.valid true
        memory 81559 MiB
        bar1 131072 MiB
        pcie.gen.max 5
        pcie.width.max 16
        numa 0
        c2c.lacking unsupported
        part.allowed unsupported
        vbios.allowed unsupported
        inforom.allowed unsupported
        gsp.allowed unsupported
        topology.regular true
        numa.regular true
        name.uniform true
        part.uniform true
        vbios.uniform true
        inforom.uniform true
        gsp.uniform true
        subsystem.uniform true
        serial.unique true
        uuid.unique true
        serial.expected unsupported
        ");
    }

    #[test]
    fn a_gpu_the_driver_does_not_list_is_counted_and_a_gap_names_it() {
        let (done, _) = run(|rig| {
            let mut found = inventory(4);
            found.gpus.remove(1);
            rig.inventory = found;
        });
        assert_eq!(shown(&done, Component::Node, "gpus.missing"), "1");
        assert_eq!(shown(&done, Component::Node, "gpus.unclaimed"), "1");
        assert_eq!(raised(&done), ["gpu/1 present"]);
    }

    #[test]
    fn a_bus_with_none_of_the_drivers_gpus_is_not_this_machines() {
        let (done, _) = run(|rig| rig.inventory.pci = Reading::Value(Vec::new()));
        assert!(shown(&done, Component::Node, "gpus.off-bus").starts_with("missing: ForeignBus"));
        assert!(shown(&done, Component::Node, "gpus.unclaimed").starts_with("missing: ForeignBus"));
        let (done, _) = run(|rig| {
            rig.inventory.pci = rig.inventory.pci.clone().map(|functions| functions[..3].to_vec());
        });
        assert_eq!(shown(&done, Component::Node, "gpus.off-bus"), "1");
    }

    #[test]
    fn the_odd_one_out_is_named_and_the_majority_is_not() {
        let (done, _) = run(|rig| {
            rig.inventory.gpus[2].identity.vbios = Reading::Value("96.00.68.00.01".to_owned());
            rig.inventory.gpus[3].identity.part_number = Reading::Value("2330-885-A2".to_owned());
        });
        assert_eq!(raised(&done), ["gpu/3 part.uniform", "gpu/2 vbios.uniform"]);
    }

    #[test]
    fn without_a_majority_every_gpu_is_named() {
        let (done, _) = run(|rig| {
            for gpu in &mut rig.inventory.gpus[..2] {
                gpu.identity.vbios = Reading::Value("96.00.68.00.01".to_owned());
            }
        });
        assert_eq!(raised(&done).len(), 4);
    }

    #[test]
    fn what_is_not_offered_or_not_read_is_not_uniform_but_unknown() {
        let (done, _) = run(|rig| {
            rig.inventory.gpus[0].identity.gsp_firmware = Reading::Unsupported;
            rig.inventory.gpus[1].identity.gsp_firmware = Reading::Failed(kiln_model::ReadingFailure::Timeout);
        });
        assert_eq!(shown(&done, Component::gpu(0), "gsp.uniform"), "unsupported");
        assert_eq!(shown(&done, Component::gpu(1), "gsp.uniform"), "missing: Read(Timeout)");
    }

    #[test]
    fn doubled_serials_name_both_gpus() {
        let (done, _) =
            run(|rig| rig.inventory.gpus[1].identity.serial = rig.inventory.gpus[0].identity.serial.clone());
        assert_eq!(raised(&done), ["gpu/0 serial.unique", "gpu/1 serial.unique"]);
    }

    #[test]
    fn two_gpus_of_a_board_with_a_processor_share_its_serial_and_three_do_not() {
        let sharing = |count: usize| {
            run(|rig| {
                for gpu in &mut rig.inventory.gpus {
                    gpu.c2c = Reading::Value(kiln_model::C2c { links: 5, links_active: 5, speed_mb_per_s: 44_712 });
                }
                for nth in 1..count {
                    rig.inventory.gpus[nth].identity.serial = rig.inventory.gpus[0].identity.serial.clone();
                }
            })
        };
        let (done, _) = sharing(2);
        assert_eq!(shown(&done, Component::gpu(0), "serial.unique"), "unsupported");
        assert_eq!(shown(&done, Component::gpu(2), "serial.unique"), "true");
        let (done, _) = sharing(3);
        assert_eq!(shown(&done, Component::gpu(0), "serial.unique"), "false");
    }

    #[test]
    fn lists_are_held_against_every_gpu() {
        let list = |texts: &[&str]| ParamValue::Texts(texts.iter().map(|text| (*text).to_owned()).collect());
        let (done, _) = run(|rig| {
            rig.set("vbios", list(&[r"^96\.00\.74\."]));
            rig.set("serials", list(&["1650000", "1650001", "1650002"]));
        });
        assert_eq!(raised(&done), ["gpu/3 serial.expected"]);
        let (done, _) = run(|rig| rig.set("vbios", list(&["("])));
        assert!(matches!(done, Done::Failed { why: Reason::Parameter(_), .. }), "{done:?}");
    }

    #[test]
    fn what_the_parts_list_asks_for_is_counted_and_what_cannot_be_told_is_missing() {
        let list = ParamValue::Texts(vec!["^2[.]".to_owned()]);
        let (done, _) = run(|rig| {
            rig.set("dimms", ParamValue::Count(33));
            rig.set("nics", ParamValue::Count(9));
            rig.set("bios", list);
            rig.inventory.node.bios = Reading::Value("1.9.0".to_owned());
        });
        assert_eq!(shown(&done, Component::Node, "dimms.missing"), "1");
        assert_eq!(shown(&done, Component::Node, "nics.missing"), "missing: NotTold { param: \"nics\" }");
        assert_eq!(shown(&done, Component::Node, "psus.missing"), "unsupported");
        assert_eq!(raised(&done), ["node bios.allowed"]);
    }

    #[test]
    fn an_empty_slot_and_a_gpu_at_the_wrong_place_are_seen() {
        let (done, _) = run(|rig| {
            rig.inventory.gpus.remove(2);
            rig.inventory.gpus[2].index = GpuIndex(2);
        });
        assert_eq!(shown(&done, Component::Node, "slots.empty"), "3");
        let (done, _) = run(|rig| {
            rig.inventory.gpus[1].identity.pci_address = Reading::Value("0000000F:20:00.0".to_owned());
            rig.inventory.gpus[3].pcie.numa_node = Reading::Value(255);
        });
        assert_eq!(raised(&done), ["gpu/1 topology.regular", "gpu/3 numa.regular"]);
    }
}
