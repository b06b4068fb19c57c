//! Collects the facts from the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::facts::{CudaFacts, DoctorFacts, Identified, Service};
use crate::host::{KernelLog, is_own, log_trouble, pci_details, read_host};
use crate::nvml::{NvmlNode, NvmlOptions};
use kiln_model::Arrivals;
use kiln_model::{GpuIndex, Inventory, Moment, Reading, ReadingFailure, SourceTrouble};
use kiln_plan::models_of;
use kiln_profile::{Sku, Skus};

/// What to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct DoctorOptions {
    pub nvml: NvmlOptions,
    /// Where run directories go.
    pub out: PathBuf,
    /// The models that are known.
    pub skus: Skus,
}

/// Programs that keep the clock, as the kernel names their processes.
const TIME_KEEPERS: [&str; 4] = ["chronyd", "ntpd", "ntpd-rs", "phc2sys"];

/// Asks everything there is to ask. Takes as long as an inventory does at the most.
///
/// `try_cuda` opens the CUDA driver and tries the kernels on the GPUs, in a place where that can do no harm. What a profile
/// says is for whoever knows profiles.
pub fn collect_facts(options: &DoctorOptions, try_cuda: impl FnOnce(&Inventory) -> CudaFacts) -> DoctorFacts {
    let root = &options.nvml.root;
    let (library, inventory) = match NvmlNode::open_with(&options.nvml) {
        Ok(node) => (Ok(node.library().clone()), inventory_of(node)),
        Err(error) => (Err(error), None),
    };
    let names = |models: BTreeMap<GpuIndex, Sku>| models.into_values().map(|sku| sku.id).collect::<BTreeSet<String>>();
    let models = inventory
        .as_deref()
        .map(|inventory| models_of(inventory, &options.skus).map(|(models, _)| names(models).into_iter().collect()));
    DoctorFacts {
        models,
        cuda: inventory.as_deref().map_or(CudaFacts::NotTried, try_cuda),
        planned: None,
        identified: Identified::NotTried,
        library,
        inventory,
        pci: pci_details(root),
        is_root: rustix::process::geteuid().is_root(),
        kernel_log: kernel_log(root),
        serial: read_host(root).node.serial,
        // The kernel keeps fifteen letters of a process's name.
        fabric_manager: service(root, &["nv-fabricmanage"]),
        imex: service(root, &["nvidia-imex"]),
        imex_channel: root.join("dev/nvidia-caps-imex-channels/channel0").exists(),
        disk: options.out.display().to_string(),
        disk_free_mib: free_mib(&options.out),
        clock_synced: clock_synced(root),
    }
}

#[expect(clippy::disallowed_methods, reason = "an adapter that waits for a real library")]
fn inventory_of(mut node: NvmlNode) -> Option<Box<Inventory>> {
    let began = Instant::now();
    let (wake, woken) = channel();
    node.on_arrival(Box::new(move || {
        // Nobody listens once the inventory is in.
        let _ = wake.send(());
    }));
    node.read_inventory(Moment::ZERO);
    let mut arrivals = Arrivals::default();
    loop {
        let now = Moment::ZERO + began.elapsed();
        node.collect(now, &mut arrivals);
        if let Some(inventory) = arrivals.inventories.pop() {
            return inventory.ok();
        }
        let wait = node.next_arrival()?.since(now).max(Duration::from_millis(1));
        // Woken or timed out: both mean to look again.
        let _ = woken.recv_timeout(wait);
    }
}

fn refused<T>(error: &std::io::Error) -> Reading<T> {
    match error.kind() {
        std::io::ErrorKind::NotFound => Reading::Unsupported,
        std::io::ErrorKind::PermissionDenied => Reading::Failed(ReadingFailure::NoPermission),
        _ => Reading::Failed(ReadingFailure::Driver(error.raw_os_error().unwrap_or_default())),
    }
}

fn kernel_log(root: &Path) -> Result<(), SourceTrouble> {
    // Opening may succeed where reading is forbidden.
    let mut log = KernelLog::open(&root.join("dev/kmsg")).map_err(|error| log_trouble(&error))?;
    log.read_new().map_err(|error| log_trouble(&error))?;
    if log.has_records() || !is_own(root) { Ok(()) } else { Err(SourceTrouble::OtherKind) }
}

/// Whether a process of one of the names runs.
fn service(root: &Path, names: &[&str]) -> Service {
    let Ok(processes) = fs::read_dir(root.join("proc")) else { return Service::Unknown };
    let runs = processes
        .flatten()
        .any(|process| fs::read_to_string(process.path().join("comm")).is_ok_and(|name| names.contains(&name.trim())));
    if runs { Service::Running } else { Service::NotRunning }
}

/// The directory itself may not be there yet: then the nearest one above it that is.
fn free_mib(out: &Path) -> Reading<u64> {
    let absolute = std::path::absolute(out).unwrap_or_else(|_| out.to_path_buf());
    let Some(there) = absolute.ancestors().find(|path| path.exists()) else { return Reading::Unsupported };
    match rustix::fs::statvfs(there) {
        Ok(disk) => Reading::Value(disk.f_bavail.saturating_mul(disk.f_frsize) >> 20),
        Err(error) => refused(&error.into()),
    }
}

fn clock_synced(root: &Path) -> Reading<bool> {
    if root.join("run/systemd/timesync/synchronized").exists() {
        return Reading::Value(true);
    }
    match service(root, &TIME_KEEPERS) {
        Service::Running => Reading::Value(true),
        Service::NotRunning => Reading::Value(false),
        Service::Unknown => Reading::Unsupported,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_an_empty_machine_say_what_is_absent() {
        let root = tempfile::tempdir().expect("folder");
        let lib = Some(root.path().join("libnvidia-ml.so.1"));
        let nvml = NvmlOptions { lib, root: root.path().to_path_buf(), ..NvmlOptions::default() };
        let options = DoctorOptions { nvml, out: root.path().join("runs"), skus: Skus::default() };
        let facts = collect_facts(&options, |_| CudaFacts::NotTried);
        assert!(facts.library.is_err());
        assert_eq!((facts.kernel_log, facts.pci), (Err(SourceTrouble::Absent), Reading::Unsupported));
        assert_eq!((facts.fabric_manager, facts.clock_synced), (Service::Unknown, Reading::Unsupported));
        assert!(facts.disk_free_mib.value().is_some());
    }

    #[test]
    fn a_daemon_is_found_by_its_process() {
        let root = tempfile::tempdir().expect("folder");
        fs::create_dir_all(root.path().join("proc/77")).expect("folder");
        fs::write(root.path().join("proc/77/comm"), "nv-fabricmanage\n").expect("file");
        assert_eq!(service(root.path(), &["nv-fabricmanage"]), Service::Running);
        assert_eq!(service(root.path(), &["nvidia-imex"]), Service::NotRunning);
    }
}
