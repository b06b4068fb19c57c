//! A floor with its events in PostgreSQL: it works as any other, follows its database through what happens to it, and gives way
//! to another floor that has taken the lead.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};

use crate::bench::{Bench, signal, wait};
use crate::cluster::{Cluster, cluster};

/// What a floor is given to reach a database.
pub(crate) struct Given {
    folder: tempfile::TempDir,
    store: Vec<String>,
    name: String,
}

impl Given {
    pub(crate) fn new() -> Self {
        let name = cluster().database();
        let mut given = Self::at(cluster().url(&name), name);
        let authority = given.folder.path().join("ca.pem");
        fs::write(&authority, &cluster().certificate).expect("written");
        given.store.extend(["--store-ca".to_owned(), authority.display().to_string()]);
        given
    }

    pub(crate) fn at(url: String, name: String) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let password = Cluster::password_in(folder.path()).display().to_string();
        let store = ["--store".to_owned(), url, "--store-password".to_owned(), password].into();
        Self { folder, store, name }
    }

    pub(crate) fn args(&self) -> Vec<&str> {
        self.store.iter().map(String::as_str).collect()
    }

    pub(crate) fn sql(&self, text: &str) -> String {
        cluster().sql(&self.name, text)
    }
}

#[test]
fn a_unit_is_tested_and_every_command_finds_the_events_and_moves_them_back() {
    let given = Given::new();
    let (bench, floor) = Bench::with(&given.args());
    let serial = Bench::serial("1");
    bench.scan(&serial);
    let mut agent = bench.agent("spool", &[]);
    assert_eq!(wait("the agent's end", || agent.code()), 0);
    assert!(bench.get(&format!("/units/{serial}?lang=en")).1.contains("Passed ○"));
    assert!(!bench.path("floor/floor.db").exists());
    let audit = bench.beside("audit", &given.args());
    assert!(audit.status.success(), "{audit:?}");
    assert_eq!(
        given.sql("SELECT count(*) FROM kiln_floor_event"),
        audit.stdout.split(|b| *b == b'\n').count().saturating_sub(1).to_string()
    );
    let at_work = bench.beside("reindex", &given.args());
    assert!(String::from_utf8_lossy(&at_work.stderr).contains("another kiln-floor works with it"), "{at_work:?}");
    floor.kill();
    let sound = bench.beside("reindex", &given.args());
    assert!(sound.status.success() && String::from_utf8_lossy(&sound.stdout).contains("0 mended, 0 left"), "{sound:?}");
    // Without its database a floor does not begin anew beside it.
    for command in ["serve", "audit", "reindex"] {
        let out = bench.beside(command, &[]);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(
            out.status.code() == Some(3) && said.contains("are in PostgreSQL; give its address with --store"),
            "{said}"
        );
    }
    // Back into the folder, as docs/floor.md says, and into another database from there.
    let lines = bench.path("events.jsonl");
    fs::write(&lines, &audit.stdout).expect("written");
    fs::remove_file(bench.path("floor/store")).expect("taken away");
    let events = ["--events", lines.to_str().expect("text")];
    assert!(bench.beside("reindex", &events).status.success());
    assert_eq!(bench.audited().as_bytes(), audit.stdout);
    let other = Given::new();
    let both = [&other.args()[..], &events].concat();
    let in_the_way = bench.beside("reindex", &both);
    assert!(String::from_utf8_lossy(&in_the_way.stderr).contains("move floor.db* away"), "{in_the_way:?}");
    for name in Bench::names_in(&bench.path("floor")).iter().filter(|name| name.starts_with("floor.db")) {
        fs::remove_file(bench.path("floor").join(name)).expect("moved away");
    }
    let moved = bench.beside("reindex", &both);
    assert!(moved.status.success() && String::from_utf8_lossy(&moved.stdout).contains("events restored"), "{moved:?}");
    assert_eq!(bench.beside("audit", &other.args()).stdout, audit.stdout);
}

