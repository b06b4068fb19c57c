//! `kiln-floor reindex`: the floor's events and its copies of runs held against each other. What follows from the two is made
//! anew; what contradicts is told, and left for a person.
//!
//! The state of a floor is the fold of its events, so that it has no index of its own that could be lost. Beside them lie the
//! copies, and a note for each of where it was found whole. The events themselves come back from a file of `kiln-floor audit`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io::{self, BufRead as _, Read as _};
use std::path::{Path, PathBuf};

use kiln_disk as disk;
use kiln_floor::{AssignedRun, FloorEvent, FloorState, LotSay, RunFacts, Stage};
use kiln_seal::PublicKey;
use kiln_wire::{Received, RunId};

use super::copies::Copies;
use super::outlets::CURSORS;
use super::proof::{self, ProofError};
use super::seals;
use super::store::{self, DATABASE, Database, Kept, StoreError};

/// Longer than any event as a line: what an agent says of its machine is bounded, and so is every reason.
const LINE_MOST: u64 = 4 << 20;

#[derive(Debug, thiserror::Error)]
pub enum ReindexError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "{} is not there, and without events there is no floor; give a file of `kiln-floor audit` with --events", .0.display()
    )]
    NoEvents(PathBuf),
    #[error(
        "{} is there, and may hold what the file of events does not; move it away first", .0.display()
    )]
    InTheWay(PathBuf),
    #[error("{} line {line}: {what}; give a file as `kiln-floor audit` wrote it", .path.display())]
    Line { path: PathBuf, line: usize, what: String },
}

/// Something in which events and copies differ.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// The events say that it arrived whole.
    CopyLost(RunId),
    /// The events say that it arrived whole, and the copy does not verify any more.
    CopyDamaged {
        run: RunId,
        why: String,
    },
    /// The copy verifies, and says something else than the events.
    CopySaysOtherwise {
        run: RunId,
        of: Vec<&'static str>,
    },
    /// The copy is whole, and no event says that it arrived.
    NotTold(RunId),
    /// No event knows the run.
    Unknown(RunId),
    /// Something among the copies that is no run.
    Stray(String),
    /// An outlet was told of events that are not here.
    CursorAhead {
        outlet: &'static str,
        at: u64,
        events: u64,
    },
    CursorUnread {
        outlet: &'static str,
        why: String,
    },
    /// Mended: where the copy was found whole was not noted, or noted otherwise.
    NoteMade(RunId),
    /// Mended: it was noted to be whole.
    NoteTakenAway(RunId),
}

impl Difference {
    /// Whether it is as it should be again.
    pub const fn is_mended(&self) -> bool {
        matches!(self, Self::NoteMade(_) | Self::NoteTakenAway(_))
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const AGAIN: &str = "its agent hands it over again for as long as it keeps it";
        match self {
            Self::CopyLost(run) => write!(f, "run {run}: it arrived, and its copy is gone; {AGAIN}"),
            Self::CopyDamaged { run, why } => {
                write!(f, "run {run}: it arrived, and its copy is damaged ({why}); move runs/{run} away, and {AGAIN}")
            }
            Self::CopySaysOtherwise { run, of } => {
                let of = of.join(", ");
                write!(f, "run {run}: its copy and the event of its arrival differ in {of}; find out which was altered")
            }
            Self::NotTold(run) => write!(f, "run {run}: its copy is whole, and no event says that it arrived; {AGAIN}"),
            Self::Unknown(run) => write!(f, "run {run}: there is a copy, and no event knows it; it decides nothing"),
            Self::Stray(name) => write!(f, "runs/{name}: no run has such a name; move it away"),
            Self::CursorAhead { outlet, at, events } => write!(
                f,
                "outlet {outlet}: it was told up to event {at}, and there are {events}; restore later events, or ask who \
                 receives what they have and take the file `{outlet}` away"
            ),
            Self::CursorUnread { outlet, why } => write!(f, "outlet {outlet}: {why}"),
            Self::NoteMade(run) => write!(f, "run {run}: noted again that its copy is whole"),
            Self::NoteTakenAway(run) => {
                write!(f, "run {run}: it was noted to be whole and is not; the note was taken away")
            }
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reindexed {
    pub events: u64,
    pub restored: bool,
    /// The value of the hash chain after the last event.
    pub chain: String,
    pub units: usize,
    pub held: usize,
    pub arrived: usize,
    pub copies: usize,
    pub seals: Seals,
    pub differences: Vec<Difference>,
}

/// Whose seals could be checked among the runs that arrived and whose copy reads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seals {
    pub hold: usize,
    /// Their agent had no key when they arrived, as without TLS.
    pub unchecked: Vec<RunId>,
}

impl fmt::Display for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hold, unchecked } = self;
        match (hold, unchecked.as_slice()) {
            (0, []) => write!(f, "no run has a seal to check"),
            (0, _) => write!(f, "no seal was checked: no agent had a key when its runs arrived"),
            (hold, []) => write!(f, "{hold} seals hold, each under the key that its agent had when the run arrived"),
            (hold, unchecked) => {
                let names: Vec<&str> = unchecked.iter().map(RunId::as_str).collect();
                write!(
                    f,
                    "{hold} seals hold; not checked, since their agents had no key when they arrived: {}",
                    names.join(", ")
                )
            }
        }
    }
}

