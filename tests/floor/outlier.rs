//! A unit that meets every limit and lies apart from its lot, from the agent's run to what people may do about it.

use std::fs;
use std::process::Command;

use crate::bench::{Bench, kiln, wait};

/// A lot whose good units have a slower GPU in their first slot than any that meets its limits. Its numbers are made up.
fn lot() -> String {
    let place = serde_json::json!({
        "profile": "smoke revision 1", "chassis": "HGX H200 8-GPU server", "model": "NVIDIA H200", "place": "slot 1",
        "value": "load.gemm.clock.mean",
    });
    let average = serde_json::json!({ "unit": "MHz", "units": 30, "median": 1500.0, "sigma": 2.0 });
    let lot = serde_json::json!({
        "schema": "kiln.lot/1", "simulated": true, "units": 30, "runs": [], "budget_percent": 2.0, "sigmas": 4.15,
        "averages": [[place, average]],
    });
    lot.to_string()
}

#[test]
fn an_outlier_of_its_lot_is_held_for_that_and_released_by_two_names() {
    let (bench, _floor) = Bench::new();
    let (serial, file) = (Bench::serial("1"), bench.path("lot.json"));
    fs::write(&file, lot()).expect("written");
    bench.scan(&serial);
    let mut agent = bench.agent("spool", &["--lot", file.to_str().expect("text")]);
    assert_eq!(wait("the agent's end", || agent.code()), 0);
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
    assert!(word.contains("合格 ○") && page.contains("two batches (mori)"), "{page}");
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
