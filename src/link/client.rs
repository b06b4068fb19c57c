//! Calls to the floor: over plain HTTP on loopback alone, over TLS with a certificate anywhere.

use std::io::Read as _;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kiln_wire::{
    AgentId, Appended, Digest, Enrol, Enrolled, Failure, Generation, HandOver, PARTS_MOST, Position, RunId, Sealed,
    Spooled, Sync, SyncReply,
};
use rustls::AlertDescription;
use serde::de::DeserializeOwned;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider};

use super::identity::{Identity, IdentityError};

/// How long a call may take. A floor that needs longer for 256 KiB is one to come back to later.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is read: a reply names each run in the spool, some 300 bytes each.
const ANSWER_MOST: u64 = 4 << 20;

/// The most of a program that is fetched at once: what a line of 1 Mbit/s brings within a call.
const PROGRAM_PIECE: u64 = 1 << 20;

/// The part of a certificate's life after which it is renewed: two thirds of it are left for a floor that is away.
const RENEW_AFTER: u32 = 3;
/// After a renewal that came to nothing.
const RENEW_AGAIN: Duration = Duration::from_secs(60);

/// Why an address is no floor's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FloorUrlError {
    #[error("`{0}` is no address of a floor; expected the form http://127.0.0.1:8080 or https://floor.example:8443")]
    Form(String),
    #[error(
        "`{0}` is not on this machine, and calls over http are neither encrypted nor authenticated; start the floor with \
         --tls and call it by https:// with --ca"
    )]
    NotLoopback(String),
    #[error(
        "which authority made the certificate of `{0}`? --ca FILE, of which the floor has the original as keys/ca.pem"
    )]
    NoAuthority(String),
    #[error("--ca is for a floor that is called by https://, and `{0}` is not")]
    NotTls(String),
    #[error("{0} holds no certificate in PEM")]
    NoCertificate(String),
}

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("the floor does not answer: {0}")]
    Silent(String),
    #[error("the floor answered {status}: {why}")]
    Refused { status: u16, why: String },
    #[error("the floor's answer cannot be read: {0}")]
    Unreadable(String),
    #[error(
        "the floor does not take this agent's certificate ({alert:?}): another authority made it, or it was altered"
    )]
    Certificate { alert: AlertDescription },
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl CallError {
    /// Whether the certificate that was shown is of no use any more.
    pub(super) const fn is_unknown(&self) -> bool {
        matches!(self, Self::Certificate { .. })
    }

    /// Whether the floor will never take these bytes, however often they are offered.
    pub(super) const fn is_final(&self) -> bool {
        matches!(self, Self::Refused { status: 422, .. })
    }
}

/// A floor, by its address.
#[derive(Debug)]
pub struct Client {
    base: String,
    agent: ureq::Agent,
    tls: Option<Tls>,
}

/// What a client of a floor that speaks TLS has beside the address.
#[derive(Debug)]
struct Tls {
    authority: Certificate<'static>,
    identity: Identity,
    /// When the certificate is to be renewed, since the agent began: at once after a start.
    renew_at: Duration,
}

impl Client {
    /// A client of the floor at an address on this machine, such as `http://127.0.0.1:8080`.
    pub fn of(url: &str) -> Result<Self, FloorUrlError> {
        if url.starts_with("https://") {
            return Err(FloorUrlError::NoAuthority(url.to_owned()));
        }
        let form = || FloorUrlError::Form(url.to_owned());
        let (base, host) = parts(url, "http://").ok_or_else(form)?;
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        if host != "localhost" && !address.map_err(|_| form())?.is_loopback() {
            return Err(FloorUrlError::NotLoopback(url.to_owned()));
        }
        Ok(Self { base: base.to_owned(), agent: calls(None), tls: None })
    }

    /// A client of a floor that speaks TLS, whose certificate this authority made. It shows the identity's certificate.
    pub fn secured(url: &str, authority: &Path, identity: Identity) -> Result<Self, FloorUrlError> {
        if url.starts_with("http://") {
            return Err(FloorUrlError::NotTls(url.to_owned()));
        }
        let (base, _) = parts(url, "https://").ok_or_else(|| FloorUrlError::Form(url.to_owned()))?;
        let unread = || FloorUrlError::NoCertificate(authority.display().to_string());
        let pem = kiln_disk::read(authority, 1 << 20).map_err(|_| unread())?;
        let authority = Certificate::from_pem(&pem).map_err(|_| unread())?;
        let tls = Some(Tls { authority, identity, renew_at: Duration::ZERO });
        let mut client = Self { base: base.to_owned(), agent: calls(None), tls };
        client.connect_anew();
        Ok(client)
    }

