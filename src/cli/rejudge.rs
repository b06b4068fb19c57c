//! `kiln rejudge`: judges old runs by another profile, and shows what would change.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::against::Against;
use super::args_lot::RejudgeArgs;
use super::command_error::{CommandError, Sorted as _};
use super::exit_code::Exit;
use super::language::Spoken;
use super::run::equipment;
use super::{files, lots, printer, skus};
use crate::disk;
use crate::engine;
use crate::event::{Envelope, Outcome, RunRecord, Verdict};
use crate::limit::Judged;
use crate::lot::{self, Change, Verdicts};
use crate::profile::{Profile, Skus, digest_of};
use crate::report::{self, JudgedAgain, Language, Languages, plain, rejudge_page};
use crate::rundir::{Unread, read_baseline, read_many, run_folders};

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: &'static str,
    /// The profile that the runs are judged by.
    profile: String,
    profile_digest: String,
    runs: Vec<Again>,
    unread: &'a [Unread],
}

/// One run judged again.
#[derive(Debug, Serialize, Deserialize)]
struct Again {
    /// Its folder.
    run: String,
    run_id: String,
    serial: Option<String>,
    simulated: bool,
    /// The profile it ran with.
    profile: String,
    verdicts: Verdicts,
    changes: Vec<Change>,
    notes: Vec<String>,
}

impl Again {
    fn changes_verdict(&self) -> bool {
        word(&self.verdicts.before) != word(&self.verdicts.after)
    }

    fn shown(&self) -> JudgedAgain<'_> {
        JudgedAgain {
            run: &self.run,
            serial: self.serial.as_deref(),
            profile: &self.profile,
            simulated: self.simulated,
            verdicts: &self.verdicts,
            changes: &self.changes,
            notes: &self.notes,
        }
    }
}

/// `kiln rejudge RUN.. --profile P`.
pub(super) fn rejudge(args: &RejudgeArgs, spoken: Spoken) -> Result<Exit, CommandError> {
    let skus = skus::of_profile(&args.profile)?;
    let file = files::find_profile(&args.profile)?;
    let profile = files::resolve(&file, &skus, &files::sets(&args.sets)?, None)?;
    let baseline = args.baseline.as_deref().map(read_baseline).transpose()?;
    let against = Against::read(args.lot.as_deref(), args.guard_bands.as_deref(), &profile)?;
    let equipment = equipment(&skus);
    let against = against.with(baseline.as_ref());
    let index = lots::index("again-1");
    let index = index.and_then(|index| Some(index.answering(question(&profile, &skus, against)?)));
    let judge =
        |events: &[Envelope]| engine::rejudge(events, &profile, against, &equipment).map_err(|error| error.to_string());
    let found = read_many(index.as_ref(), &run_folders(&args.runs)?, judge, |before, after| again(before, &after));
    lots::tell_unread(&found.unread);
    let runs = found.runs.into_iter().map(|(folder, again)| Again { run: folder.display().to_string(), ..again });
    let document = Document {
        schema: "kiln.rejudge/1",
        profile: format!("{} revision {}", profile.id, profile.revision),
        profile_digest: profile.digest(),
        runs: runs.collect(),
        unread: &found.unread,
    };
    if let Some(path) = &args.html {
        lots::write_page(path, &page(&document, spoken.page()))?;
    }
    if args.json {
        printer::json(&document).no_claim()?;
    } else {
        printer::result(&text(&document, args.all)).no_claim()?;
    }
    Ok(if found.unread.is_empty() { Exit::Pass } else { Exit::NoClaim })
}

/// Names all that the answer depends on beside the run, and so the program as well, to the byte: one that judges otherwise need
/// not have another version. `None` where that cannot be read any more.
fn question(profile: &Profile, skus: &Skus, against: engine::Against<'_>) -> Option<String> {
    let program = std::env::current_exe().and_then(|path| disk::read(&path, disk::GIB)).ok()?;
    let against = (against.baseline, against.lot, against.guard_bands);
    let asked = (digest_of(&program), profile.digest(), skus, against);
    Some(digest_of(&serde_json::to_vec(&asked).ok()?))
}

fn page(document: &Document<'_>, languages: Languages) -> String {
    let runs: Vec<JudgedAgain<'_>> = document.runs.iter().map(Again::shown).collect();
    rejudge_page(&document.profile, &runs, &lots::reasons(document.unread), languages)
}

fn again(before: &RunRecord, after: &engine::Rejudged) -> Again {
    let (verdicts, changes) = lot::changes(before, &after.record);
    let start = before.start.as_deref();
    Again {
        run: String::new(),
        run_id: start.map(|start| start.run_id.clone()).unwrap_or_default(),
        serial: lot::serial(before).cloned(),
        simulated: start.is_none_or(|start| !start.source.is_hardware()),
        profile: start.map(lot::profile_key).unwrap_or_default(),
        verdicts,
        changes,
        notes: after.notes.iter().map(ToString::to_string).collect(),
    }
}

fn word(verdict: &Verdict) -> String {
    let deviations = match verdict.deviations {
        0 => String::new(),
        1 => " with 1 deviation".to_owned(),
        some => format!(" with {some} deviations"),
    };
    format!("{}{deviations}{}", verdict.word.shown(), if verdict.marginal { " (marginal)" } else { "" })
}

