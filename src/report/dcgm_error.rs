//! Numbers DCGM gives to errors, for what of ours means the same: id, category and severity.
//!
//! From DCGM 4.x, `dcgm_errors.h` and its table of severities. What has no counterpart there is "unknown". A limit that
//! fails the unit is proof against it, so that what DCGM would have triaged is to be isolated; trouble of the test itself
//! is only to be watched.

use kiln_event::{Ground, ReasonKind};

/// One of DCGM's errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DcgmError {
    pub(super) id: u32,
    pub(super) category: u32,
    pub(super) severity: u32,
}

/// Severities: what the reader is to do. With `MONITOR` nothing is claimed against the unit.
pub(super) const MONITOR: u32 = 1;
pub(super) const ISOLATE: u32 = 2;
const UNKNOWN: u32 = 3;
const TRIAGE: u32 = 4;
const CONFIG: u32 = 5;
const RESET: u32 = 6;

/// Categories.
const PERFORMANCE: u32 = 1;
const XID: u32 = 5;
const SOFTWARE: u32 = 8;
const THERMAL: u32 = 9;
const MEMORY: u32 = 10;
const NVLINK: u32 = 11;
const PCIE: u32 = 13;
const POWER: u32 = 14;
const HARDWARE: u32 = 15;
const INTERNAL: u32 = 16;

impl DcgmError {
    pub(super) const UNKNOWN: Self = Self { id: 1, category: 0, severity: UNKNOWN };
    /// Trouble of the test itself.
    pub(super) const INTERNAL: Self = Self { id: 44, category: INTERNAL, severity: TRIAGE };
    pub(super) const ABORTED: Self = Self { id: 47, category: SOFTWARE, severity: CONFIG };
    /// A fail that has no counterpart: the part is to be looked at.
    const OTHER: Self = Self { id: 1, category: HARDWARE, severity: TRIAGE };

    /// The error where the unit is proven bad: it is to be taken out, unless a setting or a reset mends it.
    pub(super) const fn proven(self) -> Self {
        match self.severity {
            CONFIG | RESET => self,
            _ => Self { severity: ISOLATE, ..self },
        }
    }

    /// The error where nothing is claimed about the unit.
    pub(super) const fn unproven(self) -> Self {
        Self { severity: MONITOR, ..self }
    }

    const fn new(id: u32, category: u32, severity: u32) -> Self {
        Self { id, category, severity }
    }
}

/// Start of a check's name, start of a measurement's, and the error a missed limit on it is.
const LIMITS: &[(&str, &str, DcgmError)] = &[
    ("config", "persistence", DcgmError::new(29, SOFTWARE, CONFIG)),
    ("config", "ecc", DcgmError::new(55, MEMORY, CONFIG)),
    ("inventory", "inforom", DcgmError::new(9, HARDWARE, TRIAGE)),
    ("kernel", "xid", DcgmError::new(101, XID, TRIAGE)),
    ("kernel", "sxid", DcgmError::new(109, XID, ISOLATE)),
    ("kernel", "aer", DcgmError::new(104, PCIE, ISOLATE)),
    ("inventory", "gpus", DcgmError::new(20, SOFTWARE, CONFIG)),
    ("inventory", "present", DcgmError::new(20, SOFTWARE, CONFIG)),
    ("fabric", "", DcgmError::new(112, 6, CONFIG)),
    ("pcie.link", "gen", DcgmError::new(45, PCIE, TRIAGE)),
    ("pcie.link", "width", DcgmError::new(46, PCIE, CONFIG)),
    ("pcie.link", "", DcgmError::new(104, PCIE, ISOLATE)),
    ("pcie.bandwidth", "", DcgmError::new(30, PCIE, TRIAGE)),
    ("nvlink.state", "", DcgmError::new(14, NVLINK, TRIAGE)),
    ("nvlink.soak", "nvlink.error", DcgmError::new(13, NVLINK, ISOLATE)),
    ("nvlink.soak", "link.error", DcgmError::new(13, NVLINK, ISOLATE)),
    // DCGM's own bandwidth error, which it counts under PCIe.
    ("nvlink", "", DcgmError::new(30, PCIE, TRIAGE)),
    ("gpu.memory", "bandwidth", DcgmError::new(62, PERFORMANCE, TRIAGE)),
    ("", "ecc.corrected", DcgmError::new(102, MEMORY, ISOLATE)),
    ("", "ecc.uncorrected", DcgmError::new(103, MEMORY, ISOLATE)),
    ("", "sram.exceeded", DcgmError::new(103, MEMORY, ISOLATE)),
    ("", "remap.pending", DcgmError::new(85, MEMORY, RESET)),
    ("", "remap.failed", DcgmError::new(80, MEMORY, ISOLATE)),
    ("", "remap", DcgmError::new(84, MEMORY, RESET)),
    ("", "mismatches", DcgmError::new(52, MEMORY, ISOLATE)),
    ("", "pcie.", DcgmError::new(104, PCIE, ISOLATE)),
    ("", "nvlink.errors", DcgmError::new(13, NVLINK, ISOLATE)),
    ("", "link.errors", DcgmError::new(13, NVLINK, ISOLATE)),
    ("", "throttle.thermal", DcgmError::new(10, THERMAL, TRIAGE)),
    ("", "throttle.sw-thermal", DcgmError::new(10, THERMAL, TRIAGE)),
    ("", "throttle.hw-thermal", DcgmError::new(10, THERMAL, TRIAGE)),
    ("", "throttle", DcgmError::new(12, POWER, TRIAGE)),
    ("", "temp.", DcgmError::new(42, THERMAL, TRIAGE)),
    ("", "memory-over-die", DcgmError::new(42, THERMAL, TRIAGE)),
    ("", "margin.", DcgmError::new(42, THERMAL, TRIAGE)),
    ("thermal", "thermal.", DcgmError::new(42, THERMAL, TRIAGE)),
    ("gpu.burn", "power.", DcgmError::new(63, POWER, TRIAGE)),
    ("", "throughput", DcgmError::new(50, PERFORMANCE, TRIAGE)),
    ("", "clock", DcgmError::new(50, PERFORMANCE, TRIAGE)),
];

