//! The floor's file, and a floor that works by it: slots, power, holds that a person lifts.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::bench::{Bench, wait};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/floor/floor.yaml");

fn check(file: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kiln-floor")).arg("check").arg(file).output().expect("kiln-floor")
}

#[test]
fn a_floors_file_is_summed_up_or_refused_with_all_that_is_wrong() {
    let out = check(Path::new(EXAMPLE));
    let told = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{out:?}");
    assert!(told.contains("Hall 3: 2 racks, 12 slots; route smoke, acceptance"), "{told}");
    assert!(told.contains("; units without a parts list are tested without"), "{told}");
    assert!(told.contains("cdu-1: bears 110 kW, all slots together draw up to 109.2 kW"), "{told}");
    assert!(told.contains("row-1: bears 70 kW") && told.contains("r02: bears 50 kW"), "{told}");
    let dir = tempfile::tempdir().expect("a folder");
    let wrong = dir.path().join("floor.yaml");
    let text = fs::read_to_string(EXAMPLE).expect("the example");
    fs::write(&wrong, text.replace("parts: optional", "parts: required")).expect("written");
    let told = String::from_utf8_lossy(&check(&wrong).stdout).into_owned();
    assert!(told.contains("; nothing begins of a unit without a parts list"), "{told}");
    fs::write(&wrong, text.replace("acceptance", "aceptance").replace("under: feed-a", "under: feed-b"))
        .expect("written");
    let out = check(&wrong);
    let told = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(2));
    assert!(
        told.contains("did you mean `acceptance`?") && told.matches("did you mean `feed-a`?").count() == 2,
        "{told}"
    );
    assert_eq!(check(&dir.path().join("none.yaml")).status.code(), Some(3));
    // What others are put together from is nothing to run.
    fs::write(&wrong, text.replace("profile: acceptance", "profile: base")).expect("written");
    let out = check(&wrong);
    assert_eq!(out.status.code(), Some(2), "{out:?}");
    assert!(String::from_utf8_lossy(&out.stderr).contains("there is no shipped profile `base`"), "{out:?}");
}

#[test]
fn a_unit_begins_once_its_slot_is_known_and_its_power_is_there_and_gives_it_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("floor.yaml");
    let text = fs::read_to_string(EXAMPLE).expect("the example");
    fs::write(&file, text.replace("  - { profile: acceptance }\n", "")).expect("written");
    let (bench, _floor) = Bench::with(&["--floor", file.to_str().expect("text")]);
    let serial = Bench::serial("1");
    let unit = format!("/units/{serial}?lang=en");
    bench.scan(&serial);
    let mut agent = bench.agent("spool", &[]);
    let page = |wanted: &str| wait(wanted, || Some(bench.get(&unit).1).filter(|page| page.contains(wanted)));
    page("Scan its slot");
    let cut = bench.sends("/doors/cut?lang=en", "of=feed-a&limit=5&by=sato&why=chiller");
    assert!(!cut.contains("told"), "{cut}");
    assert!(bench.sends("/scan", &format!("serial={serial}&by=sato&slot=r09-01")).contains("told=refused"));
    bench.sends("/scan", &format!("serial={serial}&by=sato&slot=r01-03"));
    page("Waits for power or cooling: feed-a");
    assert!(bench.get("/doors?lang=en").1.contains("set by a person"));
    assert!(bench.sends("/doors/cut?lang=en", "of=feed-a&limit=x&by=sato&why=back").contains("told=unread"));
    bench.sends("/doors/cut?lang=en", "of=feed-a&limit=&by=sato&why=back");
    assert_eq!(wait("the agent's end", || agent.code()), 0);
    page("Passed ○");
    let (_, doors) = bench.get("/doors?lang=en");
    assert!(!doors.contains(&serial) && doors.contains("<td>feed-a</td><td>0 W</td>"), "{doors}");
}

#[test]
fn a_held_unit_goes_on_when_a_person_says_why_and_is_never_released_without_a_pass() {
    let (bench, _floor) = Bench::with(&["--floor", EXAMPLE]);
    bench.scan("SRV0001");
    bench.sends("/scan", "serial=SRV0001&by=sato&slot=r01-01");
    let _agent = bench.agent("spool", &["--serial", "SRV0001", "--slot", "r01-02"]);
    let unit = "/units/SRV0001?lang=en";
    let page = |wanted: &str| wait(wanted, || Some(bench.get(unit).1).filter(|page| page.contains(wanted)));
    page("the scanned slot and the one the node says differ: r01-01 ≠ r01-02");
    let act = |act: &str, form: &str| bench.sends(&format!("/units/SRV0001/{act}?lang=en"), form);
    assert!(act("free", "by=sato").contains("told=why"));
    assert!(act("decide", "by=sato&what=release&why=x&second=sato").contains("told=refused"));
    assert!(act("decide", "by=sato&what=release&why=x&second=mori").contains("told=refused"));
    assert!(act("decide", "by=sato&what=anything&why=x").contains("told=empty"));
    assert!(!act("decide", "by=sato&what=scrap&why=bent+slot").contains("told"));
    let shown = page("Scrapped ×");
    assert!(shown.contains("A person decided: bent slot"), "{shown}");
    assert!(bench.runs("spool/runs").is_empty(), "nothing was started");
}
