//! The ports of a simulated node's network: whether they have a link, and what they have counted.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the model computes in floats, and its counters, words and addresses are whole numbers within their range"
)]

use std::collections::BTreeMap;

use super::file::PortSection;
use super::noise::{Hazard, Noise};
use super::parameter::{SiteParameter as S, SiteValues};
use kiln_model::{Component, LinkLayer, Port, PortCounter, PortState, Reading, WireState};

/// Streams of the seed, one for each port.
const PORT_STREAM: u64 = 7000;
/// How long a link that went down takes to come back, ns: InfiniBand trains and is set up by its subnet manager in seconds.
const AWAY: u64 = 4_000_000_000;

#[derive(Debug, Clone)]
struct SimPort {
    up: bool,
    away_until: u64,
    downs: u64,
    symbols: u64,
    received: u64,
    /// Errors for each hour with a link.
    symbol_rate: f64,
    receive_rate: f64,
    symbol_hazard: Hazard,
    receive_hazard: Hazard,
    noise: Noise,
}

/// One port for each NIC, by its number.
#[derive(Debug, Clone, Default)]
pub(super) struct Ports {
    each: Vec<SimPort>,
    now: u64,
    /// Whether any of them counts errors.
    loud: bool,
}

impl Ports {
    pub(super) fn new(count: u8, seed: u64) -> Self {
        let port = |nth: u8| {
            let mut noise = Noise::new(seed, PORT_STREAM + u64::from(nth));
            SimPort {
                up: true,
                away_until: 0,
                downs: 0,
                symbols: 0,
                received: 0,
                symbol_rate: 0.0,
                receive_rate: 0.0,
                symbol_hazard: Hazard::new(&mut noise),
                receive_hazard: Hazard::new(&mut noise),
                noise,
            }
        };
        Self { each: (0..count).map(port).collect(), now: 0, loud: false }
    }

    /// Takes over changed parameters. A link that is lost counts, unless it never was there.
    pub(super) fn refit(&mut self, values: &BTreeMap<Component, SiteValues>, now: u64) {
        for (nth, port) in (0..).zip(&mut self.each) {
            let Some(values) = values.get(&Component::Nic(nth)) else { continue };
            let up = values[S::PortUp] > 0.5;
            port.downs += u64::from(port.up && !up && now > 0);
            port.up = up;
            port.symbol_rate = values[S::PortSymbolRate];
            port.receive_rate = values[S::PortReceiveRate];
        }
        self.loud = self.each.iter().any(|port| port.symbol_rate + port.receive_rate > 0.0);
    }

    pub(super) fn step(&mut self, now: u64, dt: f64) {
        self.now = now;
        if !self.loud {
            return;
        }
        let hours = dt / 3600.0;
        for port in self.each.iter_mut().filter(|port| port.up && port.away_until <= now) {
            port.symbols += port.symbol_hazard.pass(port.symbol_rate * hours, &mut port.noise);
            port.received += port.receive_hazard.pass(port.receive_rate * hours, &mut port.noise);
        }
    }

    /// The link goes down and comes back, so many times.
    pub(super) fn flap(&mut self, nic: u8, times: u64, now: u64) {
        if let Some(port) = self.each.get_mut(usize::from(nic)).filter(|port| port.up) {
            port.downs += times;
            port.away_until = now + AWAY;
        }
    }

    fn has_link(&self, nic: u8) -> bool {
        self.each.get(usize::from(nic)).is_some_and(|port| port.up && port.away_until <= self.now)
    }

    pub(super) fn speed(&self, nic: u8, values: &SiteValues) -> Reading<u32> {
        if self.has_link(nic) { Reading::Value(values[S::NicSpeed].round() as u32) } else { Reading::Unsupported }
    }

    /// A NIC's port as the kernel would show it.
    pub(super) fn shown(&self, nic: u8, values: &SiteValues, section: Option<&PortSection>) -> Vec<Port> {
        let (Some(section), Some(port)) = (section, self.each.get(usize::from(nic))) else { return Vec::new() };
        let link = self.has_link(nic);
        // Of Ethernet ports the carrier of their interface counts, and the device's own counter stays where it is.
        let ethernet = section.layer == LinkLayer::Ethernet;
        let carrier = ethernet.then_some((PortCounter::CarrierDown, port.downs));
        let counters = [
            (PortCounter::SymbolErrors, port.symbols),
            (PortCounter::Recoveries, 0),
            (PortCounter::LinkDowned, if ethernet { 0 } else { port.downs }),
            (PortCounter::ReceiveErrors, port.received),
            (PortCounter::IntegrityErrors, 0),
            (PortCounter::BufferOverruns, 0),
        ];
        let counted = |(counter, count): (PortCounter, u64)| {
            (counter, Reading::Value(counter.full().map_or(count, |full| count.min(full))))
        };
        vec![Port {
            number: 1,
            layer: Reading::Value(section.layer),
            state: Reading::Value(if link { PortState::Active } else { PortState::Down }),
            wire: Reading::Value(if link { WireState::LinkUp } else { WireState::Polling }),
            rate_mb_per_s: self.speed(nic, values),
            width: if link { Reading::Value(values[S::PortWidth].round() as u8) } else { Reading::Unsupported },
            counters: counters.into_iter().chain(carrier).map(counted).collect(),
        }]
    }
}
