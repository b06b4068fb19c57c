//! One GPU over time: power and clocks under its governor, heat, and the counters that grow with them.
//!
//! Its readings are made in `sensor`, memory and link errors in `errors`; its work comes from `load`.

use super::build::{GpuPart, Kind};
use super::errors::Errors;
use super::noise::Noise;
use super::parameter::{GpuParameter as G, GpuValues, LinkValues};
use super::sensor::{Frozen, Trailing};
use super::thermal::{Ladder, Network, Temperatures};
use kiln_model::{ClockReasons, GpuIndex};

/// Work on a GPU, summed over its loads.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Activity {
    /// Whether anything runs at all.
    pub(super) busy: bool,
    /// Share of the die that switches while work is on.
    pub(super) compute: f64,
    /// Share of the memory bandwidth in use.
    pub(super) memory: f64,
    /// GB/s over PCIe or chip-to-chip links, both directions together.
    pub(super) host: f64,
    /// GB/s out over NVLink.
    pub(super) nvlink: f64,
    /// Share of the time in which work is on, and how often it is switched.
    pub(super) duty: f64,
    pub(super) hertz: f64,
    /// Share of the multiprocessors' time that goes into products whose results are checked; 1 under a burn.
    pub(super) arithmetic: f64,
    /// Tiles checked per second and MHz.
    pub(super) tiles: f64,
    /// The SM clock that a load holds, in MHz.
    pub(super) held_clock: Option<f64>,
}

/// Share of the die that switches for a context with nothing to do: clocks are up, schedulers poll.
const CONTEXT_ACTIVITY: f64 = 0.03;
/// Time constant of the driver's averaged power reading, in seconds. The driver calls it a one-second average.
const POWER_AVERAGING: f64 = 0.4;
/// The governor aims a little below the cap (Hopper captures of burns: 698 of 700 W).
const CAP_AIM: f64 = 0.997;
/// Hardware slowdown and the power brake halve the clock (NVML: "clocks reduced by a factor of 2 or more").
const SLOWDOWN_FACTOR: f64 = 0.5;
/// The two reasons that the driver shows for overheating: the cause and the resulting slowdown.
const OVERHEATED: u64 = ClockReasons::HW_THERMAL | ClockReasons::HW_SLOWDOWN;
const BRAKED: u64 = ClockReasons::HW_POWER_BRAKE | ClockReasons::HW_SLOWDOWN;
/// Gain of the software thermal slowdown, MHz per K and s: slow enough not to swing with the die's time constant.
const THERMAL_GAIN: f64 = 4.0;
/// Hysteresis of the hardware slowdown, K.
const SLOWDOWN_HYSTERESIS: f64 = 4.0;
/// Pulses faster than this are averaged over a step, slower ones are followed.
const FOLLOWED_HERTZ: f64 = 0.5;

/// Seconds below the requested clock, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Throttled {
    pub(super) power_cap: f64,
    pub(super) sw_thermal: f64,
    pub(super) hw_thermal: f64,
    pub(super) brake: f64,
}

#[derive(Debug, Clone)]
pub(super) struct Gpu {
    /// The index that the driver gives it.
    pub(super) index: GpuIndex,
    pub(super) part: GpuPart,
    /// Parameters with the currently active faults applied.
    pub(super) values: GpuValues,
    pub(super) links: Vec<LinkValues>,
    pub(super) activity: Activity,
    pub(super) temperatures: Temperatures,
    ladder: Ladder,
    /// Share of nominal flow past the plate that `ladder` was made for.
    flow: f64,
    /// Growth of the contact resistance so far, and the growth that `ladder` was made for.
    grown: f64,
    grown_in_ladder: f64,
    /// MHz.
    pub(super) clock: f64,
    thermal_clock: f64,
    /// Bits of [`ClockReasons`] that hold the clock down in this step.
    pub(super) held: u64,
    /// Whether the hardware slowdown is on.
    overheated: bool,
    pub(super) power: f64,
    pub(super) power_average: f64,
    /// Power while work is on and while it is off, for a reading inside a pulse.
    pub(super) power_on_off: [f64; 2],
    /// Leakage at nominal voltage in this step, W.
    leak: f64,
    /// Share of the last step in which work was on: 0 or 1 in a pulse that is slow enough to be followed.
    pub(super) on: f64,
    /// Joules since the driver was loaded, as the counter has counted them.
    pub(super) energy: f64,
    pub(super) throttled: Throttled,
    pub(super) errors: Errors,
    pub(super) noise: Noise,
    pub(super) frozen: Frozen,
    pub(super) trailing: Trailing,
    pub(super) lost: bool,
    /// The SM clock that somebody has locked it to from outside, in MHz.
    pub(super) locked_clock: Option<f64>,
    /// Seconds of simulated time, and until when the PCIe link stays up after traffic.
    pub(super) clock_time: f64,
    pub(super) pcie_up_until: f64,
    pub(super) pcie_down_until: f64,
    /// The generation that the link has settled at, apart from faults that make it train again.
    pcie_settled: f64,
    decay: (f64, f64),
}

