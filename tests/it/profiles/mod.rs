//! Profiles as people write them: every mistake has its message, and what is right resolves as written.

mod catalogue;
mod resolving;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use kiln::profile::{Profile, Request, Skus, resolve};
use kiln::yaml::Diagnostics;

use catalogue::CATALOGUE;

const INVALID: &str = "fixtures/profiles-invalid";

pub(crate) fn read(path: &str) -> Result<Vec<u8>, String> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).map_err(|_| "there is no such file".to_owned())
}

/// Resolves a file of this repository.
fn resolve_file(path: &str) -> Result<Profile, Diagnostics> {
    let bytes = read(path).expect("the fixture");
    let skus = Skus::built_in().expect("SKUs");
    resolve(&Request {
        name: path,
        bytes: &bytes,
        catalogue: CATALOGUE,
        skus: &skus,
        set: &[],
        only: None,
        read: &read,
    })
}

fn stems(folder: &str, extension: &str) -> BTreeSet<String> {
    fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|other| other == extension))
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect()
}

#[test]
fn every_invalid_profile_has_one_mistake_and_its_message() {
    let names = stems(INVALID, "yaml");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("messages");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut unexpected = Vec::new();
    settings.bind(|| {
        for name in &names {
            match resolve_file(&format!("{INVALID}/{name}.yaml")) {
                Ok(_) => unexpected.push(format!("{name} resolves")),
                Err(errors) if errors.len() > 1 => {
                    unexpected.push(format!("{name} has more than one mistake:\n{errors}"));
                }
                Err(errors) => insta::assert_snapshot!(name.as_str(), errors.render(false)),
            }
        }
    });
    assert!(unexpected.is_empty(), "{}", unexpected.join("\n\n"));
    assert_eq!(
        stems("tests/it/profiles/messages", "snap"),
        names,
        "a message for every file and a file for every message"
    );
}
