//! From the file someone wrote to the profile as meant.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::facts::fact_units;
use super::inherit::{ReadFile, load};
use super::stage::Scope;
use super::vars::Variables;
use super::{Catalogue, Deviation, Profile, Skus, decode};
use kiln_yaml::{Diagnostics, Node};

/// Everything resolving depends on.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// What messages call the profile; parents given by path lie relative to it.
    pub name: &'a str,
    pub bytes: &'a [u8],
    pub catalogue: Catalogue,
    pub skus: &'a Skus,
    /// `--set name=value`.
    pub set: &'a [(String, String)],
    /// `--only FILTER`, recorded as a deviation; what it selects is for planning.
    pub only: Option<&'a str>,
    /// Reads parents given by path.
    pub read: ReadFile<'a>,
}

impl std::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("name", &self.name).field("set", &self.set).finish_non_exhaustive()
    }
}

/// A profile with the tree it was read from.
pub(super) struct Resolved {
    pub(super) profile: Profile,
    pub(super) root: Node,
    pub(super) variables: Variables,
}

/// Resolves a profile: parents merged, variables replaced, everything checked. All errors at once.
pub fn resolve(request: &Request<'_>) -> Result<Profile, Diagnostics> {
    resolve_with_tree(request).map(|resolved| resolved.profile)
}

pub(super) fn resolve_with_tree(request: &Request<'_>) -> Result<Resolved, Diagnostics> {
    let mut all = Diagnostics::new();
    let mut root = load(request.name, request.bytes, request.read, &mut all)?;
    let mut variables = Variables::read(&root, request.set, &mut all);
    variables.replace(&mut root, &mut all);
    variables.refuse_idle(&mut all);
    if let Some(filter) = request.only {
        variables.deviations.push(Deviation::Only { filter: filter.to_owned() });
    }
    let scope = Scope { catalogue: request.catalogue, skus: request.skus, facts: fact_units() };
    let mut decoding = Diagnostics::new();
    let profile = decode::profile(&root, &variables, &scope, &mut decoding);
    all.extend_elsewhere(decoding);
    all.or(profile).map(|profile| Resolved { profile, root, variables })
}

impl Profile {
    /// The canonical form: one line of JSON with keys in a fixed order.
    pub fn canonical_json(&self) -> String {
        // An empty text instead would give every profile the same digest.
        serde_json::to_string(self).expect("a profile is plain data with text keys, which always has a JSON form")
    }

    /// Names exactly what was run: SHA-256 of the canonical form, as `sha256:…`.
    pub fn digest(&self) -> String {
        digest_of(self.canonical_json().as_bytes())
    }
}

/// `sha256:…` of some bytes.
pub fn digest_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
