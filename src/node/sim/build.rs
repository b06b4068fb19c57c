//! From a kind of node to one healthy node: constants shared by its GPUs, and single parts drawn from the seed.
//!
//! Faults come on top of what is built here; how parts behave in time is left to `gpu` and `station`.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the model computes in floats, and its counters, words and addresses are whole numbers within their range"
)]

use std::collections::BTreeMap;

use super::draw::{Draw, Property};
use super::file::{KernelSection, Medium, NodeFile};
use super::noise::Noise;
use super::parameter::{
    GpuParameter as G, GpuValues, LinkParameter as L, LinkValues, SiteParameter as S, SiteValues, Word,
};
use kiln_model::{BurnKernel, Component, ComponentKind};

/// Constants of one kind of GPU that no fault changes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kind {
    pub(super) power_min: f64,
    pub(super) power_max: f64,
    /// The limit that parts come with.
    pub(super) power_limit: f64,
    pub(super) idle_memory: f64,
    pub(super) leakage_growth: f64,
    pub(super) capacitance: f64,
    pub(super) regulator_loss: f64,
    pub(super) memory_watts: f64,
    pub(super) lowest_clock: f64,
    pub(super) idle_clock: f64,
    pub(super) max_clock: f64,
    pub(super) knee: f64,
    pub(super) low_volts: f64,
    pub(super) volts_slope: f64,
    pub(super) nominal_volts: f64,
    pub(super) kernels: [Kernel; 4],
    pub(super) memory_sensor: bool,
    /// Whether the driver tells how far a part is from slowing down.
    pub(super) margin_sensor: bool,
    pub(super) sms: u64,
    pub(super) pcie_idle_generation: f64,
    pub(super) slowdown_over: f64,
    pub(super) shutdown_over: f64,
    pub(super) operating_over: f64,
    pub(super) capacity: [f64; 3],
    pub(super) bridge: f64,
    pub(super) flow_exponent: f64,
    pub(super) pair_efficiency: f64,
    pub(super) all_efficiency: f64,
    pub(super) xid_of_link: u32,
}

/// What a burn with one kind of number does to a GPU.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Kernel {
    pub(super) flop_per_clock: f64,
    pub(super) efficiency: f64,
    pub(super) activity: f64,
    pub(super) memory: f64,
}

impl Kind {
    pub(super) const fn kernel(&self, kernel: BurnKernel) -> Kernel {
        self.kernels[kernel as usize]
    }

    /// Voltage for a clock, of a part in the middle of its kind.
    pub(super) fn volts(&self, clock: f64) -> f64 {
        self.low_volts + self.volts_slope * (clock - self.knee).max(0.0)
    }

    fn of(file: &NodeFile) -> Self {
        let kernel = |section: KernelSection| Kernel {
            flop_per_clock: section.flop_per_clock,
            efficiency: section.efficiency,
            activity: section.activity,
            memory: section.memory,
        };
        let (power, clocks, thermal) = (&file.power, &file.clocks, &file.thermal);
        let nvlink = file.nvlink.as_ref();
        Self {
            power_min: power.min,
            power_max: power.max.unwrap_or(power.limit),
            power_limit: power.limit,
            idle_memory: power.idle_memory,
            leakage_growth: power.leakage_growth,
            capacitance: power.capacitance,
            regulator_loss: power.regulator_loss,
            memory_watts: power.memory_watt_per_gb_s,
            lowest_clock: clocks.lowest,
            idle_clock: clocks.idle,
            max_clock: clocks.max,
            knee: clocks.knee,
            low_volts: clocks.low_volts,
            volts_slope: (clocks.high_volts - clocks.low_volts) / (clocks.max - clocks.knee),
            nominal_volts: f64::midpoint(clocks.low_volts, clocks.high_volts),
            kernels: [
                kernel(file.arithmetic.bf16),
                kernel(file.arithmetic.fp8),
                kernel(file.arithmetic.fp32),
                kernel(file.arithmetic.fp64),
            ],
            memory_sensor: file.memory.sensor,
            margin_sensor: !file.thermal.absolute,
            sms: u64::from(file.gpu.sms),
            pcie_idle_generation: f64::from(file.pcie.idle_generation),
            slowdown_over: -thermal.slowdown_offset,
            shutdown_over: -thermal.shutdown_offset,
            operating_over: -thermal.operating_offset,
            capacity: [thermal.die_capacity, thermal.memory_capacity, thermal.plate_capacity],
            bridge: thermal.bridge,
            flow_exponent: thermal.flow_exponent,
            pair_efficiency: nvlink.map_or(0.0, |nvlink| nvlink.pair_efficiency),
            all_efficiency: nvlink.map_or(0.0, |nvlink| nvlink.all_efficiency),
            // Hopper and older report a failed link as Xid 74; from the fifth generation (over 50 GB/s) it is Xid 149.
            xid_of_link: if nvlink.is_some_and(|nvlink| nvlink.speed > 50_000.0) { 149 } else { 74 },
        }
    }
}

