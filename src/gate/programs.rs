//! The program that agents should be, as a file in a folder, and how they fetch it.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, Path as Of, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use kiln_floor::RolloutRules;
use kiln_wire::{AgentId, Digest};
use sha2::{Digest as _, Sha256};

use super::api::{ApiError, failure, on_disk};
use super::enrol::Caller;
use super::random::hex;
use super::serve::Site;

/// More than any program has.
const PROGRAM_MOST: u64 = 4 << 30;
/// Of an Ed25519 signature.
const SIGNATURE: u64 = 64;
/// The most that is given out at once.
const PIECE_MOST: u64 = 1 << 20;

/// Why agents cannot be given the program that the floor's file names.
#[derive(Debug, thiserror::Error)]
pub enum ProgramsError {
    #[error("the floor's file wants agents to be the program {0}; say in which folder it is with --programs DIR")]
    NoFolder(Digest),
    #[error(
        "{} has no file with the digest {wanted}, which the floor's file names under `agents`; it has {found}", .dir.display()
    )]
    NotThere { dir: PathBuf, wanted: Digest, found: String },
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is no Ed25519 signature: it has {size} bytes, and one has {SIGNATURE}", .path.display())]
    NoSignature { path: PathBuf, size: usize },
}

/// The file that is given out, and what it must be.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    path: PathBuf,
    program: Digest,
    size: u64,
}

/// Finds the program in the folder, and notes what agents are told of it.
pub(crate) fn find(rules: &mut RolloutRules, dir: Option<&Path>) -> Result<Given, ProgramsError> {
    let wanted = rules.program.clone();
    let dir = dir.ok_or_else(|| ProgramsError::NoFolder(wanted.clone()))?;
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| ProgramsError::Io { path, source }
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io(dir))? {
        let path = entry.map_err(io(dir))?.path();
        if !path.is_file() || path.extension().is_some_and(|extension| extension == "sig") {
            continue;
        }
        let (program, size) = digest(&path).map_err(io(&path))?;
        if program == wanted {
            (rules.size, rules.signature) = (size, signature(&path)?);
            return Ok(Given { path, program, size });
        }
        found.push(format!("{} ({program})", path.file_name().unwrap_or_default().display()));
    }
    let found = if found.is_empty() { "no program".to_owned() } else { found.join(", ") };
    Err(ProgramsError::NotThere { dir: dir.to_owned(), wanted, found })
}

/// The signature that lies beside a program, in hexadecimal digits.
fn signature(program: &Path) -> Result<Option<String>, ProgramsError> {
    let mut path = program.as_os_str().to_owned();
    path.push(".sig");
    let path = PathBuf::from(path);
    match kiln_disk::read(&path, 1 << 16) {
        Ok(bytes) if bytes.len() as u64 == SIGNATURE => Ok(Some(hex(&bytes))),
        Ok(bytes) => Err(ProgramsError::NoSignature { path, size: bytes.len() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ProgramsError::Io { path, source }),
    }
}

fn digest(path: &Path) -> io::Result<(Digest, u64)> {
    let mut file = kiln_disk::open_bounded(path, PROGRAM_MOST)?;
    let (mut hash, mut buffer, mut size) = (Sha256::new(), vec![0; 1 << 16], 0);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            let program = format!("sha256:{}", hex(&hash.finalize())).parse().map_err(io::Error::other)?;
            return Ok((program, size));
        }
        size += read as u64;
        hash.update(&buffer[..read]);
    }
}

pub(crate) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/v1/blobs/{program}", get(program))
}

