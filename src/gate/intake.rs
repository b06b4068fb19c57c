//! What agents hand over is in memory only while its turn lasts. After days without a network a thousand agents offer a quarter of a megabyte
//! each at once: what has no turn yet waits in the kernel's buffers and at the agents.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest as _, Request};
use axum::http::StatusCode;
use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::api::{ApiError, failure};

/// How many pieces are in memory at once: twice as many as the disk has turns, so that it never waits for the network.
const PIECES: usize = 64;
/// How long a piece may take once its turn has come: a way of 13 kB/s is fast enough, and one that stands still keeps nobody out.
const PIECE_WITHIN: Duration = Duration::from_secs(20);
/// The most that is read of a connection at once. HTTP's own buffer grows with what it is given, and each connection keeps its own.
const READ_MOST: usize = 16 << 10;

/// Turns for pieces of runs.
#[derive(Debug)]
pub(crate) struct Intake {
    turns: Semaphore,
    within: Duration,
}

impl Default for Intake {
    fn default() -> Self {
        Self { turns: Semaphore::new(PIECES), within: PIECE_WITHIN }
    }
}

impl Intake {
    /// Waits for a turn, then reads what is handed over; the turn lasts until what is given back is dropped.
    pub(crate) async fn take(&self, request: Request) -> Result<(SemaphorePermit<'_>, Bytes), ApiError> {
        let closed = |_| ApiError(failure(StatusCode::SERVICE_UNAVAILABLE, "the floor has stopped"));
        let turn = self.turns.acquire().await.map_err(closed)?;
        match tokio::time::timeout(self.within, Bytes::from_request(request, &())).await {
            Ok(Ok(bytes)) => Ok((turn, bytes)),
            Ok(Err(refused)) => Err(ApiError(failure(refused.status(), refused.body_text()))),
            Err(_) => {
                let why = format!("the piece did not arrive within {} s; hand it over again", self.within.as_secs());
                Err(ApiError(failure(StatusCode::REQUEST_TIMEOUT, why)))
            }
        }
    }
}

/// Connections of which little is read at once.
pub(crate) struct ShortReads<L>(pub(crate) L);

/// One of them.
pub(crate) struct ShortReader<S>(S);

impl<L: Listener> Listener for ShortReads<L> {
    type Io = ShortReader<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, peer) = self.0.accept().await;
        (ShortReader(stream), peer)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ShortReader<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let most = into.remaining().min(READ_MOST);
        let mut short = ReadBuf::new(into.initialize_unfilled_to(most));
        ready!(Pin::new(&mut self.0).poll_read(context, &mut short))?;
        let read = short.filled().len();
        into.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ShortReader<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn of(body: Body) -> Request {
        Request::new(body)
    }

    /// A body that never comes, and tells whether it was asked for.
    fn stuck() -> Body {
        Body::from_stream(Never)
    }

    struct Never;

    impl futures_core::Stream for Never {
        type Item = io::Result<Bytes>;

        fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn so_many_pieces_are_in_memory_at_once_and_one_that_does_not_come_gives_its_turn_back() {
        let intake = Intake { within: Duration::ZERO, ..Intake::default() };
        let mut held = Vec::new();
        for _ in 0..PIECES {
            held.push(intake.take(of(Body::from("piece"))).await.expect("taken"));
        }
        let next = tokio::time::timeout(Duration::ZERO, intake.take(of(Body::from("next"))));
        assert!(next.await.is_err(), "until one of them is written");
        held.pop();
        let refused = intake.take(of(stuck())).await.expect_err("it does not come");
        let ApiError((status, _)) = refused;
        assert_eq!(status, StatusCode::REQUEST_TIMEOUT);
        assert_eq!(intake.take(of(Body::from("next"))).await.expect("its turn").1, "next");
    }

    #[tokio::test]
    async fn of_a_connection_little_is_read_at_once_and_nothing_is_lost() {
        let sent: Vec<u8> = (0..200_000_u32).map(|at| at.to_le_bytes()[0]).collect();
        let mut stream = ShortReader(&sent[..]);
        let (mut read, mut room) = (Vec::new(), vec![0; 150_000]);
        loop {
            let mut into = ReadBuf::new(&mut room);
            std::future::poll_fn(|context| Pin::new(&mut stream).poll_read(context, &mut into)).await.expect("read");
            if into.filled().is_empty() {
                break;
            }
            assert!(into.filled().len() <= READ_MOST);
            read.extend_from_slice(into.filled());
        }
        assert_eq!(read, sent);
    }
}
