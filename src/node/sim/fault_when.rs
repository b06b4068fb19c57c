//! The conditions under which a fault is active, as its file writes them.
//!
//! Whether they hold is `fault_run`'s to see.

use super::exert::LoadWord;
use super::fault_change::quantity;
use kiln_model::{Unit, parse_span};
use kiln_yaml::{Diagnostic, Diagnostics, Fields, Node};

/// When a fault is active: all conditions hold, and where there is a rate or period, at its moments.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct When {
    /// Seconds from the start.
    pub after: Option<f64>,
    /// Seconds from the start at which it is over for good.
    pub until: Option<f64>,
    /// Temperature of the component's die or HBM, °C.
    pub above: Option<f64>,
    pub below: Option<f64>,
    /// Kinds of load that run on it at once, all of them.
    pub load: Vec<LoadWord>,
    /// Traffic that it carries at once, all of it.
    pub traffic: Vec<Traffic>,
    /// Board power from which it shows, W.
    pub drawing: Option<f64>,
    /// SM clock from which it shows, MHz.
    pub clock: Option<f64>,
    /// SM clock below which it shows, MHz.
    pub clock_below: Option<f64>,
    pub after_reboot: bool,
    /// Moments at random, per hour.
    pub rate: Option<f64>,
    /// Moments at a fixed period, s.
    pub every: Option<f64>,
    /// How long it stays after such a moment, s.
    pub lasting: Option<f64>,
}

impl When {
    /// Whether it holds from the start and for good.
    pub fn is_standing(&self) -> bool {
        *self == Self { after_reboot: self.after_reboot, ..Self::default() }
    }

    /// Whether it asks how a GPU works, loads aside.
    pub(super) fn is_of_work(&self) -> bool {
        !self.traffic.is_empty() || self.drawing.is_some() || self.clock.is_some() || self.clock_below.is_some()
    }

    /// Whether it waits for a state that a node may never reach, whatever a profile runs on it.
    fn is_of_the_node(&self) -> bool {
        let state = self.above.or(self.below).or(self.drawing).or(self.clock).or(self.clock_below);
        state.is_some() && self.load.is_empty() && self.traffic.is_empty()
    }

    /// Whether the temperature is one at which it shows, as `hot` and `cold` tell of its bounds.
    pub(super) const fn suits(&self, hot: bool, cold: bool) -> bool {
        (self.above.is_none() || hot) && (self.below.is_none() || cold)
    }

    /// Whether `now`, in seconds, is in the time from which on it can hold.
    pub(super) fn has_begun(&self, now: f64, boots: u32) -> bool {
        !(self.after_reboot && boots == 0 || self.after.is_some_and(|after| now < after))
    }

    pub const fn has_moments(&self) -> bool {
        self.rate.is_some() || self.every.is_some()
    }
}

/// What of the conditions of a fault has come about in a run.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "four things that came or did not, each on its own")]
pub(super) struct Came {
    /// All of them at once, apart from moments, and for how many seconds.
    pub(super) held: bool,
    pub(super) seconds: f64,
    /// Its temperature, at whichever time.
    pub(super) warm: bool,
    /// Its time, at whichever temperature.
    pub(super) in_time: bool,
    /// One of its moments.
    pub(super) fired: bool,
}

impl Came {
    /// Takes in a step of the run: whether the temperature and the time suited, how long all held, how many moments there were.
    pub(super) fn note(&mut self, warm: bool, in_time: bool, held: Option<f64>, moments: u64) {
        self.warm |= warm;
        self.in_time |= in_time;
        self.held |= held.is_some();
        self.seconds += held.unwrap_or_default();
        self.fired |= moments > 0;
    }

    /// Whether the run has tried the fault. A run that was too short for it has, and missed it; one on a node that never gets as
    /// warm as the fault needs has not, and neither has one in which that was for less than passes between two of its moments.
    pub(super) fn was_tried(&self, when: &When) -> bool {
        if !when.is_of_the_node() {
            return true;
        }
        let of_temperature = when.above.is_some() || when.below.is_some();
        match when.rate {
            Some(rate) if of_temperature && self.held => self.fired || self.seconds * rate >= 3600.0,
            _ => self.held || when.after.is_some() && (self.warm || !self.in_time || !of_temperature),
        }
    }
}

