//! Parts lists from a folder to a run: dropped by an order system, pinned in the assignment, fetched by the agent, and told on every
//! page. A defect that only an order reveals is caught, and an agent that does not know lists gets no run that needs one.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::bench::{Bench, kiln, wait};

/// The list of the node with this seed as it is without a defect.
fn list(seed: &str) -> String {
    let out = Command::new(kiln()).args(["parts", "make", "--sim", "hgx-h200-8", "--seed", seed]).output();
    String::from_utf8(out.expect("kiln parts").stdout).expect("text")
}

fn json(answer: &str) -> serde_json::Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").expect("a body").1).expect("JSON")
}

/// An agent's call, of this version of the protocol.
fn calls(bench: &Bench, wire: &str, serial: &str) -> serde_json::Value {
    let body = serde_json::json!({
        "wire": wire, "agent": "agent-by-hand", "boot": "boot-1", "serial": serial, "doing": "idle", "generation": null, "spool": [],
        "version": "0.1.0",
    });
    let (status, answer) = bench.call("POST", "/v1/sync", &body.to_string(), &[]);
    assert_eq!(status, 200, "{answer}");
    json(&answer)["desired"].clone()
}

fn ordered(dir: &Path) -> (Bench, crate::bench::Process) {
    Bench::with(&["--parts", dir.to_str().expect("text")])
}

#[test]
fn a_unit_is_held_against_the_list_that_was_dropped_for_it_and_its_pages_and_results_name_it() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("order-1.yaml"), list("1")).expect("written");
    let (bench, _floor) = ordered(dir.path());
    let serial = Bench::serial("1");
    bench.scan(&serial);
    let mut agent = bench.agent("spool", &[]);
    assert_eq!(wait("the agent's end", || agent.code()), 0);
    let run = bench.runs("floor/runs").pop().expect("a run");
    bench.assert_same("spool", &run);
    let digest =
        bench.result(&format!("floor/runs/{run}"))["profile"]["parts_digest"].as_str().expect("a list").to_owned();
    assert_eq!(Bench::names_in(&bench.path("spool/parts")), std::slice::from_ref(&digest));
    assert_eq!(fs::read_to_string(bench.path("spool/parts").join(&digest)).expect("the list"), list("1"));
    let (_, page) = bench.get(&format!("/units/{serial}?lang=en"));
    assert!(page.contains(&digest) && page.contains("Passed"), "{page}");
    let audited = bench.audited();
    assert!(audited.contains("parts-listed") && audited.contains("kiln.parts/1"), "{audited}");
}

#[test]
fn a_drive_that_is_missing_and_a_part_of_another_order_pass_without_a_list_and_fail_with_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let (bench, _floor) = ordered(dir.path());
    for (seed, fault, listed) in
        [("1", "nvme-missing", false), ("2", "nvme-missing", true), ("3", "wrong-serial@gpu/2", true)]
    {
        let serial = Bench::serial(seed);
        if listed {
            // Under a name that is not looked at first, so that it is read whole.
            let draft = dir.path().join(format!(".{seed}"));
            fs::write(&draft, list(seed)).expect("written");
            fs::rename(&draft, dir.path().join(format!("{seed}.yaml"))).expect("in place");
            wait("the list", || bench.audited().contains(&format!("\"unit\":\"{serial}\",\"parts\"")).then_some(()));
        }
        bench.scan(&serial);
        let mut agent = bench.agent(&format!("spool-{seed}"), &["--seed", seed, "--fault", fault]);
        assert_eq!(wait("the agent's end", || agent.code()), 0);
        let (_, page) = bench.get(&format!("/units/{serial}?lang=en"));
        assert!(page.contains(if listed { "Failed" } else { "Passed" }), "{fault}: {page}");
    }
}

#[test]
fn an_agent_of_before_lists_gets_no_run_that_needs_one_and_the_page_says_that_it_must_be_upgraded() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("1.json"), r#"{"schema": "kiln.parts/1", "serial": "SRV1", "nvmes": 8}"#)
        .expect("written");
    let (bench, _floor) = ordered(dir.path());
    bench.scan("SRV1");
    assert_eq!(calls(&bench, "kiln.wire/1.0", "SRV1"), serde_json::Value::Null);
    let (_, page) = bench.get("/units/SRV1?lang=en");
    assert!(page.contains("of before parts lists") && page.contains("0.1.0"), "{page}");
    let desired = calls(&bench, "kiln.wire/1.1", "SRV1");
    let digest = desired["parts"].as_str().expect("a list");
    let (status, answer) = bench.get(&format!("/v1/parts/{digest}"));
    assert!(status == 200 && answer.ends_with(r#""nvmes": 8}"#), "the very bytes: {answer}");
    let (status, answer) = bench.get(&format!("/v1/parts/sha256:{}", "0".repeat(64)));
    assert!(status == 404 && answer.contains("no parts list with the digest"), "{answer}");
}

#[test]
fn what_is_no_list_is_named_on_the_doors_until_it_is_put_right() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("1.yaml"), "schema: kiln.parts/1\nserial: SRV1\nnvme: 8\n").expect("written");
    let (bench, _floor) = ordered(dir.path());
    let doors = || bench.get("/doors?lang=en").1;
    assert!(doors().contains("did you mean"), "{}", doors());
    fs::write(dir.path().join("1.yaml"), "schema: kiln.parts/1\nserial: SRV1\nnvmes: 8\n").expect("written");
    wait("the list", || bench.audited().contains("parts-listed").then_some(()));
    wait("nothing wrong", || (!doors().contains("did you mean")).then_some(()));
}
