//! What a NATS server is told: everything, in order, each once, whatever becomes of the server and of the floor meanwhile.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::bench::{Bench, Process, wait};

/// Debian's `nats-server` on a port, with what it keeps in a folder.
struct Server {
    port: u16,
    folder: tempfile::TempDir,
}

impl Server {
    fn new() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        Self { port, folder: tempfile::tempdir().expect("a folder") }
    }

    fn start(&self, more: &[&str]) -> Process {
        // Where Debian has it, which is not where everybody looks.
        let debian = Path::new("/usr/sbin/nats-server");
        let program = if debian.exists() { debian } else { Path::new("nats-server") };
        let mut server = Command::new(program);
        server.args(["-a", "127.0.0.1", "-p", &self.port.to_string(), "-js", "-sd"]).arg(self.folder.path()).args(more);
        server.stderr(Stdio::null()).stdout(Stdio::null());
        let started = server.spawn();
        let started = Process::from(started.expect("this test did NOT run: `ci/test` installs nats-server"));
        wait("the server", || TcpStream::connect(("127.0.0.1", self.port)).ok());
        started
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("written");
        path
    }
}

/// Another system, which asks the server what its stream has.
struct Other(BufReader<TcpStream>);

impl Other {
    fn of(server: &Server, login: &Value) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", server.port)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
        let mut other = Self(BufReader::new(stream));
        other.line();
        other.say(&format!("CONNECT {login}\r\nSUB answer 1\r\nPING\r\n"));
        assert_eq!(other.line(), "PONG");
        other
    }

    fn say(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).expect("sent");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    fn asks(&mut self, what: &str, body: &Value) -> Value {
        let body = body.to_string();
        self.say(&format!("PUB $JS.API.{what} answer {}\r\n{body}\r\n", body.len()));
        let line = loop {
            let line = self.line();
            if line == "PING" {
                self.say("PONG\r\n");
            } else {
                break line;
            }
        };
        let size: Option<usize> = line.rsplit(' ').next().and_then(|size| size.parse().ok());
        let mut bytes = vec![0; size.unwrap_or_else(|| panic!("`{line}` is no message")) + 2];
        self.0.read_exact(&mut bytes).expect("its bytes");
        let answer: Value = serde_json::from_slice(&bytes).expect("JSON");
        assert!(answer.get("error").is_none(), "{what}: {answer}");
        answer
    }

    fn makes_a_stream(&mut self, subjects: &str) {
        self.asks("STREAM.CREATE.KILN", &json!({ "name": "KILN", "subjects": [subjects], "storage": "file" }));
    }

    fn messages(&mut self) -> u64 {
        self.asks("STREAM.INFO.KILN", &json!({}))["state"]["messages"].as_u64().expect("a number")
    }

    /// Subject, number and content of a message.
    fn message(&mut self, number: u64) -> (String, String, Value) {
        let found = self.asks("STREAM.MSG.GET.KILN", &json!({ "seq": number }));
        let text = |field: &str| {
            let bytes = BASE64_STANDARD.decode(found["message"][field].as_str().expect("text")).expect("base64");
            String::from_utf8(bytes).expect("text")
        };
        let headers = text("hdrs");
        let id = headers.lines().find_map(|line| line.strip_prefix("Nats-Msg-Id: ")).expect("a number");
        let subject = found["message"]["subject"].as_str().expect("text");
        (subject.to_owned(), id.to_owned(), serde_json::from_str(&text("data")).expect("JSON"))
    }
}

fn waits(bench: &Bench, why: &str) {
    wait(why, || bench.get("/doors?lang=en").1.contains(why).then_some(()));
}

#[test]
fn every_event_is_in_the_stream_once_and_in_order_though_server_and_floor_are_killed() {
    let server = Server::new();
    let login = server.file("login", "floor:s3cret\n").display().to_string();
    let (mut bench, floor) = Bench::with(&["--nats", &server.url(), "--nats-login", &login]);
    bench.scan("SRV-1");
    waits(&bench, "Connection refused");
    let logins = ["--user", "floor", "--pass", "s3cret"];
    let nats = server.start(&logins);
    waits(&bench, "no JetStream stream of the server takes kiln.floor.");
    let connect = json!({ "user": "floor", "pass": "s3cret", "headers": true, "verbose": false });
    let mut other = Other::of(&server, &connect);
    other.makes_a_stream("kiln.>");
    let events = || bench.audited().lines().count() as u64;
    wait("all of before", || (other.messages() == events()).then_some(()));
    nats.kill();
    bench.scan("SRV-2");
    waits(&bench, &server.port.to_string());
    bench.scan("SRV-3");
    let _nats = server.start(&logins);
    let mut other = Other::of(&server, &connect);
    wait("the rest", || (other.messages() == events()).then_some(()));
    // The floor dies after the stream had the message, and before it noted so.
    floor.kill();
    let cursor = bench.path("floor/nats");
    assert_eq!(fs::read_to_string(&cursor).expect("a cursor").trim(), events().to_string());
    fs::write(&cursor, "1\n").expect("as it was before");
    let _floor = bench.floor();
    bench.scan("SRV-4");
    let lines = bench.audited();
    wait("the last one", || (other.messages() == lines.lines().count() as u64).then_some(()));
    for (at, line) in lines.lines().enumerate() {
        let event: Value = serde_json::from_str(line).expect("JSON");
        let (subject, id, told) = other.message(at as u64 + 1);
        let kind = event["event"].as_object().and_then(|event| event.keys().next()).expect("a kind");
        assert_eq!((subject, id), (format!("kiln.floor.{kind}"), format!("floor-{at:012}")));
        assert_eq!((&told["event"], &told["seq"], &told["actor"]), (&event["event"], &event["seq"], &event["actor"]));
        assert_eq!(told["schema"], "kiln.floor-event/1");
    }
}

#[test]
fn a_server_is_known_by_its_authority_and_a_floor_by_its_token() {
    let server = Server::new();
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let certificate = server.file("server.pem", &own.cert.pem()).display().to_string();
    let key = server.file("server.key", &own.signing_key.serialize_pem()).display().to_string();
    let _nats = server.start(&["--auth", "t0ken", "--tls", "--tlscert", &certificate, "--tlskey", &key]);
    let url = format!("tls://localhost:{}", server.port);
    for (url, token, why) in [
        (server.url(), "t0ken", "the server asks for TLS"),
        (url.clone(), "guessed", "the server refuses the floor: Authorization Violation"),
        (url, "t0ken", "no JetStream stream of the server takes factory.floor.unit-scanned"),
    ] {
        let login = server.file("login", token).display().to_string();
        let given = ["--nats", &url, "--nats-login", &login, "--nats-subject", "factory"];
        let (bench, _floor) = Bench::with(&[&given[..], &["--outlet-ca", &certificate]].concat());
        bench.scan("SRV-1");
        waits(&bench, why);
    }
}
