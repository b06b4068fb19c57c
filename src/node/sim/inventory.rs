//! The inventory a simulated node gives: what its files and draws say, as the driver would show it now.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the model computes in floats, and its counters, words and addresses are whole numbers within their range"
)]

use super::build::Build;
use super::file::NodeFile;
use super::gpu::Gpu;
use super::parameter::{GpuParameter as G, LinkParameter as L, SiteParameter as S, Word};
use super::port::Ports;
use super::site::Site;
use kiln_model::{
    C2c, ClockLimits, Component, Config, Fabric, FabricState, GpuCounters, GpuIdentity, Host, Inventory, Lacking,
    LinkCounters, LinkState, Nic, NodeIdentity, NvLink, Nvme, PciFunction, PcieCapability, PowerLimits, Process, Psu,
    Reading, Remote, ThermalLimits,
};

/// Everything an inventory is read from.
pub(super) struct Shelf<'a> {
    pub(super) file: &'a NodeFile,
    pub(super) build: &'a Build,
    pub(super) gpus: &'a [Gpu],
    pub(super) site: &'a Site,
    pub(super) ports: &'a Ports,
    pub(super) boot_id: String,
    /// Functions on the bus whose GPU the driver does not show.
    pub(super) unstarted: &'a [PciFunction],
    /// GPUs with work of ours on them, which then shows as a process.
    pub(super) words: &'a std::collections::BTreeMap<Word, String>,
}