    /// Connections show the certificate that was there when they were made.
    fn connect_anew(&mut self) {
        self.agent = calls(self.tls.as_ref());
    }

    /// Whether a certificate is to be asked for: there is none, or it is time to renew it.
    pub(super) fn wants_certificate(&self, now: Duration) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.identity.certificate().is_none() || now >= tls.renew_at)
    }

    pub(super) fn has_certificate(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.identity.certificate().is_some())
    }

    /// A request for a certificate in an agent's name; None where no TLS is spoken.
    pub(super) fn request(&self, agent: &AgentId) -> Result<Option<String>, CallError> {
        self.tls.as_ref().map(|tls| tls.identity.request(agent)).transpose().map_err(CallError::from)
    }

    pub(super) fn enrol(&mut self, enrol: &Enrol, now: Duration) -> Result<Enrolled, CallError> {
        let answer = self.post("/v1/enrol", enrol);
        let Some(tls) = &mut self.tls else { return answer };
        tls.renew_at = now + RENEW_AGAIN;
        if let Ok(Enrolled::Certified { certificate, good_for }) = &answer {
            tls.identity.keep(certificate.clone())?;
            tls.renew_at = now + *good_for / RENEW_AFTER;
            self.connect_anew();
        }
        answer
    }

    /// Shows no certificate from now on.
    pub(super) fn forget(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.identity.forget();
            self.connect_anew();
        }
    }

    pub(super) fn sync(&self, sync: &Sync) -> Result<SyncReply, CallError> {
        self.post("/v1/sync", sync)
    }

    pub(super) fn append(
        &self,
        run: &RunId,
        generation: Generation,
        from: Position,
        lines: &[u8],
    ) -> Result<Appended, CallError> {
        let (offset, chain, generation) = (from.offset, from.chain, generation.0);
        self.patch(&format!("/v1/runs/{run}/journal?at={offset}&chain={chain}&gen={generation}"), lines)
    }

    /// How much telemetry the floor holds afterwards.
    pub(super) fn append_telemetry(&self, run: &RunId, from: u64, frames: &[u8]) -> Result<u64, CallError> {
        self.patch(&format!("/v1/runs/{run}/telemetry?at={from}"), frames)
    }

    /// Says that the floor has all of a run, with a seal over it where the agent has a key.
    pub(super) fn sealed(&self, spooled: &Spooled, folder: &Path) -> Result<Sealed, CallError> {
        let seal = self.tls.as_ref().map(|tls| tls.identity.seal(&spooled.run, folder)).transpose()?;
        self.post(&format!("/v1/runs/{}/sealed", spooled.run), &HandOver::of(spooled, seal))
    }

    /// A piece of a program, from an offset on.
    pub(super) fn program(&self, program: &Digest, from: u64) -> Result<Vec<u8>, CallError> {
        let path = format!("/v1/blobs/{program}");
        let range = format!("bytes={from}-{}", from + PROGRAM_PIECE - 1);
        let call = self.agent.get(format!("{}{path}", self.base)).header("range", range);
        told(&path, bytes(call.call(), 206, PROGRAM_PIECE))
    }

    /// The parts list with this digest; whether it is that one is for the caller to see. One byte more than any has tells of one
    /// that is too big.
    pub(super) fn parts(&self, parts: &Digest) -> Result<Vec<u8>, CallError> {
        let path = format!("/v1/parts/{parts}");
        told(&path, bytes(self.agent.get(format!("{}{path}", self.base)).call(), 200, PARTS_MOST + 1))
    }

    fn post<T: DeserializeOwned>(&self, path: &str, body: &impl serde::Serialize) -> Result<T, CallError> {
        let body = serde_json::to_vec(body).map_err(|error| CallError::Unreadable(error.to_string()))?;
        let call = self.agent.post(format!("{}{path}", self.base)).content_type("application/json");
        told(path, read(call.send(&body[..])))
    }

    fn patch<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<T, CallError> {
        let call = self.agent.patch(format!("{}{path}", self.base)).content_type("application/octet-stream");
        told(path, read(call.send(body)))
    }
}

