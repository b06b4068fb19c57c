//! Field ids of the library that Kiln reads, and the renumbering of some of them.
//!
//! Numbers: `NVML_FI_DEV_*` of nvml.h 13.0, in the numbering of CUDA 12; [`FieldId::on_wire`] gives the driver's own.

use nvml_wrapper::FieldIdScheme;

/// One field, by its number before the renumbering of driver 580.82.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FieldId(u32);

impl FieldId {
    pub(super) const ECC_CORRECTED_VOLATILE: Self = Self(3);
    pub(super) const ECC_UNCORRECTED_VOLATILE: Self = Self(4);
    pub(super) const NVLINK_CRC_FLIT_TOTAL: Self = Self(38);
    pub(super) const NVLINK_CRC_DATA_TOTAL: Self = Self(45);
    pub(super) const NVLINK_REPLAY_TOTAL: Self = Self(52);
    pub(super) const NVLINK_RECOVERY_TOTAL: Self = Self(59);
    /// Nanoseconds below requested clocks for the software power cap.
    pub(super) const POWER_CAP_TIME: Self = Self(74);
    pub(super) const MEMORY_TEMPERATURE: Self = Self(82);
    pub(super) const ENERGY: Self = Self(83);
    pub(super) const PCIE_REPLAYS: Self = Self(94);
    pub(super) const REMAPPED_CORRECTED: Self = Self(142);
    pub(super) const REMAPPED_UNCORRECTED: Self = Self(143);
    pub(super) const REMAPPED_PENDING: Self = Self(144);
    pub(super) const REMAPPED_FAILED: Self = Self(145);
    /// Scope: the link. The link's number at the other end.
    pub(super) const NVLINK_REMOTE_LINK: Self = Self(146);
    /// Scope: the link.
    pub(super) const NVLINK_DL_REPLAY: Self = Self(161);
    pub(super) const NVLINK_DL_RECOVERY: Self = Self(162);
    pub(super) const NVLINK_DL_CRC: Self = Self(163);
    pub(super) const NVLINK_SPEED: Self = Self(164);
    pub(super) const PCIE_RECOVERIES: Self = Self(169);
    pub(super) const C2C_LINKS: Self = Self(170);
    /// Scope: the link.
    pub(super) const C2C_STATUS: Self = Self(171);
    pub(super) const C2C_BANDWIDTH: Self = Self(172);
    pub(super) const PCIE_CORRECTABLE: Self = Self(173);
    pub(super) const PCIE_FATAL: Self = Self(180);
    /// Milliwatts; scope 0 is the GPU, 1 the module.
    pub(super) const POWER_AVERAGE: Self = Self(185);
    pub(super) const POWER_INSTANT: Self = Self(186);
    /// T.limit offsets: signed.
    pub(super) const SHUTDOWN_TLIMIT: Self = Self(193);
    pub(super) const SLOWDOWN_TLIMIT: Self = Self(194);
    pub(super) const OPERATING_TLIMIT: Self = Self(196);
    /// Scope: the link. NVLink 5 counts errors at its ports, not in the data link layer.
    pub(super) const NVLINK_RECEIVE_ERRORS: Self = Self(208);
    pub(super) const NVLINK_RECOVERY_EVENTS: Self = Self(215);
    pub(super) const RECOVERY_ACTION: Self = Self(230);
    /// Nanoseconds: 251-253 of old, 269-271 since driver 580.82.
    pub(super) const SW_THERMAL_TIME: Self = Self(251);
    pub(super) const HW_THERMAL_TIME: Self = Self(252);
    pub(super) const POWER_BRAKE_TIME: Self = Self(253);

    /// The number this driver knows the field by.
    ///
    /// 251-255 became 269-273 with CUDA 13.0 Update 1, and what had been 256-273 moved down by five (NVML known issues).
    pub(super) const fn on_wire(self, scheme: FieldIdScheme) -> u32 {
        match (scheme, self.0) {
            (FieldIdScheme::V13Update1, old @ 251..=255) => old + 18,
            (FieldIdScheme::V13Update1, old @ 256..=273) => old - 5,
            (_, same) => same,
        }
    }
}

/// A field with the link, module or other part it is asked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scoped {
    pub(super) field: FieldId,
    pub(super) scope: u32,
}

impl FieldId {
    pub(super) const fn of(self, scope: u32) -> Scoped {
        Scoped { field: self, scope }
    }

    /// Of the GPU as a whole.
    pub(super) const fn whole(self) -> Scoped {
        self.of(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn violation_times_follow_the_renumbering_and_nothing_else_does() {
        let numbers = |field: FieldId| (field.on_wire(FieldIdScheme::V12), field.on_wire(FieldIdScheme::V13Update1));
        assert_eq!(numbers(FieldId::SW_THERMAL_TIME), (251, 269));
        assert_eq!(numbers(FieldId::HW_THERMAL_TIME), (252, 270));
        assert_eq!(numbers(FieldId::POWER_BRAKE_TIME), (253, 271));
        assert_eq!(numbers(FieldId::RECOVERY_ACTION), (230, 230));
    }
}