/// Where the random streams for the behaviour of GPUs begin; their properties have other streams.
const GPU_STREAM: u64 = 1000;

impl Gpu {
    /// Returns the bandwidth of a streaming kernel in GB/s. It is proportional to the memory clock.
    pub(super) fn memory_bandwidth(&self) -> f64 {
        let clocked = self.values[G::MemoryClock] / self.part.values[G::MemoryClock];
        // Addresses interleave over all stacks, so that the slowest sets the pace.
        self.values[G::MemoryBandwidth] * clocked * self.values[G::StackSpeed]
    }

    pub(super) fn new(part: GpuPart, index: GpuIndex, kind: &Kind, seed: u64, around: f64) -> Self {
        let mut noise = Noise::new(seed, GPU_STREAM + part.slot as u64);
        let values = part.values;
        let ladder = Ladder::new(network(&values, kind, 1.0, 0.0));
        let errors = Errors::new(&part, &mut noise);
        let idle = values[G::IdlePower];
        let energy = idle * 3600.0 * part.hours;
        let mut gpu = Self {
            index,
            values,
            links: part.links.clone(),
            part,
            activity: Activity::default(),
            temperatures: [around; 3],
            ladder,
            flow: 1.0,
            grown: 0.0,
            grown_in_ladder: 0.0,
            clock: kind.idle_clock,
            thermal_clock: f64::INFINITY,
            held: 0,
            overheated: false,
            power: idle,
            power_average: idle,
            power_on_off: [idle; 2],
            leak: 0.0,
            on: 1.0,
            energy,
            throttled: Throttled::default(),
            errors,
            noise,
            frozen: Frozen::default(),
            trailing: Trailing::default(),
            lost: false,
            locked_clock: None,
            clock_time: 0.0,
            pcie_up_until: 0.0,
            pcie_down_until: 0.0,
            pcie_settled: values[G::PcieGeneration].round().min(kind.pcie_idle_generation),
            decay: (0.0, 0.0),
        };
        gpu.errors.relink(&gpu.links);
        gpu
    }

    /// Applies changed parameters.
    pub(super) fn refit(&mut self, kind: &Kind) {
        self.ladder.refit(network(&self.values, kind, self.flow, self.grown));
        self.errors.relink(&self.links);
    }

    /// Sets the temperatures that this GPU would settle at, so that the simulation starts in balance.
    pub(super) fn rest(&mut self, kind: &Kind, around: f64) {
        for _ in 0..8 {
            self.leak = self.leakage(kind);
            let watts = self.watts(kind, kind.idle_clock, 0.0, 0.0);
            self.temperatures = self.ladder.settled(watts.heat(), around);
            self.power = watts.board();
        }
        self.power_average = self.power;
        self.power_on_off = [self.power; 2];
    }

    /// Sets the flow of air or coolant as a share of its nominal rate. Small changes are ignored: they are not worth a new ladder.
    pub(super) fn set_flow(&mut self, kind: &Kind, flow: f64) {
        if (flow - self.flow).abs() > 0.01 * self.flow {
            self.flow = flow;
            self.ladder.refit(network(&self.values, kind, flow, self.grown));
        }
    }

