//! The inventory of one GPU: identity, limits, configuration, links.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "what a driver or a text tells is within the range of what it measures"
)]

use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureThreshold};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper_sys::bindings as sys;

use super::batch::{Number, read_once};
use super::device::NvmlGpu;
use super::field::FieldId;
use super::gather::GpuFacts;
use super::links::LinkFacts;
use super::outcome::{coded, is_dead, number, read};
use super::raw::RawFabric;
use kiln_model::{
    C2c, ClockLimits, Config, Fabric, FabricState, Gpu, GpuIdentity, Lacking, LinkState, PcieCapability, PowerLimits,
    Process, Reading, ReadingFailure, Sensor, ThermalLimits,
};

/// Bytes in a MiB.
const MIB: u64 = 1 << 20;

pub(super) fn facts(gpu: &mut NvmlGpu) -> GpuFacts {
    let links = super::links::facts(gpu);
    let device = &gpu.device;
    let mut facts = Gpu {
        identity: identity(gpu),
        memory_mib: match gpu.raw.memory_total() {
            // `NVML_VALUE_NOT_AVAILABLE` of nvml.h.
            Reading::Value(u64::MAX) => Reading::Unsupported,
            other => other.map(|bytes| bytes / MIB),
        },
        bar1_mib: read(device.bar1_memory_info()).map(|bar1| bar1.total / MIB),
        power: power(gpu),
        clocks: clocks(gpu),
        thermal: thermal(gpu),
        config: config(gpu),
        pcie: PcieCapability {
            max_generation: read(device.max_pcie_link_gen()).map(|generation| generation as u8),
            max_width: read(device.max_pcie_link_width()).map(|width| width as u8),
            numa_node: numa_node(gpu),
        },
        fabric: fabric(gpu.raw.fabric()),
        c2c: c2c(gpu),
        processes: processes(gpu),
        ..Gpu::bare(gpu.index)
    };
    facts.lacks = lacks(gpu, &facts, &links);
    if let Some(failure) = silence(&facts) {
        gpu.gone |= is_dead(failure);
        return GpuFacts {
            gpu: Gpu { identity: facts.identity, ..GpuFacts::failed(gpu.index, failure).gpu },
            links: Reading::Failed(failure),
        };
    }
    GpuFacts { gpu: facts, links }
}

fn identity(gpu: &NvmlGpu) -> GpuIdentity {
    let device = &gpu.device;
    let pci = read(device.pci_info());
    let id = |number: u32| format!("{number:08x}");
    let subsystem = match &pci {
        Reading::Value(pci) => pci
            .pci_sub_system_id
            .filter(|number| is_id(*number))
            .map_or(Reading::Unsupported, |number| Reading::Value(id(number))),
        Reading::Unsupported => Reading::Unsupported,
        Reading::Failed(failure) => Reading::Failed(*failure),
    };
    GpuIdentity {
        name: told(read(device.name())),
        pci_address: gpu.raw.address(),
        pci_device: match pci {
            Reading::Value(pci) if is_id(pci.pci_device_id) => Reading::Value(id(pci.pci_device_id)),
            Reading::Value(_) | Reading::Unsupported => Reading::Unsupported,
            Reading::Failed(failure) => Reading::Failed(failure),
        },
        pci_subsystem: subsystem,
        slot: gpu.raw.module_id().map(|module| module.to_string()),
        serial: told(read(device.serial())),
        uuid: told(read(device.uuid())),
        part_number: told(read(device.board_part_number())),
        vbios: told(read(device.vbios_version())),
        inforom: told(read(device.info_rom_image_version())),
        gsp_firmware: told(read(device.gsp_firmware_version())),
        inforom_valid: inforom_valid(gpu),
    }
}

/// Neither nothing nor all bits set, which is what a bus reads as where no device answers.
const fn is_id(number: u32) -> bool {
    number != 0 && number != u32::MAX
}

