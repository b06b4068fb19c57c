//! Everything measured on one GPU while a load runs on it: statistics of sensors, growth of counters, work done.
//!
//! Which of it a check tells, and under which name, is the check's business.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts become floats far below 2^53, and floats become counts that were bounded before"
)]

use super::delta::CounterSpan;
use super::kept::Kept;
use super::meters::MinuteMeters;
use super::per_clock::PerClock;
use super::settle::Idle;
use super::sheet::{Gauged, Sheet};
use super::sloping::Sloping;
use super::window::{Window, share_of};
use kiln_limit::Missing;
use kiln_model::{ClockReasons, Component, Gpu, GpuIndex, LoadSaid, Moment, NoteFact, NoteKind, Sample, Sensor, Span};

/// One GPU under load.
#[derive(Debug)]
pub(super) struct LoadGauge {
    pub(super) power: Window,
    pub(super) die: Sloping,
    pub(super) memory: Window,
    pub(super) margin: Window,
    pub(super) inlet: Sloping,
    pub(super) clock: Window,
    pub(super) clock_memory: Window,
    /// HBM temperature over die temperature.
    pub(super) memory_over_die: Window,
    pub(super) tflops: Window,
    pub(super) cycles: PerClock,
    /// Work per second from the moment the load was under way: a part that is slow for a while may be so before the window.
    pub(super) work: Window,
    /// Since when that is told of, and how long it was at the last word.
    work_since: Option<Moment>,
    worked: Span,
    last_word: Option<Moment>,
    pub(super) memory_rate: Window,
    /// Counted over the window alone.
    pub(super) energy: CounterSpan,
    meters: MinuteMeters,
    pub(super) counters: LoadCounters,
    kept: Kept,
    /// Whether the clock was below the floor with no reason given.
    slow: Window,
    /// Samples of any kind.
    pub(super) ticks: Window,
    /// MHz under which the clock of a loaded GPU needs a reason.
    clock_floor: Option<f64>,
    verified: u64,
    mismatches: u64,
    reported: bool,
    /// Why the load on this GPU ended before it should have.
    pub(super) broken: Option<Missing>,
    /// What the load says of kernels slower than its best, where it had to take such.
    fallback: Option<NoteFact>,
}

/// Counters followed from before the load to its end.
#[derive(Debug, Default)]
pub(super) struct LoadCounters {
    pub(super) power_cap: CounterSpan,
    pub(super) sw_thermal: CounterSpan,
    pub(super) hw_thermal: CounterSpan,
    pub(super) power_brake: CounterSpan,
    pub(super) ecc_corrected: CounterSpan,
    pub(super) ecc_uncorrected: CounterSpan,
    pub(super) remap_corrected: CounterSpan,
    pub(super) remap_uncorrected: CounterSpan,
    pub(super) pcie_replays: CounterSpan,
    pub(super) nvlink_errors: CounterSpan,
}

/// Any of these explains a clock below the greatest.
const SLOWING: u64 = ClockReasons::APPLICATION_CLOCKS
    | ClockReasons::SW_POWER_CAP
    | ClockReasons::HW_SLOWDOWN
    | ClockReasons::SYNC_BOOST
    | ClockReasons::SW_THERMAL
    | ClockReasons::HW_THERMAL
    | ClockReasons::HW_POWER_BRAKE;

impl LoadCounters {
    pub(super) fn take(&mut self, sample: &Sample) {
        let at = sample.at;
        self.power_cap.take(at, sample[Sensor::ThrottlePowerCap]);
        self.sw_thermal.take(at, sample[Sensor::ThrottleSwThermal]);
        self.hw_thermal.take(at, sample[Sensor::ThrottleHwThermal]);
        self.power_brake.take(at, sample[Sensor::ThrottlePowerBrake]);
        self.ecc_corrected.take(at, sample[Sensor::EccCorrected]);
        self.ecc_uncorrected.take(at, sample[Sensor::EccUncorrected]);
        self.remap_corrected.take(at, sample[Sensor::RemapCorrected]);
        self.remap_uncorrected.take(at, sample[Sensor::RemapUncorrected]);
        self.pcie_replays.take(at, sample[Sensor::PcieReplays]);
        self.nvlink_errors.take(at, sample[Sensor::NvlinkErrors]);
    }

