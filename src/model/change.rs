//! What of a node is not what it was: two inventories held against each other, part by part and fact by fact.
//!
//! Only what a node keeps over a reboot is compared. Modes, limits and states of links come and go; checks look at those.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use super::{Component, Gpu, GpuIndex, Host, Inventory, LinkState, NvLink, Reading, ReadingFailure, Remote};

/// One fact about one part that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub component: Component,
    pub fact: Fact,
    pub was: FactState,
    pub is: FactState,
}

/// What a fact is known to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FactState {
    /// In the fact's own unit.
    Value(String),
    There,
    NotThere,
    /// One of a list of parts, where the whole list can no longer be read.
    OneOf(usize),
    Unsupported,
    Unread(ReadingFailure),
}

impl FactState {
    /// A value as it is written.
    pub fn value(value: impl Display) -> Self {
        Self::Value(value.to_string())
    }

    fn of<T: Display>(reading: &Reading<T>) -> Self {
        match reading {
            Reading::Value(value) => Self::value(value),
            Reading::Unsupported => Self::Unsupported,
            Reading::Failed(failure) => Self::Unread(*failure),
        }
    }
}

impl Display for FactState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => f.write_str(value),
            Self::There => f.write_str("there"),
            Self::NotThere => f.write_str("not there"),
            Self::OneOf(count) => write!(f, "one of {count}"),
            Self::Unsupported => f.write_str("unsupported"),
            Self::Unread(failure) => failure.fmt(f),
        }
    }
}

/// What about a part has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    /// Whether the part is there at all.
    Present,
    /// Whether the GPU answers when it is asked who it is.
    Answers,
    Model,
    Serial,
    BoardSerial,
    Uuid,
    Name,
    PartNumber,
    PciAddress,
    PciDevice,
    PciSubsystem,
    /// The number by which the driver counts the GPU.
    Index,
    Vbios,
    Inforom,
    GspFirmware,
    Bios,
    Driver,
    Cuda,
    Memory,
    Bar1,
    PcieGeneration,
    PcieWidth,
    LinksActive,
    LinkSpeed,
    LinkEnds,
    C2cLinks,
    Cpu,
    Cpus,
    Dimms,
    ClockSource,
    Speed,
    Works,
    Capacity,
    /// The contents of the files that a simulated node is made from.
    Files,
}

impl Fact {
    /// One word that names the fact, as measurements are named.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Answers => "answers",
            Self::Model => "model",
            Self::Serial => "serial",
            Self::BoardSerial => "serial.board",
            Self::Uuid => "uuid",
            Self::Name => "name",
            Self::PartNumber => "part",
            Self::PciAddress => "pci.address",
            Self::PciDevice => "pci.device",
            Self::PciSubsystem => "subsystem",
            Self::Index => "index",
            Self::Vbios => "vbios",
            Self::Inforom => "inforom",
            Self::GspFirmware => "gsp",
            Self::Bios => "bios",
            Self::Driver => "driver",
            Self::Cuda => "cuda",
            Self::Memory => "memory",
            Self::Bar1 => "bar1",
            Self::PcieGeneration => "pcie.gen.max",
            Self::PcieWidth => "pcie.width.max",
            Self::LinksActive => "links.active",
            Self::LinkSpeed => "links.speed",
            Self::LinkEnds => "links.ends",
            Self::C2cLinks => "c2c.active",
            Self::Cpu => "cpu",
            Self::Cpus => "cpus",
            Self::Dimms => "dimms",
            Self::ClockSource => "clock-source",
            Self::Speed => "speed",
            Self::Works => "works",
            Self::Capacity => "capacity",
            Self::Files => "files",
        }
    }
}

impl Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was {}, is {}", self.fact.word(), self.was, self.is)
    }
}

/// The kernel counts the host's memory without what it keeps for itself, which differs by some megabytes from one start to
/// the next; one module of 32 is 3 %.
const HOST_MEMORY_PERCENT: u64 = 1;

/// What of `before` is another part, less or gone `now`. GPUs in `gone` are known to answer no more and are left out.
pub fn changes(before: &Inventory, now: &Inventory, gone: &BTreeSet<GpuIndex>) -> Vec<Change> {
    let mut list = List::default();
    list.node(before, now);
    list.host(&before.host, &now.host);
    let pairs = paired(before, now);
    for gpu in before.gpus.iter().filter(|gpu| !gone.contains(&gpu.index)) {
        match pairs.get(&gpu.index) {
            Some(found) => list.gpu(gpu, found),
            None => list.add(Component::Gpu(gpu.index), Fact::Present, named(gpu), FactState::NotThere),
        }
    }
    let known: BTreeSet<GpuIndex> = pairs.values().map(|gpu| gpu.index).collect();
    for gpu in now.gpus.iter().filter(|gpu| !known.contains(&gpu.index)) {
        list.add(Component::Gpu(gpu.index), Fact::Present, FactState::NotThere, named(gpu));
    }
    list.0
}

