//! How a message reaches another system: as a file in a folder that it watches, or by an HTTP call.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use kiln_disk as disk;
use sha2::Sha256;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

use super::messages::Message;
use super::nats::Nats;
use super::random::hex;
use super::tls::KnownByError;

/// How long a call may take. A system that hangs is asked again, and keeps nobody but its own messages waiting.
const PATIENCE: Duration = Duration::from_secs(10);

/// A way out.
#[derive(Debug)]
pub(crate) enum Way {
    /// A folder: a file for each message, whole or not there.
    Folder(PathBuf),
    Post(Post),
    Nats(Box<Nats>),
}

/// Calls of another system.
#[derive(Debug)]
pub(crate) struct Post {
    url: String,
    agent: ureq::Agent,
    /// What the bytes are signed with.
    secret: Option<Vec<u8>>,
}

#[derive(Debug, thiserror::Error)]
pub enum WayError {
    #[error("`{0}` is neither a folder nor an address of the form http://host:port/path or https://host:port/path")]
    Address(String),
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{} holds no certificate in PEM", .0.display())]
    NoCertificate(PathBuf),
    #[error("which authority made the certificate of `{0}`? give its certificate with --outlet-ca FILE")]
    NoAuthority(String),
    #[error("{} is empty: a secret for signatures has at least 16 bytes", .0.display())]
    NoSecret(PathBuf),
    #[error("`{0}` is no address of a NATS server; give nats://HOST:PORT, or tls://HOST:PORT with --outlet-ca FILE")]
    NatsAddress(String),
    #[error(
        "the address of the NATS server has a login in it, which everybody on this machine can read while kiln-floor runs; write \
         user:password or a token into a file that only kiln-floor reads, and give that with --nats-login FILE"
    )]
    NatsLogin,
    #[error("{} is empty: its first line is user:password, or a token", .0.display())]
    NoLogin(PathBuf),
    #[error("`{0}` is no beginning of a subject: words of letters, digits, - and _, with dots between")]
    NatsSubject(String),
    #[error(transparent)]
    KnownBy(#[from] KnownByError),
}

impl Post {
    pub(crate) fn of(url: &str, authority: Option<&PathBuf>, secret: Option<&PathBuf>) -> Result<Self, WayError> {
        let read =
            |path: &PathBuf| disk::read(path, 1 << 20).map_err(|source| WayError::Io { path: path.clone(), source });
        let secret = secret.map(|path| {
            let bytes = read(path)?.trim_ascii().to_vec();
            if bytes.len() < 16 { Err(WayError::NoSecret(path.clone())) } else { Ok(bytes) }
        });
        let mut config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None);
        if url.starts_with("https://") {
            let path = authority.ok_or_else(|| WayError::NoAuthority(url.to_owned()))?;
            let pem = read(path)?;
            let root = Certificate::from_pem(&pem).map_err(|_| WayError::NoCertificate(path.clone()))?;
            let tls = TlsConfig::builder()
                .provider(TlsProvider::Rustls)
                .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .root_certs(RootCerts::new_with_certs(&[root]));
            config = config.tls_config(tls.build());
        } else if !url.starts_with("http://") || url.parse::<axum::http::Uri>().is_err() {
            return Err(WayError::Address(url.to_owned()));
        }
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { url, agent: config.build().into(), secret: secret.transpose()? })
    }

    /// Sends JSON under a key by which the other side tells repetitions; its answer, if it took it.
    pub(crate) fn send(&self, path: &str, key: &str, body: &[u8]) -> Result<String, String> {
        let mut call = self.agent.post(format!("{}{path}", self.url)).content_type("application/json");
        call = call.header("idempotency-key", plain(key));
        if let Some(secret) = &self.secret {
            call = call.header("x-kiln-signature", signature(secret, key, body)?);
        }
        let mut answer = call.send(body).map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        let text =
            answer.body_mut().with_config().limit(1 << 16).read_to_string().map_err(|error| error.to_string())?;
        // A conflict says that it has this key already: it was taken, and its answer was lost.
        if (200..300).contains(&status) || status == 409 { Ok(text) } else { Err(format!("it answered {status}")) }
    }
}

/// A key as a header can have it: a floor's name may hold any letter.
pub(crate) fn plain(key: &str) -> String {
    key.chars().map(|letter| if letter.is_ascii_graphic() { letter } else { '_' }).collect()
}

/// `sha256=` and the HMAC over key and bytes, so that a signature cannot be sent again with another key.
fn signature(secret: &[u8], key: &str, body: &[u8]) -> Result<String, String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|error| error.to_string())?;
    mac.update(plain(key).as_bytes());
    mac.update(b"\n");
    mac.update(body);
    Ok(format!("sha256={}", hex(&mac.finalize().into_bytes())))
}

impl Way {
    pub(crate) fn give(&mut self, floor: &str, message: &Message) -> Result<(), String> {
        match self {
            Self::Folder(folder) => {
                let path = folder.join(format!("{:012}-{}.json", message.seq, message.unit));
                disk::replace(&path, &message.body).map_err(|error| format!("{}: {error}", path.display()))
            }
            Self::Post(post) => post.send("", &message.key, &message.body).map(drop),
            Self::Nats(nats) => nats.give(floor, message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_over_key_and_bytes() {
        // RFC 4231, test case 2, with our key and line before the text: HMAC is the library's; what goes in is ours.
        let one = signature(b"0123456789abcdef", "floor-1", b"{}").expect("signed");
        assert!(one.starts_with("sha256=") && one.len() == 71, "{one}");
        for (secret, key, body) in [
            (&b"0123456789abcdeg"[..], "floor-1", &b"{}"[..]),
            (b"0123456789abcdef", "floor-2", b"{}"),
            (b"0123456789abcdef", "floor-1", b"{ }"),
        ] {
            assert_ne!(signature(secret, key, body).expect("signed"), one);
        }
    }

    #[test]
    fn what_is_no_address_is_told_so() {
        for url in ["ftp://x", "mes", "http://", "http://a b"] {
            assert!(matches!(Post::of(url, None, None), Err(WayError::Address(_))), "{url}");
        }
        assert!(matches!(Post::of("https://mes:1", None, None), Err(WayError::NoAuthority(_))));
        assert!(Post::of("http://mes.example:8080/kiln", None, None).is_ok());
    }
}
