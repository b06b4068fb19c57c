//! How an agent becomes known: it sends its key, a person compares codes, and it fetches a certificate.
//!
//! What waits for a person is in memory only: an agent asks again every few seconds, and is shown the same code for as long
//! as it does. The code is the floor's choice, so that nobody can make a key that shows another machine's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router, routing::post};
use kiln_floor::{Act, Candidate, IdentityError, Input, Refusal};
use kiln_seal::PublicKey;
use kiln_wire::{AgentId, Digest, EVIDENCE_LONGEST, EVIDENCE_MOST, Enrol, Enrolled};
use rcgen::{CertificateSigningRequestParams, PKCS_ED25519, PublicKeyData as _};

use super::api::{ApiError, failure, read};
use super::desk::{DeskError, micros, now};
use super::random;
use super::serve::{Secure, Site};
use super::tls::{Peer, sha256};

/// How often an agent that waits asks.
const AGAIN: Duration = Duration::from_secs(3);
/// One that has not asked for so long is gone.
const GONE: Duration = Duration::from_secs(60);
/// The most that wait at once: who made up thousands of machines shall not fill the page.
const MOST: usize = 256;
/// So many wrong codes for one machine, and it is given another.
const MISSES: u32 = 3;

/// Machines that wait for a person, by their key.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Mutex<BTreeMap<Digest, Candidature>>);

/// A machine that waits.
#[derive(Debug, Clone)]
pub(crate) struct Candidature {
    pub(crate) candidate: Candidate,
    pub(crate) code: String,
    asked: Instant,
    misses: u32,
}

/// Why a machine is not approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotApproved {
    Gone,
    WrongCode,
}

impl Waiting {
    fn all(&self) -> MutexGuard<'_, BTreeMap<Digest, Candidature>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, waiting| now().duration_since(waiting.asked) < GONE);
        all
    }

    pub(crate) fn list(&self) -> Vec<Candidature> {
        self.all().values().cloned().collect()
    }

    /// The code of a machine that asks; None if too many wait.
    fn ask(&self, candidate: Candidate) -> std::io::Result<Option<String>> {
        let mut all = self.all();
        if all.len() >= MOST && !all.contains_key(&candidate.key) {
            return Ok(None);
        }
        let before = all.get(&candidate.key).filter(|before| before.candidate == candidate && before.misses < MISSES);
        let (code, misses) = match before {
            Some(before) => (before.code.clone(), before.misses),
            None => (fresh_code(&all)?, 0),
        };
        let key = candidate.key.clone();
        all.insert(key, Candidature { candidate, code: code.clone(), asked: now(), misses });
        Ok(Some(code))
    }

    /// The machine with this key, if the person typed the code that it shows.
    pub(crate) fn compared(&self, key: &Digest, typed: &str) -> Result<Candidate, NotApproved> {
        let mut all = self.all();
        let waiting = all.get_mut(key).ok_or(NotApproved::Gone)?;
        let typed: String = typed.chars().filter(|letter| !letter.is_whitespace()).collect();
        if waiting.misses >= MISSES || !random::same(&waiting.code, &typed) {
            waiting.misses += 1;
            return Err(NotApproved::WrongCode);
        }
        Ok(waiting.candidate.clone())
    }

    fn done(&self, key: &Digest) {
        self.all().remove(key);
    }
}

/// No two machines show the same one.
fn fresh_code(all: &BTreeMap<Digest, Candidature>) -> std::io::Result<String> {
    loop {
        let code = random::code()?;
        if all.values().all(|waiting| waiting.code != code) {
            return Ok(code);
        }
    }
}

/// A key by its digest, as certificates, seals and events name it.
pub(crate) fn key_id(key: &[u8]) -> Digest {
    format!("sha256:{}", sha256(key)).parse().expect("hexadecimal digits after a name")
}

pub(crate) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/v1/enrol", post(enrol))
}

fn refused(status: StatusCode, why: impl std::fmt::Display) -> ApiError {
    ApiError(failure(status, why))
}

async fn enrol(
    State(site): State<Arc<Site>>,
    peer: Option<Extension<axum::extract::ConnectInfo<Peer>>>,
    body: Bytes,
) -> Result<Json<Enrolled>, ApiError> {
    let Some(secure) = &site.secure else {
        return Err(refused(StatusCode::NOT_FOUND, "this floor speaks no TLS, and needs no agent to be enrolled"));
    };
    let enrol: Enrol = read(&body)?;
    enrol.wire.check().map_err(|error| refused(StatusCode::BAD_REQUEST, error))?;
    let request = CertificateSigningRequestParams::from_pem(&enrol.request);
    let request = request.map_err(|error| refused(StatusCode::BAD_REQUEST, format!("the request: {error}")))?;
    let public = Some(request.public_key.der_bytes()).filter(|_| *request.public_key.algorithm() == PKCS_ED25519);
    let not_a_key = || refused(StatusCode::BAD_REQUEST, "the request is not for an Ed25519 key");
    let public = PublicKey::of_bytes(public.ok_or_else(not_a_key)?).ok_or_else(not_a_key)?;
    let key = key_id(request.public_key.der_bytes());
    let shown = peer.and_then(|Extension(axum::extract::ConnectInfo(peer))| peer.shown);
    let shows_one = shown.is_some_and(|shown| shown.agent == enrol.agent && shown.key == key && shown.until > micros());
    let (agent, good_for) = (enrol.agent.clone(), secure.agents_for);
    let until = micros() + u64::try_from(good_for.as_micros()).unwrap_or(u64::MAX);
    let certify = Input::Certify { agent: agent.clone(), key: key.clone(), shows_one, until };
    match site.desk.tell(certify).await {
        Ok(_) => {
            let made = secure.authority.of_agent(&agent, &request.public_key, micros(), good_for);
            let certificate = made.map_err(|error| refused(StatusCode::INTERNAL_SERVER_ERROR, error))?;
            secure.waiting.done(&key);
            Ok(Json(Enrolled::Certified { certificate, good_for }))
        }
        Err(DeskError::Refused(Refusal::Identity(IdentityError::Unknown(_)))) => {
            let candidate = candidate(enrol, key, &public)?;
            let code = secure.waiting.ask(candidate)?;
            let full =
                || refused(StatusCode::SERVICE_UNAVAILABLE, "too many machines wait for a person; ask again later");
            Ok(Json(Enrolled::Pending { code: code.ok_or_else(full)?, again: AGAIN }))
        }
        Err(error) => Err(error.into()),
    }
}