    /// Advances by `dt` seconds with air or coolant of `around` degrees, and returns the mean board power of the step.
    pub(super) fn step(&mut self, kind: &Kind, around: f64, dt: f64, at: f64) -> f64 {
        self.clock_time = at + dt;
        if self.lost {
            // Off the bus: the GPU is held in reset and is only warmed by the board around it.
            self.temperatures = self.ladder.advance(self.temperatures, [0.0, 0.0, 20.0], around, dt);
            return 20.0;
        }
        self.leak = self.leakage(kind);
        let activity = self.activity;
        let on = Self::share_on(&activity, at + 0.5 * dt);
        self.on = on;
        let memory = activity.memory;
        let traffic = memory * self.memory_bandwidth() * kind.memory_watts;
        let heat = if activity.busy {
            let compute = activity.compute.max(CONTEXT_ACTIVITY);
            let running = self.govern(kind, compute, traffic, dt);
            if on < 1.0 {
                let resting = self.watts(kind, kind.max_clock.min(self.values[G::ClockCeiling]), CONTEXT_ACTIVITY, 0.0);
                self.power_on_off = [running.board(), resting.board()];
                running.mixed(on, &resting)
            } else {
                self.power_on_off = [running.board(); 2];
                running
            }
        } else {
            self.govern_idle(kind, dt)
        };
        self.settle(kind, &heat, around, dt);
        self.account(on, dt);
        let tiles = activity.tiles * self.clock * self.values[G::Efficiency];
        self.errors.step(&self.values, &self.activity, (self.temperatures[1], tiles), on, dt, &mut self.noise);
        if activity.busy {
            // Work wakes the link; it rests some seconds after, not at once.
            self.pcie_up_until = self.clock_time + 5.0;
        }
        self.count_recovery(kind);
        if self.temperatures[0] >= self.values[G::SlowdownTemperature] + kind.shutdown_over {
            self.errors.overheated = true;
        }
        self.power
    }

    /// Counts a pass through the Recovery state, which every change of the link speed makes.
    fn count_recovery(&mut self, kind: &Kind) {
        let trained = self.values[G::PcieGeneration].round();
        let settled =
            if self.clock_time < self.pcie_up_until { trained } else { trained.min(kind.pcie_idle_generation) };
        if settled != self.pcie_settled {
            self.pcie_settled = settled;
            self.errors.retrains += 1;
        }
    }

    fn share_on(activity: &Activity, at: f64) -> f64 {
        if activity.duty >= 1.0 || activity.hertz <= 0.0 {
            1.0
        } else if activity.hertz >= FOLLOWED_HERTZ {
            activity.duty
        } else {
            f64::from((at * activity.hertz).fract() < activity.duty)
        }
    }

    /// Integrates heat, average power and energy over a step.
    fn settle(&mut self, kind: &Kind, watts: &Watts, around: f64, dt: f64) {
        self.power = watts.board();
        if dt != self.decay.0 {
            self.decay = (dt, libm::exp(-dt / POWER_AVERAGING));
        }
        self.power_average = self.power + (self.power_average - self.power) * self.decay.1;
        self.energy += self.power * self.values[G::EnergyScale] * dt;
        self.temperatures = self.ladder.advance(self.temperatures, watts.heat(), around, dt);
        let growth = self.values[G::ContactGrowth];
        if growth > 0.0 && self.temperatures[0] > 50.0 {
            self.grown += growth * dt / 3600.0;
            if self.grown - self.grown_in_ladder > 0.005 * (1.0 + self.grown) {
                self.grown_in_ladder = self.grown;
                self.ladder.refit(network(&self.values, kind, self.flow, self.grown));
            }
        }
    }

    /// Counts the time below the requested clock.
    fn account(&mut self, on: f64, dt: f64) {
        let held = ClockReasons(self.held);
        let throttled = &mut self.throttled;
        if held.has(ClockReasons::SW_POWER_CAP) {
            throttled.power_cap += on * dt;
        }
        if held.has(ClockReasons::SW_THERMAL) {
            throttled.sw_thermal += dt;
        }
        if held.has(ClockReasons::HW_THERMAL) {
            throttled.hw_thermal += dt;
        }
        if held.has(ClockReasons::HW_POWER_BRAKE) {
            throttled.brake += dt;
        }
    }