/// One GPU as it left its maker, in the slot where it was put.
#[derive(Debug, Clone)]
pub(super) struct GpuPart {
    /// The slot, counted as in the node file.
    pub(super) slot: usize,
    pub(super) values: GpuValues,
    pub(super) links: Vec<LinkValues>,
    pub(super) words: BTreeMap<Word, String>,
    /// Totals that a used part comes with.
    pub(super) replays: u64,
    pub(super) hours: f64,
}

/// A healthy node.
#[derive(Debug, Clone)]
pub(super) struct Build {
    pub(super) kind: Kind,
    pub(super) gpus: Vec<GpuPart>,
    pub(super) site: BTreeMap<Component, SiteValues>,
    pub(super) serial: String,
}

/// Streams of the seed: 0 for what concerns the node, then one for each GPU, then those of `gpu` and `fault`.
const NODE_STREAM: u64 = 0;
const PART_STREAM: u64 = 100;
/// What the parts of one delivery share.
const LOT_STREAM: u64 = 70;

impl Build {
    pub(super) fn new(file: &NodeFile, seed: u64) -> Self {
        let mut noise = Noise::new(seed, NODE_STREAM);
        let lot = 1_650_000_000_000 + noise.below(40_000_000) * 1000;
        let board = lot + 500;
        Self {
            kind: Kind::of(file),
            gpus: (0..file.slots.len()).map(|slot| GpuPart::draw(file, slot, seed, lot)).collect(),
            site: site(file),
            serial: format!("SIMN{board:013}"),
        }
    }

    /// Whether the node has this component.
    pub(super) fn has(&self, component: Component) -> bool {
        match component {
            Component::Node | Component::Station => true,
            Component::Gpu(gpu) | Component::Pcie(gpu) | Component::Memory(gpu) => gpu.at() < self.gpus.len(),
            Component::NvLink(gpu, link) => {
                self.gpus.get(gpu.at()).is_some_and(|part| usize::from(link) < part.links.len())
            }
            Component::Pair(from, to) => from != to && from.at() < self.gpus.len() && to.at() < self.gpus.len(),
            other => self.site.contains_key(&other),
        }
    }
}

impl GpuPart {
    fn draw(file: &NodeFile, slot: usize, seed: u64, lot: u64) -> Self {
        let mut noise = Noise::new(seed, PART_STREAM + slot as u64);
        let values = draw_values(file, slot, &mut noise, Noise::new(seed, LOT_STREAM));
        let links = file
            .nvlink
            .as_ref()
            .map(|nvlink| draw_links(nvlink.speed, &nvlink.links_to_switch, slot))
            .unwrap_or_default();
        let serial = lot + 1 + slot as u64 / u64::from(file.gpu.per_board.max(1));
        let [a, b] = [noise.bits(), noise.bits()];
        let uuid = format!(
            "GPU-{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xffff,
            b >> 48,
            b & 0xffff_ffff_ffff
        );
        let place = &file.slots[slot];
        let gpu = &file.gpu;
        let words = BTreeMap::from([
            (Word::Name, gpu.name.clone()),
            (Word::PciAddress, place.address.clone()),
            (Word::PciDevice, gpu.pci_device.clone()),
            (Word::PciSubsystem, gpu.pci_subsystem.clone()),
            (Word::Slot, place.module.clone()),
            (Word::Serial, format!("SIM{serial}")),
            (Word::Uuid, uuid),
            (Word::PartNumber, gpu.part_number.clone()),
            (Word::Vbios, gpu.vbios.clone()),
            (Word::Inforom, gpu.inforom.clone()),
            (Word::GspFirmware, file.driver.version.clone()),
        ]);
        // Replays of bring-up: 106 to 174 in the capture of a Hopper node that had run for weeks.
        let replays = 100 + noise.below(80);
        Self { slot, values, links, words, replays, hours: 20.0 + 200.0 * noise.uniform() }
    }
}