    pub(super) fn thermal(&self) -> Gauged {
        self.sw_thermal.gauged().plus(self.hw_thermal.gauged())
    }

    pub(super) fn remaps(&self) -> Gauged {
        self.remap_corrected.gauged().plus(self.remap_uncorrected.gauged())
    }
}

impl LoadGauge {
    /// `floor_share`: share of the greatest SM clock, in percent, under which a clock needs a reason. `every`: the period
    /// at which sensors are sampled.
    pub(super) fn new(gpu: Option<&Gpu>, floor_share: f64, every: Span) -> Self {
        let greatest = gpu.and_then(|gpu| gpu.clocks.max_sm.get());
        let sampled = || Window::sampled(every);
        Self {
            power: sampled(),
            die: Sloping::over(sampled()),
            memory: sampled(),
            margin: sampled(),
            inlet: Sloping::over(sampled()),
            clock: sampled(),
            clock_memory: sampled(),
            memory_over_die: sampled(),
            tflops: Window::told(),
            cycles: PerClock::default(),
            work: Window::told(),
            work_since: None,
            worked: Span::ZERO,
            last_word: None,
            memory_rate: Window::told(),
            energy: CounterSpan::default(),
            meters: MinuteMeters::new(every),
            counters: LoadCounters::default(),
            kept: Kept::default(),
            slow: sampled(),
            ticks: sampled(),
            clock_floor: greatest.map(|clock| clock * floor_share / 100.0),
            verified: 0,
            mismatches: 0,
            reported: false,
            broken: None,
            fallback: None,
        }
    }

    /// A sample from before the steady window: only counters follow it.
    pub(super) fn count(&mut self, sample: &Sample) {
        self.counters.take(sample);
        self.kept.take(sample, false);
    }

    /// A sample of the steady window.
    pub(super) fn take(&mut self, sample: &Sample) {
        let at = sample.at;
        self.counters.take(sample);
        self.ticks.add(at, 1.0);
        self.kept.take(sample, true);
        self.power.take(at, sample[Sensor::Power]);
        self.die.take(at, sample[Sensor::TempGpu]);
        self.memory.take(at, sample[Sensor::TempMemory]);
        self.margin.take(at, sample[Sensor::TempMargin]);
        self.inlet.take(at, sample[Sensor::TempInlet]);
        self.clock.take(at, sample[Sensor::ClockSm]);
        self.cycles.clock(sample.get(Sensor::ClockSm));
        self.clock_memory.take(at, sample[Sensor::ClockMemory]);
        self.energy.take(at, sample[Sensor::Energy]);
        self.meters.take(at, sample[Sensor::Power], sample[Sensor::Energy]);
        if let (Some(memory), Some(die)) = (sample.get(Sensor::TempMemory), sample.get(Sensor::TempGpu)) {
            self.memory_over_die.add(at, memory - die);
        }
        if let (Some(clock), Some(reasons), Some(floor)) =
            (sample.get(Sensor::ClockSm), sample.get(Sensor::ClockReasons), self.clock_floor)
        {
            self.slow.add(at, share_of(clock < floor && !ClockReasons(reasons as u64).has(SLOWING)));
        }
    }

    /// What the load says of this GPU. Rates count only inside the steady window.
    pub(super) fn hear(&mut self, at: Moment, said: &LoadSaid, in_window: bool) {
        match said {
            LoadSaid::Progress { tflops, memory_gb_per_s, verified, mismatches, .. } => {
                self.reported = true;
                self.verified = self.verified.max(*verified);
                self.mismatches = self.mismatches.max(*mismatches);
                if in_window {
                    self.tflops.add(at, *tflops);
                    self.cycles.work(at, *tflops);
                    self.memory_rate.add(at, *memory_gb_per_s);
                }
            }
            LoadSaid::Ended { end, .. } => {
                self.broken.get_or_insert_with(|| Missing::LoadEnded(end.clone()));
            }
            LoadSaid::Noted { kind: NoteKind::SlowerKernel, what, .. } => {
                self.fallback.get_or_insert_with(|| what.clone());
            }
            _ => {}
        }
    }

