//! Node files as typed: `schema: kiln.node/1`, what a kind of node is made of and the constants of its model.
//!
//! Values are typical of a healthy node of its kind; how far single parts lie from them is drawn in `build`.

use serde::{Deserialize, Deserializer};

use kiln_model::{LinkLayer, Quantity, Text, Unit};

/// What `schema:` says in a node file.
pub(super) const NODE_SCHEMA: &str = "kiln.node/1";

/// Reads a value with its unit, as `700 W`.
macro_rules! units {
    ($($name:ident $unit:ident;)*) => {
        $(fn $name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
            read(deserializer, Unit::$unit)
        })*
    };
}

fn read<'de, D: Deserializer<'de>>(deserializer: D, unit: Unit) -> Result<f64, D::Error> {
    use serde::de::Error;
    let text = String::deserialize(deserializer)?;
    let quantity: Quantity = text.parse().map_err(D::Error::custom)?;
    quantity.value_in(unit).ok_or_else(|| D::Error::custom(format!("expected a value in {unit}, found `{text}`")))
}

/// A power that need not be given.
fn some_watt<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    watt(deserializer).map(Some)
}

units! {
    celsius Celsius;
    kelvin Kelvin;
    kelvin_per_watt KelvinPerWatt;
    watt Watt;
    megahertz Megahertz;
    mebibyte Mebibyte;
    megabyte_per_second MegabytePerSecond;
    gigabyte_per_second GigabytePerSecond;
    second Second;
    per_hour PerHour;
}