impl Shelf<'_> {
    pub(super) fn inventory(&self) -> Inventory {
        let file = self.file;
        let host =
            |word: Word, usual: &str| Reading::Value(self.words.get(&word).map_or(usual, String::as_str).to_owned());
        let mut functions: Vec<PciFunction> = self
            .gpus
            .iter()
            .map(|gpu| PciFunction {
                address: gpu.part.words[&Word::PciAddress].clone(),
                device: gpu.part.words[&Word::PciDevice].clone(),
                ports: Vec::new(),
            })
            .chain(self.unstarted.iter().cloned())
            .collect();
        functions.sort_by(|a, b| a.address.cmp(&b.address));
        Inventory {
            node: NodeIdentity {
                model: Reading::Value(file.host.model.clone()),
                serial: Reading::Value(self.build.serial.clone()),
                board_serial: Reading::Value(self.build.serial.replace("SIMN", "SIMB")),
                hostname: Reading::Value(format!("sim-{}", file.id)),
                boot_id: Reading::Value(self.boot_id.clone()),
                bios: host(Word::Bios, &file.host.bios),
            },
            driver: Reading::Value(file.driver.version.clone()),
            cuda: Reading::Value(file.driver.cuda.clone()),
            gpus: self.gpus.iter().map(|gpu| self.gpu(gpu)).collect(),
            left_out: Vec::new(),
            pci: Reading::Value(functions),
            host: self.host(host(Word::ClockSource, &file.host.clock_source)),
        }
    }

    fn gpu(&self, gpu: &Gpu) -> kiln_model::Gpu {
        let mut shown = kiln_model::Gpu {
            index: gpu.index,
            identity: identity(gpu),
            memory_mib: Reading::Value(gpu.values[G::MemorySize].round() as u64),
            bar1_mib: Reading::Value(gpu.values[G::Bar1].round() as u64),
            power: self.power(gpu),
            clocks: self.clocks(gpu),
            thermal: self.thermal(),
            config: config(gpu),
            pcie: PcieCapability {
                max_generation: Reading::Value(self.file.pcie.generation),
                max_width: Reading::Value(self.file.pcie.width),
                numa_node: Reading::Value(gpu.values[G::Numa] as u8),
            },
            nvlinks: self.nvlinks(gpu),
            fabric: self.fabric(gpu),
            c2c: self.file.c2c.as_ref().map_or(Reading::Unsupported, |c2c| {
                Reading::Value(C2c {
                    links: c2c.links,
                    links_active: gpu.values[G::C2cActive].round() as u8,
                    speed_mb_per_s: c2c.speed as u32,
                })
            }),
            processes: Reading::Value(processes(gpu)),
            lacks: if self.file.thermal.absolute { vec![Lacking::MarginCall] } else { Vec::new() },
        };
        if let Some(failure) = gpu.failure() {
            fail(&mut shown, failure);
        }
        shown
    }

    fn power(&self, gpu: &Gpu) -> PowerLimits {
        let power = &self.file.power;
        let max = power.max.unwrap_or(power.limit);
        let set = gpu.values[G::PowerLimit].clamp(power.min, max);
        PowerLimits {
            min: Reading::Value(power.min),
            default: Reading::Value(power.limit),
            max: Reading::Value(max),
            set: Reading::Value(set),
            enforced: Reading::Value(set),
        }
    }

    fn clocks(&self, gpu: &Gpu) -> ClockLimits {
        let clocks = &self.file.clocks;
        let offered = |value: f64| if clocks.application { Reading::Value(value) } else { Reading::Unsupported };
        ClockLimits {
            max_sm: Reading::Value(clocks.max),
            max_memory: Reading::Value(clocks.memory),
            application_sm: offered(gpu.values[G::ApplicationClock]),
            default_application_sm: offered(clocks.max),
        }
    }

    fn thermal(&self) -> ThermalLimits {
        let thermal = &self.file.thermal;
        let offset = |kelvin: f64| if thermal.absolute { Reading::Unsupported } else { Reading::Value(kelvin) };
        ThermalLimits {
            shutdown_margin: offset(thermal.shutdown_offset),
            slowdown_margin: offset(thermal.slowdown_offset),
            operating_margin: offset(thermal.operating_offset),
            slowdown_celsius: if thermal.absolute {
                // Where hardware slows the part down: beyond the temperature from which software does.
                Reading::Value((thermal.slowdown - thermal.slowdown_offset).round())
            } else {
                Reading::Unsupported
            },
            memory_max_celsius: if self.file.memory.sensor {
                Reading::Value(thermal.memory_max)
            } else {
                Reading::Unsupported
            },
        }
    }

    fn nvlinks(&self, gpu: &Gpu) -> Reading<Vec<NvLink>> {
        if self.file.nvlink.is_none() {
            return Reading::Unsupported;
        }
        let links = gpu.links.iter().enumerate().map(|(number, link)| {
            let up = link[L::Active] > 0.5;
            NvLink {
                link: number as u8,
                state: Reading::Value(if up { LinkState::Active } else { LinkState::Inactive }),
                speed_mb_per_s: if up { Reading::Value(link[L::Speed].round() as u32) } else { Reading::Unsupported },
                remote: if up {
                    let (number, port) = (link[L::RemoteSwitch] as u8, link[L::RemotePort] as u8);
                    Reading::Value(Remote::Switch { number, port })
                } else {
                    Reading::Unsupported
                },
            }
        });
        Reading::Value(links.collect())
    }

    fn fabric(&self, gpu: &Gpu) -> Reading<Fabric> {
        let Some(fabric) = &self.file.fabric else { return Reading::Unsupported };
        let state = match gpu.values[G::FabricState].round() as u8 {
            0 => FabricState::NotStarted,
            1 => FabricState::InProgress,
            _ => FabricState::Completed,
        };
        Reading::Value(Fabric {
            state,
            status: gpu.values[G::FabricStatus] as i32,
            cluster_uuid: fabric.cluster_uuid.clone(),
            clique: fabric.clique,
            health_mask: if fabric.health_mask.is_some() {
                Reading::Value(gpu.values[G::FabricHealth] as u32)
            } else {
                Reading::Unsupported
            },
        })
    }

    fn host(&self, clock_source: Reading<String>) -> Host {
        let host = &self.file.host;
        let here = |component: fn(u8) -> Component, present: S, count: u8| {
            (0..count).filter(move |n| self.site.values.get(&component(*n)).is_some_and(|v| v[present] > 0.5))
        };
        let dimms = here(Component::Dimm, S::DimmPresent, host.dimms).count();
        let memory = self.site.values.get(&Component::Node).map_or(0.0, |node| node[S::HostMemory]);
        // Soldered memory counts no modules.
        let socketed = host.dimms > 0;
        let seen = if socketed { memory * dimms as f64 / f64::from(host.dimms) } else { memory };
        let nics = here(Component::Nic, S::NicPresent, host.nics.count).map(|n| Nic {
            name: format!("mlx5_{n}"),
            model: host.nics.model.clone(),
            speed_mb_per_s: self.ports.speed(n, &self.site.values[&Component::Nic(n)]),
            pci_address: Reading::Unsupported,
            ports: self.ports.shown(n, &self.site.values[&Component::Nic(n)], host.nics.ports.as_ref()),
        });
        let nvmes = here(Component::Nvme, S::NvmePresent, host.nvmes.count).map(|n| Nvme {
            name: format!("nvme{n}"),
            model: host.nvmes.model.clone(),
            serial: format!("{}D{n:02}", self.build.serial.replace("SIMN", "SIMD")),
            pci_address: Reading::Unsupported,
        });
        Host {
            cpu_model: Reading::Value(host.cpu_model.clone()),
            cpus: Reading::Value(host.cpus),
            memory_mib: Reading::Value(seen.round() as u64),
            dimms: if socketed { Reading::Value(dimms as u16) } else { Reading::Unsupported },
            nics: Reading::Value(nics.collect()),
            nvmes: Reading::Value(nvmes.collect()),
            psus: self.psus(),
            clock_source,
        }
    }

    /// A tray fed by its rack has none of its own.
    fn psus(&self) -> Reading<Vec<Psu>> {
        if self.file.host.psus == 0 {
            return Reading::Unsupported;
        }
        let share = self.site.values.get(&Component::Node).map_or(1.0, |node| node[S::SharedCapacity]);
        let psus = (0..self.file.host.psus).filter_map(|n| self.site.values.get(&Component::Psu(n)));
        Reading::Value(
            psus.map(|psu| Psu {
                ok: psu[S::SupplyState] > 0.5,
                capacity_watts: Reading::Value((psu[S::Capacity] * share).round() as u32),
            })
            .collect(),
        )
    }
}