/// The number of runs with a changed verdict that are listed without `--all`: about a screen.
const LISTED: usize = 20;

/// Writes the summary first: how many verdicts change, because of which limits, and in which runs.
fn text(document: &Document<'_>, all: bool) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{} runs judged by {}:", document.runs.len(), document.profile);
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    for run in &document.runs {
        *counts.entry((word(&run.verdicts.before), word(&run.verdicts.after))).or_default() += 1;
    }
    for ((before, after), count) in counts {
        let mark = if before == after { "unchanged" } else { "CHANGED" };
        let _ = writeln!(text, "  {count:5}  {before} -> {after}  {mark}");
    }
    if !document.unread.is_empty() {
        let _ = writeln!(text, "  {:5}  could not be judged", document.unread.len());
    }
    tell_limits(&document.runs, &mut text);
    let changed: Vec<&Again> = document.runs.iter().filter(|run| run.changes_verdict()).collect();
    if !changed.is_empty() {
        text.push_str("\nRuns whose verdict changes:\n");
    }
    for run in changed.iter().take(if all { usize::MAX } else { LISTED }) {
        tell_head(run, &mut text);
    }
    if !all && changed.len() > LISTED {
        let _ = writeln!(text, "  and {} more", changed.len() - LISTED);
    }
    let differing = document.runs.iter().filter(|run| !run.changes.is_empty() || !run.notes.is_empty()).count();
    if !all && differing > 0 {
        let _ = writeln!(
            text,
            "\n{differing} runs have values judged otherwise or notes; --all tells them, --json as data"
        );
    }
    if all {
        for run in &document.runs {
            text.push('\n');
            tell_head(run, &mut text);
            run.changes.iter().for_each(|change| tell_change(change, &mut text));
            for note in &run.notes {
                let _ = writeln!(text, "  note: {note}");
            }
        }
    }
    text
}

fn tell_head(run: &Again, text: &mut String) {
    let simulated = if run.simulated { " (SIMULATED)" } else { "" };
    let serial = run.serial.as_deref().unwrap_or("no serial number");
    let (before, after) = (word(&run.verdicts.before), word(&run.verdicts.after));
    let _ = writeln!(
        text,
        "  {}: {before} -> {after}{simulated}, {}, {} then",
        plain(&run.run),
        plain(serial),
        plain(&run.profile)
    );
}

/// A limit whose judgement changes, on any part.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Otherwise<'a> {
    step: &'a str,
    measurement: &'a str,
    limits: [Option<&'a str>; 2],
    judged: [&'static str; 2],
}

/// Writes each limit whose judgement changes, with the number of values and runs.
fn tell_limits(runs: &[Again], text: &mut String) {
    let mut counts: BTreeMap<Otherwise<'_>, (usize, BTreeSet<&str>)> = BTreeMap::new();
    for run in runs {
        for (change, value) in
            run.changes.iter().flat_map(|change| change.values.iter().map(move |value| (change, value)))
        {
            let judged = [judged(value.before.as_ref()), judged(value.after.as_ref())];
            if judged[0] == judged[1] {
                continue;
            }
            let limits = [value.limit_before.as_deref(), value.limit_after.as_deref()];
            let key = Otherwise { step: &change.step, measurement: &value.measurement, limits, judged };
            let (values, of) = counts.entry(key).or_default();
            *values += 1;
            of.insert(&run.run);
        }
    }
    if counts.is_empty() {
        return;
    }
    text.push_str("\nLimits that judge otherwise:\n");
    let mut rows: Vec<_> = counts.into_iter().collect();
    rows.sort_by_key(|(_, (_, runs))| std::cmp::Reverse(runs.len()));
    for (key, (values, runs)) in rows {
        let [before, after] = key.limits.map(|limit| limit.unwrap_or("no limit"));
        let limit = if before == after { before.to_owned() } else { format!("{before} -> {after}") };
        let [was, is] = key.judged;
        let (step, measurement, runs) = (key.step, key.measurement, runs.len());
        let _ = writeln!(text, "  {step} {measurement}  {limit}: {was} -> {is}, {values} values of {runs} runs");
    }
}

fn tell_change(change: &Change, text: &mut String) {
    let shown = |outcome: Option<Outcome>| outcome.map_or("-", Outcome::shown);
    let _ = writeln!(
        text,
        "  {}[{}] round {}: {} -> {}",
        change.step,
        change.component,
        change.round,
        shown(change.before),
        shown(change.after)
    );
    for value in &change.values {
        let limit = |limit: &Option<String>| limit.clone().unwrap_or_else(|| "no limit".to_owned());
        let _ = writeln!(
            text,
            "    {}[{}] {}: {} ({}) -> {} ({})",
            value.measurement,
            value.component,
            plain(&report::shown(Language::English, &value.value)),
            limit(&value.limit_before),
            judged(value.before.as_ref()),
            limit(&value.limit_after),
            judged(value.after.as_ref())
        );
    }
}

/// Returns the word for a judgement.
pub(super) const fn judged(outcome: Option<&Judged>) -> &'static str {
    match outcome {
        None => "none",
        Some(Judged::Pass) => "pass",
        Some(Judged::Marginal) => "marginal",
        Some(Judged::Outlier) => "outlier",
        Some(Judged::Fail) => "fail",
        Some(Judged::Unjudged(_)) => "not judged",
    }
}
