//! `fabric.ports`: state, rate and errors of InfiniBand and RoCE ports, now and since the run began.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "counts become floats far below 2^53, and floats become counts that were bounded before"
)]

use super::declare::{flag, list, may, text};
use super::delta::between;
use super::look::{LOOK, Look};
use super::sheet::{Gauged, Sheet};
use super::{Check, CheckRun, Done, StepContext, Subject};
use kiln_event::Reason;
use kiln_model::{Component, ComponentKind, Inventory, Missing, Moment, Nic, Port, PortCounter, Reading, Unit};
use kiln_profile::{CheckSpec, MeasurementSpec, ParamKind, ParamSpec, Params};

#[derive(Debug)]
pub(super) struct FabricPorts;

const PORT: ComponentKind = ComponentKind::Port;

/// The share of wrong bits that a good link stays below: what `ibdiagnet` warns from
/// (docs.nvidia.com/networking/display/ibdiagnetusermanualv211, Bit Error Rate: "default threshold=10^-12").
const BIT_ERRORS: f64 = 1e-12;
/// What NVIDIA tests its cables to (its design guide "Cabling Data Centers": one in 10^15).
const CABLE_BIT_ERRORS: f64 = 1e-15;

/// The hours a rate is taken over are at least one, so that a single error of a short run stays one.
const LEAST_HOURS: f64 = 1.0;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "fabric.ports",
    summary: "Reads the node's InfiniBand and RoCE ports: state, rate, width, and errors since the run began.",
    details: "Reads the inventory anew. A port without a link is held against the others of its device's model and link layer: \
              where more than half of them are up it should be as well, and where not, nothing is said of it; a node without \
              any link is skipped, unless the parameter ports says how many there must be. Names under unused are left out: ports that are empty by design. Rate and width are compared in the \
              same way, and with the parameter rate where it is given; what the port can do no file of the kernel says. \
              Errors are differences against the run's first inventory, so that what happened during any step shows at the \
              end; a counter that has reached the highest value it can hold, or went backwards, is missing. Symbol errors \
              are told as a share of those that one wrong bit in 10^12 makes at the port's rate over the run, an hour at \
              least. A cable, a transceiver and the switch at the far end show in the same counters as the port.",
    params: &[
        list("unused", "names of devices or ports (`mlx5_3`, `mlx5_3/2`) that nothing is connected to"),
        ParamSpec {
            name: "ports",
            kind: ParamKind::Count { min: 1, max: 256 },
            default: None,
            summary: "ports that must have a link",
        },
        ParamSpec {
            name: "rate",
            kind: ParamKind::Quantity { unit: Unit::MegabytePerSecond, min: 1.0, max: 1.0e6 },
            default: None,
            summary: "the rate every port with a link must run at",
        },
    ],
    measurements: MEASUREMENTS,
    each: &[ComponentKind::Node],
    ..LOOK
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    may("ports", Unit::One, ComponentKind::Node, "ports of RDMA devices"),
    may("ports.missing", Unit::One, ComponentKind::Node, "ports that should have a link and have none"),
    text("link", PORT, "device and port, with the states, rate and width that the kernel shows"),
    flag("up", PORT, "whether the port has a link, where most ports of its kind have one"),
    flag("kept", PORT, "whether a link that was there when the run began is there, no slower and no narrower"),
    may("rate", Unit::MegabytePerSecond, PORT, "rate of the link"),
    may("width", Unit::One, PORT, "lanes of the link"),
    flag("rate.usual", PORT, "whether the link is as fast as most links of its kind"),
    flag("width.usual", PORT, "whether the link has as many lanes as most links of its kind"),
    flag("rate.as-asked", PORT, "whether the link is as fast as the parameter says"),
    may("downs", Unit::One, PORT, "times the link went down since the run began"),
    may("recoveries", Unit::One, PORT, "times the link trained again since the run began"),
    may("symbol.errors", Unit::One, PORT, "symbol errors since the run began"),
    may("symbol.errors.share", Unit::Percent, PORT, "the same, of what one wrong bit in 10^12 would make"),
    may("symbol.errors.of-cable", Unit::Percent, PORT, "the same, of what one wrong bit in 10^15 would make"),
    may("receive.errors", Unit::One, PORT, "damaged packets received since the run began"),
    may("integrity.errors", Unit::One, PORT, "runs of damaged packets since the run began"),
    may("overruns", Unit::One, PORT, "buffer overruns since the run began"),
    may("checksum.errors", Unit::One, PORT, "RoCE packets with a wrong checksum since the run began"),
    may("out-of-sequence", Unit::One, PORT, "packets that came before their turn since the run began"),
];

