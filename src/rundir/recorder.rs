//! Writes a run directory during the run. The journal is written first, and nothing is shown before it is safe there.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::error::RunDirError;
use super::format::{FORMATS, FormatError};
use super::readings::Readings;
use super::reports::{Written, write, write_all};
use super::stream::StreamFile;
use super::view::{Look, RunView};
use kiln_disk::{Folder, JUNIT, Keep, OCPTV, RESULT};
use kiln_engine::Witness;
use kiln_event::{Envelope, RunEvent, RunFailure, RunRecord};
use kiln_journal::{Durability, Journal};
use kiln_model::Sample;
use kiln_report::{Console, Pace, Paint, WallClock};
use kiln_telemetry::{Safety, Telemetry};

/// The shortest time between two updates of the reports during a run. A killed run leaves reports that are nearly current.
const PERIOD: Duration = Duration::from_secs(1);

/// The share of the time that may be spent on updating reports during a run: long runs have large reports.
const SHARE: f64 = 0.02;

/// A journal sync that takes longer than this is logged. A healthy disk takes milliseconds.
const SLOW: Duration = Duration::from_secs(1);

/// How a run is written and shown.
#[derive(Debug, Clone)]
pub struct Settings {
    pub folder: PathBuf,
    pub durability: Durability,
    pub look: Look,
    pub clock: WallClock,
    pub progress: Progress,
    /// Receives the OCPTV lines in addition to the file.
    pub stream: Option<fn(&str) -> io::Result<()>>,
}

/// Whether progress is shown on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    Shown,
    Hidden,
}

/// Listens to a run and writes its directory.
#[derive(Debug)]
pub struct Recorder {
    settings: Settings,
    /// Created with the first event, so that a refused run writes nothing.
    open: Option<Open>,
    console: Console,
    pace: Pace,
    /// Whether anything happened since the reports were last updated.
    due: bool,
    /// Events that are in the journal but not yet synced.
    unshown: Vec<Envelope>,
}

#[derive(Debug)]
struct Open {
    folder: Folder,
    journal: Journal,
    telemetry: Telemetry,
    stream: StreamFile,
}

impl Recorder {
    /// Creates the recorder of a new run.
    pub fn new(settings: Settings) -> Self {
        let (clock, language) = (settings.clock, settings.look.language);
        let console = match settings.progress {
            Progress::Shown => Console::on_stderr(clock, language),
            Progress::Hidden => Console::lines(Box::new(io::sink()), Paint::Plain, clock, language),
        };
        let pace = Pace::new(settings.clock, PERIOD);
        Self { settings, open: None, console, pace, due: false, unshown: Vec::new() }
    }

    /// Creates the recorder of a resumed run.
    pub fn over(settings: Settings, journal: Journal, events: &[Envelope]) -> Result<Self, RunDirError> {
        let mut recorder = Self::new(settings);
        recorder.console.catch_up(&RunRecord::of(events));
        let folder = journal.folder().clone();
        let telemetry = Telemetry::resume(&recorder.settings.folder, safety(recorder.settings.durability))?;
        let begun = StreamFile::create(&folder, events).and_then(|(stream, lines)| {
            recorder.settings.stream.map_or(Ok(()), |put| put(&lines))?;
            Ok(stream)
        });
        let stream = begun
            .map_err(|source| RunDirError::Unwritten { path: folder.path().join(OCPTV.name), source: source.into() })?;
        recorder.open = Some(Open { folder, journal, telemetry, stream });
        Ok(recorder)
    }

    /// Removes the live display so that something can be printed.
    pub fn clear(&mut self) {
        self.console.clear();
    }

    /// Closes the recorded files and writes every report that can be written. A run that never began leaves nothing behind.
    pub fn close(self, record: &RunRecord) -> Written {
        let Some(open) = self.open else { return Written::default() };
        let path = |name: &str| open.folder.path().join(name);
        let unwritten = |path: PathBuf, source: FormatError| RunDirError::Unwritten { path, source };
        let mut failed = Vec::new();
        let journal = open.journal.path().to_owned();
        failed.extend(open.journal.close().err().map(|error| unwritten(journal, error.into())));
        failed.extend(open.telemetry.close().err().map(RunDirError::from));
        failed.extend(open.stream.close().err().map(|error| unwritten(path(OCPTV.name), error.into())));
        let view =
            RunView::new(&self.settings.folder, record, &[], &[], Readings::open(&open.folder), self.settings.look);
        let mut written = write_all(&open.folder, &view, &[OCPTV]);
        failed.append(&mut written.failed);
        Written { failed, ..written }
    }

