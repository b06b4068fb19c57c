//! What a monitoring system asks for, in the text form of Prometheus.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use kiln_floor::{Disposition, Floor, Stage};
use kiln_wire::Doing;

use super::api::ApiError;
use super::desk::{AllHeard, now};
use super::places::SILENT;
use super::serve::Site;

/// One family of figures.
fn family(text: &mut String, name: &str, kind: &str, help: &str, rows: impl IntoIterator<Item = (String, f64)>) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in rows {
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = writeln!(text, "{name}{labels} {value}");
    }
}

/// Names of agents, places and verdicts are letters, digits and dashes: nothing in a label needs to be escaped.
fn label(name: &str, value: impl std::fmt::Display) -> String {
    format!("{name}=\"{value}\"")
}

const fn stage(stage: &Stage) -> &'static str {
    match stage {
        Stage::Arrived => "arrived",
        Stage::Ready => "waiting",
        Stage::Assigned(_) => "assigned",
        Stage::Held(_) => "held",
        Stage::Disposed(Disposition::Released) => "released",
        Stage::Disposed(Disposition::Repair) => "repair",
        Stage::Disposed(Disposition::Scrapped) => "scrapped",
        Stage::Disposed(Disposition::Returned) => "returned",
    }
}

fn text(floor: &Floor, heard: &AllHeard, streams: usize, unwritten: bool) -> String {
    let (state, site) = (floor.state(), &floor.policy().site);
    let mut text = String::new();
    let mut units: BTreeMap<&str, f64> =
        ["arrived", "waiting", "assigned", "held", "released", "repair", "scrapped", "returned"]
            .map(|of| (of, 0.0))
            .into();
    let mut runs: BTreeMap<String, f64> = BTreeMap::new();
    for unit in state.units.values() {
        *units.entry(stage(&unit.stage)).or_default() += 1.0;
        for outcome in &unit.runs {
            *runs.entry(format!("{:?}", outcome.facts.verdict).to_lowercase()).or_default() += 1.0;
        }
    }
    let by = |name: &'static str| move |(of, count): (&str, f64)| (label(name, of), count);
    family(&mut text, "kiln_floor_units", "gauge", "Units by where they are.", units.into_iter().map(by("stage")));
    let runs = runs.iter().map(|(of, count)| (label("verdict", of), *count));
    family(&mut text, "kiln_floor_runs_total", "counter", "Runs that arrived whole, by verdict.", runs);
    let mut agents: BTreeMap<&str, f64> = ["idle", "running", "held", "silent"].map(|of| (of, 0.0)).into();
    for id in state.agents.keys() {
        let said = heard.get(id).filter(|heard| now().duration_since(heard.at) <= SILENT);
        let of = match said.map(|heard| &heard.doing) {
            None => "silent",
            Some(Doing::Idle) => "idle",
            Some(Doing::Running { .. }) => "running",
            Some(Doing::Held(_)) => "held",
        };
        *agents.entry(of).or_default() += 1.0;
    }
    family(&mut text, "kiln_floor_agents", "gauge", "Agents by what they say.", agents.into_iter().map(by("state")));
    let contact = heard.iter().map(|(id, heard)| (label("agent", id), now().duration_since(heard.at).as_secs_f64()));
    let name = "kiln_floor_agent_last_contact_seconds";
    family(&mut text, name, "gauge", "Since an agent was last heard.", contact);
    let places = || site.places().iter().enumerate();
    let granted = places().map(|(at, place)| (label("place", &place.id), floor.ledger().granted(at).0 as f64));
    family(&mut text, "kiln_floor_granted_watts", "gauge", "Power granted and not given back.", granted);
    let limits = places().filter_map(|(_, place)| {
        let limit = state.cuts.get(&place.id).copied().into_iter().chain(place.limit).min()?;
        Some((label("place", &place.id), limit.0 as f64))
    });
    family(&mut text, "kiln_floor_limit_watts", "gauge", "What a place bears now.", limits);
    let one = |value: f64| [(String::new(), value)];
    let stopped = one(f64::from(u8::from(state.stopped.is_some())));
    family(&mut text, "kiln_floor_starts_stopped", "gauge", "1 while nothing more is started.", stopped);
    let suspects = one(state.suspects.len() as f64);
    family(
        &mut text,
        "kiln_floor_suspect_scopes",
        "gauge",
        "Racks, feeds, lots and the like under suspicion.",
        suspects,
    );
    let unwritten = one(f64::from(u8::from(unwritten)));
    family(
        &mut text,
        "kiln_floor_disk_refuses",
        "gauge",
        "1 while what agents hand over cannot be written.",
        unwritten,
    );
    family(&mut text, "kiln_floor_pages", "gauge", "Pages that listen.", one(streams as f64));
    text
}

pub(crate) async fn metrics(State(site): State<Arc<Site>>) -> Result<Response, ApiError> {
    let streams = super::serve::STREAMS - site.streams.available_permits();
    let unwritten = site.copies.trouble().is_some();
    let text = site.desk.look(move |floor, heard| text(floor, heard, streams, unwritten)).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}
