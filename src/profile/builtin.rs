//! The profiles and SKU files that are part of the program.

use std::collections::BTreeMap;

/// Name and text of each profile.
const PROFILES: &[(&str, &str)] = &[];

/// Path and text of each SKU file.
const SKUS: &[(&str, &str)] = &[];

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
