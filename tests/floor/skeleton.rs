//! A unit arrives, is tested by its agent, and is released or sent to repair by what its run proved.

use std::fs;
use std::process::Command;

use crate::bench::{Bench, kiln, wait};

#[test]
fn a_sound_unit_is_released_and_the_floors_copy_is_the_nodes_own() {
    let (bench, _floor) = Bench::new();
    let serial = Bench::serial("1");
    bench.scan(&serial);
    let mut agent = bench.agent("spool", &[]);
    assert_eq!(wait("the agent's end", || agent.code()), 0);
    let (_, page) = bench.get(&format!("/units/{serial}?lang=ja"));
    assert!(page.contains("合格 ○") && page.contains("シミュレーション"), "{page}");
    let runs = bench.runs("floor/runs");
    assert_eq!((runs.len(), &runs), (1, &bench.runs("spool/runs")));
    let run = &runs[0];
    bench.assert_same("spool", run);
    let [node, floor] = ["spool", "floor"].map(|at| bench.result(&format!("{at}/runs/{run}")));
    assert_eq!(node, floor);
    assert_eq!(floor["verdict"]["word"], "PASS", "{}", floor["verdict"]);
    verifies_when_sealed(&bench, run);
}

#[test]
fn a_floor_that_asks_for_restarts_releases_a_unit_once_all_are_done() {
    let (bench, _floor) = Bench::with(&["--profile", "restarts"]);
    let serial = Bench::serial("1");
    bench.scan(&serial);
    let mut agent = bench.agent("spool", &[]);
    assert_eq!(wait("the agent's end", || agent.code()), 0);
    let (_, page) = bench.get(&format!("/units/{serial}?lang=en"));
    assert!(page.contains("Passed ○"), "{page}");
    let runs = bench.runs("floor/runs");
    assert_eq!(runs.len(), 1, "one run through all of them");
    bench.assert_same("spool", &runs[0]);
    assert_eq!(bench.result(&format!("floor/runs/{}", runs[0]))["times"]["restarts"], 15);
}

/// The floor's copy can be sealed and verified as any run directory.
fn verifies_when_sealed(bench: &Bench, run: &str) {
    let (key, folder) = (bench.path("key"), bench.path(&format!("floor/runs/{run}")));
    let succeeds = |command: &mut Command| {
        let out = command.output().expect("kiln");
        assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    succeeds(Command::new(kiln()).arg("report").arg(&folder));
    succeeds(Command::new(kiln()).args(["seal", "--new-key"]).arg(&key));
    succeeds(Command::new(kiln()).arg("seal").arg(&folder).arg("--key").arg(&key));
    let told = succeeds(Command::new(kiln()).arg("verify").arg(&folder).arg("--key").arg(key.with_extension("pub")));
    assert!(told.contains("PASS"), "{told}");
}

#[test]
fn a_faulty_unit_goes_to_repair_with_the_part_named() {
    let (bench, _floor) = Bench::new();
    let serial = Bench::serial("3");
    bench.scan(&serial);
    let mut agent = bench.agent("spool", &["--seed", "3", "--fault", "pcie-width-down@gpu/3"]);
    assert_eq!(wait("the agent's end", || agent.code()), 0);
    let run = &bench.runs("floor/runs")[0];
    bench.assert_same("spool", run);
    let result = bench.result(&format!("floor/runs/{run}"));
    assert_eq!(result["verdict"]["word"], "FAIL");
    let (_, page) = bench.get(&format!("/units/{serial}?lang=ja"));
    let finding = &result["findings"][0];
    assert!(finding["component"].as_str().is_some_and(|part| part.starts_with("gpu/3")), "{finding}");
    for part in [&finding["component"], &finding["slot"]] {
        let cell = format!("<td class=\"word\">{}</td>", part.as_str().expect("text"));
        assert!(page.contains(&cell), "{cell} is not on {page}");
    }
    assert!(page.contains("不合格 ×"), "{page}");
    let (status, report) = bench.get(&format!("/runs/{run}/report.html?lang=ja"));
    assert!(status == 200 && report.contains("sandbox") && report.contains("不合格"), "{status}");
    let (_, list) = bench.get("/?lang=en");
    assert!(list.contains("Failed ×") && list.contains(finding["code"].as_str().expect("text")), "{list}");
}

#[test]
fn a_unit_of_another_serial_number_is_never_started() {
    let (bench, _floor) = Bench::new();
    bench.scan("SRV0001");
    let _agent = bench.agent("spool", &["--serial", "SRV0002"]);
    let met = || {
        let (_, page) = bench.get("/");
        page.contains("SRV0001").then_some(page)
    };
    let page = wait("the page", met);
    assert!(page.contains("到着"), "{page}");
    assert!(bench.runs("spool/runs").is_empty());
}

#[test]
fn a_second_floor_and_a_second_agent_are_kept_off_the_same_folder() {
    let (bench, _floor) = Bench::new();
    let data = bench.path("floor");
    let out = Command::new(env!("CARGO_BIN_EXE_kiln-floor")).args(["serve", "--data"]).arg(&data).output();
    let out = out.expect("kiln-floor");
    assert!(String::from_utf8_lossy(&out.stderr).contains("another kiln-floor works with it"), "{out:?}");
    let _agent = bench.agent("spool", &[]);
    wait("the spool", || fs::exists(bench.path("spool/agent-id")).ok().filter(|there| *there));
    let mut second = bench.agent("spool", &[]);
    assert_eq!(wait("its end", || second.code()), 3);
}

#[test]
fn an_address_outside_this_machine_is_refused_by_both() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut floor = Command::new(env!("CARGO_BIN_EXE_kiln-floor"));
    let out = floor.args(["serve", "--listen", "0.0.0.0:0", "--data"]).arg(dir.path()).output().expect("kiln-floor");
    assert!(!out.status.success() && String::from_utf8_lossy(&out.stderr).contains("TLS"), "{out:?}");
    let mut agent = Command::new(kiln());
    let out = agent.args(["agent", "--sim", "hgx-h200-8", "--floor", "http://192.0.2.1:80", "--spool"]).arg(dir.path());
    let out = out.output().expect("kiln");
    assert_eq!(out.status.code(), Some(2), "{out:?}");
}