fn draw_values(file: &NodeFile, slot: usize, noise: &mut Noise, lot: Noise) -> GpuValues {
    use Property::{Cooling, Electrical, Rate, Rest};
    let spread = &file.spread;
    let mut draw = Draw::new(file.drawn_as, noise, lot);
    let mut around = |middle: f64, share: f64, property| draw.around(middle, share, property);
    let (power, thermal) = (&file.power, &file.thermal);
    let volts = f64::midpoint(file.clocks.low_volts, file.clocks.high_volts);
    // What of the idle power is leakage at 30 °C and the voltage of the idle clock.
    let idle_volts = Kind::of(file).volts(file.clocks.idle);
    let leaking = power.leakage
        * libm::exp((30.0 - 60.0) / power.leakage_growth)
        * (idle_volts / volts).powi(2)
        * (1.0 + power.regulator_loss);
    let mut values = GpuValues::default();
    let mut put = |parameter: G, value: f64| {
        let spec = parameter.spec();
        values[parameter] = value.clamp(spec.low, spec.high);
    };
    put(G::Present, 1.0);
    put(G::Enumerated, 1.0);
    put(G::IdlePower, around(power.idle, spread.idle, Rest) - leaking);
    put(G::Leakage, around(power.leakage, spread.leakage, Electrical));
    put(G::DynamicPower, around(1.0, spread.dynamic, Electrical));
    put(G::PowerLimit, power.limit);
    put(G::BrakeAbove, G::BrakeAbove.spec().high);
    put(G::ClockCeiling, file.clocks.max);
    put(G::ApplicationClock, file.clocks.max);
    put(G::VoltageShift, around(1.0, spread.voltage, Electrical));
    put(G::MemoryClock, file.clocks.memory);
    put(G::Contact, around(thermal.contact, spread.cooling, Cooling));
    put(G::ContactMemory, around(thermal.contact_memory, spread.cooling, Cooling));
    put(G::Sink, around(thermal.sink, spread.cooling, Cooling));
    put(G::SlowdownTemperature, thermal.slowdown);
    put(G::Efficiency, around(1.0, spread.efficiency, Rate));
    put(G::PowerScale, 1.0);
    put(G::EnergyScale, 1.0);
    put(G::TempMost, G::TempMost.spec().high);
    put(G::PowerMost, G::PowerMost.spec().high);
    put(G::StackSpeed, 1.0);
    put(G::PcieToGpu, 1.0);
    put(G::PcieToHost, 1.0);
    put(G::Ecc, 1.0);
    put(G::EccPending, 1.0);
    put(G::Persistence, 1.0);
    put(G::InforomValid, 1.0);
    put(G::FabricState, 2.0);
    put(G::FabricHealth, file.fabric.as_ref().and_then(|fabric| fabric.health_mask).map_or(0.0, f64::from));
    put(G::C2cActive, file.c2c.as_ref().map_or(0.0, |c2c| f64::from(c2c.links)));
    put(G::MemorySize, file.memory.size);
    put(G::MemoryBandwidth, around(file.memory.bandwidth, spread.bandwidth, Rate));
    put(G::CorrectedRate, file.memory.corrected_rate);
    put(G::SpareRows, file.memory.spare_rows);
    put(G::PcieGeneration, f64::from(file.pcie.generation));
    put(G::PcieWidth, f64::from(file.pcie.width));
    put(G::PcieEfficiency, around(file.pcie.efficiency, spread.bandwidth, Rate));
    put(G::PcieReplayRate, file.pcie.replays_per_tb);
    put(G::PcieP2p, 1.0);
    put(G::Bar1, file.pcie.bar1);
    put(G::Numa, f64::from(file.slots[slot].numa));
    values
}

