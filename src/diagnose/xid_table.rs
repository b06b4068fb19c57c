//! The Xid codes of the NVIDIA driver: what each means, whom it accuses and what to do, in the field and in a factory.
//!
//! Data only; the words it is written in are those of `xid`. Facts from the NVIDIA Xid catalogue for Ampere and later, and
//! from how DCGM 4.6, the gpud agent, GCM and the health checks of Azure HPC treat each code. In the factory column the load
//! is known to be good, so codes that the field forgives are at least suspect.

use kiln_model::ComponentKind;

use super::xid::Relation::{Announcement, Cancels, DetailOf, Follower, Independent};
use super::xid::{BurnIn, FactoryAction, FieldAction, Origin, XidRow, XidSeverity};

macro_rules! rows {
    ($($code:literal, $name:literal, $severity:ident, $origin:ident, $component:ident, $field:ident, $factory:ident,
        $burn_in:ident, $relation:expr, $followers:expr, $meaning:literal;)*) => {
        &[$(XidRow {
            code: $code,
            name: $name,
            meaning: $meaning,
            severity: XidSeverity::$severity,
            origin: Origin::$origin,
            component: ComponentKind::$component,
            field: FieldAction::$field,
            factory: FactoryAction::$factory,
            burn_in: BurnIn::$burn_in,
            relation: $relation,
            followers: &$followers,
        },)*]
    };
}

