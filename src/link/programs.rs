//! The programs in the spool: what the agent is to be, what it was before, and what it did not become.
//!
//! `programs/<digest>` is a program that was whole and was what it should be, `programs/<digest>.part` one of which pieces are
//! missing, and `programs/state.json` says which of them counts. The program that is installed on the node is never touched: a
//! service manager starts that one, and it hands over to the one that counts by becoming it. So a program that does not even
//! start costs one restart, and the next start goes back.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kiln_disk as disk;
use kiln_seal::PublicKey;
use kiln_wire::{Declined, Digest, NotTaken, Upgrade};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::spool::{Spool, SpoolError, wrong};

/// Of the file that says which program counts. A newer one is refused: what it says more might be what keeps a bad program away.
const SCHEMA: &str = "kiln.programs/1";
const STATE: &str = "state.json";
const STATE_MOST: u64 = 64 << 10;
/// More than any program has.
const PROGRAM_MOST: u64 = 4 << 30;
const RUNS_BY_ALL: u32 = 0o755;

/// The program that the agent was started as, where that is one of the spool's; told to it by the one before.
pub const STARTED_AS: &str = "KILN_AGENT_PROGRAM";

/// Which program counts, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Counts {
    schema: String,
    /// The node's own program: with another one there, all that follows is forgotten, since a person changed it.
    installed: Installed,
    /// None: the node's own.
    current: Option<Digest>,
    previous: Option<Digest>,
    trial: Option<Trial>,
    declined: Option<Declined>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Installed {
    path: PathBuf,
    digest: Digest,
}

/// A program that has yet to reach the floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    offer: u64,
    /// How long it may take.
    pub within: Duration,
    /// It was started. One that is started again did not get there.
    started: bool,
}

/// What a program that begins as an agent is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Launch {
    /// Be the agent.
    Be { program: Digest, declined: Option<Declined>, trial: Option<Trial> },
    /// Become the program at this path; of which digest, unless it is the node's own.
    Become { path: PathBuf, program: Option<Digest> },
}

/// The programs in a spool.
#[derive(Debug)]
pub struct Programs {
    dir: PathBuf,
    counts: Counts,
}