    fn govern_idle(&mut self, kind: &Kind, dt: f64) -> Watts {
        self.hold_heat(kind, kind.max_clock, dt);
        let brake = self.values[G::Brake] > 0.5;
        self.held = if self.overheated { OVERHEATED } else { 0 } | if brake { BRAKED } else { 0 };
        // A lock sets the least clock as well as the greatest (`nvidia-smi --lock-gpu-clocks`): it holds without work too.
        self.clock = self.locked_clock.unwrap_or(kind.idle_clock).min(self.values[G::ClockCeiling]);
        let watts = self.watts(kind, self.clock, 0.0, 0.0);
        self.power_on_off = [watts.board(); 2];
        watts
    }

    /// Chooses the clock of this step, the highest that application clock, heat, brake and power cap allow, and returns its power.
    fn govern(&mut self, kind: &Kind, compute: f64, traffic: f64, dt: f64) -> Watts {
        let values = &self.values;
        let application = values[G::ApplicationClock];
        let ceiling = kind.max_clock.min(values[G::ClockCeiling]);
        let mut held = if application < kind.max_clock { ClockReasons::APPLICATION_CLOCKS } else { 0 };
        let locked = self.activity.held_clock.or(self.locked_clock).unwrap_or(f64::INFINITY);
        let mut clock = ceiling.min(application).min(locked);
        let cap = values[G::PowerLimit].clamp(kind.power_min, kind.power_max) * CAP_AIM;
        if self.watts(kind, clock, compute, traffic).board() > cap {
            clock = self.clock_for(kind, cap, compute, traffic).clamp(kind.lowest_clock.min(clock), clock);
            held |= ClockReasons::SW_POWER_CAP;
        }
        let thermal = self.hold_heat(kind, clock, dt);
        if thermal < clock {
            clock = thermal;
            held |= ClockReasons::SW_THERMAL;
        }
        let brake_above = self.values[G::BrakeAbove] * kind.power_limit;
        if self.overheated {
            held |= OVERHEATED;
            clock *= SLOWDOWN_FACTOR;
        }
        if self.values[G::Brake] > 0.5 {
            held |= BRAKED;
            clock *= SLOWDOWN_FACTOR;
        } else if brake_above < kind.power_limit * 2.0 {
            let (slowed, braked) = self.brake(kind, clock, compute, traffic, brake_above);
            clock = slowed;
            held |= if braked { BRAKED } else { 0 };
        }
        clock = clock.max(kind.lowest_clock.min(ceiling));
        self.clock = clock;
        self.held = held;
        self.watts(kind, clock, compute, traffic)
    }

    /// Applies the power brake of a supply that is overloaded above `threshold`. The supply releases the brake as soon as power is
    /// down, so that over a step the brake is on for the share of time that keeps mean power at the threshold.
    fn brake(&self, kind: &Kind, clock: f64, compute: f64, traffic: f64, threshold: f64) -> (f64, bool) {
        if self.watts(kind, clock, compute, traffic).board() <= threshold {
            return (clock, false);
        }
        let slowed = clock * SLOWDOWN_FACTOR;
        let held = self.clock_for(kind, threshold, compute, traffic);
        (held.clamp(slowed, clock), true)
    }

    /// Advances the thermal clock limit and the hardware slowdown by `dt`, and returns the limit.
    fn hold_heat(&mut self, kind: &Kind, clock: f64, dt: f64) -> f64 {
        let slowdown = self.values[G::SlowdownTemperature];
        let over = self.temperatures[0] - (slowdown + kind.operating_over);
        if over > 0.0 && self.thermal_clock > clock {
            self.thermal_clock = clock;
        }
        if self.thermal_clock < f64::INFINITY {
            self.thermal_clock -= THERMAL_GAIN * over * dt;
            if self.thermal_clock > clock && over < -1.0 {
                self.thermal_clock = f64::INFINITY;
            }
            self.thermal_clock = self.thermal_clock.max(kind.lowest_clock);
        }
        let hard = slowdown + kind.slowdown_over;
        self.overheated = if self.overheated {
            self.temperatures[0] > hard - SLOWDOWN_HYSTERESIS
        } else {
            self.temperatures[0] >= hard
        };
        self.thermal_clock
    }