/// Whether anything that only one node can have is read on both sides and is the same: a serial number or a UUID.
pub fn is_recognised(before: &Inventory, now: &Inventory) -> bool {
    let same = |one: &Reading<String>, two: &Reading<String>| one.value().is_some() && one.value() == two.value();
    let gpu = |gpu: &Gpu| {
        let identity = &gpu.identity;
        now.gpus
            .iter()
            .any(|other| same(&identity.uuid, &other.identity.uuid) || same(&identity.serial, &other.identity.serial))
    };
    same(&before.node.serial, &now.node.serial)
        || same(&before.node.board_serial, &now.node.board_serial)
        || before.gpus.iter().any(gpu)
}

/// Which GPU of `now` is which of `before`: by UUID, else by its place on the bus, else, where neither can be read, by its
/// number.
fn paired<'n>(before: &Inventory, now: &'n Inventory) -> BTreeMap<GpuIndex, &'n Gpu> {
    let mut pairs: BTreeMap<GpuIndex, &Gpu> = BTreeMap::new();
    let mut taken: BTreeSet<GpuIndex> = BTreeSet::new();
    let ways: [fn(&Gpu, &Gpu) -> bool; 3] = [
        |one, two| equal(&one.identity.uuid, &two.identity.uuid),
        |one, two| equal(&one.identity.pci_address, &two.identity.pci_address),
        |one, two| {
            let placeless = one.identity.pci_address.value().is_none() || two.identity.pci_address.value().is_none();
            placeless && one.index == two.index
        },
    ];
    for is_same in ways {
        for gpu in &before.gpus {
            if pairs.contains_key(&gpu.index) {
                continue;
            }
            let found = now.gpus.iter().filter(|other| is_same(gpu, other) && !taken.contains(&other.index));
            // Two GPUs may show one UUID: then the one with the same number is meant.
            if let Some(found) = found.min_by_key(|other| other.index != gpu.index) {
                taken.insert(found.index);
                pairs.insert(gpu.index, found);
            }
        }
    }
    pairs
}

fn equal(one: &Reading<String>, two: &Reading<String>) -> bool {
    one.value().is_some() && one.value() == two.value()
}

/// What a GPU is called: by what identifies it, as far as that can be read.
fn named(gpu: &Gpu) -> FactState {
    let identity = &gpu.identity;
    let known = [&identity.serial, &identity.uuid, &identity.pci_address].into_iter().find_map(Reading::value);
    known.map_or(FactState::There, FactState::value)
}

/// Whether nothing that a GPU keeps can be read of it.
fn is_silent(gpu: &Gpu) -> bool {
    let identity = &gpu.identity;
    [&identity.name, &identity.serial, &identity.uuid, &identity.vbios].into_iter().all(|text| text.value().is_none())
        && gpu.memory_mib.value().is_none()
}

#[derive(Default)]
struct List(Vec<Change>);

impl List {
    fn add(&mut self, component: Component, fact: Fact, was: FactState, is: FactState) {
        self.0.push(Change { component, fact, was, is });
    }

    /// What could not be read before cannot be compared; what can no longer be read is not the same.
    fn compare<T: PartialEq + Display>(&mut self, at: Component, fact: Fact, was: &Reading<T>, is: &Reading<T>) {
        if let Reading::Value(before) = was
            && is.value() != Some(before)
        {
            self.add(at, fact, FactState::value(before), FactState::of(is));
        }
    }

    /// As [`List::compare`], of what is worse only when there is less of it.
    fn compare_least<T: PartialOrd + Display>(&mut self, at: Component, fact: Fact, was: &Reading<T>, is: &Reading<T>) {
        if let Reading::Value(before) = was
            && is.value().is_none_or(|now| now < before)
        {
            self.add(at, fact, FactState::value(before), FactState::of(is));
        }
    }