fn identity(gpu: &Gpu) -> GpuIdentity {
    let word = |word: Word| Reading::Value(gpu.part.words.get(&word).cloned().unwrap_or_default());
    GpuIdentity {
        name: word(Word::Name),
        pci_address: word(Word::PciAddress),
        pci_device: word(Word::PciDevice),
        pci_subsystem: word(Word::PciSubsystem),
        slot: word(Word::Slot),
        serial: word(Word::Serial),
        uuid: word(Word::Uuid),
        part_number: word(Word::PartNumber),
        vbios: word(Word::Vbios),
        inforom: word(Word::Inforom),
        gsp_firmware: word(Word::GspFirmware),
        inforom_valid: Reading::Value(gpu.values[G::InforomValid] > 0.5),
    }
}

fn config(gpu: &Gpu) -> Config {
    let flag = |parameter: G| Reading::Value(gpu.values[parameter] > 0.5);
    let mode = ["default", "exclusive-process", "prohibited"][(gpu.values[G::ComputeMode] as usize).min(2)];
    let failed = gpu.errors.remap_failed || gpu.values[G::RemapFailed] > 0.5;
    let pending = gpu.errors.remap_pending || gpu.values[G::RemapPending] > 0.5;
    let action = match () {
        () if gpu.lost || gpu.values[G::Hang] > 0.5 => "reboot",
        () if failed => "drain-and-reset",
        () if pending => "reset",
        () => "none",
    };
    Config {
        ecc: flag(G::Ecc),
        ecc_pending: flag(G::EccPending),
        mig: flag(G::Mig),
        mig_pending: flag(G::MigPending),
        persistence: flag(G::Persistence),
        compute_mode: Reading::Value(mode.to_owned()),
        recovery_action: Reading::Value(action.to_owned()),
    }
}