/// Code, name, severity, origin, component, field action, factory action, burn-in, relation, followers, meaning.
/// Ascending by code.
pub(super) const XIDS: &[XidRow] = rows! {
    1, "FIFO error FIFO method", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    2, "FIFO error software method", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    3, "FIFO error unknown method", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    4, "FIFO error channel busy", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    5, "FIFO error runout overflow", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    6, "FIFO error parse error", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    7, "FIFO error PTE error", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    8, "channel idle timeout", Error, Either, Gpu, RerunLoad, RetestLonger, Suspect, Independent, [],
        "work on a channel made no progress in its time";
    9, "engine error instance", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later; on earlier GPUs a fault of driver or display";
    10, "engine error single step", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    11, "bad command stream", Error, Software, Gpu, CheckProgram, RetestLonger, Suspect, Independent, [],
        "the GPU was handed a malformed command stream";
    12, "engine error software method", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later; on earlier GPUs a fault of driver or display";
    13, "engine exception", Error, LoadProgram, Gpu, CheckProgram, RetestLonger, Suspect, Independent, [43, 45],
        "a compute engine stopped on an illegal access or instruction; the program is to blame unless the same GPC and TPC come back under a known-good load";
    14, "fake error", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    15, "scanline timeout", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    16, "vblank callback timeout", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later; on earlier GPUs a fault of driver or display";
    17, "parameter error", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    18, "bus master timeout error", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later; on earlier GPUs a fault of driver or display";
    19, "display missed notifier", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later; on earlier GPUs a fault of driver or display";
    20, "MPEG error software method", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    21, "ME error software method", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    22, "VP error software method", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    23, "RC logging enabled", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    24, "engine semaphore timeout", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    25, "illegal notify", Error, Software, Gpu, CheckProgram, RetestLonger, Suspect, Independent, [],
        "the command stream held something the GPU must refuse";
    26, "FIFO error FBI state timeout", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later; on earlier GPUs a fault of driver or display";
    27, "VP error", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later; on earlier GPUs a fault of driver or display";
    28, "VP2 error", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later; on earlier GPUs a fault of driver or display";
    29, "BSP error", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later; on earlier GPUs a fault of driver or display";
    30, "bad address access", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later; on earlier GPUs a fault of driver or display";
    31, "page fault", Error, LoadProgram, Gpu, CheckProgram, RetestLonger, Suspect, Independent, [43, 45],
        "the memory unit of the GPU met an address without a page; a known-good load that faults again on the same GPU points at the part";
    32, "command fetch error", Error, Either, Pcie, CheckProgram, RetestLonger, Suspect, Independent, [],
        "the unit that fetches commands read a bad stream: a program error, or data damaged on PCIe or in host memory";
    33, "SEC error", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later; on earlier GPUs a fault of driver or display";
    34, "MSVLD error", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later; on earlier GPUs a fault of driver or display";
    35, "MSPDEC error", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later; on earlier GPUs a fault of driver or display";
    36, "MSPPP error", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later; on earlier GPUs a fault of driver or display";
    37, "unknown firmware method", Warning, Software, Gpu, CheckProgram, CallEngineer, Suspect, Independent, [],
        "the context-switch firmware was asked for a method it does not know";
    38, "context firmware watchdog", Warning, Either, Gpu, Support, RetestLonger, Suspect, Independent, [],
        "the watchdog of the context-switch firmware ran out";
    39, "copy engine 0", Error, Either, Gpu, RerunLoad, RetestLonger, Suspect, Independent, [],
        "copy engine 0 reported an error; the load copies through it, so a known-good load points at the part";
    40, "copy engine 1", Error, Either, Gpu, RerunLoad, RetestLonger, Suspect, Independent, [],
        "copy engine 1 reported an error; the load copies through it, so a known-good load points at the part";
    41, "copy engine 2", Error, Either, Gpu, RerunLoad, RetestLonger, Suspect, Independent, [],
        "copy engine 2 reported an error; the load copies through it, so a known-good load points at the part";
    42, "VIC error", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later; on earlier GPUs a fault of driver or display";
    43, "channel reset by program", Warning, LoadProgram, Gpu, CheckProgram, RetestLonger, Suspect, Independent, [],
        "a channel was torn down because its program misbehaved; the GPU goes on working";
    44, "fault in context switch", Warning, Either, Gpu, Support, RetestLonger, Suspect, Independent, [],
        "an engine faulted while switching between programs";
    45, "channel removed", Info, LoadProgram, Gpu, FollowPrimary, FollowPrimary, Counts, Follower, [],
        "a channel was removed after another fault, or because its program was killed; by itself it says nothing about the GPU";
    46, "GPU stopped answering", Fatal, Hardware, Gpu, ResetGpu, ResetAndRetest, Fails, Independent, [43, 45, 154],
        "the GPU did not answer the driver in time";
    47, "video encoder 0", Error, Either, Gpu, RerunLoad, CallEngineer, Suspect, Independent, [],
        "video encoder 0 reported an error; only GPUs before Ampere use this code";
    48, "uncorrectable memory error", Fatal, Hardware, Memory, ResetGpu, ResetAndRetest, Fails, Independent, [43, 45, 63, 64, 94, 95, 140, 154, 160, 171, 172],
        "an error of more bits than ECC can mend was met; 171 or 172 say where, 63 or 64 what became of it";
    49, "quiet: level set by registry", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    50, "quiet: change for RC error", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    51, "quiet: stress test failure", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    52, "quiet: change for temperature rise", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    53, "quiet: temperature reduced clocking", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    54, "power cable missing", Fatal, Hardware, Psu, CheckMechanicals, Reseat, Fails, Independent, [],
        "an auxiliary power feed of the board is not connected";
    55, "quiet: temperature read error", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    56, "display engine error", Warning, Either, Gpu, Ignore, CallEngineer, Suspect, Independent, [],
        "the display engine reported an error; only GPUs before Ampere use this code";
    57, "memory link training failed", Error, Hardware, Memory, Reboot, ReplaceFru, Fails, Independent, [],
        "the memory interface could not be set up; only GPUs before Ampere use this code";
    58, "memory interface unstable", Error, Hardware, Memory, Reboot, ReplaceFru, Fails, Independent, [],
        "the memory interface lost its footing; only GPUs before Ampere use this code";
    59, "PMU error", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later; on earlier GPUs a fault of driver or display";
    60, "security engine exception", Error, Either, Gpu, RerunLoad, CallEngineer, Suspect, Independent, [],
        "the security or video engine raised an exception";
    61, "micro-controller breakpoint", Fatal, Hardware, Gpu, Reboot, ResetAndRetest, Fails, Independent, [45, 62, 154],
        "the power-management controller stopped at a breakpoint; only GPUs before Ampere use this code";
    62, "micro-controller halted", Fatal, Hardware, Gpu, ResetGpu, ResetAndRetest, Fails, Independent, [43, 45, 119, 120, 154],
        "the power-management controller of the GPU stopped";
    63, "row remap recorded", Warning, Hardware, Memory, Ignore, ResetAndRetest, Suspect, Independent, [],
        "a bad memory row was noted for replacement at the next reset; harmless in the field, but a new part that needs spares wants a second look";
    64, "row remap failed", Fatal, Hardware, Memory, ResetGpu, ReplaceFru, Fails, Independent, [],
        "a bad memory row could not be noted for replacement";
    65, "video encoder 1", Error, Either, Gpu, Reboot, CallEngineer, Suspect, Independent, [],
        "video encoder 1 reported an error; only GPUs before Ampere use this code";
    66, "illegal register access", Warning, Software, Gpu, UpdateSoftware, CallEngineer, Suspect, Independent, [],
        "the driver touched a register it must not";
    67, "verification violation", Warning, Software, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "an access by the driver failed a check inside the GPU";
    68, "video decoder 0", Error, Either, Gpu, RerunLoad, CallEngineer, Suspect, Independent, [],
        "video decoder 0 raised an exception; no load here decodes video";
    69, "engine class error", Error, Software, Gpu, CheckProgram, RetestLonger, Suspect, Independent, [43, 45],
        "an engine was asked for work of a class it does not know";
    70, "copy engine 3", Error, Either, Gpu, RerunLoad, RetestLonger, Suspect, Independent, [],
        "copy engine 3 reported an error; the load copies through it, so a known-good load points at the part";
    71, "copy engine 4", Error, Either, Gpu, RerunLoad, RetestLonger, Suspect, Independent, [],
        "copy engine 4 reported an error; the load copies through it, so a known-good load points at the part";
    72, "copy engine 5", Error, Either, Gpu, RerunLoad, RetestLonger, Suspect, Independent, [],
        "copy engine 5 reported an error; the load copies through it, so a known-good load points at the part";
    73, "video encoder 2", Error, Either, Gpu, RerunLoad, CallEngineer, Suspect, Independent, [],
        "video encoder 2 reported an error; only GPUs before Ampere use this code";
    74, "NVLink error", Fatal, Hardware, NvLink, CheckMechanicals, Reseat, Fails, Independent, [43, 45, 154],
        "a link of the generations up to Hopper failed; bits in the text tell which and why";
    75, "copy engine 6", Error, Either, Gpu, RerunLoad, RetestLonger, Suspect, Independent, [],
        "copy engine 6 reported an error; the load copies through it, so a known-good load points at the part";
    76, "copy engine 7", Error, Either, Gpu, RerunLoad, RetestLonger, Suspect, Independent, [],
        "copy engine 7 reported an error; the load copies through it, so a known-good load points at the part";
    77, "copy engine 8", Error, Either, Gpu, RerunLoad, RetestLonger, Suspect, Independent, [],
        "copy engine 8 reported an error; the load copies through it, so a known-good load points at the part";
    78, "virtual GPU did not start", Warning, Software, Node, UpdateSoftware, CallEngineer, Suspect, Independent, [],
        "a virtual GPU could not be started: the driver of a guest does not fit that of its host, or the kind is not known; no load here starts one";
    79, "fallen off the bus", Fatal, Hardware, Pcie, Reboot, Reseat, Fails, Independent, [43, 45, 46, 62, 74, 109, 119, 120, 154, 158],
        "the GPU can no longer be reached over PCIe: power, seating, riser, heat, or the part itself";
    80, "push buffer checksum", Error, Either, Pcie, CheckProgram, RetestLonger, Suspect, Independent, [],
        "data sent to the GPU arrived with a wrong checksum";
    81, "VGA error", Error, Hardware, Gpu, CheckMechanicals, CallEngineer, Suspect, Independent, [],
        "the VGA part reported an error; only GPUs before Ampere use this code";
    82, "image decoder 0", Error, Either, Gpu, RerunLoad, CallEngineer, Suspect, Independent, [],
        "JPEG engine 0 reported an error; no load here uses it";
    83, "video decoder 1", Error, Either, Gpu, RerunLoad, CallEngineer, Suspect, Independent, [],
        "video decoder 1 raised an exception; no load here decodes video";
    84, "video decoder 2", Error, Either, Gpu, RerunLoad, CallEngineer, Suspect, Independent, [],
        "video decoder 2 raised an exception; no load here decodes video";
    85, "copy engine 9", Error, Either, Gpu, RerunLoad, RetestLonger, Suspect, Independent, [],
        "copy engine 9 reported an error; the load copies through it, so a known-good load points at the part";
    86, "optical flow 0", Error, Either, Gpu, RerunLoad, CallEngineer, Suspect, Independent, [],
        "optical flow engine 0 reported an error; no load here uses it";
    87, "telemetry driver report", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    88, "video decoder 3", Error, Either, Gpu, RerunLoad, CallEngineer, Suspect, Independent, [],
        "video decoder 3 raised an exception; no load here decodes video";
    89, "video decoder 4", Error, Either, Gpu, RerunLoad, CallEngineer, Suspect, Independent, [],
        "video decoder 4 raised an exception; no load here decodes video";
    90, "LTC error", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    91, "reserved Xid", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    92, "corrected errors frequent", Warning, Hardware, Memory, Ignore, RetestLonger, Suspect, Independent, [],
        "single-bit memory errors are mended faster than they should appear";
    93, "InfoROM worn", Warning, Hardware, Gpu, Ignore, CallEngineer, Suspect, Independent, [],
        "the store for the identity of the board was written more often than it is made for";
    94, "contained memory error", Error, Hardware, Memory, ResetGpu, ResetAndRetest, Fails, Independent, [43, 45, 63, 64, 154],
        "an uncorrectable memory error hit one program only and was kept there";
    95, "uncontained memory error", Fatal, Hardware, Memory, ResetGpu, ReplaceFru, Fails, Independent, [43, 45, 63, 64, 154],
        "an uncorrectable memory error could not be kept to one program";
    96, "video decoder 5", Error, Either, Gpu, RerunLoad, CallEngineer, Suspect, Independent, [],
        "video decoder 5 raised an exception; no load here decodes video";
    97, "video decoder 6", Error, Either, Gpu, RerunLoad, CallEngineer, Suspect, Independent, [],
        "video decoder 6 raised an exception; no load here decodes video";
    98, "video decoder 7", Error, Either, Gpu, RerunLoad, CallEngineer, Suspect, Independent, [],
        "video decoder 7 raised an exception; no load here decodes video";
    99, "image decoder 1", Error, Either, Gpu, RerunLoad, CallEngineer, Suspect, Independent, [],
        "JPEG engine 1 reported an error; no load here uses it";
    100, "image decoder 2", Error, Either, Gpu, RerunLoad, CallEngineer, Suspect, Independent, [],
        "JPEG engine 2 reported an error; no load here uses it";
    101, "image decoder 3", Error, Either, Gpu, RerunLoad, CallEngineer, Suspect, Independent, [],
        "JPEG engine 3 reported an error; no load here uses it";
    102, "image decoder 4", Error, Either, Gpu, RerunLoad, CallEngineer, Suspect, Independent, [],
        "JPEG engine 4 reported an error; no load here uses it";
    103, "image decoder 5", Error, Either, Gpu, RerunLoad, CallEngineer, Suspect, Independent, [],
        "JPEG engine 5 reported an error; no load here uses it";
    104, "image decoder 6", Error, Either, Gpu, RerunLoad, CallEngineer, Suspect, Independent, [],
        "JPEG engine 6 reported an error; no load here uses it";
    105, "image decoder 7", Error, Either, Gpu, RerunLoad, CallEngineer, Suspect, Independent, [],
        "JPEG engine 7 reported an error; no load here uses it";
    106, "management test message", Info, Software, Node, Ignore, Nothing, Tolerated, Independent, [],
        "a test message of the out-of-band interface";
    107, "silent management test message", Info, Software, Node, Ignore, Nothing, Tolerated, Independent, [],
        "a silent test message of the out-of-band interface";
    108, "NVLink remote translation error", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    109, "context switch timeout", Fatal, Either, Gpu, ResetGpu, ResetAndRetest, Fails, Independent, [43, 45, 154],
        "a switch between programs did not end in its time";
    110, "security fault", Fatal, Either, Gpu, ResetGpu, ResetAndRetest, Fails, Independent, [45, 154],
        "a security check inside the GPU tripped";
    111, "bundle error event", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    112, "display supervisor error", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    113, "DP LT failure", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    114, "head RG underflow", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    115, "core channel registers", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    116, "window channel registers", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    117, "cursor channel registers", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    118, "head registers", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    119, "system processor silent", Fatal, Either, Gpu, ResetGpu, ResetAndRetest, Fails, Independent, [43, 45, 109, 120, 154],
        "the system processor of the GPU (GSP) did not answer the driver in its time";
    120, "system processor error", Fatal, Either, Gpu, ResetGpu, ResetAndRetest, Fails, Independent, [43, 45, 109, 119, 154],
        "the firmware of the system processor (GSP) failed";
    121, "chip-to-chip error", Warning, Hardware, Gpu, Ignore, RetestLonger, Suspect, Independent, [],
        "the link between Grace and the GPU mended an error";
    122, "flash read failed", Warning, Hardware, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "the board flash could not be read; only GPUs before Ampere use this code";
    123, "flash write failed", Error, Hardware, Gpu, Reboot, CallEngineer, Suspect, Independent, [],
        "the board flash could not be written; only GPUs before Ampere use this code";
    124, "flash erase failed", Warning, Hardware, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "the board flash could not be erased; only GPUs before Ampere use this code";
    125, "InfoROM file system", Warning, Hardware, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "the file system of the InfoROM is damaged; only GPUs before Ampere use this code";
    126, "copy engine 10", Error, Either, Gpu, RerunLoad, RetestLonger, Suspect, Independent, [],
        "copy engine 10 reported an error; the load copies through it, so a known-good load points at the part";
    127, "copy engine 11", Error, Either, Gpu, RerunLoad, RetestLonger, Suspect, Independent, [],
        "copy engine 11 reported an error; the load copies through it, so a known-good load points at the part";
    128, "copy engine 12", Error, Either, Gpu, RerunLoad, RetestLonger, Suspect, Independent, [],
        "copy engine 12 reported an error; the load copies through it, so a known-good load points at the part";
    129, "copy engine 13", Error, Either, Gpu, RerunLoad, RetestLonger, Suspect, Independent, [],
        "copy engine 13 reported an error; the load copies through it, so a known-good load points at the part";
    130, "copy engine 14", Error, Either, Gpu, RerunLoad, RetestLonger, Suspect, Independent, [],
        "copy engine 14 reported an error; the load copies through it, so a known-good load points at the part";
    131, "copy engine 15", Error, Either, Gpu, RerunLoad, RetestLonger, Suspect, Independent, [],
        "copy engine 15 reported an error; the load copies through it, so a known-good load points at the part";
    132, "copy engine 16", Error, Either, Gpu, RerunLoad, RetestLonger, Suspect, Independent, [],
        "copy engine 16 reported an error; the load copies through it, so a known-good load points at the part";
    133, "copy engine 17", Error, Either, Gpu, RerunLoad, RetestLonger, Suspect, Independent, [],
        "copy engine 17 reported an error; the load copies through it, so a known-good load points at the part";
    134, "copy engine 18", Error, Either, Gpu, RerunLoad, RetestLonger, Suspect, Independent, [],
        "copy engine 18 reported an error; the load copies through it, so a known-good load points at the part";
    135, "copy engine 19", Error, Either, Gpu, RerunLoad, RetestLonger, Suspect, Independent, [],
        "copy engine 19 reported an error; the load copies through it, so a known-good load points at the part";
    136, "link training failed", Fatal, Hardware, NvLink, ResetGpu, Reseat, Fails, Independent, [45, 154, 155],
        "an NVLink did not train: seating, cable or signal quality";
    137, "link access refused", Warning, Software, NvLink, CheckProgram, RetestLonger, Suspect, Independent, [],
        "a peer asked over NVLink for memory it may not touch";
    138, "DLA error", Unused, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "not used on Ampere and later";
    139, "optical flow 1", Error, Either, Gpu, RerunLoad, CallEngineer, Suspect, Independent, [],
        "optical flow engine 1 reported an error; no load here uses it";
    140, "ECC error escaped", Fatal, Hardware, Memory, ResetGpu, ReplaceFru, Fails, Independent, [43, 45, 154],
        "an ECC error was seen and not recovered from";
    141, "fast path error", Warning, Software, Gpu, Ignore, Record, Counts, Independent, [],
        "the fast path of CUDA reported an error";
    142, "video encoder 3", Error, Either, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "video encoder 3 reported an error; no load here encodes video";
    143, "initialisation failed", Fatal, Hardware, Gpu, ResetGpu, Reseat, Fails, Independent, [154],
        "the GPU could not be initialised";
    144, "NVLink SAW unit", NeedsSubcode, Either, NvLink, DecodeStatus, DecodeStatus, Suspect, Independent, [45, 154],
        "the SAW unit of a fifth-generation link reported an event; most kinds are harmless, the text says which are fatal";
    145, "NVLink RLW unit", NeedsSubcode, Either, NvLink, DecodeStatus, DecodeStatus, Suspect, Independent, [45, 154],
        "the RLW unit of a fifth-generation link reported an event; most kinds are harmless, the text says which are fatal";
    146, "NVLink TLW unit", NeedsSubcode, Either, NvLink, DecodeStatus, DecodeStatus, Suspect, Independent, [45, 154],
        "the TLW unit of a fifth-generation link reported an event; most kinds are harmless, the text says which are fatal";
    147, "NVLink TREX unit", Warning, Either, NvLink, Ignore, Record, Counts, Independent, [],
        "the TREX unit of a fifth-generation link reported an event that does not stop it";
    148, "NVLink power unit", Warning, Either, NvLink, Ignore, Record, Counts, Independent, [],
        "the low-power unit of a fifth-generation link reported an event that does not stop it";
    149, "NVLink network interface", NeedsSubcode, Hardware, NvLink, DecodeStatus, DecodeStatus, Suspect, Independent, [45, 154, 155],
        "the network interface of a fifth-generation link reported an event, among them link down and bit error rate; the text says which are fatal";
    150, "NVLink management engine", Fatal, Hardware, NvLink, ResetGpu, ResetAndRetest, Fails, Independent, [45, 154],
        "the watchdog of the link management engine ran out";
    151, "key rotation error", Error, Software, Gpu, RestartVm, CallEngineer, Suspect, Independent, [],
        "keys for confidential computing could not be renewed";
    152, "accelerator memory unit", Warning, Either, Gpu, Ignore, Record, Counts, Independent, [],
        "the memory unit of the deep-learning accelerator reported an error";
    153, "accelerator timeout", Warning, Either, Gpu, Ignore, Record, Counts, Independent, [],
        "the deep-learning accelerator did not answer in its time";
    154, "recovery action changed", Info, Either, Gpu, DoAnnounced, FollowPrimary, Suspect, Announcement, [],
        "the driver announces what the GPU now needs (reset, reboot, drain); another Xid says why";
    155, "link software error", Fatal, Hardware, NvLink, ResetGpu, ResetAndRetest, Fails, Independent, [45, 154],
        "an NVLink error defined by software";
    156, "resource retired", Warning, Hardware, Gpu, ResetGpu, ResetAndRetest, Suspect, Independent, [],
        "a faulty unit inside the GPU was taken out of use";
    157, "resource not retired", Error, Hardware, Gpu, Support, ReplaceFru, Fails, Independent, [],
        "a faulty unit inside the GPU could not be taken out of use";
    158, "fatal GPU timeout", Fatal, Hardware, Gpu, ResetGpu, ResetAndRetest, Fails, Independent, [43, 45, 154],
        "the GPU ran past a time it must never exceed";
    159, "coherent interconnect error", Error, Either, Gpu, CheckProgram, RetestLonger, Suspect, Independent, [],
        "the coherent interconnect met an error outside its data";
    160, "memory channel marked", Warning, Hardware, Memory, Ignore, ResetAndRetest, Suspect, Independent, [],
        "a memory channel was marked for repair at the next reset";
    161, "memory channel not repaired", Error, Hardware, Memory, Support, ReplaceFru, Fails, Independent, [],
        "a memory channel could not be repaired";
    162, "power smoothing back", Info, Hardware, Gpu, Ignore, Nothing, Tolerated, Cancels(163), [],
        "the power smoothing circuit works again";
    163, "power smoothing off", Warning, Hardware, Gpu, ResetGpu, RetestLonger, Suspect, Independent, [],
        "the power smoothing circuit switched itself off";
    164, "power smoothing worn", Warning, Hardware, Gpu, Record, CallEngineer, Suspect, Independent, [],
        "little of the life of the power smoothing circuit is left";
    165, "power smoothing used up", Warning, Hardware, Gpu, Support, CallEngineer, Suspect, Independent, [],
        "the life of the power smoothing circuit is used up";
    166, "traffic before encryption", Error, Software, NvLink, ResetGpu, ResetAndRetest, Suspect, Independent, [],
        "traffic came over a link before it was set up for encryption";
    167, "fatal PCIe timeout", Fatal, Hardware, Pcie, Reboot, Reseat, Fails, Independent, [43, 45, 79, 119, 154],
        "PCIe did not answer within a time it must never exceed";
    168, "memory capacity reduced", Error, Hardware, Memory, Support, ReplaceFru, Fails, Independent, [],
        "errors in a protected region cost part of the memory";
    169, "security processor halted", Fatal, Hardware, Gpu, ResetGpu, ResetAndRetest, Fails, Independent, [45, 154],
        "the security processor of the GPU stopped";
    170, "secure link interrupt", Warning, Software, NvLink, CheckProgram, CallEngineer, Suspect, Independent, [],
        "an interrupt of a link in confidential mode; no load here runs in it";
    171, "error was in DRAM", Error, Hardware, Memory, ResetGpu, ResetAndRetest, Fails, DetailOf(48), [],
        "detail for 48: the uncorrectable error lay in DRAM";
    172, "error was in SRAM", Error, Hardware, Gpu, ResetGpu, ReplaceFru, Fails, DetailOf(48), [],
        "detail for 48: the uncorrectable error lay in SRAM on the die; no row remap can mend it";
    173, "chip-to-chip link lost", Fatal, Hardware, Gpu, Reboot, ReplaceFru, Fails, Independent, [45, 79, 154],
        "the link between Grace and the GPU failed for good";
    // These three stand in `nverror.h` of open-gpu-kernel-modules 595.45.04 and not yet in the catalogue; the first is printed nowhere
    // in that source, the third nowhere but by firmware.
    174, "channel reset, process ended", Warning, Software, Gpu, Support, RetestLonger, Suspect, Independent, [],
        "a channel was reset and its process ended; newer than the maker's catalogue";
    175, "memory subsystem stuck", Fatal, Hardware, Gpu, ResetGpu, ResetAndRetest, Fails, Independent, [43, 45, 109, 119, 120, 154],
        "the system processor (GSP) did not answer, and the GPU's memory subsystem does not come to an end with what it is asked (`_kgspClassifyGspTimeout` of kernel_gsp.c)";
    176, "PCIe corrected errors", Warning, Hardware, Pcie, Support, Reseat, Suspect, Independent, [],
        "the driver holds the corrected errors of PCIe for a fault; newer than the maker's catalogue";
};
