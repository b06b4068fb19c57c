//! The live console: a progress bar of the run, the running steps with temperature and power of every GPU, and a line for every
//! finished step. Without a terminal it writes the lines alone, and a sign of life now and then.
//!
//! Everything goes to one output, never to standard output. Questions to the operator are asked elsewhere; the console pauses.

#![expect(clippy::cast_possible_truncation, reason = "seconds, counts and pixels on a page are small")]

use std::env;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::blind::blind_lines;
use super::language::Language;
use super::pace::{Pace, WallClock};
use super::phrase::Phrase;
use super::plain::plain;
use super::text::{Paint, Tone, duration, gutter, step_line};
use super::view::{Running, View};
use super::visible::visible;
use super::{remark, sentence, words};
use kiln_engine::Witness;
use kiln_event::{Case, Envelope, GuardTrip, RunEvent, RunRecord, RunStart, StepKey};
use kiln_model::{Moment, Sample};

/// The shortest time between two updates of the display: people cannot follow faster changes.
const REFRESH: Duration = Duration::from_millis(100);

/// Without a terminal, a log must show that a long step is still running: CI systems cancel jobs that are silent for ten minutes
/// (Travis CI; GitLab's default is an hour).
const SIGN_OF_LIFE: Duration = Duration::from_secs(300);

/// Shows a run in progress.
#[derive(Debug)]
pub struct Console {
    screen: Screen,
    paint: Paint,
    pace: Pace,
    view: View,
    /// Whether the display is paused, because an operator is being asked or the run is over.
    still: bool,
}

enum Screen {
    Terminal(Bars),
    Lines(Box<dyn Write + Send>),
}

#[derive(Debug)]
struct Bars {
    all: MultiProgress,
    run: ProgressBar,
    /// Lines under the bar, created when needed.
    lines: Vec<ProgressBar>,
}

impl Console {
    /// Creates a console on standard error. On a terminal it is live; elsewhere it writes lines, without colours. `NO_COLOR` is
    /// respected.
    pub fn on_stderr(clock: WallClock, language: Language) -> Self {
        let terminal = io::stderr().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb");
        let paint = Paint::for_terminal(terminal);
        if terminal {
            Self::new(Screen::Terminal(Bars::new(ProgressDrawTarget::stderr())), paint, clock, language)
        } else {
            Self::lines(Box::new(io::stderr()), paint, clock, language)
        }
    }

    /// Creates a console that writes lines only, to any output.
    pub fn lines(output: Box<dyn Write + Send>, paint: Paint, clock: WallClock, language: Language) -> Self {
        Self::new(Screen::Lines(output), paint, clock, language)
    }

    fn new(screen: Screen, paint: Paint, clock: WallClock, language: Language) -> Self {
        let period = if matches!(screen, Screen::Terminal(_)) { REFRESH } else { SIGN_OF_LIFE };
        let mut pace = Pace::new(clock, period);
        // The first sign of life comes after a period, not at once.
        pace.is_due();
        Self { screen, paint, pace, view: View::new(language), still: false }
    }

    /// Takes over the state of a resumed run.
    pub fn catch_up(&mut self, record: &RunRecord) {
        self.view = View::of(record, self.view.language);
        if let Some(start) = &record.start {
            self.started(start);
        }
    }

    /// Removes the display and keeps the lines. The last event of a run does this as well.
    pub fn clear(&mut self) {
        if let Screen::Terminal(bars) = &mut self.screen {
            bars.clear();
        }
    }

    fn line(&mut self, line: &str) {
        // A failing console must not stop the run: the journal is what counts.
        let line = visible(line, self.paint);
        let _ = match &mut self.screen {
            Screen::Terminal(bars) => bars.all.println(&line),
            Screen::Lines(output) => writeln!(output, "{line}"),
        };
    }

    fn note(&mut self, tone: Tone, word: Phrase, text: &str) {
        let at = format!("[{:>10}] {}", duration(self.view.now.since(Moment::ZERO)), plain(text));
        self.line(&gutter(self.paint, tone, word.say(self.view.language), &at));
    }

    fn started(&mut self, start: &RunStart) {
        if let Some(banner) = words::banner_in(self.view.language, &start.source) {
            self.line(&self.paint.paint(Tone::Strong, &banner));
        }
        let tool = format!("{} {}", start.tool.name, start.tool.version);
        let language = self.view.language;
        let profile = Phrase::ProfileRevision.with(language, &[&start.profile.id, &start.profile.revision]);
        let rest = format!("{profile}, {}", Phrase::RunIs.with(language, &[&start.run_id]));
        self.line(&gutter(self.paint, Tone::Strong, &tool, &rest));
    }

    fn step_finished(&mut self, key: &StepKey, cases: &[Case]) {
        let began = self.view.running.remove(key).map_or(self.view.now, |running| running.began);
        let line = step_line(key, self.view.now.since(began), cases, self.paint, self.view.language);
        self.view.count(cases);
        self.line(&line);
    }

