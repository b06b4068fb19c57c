//! What agents call. Every answer is JSON; what is refused says why.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Extension, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{patch, post};
use kiln_floor::{Input, Refusal};
use kiln_wire::{
    Appended, Chain, Failure, Generation, HandOver, Position, Received, RunId, Sealed, Sync, SyncReply, Tip, WIRE,
};
use serde::Deserialize;

use super::copies::CopyError;
use super::desk::DeskError;
use super::enrol::{self, Caller};
use super::lists;
use super::programs;
use super::proof::{self, ProofError};
use super::seals;
use super::serve::Site;

/// A line of the greatest length, with its end.
const BODY_MOST: usize = Tip::LONGEST_LINE + 1;

/// An answer that says why there is none.
pub(crate) type Refused = (StatusCode, Json<Failure>);

pub(crate) fn failure(status: StatusCode, why: impl std::fmt::Display) -> Refused {
    (status, Json(Failure { wire: WIRE, why: format!("{why}") }))
}

impl From<DeskError> for ApiError {
    fn from(error: DeskError) -> Self {
        let status = match &error {
            DeskError::Refused(Refusal::Version(_)) => StatusCode::BAD_REQUEST,
            DeskError::Refused(Refusal::UnknownUnit(_) | Refusal::UnknownAgent(_) | Refusal::UnknownRun(_)) => {
                StatusCode::NOT_FOUND
            }
            DeskError::Refused(Refusal::Identity(_)) => StatusCode::FORBIDDEN,
            DeskError::Refused(_) => StatusCode::CONFLICT,
            DeskError::Unkept(_) => StatusCode::INSUFFICIENT_STORAGE,
            DeskError::Away(_) | DeskError::Stopped => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(failure(status, error))
    }
}

impl From<CopyError> for ApiError {
    fn from(error: CopyError) -> Self {
        let status = match &error {
            // Never to be taken, however often it is offered.
            CopyError::Lines(_) => StatusCode::UNPROCESSABLE_ENTITY,
            CopyError::TooMuch(_) => StatusCode::PAYLOAD_TOO_LARGE,
            CopyError::Io(_) => StatusCode::INSUFFICIENT_STORAGE,
        };
        Self(failure(status, error))
    }
}

impl From<std::io::Error> for ApiError {
    fn from(error: std::io::Error) -> Self {
        CopyError::from(error).into()
    }
}

/// A refusal as it is answered.
#[derive(Debug)]
pub(crate) struct ApiError(pub(crate) Refused);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

type Answer<T> = Result<Json<T>, ApiError>;

pub(crate) fn routes() -> axum::Router<Arc<Site>> {
    axum::Router::new()
        .route("/v1/sync", post(sync))
        .route("/v1/runs/{run}/journal", patch(journal))
        .route("/v1/runs/{run}/telemetry", patch(telemetry))
        .route("/v1/runs/{run}/sealed", post(sealed))
        .merge(enrol::routes())
        .merge(lists::routes())
        .merge(programs::routes())
        .layer(DefaultBodyLimit::max(BODY_MOST))
}

pub(crate) fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(bytes).map_err(|error| ApiError(failure(StatusCode::BAD_REQUEST, error)))
}

fn run_id(run: &str) -> Result<RunId, ApiError> {
    run.parse().map_err(|error| ApiError(failure(StatusCode::BAD_REQUEST, error)))
}

/// Disk work, off the threads that answer.
pub(crate) async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| ApiError(failure(StatusCode::INTERNAL_SERVER_ERROR, error)))
}

async fn sync(State(site): State<Arc<Site>>, caller: Option<Extension<Caller>>, body: Bytes) -> Answer<SyncReply> {
    let sync: Sync = read(&body)?;
    if let Some(Extension(Caller(agent))) = caller
        && agent != sync.agent
    {
        let why = format!("the certificate is of agent {agent}, and the call says it is {}", sync.agent);
        return Err(ApiError(failure(StatusCode::FORBIDDEN, why)));
    }
    let runs: Vec<RunId> = sync.spool.iter().map(|spooled| spooled.run.clone()).collect();
    let answer = site.desk.tell(Input::Synced(sync)).await?;
    let missing = || ApiError(failure(StatusCode::INTERNAL_SERVER_ERROR, "a call was not answered"));
    let mut reply = answer.reply.ok_or_else(missing)?;
    reply.received = received(&site, runs).await?;
    Ok(Json(reply))
}

