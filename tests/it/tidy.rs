//! How the house is kept: layers, file lengths, no file unused. Read as text, so that it needs no tool but cargo.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Lowest first. Each folder but `cli` is a crate, and depends only on crates before it.
const LAYERS: &[&[&str]] = &[
    &["yaml"],
    &["model"],
    &["limit"],
    &["profile"],
    &["plan"],
    &["event"],
    &["diagnose"],
    &["lot"],
    // Messages between a floor and its agents; what each of the two decides.
    &["wire"],
    &["agent", "floor"],
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
    // Folds what a node measures into a document, and documents into facts.
    &["bench"],
    // The agent's disk, calls and processes.
    &["link"],
    // Floor and agents in virtual time, with faults, and runs of the real engine.
    &["floorsim"],
    // The floor's server: a program of its own, which the node's program knows nothing of.
    &["gate"],
    &["cli"],
];

/// Compiled for tests only.
const TEST_ONLY: &[&str] = &["engine/machine/toy.rs", "check/rig.rs"];

const LINES_MAX: usize = 500;

pub(crate) fn root() -> PathBuf {
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

pub(crate) fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    rust_files(&root().join("src"), &mut found);
    found
}

/// The crates of ours that a manifest names outside its `[dev-dependencies]`.
fn named(manifest: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut counts = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            counts = line == "[dependencies]";
        } else if counts && let Some(rest) = line.strip_prefix("kiln-") {
            found.insert(rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect());
        }
    }
    found
}

/// That there is no circle is held by the compiler; that the direction is the one agreed on, by this.
#[test]
fn every_crate_depends_only_on_crates_below_it() {
    let layer = |name: &str| LAYERS.iter().position(|layer| layer.contains(&name));
    let mut wrong = Vec::new();
    for name in LAYERS.iter().flat_map(|layer| layer.iter()).filter(|name| **name != "cli") {
        let manifest = root().join("src").join(name).join("Cargo.toml");
        let named = named(&fs::read_to_string(&manifest).expect("a manifest"));
        let below = |other: &String| layer(other) < layer(name);
        wrong.extend(named.into_iter().filter(|other| !below(other)).map(|other| format!("{name} depends on {other}")));
    }
    assert!(wrong.is_empty(), "against the direction of the layers:\n{}", wrong.join("\n"));
}

