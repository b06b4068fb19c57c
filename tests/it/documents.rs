//! Holds what the documents promise against the program and the tree: their links lead somewhere, the commands in them
//! exist, the files in them are valid, and the README stays short.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Output};

use regex::Regex;

/// One page on a large screen, and no line that wraps on it.
const README_LINES: usize = 120;
const README_COLUMNS: usize = 120;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn kiln(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kiln")).args(arguments).env("COLUMNS", "200").output().expect("kiln starts")
}

/// Every document, by its path from the root of the tree.
fn documents() -> BTreeMap<PathBuf, String> {
    let named = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "src/ARCHITECTURE.md"].map(PathBuf::from);
    let mut folders = vec![PathBuf::from("docs")];
    let mut paths = named.to_vec();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).expect("a folder") {
            let name = entry.expect("an entry").file_name();
            let path = folder.join(&name);
            if root().join(&path).is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                paths.push(path);
            }
        }
    }
    let read = |path: PathBuf| {
        let text = fs::read_to_string(root().join(&path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

/// The fenced blocks of a document, with what stands behind their fences.
fn blocks(text: &str) -> Vec<(&str, &str)> {
    let fence = Regex::new(r"(?ms)^```([^\n]*)\n(.*?)^```[ ]*$").expect("an expression");
    let texts = fence.captures_iter(text).map(|found| {
        let part = |nth: usize| found.get(nth).map_or("", |part| part.as_str());
        (part(1).trim(), part(2))
    });
    texts.collect()
}

/// The text outside fenced blocks.
fn prose(text: &str) -> String {
    Regex::new(r"(?ms)^```.*?^```[ ]*$").expect("an expression").replace_all(text, "").into_owned()
}

/// The names by which GitHub links to headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).lines().filter(|line| line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
    let anchor = |heading: &String| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        words
            .chars()
            .filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'))
            .map(|letter| if letter == ' ' { '-' } else { letter })
            .collect()
    };
    headings.iter().map(anchor).collect()
}

#[test]
fn the_page_of_what_is_judged_is_what_the_plans_say() {
    let made = kiln(&["checks", "--support"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let made = String::from_utf8(made.stdout).expect("text");
    let kept = fs::read_to_string(root().join("docs/support.md")).expect("the page");
    assert_eq!(made, kept, "make it anew: `kiln checks --support > docs/support.md`");
    // What is known to differ is in it.
    assert!(kept.contains("| guard `over-temperature` | **not judged** | **not judged** | judged |"), "{kept}");
    assert!(kept.contains("| by fallback | by fallback | by fallback | judged | judged | judged |"), "{kept}");
}

/// `docs/extend/../codes.md` as `docs/codes.md`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
}

/// What a document links to inside the tree: the file, and the heading if one is named.
fn links(path: &Path, text: &str) -> Vec<(PathBuf, Option<String>)> {
    let link = Regex::new(r"\]\(([^)\s]+)\)").expect("an expression");
    let prose = prose(text);
    let targets = link.captures_iter(&prose).filter_map(|found| Some(found.get(1)?.as_str().to_owned()));
    let inside = targets.filter(|target| !target.contains("://"));
    let split = inside.map(|target| {
        let (file, heading) = target.split_once('#').map_or((target.as_str(), None), |(file, name)| (file, Some(name)));
        let folder = path.parent().unwrap_or(Path::new(""));
        let file = if file.is_empty() { path.to_owned() } else { plain(&folder.join(file)) };
        (file, heading.map(str::to_owned))
    });
    split.collect()
}

#[test]
fn the_readme_fits_on_a_page() {
    let readme = fs::read_to_string(root().join("README.md")).expect("the README");
    assert!(readme.lines().count() <= README_LINES, "{} lines: move the rest to docs", readme.lines().count());
    let wide: Vec<&str> = readme.lines().filter(|line| line.chars().count() > README_COLUMNS).collect();
    assert!(wide.is_empty(), "wider than {README_COLUMNS} columns: {wide:#?}");
}

#[test]
fn every_link_of_a_document_leads_somewhere() {
    let documents = documents();
    let mut broken = Vec::new();
    for (path, text) in &documents {
        for (file, heading) in links(path, text) {
            let known = heading.as_ref().is_none_or(|heading| {
                documents.get(&file).is_some_and(|target| anchors(target).contains(heading.as_str()))
            });
            if !root().join(&file).exists() || !known {
                broken.push(format!("{} -> {} {}", path.display(), file.display(), heading.unwrap_or_default()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_document_can_be_reached_from_the_readme() {
    let documents = documents();
    let mut reached = BTreeSet::from([PathBuf::from("README.md")]);
    let mut next: Vec<PathBuf> = reached.iter().cloned().collect();
    while let Some(path) = next.pop() {
        let Some(text) = documents.get(&path) else { continue };
        next.extend(links(&path, text).into_iter().map(|(file, _)| file).filter(|file| reached.insert(file.clone())));
    }
    let lost: Vec<&PathBuf> = documents.keys().filter(|path| !reached.contains(*path)).collect();
    assert!(lost.is_empty(), "nothing links to {lost:?}");
}

#[test]
fn no_document_names_a_place_on_the_machine_it_was_written_on() {
    let home = Regex::new(r"(?:^|[^\w.])/(?:home|root|Users|work)/").expect("an expression");
    for (path, text) in documents() {
        let here = root().to_str().expect("UTF-8");
        assert!(!text.contains(here), "{} names {here}", path.display());
        let found = home.find(&text).map(|found| found.as_str());
        assert_eq!(found, None, "{}", path.display());
    }
}

/// What reads a file of each schema, with the file put in the place of `FILE`.
const READERS: [(&str, &[&str]); 3] = [
    ("schema: kiln.profile/", &["profile", "check", "FILE"]),
    ("schema: kiln.parts/", &["parts", "check", "FILE"]),
    ("schema: kiln.config/", &["--config", "FILE", "list", "nodes"]),
];

#[test]
fn every_file_shown_in_a_document_is_valid() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("shown.yaml");
    let mut checked = BTreeSet::new();
    for (path, text) in documents() {
        // Files that a guide writes are for the program as the guide changes it, and are run by `ci/guides`.
        for (_, yaml) in blocks(&text).into_iter().filter(|(fence, _)| *fence == "yaml") {
            let Some((schema, reader)) = READERS.iter().find(|(schema, _)| yaml.starts_with(schema)) else { continue };
            fs::write(&file, yaml).expect("written");
            let name = file.to_str().expect("UTF-8");
            let arguments: Vec<&str> = reader.iter().map(|word| if *word == "FILE" { name } else { word }).collect();
            let output = kiln(&arguments);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() && !said.contains("warning"), "{}: {said}", path.display());
            checked.insert(schema);
        }
    }
    assert_eq!(checked.len(), READERS.len(), "no longer shown anywhere, or the pattern is wrong: {checked:?}");
}

/// Command lines of the program in a document: in fenced blocks of shell, and in words set as code.
fn command_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (_, block) in blocks(text).into_iter().filter(|(fence, _)| matches!(*fence, "sh" | "")) {
        let whole = block.replace("\\\n", " ");
        lines.extend(whole.lines().flat_map(|line| line.split(&[';', '|', '&'][..])).map(str::to_owned));
    }
    let code = Regex::new(r"`([^`\n]+)`").expect("an expression");
    lines.extend(code.captures_iter(&prose(text)).filter_map(|found| Some(found.get(1)?.as_str().to_owned())));
    let spoken =
        Regex::new(r"^\s*(?:if )?(?:[A-Z_]+=\S+ )*(?:kiln |cargo run (?:--\w+ )*-- )(.*)$").expect("an expression");
    let wanted = lines.iter().filter_map(|line| Some(spoken.captures(line)?.get(1)?.as_str().to_owned()));
    wanted.map(|line| line.split(" #").next().unwrap_or_default().trim().to_owned()).collect()
}

/// The help of a subcommand, or nothing where there is no such subcommand.
struct Help(BTreeMap<String, String>);

impl Help {
    fn of(&mut self, subcommand: &[&str]) -> &str {
        self.0.entry(subcommand.join(" ")).or_insert_with(|| {
            let output = kiln(&[subcommand, &["--help"]].concat());
            String::from_utf8_lossy(&output.stdout).into_owned()
        })
    }

    /// Whether `help` lists `word` under `Commands:`.
    fn lists(help: &str, word: &str) -> bool {
        let commands = help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap_or_default();
        commands.lines().filter_map(|line| line.split_whitespace().next()).any(|name| name == word)
    }
}

/// What is wrong with a command line: a subcommand or an option that the program does not have.
fn mistakes(help: &mut Help, line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut subcommand: Vec<&str> = Vec::new();
    // `RUN`, `<run id>` and `…` stand for something else.
    let names = |word: &&&str| word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-');
    for word in words.iter().take_while(|word| !word.starts_with('-')).take_while(names) {
        let listed = help.of(&subcommand);
        if !listed.contains("Commands:\n") {
            break;
        }
        if !Help::lists(listed, word) {
            return vec![format!("`{line}`: `kiln {}` has no subcommand `{word}`", subcommand.join(" "))];
        }
        subcommand.push(word);
    }
    let help = help.of(&subcommand);
    let options = Regex::new(r"^--[a-z][a-z-]*|^-[A-Za-z]$").expect("an expression");
    let named = words.iter().filter_map(|word| options.find(word.trim_start_matches(['[', '(', '<'])));
    let named: BTreeSet<&str> = named.map(|found| found.as_str()).collect();
    let has =
        |option: &str| help.split(|c: char| c.is_whitespace() || matches!(c, ',' | '[' | '=')).any(|it| it == option);
    let unknown = named.into_iter().filter(|option| !has(option) && *option != "--version");
    unknown.map(|option| format!("`{line}`: `kiln {}` has no `{option}`", subcommand.join(" "))).collect()
}

#[test]
fn every_command_in_a_document_exists() {
    let mut help = Help(BTreeMap::new());
    let mut seen = 0;
    let mut wrong = Vec::new();
    for (path, text) in documents() {
        for line in command_lines(&text) {
            seen += 1;
            wrong.extend(mistakes(&mut help, &line).into_iter().map(|what| format!("{}: {what}", path.display())));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen >= 100, "only {seen} command lines were found: is the pattern still right?");
}

#[test]
fn a_command_that_does_not_exist_is_noticed() {
    let mut help = Help(BTreeMap::new());
    for line in ["run smoke --sim hgx-h200-8 --out run", "profile plan x --set soak=2h", "drill x --sim all", ""] {
        assert_eq!(mistakes(&mut help, line), [""; 0], "{line}");
    }
    for line in
        ["burn smoke", "run smoke --simulate x", "profile plans x", "profile plan x --operator y", "diff a b -z"]
    {
        assert_eq!(mistakes(&mut help, line).len(), 1, "{line}");
    }
}
