//! Parts lists of units: read from the folder into which an order system drops them, and given out to the agents whose runs are
//! held against them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{Extension, Path as Of, State};
use axum::http::StatusCode;
use axum::routing::get;
use kiln_floor::{Floor, Input, Stage, UnitParts};
use kiln_wire::{AgentId, Digest, PARTS_MOST, Serial};

use super::api::{ApiError, failure};
use super::enrol::Caller;
use super::outlet::{SharedStanding, Standing, tell};
use super::serve::Site;

/// How often the folder is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What a file of a list ends in. Whoever writes one under another name first and renames it has it read whole.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];
/// How many wrong files `/doors` names.
const NAMED_MOST: usize = 5;

pub(crate) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/v1/parts/{parts}", get(list))
}

/// A list, to the agent that was assigned a run with it.
async fn list(
    State(site): State<Arc<Site>>,
    Of(wanted): Of<String>,
    caller: Option<Extension<Caller>>,
) -> Result<String, ApiError> {
    let refused = |status, why: String| ApiError(failure(status, why));
    let parts: Digest = wanted.parse().map_err(|error| refused(StatusCode::BAD_REQUEST, format!("{error}")))?;
    let agent = caller.map(|Extension(Caller(agent))| agent);
    let of = agent.clone();
    let look = move |floor: &Floor| {
        let is_its = of.is_none_or(|agent| is_assigned(floor, &agent, &parts));
        (floor.state().lists.get(&parts).cloned(), is_its)
    };
    match (site.desk.look(move |floor, _| look(floor)).await?, agent) {
        ((_, false), Some(agent)) => {
            Err(refused(StatusCode::FORBIDDEN, format!("agent {agent} makes no run with the parts list {wanted}")))
        }
        ((Some(text), _), _) => Ok(text.to_string()),
        ((None, _), _) => {
            Err(refused(StatusCode::NOT_FOUND, format!("this floor has no parts list with the digest {wanted}")))
        }
    }
}

/// Whether a run with this list is wanted of the unit that an agent is on.
fn is_assigned(floor: &Floor, agent: &AgentId, parts: &Digest) -> bool {
    let on = floor.state().unit_of(agent);
    on.is_some_and(|(_, unit)| matches!(&unit.stage, Stage::Assigned(wanted) if wanted.parts.as_ref() == Some(parts)))
}

/// What a file was when it was last looked at, and what it says once it was read.
#[derive(Debug)]
struct Seen {
    changed: SystemTime,
    size: u64,
    read: Option<Result<UnitParts, String>>,
}

fn read(path: &Path) -> Result<UnitParts, String> {
    let name = path.display().to_string();
    // One byte more tells of one that is too big.
    let bytes = kiln_disk::read(path, PARTS_MOST + 1).map_err(|error| format!("{name}: {error}"))?;
    UnitParts::read(&name, &bytes, None).map_err(|error| error.to_string())
}

/// The folder, as far as it was read.
#[derive(Debug)]
pub(crate) struct Folder {
    dir: PathBuf,
    seen: BTreeMap<PathBuf, Seen>,
    /// Lists that the floor has yet to keep.
    to_tell: Vec<UnitParts>,
    standing: SharedStanding,
}

impl Folder {
    pub(crate) fn of(dir: PathBuf) -> Self {
        let standing = Arc::new(Mutex::new(Standing { name: "parts", ..Standing::default() }));
        Self { dir, seen: BTreeMap::new(), to_tell: Vec::new(), standing }
    }

    pub(crate) fn standing(&self) -> SharedStanding {
        Arc::clone(&self.standing)
    }

