//! `load.none`: whether the GPUs are left without load and without processes.

use std::collections::BTreeMap;

use super::config_policy::named_processes;
use super::declare::{may, must, span, text};
use super::look::unanswered;
use super::sheet::{Gauged, Sheet};
use super::window::Window;
use super::{Check, CheckRun, Done, Seen, StepContext, Wants};
use kiln_event::Phase;
use kiln_limit::Missing;
use kiln_model::{
    Answer, Component, ComponentKind, GpuIndex, Inventory, Moment, Probe, Process, Sample, Sensor, Span, Unit,
};
use kiln_profile::{CheckSpec, MeasurementSpec, Params, Wear};

#[derive(Debug)]
pub(super) struct LoadNone;

const GPU: ComponentKind = ComponentKind::Gpu;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "load.none",
    summary: "Makes sure that no load and no process is left on the GPUs.",
    details: "Meant for the teardown. It waits for utilisation to be zero on every GPU for the whole window, at most \
              within, and then tells the window as it is; only then are the processes counted, so that a load that takes \
              a moment to go is not mistaken for one that stays. Power falls at once when a load ends, but leakage keeps \
              it above the idle value while the part is warm.",
    params: &[span("for", "10s", "how long the GPUs must be idle"), span("within", "2m", "the longest wait for that")],
    measurements: MEASUREMENTS,
    each: &[GPU],
    wear: Wear::None,
    exclusive: true,
    watcher: false,
    estimate: |params: &Params, _| params.span("for").unwrap_or_default() + Span::from_secs(2),
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    must("util.max", Unit::Percent, GPU, "highest utilisation in the window"),
    may("processes", Unit::One, GPU, "processes on the GPU"),
    text("processes.named", GPU, "the processes on the GPU, with their numbers"),
    may("power.mean", Unit::Watt, GPU, "board power, mean of the window"),
];

impl Check for LoadNone {
    fn spec(&self) -> &'static CheckSpec {
        &SPEC
    }

    fn begin(&self, context: &StepContext<'_>) -> Box<dyn CheckRun> {
        let quiet = context.gpus().into_iter().map(|gpu| (gpu, Quiet::new(context.every))).collect();
        Box::new(Run { since: Moment::ZERO, deadline: Moment::ZERO, asked: None, quiet })
    }
}

#[derive(Debug)]
struct Quiet {
    util: Window,
    power: Window,
}

impl Quiet {
    fn new(every: Span) -> Self {
        Self { util: Window::sampled(every), power: Window::sampled(every) }
    }
}

#[derive(Debug)]
struct Run {
    /// When the window began: after the last busy sample.
    since: Moment,
    deadline: Moment,
    /// Set with the window's length once it is over and the processes are asked for.
    asked: Option<Span>,
    quiet: BTreeMap<GpuIndex, Quiet>,
}

impl CheckRun for Run {
    fn observe(&mut self, context: &StepContext<'_>, now: Moment, seen: Seen<'_>, wants: &mut Wants) {
        let length = context.params.span("for").unwrap_or_default();
        match (self.asked, seen) {
            (None, Seen::Began) => {
                self.since = now;
                self.deadline = now + context.params.span("within").unwrap_or_default().max(length);
                wants.enter(Phase::Waiting, Some(self.deadline));
                wants.wake_at(self.deadline);
            }
            (None, Seen::Sampled(sample)) => self.take(sample, now, length, context.every),
            (Some(window), Seen::Answered(Answer::Inventory(Ok(found)))) => {
                wants.end(self.done(context, found, window));
                return;
            }
            (_, Seen::Answered(Answer::Inventory(Err(why)))) => {
                wants.end(unanswered(why));
                return;
            }
            _ => {}
        }
        let all_lost = self.quiet.keys().all(|gpu| context.lost.contains_key(gpu));
        if self.asked.is_none() && (now >= self.deadline || now.since(self.since) >= length || all_lost) {
            self.asked = Some(now.since(self.since));
            wants.ask(Probe::Inventory);
        }
    }
}

impl Run {
    fn take(&mut self, sample: &Sample, now: Moment, length: Span, every: Span) {
        let busy = sample.get(Sensor::UtilGpu).is_some_and(|util| util > 0.0);
        // Near the end there is no time for a new window: a busy sample must stay in this one.
        if busy && now + length <= self.deadline {
            self.since = now;
            self.quiet.values_mut().for_each(|quiet| *quiet = Quiet::new(every));
            return;
        }
        if let Some(quiet) = self.quiet.get_mut(&sample.gpu) {
            quiet.util.take(sample.at, sample[Sensor::UtilGpu]);
            quiet.power.take(sample.at, sample[Sensor::Power]);
        }
    }

    fn done(&self, context: &StepContext<'_>, found: &Inventory, over: Span) -> Done {
        let mut sheet = Sheet::new(&SPEC, context.lost);
        for (gpu, quiet) in &self.quiet {
            let component = Component::Gpu(*gpu);
            let told = |value: fn(&Vec<Process>) -> Gauged| match found.gpu(*gpu) {
                Some(gpu) => Gauged::of(&gpu.processes, value),
                None => Gauged::Missing(Missing::NotListed),
            };
            sheet.put("util.max", component, quiet.util.gauged(over, Window::max));
            sheet.put("processes", component, told(|processes| Gauged::count(processes.len())));
            sheet.put("processes.named", component, told(|processes| named_processes(processes)));
            sheet.put("power.mean", component, quiet.power.gauged(over, Window::mean));
        }
        Done::Measured(sheet.into_list())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{Rig, assert_complete, lines, shown};
    use kiln_model::{Process, Reading};

    #[test]
    fn a_load_that_goes_is_waited_for() {
        let mut rig = Rig::new(&LoadNone, 2);
        rig.sensors = Box::new(|scene, sample| {
            if scene.at < 30.0 && scene.gpu.0 == 0 {
                sample.put(Sensor::UtilGpu, 100.0);
            }
        });
        let done = rig.run(&LoadNone);
        assert_complete(&SPEC, &done, &rig.components);
        assert_eq!(rig.took, 40.0);
        insta::assert_snapshot!(lines(&done, Component::gpu(0)), @r"
        util.max 0 %
        processes 0
        processes.named none
        power.mean 70 W
        ");
    }

    #[test]
    fn a_load_that_stays_is_told() {
        let mut rig = Rig::new(&LoadNone, 1);
        rig.sensors = Box::new(|_, sample| sample.put(Sensor::UtilGpu, 7.0));
        rig.inventory.gpus[0].processes =
            Reading::Value(vec![Process { pid: 7, name: "miner".to_owned(), memory_mib: 1 }]);
        let done = rig.run(&LoadNone);
        assert_eq!(shown(&done, Component::gpu(0), "util.max"), "7 %");
        assert_eq!(shown(&done, Component::gpu(0), "processes"), "1");
    }
}
