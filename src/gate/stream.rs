//! The one stream of events that every open page listens to.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_core::Stream;
use kiln_report::Language;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::api::failure;
use super::board::{Board, Shown};
use super::desk::now;
use super::pages::Asked;
use super::serve::Site;

/// A page that hears nothing for 3.5 s says that it may be old: so something is said more often than that.
const BEAT: Duration = Duration::from_millis(1500);
/// A board that was looked up longer ago is not told on: a floor that hangs must not look alive. Looks are a second apart at most.
const OLD: Duration = Duration::from_secs(3);

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

/// What a page is told now; nothing while the floor was not seen for long.
fn beat(shown: &Shown, now: Instant, before: Option<&Board>, language: Language, tiles: bool) -> Option<String> {
    let age = now.saturating_duration_since(shown.looked?);
    (age <= OLD).then(|| shown.board.since(before, language, tiles, age))
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
            let shown = board.borrow_and_update().clone();
            if let Some(data) = beat(&shown, now(), before.as_deref(), language, tiles) {
                before = Some(shown.board);
                // A page that was closed is no reason for anything.
                if tell.send(Event::default().data(data)).await.is_err() {
                    return;
                }
            } else if tell.is_closed() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_that_was_not_looked_up_for_three_seconds_is_no_sign_of_life() {
        let looked = now();
        let told = |shown: &Shown, after: u64| {
            let data = beat(shown, looked + Duration::from_millis(after), None, Language::English, true)?;
            let data: serde_json::Value = serde_json::from_str(&data).expect("JSON");
            data["a"].as_u64()
        };
        let shown = Shown { looked: Some(looked), ..Shown::default() };
        assert_eq!([0, 2999, 3000].map(|after| told(&shown, after)), [Some(0), Some(2999), Some(3000)]);
        assert_eq!(told(&shown, 3001), None);
        assert_eq!(told(&Shown::default(), 0), None, "nothing was looked up yet");
    }
}
