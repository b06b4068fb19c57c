//! What the journals in `fixtures/journals` are made of. To make them anew after a change of the format, run the test
//! here with `KILN_BLESS=1`.

use std::fs;
use std::path::Path;

use super::line::{BEGIN, Chain, close};
use kiln_stories::endings;

const HEADER: &str = r#"{"schema":"kiln.journal/1.1","written_by":"kiln 0.1.0"}"#;

/// A journal of these lines, the chain closed over each.
fn journal<S: AsRef<str>>(lines: &[S]) -> Vec<u8> {
    let mut chain: Chain = BEGIN;
    let mut bytes = Vec::new();
    for body in lines {
        let mut line = body.as_ref().as_bytes().to_vec();
        close(&mut line, &mut chain);
        bytes.extend(line);
    }
    bytes
}

fn fixtures() -> Vec<(&'static str, Vec<u8>)> {
    let events = &endings()["aborted"].events;
    let mut lines = vec![HEADER.to_owned()];
    lines.extend(events.iter().map(|event| serde_json::to_string(event).expect("an event")));
    let whole = journal(&lines);
    let flip = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        bytes
    };
    let stamped = |seq: u64, event: &str| {
        format!(r#"{{"seq":{seq},"at":{},"wall":"2026-03-01T06:00:00Z","event":{event}}}"#, seq * 1000)
    };
    let lost = r#"{"gpu-lost":{"gpu":3,"rack":7}}"#;
    let moon = r#"{"moon-phase-changed":{"to":"full","seen":[1,2]}}"#;
    let newer = |version: &str| format!(r#"{{"schema":"kiln.journal/{version}","written_by":"kiln 9.0.0"}}"#);
    vec![
        ("torn", whole[..whole.len() - 100].to_vec()),
        ("flipped", flip(whole.len() * 2 / 3)),
        ("flipped-header", flip(20)),
        ("gap", journal(&[HEADER.to_owned(), stamped(0, lost), stamped(2, lost)])),
        ("newer-minor", journal(&[newer("1.7"), stamped(0, lost), stamped(1, moon), stamped(2, lost)])),
        ("newer-major", journal(&[newer("2.3"), "{\"bincode\":\"AAEC\"}".to_owned()])),
        ("not-an-event", journal(&[HEADER.to_owned(), stamped(0, r#"{"gpu-lost":{"gpu":"three"}}"#)])),
        ("foreign", b"{\"time\":\"2026-03-01\",\"level\":\"info\"}\n".to_vec()),
        ("empty", Vec::new()),
        ("whole", whole),
    ]
}

#[test]
fn the_fixtures_are_what_the_writer_writes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/journals");
    for (name, bytes) in fixtures() {
        let path = folder.join(format!("{name}.jsonl"));
        if std::env::var_os("KILN_BLESS").is_some() {
            fs::write(&path, &bytes).expect("written");
        }
        assert!(fs::read(&path).expect("fixture") == bytes, "{name} differs from what is written today");
    }
}
