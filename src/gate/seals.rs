//! The seals that agents make over what they hand over: each is checked against the floor's own copy before it is kept there.

use std::io;
use std::path::Path;
use std::sync::Arc;

use axum::http::StatusCode;
use kiln_disk as disk;
use kiln_seal::{FILE_NAME, PublicKey, SealError};
use kiln_wire::AgentId;

use super::api::{ApiError, failure};
use super::proof::{self, ProofError};
use super::serve::Site;

/// The key that a person approved for an agent.
pub(crate) async fn key_of(site: &Arc<Site>, agent: &AgentId) -> Result<PublicKey, ApiError> {
    let of = agent.clone();
    let pem = site.desk.look(move |floor, _| floor.state().identities.get(&of).map(|known| known.public_key.clone()));
    let key = pem.await?.and_then(|pem| PublicKey::parse(&pem));
    key.ok_or_else(|| ApiError(failure(StatusCode::FORBIDDEN, format!("agent {agent} has no key here"))))
}

/// Puts a seal beside the copy it is over, if it holds there under this key. One that does not hold is taken away again.
pub(crate) fn take(folder: &Path, key: &PublicKey, seal: Option<&str>) -> Result<(), ProofError> {
    let seal = seal.ok_or(ProofError::Unsealed)?;
    let path = folder.join(FILE_NAME);
    disk::replace(&path, seal.as_bytes()).map_err(ProofError::SealUnkept)?;
    let held = holds(folder, key);
    if let Err(ProofError::Seal(_) | ProofError::SealUnkept(_)) = held {
        std::fs::remove_file(&path).or_else(gone_is_gone).map_err(ProofError::SealUnkept)?;
    }
    held
}

/// Whether the seal beside a copy holds over it.
pub(crate) fn holds(folder: &Path, key: &PublicKey) -> Result<(), ProofError> {
    if !folder.join(FILE_NAME).exists() {
        return Err(ProofError::Unsealed);
    }
    let record = || proof::read(folder).map(|(_, run)| run.record);
    match kiln_seal::verify(folder, key, record) {
        Ok(found) => found.map(|_| ()),
        Err(SealError::Io { source, .. }) => Err(ProofError::SealUnkept(source)),
        Err(other) => Err(ProofError::Seal(other)),
    }
}

fn gone_is_gone(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
