//! What of the model a fault may change: every parameter with its name, unit, component and range.
//!
//! Names are those of fault files. The healthy value of a parameter comes from the node file and the seed; what a fault
//! does to it is clamped to the range here, so that no severity makes a part that cannot exist.

use kiln_model::{ComponentKind, Unit};

/// What changing a parameter means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// It holds while the fault is active.
    Level,
    /// Each time the fault becomes active this many of them happen at once.
    Event,
    /// Each time the fault becomes active a kernel message with this code is logged.
    Code,
}

/// Everything there is to know of one parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParameterSpec {
    pub name: &'static str,
    pub unit: Unit,
    /// What has it.
    pub component: ComponentKind,
    pub low: f64,
    pub high: f64,
    pub meaning: Meaning,
    pub about: &'static str,
}

macro_rules! parameters {
    ($(#[$doc:meta])* $table:ident; $($variant:ident $name:literal $component:ident $unit:ident $low:literal .. $high:literal $meaning:ident $about:literal;)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $table { $(#[doc = $about] $variant,)* }

        impl $table {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            pub const COUNT: usize = Self::ALL.len();

            pub const fn spec(self) -> ParameterSpec {
                match self {
                    $(Self::$variant => ParameterSpec {
                        name: $name,
                        unit: Unit::$unit,
                        component: ComponentKind::$component,
                        low: $low,
                        high: $high,
                        meaning: Meaning::$meaning,
                        about: $about,
                    },)*
                }
            }
        }

        impl std::ops::Index<$table> for Values<{ $table::COUNT }> {
            type Output = f64;

            fn index(&self, parameter: $table) -> &f64 {
                &self.0[parameter as usize]
            }
        }

        impl std::ops::IndexMut<$table> for Values<{ $table::COUNT }> {
            fn index_mut(&mut self, parameter: $table) -> &mut f64 {
                &mut self.0[parameter as usize]
            }
        }
    };
}

/// The values of one table's parameters, of one component.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Values<const N: usize>(pub(super) [f64; N]);

impl<const N: usize> Default for Values<N> {
    fn default() -> Self {
        Self([0.0; N])
    }
}

pub(super) type GpuValues = Values<{ GpuParameter::COUNT }>;
pub(super) type LinkValues = Values<{ LinkParameter::COUNT }>;
pub(super) type SiteValues = Values<{ SiteParameter::COUNT }>;

parameters! {
    /// Parameters of a GPU, its memory and its PCIe link.
    GpuParameter;
    Present "present" Gpu One 0.0..1.0 Level "0: neither the bus nor the driver knows the GPU";
    Enumerated "driver.enumerated" Gpu One 0.0..1.0 Level "0: on the bus, but the driver could not start it";
    IdlePower "power.idle" Gpu Watt 5.0..600.0 Level "board power at rest without leakage";
    Leakage "power.leakage" Gpu Watt 0.0..500.0 Level "leakage of the die at 60 °C and nominal voltage";
    DynamicPower "power.dynamic" Gpu One 0.3..3.0 Level "switched capacitance relative to the kind's middle";
    PowerLimit "power.limit" Gpu Watt 50.0..2000.0 Level "the power limit that is set";
    BrakeAbove "power.brake.above" Gpu One 0.05..10.0 Level "board power at which the power brake is pulled, over the highest limit";
    Brake "power.brake" Gpu One 0.0..1.0 Level "1: the power brake is pulled from outside";
    ClockCeiling "clock.ceiling" Gpu Megahertz 100.0..5000.0 Level "highest SM clock, without a reason being given";
    ApplicationClock "clock.application" Gpu Megahertz 100.0..5000.0 Level "application clock that is set";
    VoltageShift "clock.voltage" Gpu One 0.7..1.4 Level "voltage needed for a clock relative to the kind's middle";
    MemoryClock "clock.memory" Gpu Megahertz 100.0..20000.0 Level "memory clock under load";
    Contact "cooling.contact" Gpu KelvinPerWatt 0.001..2.0 Level "die to cold plate or heatsink";
    ContactMemory "cooling.contact.memory" Gpu KelvinPerWatt 0.005..5.0 Level "HBM to cold plate or heatsink";
    ContactGrowth "cooling.contact.growth" Gpu PerHour 0.0..20.0 Level "growth of cooling.contact for each hour above 50 °C";
    Sink "cooling.sink" Gpu KelvinPerWatt 0.001..2.0 Level "cold plate or heatsink to the passing air or coolant at full flow";
    SlowdownTemperature "thermal.slowdown" Gpu Celsius 40.0..120.0 Level "die temperature where the driver begins to slow down";
    Efficiency "compute.efficiency" Gpu One 0.01..1.2 Level "share of the clocks' arithmetic that a burn gets done";
    WrongRate "arithmetic.wrong.rate" Gpu PerHour 0.0..1e9 Level "wrong results for each hour of arithmetic";
    WrongShare "arithmetic.wrong.share" Gpu One 0.0..1.0 Level "share of checked tiles that come out wrong";
    WrongUnit "arithmetic.wrong.sm" Gpu One 0.0..1000.0 Level "the SM that all wrong results come from, counted from 1; 0: mostly one, as it happens";
    UnitsLost "compute.sms.lost" Gpu One 0.0..1000.0 Level "SMs that get no work done";
    UnitsOff "compute.sms.off" Gpu One 0.0..1000.0 Level "SMs that the GPU has less than its model";
    Wrong "arithmetic.wrong" Gpu One 0.0..1e6 Event "wrong results at once, if there is arithmetic";
    Hang "driver.hang" Gpu One 0.0..1.0 Level "1: calls to the driver do not come back";
    Lost "driver.lost" Gpu One 0.0..1.0 Event "the GPU falls off the bus";
    Delay "driver.delay" Gpu Second 0.0..60.0 Level "how long a round of readings takes";
    FailShare "driver.fails" Gpu One 0.0..1.0 Level "share of rounds of readings that fail with an unknown error";
    FailCode "driver.error" Gpu One 0.0..999.0 Level "every reading fails with this code of the driver";
    Xid "driver.xid" Gpu One 0.0..999.0 Code "an Xid in the kernel log";
    TempStuck "sensor.temp.stuck" Gpu One 0.0..1.0 Level "1: die temperature and margin stay at what they were";
    TempShift "sensor.temp.shift" Gpu Kelvin -60.0..60.0 Level "die temperature as shown minus true";
    TempNoise "sensor.temp.noise" Gpu Kelvin 0.0..40.0 Level "standard deviation of the die temperature's noise";
    TempLag "sensor.temp.lag" Gpu Second 0.0..3600.0 Level "time constant with which the die temperature follows";
    TempMost "sensor.temp.most" Gpu Celsius -20.0..200.0 Level "die temperature above which the sensor shows no more";
    TempTorn "sensor.temp.torn" Gpu One 0.0..1.0 Level "share of die temperatures with a bit of another reading in them";
    TempMemoryShift "sensor.memory.shift" Gpu Kelvin -60.0..60.0 Level "HBM temperature as shown minus true";
    TempMemoryNoise "sensor.memory.noise" Gpu Kelvin 0.0..40.0 Level "standard deviation of the HBM temperature's noise";
    TempMemoryLag "sensor.memory.lag" Gpu Second 0.0..3600.0 Level "time constant with which the HBM temperature follows";
    TempMemoryStuck "sensor.memory.stuck" Gpu One 0.0..1.0 Level "1: HBM temperature stays at what it was";
    PowerStuck "sensor.power.stuck" Gpu One 0.0..1.0 Level "1: power stays at what it was";
    PowerNoise "sensor.power.noise" Gpu One 0.0..1.0 Level "standard deviation of the power's noise as a share";
    PowerLag "sensor.power.lag" Gpu Second 0.0..3600.0 Level "time constant with which power follows";
    PowerMost "sensor.power.most" Gpu Watt 0.0..5000.0 Level "power above which the sensor shows no more";
    PowerTorn "sensor.power.torn" Gpu One 0.0..1.0 Level "share of powers with a bit of another reading in them";
    EnergyScale "sensor.energy.scale" Gpu One 0.0..3.0 Level "energy as counted over true energy";
    PowerScale "sensor.power.scale" Gpu One 0.0..3.0 Level "power as shown over true power";
    Ecc "config.ecc" Gpu One 0.0..1.0 Level "ECC on";
    EccPending "config.ecc.pending" Gpu One 0.0..1.0 Level "ECC on after the next reset";
    Mig "config.mig" Gpu One 0.0..1.0 Level "MIG on";
    MigPending "config.mig.pending" Gpu One 0.0..1.0 Level "MIG on after the next reset";
    Persistence "config.persistence" Gpu One 0.0..1.0 Level "persistence mode on";
    ComputeMode "config.compute-mode" Gpu One 0.0..2.0 Level "0 default, 1 exclusive-process, 2 prohibited";
    ForeignProcesses "config.processes" Gpu One 0.0..64.0 Level "compute processes that are not ours";
    InforomValid "inforom.valid" Gpu One 0.0..1.0 Level "the InfoROM's checksums hold";
    FabricState "fabric.state" Gpu One 0.0..2.0 Level "0 not started, 1 in progress, 2 completed";
    FabricStatus "fabric.status" Gpu One 0.0..999.0 Level "NVML status of the fabric registration; 0 is success";
    FabricHealth "fabric.health" Gpu One 0.0..4_294_967_295.0 Level "fabric health mask, 2-bit fields, 1 bad, 2 good";
    C2cActive "c2c.active" Gpu One 0.0..32.0 Level "chip-to-chip links that are up";
    MemorySize "memory.size" Memory Mebibyte 1024.0..1_000_000.0 Level "frame buffer";
    MemoryBandwidth "memory.bandwidth" Memory GigabytePerSecond 10.0..20000.0 Level "what a streaming kernel reads and writes";
    StackSpeed "memory.stack.speed" Memory One 0.01..1.0 Level "speed of one memory stack relative to the others, which wait for it";
    StackHeat "memory.stack.heat" Memory Kelvin 0.0..60.0 Level "kelvin by which one stack is hotter than the mean under full traffic; the hottest is shown";
    CorrectedRate "memory.corrected.rate" Memory PerHour 0.0..1e7 Level "corrected ECC errors at 60 °C HBM temperature";
    UncorrectedRate "memory.uncorrected.rate" Memory PerHour 0.0..1e5 Level "uncorrectable ECC errors under memory traffic";
    Uncorrected "memory.uncorrected" Memory One 0.0..1000.0 Event "uncorrectable ECC errors";
    Uncontained "memory.uncontained" Memory One 0.0..1.0 Level "share of uncorrectable errors that are not contained";
    SpareRows "memory.spare-rows" Memory One 0.0..10000.0 Level "rows left for remapping; a remap with none left fails";
    RemapPending "memory.remap.pending" Memory One 0.0..1.0 Level "1: a row remap waits for a reset";
    RemapFailed "memory.remap.failed" Memory One 0.0..1.0 Level "1: a row remap failed";
    RemapsDone "memory.remaps" Memory One 0.0..10000.0 Level "row remaps done for uncorrectable errors before the run";
    BanksExhausted "memory.banks.exhausted" Memory One 0.0..10000.0 Level "banks without spare rows";
    SramExceeded "memory.sram.exceeded" Memory One 0.0..1.0 Level "1: SRAM errors passed the part's own threshold";
    SramUncorrected "memory.sram.uncorrected" Memory One 0.0..1000.0 Event "uncorrectable SRAM errors";
    StuckCells "memory.stuck-cells" Memory One 0.0..1e6 Level "cells a pattern test finds wrong";
    PcieGeneration "pcie.generation" Pcie One 1.0..6.0 Level "generation the link trains to";
    PcieWidth "pcie.width" Pcie One 1.0..16.0 Level "lanes the link trains to";
    PcieEfficiency "pcie.efficiency" Pcie One 0.01..1.0 Level "share of the link's raw bandwidth a copy gets";
    PcieToGpu "pcie.efficiency.h2d" Pcie One 0.01..1.0 Level "the same in the direction to the GPU alone, relative to the link's";
    PcieToHost "pcie.efficiency.d2h" Pcie One 0.01..1.0 Level "the same in the direction to the host alone, relative to the link's";
    PcieReplayRate "pcie.replay.rate" Pcie One 0.0..1e6 Level "replays for each TB carried";
    PcieReplayIdle "pcie.replay.idle" Pcie PerHour 0.0..1e6 Level "replays without traffic";
    PcieFatal "pcie.fatal" Pcie One 0.0..1000.0 Event "fatal PCIe errors";
    PcieRetrain "pcie.retrain" Pcie One 0.0..1000.0 Event "the link drops to generation 1 for seconds and trains again";
    PcieP2p "pcie.p2p" Pcie One 0.0..1.0 Level "0: peer copies go through host memory";
    Bar1 "pcie.bar1" Pcie Mebibyte 1.0..1_000_000.0 Level "BAR1 size";
    Numa "pcie.numa" Pcie One 0.0..255.0 Level "NUMA node the host gives the GPU";
}

parameters! {
    /// Parameters of one NVLink.
    LinkParameter;
    Active "nvlink.active" NvLink One 0.0..1.0 Level "the link is up";
    Speed "nvlink.speed" NvLink MegabytePerSecond 0.0..200_000.0 Level "bandwidth in one direction";
    SpeedOut "nvlink.speed.out" NvLink One 0.01..1.0 Level "share of its bandwidth out of the GPU alone";
    SpeedIn "nvlink.speed.in" NvLink One 0.01..1.0 Level "share of its bandwidth into the GPU alone";
    CrcRate "nvlink.crc.rate" NvLink One 0.0..1e9 Level "CRC errors for each TB carried";
    ReplayRate "nvlink.replay.rate" NvLink One 0.0..1e9 Level "replays for each TB carried";
    RecoveryRate "nvlink.recovery.rate" NvLink One 0.0..1e6 Level "recoveries for each TB carried";
    IdleErrors "nvlink.idle.rate" NvLink PerHour 0.0..1e6 Level "CRC errors without traffic";
    Down "nvlink.down" NvLink One 0.0..1.0 Event "the link fails for good";
    RemoteSwitch "nvlink.remote.switch" NvLink One 0.0..255.0 Level "number of the switch it ends at";
    RemotePort "nvlink.remote.port" NvLink One 0.0..255.0 Level "port of the switch it ends at";
}

parameters! {
    /// Parameters of everything that is not on a GPU: switches, cooling, supplies, the host, the station.
    SiteParameter;
    SwitchBandwidth "switch.bandwidth" Switch One 0.01..1.0 Level "share of its bandwidth a switch carries";
    SwitchCode "switch.sxid" Switch One 10000.0..39999.0 Code "an SXid in the kernel log";
    PairSpeed "pair.speed" Pair One 0.01..1.0 Level "share of its bandwidth that copies from the one to the other get";
    Flow "cooling.flow" CoolingBranch One 0.02..1.5 Level "share of the nominal flow through the branch";
    SupplyShift "cooling.supply" CoolingBranch Kelvin -20.0..40.0 Level "branch supply over the node's inlet";
    FanSpeed "fan.speed" Fan One -1.0..1.0 Level "share of the asked-for speed; below 0 it blows backwards";
    Capacity "psu.capacity" Psu Watt 0.0..100_000.0 Level "what the supply can give";
    SupplyState "psu.ok" Psu One 0.0..1.0 Level "0: the supply reports a fault";
    HostMemory "host.memory" Node Mebibyte 1024.0..100_000_000.0 Level "memory the host sees";
    SharedCapacity "psu.shared.capacity" Node One 0.05..1.5 Level "share of their capacity that all supplies together give";
    LogFollowed "source.kernel-log" Node One 0.0..1.0 Level "0: the kernel log cannot be read";
    EventsFollowed "source.driver-events" Node One 0.0..1.0 Level "0: the driver's event channel is closed";
    ControllersFollowed "source.memory-controllers" Node One 0.0..1.0 Level "0: no counters of the memory controllers (EDAC)";
    PcieCountersFollowed "source.pcie-counters" Node One 0.0..1.0 Level "0: no error counters of PCIe devices";
    BusFollowed "source.pci-bus" Node One 0.0..1.0 Level "0: the PCI bus cannot be looked at";
    PortsFollowed "source.infiniband" Node One 0.0..1.0 Level "0: network ports cannot be looked at";
    Reboot "node.reboot" Node One 0.0..1.0 Event "the node starts again unasked";
    DimmPresent "dimm.present" Dimm One 0.0..1.0 Level "the DIMM is seen";
    DimmCorrected "dimm.corrected" Dimm One 0.0..1e6 Event "corrected errors (EDAC)";
    NicPresent "nic.present" Nic One 0.0..1.0 Level "the port is seen";
    NicSpeed "nic.speed" Nic MegabytePerSecond 0.0..1_000_000.0 Level "link speed";
    PortUp "port.up" Nic One 0.0..1.0 Level "0: the port has no link";
    PortWidth "port.width" Nic One 1.0..12.0 Level "lanes of the port's link";
    PortFlap "port.flap" Nic One 0.0..1000.0 Event "the link goes down for seconds and comes back";
    PortSymbolRate "port.symbol.rate" Nic PerHour 0.0..1e9 Level "symbol errors of the port's link";
    PortReceiveRate "port.receive.rate" Nic PerHour 0.0..1e9 Level "packets that the port receives damaged";
    NvmePresent "nvme.present" Nvme One 0.0..1.0 Level "the drive is seen";
    Inlet "ambient.inlet" Station Celsius -10.0..80.0 Level "air or coolant offered to the node";
    InletRise "ambient.rise" Station KelvinPerHour -60.0..60.0 Level "how fast the inlet gets warmer";
    Recirculation "ambient.recirculation" Station One 0.0..10.0 Level "kelvin of inlet for each kilowatt the node gives off";
}

/// Which component a table's values belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parameter {
    Gpu(GpuParameter),
    Link(LinkParameter),
    Site(SiteParameter),
}

