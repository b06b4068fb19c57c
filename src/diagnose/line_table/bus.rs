//! What the bus, its ports and its drivers say of any device.

use super::super::kernel_event::Class::{Drive, Removal, Unknown};
use super::Of::{Begins, Device, Driver};
use super::{Row, detail, doubt, nothing, proof};

pub(super) const ROWS: &[Row] = &[
    // Configuration space reads as all ones, or a device did not come back from a reset (drivers/pci/pci.c).
    proof(Driver("nvme"), "^Unable to change power state*device inaccessible", Drive),
    proof(Driver("nvme"), "^not ready*giving up", Drive),
    proof(Device, "^Unable to change power state*device inaccessible", Removal),
    proof(Device, "^not ready*giving up", Removal),
    // A device that is slow to wake up is read the same way as one that is gone.
    doubt(Device, "^Refused to change power state", Unknown),
    doubt(Device, "^refused to change power state", Unknown),
    doubt(Device, "assuming dead", Unknown),
    doubt(Device, "device inaccessible", Unknown),
    // All ones where a device says what it is (drivers/pci/probe.c).
    doubt(Device, "unknown header type 7f", Unknown),
    doubt(Driver("cxl_pci"), "device state fatal", Unknown),
    doubt(Driver("cxl_pci"), "mailbox timeout", Unknown),
    doubt(Device, "timed out waiting for pending transaction", Unknown),
    // Links that do not train (drivers/pci/quirks.c, pci.c, hotplug/pciehp_hpc.c).
    doubt(Device, "Cannot train link", Unknown),
    doubt(Device, "Data Link Layer Link Active not set", Unknown),
    doubt(Device, "broken device, retraining non-functional", Unknown),
    doubt(Device, "retraining failed", Unknown),
    doubt(Device, "Failed to check link status", Unknown),
    // Addresses for a GPU's memory that the firmware left no room for (setup-res.c).
    doubt(Device, "no space for [mem", Unknown),
    doubt(Device, "failed to assign [mem", Unknown),
    doubt(Device, "can't assign; no space", Unknown),
    // Switches of NVLink that are left out, or that are heard of no more (linux_nvswitch.c of open-gpu-kernel-modules).
    doubt(Begins("nvidia-nvswitch"), "Blacklisted nvswitch device", Unknown),
    doubt(Begins("nvidia-nvswitch"), "Interrupts disabled to avoid a storm", Unknown),
    // A GPU whose window, interrupts or configuration space the driver cannot use (nv-pci.c, nv.c, kern_bif.c), one that it is told to
    // let go while programs use it, and one that is too hot.
    doubt(Begins("NVRM: "), "BAR* is 0M @ ", Unknown),
    nothing(Begins("NVRM: "), "assigned to your NVIDIA device is invalid"),
    doubt(Begins("NVRM: "), "config space is inaccessible", Unknown),
    doubt(Begins("NVRM: "), "No interrupts of any type are available", Unknown),
    doubt(Begins("NVRM: "), "Can't find an IRQ", Unknown),
    doubt(Begins("NVRM: "), "unhandled interrupt threshold", Unknown),
    doubt(Begins("NVRM: "), "links are down", Unknown),
    doubt(Begins("NVRM: "), "page offlining failed", Unknown),
    doubt(Begins("NVRM: "), "with non-zero usage count", Unknown),
    doubt(Begins("NVRM: "), "shutdown temperature", Unknown),
    // A code that was cut off before its number.
    doubt(Begins("NVRM: Xid ("), "", Unknown),
    // drivers/gpu/drm/nouveau/nvkm: the codes of a GPU that the kernel's own driver has.
    doubt(Driver("nouveau"), "Xid:", Unknown),
    // A GPU that was left to itself, and whose code the log has lost (nv.c, kernel_gsp.c).
    doubt(Begins("NVRM: "), "GPU crash dump has been created", Unknown),
    doubt(Begins("NVRM: "), "GSP core unresponsive", Unknown),
    doubt(Begins("NVRM: "), "CrashCat Report", Unknown),
    // drivers/usb/host/xhci-ring.c, xhci.c: a controller of the host that is gone.
    doubt(Driver("xhci_hcd"), "assume dead", Unknown),
    doubt(Driver("xhci_hcd"), "HC died", Unknown),
    // kernel/irq/spurious.c: an interrupt that nobody owns, and is switched off for all who share it.
    doubt(Begins("irq "), "nobody cared", Unknown),
    detail(Begins("Disabling IRQ #"), ""),
];
