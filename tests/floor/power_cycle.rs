//! A node that hangs, over TCP: the page asks, a person orders, the site's own program is started once, and another boot proves it.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;

use crate::bench::{Bench, signal, wait};
use crate::cluster::cluster;
use crate::postgres::{Gate, Given};

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

/// A floor's file with a BMC and a program for it, which notes what it was started with.
struct SiteWithBmc {
    dir: tempfile::TempDir,
}

impl SiteWithBmc {
    fn new() -> Self {
        let site = Self { dir: tempfile::tempdir().expect("a folder") };
        let program = site.dir.path().join("cycle");
        fs::write(&program, PROGRAM).expect("written");
        let rights = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&program, rights).expect("a program");
        let text = fs::read_to_string(EXAMPLE).expect("the example");
        let text = text.replace("slots: 6, power: row-1,", "slots: 6, power: row-1, bmc: { \"03\": bmc.r01-03 },");
        let rule = format!("power-cycle: {{ program: \"{} -H {{bmc}} cycle\", after: 10s }}", program.display());
        fs::write(site.file(), format!("{text}{rule}\n")).expect("written");
        site
    }

    fn file(&self) -> String {
        self.dir.path().join("floor.yaml").display().to_string()
    }
}

#[test]
fn a_node_that_hangs_is_power_cycled_once_by_the_sites_program_when_a_person_says_so() {
    let site = SiteWithBmc::new();
    let started = site.dir.path().join("started");
    let (mut bench, floor) = Bench::with(&["--floor", &site.file()]);
    bench.sends("/scan", "serial=SRV1&by=sato&slot=r01-03");
    calls(&bench, "boot-1", None);
    let order = || bench.sends("/units/SRV1/power-cycle?lang=en", "by=sato&why=hangs");
    assert!(order().contains("told=refused"), "it has just called");
    wait("the question", || bench.get("/units/SRV1?lang=en").1.contains("Power cycle it by its BMC?").then_some(()));
    let page = bench.get("/units/SRV1?lang=en").1;
    assert!(page.contains("power and network") && !page.contains("Nothing to do"), "{page}");
    // The rack says that it waits for a person, and the building how many do.
    let rack = |language: &str| bench.get(&format!("/racks/r01?lang={language}")).1;
    let (en, ja) = (rack("en"), rack("ja"));
    assert!(en.contains("Decide on its unit&#39;s page whether it is power-cycled."), "{en}");
    assert!(ja.contains("電源を入れ直すかどうかを、ユニットの画面で決めてください。"), "{ja}");
    let building = |language: &str| bench.get(&format!("/building?lang={language}")).1;
    wait("the count", || building("en").contains("Power cycles to decide 1").then_some(()));
    assert!(building("ja").contains("電源の入れ直しの判断待ち 1"), "{}", building("ja"));
    assert!(!order().contains("told"), "{}", bench.get("/units/SRV1?lang=en").1);
    assert!(order().contains("told=refused"), "a form that is sent twice");
    let (en, ja) = (rack("en"), rack("ja"));
    assert!(en.contains("waits for its boot; tries so far: 1") && ja.contains("起動待ち・回数: 1"), "{en} {ja}");
    wait("no count", || (!building("en").contains("Power cycles to decide")).then_some(()));
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

#[test]
fn a_floor_that_was_paused_after_its_order_starts_nothing_once_another_floor_leads() {
    let site = SiteWithBmc::new();
    let name = cluster().database();
    let gate = Gate::open_to(cluster().port);
    let given = Given::at(format!("postgres://kiln@127.0.0.1:{}/{name}", gate.port), name.clone());
    let file = site.file();
    let (old, mut paused) = Bench::with(&[&given.args()[..], &["--floor", &file]].concat());
    old.sends("/scan", "serial=SRV1&by=sato&slot=r01-03");
    calls(&old, "boot-1", None);
    wait("the question", || old.get("/units/SRV1?lang=en").1.contains("Power cycle it by its BMC?").then_some(()));
    // The order is kept, and the floor is paused before it hears so.
    gate.hold_at("power-cycle-ordered");
    let (form, host) = ("by=sato&why=hangs", &old.address);
    let mut stream = TcpStream::connect(host).expect("it listens");
    let head = format!(
        "POST /units/SRV1/power-cycle HTTP/1.1\r\nhost: {host}\r\norigin: http://{host}\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let ordered = "SELECT count(*) FROM kiln_floor_event WHERE body LIKE '%power-cycle-ordered%'";
    wait("the order", || (given.sql(ordered) == "1").then_some(()));
    signal(&paused, "-STOP");
    let started = site.dir.path().join("started");
    assert!(!started.exists(), "it was paused before it heard that its order was kept: {}", old.floor_says());
    gate.let_go();
    // What the server does by itself with a floor that says nothing for half a minute.
    cluster().cut(&name);
    let other = Given::at(cluster().url(&name), name);
    let (new, _leads) = Bench::with(&[&other.args()[..], &["--floor", &file]].concat());
    // The node is back, and the new floor has it that nobody knows what came of the order.
    wait("its word on the order", || {
        given.sql("SELECT body FROM kiln_floor_event ORDER BY seq").contains("\"end\":\"unknown\"").then_some(())
    });
    calls(&new, "boot-1", None);
    signal(&paused, "-CONT");
    assert_eq!(wait("its end", || paused.code()), 3);
    assert!(old.floor_says().contains("another kiln-floor has taken the lead"), "{}", old.floor_says());
    let events = || given.sql("SELECT at, epoch, body FROM kiln_floor_event ORDER BY seq");
    assert!(!started.exists(), "{:?}\n{}\n{}", fs::read_to_string(&started), old.floor_says(), events());
}