    fn node(&mut self, before: &Inventory, now: &Inventory) {
        let node = Component::Node;
        for (fact, was, is) in [
            (Fact::Model, &before.node.model, &now.node.model),
            (Fact::Serial, &before.node.serial, &now.node.serial),
            (Fact::BoardSerial, &before.node.board_serial, &now.node.board_serial),
            (Fact::Bios, &before.node.bios, &now.node.bios),
            (Fact::Driver, &before.driver, &now.driver),
            (Fact::Cuda, &before.cuda, &now.cuda),
        ] {
            self.compare(node, fact, was, is);
        }
    }

    fn host(&mut self, before: &Host, now: &Host) {
        let node = Component::Node;
        self.compare(node, Fact::Cpu, &before.cpu_model, &now.cpu_model);
        self.compare(node, Fact::Cpus, &before.cpus, &now.cpus);
        self.compare(node, Fact::Dimms, &before.dimms, &now.dimms);
        self.compare(node, Fact::ClockSource, &before.clock_source, &now.clock_source);
        if let Reading::Value(was) = before.memory_mib {
            let near = |is: &u64| is.abs_diff(was) * 100 <= was * HOST_MEMORY_PERCENT;
            if !now.memory_mib.value().is_some_and(near) {
                self.add(
                    node,
                    Fact::Memory,
                    FactState::value(format!("{was} MiB")),
                    FactState::of(&now.memory_mib.map(|mib| format!("{mib} MiB"))),
                );
            }
        }
        self.nics(before, now);
        self.drives(before, now);
        self.supplies(before, now);
    }

    fn nics(&mut self, before: &Host, now: &Host) {
        let (Some(was), Some(is)) = self.lists(Component::Nic(0), &before.nics, &now.nics) else { return };
        for (nth, nic) in (0..=u8::MAX).zip(was) {
            let at = Component::Nic(nth);
            match is.iter().find(|other| other.name == nic.name) {
                None => self.add(at, Fact::Present, FactState::value(&nic.name), FactState::NotThere),
                Some(found) => {
                    if found.model != nic.model {
                        self.add(at, Fact::Model, FactState::value(&nic.model), FactState::value(&found.model));
                    }
                    self.compare_least(at, Fact::Speed, &nic.speed_mb_per_s, &found.speed_mb_per_s);
                }
            }
        }
        for (nth, nic) in (0..=u8::MAX).zip(is) {
            if !was.iter().any(|other| other.name == nic.name) {
                self.add(Component::Nic(nth), Fact::Present, FactState::NotThere, FactState::value(&nic.name));
            }
        }
    }

    fn drives(&mut self, before: &Host, now: &Host) {
        let (Some(was), Some(is)) = self.lists(Component::Nvme(0), &before.nvmes, &now.nvmes) else { return };
        let called = |drive: &super::Nvme| format!("{} {}", drive.model, drive.serial);
        for (nth, drive) in (0..=u8::MAX).zip(was) {
            if !is.iter().any(|other| (&other.model, &other.serial) == (&drive.model, &drive.serial)) {
                self.add(Component::Nvme(nth), Fact::Present, FactState::value(called(drive)), FactState::NotThere);
            }
        }
        for (nth, drive) in (0..=u8::MAX).zip(is) {
            if !was.iter().any(|other| (&other.model, &other.serial) == (&drive.model, &drive.serial)) {
                self.add(Component::Nvme(nth), Fact::Present, FactState::NotThere, FactState::value(called(drive)));
            }
        }
    }

    fn supplies(&mut self, before: &Host, now: &Host) {
        let (Some(was), Some(is)) = self.lists(Component::Psu(0), &before.psus, &now.psus) else { return };
        for nth in 0..was.len().max(is.len()) {
            let at = Component::Psu(u8::try_from(nth).unwrap_or(u8::MAX));
            match (was.get(nth), is.get(nth)) {
                (Some(one), Some(two)) => {
                    if one.ok && !two.ok {
                        self.add(at, Fact::Works, FactState::value(one.ok), FactState::value(two.ok));
                    }
                    self.compare(at, Fact::Capacity, &one.capacity_watts, &two.capacity_watts);
                }
                (Some(_), None) => self.add(at, Fact::Present, FactState::There, FactState::NotThere),
                (None, _) => self.add(at, Fact::Present, FactState::NotThere, FactState::There),
            }
        }
    }