    /// Returns the present leakage at nominal voltage.
    fn leakage(&self, kind: &Kind) -> f64 {
        self.values[G::Leakage] * libm::exp((self.temperatures[0] - 60.0) / kind.leakage_growth)
    }

    fn watts(&self, kind: &Kind, clock: f64, compute: f64, traffic: f64) -> Watts {
        let volts = kind.volts(clock) * self.values[G::VoltageShift];
        let switched = kind.capacitance * self.values[G::DynamicPower] * compute;
        let relative = volts / kind.nominal_volts;
        let die = switched * clock * volts * volts + self.leak * relative * relative;
        let idle = self.values[G::IdlePower];
        Watts {
            die,
            memory: kind.idle_memory + traffic,
            rest: (idle - kind.idle_memory).max(0.0) + kind.regulator_loss * die,
        }
    }

    /// Finds the clock at which the board draws `cap`, by Newton's method from the previous clock, which is close.
    fn clock_for(&self, kind: &Kind, cap: f64, compute: f64, traffic: f64) -> f64 {
        let shift = self.values[G::VoltageShift];
        let loss = 1.0 + kind.regulator_loss;
        let switched = loss * kind.capacitance * self.values[G::DynamicPower] * compute;
        let leak = loss * self.leak / (kind.nominal_volts * kind.nominal_volts);
        let fixed = self.values[G::IdlePower].max(kind.idle_memory) + traffic;
        let mut clock = self.clock.clamp(kind.knee * 0.5, kind.max_clock);
        for _ in 0..4 {
            let volts = kind.volts(clock) * shift;
            let slope = if clock > kind.knee { kind.volts_slope * shift } else { 0.0 };
            let power = fixed + (switched * clock + leak) * volts * volts;
            let rise = switched * volts * volts + 2.0 * (switched * clock + leak) * volts * slope;
            let next = clock - (power - cap) / rise;
            if (next - clock).abs() < 0.01 {
                return next;
            }
            clock = next.clamp(0.0, 2.0 * kind.max_clock);
        }
        clock
    }

    /// Whether a governor looks for the clock that power or heat leaves.
    pub(super) const fn hunts(&self) -> bool {
        self.held & (ClockReasons::SW_POWER_CAP | ClockReasons::SW_THERMAL) != 0
    }

    /// Returns the bits of [`ClockReasons`] that apply.
    pub(super) fn reasons(&self) -> u64 {
        self.held | if self.activity.busy { 0 } else { ClockReasons::IDLE }
    }
}

fn network(values: &GpuValues, kind: &Kind, flow: f64, grown: f64) -> Network {
    Network {
        contact: values[G::Contact] * (1.0 + grown),
        contact_memory: values[G::ContactMemory],
        bridge: kind.bridge,
        sink: values[G::Sink] * libm::pow(flow.max(0.02), -kind.flow_exponent),
        capacity: kind.capacity,
    }
}

/// Where the board's power goes.
#[derive(Debug, Clone, Copy)]
struct Watts {
    die: f64,
    memory: f64,
    /// Regulators and everything else on the board.
    rest: f64,
}

impl Watts {
    const fn board(&self) -> f64 {
        self.die + self.memory + self.rest
    }

    /// Returns the heat that flows into die, HBM and plate.
    const fn heat(&self) -> [f64; 3] {
        [self.die, self.memory, self.rest]
    }

    /// Averages `self`, for a share `on` of the time, with `off` for the rest.
    fn mixed(&self, on: f64, off: &Self) -> Self {
        let mix = |a: f64, b: f64| a * on + b * (1.0 - on);
        Self { die: mix(self.die, off.die), memory: mix(self.memory, off.memory), rest: mix(self.rest, off.rest) }
    }
}