impl Reindexed {
    /// Whether nothing is left for a person.
    pub fn is_sound(&self) -> bool {
        self.differences.iter().all(Difference::is_mended)
    }
}

impl fmt::Display for Reindexed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events, restored, chain, units, held, arrived, copies, seals, differences } = self;
        let from = if *restored { " restored" } else { "" };
        writeln!(f, "{events} events{from}, the hash chain is sound up to {chain}")?;
        writeln!(f, "{units} units, {held} of them held; {arrived} runs arrived, {copies} copies are here")?;
        writeln!(f, "{seals}")?;
        differences.iter().try_for_each(|found| writeln!(f, "{found}"))?;
        let mended = differences.iter().filter(|found| found.is_mended()).count();
        write!(f, "{mended} mended, {} left for a person", differences.len() - mended)
    }
}

/// Holds a floor's events and copies against each other, and makes anew what follows from them. With a file of events the
/// database is made from it first, which then must not be there.
pub fn reindex(data: &Path, database: &Database, events: Option<&Path>) -> Result<Reindexed, ReindexError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| ReindexError::Io { path, source }
    };
    fs::read_dir(data).map_err(io(data))?;
    database.fits(data)?;
    let _lock = store::lock(data)?;
    if let Some(file) = events {
        for part in ["", "-wal", "-shm"] {
            let path = data.join(format!("{DATABASE}{part}"));
            if path.exists() {
                return Err(ReindexError::InTheWay(path));
            }
        }
        database.restore(data, &lines(file)?)?;
    }
    if matches!(database, Database::Folder) && !data.join(DATABASE).exists() {
        return Err(ReindexError::NoEvents(data.join(DATABASE)));
    }
    let kept = database.read_beside(data)?;
    let state = FloorState::of(kept.iter().map(|kept| &kept.event));
    let copies = Copies::open(data).map_err(io(data))?;
    let (arrived, seals) = (arrived(&kept), Seals::default());
    let mut found = Found { copies: &copies, state: &state, arrived, seals, differences: Vec::new() };
    let names = |folder: &str| names_in(&data.join(folder)).map_err(io(&data.join(folder)));
    let (on_disk, noted) = (names("runs")?, names("sealed")?);
    let mut runs: BTreeSet<RunId> = on_disk.iter().chain(&noted).filter_map(|name| name.parse().ok()).collect();
    runs.extend(found.arrived.keys().cloned());
    let here = on_disk.iter().filter(|name| name.parse::<RunId>().is_ok()).count();
    let stray = on_disk.iter().filter(|name| name.parse::<RunId>().is_err());
    found.differences.extend(stray.cloned().map(Difference::Stray));
    for run in &runs {
        found.look_at(run, noted.contains(run.as_str())).map_err(io(&copies.path(run)))?;
    }
    found.differences.extend(CURSORS.into_iter().filter_map(|outlet| cursor(data, outlet, kept.len() as u64)));
    let (arrived, seals, mut differences) = (found.arrived.len(), found.seals, found.differences);
    differences.sort();
    Ok(Reindexed {
        events: kept.len() as u64,
        restored: events.is_some(),
        chain: kept.last().map_or_else(store::beginning, |last| last.chain.clone()),
        units: state.units.len(),
        held: state.units.values().filter(|unit| matches!(unit.stage, Stage::Held(_))).count(),
        arrived,
        copies: here,
        seals,
        differences,
    })
}

