//! Reading `floor.yaml`: everything that is wrong with it at once, each with its place.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::time::Duration;

use kiln_model::{Quantity, Unit, parse_span};
use kiln_profile::Skus;
use kiln_wire::{PlaceId, Serial};
use kiln_yaml::{Diagnostic, Diagnostics, Document, Fields, Node, did_you_mean};

use super::file_places::places;
use super::file_power_cycle::power_cycle;
use super::file_rollout::rollout;
use super::parts::PartsRule;
use super::policy::{Breaker, FaultClass, Policy, Retest, Stop};
use super::site::Watts;

/// The schema a floor's file must name.
pub(super) const SCHEMA: &str = "kiln.floor/1";
/// Agents that call more often than this cost more than they tell; ones that call less often are not seen to fall silent.
const POLL: std::ops::RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_secs(60);
/// The shortest profile takes two and a half minutes, and a breaker looks at units that came to their end.
const BREAKER_LEAST: Duration = Duration::from_secs(60);
/// More tries at one stop than any rule of a factory allows.
const MOST_RUNS: u32 = 20;

/// What a floor's file may name.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Profiles that are shipped.
    pub profiles: &'a [&'a str],
    /// Codes of findings.
    pub codes: &'a [&'a str],
    pub skus: &'a Skus,
}

impl Policy {
    /// Reads a floor's file; `name` is what messages call it.
    pub fn read(name: &str, bytes: &[u8], known: Known<'_>) -> Result<Self, Diagnostics> {
        let document = Document::parse(name, bytes)?;
        let mut all = Diagnostics::new();
        let policy = policy(&document.root, known, &mut all);
        all.or(policy)
    }
}

fn policy(root: &Node, known: Known<'_>, all: &mut Diagnostics) -> Option<Policy> {
    let mut fields = Fields::of(root, "a floor", all)?;
    if let Some(schema) = fields.required("schema", all) {
        check_schema(schema, all);
    }
    let name = fields.required("name", all).and_then(|node| line(node, all));
    let poll = fields.optional("poll", all).and_then(|node| poll(node, all));
    let route = fields.required("route", all).map(|node| route(node, known, all)).unwrap_or_default();
    let site = places(&mut fields, known.skus, all);
    let retest = fields.optional("retest", all).and_then(|node| retest(node, known, all));
    let golden = fields.optional("golden", all).map(|node| golden(node, all)).unwrap_or_default();
    let breaker = fields.optional("breaker", all).and_then(|node| breaker(node, all));
    let words = [("required", PartsRule::Required), ("optional", PartsRule::WhereThereIsOne)];
    let parts = fields.optional("parts", all).and_then(|node| node.one_of("rule for parts lists", &words, all));
    let upgrade = fields.optional("agents", all).and_then(|node| rollout(node, &golden, all));
    let any_bmc = site.as_ref().is_none_or(|site| site.bmcs() > 0);
    let cycles = fields.optional("power-cycle", all).and_then(|node| power_cycle(node, any_bmc, all));
    fields.finish(all);
    let site = site?;
    if golden.is_empty()
        && let Some(rack) = site.racks().iter().find(|rack| rack.golden_within.is_some())
    {
        let id = &site.places()[rack.place].id;
        let message = format!("rack `{id}` asks for passes of a golden unit, and no golden unit is named");
        all.push(Diagnostic::new(&root.place.first_line(), message).help("add `golden: [SERIAL]`"));
    }
    Some(Policy {
        name: name?,
        route,
        poll_every: poll.unwrap_or(Duration::from_secs(2)),
        retest: retest.unwrap_or_default(),
        site,
        golden,
        breaker: Some(breaker.unwrap_or_default()),
        route_check: false,
        parts: parts.unwrap_or_default(),
        upgrade,
        power_cycle: cycles,
    })
}

fn check_schema(node: &Node, all: &mut Diagnostics) {
    let Some(schema) = node.text(all) else { return };
    if schema != SCHEMA {
        let message = format!("the schema is `{schema}`, but `{SCHEMA}` is read here");
        let help = if schema.starts_with("kiln.floor/") {
            "this file was written for another version of kiln-floor"
        } else {
            "is this the right file?"
        };
        all.push(Diagnostic::new(&node.place, message).help(help));
    }
}