/// A piece of the program, to an agent that it is offered to. What the piece belongs to is looked at by the agent, over the whole.
async fn program(
    State(site): State<Arc<Site>>,
    Of(wanted): Of<String>,
    caller: Option<Extension<Caller>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let refused = |status, why: String| ApiError(failure(status, why));
    let given = site.program.clone().filter(|given| given.program.as_str() == wanted);
    let Some(Given { path, size, .. }) = given else {
        return Err(refused(StatusCode::NOT_FOUND, format!("this floor gives out no program {wanted}")));
    };
    if let Some(Extension(Caller(agent))) = caller
        && !is_offered(&site, agent.clone()).await?
    {
        let why = format!("the program {wanted} is not offered to agent {agent} now");
        return Err(refused(StatusCode::FORBIDDEN, why));
    }
    let Some((from, until)) = range(&headers, size) else {
        let why = format!("ask for a range of its {size} bytes, such as `Range: bytes=0-{}`", PIECE_MOST - 1);
        return Err(refused(StatusCode::RANGE_NOT_SATISFIABLE, why));
    };
    let _turn = site.turn().await?;
    let bytes = on_disk(move || piece(&path, from, until)).await??;
    let of = format!("bytes {from}-{}/{size}", until - 1);
    Ok((StatusCode::PARTIAL_CONTENT, [(header::CONTENT_RANGE, of)], bytes).into_response())
}

/// Whether an agent is one of the wave that goes on.
async fn is_offered(site: &Site, agent: AgentId) -> Result<bool, ApiError> {
    let look = move |floor: &kiln_floor::Floor| {
        floor.state().rollout.as_ref().is_some_and(|rollout| rollout.offered.contains_key(&agent))
    };
    Ok(site.desk.look(move |floor, _| look(floor)).await?)
}

/// The bytes that are asked for, as many of them as are given out at once: from the first to behind the last.
fn range(headers: &HeaderMap, size: u64) -> Option<(u64, u64)> {
    let asked = headers.get(header::RANGE)?.to_str().ok()?.strip_prefix("bytes=")?;
    let (from, last) = asked.split_once('-')?;
    let from = from.parse::<u64>().ok().filter(|from| *from < size)?;
    let last = if last.is_empty() { size - 1 } else { last.parse().ok()? };
    (last >= from).then(|| (from, (last + 1).min(size).min(from + PIECE_MOST)))
}

fn piece(path: &Path, from: u64, until: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(until - from).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kiln_floor::{Proof, Wave};

    use super::*;

    #[test]
    fn a_range_is_cut_to_what_is_there_and_to_what_is_given_at_once() {
        let asks = |text: &str, size| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, text.parse().expect("a header"));
            range(&headers, size)
        };
        assert_eq!(asks("bytes=0-", 10), Some((0, 10)));
        assert_eq!(asks("bytes=4-7", 10), Some((4, 8)));
        assert_eq!(asks("bytes=4-99", 10), Some((4, 10)));
        assert_eq!(asks("bytes=0-", 3 << 20), Some((0, PIECE_MOST)));
        for text in ["bytes=10-", "bytes=7-4", "bytes=-4", "bytes=x-", "lines=0-1", "0-1", "bytes=0-1,4-5"] {
            assert_eq!(asks(text, 10), None, "{text}");
        }
        assert_eq!(range(&HeaderMap::new(), 10), None);
    }

    #[test]
    fn a_program_that_is_not_there_is_refused_with_those_that_are() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("kiln"), "a program").expect("written");
        let (own, size) = digest(&dir.path().join("kiln")).expect("read");
        let mut rules = RolloutRules {
            program: own.clone(),
            waves: vec![Wave::Rest],
            back: Duration::from_secs(60),
            proof: Proof::Back,
            size: 0,
            signature: None,
        };
        assert_eq!(find(&mut rules, Some(dir.path())).expect("found").size, size);
        assert_eq!((rules.size, &rules.signature), (9, &None));
        std::fs::write(dir.path().join("kiln.sig"), [0xab; 64]).expect("written");
        find(&mut rules, Some(dir.path())).expect("found");
        assert_eq!(rules.signature.as_deref().map(str::len), Some(128));
        std::fs::write(dir.path().join("kiln.sig"), "short").expect("written");
        let told = find(&mut rules, Some(dir.path())).expect_err("refused").to_string();
        assert!(told.contains("kiln.sig is no Ed25519 signature"), "{told}");
        rules.program = format!("sha256:{}", "0".repeat(64)).parse().expect("a digest");
        let told = find(&mut rules, Some(dir.path())).expect_err("refused").to_string();
        assert!(told.contains("sha256:0000") && told.contains(&format!("kiln ({own})")), "{told}");
        let told = find(&mut rules, None).expect_err("refused").to_string();
        assert!(told.contains("--programs DIR"), "{told}");
    }
}
