//! A manufacturing system that fails, hangs and answers twice: nothing begins before it allowed it, and it hears of each
//! result under one key with one content.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::bench::{Bench, wait};

/// A call that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Call {
    path: String,
    headers: String,
    body: String,
}

impl Call {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

type Calls = Arc<Mutex<Vec<Call>>>;

fn read(stream: &mut TcpStream) -> Option<Call> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let headers = head.to_lowercase().replace("\r\n", "\n");
            let length = headers.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if body.len() >= length.unwrap_or(0) {
                let path = head.split(' ').nth(1)?.to_owned();
                return Some(Call { path, headers, body: body.to_owned() });
            }
        }
        let read = stream.read(&mut piece).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&piece[..read]);
    }
}

/// A system on a free port; `answers` says what to answer to the n-th call, or nothing for one whose answer is lost.
fn system(answers: impl Fn(usize, &Call) -> Option<String> + Send + 'static) -> (String, Calls) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("its address"));
    let calls = Calls::default();
    let kept = Arc::clone(&calls);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let Some(call) = read(&mut stream) else { continue };
            let number = {
                let mut calls = kept.lock().expect("calls");
                calls.push(call.clone());
                calls.len() - 1
            };
            if let Some(answer) = answers(number, &call) {
                let _ = stream.write_all(answer.as_bytes());
            }
        }
    });
    (address, calls)
}

