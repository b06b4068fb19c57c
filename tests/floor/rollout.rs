//! Agents become the program that the floor's file names: in waves, whole, between runs, and back if it is no good. The other
//! program is a copy of the same one with another digest.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::{Bench, Process, kiln, signal, wait};
use crate::browser::{Browser, calls};
use crate::secure::Machine;

fn digest(path: &Path) -> String {
    let out = Command::new("sha256sum").arg(path).output().expect("sha256sum");
    let text = String::from_utf8(out.stdout).expect("text");
    format!("sha256:{}", text.split(' ').next().expect("digits"))
}

/// A folder with a program for agents, and the file of a floor that wants them to be it.
struct Site {
    folder: tempfile::TempDir,
    digest: String,
}

impl Site {
    /// The program lies there, and is the one that is wanted.
    fn with(make: impl FnOnce(&Path), more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("programs/kiln");
        fs::create_dir(folder.path().join("programs")).expect("a folder");
        make(&program);
        fs::set_permissions(&program, fs::Permissions::from_mode(0o644)).expect("its rights");
        let digest = digest(&program);
        let file = format!(
            "schema: kiln.floor/1\nname: Hall\npoll: 500ms\nroute: [{{ profile: smoke }}]\nagents: {{ program: \"{digest}\", {more} }}\n"
        );
        fs::write(folder.path().join("floor.yaml"), file).expect("written");
        Self { folder, digest }
    }

    /// The same program with one byte more behind its end.
    fn newer(more: &str) -> Self {
        let copy = |path: &Path| {
            let mut bytes = fs::read(kiln()).expect("the program");
            bytes.push(b'\n');
            fs::write(path, bytes).expect("written");
        };
        Self::with(copy, more)
    }

    fn script(text: &str, more: &str) -> Self {
        Self::with(|path| fs::write(path, format!("#!/bin/sh\n{text}\n")).expect("written"), more)
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("programs/kiln")
    }

    fn args(&self) -> Vec<String> {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        ["--floor".to_owned(), path("floor.yaml"), "--programs".to_owned(), path("programs")].into()
    }

