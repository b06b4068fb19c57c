//! Either side killed in the middle of a run: nothing is lost, doubled or different.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::process::Command;

use crate::bench::{Bench, Process, kiln, wait};

/// A run of some seconds, so that there is a middle to be killed in.
const SLOW: [&str; 2] = ["--sim-speed", "60"];

fn journal_length(bench: &Bench, folder: &str) -> Option<u64> {
    let run = bench.runs(&format!("{folder}/runs")).into_iter().next()?;
    fs::metadata(bench.path(&format!("{folder}/runs/{run}/journal.jsonl"))).ok().map(|found| found.len())
}

/// What must be so at the end, whatever was killed. A run in the world's time on a busy machine may find that its host did
/// not keep up, and then makes no claim and is repeated: what it says is its own, and that it is said the same is the floor's.
fn assert_nothing_lost(bench: &Bench, serial: &str) {
    let runs = bench.runs("floor/runs");
    assert_eq!(runs, bench.runs("spool/runs"));
    assert!(runs.len() == 1 || runs.len() == 2, "a run, and at most the one repetition: {runs:?}");
    let mut words = Vec::new();
    for run in &runs {
        bench.assert_same("spool", run);
        let [node, floor] = ["spool", "floor"].map(|at| bench.result(&format!("{at}/runs/{run}")));
        assert_eq!(node, floor);
        words.push(floor["verdict"]["word"].as_str().expect("a word").to_owned());
    }
    let (_, page) = bench.get(&format!("/units/{serial}?lang=en"));
    let shown = page.split("class=\"big\"").nth(1).expect("the word");
    let passed = words.last().map(String::as_str) == Some("PASS");
    assert_eq!(shown.contains("Passed ○"), passed, "{words:?}: {page}");
    assert_eq!(page.matches("/report.html").count(), runs.len(), "each run counts once");
    assert!(words[..words.len() - 1].iter().all(|word| word != "PASS"), "no run after a pass: {words:?}");
}

/// Kills the processes of the node's runs, as a power cut does.
fn kill_runs(bench: &Bench) {
    let spool = bench.path("spool/runs").display().to_string();
    for entry in fs::read_dir("/proc").expect("proc") {
        let path = entry.expect("entry").path();
        let line = fs::read(path.join("cmdline")).unwrap_or_default();
        let id = path.file_name().and_then(|name| name.to_str()).filter(|name| name.parse::<u32>().is_ok());
        if let Some(id) = id
            && String::from_utf8_lossy(&line).contains(&spool)
        {
            // One that ended meanwhile is dead as well.
            let _ = Command::new("kill").args(["-9", id]).status().expect("kill(1)");
        }
    }
}

#[test]
fn a_run_goes_on_while_the_floor_is_dead_and_is_handed_over_when_it_is_back() {
    let (mut bench, floor) = Bench::new();
    let serial = Bench::serial("1");
    bench.scan(&serial);
    let mut agent = bench.agent("spool", &SLOW);
    wait("a part of the run on the floor", || journal_length(&bench, "floor").filter(|length| *length > 0));
    floor.kill();
    let before = journal_length(&bench, "spool");
    wait("the run to go on without a floor", || (journal_length(&bench, "spool") > before).then_some(()));
    let _floor = bench.floor();
    assert_eq!(wait("the agent's end", || agent.code()), 0);
    assert_nothing_lost(&bench, &serial);
}

/// A floor with a part of a run, whose agent was killed.
fn killed_in_the_middle() -> (Bench, Process, String) {
    let (bench, floor) = Bench::new();
    let serial = Bench::serial("1");
    bench.scan(&serial);
    let agent = bench.agent("spool", &SLOW);
    wait("a part of the run on the floor", || journal_length(&bench, "floor").filter(|length| *length > 0));
    agent.kill();
    (bench, floor, serial)
}

#[test]
fn an_agent_that_was_killed_takes_its_run_up_again() {
    let (bench, _floor, serial) = killed_in_the_middle();
    let mut agent = bench.agent("spool", &SLOW);
    assert_eq!(wait("the agent's end", || agent.code()), 0);
    assert_nothing_lost(&bench, &serial);
}

#[test]
fn a_run_that_was_cut_with_its_agent_is_resumed_and_the_floors_copy_goes_on() {
    let (bench, _floor, serial) = killed_in_the_middle();
    kill_runs(&bench);
    let mut agent = bench.agent("spool", &SLOW);
    assert_eq!(wait("the agent's end", || agent.code()), 0);
    assert_nothing_lost(&bench, &serial);
    let run = &bench.runs("spool/runs")[0];
    let journal = fs::read_to_string(bench.path(&format!("spool/runs/{run}/journal.jsonl"))).expect("a journal");
    assert!(journal.contains("run-resumed"), "it was not cut in its middle");
}

#[test]
fn a_floor_that_lost_its_copies_is_filled_again_by_an_agent_that_comes_back() {
    let (mut bench, floor) = Bench::new();
    let serial = Bench::serial("1");
    bench.scan(&serial);
    let mut agent = bench.agent("spool", &[]);
    assert_eq!(wait("the agent's end", || agent.code()), 0);
    floor.kill();
    fs::remove_dir_all(bench.path("floor/runs")).expect("a disk lost");
    let _floor = bench.floor();
    let mut agent = bench.agent("spool", &[]);
    assert_eq!(wait("the agent's end", || agent.code()), 0);
    assert_nothing_lost(&bench, &serial);
}

#[test]
fn a_floor_that_can_neither_keep_nor_read_back_its_events_ends() {
    let (bench, mut floor) = Bench::new();
    let database = rusqlite::Connection::open(bench.path("floor/floor.db")).expect("the floor's database");
    database.execute("DROP TABLE event", []).expect("a database that was damaged");
    let body = "serial=SRV1&by=sato";
    let (address, length) = (&bench.address, body.len());
    let head = format!("POST /scan HTTP/1.1\r\nhost: {address}\r\norigin: http://{address}\r\n");
    let form = "content-type: application/x-www-form-urlencoded";
    let mut stream = TcpStream::connect(address).expect("the floor listens");
    // Whether an answer still comes is left open.
    write!(stream, "{head}{form}\r\ncontent-length: {length}\r\n\r\n{body}").expect("sent");
    assert_eq!(wait("the floor's end", || floor.code()), 3);
}

/// The short form of `ci/chaos`, which needs python3 as the other scripts in `ci` do.
#[test]
fn a_short_while_of_kills_cuts_and_doubled_calls_loses_nothing() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ci/chaos");
    let mut command = Command::new("python3");
    command.args([script, "--agents", "3", "--minutes", "0.25", "--each", "--pause", "1", "--seed", "7", "--wipe"]);
    // No faster: where the host is late, a run makes no claim, and a floor without a claim has not been tried.
    command.args(["--speed", "20", "--kiln"]).arg(kiln());
    let out = command.args(["--kiln-floor", env!("CARGO_BIN_EXE_kiln-floor")]).output().expect("python3");
    let told = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && told.contains(" 0 wrong"), "{told}{}", String::from_utf8_lossy(&out.stderr));
}