fn answer(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn to_path(calls: &Calls, path: &str) -> Vec<Call> {
    calls.lock().expect("calls").iter().filter(|call| call.path == path).cloned().collect()
}

/// What was sent under one key must be one content.
fn by_key(calls: &[Call]) -> BTreeMap<String, String> {
    let mut seen = BTreeMap::new();
    for call in calls {
        let key = call.header("idempotency-key").expect("a key").to_owned();
        let before = seen.insert(key, call.body.clone());
        assert!(before.is_none_or(|before| before == call.body), "one key, two contents: {call:?}");
    }
    seen
}

#[test]
fn nothing_begins_before_it_is_allowed_and_results_arrive_under_one_key_each() {
    // Fails, answers about another unit, says nonsense, loses its answer; then allows. Results: fails, is lost, then taken.
    let (url, calls) = system(|number, call| {
        if call.path.ends_with("/results") {
            return match number % 3 {
                0 => Some(answer(500, "down")),
                1 => None,
                _ => Some(answer(200, "{}")),
            };
        }
        let asked = call.json();
        match number {
            0 => Some(answer(503, "{\"allowed\":true}")),
            1 => Some(answer(200, "{\"unit\":\"OTHER\",\"generation\":1,\"allowed\":true}")),
            2 => Some(answer(200, "<html>welcome</html>")),
            3 => None,
            _ => {
                let allowed = serde_json::json!({
                    "unit": asked["unit"], "generation": asked["generation"], "allowed": true,
                });
                // Twice, in one breath.
                let once = answer(200, &allowed.to_string());
                Some(format!("{once}{once}"))
            }
        }
    });
    let (bench, _floor) = Bench::with(&["--mes", &url]);
    let serial = Bench::serial("1");
    bench.scan(&serial);
    let mut agent = bench.agent("spool", &[]);
    wait("a few calls without a yes", || (to_path(&calls, "/route-check").len() > 2).then_some(()));
    assert!(bench.runs("floor/runs").is_empty(), "nothing has begun");
    let (_, page) = bench.get(&format!("/units/{serial}?lang=en"));
    assert!(page.contains("Waits for the manufacturing system"), "{page}");
    assert_eq!(wait("the agent's end", || agent.code()), 0);
    let asked = by_key(&to_path(&calls, "/route-check"));
    assert_eq!(
        asked.keys().collect::<Vec<_>>(),
        [&format!("route-{}-1", serial.to_lowercase())],
        "one question, however often it is asked"
    );
    let results = wait("both messages", || Some(by_key(&to_path(&calls, "/results"))).filter(|told| told.len() == 2));
    let schemas = results.values().map(|body| {
        let told: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(told["unit"], serial.as_str());
        told["schema"].as_str().expect("a schema").to_owned()
    });
    assert_eq!(schemas.collect::<Vec<_>>(), ["kiln.result/1", "kiln.disposition/1"]);
}

#[test]
fn a_unit_that_is_not_allowed_is_held_with_the_reason_and_nothing_runs() {
    let (url, _calls) = system(|_, call| {
        let asked = call.json();
        let refused = serde_json::json!({
            "unit": asked["unit"], "generation": asked["generation"], "allowed": false, "why": "station <4> missing",
        });
        Some(answer(200, &refused.to_string()))
    });
    let (bench, _floor) = Bench::with(&["--mes", &url]);
    let serial = Bench::serial("1");
    bench.scan(&serial);
    let _agent = bench.agent("spool", &[]);
    let page = wait("the hold", || {
        Some(bench.get(&format!("/units/{serial}?lang=en")).1).filter(|page| page.contains("does not allow the test"))
    });
    assert!(page.contains("station &lt;4&gt; missing"), "{page}");
    assert!(bench.runs("spool/runs").is_empty());
}

#[test]
fn by_files_as_well_and_a_floor_that_is_killed_asks_on_and_tells_nothing_twice() {
    let (dir, mes) = (tempfile::tempdir().expect("a folder"), "mes");
    let folder = dir.path().join(mes);
    let (mut bench, floor) = Bench::with(&["--mes", &folder.display().to_string()]);
    let serial = Bench::serial("1");
    bench.scan(&serial);
    let mut agent = bench.agent("spool", &[]);
    let ask = folder.join(format!("ask/{serial}-1.json"));
    wait("the question", || ask.exists().then_some(()));
    floor.kill();
    let asked: serde_json::Value = serde_json::from_slice(&fs::read(&ask).expect("the question")).expect("JSON");
    let allowed =
        serde_json::json!({ "unit": asked["unit"], "generation": asked["generation"], "allowed": true }).to_string();
    fs::write(folder.join(format!("answer/{serial}-1.json")), allowed).expect("answered");
    let floor = bench.floor();
    assert_eq!(wait("the agent's end", || agent.code()), 0);
    let results = || Bench::names_in(&folder.join("results"));
    wait("both files", || (results().len() == 2).then_some(()));
    // A floor that is killed between a file and the note that it is there drops the same once more, which is as it should be.
    let noted = |page: String| page.contains("<td>2</td><td></td></tr>");
    wait("the note of both", || noted(bench.get("/doors?lang=en").1).then_some(()));
    // The other system has taken them: a floor that is started again tells of them no more.
    for name in results() {
        fs::remove_file(folder.join("results").join(name)).expect("taken");
    }
    floor.kill();
    let _floor = bench.floor();
    bench.scan("SRV9");
    assert!(results().is_empty());
}

#[test]
fn a_webhook_is_signed_and_one_that_hangs_keeps_nobody_waiting() {
    let (hanging, hung) = system(|_, _| None);
    let (url, calls) = system(|_, _| Some(answer(200, "")));
    for (url, calls, form) in [(&hanging, &hung, "disposition"), (&url, &calls, "cfx")] {
        let dir = tempfile::tempdir().expect("a folder");
        let secret = dir.path().join("secret");
        fs::write(&secret, "0123456789abcdef0123456789abcdef\n").expect("a secret");
        let secret = secret.display().to_string();
        let (bench, _floor) = Bench::with(&["--webhook", url, "--webhook-form", form, "--webhook-secret", &secret]);
        let serial = Bench::serial("1");
        bench.scan(&serial);
        let mut agent = bench.agent("spool", &[]);
        assert_eq!(wait("the agent's end, whatever the webhook does", || agent.code()), 0);
        let call = wait("a call", || calls.lock().expect("calls").first().cloned());
        let signature = call.header("x-kiln-signature").expect("a signature");
        assert!(signature.starts_with("sha256=") && signature.len() == 71, "{signature}");
        let told = call.json();
        if form == "cfx" {
            assert_eq!(told["MessageName"], "CFX.Production.TestAndInspection.UnitsTested");
            let unit = &told["MessageBody"]["TestedUnits"][0];
            assert_eq!((&unit["UnitIdentifier"], &unit["OverallResult"]), (&serial.as_str().into(), &"Passed".into()));
        } else {
            assert_eq!(told["schema"], "kiln.disposition/1");
        }
    }
    assert_eq!(by_key(&hung.lock().expect("calls")).len(), 1, "the same message again, and none after it");
}
