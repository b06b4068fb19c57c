//! Putting a floor together: its folder, its rules, its address.

use std::future::{Future as _, IntoFuture as _, poll_fn};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use axum::http::StatusCode;
use kiln_report::Language;
use kiln_wire::{Generation, RunId};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use super::api::{self, ApiError, failure};
use super::board::{self, Shown};
use super::copies::Copies;
use super::desk::Desk;
use super::outlet::Outlet;
use super::pages;
use super::rules::{RulesError, Source, rules};
use super::store::{Store, StoreError};
use super::visitor;

/// How much disk work goes on at once: after an outage a thousand agents offer bytes together.
const DISK_TURNS: usize = 32;

/// How many pages may listen at once: every screen and tablet of a hall, several times over.
pub(crate) const STREAMS: usize = 256;

/// What a floor is started with.
#[derive(Debug, Clone)]
pub struct ServeSettings {
    pub data: PathBuf,
    pub listen: SocketAddr,
    pub rules: Source,
    pub language: Language,
    /// Where a file is dropped for every disposition.
    pub drop: Option<PathBuf>,
}

/// Why a floor does not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(
        "{0} is not a loopback address. TLS and the agents' certificates are not there yet, so a floor listens on this \
         machine only; use --listen 127.0.0.1:0"
    )]
    NotLoopback(SocketAddr),
    #[error(transparent)]
    Rules(#[from] RulesError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{doing}: {source}")]
    Io { doing: String, source: std::io::Error },
    #[error("the floor can neither keep what it decides nor read back what it kept, and ends: {0}")]
    Unreadable(StoreError),
    #[error("the floor's own thread ended without a word, so nothing can be decided any more; start the floor again")]
    Ended,
}

/// Everything that answers share.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) desk: Desk,
    pub(crate) copies: Copies,
    pub(crate) language: Language,
    pub(crate) board: watch::Receiver<Shown>,
    /// Places for pages that listen.
    pub(crate) streams: Arc<Semaphore>,
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
        let assigned = self.desk.look(move |floor, _| floor.state().runs.get(&of).map(|run| run.generation)).await?;
        match assigned {
            Some(assigned) if assigned != generation => {
                let why = format!("run {run} was assigned as generation {}, not {}", assigned.0, generation.0);
                Err(ApiError(failure(StatusCode::CONFLICT, why)))
            }
            _ => Ok(()),
        }
    }
}

/// Serves until the process ends. `listening` is told the address.
pub async fn serve(settings: ServeSettings, listening: impl FnOnce(SocketAddr)) -> Result<(), ServeError> {
    if !settings.listen.ip().is_loopback() {
        return Err(ServeError::NotLoopback(settings.listen));
    }
    let policy = rules(&settings.rules)?;
    let store = Store::open(&settings.data)?;
    let io = |doing: String| move |source| ServeError::Io { doing, source };
    let copies = Copies::open(&settings.data).map_err(io(format!("{}", settings.data.display())))?;
    let outlet =
        settings.drop.as_deref().map(|folder| Outlet::open(&policy.name, &settings.data, folder)).transpose()?;
    let (desk, ended) = Desk::open(policy, store, outlet)?;
    let (tell, board) = watch::channel(Shown::default());
    let (language, disk, streams) = (settings.language, Semaphore::new(DISK_TURNS), Arc::new(Semaphore::new(STREAMS)));
    let site = Arc::new(Site { desk, copies, language, board, streams, disk });
    tokio::spawn(board::keep(Arc::clone(&site), tell));
    let routes = api::routes()
        .merge(pages::routes())
        .fallback(|| async { failure(StatusCode::NOT_FOUND, "there is nothing at this address") })
        .layer(axum::middleware::from_fn(visitor::guard))
        .with_state(site);
    let listen = settings.listen;
    let listener = tokio::net::TcpListener::bind(listen).await.map_err(io(format!("cannot listen on {listen}")))?;
    listening(listener.local_addr().map_err(io("the address".to_owned()))?);
    let mut serving = pin!(axum::serve(listener, routes).into_future());
    let mut ended = pin!(ended);
    // Without its desk a floor could only refuse, and whoever starts it again would not know.
    poll_fn(|context| match ended.as_mut().poll(context) {
        Poll::Ready(Ok(error)) => Poll::Ready(Err(ServeError::Unreadable(error))),
        Poll::Ready(Err(_)) => Poll::Ready(Err(ServeError::Ended)),
        Poll::Pending => serving.as_mut().poll(context).map_err(io("serving".to_owned())),
    })
    .await
}
