//! What is known of GPU models: built in, from `--skus DIR`, and from a folder `skus` beside the profile; and `kiln sku`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context as _, anyhow};

use super::args::Listed;
use super::args_profile::SkuCommand;
use super::command_error::{CommandError, Sorted as _};
use super::exit_code::Exit;
use super::language::Spoken;
use super::look::read_inventory;
use super::{dut, list, printer};
use crate::disk::{self, MIB};
use crate::profile::{Skus, builtin, sku_draft};

/// The folder of `--skus`, set once from the command line.
static GIVEN: OnceLock<PathBuf> = OnceLock::new();

/// The folder beside a profile that is looked in without being asked.
const BESIDE: &str = "skus";

/// Takes the folder that the command line names.
pub(super) fn look_in(folder: PathBuf) {
    // A second call would be a defect of ours, and no reason to refuse a command.
    let _ = GIVEN.set(folder);
}

/// The folder that was given.
pub(super) fn given() -> Option<&'static PathBuf> {
    GIVEN.get()
}

/// `kiln sku new|list`.
pub(super) fn sku(command: SkuCommand, spoken: Spoken) -> Result<Exit, CommandError> {
    match command {
        SkuCommand::New { id, node } => {
            let mut chosen = dut::choose(&node)?;
            let text = sku_draft(&id, &read_inventory(&mut chosen)?).usage()?;
            printer::result(&text).no_claim()?;
            printer::tell(&format!(
                "fill in what is behind `#`, save it as skus/{id}.yaml beside a profile that says `skus: [{id}]`, or give its folder \
                 with --skus"
            ));
            Ok(Exit::Pass)
        }
        SkuCommand::List { json } => list::list(Listed::Skus, json, spoken.console()),
    }
}

/// Every model that is known without a profile.
pub(super) fn known() -> Result<Skus, CommandError> {
    read(&[])
}

/// The digest of the facts of each model that is not built in, by its id.
pub(super) fn own_digests(skus: &Skus) -> BTreeMap<String, String> {
    let built_in: Vec<&str> =
        builtin::sku_files().into_keys().filter_map(|path| Path::new(path).file_stem()?.to_str()).collect();
    let own = skus.0.iter().filter(|sku| !built_in.contains(&sku.id.as_str()));
    own.map(|sku| (sku.id.clone(), sku.digest())).collect()
}

/// Refuses to take up a run whose limits stood on other facts of a model than are here.
pub(super) fn same_facts(then: &BTreeMap<String, String>, skus: &Skus) -> Result<(), CommandError> {
    let here = own_digests(skus);
    for (id, digest) in then {
        let error = match here.get(id) {
            Some(now) if now == digest => continue,
            Some(now) => anyhow!(
                "the run was begun with other facts about `{id}` ({digest}) than are here ({now}); give the folder with the file \
                 of then with --skus, or start the run anew"
            ),
            None => anyhow!(
                "the run was begun with facts about `{id}`, which is not built in; give the folder of its SKU file with --skus"
            ),
        };
        return Err(CommandError::Usage(error));
    }
    Ok(())
}

/// Every model that is known to a profile of this name.
pub(super) fn of_profile(profile: &str) -> Result<Skus, CommandError> {
    let is_path = disk::is_path(profile);
    let beside = Path::new(profile).parent().unwrap_or(Path::new("")).join(BESIDE);
    if is_path && beside.is_dir() { read(&[beside]) } else { known() }
}

fn read(more: &[PathBuf]) -> Result<Skus, CommandError> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut seen = BTreeSet::new();
    for folder in GIVEN.get().into_iter().chain(more) {
        // One folder given twice is one folder, however it is spelled.
        if seen.insert(folder.canonicalize().unwrap_or_else(|_| folder.clone())) {
            files.extend(in_folder(folder)?);
        }
    }
    let built_in = builtin::sku_files().into_iter().map(|(name, text)| (name, text.as_bytes()));
    let own = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    Ok(Skus::read(built_in.chain(own))?)
}

/// The SKU files of a folder, by name. A folder without any was not meant.
fn in_folder(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, CommandError> {
    let shown = folder.display();
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("the SKU files in {shown} cannot be read")).usage()?;
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|end| end == "yaml" || end == "yml");
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.with_context(|| format!("the SKU files in {shown} cannot be read")).usage()?.path());
    }
    paths.retain(is_yaml);
    paths.sort();
    if paths.is_empty() {
        return Err(CommandError::Usage(anyhow!("{shown} holds no SKU file; make one with `kiln sku new`")));
    }
    let one = |path: &PathBuf| {
        let name = path.display().to_string();
        let bytes = disk::read(path, MIB).with_context(|| format!("the SKU file {name} cannot be read")).usage()?;
        Ok((name, bytes))
    };
    paths.iter().map(one).collect()
}
