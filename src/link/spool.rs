//! The spool: a folder with the agent's name, what it is to do, and every run it has made.
//!
//! `agent-id` is made once. `assignment.json` is what the floor wanted last; `assigned/<run>.json` keeps that of every
//! run, for its generation. `runs/<run>` is a run directory, `logs/<run>.log` what the run's process said. All are written
//! durably before they are acted upon.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use kiln_agent::Facts;
use kiln_disk::{self as disk, JOURNAL, SAMPLES};
use kiln_event::{Envelope, RunEvent};
use kiln_wire::{AgentId, Assignment, Generation, Position, RunId, Spooled, Tip};

/// The most that is read of a journal at one look; the rest is read at the next.
const LOOK_MOST: u64 = 8 << 20;
/// How much of what a process said last is looked at, and the most signs that are told of it.
const WORDS_MOST: u64 = 8 << 10;
const WORDS_LONGEST: usize = 400;
/// The most that is read of the spool's own small files.
const SMALL: u64 = 1 << 20;

/// What went wrong with the spool, and where.
#[derive(Debug, thiserror::Error)]
#[error("the spool at {}: {what}", .path.display())]
pub struct SpoolError {
    path: PathBuf,
    what: String,
}

pub(super) fn wrong(path: &Path) -> impl FnOnce(io::Error) -> SpoolError + '_ {
    move |error| SpoolError { path: path.to_owned(), what: error.to_string() }
}

/// What the last line of a journal tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Tail {
    #[default]
    GoesOn,
    /// The node is told to start anew.
    Restarts,
    /// The run has ended.
    Ended,
}

/// What was seen of a run so far.
#[derive(Debug, Clone, Default)]
struct Seen {
    journal: Position,
    lines: u64,
    tail: Tail,
    telemetry: u64,
    /// It was finished and nobody wrote to it any more.
    ended: bool,
    /// A line of its journal is none.
    damaged: bool,
}

/// An agent's spool. One process holds it at a time.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    seen: BTreeMap<RunId, Seen>,
    /// Held until the agent ends, by whatever end it comes to.
    _lock: disk::Lock,
}

impl Spool {
    /// Opens the spool in a folder, made if it is not there.
    pub fn open(dir: &Path) -> Result<Self, SpoolError> {
        for folder in ["runs", "assigned", "logs"] {
            fs::create_dir_all(dir.join(folder)).map_err(wrong(dir))?;
        }
        let path = dir.join("agent.lock");
        let Some(lock) = disk::Lock::take(&path).map_err(wrong(&path))? else {
            let what = "another agent works with it; end that one, or give this one another folder".to_owned();
            return Err(SpoolError { path: dir.to_owned(), what });
        };
        Ok(Self { dir: dir.to_owned(), seen: BTreeMap::new(), _lock: lock })
    }

