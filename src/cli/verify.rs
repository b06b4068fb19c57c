//! `kiln verify`: whether a sealed run, or a unit's papers with all its runs, is what was sealed.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use serde_json::json;

use super::args_lot::VerifyArgs;
use super::command_error::{CommandError, Sorted as _};
use super::exit_code::Exit;
use super::printer;
use crate::disk;
use crate::event::{RunRecord, concluded};
use crate::journal;
use crate::report::plain;
use crate::seal::{self, PaperDecision, Papers, PublicKey, SealError, Verified, seal_digest};

/// `kiln verify RUN --key PUB`, `kiln verify PAPERS --key PUB --floor-key PUB`.
pub(super) fn verify(args: &VerifyArgs) -> Result<Exit, CommandError> {
    let key = PublicKey::read(&args.key)?;
    if let Some(floor_key) = &args.floor_key {
        return papers(&args.run, &key, &PublicKey::read(floor_key)?);
    }
    let found = seal::verify(&args.run, &key, || record(&args.run));
    if args.json {
        return tell_json(found);
    }
    let verified = found?.no_claim()?;
    printer::result(&text(&verified)).no_claim()?;
    Ok(Exit::Pass)
}

fn record(run: &Path) -> anyhow::Result<RunRecord> {
    let record = RunRecord::of(&journal::read(run)?.events);
    concluded(&record)?;
    Ok(record)
}

/// A unit's papers: the floor's signature, and under it every run with its agent's seal.
fn papers(folder: &Path, key: &PublicKey, floor_key: &PublicKey) -> Result<Exit, CommandError> {
    let path = folder.join("papers.json");
    let bytes = disk::read(&path, 64 * disk::MIB).with_context(|| format!("{} cannot be read", path.display()));
    let papers = Papers::verified(&bytes.no_claim()?, floor_key).no_claim()?;
    let mut out = told(&papers);
    for named in &papers.runs {
        // The name comes from a signed paper, and still must not lead out of the folder.
        let id: kiln_wire::RunId = named.run.parse().no_claim()?;
        let run = folder.join("runs").join(id.as_str());
        let verified = seal::verify(&run, key, || record(&run))?.no_claim()?;
        papers.name(&verified.run_id, &seal_digest(&run).no_claim()?).no_claim()?;
        let of_unit = verified.serials.values().any(|serial| *serial == papers.unit);
        if !of_unit {
            let run = verified.run_id;
            return Err(CommandError::NoClaim(anyhow!("run {run} says nothing of a unit {}", papers.unit)));
        }
        let simulated = if verified.simulated { " (SIMULATED: not of a real unit)" } else { "" };
        let _ = writeln!(out, "run {}: {} by {}{simulated}", verified.run_id, named.verdict, verified.key);
    }
    printer::result(&out).no_claim()?;
    Ok(Exit::Pass)
}

/// What the floor vouches for, and what people decided about the unit on the way there.
fn told(papers: &Papers) -> String {
    let mut out = format!(
        "the papers of unit {} hold: {} by {} on floor {} (event {}, chain {})\nslot: {}\n",
        papers.unit,
        papers.disposition,
        papers.by.join(" and "),
        papers.floor,
        papers.event,
        papers.chain,
        papers.slot.as_deref().unwrap_or("none"),
    );
    for PaperDecision { event, what, by, why, outlier, .. } in &papers.decisions {
        let by = by.join(" and ");
        let held = outlier.as_ref().map(|run| format!(", an outlier of its lot in run {run}")).unwrap_or_default();
        // Reasons are what people typed: no control characters of theirs reach a terminal.
        let _ = writeln!(out, "decided: {what}{held}, by {by}: {} (event {event})", plain(why));
    }
    out
}

fn text(verified: &Verified) -> String {
    let simulated = if verified.simulated { " (SIMULATED: not of a real unit)" } else { "" };
    let serials: Vec<String> =
        verified.serials.iter().map(|(component, serial)| format!("{component} {serial}")).collect();
    format!(
        "everything is what was sealed on {} by {}\nrun {}: {}{simulated}\nunit: {}\nfiles: {}\n",
        verified.sealed_at,
        verified.key,
        verified.run_id,
        verified.verdict.word.shown(),
        serials.join(", "),
        verified.files.join(", ")
    )
}

fn tell_json(found: Result<anyhow::Result<Verified>, SealError>) -> Result<Exit, CommandError> {
    let (sound, document) = match found {
        Ok(Ok(verified)) => (
            true,
            json!({
                "schema": "kiln.verify/1",
                "sound": true,
                "run_id": verified.run_id,
                "verdict": verified.verdict,
                "simulated": verified.simulated,
                "sealed_at": verified.sealed_at,
                "serials": verified.serials,
                "journal_root": verified.journal_root,
                "files": verified.files,
                "key": verified.key,
            }),
        ),
        Ok(Err(error)) => (false, json!({"schema": "kiln.verify/1", "sound": false, "what": error.to_string()})),
        Err(error) => {
            let file = if let SealError::Altered(altered) = &error { Some(altered.file.clone()) } else { None };
            (false, json!({"schema": "kiln.verify/1", "sound": false, "file": file, "what": error.to_string()}))
        }
    };
    printer::json(&document).no_claim()?;
    Ok(if sound { Exit::Pass } else { Exit::NoClaim })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn papers_say_who_released_an_outlier_and_why() {
        let decision = |event: u64, what: &str, why: &str, outlier: Option<&str>| PaperDecision {
            event,
            at: 9,
            what: what.to_owned(),
            by: vec!["sato".to_owned(), "mori".to_owned()],
            why: why.to_owned(),
            outlier: outlier.map(str::to_owned),
        };
        let papers = Papers {
            schema: String::new(),
            floor: "Hall 2".to_owned(),
            unit: "SRV1".to_owned(),
            slot: None,
            lot: None,
            disposition: "released".to_owned(),
            by: vec!["mori".to_owned(), "sato".to_owned()],
            why: Some("two batches".to_owned()),
            event: 9,
            at: 9,
            chain: "ab".to_owned(),
            runs: Vec::new(),
            decisions: vec![
                decision(7, "next-stop", "two batches", Some("run-1")),
                decision(9, "released", "looked\u{1b}[2J", None),
            ],
        };
        let said = told(&papers);
        for line in [
            "decided: next-stop, an outlier of its lot in run run-1, by sato and mori: two batches (event 7)\n",
            "decided: released, by sato and mori: looked",
        ] {
            assert!(said.contains(line), "{said}");
        }
        assert!(!said.contains('\u{1b}'), "{said:?}");
    }
}
