//! Checks that exist for these tests alone, so that messages do not change with the real ones.

use kiln::model::{ComponentKind, Span, Unit};
use kiln::profile::{Catalogue, CheckSpec, MeasurementSpec, ParamKind, ParamSpec, Params, ValueKind, Wear};

fn estimate(params: &Params, _gpus: usize) -> Span {
    params.span("for").unwrap_or(Span::from_secs(10))
}

const fn param(name: &'static str, kind: ParamKind, default: Option<&'static str>) -> ParamSpec {
    ParamSpec { name, kind, default, summary: "a parameter" }
}

const fn measurement(name: &'static str, unit: Unit, kind: ValueKind) -> MeasurementSpec {
    MeasurementSpec { name, unit, kind, of: ComponentKind::Gpu, required: false, summary: "a measurement" }
}

const BURN: CheckSpec = CheckSpec {
    name: "gpu.burn",
    summary: "Burns.",
    details: "",
    params: &[
        param("kernel", ParamKind::Choice(&["bf16", "fp8", "fp32"]), Some("bf16")),
        param("for", ParamKind::Span, None),
        param("warmup", ParamKind::Span, Some("5m")),
        param("power", ParamKind::Quantity { unit: Unit::Watt, min: 100.0, max: 1500.0 }, None),
        param("passes", ParamKind::Count { min: 1, max: 100 }, Some("1")),
        param("quiet", ParamKind::Flag, Some("false")),
        param("note", ParamKind::Text, None),
        param("prompt", ParamKind::Localized, None),
        param("services", ParamKind::Texts, Some("[]")),
    ],
    measurements: &[
        measurement("power.mean", Unit::Watt, ValueKind::Number),
        measurement("throughput.p5", Unit::Teraflops, ValueKind::Number),
        measurement("throttle.thermal", Unit::Second, ValueKind::Number),
        measurement("thermal.resistance", Unit::KelvinPerWatt, ValueKind::Number),
        measurement("temp.max", Unit::Celsius, ValueKind::Number),
        measurement("mismatches", Unit::One, ValueKind::Number),
        measurement("vbios", Unit::One, ValueKind::Text),
        measurement("valid", Unit::One, ValueKind::Flag),
    ],
    each: &[ComponentKind::Gpu],
    wear: Wear::Stress,
    exclusive: true,
    watcher: false,
    estimate,
};

const fn plain(name: &'static str, watcher: bool) -> CheckSpec {
    CheckSpec {
        name,
        summary: "Looks.",
        details: "",
        params: &[],
        measurements: &[],
        each: &[ComponentKind::Node],
        wear: Wear::None,
        exclusive: false,
        watcher,
        estimate,
    }
}

const MATCH: CheckSpec = plain("inventory.match", false);
const LOG: CheckSpec = plain("kernel.log", true);
const IDLE: CheckSpec = plain("load.none", false);

pub(crate) const CATALOGUE: Catalogue = Catalogue(&[&BURN, &MATCH, &LOG, &IDLE]);
