//! What surrounds the GPUs: inlet, fans, branches of air or coolant, power supplies.
//!
//! A branch is shared: whatever slows its flow heats all GPUs on it.

#![expect(
    clippy::cast_possible_truncation,
    reason = "the model computes in floats, and its counters, words and addresses are whole numbers within their range"
)]

use std::collections::BTreeMap;

use super::build::Build;
use super::file::{FanSection, Medium, NodeFile};
use super::noise::Noise;
use super::parameter::{SiteParameter as S, SiteValues};
use kiln_model::{Component, Reading};

/// Time constant of the fans' controller, s: baseboards ramp fans over tens of seconds to spare ears and bearings.
const FAN_LAG: f64 = 15.0;
/// The inlet wanders with the room's air handlers and with the day, s.
const DRIFT_FAST: f64 = 17.0 * 60.0;
const DRIFT_SLOW: f64 = 3.0 * 3600.0;
/// Air that a still fan lets through against its neighbours' pressure, as a share.
const STILL_FAN: f64 = 0.1;

/// A fan zone or coolant branch.
#[derive(Debug, Clone, Default)]
struct Branch {
    /// Share of the nominal flow.
    flow: f64,
    supply_shift: f64,
    /// Warming of the flow over the whole branch, K.
    rise: f64,
    watts: f64,
}

#[derive(Debug, Clone)]
pub(super) struct Site {
    pub(super) values: BTreeMap<Component, SiteValues>,
    branches: Vec<Branch>,
    /// Branch and place on it of every slot.
    slots: Vec<(usize, f64)>,
    stream: f64,
    lag: f64,
    drift: f64,
    inlet_sensor: bool,
    fans: Option<FanSection>,
    /// Share of full speed asked for now.
    fan: f64,
    phases: [f64; 2],
    pub(super) inlet: f64,
    warming: f64,
    base_power: f64,
    supply: f64,
    /// Watts the node took in the last step.
    total: f64,
    decay: (f64, f64, f64),
    station: Station,
}

/// The station's parameters in force, copied out of the map because every step needs them.
#[derive(Debug, Clone, Copy, Default)]
struct Station {
    inlet: f64,
    rise: f64,
    recirculation: f64,
}

impl Site {
    pub(super) fn new(file: &NodeFile, build: &Build, seed: u64) -> Self {
        // The stream after those of the parts: weather.
        let mut noise = Noise::new(seed, 50);
        let fans = file.cooling.fans.clone().filter(|_| file.cooling.medium == Medium::Air);
        let mut site = Self {
            values: build.site.clone(),
            branches: vec![Branch { flow: 1.0, ..Branch::default() }; usize::from(file.cooling.branches)],
            slots: file.slots.iter().map(|slot| (usize::from(slot.branch), slot.place)).collect(),
            stream: file.cooling.stream,
            lag: file.cooling.lag,
            drift: file.cooling.inlet_drift,
            inlet_sensor: file.cooling.inlet_sensor,
            fan: fans.as_ref().map_or(1.0, |fans| fans.least),
            fans,
            phases: [noise.uniform(), noise.uniform()],
            inlet: file.cooling.inlet,
            warming: 0.0,
            base_power: file.host.base_power,
            supply: 0.0,
            total: 0.0,
            decay: (0.0, 0.0, 0.0),
            station: Station::default(),
        };
        site.refit();
        site.weather(0.0, 0.0);
        site
    }

    /// Takes over changed parameters.
    pub(super) fn refit(&mut self) {
        let value = |component: Component, parameter: S| self.values.get(&component).map_or(0.0, |v| v[parameter]);
        self.station = Station {
            inlet: value(Component::Station, S::Inlet),
            rise: value(Component::Station, S::InletRise),
            recirculation: value(Component::Station, S::Recirculation),
        };
        self.supply = (0..=u8::MAX)
            .map_while(|psu| self.values.get(&Component::Psu(psu)))
            .map(|psu| psu[S::Capacity] * psu[S::SupplyState])
            .sum::<f64>()
            * value(Component::Node, S::SharedCapacity);
        let flows: Vec<(f64, f64)> = (0..self.branches.len() as u8)
            .map(|branch| {
                let own = Component::CoolingBranch(branch);
                (value(own, S::Flow) * self.fans_of(branch), value(own, S::SupplyShift))
            })
            .collect();
        for (branch, (flow, shift)) in self.branches.iter_mut().zip(flows) {
            branch.flow = flow;
            branch.supply_shift = shift;
        }
    }

