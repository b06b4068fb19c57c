//! A floor over TLS: agents that are enrolled by a code, people who log in, and each refusal by its name.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ED25519};

use crate::bench::{Bench, kiln, wait};
use crate::browser::{Browser, Shows, calls, sends};

/// A machine that enrols by hand: its key, and the certificate it was given.
pub(crate) struct Machine {
    name: String,
    key: KeyPair,
    certificate: Option<String>,
}

impl Machine {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
        Self { name: name.to_owned(), key, certificate: None }
    }

    pub(crate) fn shows(&self) -> Shows {
        self.certificate.clone().map(|certificate| (certificate, self.key.serialize_pem()))
    }

    /// Asks for a certificate; the status and the answer.
    fn asks(&mut self, bench: &Bench) -> (u16, String) {
        let mut wanted = CertificateParams::new(Vec::new()).expect("no names");
        wanted.distinguished_name.push(DnType::CommonName, "anything");
        let request = wanted.serialize_request(&self.key).and_then(|request| request.pem()).expect("a request");
        let body = serde_json::json!({
            "wire": "kiln.wire/1.0", "agent": self.name, "boot": "boot-1", "serial": format!("SRV-{}", self.name),
            "request": request, "evidence": { "mac eth0": "<b>aa</b>" },
        });
        let (status, answer) = sends(&calls(bench, self.shows()), bench, "/v1/enrol", &body.to_string());
        let read: serde_json::Value = serde_json::from_str(&answer).unwrap_or_default();
        if let Some(certificate) = read["certified"]["certificate"].as_str() {
            self.certificate = Some(certificate.to_owned());
        }
        (status, answer)
    }

    /// Enrols with the help of an admin.
    pub(crate) fn enrolled(mut self, bench: &Bench, admin: &Browser) -> Self {
        let (_, answer) = self.asks(bench);
        let read: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
        let code = read["pending"]["code"].as_str().unwrap_or_else(|| panic!("{answer}"));
        let to = admin.acts("/doors/approve", &format!("of={}&why={code}", self.key_id(admin)));
        assert!(!to.contains("told="), "{to}");
        self.asks(bench);
        assert!(self.certificate.is_some());
        self
    }

    /// The key as the page's form for this machine names it.
    fn key_id(&self, admin: &Browser) -> String {
        let (_, page) = admin.get("/doors?lang=en");
        let section = page.split("<section").find(|part| part.contains(&format!("<p>{}</p>", self.name)));
        let of = section.and_then(|part| part.split("name=\"of\" value=\"").nth(1)).expect("its form");
        of.split('"').next().expect("a value").to_owned()
    }

    fn syncs_as(&self, bench: &Bench, name: &str) -> (u16, String) {
        self.syncs_with(bench, &serde_json::json!({ "agent": name }))
    }

    /// Calls, and says this beside what every agent says.
    pub(crate) fn syncs_with(&self, bench: &Bench, more: &serde_json::Value) -> (u16, String) {
        let mut body = serde_json::json!({
            "wire": "kiln.wire/1.0", "agent": self.name, "boot": "boot-1", "serial": format!("SRV-{}", self.name),
            "doing": "idle", "generation": null, "spool": [],
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        sends(&calls(bench, self.shows()), bench, "/v1/sync", &body.to_string())
    }

    pub(crate) fn syncs(&self, bench: &Bench) -> (u16, String) {
        self.syncs_as(bench, &self.name)
    }
}

/// The code that an agent shows at its machine.
fn shown_code(told: &Path) -> String {
    wait("the code", || {
        let text = fs::read_to_string(told).ok()?;
        Some(text.split("compare the code ").nth(1)?.split(' ').next()?.to_owned())
    })
}

/// The admin's page once a machine with this serial number waits there.
fn waiting(admin: &Browser, serial: &str) -> String {
    wait("the machine on the page", || Some(admin.get("/doors?lang=en").1).filter(|page| page.contains(serial)))
}

/// The key that waits for approval on a page.
fn key_on(page: &str) -> &str {
    page.split("name=\"of\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a form")
}

/// Tests a unit with an agent that is approved on the way; its serial number.
pub(crate) fn tested(bench: &Bench, more: &[&str]) -> String {
    let (admin, serial) = (Browser::of(bench, "admin"), Bench::serial("1"));
    admin.acts("/scan", &format!("serial={serial}"));
    let (mut agent, told) = bench.agent_over_tls("spool", more);
    let (code, page) = (shown_code(&told), waiting(&admin, &serial));
    assert!(!admin.acts("/doors/approve", &format!("of={}&why={code}", key_on(&page))).contains("told="));
    assert_eq!(wait("the agent's end", || agent.code()), 0);
    serial
}

#[test]
fn an_agent_is_enrolled_by_its_code_and_the_papers_of_its_unit_verify_with_two_keys() {
    let (bench, _floor) = Bench::secured(&[]);
    let (admin, operator) = (Browser::of(&bench, "admin"), Browser::of(&bench, "operator"));
    let serial = Bench::serial("1");
    assert!(operator.acts("/scan", &format!("serial={serial}")).starts_with("/units/"));
    let (mut agent, told) = bench.agent_over_tls("spool", &[]);
    let (code, page) = (shown_code(&told), waiting(&admin, &serial));
    assert!(!page.contains(&code), "the code is read at the machine, and not on the page");
    assert!(page.contains("simulated: hgx-h200-8"));
    let key = key_on(&page);
    let wrong = if code == "123456" { "123457" } else { "123456" };
    assert!(admin.acts("/doors/approve", &format!("of={key}&why={wrong}")).contains("told=code"));
    assert!(!admin.acts("/doors/approve", &format!("of={key}&why={code}")).contains("told="));
    assert_eq!(wait("the agent's end", || agent.code()), 0);
    let (_, page) = operator.get(&format!("/units/{serial}?lang=en"));
    assert!(page.contains("Passed ○"), "{page}");
    let run = bench.runs("floor/runs").remove(0);
    bench.assert_same("spool", &run);

    let papers = bench.path("papers");
    let made =
        |unit: &str, out: &str| bench.beside("papers", &[unit, "--out", bench.path(out).to_str().expect("text")]);
    let out = made(&serial, "papers");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(made("SRV-NONE", "none").status.code(), Some(3), "nothing was decided about that one");
    let verify = |key: &str, floor_key: &str| {
        let mut command = Command::new(kiln());
        command.arg("verify").arg(&papers).arg("--key").arg(bench.path(key));
        command.arg("--floor-key").arg(bench.path(floor_key)).output().expect("verified")
    };
    let (agents, floors) = ("spool/keys/agent.key.pub", "floor/keys/floor.key.pub");
    let out = verify(agents, floors);
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{said}{}", String::from_utf8_lossy(&out.stderr));
    assert!(said.contains(&format!("unit {serial} hold: released by floor")) && said.contains(&run), "{said}");
    for (key, floor_key) in [(floors, floors), (agents, agents), (floors, agents)] {
        assert_eq!(verify(key, floor_key).status.code(), Some(3), "{key} {floor_key}");
    }
    let journal = papers.join("runs").join(&run).join("journal.jsonl");
    let mut bytes = fs::read(&journal).expect("a journal");
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(&journal, bytes).expect("altered");
    let out = verify(agents, floors);
    assert!(String::from_utf8_lossy(&out.stderr).contains("journal.jsonl"), "{out:?}");

    let lines = bench.audited();
    for said in [
        "agent-approved",
        "agent-certified",
        "unit-scanned",
        "\"actor\":{\"person\":\"admin\"}",
        "\"person\":\"operator\"",
    ] {
        assert!(lines.contains(said), "{said} is not in {lines}");
    }
}

#[test]
fn what_is_no_certificate_of_this_floor_is_refused_by_name() {
    let (bench, _floor) = Bench::secured(&[]);
    let admin = Browser::of(&bench, "admin");
    let mut stranger = Machine::new("stranger");
    let (status, answer) = stranger.syncs(&bench);
    assert!(status == 401 && answer.contains("no certificate was shown"), "{answer}");
    let first = Machine::new("a1").enrolled(&bench, &admin);
    assert_eq!(first.syncs(&bench).0, 200);
    let (status, answer) = first.syncs_as(&bench, "a2");
    assert!(status == 403 && answer.contains("of agent a1, and the call says it is a2"), "{answer}");
    // A copy of the name without its key.
    let (status, answer) = Machine::new("a1").asks(&bench);
    assert!(status == 403 && answer.contains("agent a1 is enrolled here with another key"), "{answer}");
    // A certificate that another authority made for the same name and key.
    let forged = {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, "a1");
        params.self_signed(&key).map(|certificate| (certificate.pem(), key.serialize_pem())).expect("forged")
    };
    let body = serde_json::json!({ "wire": "kiln.wire/1.0" }).to_string();
    let (status, why) = sends(&calls(&bench, Some(forged)), &bench, "/v1/sync", &body);
    assert!(status == 0 && why.contains("UnknownCA"), "{status} {why}");
    assert!(bench.floor_says().contains("refused a certificate that says it is of a1"), "{}", bench.floor_says());
    // Another agent's run.
    assert!(admin.acts("/scan", "serial=SRV-a1").starts_with("/units/"));
    let (_, answer) = first.syncs(&bench);
    let read: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    let run = read["desired"]["run"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    let second = Machine::new("a2").enrolled(&bench, &admin);
    let path = format!("/v1/runs/{run}/sealed");
    let body = serde_json::json!({
        "run": run, "generation": 1, "journal": { "offset": 0, "chain": "0".repeat(64) }, "telemetry": 0, "ended": true,
    });
    let (status, answer) = sends(&calls(&bench, second.shows()), &bench, &path, &body.to_string());
    assert!(status == 403 && answer.contains("is agent a1's, and the certificate is of agent a2"), "{answer}");
    // Revoked.
    assert!(!admin.acts("/doors/revoke", "of=a2&why=stolen").contains("told="));
    let (status, answer) = second.syncs(&bench);
    assert!(status == 403 && answer.contains("agent a2 was revoked"), "{answer}");
    assert_eq!(stranger.asks(&bench).0, 200, "a stranger may ask, and waits");
}

#[test]
fn a_certificate_that_has_ended_is_refused_by_name_and_one_that_holds_is_renewed() {
    let (bench, _floor) = Bench::secured(&["--agents-for", "3"]);
    let admin = Browser::of(&bench, "admin");
    let mut machine = Machine::new("a1").enrolled(&bench, &admin);
    let first = machine.certificate.clone();
    assert_eq!(machine.asks(&bench).0, 200, "renewed while it holds");
    assert_ne!(machine.certificate, first);
    let (_, answer) = wait("its end", || Some(machine.syncs(&bench)).filter(|(status, _)| *status == 401));
    assert!(answer.contains("the certificate of agent a1 has ended"), "{answer}");
}

#[test]
fn people_log_in_and_do_what_their_role_may() {
    let (bench, _floor) = Bench::secured(&[]);
    let nobody = Browser::new(&bench);
    for path in ["/", "/doors", "/units/SRV1", "/building", "/runs/x/report.html"] {
        let (status, answer) = nobody.get(path);
        assert!(status == 303 && answer.contains("location: /login"), "{path}: {answer}");
    }
    assert_eq!((nobody.get("/events").0, nobody.get("/metrics").0, nobody.get("/login").0), (401, 401, 200));
    let token = fs::read_to_string(bench.path("floor/keys/metrics.token")).expect("a token");
    assert_eq!(nobody.with_header("authorization", &format!("Bearer {}", token.trim())).get("/metrics").0, 200);
    let operator = Browser::of(&bench, "operator");
    let (_, cookie) = operator.login("B-operator", "493817");
    for said in ["__Host-kiln=", "Secure", "HttpOnly", "SameSite=Strict"] {
        assert!(cookie.contains(said), "{cookie}");
    }
    assert!(operator.acts("/scan", "serial=SRV1&by=somebody").starts_with("/units/SRV1"));
    // What takes another role, another site's page, no secret of the session, another session's secret.
    assert_eq!(operator.posts("/units/SRV1/free", &format!("why=x&token={}", operator.token())).0, 403);
    assert_eq!(operator.posts("/doors/approve", &format!("of=x&why=x&token={}", operator.token())).0, 403);
    assert_eq!(operator.posts("/scan", "serial=SRV2").0, 403);
    let other = Browser::of(&bench, "engineer");
    assert_eq!(operator.posts("/scan", &format!("serial=SRV2&token={}", other.token())).0, 403);
    let evil = operator.with_header("origin", "https://evil.example");
    assert_eq!(evil.posts("/scan", &format!("serial=SRV2&token={}", operator.token())).0, 403);
    let elsewhere = operator.with_header("host", "evil.example");
    assert_eq!(elsewhere.get("/").0, 403, "a name that was made to point here");
    assert!(!operator.get("/").1.contains("SRV2"));
    assert!(operator.get("/").1.contains("content-security-policy: default-src 'none'"));
    // The name that was typed is not who did it.
    let lines = bench.audited();
    assert!(lines.contains("{\"person\":\"operator\"}") && !lines.contains("somebody"), "{lines}");
    // Who was taken out is out at once.
    let removed = Command::new(env!("CARGO_BIN_EXE_kiln-floor"))
        .args(["person", "remove", "--name", "operator", "--data"])
        .arg(bench.path("floor"))
        .status();
    assert!(removed.expect("removed").success());
    assert_eq!(operator.get("/").0, 303);
    // Who may log in, and since when, stands in the events as well; what a PIN could be guessed by does not.
    let lines = wait("the list of people", || {
        let lines = bench.audited();
        lines.contains("{\"person-unlisted\":{\"name\":\"operator\"}}").then_some(lines)
    });
    let listed =
        "{\"person-listed\":{\"name\":\"operator\",\"badge\":\"B-operator\",\"rights\":\"operator\",\"pin\":\"sha256:";
    assert!(lines.contains(listed) && lines.matches("person-listed").count() == 4, "{lines}");
    let people = fs::read_to_string(bench.path("floor/keys/people.json")).expect("the list");
    let people: serde_json::Value = serde_json::from_str(&people).expect("JSON");
    for secret in people["people"].as_array().expect("people").iter().flat_map(|one| [&one["salt"], &one["pin"]]) {
        assert!(!lines.contains(secret.as_str().expect("text")), "{lines}");
    }
    other.acts("/logout", "");
    assert_eq!(other.get("/").0, 303);
}

#[test]
fn whoever_was_added_stands_in_the_events_before_they_can_do_anything() {
    let (bench, _floor) = Bench::secured(&[]);
    // Several at once: the floor looks at the list by itself as well, and not as often as this.
    for name in ["ito", "kato", "mori", "sato", "wada"] {
        bench.person(name, "operator");
        Browser::of(&bench, name);
        let lines = bench.audited();
        assert!(lines.contains(&format!("{{\"person-listed\":{{\"name\":\"{name}\"")), "{name} is not in {lines}");
    }
}

#[test]
fn wrong_pins_lock_a_person_out_until_an_admin_says_otherwise_also_over_a_restart() {
    let (mut bench, floor) = Bench::secured(&[]);
    let guess = Browser::new(&bench);
    for _ in 0..4 {
        assert!(guess.login("B-engineer", "000001").0.contains("told=login"));
    }
    assert!(guess.login("B-nobody", "000001").0.contains("told=login"));
    assert!(guess.login("B-engineer", "000001").0.contains("told=locked"));
    assert!(guess.login("B-engineer", "493817").0.contains("told=locked"), "the right one is too late");
    floor.kill();
    let _floor = bench.floor();
    let guess = Browser::new(&bench);
    assert!(guess.login("B-engineer", "493817").0.contains("told=locked"));
    let admin = Browser::of(&bench, "admin");
    assert!(!admin.acts("/doors/unlock", "of=engineer&why=asked").contains("told="));
    Browser::of(&bench, "engineer");
}

#[test]
fn a_caller_who_says_nothing_keeps_nobody_out() {
    let (bench, _floor) = Bench::secured(&[]);
    let silent: Vec<TcpStream> =
        (0..400).map(|_| TcpStream::connect(&bench.address).expect("the floor listens")).collect();
    assert_eq!(Browser::new(&bench).get("/login").0, 200);
    drop(silent);
}

#[test]
fn a_floor_without_people_or_without_tls_is_reached_from_this_machine_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let serve = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kiln-floor"));
        let out = command.args(["serve", "--data"]).arg(dir.path()).args(more).output().expect("a floor");
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let (code, told) = serve(&["--listen", "0.0.0.0:0"]);
    assert!(code == Some(3) && told.contains("not a loopback address") && told.contains("--tls"), "{told}");
    let (code, told) = serve(&["--listen", "0.0.0.0:0", "--tls"]);
    assert!(code == Some(3) && told.contains("kiln-floor person add"), "{told}");
    let agent = |more: &[&str]| {
        let mut command = Command::new(kiln());
        command.args(["agent", "--once", "--sim", "hgx-h200-8", "--spool"]).arg(dir.path().join("spool")).args(more);
        let out = command.output().expect("an agent");
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let (code, told) = agent(&["--floor", "http://10.0.0.1:8080"]);
    assert!(code == Some(2) && told.contains("--tls"), "{told}");
    let (code, told) = agent(&["--floor", "https://127.0.0.1:8080"]);
    assert!(code == Some(2) && told.contains("--ca"), "{told}");
    let (code, told) = agent(&["--floor", "https://127.0.0.1:8080", "--ca", "/dev/null"]);
    assert!(code == Some(2) && told.contains("certificate"), "{told}");
}
