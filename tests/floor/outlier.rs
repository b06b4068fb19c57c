//! A unit that meets every limit and lies apart from its lot, from the agent's run to what people may do about it.

use std::fs;
use std::process::Command;

use crate::bench::{Bench, kiln, wait};
use crate::browser::Browser;
use crate::secure::tested;

/// A lot whose good units have a slower GPU in their first slot than any that meets its limits. Its numbers are made up.
fn lot(sigma: f64) -> String {
    let place = serde_json::json!({
        "profile": "smoke revision 1", "chassis": "HGX H200 8-GPU server", "model": "NVIDIA H200", "place": "slot 1",
        "value": "load.gemm.clock.mean",
    });
    let average = serde_json::json!({ "unit": "MHz", "units": 30, "median": 1500.0, "sigma": sigma });
    let lot = serde_json::json!({
        "schema": "kiln.lot/1", "simulated": true, "units": 30, "runs": [], "budget_percent": 2.0, "sigmas": 4.15,
        "averages": [[place, average]],
    });
    lot.to_string()
}

/// Half a percent of what the GPU in that slot runs at is far outside.
const NARROW: f64 = 2.0;
/// Nothing that a clock can be is outside.
const WIDE: f64 = 1e6;

/// Writes a lot; its file.
fn kept(bench: &Bench, lot: &str) -> String {
    let file = bench.path("lot.json");
    fs::write(&file, lot).expect("written");
    file.to_str().expect("text").to_owned()
}

/// An agent makes what the floor wants of its unit, and ends.
fn is_tested(bench: &Bench, more: &[&str]) {
    let mut agent = bench.agent("spool", more);
    assert_eq!(wait("the agent's end", || agent.code()), 0);
}

#[test]
fn an_outlier_of_its_lot_is_held_for_that_and_released_by_two_names() {
    let (bench, _floor) = Bench::new();
    let serial = Bench::serial("1");
    bench.scan(&serial);
    is_tested(&bench, &["--lot", &kept(&bench, &lot(NARROW))]);
    let run = &bench.runs("floor/runs")[0];
    let result = bench.result(&format!("floor/runs/{run}"));
    assert_eq!((&result["verdict"]["word"], &result["findings"][0]["code"]), (&"HELD".into(), &"LOT-OUTLIER".into()));
    let unit = format!("/units/{serial}");
    let (_, page) = bench.get(&format!("{unit}?lang=ja"));
    for said in ["保留 △", "ロットの良品の分布から外れています", "出荷せずに取り置き", "二人の同意で合格にする"]
    {
        assert!(page.contains(said), "{said} is not on {page}");
    }
    assert!(!page.contains("判定不能"), "it is no run without a claim: {page}");
    assert!(bench.get("/?lang=ja").1.contains("保留 △"));
    let act = |act: &str, form: &str| bench.sends(&format!("{unit}/{act}?lang=en"), form);
    assert!(act("decide", "by=sato&what=repair&why=x").contains("told=refused"));
    assert!(act("decide", "by=sato&what=release&why=x&second=Sato").contains("told=refused"));
    assert!(!act("decide", "by=sato&what=release&why=two+batches&second=mori").contains("told="));
    let (_, page) = bench.get(&format!("{unit}?lang=ja"));
    let word = page.split("class=\"big\"").nth(1).and_then(|rest| rest.split("</p>").next()).expect("a word");
    assert!(word.contains("合格 ○") && page.contains("two batches (mori, sato)"), "{page}");
}

#[test]
fn an_outlier_that_passes_without_its_lot_is_held_still_and_released_once_its_lot_takes_it() {
    let (bench, _floor) = Bench::new();
    let serial = Bench::serial("1");
    let unit = format!("/units/{serial}");
    bench.scan(&serial);
    is_tested(&bench, &["--lot", &kept(&bench, &lot(NARROW))]);
    let outlier = bench.runs("floor/runs").remove(0);
    let again = || assert!(!bench.sends(&format!("{unit}/free"), "by=sato&why=once+more").contains("told="));
    // No lot at all, and one that has no value of this unit's model.
    for more in [None, Some(lot(NARROW).replace("NVIDIA H200", "NVIDIA H800"))] {
        again();
        match more.map(|lot| kept(&bench, &lot)) {
            None => is_tested(&bench, &[]),
            Some(file) => is_tested(&bench, &["--lot", &file]),
        }
        let (_, page) = bench.get(&format!("{unit}?lang=ja"));
        let held =
            format!("以前の試験でロットの良品の分布から外れており、今回の試験はロットと比べられていません ({outlier})");
        assert!(page.contains("保留 △") && page.contains(&held), "{page}");
    }
    assert!(bench.get(&format!("{unit}?lang=en")).1.contains("this one was not held against a lot"));
    again();
    is_tested(&bench, &["--lot", &kept(&bench, &lot(WIDE))]);
    let (_, page) = bench.get(&format!("{unit}?lang=ja"));
    assert!(page.contains("合格 ○") && !page.contains("担当者の決定"), "{page}");
    assert!(bench.audited().contains("\"lot\":\"judged\""));
}

#[test]
fn the_papers_of_an_outlier_say_who_released_it_and_why_and_verify_offline() {
    let (bench, _floor) = Bench::secured(&[]);
    let serial = tested(&bench, &["--lot", &kept(&bench, &lot(NARROW))]);
    let unit = format!("/units/{serial}");
    let [engineer, admin] = ["engineer", "admin"].map(|name| Browser::of(&bench, name));
    assert!(!engineer.acts(&format!("{unit}/decide"), "what=release&why=two+batches").contains("told="));
    assert!(!admin.acts(&format!("{unit}/agree"), "").contains("told="));
    let papers = bench.path("papers");
    let out = bench.beside("papers", &[&serial, "--out", papers.to_str().expect("text")]);
    assert!(out.status.success(), "{out:?}");
    let run = bench.runs("floor/runs").remove(0);
    let mut verify = Command::new(kiln());
    verify.arg("verify").arg(&papers).arg("--key").arg(bench.path("spool/keys/agent.key.pub"));
    let out = verify.arg("--floor-key").arg(bench.path("floor/keys/floor.key.pub")).output().expect("kiln");
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    let decided =
        format!("decided: released, an outlier of its lot in run {run}, by engineer and admin: two batches (event ");
    assert!(out.status.success() && said.contains(&decided), "{out:?}");
    assert!(said.contains(&format!("run {run}: HELD by ")), "{said}");
}

#[test]
fn an_agent_whose_lot_is_none_says_so_before_it_calls_anybody() {
    let dir = tempfile::tempdir().expect("a folder");
    let wrong = dir.path().join("lot.json");
    fs::write(&wrong, "{}").expect("written");
    for file in [wrong, dir.path().join("none.json")] {
        let mut agent = Command::new(kiln());
        agent.args(["agent", "--once", "--sim", "hgx-h200-8", "--floor", "http://127.0.0.1:9", "--lot"]).arg(&file);
        let out = agent.arg("--spool").arg(dir.path().join("spool")).output().expect("kiln");
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.code() == Some(2) && told.contains(&*file.to_string_lossy()), "{out:?}");
    }
}