/// How the GPU refused to say what it is, if a call said that it is lost or nothing that every GPU tells came.
fn silence(facts: &Gpu) -> Option<ReadingFailure> {
    let identity = &facts.identity;
    let words = [
        &identity.name,
        &identity.uuid,
        &identity.vbios,
        &identity.serial,
        &identity.pci_device,
        &identity.part_number,
        &identity.inforom,
        &identity.gsp_firmware,
        &identity.slot,
        &facts.config.compute_mode,
    ]
    .map(|word| word.clone().map(|_| ()));
    let numbers = [facts.memory_mib.map(|_| ()), facts.power.enforced.map(|_| ()), facts.clocks.max_sm.map(|_| ())];
    let others = [
        facts.power.set.map(|_| ()),
        facts.power.default.map(|_| ()),
        facts.clocks.max_memory.map(|_| ()),
        facts.processes.clone().map(|_| ()),
        facts.fabric.clone().map(|_| ()),
        facts.c2c.map(|_| ()),
        facts.config.persistence.map(|_| ()),
        facts.config.ecc.map(|_| ()),
        facts.config.mig.map(|_| ()),
        facts.bar1_mib.map(|_| ()),
        facts.pcie.max_generation.map(|_| ()),
        facts.pcie.max_width.map(|_| ()),
    ];
    let all: Vec<Reading<()>> = words.into_iter().chain(numbers).chain(others).collect();
    let failures: Vec<ReadingFailure> = all
        .iter()
        .filter_map(|reading| match reading {
            Reading::Failed(failure) => Some(*failure),
            _ => None,
        })
        .collect();
    let lost = failures.iter().find(|failure| **failure == ReadingFailure::Lost);
    let answers = all.iter().any(|reading| reading.value().is_some());
    lost.or_else(|| failures.first().filter(|_| !answers)).copied()
}

/// What limits are judged by and neither driver nor part offers. One look: what fails now may answer later.
fn lacks(gpu: &mut NvmlGpu, facts: &Gpu, links: &Reading<Vec<LinkFacts>>) -> Vec<Lacking> {
    let sample = super::tick::sample(gpu);
    let without = |sensor: Sensor| sample[sensor] == Reading::Unsupported;
    let mut lacks = Vec::new();
    if without(Sensor::TempMargin) {
        let threshold = facts.thermal.slowdown_celsius.value().is_some() && !without(Sensor::TempGpu);
        lacks.push(if threshold { Lacking::MarginCall } else { Lacking::Margin });
    }
    if [Sensor::ThrottleSwThermal, Sensor::ThrottleHwThermal, Sensor::ThrottlePowerBrake].into_iter().any(without) {
        let reasons = !without(Sensor::ClockReasons);
        lacks.push(if reasons { Lacking::ThrottleCounters } else { Lacking::ThrottleTimes });
    }
    if super::counters::sram_threshold_exceeded(gpu) == Reading::Unsupported {
        lacks.push(Lacking::SramThreshold);
    }
    let [correctable, fatal] =
        read_once(gpu.raw, gpu.scheme, [FieldId::PCIE_CORRECTABLE.whole(), FieldId::PCIE_FATAL.whole()]);
    if correctable == Reading::Unsupported || fatal == Reading::Unsupported {
        lacks.push(Lacking::PcieErrors);
    }
    let untold =
        |link: &LinkFacts| link.state == Reading::Value(LinkState::Active) && link.remote == Reading::Unsupported;
    if links.value().is_some_and(|links| links.iter().any(untold)) {
        lacks.push(Lacking::LinkEnds);
    }
    lacks
}

/// An empty text, or one that says there is none, is not a text.
fn told(text: Reading<String>) -> Reading<String> {
    match text {
        Reading::Value(text) if matches!(text.trim(), "" | "N/A" | "[N/A]") => Reading::Unsupported,
        Reading::Value(text) => Reading::Value(text.trim().to_owned()),
        other => other,
    }
}

fn inforom_valid(gpu: &NvmlGpu) -> Reading<bool> {
    let corrupted = sys::nvmlReturn_enum_NVML_ERROR_CORRUPTED_INFOROM as i32;
    match read(gpu.device.validate_info_rom()) {
        Reading::Failed(ReadingFailure::Driver(code)) if code == corrupted => Reading::Value(false),
        other => other.map(|()| true),
    }
}

