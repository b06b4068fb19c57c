//! The one stream of events that every open page listens to.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_core::Stream;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::api::failure;
use super::board::Board;
use super::pages::Asked;
use super::serve::Site;

/// A page that hears nothing for 3.5 s says that it may be old: so something is said more often than that.
const BEAT: Duration = Duration::from_millis(1500);

/// What a page listens to.
#[derive(Debug, Deserialize)]
pub(crate) struct Listening {
    /// The page shows tiles.
    #[serde(default)]
    tiles: u8,
}

struct Told(mpsc::Receiver<Event>);

impl Stream for Told {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|event| event.map(Ok))
    }
}

pub(crate) async fn events(
    State(site): State<Arc<Site>>,
    Query(asked): Query<Asked>,
    Query(listening): Query<Listening>,
) -> Response {
    let Ok(permit) = Arc::clone(&site.streams).try_acquire_owned() else {
        return failure(StatusCode::SERVICE_UNAVAILABLE, "so many pages listen already that no more can")
            .into_response();
    };
    let (language, tiles) = (asked.language(&site), listening.tiles > 0);
    let mut board = site.board.clone();
    // A page that does not read waits here; it does not pile up what it has not read.
    let (tell, told) = mpsc::channel(1);
    tokio::spawn(async move {
        let _permit = permit;
        let mut before: Option<Arc<Board>> = None;
        loop {
            let now = Arc::clone(&board.borrow_and_update());
            let data = now.since(before.as_deref(), language, tiles);
            before = Some(now);
            // A page that was closed is no reason for anything.
            if tell.send(Event::default().data(data)).await.is_err() {
                return;
            }
            if let Ok(Err(_)) = tokio::time::timeout(BEAT, board.changed()).await {
                return;
            }
        }
    });
    let mut response = Sse::new(Told(told)).into_response();
    response.headers_mut().insert("x-accel-buffering", axum::http::HeaderValue::from_static("no"));
    response
}
