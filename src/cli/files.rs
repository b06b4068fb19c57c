//! Finding what the command line names: profiles by name or path, SKU facts, `--set` pairs.

use std::io;
use std::path::Path;

use anyhow::{Context as _, anyhow};

use super::command_error::{CommandError, Sorted as _};
use crate::check;
use crate::disk::{self, MIB};
use crate::profile::{self, Explanation, Profile, Request, Skus, builtin};
use crate::yaml::Diagnostics;

/// The most that is read of a profile. The YAML reader's own limit is below, and says so better.
const MOST: u64 = 16 * MIB;

/// A profile's text with the name that messages call it by.
#[derive(Debug)]
pub(super) struct ProfileFile {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// Writes a file that must not be there yet.
pub(super) fn write_new(file: &Path, text: &str) -> Result<(), CommandError> {
    match disk::create_new(file, text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let file = file.display();
            Err(CommandError::Usage(anyhow!("{file} is there already; remove it or name another file")))
        }
        other => other.with_context(|| format!("{} cannot be written", file.display())).no_claim(),
    }
}

/// A built-in profile by its name, anything else by path.
pub(super) fn find_profile(name: &str) -> Result<ProfileFile, CommandError> {
    let is_path = disk::is_path(name);
    if let (false, Some(text)) = (is_path, builtin::profile(name)) {
        return Ok(ProfileFile { name: format!("built-in:{name}.yaml"), bytes: text.as_bytes().to_vec() });
    }
    match disk::read(Path::new(name), MOST) {
        Ok(bytes) => Ok(ProfileFile { name: name.to_owned(), bytes }),
        Err(error) if is_path => Err(error).with_context(|| format!("profile `{name}` cannot be read")).usage(),
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("profile `{name}` cannot be read")).usage()
        }
        Err(_) => {
            let known: Vec<&str> = builtin::profile_names().collect();
            let hint = crate::yaml::did_you_mean(name, known.iter().copied())
                .map_or_else(String::new, |hint| format!("; {hint}"));
            let error = anyhow!(
                "there is no built-in profile `{name}` and no such file; built in are {}{hint}",
                known.join(", ")
            );
            Err(CommandError::Usage(error))
        }
    }
}

/// `--set NAME=VALUE` taken apart.
pub(super) fn sets(sets: &[String]) -> Result<Vec<(String, String)>, CommandError> {
    sets.iter()
        .map(|set| {
            set.split_once('=')
                .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
                .ok_or_else(|| anyhow!("`--set {set}` is not NAME=VALUE, such as `--set soak=2h`"))
        })
        .collect::<Result<_, _>>()
        .usage()
}

/// What is asked of a profile: its parents are read beside it.
fn request<'a>(
    file: &'a ProfileFile,
    skus: &'a Skus,
    set: &'a [(String, String)],
    only: Option<&'a str>,
) -> Request<'a> {
    let read = &|path: &str| disk::read(Path::new(path), MOST).map_err(|error| error.to_string());
    Request { name: &file.name, bytes: &file.bytes, catalogue: check::catalogue(), skus, set, only, read }
}

/// Resolves a profile with all its mistakes told at once.
pub(super) fn resolve(
    file: &ProfileFile,
    skus: &Skus,
    set: &[(String, String)],
    only: Option<&str>,
) -> Result<Profile, CommandError> {
    Ok(profile::resolve(&request(file, skus, set, only))?)
}

/// What of a profile deserves a second look, rendered; empty where nothing does.
pub(super) fn warnings(
    file: &ProfileFile,
    skus: &Skus,
    set: &[(String, String)],
    has_baseline: bool,
) -> Result<String, CommandError> {
    Ok(second_looks(file, skus, set, has_baseline)?.render_warnings(false))
}

/// What of a profile deserves a second look, each with its place.
pub(super) fn second_looks(
    file: &ProfileFile,
    skus: &Skus,
    set: &[(String, String)],
    has_baseline: bool,
) -> Result<Diagnostics, CommandError> {
    let request = request(file, skus, set, None);
    let today = super::drive::now().to_zoned_datetime(jiff::tz::TimeZone::UTC).date();
    Ok(profile::warnings(&request, today, has_baseline)?)
}

/// The profile with the origin of each value.
pub(super) fn explain(file: &ProfileFile, skus: &Skus, set: &[(String, String)]) -> Result<Explanation, CommandError> {
    let request = request(file, skus, set, None);
    Ok(profile::explain(&request)?)
}