/// A kind of node.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeFile {
    /// Of the file's bytes.
    #[serde(skip)]
    pub digest: String,
    /// How far its parts lie from one another.
    #[serde(skip)]
    pub drawn_as: kiln_model::Spread,
    pub schema: String,
    pub id: String,
    pub title: Text,
    /// Where the values come from.
    pub source: String,
    pub host: HostSection,
    pub driver: DriverSection,
    pub gpu: GpuSection,
    pub power: PowerSection,
    pub clocks: ClockSection,
    pub arithmetic: ArithmeticSection,
    pub memory: MemorySection,
    pub pcie: PcieSection,
    #[serde(default)]
    pub nvlink: Option<NvlinkSection>,
    #[serde(default)]
    pub fabric: Option<FabricSection>,
    #[serde(default)]
    pub c2c: Option<C2cSection>,
    pub thermal: ThermalSection,
    pub cooling: CoolingSection,
    /// One entry for each GPU, in the order of the driver.
    pub slots: Vec<SlotSection>,
    pub spread: SpreadSection,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostSection {
    pub model: String,
    pub bios: String,
    pub cpu_model: String,
    pub cpus: u16,
    #[serde(deserialize_with = "mebibyte")]
    pub memory: f64,
    pub dimms: u8,
    pub nics: NicSection,
    #[serde(deserialize_with = "megabyte_per_second")]
    pub nic_speed: f64,
    pub nvmes: PartsSection,
    pub clock_source: String,
    pub psus: u8,
    #[serde(deserialize_with = "watt")]
    pub psu_capacity: f64,
    /// What the node draws beside its GPUs under load.
    #[serde(deserialize_with = "watt")]
    pub base_power: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NicSection {
    pub model: String,
    pub count: u8,
    /// The one RDMA port of each, where they have one.
    #[serde(default)]
    pub ports: Option<PortSection>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortSection {
    pub layer: LinkLayer,
    /// Lanes of the link.
    pub width: u8,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartsSection {
    pub model: String,
    pub count: u8,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriverSection {
    pub version: String,
    pub cuda: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuSection {
    pub name: String,
    pub pci_device: String,
    pub pci_subsystem: String,
    pub part_number: String,
    pub vbios: String,
    pub inforom: String,
    /// GPUs on one board, which then show one serial number.
    pub per_board: u8,
    /// Streaming multiprocessors.
    pub sms: u16,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PowerSection {
    #[serde(deserialize_with = "watt")]
    pub min: f64,
    /// The limit that parts come with.
    #[serde(deserialize_with = "watt")]
    pub limit: f64,
    /// The greatest limit that may be set, where that is another.
    #[serde(default, deserialize_with = "some_watt")]
    pub max: Option<f64>,
    /// Board power at rest, about 30 °C.
    #[serde(deserialize_with = "watt")]
    pub idle: f64,
    /// What of `idle` is the HBM's.
    #[serde(deserialize_with = "watt")]
    pub idle_memory: f64,
    /// Leakage of the die at 60 °C and nominal voltage.
    #[serde(deserialize_with = "watt")]
    pub leakage: f64,
    /// Kelvin for leakage to grow e-fold.
    #[serde(deserialize_with = "kelvin")]
    pub leakage_growth: f64,
    /// Watts for each MHz and V² with everything switching.
    pub capacitance: f64,
    /// Share of the die's power lost in its voltage regulators.
    pub regulator_loss: f64,
    /// Watts for each GB/s of memory traffic.
    pub memory_watt_per_gb_s: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockSection {
    #[serde(deserialize_with = "megahertz")]
    pub lowest: f64,
    #[serde(deserialize_with = "megahertz")]
    pub idle: f64,
    #[serde(deserialize_with = "megahertz")]
    pub max: f64,
    #[serde(deserialize_with = "megahertz")]
    pub memory: f64,
    /// Up to this clock the lowest voltage is enough.
    #[serde(deserialize_with = "megahertz")]
    pub knee: f64,
    pub low_volts: f64,
    pub high_volts: f64,
    /// Whether the driver still reports application clocks.
    pub application: bool,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelSection {
    /// Floating point operations of the whole GPU in one clock.
    pub flop_per_clock: f64,
    /// Share of that a burn gets done.
    pub efficiency: f64,
    /// How much of the die switches.
    pub activity: f64,
    /// Share of the memory bandwidth the stream beside it takes.
    pub memory: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArithmeticSection {
    pub bf16: KernelSection,
    pub fp8: KernelSection,
    pub fp32: KernelSection,
    pub fp64: KernelSection,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemorySection {
    #[serde(deserialize_with = "mebibyte")]
    pub size: f64,
    /// What a streaming kernel reads and writes.
    #[serde(deserialize_with = "gigabyte_per_second")]
    pub bandwidth: f64,
    /// Whether the driver shows a memory temperature.
    pub sensor: bool,
    #[serde(deserialize_with = "per_hour")]
    pub corrected_rate: f64,
    pub spare_rows: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PcieSection {
    pub generation: u8,
    pub width: u8,
    /// Generation the link rests at without traffic.
    pub idle_generation: u8,
    /// Share of the raw bandwidth a copy gets.
    pub efficiency: f64,
    #[serde(deserialize_with = "mebibyte")]
    pub bar1: f64,
    pub replays_per_tb: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NvlinkSection {
    #[serde(deserialize_with = "megabyte_per_second")]
    pub speed: f64,
    /// Links of each GPU to each switch it reaches.
    pub links_to_switch: Vec<u8>,
    /// Whether the switches are in the node.
    pub local_switches: bool,
    /// Share of the links' bandwidth a copy between two GPUs gets.
    pub pair_efficiency: f64,
    /// The same with all GPUs copying to all.
    pub all_efficiency: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FabricSection {
    pub cluster_uuid: String,
    pub clique: u32,
    #[serde(default)]
    pub health_mask: Option<u32>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct C2cSection {
    pub links: u8,
    #[serde(deserialize_with = "megabyte_per_second")]
    pub speed: f64,
    pub to_gpu_efficiency: f64,
    pub to_host_efficiency: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThermalSection {
    /// Whether the driver tells thresholds in degrees and no margin, as of Ampere and older parts.
    #[serde(default)]
    pub absolute: bool,
    /// Die temperature where T.Limit is 0: capture's temperature plus margin.
    #[serde(deserialize_with = "celsius")]
    pub slowdown: f64,
    /// T.Limit offsets as the driver shows them: 0 or negative.
    #[serde(deserialize_with = "celsius")]
    pub operating_offset: f64,
    #[serde(deserialize_with = "celsius")]
    pub slowdown_offset: f64,
    #[serde(deserialize_with = "celsius")]
    pub shutdown_offset: f64,
    #[serde(deserialize_with = "celsius")]
    pub memory_max: f64,
    #[serde(deserialize_with = "kelvin_per_watt")]
    pub contact: f64,
    #[serde(deserialize_with = "kelvin_per_watt")]
    pub contact_memory: f64,
    #[serde(deserialize_with = "kelvin_per_watt")]
    pub bridge: f64,
    #[serde(deserialize_with = "kelvin_per_watt")]
    pub sink: f64,
    /// Heat capacities in J/K.
    pub die_capacity: f64,
    pub memory_capacity: f64,
    pub plate_capacity: f64,
    /// `sink` goes with flow to minus this.
    pub flow_exponent: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Medium {
    Air,
    Liquid,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoolingSection {
    pub medium: Medium,
    /// Inlet air or coolant supply on a usual day.
    #[serde(deserialize_with = "celsius")]
    pub inlet: f64,
    /// How far the inlet wanders to either side.
    #[serde(deserialize_with = "kelvin")]
    pub inlet_drift: f64,
    /// Whether the node shows its inlet.
    pub inlet_sensor: bool,
    /// Fan zones or coolant branches; slots say which they are on.
    pub branches: u8,
    /// Warming of a branch's flow for each watt of its GPUs, at full flow.
    #[serde(deserialize_with = "kelvin_per_watt")]
    pub stream: f64,
    /// How long a branch's air or coolant takes to follow.
    #[serde(deserialize_with = "second")]
    pub lag: f64,
    #[serde(default)]
    pub fans: Option<FanSection>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FanSection {
    /// Fans of each branch.
    pub per_branch: u8,
    /// Whether the node shows fan speeds.
    pub sensor: bool,
    /// Share of full speed at rest.
    pub least: f64,
    /// Hottest die at which fans leave `least`, and at which they are full.
    #[serde(deserialize_with = "celsius")]
    pub from: f64,
    #[serde(deserialize_with = "celsius")]
    pub full: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotSection {
    pub address: String,
    pub module: String,
    pub numa: u8,
    pub branch: u8,
    /// Share of its branch's warming that has happened before the flow reaches this GPU.
    pub place: f64,
}

/// How far healthy parts lie from one another, as the share to either side of the middle.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpreadSection {
    pub cooling: f64,
    pub leakage: f64,
    pub dynamic: f64,
    pub voltage: f64,
    pub bandwidth: f64,
    pub idle: f64,
    pub efficiency: f64,
}
