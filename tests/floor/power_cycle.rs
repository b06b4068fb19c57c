//! A node that hangs, over TCP: the page asks, a person orders, the site's own program is started once, and another boot proves it.

use std::fs;

use crate::bench::{Bench, wait};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/floor/floor.yaml");
/// Says what it was started with, and then that it did it.
const PROGRAM: &str = "#!/bin/sh\necho \"$@\" >> \"$(dirname \"$0\")/started\"\n";

/// A call of a boot that had this answer; the mark of the next one.
fn calls(bench: &Bench, boot: &str, heard: Option<u64>) -> Option<u64> {
    let sync = serde_json::json!({
        "wire": "kiln.wire/1.2", "agent": "agent-1", "boot": boot, "serial": "SRV1", "doing": "idle", "generation": null,
        "spool": [], "version": "0.2.0", "heard": heard
    });
    let headers = ["content-type: application/json".to_owned()];
    let (status, answer) = bench.call("POST", "/v1/sync", &sync.to_string(), &headers);
    assert_eq!(status, 200, "{answer}");
    let answer: serde_json::Value = serde_json::from_str(&answer[answer.find('{').expect("JSON")..]).expect("JSON");
    answer["mark"].as_u64()
}

#[test]
fn a_node_that_hangs_is_power_cycled_once_by_the_sites_program_when_a_person_says_so() {
    let dir = tempfile::tempdir().expect("a folder");
    let (program, started) = (dir.path().join("cycle"), dir.path().join("started"));
    fs::write(&program, PROGRAM).expect("written");
    let rights = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&program, rights).expect("a program");
    let text = fs::read_to_string(EXAMPLE).expect("the example");
    let text = text.replace("slots: 6, power: row-1,", "slots: 6, power: row-1, bmc: { \"03\": bmc.r01-03 },");
    let rule = format!("power-cycle: {{ program: \"{} -H {{bmc}} cycle\", after: 10s }}", program.display());
    let file = dir.path().join("floor.yaml");
    fs::write(&file, format!("{text}{rule}\n")).expect("written");
    let (mut bench, floor) = Bench::with(&["--floor", file.to_str().expect("text")]);
    bench.sends("/scan", "serial=SRV1&by=sato&slot=r01-03");
    calls(&bench, "boot-1", None);
    let order = || bench.sends("/units/SRV1/power-cycle?lang=en", "by=sato&why=hangs");
    assert!(order().contains("told=refused"), "it has just called");
    wait("the question", || bench.get("/units/SRV1?lang=en").1.contains("Power cycle it by its BMC?").then_some(()));
    let page = bench.get("/units/SRV1?lang=en").1;
    assert!(page.contains("power and network") && !page.contains("Nothing to do"), "{page}");
    assert!(!order().contains("told"), "{}", bench.get("/units/SRV1?lang=en").1);
    assert!(order().contains("told=refused"), "a form that is sent twice");
    let ended =
        |bench: &Bench| wait("its end", || Some(bench.audited()).filter(|audit| audit.contains("power-cycle-ended")));
    let audit = ended(&bench);
    let at = |what: &str| audit.find(what).unwrap_or_else(|| panic!("{what}: {audit}"));
    assert!(at("power-cycle-ordered") < at("power-cycle-ended") && audit.contains("\"end\":\"said\""), "{audit}");
    assert!(bench.get("/units/SRV1?lang=en").1.contains("waits for its boot"), "what it said proves nothing");
    // A floor that begins again starts nothing twice.
    floor.kill();
    let _floor = bench.floor();
    let heard = calls(&bench, "boot-2", None);
    calls(&bench, "boot-2", heard);
    assert!(!bench.get("/units/SRV1?lang=en").1.contains("waits for its boot"));
    assert_eq!(fs::read_to_string(&started).expect("started"), "-H bmc.r01-03 cycle\n");
}
