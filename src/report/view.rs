//! What a live display says of a run: how far it is, what runs now, and how hot every GPU is.

use std::collections::BTreeMap;
use std::fmt;

use super::language::Language;
use super::phrase::Phrase;
use super::text::{duration, step_name};
use super::words;
use kiln_event::{Case, Outcome, Phase, RunRecord, StepKey, StepStatus};
use kiln_model::{GpuIndex, Moment, Sample, Sensor, Span};
use kiln_plan::Plan;

/// GPUs on one line of the display: eight fit into 80 columns on two lines.
const GPUS_A_LINE: usize = 4;

/// What is on display.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) language: Language,
    pub(super) now: Moment,
    pub(super) estimate: Span,
    estimates: BTreeMap<String, Span>,
    pub(super) running: BTreeMap<StepKey, Running>,
    gpus: BTreeMap<GpuIndex, Shown>,
    finished: usize,
    failed: usize,
    troubled: usize,
}

#[derive(Debug)]
pub(super) struct Running {
    pub(super) began: Moment,
    pub(super) phase: Option<Phase>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Shown {
    celsius: Option<f64>,
    watts: Option<f64>,
}

impl View {
    pub(super) fn new(language: Language) -> Self {
        Self { language, ..Self::default() }
    }

    /// What a resumed run's journal holds.
    pub(super) fn of(record: &RunRecord, language: Language) -> Self {
        let mut view = Self { language, now: record.last_at, ..Self::default() };
        if let Some(plan) = &record.plan {
            view.plan(plan);
        }
        let finished = record.decisive_steps().into_iter().filter(|step| step.status == StepStatus::Finished);
        finished.for_each(|step| view.count(&step.cases));
        view
    }

    /// Takes in a finished step.
    pub(super) fn count(&mut self, cases: &[Case]) {
        self.finished += 1;
        match cases.iter().map(|case| case.outcome).max() {
            Some(Outcome::Fail) => self.failed += 1,
            Some(Outcome::Error | Outcome::Inconclusive | Outcome::Aborted) | None => self.troubled += 1,
            Some(_) => {}
        }
    }

    pub(super) fn sample(&mut self, sample: &Sample) {
        self.now = self.now.max(sample.at);
        let shown = Shown { celsius: sample.get(Sensor::TempGpu), watts: sample.get(Sensor::Power) };
        self.gpus.insert(sample.gpu, shown);
    }

    pub(super) fn plan(&mut self, plan: &Plan) {
        self.estimate = plan.estimate;
        let steps = plan.steps();
        self.estimates = steps.map(|step| (step.path.clone(), step.estimate)).collect();
    }

    /// `1h 2m of about 2h, 12 steps done, 1 failed`.
    pub(super) fn progress(&self) -> String {
        let language = self.language;
        let steps = words::counted(language, self.finished, Phrase::OneStep, Phrase::Steps);
        let mut text = Phrase::Progress.with(language, &[&self.elapsed(), &duration(self.estimate), &steps]);
        if self.failed > 0 {
            text.push_str(&Phrase::ProgressFailed.with(language, &[&self.failed]));
        }
        if self.troubled > 0 {
            text.push_str(&Phrase::ProgressTrouble.with(language, &[&self.troubled]));
        }
        text
    }

    pub(super) fn elapsed(&self) -> String {
        duration(self.now.since(Moment::ZERO))
    }

    /// `burn.gemm measuring, 12m of about 30m`.
    pub(super) fn step(&self, key: &StepKey, running: &Running) -> String {
        let took = duration(self.now.since(running.began));
        let phase = running.phase.map_or(Phrase::PhaseRunning, phase).say(self.language);
        let about = self.estimates.get(&key.path);
        let of = about.map(|about| Phrase::OfAbout.with(self.language, &[&duration(*about)]));
        format!("{} {phase}, {took}{}", step_name(key, self.language), of.unwrap_or_default())
    }

    /// Everything under the bar.
    pub(super) fn lines(&self) -> Vec<String> {
        let steps = self.running.iter().map(|(key, running)| format!("  {}", self.step(key, running)));
        let mut lines: Vec<String> = steps.collect();
        if !lines.is_empty() {
            let cells: Vec<String> = self.gpus.iter().map(|(gpu, shown)| format!("gpu/{} {shown}", gpu.0)).collect();
            lines.extend(cells.chunks(GPUS_A_LINE).map(|cells| format!("  {}", cells.join("  "))));
        }
        lines
    }

    /// Of all GPUs in a few words: `gpu/3 hottest at 71 °C, 5520 W together`.
    pub(super) fn hottest(&self) -> String {
        let known = self.gpus.iter().filter_map(|(gpu, shown)| Some((gpu, shown.celsius?)));
        let watts: f64 = self.gpus.values().filter_map(|shown| shown.watts).sum();
        match known.max_by(|one, two| one.1.total_cmp(&two.1)) {
            Some((gpu, celsius)) => Phrase::Hottest
                .with(self.language, &[&gpu.0, &format_args!("{celsius:.0}"), &format_args!("{watts:.0}")]),
            None => Phrase::NoTemperatures.say(self.language).to_owned(),
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: Option<f64>| value.map_or("--".to_owned(), |value| format!("{value:.0}"));
        write!(f, "{:>3} °C {:>4} W", shown(self.celsius), shown(self.watts))
    }
}

const fn phase(phase: Phase) -> Phrase {
    match phase {
        Phase::Settling => Phrase::PhaseSettling,
        Phase::WarmingUp => Phrase::PhaseWarming,
        Phase::Measuring => Phrase::PhaseMeasuring,
        Phase::CoolingDown => Phrase::PhaseCooling,
        Phase::Waiting => Phrase::PhaseWaiting,
    }
}
