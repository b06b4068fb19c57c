//! `kiln calibrate`: benches of hardware in, proposed facts and model parameters out, as files to review.

use std::path::Path;

use anyhow::{Context as _, anyhow};

use super::args::{HardwareArgs, NodeChoice};
use super::args_bench::CalibrateArgs;
use super::command_error::{CommandError, Sorted as _};
use super::dut::choose_bench;
use super::exit_code::Exit;
use super::look::Look;
use super::signals::Interrupts;
use super::{bench, printer, skus};
use crate::bench::{Bench, Calibration, calibrate as propose, node_file_text, read, sku_file_text};
use crate::disk::{self, Folder, Keep, MIB};
use crate::model::Span;
use crate::model::Spread;
use crate::node::sim::NodeFile;
use crate::profile::builtin;

/// The most that is read of a bench: eight GPUs' steps are some megabytes.
const MOST: u64 = 256 * MIB;
/// How long each load of the simulated node runs; nobody waits for it.
const SIMULATED: Span = Span::from_secs(60);

/// `kiln calibrate BENCH.json.. [--sim NODE] [--out DIR]`.
pub(super) fn calibrate(args: &CalibrateArgs) -> Result<Exit, CommandError> {
    let benches = args.benches.iter().map(|path| one(path)).collect::<Result<Vec<_>, _>>()?;
    let first = propose(&benches, None, args.allow_stand_in).usage()?;
    let node = match &args.sim {
        Some(node) => Some(node.clone()),
        None => node_of(&first.sku)?,
    };
    let model = node.as_deref().map(simulated).transpose()?;
    let calibration = propose(&benches, model.as_ref(), args.allow_stand_in).usage()?;
    if let Some(folder) = &args.out {
        write(folder, &calibration, node.as_deref())?;
    }
    printer::result(&calibration.text()).no_claim()?;
    match node {
        Some(node) => printer::note(&format!("simulated: {node}")),
        None => {
            printer::tell("no built-in node has this model; name one with --sim to hold the measurements against it");
        }
    }
    Ok(Exit::Pass)
}

fn one(path: &Path) -> Result<(String, Bench), CommandError> {
    let shown = path.display().to_string();
    let bytes = disk::read(path, MOST).with_context(|| format!("{shown} cannot be read")).usage()?;
    let bench = read(&bytes).with_context(|| format!("{shown} cannot be used")).usage()?;
    let name = path.file_name().map_or_else(|| shown.clone(), |name| name.to_string_lossy().into_owned());
    Ok((name, bench))
}

fn choice(node: &str) -> NodeChoice {
    NodeChoice {
        sim: Some(node.to_owned()),
        replay: None,
        hardware: HardwareArgs::default(),
        faults: Vec::new(),
        seed: 1,
        spread: Spread::default(),
    }
}

/// The first built-in node whose GPUs are of this model.
fn node_of(sku: &str) -> Result<Option<String>, CommandError> {
    let skus = skus::known()?;
    for name in NodeFile::embedded() {
        let mut chosen = choose_bench(&choice(name))?;
        let gpu = Look::on(&mut *chosen.dut, &chosen.source).inventory()?.gpus.into_iter().next();
        if gpu.and_then(|gpu| skus.of(&gpu).map(|found| found.id == sku)) == Some(true) {
            return Ok(Some(name.to_owned()));
        }
    }
    Ok(None)
}

/// The same bench of the simulated node.
fn simulated(node: &str) -> Result<Bench, CommandError> {
    let signals = Interrupts::listen(|_| {})?;
    bench::measure(&mut choose_bench(&choice(node))?, (SIMULATED, 0, 1), |_| true, &signals, false)
}

fn write(folder: &Path, calibration: &Calibration, node: Option<&str>) -> Result<(), CommandError> {
    let mut made: Vec<(String, String)> = Vec::new();
    let known = builtin::sku_files();
    let facts = known.iter().find(|(path, _)| path.ends_with(&format!("/{}.yaml", calibration.sku)));
    let (_, facts) = facts.ok_or_else(|| anyhow!("there is no file of facts of `{}`", calibration.sku)).no_claim()?;
    made.push((format!("{}.yaml", calibration.sku), sku_file_text(facts, calibration)));
    if let Some(node) = node {
        let text = if let Some(text) = NodeFile::embedded_text(node) {
            text.to_owned()
        } else {
            let bytes = disk::read(Path::new(node), 16 * MIB).with_context(|| node.to_owned()).usage()?;
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let stem =
            Path::new(node).file_stem().map_or_else(|| "node".to_owned(), |stem| stem.to_string_lossy().into_owned());
        made.push((format!("{stem}.yaml"), node_file_text(&text, calibration)));
    }
    made.push(("calibration.txt".to_owned(), calibration.text()));
    let shown = folder.display();
    let open = Folder::create(folder).with_context(|| format!("{shown} cannot be made")).no_claim()?;
    for (name, text) in made {
        open.replace(&name, text.as_bytes(), Keep::Synced).with_context(|| format!("{shown}/{name}")).no_claim()?;
        printer::note(&format!("{shown}/{name}"));
    }
    Ok(())
}