    /// Follows the work of a load that has been under way for `under_way`. A word tells of the time since the word before: one
    /// that reaches back to when the load was not under way tells of its start as well, and is left out.
    pub(super) fn follow(&mut self, at: Moment, said: &LoadSaid, under_way: Span) {
        let LoadSaid::Progress { tflops, .. } = said else { return };
        let Some(before) = self.last_word.replace(at) else { return };
        if !under_way.is_zero() && before >= at - under_way {
            let since = *self.work_since.get_or_insert_with(|| {
                self.work.begin(before);
                before
            });
            self.work.add(at, *tflops);
            self.worked = at.since(since);
        }
    }

    /// Share of the window in which the clock was low with no reason given, in percent.
    pub(super) fn unexplained(&self, over: Span) -> Gauged {
        let clock = self.clock.gauged(over, Window::mean);
        if self.clock_floor.is_none() || clock.number().is_none() {
            return if clock.number().is_none() { clock } else { Gauged::Missing(Missing::ClockCeilingUnknown) };
        }
        match self.slow.gauged(over, Window::mean) {
            Gauged::Number { value, samples } => Gauged::Number { value: value * 100.0, samples },
            _ => Gauged::Missing(Missing::ClockReasonsUnread),
        }
    }

    /// Draws the line under the load's window: a load that told of its work and then fell silent did not run all of it.
    pub(super) fn close(&mut self, over: Span) {
        let marks = self.tflops.covered();
        if self.reported && !self.tflops.covers(over) {
            self.broken.get_or_insert(Missing::LoadSilent { told: marks, window: over });
        }
    }

    /// A value of the steady window, unless the load broke: then the window is no steady one.
    pub(super) fn whole(&self, gauged: Gauged) -> Gauged {
        self.broken.as_ref().map_or(gauged, |why| Gauged::Missing(why.clone()))
    }

    /// A value that depends on how fast the load's kernels are, which those that it had to fall back on are not.
    pub(super) fn at_best(&self, gauged: Gauged) -> Gauged {
        match (&self.fallback, gauged) {
            (Some(what), Gauged::Number { .. }) => {
                Gauged::Missing(Missing::SlowerKernel { note: Box::new(what.clone()) })
            }
            (_, gauged) => self.whole(gauged),
        }
    }

    /// Memory over die; unsupported where the part shows no memory temperature.
    pub(super) fn memory_over_die(&self, over: Span) -> Gauged {
        match self.memory.gauged(over, Window::mean) {
            Gauged::Number { .. } => self.memory_over_die.gauged(over, Window::mean),
            other => other,
        }
    }

    pub(super) fn verified(&self) -> Gauged {
        if self.reported { Gauged::once(self.verified as f64) } else { Gauged::Missing(Missing::LoadNeverReported) }
    }

    /// Wrong results of the whole load. Where nothing was compared nothing is known.
    pub(super) fn mismatches(&self) -> Gauged {
        match (self.verified, self.mismatches) {
            (0, 0) => Gauged::Missing(Missing::NothingCompared),
            (verified, mismatches) => Gauged::Number { value: mismatches as f64, samples: verified },
        }
    }

    /// Share of the window that good readings cover, in percent.
    pub(super) fn coverage(&self, over: Span) -> Gauged {
        let (covered, over) = (self.power.covered().as_secs_f64(), over.as_secs_f64());
        let share = if over > 0.0 { covered * 100.0 / over } else { 0.0 };
        Gauged::Number { value: share.min(100.0), samples: self.power.count() + self.power.failed() }
    }

    /// Puts what the link and the power limit kept over the step.
    pub(super) fn put_kept(&self, sheet: &mut Sheet<'_>, gpu: Component, over: Span) {
        self.kept.put(sheet, gpu, |counted| self.ticks.growth(counted, over));
    }