impl Parameter {
    pub fn all() -> impl Iterator<Item = Self> {
        let gpu = GpuParameter::ALL.iter().map(|p| Self::Gpu(*p));
        let link = LinkParameter::ALL.iter().map(|p| Self::Link(*p));
        gpu.chain(link).chain(SiteParameter::ALL.iter().map(|p| Self::Site(*p)))
    }

    pub const fn spec(self) -> ParameterSpec {
        match self {
            Self::Gpu(parameter) => parameter.spec(),
            Self::Link(parameter) => parameter.spec(),
            Self::Site(parameter) => parameter.spec(),
        }
    }

    pub fn by_name(name: &str) -> Option<Self> {
        Self::all().find(|parameter| parameter.spec().name == name)
    }

    /// Whether a fault of `component` can change it. What is on a GPU counts as one.
    pub fn belongs_to(self, component: ComponentKind) -> bool {
        match self {
            Self::Gpu(_) => matches!(component, ComponentKind::Gpu | ComponentKind::Memory | ComponentKind::Pcie),
            Self::Link(_) | Self::Site(_) => self.spec().component == component,
        }
    }
}

/// Words a fault may change in what a GPU or the node says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Word {
    Name,
    PciAddress,
    PciDevice,
    PciSubsystem,
    Slot,
    Serial,
    Uuid,
    PartNumber,
    Vbios,
    Inforom,
    GspFirmware,
    ClockSource,
    Bios,
}

