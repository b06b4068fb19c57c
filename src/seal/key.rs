//! Keys: an Ed25519 pair as PEM files, which OpenSSL can read too. Only the owner can read the secret key.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _, KeypairBytes,
};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use super::error::{SealError, failed};
use super::pieces::hex;
use kiln_disk::{self as disk, MIB};

/// A signing key. Its bytes are wiped from memory when it is dropped.
#[derive(Debug)]
pub struct SecretKey(SigningKey);

/// A key that checks signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// Read and write for the owner, nothing for anyone else.
const OWNER_ONLY: u32 = 0o600;
/// All rights of anyone but the owner.
const OTHERS: u32 = 0o077;
/// Size limit of a key file. Keys take a few hundred bytes.
const MOST: u64 = MIB;

impl SecretKey {
    /// Generates a pair and writes it: the secret key to `path`, the public key to the same path with `.pub` appended.
    pub fn create(path: &Path) -> Result<(Self, PathBuf), SealError> {
        let mut seed = [0; 32];
        disk::fill_with_randomness(&mut seed).map_err(failed("get randomness for", path))?;
        let key = Self(SigningKey::from_bytes(&seed));
        // The first version of the format, without the public key inside: older OpenSSL reads no other.
        let bytes = KeypairBytes { secret_key: seed, public_key: None };
        let broken = |path: &Path| SealError::NotAKey { path: path.to_owned(), kind: "secret" };
        let secret = bytes.to_pkcs8_pem(LineEnding::LF).map_err(|_| broken(path))?;
        let public_path = with_pub(path);
        let public = key.0.verifying_key().to_public_key_pem(LineEnding::LF).map_err(|_| broken(&public_path))?;
        write_new(path, secret.as_bytes(), OWNER_ONLY)?;
        write_new(&public_path, public.as_bytes(), 0o644)?;
        Ok((key, public_path))
    }

    /// Reads a secret key. Fails if others can read the file, because they could sign in the owner's name.
    pub fn read(path: &Path) -> Result<Self, SealError> {
        let file = disk::open(path).map_err(failed("read", path))?;
        let mode = file.metadata().map_err(failed("read", path))?.permissions().mode() & 0o777;
        if mode & OTHERS != 0 {
            return Err(SealError::OpenKey { path: path.to_owned(), mode });
        }
        let text = text(&file, path)?;
        let key = SigningKey::from_pkcs8_pem(&text);
        key.map(Self).map_err(|_| SealError::NotAKey { path: path.to_owned(), kind: "secret" })
    }

    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// An Ed25519 signature over these bytes, with nothing around it.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).to_bytes().to_vec()
    }
}

impl PublicKey {
    pub fn read(path: &Path) -> Result<Self, SealError> {
        let file = disk::open(path).map_err(failed("read", path))?;
        let text = text(&file, path)?;
        let key = VerifyingKey::from_public_key_pem(&text);
        key.map(Self).map_err(|_| SealError::NotAKey { path: path.to_owned(), kind: "public" })
    }

    /// Reads a key from PEM that did not come from a file of its own.
    pub fn parse(pem: &str) -> Option<Self> {
        VerifyingKey::from_public_key_pem(pem).ok().map(Self)
    }

    /// A key by its 32 bytes, as certificates have it.
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        VerifyingKey::from_bytes(bytes.try_into().ok()?).ok().map(Self)
    }

    pub fn to_pem(&self) -> String {
        self.0.to_public_key_pem(LineEnding::LF).unwrap_or_default()
    }

    /// Returns `sha256:…` of the key's 32 bytes.
    pub fn id(&self) -> String {
        format!("sha256:{}", hex(&Sha256::digest(self.0.as_bytes())))
    }

    /// Checks a signature strictly: of several encodings of one signature only the canonical one is accepted.
    pub fn holds(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| self.0.verify_strict(message, &signature).is_ok())
    }
}

fn text(file: &File, path: &Path) -> Result<String, SealError> {
    let bytes = disk::read_open(file, MOST).map_err(failed("read", path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn with_pub(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), SealError> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = opened.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => SealError::KeyExists { path: path.to_owned() },
        _ => failed("create", path)(source),
    })?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed("write", path))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_pair_is_read_again_and_the_secret_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("station.key");
        let (made, public_path) = SecretKey::create(&path).expect("a pair");
        let secret = SecretKey::read(&path).expect("secret");
        let public = PublicKey::read(&public_path).expect("public");
        assert_eq!(secret.public(), made.public());
        assert!(public.holds(b"text", &secret.sign(b"text")));
        assert!(!public.holds(b"texts", &secret.sign(b"text")));
        assert_eq!(fs::metadata(&path).expect("file").permissions().mode() & 0o777, OWNER_ONLY);
        let again = SecretKey::create(&path).expect_err("never over a key");
        assert!(again.to_string().ends_with("station.key exists; a key is never written over"));
    }

    #[test]
    fn the_files_are_what_openssl_writes() {
        // `openssl pkey -in … -text` reads this: RFC 8410, section 10.3.
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("rfc");
        let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        fs::write(&path, pem).expect("written");
        let open = SecretKey::read(&path).expect_err("others can read it").to_string();
        assert!(open.contains("can be read by others") && open.contains("chmod 600"), "{open}");
        fs::set_permissions(&path, fs::Permissions::from_mode(OWNER_ONLY)).expect("closed");
        let public = SecretKey::read(&path).expect("secret").public();
        let text = public.0.to_public_key_pem(LineEnding::LF).expect("pem");
        assert_eq!(
            text,
            "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"
        );
        assert!(PublicKey::read(&path).is_err(), "a secret key is no public key");
    }
}