    fn bench(&self) -> (Bench, Process) {
        let args = self.args();
        Bench::with(&args.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

fn agent(bench: &Bench, seed: &str) -> Process {
    bench.agent(&format!("spool-{seed}"), &["--seed", seed])
}

/// The program that a process is.
fn is(process: &Process) -> PathBuf {
    fs::read_link(format!("/proc/{}/exe", process.id())).unwrap_or_default()
}

/// What happened of a rollout, in order: kinds of events, with the agent they are about.
fn told(bench: &Bench) -> String {
    let mut told = String::new();
    for line in bench.audited().lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let event = event["event"]
            .as_object()
            .and_then(|event| event.iter().next())
            .map(|(kind, said)| (kind.clone(), said.clone()));
        let Some((kind, said)) = event else { continue };
        if kind.starts_with("wave") || kind.starts_with("rollout") || kind.starts_with("upgrade") {
            let _ = writeln!(told, "{kind} {}", said["agent"].as_str().unwrap_or_default());
        }
    }
    told
}

fn doors(bench: &Bench, wanted: &str) -> String {
    wait(wanted, || Some(bench.get("/doors?lang=en").1).filter(|page| page.contains(wanted)))
}

/// A unit is tested, and passes.
fn passes(bench: &Bench, seed: &str) {
    let serial = Bench::serial(seed);
    bench.scan(&serial);
    wait("its pass", || bench.get(&format!("/units/{serial}?lang=en")).1.contains("Passed ○").then_some(()));
}

#[test]
fn agents_become_another_program_in_waves_and_test_units_as_it() {
    let site = Site::newer("waves: [1, all], back: 2m");
    let (bench, _floor) = site.bench();
    let agents: Vec<Process> = ["1", "2"].iter().map(|seed| agent(&bench, seed)).collect();
    let new = |seed: usize| bench.path(&format!("spool-{seed}/programs/{}", site.digest));
    for (number, agent) in agents.iter().enumerate() {
        wait("the other program", || (is(agent) == new(number + 1)).then_some(()));
    }
    doors(&bench, "Wave 2: 1");
    let told = told(&bench);
    let kinds: Vec<&str> = told.lines().map(|line| line.split(' ').next().expect("a kind")).collect();
    assert_eq!(kinds, ["rollout-began", "wave-began", "upgrade-offered", "wave-began", "upgrade-offered"], "{told}");
    passes(&bench, "1");
    // It is so after a boot as well: the node's own program hands over to it.
    drop(agents);
    let again = agent(&bench, "2");
    wait("the other program", || (is(&again) == new(2)).then_some(()));
    assert!(!bench.path(&format!("spool-2/programs/{}.part", site.digest)).exists());
    assert_eq!(bench.get(&format!("/v1/blobs/sha256:{}", "0".repeat(64))).0, 404);
}

#[test]
fn a_program_that_is_not_what_it_should_be_is_refused_by_name_and_stops_the_rollout() {
    let site = Site::script(&format!("exec {} \"$@\"", kiln().display()), "waves: [1, all]");
    let (bench, _floor) = site.bench();
    let right = fs::read(site.program()).expect("the program");
    let wrong = [&right[..right.len() - 1], b"#"].concat();
    fs::write(site.program(), wrong).expect("written");
    let found = digest(&site.program());
    let agent = agent(&bench, "1");
    let page = doors(&bench, "No more agents are upgraded");
    assert!(page.contains(&format!("the program that came has another digest: {found}")), "{page}");
    assert!(bench.get("/?lang=en").1.contains("No more agents are upgraded"));
    assert_eq!(is(&agent), kiln());
    passes(&bench, "1");
    fs::write(site.program(), right).expect("written");
    let to = bench.sends("/doors/rollout", "of=&by=sato&why=the+file+was+damaged");
    assert!(!to.contains("told="), "{to}");
    doors(&bench, "Wave 2: 0");
    assert!(told(&bench).contains("rollout-resumed"));
}

#[test]
fn an_agent_whose_new_program_cannot_reach_the_floor_goes_back_and_stops_the_rollout() {
    // It waits for a word, so that the floor can be gone before it calls.
    let folder = tempfile::tempdir().expect("a folder");
    let word = folder.path().join("word");
    assert!(Command::new("mkfifo").arg(&word).status().expect("mkfifo").success());
    let text = format!("read word <{}; exec {} \"$@\"", word.display(), kiln().display());
    let site = Site::script(&text, "back: 10s");
    let (bench, floor) = site.bench();
    let agent = agent(&bench, "1");
    let state = |wanted: &str| {
        let path = bench.path("spool-1/programs/state.json");
        wait(wanted, || fs::read_to_string(&path).is_ok_and(|state| state.contains(wanted)).then_some(()));
    };
    state("\"started\": true");
    signal(&floor, "-STOP");
    fs::write(&word, "go\n").expect("said");
    state("fell-back");
    signal(&floor, "-CONT");
    let page = doors(&bench, "No more agents are upgraded");
    assert!(page.contains("the program did not reach the floor"), "{page}");
    assert_eq!(is(&agent), kiln());
    passes(&bench, "1");
}

#[test]
fn the_only_agent_that_never_comes_back_is_found_overdue_though_nobody_calls() {
    // The program never calls, and ends with the pipe.
    let folder = tempfile::tempdir().expect("a folder");
    let word = folder.path().join("word");
    assert!(Command::new("mkfifo").arg(&word).status().expect("mkfifo").success());
    let site = Site::script(&format!("read word <{}", word.display()), "back: 10s");
    let (bench, _floor) = site.bench();
    let agent = agent(&bench, "1");
    wait("the stop", || told(&bench).contains("rollout-stopped agent").then_some(()));
    assert!(told(&bench).starts_with("rollout-began \nwave-began \nupgrade-offered agent"), "{}", told(&bench));
    agent.kill();
}

#[test]
fn an_agent_whose_new_program_ends_at_once_is_the_old_one_when_it_is_started_again() {
    let site = Site::script("exit 7", "back: 1m");
    let (bench, _floor) = site.bench();
    let mut agent = agent(&bench, "1");
    assert_eq!(wait("its end", || agent.code()), 7);
    // As a service manager does.
    let again = self::agent(&bench, "1");
    let page = doors(&bench, "No more agents are upgraded");
    assert!(page.contains("the program did not reach the floor"), "{page}");
    assert_eq!(is(&again), kiln());
}

#[test]
fn where_a_key_is_given_a_program_without_its_signature_is_refused_and_one_with_it_is_become() {
    let site = Site::script(&format!("exec {} \"$@\"", kiln().display()), "back: 1m");
    let key = site.folder.path().join("key");
    assert!(Command::new(kiln()).args(["seal", "--new-key"]).arg(&key).output().expect("kiln").status.success());
    let public = key.with_extension("pub").display().to_string();
    let agent = |bench: &Bench| bench.agent("spool", &["--programs-key", &public]);
    let (bench, floor) = site.bench();
    let unsigned = agent(&bench);
    doors(&bench, "the program is not signed");
    drop((unsigned, floor));
    // As `ci/release` signs.
    let mut openssl = Command::new("openssl");
    openssl.args(["pkeyutl", "-sign", "-rawin", "-inkey"]).arg(&key).arg("-in").arg(site.program());
    let signed = openssl.arg("-out").arg(site.program().with_file_name("kiln.sig")).output().expect("openssl");
    assert!(signed.status.success(), "{signed:?}");
    let (bench, _floor) = site.bench();
    let _signed = agent(&bench);
    doors(&bench, "Wave 2: 0");
}

#[test]
fn a_floor_does_not_start_with_a_program_that_it_does_not_have() {
    let site = Site::script("exit 0", "back: 1m");
    fs::write(site.program(), "another one").expect("written");
    let data = tempfile::tempdir().expect("a folder");
    let mut floor = Command::new(env!("CARGO_BIN_EXE_kiln-floor"));
    let out = floor.args(["serve", "--data"]).arg(data.path()).args(site.args()).output().expect("kiln-floor");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        out.status.code() == Some(3) && said.contains(&format!("no file with the digest {}", site.digest)),
        "{said}"
    );
    assert!(said.contains(&format!("kiln ({})", digest(&site.program()))), "{said}");
}

#[test]
fn over_tls_an_agent_that_is_not_offered_the_program_does_not_get_it() {
    let site = Site::script("exit 0", "back: 1m");
    let args = site.args();
    let (bench, _floor) = Bench::secured(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let admin = Browser::of(&bench, "admin");
    let machine = Machine::new("agent-1").enrolled(&bench, &admin);
    assert_eq!(machine.syncs(&bench).0, 200);
    let url = format!("https://{}/v1/blobs/{}", bench.address, site.digest);
    let asked = |machine: &Machine| {
        let answer = calls(&bench, machine.shows()).get(&url).header("range", "bytes=0-").call();
        let mut answer = answer.expect("an answer");
        (answer.status().as_u16(), answer.body_mut().read_to_string().expect("text"))
    };
    let (status, said) = asked(&machine);
    assert_eq!(status, 403);
    assert!(said.contains("is not offered to agent agent-1 now") && said.contains(&site.digest), "{said}");
    let stranger = Machine::new("agent-2");
    assert_ne!(calls(&bench, stranger.shows()).get(&url).call().map_or(0, |answer| answer.status().as_u16()), 206);
    let program = format!("sha256:{}", "1".repeat(64));
    let (status, reply) = machine.syncs_with(&bench, &serde_json::json!({ "program": program }));
    assert!(status == 200 && reply.contains(&site.digest), "{reply}");
    assert_eq!(asked(&machine), (206, "#!/bin/sh\nexit 0\n".to_owned()));
}
