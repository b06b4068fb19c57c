//! From a piece of evidence to where on the page it can be seen: the plot of its quantity, or else the values of its step.

use super::slot;
use super::trace::{COUNTERS, Traces};
use kiln_event::{Evidence, EvidenceFact, EvidenceSource, RunRecord, TripCause};
use kiln_model::Sensor;

/// The id of a sensor's plot over time.
pub(super) fn chart(sensor: Sensor) -> String {
    format!("plot-{}", sensor.name())
}

/// The id of the bars of a measurement by slot.
pub(super) fn bars(measurement: &str) -> String {
    format!("bars-{measurement}")
}

/// The id of the rows of clock event reasons, of error counters and of the list of events.
pub(super) const REASONS: &str = "plot-reasons";
pub(super) const ERRORS: &str = "plot-errors";
pub(super) const EVENTS: &str = "events";

/// The id of a step's values.
pub(super) fn step(path: &str) -> String {
    format!("step-{path}")
}

/// Where a piece of evidence is shown. Only what this page has is named.
pub(super) fn target(record: &RunRecord, traces: &Traces, evidence: &Evidence) -> Option<String> {
    let seen = match &evidence.fact {
        EvidenceFact::Value(judgement) => value(record, traces, &judgement.measurement.name),
        EvidenceFact::Trip { cause, .. } => match cause {
            TripCause::Reading { sensor, .. } if is_drawn(traces, *sensor) => Some(chart(*sensor)),
            _ => Some(EVENTS.to_owned()),
        },
        EvidenceFact::Logged { .. } => Some(EVENTS.to_owned()),
        _ => None,
    };
    seen.or_else(|| match &evidence.from {
        EvidenceSource::Step(path) => record.steps.iter().any(|one| one.key.path == *path).then(|| step(path)),
        _ => None,
    })
}

fn value(record: &RunRecord, traces: &Traces, name: &str) -> Option<String> {
    if let Some(sensor) = sensor_of(name) {
        return is_drawn(traces, sensor).then(|| chart(sensor));
    }
    let by_slot = match name {
        "power.swing" => "power.swing",
        _ if name.starts_with("resistance.") || name == "thermal.resistance" => "thermal.resistance",
        _ if name.starts_with("throttle.") => return (!traces.is_empty()).then(|| REASONS.to_owned()),
        _ if COUNTERS.iter().any(|counter| counts(*counter, name)) => {
            return (!traces.is_empty()).then(|| ERRORS.to_owned());
        }
        _ => return None,
    };
    slot::has_bars(record, traces, by_slot).then(|| bars(by_slot))
}

/// The plot over time that shows best what a measurement was made of.
fn sensor_of(name: &str) -> Option<Sensor> {
    let sensor = match name {
        "margin.min" => Sensor::TempMargin,
        "memory-over-die" | "die-over-memory" => Sensor::TempMemory,
        "power.mean" | "power.max" => Sensor::Power,
        "clock.mean" | "clock.dips" | "clock.unexplained" => Sensor::ClockSm,
        _ if name.starts_with("temp.memory.") => Sensor::TempMemory,
        _ if name.starts_with("temp.inlet.") => Sensor::TempInlet,
        _ if name.starts_with("temp.") => Sensor::TempGpu,
        _ => return None,
    };
    Some(sensor)
}

/// Whether the measurement is the increase of this counter.
fn counts(counter: Sensor, name: &str) -> bool {
    match counter {
        Sensor::EccCorrected => name == "ecc.corrected",
        Sensor::EccUncorrected => name == "ecc.uncorrected",
        Sensor::RemapCorrected | Sensor::RemapUncorrected => name == "remaps",
        Sensor::PcieReplays => name == "pcie.replays" || name == "replays",
        Sensor::NvlinkErrors => name == "nvlink.errors",
        _ => false,
    }
}

fn is_drawn(traces: &Traces, sensor: Sensor) -> bool {
    traces.whole.gpus.values().any(|tracks| tracks.gauge(sensor).is_some_and(|track| track.range().is_some()))
}
