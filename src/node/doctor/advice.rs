//! From the facts to lines: what was looked at, how it stands, and what to do about it.

use super::facts::{CudaFacts, DoctorFacts, Service};
use crate::host::PciDetail;
use kiln_model::{FabricState, Gpu, Inventory, LEAST_DRIVER, Lacking, Reading, ReadingFailure};

/// How a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Readiness {
    Good,
    /// A run works, with less than it could have.
    Warning,
    /// A run fails or proves nothing.
    Bad,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    pub readiness: Readiness,
    /// What was looked at: `driver`, `permissions`.
    pub subject: &'static str,
    pub finding: String,
    /// What to do; empty where nothing is.
    pub action: String,
}

/// A journal with telemetry of eight GPUs over 72 hours stays below this.
const DISK_WANTED_MIB: u64 = 1024;

/// Not even a short run fits.
const DISK_LEAST_MIB: u64 = 100;

fn good(subject: &'static str, finding: impl Into<String>) -> Advice {
    Advice { readiness: Readiness::Good, subject, finding: finding.into(), action: String::new() }
}

fn warning(subject: &'static str, finding: impl Into<String>, action: impl Into<String>) -> Advice {
    Advice { readiness: Readiness::Warning, subject, finding: finding.into(), action: action.into() }
}

fn bad(subject: &'static str, finding: impl Into<String>, action: impl Into<String>) -> Advice {
    Advice { readiness: Readiness::Bad, subject, finding: finding.into(), action: action.into() }
}

/// All lines in the order in which to mend them.
pub fn advise(facts: &DoctorFacts) -> Vec<Advice> {
    let mut lines = vec![driver(facts), gpus(facts)];
    lines.extend(models(facts));
    lines.extend(cuda(facts));
    lines.push(permissions(facts));
    if let Some(inventory) = &facts.inventory {
        lines.push(persistence(inventory));
        lines.extend(limits(inventory));
        lines.extend(fabric(facts, inventory));
    }
    lines.extend([kernel_log(facts), serial(facts), disk(facts), clock(facts)]);
    lines
}

fn driver(facts: &DoctorFacts) -> Advice {
    match &facts.library {
        Ok(library) => {
            let finding = format!("{} through {}", library.driver, library.library.display());
            let release = facts.inventory.as_deref().and_then(Inventory::driver_release);
            if release.is_some_and(|release| release < LEAST_DRIVER) {
                let action =
                    format!("install release {LEAST_DRIVER} or later: this one lacks counters that runs are judged by");
                return bad("driver", finding, action);
            }
            good("driver", finding)
        }
        Err(error) => {
            // Each of these messages says what is wrong, then what to do.
            let text = error.to_string();
            let (finding, action) = text.split_once("; ").unwrap_or((&text, ""));
            bad("driver", finding, action)
        }
    }
}

fn gpus(facts: &DoctorFacts) -> Advice {
    let Ok(library) = &facts.library else { return gpus_on_the_bus(facts) };
    let by_driver = library.gpus as usize;
    let silent: Vec<String> = facts
        .inventory
        .iter()
        .flat_map(|inventory| &inventory.gpus)
        .filter(|gpu| is_silent(gpu))
        .map(|gpu| format!("gpu/{}", gpu.index.0))
        .collect();
    if !silent.is_empty() {
        return bad(
            "GPUs",
            format!("{} of {by_driver} do not answer: {}", silent.len(), silent.join(", ")),
            "see `dmesg` for their Xids, then reset them or the node",
        );
    }
    match &facts.pci {
        Reading::Value(bus) if bus.len() > by_driver => {
            let taken = bus.iter().filter(|gpu| gpu.driver.value().is_some_and(|driver| driver != "nvidia"));
            let held: Vec<String> = taken.map(|gpu| format!("{} by {}", gpu.address, gpu.driver)).collect();
            let action = if held.is_empty() {
                "see `dmesg` for why the driver did not start them".to_owned()
            } else {
                format!("give back to the nvidia driver: {}", held.join(", "))
            };
            bad("GPUs", format!("the bus shows {}, the driver {by_driver}", bus.len()), action)
        }
        Reading::Value(bus) if is_foreign(bus, facts) => bad(
            "GPUs",
            format!("{by_driver} in the driver, none of them on the bus that this process sees"),
            "open all of /sys/bus/pci to this process, or see that the library is this machine's own; a run ends in ERROR",
        ),
        Reading::Value(bus) if bus.len() < by_driver => bad(
            "GPUs",
            format!("{by_driver} in the driver, {} on the bus", bus.len()),
            "open all of /sys/bus/pci to this process, or see that the library is this machine's own",
        ),
        Reading::Value(_) => good("GPUs", format!("{by_driver}, on the bus as in the driver")),
        Reading::Unsupported | Reading::Failed(_) => warning(
            "GPUs",
            format!("{by_driver} in the driver; the bus cannot be read"),
            "open /sys/bus/pci to this process",
        ),
    }
}

