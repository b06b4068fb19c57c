//! Which GPU a kernel log record accuses, and whether that alone must fail a burn-in: what guards ask.

use super::{BurnIn, KernelLine, PciAddress, read_kernel_line, xid};
use kiln_model::{GpuIndex, Inventory, KernelRecord, Nvme, Reading};

/// The GPU at a PCI address.
pub fn gpu_at(address: PciAddress, inventory: &Inventory) -> Option<GpuIndex> {
    let at = |gpu: &&kiln_model::Gpu| {
        gpu.identity.pci_address.value().and_then(|text| text.parse::<PciAddress>().ok()) == Some(address)
    };
    inventory.gpus.iter().find(at).map(|gpu| gpu.index)
}

/// The GPU that a line of the driver speaks of by an address that no GPU of the inventory has, or by none: the one GPU that does
/// not answer, if it is one alone and does not tell of itself that it sits elsewhere.
pub(super) fn silent_gpu(address: Option<PciAddress>, inventory: &Inventory) -> Option<GpuIndex> {
    let silent: Vec<_> = inventory.gpus.iter().filter(|gpu| matches!(gpu.identity.uuid, Reading::Failed(_))).collect();
    let [gpu] = silent[..] else { return None };
    let sits_elsewhere = address.is_some() && gpu.identity.pci_address.value().is_some();
    (!sits_elsewhere).then_some(gpu.index)
}

/// The network device of the inventory at an address, by its number. The functions of a card are devices of their own;
/// where only another of them is known, it is that card.
pub(super) fn nic_at(address: PciAddress, inventory: &Inventory) -> Option<u8> {
    let known = |nic: &kiln_model::Nic| nic.pci_address.value()?.parse::<PciAddress>().ok();
    let nics: Vec<(u8, PciAddress)> = (0..=u8::MAX)
        .zip(inventory.host.nics.value().into_iter().flatten())
        .filter_map(|(nth, nic)| Some((nth, known(nic)?)))
        .collect();
    let card = |own: &PciAddress| PciAddress { function: address.function, ..*own } == address;
    let found = nics.iter().find(|(_, own)| *own == address).or_else(|| nics.iter().find(|(_, own)| card(own)))?;
    Some(found.0)
}

/// The drive whose controller is at an address, by its number.
pub(super) fn drive_at(address: PciAddress, inventory: &Inventory) -> Option<u8> {
    let mut drives = (0..=u8::MAX).zip(inventory.host.nvmes.value().into_iter().flatten());
    let is_there = |drive: &Nvme| drive.pci_address.value().and_then(|text| text.parse().ok()) == Some(address);
    drives.find(|(_, drive)| is_there(drive)).map(|(nth, _)| nth)
}

/// The GPU and the code, if the record is an Xid that is proof against the unit by itself.
pub fn failing_xid(record: &KernelRecord, inventory: &Inventory) -> Option<(GpuIndex, u32)> {
    let KernelLine::Xid(line) = read_kernel_line(&record.text)? else { return None };
    let row = xid(line.code)?;
    let gpu = gpu_at(line.pci, inventory).or_else(|| silent_gpu(Some(line.pci), inventory))?;
    (row.burn_in_of(&line) == BurnIn::Fails).then_some((gpu, line.code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_model::{KernelSource, Moment};

    fn asked(text: &str) -> Option<(GpuIndex, u32)> {
        let mut inventory = Inventory::default();
        inventory.gpus.push(kiln_model::Gpu::bare(GpuIndex(3)));
        inventory.gpus[0].identity.pci_address = Reading::Value("00000000:B5:00.0".to_owned());
        let record = KernelRecord { at: Moment::ZERO, source: KernelSource::KernelLog, text: text.to_owned() };
        failing_xid(&record, &inventory)
    }

    #[test]
    fn a_fatal_xid_accuses_the_gpu_at_its_address() {
        let accused = asked("NVRM: Xid (PCI:0000:b5:00): 79, GPU has fallen off the bus.");
        assert_eq!(accused, Some((GpuIndex(3), 79)));
    }

    #[test]
    fn the_load_programs_own_xids_and_other_gpus_accuse_nobody() {
        assert_eq!(asked("NVRM: Xid (PCI:0000:b5:00): 43, pid=1, name=kiln, Ch 00000008"), None);
        assert_eq!(asked("NVRM: Xid (PCI:0000:c6:00): 79, GPU has fallen off the bus."), None);
    }
}
