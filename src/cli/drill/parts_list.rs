//! The bill of materials that a factory has of each node, given to the profile of a run as an order would give it.
//!
//! It is read off the same node without a defect. What the profile says itself is kept.

use crate::model::{Inventory, Reading};
use crate::profile::{ParamValue, Params, Profile};

/// The check that compares a node with its parts list.
const COMPARES: &str = "inventory.match";

/// Fills in what `healthy` is made of wherever the profile compares the inventory and says nothing of it.
pub(super) fn give(profile: &mut Profile, healthy: &Inventory) {
    let list = list(healthy);
    for step in profile.stages.iter_mut().flat_map(|stage| &mut stage.steps).filter(|step| step.check == COMPARES) {
        for (name, value) in &list.0 {
            step.params.0.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
}

fn list(healthy: &Inventory) -> Params {
    let host = &healthy.host;
    let mut list = Params::default();
    let counts = [
        ("nics", host.nics.value().map(Vec::len)),
        ("nvmes", host.nvmes.value().map(Vec::len)),
        ("psus", host.psus.value().map(Vec::len)),
        ("dimms", host.dimms.get().map(usize::from)),
    ];
    for (name, count) in counts {
        // A node without any has nothing that could be missing.
        if let Some(count) = count.filter(|count| *count > 0) {
            list.0.insert(name.to_owned(), ParamValue::Count(count as u32));
        }
    }
    if let Reading::Value(fitted) = host.memory_mib {
        list.0.insert("host-memory".to_owned(), ParamValue::Number(fitted as f64));
    }
    if let Reading::Value(bios) = &healthy.node.bios {
        list.0.insert("bios".to_owned(), ParamValue::Texts(vec![format!("^{}$", regex::escape(bios))]));
    }
    let serials: Vec<String> = healthy.gpus.iter().filter_map(|gpu| gpu.identity.serial.value().cloned()).collect();
    if !serials.is_empty() {
        list.0.insert("serials".to_owned(), ParamValue::Texts(serials));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Nvme;

    #[test]
    fn what_the_node_tells_is_listed_and_what_the_profile_says_is_kept() {
        let mut healthy = crate::event::invented::inventory();
        healthy.node.bios = Reading::Value("2.3.1".to_owned());
        healthy.host.dimms = Reading::Value(32);
        let drive = Nvme { name: "nvme0n1".to_owned(), model: "M".to_owned(), serial: "S".to_owned() };
        healthy.host.nvmes = Reading::Value(vec![drive]);
        let list = list(&healthy);
        assert_eq!(list.0["bios"], ParamValue::Texts(vec![r"^2\.3\.1$".to_owned()]));
        assert_eq!(list.0["dimms"], ParamValue::Count(32));
        assert_eq!(list.0["nvmes"], ParamValue::Count(1));
        assert!(!list.0.contains_key("psus"), "the node does not tell of them");
    }
}
