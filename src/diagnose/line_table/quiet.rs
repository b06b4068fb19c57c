//! Lines that speak of errors and mean none: what kernels, firmware and drivers of healthy servers say.

use super::super::kernel_event::Class::{Heat, HostMemory, Stuck, Unknown};
use super::Of::{Anyone, Begins, Device, Network};
use super::{Row, doubt, nothing};

pub(super) const ROWS: &[Row] = &[
    // What such speakers say only where something went wrong: an error that ACPI hands on, a zone of it that is too hot
    // (drivers/acpi/thermal.c), firmware that crashed while the kernel asked it for something (arch/x86/platform/efi/quirks.c),
    // a management controller that no longer keeps to its protocol (drivers/char/ipmi/ipmi_kcs_sm.c).
    doubt(Begins("ACPI"), "uncorrect", Unknown),
    doubt(Begins("ACPI"), "ritical temperature reached", Heat),
    doubt(Anyone, "Page fault caused by firmware", Stuck),
    doubt(Anyone, "synchronous unrecoverable error (SIGBUS)", HostMemory),
    doubt(Begins("ACPI"), "Fatal opcode executed", Unknown),
    doubt(Begins("ipmi_si "), "KCS in invalid state", Unknown),
    // Programs' own messages, what is asked of the kernel, and accounts of who did what (kernel/audit.c, init/main.c).
    nothing(Begins("audit: "), ""),
    nothing(Begins("systemd"), ""),
    nothing(Begins("Command line: "), ""),
    nothing(Begins("Kernel command line: "), ""),
    nothing(Begins("Unknown kernel command line parameters "), ""),
    // A fault of a user's program (arch/x86/kernel/traps.c, mm/fault.c; arch/arm64/kernel/traps.c prints the name first).
    nothing(Begins("traps: "), " ip:"),
    nothing(Anyone, "]: segfault at "),
    nothing(Anyone, "]: unhandled exception: "),
    // Mistakes in tables of the firmware and in its set-up, which the kernel goes around (drivers/acpi, kernel/printk's FW_BUG).
    nothing(Begins("ACPI"), ""),
    nothing(Anyone, "[Firmware Bug]: "),
    nothing(Anyone, "[Firmware Warn]: "),
    nothing(Anyone, "[Firmware Info]: "),
    nothing(Begins("ERST: "), ""),
    nothing(Begins("HEST: "), ""),
    nothing(Begins("BERT: "), ""),
    nothing(Begins("GHES: "), ""),
    nothing(Begins("EINJ: "), ""),
    // Keyboards, media and hubs of the management controller (drivers/usb).
    nothing(Begins("usb "), ""),
    nothing(Begins("usb-storage "), ""),
    nothing(Begins("usb usb"), ""),
    nothing(Begins("hub "), ""),
    nothing(Begins("hid-generic "), ""),
    nothing(Begins("i8042"), ""),
    nothing(Begins("mmc"), ""),
    // Files of firmware and microcode that are not installed (drivers/base/firmware_loader/main.c); a driver that cannot do
    // without says so itself.
    nothing(Anyone, "Direct firmware load for "),
    nothing(Anyone, "Falling back to sysfs fallback for: "),
    nothing(Begins("microcode: "), ""),
    nothing(Begins("cfg80211: "), ""),
    nothing(Begins("Loading compiled-in X.509 certificates"), ""),
    nothing(Begins("integrity: "), ""),
    nothing(Begins("ima: "), ""),
    nothing(Begins("Lockdown: "), ""),
    // A driver that was built on this machine has no signature of its distributor (kernel/module/signing.c).
    nothing(Anyone, "module verification failed"),
    nothing(Anyone, "loading out-of-tree module taints kernel"),
    // Servers of others that do not answer (fs/nfs, net/sunrpc, fs/smb).
    nothing(Begins("nfs: "), ""),
    nothing(Begins("NFS: "), ""),
    nothing(Begins("lockd: "), ""),
    nothing(Begins("RPC: "), ""),
    nothing(Begins("CIFS: "), ""),
    nothing(Begins("ceph: "), ""),
    nothing(Begins("libceph: "), ""),
    nothing(Begins("LustreError: "), ""),
    nothing(Begins("LNetError: "), ""),
    nothing(Begins("Lustre: "), ""),
    // A security chip that is not set up (drivers/char/tpm).
    nothing(Begins("tpm "), ""),
    nothing(Begins("tpm_crb "), ""),
    nothing(Begins("tpm_tis "), ""),
    // The management controller's own ways (drivers/char/ipmi): a unit is not tested by them.
    nothing(Begins("ipmi_si "), ""),
    nothing(Begins("ipmi_ssif "), ""),
    nothing(Begins("IPMI "), ""),
    nothing(Begins("ipmi"), ""),
    nothing(Begins("power_meter "), ""),
    // Memory that a program asked for and there was none of (mm/oom_kill.c, page_alloc.c).
    nothing(Anyone, "invoked oom-killer"),
    nothing(Anyone, "page allocation failure"),
    nothing(Begins("Out of memory: "), ""),
    nothing(Begins("Memory cgroup out of memory: "), ""),
    // Windows for ports of the first PCs, of which there are too few for every bridge (drivers/pci/setup-bus.c), data that
    // devices keep about themselves (vpd.c), links that are as wide as their slot (pci.c).
    nothing(Device, "[io "),
    // Addresses for virtual functions, which a GPU that is not shared needs none of: `VF BAR` since Linux 6.12, before that the
    // resources 7 to 12 (`PCI_IOV_RESOURCES` of include/linux/pci.h).
    nothing(Device, "VF BAR "),
    nothing(Device, "BAR 7: "),
    nothing(Device, "BAR 8: "),
    nothing(Device, "BAR 9: "),
    nothing(Device, "BAR 10: "),
    nothing(Device, "BAR 11: "),
    nothing(Device, "BAR 12: "),
    nothing(Device, "VPD"),
    nothing(Device, "Gb/s available PCIe bandwidth"),
    nothing(Device, "PME: Spurious native interrupt"),
    nothing(Device, "ROM [mem"),
    nothing(Device, "Invalid PCI ROM header signature"),
    nothing(Device, "can't derive routing for PCI INT"),
    nothing(Device, "can't find IRQ for PCI INT"),
    nothing(Device, "DPC: error containment capabilities"),
    nothing(Device, "Overlapping ACPI region"),
    nothing(Device, "of_irq_parse_pci: failed"),
    nothing(Device, "Timeout on hotplug command"),
    nothing(Device, "ASPM"),
    nothing(Device, "quirk_"),
    // A display that nobody uses (drivers/gpu/drm).
    nothing(Device, "^[drm"),
    nothing(Begins("[drm"), ""),
    nothing(Begins("nvidia-modeset: "), ""),
    nothing(Begins("nvidia-drm: "), ""),
    // Addresses, queues and features that a card has no more of or that are refused (i40e_main.c, bnxt_hwrm.c, ice_main.c,
    // mlx5 en_main.c): drivers and monitors ask for them on healthy machines.
    nothing(Network, "adding RX filters on"),
    nothing(Network, "^hwrm req_type "),
    nothing(Network, "Warning firmware error detected FWSM"),
    nothing(Network, "^VF * tried"),
    nothing(Network, "^VF * attempted"),
    nothing(Network, "is not trusted"),
    nothing(Network, "Failed to set feature"),
    nothing(Network, "promiscuous mode"),
    nothing(Network, "DCB init failed"),
    nothing(Network, "Query for DCB configuration failed"),
    nothing(Network, "Failed to read module EEPROM"),
    nothing(Network, "devlink_"),
    nothing(Network, "recovered after timeout"),
    nothing(Network, "EQEs on cmd_eq"),
    nothing(Network, "callbacks suppressed"),
    // Tracers, sensors and clocks of firmware that has none or other ones, and what cannot be known of a port without a cable
    // (mlx5 diag/fw_tracer.c, diag/rsc_dump.c, hwmon.c, dpll.c; i40e_main.c).
    nothing(Network, "FWTracer: "),
    nothing(Network, "fw_tracer"),
    nothing(Network, "rsc_dump"),
    nothing(Network, "hwmon"),
    nothing(Network, "dpll"),
    nothing(Network, "phy information failed"),
    nothing(Network, "failed to get PHY abilities"),
    nothing(Network, "version of the NVM image than expected"),
    // Names for drives and what older ones do not know (drivers/nvme/host/core.c, drivers/scsi/sd.c, drivers/ata).
    nothing(Begins("nvme "), "missing or invalid SUBNQN field"),
    nothing(Begins("nvme "), "Shutdown timeout set to"),
    nothing(Begins("nvme "), "failed to set APST feature"),
    nothing(Begins("nvme "), "ailed to get ANA log"),
    nothing(Begins("nvme "), "Failed to read smart log"),
    nothing(Begins("nvme "), "failed to set host mem"),
    nothing(Begins("nvme "), "globally duplicate IDs"),
    nothing(Begins("nvme "), "passthrough command timeout"),
    nothing(Begins("nvme "), "could not set timestamp"),
    nothing(Begins("nvme "), "Failed to configure AEN"),
    nothing(Begins("nvme "), "reading non-mdts-limits failed"),
    nothing(Begins("nvme "), "reading changed ns log failed"),
    nothing(Begins("nvme "), "Get FW SLOT INFO log error"),
    nothing(Begins("nvme "), "failed to allocate host memory buffer"),
    nothing(Begins("nvme "), "Identify Descriptors failed (nsid="),
    nothing(Begins("nvme "), "use of /dev/disk/by-id/ may cause data corruption"),
    // Drives of this machine that others use over the network (drivers/nvme/target): what is wrong with one, it says itself.
    nothing(Begins("nvmet: "), ""),
    nothing(Begins("sd "), "No Caching mode page found"),
    nothing(Begins("sd "), "Asking for cache data failed"),
    nothing(Begins("sd "), "Mode Sense"),
    nothing(Begins("scsi "), "Wrong diagnostic page"),
    nothing(Begins("ses "), ""),
    // Media of the management controller in a drive for disks that no server has (drivers/scsi/sr.c).
    nothing(Begins("sr "), ""),
    nothing(Begins("megaraid_sas "), "Failed to init"),
    nothing(Begins("EXT4-fs ("), "mounted filesystem"),
    nothing(Begins("XFS ("), "Failing async write"),
    // Tables of the device mapper that somebody asked for and that cannot be made (drivers/md/dm-table.c, dm-ioctl.c).
    nothing(Begins("device-mapper: table: "), ""),
    nothing(Begins("device-mapper: ioctl: "), ""),
    // A second clock that was read slowly, by which kernels up to 6.6 took the processors' own for wrong
    // (kernel/time/clocksource.c); what the clock source is then is read by a check of its own.
    nothing(Begins("clocksource: "), "excessive read-back delay"),
    // A driver of switches that is taken out, and work of its that is waiting already (linux_nvswitch.c).
    nothing(Begins("nvidia-nvswitch"), "Unregistering from fatal error notification"),
    nothing(Begins("nvidia-nvswitch"), "already queued, will retry"),
    nothing(Begins("nvidia-nvswitch"), "Failed to read fabric state"),
    // A device that goes to sleep later (drivers/pci/pci.c).
    nothing(Device, "efused to change power state from D0 to"),
    // An interrupt that the driver clears on every A100 (kern_gpu/gpu_ga100.c of open-gpu-kernel-modules).
    nothing(Begins("NVRM: "), "FbhubPoisonIntrForBug"),
    // Counters of performance and machines in machines (arch/x86/events, kvm).
    nothing(Begins("perf: "), ""),
    nothing(Begins("kvm"), ""),
    nothing(Begins("resctrl: "), ""),
    nothing(Begins("core: "), ""),
    // Corrected errors are collected from here on (drivers/ras/cec.c).
    nothing(Begins("RAS: Correctable Errors collector"), ""),
];