    fn guard(&mut self, trip: &GuardTrip) {
        let cause = sentence::trip_cause(self.view.language, &trip.cause);
        let text = Phrase::GuardOn.with(self.view.language, &[&trip.guard, &trip.component, &cause]);
        self.note(Tone::Bad, Phrase::Guard, &text);
    }

    fn refresh(&mut self) {
        if self.still {
            return;
        }
        match &mut self.screen {
            Screen::Terminal(bars) => bars.show(&self.view),
            Screen::Lines(_) => {
                for (key, running) in &self.view.running {
                    let rest = format!(
                        "[{:>10}] {}; {}",
                        duration(self.view.now.since(running.began)),
                        self.view.step(key, running),
                        self.view.hottest()
                    );
                    let word = Phrase::Running.say(self.view.language);
                    let line = gutter(self.paint, Tone::Quiet, word, &rest);
                    if let Screen::Lines(output) = &mut self.screen {
                        let _ = writeln!(output, "{}", visible(&line, self.paint));
                    }
                }
            }
        }
    }
}

impl Witness for Console {
    fn event(&mut self, envelope: &Envelope, _: &RunRecord) -> io::Result<()> {
        self.view.now = envelope.at;
        match &envelope.event {
            RunEvent::RunStarted(start) => self.started(start),
            RunEvent::PlanMade(plan) => {
                self.view.plan(plan);
                for line in blind_lines(plan, self.view.language) {
                    self.note(Tone::Doubt, Phrase::NoteWord, &line);
                }
            }
            RunEvent::StepStarted { key } => {
                self.view.running.insert(key.clone(), Running { began: envelope.at, phase: None });
            }
            RunEvent::PhaseEntered { key, phase, .. } => {
                if let Some(running) = self.view.running.get_mut(key) {
                    running.phase = Some(*phase);
                }
            }
            RunEvent::StepFinished { key, cases, .. } => self.step_finished(key, cases),
            RunEvent::GuardTripped(trip) => self.guard(trip),
            RunEvent::LoadNoted { gpu, kind, what, .. } if remark::is_telling(*kind, what) => {
                self.note(Tone::Doubt, Phrase::Note, &remark::note_in(self.view.language, *gpu, what));
            }
            RunEvent::HostLate { key, lateness } => {
                self.note(Tone::Trouble, Phrase::HostLate, &remark::late_in(self.view.language, key, lateness));
            }
            RunEvent::GpuLost { gpu } => {
                self.note(Tone::Bad, Phrase::Lost, &Phrase::LostText.with(self.view.language, &[&gpu.0]));
            }
            RunEvent::RunInterrupted { by } => {
                self.note(Tone::Trouble, Phrase::Stopping, &sentence::interruption(self.view.language, by));
            }
            RunEvent::RunResumed { interrupted, .. } => {
                self.view.running.clear();
                let language = self.view.language;
                let steps = words::counted(language, interrupted.len(), Phrase::OneStep, Phrase::Steps);
                self.note(Tone::Strong, Phrase::Resumed, &Phrase::CutAndAgain.with(language, &[&steps]));
            }
            RunEvent::OperatorAsked { .. } | RunEvent::RunFinished { .. } => {
                self.clear();
                self.still = true;
            }
            RunEvent::OperatorAnswered { .. } => self.still = false,
            _ => {}
        }
        if self.pace.is_due() {
            self.refresh();
        }
        Ok(())
    }

