//! `kiln node`: what a node is made of, as a table for people, as JSON, or as a node file.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, anyhow};

use super::args::{NodeArgs, NodeChoice, NodeCommand};
use super::command_error::{CommandError, Sorted as _};
use super::exit_code::Exit;
use super::look::Look;
use super::{dut, files, node_table, printer, skus};
use crate::disk::{self, MIB};
use crate::model::{Inventory, Sample};
use crate::node::snapshot::{Field, FieldOrigin, NodeSnapshot, SnapshotError, decoded, node_file, read_smi};

/// The most that is read of what `nvidia-smi -q -x` wrote: eight GPUs are some hundred kilobytes.
const MOST: u64 = 64 * MIB;

/// `kiln node [--sim NODE] [--json]`, `kiln node snapshot FILE`, `kiln node import XML`.
pub(super) fn node(args: &NodeArgs) -> Result<Exit, CommandError> {
    match &args.command {
        None => show(&args.node, args.json)?,
        Some(NodeCommand::Snapshot { file, id, node }) => snapshot(node, file, id.as_deref())?,
        Some(NodeCommand::Import { xml, out, id }) => import(xml, out.as_deref(), id.as_deref())?,
    }
    Ok(Exit::Pass)
}

fn show(choice: &NodeChoice, json: bool) -> Result<(), CommandError> {
    let mut chosen = dut::choose(choice)?;
    let mut look = Look::at(&mut chosen);
    let inventory = look.inventory()?;
    let samples = look.samples(inventory.gpus.len());
    let text = if json {
        serde_json::to_string_pretty(&inventory).no_claim()?
    } else {
        node_table::text(&inventory, &samples, &chosen.source, &skus::known()?)
    };
    printer::result(&text).no_claim()
}

fn snapshot(choice: &NodeChoice, file: &Path, id: Option<&str>) -> Result<(), CommandError> {
    let mut chosen = dut::choose(choice)?;
    let mut look = Look::at(&mut chosen);
    let inventory = look.inventory()?;
    let samples = look.samples(inventory.gpus.len());
    let id = id.map_or_else(|| stem(file), str::to_owned);
    write(&inventory, &samples, &id, Some(file))
}

fn import(xml: &Path, out: Option<&Path>, id: Option<&str>) -> Result<(), CommandError> {
    let bytes = if xml == Path::new("-") {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().take(MOST + 1).read_to_end(&mut bytes);
        if read.context("standard input cannot be read").usage()? as u64 > MOST {
            return Err(CommandError::Usage(anyhow!("standard input is larger than {} MiB", MOST / MIB)));
        }
        bytes
    } else {
        disk::read(xml, MOST).with_context(|| format!("{} cannot be read", xml.display())).usage()?
    };
    let report =
        read_smi(&decoded(&bytes)).with_context(|| format!("{}: no node can be made of it", xml.display())).usage()?;
    let id = id.map_or_else(|| stem(out.unwrap_or(xml)), str::to_owned);
    write(&report.inventory, &report.samples, &id, out)
}

fn write(inventory: &Inventory, samples: &[Sample], id: &str, out: Option<&Path>) -> Result<(), CommandError> {
    let snapshot = node_file(inventory, samples, id).map_err(|error| match error {
        SnapshotError::Unfit(diagnostics) => CommandError::Placed(diagnostics),
        other => CommandError::NoClaim(other.into()),
    })?;
    let Some(file) = out else {
        printer::result(&snapshot.text).no_claim()?;
        printer::tell(&from(&snapshot));
        return Ok(());
    };
    files::write_new(file, &snapshot.text)?;
    let like = if snapshot.same_gpu {
        "which has the same GPU"
    } else {
        "whose GPU is another; treat times and heat as guesses"
    };
    for gpu in &snapshot.left_out {
        printer::tell(&format!("gpu/{} does not answer and is left out", gpu.0));
    }
    printer::tell(&from(&snapshot));
    printer::tell(&format!(
        "{}: GPUs: {}; how they heat and compute is that of {}, {like}\ntry it: kiln node --sim {}",
        file.display(),
        snapshot.gpus,
        snapshot.base,
        file.display()
    ));
    Ok(())
}

/// Where every value of the file is from.
fn from(snapshot: &NodeSnapshot) -> String {
    let mut lines = Vec::new();
    for (origin, said) in [
        (FieldOrigin::Read, "read".to_owned()),
        (FieldOrigin::Adjusted, "brought into the range of the simulation".to_owned()),
        (FieldOrigin::Template, format!("taken from {}", snapshot.base)),
        (FieldOrigin::Invented, "made up".to_owned()),
    ] {
        let of = |field: &&Field| field.origin == origin && field.failed.is_none();
        let mut paths: Vec<String> = snapshot.fields.iter().filter(of).map(|field| of_all_slots(&field.path)).collect();
        if origin == FieldOrigin::Invented {
            paths.extend(["serial numbers".to_owned(), "UUIDs".to_owned()]);
        }
        let mut seen = BTreeSet::new();
        paths.retain(|path| seen.insert(path.clone()));
        if !paths.is_empty() {
            lines.push(format!("{said}: {}", paths.join(", ")));
        }
    }
    let failed = |field: &Field| Some(format!("{} ({})", of_all_slots(&field.path), field.failed?));
    let failed: BTreeSet<String> = snapshot.fields.iter().filter_map(failed).collect();
    if !failed.is_empty() {
        let failed: Vec<String> = failed.into_iter().collect();
        lines.push(format!("answered with an error, so taken from {}: {}", snapshot.base, failed.join(", ")));
    }
    lines.join("\n")
}

/// `slots/3/address` as `slots/*/address`.
fn of_all_slots(path: &str) -> String {
    match path.strip_prefix("slots/").and_then(|rest| rest.split_once('/')) {
        Some((_, name)) => format!("slots/*/{name}"),
        None => path.to_owned(),
    }
}

/// The file's name without what follows its first dot, in letters an id may have.
fn stem(file: &Path) -> String {
    let name = file.file_name().map_or_else(|| "node".to_owned(), |name| name.to_string_lossy().to_lowercase());
    let first = name.split('.').next().unwrap_or_default();
    let id: String = first.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
    let id = id.trim_matches('-').to_owned();
    if id.is_empty() { "node".to_owned() } else { id }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_made_of_file_names() {
        let stems = ["a/H200 node_1.yaml", "-", "...", "smi.580.xml"].map(|name| stem(Path::new(name)));
        assert_eq!(stems, ["h200-node-1", "node", "node", "smi"]);
    }
}
