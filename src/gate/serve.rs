//! Putting a floor together: its folder, its rules, its address.

use std::future::{Future as _, poll_fn};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::http::StatusCode;
use kiln_floor::{Input, PartsRule, Policy, Rights};
use kiln_report::Language;
use kiln_wire::{Generation, RunId};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use super::api::{self, ApiError, failure};
use super::authority::{self, AGENT_FOR, Authority};
use super::board::{self, Shown};
use super::copies::Copies;
use super::desk::{Desk, micros};
use super::enrol::{Caller, Waiting};
use super::intake::{Intake, ShortReads};
use super::lists;
use super::mes;
use super::outlet::{Outlet, SharedStanding};
use super::outlets::{Opened, OutletSettings};
use super::pages;
use super::people::{People, PeopleError};
use super::power_cycles;
use super::programs::{self, Given, ProgramsError};
use super::random;
use super::rules::{RulesError, Source, rules};
use super::session::Sessions;
use super::store::{Database, StoreError};
use super::tls::{self, Peer, TlsError, TlsListener};
use super::visitor;
use super::ways::WayError;

/// How much disk work goes on at once: after an outage a thousand agents offer bytes together.
const DISK_TURNS: usize = 32;

/// How often the list of people is looked at.
const LIST_EVERY: Duration = Duration::from_secs(1);

/// How many pages may listen at once: every screen and tablet of a hall, several times over.
pub(crate) const STREAMS: usize = 256;

/// What a floor is started with.
#[derive(Debug, Clone)]
pub struct ServeSettings {
    pub data: PathBuf,
    /// Where its events are.
    pub database: Database,
    pub listen: SocketAddr,
    pub rules: Source,
    pub language: Language,
    pub outlets: OutletSettings,
    /// The folder with the program that the rules want agents to be.
    pub programs: Option<PathBuf>,
    /// The folder into which parts lists of units are dropped.
    pub parts: Option<PathBuf>,
    /// TLS, with certificates for agents and people who log in. None is for loopback only.
    pub tls: Option<TlsSettings>,
}

/// How a floor is reached over TLS.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// Names and addresses that agents and browsers call it by, beside its own and loopback.
    pub names: Vec<String>,
    /// How long an agent's certificate holds; 72 h unless said otherwise.
    pub agents_for: Option<Duration>,
}

/// What a floor has that knows who asks.
#[derive(Debug)]
pub(crate) struct Secure {
    pub(crate) authority: Authority,
    pub(crate) agents_for: Duration,
    pub(crate) names: Vec<String>,
    pub(crate) waiting: Waiting,
    pub(crate) people: People,
    pub(crate) sessions: Sessions,
    pub(crate) metrics_token: String,
}

impl Secure {
    fn open(data: &Path, floor: &str, listen: SocketAddr, tls: &TlsSettings) -> Result<Self, ServeError> {
        let people = People::open(data)?;
        if !people.all()?.iter().any(|person| person.role == Rights::Admin) {
            return Err(ServeError::NoAdmin(data.to_owned()));
        }
        let authority = Authority::open(data, floor, micros()).map_err(TlsError::from)?;
        authority::floor_key(data).map_err(TlsError::from)?;
        let mut names = tls.names.clone();
        names.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
        if !listen.ip().is_unspecified() {
            names.push(listen.ip().to_string());
        }
        Ok(Self {
            authority,
            agents_for: tls.agents_for.unwrap_or(AGENT_FOR),
            names,
            waiting: Waiting::default(),
            people,
            sessions: Sessions::default(),
            metrics_token: metrics_token(data)?,
        })
    }
}

/// What a monitoring system shows to read `/metrics`, made the first time.
fn metrics_token(data: &Path) -> Result<String, ServeError> {
    let path = authority::folder(data).map_err(TlsError::from)?.join("metrics.token");
    let io = |source| ServeError::Io { doing: path.display().to_string(), source };
    if !path.exists() {
        authority::write_secret(&path, &random::secret().map_err(io)?).map_err(io)?;
    }
    Ok(authority::read_secret(&path).map_err(TlsError::from)?.trim().to_owned())
}

