//! The DSSE envelope: a payload with its type, and signatures over both (<https://github.com/secure-systems-lab/dsse>,
//! protocol version 1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::error::SealError;
use super::key::{PublicKey, SecretKey};

/// Of in-toto statements in JSON.
pub(super) const STATEMENT: &str = "application/vnd.in-toto+json";

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope {
    payload_type: String,
    payload: String,
    signatures: Vec<Signed>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Signed {
    keyid: String,
    sig: String,
}

/// What is signed: the type cannot be taken for a part of the payload, or the other way round.
fn signed_bytes(kind: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

impl Envelope {
    pub(super) fn close(kind: &str, payload: &[u8], key: &SecretKey) -> Self {
        let sig = STANDARD.encode(key.sign(&signed_bytes(kind, payload)));
        Self {
            payload_type: kind.to_owned(),
            payload: STANDARD.encode(payload),
            signatures: vec![Signed { keyid: key.public().id(), sig }],
        }
    }

    /// The payload, whoever signed it: nothing it says is to be trusted.
    pub(super) fn payload(&self, kind: &str) -> Result<Vec<u8>, String> {
        if self.payload_type != kind {
            return Err(format!("its payload is `{}`, not `{kind}`", self.payload_type));
        }
        STANDARD.decode(&self.payload).map_err(|error| format!("its payload is no base64: {error}"))
    }

    /// Whether a signature of `key` holds. The key's name in the envelope is a hint for the message alone.
    pub(super) fn check(&self, payload: &[u8], key: &PublicKey) -> Result<(), SealError> {
        let message = signed_bytes(&self.payload_type, payload);
        let holds = |signed: &Signed| STANDARD.decode(&signed.sig).is_ok_and(|sig| key.holds(&message, &sig));
        if self.signatures.iter().any(holds) {
            return Ok(());
        }
        let wanted = key.id();
        match self.signatures.iter().find(|signed| signed.keyid != wanted) {
            Some(other) if self.signatures.iter().all(|signed| signed.keyid != wanted) => {
                Err(SealError::OtherKey { found: other.keyid.clone(), wanted })
            }
            _ => Err(SealError::BadSignature),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_as_the_protocol_has_it() {
        // The example of the protocol's text.
        assert_eq!(
            signed_bytes("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }
}
