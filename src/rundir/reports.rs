//! The reports of a run directory: all files that are derived from the recorded ones. Each is replaced as a whole or not at
//! all.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::thread;

use super::error::RunDirError;
use super::format::{FORMATS, Form, Format, FormatError};
use super::readings::Readings;
use super::run_dir::{Run, RunDir};
use super::view::{Look, RunView};
use kiln_disk::{Folder, JUNIT, Keep, OCPTV, PAGE, RunFile};
use kiln_report::{Junit, Language, Languages};

/// The outcome of writing the reports.
#[derive(Debug, Default)]
pub struct Written {
    /// What had to be left out, as sentences for the user.
    pub told: Vec<String>,
    /// Files that could not be written. All others were written.
    pub failed: Vec<RunDirError>,
}

impl Written {
    /// Returns the first failure, if any.
    pub fn first_failure(self) -> Result<(), RunDirError> {
        self.failed.into_iter().next().map_or(Ok(()), Err)
    }
}

impl RunDir {
    /// Writes every report of the run. A report that fails does not stop the others. The run must be locked.
    pub fn write_reports(&self, run: &Run, look: Look) -> Result<Written, RunDirError> {
        if self.is_sealed() {
            return Err(RunDirError::Sealed { path: self.path().to_owned() });
        }
        Ok(write_all(self.folder(), &self.view(run, look)?, &[]))
    }
}

/// Writes every report except those that are skipped. A report that fails does not stop the others. The telemetry, half of
/// the work, is written beside the rest and read by itself.
pub(super) fn write_all(folder: &Folder, view: &RunView<'_>, without: &[RunFile]) -> Written {
    let beside = view.with(Readings::open(folder));
    let (mut written, of_telemetry) = thread::scope(|scope| {
        let of_telemetry = scope.spawn(move || write_those(Form::is_binary, folder, &beside, without));
        let rest = write_those(|form| !form.is_binary(), folder, view, without);
        (rest, of_telemetry.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    written.failed.extend(of_telemetry.failed);
    for text in of_telemetry.told {
        if !written.told.contains(&text) {
            written.told.push(text);
        }
    }
    written
}

fn write_those(these: fn(Form) -> bool, folder: &Folder, view: &RunView<'_>, without: &[RunFile]) -> Written {
    let mut failed = Vec::new();
    for format in FORMATS.into_iter().filter(|format| these(format.form())) {
        let Some(file) = format.file(view.record).filter(|file| !without.contains(file)) else { continue };
        match write(folder, view, format, file, Keep::Synced) {
            Ok(()) => {}
            // The run's other reports do not rest on it.
            Err(FormatError::NoTelemetry(why)) => view.tell(why),
            Err(source) => {
                failed.push(RunDirError::Unwritten { path: folder.path().join(file.name), source });
            }
        }
    }
    Written { told: view.told(), failed }
}

/// Writes one report into a run directory.
pub(super) fn write(
    folder: &Folder,
    view: &RunView<'_>,
    format: &dyn Format,
    file: RunFile,
    keep: Keep,
) -> Result<(), FormatError> {
    if let Some((inside, _)) = file.name.rsplit_once('/')
        && !folder.has(inside)
    {
        view.readings().reader().map_err(FormatError::NoTelemetry)?;
    }
    let mut part = folder.begin(file.name)?;
    format.write(view, &mut part)?;
    part.flush()?;
    Ok(part.commit(keep)?)
}

/// Returns every byte sequence that each report of the run may have. A page may be in any language. A JUnit file with
/// attachments contains the folder as the user typed it; that name is taken from `junit`, the file as it is now.
pub fn rebuilt(dir: &RunDir, run: &Run, junit: Option<&[u8]>) -> Result<BTreeMap<String, Vec<Vec<u8>>>, RunDirError> {
    let mut all: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for languages in Languages::ALL {
        let look = Look { language: Language::English, paint: kiln_report::Paint::Plain, languages };
        let mut view = dir.view(run, look)?;
        let folder = junit.and_then(Junit::folder_in);
        for format in FORMATS {
            let Some(file) = format.file(&run.record) else { continue };
            let variants = all.entry(file.name.to_owned()).or_default();
            if !variants.is_empty() && file != PAGE {
                continue;
            }
            let named = view.folder;
            if file == JUNIT {
                view.folder = folder.as_deref().unwrap_or(named);
            }
            let mut bytes = Vec::new();
            match format.write(&view, &mut bytes) {
                Ok(()) => variants.push(bytes),
                Err(FormatError::NoTelemetry(_)) => {}
                Err(source) => {
                    return Err(RunDirError::Unwritten { path: dir.path().join(file.name), source });
                }
            }
            view.folder = named;
        }
    }
    debug_assert!(all.contains_key(OCPTV.name));
    Ok(all)
}