impl Check for FabricPorts {
    fn spec(&self) -> &'static CheckSpec {
        &SPEC
    }

    fn subject(&self) -> Subject {
        Subject::Condition
    }

    fn begin(&self, _: &StepContext<'_>) -> Box<dyn CheckRun> {
        Box::new(Look::Inventory(measure))
    }
}

/// A port with the device it belongs to, and what it is called.
#[derive(Debug, Clone, Copy)]
struct Seat<'a> {
    component: Component,
    nic: &'a Nic,
    port: &'a Port,
}

impl Seat<'_> {
    fn name(&self) -> String {
        format!("{}/{}", self.nic.name, self.port.number)
    }

    /// Ports of one kind are alike in one node: one model of device, one link layer.
    fn is_like(&self, other: &Self) -> bool {
        self.nic.model == other.nic.model && self.port.layer == other.port.layer
    }

    fn is_up(&self) -> bool {
        self.port.is_up() == Reading::Value(true)
    }
}

/// The ports of an inventory but for those that are left out. Devices keep the numbers they had when the run began.
fn seats<'a>(context: &StepContext<'_>, inventory: &'a Inventory) -> Vec<Seat<'a>> {
    let unused = context.params.texts("unused").unwrap_or_default();
    let names = |inventory: &Inventory| -> Vec<String> {
        inventory.host.nics.value().into_iter().flatten().map(|nic| nic.name.clone()).collect()
    };
    let mut order = names(context.inventory);
    order.extend(names(inventory).into_iter().filter(|name| !order.contains(name)).collect::<Vec<_>>());
    let number = |nic: &Nic| order.iter().position(|name| *name == nic.name).unwrap_or_default() as u8;
    let nics = inventory.host.nics.value().into_iter().flatten();
    let all = nics.flat_map(|nic| {
        let nth = number(nic);
        nic.ports.iter().map(move |port| Seat { component: Component::Port(nth, port.number), nic, port })
    });
    all.filter(|seat| !unused.contains(&seat.nic.name) && !unused.contains(&seat.name())).collect()
}

