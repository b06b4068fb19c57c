//! What a node says it is made of: identity, limits, configuration and links of every GPU, and the host around them.
//!
//! Values a part may not offer are [`Reading`]s. What changes from second to second is a `Sample`; counters are probes.

use serde::{Deserialize, Serialize};

use super::{Component, GpuIndex, Lacking, Port, Reading};

/// A node as read at one moment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Inventory {
    pub node: NodeIdentity,
    /// Version of the NVIDIA driver, e.g. `580.105.08`.
    pub driver: Reading<String>,
    /// CUDA version the driver offers, e.g. `13.0`.
    pub cuda: Reading<String>,
    /// GPUs as the driver enumerates them.
    pub gpus: Vec<Gpu>,
    /// GPUs of the node that are not under test and not in `gpus`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<GpuIndex>,
    /// GPUs as the PCI bus shows them, read from another source than `gpus`.
    pub pci: Reading<Vec<PciFunction>>,
    pub host: Host,
}

/// The node itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeIdentity {
    pub model: Reading<String>,
    pub serial: Reading<String>,
    pub board_serial: Reading<String>,
    pub hostname: Reading<String>,
    /// Changes at every boot; a change inside a run is an unexpected reboot.
    pub boot_id: Reading<String>,
    pub bios: Reading<String>,
}

/// One GPU.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gpu {
    pub index: GpuIndex,
    pub identity: GpuIdentity,
    pub memory_mib: Reading<u64>,
    pub bar1_mib: Reading<u64>,
    pub power: PowerLimits,
    pub clocks: ClockLimits,
    pub thermal: ThermalLimits,
    pub config: Config,
    pub pcie: PcieCapability,
    /// Every NVLink the GPU has, by link number. Empty where it has none.
    pub nvlinks: Reading<Vec<NvLink>>,
    pub fabric: Reading<Fabric>,
    pub c2c: Reading<C2c>,
    /// Compute processes on the GPU now.
    pub processes: Reading<Vec<Process>>,
    /// What this driver does not offer for this part, as far as limits are judged by it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<Lacking>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GpuIdentity {
    pub name: Reading<String>,
    /// PCI address as `00000000:53:00.0`.
    pub pci_address: Reading<String>,
    /// PCI device and vendor id as `233010de`, lower case.
    pub pci_device: Reading<String>,
    /// PCI subsystem id as `16c110de`, lower case.
    pub pci_subsystem: Reading<String>,
    /// Board slot, e.g. the SXM module id.
    pub slot: Reading<String>,
    pub serial: Reading<String>,
    pub uuid: Reading<String>,
    pub part_number: Reading<String>,
    pub vbios: Reading<String>,
    pub inforom: Reading<String>,
    pub gsp_firmware: Reading<String>,
    /// Whether the InfoROM's checksums hold.
    pub inforom_valid: Reading<bool>,
}

/// Power limits in watts.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct PowerLimits {
    pub min: Reading<f64>,
    pub default: Reading<f64>,
    pub max: Reading<f64>,
    /// What was asked for.
    pub set: Reading<f64>,
    /// What the driver enforces: the least of all limits in force.
    pub enforced: Reading<f64>,
}

/// Clocks in MHz.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ClockLimits {
    pub max_sm: Reading<f64>,
    pub max_memory: Reading<f64>,
    /// Application clock for the SMs where one is set apart from the default.
    pub application_sm: Reading<f64>,
    pub default_application_sm: Reading<f64>,
}

/// Thresholds as kelvin below (negative: above) the point where slowdown begins (T.Limit, from Hopper on); absolute
/// degrees on older parts.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ThermalLimits {
    pub shutdown_margin: Reading<f64>,
    pub slowdown_margin: Reading<f64>,
    pub operating_margin: Reading<f64>,
    pub slowdown_celsius: Reading<f64>,
    pub memory_max_celsius: Reading<f64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Config {
    pub ecc: Reading<bool>,
    pub ecc_pending: Reading<bool>,
    pub mig: Reading<bool>,
    pub mig_pending: Reading<bool>,
    pub persistence: Reading<bool>,
    /// `default`, `exclusive-process` or `prohibited`.
    pub compute_mode: Reading<String>,
    /// What the driver says the GPU needs: `none`, `reset`, `reboot`, `drain-p2p`, `drain-and-reset`.
    pub recovery_action: Reading<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PcieCapability {
    pub max_generation: Reading<u8>,
    pub max_width: Reading<u8>,
    pub numa_node: Reading<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    Active,
    Inactive,
}

/// One NVLink of a GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NvLink {
    pub link: u8,
    pub state: Reading<LinkState>,
    /// Bandwidth of the link in one direction, in MB/s as the driver reports it (26562 on the fourth generation).
    pub speed_mb_per_s: Reading<u32>,
    pub remote: Reading<Remote>,
}