/// Why a floor does not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(
        "{0} is not a loopback address, and without TLS neither agents nor people are authenticated; add --tls, or use \
         --listen 127.0.0.1:0"
    )]
    NotLoopback(SocketAddr),
    #[error(
        "nobody could log in: with --tls a floor needs at least one person with the role admin; \
         kiln-floor person add --data {} --name NAME --badge BADGE --role admin", .0.display()
    )]
    NoAdmin(PathBuf),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    People(#[from] PeopleError),
    #[error(transparent)]
    Way(#[from] WayError),
    #[error(transparent)]
    Rules(#[from] RulesError),
    #[error(transparent)]
    Programs(#[from] ProgramsError),
    #[error(
        "the floor's file says `parts: required`, and nobody says which parts a unit has; give the folder with their lists by --parts \
         DIR, or a manufacturing system that answers with them by --mes"
    )]
    NoLists,
    #[error(
        "the floor has parts lists to hold units against, and no profile of its route compares an inventory (no step uses \
         `inventory.match`); add one that does, or leave --parts out"
    )]
    NothingCompares,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{doing}: {source}")]
    Io { doing: String, source: std::io::Error },
    #[error("the floor cannot go on with its events, and ends: {0}")]
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
    /// None where no TLS is spoken.
    pub(crate) secure: Option<Secure>,
    pub(crate) outlets: Vec<SharedStanding>,
    /// The program that agents are given.
    pub(crate) program: Option<Given>,
    pub(crate) intake: Intake,
    disk: Semaphore,
}

impl Site {
    /// Waits for a turn at the disk.
    pub(crate) async fn turn(&self) -> Result<SemaphorePermit<'_>, ApiError> {
        let closed = |_| ApiError(failure(StatusCode::SERVICE_UNAVAILABLE, "the floor has stopped"));
        self.disk.acquire().await.map_err(closed)
    }

    /// Refuses bytes of a run under another generation than it was assigned with, and from another agent. A run that was assigned by an earlier
    /// floor is kept, and decides nothing.
    pub(crate) async fn belongs(
        &self,
        run: &RunId,
        generation: Option<Generation>,
        caller: Option<&Caller>,
    ) -> Result<(), ApiError> {
        let of = run.clone();
        let assigned = self
            .desk
            .look(move |floor, _| floor.state().runs.get(&of).map(|run| (run.generation, run.agent.clone())))
            .await?;
        let Some((assigned, agent)) = assigned else { return Ok(()) };
        if let Some(Caller(caller)) = caller.filter(|Caller(caller)| *caller != agent) {
            let why = format!("run {run} is agent {agent}'s, and the certificate is of agent {caller}");
            return Err(ApiError(failure(StatusCode::FORBIDDEN, why)));
        }
        match generation.filter(|generation| *generation != assigned) {
            Some(other) => {
                let why = format!("run {run} was assigned as generation {}, not {}", assigned.0, other.0);
                Err(ApiError(failure(StatusCode::CONFLICT, why)))
            }
            None => Ok(()),
        }
    }
}

/// Notes what changes in the list of people, as long as the floor is served. A list that cannot be read lets nobody in, and
/// is told where somebody tries.
async fn keep_listing(site: Arc<Site>) {
    let Some(secure) = &site.secure else { return };
    let mut before = None;
    loop {
        if let Ok(people) = secure.people.listed()
            && before.as_ref() != Some(&people)
            && site.desk.tell(Input::People(people.clone())).await.is_ok()
        {
            before = Some(people);
        }
        tokio::time::sleep(LIST_EVERY).await;
    }
}

/// Does what waits for a disk or another machine where that keeps nobody else waiting.
async fn waited<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ServeError> + Send + 'static,
) -> Result<T, ServeError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(ServeError::Ended))
}

/// The folder with parts lists, if the rules can do with it or without.
fn parts_folder(parts: Option<PathBuf>, policy: &Policy) -> Result<Option<lists::Folder>, ServeError> {
    let required = policy.parts == PartsRule::Required;
    if required && parts.is_none() && !policy.route_check {
        return Err(ServeError::NoLists);
    }
    if (required || parts.is_some()) && !policy.route.iter().any(|stop| stop.compares_parts) {
        return Err(ServeError::NothingCompares);
    }
    let Some(dir) = parts else { return Ok(None) };
    let io = |source| ServeError::Io { doing: dir.display().to_string(), source };
    std::fs::create_dir_all(&dir).map_err(io)?;
    Ok(Some(lists::Folder::of(dir)))
}

