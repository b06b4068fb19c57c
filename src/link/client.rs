//! Calls to the floor over plain HTTP, which is for loopback only.

use std::io::Read as _;
use std::net::IpAddr;
use std::time::Duration;

use kiln_wire::{Appended, Failure, Generation, Position, RunId, Sealed, Spooled, Sync, SyncReply};
use serde::de::DeserializeOwned;

/// How long a call may take. A floor that needs longer for 256 KiB is one to come back to later.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is read: a reply names each run in the spool, some 300 bytes each.
const ANSWER_MOST: u64 = 4 << 20;

/// Why an address is no floor's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FloorUrlError {
    #[error("`{0}` is no address of a floor; expected the form http://127.0.0.1:8080")]
    Form(String),
    #[error(
        "`{0}` is not on this machine. Calls are not encrypted and nobody is authenticated yet, so a floor is reached on \
         loopback only; use a tunnel, such as `ssh -L`"
    )]
    NotLoopback(String),
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
}

impl CallError {
    /// Whether the floor will never take these bytes, however often they are offered.
    pub(super) const fn is_final(&self) -> bool {
        matches!(self, Self::Refused { status: 422, .. })
    }
}

/// A floor, by its address.
#[derive(Debug, Clone)]
pub struct Client {
    base: String,
    agent: ureq::Agent,
}

impl Client {
    /// A client of the floor at an address such as `http://127.0.0.1:8080`.
    pub fn of(url: &str) -> Result<Self, FloorUrlError> {
        let form = || FloorUrlError::Form(url.to_owned());
        let base = url.trim_end_matches('/');
        let authority = base.strip_prefix("http://").ok_or_else(form)?;
        let (host, port) = authority.rsplit_once(':').ok_or_else(form)?;
        port.parse::<u16>().map_err(|_| form())?;
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        if host != "localhost" && !address.map_err(|_| form())?.is_loopback() {
            return Err(FloorUrlError::NotLoopback(url.to_owned()));
        }
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .build();
        Ok(Self { base: base.to_owned(), agent: config.into() })
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

    pub(super) fn sealed(&self, spooled: &Spooled) -> Result<Sealed, CallError> {
        self.post(&format!("/v1/runs/{}/sealed", spooled.run), spooled)
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

/// Leaves a failed call in the log; what follows from it is the caller's to decide.
fn told<T>(path: &str, answer: Result<T, CallError>) -> Result<T, CallError> {
    match &answer {
        Ok(_) => tracing::trace!(path, "called the floor"),
        Err(error) => tracing::warn!(path, %error, "a call of the floor failed"),
    }
    answer
}

type Answer = Result<ureq::http::Response<ureq::Body>, ureq::Error>;

fn read<T: DeserializeOwned>(answer: Answer) -> Result<T, CallError> {
    let mut answer = answer.map_err(|error| CallError::Silent(error.to_string()))?;
    let status = answer.status().as_u16();
    let mut bytes = Vec::new();
    let read = answer.body_mut().as_reader().take(ANSWER_MOST).read_to_end(&mut bytes);
    read.map_err(|error| CallError::Silent(error.to_string()))?;
    if status != 200 {
        let failure = serde_json::from_slice::<Failure>(&bytes);
        let why = failure.map_or_else(|_| "without a reason".to_owned(), |failure| failure.why);
        return Err(CallError::Refused { status, why });
    }
    serde_json::from_slice(&bytes).map_err(|error| CallError::Unreadable(error.to_string()))
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
        for url in ["", "floor", "https://127.0.0.1:1", "http://127.0.0.1", "http://127.0.0.1.example.com:80"] {
            assert_eq!(Client::of(url).err(), Some(FloorUrlError::Form(url.to_owned())), "{url}");
        }
    }
}
