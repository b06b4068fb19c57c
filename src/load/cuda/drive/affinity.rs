//! Moves this thread next to a GPU, so that memory it pins lies on the GPU's NUMA node.

use std::fs;

use rustix::thread::{CpuSet, sched_setaffinity};

/// Binds this thread to the processors the kernel names as local to a PCI device. Where it does not say, nothing changes.
pub(super) fn move_to(pci: &str) {
    let list = fs::read_to_string(format!("/sys/bus/pci/devices/{}/local_cpulist", pci.to_lowercase()));
    let processors = parse(&list.unwrap_or_default());
    if processors.is_empty() {
        return;
    }
    let mut set = CpuSet::new();
    processors.into_iter().filter(|processor| *processor < CpuSet::MAX_CPU).for_each(|processor| set.set(processor));
    // Refused inside a container: the copy is then measured from where it is.
    let _ = sched_setaffinity(None, &set);
}

/// `0-3,8,10-11`
fn parse(list: &str) -> Vec<usize> {
    let mut all = Vec::new();
    for part in list.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse::<usize>()) {
            all.extend(first..=last);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_processors_read_as_the_kernel_writes_them() {
        assert_eq!(parse("0-3,8,10-11\n"), [0, 1, 2, 3, 8, 10, 11]);
        assert_eq!(parse("\n"), [0usize; 0]);
    }
}
