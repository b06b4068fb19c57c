//! Agents whose floor is away: what their spool says they do all the same, and who watches over them hears of it.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::bench::{Process, kiln, wait};

/// Nobody listens there.
const NO_FLOOR: &str = "http://127.0.0.1:1";

/// A spool in which a run is wanted.
struct Spool {
    dir: tempfile::TempDir,
}

impl Spool {
    fn wants(profile: &str, program: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let spool = Self { dir };
        let profile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(profile);
        let profile = profile.canonicalize().map_or_else(|_| "smoke".to_owned(), |path| path.display().to_string());
        let serial = "SIMN1674588756500";
        let assignment = format!(
            "{{\"unit\":\"{serial}\",\"generation\":1,\"run\":\"run-1\",\"profile\":\"{profile}\",\"digest\":null{program}}}"
        );
        fs::create_dir_all(spool.path("spool/assigned")).expect("a folder");
        fs::write(spool.path("spool/assignment.json"), &assignment).expect("written");
        fs::write(spool.path("spool/assigned/run-1.json"), assignment).expect("written");
        spool
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn agent(&self, more: &[(&str, &Path)]) -> Process {
        let mut agent = Command::new(kiln());
        agent.args(["agent", "--floor", NO_FLOOR, "--sim", "pcie-l40s-8", "--spool"]).arg(self.path("spool"));
        agent.envs(more.iter().copied());
        agent.stdout(Stdio::null()).stderr(fs::File::create(self.path("said")).expect("a log"));
        agent.spawn().expect("an agent").into()
    }

    fn said(&self) -> String {
        fs::read_to_string(self.path("said")).unwrap_or_default()
    }

    fn journal(&self) -> String {
        fs::read_to_string(self.path("spool/runs/run-1/journal.jsonl")).unwrap_or_default()
    }
}

#[test]
fn an_agent_takes_a_run_through_every_restart_that_it_asks_for() {
    let spool = Spool::wants("fixtures/profiles/restarts.yaml", "");
    let _agent = spool.agent(&[]);
    let ended = |journal: &String| journal.contains("\"run-finished\"");
    let journal = wait("the end of the run", || Some(spool.journal()).filter(ended));
    let count = |kind: &str| journal.lines().filter(|line| line.contains(&format!("\"{kind}\""))).count();
    assert_eq!((count("restart-asked"), count("run-resumed"), count("run-finished")), (3, 3, 1));
    assert!(journal.lines().last().is_some_and(|line| line.contains("\"word\":\"PASS\"")), "{}", spool.said());
}

#[test]
fn an_agent_that_is_another_program_than_the_run_was_assigned_to_begins_nothing_and_says_so() {
    let spool = Spool::wants("", ",\"program\":\"sha256:0123\"");
    let _agent = spool.agent(&[]);
    wait("that it is held", || spool.said().contains("OtherProgram").then_some(()));
    assert!(spool.said().contains("sha256:0123"), "{}", spool.said());
    assert_eq!(spool.journal(), "");
}

#[test]
fn a_service_manager_hears_that_the_agent_works() {
    let spool = Spool::wants("", "");
    let socket = spool.path("notify");
    let manager = UnixDatagram::bind(&socket).expect("a socket");
    manager.set_read_timeout(Some(std::time::Duration::from_secs(120))).expect("a socket");
    let agent = spool.agent(&[("NOTIFY_SOCKET", &socket), ("WATCHDOG_USEC", Path::new("2000000"))]);
    let mut buffer = [0; 256];
    let mut next = || {
        let read = manager.recv(&mut buffer).expect("a message");
        String::from_utf8(buffer[..read].to_vec()).expect("text")
    };
    assert!(next().starts_with("READY=1\n"));
    assert_eq!([next(), next(), next()], ["WATCHDOG=1"; 3]);
    drop(agent);
}