/// A name that people read.
fn line(node: &Node, all: &mut Diagnostics) -> Option<String> {
    let text = node.text(all)?;
    if text.trim().is_empty() || text.chars().count() > 60 || text.chars().any(char::is_control) {
        all.push(Diagnostic::new(&node.place, "expected a name of one line, at most 60 letters"));
    }
    Some(text.trim().to_owned())
}

pub(super) fn span(node: &Node, all: &mut Diagnostics) -> Option<Duration> {
    node.parse_with(parse_span, all)
}

/// A length of time in which something has to happen: one that is too short is as good as none, and nobody would see that.
pub(super) fn window(node: &Node, least: Duration, why: &str, all: &mut Diagnostics) -> Option<Duration> {
    let length = span(node, all)?;
    if length < least {
        let minutes = least.as_secs() / 60;
        all.push(Diagnostic::new(&node.place, format!("expected at least {minutes}m: {why}")));
    }
    Some(length)
}

pub(super) fn watts(node: &Node, all: &mut Diagnostics) -> Option<Watts> {
    let quantity: Quantity = node.parse_with(str::parse, all)?;
    let value = quantity.value_in(Unit::Watt);
    // A terawatt is more than any site has; a watt less than any unit draws.
    if let Some(value) = value.filter(|value| (1.0..=1e12).contains(value)) {
        return Some(Watts(value.round() as u64));
    }
    let message = if value.is_some() { "expected a power of at least 1 W" } else { "this is no power" };
    all.push(Diagnostic::new(&node.place, message).help("write for example `850 kW`"));
    None
}

pub(super) fn named<T: std::str::FromStr>(node: &Node, all: &mut Diagnostics) -> Option<T>
where
    T::Err: Display,
{
    node.parse_with(str::parse, all)
}

/// Complains about a name that is there already, showing the first.
pub(super) fn apart<'n>(seen: &mut BTreeMap<String, &'n Node>, node: &'n Node, all: &mut Diagnostics) {
    let Some(text) = node.raw() else { return };
    if let Some(first) = seen.get(text) {
        let message = format!("`{text}` is here twice");
        all.push(Diagnostic::new(&node.place, message).label("again here").secondary(&first.place, "first here"));
    } else {
        seen.insert(text.to_owned(), node);
    }
}

fn poll(node: &Node, all: &mut Diagnostics) -> Option<Duration> {
    let every = span(node, all)?;
    if !POLL.contains(&every) {
        all.push(Diagnostic::new(&node.place, "agents call between every 500ms and every 1m"));
    }
    Some(every)
}

fn route(node: &Node, known: Known<'_>, all: &mut Diagnostics) -> Vec<Stop> {
    let elements = node.list("stops", all).unwrap_or_default();
    if node.elements().is_some_and(<[Node]>::is_empty) {
        all.push(Diagnostic::new(&node.place, "a route has at least one stop"));
    }
    elements.iter().filter_map(|node| stop(node, known, all)).collect()
}

fn stop(node: &Node, known: Known<'_>, all: &mut Diagnostics) -> Option<Stop> {
    let mut fields = Fields::of(node, "a stop", all)?;
    let profile = fields.required("profile", all).and_then(|node| {
        let name = node.text(all)?;
        if !known.profiles.contains(&name) {
            let help = did_you_mean(name, known.profiles.iter().copied());
            all.push(Diagnostic::new(&node.place, format!("there is no shipped profile `{name}`")).maybe_help(help));
        }
        Some(name.to_owned())
    });
    let variables = fields.optional("set", all).map(|node| variables(node, all)).unwrap_or_default();
    fields.finish(all);
    // Whether it does is seen once it is resolved.
    Some(Stop { profile: profile?, digest: None, variables, compares_parts: true })
}

fn variables(node: &Node, all: &mut Diagnostics) -> BTreeMap<String, String> {
    let entries = node.mapping("variables", all).unwrap_or_default();
    entries.iter().filter_map(|(name, value)| Some((name.raw()?.to_owned(), value.text(all)?.to_owned()))).collect()
}