fn candidate(enrol: Enrol, key: Digest, public: &PublicKey) -> Result<Candidate, ApiError> {
    let Enrol { agent, serial, evidence, slot, version, .. } = enrol;
    let long = |text: &String| text.chars().count() > EVIDENCE_LONGEST;
    if evidence.len() > EVIDENCE_MOST || evidence.iter().any(|(name, value)| long(name) || long(value)) {
        return Err(refused(StatusCode::BAD_REQUEST, "this says more of a machine than anybody would read"));
    }
    let mut evidence = evidence;
    evidence.extend(slot.map(|slot| ("slot".to_owned(), slot.to_string())));
    evidence.extend(version.map(|version| ("agent version".to_owned(), version.chars().take(80).collect())));
    Ok(Candidate { agent, key, public_key: public.to_pem(), serial, evidence })
}

/// Who calls, once it was found out.
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(crate) AgentId);

/// Whether a call of an agent is taken at all: it shows a certificate that holds, for a key that is still approved.
pub(crate) async fn caller(site: &Site, peer: Option<&Peer>) -> Result<Caller, Response> {
    let refused = |status, why: String| failure(status, why).into_response();
    let Some(shown) = peer.and_then(|peer| peer.shown.clone()) else {
        return Err(refused(StatusCode::UNAUTHORIZED, "no certificate was shown; enrol first".to_owned()));
    };
    if shown.until <= micros() {
        let why =
            format!("the certificate of agent {} has ended; it is enrolled anew, and a person looks", shown.agent);
        return Err(refused(StatusCode::UNAUTHORIZED, why));
    }
    let of = Arc::clone(&shown);
    let known = site.desk.look(move |floor, _| floor.state().identified(&of.agent, &of.key).map(|_| ()));
    match known.await {
        Ok(Ok(())) => Ok(Caller(shown.agent.clone())),
        Ok(Err(error @ IdentityError::Unknown(_))) => Err(refused(StatusCode::UNAUTHORIZED, error.to_string())),
        Ok(Err(error)) => Err(refused(StatusCode::FORBIDDEN, error.to_string())),
        Err(error) => Err(ApiError::from(error).into_response()),
    }
}

impl Secure {
    /// What a person's approval comes to.
    pub(crate) fn approve(&self, key: &str, typed: &str) -> Result<Act, NotApproved> {
        let key = key.parse().map_err(|_| NotApproved::Gone)?;
        self.waiting.compared(&key, typed).map(Act::Approve)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(number: usize) -> Candidate {
        Candidate {
            agent: format!("agent-{number}").parse().expect("a name"),
            key: key_id(&number.to_le_bytes()),
            public_key: String::new(),
            serial: None,
            evidence: BTreeMap::new(),
        }
    }

    #[test]
    fn a_machine_keeps_its_code_until_it_was_typed_wrong_too_often() {
        let waiting = Waiting::default();
        let (one, key) = (candidate(1), candidate(1).key);
        let code = waiting.ask(one.clone()).expect("random").expect("room");
        assert_eq!(waiting.ask(one.clone()).expect("random").as_ref(), Some(&code));
        let wrong = if code == "000000" { "000001" } else { "000000" };
        for _ in 0..MISSES {
            assert_eq!(waiting.compared(&key, wrong), Err(NotApproved::WrongCode));
        }
        assert_eq!(waiting.compared(&key, &code), Err(NotApproved::WrongCode), "guessed at too often");
        let next = waiting.ask(one.clone()).expect("random").expect("room");
        assert_eq!(waiting.compared(&key, &format!(" {} {} ", &next[..3], &next[3..])), Ok(one.clone()));
        // What else it says of itself is another thing to look at.
        let other = Candidate { serial: Some("SRV9".parse().expect("a serial")), ..one };
        waiting.compared(&key, wrong).expect_err("wrong");
        assert!(waiting.ask(other).expect("random").is_some());
        waiting.done(&key);
        assert_eq!(waiting.compared(&key, &next), Err(NotApproved::Gone));
    }

    #[test]
    fn made_up_machines_fill_no_more_than_a_page() {
        let waiting = Waiting::default();
        let codes: std::collections::BTreeSet<String> =
            (0..MOST).filter_map(|number| waiting.ask(candidate(number)).expect("random")).collect();
        assert_eq!(codes.len(), MOST, "no two are the same");
        assert_eq!(waiting.ask(candidate(MOST)).expect("random"), None);
        assert!(waiting.ask(candidate(3)).expect("random").is_some());
    }
}