    fn sample(&mut self, sample: &Sample) {
        self.view.sample(sample);
        if self.pace.is_due() {
            self.refresh();
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Bars {
    fn new(target: ProgressDrawTarget) -> Self {
        let all = MultiProgress::with_draw_target(target);
        let run = all.add(ProgressBar::new(1));
        let style = ProgressStyle::with_template("  [{bar:30}] {percent:>3} %  {msg}");
        run.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
        Self { all, run, lines: Vec::new() }
    }

    fn show(&mut self, view: &View) {
        if self.run.is_finished() {
            self.run.reset();
        }
        let estimate = view.estimate.as_millis() as u64;
        self.run.set_length(estimate.max(1));
        // If the estimate was too short, the bar must not look finished.
        self.run.set_position((view.now.nanos() / 1_000_000).min(estimate * 99 / 100));
        let shown = |text: String| visible(&text, Paint::Plain).into_owned();
        self.run.set_message(shown(view.progress()));
        let lines: Vec<String> = view.lines().into_iter().map(shown).collect();
        while self.lines.len() < lines.len() {
            let line = self.all.add(ProgressBar::new(1));
            line.set_style(ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar()));
            self.lines.push(line);
        }
        for gone in self.lines.drain(lines.len()..) {
            gone.finish_and_clear();
            self.all.remove(&gone);
        }
        for (bar, line) in self.lines.iter().zip(lines) {
            bar.set_message(line);
        }
    }

    fn clear(&mut self) {
        for line in self.lines.drain(..) {
            line.finish_and_clear();
            self.all.remove(&line);
        }
        self.run.finish_and_clear();
    }
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Terminal(_) => "Terminal",
            Self::Lines(_) => "Lines",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use indicatif::TermLike;

    use super::*;
    use kiln_event::Phase;
    use kiln_model::{GpuIndex, Sensor, Text};
    use kiln_stories::{Story, endings};

    /// Collects what is written.
    #[derive(Debug, Clone, Default)]
    struct Paper(Arc<Mutex<String>>);

    impl Paper {
        fn read(&self) -> String {
            self.0.lock().unwrap().clone()
        }

        fn add(&self, text: &str) {
            self.0.lock().unwrap().push_str(text);
        }
    }

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.add(std::str::from_utf8(bytes).expect("text"));
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl TermLike for Paper {
        fn width(&self) -> u16 {
            100
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.add(&format!("{text}\n"));
            Ok(())
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.add(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            self.add("<clear>");
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn tell(console: &mut Console, story: &Story) {
        for event in &story.events {
            console.event(event, &RunRecord::default()).expect("shown");
        }
    }

    fn samples(console: &mut Console, story: &Story) {
        for (gpu, celsius) in [(0, 61.2), (1, 71.6)] {
            let mut sample = Sample::new(GpuIndex(gpu), story.events.last().expect("an event").at);
            sample.put(Sensor::TempGpu, celsius);
            sample.put(Sensor::Power, 690.4);
            console.sample(&sample);
        }
    }

    #[test]
    fn without_a_terminal_every_ending_is_plain_lines() {
        let shown = endings().into_iter().map(|(name, story)| {
            let paper = Paper::default();
            let mut console =
                Console::lines(Box::new(paper.clone()), Paint::Plain, || Duration::ZERO, Language::English);
            tell(&mut console, story);
            format!("--- {name}\n{}", paper.read())
        });
        insta::assert_snapshot!(shown.collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn without_a_terminal_a_long_step_shows_a_sign_of_life() {
        let paper = Paper::default();
        let clock: WallClock = || {
            // Every look at the clock is 200 s after the last.
            static LOOKS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
            Duration::from_secs(200 * LOOKS.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
        };
        let mut console = Console::lines(Box::new(paper.clone()), Paint::Plain, clock, Language::English);
        let mut story = endings()["pass"].cut_in("burn.gemm");
        let key = Story::key("burn.gemm");
        story.tell(400.0, RunEvent::PhaseEntered { key, phase: Phase::Measuring, until: None });
        tell(&mut console, &story);
        samples(&mut console, &story);
        let life: Vec<String> =
            paper.read().lines().filter(|line| line.contains("RUNNING")).map(str::to_owned).collect();
        insta::assert_snapshot!(life.last().expect("a sign of life"));
    }

    #[test]
    fn a_terminal_shows_what_runs_and_keeps_the_lines() {
        let paper = Paper::default();
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(paper.clone()), 255);
        let mut console =
            Console::new(Screen::Terminal(Bars::new(target)), Paint::Plain, || Duration::ZERO, Language::English);
        let mut story = endings()["pass"].cut_in("burn.gemm");
        let trip = endings()["guard"].record().trips[0].1.clone();
        story.tell(9.0, RunEvent::GuardTripped(trip));
        tell(&mut console, &story);
        samples(&mut console, &story);
        console.refresh();
        let shown = paper.read();
        for wanted in [
            "PASS [      0.0s] identify.inventory",
            "GUARD [      9.0s] lost on gpu/1",
            ", 1 step done",
            "burn.gemm running, 9.0s of about ",
            "gpu/0  61 °C  690 W  gpu/1  72 °C  690 W",
        ] {
            assert!(shown.contains(wanted), "`{wanted}` is not in\n{shown}");
        }
        let before = paper.read().len();
        console.clear();
        assert!(!paper.read()[before..].contains("burn.gemm"), "the display is gone");
    }

    #[test]
    fn while_an_operator_is_asked_the_display_keeps_still() {
        let paper = Paper::default();
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(paper.clone()), 255);
        let mut console =
            Console::new(Screen::Terminal(Bars::new(target)), Paint::Plain, || Duration::ZERO, Language::English);
        let mut story = endings()["pass"].cut_in("burn.gemm");
        let key = Story::key("burn.gemm");
        story.tell(0.0, RunEvent::OperatorAsked { key, prompt: Text::english("closed?") });
        tell(&mut console, &story);
        let before = paper.read();
        samples(&mut console, &story);
        console.refresh();
        assert_eq!(paper.read(), before);
    }
}
