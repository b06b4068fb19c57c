//! The first frame: which sensors the columns are of, in which unit and how finely. Its form never changes.

use serde::{Deserialize, Serialize};

use super::VERSION;
use super::column::Form;
use super::error::TelemetryError;
use kiln_model::{Sensor, SensorKind};

const SCHEMA: &str = "kiln.telemetry/";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    schema: String,
    pub(super) written_by: String,
    /// In the order of the columns of every GPU.
    pub(super) sensors: Vec<SensorForm>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SensorForm {
    pub(super) name: String,
    pub(super) unit: String,
    /// Steps per unit.
    steps: u32,
    /// A counter: differences of differences.
    even: bool,
}

impl SensorForm {
    pub(super) const fn form(&self) -> Form {
        Form { steps: self.steps as f64, even: self.even }
    }
}

/// Steps per unit that a sensor is kept in: what NVML gives, or well below the sensor's own noise.
const fn steps(sensor: Sensor) -> u32 {
    match sensor {
        // NVML gives whole degrees; a BMC's tenths of the inlet wander below the tenth when averaged. NVML gives
        // milliwatts, of a reading that is good to some watts.
        Sensor::TempInlet | Sensor::Power | Sensor::PowerInstant | Sensor::PowerLimit => 100,
        // NVML counts millijoules.
        Sensor::Energy => 1000,
        // NVML gives whole degrees and percents; fans of some baseboards come in fractions of a percent.
        Sensor::TempGpu
        | Sensor::TempMargin
        | Sensor::TempMemory
        | Sensor::UtilGpu
        | Sensor::UtilMemory
        | Sensor::Fan => 10,
        // NVML counts nanoseconds and updates the counters some times a second at most.
        Sensor::ThrottlePowerCap
        | Sensor::ThrottleSwThermal
        | Sensor::ThrottleHwThermal
        | Sensor::ThrottlePowerBrake => 1_000_000,
        // Megahertz, bits, flags and counts are whole numbers.
        Sensor::ClockSm
        | Sensor::ClockMemory
        | Sensor::ClockReasons
        | Sensor::EccCorrected
        | Sensor::EccUncorrected
        | Sensor::RemapCorrected
        | Sensor::RemapUncorrected
        | Sensor::RemapPending
        | Sensor::RemapFailed
        | Sensor::PcieGeneration
        | Sensor::PcieWidth
        | Sensor::PcieReplays
        | Sensor::NvlinkErrors => 1,
    }
}

/// Whether a sensor is kept as whole numbers of its unit.
pub(super) const fn is_whole(sensor: Sensor) -> bool {
    steps(sensor) == 1
}

impl Header {
    pub(super) fn current() -> Self {
        let sensor = |sensor: &Sensor| SensorForm {
            name: sensor.name().to_owned(),
            unit: sensor.unit().symbol().to_owned(),
            steps: steps(*sensor),
            even: sensor.kind() == SensorKind::Counter,
        };
        Self {
            schema: format!("{SCHEMA}{}.{}", VERSION.0, VERSION.1),
            written_by: concat!("kiln ", env!("CARGO_PKG_VERSION")).to_owned(),
            sensors: Sensor::ALL.iter().map(sensor).collect(),
        }
    }

    pub(super) fn parse(payload: &[u8]) -> Result<Self, TelemetryError> {
        let header: Self = serde_json::from_slice(payload).map_err(|_| TelemetryError::Foreign)?;
        let version = header.schema.strip_prefix(SCHEMA).and_then(|version| version.split_once('.'));
        let major = version.and_then(|(major, _)| major.parse::<u32>().ok()).ok_or(TelemetryError::Foreign)?;
        if major != VERSION.0 {
            let reads = format!("{SCHEMA}{}", VERSION.0);
            return Err(TelemetryError::Version { found: header.schema, reads, written_by: header.written_by });
        }
        if header.sensors.iter().any(|sensor| sensor.steps == 0) {
            return Err(TelemetryError::Foreign);
        }
        Ok(header)
    }
}