impl Programs {
    /// Opens them, for the program at `own`. `started_as` is what [`STARTED_AS`] says.
    pub fn open(spool: &Spool, own: &Path, started_as: Option<&str>) -> Result<Self, SpoolError> {
        let dir = spool.folder("programs");
        fs::create_dir_all(&dir).map_err(wrong(&dir))?;
        let path = dir.join(STATE);
        let kept = match disk::read(&path, STATE_MOST) {
            Ok(bytes) => Some(serde_json::from_slice::<Counts>(&bytes).map_err(io::Error::from).map_err(wrong(&path))?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(wrong(&path)(error)),
        };
        if let Some(kept) = kept.as_ref().filter(|kept| kept.schema != SCHEMA) {
            let what = format!("it says `{}`, and this program reads `{SCHEMA}`; start the newer program", kept.schema);
            return Err(wrong(&path)(io::Error::other(what)));
        }
        if let (Some(_), Some(counts)) = (started_as, &kept) {
            return Ok(Self { dir, counts: counts.clone() });
        }
        let installed = Installed { path: own.to_owned(), digest: digest(own).map_err(wrong(own))? };
        let counts = kept.filter(|kept| kept.installed == installed).unwrap_or_else(|| Counts {
            schema: SCHEMA.to_owned(),
            installed,
            current: None,
            previous: None,
            trial: None,
            declined: None,
        });
        Ok(Self { dir, counts })
    }

    /// What the program that was just started is to do.
    pub fn launch(&mut self, started_as: Option<&str>) -> Result<Launch, SpoolError> {
        let counts = |counts: &Counts| counts.current.as_ref().map(Digest::as_str) == started_as;
        if !counts(&self.counts) && self.counts.trial.is_some_and(|trial| trial.started) {
            self.go_back(NotTaken::FellBack)?;
        }
        let Counts { installed, current, trial, declined, .. } = &self.counts;
        if counts(&self.counts) {
            let program = current.clone().unwrap_or_else(|| installed.digest.clone());
            return Ok(Launch::Be { program, declined: declined.clone(), trial: *trial });
        }
        let path = current.as_ref().map_or_else(|| installed.path.clone(), |program| self.path(program));
        let program = current.clone();
        if let Some(trial) = &mut self.counts.trial {
            trial.started = true;
            self.keep()?;
        }
        Ok(Launch::Become { path, program })
    }

    /// What counts could not be started.
    pub fn will_not_start(&mut self, why: &io::Error) -> Result<(), SpoolError> {
        let path = self.counts.current.as_ref().map(|program| self.path(program));
        let Some(path) = path else {
            return Err(wrong(&self.counts.installed.path)(io::Error::other(why.to_string())));
        };
        self.go_back(NotTaken::WillNotStart { why: format!("{}: {why}", path.display()) })
    }

    /// The program before counts again.
    pub(super) fn go_back(&mut self, why: NotTaken) -> Result<(), SpoolError> {
        let offer = self.counts.trial.take().map_or(0, |trial| trial.offer);
        if let Some(program) = self.counts.current.take() {
            self.counts.declined = Some(Declined { offer, program, why });
        }
        self.counts.current = self.counts.previous.take();
        self.keep()
    }

    /// The program that counts has reached the floor. What neither counts nor did before is taken away.
    pub(super) fn stay(&mut self) -> Result<(), SpoolError> {
        self.counts.trial = None;
        self.keep()?;
        for entry in fs::read_dir(&self.dir).map_err(wrong(&self.dir))? {
            let path = entry.map_err(wrong(&self.dir))?.path();
            let Counts { current, previous, .. } = &self.counts;
            let stays = current.iter().chain(previous).any(|program| self.path(program) == path);
            if !stays && path.file_name().is_some_and(|name| name != STATE) {
                fs::remove_file(&path).map_err(wrong(&path))?;
            }
        }
        Ok(())
    }

    /// A program that is whole counts from the next start on.
    pub(super) fn change_to(&mut self, upgrade: &Upgrade) -> Result<(), SpoolError> {
        let before = self.counts.clone();
        self.counts.previous = self.counts.current.replace(upgrade.program.clone());
        self.counts.trial = Some(Trial { offer: upgrade.offer, within: upgrade.within, started: false });
        self.counts.declined = None;
        self.keep().inspect_err(|_| self.counts = before)
    }

    /// Gets the next piece of a program by a call, and looks at the whole once it is there.
    pub(super) fn fetch<E>(
        &self,
        upgrade: &Upgrade,
        key: Option<&PublicKey>,
        piece: impl FnOnce(u64) -> Result<Vec<u8>, E>,
    ) -> Result<Fetched, E> {
        let unkept = |error: io::Error| Fetched::Not(NotTaken::Unkept { why: error.to_string() });
        let whole = self.path(&upgrade.program);
        let part = self.dir.join(format!("{}.part", upgrade.program));
        let here = if whole.exists() { upgrade.size } else { part.metadata().map_or(0, |part| part.len()) };
        if here < upgrade.size {
            let bytes = piece(here)?;
            if let Err(error) = append(&part, &bytes) {
                return Ok(unkept(error));
            }
            if here + (bytes.len() as u64) < upgrade.size {
                return Ok(Fetched::Part);
            }
        }
        let path = if whole.exists() { &whole } else { &part };
        match approved(path, upgrade, key) {
            Ok(Ok(())) => Ok(put_in_place(path, &whole).map_or_else(unkept, |()| Fetched::Whole)),
            Ok(Err(why)) => {
                // The next offer begins from nothing.
                let _ = fs::remove_file(path);
                Ok(Fetched::Not(why))
            }
            Err(error) => Ok(unkept(error)),
        }
    }

    fn path(&self, program: &Digest) -> PathBuf {
        self.dir.join(program.as_str())
    }

    fn keep(&self) -> Result<(), SpoolError> {
        let path = self.dir.join(STATE);
        let bytes = serde_json::to_vec_pretty(&self.counts).map_err(io::Error::from).map_err(wrong(&path))?;
        disk::replace(&path, &bytes).map_err(wrong(&path))
    }
}

/// What came of fetching.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fetched {
    Part,
    Whole,
    Not(NotTaken),
}

fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    File::options().create(true).append(true).open(path)?.write_all(bytes)
}

/// Whether a file is the program that was offered, by its digest and by its signature where one is asked for.
fn approved(path: &Path, upgrade: &Upgrade, key: Option<&PublicKey>) -> io::Result<Result<(), NotTaken>> {
    let found = digest(path)?;
    if found != upgrade.program {
        return Ok(Err(NotTaken::WrongDigest { found }));
    }
    let Some(key) = key else { return Ok(Ok(())) };
    let Some(signature) = upgrade.signature.as_deref() else { return Ok(Err(NotTaken::Unsigned)) };
    let holds = bytes_of(signature)
        .is_some_and(|signature| disk::read(path, PROGRAM_MOST).is_ok_and(|program| key.holds(&program, &signature)));
    Ok(if holds { Ok(()) } else { Err(NotTaken::WrongSignature) })
}

fn put_in_place(from: &Path, to: &Path) -> io::Result<()> {
    let file = File::open(from)?;
    file.set_permissions(fs::Permissions::from_mode(RUNS_BY_ALL))?;
    file.sync_all()?;
    if from != to {
        fs::rename(from, to)?;
    }
    to.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

/// The digest of a program's bytes.
fn digest(path: &Path) -> io::Result<Digest> {
    let mut file = disk::open_bounded(path, PROGRAM_MOST)?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return format!("sha256:{}", hex(&hash.finalize())).parse().map_err(io::Error::other);
        }
        hash.update(&buffer[..read]);
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// What hexadecimal digits stand for.
fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    pairs.collect()
}
