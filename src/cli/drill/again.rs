//! What the command of one run takes, so that it ends as it did in the drill: a drill gives its runs more than what was typed.

use std::collections::BTreeMap;
use std::path::Path;

use super::nodes::DrillNode;
use crate::cli::args::DrillArgs;
use crate::cli::skus;
use crate::drill::Drill;
use crate::profile::{PartsList, Profile};
use crate::yaml::Diagnostics;

/// The check that asks a person, whom a drill answers for.
const ASKS: &str = "operator.confirm";

/// What every such command takes.
pub(super) fn options(args: &DrillArgs, profile: &Profile) -> Vec<String> {
    let given = |option: &str, value: &str| [option.to_owned(), value.to_owned()];
    let mut words: Vec<String> = args.sets.iter().flat_map(|set| given("--set", set)).collect();
    words.extend(skus::given().into_iter().flat_map(|folder| given("--skus", &folder.display().to_string())));
    if profile.stages.iter().flat_map(|stage| &stage.steps).any(|step| step.check == ASKS) {
        words.extend(given("--answer", "yes"));
    }
    words
}

/// The bills of materials of the runs that went wrong, by the name of each one's file in the drill's folder; the drill is told of them.
pub(super) fn parts_lists(
    drill: &mut Drill,
    (nodes, profile): (&[DrillNode], &Profile),
    folder: &Path,
) -> Result<BTreeMap<String, String>, Diagnostics> {
    let mut files = BTreeMap::new();
    if !drill.parts_list || !PartsList::is_compared_by(profile) {
        return Ok(files);
    }
    for (at, node) in nodes.iter().enumerate() {
        let missed = drill.rows.iter().filter(|row| row.node == node.name).flat_map(|row| row.cells.iter().flatten());
        let missed = missed.flat_map(|cell| &cell.misses).map(|miss| miss.seed);
        let alarms = drill.healthy.iter().filter(|healthy| healthy.node == node.name);
        let alarms = alarms.flat_map(|healthy| &healthy.alarms).map(|alarm| alarm.seed);
        let mut own = BTreeMap::new();
        for seed in missed.chain(alarms) {
            let Some(healthy) = node.inventory(seed)? else { continue };
            // A node may be a path, and is no name for a file.
            let name =
                if nodes.len() == 1 { format!("parts-{seed}.yaml") } else { format!("parts-{}-{seed}.yaml", at + 1) };
            own.insert(seed, folder.join(&name).display().to_string());
            files.insert(name, PartsList::as_ordered(&healthy).to_yaml());
        }
        if !own.is_empty() {
            drill.parts_files.insert(node.name.clone(), own);
        }
    }
    Ok(files)
}