fn draw_links(speed: f64, links_to_switch: &[u8], slot: usize) -> Vec<LinkValues> {
    let mut links = Vec::new();
    for (switch, count) in links_to_switch.iter().enumerate() {
        for nth in 0..*count {
            let mut values = LinkValues::default();
            values[L::Active] = 1.0;
            values[L::Speed] = speed;
            values[L::SpeedOut] = 1.0;
            values[L::SpeedIn] = 1.0;
            values[L::RemoteSwitch] = switch as f64;
            // Each GPU has its own run of ports on each switch.
            values[L::RemotePort] = (slot * usize::from(*count) + usize::from(nth)) as f64;
            links.push(values);
        }
    }
    links
}

fn site(file: &NodeFile) -> BTreeMap<Component, SiteValues> {
    let mut site = BTreeMap::new();
    let mut put = |component: Component, values: &[(S, f64)]| {
        let mut all = SiteValues::default();
        for (parameter, value) in values {
            all[*parameter] = *value;
        }
        site.insert(component, all);
    };
    put(Component::Station, &[(S::Inlet, file.cooling.inlet)]);
    let sources = super::sources::PARAMETERS.map(|(parameter, _)| (parameter, 1.0));
    put(Component::Node, &[&[(S::HostMemory, file.host.memory), (S::SharedCapacity, 1.0)][..], &sources[..]].concat());
    for branch in 0..file.cooling.branches {
        put(Component::CoolingBranch(branch), &[(S::Flow, 1.0)]);
    }
    if let (Some(fans), Medium::Air) = (&file.cooling.fans, file.cooling.medium) {
        for fan in 0..fans.per_branch * file.cooling.branches {
            put(Component::Fan(fan), &[(S::FanSpeed, 1.0)]);
        }
    }
    if let Some(nvlink) = file.nvlink.as_ref().filter(|nvlink| nvlink.local_switches) {
        for switch in 0..nvlink.links_to_switch.len() as u8 {
            put(Component::Switch(switch), &[(S::SwitchBandwidth, 1.0)]);
        }
    }
    let gpus = 0..file.slots.len() as u8;
    for from in gpus.clone().map(kiln_model::GpuIndex) {
        for to in gpus.clone().map(kiln_model::GpuIndex).filter(|to| *to != from) {
            put(Component::Pair(from, to), &[(S::PairSpeed, 1.0)]);
        }
    }
    for psu in 0..file.host.psus {
        put(Component::Psu(psu), &[(S::Capacity, file.host.psu_capacity), (S::SupplyState, 1.0)]);
    }
    for dimm in 0..file.host.dimms {
        put(Component::Dimm(dimm), &[(S::DimmPresent, 1.0)]);
    }
    for nic in 0..file.host.nics.count {
        let width = file.host.nics.ports.as_ref().map_or(1.0, |ports| f64::from(ports.width));
        let port = [(S::PortUp, 1.0), (S::PortWidth, width)];
        put(Component::Nic(nic), &[&[(S::NicPresent, 1.0), (S::NicSpeed, file.host.nic_speed)][..], &port].concat());
    }
    for nvme in 0..file.host.nvmes.count {
        put(Component::Nvme(nvme), &[(S::NvmePresent, 1.0)]);
    }
    site
}

/// The components of one kind that a node has, in order.
pub(super) fn components(build: &Build, kind: ComponentKind) -> Vec<Component> {
    let gpus = 0..build.gpus.len() as u8;
    match kind {
        ComponentKind::Node => vec![Component::Node],
        ComponentKind::Station => vec![Component::Station],
        ComponentKind::Gpu => gpus.map(Component::gpu).collect(),
        ComponentKind::Pcie => gpus.map(|gpu| Component::Pcie(kiln_model::GpuIndex(gpu))).collect(),
        ComponentKind::Memory => gpus.map(|gpu| Component::Memory(kiln_model::GpuIndex(gpu))).collect(),
        ComponentKind::NvLink => gpus
            .flat_map(|gpu| {
                let links = build.gpus[usize::from(gpu)].links.len() as u8;
                (0..links).map(move |link| Component::NvLink(kiln_model::GpuIndex(gpu), link))
            })
            .collect(),
        other => build.site.keys().copied().filter(|component| component.kind() == other).collect(),
    }
}
