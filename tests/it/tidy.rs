//! How the house is kept: layers, file lengths, no file unused. Read as text, so that it needs no tool.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Lowest first. A folder names only folders before it.
const LAYERS: &[&[&str]] = &[
    &["yaml"],
    &["model"],
    &["limit"],
    &["profile"],
    &["plan"],
    &["event"],
    &["diagnose"],
    &["lot"],
    &["check"],
    &["engine"],
    // How files are opened and put in place; what is below does no input or output.
    &["disk"],
    &["telemetry"],
    // Adapters: side by side, and none of them names another.
    &["node", "load", "journal", "seal", "report"],
    &["rundir"],
    // Reads records and tells of them, with the help of `report`; the nodes of a drill are `cli`'s to make.
    &["drill"],
    &["cli", "agent"],
];

/// Data, not code: as long as what they list.
const DATA: &[&str] = &["src/diagnose/catalogue_text.rs"];

/// Compiled for tests only.
const TEST_ONLY: &[&str] = &["engine/machine/toy.rs", "check/rig.rs"];

const LINES_MAX: usize = 500;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> =
        fs::read_dir(folder).expect("readable folder").map(|entry| entry.expect("entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    rust_files(&root().join("src"), &mut found);
    found
}

/// Top-level modules a source names: after `crate::`, also inside `use crate::{a::.., b::..}`.
fn named(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 1;
            let mut word = String::new();
            let mut fresh = true;
            for letter in group.chars() {
                match letter {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 1 => fresh = true,
                    _ if depth == 1 && fresh && (letter.is_alphanumeric() || letter == '_') => word.push(letter),
                    _ if depth == 1 && fresh && !word.is_empty() => {
                        found.insert(std::mem::take(&mut word));
                        fresh = false;
                    }
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
        } else {
            found.insert(rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect());
        }
    }
    found
}

#[test]
fn every_folder_names_only_folders_below_it() {
    let layer = |name: &str| LAYERS.iter().position(|layer| layer.contains(&name));
    let mut wrong = Vec::new();
    for path in sources() {
        let relative = path.strip_prefix(root().join("src")).expect("below src").to_path_buf();
        let Some(folder) = relative.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned())
        else {
            continue;
        };
        let Some(own) = layer(&folder) else { continue };
        for other in named(&fs::read_to_string(&path).expect("readable source")) {
            let Some(theirs) = layer(&other) else { continue };
            if theirs > own || (theirs == own && other != folder) {
                wrong.push(format!("{} names {other}", relative.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "against the direction of the layers:\n{}", wrong.join("\n"));
}

#[test]
fn every_folder_of_src_has_its_layer() {
    for entry in fs::read_dir(root().join("src")).expect("src") {
        let path = entry.expect("entry").path();
        let name = path.file_name().expect("name").to_string_lossy().into_owned();
        if path.is_dir() {
            assert!(LAYERS.iter().any(|layer| layer.contains(&name.as_str())), "src/{name} is in no layer");
        }
    }
}

#[test]
fn files_stay_short_enough_to_be_read() {
    let mut long = Vec::new();
    let mut all = sources();
    rust_files(&root().join("tests"), &mut all);
    for path in all {
        let lines = fs::read_to_string(&path).expect("readable source").lines().count();
        let name = path.strip_prefix(root()).expect("below the root").display().to_string();
        if lines > LINES_MAX && !DATA.contains(&name.as_str()) {
            long.push(format!("{name}: {lines} lines"));
        }
    }
    assert!(long.is_empty(), "over {LINES_MAX} lines:\n{}", long.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    for path in sources() {
        let text = fs::read_to_string(&path).expect("readable source");
        let opens = text.starts_with("//!") || text.starts_with("#![doc");
        assert!(opens, "{} does not open with a //! paragraph", path.display());
    }
}

/// Whether a run is of hardware or of a model must make no difference to what judges it.
#[test]
fn what_judges_cannot_tell_a_simulated_node() {
    let mut telling = Vec::new();
    for path in sources() {
        let relative = path.strip_prefix(root().join("src")).expect("below src").to_path_buf();
        let core = ["check", "engine", "diagnose", "limit", "plan"].iter().any(|folder| relative.starts_with(folder));
        if !core || TEST_ONLY.iter().any(|file| relative.ends_with(file)) {
            continue;
        }
        let text = fs::read_to_string(&path).expect("readable source").to_lowercase();
        for word in ["simulat", "is_hardware", "nodesource", "node_source", "\"sim"] {
            if text.contains(word) {
                telling.push(format!("{} says `{word}`", relative.display()));
            }
        }
    }
    assert!(telling.is_empty(), "{}", telling.join("\n"));
}

#[test]
fn grouped_imports_are_seen_by_the_layer_test() {
    let names = named("use crate::{model::Unit, engine::{Effect, Input}};\nuse crate::limit::Limit;\n// crate::cli\n");
    assert_eq!(names, BTreeSet::from(["engine".to_owned(), "limit".to_owned(), "model".to_owned()]));
}
