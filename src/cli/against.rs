//! What a run is held against beside its profile: a lot, and the guard bands of a gauge study.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::anyhow;

use super::command_error::{CommandError, Sorted as _};
use super::printer;
use crate::engine;
use crate::event::{LotFacts, NodeSource};
use crate::profile::Profile;
use crate::rundir::{read_guard_bands, read_lot};

/// What was given on the command line.
#[derive(Debug, Default)]
pub(super) struct Against {
    pub lot: Option<LotFacts>,
    pub guard_bands: Option<BTreeMap<String, f64>>,
    /// Whether any of it is of simulated nodes.
    simulated: bool,
}

impl Against {
    pub(super) fn read(lot: Option<&Path>, study: Option<&Path>, profile: &Profile) -> Result<Self, CommandError> {
        let key = format!("{} revision {}", profile.id, profile.revision);
        let facts = lot.map(|path| read_lot(path, &key)).transpose().usage()?;
        let study = study.map(read_guard_bands).transpose().usage()?;
        if let (Some(path), Some(facts)) = (lot, &facts)
            && facts.values.is_empty()
        {
            let path = path.display();
            printer::tell(&format!("{path} has no value of {key} from 30 units and more: this is a first lot"));
        }
        let simulated =
            facts.as_ref().is_some_and(|facts| facts.simulated) || study.as_ref().is_some_and(|(_, of)| *of);
        Ok(Self { lot: facts, guard_bands: study.map(|(bands, _)| bands), simulated })
    }

    /// Refuses facts of simulated nodes for hardware: they say nothing of it.
    pub(super) fn fits(&self, source: &NodeSource) -> Result<(), CommandError> {
        if self.simulated && source.is_hardware() {
            let error =
                anyhow!("this lot or gauge study is of simulated nodes; give one that was made from runs of hardware");
            return Err(CommandError::Usage(error));
        }
        Ok(())
    }

    pub(super) fn with<'a>(&'a self, baseline: Option<&'a BTreeMap<String, f64>>) -> engine::Against<'a> {
        engine::Against { baseline, lot: self.lot.as_ref(), guard_bands: self.guard_bands.as_ref() }
    }
}