    /// Reads what is new, and whether anything is. A file that changed since the last look is being written: half a list would be
    /// another list.
    fn look(&mut self) -> io::Result<bool> {
        let (mut there, mut is_news, is_first) = (BTreeMap::new(), false, self.seen.is_empty());
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
            let ending = path.extension().and_then(|ending| ending.to_str());
            // One that was taken away meanwhile is not there.
            let (false, Some(true), Ok(about)) =
                (hidden, ending.map(|ending| ENDINGS.contains(&ending)), fs::metadata(&path))
            else {
                continue;
            };
            let (changed, size) = (about.modified().unwrap_or(SystemTime::UNIX_EPOCH), about.len());
            let before = self.seen.remove(&path).filter(|seen| (seen.changed, seen.size) == (changed, size));
            let is_settled = is_first || before.is_some();
            let said = before.and_then(|seen| seen.read);
            let is_due = said.is_none() && is_settled;
            is_news |= is_due;
            let read = if is_due { Some(read(&path)) } else { said };
            there.insert(path, Seen { changed, size, read });
        }
        is_news |= !self.seen.is_empty();
        self.seen = there;
        Ok(is_news)
    }

    /// The lists that hold, and what is wrong with the others. Of two files about one unit that say different things neither
    /// holds.
    fn sorted(&self) -> (Vec<UnitParts>, Vec<String>) {
        let (mut lists, mut wrong) = (BTreeMap::<&Serial, (&Path, Option<&UnitParts>)>::new(), Vec::new());
        for (path, seen) in &self.seen {
            match &seen.read {
                None => {}
                Some(Err(why)) => wrong.push(why.clone()),
                Some(Ok(list)) => {
                    let (first, held) = lists.entry(list.unit()).or_insert((path, Some(list)));
                    if held.is_none_or(|held| held.digest() != list.digest()) {
                        let (unit, first, path) = (list.unit(), first.display(), path.display());
                        wrong.push(format!("{first} and {path} are both of unit {unit} and differ; take one away"));
                        *held = None;
                    }
                }
            }
        }
        (lists.into_values().filter_map(|(_, list)| list.cloned()).collect(), wrong)
    }

    /// Looks once, and has the floor keep what is new. What is no list is told, and on `/doors` until it is put right; its unit
    /// keeps the list that it had.
    pub(crate) async fn round(mut self, site: &Site) -> Option<Self> {
        let looked = tokio::task::spawn_blocking(move || {
            let looked = self.look();
            (self, looked)
        });
        let (mut folder, looked) = looked.await.ok()?;
        let wrong = match looked {
            Ok(false) => None,
            Ok(true) => {
                let (lists, wrong) = folder.sorted();
                folder.to_tell = lists;
                Some(wrong)
            }
            Err(error) => Some(vec![format!("{}: {error}", folder.dir.display())]),
        };
        let mut left = Vec::new();
        for list in std::mem::take(&mut folder.to_tell) {
            match site.desk.tell(Input::Ordered(list.clone())).await {
                Ok(answer) => folder.told(answer.events.len()),
                // While the floor can keep nothing, they are told again.
                Err(_) => left.push(list),
            }
        }
        folder.to_tell = left;
        if let Some(wrong) = wrong {
            folder.say(&wrong);
        }
        Some(folder)
    }

    fn told(&self, events: usize) {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).told += u64::from(events > 0);
    }

    fn say(&self, wrong: &[String]) {
        let named = wrong.iter().take(NAMED_MOST).cloned().collect::<Vec<_>>().join("; ");
        let trouble = (!named.is_empty()).then_some(named);
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = trouble.as_ref().filter(|_| standing.trouble != trouble) {
            tell(&format!("parts lists: {why}"));
        }
        standing.trouble = trouble;
    }
}

/// Takes in what comes into the folder, for as long as the floor is served.
pub(crate) async fn keep_reading(site: Arc<Site>, folder: Folder) {
    let mut next = Some(folder);
    while let Some(folder) = next {
        tokio::time::sleep(LOOK_EVERY).await;
        next = folder.round(&site).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(unit: &str, drives: u32) -> String {
        format!("schema: kiln.parts/1\nserial: {unit}\nnvmes: {drives}\n")
    }

    fn units(folder: &Folder) -> Vec<String> {
        folder.sorted().0.iter().map(|list| list.unit().to_string()).collect()
    }

    #[test]
    fn lists_are_read_once_each_and_again_when_they_change() {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).expect("written");
        write("a.yaml", &list("A", 8));
        write(".b.yaml.tmp", "half");
        write("notes.txt", "none of ours");
        let mut folder = Folder::of(dir.path().to_owned());
        assert!(folder.look().expect("read"));
        assert_eq!(units(&folder), ["A"]);
        assert!(!folder.look().expect("read"), "nothing is new");
        write("b.json", r#"{"schema": "kiln.parts/1", "serial": "B", "nvmes": 8}"#);
        assert!(!folder.look().expect("read"), "it may be half of one");
        assert!(folder.look().expect("read"));
        assert_eq!(units(&folder), ["A", "B"]);
        fs::remove_file(dir.path().join("a.yaml")).expect("taken away");
        assert!(folder.look().expect("read"));
        assert_eq!(units(&folder), ["B"]);
    }

    #[test]
    fn what_is_no_list_is_named_and_two_files_about_one_unit_hold_only_if_they_say_the_same() {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).expect("written");
        write("a1.yaml", &list("A", 8));
        write("a2.yaml", &list("A", 8));
        write("b1.yaml", &list("B", 8));
        write("b2.yaml", &list("B", 7));
        write("c.yaml", "schema: kiln.parts/1\nnisc: 8\n");
        write("d.yaml", "schema: kiln.parts/1\nnvmes: 8\n");
        write("e.yaml", &format!("{}#{}", list("E", 8), "x".repeat(70_000)));
        let mut folder = Folder::of(dir.path().to_owned());
        folder.look().expect("read");
        let (lists, wrong) = folder.sorted();
        assert_eq!(lists.iter().map(|list| list.unit().as_str()).collect::<Vec<_>>(), ["A"]);
        let all = wrong.join("\n");
        for says in ["b1.yaml and", "both of unit B", "did you mean `nics`", "d.yaml does not say which unit", "e.yaml"]
        {
            assert!(all.contains(says), "{says}: {all}");
        }
    }
}
