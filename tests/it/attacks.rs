//! What attacks and users found to be wrong with the whole binary, held as it was mended. `ci/attack` tries many more.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn kiln(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    command.args(arguments).stdin(Stdio::null()).output().expect("kiln starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Good GPUs reach a bad one as slowly as it lets them, and a lost one not at all.
#[test]
fn gpus_that_only_suffered_from_the_bad_one_are_blamed_in_no_report() {
    let folder = tempfile::tempdir().expect("folder");
    let guilty = [("nvlink-slow@gpu/1", "gpu/1"), ("nvlink-slow@gpu/6", "gpu/6"), ("fell-off-bus@gpu/2", "gpu/2")];
    for (fault, guilty) in guilty {
        let run = folder.path().join(guilty.replace('/', "-"));
        let run = run.to_str().expect("utf-8");
        let output = kiln(&["run", "acceptance", "--sim", "hgx-h200-8", "--fault", fault, "--out", run]);
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        let headings = told.lines().filter(|line| line.starts_with("  gpu/"));
        let others: Vec<&str> = headings.filter(|line| !line.trim_start().starts_with(guilty)).collect();
        assert_eq!(others, [""; 0], "{told}");
        let page = std::fs::read_to_string(format!("{run}/report.html")).expect("a page");
        let (_, to_do) = page.split_once(">What to do<").expect("a section");
        let (to_do, _) = to_do.split_once(">Components<").expect("the next");
        let places: Vec<&str> = to_do.split("gpu/").skip(1).filter(|rest| rest.contains(", slot")).collect();
        assert!(places.iter().all(|place| format!("gpu/{place}").starts_with(guilty)), "{guilty}: {to_do}");

        let document: Value =
            serde_json::from_slice(&kiln(&["report", run, "--format", "dcgm-json"]).stdout).expect("JSON");
        let mut isolated = Vec::new();
        for test in document["DCGM Diagnostic"]["test_categories"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|category| category["tests"].as_array().into_iter().flatten())
        {
            for result in test["results"].as_array().into_iter().flatten() {
                let proven = |warning: &Value| warning["error_severity"] != 1;
                if result["warnings"].as_array().is_some_and(|all| all.iter().any(proven)) {
                    isolated.push(format!("gpu/{}", result["entity_id"]));
                }
            }
        }
        isolated.dedup();
        assert_eq!(isolated, [guilty], "{document:#}");
    }
}

#[test]
fn a_speed_beyond_all_measure_is_refused_in_one_line() {
    for speed in ["1e300", "1e-300", "nan", "-1", "0"] {
        let output = kiln(&["run", "smoke", "--sim", "hgx-h200-8", &format!("--sim-speed={speed}")]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.len() < 120 && told.contains("is not between 0.01 and 100000"), "{told}");
    }
}