    /// The agent's name: `fresh` the first time, the same ever after.
    pub fn agent_id(&self, fresh: AgentId) -> Result<AgentId, SpoolError> {
        let path = self.dir.join("agent-id");
        match disk::read(&path, SMALL) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                text.trim().parse().map_err(|error| SpoolError { path, what: format!("{error}") })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                disk::replace(&path, format!("{fresh}\n").as_bytes()).map_err(wrong(&path))?;
                Ok(fresh)
            }
            Err(error) => Err(wrong(&path)(error)),
        }
    }

    /// What the floor wanted last.
    pub fn assignment(&self) -> Result<Option<Assignment>, SpoolError> {
        read_assignment(&self.dir.join("assignment.json"))
    }

    /// Keeps an assignment, durably, before its run is started.
    pub(super) fn keep(&self, assignment: &Assignment) -> Result<(), SpoolError> {
        let bytes = serde_json::to_vec_pretty(assignment).map_err(io::Error::from).map_err(wrong(&self.dir))?;
        for path in [self.dir.join(format!("assigned/{}.json", assignment.run)), self.dir.join("assignment.json")] {
            disk::replace(&path, &bytes).map_err(wrong(&path))?;
        }
        Ok(())
    }

    /// Wants a run no more, durably. What it was assigned as stays, for what there is of it to be handed over.
    pub(super) fn forget(&self, run: &RunId) -> Result<(), SpoolError> {
        if self.assignment()?.is_some_and(|wanted| wanted.run == *run) {
            let path = self.dir.join("assignment.json");
            let gone = fs::remove_file(&path).and_then(|()| File::open(&self.dir)?.sync_all());
            gone.map_err(wrong(&path))?;
        }
        Ok(())
    }

    /// A folder beside the runs.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The folder of a run.
    pub(super) fn run(&self, run: &RunId) -> PathBuf {
        self.dir.join("runs").join(run.as_str())
    }

    /// Takes away what is left of a run that was cut off before it began, so that it can be started. Whether it began
    /// is asked of the file: what was seen of it stops at a damaged line.
    pub(super) fn clear(&mut self, run: &RunId) -> Result<(), SpoolError> {
        let folder = self.run(run);
        let journal = if_there(disk::open(&folder.join(JOURNAL.name))).map_err(wrong(&folder))?;
        if journal.map(newlines).transpose().map_err(wrong(&folder))?.is_some_and(|lines| lines > 1) {
            let what = "its journal has more than a header, and is not thrown away".to_owned();
            return Err(SpoolError { path: folder, what });
        }
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(wrong(&folder))?;
        }
        self.seen.remove(run);
        Ok(())
    }

    /// Where the process of a run writes what it says.
    pub(super) fn log(&self, run: &RunId) -> Result<File, SpoolError> {
        let path = self.dir.join(format!("logs/{run}.log"));
        File::options().create(true).append(true).open(&path).map_err(wrong(&path))
    }

    /// The last line that the process of a run said, as far as a page can show it.
    pub(super) fn last_words(&self, run: &RunId) -> String {
        let path = self.dir.join(format!("logs/{run}.log"));
        let end = disk::open(&path).and_then(|file| {
            let length = file.metadata()?.len();
            part(&file, length.saturating_sub(WORDS_MOST), length)
        });
        let said = end.map_or_else(|error| error.to_string(), |bytes| String::from_utf8_lossy(&bytes).into_owned());
        let last = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("nothing");
        let plain = last.strip_prefix("error: ").unwrap_or(last).chars().filter(|letter| !letter.is_control());
        plain.take(WORDS_LONGEST).collect()
    }

    /// Looks at every run. `child` is the one whose process is the agent's own and alive.
    pub(super) fn look(&mut self, child: Option<&RunId>) -> Result<Facts, SpoolError> {
        let mut facts = Facts { spool: Vec::new(), running: child.cloned(), ..Facts::default() };
        let folder = self.dir.join("runs");
        for entry in fs::read_dir(&folder).map_err(wrong(&folder))? {
            let name = entry.map_err(wrong(&folder))?.file_name();
            // What is no run's name was not made by an agent.
            let Some(run) = name.to_str().and_then(|name| name.parse::<RunId>().ok()) else { continue };
            let assigned = read_assignment(&self.dir.join(format!("assigned/{run}.json")))?;
            let Some(Assignment { generation, .. }) = assigned else { continue };
            let seen = self.seen.entry(run.clone()).or_default();
            if !seen.ended {
                let path = folder.join(run.as_str());
                let busy = facts.running.as_ref() == Some(&run) || in_use(&path);
                see(&path, seen).map_err(wrong(&path))?;
                if busy {
                    facts.running = Some(run.clone());
                }
                seen.ended = seen.tail == Tail::Ended && !busy;
            }
            if seen.damaged {
                facts.damaged.push(run.clone());
            }
            if seen.tail == Tail::Restarts {
                facts.restarting.push(run.clone());
            }
            facts.spool.push(spooled(run, generation, seen));
        }
        facts.spool.sort_by(|one, other| one.run.cmp(&other.run));
        Ok(facts)
    }

    /// Reads whole lines of a journal from a position on, after they are on the disk: a line that a power cut could still
    /// take back is not offered.
    pub(super) fn lines(&self, run: &RunId, from: u64, most: usize) -> io::Result<Vec<u8>> {
        let until = self.seen.get(run).map_or(0, |seen| seen.journal.offset);
        let file = disk::open(&self.run(run).join(JOURNAL.name))?;
        file.sync_data()?;
        // A line longer than the measure travels alone.
        let bytes = part(&file, from, until.min(from + most as u64 + Tip::LONGEST_LINE as u64))?;
        Ok(Tip::whole_lines(&bytes, most).to_vec())
    }

    /// Reads telemetry from an offset on.
    pub(super) fn telemetry(&self, run: &RunId, from: u64, most: u64) -> io::Result<Vec<u8>> {
        let until = self.seen.get(run).map_or(0, |seen| seen.telemetry);
        let file = disk::open(&self.run(run).join(SAMPLES.name))?;
        file.sync_data()?;
        part(&file, from, until.min(from + most))
    }

    /// Whether the journal reads the same up to a position that the floor named.
    pub(super) fn reads_same(&self, run: &RunId, position: Position) -> io::Result<bool> {
        // What the floor holds bytes of and is not here any more does differ.
        let Some(file) = if_there(disk::open(&self.run(run).join(JOURNAL.name)))? else { return Ok(false) };
        let bytes = part(&file, 0, position.offset)?;
        Ok(position.is_end_of(&bytes))
    }
}