impl Word {
    pub const ALL: &'static [(&'static str, Self, ComponentKind)] = &[
        ("identity.name", Self::Name, ComponentKind::Gpu),
        ("identity.pci-address", Self::PciAddress, ComponentKind::Gpu),
        ("identity.pci-device", Self::PciDevice, ComponentKind::Gpu),
        ("identity.pci-subsystem", Self::PciSubsystem, ComponentKind::Gpu),
        ("identity.slot", Self::Slot, ComponentKind::Gpu),
        ("identity.serial", Self::Serial, ComponentKind::Gpu),
        ("identity.uuid", Self::Uuid, ComponentKind::Gpu),
        ("identity.part-number", Self::PartNumber, ComponentKind::Gpu),
        ("identity.vbios", Self::Vbios, ComponentKind::Gpu),
        ("identity.inforom", Self::Inforom, ComponentKind::Gpu),
        ("identity.gsp-firmware", Self::GspFirmware, ComponentKind::Gpu),
        ("host.clock-source", Self::ClockSource, ComponentKind::Node),
        ("host.bios", Self::Bios, ComponentKind::Node),
    ];

    pub fn by_name(name: &str) -> Option<(Self, ComponentKind)> {
        Self::ALL.iter().find(|row| row.0 == name).map(|row| (row.1, row.2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_on_fault_files_has_every_parameter() {
        let page = include_str!("../../../docs/faults.md");
        let words = Word::ALL.iter().map(|row| row.0);
        for name in Parameter::all().map(|parameter| parameter.spec().name).chain(words) {
            assert!(page.contains(&format!("`{name}`")), "docs/faults.md does not tell of {name}");
        }
    }

    #[test]
    fn names_are_unique_and_found_again() {
        for parameter in Parameter::all() {
            let spec = parameter.spec();
            assert_eq!(Parameter::by_name(spec.name), Some(parameter));
            assert!(spec.low < spec.high, "{}", spec.name);
        }
    }
}