/// A run would find it lost, or have no value to judge.
fn is_silent(gpu: &Gpu) -> bool {
    let failed = |reading: Reading<()>| matches!(reading, Reading::Failed(_));
    let identity = &gpu.identity;
    [&identity.uuid, &identity.name, &identity.pci_device].into_iter().any(|word| failed(word.clone().map(drop)))
        || failed(gpu.memory_mib.map(|_| ()))
        || failed(gpu.power.enforced.map(|_| ()))
        || failed(gpu.clocks.max_sm.map(|_| ()))
}

/// Whether the bus shows none of the driver's GPUs.
fn is_foreign(bus: &[PciDetail], facts: &DoctorFacts) -> bool {
    let gpus = || facts.inventory.iter().flat_map(|inventory| &inventory.gpus);
    let on_it = |gpu: &Gpu| bus.iter().any(|one| gpu.identity.pci_address.value() == Some(&one.address));
    gpus().any(|gpu| gpu.identity.pci_address.value().is_some()) && !gpus().any(on_it)
}

/// What the GPUs are, as a run would plan them.
fn models(facts: &DoctorFacts) -> Option<Advice> {
    Some(match facts.models.as_ref()? {
        Ok(models) => good("models", models.join(", ")),
        Err(error) => {
            let text = error.to_string();
            let (finding, action) = text.split_once("; ").unwrap_or((&text, ""));
            bad("models", finding, action)
        }
    })
}

/// Whether loads can run at all.
fn cuda(facts: &DoctorFacts) -> Option<Advice> {
    match &facts.cuda {
        CudaFacts::NotTried => None,
        CudaFacts::Loaded { slower } if slower.is_empty() => Some(good("CUDA", "kernels load on every GPU")),
        CudaFacts::Loaded { slower } => Some(warning(
            "CUDA",
            format!("kernels load, and not the ones made for the part: {}", slower.join("; ")),
            "install a newer driver: limits on speed and power are for the part's own kernels",
        )),
        CudaFacts::Refused(said) => {
            let text = said.join("; ");
            let (finding, action) =
                text.split_once("; ").unwrap_or((&text, "no load can run: see what the driver says in `dmesg`"));
            Some(bad("CUDA", finding, action))
        }
    }
}

/// What a run would not judge.
fn limits(inventory: &Inventory) -> Option<Advice> {
    let lacks = |lacking: &Lacking| inventory.gpus.iter().any(|gpu| gpu.lacks.contains(lacking));
    let told: Vec<&str> =
        Lacking::ALL.iter().filter(|lacking| lacks(lacking)).filter_map(|lacking| unjudged(*lacking)).collect();
    (!told.is_empty()).then(|| {
        let action = "a newer driver may offer it; `kiln profile plan` names the limits";
        warning("limits", format!("not offered and so not judged: {}", told.join(", ")), action)
    })
}

const fn unjudged(lacking: Lacking) -> Option<&'static str> {
    match lacking {
        Lacking::MarginCall | Lacking::ThrottleCounters => None,
        Lacking::Margin => Some("distance to slowdown"),
        Lacking::ThrottleTimes => Some("time slowed down"),
        Lacking::SramThreshold => Some("SRAM error threshold"),
        Lacking::PcieErrors => Some("PCIe error counters"),
        Lacking::LinkEnds => Some("far ends of NVLinks"),
    }
}