fn processes(gpu: &Gpu) -> Vec<Process> {
    (0..gpu.values[G::ForeignProcesses].round() as u32)
        .map(|n| Process { pid: 4100 + 17 * n, name: "python3".to_owned(), memory_mib: 1024 })
        .collect()
}

/// A GPU that does not answer: what the driver no longer tells is said to have failed, the rest stays as it was read.
fn fail(shown: &mut kiln_model::Gpu, failure: kiln_model::ReadingFailure) {
    let identity = &mut shown.identity;
    for word in [
        &mut identity.name,
        &mut identity.slot,
        &mut identity.serial,
        &mut identity.uuid,
        &mut identity.part_number,
        &mut identity.vbios,
        &mut identity.inforom,
        &mut identity.gsp_firmware,
    ] {
        *word = Reading::Failed(failure);
    }
    identity.inforom_valid = Reading::Failed(failure);
    shown.memory_mib = Reading::Failed(failure);
    shown.bar1_mib = Reading::Failed(failure);
    let failed = Reading::Failed(failure);
    shown.power = PowerLimits { min: failed, default: failed, max: failed, set: failed, enforced: failed };
    shown.clocks =
        ClockLimits { max_sm: failed, max_memory: failed, application_sm: failed, default_application_sm: failed };
    shown.thermal = ThermalLimits {
        shutdown_margin: failed,
        slowdown_margin: failed,
        operating_margin: failed,
        slowdown_celsius: failed,
        memory_max_celsius: failed,
    };
    shown.config = Config {
        ecc: Reading::Failed(failure),
        ecc_pending: Reading::Failed(failure),
        mig: Reading::Failed(failure),
        mig_pending: Reading::Failed(failure),
        persistence: Reading::Failed(failure),
        compute_mode: Reading::Failed(failure),
        recovery_action: Reading::Failed(failure),
    };
    shown.nvlinks = Reading::Failed(failure);
    shown.fabric = Reading::Failed(failure);
    shown.c2c = Reading::Failed(failure);
    shown.processes = Reading::Failed(failure);
}

/// Every error counter of one GPU.
pub(super) fn counters(gpu: &Gpu) -> GpuCounters {
    if let Some(failure) = gpu.failure() {
        return GpuCounters::failed(gpu.index, failure);
    }
    let errors = &gpu.errors;
    let ecc = gpu.values[G::Ecc] > 0.5;
    let counted = |count: u64| if ecc { Reading::Value(count) } else { Reading::Unsupported };
    let links = errors.links.iter().enumerate().map(|(link, errors)| LinkCounters {
        link: link as u8,
        crc: Reading::Value(errors.crc),
        replay: Reading::Value(errors.replay),
        recovery: Reading::Value(errors.recovery),
    });
    GpuCounters {
        gpu: gpu.index,
        ecc_corrected: counted(errors.corrected),
        ecc_uncorrected: counted(errors.uncorrected),
        sram_threshold_exceeded: Reading::Value(gpu.values[G::SramExceeded] > 0.5),
        remap_corrected: Reading::Value(errors.remaps_corrected),
        remap_uncorrected: Reading::Value(errors.remaps_uncorrected + gpu.values[G::RemapsDone] as u64),
        remap_pending: Reading::Value(errors.remap_pending || gpu.values[G::RemapPending] > 0.5),
        remap_failed: Reading::Value(errors.remap_failed || gpu.values[G::RemapFailed] > 0.5),
        remap_banks_exhausted: Reading::Value(gpu.values[G::BanksExhausted] as u64),
        pcie_replays: Reading::Value(errors.replays),
        // Each replay is answered by one bad TLP, DLLP or timeout in the device's log.
        pcie_correctable: Reading::Value(errors.replays - gpu.part.replays),
        pcie_fatal: Reading::Value(errors.fatal),
        pcie_retrains: Reading::Value(errors.retrains),
        links: if gpu.links.is_empty() { Reading::Unsupported } else { Reading::Value(links.collect()) },
    }
}
