//! Putting a floor together: its folder, its rules, its address.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::http::StatusCode;
use kiln_floor::{Policy, Stop};
use kiln_profile::{Request, Skus, builtin, resolve};
use kiln_report::Language;
use kiln_wire::{Generation, RunId};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::api::{self, ApiError, failure};
use super::copies::Copies;
use super::desk::Desk;
use super::pages;
use super::store::{Store, StoreError};
use super::visitor;

/// How much disk work goes on at once: after an outage a thousand agents offer bytes together.
const DISK_TURNS: usize = 32;

/// What a floor is started with.
#[derive(Debug, Clone)]
pub struct ServeSettings {
    pub data: PathBuf,
    pub listen: SocketAddr,
    pub profile: String,
    pub language: Language,
}

/// Why a floor does not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(
        "{0} is not a loopback address. TLS and the agents' certificates are not there yet, so a floor listens on this \
         machine only; use --listen 127.0.0.1:0"
    )]
    NotLoopback(SocketAddr),
    #[error("there is no shipped profile `{name}`; shipped are {known}")]
    Profile { name: String, known: String },
    #[error("the profile `{0}` does not resolve; run `kiln profile check {0}`")]
    Unresolved(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{doing}: {source}")]
    Io { doing: String, source: std::io::Error },
}

/// Everything that answers share.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) desk: Desk,
    pub(crate) copies: Copies,
    pub(crate) language: Language,
    disk: Semaphore,
}

impl Site {
    /// Waits for a turn at the disk.
    pub(crate) async fn turn(&self) -> Result<SemaphorePermit<'_>, ApiError> {
        let closed = |_| ApiError(failure(StatusCode::SERVICE_UNAVAILABLE, "the floor has stopped"));
        self.disk.acquire().await.map_err(closed)
    }

    /// Refuses bytes of a run under another generation than it was assigned with. A run that was assigned by an earlier
    /// floor is kept, and decides nothing.
    pub(crate) async fn belongs(&self, run: &RunId, generation: Generation) -> Result<(), ApiError> {
        let of = run.clone();
        let assigned =
            self.desk.look(move |state, _| state.runs.get(&of).map(|(_, generation, _)| *generation)).await?;
        match assigned {
            Some(assigned) if assigned != generation => {
                let why = format!("run {run} was assigned as generation {}, not {}", assigned.0, generation.0);
                Err(ApiError(failure(StatusCode::CONFLICT, why)))
            }
            _ => Ok(()),
        }
    }
}

/// The rules of a floor with one profile, which agents must have to the byte.
fn policy(name: &str) -> Result<Policy, ServeError> {
    let known = || builtin::profile_names().collect::<Vec<_>>().join(", ");
    let text = builtin::profile(name).ok_or_else(|| ServeError::Profile { name: name.to_owned(), known: known() })?;
    let unresolved = || ServeError::Unresolved(name.to_owned());
    let skus = Skus::built_in().map_err(|_| unresolved())?;
    let file = format!("built-in:{name}.yaml");
    let read = |path: &str| Err(format!("{path} is not shipped"));
    let request = Request {
        name: &file,
        bytes: text.as_bytes(),
        catalogue: kiln_check::catalogue(),
        skus: &skus,
        set: &[],
        only: None,
        read: &read,
    };
    let digest = resolve(&request).map_err(|_| unresolved())?.digest();
    let stop = Stop { profile: name.to_owned(), digest: digest.parse().ok(), variables: BTreeMap::new() };
    Ok(Policy { route: vec![stop], ..Policy::one_profile(name) })
}

/// Serves until the process ends. `listening` is told the address.
pub async fn serve(settings: ServeSettings, listening: impl FnOnce(SocketAddr)) -> Result<(), ServeError> {
    if !settings.listen.ip().is_loopback() {
        return Err(ServeError::NotLoopback(settings.listen));
    }
    let policy = policy(&settings.profile)?;
    let store = Store::open(&settings.data)?;
    let io = |doing: String| move |source| ServeError::Io { doing, source };
    let copies = Copies::open(&settings.data).map_err(io(format!("{}", settings.data.display())))?;
    let desk = Desk::open(policy, store)?;
    let site = Arc::new(Site { desk, copies, language: settings.language, disk: Semaphore::new(DISK_TURNS) });
    let routes = api::routes()
        .merge(pages::routes())
        .fallback(|| async { failure(StatusCode::NOT_FOUND, "there is nothing at this address") })
        .layer(axum::middleware::from_fn(visitor::guard))
        .with_state(site);
    let listen = settings.listen;
    let listener = tokio::net::TcpListener::bind(listen).await.map_err(io(format!("cannot listen on {listen}")))?;
    listening(listener.local_addr().map_err(io("the address".to_owned()))?);
    axum::serve(listener, routes).await.map_err(io("serving".to_owned()))
}