/// All there is to say while the driver says nothing.
fn gpus_on_the_bus(facts: &DoctorFacts) -> Advice {
    match &facts.pci {
        Reading::Value(bus) if bus.is_empty() => {
            bad("GPUs", "none on the bus", "seat a GPU and its power, or simulate a node with `--sim`")
        }
        Reading::Value(bus) => good("GPUs", format!("{} on the bus", bus.len())),
        Reading::Unsupported | Reading::Failed(_) => {
            warning("GPUs", "not known: neither driver nor bus can be read", "open /sys/bus/pci to this process")
        }
    }
}

fn permissions(facts: &DoctorFacts) -> Advice {
    if facts.is_root {
        good("permissions", "root")
    } else {
        warning(
            "permissions",
            "not root: serials, memory modules and perhaps the kernel log stay closed",
            "run as root for an acceptance run",
        )
    }
}

fn persistence(inventory: &Inventory) -> Advice {
    let off: Vec<String> = inventory
        .gpus
        .iter()
        .filter(|gpu| gpu.config.persistence == Reading::Value(false))
        .map(|gpu| format!("gpu/{}", gpu.index.0))
        .collect();
    if off.is_empty() {
        good("persistence", "on")
    } else {
        warning("persistence", format!("off on {}", off.join(", ")), "run `nvidia-persistenced` or `nvidia-smi -pm 1`")
    }
}

/// Only where the GPUs have a fabric.
fn fabric(facts: &DoctorFacts, inventory: &Inventory) -> Vec<Advice> {
    let with_fabric: Vec<&Gpu> = inventory.gpus.iter().filter(|gpu| gpu.fabric.value().is_some()).collect();
    if with_fabric.is_empty() {
        return Vec::new();
    }
    // A GPU joined to its processor by C2C is a superchip's: its switches are outside the node, and IMEX joins nodes.
    let superchip = with_fabric.iter().any(|gpu| gpu.c2c.value().is_some());
    let joined = |gpu: &&&Gpu| {
        gpu.fabric.value().is_some_and(|fabric| fabric.state == FabricState::Completed && fabric.status == 0)
    };
    let missing = with_fabric.len() - with_fabric.iter().filter(joined).count();
    let mut lines = Vec::new();
    if missing > 0 {
        let action = match (superchip, facts.fabric_manager) {
            (true, _) => "look at the fabric manager of the rack's switches",
            (false, Service::NotRunning) => "start it: `systemctl start nvidia-fabricmanager`",
            (false, _) => "see /var/log/fabricmanager.log; its version must be the driver's",
        };
        lines.push(bad("fabric", format!("{missing} of {} GPUs have not joined", with_fabric.len()), action));
    } else if !superchip && facts.fabric_manager == Service::NotRunning {
        lines.push(warning(
            "fabric",
            "all GPUs joined, but no fabric manager runs now",
            "start it, or a GPU that is reset will not join again: `systemctl start nvidia-fabricmanager`",
        ));
    } else {
        lines.push(good("fabric", "all GPUs joined"));
    }
    if superchip {
        lines.push(match (facts.imex, facts.imex_channel) {
            (Service::NotRunning, _) => {
                bad("IMEX", "not running", "start it: `systemctl start nvidia-imex`; without it nodes cannot share memory")
            }
            (_, false) => bad(
                "IMEX",
                "no channel device",
                "create /dev/nvidia-caps-imex-channels/channel0 (`nvidia-modprobe -c 0`, or NVreg_CreateImexChannel0=1)",
            ),
            (Service::Running | Service::Unknown, true) => good("IMEX", "channel 0 is there"),
        });
    }
    lines
}

fn kernel_log(facts: &DoctorFacts) -> Advice {
    match facts.kernel_log {
        Reading::Value(()) => good("kernel log", "readable"),
        Reading::Failed(ReadingFailure::NoPermission) => bad(
            "kernel log",
            "closed to this user: of several Xids at once only the last would be seen",
            "run as root, or `sysctl kernel.dmesg_restrict=0` with read permission on /dev/kmsg",
        ),
        Reading::Unsupported => {
            bad("kernel log", "no /dev/kmsg", "in a container, hand it in: `--device /dev/kmsg --cap-add SYSLOG`")
        }
        Reading::Failed(failure) => bad("kernel log", format!("{failure}"), "see whether `dmesg` works"),
    }
}

