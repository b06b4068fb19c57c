//! A run with everything that any output format may need.

use std::cell::{RefCell, RefMut};
use std::path::Path;

use super::readings::Readings;
use kiln_event::{Envelope, RunRecord};
use kiln_report::{Language, Languages, Paint};

/// Languages and colours of the output.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// The language of the terminal.
    pub language: Language,
    pub paint: Paint,
    /// The languages of a page.
    pub languages: Languages,
}

/// A run prepared for output.
#[derive(Debug)]
pub struct RunView<'a> {
    /// The run directory, as a path that is valid for the reader of the output.
    pub folder: &'a Path,
    pub record: &'a RunRecord,
    pub events: &'a [Envelope],
    /// What is missing from the journal, as sentences for the user.
    pub lacks: &'a [String],
    pub look: Look,
    readings: RefCell<Readings>,
    told: RefCell<Vec<String>>,
}

impl<'a> RunView<'a> {
    pub(super) fn new(
        folder: &'a Path,
        record: &'a RunRecord,
        events: &'a [Envelope],
        lacks: &'a [String],
        readings: Readings,
        look: Look,
    ) -> Self {
        let (readings, told) = (RefCell::new(readings), RefCell::new(Vec::new()));
        Self { folder, record, events, lacks, look, readings, told }
    }

    /// The same run with readings of its own, to be written from by another thread.
    pub(super) fn with(&self, readings: Readings) -> Self {
        Self::new(self.folder, self.record, self.events, self.lacks, readings, self.look)
    }

    /// Returns the telemetry of the run.
    pub(super) fn readings(&self) -> RefMut<'_, Readings> {
        self.readings.borrow_mut()
    }

    /// Records what a format had to leave out.
    pub(super) fn tell(&self, text: String) {
        let mut told = self.told.borrow_mut();
        if !told.contains(&text) {
            told.push(text);
        }
    }

    /// Returns what was left out so far, without repetitions.
    pub fn told(&self) -> Vec<String> {
        self.told.borrow().clone()
    }
}
