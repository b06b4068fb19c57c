//! Guards: always-on stop rules over sensors and events.

use super::decode::{id, positive_span, span, unique};
use super::inherit::entry_id;
use super::stage::Scope;
use super::{Guard, GuardResult, GuardScope, GuardStop, Telemetry, Trigger, limits};
use kiln_limit::{Bound, IfUnsupported, Target, Wanted};
use kiln_model::{Sensor, SensorKind, Span};
use kiln_yaml::{Diagnostic, Diagnostics, Fields, Node, did_you_mean};

/// Readings older than this trip a guard on a reading where the profile does not say: five of the slowest sensor's own
/// updates (NVML power and temperature are renewed at least every second or two).
const DEFAULT_STALE: Span = Span::from_secs(10);

pub(super) fn guards(node: &Node, telemetry: Telemetry, scope: &Scope<'_>, all: &mut Diagnostics) -> Vec<Guard> {
    let elements = node.list("guards", all).unwrap_or_default();
    unique("guard", elements.iter().filter_map(|element| Some((entry_id(element)?, element))), all);
    elements.iter().filter_map(|element| guard(element, telemetry, scope, all)).collect()
}

/// `None` for a guard that is off, and for one that is no mapping.
fn guard(node: &Node, telemetry: Telemetry, scope: &Scope<'_>, all: &mut Diagnostics) -> Option<Guard> {
    let mut fields = Fields::of(node, "a guard", all)?;
    let guard_id = fields.required("id", all).and_then(|node| id(node, all)).unwrap_or_default();
    let off = fields.optional("off", all).and_then(|node| node.bool(all)).unwrap_or(false);
    let scopes = [("gpu", GuardScope::EachGpu), ("node", GuardScope::Node)];
    let each = fields.optional("each", all).and_then(|node| node.one_of("scope", &scopes, all));
    let (trip, on) = (fields.optional("trip", all), fields.optional("on", all));
    let triggers = [("gpu.lost", Trigger::GpuLost), ("xid", Trigger::Xid)];
    let trigger = match (trip, on) {
        (Some(node), None) => reading(node, scope, all),
        (None, Some(node)) => {
            let names: Vec<(&str, usize)> = triggers.iter().enumerate().map(|(at, (name, _))| (*name, at)).collect();
            node.one_of("event", &names, all).map(|at| triggers[at].1.clone())
        }
        _ => {
            let message = "a guard takes either `trip` or `on`";
            let help = "write `trip: { temp.margin: \"<= 0 °C\" }` or `on: gpu.lost`";
            all.push(Diagnostic::new(&node.place.first_line(), message).help(help));
            None
        }
    };
    let hold = fields.optional("hold", all).and_then(|node| span(node, all)).unwrap_or_default();
    let clear_node = fields.optional("clear", all);
    let stale = fields.optional("stale", all).and_then(|node| positive_span(node, all));
    let choices = [("error", IfUnsupported::Error), ("skip", IfUnsupported::Skip)];
    let unsupported = fields.optional("unsupported", all).and_then(|node| node.one_of("answer", &choices, all));
    let stops = [("step", GuardStop::Step), ("stage", GuardStop::Stage), ("run", GuardStop::Run)];
    let stop = fields.optional("stop", all).and_then(|node| node.one_of("stop", &stops, all));
    let results = [("fail", GuardResult::Fail), ("inconclusive", GuardResult::Inconclusive)];
    let result = fields.optional("result", all).and_then(|node| node.one_of("result", &results, all));
    let code = fields.required("code", all).and_then(|node| limits::code(node, all)).unwrap_or_default();
    fields.finish(all);
    let is_reading = matches!(trigger, Some(Trigger::Reading { .. }));
    let clear = match (clear_node, &trigger) {
        (Some(node), Some(Trigger::Reading { sensor, .. })) => sensor_bound(node, *sensor, scope, all),
        (Some(node), Some(_)) => {
            all.push(Diagnostic::new(
                &node.place,
                "only a guard with `trip` can have `clear`: an event does not clear",
            ));
            None
        }
        _ => None,
    };
    let stale = stale.or_else(|| is_reading.then(|| DEFAULT_STALE.max(telemetry.every * 3)));
    let trigger = trigger?;
    (!off).then_some(Guard {
        id: guard_id,
        scope: each.unwrap_or(GuardScope::EachGpu),
        trigger,
        hold,
        clear,
        stale,
        unsupported: unsupported.unwrap_or_default(),
        stop: stop.unwrap_or(GuardStop::Run),
        result: result.unwrap_or(GuardResult::Fail),
        code,
    })
}

/// `{ sensor: bound }`, with one sensor.
fn reading(node: &Node, scope: &Scope<'_>, all: &mut Diagnostics) -> Option<Trigger> {
    let [(key, value)] = node.mapping("`trip`", all)? else {
        let message = "`trip` takes one sensor";
        all.push(Diagnostic::new(&node.place, message).help("write a guard of its own for each sensor"));
        return None;
    };
    let name = key.raw().unwrap_or_default();
    let gauges = || Sensor::ALL.iter().filter(|sensor| sensor.kind() == SensorKind::Gauge);
    let Some(sensor) = Sensor::by_name(name) else {
        let help = did_you_mean(name, gauges().map(|sensor| sensor.name()));
        all.push(Diagnostic::new(&key.place, format!("there is no sensor `{name}`")).maybe_help(help));
        return None;
    };
    if sensor.kind() == SensorKind::Bits {
        all.push(Diagnostic::new(&key.place, format!("`{name}` is a set of bits: it has no order a guard could use")));
    }
    let bound = sensor_bound(value, sensor, scope, all)?;
    Some(Trigger::Reading { sensor, bound })
}

fn sensor_bound(node: &Node, sensor: Sensor, scope: &Scope<'_>, all: &mut Diagnostics) -> Option<Bound> {
    let target =
        Target { name: sensor.name(), wanted: Wanted::Number(sensor.unit()), facts: &scope.facts, relative: false };
    limits::bound(node, &target, all)
}