fn serial(facts: &DoctorFacts) -> Advice {
    match &facts.serial {
        Reading::Value(serial) => good("node serial", serial.clone()),
        Reading::Unsupported => warning(
            "node serial",
            "none in the firmware's tables",
            "have it written at the factory, or name the node to the run by its label",
        ),
        Reading::Failed(_) => warning("node serial", "closed to this user", "run as root, or name the node to the run"),
    }
}

fn disk(facts: &DoctorFacts) -> Advice {
    match facts.disk_free_mib {
        Reading::Value(free) if free < DISK_LEAST_MIB => {
            bad("disk", format!("{free} MiB free for {}", facts.disk), "make room, or name another place with --out")
        }
        Reading::Value(free) if free < DISK_WANTED_MIB => warning(
            "disk",
            format!("{free} MiB free for {}", facts.disk),
            format!("a long run wants {DISK_WANTED_MIB} MiB: make room, or name another place with --out"),
        ),
        Reading::Value(free) => good("disk", format!("{free} MiB free for {}", facts.disk)),
        Reading::Unsupported | Reading::Failed(_) => {
            bad("disk", format!("{} cannot be looked at", facts.disk), "name another place with --out")
        }
    }
}

fn clock(facts: &DoctorFacts) -> Advice {
    match facts.clock_synced {
        Reading::Value(true) => good("clock", "kept by a time daemon"),
        Reading::Value(false) => warning(
            "clock",
            "no time daemon runs: reports may carry the wrong time",
            "start chrony or systemd-timesyncd",
        ),
        Reading::Unsupported | Reading::Failed(_) => {
            warning("clock", "not known whether it is kept", "see `timedatectl`")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::nvml::{LibraryFacts, NvmlOpenError};
    use kiln_model::{C2c, Component, Fabric, GpuIndex};
    use kiln_plan::PlanError;

    fn gpu(index: u8, state: FabricState) -> Gpu {
        let mut gpu = Gpu::bare(GpuIndex(index));
        gpu.identity.uuid = Reading::Value(format!("GPU-{index}"));
        gpu.identity.pci_address =
            Reading::Value(["00000000:19:00.0", "00000000:3b:00.0"][usize::from(index)].to_owned());
        gpu.config.persistence = Reading::Value(true);
        gpu.fabric = Reading::Value(Fabric {
            state,
            status: 0,
            cluster_uuid: String::new(),
            clique: 0,
            health_mask: Reading::Unsupported,
        });
        gpu
    }

    fn on_the_bus(address: &str) -> PciDetail {
        PciDetail {
            address: address.to_owned(),
            device: "233510de".to_owned(),
            ports: Vec::new(),
            subsystem: Reading::Unsupported,
            driver: Reading::Value("nvidia".to_owned()),
            generation: Reading::Unsupported,
            max_generation: Reading::Unsupported,
            width: Reading::Unsupported,
            max_width: Reading::Unsupported,
            numa_node: Reading::Unsupported,
            iommu_group: Reading::Unsupported,
            aer_correctable: Reading::Unsupported,
            aer_nonfatal: Reading::Unsupported,
            aer_fatal: Reading::Unsupported,
        }
    }

    fn ready() -> DoctorFacts {
        let gpus = vec![gpu(0, FabricState::Completed), gpu(1, FabricState::Completed)];
        DoctorFacts {
            library: Ok(LibraryFacts {
                library: PathBuf::from("libnvidia-ml.so.1"),
                driver: Reading::Value("580.105.08".to_owned()),
                cuda: Reading::Value("13.0".to_owned()),
                nvml: Reading::Unsupported,
                gpus: 2,
            }),
            inventory: Some(Box::new(Inventory { gpus, ..Inventory::default() })),
            models: Some(Ok(vec!["h200-sxm".to_owned()])),
            cuda: CudaFacts::Loaded { slower: Vec::new() },
            pci: Reading::Value(vec![on_the_bus("00000000:19:00.0"), on_the_bus("00000000:3b:00.0")]),
            is_root: true,
            kernel_log: Reading::Value(()),
            serial: Reading::Value("S1".to_owned()),
            fabric_manager: Service::Running,
            imex: Service::NotRunning,
            imex_channel: false,
            disk: "runs".to_owned(),
            disk_free_mib: Reading::Value(50_000),
            clock_synced: Reading::Value(true),
        }
    }

    fn shown(facts: &DoctorFacts) -> String {
        let line = |line: &Advice| {
            format!("{:?} {}: {} > {}", line.readiness, line.subject, line.finding, line.action).trim_end().to_owned()
        };
        advise(facts).iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_machine_that_is_ready_has_nothing_to_do() {
        insta::assert_snapshot!(shown(&ready()));
    }

    #[test]
    fn everything_wrong_has_its_own_line_and_its_own_remedy() {
        let mut facts = ready();
        let mut superchip = gpu(0, FabricState::InProgress);
        superchip.c2c = Reading::Value(C2c { links: 10, links_active: 10, speed_mb_per_s: 40_000 });
        superchip.config.persistence = Reading::Value(false);
        facts.inventory = Some(Box::new(Inventory { gpus: vec![superchip], ..Inventory::default() }));
        facts.is_root = false;
        facts.kernel_log = Reading::Failed(ReadingFailure::NoPermission);
        facts.serial = Reading::Failed(ReadingFailure::NoPermission);
        facts.disk_free_mib = Reading::Value(12);
        facts.clock_synced = Reading::Value(false);
        insta::assert_snapshot!(shown(&facts));
    }

    #[test]
    fn without_a_driver_the_line_says_what_to_install() {
        let library = "libnvidia-ml.so.1".to_owned();
        let missing =
            DoctorFacts { library: Err(NvmlOpenError::LibraryMissing { library }), inventory: None, ..ready() };
        insta::assert_snapshot!(shown(&missing));
    }

    #[test]
    fn a_gpu_held_by_another_driver_is_named() {
        let mut facts = ready();
        let mut held = on_the_bus("00000000:4c:00.0");
        held.driver = Reading::Value("vfio-pci".to_owned());
        facts.pci = facts.pci.map(|bus| [bus, vec![held]].concat());
        let line = advise(&facts).into_iter().find(|line| line.subject == "GPUs").expect("a line");
        assert_eq!((line.readiness, line.finding.as_str()), (Readiness::Bad, "the bus shows 3, the driver 2"));
        assert_eq!(line.action, "give back to the nvidia driver: 00000000:4c:00.0 by vfio-pci");
    }

    #[test]
    fn what_a_run_would_not_pass_is_not_ready() {
        type Change = fn(&mut DoctorFacts);
        fn first(facts: &mut DoctorFacts) -> &mut Gpu {
            &mut facts.inventory.as_mut().expect("an inventory").gpus[0]
        }
        let changes: [(&str, Change); 6] = [
            ("GPUs", |facts| first(facts).memory_mib = Reading::Failed(ReadingFailure::Lost)),
            ("GPUs", |facts| facts.pci = Reading::Value(Vec::new())),
            ("models", |facts| {
                let why = ReadingFailure::Lost.to_string();
                facts.models = Some(Err(PlanError::NoAnswer { component: Component::gpu(0), why }));
            }),
            ("CUDA", |facts| facts.cuda = CudaFacts::Refused(vec!["libcuda.so.1 cannot be opened".to_owned()])),
            ("driver", |facts| {
                facts.inventory.as_mut().expect("an inventory").driver = Reading::Value("525.147.05".to_owned());
            }),
            ("GPUs", |facts| first(facts).identity.uuid = Reading::Failed(ReadingFailure::Driver(999))),
        ];
        for (subject, change) in changes {
            let mut facts = ready();
            change(&mut facts);
            let bad: Vec<&str> = advise(&facts)
                .iter()
                .filter(|line| line.readiness == Readiness::Bad)
                .map(|line| line.subject)
                .collect();
            assert_eq!(bad, [subject]);
        }
    }

    #[test]
    fn a_fabric_that_has_not_joined_asks_for_its_manager() {
        let mut facts = ready();
        let gpus = vec![gpu(0, FabricState::Completed), gpu(1, FabricState::InProgress)];
        facts.inventory = Some(Box::new(Inventory { gpus, ..Inventory::default() }));
        facts.fabric_manager = Service::NotRunning;
        let line = advise(&facts).into_iter().find(|line| line.subject == "fabric").expect("a line");
        assert_eq!((line.readiness, line.finding.as_str()), (Readiness::Bad, "1 of 2 GPUs have not joined"));
        assert_eq!(line.action, "start it: `systemctl start nvidia-fabricmanager`");
    }
}
