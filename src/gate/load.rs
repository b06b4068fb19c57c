//! Many agents in one process, over TCP, to measure a floor: each keeps a connection, calls every two seconds, and some
//! append a line to their journal, or hand over what waited. Beside them somebody looks at the page.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts become floats far below 2^53, and floats become counts that were bounded before"
)]

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kiln_wire::{AgentId, BootId, Doing, Generation, Position, RunId, Spooled, Tip};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::copies::PIECE_MOST;
use super::desk::now;

/// As agents of a floor with the default rules call.
const EVERY: Duration = Duration::from_secs(2);

/// What to measure with.
#[derive(Debug, Clone, Copy)]
pub struct LoadSettings {
    pub floor: SocketAddr,
    pub agents: usize,
    pub seconds: u64,
    /// Pieces of journals a second, of all agents together.
    pub appends: usize,
    /// What each agent has to hand over of a journal, as after days without a network, in MB. It does so as fast as it is
    /// answered, and ends when all is there.
    pub backlog: u64,
}

/// Times of one kind of call.
#[derive(Debug, Default)]
struct Times(Vec<Duration>);

impl Times {
    fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort();
        let at = (sorted.len() as f64 * share) as usize;
        sorted.get(at.min(sorted.len().saturating_sub(1))).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}

/// What was measured.
#[derive(Debug, Default)]
pub struct Measured {
    syncs: Times,
    appends: Times,
    pages: Times,
    failed: usize,
    handed: u64,
    took: Duration,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        for (name, times) in [("sync", &self.syncs), ("append", &self.appends), ("page", &self.pages)] {
            let (count, rate) = (times.0.len(), times.0.len() as f64 / seconds);
            let [p50, p99, most] = [0.5, 0.99, 1.0].map(|share| times.quantile(share));
            writeln!(f, "{name}: {count} calls, {rate:.0}/s, p50 {p50:.1} ms, p99 {p99:.1} ms, longest {most:.1} ms")?;
        }
        let megabytes = self.handed as f64 / 1e6;
        writeln!(f, "handed over: {megabytes:.1} MB in {seconds:.1} s, {:.1} MB/s", megabytes / seconds)?;
        write!(f, "failed: {}", self.failed)
    }
}

/// Loads a floor and measures how long it takes to answer. Scheduling of this process is in the figures.
pub async fn load(settings: LoadSettings) -> Result<Measured, io::Error> {
    let measured = Arc::new(Mutex::new(Measured::default()));
    let began = now();
    let until = began + Duration::from_secs(settings.seconds);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..settings.agents {
        let measured = Arc::clone(&measured);
        // Of each agent's calls, so many are followed by an append that all together make the rate asked for.
        let share = settings.appends as f64 * EVERY.as_secs_f64() / settings.agents as f64;
        tasks.spawn(async move { agent(settings, number, share, until, &measured).await });
    }
    let looking = {
        let measured = Arc::clone(&measured);
        tokio::spawn(async move { look_at_pages(settings.floor, until, &measured).await })
    };
    while let Some(ended) = tasks.join_next().await {
        if !matches!(ended, Ok(Ok(()))) {
            measured.lock().await.failed += 1;
        }
    }
    looking.abort();
    let mut measured = std::mem::take(&mut *measured.lock().await);
    measured.took = began.elapsed();
    Ok(measured)
}

/// The building and the list of units in turn, each half second; a page that is not answered counts as failed.
async fn look_at_pages(floor: SocketAddr, until: std::time::Instant, measured: &Mutex<Measured>) {
    let mut paths = ["/building?lang=en", "/?lang=en"].into_iter().cycle();
    while now() < until {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let path = paths.next().unwrap_or("/");
        let looked = async {
            let mut stream = TcpStream::connect(floor).await?;
            call(&mut stream, floor, "GET", path, b"").await
        };
        match looked.await {
            Ok(took) => measured.lock().await.pages.0.push(took),
            Err(_) => measured.lock().await.failed += 1,
        }
    }
}

