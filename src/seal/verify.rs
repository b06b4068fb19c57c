//! Verifying a seal: checks the signature first, then every file, and reports the first place that was changed.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::FILE_NAME;
use super::envelope::{Envelope, STATEMENT};
use super::error::{Altered, How, SealError, failed};
use super::folder::files;
use super::key::PublicKey;
use super::statement::{PREDICATE, SCHEMA, Statement, TYPE, serials, unit};
use kiln_disk::{Folder, MIB};
use kiln_event::{RunRecord, Verdict};
use kiln_model::WallTime;

/// Size limit of a seal: eight bytes for every line of the journal, and as much again for its encoding.
const MOST: u64 = 256 * MIB;

/// The contents of a valid seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub run_id: String,
    pub verdict: Verdict,
    /// Whether the run was simulated.
    pub simulated: bool,
    pub sealed_at: WallTime,
    pub serials: BTreeMap<String, String>,
    pub journal_root: String,
    pub files: Vec<String>,
    pub key: String,
}

/// Returns true if the run directory has a seal, valid or not.
pub fn is_sealed(run: &Path) -> bool {
    Folder::open(run).is_ok_and(|folder| folder.has(FILE_NAME))
}

/// Verifies everything in `run`. `record` reads the journal; it is called after the journal's bytes were found to match the
/// seal.
pub fn verify<E>(
    run: &Path,
    key: &PublicKey,
    record: impl FnOnce() -> Result<RunRecord, E>,
) -> Result<Result<Verified, E>, SealError> {
    let (envelope, payload) = open(run)?;
    envelope.check(&payload, key)?;
    let statement = parse(run, &payload)?;
    check_subjects(run, &statement)?;
    let folder = Folder::open(run).map_err(failed("open", run))?;
    let own = &statement.predicate.kiln;
    for (name, sealed) in &own.files {
        let altered = |how| SealError::Altered(Altered { file: name.clone(), how });
        let path = run.join(name);
        match sealed.difference(&folder, name) {
            Ok(None) => {}
            Ok(Some(how)) => return Err(altered(how)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(altered(How::Missing)),
            Err(error) => return Err(failed("read", &path)(error)),
        }
    }
    if let Some(added) = files(run)?.into_iter().find(|name| !own.files.contains_key(name)) {
        return Err(SealError::Altered(Altered { file: added, how: How::Added }));
    }
    let record = match record() {
        Ok(record) => record,
        Err(error) => return Ok(Err(error)),
    };
    if serials(&record) != own.serials {
        return Err(SealError::Altered(Altered { file: "journal.jsonl".to_owned(), how: How::OtherUnit }));
    }
    let own = statement.predicate.kiln;
    Ok(Ok(Verified {
        run_id: own.run_id,
        verdict: own.verdict,
        simulated: own.simulated,
        sealed_at: own.sealed_at,
        serials: own.serials,
        journal_root: own.journal_root,
        files: own.files.into_keys().collect(),
        key: key.id(),
    }))
}

/// Checks one file of a sealed run against the seal. Without a key this detects accidents, not forgery. Succeeds if the run is
/// not sealed.
pub fn check_file(run: &Path, name: &str) -> Result<(), SealError> {
    if !is_sealed(run) {
        return Ok(());
    }
    let (_, payload) = open(run)?;
    let statement = parse(run, &payload)?;
    let altered = |how| SealError::Altered(Altered { file: name.to_owned(), how });
    let path = run.join(name);
    let folder = Folder::open(run).map_err(failed("open", run))?;
    let Some(sealed) = statement.predicate.kiln.files.get(name) else {
        return if folder.has(name) { Err(altered(How::Added)) } else { Ok(()) };
    };
    match sealed.difference(&folder, name) {
        Ok(None) => Ok(()),
        Ok(Some(how)) => Err(altered(how)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(altered(How::Missing)),
        Err(error) => Err(failed("read", &path)(error)),
    }
}

fn open(run: &Path) -> Result<(Envelope, Vec<u8>), SealError> {
    let path = run.join(FILE_NAME);
    let text =
        Folder::open(run).and_then(|folder| folder.read(FILE_NAME, MOST)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => SealError::NotSealed { path: path.clone() },
            _ => failed("read", &path)(error),
        })?;
    let not_a_seal = |what: String| SealError::NotASeal { path: path.clone(), what };
    let envelope: Envelope = serde_json::from_slice(&text).map_err(|error| not_a_seal(error.to_string()))?;
    let payload = envelope.payload(STATEMENT).map_err(not_a_seal)?;
    Ok((envelope, payload))
}

fn parse(run: &Path, payload: &[u8]) -> Result<Statement, SealError> {
    let not_a_seal = |what: String| SealError::NotASeal { path: run.join(FILE_NAME), what };
    let statement: Statement = serde_json::from_slice(payload).map_err(|error| not_a_seal(error.to_string()))?;
    let own = &statement.predicate.kiln.schema;
    for (found, wanted) in [(&statement.kind, TYPE), (&statement.predicate_type, PREDICATE), (own, SCHEMA)] {
        if found != wanted {
            return Err(not_a_seal(format!("it says `{found}` where this version knows `{wanted}`")));
        }
    }
    Ok(statement)
}

/// Checks that the subjects, which other tools read, and our own list of files agree.
fn check_subjects(run: &Path, statement: &Statement) -> Result<(), SealError> {
    let own = &statement.predicate.kiln;
    let mut expected: BTreeMap<&str, &str> =
        own.files.iter().map(|(name, pieces)| (name.as_str(), pieces.sha256.as_str())).collect();
    let unit = unit(&own.serials, own.simulated);
    expected.extend(unit.digest.get("sha256").map(|digest| (unit.name.as_str(), digest.as_str())));
    let sha256 = |digest: &BTreeMap<String, String>| digest.get("sha256").cloned().unwrap_or_default();
    let found: Vec<(String, String)> =
        statement.subject.iter().map(|subject| (subject.name.clone(), sha256(&subject.digest))).collect();
    let same = found.len() == expected.len()
        && found.iter().all(|(name, digest)| expected.get(name.as_str()) == Some(&digest.as_str()));
    let what = "its subjects are not its list of files".to_owned();
    if same { Ok(()) } else { Err(SealError::NotASeal { path: run.join(FILE_NAME), what }) }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::fs;
    use std::path::PathBuf;

    use super::super::{SecretKey, seal};
    use super::*;
    use kiln_stories::endings;

    struct Bench {
        folder: tempfile::TempDir,
        key: PublicKey,
        record: RunRecord,
    }

    impl Bench {
        fn run(&self) -> PathBuf {
            self.folder.path().join("run")
        }

        fn verify(&self) -> String {
            let verified = verify(&self.run(), &self.key, || Ok::<_, Infallible>(self.record.clone()));
            match verified {
                Ok(Ok(verified)) => format!("{} {:?}", verified.verdict.word.shown(), verified.files),
                Ok(Err(never)) => match never {},
                Err(error) => error.to_string().replace(&self.folder.path().display().to_string(), ""),
            }
        }

        fn alter(&self, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
            let path = self.run().join(file);
            let mut bytes = fs::read(&path).expect("file");
            change(&mut bytes);
            fs::write(&path, bytes).expect("altered");
        }
    }

    const SOUND: &str = r#"FAIL ["journal.jsonl", "junit.xml", "telemetry/samples.ktb"]"#;

    fn reports() -> BTreeMap<String, Vec<Vec<u8>>> {
        BTreeMap::from([("junit.xml".to_owned(), vec![b"other".to_vec(), b"<a>\n<b/>\n</a>".to_vec()])])
    }

    fn sealed() -> Bench {
        let folder = tempfile::tempdir().expect("folder");
        let run = folder.path().join("run");
        fs::create_dir_all(run.join("telemetry")).expect("run");
        fs::write(run.join("journal.jsonl"), "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n").expect("journal");
        fs::write(run.join("junit.xml"), "<a>\n<b/>\n</a>").expect("junit");
        let blocks: Vec<u8> = (0..200_000_u32).map(|at| (at * 31 % 251) as u8).collect();
        fs::write(run.join("telemetry/samples.ktb"), blocks).expect("telemetry");
        let (key, _) = SecretKey::create(&folder.path().join("key")).expect("key");
        let record = endings()["fail-limit"].record();
        seal(&run, &record, "00".repeat(32), &reports(), &key, WallTime::UNIX_EPOCH).expect("sealed");
        Bench { folder, key: key.public(), record }
    }

    #[test]
    fn what_is_sealed_is_verified() {
        assert_eq!(sealed().verify(), SOUND);
    }

    #[test]
    fn the_first_place_altered_is_named() {
        type Change = fn(&mut Vec<u8>);
        let changes: [(&str, Change, &str); 8] = [
            ("journal.jsonl", |bytes| bytes[13] = b'9', "`journal.jsonl` differs in line 2, which begins at byte 8"),
            ("journal.jsonl", |bytes| bytes.truncate(16), "`journal.jsonl` ends at byte 16 of 24"),
            ("journal.jsonl", |bytes| bytes.truncate(11), "`journal.jsonl` differs in line 2, which begins at byte 8"),
            (
                "journal.jsonl",
                |bytes| bytes.extend(b"{}\n"),
                "`journal.jsonl` goes on after byte 24, where it ended, to byte 27",
            ),
            ("junit.xml", |bytes| bytes.push(b'\n'), "`junit.xml` differs in line 3, which begins at byte 9"),
            ("junit.xml", Vec::clear, "`junit.xml` ends at byte 0 of 13"),
            (
                "telemetry/samples.ktb",
                |bytes| bytes[70_000] ^= 1,
                "`telemetry/samples.ktb` differs between byte 65536 and byte 131072",
            ),
            (
                "telemetry/samples.ktb",
                |bytes| bytes[199_999] ^= 1,
                "`telemetry/samples.ktb` differs between byte 196608 and byte 200000",
            ),
        ];
        for (file, change, expected) in changes {
            let bench = sealed();
            bench.alter(file, change);
            assert_eq!(bench.verify(), format!("this is not what was sealed: {expected}"));
            assert!(check_file(&bench.run(), file).is_err(), "told without a key as well");
        }
    }

    #[test]
    fn a_file_taken_away_or_put_in_is_named() {
        let bench = sealed();
        fs::remove_file(bench.run().join("junit.xml")).expect("removed");
        assert_eq!(bench.verify(), "this is not what was sealed: `junit.xml` is missing");
        let bench = sealed();
        fs::write(bench.run().join("telemetry/more"), "").expect("added");
        assert_eq!(bench.verify(), "this is not what was sealed: `telemetry/more` was added");
        let bench = sealed();
        std::os::unix::fs::symlink("junit.xml", bench.run().join("link")).expect("linked");
        assert_eq!(bench.verify(), "`link` is not a plain file, and nothing else is sealed");
    }

    #[test]
    fn no_byte_of_the_seal_can_be_changed() {
        let bench = sealed();
        let whole = fs::read(bench.run().join(FILE_NAME)).expect("seal");
        for at in (0..whole.len()).step_by(7) {
            for bit in [0x01, 0x04, 0x20] {
                bench.alter(FILE_NAME, |bytes| {
                    bytes.clone_from(&whole);
                    bytes[at] ^= bit;
                });
                let said = bench.verify();
                // The name of the key is a hint that nothing rests on.
                let names_key =
                    whole[..at].windows(7).rposition(|seven| seven == b"\"keyid\"").is_some_and(|key| at < key + 84);
                assert!(said != SOUND || names_key, "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn another_key_is_told_from_a_broken_signature() {
        let mut bench = sealed();
        let (other, _) = SecretKey::create(&bench.folder.path().join("other")).expect("key");
        let ours = std::mem::replace(&mut bench.key, other.public());
        let expected =
            format!("the seal is not signed by this key: it is signed by {}, this is {}", ours.id(), bench.key.id());
        assert_eq!(bench.verify(), expected);
    }

    #[test]
    fn a_seal_moved_to_the_run_of_another_unit_is_refused() {
        let mut bench = sealed();
        bench.record.inventory = None;
        assert_eq!(
            bench.verify(),
            "this is not what was sealed: `journal.jsonl` tells of another unit than the seal is bound to"
        );
    }

    #[test]
    fn a_run_is_sealed_once_and_only_when_it_is_finished() {
        let bench = sealed();
        let (key, _) = SecretKey::create(&bench.folder.path().join("other")).expect("key");
        let again = seal(&bench.run(), &bench.record, String::new(), &reports(), &key, WallTime::UNIX_EPOCH)
            .expect_err("twice");
        assert!(again.to_string().starts_with("the run is already sealed"));
        fs::remove_file(bench.run().join(FILE_NAME)).expect("removed");
        assert_eq!(bench.verify(), "the run is not sealed: /run/seal.json does not exist");
        let unfinished = endings()["unfinished"].record();
        let refused = seal(&bench.run(), &unfinished, String::new(), &reports(), &key, WallTime::UNIX_EPOCH)
            .expect_err("unfinished");
        assert_eq!(refused.to_string(), "the run is not finished: only a run with a verdict is sealed");
    }

    #[test]
    fn nothing_is_signed_that_was_not_recorded_or_made_again() {
        let bench = sealed();
        fs::remove_file(bench.run().join(FILE_NAME)).expect("removed");
        let (key, _) = SecretKey::create(&bench.folder.path().join("other")).expect("key");
        let again = |reports| seal(&bench.run(), &bench.record, String::new(), &reports, &key, WallTime::UNIX_EPOCH);
        bench.alter("junit.xml", |bytes| bytes[1] = b'A');
        let told = "`junit.xml` is not what this program makes of the journal and the telemetry, and is not sealed; \
                    `kiln report` makes it again";
        assert_eq!(again(reports()).expect_err("doctored").to_string(), told);
        assert_eq!(again(BTreeMap::new()).expect_err("unknown").to_string(), told);
        bench.alter("junit.xml", |bytes| bytes[1] = b'a');
        fs::write(bench.run().join("photo.jpg"), "").expect("added");
        let told = again(reports()).expect_err("a stranger").to_string();
        assert!(told.starts_with("`photo.jpg` is no file of a run"), "{told}");
        assert!(!bench.run().join(FILE_NAME).exists());
    }

    #[test]
    fn a_pipe_or_a_link_in_the_place_of_a_sealed_file_is_refused_at_once() {
        let bench = sealed();
        let path = bench.run().join("junit.xml");
        fs::remove_file(&path).expect("removed");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).expect("a pipe");
        assert_eq!(bench.verify(), "cannot read /run/junit.xml");
        assert!(check_file(&bench.run(), "junit.xml").is_err());
        fs::remove_file(&path).expect("removed");
        std::os::unix::fs::symlink("journal.jsonl", &path).expect("linked");
        assert_eq!(bench.verify(), "cannot read /run/junit.xml");
    }

    #[test]
    fn the_statement_is_in_totos() {
        let bench = sealed();
        let (_, payload) = open(&bench.run()).expect("a seal");
        let statement: serde_json::Value = serde_json::from_slice(&payload).expect("json");
        assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
        assert_eq!(statement["predicateType"], "https://in-toto.io/attestation/test-result/v0.1");
        assert_eq!(statement["predicate"]["result"], "FAILED");
        assert_eq!(statement["predicate"]["failedTests"], serde_json::json!(["burn.soak[gpu/1]"]));
        let names: Vec<_> = statement["subject"].as_array().expect("subjects").iter().map(|one| &one["name"]).collect();
        assert_eq!(names, ["journal.jsonl", "junit.xml", "telemetry/samples.ktb", "SIMULATED unit"]);
    }
}