fn spooled(run: RunId, generation: Generation, seen: &Seen) -> Spooled {
    // A journal that has only its header is no run yet: it may still be thrown away and begun anew.
    let journal = if seen.lines > 1 { seen.journal } else { Position::default() };
    let telemetry = if seen.lines > 1 { seen.telemetry } else { 0 };
    Spooled { run, generation, journal, telemetry, ended: seen.ended }
}

fn read_assignment(path: &Path) -> Result<Option<Assignment>, SpoolError> {
    match disk::read(path, SMALL) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::from).map_err(wrong(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(wrong(path)(error)),
    }
}

/// Takes in what was added to a run since the last look.
fn see(run: &Path, seen: &mut Seen) -> io::Result<()> {
    if let Some(file) = if_there(disk::open(&run.join(JOURNAL.name)))? {
        let from = seen.journal.offset;
        let bytes = part(&file, from, from + LOOK_MOST)?;
        let lines = Tip::whole_lines(&bytes, bytes.len());
        // What is no line of a journal is not offered, nor what is behind it.
        let (position, error) = Tip::follow(seen.journal, lines);
        seen.damaged = error.is_some();
        let lines = &lines[..(position.offset - from) as usize];
        if !lines.is_empty() {
            seen.journal = position;
            seen.lines += lines.split_inclusive(|byte| *byte == b'\n').count() as u64;
            let last = lines[..lines.len() - 1].rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
            let event = serde_json::from_slice::<Envelope>(last).map(|envelope| envelope.event);
            seen.tail = match event {
                Ok(RunEvent::RunFinished { .. }) => Tail::Ended,
                Ok(RunEvent::RestartAsked { .. }) => Tail::Restarts,
                _ => Tail::GoesOn,
            };
        }
    }
    if let Some(file) = if_there(disk::open(&run.join(SAMPLES.name)))? {
        seen.telemetry = kiln_telemetry::whole_frames(&file, seen.telemetry)?;
    }
    Ok(())
}

fn if_there(opened: io::Result<File>) -> io::Result<Option<File>> {
    match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

fn newlines(file: File) -> io::Result<usize> {
    let mut buffer = vec![0; 1 << 16];
    let mut count = 0;
    let mut file = file.take(LOOK_MOST);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(count);
        }
        count += buffer[..read].split(|byte| *byte == b'\n').count() - 1;
    }
}

/// Whether some process writes to a run: it holds locks on its files.
fn in_use(run: &Path) -> bool {
    let locked = |name: &str| {
        disk::open(&run.join(name)).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    };
    locked(JOURNAL.name) || locked(SAMPLES.name)
}