    /// Updates the small reports during a run.
    fn keep_current(&mut self, record: &RunRecord) -> io::Result<()> {
        let Some(open) = &self.open else { return Ok(()) };
        // The record may be ahead of what is safe; reports must not be.
        if !self.due || record.next_seq != open.journal.next_seq() || !self.pace.is_due() {
            return Ok(());
        }
        self.due = false;
        let Self { pace, settings, .. } = self;
        pace.spend(SHARE, || {
            let readings = Readings::none();
            let view = RunView::new(&settings.folder, record, &[], &[], readings, settings.look);
            for format in FORMATS {
                let Some(file) = format.file(record).filter(|file| [JUNIT, RESULT].contains(file)) else { continue };
                write(&open.folder, &view, format, file, Keep::Rebuildable).map_err(|error| {
                    RunFailure::unwritten(&open.folder.path().join(file.name), &io::Error::other(error))
                })?;
            }
            Ok(())
        })
    }
}

/// Syncs telemetry together with the journal, except for the block that is still open.
const fn safety(durability: Durability) -> Safety {
    match durability {
        Durability::EverySync => Safety::EveryBlock,
        Durability::AtMostEvery { .. } => Safety::AtTheEnd,
    }
}

impl Witness for Recorder {
    fn event(&mut self, envelope: &Envelope, _: &RunRecord) -> io::Result<()> {
        if self.open.is_none() {
            let Settings { folder: path, durability, .. } = &self.settings;
            let journal = Journal::create(path, *durability).map_err(io::Error::other)?;
            let folder = journal.folder().clone();
            let telemetry = Telemetry::create(path, safety(*durability)).map_err(io::Error::other)?;
            let (stream, _) = StreamFile::create(&folder, &[])?;
            self.open = Some(Open { folder, journal, telemetry, stream });
        }
        if let Some(open) = &mut self.open {
            open.journal.append(envelope)?;
            if matches!(
                envelope.event,
                RunEvent::GuardTripped(_) | RunEvent::GpuLost { .. } | RunEvent::RestartAsked { .. }
            ) {
                // What led here is evidence, and the machine may be about to go down.
                open.telemetry.flush();
            }
        }
        self.unshown.push(envelope.clone());
        Ok(())
    }

    fn sample(&mut self, sample: &Sample) {
        if let Some(open) = &mut self.open {
            open.telemetry.sample(sample);
        }
        self.console.sample(sample);
    }

    fn sync(&mut self, record: &RunRecord) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let before = (self.settings.clock)();
        open.journal.sync()?;
        let took = (self.settings.clock)().saturating_sub(before);
        if took > SLOW {
            tracing::warn!(?took, "the disk was slow to make the journal safe");
        }
        for envelope in self.unshown.drain(..) {
            let lines = open.stream.event(&envelope)?;
            if !lines.is_empty() {
                self.settings.stream.map_or(Ok(()), |put| put(&lines))?;
            }
            tracing::info!(at = %envelope.at, seq = envelope.seq, event = %named(&envelope.event));
            self.console.event(&envelope, record)?;
            self.due |= matches!(
                envelope.event,
                RunEvent::PlanMade(_) | RunEvent::StepFinished { .. } | RunEvent::RunInterrupted { .. }
            );
        }
        open.stream.flush()?;
        self.keep_current(record)
    }
}