/// What a link ends at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remote {
    Gpu(GpuIndex),
    Switch {
        number: u8,
        port: u8,
    },
    Cpu(u8),
    /// Something else, by PCI address.
    Other(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FabricState {
    NotStarted,
    InProgress,
    Completed,
}

/// The NVLink fabric as the GPU sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fabric {
    pub state: FabricState,
    /// NVML status of the registration: 0 is success.
    pub status: i32,
    pub cluster_uuid: String,
    pub clique: u32,
    /// Raw health mask: 2-bit fields, 1 bad, 2 good.
    pub health_mask: Reading<u32>,
}

/// Chip-to-chip links to a Grace CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct C2c {
    pub links: u8,
    pub links_active: u8,
    pub speed_mb_per_s: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub pid: u32,
    pub name: String,
    pub memory_mib: u64,
}

/// One PCI function of class 0302 (or 0300) by NVIDIA, as the bus shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PciFunction {
    pub address: String,
    /// Device and vendor id, as `233010de`.
    pub device: String,
    /// The ports above it up to the root, outermost first, where the bus tells them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
}

/// The machine around the GPUs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Host {
    pub cpu_model: Reading<String>,
    pub cpus: Reading<u16>,
    pub memory_mib: Reading<u64>,
    pub dimms: Reading<u16>,
    pub nics: Reading<Vec<Nic>>,
    pub nvmes: Reading<Vec<Nvme>>,
    /// Power supplies, where something in the node can tell.
    #[serde(default)]
    pub psus: Reading<Vec<Psu>>,
    pub clock_source: Reading<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    pub name: String,
    pub model: String,
    pub speed_mb_per_s: Reading<u32>,
    /// PCI address as `00000000:18:00.0`.
    #[serde(default)]
    pub pci_address: Reading<String>,
    /// Its ports, where it is an RDMA device.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Psu {
    /// Whether it gives power and reports no fault.
    pub ok: bool,
    pub capacity_watts: Reading<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nvme {
    pub name: String,
    pub model: String,
    pub serial: String,
    /// PCI address as `00000000:e2:00.0`.
    #[serde(default, skip_serializing_if = "is_unsupported")]
    pub pci_address: Reading<String>,
}

fn is_unsupported<T>(reading: &Reading<T>) -> bool {
    matches!(reading, Reading::Unsupported)
}

impl Gpu {
    /// A GPU of which nothing is known but its place: every reading is unsupported.
    pub fn bare(index: GpuIndex) -> Self {
        Self {
            index,
            identity: GpuIdentity::default(),
            memory_mib: Reading::Unsupported,
            bar1_mib: Reading::Unsupported,
            power: PowerLimits::default(),
            clocks: ClockLimits::default(),
            thermal: ThermalLimits::default(),
            config: Config::default(),
            pcie: PcieCapability::default(),
            nvlinks: Reading::Unsupported,
            fabric: Reading::Unsupported,
            c2c: Reading::Unsupported,
            processes: Reading::Unsupported,
            lacks: Vec::new(),
        }
    }
}

/// The least release of the driver that Kiln is made for: NVML 12.2 brought PCIe error counters, T.limit offsets and module ids
/// (history of nvml.h in NVIDIA/go-nvml).
pub const LEAST_DRIVER: u32 = 535;

impl Inventory {
    /// `580` of `580.105.08`.
    pub fn driver_release(&self) -> Option<u32> {
        self.driver.value()?.split('.').next()?.parse().ok()
    }

    pub fn gpu(&self, index: GpuIndex) -> Option<&Gpu> {
        self.gpus.iter().find(|gpu| gpu.index == index)
    }

    /// The serial number of what `component` is or belongs to, where it has one.
    pub fn serial(&self, component: Component) -> Option<&str> {
        match component.gpu_index() {
            Some(index) => self.gpu(index)?.identity.serial.value().map(String::as_str),
            None => match component {
                Component::Nvme(n) => self.host.nvmes.value()?.get(usize::from(n)).map(|nvme| nvme.serial.as_str()),
                _ => self.node.serial.value().map(String::as_str),
            },
        }
    }
}