#[test]
fn a_floor_that_was_paused_while_another_took_the_lead_keeps_nothing_any_more_and_ends() {
    let given = Given::new();
    let (old, mut paused) = Bench::with(&given.args());
    old.scan("SRV-1");
    let second = Command::new(env!("CARGO_BIN_EXE_kiln-floor"));
    let refused =
        { second }.args(["serve", "--data"]).arg(old.path("standby")).args(given.args()).output().expect("kiln-floor");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(3) && said.contains("another kiln-floor leads with the events in"), "{said}");
    signal(&paused, "-STOP");
    // What the server does by itself with a floor that says nothing for half a minute.
    cluster().cut(&given.name);
    let (new, _leads) = Bench::with(&given.args());
    assert!(new.get("/?lang=en").1.contains("SRV-1"));
    new.scan("SRV-2");
    // Said to the old one before it knows.
    let mut stream = TcpStream::connect(&old.address).expect("it listens");
    let (form, host) = ("serial=SRV-3&by=sato", &old.address);
    let head = format!(
        "POST /scan HTTP/1.1\r\nhost: {host}\r\norigin: http://{host}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    signal(&paused, "-CONT");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(answer.is_empty() || answer.contains("told=refused"), "it was not taken: {answer}");
    assert_eq!(wait("its end", || paused.code()), 3);
    let said = old.floor_says();
    assert!(
        said.contains("another kiln-floor has taken the lead") && said.contains("epoch 2; this one had 1"),
        "{said}"
    );
    new.scan("SRV-4");
    assert_eq!(given.sql("SELECT count(*) FROM kiln_floor_event WHERE body LIKE '%SRV-3%'"), "0");
    let mut again = Command::new(env!("CARGO_BIN_EXE_kiln-floor"));
    let refused =
        again.args(["serve", "--data"]).arg(old.path("floor")).args(given.args()).output().expect("kiln-floor");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("another kiln-floor leads"), "{refused:?}");
}

/// A way to the database that a test can close.
pub(crate) struct Gate {
    pub(crate) port: u16,
    /// The streams that go through it; None while it is closed.
    through: Arc<Mutex<Option<Vec<TcpStream>>>>,
    answers: Arc<Answers>,
}

/// What comes back from the database.
#[derive(Default)]
struct Answers {
    /// They stand still from when the floor says this.
    at: Mutex<Option<&'static str>>,
    held: Mutex<bool>,
    changed: Condvar,
}

impl Answers {
    fn hear(&self, said: &[u8]) {
        let mut at = self.at.lock().expect("a word");
        if at.is_some_and(|word| said.windows(word.len()).any(|part| part == word.as_bytes())) {
            *at = None;
            *self.held.lock().expect("a flag") = true;
        }
    }
}

