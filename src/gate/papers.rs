//! A unit's papers: a folder with the floor's signature over what it decided, and the sealed runs that it decided on. They are
//! made from the events and the copies whenever they are asked for, also beside a floor that is at work.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kiln_disk::{self as disk, JOURNAL, SAMPLES};
use kiln_floor::{Actor, Because, Decided, Decision, Disposition, FloorEvent, FloorState};
use kiln_seal::{FILE_NAME, PaperDecision, PaperRun, Papers, PapersError, PublicKey, seal_digest};
use kiln_wire::Serial;

use super::authority::{self, AuthorityError};
use super::store::{Database, Kept, StoreError};

#[derive(Debug, thiserror::Error)]
pub enum PapersOutError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Keys(#[from] AuthorityError),
    #[error(transparent)]
    Papers(#[from] PapersError),
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("nothing was decided about unit {0} here")]
    Undecided(Serial),
    #[error("run {run} of unit {unit} has no seal: it was handed over without TLS, and nobody vouches for it")]
    Unsealed { unit: Serial, run: String },
}

/// Writes the papers of a unit into a folder that is not there yet: `papers.json`, and `runs/<run>` with its seal.
pub fn papers(data: &Path, database: &Database, floor: &str, unit: &Serial, out: &Path) -> Result<(), PapersOutError> {
    let events = database.read_beside(data)?;
    let undecided = || PapersOutError::Undecided(unit.clone());
    let is_it = |event: &FloorEvent| matches!(event, FloorEvent::Disposed { unit: of, .. } if of == unit);
    let at = events.iter().rposition(|kept| is_it(&kept.event.event)).ok_or_else(undecided)?;
    let Kept { event: decided, chain, .. } = &events[at];
    // As it was when that was decided: what came later is not what the floor decided on.
    let mut state = FloorState::of(events[..at].iter().map(|kept| &kept.event));
    let known = state.units.get(unit).ok_or_else(undecided)?;
    let FloorEvent::Disposed { disposition, because, .. } = &decided.event else { return Err(undecided()) };
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| PapersOutError::Io { path, source }
    };
    fs::create_dir(out).map_err(io(out))?;
    let mut runs = Vec::new();
    for outcome in &known.runs {
        let run = outcome.facts.run.as_str();
        let (from, to) = (data.join("runs").join(run), out.join("runs").join(run));
        for name in [JOURNAL.name, SAMPLES.name, FILE_NAME] {
            let (from, to) = (from.join(name), to.join(name));
            if name == FILE_NAME && !from.exists() {
                return Err(PapersOutError::Unsealed { unit: unit.clone(), run: run.to_owned() });
            }
            if from.exists() {
                let folder = to.parent().unwrap_or(out);
                fs::create_dir_all(folder).map_err(io(folder))?;
                fs::copy(&from, &to).map_err(io(&to))?;
            }
        }
        let maker = state.runs.get(&outcome.facts.run).and_then(|run| state.identities.get(&run.agent));
        let key = maker.and_then(|identity| PublicKey::parse(&identity.public_key));
        runs.push(PaperRun {
            run: run.to_owned(),
            profile: outcome.profile.clone(),
            verdict: outcome.facts.verdict.shown().to_owned(),
            seal: seal_digest(&to).map_err(io(&to))?,
            key: key.map(|key| key.id()).unwrap_or_default(),
            parts: outcome.facts.parts.as_ref().map(ToString::to_string),
        });
    }
    let (by, why) = said(&decided.actor, because);
    let (slot, lot) = (known.slot.as_ref().map(ToString::to_string), known.lot.as_ref().map(ToString::to_string));
    state.apply(decided);
    let decisions = state.units.get(unit).map_or(&[][..], |known| &known.decisions).iter().map(told).collect();
    let papers = Papers {
        schema: String::new(),
        floor: floor.to_owned(),
        unit: unit.to_string(),
        slot,
        lot,
        disposition: word(*disposition).to_owned(),
        by,
        why,
        event: decided.seq,
        at: decided.at,
        chain: chain.clone(),
        runs,
        decisions,
    };
    let path = out.join("papers.json");
    disk::replace(&path, &papers.sign(&authority::floor_key(data)?)?).map_err(io(&path))
}

const fn word(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::Released => "released",
        Disposition::Repair => "repair",
        Disposition::Scrapped => "scrapped",
        Disposition::Returned => "returned",
    }
}

fn told(decision: &Decision) -> PaperDecision {
    let Decision { event, at, by, why, what, outlier } = decision.clone();
    let what = match what {
        Decided::Disposed(disposition) => word(disposition),
        Decided::WentOn => "next-stop",
    };
    let (what, outlier) = (what.to_owned(), outlier.map(String::from));
    PaperDecision { event, at, what, by, why, outlier }
}

/// Who decided, and why.
fn said(actor: &Actor, because: &Because) -> (Vec<String>, Option<String>) {
    let first = match actor {
        Actor::Floor => "floor".to_owned(),
        Actor::Agent(agent) => agent.to_string(),
        Actor::Person(name) => name.clone(),
    };
    match because {
        Because::Rules => (vec![first], None),
        Because::Person { why, second } => (std::iter::once(first).chain(second.clone()).collect(), Some(why.clone())),
    }
}