/// Traffic a condition may wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    Nvlink,
    Pcie,
    Memory,
}

const TRAFFIC: &[(&str, Traffic)] =
    &[("nvlink", Traffic::Nvlink), ("pcie", Traffic::Pcie), ("memory", Traffic::Memory)];

pub(super) fn read_when(node: &Node, all: &mut Diagnostics) -> Option<When> {
    match node.raw() {
        Some("always") => return Some(When::default()),
        Some("after_reboot") => return Some(When { after_reboot: true, ..When::default() }),
        Some(_) => {
            let message =
                format!("`when` is `always`, `after_reboot` or a mapping of conditions, not {}", node.describe());
            all.push(Diagnostic::new(&node.place, message).help("write for example `{ load: burn, above: 70 °C }`"));
            return None;
        }
        None => {}
    }
    let mut fields = Fields::of(node, "a condition", all)?;
    let mut span = |key: &'static str, all: &mut Diagnostics| {
        let node = fields.optional(key, all)?;
        node.parse_with(parse_span, all).map(|span| span.as_secs_f64())
    };
    let (after, until) = (span("after", all), span("until", all));
    let (every, lasting) = (span("every", all), span("for", all));
    let above = fields.optional("above", all).and_then(|node| quantity(node, Unit::Celsius, all));
    let below = fields.optional("below", all).and_then(|node| quantity(node, Unit::Celsius, all));
    let rate = fields.optional("rate", all).and_then(|node| quantity(node, Unit::PerHour, all));
    let drawing = fields.optional("drawing", all).and_then(|node| quantity(node, Unit::Watt, all));
    let clock = fields.optional("clock", all).and_then(|node| quantity(node, Unit::Megahertz, all));
    let clock_below = fields.optional("clock_below", all).and_then(|node| quantity(node, Unit::Megahertz, all));
    let load = words(fields.optional("load", all), "load", LoadWord::ALL, all);
    let traffic = words(fields.optional("traffic", all), "traffic", TRAFFIC, all);
    let after_reboot = fields.optional("after_reboot", all).and_then(|node| node.bool(all)).unwrap_or(false);
    fields.finish(all);
    if rate.is_some() && every.is_some() {
        all.push(Diagnostic::new(&node.place, "moments come at a `rate` or `every` so often, not both"));
        return None;
    }
    if lasting.is_some() && rate.is_none() && every.is_none() {
        all.push(Diagnostic::new(&node.place, "`for` says how long a moment lasts: it needs `rate` or `every`"));
        return None;
    }
    if every.is_some_and(|every| every <= 0.0) || rate.is_some_and(|rate| rate < 0.0) {
        all.push(Diagnostic::new(&node.place, "a rate or period must be above 0"));
        return None;
    }
    if until.zip(after).is_some_and(|(until, after)| until <= after) {
        all.push(Diagnostic::new(&node.place, "it is over before it begins: `until` must come after `after`"));
        return None;
    }
    if above.zip(below).is_some_and(|(above, below)| below <= above) {
        all.push(Diagnostic::new(&node.place, "no temperature is above `above` and below `below`"));
        return None;
    }
    if clock.zip(clock_below).is_some_and(|(clock, below)| below <= clock) {
        all.push(Diagnostic::new(&node.place, "no clock is at least `clock` and below `clock_below`"));
        return None;
    }
    Some(When {
        after,
        until,
        above,
        below,
        load,
        traffic,
        drawing,
        clock,
        clock_below,
        after_reboot,
        rate,
        every,
        lasting,
    })
}

/// One word, or a list of them.
fn words<T: Copy>(
    node: Option<&Node>,
    what: &'static str,
    known: &'static [(&'static str, T)],
    all: &mut Diagnostics,
) -> Vec<T> {
    let Some(node) = node else { return Vec::new() };
    match node.elements() {
        Some(elements) => elements.iter().filter_map(|element| element.one_of(what, known, all)).collect(),
        None => node.one_of(what, known, all).into_iter().collect(),
    }
}
