//! The floor's own certificate authority, and the key it signs units' papers with: files in `keys/` of its folder.
//!
//! `ca.pem` is what agents and browsers are given to know the floor by; `ca.key` and `floor.key` are for the floor alone. The
//! certificate the floor itself shows is made anew at every start, and lies nowhere.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kiln_disk as disk;
use kiln_seal::{SealError, SecretKey};
use kiln_wire::AgentId;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _};

/// How long an agent's certificate holds. It is renewed after a third of it; one that ends means that a person looks again.
pub(crate) const AGENT_FOR: Duration = Duration::from_secs(72 * 3600);
/// How far a node's clock may be behind the floor's.
const CLOCKS: Duration = Duration::from_secs(24 * 3600);
const AUTHORITY_FOR: Duration = Duration::from_secs(20 * 365 * 24 * 3600);
/// What browsers accept at most (CA/Browser Forum ballot SC22); the floor is started again before.
const FLOOR_FOR: Duration = Duration::from_secs(397 * 24 * 3600);

#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: {source}; restore it from a copy, or move `keys` away and have every agent enrolled anew", .path.display())]
    Unreadable { path: PathBuf, source: rcgen::Error },
    #[error("{} can be read by others: its mode is {mode:03o}; make it the floor's alone with `chmod 600`", .path.display())]
    Open { path: PathBuf, mode: u32 },
    #[error("`{0}` is no name or address that a certificate can be made for")]
    Name(String),
    #[error("a certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
    #[error(transparent)]
    Key(#[from] SealError),
}

/// Signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> AuthorityError + '_ {
    move |source| AuthorityError::Io { path: path.to_owned(), source }
}

/// The folder of keys, for the floor alone.
pub(crate) fn folder(data: &Path) -> Result<PathBuf, AuthorityError> {
    let folder = data.join("keys");
    fs::create_dir_all(&folder).map_err(io_at(&folder))?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).map_err(io_at(&folder))?;
    Ok(folder)
}

/// Writes a file that only its owner reads, and never over one that is there.
pub(crate) fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all())
}

/// Reads such a file, unless others can read it as well.
pub(crate) fn read_secret(path: &Path) -> Result<String, AuthorityError> {
    let file = disk::open(path).map_err(io_at(path))?;
    let mode = file.metadata().map_err(io_at(path))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(AuthorityError::Open { path: path.to_owned(), mode });
    }
    let bytes = disk::read_open(&file, 1 << 20).map_err(io_at(path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The key for units' papers, made the first time.
pub(crate) fn floor_key(data: &Path) -> Result<SecretKey, AuthorityError> {
    let path = folder(data)?.join("floor.key");
    Ok(if path.exists() { SecretKey::read(&path)? } else { SecretKey::create(&path)?.0 })
}

fn lasting(params: &mut CertificateParams, now: u64, from: Duration, until: Duration) {
    let at = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_micros(now);
    (params.not_before, params.not_after) = (at - from, at + until);
    params.serial_number = Some(SerialNumber::from_slice(uuid::Uuid::now_v7().as_bytes()));
    params.use_authority_key_identifier_extension = true;
}

impl Authority {
    /// The authority in a floor's folder, made the first time. `now` is in microseconds since 1970.
    pub(crate) fn open(data: &Path, floor: &str, now: u64) -> Result<Self, AuthorityError> {
        let folder = folder(data)?;
        let (key_path, path) = (folder.join("ca.key"), folder.join("ca.pem"));
        if !key_path.exists() && !path.exists() {
            write_secret(&key_path, &KeyPair::generate()?.serialize_pem()).map_err(io_at(&key_path))?;
        }
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |source| AuthorityError::Unreadable { path, source }
        };
        let key = KeyPair::from_pem(&read_secret(&key_path)?).map_err(unreadable(&key_path))?;
        if !path.exists() {
            let mut params = CertificateParams::new(Vec::new())?;
            params.distinguished_name.push(DnType::CommonName, format!("Kiln floor authority of {floor}"));
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            lasting(&mut params, now, CLOCKS, AUTHORITY_FOR);
            disk::replace(&path, params.self_signed(&key)?.pem().as_bytes()).map_err(io_at(&path))?;
        }
        let pem = disk::read(&path, 1 << 20).map_err(io_at(&path))?;
        let invalid =
            |_| AuthorityError::Unreadable { path: path.clone(), source: rcgen::Error::CouldNotParseCertificate };
        let certificate = CertificateDer::from_pem_slice(&pem).map_err(invalid)?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(unreadable(&path))?;
        Ok(Self { issuer, certificate })
    }

    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// What the floor shows under these names.
    pub(crate) fn of_floor(
        &self,
        names: &[String],
        now: u64,
    ) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), AuthorityError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names.to_vec()).map_err(|_| AuthorityError::Name(names.join(", ")))?;
        params.distinguished_name.push(DnType::CommonName, "Kiln floor");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        lasting(&mut params, now, CLOCKS, FLOOR_FOR);
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok((certificate.der().clone(), PrivateKeyDer::Pkcs8(key)))
    }

    /// A certificate for an agent's key, as PEM.
    pub(crate) fn of_agent(
        &self,
        agent: &AgentId,
        key: &impl PublicKeyData,
        now: u64,
        good_for: Duration,
    ) -> Result<String, AuthorityError> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, agent.as_str());
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        lasting(&mut params, now, CLOCKS, good_for);
        Ok(params.signed_by(key, &self.issuer)?.pem())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_made_once_and_its_key_is_the_floors_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let first = Authority::open(dir.path(), "Hall", 1).expect("made");
        let again = Authority::open(dir.path(), "Hall", 2).expect("read");
        assert_eq!(first.certificate(), again.certificate());
        let key = dir.path().join("keys/ca.key");
        assert_eq!(fs::metadata(&key).expect("a key").permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("opened");
        assert!(matches!(Authority::open(dir.path(), "Hall", 3), Err(AuthorityError::Open { mode: 0o644, .. })));
        fs::remove_file(&key).expect("lost");
        assert!(
            Authority::open(dir.path(), "Hall", 3).is_err(),
            "a lost key is not made anew under an old certificate"
        );
    }

    #[test]
    fn a_floors_certificate_is_for_names_and_addresses() {
        let dir = tempfile::tempdir().expect("a folder");
        let authority = Authority::open(dir.path(), "Hall", 1).expect("made");
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert!(authority.of_floor(&names(&["floor.example", "10.0.0.1", "::1"]), 1).is_ok());
        assert!(matches!(authority.of_floor(&names(&["日本"]), 1), Err(AuthorityError::Name(_))));
    }
}