/// The error that a fail of `check` is, by what it measured and the kind of its reason.
pub(super) fn error_of(check: &str, measurement: &str, reason: ReasonKind) -> DcgmError {
    match reason.ground() {
        Ground::Mismatch => return DcgmError::new(52, MEMORY, ISOLATE),
        Ground::Lost => return LOST,
        Ground::Value | Ground::Guard | Ground::Ending => {}
    }
    let fits = |(on, name, _): &&(&str, &str, DcgmError)| check.starts_with(on) && measurement.starts_with(name);
    LIMITS.iter().find(fits).map_or(DcgmError::OTHER, |(_, _, error)| *error)
}

/// Off the bus and gone: DCGM 4.6 has an error of its own for it, older ones do not, and all know that of Xids.
const LOST: DcgmError = DcgmError::new(101, XID, TRIAGE);

/// Words in the codes of guards, and the error their trip is.
const EVENTS: &[(&str, DcgmError)] = &[
    ("LOST", LOST),
    ("SXID", DcgmError::new(109, XID, ISOLATE)),
    ("XID", DcgmError::new(101, XID, TRIAGE)),
    ("TEMP", DcgmError::new(42, THERMAL, TRIAGE)),
    ("THERMAL", DcgmError::new(42, THERMAL, TRIAGE)),
    ("ECC", DcgmError::new(103, MEMORY, ISOLATE)),
    ("NVLINK", DcgmError::new(13, NVLINK, ISOLATE)),
    ("PCIE", DcgmError::new(104, PCIE, ISOLATE)),
    ("POWER", DcgmError::new(12, POWER, TRIAGE)),
];

/// The error that an event with this finding code is.
pub(super) fn error_of_event(code: &str) -> DcgmError {
    EVENTS.iter().find(|(word, _)| code.contains(word)).map_or(DcgmError::OTHER, |(_, error)| *error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_error_of_dcgm_is_named() {
        let id = |check, name| error_of(check, name, ReasonKind::Limit).id;
        assert_eq!(id("config.policy", "persistence"), 29);
        assert_eq!(id("gpu.burn", "power.mean"), 63);
        assert_eq!(id("thermal.soak", "thermal.resistance"), 42);
        assert_eq!(id("pcie.link", "width"), 46);
        assert_eq!(id("nvlink.state", "links.active"), 14);
        assert_eq!(id("counters.baseline", "remap.pending"), 85);
        assert_eq!(error_of("operator.confirm", "confirmed", ReasonKind::Limit), DcgmError::OTHER);
        assert_eq!(error_of("gpu.burn", "", ReasonKind::Mismatch).id, 52);
        assert_eq!(["GPU-XID", "GPU-OVERTEMP", "GPU-LOST"].map(|code| error_of_event(code).id), [101, 42, 101]);
    }
}
