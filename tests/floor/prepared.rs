//! A floor that has events already: its database as the program keeps it, made of what the floor's own machine decided.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use kiln_event::VerdictWord;
use kiln_floor::{Floor, Input, Policy, RunFacts, Stamped, Stop, Tick};
use kiln_wire::{Doing, RunId, Serial, Sync};
use rusqlite::{Connection, params};
use sha2::{Digest as _, Sha256};

/// A floor that decides without a program around it.
pub(crate) struct Prepared {
    floor: Floor,
    events: Vec<Stamped>,
    runs: u32,
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What the chain of events begins with.
const BEGINNING: &str = "kiln.floor-events/1";

/// The events of an audit without their chain.
pub(crate) fn bodies(audited: &str) -> Vec<String> {
    let body = |line: &str| line.rsplit_once(",\"chain\":\"").map(|(open, _)| format!("{open}}}"));
    audited.lines().map(|line| body(line).expect("a chain")).collect()
}

/// Events as an audit writes them: numbered in this order, with a chain that is reckoned here anew.
pub(crate) fn chained(bodies: &[String]) -> String {
    let (mut chain, mut lines) = (digest(BEGINNING), String::new());
    for (seq, body) in bodies.iter().enumerate() {
        let (_, rest) = body.split_once(',').expect("a number first");
        let body = format!("{{\"seq\":{seq},{rest}");
        chain = digest(&format!("{chain}{body}"));
        let open = body.strip_suffix('}').expect("an object");
        let _ = writeln!(lines, "{open},\"chain\":\"{chain}\"}}");
    }
    lines
}

fn name<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("a plain name")
}

impl Prepared {
    /// A floor whose units pass these profiles.
    pub(crate) fn of(route: &[&str]) -> Self {
        let mut policy = Policy::one_profile(route[0]);
        let first = policy.route[0].clone();
        policy.route = route.iter().map(|profile| Stop { profile: (*profile).to_owned(), ..first.clone() }).collect();
        Self { floor: Floor::of(policy, &[]), events: Vec::new(), runs: 0 }
    }

    fn tell(&mut self, input: Input) -> Option<RunId> {
        self.runs += 1;
        let tick = Tick { now: u64::from(self.runs), fresh_run: name(&format!("run-{}", self.runs)) };
        let answer = self.floor.handle(&tick, input).expect("not refused");
        self.events.extend(answer.events);
        answer.reply?.desired.map(|assignment| assignment.run)
    }

    /// A unit is scanned, and its next run comes to this end.
    #[must_use]
    pub(crate) fn ends(mut self, unit: &str, verdict: VerdictWord) -> Self {
        let serial: Serial = name(unit);
        let scan = Input::Scanned { unit: serial.clone(), at: None, slot: None, lot: None, by: "sato".to_owned() };
        self.tell(scan);
        let idle = Sync::idle(name(&format!("agent-{unit}")), name("boot-1"));
        let run = self.tell(Input::Synced(Sync { serial: Some(serial.clone()), doing: Doing::Idle, ..idle }));
        let facts = RunFacts { serial: Some(serial), ..RunFacts::plain(run.expect("a run"), verdict) };
        self.tell(Input::Arrived(facts));
        self
    }

    /// Writes the events into a floor's folder, with a chain that is reckoned here anew.
    pub(crate) fn keep(&self, data: &Path) {
        fs::create_dir_all(data).expect("a folder");
        let database = Connection::open(data.join("floor.db")).expect("a database");
        let table = "CREATE TABLE event \
                     (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, body TEXT NOT NULL, chain TEXT) STRICT";
        database.execute_batch(table).expect("its table");
        let mut chain = digest(BEGINNING);
        for event in &self.events {
            let body = serde_json::to_string(event).expect("JSON");
            chain = digest(&format!("{chain}{body}"));
            let row = params![event.seq as i64, event.at as i64, body, chain];
            database.execute("INSERT INTO event (seq, at, body, chain) VALUES (?1, ?2, ?3, ?4)", row).expect("kept");
        }
        database.pragma_update(None, "user_version", 3).expect("its version");
    }
}
