//! From the facts to lines: what was looked at, how it stands, and what to do about it.

use super::facts::{CudaFacts, DoctorFacts, Identified, Planned, Service};
use crate::host::PciDetail;
use kiln_model::{FabricState, Gpu, Inventory, LEAST_DRIVER, Reading, SourceTrouble};

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
        lines.extend(fabric(facts, inventory));
    }
    lines.extend(planned(facts));
    lines.extend(identified(facts));
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
        CudaFacts::Loaded { slower } => Some(slower_kernels("kernels load", slower)),
        CudaFacts::Computed { images, results, slower } => {
            let ran = format!("kernels of {} ran, {results} results compared and right", images.join(", "));
            Some(if slower.is_empty() { good("CUDA", ran) } else { slower_kernels(&ran, slower) })
        }
        CudaFacts::Wrong(said) => {
            Some(bad("CUDA", said.join("; "), "run `kiln run smoke`, which names the part and what to do with it"))
        }
        CudaFacts::Refused(said) => {
            let text = said.join("; ");
            let (finding, action) =
                text.split_once("; ").unwrap_or((&text, "no load can run: see what the driver says in `dmesg`"));
            Some(bad("CUDA", finding, action))
        }
    }
}

/// What the profile cannot do on this node, and what it would not judge, by its own plan.
fn planned(facts: &DoctorFacts) -> Vec<Advice> {
    let Some(Planned { profile, unmet, blind }) = &facts.planned else { return Vec::new() };
    let cannot =
        unmet.iter().map(|step| bad("profile", step.clone(), format!("a run of {profile} ends in ERROR with it")));
    let unseen = blind.iter().map(|line| {
        let action = format!("a newer driver may offer it; `kiln profile plan {profile}` shows the whole plan");
        warning("limits", line.clone(), action)
    });
    cannot.chain(unseen).collect()
}

/// What a run's first stage says, which needs no load.
fn identified(facts: &DoctorFacts) -> Vec<Advice> {
    match &facts.identified {
        Identified::NotTried => Vec::new(),
        Identified::Refused(why) => {
            let (finding, action) = why.split_once("; ").unwrap_or((why, "no run begins before this is mended"));
            vec![bad("first stage", finding, action)]
        }
        Identified::Judged { cases, unmet } if unmet.is_empty() => {
            vec![good("first stage", format!("{cases} results, none of which keeps a run from passing"))]
        }
        Identified::Judged { unmet, .. } => {
            let action = "a run says the same and does not pass; `kiln run smoke --only identify` shows it whole";
            unmet.iter().map(|line| bad("first stage", line.clone(), action)).collect()
        }
    }
}

fn slower_kernels(ran: &str, slower: &[String]) -> Advice {
    warning(
        "CUDA",
        format!("{ran}, and not the ones made for the part: {}", slower.join("; ")),
        "install a newer driver: limits on speed and power are for the part's own kernels",
    )
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
            "not root: serials, memory modules and perhaps the kernel log stay closed, and no clock can be held",
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

/// What to do where a container has no log of the kernel.
const HAND_IN: &str = "in a container, hand it in: `--device /dev/kmsg --cap-add SYSLOG`";

fn kernel_log(facts: &DoctorFacts) -> Advice {
    match facts.kernel_log {
        Ok(()) => good("kernel log", "readable"),
        Err(SourceTrouble::NoPermission) => bad(
            "kernel log",
            "closed to this user: of several Xids at once only the last would be seen",
            "run as root, or `sysctl kernel.dmesg_restrict=0` with read permission on /dev/kmsg",
        ),
        Err(SourceTrouble::Absent) => bad("kernel log", "no /dev/kmsg", HAND_IN),
        Err(SourceTrouble::Directory) => bad("kernel log", "/dev/kmsg is a folder", HAND_IN),
        Err(SourceTrouble::OtherKind) => {
            bad("kernel log", "/dev/kmsg is another device, or a file without a record", HAND_IN)
        }
        Err(SourceTrouble::Failed(code)) => {
            bad("kernel log", format!("reading it failed with error {code}"), "see whether `dmesg` works")
        }
        Err(SourceTrouble::ReaderGone | SourceTrouble::Replaced | SourceTrouble::NotTold) => {
            bad("kernel log", "it went away while it was read", "see whether `dmesg` works")
        }
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
mod tests;
