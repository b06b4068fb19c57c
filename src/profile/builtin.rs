//! The profiles and SKU files that are part of the program.

use std::collections::BTreeMap;

macro_rules! sku {
    ($id:literal) => {
        (
            concat!("profiles/skus/", $id, ".yaml"),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../profiles/skus/", $id, ".yaml")),
        )
    };
}

macro_rules! profile {
    ($id:literal) => {
        ($id, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../profiles/", $id, ".yaml")))
    };
}

/// Name and text of each profile.
const PROFILES: &[(&str, &str)] = &[
    profile!("smoke"),
    profile!("acceptance"),
    profile!("acceptance-liquid"),
    profile!("interconnect"),
    profile!("burnin-24h"),
    profile!("burnin-72h"),
    profile!("burnin-168h"),
    profile!("restarts"),
    profile!("base"),
];

/// Path and text of each SKU file.
const SKUS: &[(&str, &str)] = &[
    sku!("a100-sxm"),
    sku!("a100-sxm-40"),
    sku!("b200-sxm"),
    sku!("b300"),
    sku!("gb200"),
    sku!("gb300"),
    sku!("h100-sxm"),
    sku!("h20"),
    sku!("h200-sxm"),
    sku!("h800-sxm"),
    sku!("l4"),
    sku!("l40s"),
    sku!("rtx-pro-6000"),
    sku!("t4"),
];

/// The text of a built-in profile.
pub fn profile(name: &str) -> Option<&'static str> {
    PROFILES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

pub fn profile_names() -> impl Iterator<Item = &'static str> {
    PROFILES.iter().map(|(name, _)| *name)
}

/// Paths and texts of the built-in SKU files.
pub fn sku_files() -> BTreeMap<&'static str, &'static str> {
    SKUS.iter().copied().collect()
}
