//! What one GPU's sensors showed over a step, and which rules of physics that breaks.
//!
//! Which rules there are is told by `sensor_plausibility`.

use std::collections::VecDeque;

use super::meters::Meters;
use super::sheet::Gauged;
use super::unrest::{Unrest, like};
use super::window::{Window, share_of};
use kiln_limit::Missing;
use kiln_model::{Moment, Sample, Sensor, Span};

/// Percent of utilisation from which a GPU is busy.
const BUSY: f64 = 90.0;
/// A load must have lasted this long for a sensor to have to follow it: heat sinks take a minute, dies and memories show
/// half of their rise within some ten seconds.
const LEAST_LOAD: Span = Span::from_secs(20);
/// W that power must have moved for temperature to have to follow.
const LEAST_SWING: f64 = 50.0;
/// K/W that the die must have moved for each watt at the least: a quarter of the best cooled parts (0.02 K/W in the steady
/// state, of which a minute of load shows more than half).
const LEAST_RISE: f64 = 0.005;
/// K of the die from which the memory beside it must have moved too.
const DIE_MOVED: f64 = 10.0;
/// One step of a whole-degree sensor is no colder die.
const DEGREE: f64 = 1.0;
/// An inlet that gets warmer is ahead of the dies at rest, whose heat sinks follow with a time constant of 2 to 5 minutes; two
/// of the longest bring 86 % of a change. Colder than the coldest inlet of that time no die can be.
const FOLLOWS_WITHIN: Span = Span::from_secs(600);
/// K/s that no die with its cold plate can reach: 700 W into the heat capacity of die and plate are 10 to 15 K/s.
const FASTEST: f64 = 25.0;
/// K by which a temperature may lie beside the middle of the readings before and after it, in the median: a whole-degree
/// sensor of a body with a time constant of ten seconds stays within one.
const NOISE: f64 = 2.0;
/// Percent of the same for the power of a steady load. The driver's reading is an average over a second or more, which
/// published measurements show to stay within some per cent (Yang et al., arXiv 2312.02741).
const POWER_NOISE: f64 = 10.0;
/// W under which a busy GPU draws nothing: a tenth of the least idle power of any known part.
const NOTHING: f64 = 3.0;
/// Percent by which power and energy may differ: both are within 5 % of the truth by the maker's word.
const DISAGREEMENT: f64 = 10.0;
/// Percent of samples that may break a rule that holds for each: a single torn reading is not a broken sensor.
const STRAY: f64 = 2.0;

/// What is followed of one GPU over the whole step.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) die: Window,
    memory: Window,
    power: Window,
    util: Window,
    inlet: Window,
    /// Inlets of the last minutes, oldest first.
    inlets: VecDeque<(Moment, f64)>,
    meters: Meters,
    below_inlet: Window,
    /// Of the busy readings alone.
    powerless: Window,
    last: Option<(Moment, f64)>,
    /// Greatest change in K/s; a single torn reading makes two.
    jumps: Vec<f64>,
    die_noise: Unrest,
    memory_noise: Unrest,
    power_noise: Unrest,
}

/// When a value breaks its rule.
#[derive(Debug, Clone, Copy)]
pub(super) enum Breaks {
    Never,
    /// A flag that is not set.
    Unless,
    Above(f64),
}

impl Trace {
    pub(super) fn new(every: Span) -> Self {
        let sampled = || Window::sampled(every);
        Self {
            die: sampled(),
            memory: sampled(),
            power: sampled(),
            util: sampled(),
            inlet: sampled(),
            inlets: VecDeque::new(),
            meters: Meters::new(every),
            below_inlet: sampled(),
            powerless: sampled(),
            last: None,
            jumps: Vec::new(),
            die_noise: Unrest::new(every),
            memory_noise: Unrest::new(every),
            power_noise: Unrest::new(every),
        }
    }

    pub(super) fn take(&mut self, sample: &Sample) {
        let at = sample.at;
        self.die.take(at, sample[Sensor::TempGpu]);
        self.memory.take(at, sample[Sensor::TempMemory]);
        self.power.take(at, sample[Sensor::Power]);
        self.util.take(at, sample[Sensor::UtilGpu]);
        self.inlet.take(at, sample[Sensor::TempInlet]);
        self.meters.take(at, sample[Sensor::Power], sample[Sensor::Energy]);
        self.die_noise.take(at, sample.get(Sensor::TempGpu));
        self.memory_noise.take(at, sample.get(Sensor::TempMemory));
        let busy = sample.get(Sensor::UtilGpu).is_some_and(|util| util >= BUSY);
        self.power_noise.take(at, sample.get(Sensor::Power).filter(|_| busy));
        if let Some(die) = sample.get(Sensor::TempGpu) {
            if let Some((before, was)) = self.last {
                // Faster sampling must not make a step of the sensor into a jump.
                self.jump((die - was).abs() / at.since(before).as_secs_f64().max(1.0));
            }
            self.last = Some((at, die));
            if let Some(inlet) = sample.get(Sensor::TempInlet) {
                self.inlets.push_back((at, inlet));
                while self.inlets.front().is_some_and(|(then, _)| at.since(*then) > FOLLOWS_WITHIN) {
                    self.inlets.pop_front();
                }
                let coldest = self.inlets.iter().map(|(_, inlet)| *inlet).fold(f64::INFINITY, f64::min);
                self.below_inlet.add(at, share_of(die < coldest - DEGREE));
            }
        }
        if sample.get(Sensor::UtilGpu).is_some_and(|util| util >= BUSY)
            && let Some(power) = sample.get(Sensor::Power)
        {
            self.powerless.add(at, share_of(power < NOTHING));
        }
    }