/// The address without what may follow it, and the host in it.
fn parts<'a>(url: &'a str, scheme: &str) -> Option<(&'a str, &'a str)> {
    let base = url.trim_end_matches('/');
    let (host, port) = base.strip_prefix(scheme)?.rsplit_once(':')?;
    let plain = |letter: char| letter.is_ascii_alphanumeric() || ".-:[]".contains(letter);
    (port.parse::<u16>().is_ok() && !host.is_empty() && host.chars().all(plain)).then_some((base, host))
}

fn calls(tls: Option<&Tls>) -> ureq::Agent {
    let mut config = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None);
    if let Some(Tls { authority, identity, .. }) = tls {
        let shown = identity.certificate().and_then(|pem| {
            let certificate = Certificate::from_pem(pem.as_bytes()).ok()?;
            let key = PrivateKey::from_pem(identity.key_pem().as_bytes()).ok()?;
            Some(ClientCert::new_with_certs(&[certificate], key))
        });
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(RootCerts::new_with_certs(std::slice::from_ref(authority)))
            .client_cert(shown);
        config = config.https_only(true).tls_config(tls.build());
    }
    config.build().into()
}

/// Leaves a failed call in the log; what follows from it is the caller's to decide.
fn told<T>(path: &str, answer: Result<T, CallError>) -> Result<T, CallError> {
    match &answer {
        Ok(_) => tracing::trace!(path, "called the floor"),
        Err(error) => tracing::warn!(path, %error, "a call of the floor failed"),
    }
    answer
}

type Answer = Result<ureq::http::Response<ureq::Body>, ureq::Error>;

/// A refused certificate is told from a floor that is away: TLS says it in an alert.
fn silent(error: &ureq::Error) -> CallError {
    let rustls = match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()),
        _ => None,
    };
    match rustls {
        Some(rustls::Error::AlertReceived(
            alert @ (AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::DecryptError
            | AlertDescription::UnsupportedCertificate),
        )) => CallError::Certificate { alert: *alert },
        _ => CallError::Silent(error.to_string()),
    }
}

fn read<T: DeserializeOwned>(answer: Answer) -> Result<T, CallError> {
    let bytes = bytes(answer, 200, ANSWER_MOST)?;
    serde_json::from_slice(&bytes).map_err(|error| CallError::Unreadable(error.to_string()))
}

/// What an answer with this status holds; any other status is a refusal.
fn bytes(answer: Answer, wanted: u16, most: u64) -> Result<Vec<u8>, CallError> {
    let mut answer = answer.map_err(|error| silent(&error))?;
    let status = answer.status().as_u16();
    let mut bytes = Vec::new();
    let read = answer.body_mut().as_reader().take(most).read_to_end(&mut bytes);
    read.map_err(|error| CallError::Silent(error.to_string()))?;
    if status != wanted {
        let failure = serde_json::from_slice::<Failure>(&bytes);
        let why = failure.map_or_else(|_| "without a reason".to_owned(), |failure| failure.why);
        return Err(CallError::Refused { status, why });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_floors_on_this_machine_are_called_without_encryption() {
        for url in ["http://127.0.0.1:8080", "http://127.0.0.1:8080/", "http://localhost:1", "http://[::1]:80"] {
            assert!(Client::of(url).is_ok(), "{url}");
        }
        for url in ["http://10.0.0.1:8080", "http://[2001:db8::1]:80", "http://0.0.0.0:80"] {
            assert_eq!(Client::of(url).err(), Some(FloorUrlError::NotLoopback(url.to_owned())), "{url}");
        }
        for url in ["", "floor", "http://127.0.0.1", "http://127.0.0.1.example.com:80", "http://x/@127.0.0.1:80"] {
            assert_eq!(Client::of(url).err(), Some(FloorUrlError::Form(url.to_owned())), "{url}");
        }
        let url = "https://127.0.0.1:1".to_owned();
        assert_eq!(Client::of(&url).err(), Some(FloorUrlError::NoAuthority(url)));
    }
}