/// Describes an event in a few words for the log.
fn named(event: &RunEvent) -> String {
    match event {
        RunEvent::StepStarted { key, .. } => {
            format!("{} started, round {}, attempt {}", key.path, key.round, key.attempt)
        }
        RunEvent::StepFinished { key, .. } => format!("{} finished", key.path),
        RunEvent::GpuLost { .. }
        | RunEvent::GuardTripped(_)
        | RunEvent::LoadStarted { .. }
        | RunEvent::LoadEnded { .. }
        | RunEvent::LoadNoted { .. }
        | RunEvent::HostLate { .. }
        | RunEvent::KernelLogged(_)
        | RunEvent::SourceTold(_) => format!("{event:?}"),
        // The rest is large and in the journal under the same number.
        other => format!("{other:?}").split([' ', '(']).next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::RunDir;
    use kiln_report::{Language, Languages, Paint};
    use kiln_stories::{Story, endings};

    const LOOK: Look = Look { language: Language::English, paint: Paint::Plain, languages: Languages::BOTH };

    fn settings(folder: &Path) -> Settings {
        let durability = Durability::virtual_time(|| Duration::ZERO);
        Settings {
            folder: folder.to_owned(),
            durability,
            look: LOOK,
            clock: || Duration::ZERO,
            progress: Progress::Hidden,
            stream: None,
        }
    }

    fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        for folder in [dir.to_owned(), dir.join("telemetry")] {
            for entry in fs::read_dir(folder).expect("a directory").map(|entry| entry.expect("an entry").path()) {
                if entry.is_file() {
                    files.push((entry.display().to_string(), fs::read(&entry).expect("a file")));
                }
            }
        }
        files.sort();
        files
    }

    fn write_down(folder: &Path, story: &Story) -> Written {
        let mut recorder = Recorder::new(settings(folder));
        let mut record = RunRecord::default();
        for event in &story.events {
            record.apply(event);
            recorder.event(event, &record).expect("written");
            recorder.sync(&record).expect("safe");
        }
        recorder.close(&record)
    }

    #[test]
    fn reports_rebuilt_from_the_recorded_files_are_those_written_live() {
        for (name, story) in endings() {
            let parent = tempfile::tempdir().expect("a directory");
            let folder = parent.path().join("run");
            let written = write_down(&folder, story);
            assert!(written.failed.is_empty() && written.told.is_empty(), "{name}: {written:?}");
            let live = files(&folder);
            assert_eq!(live.len(), 7, "{name}: nothing else is left behind");
            for (path, _) in live.iter().filter(|(path, _)| !path.ends_with("journal.jsonl") && !path.ends_with("ktb"))
            {
                fs::remove_file(path).expect("removed");
            }
            let dir = RunDir::open(&folder).and_then(RunDir::lock).expect("a run");
            let run = dir.run().expect("sound");
            dir.write_reports(&run, LOOK).expect("written").first_failure().expect("all of them");
            assert!(live == files(&folder), "{name}");
        }
    }

    #[test]
    fn a_run_that_goes_on_has_reports_from_its_plan_on_and_cannot_be_reported() {
        let parent = tempfile::tempdir().expect("a directory");
        let folder = parent.path().join("run");
        let mut recorder = Recorder::new(settings(&folder));
        let mut record = RunRecord::default();
        for event in &endings()["unfinished"].events[..3] {
            record.apply(event);
            recorder.event(event, &record).expect("written");
            recorder.sync(&record).expect("safe");
        }
        assert!(folder.join("junit.xml").exists() && folder.join("result.json").exists());
        let refused = RunDir::open(&folder).and_then(RunDir::lock).expect_err("it goes on");
        assert!(refused.to_string().contains("is being written by another process"), "{refused}");
    }

    #[test]
    fn reports_never_tell_more_than_the_journal_holds() {
        let parent = tempfile::tempdir().expect("a directory");
        let folder = parent.path().join("run");
        let mut recorder = Recorder::new(settings(&folder));
        let story = &endings()["pass"];
        let ahead = story.record();
        for event in &story.events[..3] {
            recorder.event(event, &ahead).expect("written");
            recorder.sync(&ahead).expect("safe");
        }
        assert!(!folder.join("result.json").exists());
    }

    #[test]
    fn a_report_that_cannot_be_written_keeps_no_other_from_it() {
        let parent = tempfile::tempdir().expect("a directory");
        let folder = parent.path().join("run");
        fs::create_dir_all(folder.join("result.json")).expect("in the way");
        let story = &endings()["fail-limit"];
        let mut recorder = Recorder::new(settings(&folder));
        let record = story.record();
        recorder.event(&story.events[0], &record).expect("written");
        let written = recorder.close(&record);
        let failed: Vec<String> = written.failed.iter().map(ToString::to_string).collect();
        assert_eq!(failed, [format!("cannot write {}", folder.join("result.json").display())]);
        assert!(folder.join("junit.xml").is_file() && folder.join("report.html").is_file());
    }
}
