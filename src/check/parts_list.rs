//! What only a bill of materials knows: how many parts a node must have, which serial numbers and which BIOS.
//!
//! The list comes with the step's parameters. What it does not say is not compared; what it says and the node does not tell
//! is missing, for a part that nobody could look for has not been found.

use regex::Regex;

use super::sheet::{Gauged, Sheet};
use kiln_event::BadParameter;
use kiln_limit::Missing;
use kiln_model::{Component, Gpu, Inventory};
use kiln_profile::Params;

/// Holds the node against the list.
pub(super) fn put_parts_list(sheet: &mut Sheet<'_>, params: &Params, found: &Inventory) -> Result<(), BadParameter> {
    let (node, host) = (Component::Node, &found.host);
    let lacking = |param: &str, fitted: Gauged| match (params.count(param), fitted.number()) {
        (None, _) => Gauged::Unsupported,
        (Some(expected), Some(fitted)) => Gauged::once((f64::from(expected) - fitted).max(0.0)),
        (Some(_), None) => told(fitted, param),
    };
    sheet.put("nics.missing", node, lacking("nics", Gauged::of(&host.nics, |nics| Gauged::count(nics.len()))));
    sheet.put("nvmes.missing", node, lacking("nvmes", Gauged::of(&host.nvmes, |nvmes| Gauged::count(nvmes.len()))));
    sheet.put("psus.missing", node, lacking("psus", Gauged::of(&host.psus, |psus| Gauged::count(psus.len()))));
    sheet.put("dimms.missing", node, lacking("dimms", Gauged::number_of(&host.dimms)));
    let seen = Gauged::whole_of(&host.memory_mib);
    let share = match (params.number("host-memory"), seen.number()) {
        (None, _) => Gauged::Unsupported,
        (Some(fitted), Some(seen)) => Gauged::once(seen * 100.0 / fitted),
        (Some(_), None) => told(seen, "host-memory"),
    };
    sheet.put("memory.host.share", node, share);
    let bios = match params.texts("bios") {
        None => Gauged::Unsupported,
        Some(patterns) => told(Gauged::of(&found.node.bios, matcher("bios", patterns)?), "bios"),
    };
    sheet.put("bios.allowed", node, bios);
    for gpu in &found.gpus {
        sheet.put("serial.expected", Component::Gpu(gpu.index), serial_expected(params, gpu));
    }
    Ok(())
}

fn serial_expected(params: &Params, gpu: &Gpu) -> Gauged {
    let Some(serials) = params.texts("serials") else { return Gauged::Unsupported };
    told(Gauged::of(&gpu.identity.serial, |serial| Gauged::Flag(serials.contains(serial))), "serials")
}

/// Whether a text matches one of the patterns.
pub(super) fn matcher(param: &str, patterns: &[String]) -> Result<impl Fn(&String) -> Gauged + use<>, BadParameter> {
    let patterns: Result<Vec<Regex>, _> = patterns.iter().map(|pattern| Regex::new(pattern)).collect();
    let patterns = patterns.map_err(|why| BadParameter::Pattern { param: param.to_owned(), error: why.to_string() })?;
    Ok(move |text: &String| Gauged::Flag(patterns.iter().any(|pattern| pattern.is_match(text))))
}

/// What the list asks for and the node does not offer to tell.
pub(super) fn told(gauged: Gauged, param: &str) -> Gauged {
    match gauged {
        Gauged::Unsupported => Gauged::Missing(Missing::NotTold { param: param.to_owned() }),
        gauged => gauged,
    }
}