async fn received(site: &Arc<Site>, runs: Vec<RunId>) -> Result<Vec<Received>, ApiError> {
    if let Some(known) = site.copies.known(&runs) {
        return Ok(known);
    }
    let site = Arc::clone(site);
    let all = on_disk(move || runs.iter().filter_map(|run| site.copies.received(run).transpose()).collect()).await?;
    let all: std::io::Result<Vec<Received>> = all;
    Ok(all?)
}

#[derive(Debug, Deserialize)]
struct Where {
    at: u64,
    chain: Chain,
    #[serde(rename = "gen")]
    generation: Generation,
}

async fn journal(
    State(site): State<Arc<Site>>,
    Path(run): Path<String>,
    Query(from): Query<Where>,
    caller: Option<Extension<Caller>>,
    request: Request,
) -> Answer<Appended> {
    let run = run_id(&run)?;
    site.belongs(&run, Some(from.generation), caller.as_deref()).await?;
    let at = Position { offset: from.at, chain: from.chain };
    let (_piece, lines) = site.intake.take(request).await?;
    let _turn = site.turn().await?;
    let place = Arc::clone(&site);
    let appended = on_disk(move || place.copies.append(&run, at, &lines)).await??;
    Ok(Json(appended))
}

#[derive(Debug, Deserialize)]
struct At {
    at: u64,
}

async fn telemetry(
    State(site): State<Arc<Site>>,
    Path(run): Path<String>,
    Query(At { at }): Query<At>,
    caller: Option<Extension<Caller>>,
    request: Request,
) -> Answer<u64> {
    let run = run_id(&run)?;
    site.belongs(&run, None, caller.as_deref()).await?;
    let (_piece, frames) = site.intake.take(request).await?;
    let _turn = site.turn().await?;
    let place = Arc::clone(&site);
    Ok(Json(on_disk(move || place.copies.append_telemetry(&run, at, &frames)).await??))
}

/// The agent says that the floor has all of a run: the floor looks for itself.
async fn sealed(
    State(site): State<Arc<Site>>,
    Path(run): Path<String>,
    caller: Option<Extension<Caller>>,
    body: Bytes,
) -> Answer<Sealed> {
    let run = run_id(&run)?;
    let spooled: HandOver = read(&body)?;
    site.belongs(&run, None, caller.as_deref()).await?;
    let one = vec![run.clone()];
    let nothing = || Received { run: run.clone(), journal: Position::default(), telemetry: 0, sealed: false };
    let here = received(&site, one).await?.pop().unwrap_or_else(nothing);
    if here.journal != spooled.journal || here.telemetry != spooled.telemetry {
        return Ok(Json(Sealed::Incomplete(here)));
    }
    let turn = site.turn().await?;
    let signed = match caller.as_deref() {
        Some(Caller(agent)) => Some((seals::key_of(&site, agent).await?, spooled.seal)),
        None => None,
    };
    let (place, of) = (Arc::clone(&site), run.clone());
    let found = on_disk(move || {
        let folder = place.copies.path(&of);
        let facts = proof::facts(&folder, &of)?;
        signed.map_or(Ok(()), |(key, seal)| seals::take(&folder, &key, seal.as_deref()))?;
        Ok::<_, ProofError>(facts)
    });
    let found = found.await?;
    drop(turn);
    match found {
        Ok(facts) => {
            match site.desk.tell(Input::Arrived(facts)).await {
                // A run that was assigned by a floor before this one, or elsewhere: kept, and decides nothing.
                Ok(_) | Err(DeskError::Refused(Refusal::UnknownRun(_))) => {}
                Err(error) => return Err(error.into()),
            }
            on_disk(move || site.copies.seal(&run, here.journal)).await??;
            Ok(Json(Sealed::Verified))
        }
        Err(error @ (ProofError::Unreadable(_) | ProofError::SealUnkept(_))) => {
            Err(ApiError(failure(StatusCode::INSUFFICIENT_STORAGE, error)))
        }
        Err(_) => match site.desk.tell(Input::Unverified(run)).await {
            Ok(_) | Err(DeskError::Refused(Refusal::UnknownRun(_))) => Ok(Json(Sealed::Refused)),
            Err(error) => Err(error.into()),
        },
    }
}