impl Gate {
    pub(crate) fn open_to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let own = listener.local_addr().expect("its address").port();
        let gate = Self { port: own, through: Arc::new(Mutex::new(Some(Vec::new()))), answers: Arc::default() };
        let (kept, answers) = (Arc::clone(&gate.through), Arc::clone(&gate.answers));
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let (Ok(near), Ok(far)) = (near, TcpStream::connect(("127.0.0.1", port))) else { continue };
                let mut kept = kept.lock().expect("streams");
                let Some(kept) = kept.as_mut() else { continue };
                for (from, to, answers_come) in [(&near, &far, false), (&far, &near, true)] {
                    let (from, to) = (from.try_clone().expect("a stream"), to.try_clone().expect("a stream"));
                    let answers = Arc::clone(&answers);
                    std::thread::spawn(move || pass_on(from, to, &answers, answers_come));
                }
                kept.extend([near, far]);
            }
        });
        gate
    }

    fn close(&self) {
        for stream in self.through.lock().expect("streams").take().into_iter().flatten() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn open(&self) {
        *self.through.lock().expect("streams") = Some(Vec::new());
    }

    /// Lets answers stand still once the floor says this.
    pub(crate) fn hold_at(&self, word: &'static str) {
        *self.answers.at.lock().expect("a word") = Some(word);
    }

    pub(crate) fn let_go(&self) {
        *self.answers.held.lock().expect("a flag") = false;
        self.answers.changed.notify_all();
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, answers: &Answers, answers_come: bool) {
    let mut buffer = vec![0; 65536];
    while let Ok(read) = from.read(&mut buffer) {
        if answers_come {
            let held = answers.held.lock().expect("a flag");
            drop(answers.changed.wait_while(held, |held| *held).expect("a flag"));
        } else {
            answers.hear(&buffer[..read]);
        }
        if read == 0 || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

#[test]
fn a_floor_whose_database_is_away_says_so_decides_nothing_and_goes_on_once_it_is_back() {
    let name = cluster().database();
    let gate = Gate::open_to(cluster().port);
    let given = Given::at(format!("postgres://kiln@127.0.0.1:{}/{name}", gate.port), name);
    let (bench, mut floor) = Bench::with(&given.args());
    bench.scan("SRV-1");
    gate.close();
    let scan = |unit: &str| bench.sends("/scan", &format!("serial={unit}&by=sato"));
    let to = scan("SRV-2");
    assert!(to.contains("told=refused") && to.contains("cannot%20reach%20its%20events"), "{to}");
    let page = bench.get("/?lang=en").1;
    assert!(page.contains("SRV-1") && !page.contains("SRV-2"), "what is known to be kept is shown: {page}");
    assert!(bench.floor_says().contains("does not answer"), "{}", bench.floor_says());
    gate.open();
    wait("the database", || (!scan("SRV-2").contains("told=refused")).then_some(()));
    assert!(floor.code().is_none() && bench.floor_says().contains("are reached again"), "{}", bench.floor_says());
    // A session that the server ends is made again before anybody hears of it.
    cluster().cut(&given.name);
    let to = scan("SRV-3");
    assert!(!to.contains("told="), "{to}");
    assert_eq!(given.sql("SELECT epoch FROM kiln_floor"), "1");
}

#[test]
fn agents_are_answered_from_memory_while_the_database_is_away_and_nothing_is_decided_or_lost() {
    let name = cluster().database();
    let gate = Gate::open_to(cluster().port);
    let given = Given::at(format!("postgres://kiln@127.0.0.1:{}/{name}", gate.port), name);
    let (bench, mut floor) = Bench::with(&given.args());
    let serial = Bench::serial("1");
    bench.scan(&serial);
    let mut agent = bench.agent("spool", &["--sim-speed", "20"]);
    let copied = |bench: &Bench| {
        let run = bench.runs("floor/runs").into_iter().next()?;
        let journal = bench.path(&format!("floor/runs/{run}/journal.jsonl"));
        Some((run, fs::metadata(journal).ok()?.len()))
    };
    let (run, _) = wait("its run", || copied(&bench));
    gate.close();
    let page = wait("a page that says so", || {
        Some(bench.get("/?lang=en").1).filter(|page| page.contains("cannot reach its database"))
    });
    assert!(page.contains(&serial) && page.contains("may be old"), "{page}");
    let events = given.sql("SELECT count(*) FROM kiln_floor_event");
    let sync = |doing: serde_json::Value, generation: Option<u64>| {
        let body = serde_json::json!({
            "wire": "kiln.wire/1.0", "agent": "agent-2", "boot": "boot-1", "serial": "SRV-2", "doing": doing,
            "generation": generation, "spool": [],
        });
        let (status, answer) = bench.call("POST", "/v1/sync", &body.to_string(), &[]);
        assert_eq!(status, 200, "{answer}");
        answer
    };
    assert!(sync("idle".into(), None).contains("\"basis\":\"memory\""));
    // Evidence is taken in meanwhile: it needs no event, and lies on the floor's disk before it is acknowledged.
    let before = copied(&bench).map_or(0, |(_, size)| size);
    wait("more of its journal", || copied(&bench).filter(|(_, size)| *size > before));
    let whole = || fs::read(bench.path(&format!("spool/runs/{run}/journal.jsonl"))).unwrap_or_default();
    wait("the run's end, which the floor has", || {
        let (node, floor) = (whole(), fs::read(bench.path(&format!("floor/runs/{run}/journal.jsonl"))).ok()?);
        (node == floor && String::from_utf8_lossy(&node).contains("run-finished")).then_some(())
    });
    assert!(agent.code().is_none(), "what wants an event waits");
    assert!(Bench::names_in(&bench.path("floor/sealed")).is_empty(), "and is not said to be so");
    assert_eq!(given.sql("SELECT count(*) FROM kiln_floor_event"), events);
    gate.open();
    assert_eq!(wait("the agent's end", || agent.code()), 0);
    assert!(floor.code().is_none(), "{}", bench.floor_says());
    assert!(!bench.get(&format!("/units/{serial}?lang=en")).1.contains("cannot reach its database"));
    let arrived = format!("SELECT count(*) FROM kiln_floor_event WHERE body LIKE '%run-arrived%{run}%'");
    assert_eq!(given.sql(&arrived), "1", "whatever its verdict on a machine that may be late");
    bench.assert_same("spool", &run);
    assert!(sync("idle".into(), None).contains("\"basis\":\"decided\""));
}
