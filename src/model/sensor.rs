//! The sensors sampled on every GPU at every tick: one table with name, unit and kind.
//!
//! Names here are an API: guards, telemetry columns and reports use them. Per-link counters are probes, not sensors.

use serde::{Deserialize, Serialize};

use super::Unit;

/// Whether a sensor's value is a state of now or a total since the driver loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SensorKind {
    Gauge,
    /// Only differences mean anything.
    Counter,
    /// A set of bits.
    Bits,
}

macro_rules! sensors {
    ($($(#[$doc:meta])* $variant:ident $name:literal $unit:ident $kind:ident;)*) => {
        /// One value read from every GPU at every tick.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Sensor { $($(#[$doc])* #[serde(rename = $name)] $variant,)* }

        impl Sensor {
            pub const ALL: &'static [Sensor] = &[$(Sensor::$variant,)*];
            pub const COUNT: usize = Self::ALL.len();

            /// The stable name, without unit or component.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            pub const fn unit(self) -> Unit {
                match self { $(Self::$variant => Unit::$unit,)* }
            }

            pub const fn kind(self) -> SensorKind {
                match self { $(Self::$variant => SensorKind::$kind,)* }
            }

            pub fn by_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|sensor| sensor.name() == name)
            }
        }
    };
}

sensors! {
    /// Die temperature.
    TempGpu "temp.gpu" Celsius Gauge;
    /// Degrees left until the GPU slows itself down (`T.Limit` on Hopper and later); 0 means slowdown begins.
    TempMargin "temp.margin" Celsius Gauge;
    TempMemory "temp.memory" Celsius Gauge;
    /// Inlet air or coolant supply of the node, where a sensor for it exists; the same for all GPUs of one branch.
    TempInlet "temp.inlet" Celsius Gauge;
    /// Board power, averaged over about a second by the driver.
    Power "power" Watt Gauge;
    PowerInstant "power.instant" Watt Gauge;
    /// The power limit the driver enforces now.
    PowerLimit "power.limit" Watt Gauge;
    /// Total energy since the driver loaded.
    Energy "energy" Joule Counter;
    ClockSm "clock.sm" Megahertz Gauge;
    ClockMemory "clock.memory" Megahertz Gauge;
    UtilGpu "util.gpu" Percent Gauge;
    UtilMemory "util.memory" Percent Gauge;
    /// Clock event reasons, bits of [`ClockReasons`].
    ClockReasons "clock.reasons" One Bits;
    /// Time spent below requested clocks for the software power cap; normal at full load.
    ThrottlePowerCap "throttle.power-cap" Second Counter;
    ThrottleSwThermal "throttle.sw-thermal" Second Counter;
    ThrottleHwThermal "throttle.hw-thermal" Second Counter;
    ThrottlePowerBrake "throttle.power-brake" Second Counter;
    EccCorrected "ecc.corrected" One Counter;
    EccUncorrected "ecc.uncorrected" One Counter;
    RemapCorrected "remap.corrected" One Counter;
    RemapUncorrected "remap.uncorrected" One Counter;
    /// 1 while a row remap waits for a reset.
    RemapPending "remap.pending" One Gauge;
    /// 1 once a row remap failed.
    RemapFailed "remap.failed" One Gauge;
    PcieGeneration "pcie.gen" One Gauge;
    PcieWidth "pcie.width" One Gauge;
    PcieReplays "pcie.replays" One Counter;
    /// Sum over links of NVLink CRC, replay and recovery errors.
    NvlinkErrors "nvlink.errors" One Counter;
    /// Fastest fan of the GPU's zone, share of full speed; unsupported where the baseboard hides fans.
    Fan "fan" Percent Gauge;
}

/// Clock event reasons as NVML reports them.
///
/// Bit values: NVML `nvmlClocksEventReason*` constants (nvml.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClockReasons(pub u64);

impl ClockReasons {
    pub const IDLE: u64 = 0x1;
    pub const APPLICATION_CLOCKS: u64 = 0x2;
    pub const SW_POWER_CAP: u64 = 0x4;
    pub const HW_SLOWDOWN: u64 = 0x8;
    pub const SYNC_BOOST: u64 = 0x10;
    pub const SW_THERMAL: u64 = 0x20;
    pub const HW_THERMAL: u64 = 0x40;
    pub const HW_POWER_BRAKE: u64 = 0x80;

    pub const fn has(self, bit: u64) -> bool {
        self.0 & bit != 0
    }

    /// The names of the bits that are set, for people.
    pub fn names(self) -> Vec<&'static str> {
        [
            (Self::IDLE, "idle"),
            (Self::APPLICATION_CLOCKS, "application clocks"),
            (Self::SW_POWER_CAP, "power cap"),
            (Self::HW_SLOWDOWN, "hardware slowdown"),
            (Self::SYNC_BOOST, "sync boost"),
            (Self::SW_THERMAL, "software thermal"),
            (Self::HW_THERMAL, "hardware thermal"),
            (Self::HW_POWER_BRAKE, "power brake"),
        ]
        .into_iter()
        .filter(|(bit, _)| self.has(*bit))
        .map(|(_, name)| name)
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sensor_names_are_unique_and_found_again() {
        for sensor in Sensor::ALL {
            assert_eq!(Sensor::by_name(sensor.name()), Some(*sensor));
        }
    }
}