    /// Share of its air the fans of a zone move. Air of a still or reversed fan's place comes back through it.
    fn fans_of(&self, branch: u8) -> f64 {
        let Some(fans) = &self.fans else { return 1.0 };
        let count = fans.per_branch.max(1);
        let moved: f64 = (branch * count..(branch + 1) * count)
            .map(|fan| self.values.get(&Component::Fan(fan)).map_or(1.0, |v| v[S::FanSpeed]))
            .map(|speed| if speed < STILL_FAN { speed.min(0.0) - STILL_FAN } else { speed })
            .sum();
        (moved / f64::from(count)).max(0.05)
    }

    /// Air or coolant as it reaches a slot.
    pub(super) fn around(&self, slot: usize) -> f64 {
        let (branch, place) = self.slots[slot];
        let branch = &self.branches[branch];
        self.inlet + branch.supply_shift + place * branch.rise
    }

    /// Share of the nominal flow past a slot's plate.
    pub(super) fn flow(&self, slot: usize) -> f64 {
        self.branches[self.slots[slot].0].flow * self.fan
    }

    pub(super) const fn inlet_reading(&self) -> Reading<f64> {
        if self.inlet_sensor { Reading::Value(self.inlet) } else { Reading::Unsupported }
    }

    /// Speed of the fastest fan of a slot's zone, percent.
    pub(super) fn fan_reading(&self, slot: usize) -> Reading<f64> {
        let Some(fans) = self.fans.as_ref().filter(|fans| fans.sensor) else { return Reading::Unsupported };
        let branch = self.slots[slot].0 as u8;
        let fastest = (branch * fans.per_branch..(branch + 1) * fans.per_branch)
            .filter_map(|fan| self.values.get(&Component::Fan(fan)))
            .map(|fan| fan[S::FanSpeed].abs())
            .fold(0.0, f64::max);
        Reading::Value((100.0 * self.fan * fastest).round())
    }

    /// Begins a step: what the last one gave off is forgotten.
    pub(super) fn begin(&mut self, at: f64, dt: f64) {
        for branch in &mut self.branches {
            branch.watts = 0.0;
        }
        self.weather(at, dt);
    }

    pub(super) fn heat(&mut self, slot: usize, watts: f64) {
        self.branches[self.slots[slot].0].watts += watts;
    }

    /// Ends a step: branches and fans follow. `hottest` is the hottest die.
    pub(super) fn end(&mut self, hottest: f64, dt: f64) {
        if dt != self.decay.0 {
            self.decay = (dt, libm::exp(-dt / self.lag), libm::exp(-dt / FAN_LAG));
        }
        let (_, lag, fan_lag) = self.decay;
        let fan = self.fan;
        let mut total = self.base_power;
        for branch in &mut self.branches {
            total += branch.watts;
            let steady = branch.watts * self.stream / (branch.flow * fan).max(0.02);
            branch.rise = steady + (branch.rise - steady) * lag;
        }
        self.total = total;
        if let Some(fans) = &self.fans {
            let share = ((hottest - fans.from) / (fans.full - fans.from)).clamp(0.0, 1.0);
            let target = fans.least + (1.0 - fans.least) * share;
            self.fan = target + (self.fan - target) * fan_lag;
        }
    }

    /// Whether the supplies cannot give what is drawn.
    pub(super) fn overdrawn(&self) -> bool {
        self.supply > 0.0 && self.total > self.supply
    }

    fn weather(&mut self, at: f64, dt: f64) {
        let station = self.station;
        self.warming += station.rise * dt / 3600.0;
        let wave = |period: f64, phase: f64| libm::sin(std::f64::consts::TAU * (at / period + phase));
        let drift = 0.65 * wave(DRIFT_SLOW, self.phases[0]) + 0.35 * wave(DRIFT_FAST, self.phases[1]);
        // What the room gives back of the node's heat comes with the room's own delay, minutes: the last step's power
        // stands in for it, as power changes far more slowly than the room over a soak.
        let back = station.recirculation * self.total / 1000.0;
        self.inlet = station.inlet + self.warming + self.drift * drift + back;
    }

    /// Lets the inlet and the branches settle at once with `watts` on each slot.
    pub(super) fn rest(&mut self, watts: &[(usize, f64)], at: f64) {
        self.total = self.base_power + watts.iter().map(|(_, watts)| watts).sum::<f64>();
        self.weather(at, 0.0);
        for branch in &mut self.branches {
            branch.watts = 0.0;
        }
        for (slot, watts) in watts {
            self.heat(*slot, *watts);
        }
        let fan = self.fan;
        for branch in &mut self.branches {
            branch.rise = branch.watts * self.stream / (branch.flow * fan).max(0.02);
        }
    }
}
