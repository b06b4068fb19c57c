//! Statistics over runs: what a lot of units says that a single one does not. Pure folds over records.
//!
//! Which runs there are and how results are shown is left to others. Statistics are robust where a single bad unit must
//! not hide itself, and are refused with the reason where the data cannot carry them.

mod baseline;
mod change;
mod compared;
mod difference;
mod gauge_study;
mod interval;
mod member;
mod pareto;
mod part_average;
mod robust;
mod run_summary;
mod spread;
mod stats;
mod values;
mod yields;

pub use baseline::{Baseline, BaselineValue, baseline};
pub use change::{Change, ValueChange, Verdicts, changes};
pub use compared::{Role, Tested};
pub use difference::{Difference, Side, differences};
pub use gauge_study::{GaugeStudies, GaugeStudy, gauge_studies};
pub use interval::{Interval, wilson_95};
pub use kiln_model::median;
pub use member::Member;
pub use pareto::{Cause, pareto};
pub use part_average::{
    Average, LEAST_UNITS, Members, Outside, PartAverages, Peers, Standing, USUAL_BUDGET, UnitValues, placed,
};
pub use robust::{median_deviation, quantile, robust_z};
pub use run_summary::{Exclusion, RunSummary, ValueKey, profile_key, serial};
pub use spread::{Capability, Histogram, NoCapability, Outlier, SIDE_MOVED, Spread, spreads};
pub use stats::{Left, Stats, stats};
pub use values::{Facts, Table, Value, Values};
pub use yields::{AttemptYield, Yields, yields};

/// Writes a value with its unit; where there is none, whether it is unsupported or missing.
fn quantity<S: serde::Serializer>(measurement: &kiln_limit::Measurement, serializer: S) -> Result<S::Ok, S::Error> {
    use kiln_limit::Measured;
    if !serializer.is_human_readable() {
        return serde::Serialize::serialize(measurement, serializer);
    }
    match (&measurement.value, measurement.quantity()) {
        (_, Some(quantity)) => serializer.serialize_str(&quantity),
        (Measured::Unsupported, None) => serializer.serialize_str("unsupported"),
        (_, None) => serializer.serialize_str("missing"),
    }
}
