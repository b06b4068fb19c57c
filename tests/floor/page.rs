//! What the page takes, what it refuses, and that nothing typed becomes markup.

use crate::bench::{Bench, wait};

#[test]
fn a_wide_scan_is_read_and_what_is_no_serial_number_is_told_so() {
    let (bench, _floor) = Bench::new();
    let origin = format!("http://{}", bench.address);
    let wide = "%EF%BC%B3%EF%BC%A7%EF%BC%A8%EF%BC%91";
    let (status, answer) = bench.post("/scan?lang=ja", &format!("serial={wide}&by=sato"), Some(&origin));
    assert!(status == 303 && answer.contains("location: /units/SGH1?"), "{answer}");
    let (_, page) = bench.get("/?lang=ja");
    assert!(page.contains("SGH1"), "{page}");
    let (status, answer) = bench.post("/scan?lang=ja", "serial=%3Cb%3E&by=sato", Some(&origin));
    let told = answer.lines().find_map(|line| line.strip_prefix("location: ")).expect("a place to go").to_owned();
    assert_eq!(status, 303);
    let (_, page) = bench.get(told.trim());
    assert!(
        page.contains("製造番号ではありません") && page.contains("：&lt;b&gt;") && !page.contains("：<b>"),
        "{page}"
    );
    assert!(page.contains("script-src 'self'") && !page.contains("<script>"), "{page}");
}

#[test]
fn other_sites_cannot_act_through_a_browser_here() {
    let (bench, _floor) = Bench::new();
    let form = "serial=SRV1&by=x";
    for origin in [None, Some("http://evil.example"), Some("null")] {
        assert_eq!(bench.post("/scan", form, origin).0, 403, "{origin:?}");
    }
    let evil = ["host: evil.example".to_owned(), "origin: http://evil.example".to_owned()];
    assert_eq!(bench.call("POST", "/scan", form, &evil).0, 403, "a name that was made to point here");
    assert_eq!(bench.call("POST", "/v1/sync", "{}", &["origin: http://evil.example".to_owned()]).0, 403);
    assert!(!bench.get("/").1.contains("SRV1"));
}

#[test]
fn what_an_agent_sends_is_refused_with_a_reason_where_it_is_wrong() {
    let (bench, _floor) = Bench::new();
    let chain = "0".repeat(64);
    let journal = |run: &str, body: &str| {
        bench.call("PATCH", &format!("/v1/runs/{run}/journal?at=0&chain={chain}&gen=1"), body, &[])
    };
    for (run, body, status) in [("run-1", "no line", 422), ("run-1", "{}\n", 422), ("..%2Fx", "{}\n", 400)] {
        let (found, answer) = journal(run, body);
        assert!(found == status && answer.contains("\"why\":\""), "{run} {body}: {answer}");
    }
    assert_eq!(journal("run-1", &"x".repeat((1 << 20) + 2)).0, 413);
    let sync =
        r#"{"wire":"kiln.wire/2.0","agent":"a","boot":"b","serial":null,"doing":"idle","generation":null,"spool":[]}"#;
    let (status, answer) = bench.call("POST", "/v1/sync", sync, &[]);
    assert!(status == 400 && answer.contains("kiln.wire/2.0"), "{answer}");
}

#[test]
fn a_disk_that_is_full_is_said_on_every_page_and_no_more_once_there_is_room() {
    let (bench, _floor) = Bench::new();
    let line = |sign: char| format!("{{\"a\":1,\"chain\":\"{}\"}}\n", sign.to_string().repeat(64));
    let offered = |at: usize, after: char, line: &str| {
        let path = format!("/v1/runs/run-1/journal?at={at}&chain={}&gen=1", after.to_string().repeat(64));
        bench.call("PATCH", &path, line, &[]).0
    };
    let (first, second) = (line('a'), line('b'));
    assert_eq!(offered(0, '0', &first), 200);
    let file = bench.path("floor/runs/run-1/journal.jsonl");
    let kept = std::fs::read(&file).expect("a copy");
    std::fs::remove_file(&file).expect("moved away");
    // The kernel's own full disk: every write to it ends with ENOSPC.
    std::os::unix::fs::symlink("/dev/full", &file).expect("linked");
    assert_eq!(offered(first.len(), 'a', &second), 507);
    let page = |path: &str| bench.get(&format!("{path}?lang=en")).1;
    let says = |page: &str| page.contains("role=\"alert\">⚠ The floor cannot write to its disk");
    for path in ["/", "/doors", "/building"] {
        wait("that the page says so", || says(&page(path)).then_some(()));
    }
    assert!(page("/metrics").contains("kiln_floor_disk_refuses 1"));
    std::fs::remove_file(&file).expect("room again");
    std::fs::write(&file, kept).expect("room again");
    assert_eq!(offered(first.len(), 'a', &second), 200);
    wait("that nothing is said any more", || (!says(&page("/"))).then_some(()));
}

#[test]
fn every_page_says_before_anything_else_that_it_may_be_old() {
    let (bench, _floor) = Bench::new();
    bench.scan("SRV1");
    for path in ["/", "/doors", "/building", "/units/SRV1", "/units/NONE"] {
        for language in ["ja", "en"] {
            let (_, page) = bench.get(&format!("{path}?lang={language}"));
            let body = page.split("<body>").nth(1).unwrap_or_else(|| panic!("no body in {page}"));
            assert!(body.starts_with("<div id=\"stale\" role=\"alert\" hidden>⚠ "), "{path}: {body}");
            assert!(
                page.contains("cache-control: no-store"),
                "{path}: a browser that goes back must not show an old one"
            );
            // What takes the sign away again and sets it is the page's own script.
            assert!(page.contains("<script defer src=\"/floor.js\"></script>"), "{path}");
        }
    }
    let (_, script) = bench.get("/floor.js");
    assert!(script.contains("getElementById(\"stale\")") && script.contains("3500"), "{script}");
}
