//! The rules a floor works by: those of its file, or those of one profile.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use kiln_floor::{Known, OrderedBy, PartsRule, Policy, Stop};
use kiln_floorsim::{RealRuns, RealRunsError};
use kiln_profile::{PartsList, Request, Skus, builtin, resolve};
use kiln_yaml::Diagnostics;

/// More than any floor's file has.
const FILE_MOST: u64 = 2 << 20;

/// Where the rules come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// One shipped profile that every unit must pass.
    Profile(String),
    File(PathBuf),
}

/// Why there are no rules.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    #[error("there is no shipped profile `{name}`; shipped are {known}")]
    Profile { name: String, known: String },
    #[error("the profile `{0}` does not resolve with these variables; run `kiln profile check {0}`")]
    Unresolved(String),
    #[error("{}: {source}", .path.display())]
    Unread { path: PathBuf, source: std::io::Error },
    #[error("{0}")]
    File(#[from] Diagnostics),
    #[error(transparent)]
    Runs(#[from] RealRunsError),
    #[error("the models of the program cannot be read; this is a defect of the program")]
    Models,
}

/// Shipped profiles that are run; what others are put together from is none.
fn profile_names() -> impl Iterator<Item = &'static str> {
    builtin::profile_names().filter(|name| *name != "base")
}

/// The digest that a profile has on every node with this version of the program.
fn stop(profile: &str, variables: &BTreeMap<String, String>, skus: &Skus) -> Result<Stop, RulesError> {
    let known = || profile_names().collect::<Vec<_>>().join(", ");
    let missing = || RulesError::Profile { name: profile.to_owned(), known: known() };
    let text = builtin::profile(profile).filter(|_| profile_names().any(|name| name == profile)).ok_or_else(missing)?;
    let file = format!("built-in:{profile}.yaml");
    let read = |path: &str| Err(format!("{path} is not shipped"));
    let set: Vec<(String, String)> = variables.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let request = Request {
        name: &file,
        bytes: text.as_bytes(),
        catalogue: kiln_check::catalogue(),
        skus,
        set: &set,
        only: None,
        read: &read,
    };
    let resolved = resolve(&request).map_err(|_| RulesError::Unresolved(profile.to_owned()))?;
    let (digest, compares_parts) = (resolved.digest().parse().ok(), PartsList::is_compared_by(&resolved));
    Ok(Stop { profile: profile.to_owned(), digest, variables: variables.clone(), compares_parts })
}

/// Reads the rules; every stop is pinned to the profile this program ships.
pub fn rules(source: &Source) -> Result<Policy, RulesError> {
    let skus = Skus::built_in().map_err(|_| RulesError::Models)?;
    let mut policy = match source {
        Source::Profile(name) => Policy::one_profile(name),
        Source::File(path) => {
            let unread = |source| RulesError::Unread { path: path.clone(), source };
            let bytes = kiln_disk::read(path, FILE_MOST).map_err(unread)?;
            let profiles: Vec<&str> = profile_names().collect();
            let codes: Vec<&str> = kiln_diagnose::entries().iter().map(|entry| entry.code).collect();
            let known = Known { profiles: &profiles, codes: &codes, skus: &skus };
            Policy::read(&path.display().to_string(), &bytes, known)?
        }
    };
    for at in &mut policy.route {
        *at = stop(&at.profile, &at.variables, &skus)?;
    }
    Ok(policy)
}

/// Runs of a profile on simulated nodes, for a simulated floor: a shipped one by its name, any other by its path.
pub fn real_runs(profile: &str, node: &str) -> Result<RealRuns, RulesError> {
    let skus = Skus::built_in().map_err(|_| RulesError::Models)?;
    let shipped = builtin::profile(profile).filter(|_| profile_names().any(|name| name == profile));
    let (name, bytes) = match shipped {
        Some(text) => (format!("built-in:{profile}.yaml"), text.as_bytes().to_vec()),
        None if kiln_disk::is_path(profile) => {
            let path = PathBuf::from(profile);
            let read = kiln_disk::read(&path, FILE_MOST);
            (profile.to_owned(), read.map_err(|source| RulesError::Unread { path, source })?)
        }
        None => {
            let known = profile_names().collect::<Vec<_>>().join(", ");
            return Err(RulesError::Profile { name: profile.to_owned(), known });
        }
    };
    let read = |path: &str| kiln_disk::read(Path::new(path), FILE_MOST).map_err(|error| error.to_string());
    let catalogue = kiln_check::catalogue();
    let request = Request { name: &name, bytes: &bytes, catalogue, skus: &skus, set: &[], only: None, read: &read };
    let profile = resolve(&request)?;
    Ok(RealRuns::of(profile, skus, node)?)
}

/// What a floor's file comes to, for a person to compare with the building.
pub fn summary(path: &Path) -> Result<String, RulesError> {
    let policy = rules(&Source::File(path.to_owned()))?;
    let site = &policy.site;
    let mut text = format!("{}: {} racks, {} slots", policy.name, site.racks().len(), site.slots().count());
    let stops: Vec<&str> = policy.route.iter().map(|stop| stop.profile.as_str()).collect();
    let _ = write!(text, "; route {}", stops.join(", "));
    text.push_str(match policy.parts {
        PartsRule::Required => "; nothing begins of a unit without a parts list",
        PartsRule::WhereThereIsOne => "; units without a parts list are tested without",
    });
    if let Some(cycles) = &policy.power_cycle {
        let by = match cycles.by {
            OrderedBy::Person => "a person may order",
            OrderedBy::Rule => "the floor orders",
        };
        let (program, after) = (cycles.program.first().map_or("", String::as_str), cycles.after.as_secs());
        let (tries, bmcs) = (cycles.tries, site.bmcs());
        let _ = write!(
            text,
            "; {by} up to {tries} power cycles of a node that is silent for {after} s, by `{program}`; slots with a BMC: {bmcs}"
        );
    }
    if let Some(upgrade) = &policy.upgrade {
        let waves: Vec<String> = upgrade.waves.iter().map(ToString::to_string).collect();
        let _ = write!(text, "; agents become {} in waves of {}", upgrade.program, waves.join(", "));
    }
    for (index, place) in site.places().iter().enumerate() {
        let below = site.racks().iter().enumerate().filter(|(rack, _)| site.above(*rack).contains(&index));
        let most: u64 = below.map(|(_, rack)| rack.draw.0 * rack.slots.len() as u64).sum();
        let full = kiln_floor::Watts(most);
        let _ = match place.limit {
            Some(limit) if limit < full => {
                write!(text, "\n{}: bears {limit}, all slots together draw up to {full}: some will wait", place.id)
            }
            Some(limit) => write!(text, "\n{}: bears {limit}, all slots together draw up to {full}", place.id),
            None => write!(text, "\n{}: all slots together draw up to {full}", place.id),
        };
    }
    Ok(text)
}