#[test]
fn the_program_for_nodes_has_no_server_in_it() {
    let named = named(&fs::read_to_string(root().join("Cargo.toml")).expect("a manifest"));
    assert!(named.contains("agent") || named.contains("link"), "the manifest is read");
    assert!(!named.contains("gate") && !named.contains("floor"), "{named:?}");
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
        if lines > LINES_MAX {
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

/// A C library computes these as the processor it runs on is fastest at, to another last digit on another processor.
#[test]
fn a_simulated_node_computes_the_same_digits_on_every_processor() {
    let mut own = Vec::new();
    for path in sources().into_iter().filter(|path| path.starts_with(root().join("src/node/sim"))) {
        let text = fs::read_to_string(&path).expect("readable source");
        for call in [
            "exp", "exp_m1", "exp2", "ln", "ln_1p", "log2", "log10", "powf", "sin", "cos", "tan", "tanh", "hypot",
            "cbrt",
        ] {
            if text.contains(&format!(".{call}(")) {
                own.push(format!("{} calls `.{call}()` instead of libm's", path.display()));
            }
        }
    }
    assert!(own.is_empty(), "{}", own.join("\n"));
}

/// A file that is renamed without its folder being synced may be empty, or the old one, after a power cut.
#[test]
fn files_take_the_place_of_others_in_one_way_that_survives_a_power_cut() {
    // A program that was received, and a database that SQLite wrote: neither is made of bytes at hand.
    let elsewhere = ["src/link/programs.rs", "src/gate/store/sqlite.rs"];
    let renames = ["fs::rename(", "renameat("];
    for file in sources() {
        let shown = file.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).expect("source");
        let production = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        for (at, _) in renames.iter().flat_map(|call| production.match_indices(call)) {
            let is_synced = elsewhere.contains(&shown.as_str()) && production[at..].contains("sync_all()");
            assert!(
                shown.starts_with("src/disk/") || is_synced,
                "{shown}: `disk::replace` puts a file in place of another"
            );
        }
    }
}

/// Which file converts numbers without a check, and why it may, stands in that file.
#[test]
fn no_crate_allows_casts_for_all_its_files() {
    let of_all = |file: &PathBuf| ["mod.rs", "lib.rs", "main.rs"].iter().any(|name| file.ends_with(name));
    let wide: Vec<PathBuf> = sources()
        .into_iter()
        .filter(|file| {
            of_all(file) && fs::read_to_string(file).expect("source").contains("#![allow(\n    clippy::cast_")
        })
        .collect();
    assert!(wide.is_empty(), "{wide:?}: allow casts in the files that need them");
}

/// The types that a crate's root offers to others: all that begins with a capital in its `pub use`.
fn offered(root: &str) -> BTreeSet<String> {
    let uses = root.split("pub use ").skip(1).filter_map(|rest| rest.split_once(';').map(|(names, _)| names));
    let names = uses.flat_map(|names| names.split(|letter: char| !letter.is_alphanumeric() && letter != '_'));
    let is_type = |name: &&str| name.starts_with(char::is_uppercase) && name.chars().any(char::is_lowercase);
    names.filter(is_type).map(str::to_owned).collect()
}

/// One name for three things is one that a reader has to look up each time.
#[test]
fn no_more_than_two_crates_offer_a_type_of_one_name() {
    assert_eq!(offered("pub use one::{At, Row};\npub use two::LEAST;"), BTreeSet::from(["At".into(), "Row".into()]));
    let mut crates: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for folder in fs::read_dir(root().join("src")).expect("readable folder") {
        let folder = folder.expect("entry").path();
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        for offered in fs::read_to_string(folder.join("mod.rs")).iter().flat_map(|text| offered(text)) {
            crates.entry(offered).or_default().insert(name.clone());
        }
    }
    assert!(crates.len() > 300, "only {} types were found", crates.len());
    let shared: Vec<_> = crates.iter().filter(|(_, crates)| crates.len() > 2).collect();
    assert!(shared.is_empty(), "{shared:?}: find another name for one of them");
}

#[test]
fn what_only_tests_need_is_no_dependency() {
    let manifest = "[dependencies]\nkiln-model.workspace = true\nserde.workspace = true\n\n[dev-dependencies]\nkiln-sim.workspace = true\n";
    assert_eq!(named(manifest), BTreeSet::from(["model".to_owned()]));
}

/// `ci/test` runs the tests that wait beside those that compute, and so it names them.
#[test]
fn the_test_command_leaves_no_tests_out() {
    let asked = ["metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"];
    let told = Command::new(env!("CARGO")).args(asked).current_dir(root()).output().expect("cargo starts");
    let told: Value = serde_json::from_slice(&told.stdout).expect("cargo's metadata");
    let targets = told["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .flat_map(|one| one["targets"].as_array().expect("targets"));
    let command = fs::read_to_string(root().join("ci/test")).expect("ci/test");
    let named: BTreeSet<&str> =
        command.split("--test ").skip(1).filter_map(|rest| rest.split_whitespace().next()).collect();
    let is_run = |target: &&Value| target["test"] == true && target["kind"][0] == "test";
    let all: BTreeSet<&str> = targets.filter(is_run).filter_map(|target| target["name"].as_str()).collect();
    assert_eq!(named, all);
}

#[test]
fn no_run_lies_among_the_sources() {
    // Where `.gitignore` looks away runs may lie.
    let ignored = ["target", "runs"];
    let folders = fs::read_dir(root()).expect("readable folder").map(|entry| entry.expect("entry").path());
    let runs: Vec<PathBuf> = folders
        .filter(|path| !ignored.iter().any(|name| path.ends_with(name)) && path.join("journal.jsonl").exists())
        .collect();
    assert!(runs.is_empty(), "{runs:?}: made by a run whose --out was not ignored: take it away");
}