/// The bytes of a file from an offset up to another, or to its end.
fn part(mut file: &File, from: u64, until: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.take(until.saturating_sub(from)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kiln_agent::{Agent, Effect, Input, Tick};
    use kiln_wire::Held;

    use super::*;

    fn line(body: &str, digit: char) -> String {
        format!("{{{body},\"chain\":\"{}\"}}\n", digit.to_string().repeat(64))
    }

    fn assignment(run: &RunId) -> Assignment {
        Assignment {
            unit: "SRV1".parse().expect("a serial number"),
            generation: Generation(3),
            run: run.clone(),
            profile: "smoke".to_owned(),
            digest: None,
            variables: BTreeMap::new(),
            program: None,
            parts: None,
            phase: None,
        }
    }

    #[test]
    fn what_is_wanted_no_more_is_not_begun_again_and_still_handed_over_as_what_it_was() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut spool = Spool::open(dir.path()).expect("a spool");
        let run: RunId = "run-1".parse().expect("a run");
        spool.keep(&assignment(&run)).expect("kept");
        fs::create_dir_all(spool.run(&run)).expect("a run directory");
        spool.forget(&run).expect("forgotten");
        spool.forget(&run).expect("once more");
        assert_eq!(spool.assignment().expect("read"), None);
        assert_eq!(spool.look(None).expect("a look").spool[0].generation, assignment(&run).generation);
    }

    #[test]
    fn only_whole_lines_of_a_run_that_has_begun_are_offered() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut spool = Spool::open(dir.path()).expect("a spool");
        let run: RunId = "run-1".parse().expect("a run");
        spool.keep(&assignment(&run)).expect("kept");
        spool.forget(&"run-2".parse().expect("a run")).expect("nothing to forget");
        assert_eq!(spool.assignment().expect("read"), Some(assignment(&run)));
        fs::create_dir_all(spool.run(&run)).expect("a run directory");
        let journal = spool.run(&run).join(JOURNAL.name);
        let (header, first) = (line("\"schema\":\"x\"", 'a'), line("\"seq\":0", 'b'));
        fs::write(&journal, &header).expect("written");
        let seen = spool.look(None).expect("a look").spool.remove(0);
        assert_eq!((seen.journal, seen.generation), (Position::default(), Generation(3)), "a header is no run");
        fs::write(&journal, format!("{header}{first}{{\"torn")).expect("written");
        let seen = spool.look(None).expect("a look").spool.remove(0);
        assert_eq!(seen.journal.offset as usize, header.len() + first.len());
        assert!(!seen.ended);
        assert_eq!(spool.lines(&run, 0, 10).expect("lines"), header.as_bytes(), "a long line travels alone");
        assert_eq!(spool.lines(&run, header.len() as u64, 1 << 16).expect("lines"), first.as_bytes());
        assert!(spool.reads_same(&run, seen.journal).expect("read"));
        let other = Position { chain: Position::default().chain, ..seen.journal };
        assert!(!spool.reads_same(&run, other).expect("read"));
        let longer = Position { offset: seen.journal.offset + 1, ..seen.journal };
        assert!(!spool.reads_same(&run, longer).expect("read"));
    }

    #[test]
    fn an_agent_that_finds_a_damaged_journal_is_held_and_throws_nothing_away() {
        let run: RunId = "run-1".parse().expect("a run");
        let whole: Vec<String> = ('a'..='e').map(|digit| line("\"seq\":0", digit)).collect();
        for damaged in 0..whole.len() {
            let dir = tempfile::tempdir().expect("a folder");
            let mut spool = Spool::open(dir.path()).expect("a spool");
            spool.keep(&assignment(&run)).expect("kept");
            fs::create_dir_all(spool.run(&run)).expect("a run directory");
            let mut lines = whole.clone();
            lines[damaged] = lines[damaged].replace("chain", "chaim");
            let journal = spool.run(&run).join(JOURNAL.name);
            fs::write(&journal, lines.concat()).expect("written");
            let facts = spool.look(None).expect("a look");
            let before: usize = if damaged > 1 { lines[..damaged].iter().map(String::len).sum() } else { 0 };
            assert_eq!((facts.spool[0].journal.offset as usize, facts.spool[0].ended), (before, false));
            assert_eq!(facts.damaged, std::slice::from_ref(&run), "line {damaged}");
            let id = "agent-1".parse().expect("a name");
            let mut agent = Agent::new(id, "boot-1".parse().expect("a name"), None, Some(assignment(&run)));
            let tick = Tick { now: Duration::ZERO, jitter: 0.5 };
            let effects = agent.handle(tick, Input::Looked(facts));
            assert!(matches!(effects[..], [Effect::Sync(_)]), "line {damaged}: {effects:?}");
            assert_eq!(agent.held(), Some(&Held::Unverified { run: run.clone() }));
            assert!(spool.clear(&run).is_err(), "line {damaged}");
            assert_eq!(fs::read_to_string(&journal).expect("still there"), lines.concat());
        }
    }

    #[test]
    fn a_run_that_has_only_its_header_is_begun_anew() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut spool = Spool::open(dir.path()).expect("a spool");
        let run: RunId = "run-1".parse().expect("a run");
        spool.clear(&run).expect("nothing is there");
        fs::create_dir_all(spool.run(&run)).expect("a run directory");
        fs::write(spool.run(&run).join(JOURNAL.name), line("\"schema\":\"x\"", 'a') + "{\"torn").expect("written");
        spool.clear(&run).expect("cleared");
        assert!(!spool.run(&run).exists());
    }

    #[test]
    fn an_agents_name_is_made_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let name = |text: &str| text.parse::<AgentId>().expect("a name");
        let spool = Spool::open(dir.path()).expect("a spool");
        assert_eq!(spool.agent_id(name("one")).expect("a name"), name("one"));
        assert!(Spool::open(dir.path()).is_err(), "one agent at a time");
        drop(spool);
        assert_eq!(Spool::open(dir.path()).expect("a spool").agent_id(name("two")).expect("a name"), name("one"));
    }
}
