//! Names: what the diagnosis speaks of is what a check declares, and a word that crates show to one another means little
//! if several mean different things by it. Sources are read as text.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use regex::Regex;

use crate::tidy::{root, sources};

/// Rooms that may share the name of a public type: two, such as the fact in an event and its form in a document.
const ROOMS_MOST: usize = 2;

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern")
}

/// Names of checks, and of what they measure.
fn declared() -> BTreeSet<&'static str> {
    let specs = kiln::check::all().iter().map(|check| check.spec());
    specs.flat_map(|spec| spec.measurements.iter().map(|one| one.name).chain([spec.name])).collect()
}

#[test]
fn every_name_in_the_tables_of_the_diagnosis_is_declared_by_a_check() {
    let declared = declared();
    // A row of a table: check, measurement, code. Elsewhere a name has a dot, and a file's name is none.
    let (row, dotted) =
        (pattern(r#"\("([a-z.-]+)", "([a-z0-9.-]+)", "[A-Z]"#), pattern(r#""([a-z-]+(?:\.[a-z0-9-]+)+)""#));
    let mut seen = BTreeMap::new();
    for path in sources().into_iter().filter(|path| path.starts_with(root().join("src/diagnose"))) {
        let text = fs::read_to_string(&path).expect("readable source");
        let name = path.strip_prefix(root()).expect("below the root").display().to_string();
        if name.contains("test") {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let rows = row.captures_iter(code).flat_map(|found| [found[1].to_owned(), found[2].to_owned()]);
        let others = dotted.captures_iter(code).map(|found| found[1].to_owned());
        seen.extend(rows.chain(others).map(|one| (one, name.clone())));
    }
    assert!(seen.len() > 150, "the tables are read: {}", seen.len());
    let unknown: Vec<_> = seen.iter().filter(|(name, _)| !declared.contains(name.as_str())).collect();
    assert!(unknown.is_empty(), "no check declares {unknown:?}");
}

/// A crate's public type is what its neighbours read; names inside one file are read there.
#[test]
fn no_public_type_has_the_name_of_others_in_more_than_two_rooms() {
    let defines = pattern(r"(?m)^\s*pub (?:unsafe )?(?:struct|enum|trait|type|union) ([A-Z]\w*)");
    let mut rooms: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in sources() {
        let text = fs::read_to_string(&path).expect("readable source");
        let below = path.strip_prefix(root().join("src")).expect("below src");
        let room = below.iter().next().unwrap_or_default().to_string_lossy().into_owned();
        for found in defines.captures_iter(&text) {
            rooms.entry(found[1].to_owned()).or_default().insert(room.clone());
        }
    }
    assert!(rooms.len() > 500, "the sources are read: {}", rooms.len());
    let many: Vec<_> = rooms.iter().filter(|(_, rooms)| rooms.len() > ROOMS_MOST).collect();
    assert!(many.is_empty(), "one name for several things: {many:#?}");
}
