//! Programs in a spool: fetched over interruptions, looked at as a whole, become, and gone back from.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::convert::Infallible;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use kiln_seal::{PublicKey, SecretKey};
use kiln_wire::{Declined, Digest, NotTaken, Upgrade};

use super::programs::{Fetched, Launch, Programs, hex};
use super::spool::Spool;

struct Bench {
    _dir: tempfile::TempDir,
    spool: Spool,
    own: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let own = dir.path().join("kiln");
        fs::write(&own, "installed").expect("written");
        Self { spool: Spool::open(&dir.path().join("spool")).expect("a spool"), own, _dir: dir }
    }

    fn programs(&self, started_as: Option<&str>) -> Programs {
        Programs::open(&self.spool, &self.own, started_as).expect("programs")
    }

    fn launch(&self, started_as: Option<&str>) -> Launch {
        self.programs(started_as).launch(started_as).expect("a launch")
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.spool.folder("programs")).expect("a folder");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("entry").file_name().into_string().expect("text")).collect();
        names.sort();
        names
    }
}

fn digest(bytes: &[u8]) -> Digest {
    let dir = tempfile::tempdir().expect("a folder");
    let own = dir.path().join("kiln");
    fs::write(&own, bytes).expect("written");
    let spool = Spool::open(&dir.path().join("spool")).expect("a spool");
    match Programs::open(&spool, &own, None).expect("programs").launch(None).expect("a launch") {
        Launch::Be { program, .. } => program,
        Launch::Become { .. } => panic!("an empty spool has no program"),
    }
}

fn offer(bytes: &[u8]) -> Upgrade {
    let within = Duration::from_secs(60);
    Upgrade { offer: 7, program: digest(bytes), size: bytes.len() as u64, signature: None, within }
}

/// Fetches to the end, four bytes at a time.
fn fetch(programs: &Programs, upgrade: &Upgrade, key: Option<&PublicKey>, bytes: &[u8]) -> Fetched {
    loop {
        let piece = |from: u64| Ok::<_, Infallible>(bytes[from as usize..].iter().copied().take(4).collect());
        match programs.fetch(upgrade, key, piece).expect("a piece") {
            Fetched::Part => {}
            done => return done,
        }
    }
}

#[test]
fn a_digest_is_the_one_that_everybody_computes() {
    let known = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(digest(b"").as_str(), known);
}

#[test]
fn a_program_is_fetched_on_from_where_it_stopped_and_what_is_not_it_is_thrown_away() {
    let bench = Bench::new();
    let upgrade = offer(b"new program");
    let cut = |_| Ok::<_, Infallible>(b"new ".to_vec());
    assert_eq!(bench.programs(None).fetch(&upgrade, None, cut), Ok(Fetched::Part));
    let asked = |from: u64| {
        assert_eq!(from, 4, "also by an agent that was started again");
        Ok::<_, Infallible>(b"program".to_vec())
    };
    assert_eq!(bench.programs(None).fetch(&upgrade, None, asked), Ok(Fetched::Whole));
    assert_eq!(bench.names(), [upgrade.program.to_string()]);
    let other = offer(b"other bytes");
    let found = digest(b"wrong bytes");
    let wrong = fetch(&bench.programs(None), &other, None, b"wrong bytes");
    assert_eq!(wrong, Fetched::Not(NotTaken::WrongDigest { found }));
    assert_eq!(bench.names().len(), 1, "nothing of it is left");
    assert_eq!(fetch(&bench.programs(None), &other, None, b"other bytes"), Fetched::Whole);
}

#[test]
fn where_a_key_is_given_only_what_it_signed_is_taken() {
    let bench = Bench::new();
    let (secret, _) = SecretKey::create(&bench.own.with_extension("key")).expect("a key");
    let key = secret.public();
    let unsigned = offer(b"new program");
    assert_eq!(fetch(&bench.programs(None), &unsigned, Some(&key), b"new program"), Fetched::Not(NotTaken::Unsigned));
    let signed = |bytes: &[u8]| Upgrade { signature: Some(hex(&secret.sign(bytes))), ..offer(b"new program") };
    for other in [signed(b"other program"), Upgrade { signature: Some("x".to_owned()), ..unsigned.clone() }] {
        let fetched = fetch(&bench.programs(None), &other, Some(&key), b"new program");
        assert_eq!(fetched, Fetched::Not(NotTaken::WrongSignature));
    }
    assert_eq!(fetch(&bench.programs(None), &signed(b"new program"), Some(&key), b"new program"), Fetched::Whole);
}

