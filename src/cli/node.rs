//! `kiln node`: what a node is made of, as a table for people or as JSON.

use std::fmt::Write as _;

use super::args::NodeArgs;
use super::exit_code::Exit;
use super::profile::read_inventory;
use super::trouble::{Sorted as _, Trouble};
use super::{files, printer, station};
use crate::event::NodeSource;
use crate::model::{Gpu, Inventory, LinkState, Reading};
use crate::profile::Skus;

/// `kiln node [--sim NODE] [--json]`.
pub(super) fn node(args: &NodeArgs) -> Result<Exit, Trouble> {
    let mut chosen = station::choose(&args.node)?;
    let inventory = read_inventory(&mut *chosen.station)?;
    let text = if args.json {
        serde_json::to_string_pretty(&inventory).no_claim()?
    } else {
        table(&inventory, &chosen.source, &files::skus()?)
    };
    printer::result(&text).no_claim()?;
    Ok(Exit::Pass)
}

fn table(inventory: &Inventory, source: &NodeSource, skus: &Skus) -> String {
    let mut text = String::new();
    if let NodeSource::Simulated { node, seed, .. } = source {
        let _ = writeln!(text, "SIMULATED node {node}, seed {seed}");
    }
    let node = &inventory.node;
    let _ =
        writeln!(text, "{}, serial {}, driver {}, CUDA {}", node.model, node.serial, inventory.driver, inventory.cuda);
    let host = &inventory.host;
    let _ = writeln!(
        text,
        "{}, {} CPUs, {} MiB, clock source {}",
        host.cpu_model, host.cpus, host.memory_mib, host.clock_source
    );
    text.push_str(
        "\ngpu  slot    sku         PCI address       serial           VBIOS           memory     power   links\n",
    );
    for gpu in &inventory.gpus {
        let sku = skus.of(gpu).map_or("unknown", |sku| sku.id.as_str());
        let identity = &gpu.identity;
        let _ = writeln!(
            text,
            "{:<4} {:<7} {sku:<11} {:<17} {:<16} {:<15} {:>6} MiB {:>5} W  {}",
            gpu.index.0,
            identity.slot.to_string(),
            identity.pci_address.to_string(),
            identity.serial.to_string(),
            identity.vbios.to_string(),
            gpu.memory_mib.to_string(),
            gpu.power.enforced.to_string(),
            links(gpu)
        );
    }
    text
}

fn links(gpu: &Gpu) -> String {
    match &gpu.nvlinks {
        Reading::Value(links) if links.is_empty() => "none".to_owned(),
        Reading::Value(links) => {
            let active = links.iter().filter(|link| link.state == Reading::Value(LinkState::Active)).count();
            format!("{active} of {}", links.len())
        }
        other => other.clone().map(|_| "").to_string(),
    }
}