    /// Keeps the three greatest changes.
    fn jump(&mut self, kelvin_per_second: f64) {
        let place = self.jumps.partition_point(|one| *one > kelvin_per_second);
        self.jumps.insert(place, kelvin_per_second);
        self.jumps.truncate(3);
    }

    /// The values of one GPU over a step of this length, each with what breaks its rule.
    pub(super) fn values(&self, over: Span) -> Vec<(&'static str, Gauged, Breaks)> {
        let swing = |window: &Window| window.gauged(over, |window| Some(window.max()? - window.min()?));
        let (die, power, memory) = (swing(&self.die), swing(&self.power), swing(&self.memory));
        let util = swing(&self.util);
        let share = |window: &Window| Some(window.mean()? * 100.0);
        let below = match self.inlet.gauged(over, Window::mean) {
            Gauged::Number { .. } => self.below_inlet.gauged(over, share),
            other => other,
        };
        let absent = match self.power.gauged(over, Window::mean) {
            Gauged::Number { .. } if self.powerless.count() == 0 => Gauged::Missing(Missing::NeverBusy),
            Gauged::Number { .. } => self.powerless.gauged(Span::ZERO, share),
            other => other,
        };
        // A torn reading makes two jumps; a sensor that jumps makes more.
        let jump = self.die.gauged(over, |_| Some(self.jumps.get(2).copied().unwrap_or(0.0)));
        let (die_read, memory_read) = (self.die.gauged(over, Window::mean), self.memory.gauged(over, Window::mean));
        let power_noise = like(&self.power.gauged(over, Window::mean), self.power_noise.share());
        let die_moves = self.under_load(self.die_moves(&die, &power));
        let memory_moves = self.under_load(follows(&memory, &die, DIE_MOVED, DEGREE));
        let power_moves = self.under_load(follows(&power, &util, BUSY, LEAST_SWING));
        vec![
            ("temp.swing", die, Breaks::Never),
            ("power.swing", power, Breaks::Never),
            ("temp.memory.swing", memory, Breaks::Never),
            ("temp.moves", die_moves, Breaks::Unless),
            ("temp.memory.moves", memory_moves, Breaks::Unless),
            ("power.moves", power_moves, Breaks::Unless),
            ("temp.below-inlet", below, Breaks::Above(STRAY)),
            ("temp.jump", jump, Breaks::Above(FASTEST)),
            ("temp.noise", like(&die_read, self.die_noise.median()), Breaks::Above(NOISE)),
            ("temp.memory.noise", like(&memory_read, self.memory_noise.median()), Breaks::Above(NOISE)),
            ("power.noise", power_noise, Breaks::Above(POWER_NOISE)),
            ("power.absent", absent, Breaks::Above(STRAY)),
            ("power.disagreement", self.meters.disagreement(over), Breaks::Above(DISAGREEMENT)),
        ]
    }

    /// A sensor is held against a load only if the load lasted: one that died after seconds warms nothing.
    fn under_load(&self, moves: Gauged) -> Gauged {
        let busy = self.util.covered().mul_f64(1.0 - self.util.share_below(BUSY));
        if moves == Gauged::Flag(false) && self.util.count() > 0 && busy < LEAST_LOAD {
            return Gauged::Missing(Missing::BusyFor { busy });
        }
        moves
    }

    /// Whether the die warmed at least as much as the best cooled part must have.
    fn die_moves(&self, die: &Gauged, power: &Gauged) -> Gauged {
        match (die, power) {
            (Gauged::Number { value: kelvin, samples }, Gauged::Number { value: watts, .. }) => {
                // Where the power sensor itself does not move, utilisation says whether the load did.
                let busy = self.util.max().is_some_and(|util| util >= BUSY) && self.util.min() == Some(0.0);
                if *watts >= LEAST_SWING {
                    Gauged::Flag(*kelvin >= (LEAST_RISE * watts).max(DEGREE))
                } else if busy {
                    Gauged::Flag(*kelvin > DEGREE)
                } else {
                    Gauged::Missing(Missing::LoadUnchanged { samples: *samples })
                }
            }
            (Gauged::Number { .. }, other) | (other, _) => other.clone(),
        }
    }
}

/// Whether `value` moved by more than `least`, given that `cause` moved by `enough`.
fn follows(value: &Gauged, cause: &Gauged, enough: f64, least: f64) -> Gauged {
    match (value, cause) {
        (Gauged::Number { value, .. }, Gauged::Number { value: cause, .. }) if *cause >= enough => {
            Gauged::Flag(*value > least)
        }
        (Gauged::Number { .. }, Gauged::Number { .. }) => Gauged::Missing(Missing::CauseUnchanged),
        (Gauged::Number { .. }, other) | (other, _) => other.clone(),
    }
}
