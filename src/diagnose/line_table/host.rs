//! Processors, memory and the kernel itself.

use super::super::host_block::RESET_REASON;
use super::super::kernel_event::Class::{Firmware, Heat, HostMemory, MachineCheck, Stuck, Unknown};
use super::super::kernel_event::Severity;
use super::super::kernel_join::{INJECTED, PAGE_GIVEN_UP};
use super::Of::{Anyone, Begins, Device, Driver};
use super::{Row, Says, doubt, proof};

const fn fatal(of: super::Of, words: &'static str) -> Row {
    Row { of, words, says: Says::Event(MachineCheck, Severity::Fatal) }
}

pub(super) const ROWS: &[Row] = &[
    // arch/x86/kernel/cpu/mce/core.c: memory that was used with an error in it.
    proof(Begins("mce: Uncorrected "), "memory error", HostMemory),
    proof(Begins("Uncorrected hardware memory error"), "", HostMemory),
    proof(Begins("mce: "), "accessed poison", HostMemory),
    proof(Begins("mce: "), "Memory error not recovered", HostMemory),
    doubt(Begins("mce: "), "not responding to MCE broadcast", MachineCheck),
    doubt(Begins("mce: "), "Possible thermal failure", Heat),
    // A program met a page that an error had been found in (arch/x86/mm/fault.c).
    proof(Begins("MCE: Killing "), "hardware memory corruption", HostMemory),
    proof(Begins("mce: Killing "), "hardware memory corruption", HostMemory),
    // mm/memtest.c, arch/x86/kernel/check.c.
    proof(Anyone, " bad mem addr ", HostMemory),
    doubt(Begins("Corrupted low memory at "), "", HostMemory),
    // Pages that were written while they were nobody's (mm/page_poison.c, mm/slub.c), a table of pages with bits that none may have
    // (arch/x86/mm/fault.c), memory that keeps its contents and says that it did not (drivers/acpi/nfit).
    doubt(Begins("pagealloc: "), "memory corruption", HostMemory),
    doubt(Begins("pagealloc: "), "bit error", HostMemory),
    doubt(Begins("BUG "), "ainted: ", Stuck),
    doubt(Anyone, "Corrupted page table at address", Stuck),
    doubt(Begins("nfit "), "rror found in NVDIMM", HostMemory),
    // Pages that are given up for an error in them (mm/memory-failure.c, of kernels before 4.12 as `MCE 0x1234: `), and before there is
    // one, by the kernel or by its error daemon (drivers/ras/cec.c). What a test asked for, `kernel_join` knows.
    proof(Begins(PAGE_GIVEN_UP), "", HostMemory),
    proof(Begins("MCE 0x"), ": ", HostMemory),
    doubt(Begins("Soft offlining "), "", HostMemory),
    doubt(Begins("soft offline: "), "", HostMemory),
    doubt(Begins("Soft offline: "), "", HostMemory),
    doubt(Begins("RAS: Soft-offlining "), "", HostMemory),
    doubt(Begins(INJECTED), "", HostMemory),
    // arch/arm64/kernel/traps.c, mm/fault.c; drivers/acpi/apei/ghes.c.
    fatal(Begins("SError Interrupt on CPU"), ""),
    fatal(Anyone, "Asynchronous SError Interrupt"),
    fatal(Anyone, "synchronous parity or ECC error"),
    fatal(Anyone, "synchronous parity error"),
    doubt(Anyone, "synchronous external abort", Stuck),
    doubt(Anyone, "synchronous unrecoverable error (SIGBUS)", HostMemory),
    doubt(Begins("Unhandled fault: "), "", Stuck),
    doubt(Begins("Internal error: "), "", Stuck),
    doubt(Begins("Bad mode in "), "", Stuck),
    // The processor's own test of itself, and one that computes wrong (drivers/platform/x86/intel/ifs/runtest.c,
    // arch/x86/kernel/cpu/rdrand.c).
    proof(Anyone, "test signature incorrect", MachineCheck),
    proof(Anyone, "Scan signature failed", MachineCheck),
    doubt(Begins("RDRAND gives funky smelling output"), "", MachineCheck),
    // arch/x86/kernel/cpu/amd.c: why the machine was started anew, of which the processor keeps a note.
    proof(Begins(RESET_REASON), "uncorrected error", Firmware),
    proof(Begins(RESET_REASON), "fatal error", Firmware),
    proof(Begins(RESET_REASON), "sync flood", Firmware),
    proof(Begins(RESET_REASON), "thermal", Firmware),
    // mce/core.c and panics of its like.
    fatal(Begins("Kernel panic - not syncing: Fatal "), ""),
    fatal(Begins("Kernel panic - not syncing: Machine check"), ""),
    // arch/x86/kernel/nmi.c, drivers/watchdog/hpwdt.c: the board tells of an error by the interrupt that cannot be masked.
    proof(Anyone, "NMI: PCI system error", Firmware),
    proof(Anyone, "NMI: IOCK error", Firmware),
    doubt(Anyone, "NMI received for unknown reason", Stuck),
    doubt(Begins("NMI: "), "nknown", Stuck),
    doubt(Anyone, "An NMI occurred", Stuck),
    // arch/x86/kernel/cpu/mce/therm_throt.c, drivers/thermal/intel/therm_throt.c, drivers/thermal/thermal_core.c.
    doubt(Anyone, "temperature above threshold", Heat),
    doubt(Anyone, "temperature*above threshold", Heat),
    doubt(Anyone, "critical temperature reached", Heat),
    doubt(Anyone, "ritical temperature reached", Heat),
    doubt(Anyone, "emperature too high", Heat),
    doubt(Anyone, "hermal shutdown", Heat),
    // kernel/reboot.c: heat, or a regulator.
    doubt(Begins("reboot: HARDWARE PROTECTION shutdown"), "", Unknown),
    // Processors and tasks that stand still (kernel/watchdog.c, hung_task.c, rcu/tree_stall.h, workqueue.c, stop_machine.c,
    // smp.c; arch/x86/kernel/smpboot.c and arch/arm64/kernel/smp.c of one that does not start).
    doubt(Anyone, "BUG: soft lockup", Stuck),
    doubt(Anyone, "BUG: workqueue lockup", Stuck),
    doubt(Anyone, "hard LOCKUP", Stuck),
    doubt(Anyone, "blocked for more than", Stuck),
    doubt(Begins("INFO: task "), "blocked on a", Stuck),
    doubt(Anyone, "self-detected stall", Stuck),
    doubt(Anyone, "detected stalls on CPUs", Stuck),
    doubt(Anyone, "detected expedited stalls on CPUs", Stuck),
    doubt(Anyone, "kthread starved for", Stuck),
    doubt(Anyone, "kthread timer wakeup didn't happen", Stuck),
    doubt(Anyone, "CSD lock (#", Stuck),
    doubt(Anyone, "csd: Detected non-responsive CSD lock", Stuck),
    doubt(Anyone, "to wakeup CPU#", Stuck),
    doubt(Begins("CPU"), ": is stuck in kernel", Stuck),
    doubt(Begins("CPU"), ": failed to come online", Stuck),
    doubt(Begins("CPU"), ": failed in unknown state", Stuck),
    doubt(Begins("CPU"), "failed to report alive state", Stuck),
    doubt(Begins("smpboot: "), "APIC delivery error", Stuck),
    doubt(Begins("APIC error on CPU"), "", Stuck),
    doubt(Begins("smpboot: CPU"), " is stuck in ", Stuck),
    doubt(Begins("Thread overran stack"), "", Stuck),
    doubt(Begins("Failed to broadcast timer tick"), "", Stuck),
    doubt(Begins("Fixing recursive fault but reboot is needed"), "", Stuck),
    // Crashes (mm/memory.c, mm/page_alloc.c, arch/*/mm/fault.c, lib/bug.c, lib/list_debug.c, kernel/panic.c).
    doubt(Begins("BUG: "), "", Stuck),
    doubt(Anyone, "BUG: unable to handle", Stuck),
    doubt(Anyone, "BUG: kernel NULL pointer", Stuck),
    doubt(Anyone, "BUG: Bad ", Stuck),
    doubt(Anyone, "kernel BUG at", Stuck),
    doubt(Begins("Unable to handle kernel "), "", Stuck),
    doubt(Anyone, "general protection fault", Stuck),
    doubt(Anyone, "Oops: ", Stuck),
    doubt(Begins("list_add corruption"), "", Stuck),
    doubt(Begins("list_del corruption"), "", Stuck),
    doubt(Anyone, "PANIC: double fault", Stuck),
    doubt(Anyone, "Kernel panic - not syncing", Stuck),
    // kernel/time/clocksource.c, arch/x86/kernel/tsc.c: the processors' clocks run apart.
    doubt(Anyone, "Marking clocksource", Unknown),
    doubt(Anyone, "Marking TSC unstable due to ", Unknown),
    doubt(Anyone, "TSC warped randomly", Unknown),
    doubt(Anyone, "clocksource: *marking * unstable", Unknown),
    // drivers/iommu/intel/dmar.c and amd/iommu.c: the IOMMU's own trouble, or a device that does not answer it.
    doubt(Begins("DMAR: VT-d detected Invalidation "), "", Unknown),
    doubt(Begins("AMD-Vi: "), "HARDWARE_ERROR", Unknown),
    doubt(Begins("AMD-Vi: "), "Completion-Wait loop timed out", Unknown),
    doubt(Begins("AMD-Vi: "), "Command buffer timeout", Unknown),
    doubt(Begins("tegra241_cmdqv "), "unexpected error reported", Unknown),
    // Accesses inside the processor that were not answered (drivers/soc/tegra/cbb), and errors that firmware handed on and
    // nobody took (drivers/firmware/arm_sdei.c).
    doubt(Begins("tegra"), "Error Code", Unknown),
    doubt(Anyone, ", Error: *-fabric@", Unknown),
    doubt(Begins("sdei: SDEI event "), "returned with error", Unknown),
    // drivers/cxl, drivers/dma/idxd and ioat, drivers/crypto/intel/qat: engines of the processor.
    doubt(Device, "frozen state error detected, disable CXL.mem", Unknown),
    doubt(Device, "Uncorrectable error", Unknown),
    doubt(Driver("idxd"), "halted", Unknown),
    doubt(Driver("idxd"), "HALTED", Unknown),
    doubt(Device, "Fatal error", Unknown),
];
