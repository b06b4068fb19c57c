//! Either side killed in the middle of a run: nothing is lost, doubled or different.

use std::fs;

use crate::bench::{Bench, wait};

/// A run of some seconds, so that there is a middle to be killed in.
const SLOW: [&str; 2] = ["--sim-speed", "60"];

fn journal_length(bench: &Bench, folder: &str) -> Option<u64> {
    let run = bench.runs(&format!("{folder}/runs")).into_iter().next()?;
    fs::metadata(bench.path(&format!("{folder}/runs/{run}/journal.jsonl"))).ok().map(|found| found.len())
}

/// What must be so at the end, whatever was killed.
fn assert_released_once(bench: &Bench, serial: &str) {
    let (_, page) = bench.get(&format!("/units/{serial}?lang=en"));
    assert!(page.contains("Passed ○"), "{page}");
    let runs = bench.runs("floor/runs");
    assert_eq!((runs.len(), &runs), (1, &bench.runs("spool/runs")), "one run, and no other was begun");
    bench.assert_same("spool", &runs[0]);
    let [node, floor] = ["spool", "floor"].map(|at| bench.result(&format!("{at}/runs/{}", runs[0])));
    assert_eq!(node, floor);
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
    assert_released_once(&bench, &serial);
}

#[test]
fn an_agent_that_was_killed_takes_its_run_up_again() {
    let (bench, _floor) = Bench::new();
    let serial = Bench::serial("1");
    bench.scan(&serial);
    let agent = bench.agent("spool", &SLOW);
    wait("a part of the run on the floor", || journal_length(&bench, "floor").filter(|length| *length > 0));
    agent.kill();
    let mut agent = bench.agent("spool", &SLOW);
    assert_eq!(wait("the agent's end", || agent.code()), 0);
    assert_released_once(&bench, &serial);
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
    assert_released_once(&bench, &serial);
}
