//! What the toy node of the unit tests is made of, and how its healthy GPUs read.

use super::rig::Scene;
use kiln_model::{
    ClockLimits, Config, Gpu, GpuCounters, GpuIdentity, GpuIndex, Host, Inventory, LinkCounters, LinkState,
    NodeIdentity, NvLink, PciFunction, PcieCapability, PowerLimits, Reading, Remote, Sample, Sensor, Text,
    ThermalLimits,
};
use kiln_profile::{Fact, Sku};

/// A GPU that heats to 60 °C at 700 W with a time constant of 20 s, over an inlet of 25 °C.
pub(super) fn healthy(scene: &Scene<'_>, sample: &mut Sample) {
    let busy = scene.load.is_some();
    let power = if busy { 700.0 } else { 70.0 };
    let rise = match (scene.load, scene.since_load) {
        (Some((_, seconds)), _) => 35.0 - 31.5 * (-seconds / 20.0).exp(),
        (None, Some(seconds)) => 3.5 + 31.5 * (-seconds / 20.0).exp(),
        (None, None) => 3.5,
    };
    for (sensor, value) in [
        (Sensor::TempGpu, (25.0 + rise).round()),
        (Sensor::TempMargin, (90.0 - 25.0 - rise).round()),
        (Sensor::TempMemory, (27.0 + rise * 1.2).round()),
        (Sensor::TempInlet, 25.0),
        (Sensor::Power, power),
        (Sensor::PowerInstant, power),
        (Sensor::PowerLimit, 700.0),
        (Sensor::Energy, scene.at * power),
        (Sensor::ClockSm, if busy { 1755.0 } else { 345.0 }),
        (Sensor::ClockMemory, 2619.0),
        (Sensor::UtilGpu, if busy { 100.0 } else { 0.0 }),
        (Sensor::UtilMemory, if busy { 50.0 } else { 0.0 }),
        (Sensor::ClockReasons, if busy { 4.0 } else { 1.0 }),
        (Sensor::PcieGeneration, if busy { 5.0 } else { 1.0 }),
        (Sensor::PcieWidth, 16.0),
    ] {
        sample.put(sensor, value);
    }
    for counter in [
        Sensor::ThrottlePowerCap,
        Sensor::ThrottleSwThermal,
        Sensor::ThrottleHwThermal,
        Sensor::ThrottlePowerBrake,
        Sensor::EccCorrected,
        Sensor::EccUncorrected,
        Sensor::RemapCorrected,
        Sensor::RemapUncorrected,
        Sensor::RemapPending,
        Sensor::RemapFailed,
        Sensor::PcieReplays,
        Sensor::NvlinkErrors,
    ] {
        sample.put(counter, 0.0);
    }
}

pub(super) fn counters(gpu: u8) -> GpuCounters {
    let links = (0..4)
        .map(|link| LinkCounters {
            link,
            crc: Reading::Value(0),
            replay: Reading::Value(0),
            recovery: Reading::Value(0),
        })
        .collect();
    GpuCounters {
        gpu: GpuIndex(gpu),
        ecc_corrected: Reading::Value(2),
        ecc_uncorrected: Reading::Value(0),
        sram_threshold_exceeded: Reading::Value(false),
        remap_corrected: Reading::Value(0),
        remap_uncorrected: Reading::Value(0),
        remap_pending: Reading::Value(false),
        remap_failed: Reading::Value(false),
        remap_banks_exhausted: Reading::Value(0),
        pcie_replays: Reading::Value(1),
        pcie_correctable: Reading::Value(0),
        pcie_fatal: Reading::Value(0),
        pcie_retrains: Reading::Value(3),
        links: Reading::Value(links),
    }
}

pub(super) fn sku(gpus: u8) -> Sku {
    let fact = |value: &str| Fact { value: value.parse().expect("fact"), source: "toy".to_owned() };
    Sku {
        id: "toy".to_owned(),
        title: Text::english("Toy"),
        names: vec!["Toy 80GB".to_owned()],
        pci: Vec::new(),
        gpus_per_node: vec![gpus],
        facts: [("tdp", "700 W"), ("nvlink.links", "4"), ("nvlink.speed", "26562 MB/s")]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), fact(value)))
            .collect(),
    }
}

fn text(value: impl Into<String>) -> Reading<String> {
    Reading::Value(value.into())
}

pub(super) fn inventory(gpus: u8) -> Inventory {
    Inventory {
        node: NodeIdentity { serial: text("NODE-1"), ..NodeIdentity::default() },
        driver: text("580.105.08"),
        cuda: text("13.0"),
        gpus: (0..gpus).map(gpu).collect(),
        left_out: Vec::new(),
        pci: Reading::Value(
            (0..gpus)
                .map(|gpu| PciFunction { address: address(gpu), device: "233010de".to_owned(), ports: Vec::new() })
                .collect(),
        ),
        host: Host { dimms: Reading::Value(32), ..Host::default() },
    }
}

fn address(gpu: u8) -> String {
    format!("00000000:{:02x}:00.0", 0x10 + gpu * 0x10)
}

fn gpu(index: u8) -> Gpu {
    Gpu {
        index: GpuIndex(index),
        identity: GpuIdentity {
            name: text("Toy 80GB"),
            pci_address: text(address(index)),
            pci_device: text("233010de"),
            pci_subsystem: text("16c110de"),
            slot: text(format!("{}", index + 1)),
            serial: text(format!("165{index:04}")),
            uuid: text(format!("GPU-{index}")),
            part_number: text("2330-885-A1"),
            vbios: text("96.00.74.00.01"),
            inforom: text("G520.0200.00.05"),
            gsp_firmware: text("580.105.08"),
            inforom_valid: Reading::Value(true),
        },
        memory_mib: Reading::Value(81_559),
        bar1_mib: Reading::Value(131_072),
        power: PowerLimits {
            min: Reading::Value(200.0),
            default: Reading::Value(700.0),
            max: Reading::Value(700.0),
            set: Reading::Value(700.0),
            enforced: Reading::Value(700.0),
        },
        clocks: ClockLimits {
            max_sm: Reading::Value(1980.0),
            max_memory: Reading::Value(2619.0),
            application_sm: Reading::Value(1980.0),
            default_application_sm: Reading::Value(1980.0),
        },
        thermal: ThermalLimits::default(),
        config: Config {
            ecc: Reading::Value(true),
            ecc_pending: Reading::Value(true),
            mig: Reading::Value(false),
            mig_pending: Reading::Value(false),
            persistence: Reading::Value(true),
            compute_mode: text("default"),
            recovery_action: text("none"),
        },
        pcie: PcieCapability {
            max_generation: Reading::Value(5),
            max_width: Reading::Value(16),
            numa_node: Reading::Value(index / 4),
        },
        nvlinks: Reading::Value(
            (0..4)
                .map(|link| NvLink {
                    link,
                    state: Reading::Value(LinkState::Active),
                    speed_mb_per_s: Reading::Value(26_562),
                    remote: Reading::Value(Remote::Switch { number: link, port: index }),
                })
                .collect(),
        ),
        fabric: Reading::Unsupported,
        c2c: Reading::Unsupported,
        processes: Reading::Value(Vec::new()),
        lacks: Vec::new(),
    }
}
