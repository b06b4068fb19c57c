//! Listening over TLS. Browsers show no certificate, agents show the one that the floor gave them; what no authority of this
//! floor made is refused in the handshake. Handshakes run beside each other, so that a caller who says nothing keeps nobody out.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use kiln_disk as disk;
use kiln_wire::{AgentId, Digest};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::authority::{Authority, AuthorityError};
use super::enrol::key_id;
use super::intake::ShortReads;
use super::random::hex;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How many go on at once. The oldest gives way to the next: an honest one needs milliseconds.
const HANDSHAKES: usize = 256;
/// How long and how much is read of a connection that was refused.
const REST: Duration = Duration::from_millis(500);
const REST_MOST: u64 = 64 << 10;
/// After a connection that could not be taken, such as for want of file descriptors.
const AGAIN: Duration = Duration::from_millis(100);

/// Who is at the other end.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// What the certificate says that it showed; made by the floor's authority, and perhaps no longer good.
    pub(crate) shown: Option<Arc<Shown>>,
}

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) agent: AgentId,
    pub(crate) key: Digest,
    /// Its end, in microseconds since 1970.
    pub(crate) until: u64,
}

impl Shown {
    fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
        let name = parsed.subject().iter_common_name().next()?.as_str().ok()?.to_owned();
        Some(Self {
            agent: name.parse().ok()?,
            key: key_id(&parsed.public_key().subject_public_key.data),
            until: u64::try_from(parsed.validity().not_after.timestamp()).ok()?.saturating_mul(1_000_000),
        })
    }
}

/// Takes certificates of the floor's authority. One that has ended is taken as well, so that its agent can be told so by name:
/// what it may still do is decided with every call.
#[derive(Debug)]
struct Own(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Own {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let shown = Shown::of(end_entity);
        let last = shown.as_ref().map_or(now, |shown| UnixTime::since_unix_epoch(Duration::from_micros(shown.until)));
        let verified = self.0.verify_client_cert(end_entity, intermediates, now.min(last));
        if let Err(error) = &verified {
            let name = shown.map_or_else(|| "nobody in particular".to_owned(), |shown| shown.agent.to_string());
            tell(&format!("refused a certificate that says it is of {name}: {error}"));
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[expect(clippy::print_stderr, reason = "nobody asked, and somebody must hear of it")]
fn tell(text: &str) {
    eprintln!("{text}");
}

/// Why nobody is known by a file with the certificate of an authority.
#[derive(Debug, thiserror::Error)]
pub enum KnownByError {
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} holds no certificate in PEM", .0.display())]
    NoCertificate(PathBuf),
    #[error("TLS to another machine: {0}")]
    Tls(#[from] rustls::Error),
}

/// With what others are called: they are known by the authority in this file alone, and nobody is without one.
pub(crate) fn client_of(authority: Option<&Path>) -> Result<ClientConfig, KnownByError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = authority {
        let pem = disk::read(path, 1 << 20).map_err(|source| KnownByError::Io { path: path.to_owned(), source })?;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            roots.add(certificate.map_err(|_| KnownByError::NoCertificate(path.to_owned()))?)?;
        }
        if roots.is_empty() {
            return Err(KnownByError::NoCertificate(path.to_owned()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13])?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// What the floor speaks.
pub(crate) fn config(authority: &Authority, names: &[String], now: u64) -> Result<ServerConfig, TlsError> {
    let (certificate, key) = authority.of_floor(names, now)?;
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().clone())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .map_err(|error| TlsError::Verifier(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(Own(verifier)))
        .with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
    #[error("TLS cannot be set up: {0}")]
    Verifier(String),
}

/// Connections whose handshakes are done.
pub(crate) struct TlsListener {
    done: mpsc::Receiver<(TlsStream<TcpStream>, Peer)>,
}

impl TlsListener {
    pub(crate) fn of(listener: TcpListener, config: ServerConfig) -> Self {
        let (tell, done) = mpsc::channel(HANDSHAKES);
        tokio::spawn(take_all(listener, TlsAcceptor::from(Arc::new(config)), tell));
        Self { done }
    }
}

async fn take_all(listener: TcpListener, acceptor: TlsAcceptor, tell: mpsc::Sender<(TlsStream<TcpStream>, Peer)>) {
    let mut going_on: VecDeque<JoinHandle<()>> = VecDeque::new();
    while !tell.is_closed() {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        going_on.retain(|handshake| !handshake.is_finished());
        if going_on.len() == HANDSHAKES
            && let Some(oldest) = going_on.pop_front()
        {
            oldest.abort();
        }
        let (acceptor, tell) = (acceptor.clone(), tell.clone());
        going_on.push_back(tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream).into_fallible()).await {
                Ok(Ok(stream)) => {
                    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| Shown::of(chain.first()?));
                    let _ = tell.send((stream, Peer { shown: shown.map(Arc::new) })).await;
                }
                Ok(Err((_, stream))) => let_go(stream).await,
                Err(_) => {}
            }
        }));
    }
}

/// Closes a connection that was refused in such a way that the other side can still read why: what it sent meanwhile is read,
/// or the kernel would throw the alert away together with it.
async fn let_go(mut stream: TcpStream) {
    let mut rest = tokio::io::AsyncReadExt::take(&mut stream, REST_MOST);
    let _ = tokio::time::timeout(REST, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = Peer;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.done.recv().await {
            Some(connection) => connection,
            // Nothing takes connections any more, and a listener has no other way to say so.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer { shown: None })
    }
}

impl Connected<IncomingStream<'_, ShortReads<TlsListener>>> for Peer {
    fn connect_info(stream: IncomingStream<'_, ShortReads<TlsListener>>) -> Self {
        stream.remote_addr().clone()
    }
}

/// SHA-256 of bytes, in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    hex(&sha2::Sha256::digest(bytes))
}
