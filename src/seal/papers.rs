//! A unit's papers: what a floor decided about it, and for which sealed runs, signed by the floor's own key. With it and the
//! key of the agent that sealed the runs, anybody can verify the whole offline.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::envelope::Envelope;
use super::key::{PublicKey, SecretKey};
use super::pieces::hex;
use super::{FILE_NAME, SealError};
use kiln_disk::{self as disk, MIB};

const SCHEMA: &str = "kiln.papers/1";
const PAYLOAD: &str = "application/vnd.kiln.papers+json";
/// The most that is read of a seal.
const SEAL_MOST: u64 = 256 * MIB;

/// What a floor vouches for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Papers {
    pub schema: String,
    /// The floor's name.
    pub floor: String,
    pub unit: String,
    pub slot: Option<String>,
    pub lot: Option<String>,
    /// `released`, `repair`, `scrapped` or `returned`.
    pub disposition: String,
    /// Who decided: `floor` by its rules, or people by name.
    pub by: Vec<String>,
    /// Why, where people decided.
    pub why: Option<String>,
    /// The number of the floor's event, its moment in microseconds since 1970, and the value of the events' hash chain there.
    pub event: u64,
    pub at: u64,
    pub chain: String,
    /// The runs of the unit that the floor had then, oldest first.
    pub runs: Vec<PaperRun>,
    /// What people decided about the unit up to then, oldest first. Papers of before it was told have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<PaperDecision>,
}

/// What people decided about a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaperDecision {
    pub event: u64,
    pub at: u64,
    /// `released`, `repair`, `scrapped`, or `next-stop` of a unit that went on although its last run held it.
    pub what: String,
    /// Everybody it took.
    pub by: Vec<String>,
    pub why: String,
    /// The run that showed the unit to be an outlier of its lot, where it was held for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outlier: Option<String>,
}

/// A run that the papers name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaperRun {
    pub run: String,
    pub profile: String,
    /// The verdict as the floor rolled it up.
    pub verdict: String,
    /// SHA-256 of the run's `seal.json`.
    pub seal: String,
    /// The agent's key that the seal is signed with, by its id.
    pub key: String,
    /// Digest of the parts list that it was held against. Papers of before it was told have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<String>,
}

/// Why papers are not what they seem.
#[derive(Debug, thiserror::Error)]
pub enum PapersError {
    #[error("these are no papers of a unit: {0}")]
    NoPapers(String),
    #[error("the papers: {0}")]
    Signature(SealError),
    #[error("the papers name run {run} with another seal than the one that is here")]
    OtherSeal { run: String },
    #[error("the papers do not name run {0}")]
    Unnamed(String),
}

impl Papers {
    /// What of a floor is signed; the schema is filled in.
    pub fn sign(mut self, key: &SecretKey) -> Result<Vec<u8>, PapersError> {
        SCHEMA.clone_into(&mut self.schema);
        let unreadable = |error: serde_json::Error| PapersError::NoPapers(error.to_string());
        let payload = serde_json::to_vec(&self).map_err(unreadable)?;
        let mut text = serde_json::to_vec(&Envelope::close(PAYLOAD, &payload, key)).map_err(unreadable)?;
        text.push(b'\n');
        Ok(text)
    }

    /// Reads papers that this floor's key signed.
    pub fn verified(text: &[u8], key: &PublicKey) -> Result<Self, PapersError> {
        let unreadable = |error: serde_json::Error| PapersError::NoPapers(error.to_string());
        let envelope: Envelope = serde_json::from_slice(text).map_err(unreadable)?;
        let payload = envelope.payload(PAYLOAD).map_err(PapersError::NoPapers)?;
        envelope.check(&payload, key).map_err(PapersError::Signature)?;
        let papers: Self = serde_json::from_slice(&payload).map_err(unreadable)?;
        if papers.schema != SCHEMA {
            let found = papers.schema;
            return Err(PapersError::NoPapers(format!("they say `{found}` where this version knows `{SCHEMA}`")));
        }
        Ok(papers)
    }

    /// Whether a run with this seal is one of those the floor decided on.
    pub fn name(&self, run: &str, seal: &str) -> Result<(), PapersError> {
        match self.runs.iter().find(|named| named.run == run) {
            None => Err(PapersError::Unnamed(run.to_owned())),
            Some(named) if named.seal != seal => Err(PapersError::OtherSeal { run: run.to_owned() }),
            Some(_) => Ok(()),
        }
    }
}

/// SHA-256 of the seal in a run directory, in hexadecimal.
pub fn seal_digest(run: &Path) -> std::io::Result<String> {
    Ok(hex(&Sha256::digest(disk::read(&run.join(FILE_NAME), SEAL_MOST)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn papers() -> Papers {
        let run = |name: &str| PaperRun {
            run: name.to_owned(),
            profile: "smoke".to_owned(),
            verdict: "PASS".to_owned(),
            seal: format!("{name}{name}"),
            key: "sha256:00".to_owned(),
            parts: (name == "b").then(|| "sha256:01".to_owned()),
        };
        Papers {
            schema: String::new(),
            floor: "Hall 2".to_owned(),
            unit: "SRV1".to_owned(),
            slot: Some("r01-04".to_owned()),
            lot: None,
            disposition: "released".to_owned(),
            by: vec!["floor".to_owned()],
            why: None,
            event: 7,
            at: 9,
            chain: "ab".to_owned(),
            runs: vec![run("a"), run("b")],
            decisions: vec![PaperDecision {
                event: 7,
                at: 9,
                what: "released".to_owned(),
                by: vec!["sato".to_owned(), "mori".to_owned()],
                why: "two batches".to_owned(),
                outlier: Some("b".to_owned()),
            }],
        }
    }

    #[test]
    fn papers_hold_under_the_floors_key_alone_and_no_byte_of_them_can_be_changed() {
        let folder = tempfile::tempdir().expect("folder");
        let (key, _) = SecretKey::create(&folder.path().join("floor")).expect("key");
        let (other, _) = SecretKey::create(&folder.path().join("other")).expect("key");
        let text = papers().sign(&key).expect("signed");
        let read = Papers::verified(&text, &key.public()).expect("verified");
        assert_eq!(read, Papers { schema: SCHEMA.to_owned(), ..papers() });
        assert!(matches!(Papers::verified(&text, &other.public()), Err(PapersError::Signature(_))));
        let whole = String::from_utf8(text.clone()).expect("text");
        let keyid = whole.find("\"keyid\"").expect("a hint that nothing rests on");
        for at in (0..text.len() - 1).filter(|at| !(keyid..keyid + 84).contains(at)) {
            let mut changed = text.clone();
            changed[at] ^= 1;
            assert!(Papers::verified(&changed, &key.public()).is_err(), "byte {at}");
        }
    }

    #[test]
    fn papers_of_before_decisions_were_told_are_read() {
        let before = serde_json::to_value(Papers { decisions: Vec::new(), ..papers() }).expect("JSON");
        assert!(before.get("decisions").is_none());
        let read: Papers = serde_json::from_value(before).expect("read");
        assert_eq!((read.unit.as_str(), read.decisions), ("SRV1", Vec::new()));
        assert_eq!(read.runs[0].parts, None);
    }

    #[test]
    fn another_run_and_another_seal_are_told_apart() {
        let papers = papers();
        assert!(papers.name("a", "aa").is_ok());
        assert!(matches!(papers.name("a", "ab"), Err(PapersError::OtherSeal { .. })));
        assert!(matches!(papers.name("c", "cc"), Err(PapersError::Unnamed(_))));
    }
}