/// Why there is nothing to judge, if so: no port, or none that anybody connected, and nobody said how many there must be.
fn beside_the_point(
    context: &StepContext<'_>,
    found: &Inventory,
    now: &[Seat<'_>],
    before: &[Seat<'_>],
) -> Option<Reason> {
    let told = match &found.host.nics {
        Reading::Value(_) => true,
        // What could be read when the run began has gone away.
        Reading::Unsupported => before.is_empty(),
        Reading::Failed(_) => false,
    };
    let is_down = |seat: &Seat<'_>| matches!(seat.port.is_up(), Reading::Value(false));
    let idle = now.iter().chain(before).all(is_down);
    if context.params.count("ports").is_some() || !told || !idle {
        return None;
    }
    Some(Reason::NoPorts { shown: !now.is_empty() || !before.is_empty() })
}

fn measure(context: &StepContext<'_>, found: &Inventory) -> Done {
    let mut sheet = Sheet::new(&SPEC, context.lost);
    let now = seats(context, found);
    let before = seats(context, context.inventory);
    if let Some(why) = beside_the_point(context, found, &now, &before) {
        return Done::NotApplicable { why };
    }
    let node = Component::Node;
    sheet.put("ports", node, Gauged::of(&found.host.nics, |_| Gauged::count(now.len())));
    let linked = now.iter().filter(|seat| seat.is_up()).count();
    let missing = match (context.params.count("ports"), &found.host.nics) {
        (None, _) => Gauged::Unsupported,
        (Some(wanted), Reading::Value(_)) => Gauged::once((f64::from(wanted) - linked as f64).max(0.0)),
        (Some(_), _) => Gauged::Missing(Missing::NotTold { param: "ports".to_owned() }),
    };
    sheet.put("ports.missing", node, missing);
    for seat in &now {
        let was = before.iter().find(|other| other.name() == seat.name());
        put_link(&mut sheet, context.params, seat, &now);
        sheet.put("kept", seat.component, kept(was.map(|was| was.port), seat.port));
        put_errors(&mut sheet, context, seat, was.map(|was| was.port));
    }
    // A port that is no longer shown is the last thing that may be passed over.
    for gone in before.iter().filter(|was| !now.iter().any(|seat| seat.name() == was.name())) {
        let kept = match &found.host.nics {
            Reading::Value(_) => Gauged::Flag(false),
            Reading::Unsupported => Gauged::Missing(Missing::NoLongerOffered),
            Reading::Failed(why) => Gauged::Missing(Missing::Read(*why)),
        };
        sheet.put("link", gone.component, Gauged::Text(format!("{}: -", gone.name())));
        put_all(&mut sheet, gone.component, &Gauged::Missing(Missing::NotListed), &["link", "kept"]);
        sheet.put("kept", gone.component, kept);
    }
    if now.is_empty() && before.is_empty() {
        // With no port to be seen there is none to be down, which must be told as well.
        let none = match &found.host.nics {
            Reading::Failed(why) => Gauged::Missing(Missing::Read(*why)),
            Reading::Value(_) | Reading::Unsupported => Gauged::Unsupported,
        };
        put_all(&mut sheet, Component::Port(0, 1), &none, &[]);
    }
    Done::Measured(sheet.into_list())
}

fn put_all(sheet: &mut Sheet<'_>, component: Component, gauged: &Gauged, but: &[&str]) {
    for spec in MEASUREMENTS.iter().filter(|spec| spec.of == PORT && !but.contains(&spec.name)) {
        sheet.put(spec.name, component, gauged.clone());
    }
}

fn put_link(sheet: &mut Sheet<'_>, params: &Params, seat: &Seat<'_>, all: &[Seat<'_>]) {
    let (at, port) = (seat.component, seat.port);
    sheet.put("link", at, Gauged::Text(format!("{}: {port}", seat.name())));
    let alike: Vec<&Seat<'_>> = all.iter().filter(|other| other.is_like(seat)).collect();
    let linked: Vec<&&Seat<'_>> = alike.iter().filter(|other| other.is_up()).collect();
    let expected = linked.len() * 2 > alike.len();
    let up = match port.is_up() {
        // What cannot be read may be up or down, whatever its like are.
        Reading::Failed(why) => Gauged::Missing(Missing::Read(why)),
        up if expected => Gauged::flag_of(up),
        _ => Gauged::Unsupported,
    };
    sheet.put("up", at, up);
    sheet.put("rate", at, Gauged::number_of(&port.rate_mb_per_s));
    sheet.put("width", at, Gauged::number_of(&port.width));
    let usual = |of: &dyn Fn(&Port) -> Reading<u32>, upper: bool| {
        let mut values: Vec<u32> = linked.iter().filter_map(|other| of(other.port).get()).collect();
        values.sort_unstable();
        let middle = values.get(if upper { values.len() / 2 } else { values.len().saturating_sub(1) / 2 }).copied();
        match (of(port), middle) {
            (Reading::Failed(why), _) => Gauged::Missing(Missing::Read(why)),
            (Reading::Value(own), Some(middle)) if seat.is_up() => Gauged::Flag(own >= middle),
            _ => Gauged::Unsupported,
        }
    };
    // The lower of two middles: where as many are slow as fast, as of two networks, neither is what most have. No network has
    // links with less lanes: of two ports the narrower one has lost some.
    sheet.put("rate.usual", at, usual(&|port| port.rate_mb_per_s, false));
    sheet.put("width.usual", at, usual(&|port| port.width.map(u32::from), true));
    let asked = match params.number("rate") {
        None => Gauged::Unsupported,
        Some(asked) => match Gauged::of(&port.rate_mb_per_s, |rate| Gauged::Flag(f64::from(*rate) >= asked)) {
            // It is asked for, and a port that is up has one.
            Gauged::Unsupported if seat.is_up() => Gauged::Missing(Missing::NotTold { param: "rate".to_owned() }),
            told => told,
        },
    };
    sheet.put("rate.as-asked", at, asked);
}

/// Whether what the port had when the run began it still has.
fn kept(was: Option<&Port>, now: &Port) -> Gauged {
    let Some(was) = was else { return Gauged::Unsupported };
    match (was.is_up(), now.is_up()) {
        (Reading::Value(true), Reading::Value(up)) => {
            let less =
                |was: Reading<u32>, now: Reading<u32>| was.get().zip(now.get()).is_some_and(|(was, now)| now < was);
            let narrower = less(was.width.map(u32::from), now.width.map(u32::from));
            Gauged::Flag(up && !narrower && !less(was.rate_mb_per_s, now.rate_mb_per_s))
        }
        (Reading::Value(true), Reading::Failed(why)) => Gauged::Missing(Missing::Read(why)),
        (Reading::Value(true), Reading::Unsupported) => Gauged::Missing(Missing::NoLongerOffered),
        _ => Gauged::Unsupported,
    }
}

fn put_errors(sheet: &mut Sheet<'_>, context: &StepContext<'_>, seat: &Seat<'_>, was: Option<&Port>) {
    let grown = |counter: PortCounter| match was {
        Some(was) => growth(counter, was.counter(counter), seat.port.counter(counter)),
        None => Gauged::Missing(Missing::CounterReadAtOneEnd),
    };
    // The share of what is allowed that so many errors are.
    let share_of = |errors: f64, rate: u32| {
        let hours = (context.began.since(Moment::ZERO).as_secs_f64() / 3600.0).max(LEAST_HOURS);
        100.0 * errors / (f64::from(rate) * 8e6 * 3600.0 * hours * BIT_ERRORS)
    };
    let symbols = match (grown(PortCounter::SymbolErrors), was, seat.port.rate_mb_per_s) {
        // So many there were at the least: proof where that is more than is allowed, and not to be judged where it is not.
        (Gauged::Missing(Missing::CounterFull { at }), Some(was), Reading::Value(rate)) => {
            let least = was.counter(PortCounter::SymbolErrors).get().map(|was| (at - was) as f64);
            let proven = least.filter(|least| share_of(*least, rate) > 100.0);
            proven.map_or(Gauged::Missing(Missing::CounterFull { at }), Gauged::once)
        }
        (symbols, ..) => symbols,
    };
    let downs = most(grown(PortCounter::LinkDowned), grown(PortCounter::CarrierDown));
    let share = match (symbols.number(), seat.port.rate_mb_per_s) {
        (Some(errors), Reading::Value(rate)) => Gauged::once(share_of(errors, rate)),
        // Without a link there is no rate to hold them against.
        (Some(_), _) => Gauged::Unsupported,
        (None, _) => symbols.clone(),
    };
    for (name, gauged) in [
        ("downs", downs),
        ("recoveries", grown(PortCounter::Recoveries)),
        ("symbol.errors", symbols),
        ("symbol.errors.of-cable", share.clone().scaled(BIT_ERRORS / CABLE_BIT_ERRORS)),
        ("symbol.errors.share", share),
        ("receive.errors", grown(PortCounter::ReceiveErrors)),
        ("integrity.errors", grown(PortCounter::IntegrityErrors)),
        ("overruns", grown(PortCounter::BufferOverruns)),
        ("checksum.errors", grown(PortCounter::ChecksumErrors)),
        ("out-of-sequence", grown(PortCounter::OutOfSequence)),
    ] {
        sheet.put(name, seat.component, gauged);
    }
}

/// What a counter has grown by. One that stands at its highest value may have missed any number: that it grew at all is proof
/// where none may be, but says nothing where some may.
fn growth(counter: PortCounter, was: Reading<u64>, now: Reading<u64>) -> Gauged {
    match (counter.full(), was, now) {
        (Some(full), Reading::Value(was), Reading::Value(now))
            if now == full && (was == full || counter == PortCounter::SymbolErrors) =>
        {
            Gauged::Missing(Missing::CounterFull { at: full })
        }
        (_, was, now) => between(&was, &now),
    }
}

/// The greater of two counts of the same thing, of which a port may have either.
fn most(one: Gauged, two: Gauged) -> Gauged {
    match (one.number(), two.number()) {
        (Some(first), Some(second)) => {
            if first >= second {
                one
            } else {
                two
            }
        }
        (None, Some(_)) if one == Gauged::Unsupported => two,
        // None on one of them, and the other cannot be read: there may have been some.
        (Some(none), None) if none == 0.0 && matches!(two, Gauged::Missing(_)) => two,
        _ => one,
    }
}

#[cfg(test)]
#[path = "fabric_ports_tests.rs"]
mod tests;