/// Serves until the process ends. `listening` is told the address.
pub async fn serve(settings: ServeSettings, listening: impl FnOnce(SocketAddr)) -> Result<(), ServeError> {
    if settings.tls.is_none() && !settings.listen.ip().is_loopback() {
        return Err(ServeError::NotLoopback(settings.listen));
    }
    let mut policy = rules(&settings.rules)?;
    let folder = settings.programs;
    let program = policy.upgrade.as_mut().map(|rules| programs::find(rules, folder.as_deref())).transpose()?;
    let (database, folder) = (settings.database, settings.data.clone());
    let store = waited(move || Ok(database.open(&folder)?)).await?;
    let io = |doing: String| move |source| ServeError::Io { doing, source };
    let copies = Copies::open(&settings.data).map_err(io(format!("{}", settings.data.display())))?;
    let Opened { outlets, mes } = settings.outlets.open(&policy.name, &settings.data)?;
    policy.route_check = mes.is_some();
    let ordered = parts_folder(settings.parts, &policy)?;
    let standings = outlets.iter().map(Outlet::standing).chain(ordered.as_ref().map(lists::Folder::standing)).collect();
    let secure = settings.tls.as_ref();
    let secure = secure.map(|tls| Secure::open(&settings.data, &policy.name, settings.listen, tls)).transpose()?;
    let (desk, ended) = waited(move || Ok(Desk::open(policy, store, outlets)?)).await?;
    let (tell, board) = watch::channel(Shown::default());
    let (language, disk, streams) = (settings.language, Semaphore::new(DISK_TURNS), Arc::new(Semaphore::new(STREAMS)));
    let (outlets, intake) = (standings, Intake::default());
    let site = Arc::new(Site { desk, copies, language, board, streams, secure, outlets, program, intake, disk });
    // Before the first agent calls.
    let ordered = if let Some(folder) = ordered { folder.round(&site).await } else { None };
    if let Some(folder) = ordered {
        tokio::spawn(lists::keep_reading(Arc::clone(&site), folder));
    }
    power_cycles::left_open(&site).await;
    tokio::spawn(power_cycles::keep_cycling(Arc::clone(&site)));
    tokio::spawn(board::keep(Arc::clone(&site), tell));
    if let Some(mes) = mes {
        tokio::spawn(mes::keep_asking(Arc::clone(&site), mes));
    }
    tokio::spawn(keep_listing(Arc::clone(&site)));
    let routes = api::routes()
        .merge(pages::routes())
        .fallback(|| async { failure(StatusCode::NOT_FOUND, "there is nothing at this address") })
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&site), visitor::guard))
        .with_state(Arc::clone(&site));
    let listen = settings.listen;
    let listener = tokio::net::TcpListener::bind(listen).await.map_err(io(format!("cannot listen on {listen}")))?;
    let config =
        site.secure.as_ref().map(|secure| tls::config(&secure.authority, &secure.names, micros())).transpose()?;
    listening(listener.local_addr().map_err(io("the address".to_owned()))?);
    let mut serving = pin!(async move {
        match config {
            None => axum::serve(ShortReads(listener), routes).await,
            Some(config) => {
                let listener = ShortReads(TlsListener::of(listener, config));
                axum::serve(listener, routes.into_make_service_with_connect_info::<Peer>()).await
            }
        }
    });
    let mut ended = pin!(ended);
    // Without its desk a floor could only refuse, and whoever starts it again would not know.
    poll_fn(|context| match ended.as_mut().poll(context) {
        Poll::Ready(Ok(error)) => Poll::Ready(Err(ServeError::Unreadable(error))),
        Poll::Ready(Err(_)) => Poll::Ready(Err(ServeError::Ended)),
        Poll::Pending => serving.as_mut().poll(context).map_err(io("serving".to_owned())),
    })
    .await
}