fn power(gpu: &NvmlGpu) -> PowerLimits {
    let device = &gpu.device;
    let watts = |milliwatts: Reading<u32>| number(milliwatts).map(|milliwatts| milliwatts / 1e3);
    let bounds = read(device.power_management_limit_constraints()).map(|bounds| (bounds.min_limit, bounds.max_limit));
    PowerLimits {
        min: watts(bounds.map(|(min, _)| min)),
        default: watts(read(device.power_management_limit_default())),
        max: watts(bounds.map(|(_, max)| max)),
        set: watts(read(device.power_management_limit())),
        enforced: watts(read(device.enforced_power_limit())),
    }
}

fn clocks(gpu: &NvmlGpu) -> ClockLimits {
    let device = &gpu.device;
    ClockLimits {
        max_sm: number(read(device.max_clock_info(Clock::SM))),
        max_memory: number(read(device.max_clock_info(Clock::Memory))),
        application_sm: number(read(device.applications_clock(Clock::Graphics))),
        default_application_sm: number(read(device.default_applications_clock(Clock::Graphics))),
    }
}

fn thermal(gpu: &NvmlGpu) -> ThermalLimits {
    let fields =
        [FieldId::SHUTDOWN_TLIMIT.whole(), FieldId::SLOWDOWN_TLIMIT.whole(), FieldId::OPERATING_TLIMIT.whole()];
    let [shutdown, slowdown, operating] = read_once(gpu.raw, gpu.scheme, fields);
    let threshold = |of| number(read(gpu.device.temperature_threshold(of)));
    ThermalLimits {
        shutdown_margin: shutdown.map(Number::float),
        slowdown_margin: slowdown.map(Number::float),
        operating_margin: operating.map(Number::float),
        slowdown_celsius: threshold(TemperatureThreshold::Slowdown),
        memory_max_celsius: threshold(TemperatureThreshold::MemoryMax),
    }
}

fn config(gpu: &NvmlGpu) -> Config {
    let device = &gpu.device;
    let ecc = read(device.is_ecc_enabled());
    let mig = read(device.mig_mode());
    let [recovery] = read_once(gpu.raw, gpu.scheme, [FieldId::RECOVERY_ACTION.whole()]);
    Config {
        ecc: ecc.clone().map(|ecc| ecc.currently_enabled),
        ecc_pending: ecc.map(|ecc| ecc.pending_enabled),
        mig: mig.clone().map(|mig| mig.current != 0),
        mig_pending: mig.map(|mig| mig.pending != 0),
        persistence: read(device.is_in_persistent_mode()),
        compute_mode: gpu.raw.compute_mode().map(compute_mode),
        recovery_action: recovery.map(|action| recovery_action(action.count())),
    }
}

/// Numbers: `nvmlComputeMode_t` of nvml.h.
fn compute_mode(mode: u32) -> String {
    match mode {
        0 => "default".to_owned(),
        2 => "prohibited".to_owned(),
        3 => "exclusive-process".to_owned(),
        other => format!("unknown-{other}"),
    }
}

/// Numbers: `nvmlDeviceGpuRecoveryAction_t` of nvml.h.
fn recovery_action(action: u64) -> String {
    match action {
        0 => "none".to_owned(),
        1 => "reset".to_owned(),
        2 => "reboot".to_owned(),
        3 => "drain-p2p".to_owned(),
        4 => "drain-and-reset".to_owned(),
        other => format!("unknown-{other}"),
    }
}

fn numa_node(gpu: &NvmlGpu) -> Reading<u8> {
    // Four words of 64 nodes; scope 0 is the NUMA node itself.
    match read(gpu.device.memory_affinity(4, 0)) {
        Reading::Value(words) => {
            words.iter().enumerate().find(|(_, word)| **word != 0).map_or(Reading::Unsupported, |(place, word)| {
                Reading::Value((place as u32 * 64 + word.trailing_zeros()) as u8)
            })
        }
        Reading::Unsupported => Reading::Unsupported,
        Reading::Failed(failure) => Reading::Failed(failure),
    }
}