async fn agent(
    settings: LoadSettings,
    number: usize,
    share: f64,
    until: std::time::Instant,
    measured: &Mutex<Measured>,
) -> io::Result<()> {
    let run: RunId = parsed(&format!("load-{}-{number}", std::process::id()))?;
    let (agent, boot): (AgentId, BootId) = (parsed(run.as_str())?, parsed("boot-1")?);
    let mut sync = kiln_wire::Sync {
        serial: Some(parsed(&format!("LOAD{number:06}"))?),
        doing: Doing::Running { run: run.clone() },
        generation: Some(Generation(1)),
        spool: vec![Spooled {
            run: run.clone(),
            generation: Generation(1),
            journal: Position::default(),
            telemetry: 0,
            ended: false,
        }],
        ..kiln_wire::Sync::idle(agent, boot)
    };
    // Spread over the interval, as agents' jitter spreads them.
    tokio::time::sleep(EVERY.mul_f64(number as f64 / settings.agents as f64)).await;
    let mut stream = TcpStream::connect(settings.floor).await?;
    stream.set_nodelay(true)?;
    let mut at = Position::default();
    // Not all in the same round.
    let mut due = (number % 97) as f64 / 97.0;
    let mut next = now();
    while now() < until {
        let body = serde_json::to_vec(&sync)?;
        let took = call(&mut stream, settings.floor, "POST", "/v1/sync", &body).await?;
        measured.lock().await.syncs.0.push(took);
        due += share;
        while due >= 1.0 {
            due -= 1.0;
            let lines = line(at.offset);
            at = append(&mut stream, settings.floor, &run, at, lines.as_bytes(), measured).await?;
            sync.spool[0].journal = at;
        }
        let backlog = settings.backlog * 1_000_000;
        while at.offset < backlog && now() < next + EVERY {
            let mut lines = String::with_capacity(PIECE_MOST);
            while lines.len() + 5000 < PIECE_MOST && at.offset + (lines.len() as u64) < backlog {
                lines.push_str(&line(at.offset + lines.len() as u64));
            }
            at = append(&mut stream, settings.floor, &run, at, lines.as_bytes(), measured).await?;
            sync.spool[0].journal = at;
        }
        if backlog > 0 && at.offset >= backlog {
            return Ok(());
        }
        next += EVERY;
        tokio::time::sleep_until(next.into()).await;
    }
    Ok(())
}

/// Hands whole lines of a journal over; where it ends then.
async fn append(
    stream: &mut TcpStream,
    floor: SocketAddr,
    run: &RunId,
    at: Position,
    lines: &[u8],
    measured: &Mutex<Measured>,
) -> io::Result<Position> {
    let path = format!("/v1/runs/{run}/journal?at={}&chain={}&gen=1", at.offset, at.chain);
    let took = call(stream, floor, "PATCH", &path, lines).await?;
    let mut measured = measured.lock().await;
    measured.appends.0.push(took);
    measured.handed += lines.len() as u64;
    drop(measured);
    Tip::after(at, lines).map_err(io::Error::other)
}

fn parsed<T: std::str::FromStr>(text: &str) -> io::Result<T>
where
    T::Err: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    text.parse().map_err(io::Error::other)
}

/// A line of 4.7 kB, the mean of a burn-in's events.
fn line(seed: u64) -> String {
    format!("{{\"load\":\"{}\",\"chain\":\"{:064x}\"}}\n", "x".repeat(4600), seed + 1)
}

/// One call over a connection that is kept; how long it took.
async fn call(
    stream: &mut TcpStream,
    floor: SocketAddr,
    method: &str,
    path: &str,
    body: &[u8],
) -> io::Result<Duration> {
    let length = body.len();
    let mut request =
        format!("{method} {path} HTTP/1.1\r\nhost: {floor}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n")
            .into_bytes();
    request.extend_from_slice(body);
    let began = now();
    stream.write_all(&request).await?;
    let mut answer = Vec::with_capacity(1024);
    loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(&piece[..read]);
        let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
        let said = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if answer.len() >= head + 4 + said.unwrap_or(0) {
            let fine = text.starts_with("http/1.1 200");
            return if fine { Ok(began.elapsed()) } else { Err(io::Error::other(text)) };
        }
    }
}