fn retest(node: &Node, known: Known<'_>, all: &mut Diagnostics) -> Option<Retest> {
    let usual = Retest::default();
    let mut fields = Fields::of(node, "`retest`", all)?;
    let mut count = |key: &'static str, least: u32, usual: u32, all: &mut Diagnostics| {
        let Some(node) = fields.optional(key, all) else { return usual };
        let Some(count) = node.whole::<u32>(all) else { return usual };
        if !(least..=MOST_RUNS).contains(&count) {
            all.push(Diagnostic::new(&node.place, format!("`{key}` lies between {least} and {MOST_RUNS}")));
        }
        count
    };
    let most = count("most", 1, usual.most, all);
    let error = count("error", 0, usual.error, all);
    let inconclusive = count("inconclusive", 0, usual.inconclusive, all);
    let aborted = count("aborted", 0, usual.aborted, all);
    let classes = fields.optional("classes", all).map(|node| classes(node, known, all)).unwrap_or_default();
    fields.finish(all);
    Some(Retest { most, error, inconclusive, aborted, classes })
}

fn classes(node: &Node, known: Known<'_>, all: &mut Diagnostics) -> Vec<FaultClass> {
    let mut seen = BTreeMap::new();
    let mut taken = BTreeMap::new();
    let mut classes = Vec::new();
    for node in node.list("fault classes", all).unwrap_or_default() {
        let Some(mut fields) = Fields::of(node, "a fault class", all) else { continue };
        let id = fields.required("id", all);
        if let Some(node) = id {
            apart(&mut seen, node, all);
        }
        let id = id.and_then(|node| named::<PlaceId>(node, all));
        let codes = fields.required("codes", all);
        if let Some(node) = codes.filter(|node| node.elements().is_some_and(<[Node]>::is_empty)) {
            let message = "a fault class has at least one code, or it would hold no unit";
            all.push(Diagnostic::new(&node.place, message));
        }
        let mut own = Vec::new();
        for node in codes.and_then(|node| node.list("codes", all)).unwrap_or_default() {
            apart(&mut taken, node, all);
            own.extend(code(node, known, all));
        }
        let repairs = fields.required("repairs", all).and_then(|node| node.whole::<u32>(all));
        fields.finish(all);
        if let (Some(id), Some(repairs)) = (id, repairs) {
            classes.push(FaultClass { id: id.to_string(), codes: own, repairs });
        }
    }
    classes
}

fn code(node: &Node, known: Known<'_>, all: &mut Diagnostics) -> Option<String> {
    let text = node.text(all)?;
    let found = match text.strip_suffix('*') {
        Some(stem) => known.codes.iter().any(|code| code.starts_with(stem)),
        None => known.codes.contains(&text),
    };
    if !found {
        let help = did_you_mean(text, known.codes.iter().copied());
        all.push(Diagnostic::new(&node.place, format!("no finding has the code `{text}`")).maybe_help(help));
    }
    Some(text.to_owned())
}

fn golden(node: &Node, all: &mut Diagnostics) -> BTreeSet<Serial> {
    let mut seen = BTreeMap::new();
    let mut units = BTreeSet::new();
    for node in node.list("serial numbers", all).unwrap_or_default() {
        apart(&mut seen, node, all);
        units.extend(named::<Serial>(node, all));
    }
    units
}

fn breaker(node: &Node, all: &mut Diagnostics) -> Option<Breaker> {
    let usual = Breaker::default();
    let mut fields = Fields::of(node, "`breaker`", all)?;
    let percent = fields.optional("percent", all).and_then(|node| {
        let percent = node.whole::<u32>(all)?;
        if !(1..=100).contains(&percent) {
            all.push(Diagnostic::new(&node.place, "expected between 1 and 100 percent"));
        }
        Some(percent)
    });
    let why = "in less hardly one unit comes to its end, and starts would never be stopped";
    let within = fields.optional("within", all).and_then(|node| window(node, BREAKER_LEAST, why, all));
    let least = fields.optional("least", all).and_then(|node| node.whole::<u32>(all));
    fields.finish(all);
    Some(Breaker {
        percent: percent.unwrap_or(usual.percent),
        within: within.unwrap_or(usual.within),
        least: least.unwrap_or(usual.least),
    })
}