    /// Both lists where both can be read; a list that can no longer be read is told of the first part.
    fn lists<'l, T>(
        &mut self,
        first: Component,
        was: &'l Reading<Vec<T>>,
        is: &'l Reading<Vec<T>>,
    ) -> (Option<&'l Vec<T>>, Option<&'l Vec<T>>) {
        if let (Some(before), None) = (was.value(), is.value()) {
            let why = match is {
                Reading::Failed(why) => FactState::Unread(*why),
                _ => FactState::Unsupported,
            };
            self.add(first, Fact::Present, FactState::OneOf(before.len()), why);
        }
        (was.value(), is.value())
    }

    fn gpu(&mut self, before: &Gpu, now: &Gpu) {
        let gpu = Component::Gpu(before.index);
        if is_silent(now) && !is_silent(before) {
            self.add(gpu, Fact::Answers, named(before), FactState::of(&now.identity.uuid));
            return;
        }
        let (was, is) = (&before.identity, &now.identity);
        for (fact, was, is) in [
            (Fact::Name, &was.name, &is.name),
            (Fact::Serial, &was.serial, &is.serial),
            (Fact::Uuid, &was.uuid, &is.uuid),
            (Fact::PartNumber, &was.part_number, &is.part_number),
            (Fact::PciAddress, &was.pci_address, &is.pci_address),
            (Fact::PciDevice, &was.pci_device, &is.pci_device),
            (Fact::PciSubsystem, &was.pci_subsystem, &is.pci_subsystem),
            (Fact::Vbios, &was.vbios, &is.vbios),
            (Fact::Inforom, &was.inforom, &is.inforom),
            (Fact::GspFirmware, &was.gsp_firmware, &is.gsp_firmware),
        ] {
            self.compare(gpu, fact, was, is);
        }
        if before.index != now.index {
            self.add(gpu, Fact::Index, FactState::value(before.index.0), FactState::value(now.index.0));
        }
        self.compare(gpu, Fact::Memory, &before.memory_mib, &now.memory_mib);
        self.compare(gpu, Fact::Bar1, &before.bar1_mib, &now.bar1_mib);
        self.compare(gpu, Fact::PcieGeneration, &before.pcie.max_generation, &now.pcie.max_generation);
        self.compare(gpu, Fact::PcieWidth, &before.pcie.max_width, &now.pcie.max_width);
        let active = |links: &Vec<NvLink>| links.iter().filter(|link| is_up(link)).count();
        let (links_were, links_are) = (before.nvlinks.as_ref(), now.nvlinks.as_ref());
        self.compare_least(gpu, Fact::LinksActive, &links_were.map(active), &links_are.map(active));
        if let (Some(was), Some(is)) = (before.nvlinks.value(), now.nvlinks.value()) {
            self.links(gpu, was, is);
        }
        let chips = |gpu: &Gpu| gpu.c2c.map(|c2c| c2c.links_active);
        self.compare_least(gpu, Fact::C2cLinks, &chips(before), &chips(now));
    }

    /// The links that were up and are: how fast, and to where.
    fn links(&mut self, gpu: Component, before: &[NvLink], now: &[NvLink]) {
        let mut slower = Vec::new();
        let mut moved = Vec::new();
        for was in before.iter().filter(|link| is_up(link)) {
            let Some(is) = now.iter().find(|is| is.link == was.link && is_up(is)) else { continue };
            if let (Some(old), Some(new)) = (was.speed_mb_per_s.get(), is.speed_mb_per_s.get())
                && new < old
            {
                slower.push((was.link, format!("{old} MB/s"), format!("{new} MB/s")));
            }
            if let (Some(old), Some(new)) = (was.remote.value(), is.remote.value())
                && old != new
            {
                moved.push((was.link, end(old), end(new)));
            }
        }
        for (fact, list) in [(Fact::LinkSpeed, slower), (Fact::LinkEnds, moved)] {
            let told = |side: fn(&(u8, String, String)) -> &String| {
                let all: Vec<String> = list.iter().map(|one| format!("{} on link {}", side(one), one.0)).collect();
                all.join(", ")
            };
            if !list.is_empty() {
                self.add(gpu, fact, FactState::value(told(|one| &one.1)), FactState::value(told(|one| &one.2)));
            }
        }
    }
}

fn is_up(link: &NvLink) -> bool {
    link.state == Reading::Value(LinkState::Active)
}

fn end(remote: &Remote) -> String {
    match remote {
        Remote::Gpu(gpu) => Component::Gpu(*gpu).to_string(),
        Remote::Switch { number, port } => format!("switch/{number} port {port}"),
        Remote::Cpu(number) => Component::Cpu(*number).to_string(),
        Remote::Other(address) => address.clone(),
    }
}