#[test]
fn a_program_that_reached_the_floor_is_what_counts_from_then_on_and_the_one_before_is_kept() {
    let bench = Bench::new();
    let upgrade = offer(b"new program");
    let mut programs = bench.programs(None);
    assert_eq!(fetch(&programs, &upgrade, None, b"new program"), Fetched::Whole);
    programs.change_to(&upgrade).expect("kept");
    let path = bench.spool.folder("programs").join(upgrade.program.as_str());
    let become_it = Launch::Become { path, program: Some(upgrade.program.clone()) };
    assert_eq!(programs.launch(None).expect("a launch"), become_it);
    let started = Some(upgrade.program.as_str());
    let Launch::Be { program, trial: Some(trial), .. } = bench.launch(started) else { panic!("it is on trial") };
    assert_eq!((program, trial.within), (upgrade.program.clone(), upgrade.within));
    bench.programs(started).stay().expect("kept");
    assert_eq!(bench.launch(None), become_it, "after a boot as well");
    assert!(matches!(bench.launch(started), Launch::Be { trial: None, .. }));
    // The next one leaves this one where it is.
    let next = offer(b"next program");
    let mut programs = bench.programs(started);
    assert_eq!(fetch(&programs, &next, None, b"next program"), Fetched::Whole);
    programs.change_to(&next).expect("kept");
    programs.stay().expect("kept");
    let mut both = [upgrade.program.to_string(), next.program.to_string(), "state.json".to_owned()];
    both.sort();
    assert_eq!(bench.names(), both);
}

#[test]
fn a_program_that_ends_before_it_reached_the_floor_or_does_not_start_is_gone_back_from() {
    let bench = Bench::new();
    let upgrade = offer(b"new program");
    let mut programs = bench.programs(None);
    fetch(&programs, &upgrade, None, b"new program");
    programs.change_to(&upgrade).expect("kept");
    let _started = programs.launch(None).expect("a launch");
    // A service manager starts the node's own program after that one ended.
    let declined = |why| Some(Declined { offer: 7, program: upgrade.program.clone(), why });
    let Launch::Be { program, declined: found, trial: None } = bench.launch(None) else { panic!("back") };
    assert_eq!((program, found), (digest(b"installed"), declined(NotTaken::FellBack)));
    let mut programs = bench.programs(None);
    programs.change_to(&upgrade).expect("kept");
    let _started = programs.launch(None).expect("a launch");
    programs.will_not_start(&std::io::Error::other("no such interpreter")).expect("kept");
    let Launch::Be { declined: Some(Declined { why, .. }), .. } = programs.launch(None).expect("a launch") else {
        panic!("back")
    };
    assert!(matches!(&why, NotTaken::WillNotStart { why } if why.contains("no such interpreter")), "{why:?}");
}

#[test]
fn a_program_on_trial_that_goes_back_becomes_the_nodes_own_again() {
    let bench = Bench::new();
    let upgrade = offer(b"new program");
    let mut programs = bench.programs(None);
    fetch(&programs, &upgrade, None, b"new program");
    programs.change_to(&upgrade).expect("kept");
    let _started = programs.launch(None).expect("a launch");
    let started = Some(upgrade.program.as_str());
    let mut new = bench.programs(started);
    new.go_back(NotTaken::FellBack).expect("kept");
    assert_eq!(new.launch(started).expect("a launch"), Launch::Become { path: bench.own.clone(), program: None });
    assert!(matches!(bench.launch(None), Launch::Be { declined: Some(_), .. }));
}

#[test]
fn another_program_installed_on_the_node_is_what_counts() {
    let bench = Bench::new();
    let upgrade = offer(b"new program");
    let mut programs = bench.programs(None);
    fetch(&programs, &upgrade, None, b"new program");
    programs.change_to(&upgrade).expect("kept");
    programs.stay().expect("kept");
    fs::write(&bench.own, "installed by a person").expect("written");
    let Launch::Be { program, .. } = bench.launch(None) else { panic!("the person's") };
    assert_eq!(program, digest(b"installed by a person"));
}

#[test]
fn a_state_of_a_newer_form_is_refused() {
    let bench = Bench::new();
    let mut programs = bench.programs(None);
    programs.go_back(NotTaken::FellBack).expect("kept");
    let path = bench.spool.folder("programs").join("state.json");
    let newer = fs::read_to_string(&path).expect("text").replace("kiln.programs/1", "kiln.programs/2");
    fs::write(&path, newer).expect("written");
    let told = Programs::open(&bench.spool, &bench.own, None).expect_err("refused").to_string();
    assert!(told.contains("kiln.programs/2") && told.contains("start the newer program"), "{told}");
}