/// The names in a folder; none of one that is not there.
fn names_in(folder: &Path) -> io::Result<BTreeSet<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        other => other?,
    };
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// A run as its event says it arrived.
struct Arrived {
    facts: RunFacts,
    /// The key that its agent had by then, as PEM; None of one that had none. By the order of the events: clocks jump.
    key: Option<String>,
}

fn arrived(kept: &[Kept]) -> BTreeMap<RunId, Arrived> {
    let (mut keys, mut makers) = (BTreeMap::new(), BTreeMap::new());
    let mut arrived = BTreeMap::new();
    for Kept { event, .. } in kept {
        match &event.event {
            FloorEvent::AgentApproved { agent, public_key, .. } => drop(keys.insert(agent, public_key)),
            FloorEvent::Assigned { agent, assignment } => drop(makers.insert(&assignment.run, agent)),
            FloorEvent::RunArrived { facts, .. } => {
                let key = makers.get(&facts.run).and_then(|agent| keys.get(agent)).map(|key| (*key).clone());
                arrived.insert(facts.run.clone(), Arrived { facts: facts.clone(), key });
            }
            _ => {}
        }
    }
    arrived
}

/// Reads the events of a file of `kiln-floor audit`, of which none was altered, taken out or put in.
fn lines(path: &Path) -> Result<Vec<Kept>, ReindexError> {
    let io = |source| ReindexError::Io { path: path.to_owned(), source };
    let mut reader = io::BufReader::new(disk::open(path).map_err(io)?);
    let mut chain = store::Chain::default();
    let mut kept = Vec::new();
    loop {
        let mut text = String::new();
        let read = reader.by_ref().take(LINE_MOST).read_line(&mut text).map_err(io)?;
        if read == 0 && !kept.is_empty() {
            return Ok(kept);
        }
        let line = kept.len() + 1;
        let wrong = |what: String| ReindexError::Line { path: path.to_owned(), line, what };
        let parts = store::body_of(text.trim_end());
        let (body, said) = parts.ok_or_else(|| wrong("this is no event with its chain".to_owned()))?;
        let event = chain.take(&body, Some(&said)).map_err(|error| wrong(said_of_a_file(&error)))?;
        kept.push(Kept { event, body, chain: said });
    }
}

/// What is wrong with an event of a file, which is no database.
fn said_of_a_file(error: &StoreError) -> String {
    match error {
        StoreError::Gap(due) => format!("event {due} is not where it belongs: one was taken out, put in, or moved"),
        StoreError::Chain(due) => {
            format!("event {due}, or one before it, was altered: the hash chain breaks there")
        }
        other => other.to_string(),
    }
}

/// What an outlet's cursor contradicts.
fn cursor(data: &Path, outlet: &'static str, events: u64) -> Option<Difference> {
    match super::outlet::read_cursor(&data.join(outlet)) {
        Ok(at) => (at > events).then_some(Difference::CursorAhead { outlet, at, events }),
        Err(error) => Some(Difference::CursorUnread { outlet, why: error.to_string() }),
    }
}

struct Found<'a> {
    copies: &'a Copies,
    state: &'a FloorState,
    arrived: BTreeMap<RunId, Arrived>,
    seals: Seals,
    differences: Vec<Difference>,
}

