//! A run with all that any form of telling it may need.

use std::cell::{RefCell, RefMut};
use std::path::Path;

use super::readings::Readings;
use kiln_event::{Envelope, RunRecord};
use kiln_report::{Language, Languages, Paint};

/// How people are told.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Of a terminal.
    pub language: Language,
    pub paint: Paint,
    /// Of a page.
    pub languages: Languages,
}

/// A run ready to be told.
#[derive(Debug)]
pub struct RunView<'a> {
    /// The run directory, as it is reached from where a reader looks.
    pub folder: &'a Path,
    pub record: &'a RunRecord,
    pub events: &'a [Envelope],
    /// What is missing of the journal, in words.
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

    /// The readings of the run.
    pub(super) fn readings(&self) -> RefMut<'_, Readings> {
        self.readings.borrow_mut()
    }

    /// Notes what a form had to leave out.
    pub(super) fn tell(&self, text: String) {
        let mut told = self.told.borrow_mut();
        if !told.contains(&text) {
            told.push(text);
        }
    }

    /// What was left out so far, each once.
    pub fn told(&self) -> Vec<String> {
        self.told.borrow().clone()
    }
}
