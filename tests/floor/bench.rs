//! The two programs, started and killed as a test needs, and a browser of a few lines.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The node's program, which lies beside the floor's once both are built, as `cargo test` builds them.
pub(crate) fn kiln() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_kiln-floor")).with_file_name("kiln");
    assert!(path.exists(), "{} is not built; run `cargo build -p kiln` first", path.display());
    path
}

/// A process that is killed at the end of a test, however it ends.
pub(crate) struct Process(Child);

impl Process {
    /// As a power cut does it.
    pub(crate) fn kill(mut self) {
        self.0.kill().expect("a process of ours");
        self.0.wait().expect("its end");
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn code(&mut self) -> Option<i32> {
        self.0.try_wait().expect("a process of ours").and_then(|status| status.code())
    }
}

impl From<Child> for Process {
    fn from(child: Child) -> Self {
        Self(child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A floor and the folders of its agents.
pub(crate) struct Bench {
    dir: tempfile::TempDir,
    pub(crate) address: String,
    /// What the floor is started with beside its folder and address.
    more: Vec<String>,
}

impl Bench {
    pub(crate) fn new() -> (Self, Process) {
        Self::with(&[])
    }

    pub(crate) fn with(more: &[&str]) -> (Self, Process) {
        Self::after(more, |_| {})
    }

    /// A floor that finds something in its folder when it is started.
    pub(crate) fn after(more: &[&str], prepare: impl FnOnce(&Path)) -> (Self, Process) {
        let (dir, address) = (tempfile::tempdir().expect("a folder"), "127.0.0.1:0".to_owned());
        let mut bench = Self { dir, address, more: more.iter().map(|more| (*more).to_owned()).collect() };
        prepare(&bench.path("floor"));
        let floor = bench.floor();
        (bench, floor)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A floor over TLS with one person of each role: `B-<role>` is the badge, 493817 everybody's PIN.
    pub(crate) fn secured(more: &[&str]) -> (Self, Process) {
        Self::secured_after(more, |_| {})
    }

    /// The same, which finds something in its folder when it is started.
    pub(crate) fn secured_after(more: &[&str], prepare: impl FnOnce(&Path)) -> (Self, Process) {
        let (dir, address) = (tempfile::tempdir().expect("a folder"), "127.0.0.1:0".to_owned());
        let more = ["--tls"].iter().chain(more).map(|more| (*more).to_owned()).collect();
        let mut bench = Self { dir, address, more };
        for role in ["viewer", "operator", "engineer", "admin"] {
            bench.person(role, role);
        }
        prepare(&bench.path("floor"));
        let floor = bench.floor();
        (bench, floor)
    }

    pub(crate) fn person(&self, name: &str, role: &str) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kiln-floor"));
        command.args(["person", "add", "--name", name, "--badge", &format!("B-{name}"), "--role", role, "--data"]);
        let mut child = command.arg(self.path("floor")).stdin(Stdio::piped()).spawn().expect("kiln-floor person");
        child.stdin.take().expect("a pipe").write_all(b"493817\n").expect("a PIN");
        assert!(child.wait().expect("its end").success());
    }

    /// The floor's program beside the floor, on its folder.
    pub(crate) fn beside(&self, command: &str, more: &[&str]) -> Output {
        let mut floor = Command::new(env!("CARGO_BIN_EXE_kiln-floor"));
        floor.args([command, "--data"]).arg(self.path("floor")).args(more).output().expect("kiln-floor")
    }

    /// Every event of the floor as a line.
    pub(crate) fn audited(&self) -> String {
        let out = self.beside("audit", &[]);
        assert!(out.status.success(), "{out:?}");
        String::from_utf8(out.stdout).expect("text")
    }

    /// Moves the floor's database aside and makes it again from these lines; what `kiln-floor reindex` says then.
    pub(crate) fn restored(&self, lines: &str) -> Output {
        let saved = self.path("events.jsonl");
        fs::write(&saved, lines).expect("a copy of the events");
        for name in Self::names_in(&self.path("floor")).iter().filter(|name| name.starts_with("floor.db")) {
            fs::remove_file(self.path("floor").join(name)).expect("gone");
        }
        self.beside("reindex", &["--events", saved.to_str().expect("text")])
    }

    /// What the floor said on stderr so far.
    pub(crate) fn floor_says(&self) -> String {
        fs::read_to_string(self.path("floor.log")).unwrap_or_default()
    }

    /// An agent that calls over TLS, and the file with what it says.
    pub(crate) fn agent_over_tls(&self, spool: &str, more: &[&str]) -> (Process, PathBuf) {
        let log = self.path(&format!("{spool}.log"));
        let mut command = Command::new(kiln());
        command.args([
            "agent",
            "--once",
            "--sim",
            "hgx-h200-8",
            "--floor",
            &format!("https://{}", self.address),
            "--ca",
        ]);
        command.arg(self.path("floor/keys/ca.pem")).arg("--spool").arg(self.path(spool)).args(more);
        command.stderr(fs::File::create(&log).expect("a log"));
        (Process(command.spawn().expect("an agent")), log)
    }

    /// Starts the floor: at any port the first time, at the same one ever after.
    pub(crate) fn floor(&mut self) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kiln-floor"));
        command.args(["serve", "--listen", &self.address, "--data"]).arg(self.path("floor")).args(&self.more);
        let log = fs::File::options().create(true).append(true).open(self.path("floor.log")).expect("a log");
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("a floor");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("its address");
        let address = line.trim().split_once("://").and_then(|(_, rest)| rest.strip_suffix('/'));
        address.unwrap_or_else(|| panic!("`{line}` is no address")).clone_into(&mut self.address);
        Process(child)
    }

    pub(crate) fn agent(&self, spool: &str, more: &[&str]) -> Process {
        let mut command = Command::new(kiln());
        command.args(["agent", "--once", "--sim", "hgx-h200-8", "--floor", &format!("http://{}", self.address)]);
        command.args(more).arg("--spool").arg(self.path(spool)).stderr(Stdio::null());
        Process(command.spawn().expect("an agent"))
    }

    /// The serial number that a simulated node says of itself.
    pub(crate) fn serial(seed: &str) -> String {
        let out = Command::new(kiln()).args(["node", "--json", "--sim", "hgx-h200-8", "--seed", seed]).output();
        let inventory: serde_json::Value = serde_json::from_slice(&out.expect("an inventory").stdout).expect("JSON");
        let serial = &inventory["node"]["serial"];
        let text = serial.as_str().or_else(|| serial.as_object()?.values().next()?.as_str());
        text.unwrap_or_else(|| panic!("no serial number in {serial}")).to_owned()
    }

    /// Scans a unit on the page, as a person does.
    pub(crate) fn scan(&self, serial: &str) {
        let to = self.sends("/scan", &format!("serial={serial}&by=sato"));
        assert!(to.starts_with("/units/"), "a scan leads to the unit's page, not to {to}");
    }

    /// Sends a form of the floor's own page; where it leads.
    pub(crate) fn sends(&self, path: &str, form: &str) -> String {
        let origin = format!("http://{}", self.address);
        let (status, answer) = self.post(path, form, Some(&origin));
        assert_eq!(status, 303, "{answer}");
        let to = answer.lines().find_map(|line| line.strip_prefix("location: ")).expect("a place to go");
        to.trim().to_owned()
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.call("GET", path, "", &[])
    }

    pub(crate) fn post(&self, path: &str, body: &str, origin: Option<&str>) -> (u16, String) {
        let form = "content-type: application/x-www-form-urlencoded".to_owned();
        let headers: Vec<String> = [form].into_iter().chain(origin.map(|origin| format!("origin: {origin}"))).collect();
        self.call("POST", path, body, &headers)
    }

    pub(crate) fn call(&self, method: &str, path: &str, body: &str, headers: &[String]) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).expect("the floor listens");
        let host = if headers.iter().any(|header| header.starts_with("host:")) {
            String::new()
        } else {
            format!("host: {}\r\n", self.address)
        };
        let headers: String = headers.iter().flat_map(|header| [header.as_str(), "\r\n"]).collect();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\n{host}{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        stream.write_all(head.as_bytes()).expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
        (status.unwrap_or_else(|| panic!("no status in {answer}")), answer)
    }

    pub(crate) fn runs(&self, folder: &str) -> Vec<String> {
        Self::names_in(&self.path(folder))
    }

    /// The names in a folder.
    pub(crate) fn names_in(folder: &Path) -> Vec<String> {
        let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// The recorded files of a run: byte for byte the same at the node and on the floor.
    pub(crate) fn assert_same(&self, spool: &str, run: &str) {
        for file in ["journal.jsonl", "telemetry/samples.ktb"] {
            let node = fs::read(self.path(&format!("{spool}/runs/{run}/{file}"))).expect("the node's");
            let floor = fs::read(self.path(&format!("floor/runs/{run}/{file}"))).expect("the floor's");
            assert!(!node.is_empty() && node == floor, "{file} of {run}: {} and {} bytes", node.len(), floor.len());
        }
    }

    /// The result that `kiln report` makes of a run directory.
    pub(crate) fn result(&self, folder: &str) -> serde_json::Value {
        let out = Command::new(kiln()).args(["report", "--format", "json"]).arg(self.path(folder)).output();
        let out = out.expect("a report");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice(&out.stdout).expect("JSON")
    }
}

/// Sends a signal, by its name with a dash.
pub(crate) fn signal(process: &Process, name: &str) {
    assert!(Command::new("kill").arg(name).arg(process.id().to_string()).status().expect("kill").success());
}

/// Waits for something that another process brings about.
pub(crate) fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "waited two minutes in vain for {what}");
        pause();
    }
}

#[expect(clippy::disallowed_methods, reason = "a test of processes has the world's clock")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "what other processes do is looked for again after a moment")]
fn pause() {
    std::thread::sleep(Duration::from_millis(30));
}