impl Found<'_> {
    /// Looks at one run that is known, is here, or has a note.
    fn look_at(&mut self, run: &RunId, is_noted: bool) -> io::Result<()> {
        let received = self.copies.received(run)?;
        let read = if received.is_some() { self.read(run)? } else { Err("there is none".to_owned()) };
        let assigned = self.state.runs.get(run);
        let told = self.arrived.get(run).map(|arrived| &arrived.facts);
        let trouble = match (told, &received, &read) {
            (None, Some(_), _) if assigned.is_none() => Some(Difference::Unknown(run.clone())),
            (None, Some(_), Ok(_)) => Some(Difference::NotTold(run.clone())),
            // Not begun, or handed over in part, as every run is for a while.
            (None, None, _) | (None, Some(_), Err(_)) => None,
            (Some(_), None, _) => Some(Difference::CopyLost(run.clone())),
            (Some(_), Some(_), Err(why)) => Some(Difference::CopyDamaged { run: run.clone(), why: why.clone() }),
            (Some(told), Some(_), Ok(read)) => {
                let of = otherwise(told, read, assigned);
                (!of.is_empty()).then(|| Difference::CopySaysOtherwise { run: run.clone(), of })
            }
        };
        match self.arrived.get(run).filter(|_| read.is_ok()) {
            Some(Arrived { key: Some(_), .. }) => self.seals.hold += 1,
            Some(Arrived { key: None, .. }) => self.seals.unchecked.push(run.clone()),
            None => {}
        }
        let is_sound = told.is_some() && trouble.is_none();
        // An agent hands over again only what is not noted to be whole.
        let is_wrong = read.is_err() || matches!(trouble, Some(Difference::NotTold(_)));
        self.differences.extend(trouble);
        self.note(run, received.as_ref(), is_sound, is_noted && is_wrong)
    }

    /// Notes that a copy is whole, or takes away a note that is not so.
    fn note(&mut self, run: &RunId, received: Option<&Received>, is_sound: bool, is_wrong: bool) -> io::Result<()> {
        match received {
            Some(received) if is_sound && !received.sealed => {
                self.copies.seal(run, received.journal)?;
                self.differences.push(Difference::NoteMade(run.clone()));
            }
            _ if is_wrong => {
                self.copies.unseal(run)?;
                self.differences.push(Difference::NoteTakenAway(run.clone()));
            }
            _ => {}
        }
        Ok(())
    }

    /// What the copy says, once its chain, its end and, of an agent that had a key by then, its seal were found sound.
    /// Trouble of the floor's own disk says nothing of it, and is an error.
    fn read(&self, run: &RunId) -> io::Result<Result<RunFacts, String>> {
        match self.proven(run) {
            Ok(facts) => Ok(Ok(facts)),
            Err(ProofError::Unreadable(error)) => Err(io::Error::other(error)),
            Err(ProofError::SealUnkept(error)) => Err(error),
            Err(unsound) => Ok(Err(unsound.to_string())),
        }
    }

    fn proven(&self, run: &RunId) -> Result<RunFacts, ProofError> {
        let folder = self.copies.path(run);
        let facts = proof::facts(&folder, run)?;
        if let Some(key) = self.arrived.get(run).and_then(|arrived| arrived.key.as_ref()) {
            let key = PublicKey::parse(key).ok_or(ProofError::Unsealed)?;
            seals::holds(&folder, &key)?;
        }
        Ok(facts)
    }
}

/// In what a copy differs from what was kept of it.
pub(super) fn otherwise(told: &RunFacts, read: &RunFacts, assigned: Option<&AssignedRun>) -> Vec<&'static str> {
    let wanted = assigned.and_then(|assigned| assigned.digest.as_ref());
    let partial = read.partial || wanted.is_some_and(|digest| digest.as_str() != read.profile_digest);
    let same = [
        ("verdict", told.verdict == read.verdict),
        ("completeness", told.partial == partial),
        ("serial number", told.serial == read.serial),
        ("profile", told.profile_digest == read.profile_digest),
        ("codes", told.codes == read.codes),
        // Events of before it was kept have none.
        ("source", told.source.is_none() || told.source == read.source),
        ("lot", told.lot == LotSay::Unknown || told.lot == read.lot),
        ("parts list", told.parts == read.parts),
    ];
    same.into_iter().filter(|(_, same)| !same).map(|(what, _)| what).collect()
}
