//! Who the agent is to a floor that speaks TLS: a key that never leaves the spool, and the certificate the floor gave for it.
//!
//! The key is Ed25519 and signs two things: the TLS handshakes, and the seals of the runs that are handed over. `keys/agent.key`
//! is for its owner alone, `keys/agent.key.pub` is given to whoever verifies, `keys/agent.pem` is the certificate.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kiln_disk::{self as disk, SAMPLES};
use kiln_model::WallTime;
use kiln_rundir::{RunDir, RunDirError};
use kiln_seal::{SealError, SecretKey, seal};
use kiln_wire::{AgentId, RunId};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ED25519};

use super::spool::Spool;

/// The most that is read of a key or a certificate.
const SMALL: u64 = 1 << 16;

/// What went wrong with a key, a certificate or a seal.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Run(#[from] RunDirError),
    #[error("no request for a certificate can be made: {0}")]
    Request(#[from] rcgen::Error),
}

/// An agent's key and certificate.
#[derive(Debug)]
pub struct Identity {
    folder: PathBuf,
    seals: PathBuf,
    key: SecretKey,
    key_pem: String,
    certificate: Option<String>,
}

impl Identity {
    /// The identity in a spool, its key made the first time.
    pub fn open(spool: &Spool) -> Result<Self, IdentityError> {
        let (folder, seals) = (spool.folder("keys"), spool.folder("seals"));
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| IdentityError::Io { path, source }
        };
        for folder in [&folder, &seals] {
            fs::create_dir_all(folder).map_err(io(folder))?;
        }
        let path = folder.join("agent.key");
        let key = if path.exists() { SecretKey::read(&path)? } else { SecretKey::create(&path)?.0 };
        let key_pem = String::from_utf8_lossy(&disk::read(&path, SMALL).map_err(io(&path))?).into_owned();
        let certificate = match disk::read(&folder.join("agent.pem"), SMALL) {
            Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(io(&folder.join("agent.pem"))(error)),
        };
        Ok(Self { folder, seals, key, key_pem, certificate })
    }

    pub(super) fn certificate(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    pub(super) fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// A request for a certificate, signed with the key.
    pub(super) fn request(&self, agent: &AgentId) -> Result<String, IdentityError> {
        let pair = KeyPair::from_pkcs8_pem_and_sign_algo(&self.key_pem, &PKCS_ED25519)?;
        let mut wanted = CertificateParams::new(Vec::new())?;
        wanted.distinguished_name.push(DnType::CommonName, agent.as_str());
        Ok(wanted.serialize_request(&pair)?.pem()?)
    }

    /// Keeps a certificate that the floor gave.
    pub(super) fn keep(&mut self, certificate: String) -> Result<(), IdentityError> {
        let path = self.folder.join("agent.pem");
        disk::replace(&path, certificate.as_bytes()).map_err(|source| IdentityError::Io { path, source })?;
        self.certificate = Some(certificate);
        Ok(())
    }

    /// Forgets a certificate that no longer holds. The file stays until another one takes its place.
    pub(super) fn forget(&mut self) {
        self.certificate = None;
    }

    /// `seal.json` over what is handed over of a run, and nothing else: its journal and telemetry.
    pub(super) fn seal(&self, run: &RunId, folder: &Path) -> Result<String, IdentityError> {
        let sealed = self.seals.join(run.as_str());
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| IdentityError::Io { path, source }
        };
        if sealed.exists() {
            fs::remove_dir_all(&sealed).map_err(io(&sealed))?;
        }
        for file in [disk::JOURNAL, SAMPLES] {
            let (from, to) = (folder.join(file.name), sealed.join(file.name));
            if !from.exists() {
                continue;
            }
            let parent = to.parent().unwrap_or(&sealed);
            fs::create_dir_all(parent).map_err(io(parent))?;
            fs::hard_link(&from, &to).map_err(io(&to))?;
        }
        let dir = RunDir::open(&sealed)?;
        let found = dir.run()?;
        seal(&sealed, &found.record, found.root, &std::collections::BTreeMap::new(), &self.key, now())?;
        let path = sealed.join(kiln_seal::FILE_NAME);
        let text = disk::read(&path, 256 << 20).map_err(io(&path))?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

#[expect(clippy::disallowed_methods, reason = "the edge reads the clock for the seal's date")]
fn now() -> WallTime {
    WallTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_key_is_made_once_and_its_request_names_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(dir.path()).expect("a spool");
        let mut first = Identity::open(&spool).expect("made");
        let agent = "agent-1".parse().expect("a name");
        assert!(first.request(&agent).expect("a request").starts_with("-----BEGIN CERTIFICATE REQUEST-----"));
        assert_eq!(first.certificate(), None);
        first.keep("PEM".to_owned()).expect("kept");
        let again = Identity::open(&spool).expect("read");
        assert_eq!((again.key_pem(), again.certificate()), (first.key_pem(), Some("PEM")));
    }
}