fn fabric(raw: Reading<RawFabric>) -> Reading<Fabric> {
    let raw = match raw {
        Reading::Value(raw) => raw,
        Reading::Unsupported => return Reading::Unsupported,
        Reading::Failed(failure) => return Reading::Failed(failure),
    };
    let state = match u32::from(raw.state) {
        sys::NVML_GPU_FABRIC_STATE_NOT_STARTED => FabricState::NotStarted,
        sys::NVML_GPU_FABRIC_STATE_IN_PROGRESS => FabricState::InProgress,
        sys::NVML_GPU_FABRIC_STATE_COMPLETED => FabricState::Completed,
        // State 0: a GPU without a fabric.
        _ => return Reading::Unsupported,
    };
    Reading::Value(Fabric {
        state,
        status: raw.status as i32,
        cluster_uuid: uuid::Uuid::from_bytes(raw.cluster).to_string(),
        clique: raw.clique,
        health_mask: raw.health_mask.map_or(Reading::Unsupported, Reading::Value),
    })
}

fn c2c(gpu: &NvmlGpu) -> Reading<C2c> {
    let links = match read_once(gpu.raw, gpu.scheme, [FieldId::C2C_LINKS.whole()])[0].map(Number::count) {
        // A GPU without a Grace beside it counts no links.
        Reading::Value(0) | Reading::Unsupported => return Reading::Unsupported,
        Reading::Value(links) => links.min(32) as u32,
        Reading::Failed(failure) => return Reading::Failed(failure),
    };
    let asked = (0..links).flat_map(|link| [FieldId::C2C_STATUS.of(link), FieldId::C2C_BANDWIDTH.of(link)]).collect();
    let mut batch = super::batch::Batch::new(gpu.scheme, asked);
    batch.read(gpu.raw);
    let (mut active, mut speed) = (0, 0);
    for link in 0..links as usize {
        match (batch.get(link * 2), batch.get(link * 2 + 1)) {
            (Reading::Value(status), bandwidth) => {
                active += u8::from(status.count() == 1);
                speed = speed.max(bandwidth.get().map_or(0, Number::count) as u32);
            }
            (Reading::Failed(failure), _) => return Reading::Failed(failure),
            (Reading::Unsupported, _) => {}
        }
    }
    Reading::Value(C2c { links: links as u8, links_active: active, speed_mb_per_s: speed })
}

fn processes(gpu: &NvmlGpu) -> Reading<Vec<Process>> {
    let nvml = gpu.device.nvml();
    read(gpu.device.running_compute_processes()).map(|processes| {
        processes
            .into_iter()
            .map(|process| Process {
                pid: process.pid,
                // A container does not see the processes of others: only their numbers are left.
                name: nvml
                    .sys_process_name(process.pid, 256)
                    .ok()
                    .filter(|name| !name.trim().is_empty())
                    .unwrap_or_else(|| "unknown".to_owned()),
                memory_mib: match process.used_gpu_memory {
                    UsedGpuMemory::Used(bytes) => bytes / MIB,
                    UsedGpuMemory::Unavailable => 0,
                },
            })
            .collect()
    })
}

/// Whether the wrapper's refusal of a handle means that the GPU is gone or broken.
pub(super) fn handle_failure(code: u32) -> ReadingFailure {
    match coded(code, ()) {
        Reading::Failed(failure) => failure,
        Reading::Value(()) | Reading::Unsupported => ReadingFailure::Driver(code as i32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fabric_state_of_zero_is_no_fabric() {
        let raw = |state| RawFabric { cluster: [0x11; 16], status: 0, clique: 4, state, health_mask: Some(0xaa) };
        assert_eq!(fabric(Reading::Value(raw(0))), Reading::Unsupported);
        assert_eq!(
            fabric(Reading::Value(raw(3))),
            Reading::Value(Fabric {
                state: FabricState::Completed,
                status: 0,
                cluster_uuid: "11111111-1111-1111-1111-111111111111".to_owned(),
                clique: 4,
                health_mask: Reading::Value(0xaa),
            })
        );
    }

    #[test]
    fn a_text_that_says_nothing_is_unsupported() {
        assert_eq!(told(Reading::Value("N/A".to_owned())), Reading::Unsupported);
        assert_eq!(told(Reading::Value(" 165 ".to_owned())), Reading::Value("165".to_owned()));
    }
}
