//! What a run is held against beside its profile: a lot, and the guard bands of a gauge study.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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
    /// The files among them that are of simulated nodes.
    simulated: Vec<PathBuf>,
}

impl Against {
    pub(super) fn read(lot: Option<&Path>, study_file: Option<&Path>, profile: &Profile) -> Result<Self, CommandError> {
        let key = format!("{} revision {}", profile.id, profile.revision);
        let facts = lot.map(|path| read_lot(path, &key)).transpose().usage()?;
        let study = study_file.map(read_guard_bands).transpose().usage()?;
        if let (Some(path), Some(facts)) = (lot, &facts)
            && facts.values.is_empty()
        {
            let path = path.display();
            printer::tell(&format!("{path} has no value of {key} from 30 units and more: this is a first lot"));
        }
        let of_lot = lot.filter(|_| facts.as_ref().is_some_and(|facts| facts.simulated));
        let of_study = study_file.filter(|_| study.as_ref().is_some_and(|(_, simulated)| *simulated));
        let simulated = of_lot.into_iter().chain(of_study).map(Path::to_owned).collect();
        Ok(Self { lot: facts, guard_bands: study.map(|(bands, _)| bands), simulated })
    }

    /// Refuses facts of simulated nodes for hardware.
    pub(super) fn fits(&self, source: &NodeSource) -> Result<(), CommandError> {
        self.simulated.iter().try_for_each(|file| simulated_fits(file, source))
    }

    pub(super) fn with<'a>(&'a self, baseline: Option<&'a BTreeMap<String, f64>>) -> engine::Against<'a> {
        engine::Against { baseline, lot: self.lot.as_ref(), guard_bands: self.guard_bands.as_ref() }
    }
}

/// Refuses a lot that no run of an agent could be held against, before any unit finds out by a run that does not start: what
/// is none, and one of simulated nodes for hardware. Which profile it is for, each run looks for itself. `source` is asked for
/// only where it matters, since it opens the driver.
pub(super) fn lot_fits(
    lot: &Path,
    source: impl FnOnce() -> Result<NodeSource, CommandError>,
) -> Result<(), CommandError> {
    if read_lot(lot, "").usage()?.simulated { simulated_fits(lot, &source()?) } else { Ok(()) }
}

/// Whether a file of simulated nodes may be used: it says nothing of hardware.
fn simulated_fits(file: &Path, source: &NodeSource) -> Result<(), CommandError> {
    if source.is_hardware() {
        let file = file.display();
        return Err(CommandError::Usage(anyhow!(
            "{file} is of simulated nodes and says nothing of this machine's GPUs; give one that was made from runs of hardware"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn lot(folder: &Path, simulated: bool) -> PathBuf {
        let lot = serde_json::json!({
            "schema": "kiln.lot/1", "simulated": simulated, "units": 30, "runs": [], "budget_percent": 2.0, "sigmas": 4.15,
            "averages": [],
        });
        let path = folder.join(format!("lot-{simulated}.json"));
        fs::write(&path, lot.to_string()).expect("written");
        path
    }

    fn simulated() -> NodeSource {
        NodeSource::Replayed { file: "of-a-simulated-node".to_owned() }
    }

    #[test]
    fn a_lot_of_simulated_nodes_is_refused_on_hardware_by_an_agent_and_by_a_run_in_the_same_words() {
        let dir = tempfile::tempdir().expect("a folder");
        let made_up = lot(dir.path(), true);
        let said = |refused: Result<(), CommandError>| match refused {
            Err(CommandError::Usage(error)) => error.to_string(),
            other => panic!("{other:?}"),
        };
        let of_agent = said(lot_fits(&made_up, || Ok(NodeSource::Hardware)));
        let run = Against { simulated: vec![made_up.clone()], ..Against::default() };
        assert_eq!(of_agent, said(run.fits(&NodeSource::Hardware)));
        for part in [made_up.display().to_string().as_str(), "simulated nodes", "made from runs of hardware"] {
            assert!(of_agent.contains(part), "{of_agent}");
        }
        assert!(lot_fits(&made_up, || Ok(simulated())).is_ok() && run.fits(&simulated()).is_ok());
    }

    #[test]
    fn a_lot_of_hardware_asks_for_no_node() {
        let dir = tempfile::tempdir().expect("a folder");
        let real = lot(dir.path(), false);
        assert!(lot_fits(&real, || panic!("nothing need be opened")).is_ok());
        let none = dir.path().join("none.json");
        assert!(matches!(lot_fits(&none, || panic!("nothing need be opened")), Err(CommandError::Usage(_))));
    }
}
