//! GPU models that are not built in: a SKU file of one's own, by `--skus` or beside the profile, without a compiler.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::kiln;

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder with a node of a model that nobody knows, `node.yaml`, and a profile for it, `mine.yaml`.
fn workplace() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path().to_path_buf();
    let shipped = |path: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path);
    let node = shipped("fixtures/nodes/pcie-l40s-8.yaml")
        .replace("pci_device: 26b910de", "pci_device: fff010de")
        .replace("name: NVIDIA L40S", "name: NVIDIA Example X1");
    fs::write(at.join("node.yaml"), node).expect("written");
    let sku = shipped("profiles/skus/l40s.yaml")
        .replace("id: l40s", "id: example-x1")
        .replace("  - NVIDIA L40S", "  - NVIDIA Example X1")
        .replace("\"26b9\"", "\"fff0\"");
    fs::create_dir(at.join("models")).expect("made");
    fs::write(at.join("models/example-x1.yaml"), sku).expect("written");
    let profile =
        "schema: kiln.profile/1\nid: mine\nrevision: 1\ntitle: { en: Mine }\nextends: smoke\nskus: [example-x1]\n";
    fs::write(at.join("mine.yaml"), profile).expect("written");
    (folder, at)
}

fn run(at: &Path, more: &[&str]) -> Output {
    let text = |path: PathBuf| path.to_str().expect("utf-8").to_owned();
    let (profile, node, out) = (text(at.join("mine.yaml")), text(at.join("node.yaml")), text(at.join("run")));
    let mut arguments = vec!["run", &profile, "--sim", &node, "--out", &out];
    arguments.extend(more);
    kiln(&arguments)
}

#[test]
fn a_model_of_ones_own_is_known_by_its_folder_or_beside_the_profile() {
    let (_folder, at) = workplace();
    let refused = run(&at, &[]);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    let given = run(&at, &["--skus", at.join("models").to_str().expect("utf-8")]);
    assert_eq!(given.status.code(), Some(0), "{}", stderr(&given));
    fs::remove_dir_all(at.join("run")).expect("removed");
    fs::rename(at.join("models"), at.join("skus")).expect("moved");
    let beside = run(&at, &[]);
    assert_eq!(beside.status.code(), Some(0), "{}", stderr(&beside));
}

#[test]
fn an_unknown_model_is_told_how_to_teach_and_the_draft_of_it_is_refused_until_it_is_filled_in() {
    let (_folder, at) = workplace();
    let node = at.join("node.yaml");
    let node = node.to_str().expect("utf-8");
    let unknown = kiln(&["run", "smoke", "--sim", node, "--out", at.join("run").to_str().expect("utf-8")]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).contains("kiln sku new"), "{}", stderr(&unknown));
    let draft = kiln(&["sku", "new", "example-x1", "--sim", node]);
    assert_eq!(draft.status.code(), Some(0), "{}", stderr(&draft));
    assert!(String::from_utf8_lossy(&draft.stdout).contains("- device: fff0\n"));
    fs::write(at.join("models/example-x1.yaml"), &draft.stdout).expect("written");
    let early = run(&at, &["--skus", at.join("models").to_str().expect("utf-8")]);
    assert_eq!(early.status.code(), Some(2));
    assert!(stderr(&early).contains("the fact `memory.bandwidth` is missing"), "{}", stderr(&early));
}

#[test]
fn a_sku_file_with_an_unknown_key_or_a_folder_without_any_is_refused() {
    let (_folder, at) = workplace();
    let file = at.join("models/example-x1.yaml");
    let text = fs::read_to_string(&file).expect("text");
    fs::write(&file, format!("{text}colour: green\n")).expect("written");
    let models = at.join("models");
    let models = models.to_str().expect("utf-8");
    let listed = kiln(&["sku", "list", "--skus", models]);
    assert_eq!(listed.status.code(), Some(2), "{}", stderr(&listed));
    assert!(stderr(&listed).contains("colour"), "{}", stderr(&listed));
    fs::remove_file(&file).expect("removed");
    let empty = kiln(&["sku", "list", "--skus", models]);
    assert_eq!(empty.status.code(), Some(2));
    assert!(stderr(&empty).contains("holds no SKU file"), "{}", stderr(&empty));
}

/// Takes the second half of a run's journal away, as a crash in the middle leaves it.
fn cut(run: &Path) {
    let path = run.join("journal.jsonl");
    let text = fs::read_to_string(&path).expect("a journal");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    fs::write(&path, lines[..lines.len() / 2].concat()).expect("cut");
}

#[test]
fn a_run_is_taken_up_with_the_facts_it_was_begun_with_and_with_no_others() {
    let (_folder, at) = workplace();
    let models = at.join("models");
    let given = ["--skus", models.to_str().expect("utf-8")];
    assert_eq!(run(&at, &given).status.code(), Some(0));
    let out = at.join("run");
    let result = fs::read_to_string(out.join("result.json")).expect("result.json");
    assert!(result.contains("\"sku_digests\"") && result.contains("\"example-x1\""), "the facts are named");
    cut(&out);
    let file = models.join("example-x1.yaml");
    let whole = fs::read_to_string(&file).expect("facts");
    let resume = || kiln(&["resume", out.to_str().expect("utf-8"), given[0], given[1]]);
    fs::write(&file, whole.replacen("350 W", "300 W", 1)).expect("written");
    assert_ne!(whole, fs::read_to_string(&file).expect("facts"), "the file says 350 W");
    let other = resume();
    assert_eq!(other.status.code(), Some(2), "{}", stderr(&other));
    assert!(stderr(&other).contains("other facts about `example-x1`"), "{}", stderr(&other));
    fs::write(&file, whole).expect("written");
    let same = resume();
    assert_eq!(same.status.code(), Some(0), "{}", stderr(&same));
}

#[test]
fn a_run_judged_again_by_other_facts_says_so() {
    let (_folder, at) = workplace();
    let (models, mine) = (at.join("models"), at.join("mine.yaml"));
    let (models, mine) = (models.to_str().expect("utf-8"), mine.to_str().expect("utf-8"));
    let ran = run(&at, &["--skus", models]);
    assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));
    let again = || {
        let run = at.join("run");
        let output = kiln(&["rejudge", run.to_str().expect("utf-8"), "--profile", mine, "--skus", models, "--all"]);
        format!("{}{}", String::from_utf8_lossy(&output.stdout), stderr(&output))
    };
    let told = "the facts about `example-x1` are not those of then";
    assert!(!again().contains(told), "{}", again());
    let file = at.join("models/example-x1.yaml");
    let facts = fs::read_to_string(&file).expect("a SKU file");
    let other = facts.replacen("value: 350 W", "value: 345 W", 1);
    assert_ne!(facts, other);
    fs::write(&file, other).expect("written");
    assert!(again().contains(told), "{}", again());
}
