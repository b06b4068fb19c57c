//! A browser of a few lines for a floor over TLS: it keeps a cookie, sends forms with the session's secret, follows nothing.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider};

use crate::bench::Bench;

/// A certificate and its key, as PEM.
pub(crate) type Shows = Option<(String, String)>;

/// Calls that trust the floor's authority and show a certificate.
pub(crate) fn calls(bench: &Bench, shows: Shows) -> ureq::Agent {
    let pem = std::fs::read(bench.path("floor/keys/ca.pem")).expect("the floor's authority");
    let roots = RootCerts::new_with_certs(&[Certificate::from_pem(&pem).expect("a certificate")]);
    let shown = shows.map(|(certificate, key)| {
        let certificate = Certificate::from_pem(certificate.as_bytes()).expect("a certificate");
        ClientCert::new_with_certs(&[certificate], PrivateKey::from_pem(key.as_bytes()).expect("a key"))
    });
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(roots)
        .client_cert(shown);
    ureq::Agent::config_builder()
        .tls_config(tls.build())
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into()
}

/// Sends JSON; the status, or 0 with what went wrong before there was one.
pub(crate) fn sends(agent: &ureq::Agent, bench: &Bench, path: &str, body: &str) -> (u16, String) {
    let call = agent.post(format!("https://{}{path}", bench.address)).content_type("application/json");
    match call.send(body) {
        Ok(mut answer) => (answer.status().as_u16(), answer.body_mut().read_to_string().expect("text")),
        Err(error) => (0, error.to_string()),
    }
}

/// Somebody's browser.
pub(crate) struct Browser {
    agent: ureq::Agent,
    address: String,
    cookie: RefCell<Option<String>>,
    more: Vec<(String, String)>,
}

impl Browser {
    pub(crate) fn new(bench: &Bench) -> Self {
        let (agent, address) = (calls(bench, None), bench.address.clone());
        Self { agent, address, cookie: RefCell::default(), more: Vec::new() }
    }

    /// One of the bench's people, logged in.
    pub(crate) fn of(bench: &Bench, name: &str) -> Self {
        let browser = Self::new(bench);
        let (to, cookie) = browser.login(&format!("B-{name}"), "493817");
        assert!(!to.contains("told=") && !cookie.is_empty(), "{name} cannot log in: {to}");
        browser
    }

    /// The same browser, which sends another header.
    pub(crate) fn with_header(&self, name: &str, value: &str) -> Self {
        Self {
            agent: self.agent.clone(),
            address: self.address.clone(),
            cookie: self.cookie.clone(),
            more: vec![(name.to_owned(), value.to_owned())],
        }
    }

    /// Where the login leads, and the cookie it sets.
    pub(crate) fn login(&self, badge: &str, pin: &str) -> (String, String) {
        let (status, answer) = self.posts("/login", &format!("badge={badge}&pin={pin}"));
        assert_eq!(status, 303, "{answer}");
        let header =
            |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
        let cookie = header("set-cookie: ");
        if let Some(pair) = cookie.split(';').next().filter(|pair| !pair.is_empty()) {
            *self.cookie.borrow_mut() = Some(pair.to_owned());
        }
        (header("location: "), cookie)
    }

    /// The secret of the session, as the page's forms have it.
    pub(crate) fn token(&self) -> String {
        let (_, page) = self.get("/");
        let token = page.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        token.unwrap_or_else(|| panic!("no token in {page}")).to_owned()
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let call = self.headed(self.agent.get(format!("https://{}{path}", self.address)));
        told(call.call())
    }

    /// Sends a form of the page as a person does; where it leads.
    pub(crate) fn acts(&self, path: &str, form: &str) -> String {
        let (status, answer) = self.posts(path, &format!("{form}&token={}", self.token()));
        assert_eq!(status, 303, "{path}: {answer}");
        answer.lines().find_map(|line| line.strip_prefix("location: ")).expect("a place to go").to_owned()
    }

    pub(crate) fn posts(&self, path: &str, form: &str) -> (u16, String) {
        let mut call = self.headed(self.agent.post(format!("https://{}{path}", self.address)));
        if self.more.iter().all(|(name, _)| name != "origin") {
            call = call.header("origin", format!("https://{}", self.address));
        }
        told(call.content_type("application/x-www-form-urlencoded").send(form))
    }

    fn headed<B>(&self, mut call: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        for (name, value) in &self.more {
            call = call.header(name.as_str(), value.as_str());
        }
        match &*self.cookie.borrow() {
            Some(cookie) => call.header("cookie", cookie.as_str()),
            None => call,
        }
    }
}

/// The status, and the answer with its headers before it.
fn told(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> (u16, String) {
    let mut answer = answer.expect("an answer");
    let mut text = String::new();
    for (name, value) in answer.headers() {
        let _ = writeln!(text, "{name}: {}", value.to_str().unwrap_or_default());
    }
    let status = answer.status().as_u16();
    text += &answer.body_mut().read_to_string().expect("text");
    (status, text)
}