    /// Share of the load's time with much less work than usual, in percent.
    pub(super) fn dips(&self, over: Span) -> Gauged {
        if self.worked > over {
            self.work.gauged(self.worked, Window::dips)
        } else {
            self.tflops.gauged(over, Window::dips)
        }
    }

    /// Million operations per cycle of the SM clock: 10^12 operations a second over 10^6 cycles a second.
    pub(super) fn per_clock(&self, over: Span) -> Gauged {
        match (self.tflops.gauged(over, Window::mean), self.clock.gauged(over, Window::mean)) {
            (Gauged::Number { value: tflops, samples }, Gauged::Number { value: clock, .. }) => {
                Gauged::Number { value: tflops / clock, samples }
            }
            (Gauged::Number { .. }, other) | (other, _) => other,
        }
    }

    /// By how much power readings and energy counter differed in the worst minute.
    pub(super) fn worst_disagreement(&self) -> Gauged {
        self.whole(self.meters.worst())
    }

    /// K/W from die to inlet as the straight lines through the window have them at its end, where an inlet is shown, by the mean power.
    pub(super) fn resistance_end(&self, over: Span) -> Gauged {
        let half = over.as_secs_f64() / 2.0;
        let last = |celsius: &Sloping| celsius.gauged(over, |window| Some(window.mean()? + celsius.slope()? * half));
        match (last(&self.die), last(&self.inlet), self.power.gauged(over, Window::mean)) {
            (Gauged::Number { .. }, Gauged::Number { .. }, Gauged::Number { value: watts, .. })
                if watts < LEAST_WATTS =>
            {
                Gauged::Missing(Missing::LittlePower { watts })
            }
            (
                Gauged::Number { value: die, samples },
                Gauged::Number { value: inlet, .. },
                Gauged::Number { value: watts, .. },
            ) => Gauged::Number { value: (die - inlet) / watts, samples },
            (Gauged::Number { .. }, Gauged::Number { .. }, power) => power,
            (Gauged::Number { .. }, inlet, _) => inlet,
            (die, ..) => die,
        }
    }

    /// K/W from die to inlet; where no inlet can be read, from die to the GPU's own idle state, which the coolant's
    /// temperature drops out of: `(T - T_idle) / (P - P_idle)`.
    pub(super) fn resistance(&self, over: Span, idle: Option<Idle>) -> Gauged {
        let power = self.power.gauged(over, Window::mean);
        let die = self.die.gauged(over, Window::mean);
        let inlet = self.inlet.gauged(over, Window::mean);
        let (Some(watts), Some(celsius)) = (power.number(), die.number()) else {
            return if die.number().is_none() { die } else { power };
        };
        let (rise, watts) = match (inlet.number(), idle) {
            (Some(inlet), _) => (celsius - inlet, watts),
            (None, Some(Idle { die, power: Some(idle) })) => (celsius - die, watts - idle),
            (None, _) => return Gauged::Missing(Missing::NoReferenceTemperature),
        };
        if watts < LEAST_WATTS {
            return Gauged::Missing(Missing::LittlePower { watts });
        }
        Gauged::Number { value: rise / watts, samples: self.die.count() }
    }
}

/// Under this, one degree of a whole-degree sensor is more than 2 % of any real GPU's resistance (about 0.05 K/W).
const LEAST_WATTS: f64 = 100.0;

/// The GPU a message of a load is about; `None`: all of them.
pub(super) const fn gpu_of(said: &LoadSaid) -> Option<GpuIndex> {
    match said {
        LoadSaid::Progress { gpu, .. } | LoadSaid::Covered { gpu, .. } | LoadSaid::Flipped { gpu, .. } => Some(*gpu),
        LoadSaid::Mismatched(mismatch) => Some(mismatch.gpu),
        LoadSaid::Screened(screened) => Some(screened.gpu),
        LoadSaid::Ended { gpu, .. } | LoadSaid::Noted { gpu, .. } => *gpu,
        LoadSaid::Running | LoadSaid::Moved(_) | LoadSaid::Program(_) => None,
    }
}
