//! Processor, memory, clock and the memory controllers' error counts.

use std::path::Path;

use super::source::{entries, name, number, parsed, text};
use kiln_model::Reading;

/// Errors the memory controllers of the processors counted since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryErrors {
    pub corrected: u64,
    pub uncorrected: u64,
}

/// Sums over all controllers; unsupported where no EDAC driver is loaded.
pub fn memory_errors(root: &Path) -> Reading<MemoryErrors> {
    let controllers = match entries(&root.join("sys/devices/system/edac/mc")) {
        Reading::Value(found) => found,
        Reading::Unsupported => return Reading::Unsupported,
        Reading::Failed(failure) => return Reading::Failed(failure),
    };
    let mut total = Reading::Unsupported;
    for controller in controllers.iter().filter(|path| is_controller(&name(path))) {
        let (corrected, uncorrected) =
            match (number(&controller.join("ce_count")), number(&controller.join("ue_count"))) {
                (Reading::Value(corrected), Reading::Value(uncorrected)) => (corrected, uncorrected),
                (Reading::Failed(failure), _) | (_, Reading::Failed(failure)) => return Reading::Failed(failure),
                _ => continue,
            };
        let before = total.get().unwrap_or(MemoryErrors { corrected: 0, uncorrected: 0 });
        total = Reading::Value(MemoryErrors {
            corrected: before.corrected + corrected,
            uncorrected: before.uncorrected + uncorrected,
        });
    }
    total
}

/// `mc0`, and not the `mc` of a subsystem.
fn is_controller(name: &str) -> bool {
    name.strip_prefix("mc").is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The processor's name; Arm kernels give none, then the firmware's tables do.
pub(super) fn cpu_model(root: &Path) -> Reading<String> {
    parsed(text(&root.join("proc/cpuinfo")), |text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        line.split_once(':').map(|(_, model)| model.split_whitespace().collect::<Vec<_>>().join(" "))
    })
}

/// Logical processors the kernel runs.
pub(super) fn cpus(root: &Path) -> Reading<u16> {
    parsed(text(&root.join("proc/cpuinfo")), |text| {
        u16::try_from(text.lines().filter(|line| line.starts_with("processor")).count()).ok().filter(|count| *count > 0)
    })
}

/// Memory the kernel has, which is what is fitted less what it keeps for itself.
pub(super) fn memory_mib(root: &Path) -> Reading<u64> {
    parsed(text(&root.join("proc/meminfo")), |text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib / 1024)
    })
}

pub(super) fn clock_source(root: &Path) -> Reading<String> {
    text(&root.join("sys/devices/system/clocksource/clocksource0/current_clocksource"))
}

pub(super) fn hostname(root: &Path) -> Reading<String> {
    text(&root.join("proc/sys/kernel/hostname"))
}

pub(super) fn boot_id(root: &Path) -> Reading<String> {
    text(&root.join("proc/sys/kernel/random/boot_id"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn memory_errors_are_summed_over_controllers_and_absent_without_a_driver() {
        let root = tempfile::tempdir().expect("folder");
        assert_eq!(memory_errors(root.path()), Reading::Unsupported);
        for (controller, corrected) in [("mc0", "3\n"), ("mc1", "4\n")] {
            let folder = root.path().join("sys/devices/system/edac/mc").join(controller);
            fs::create_dir_all(&folder).expect("folder");
            fs::write(folder.join("ce_count"), corrected).expect("file");
            fs::write(folder.join("ue_count"), "0\n").expect("file");
        }
        assert_eq!(memory_errors(root.path()), Reading::Value(MemoryErrors { corrected: 7, uncorrected: 0 }));
    }

    #[test]
    fn cpuinfo_and_meminfo_are_read_as_kernels_write_them() {
        let root = tempfile::tempdir().expect("folder");
        fs::create_dir_all(root.path().join("proc")).expect("folder");
        let cpu =
            "processor\t: 0\nmodel name\t: Intel(R) Xeon(R)   Platinum 8480C\n\nprocessor\t: 1\nmodel name\t: x\n";
        fs::write(root.path().join("proc/cpuinfo"), cpu).expect("file");
        fs::write(root.path().join("proc/meminfo"), "MemTotal:       2097152 kB\nMemFree: 1 kB\n").expect("file");
        assert_eq!(cpu_model(root.path()), Reading::Value("Intel(R) Xeon(R) Platinum 8480C".to_owned()));
        assert_eq!((cpus(root.path()), memory_mib(root.path())), (Reading::Value(2), Reading::Value(2048)));
    }
}
