//! `kiln explain`: what finding codes, Xids and `SXids` mean and what to do about them.
//!
//! The tables of Xids are written in English alone, as NVIDIA's own catalogue is.

use std::fmt::Write as _;

use anyhow::anyhow;
use serde_json::json;

use super::args::Listed;
use super::command_error::{CommandError, Sorted as _};
use super::exit_code::Exit;
use super::printer;
use crate::diagnose::{self, BurnIn, Declared, FactoryAction, SxidRow, SxidSeverity, XidRow, XidSeverity};
use crate::model::ComponentKind;
use crate::report::Language;

pub(super) const fn said(words: diagnose::Words, language: Language) -> &'static str {
    match language {
        Language::English => words.en,
        Language::Japanese => words.ja,
    }
}

/// `kiln explain [CODE] [--json]`.
pub(super) fn explain(words: &[String], json: bool, language: Language) -> Result<Exit, CommandError> {
    let text = words.join(" ");
    if text.is_empty() {
        return super::list::list(Listed::Findings, json, language);
    }
    if text.to_ascii_lowercase().trim_start_matches('s').starts_with("xid") && matches!(asked(&text), Asked::Finding(_))
    {
        return Err(CommandError::Usage(anyhow!("`{text}` names no Xid; write one number, such as `xid 79`")));
    }
    let (text, value) = match asked(&text) {
        Asked::Xid(code) => {
            let row = diagnose::xid(code).ok_or_else(|| unknown_number("Xid", code)).usage()?;
            (
                xid_text(row),
                json!({ "xid": code, "name": row.name, "meaning": row.meaning,
                "component": row.component.word(), "burn_in": burn_in_words(row.burn_in),
                "by_text": decided_by_text(row), "action": row.factory.action(), "followers": row.followers }),
            )
        }
        Asked::Sxid(code) => {
            let row = diagnose::sxid(code).ok_or_else(|| unknown_number("SXid", code)).usage()?;
            (
                sxid_text(row),
                json!({ "sxid": code, "name": row.name, "component": row.component.word(),
                "burn_in": burn_in_words(row.burn_in), "action": row.factory.action() }),
            )
        }
        Asked::Finding(code) => {
            let entry = diagnose::entry(code).ok_or_else(|| {
                let hint = crate::yaml::did_you_mean(code, diagnose::entries().iter().map(|entry| entry.code));
                let hint =
                    hint.unwrap_or_else(|| "`kiln list findings` lists them all, and an Xid is a number".to_owned());
                anyhow!("there is no finding code `{code}`; {hint}")
            });
            let entry = entry.usage()?;
            (
                tell(entry, language),
                json!({ "code": entry.code, "title": said(entry.title, language),
                "cause": said(entry.cause, language), "details": entry.details, "action": entry.action,
                "references": entry.references }),
            )
        }
    };
    if json {
        printer::json(&value).no_claim()?;
    } else {
        printer::result(&text).no_claim()?;
    }
    Ok(Exit::Pass)
}

/// What is to be explained.
enum Asked<'a> {
    Finding(&'a str),
    Xid(u32),
    Sxid(u32),
}

/// Reads `79`, `xid 79`, `XID-79`, `sxid:12028`; anything else is a finding code.
fn asked(text: &str) -> Asked<'_> {
    let lower = text.to_ascii_lowercase();
    let number = |rest: &str| rest.trim_start_matches([' ', '-', ':', '_', '=']).parse().ok();
    let sxid = lower.strip_prefix("sxid").and_then(number);
    let xid = lower.strip_prefix("xid").and_then(number).or_else(|| lower.parse().ok());
    sxid.map(Asked::Sxid).or(xid.map(Asked::Xid)).unwrap_or(Asked::Finding(text))
}

fn unknown_number(what: &str, code: u32) -> anyhow::Error {
    anyhow!("{what} {code} is not in the table of this version; in a run it is treated as suspect")
}

const fn burn_in_words(burn_in: BurnIn) -> &'static str {
    match burn_in {
        BurnIn::Tolerated => "tolerated",
        BurnIn::Counts => "counted",
        BurnIn::Suspect => "suspect",
        BurnIn::Fails => "fails",
    }
}

/// What a code does to a verdict, as a sentence.
const fn in_a_run(burn_in: BurnIn) -> &'static str {
    match burn_in {
        BurnIn::Tolerated => "no bearing on the unit",
        BurnIn::Counts => "one is harmless by itself; how many there are is held against a limit",
        BurnIn::Suspect => "no proof, but the unit does not pass: INCONCLUSIVE",
        BurnIn::Fails => "proof against the unit: FAIL",
    }
}

fn numbered(title: &str, burn_in: BurnIn, component: ComponentKind, factory: FactoryAction) -> String {
    let action = factory.action().map_or("none for the code alone", |action| diagnose::action_words(action).en);
    let (part, verdict) = (component.word(), in_a_run(burn_in));
    format!("{title}\n\nPoints at: {part}\nIn a run: {verdict}\nWhat to do: {action}\n")
}

/// What lines with this code come to where it stands for events of several kinds.
fn decided_by_text(row: &XidRow) -> Option<String> {
    let of = |declared| in_a_run(row.burn_in_when(Some(declared)));
    if row.severity == XidSeverity::NeedsSubcode {
        return Some(format!(
            "with the word `Fatal` it is {}; with `Nonfatal`, {}",
            of(Declared::Fatal),
            of(Declared::NonFatal)
        ));
    }
    (row.code == 74).then(|| {
        "with bits 0, 23 and 30 of its first register alone it has no bearing on the unit, with 1 or 20 beside them it is \
         INCONCLUSIVE"
            .to_owned()
    })
}

fn xid_text(row: &XidRow) -> String {
    let title = format!("Xid {}: {}\n\n{}", row.code, row.name, row.meaning);
    let mut text = numbered(&title, row.burn_in, row.component, row.factory);
    if let Some(of_text) = decided_by_text(row) {
        let _ = writeln!(text, "By the text of its line: {of_text}");
    }
    if !row.followers.is_empty() {
        let codes: Vec<String> = row.followers.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "Often followed, on the same GPU, by: {}", codes.join(", "));
    }
    text.push_str("See https://docs.nvidia.com/deploy/xid-errors/\n");
    text
}

fn sxid_text(row: &SxidRow) -> String {
    let mut text = numbered(&format!("SXid {}: {}", row.code, row.name), row.burn_in, row.component, row.factory);
    if row.severity == SxidSeverity::NonFatal {
        let _ = writeln!(text, "By the text of its line: with the word `Fatal` it is {}", in_a_run(BurnIn::Fails));
    }
    text
}

/// `kiln explain --page`.
pub(super) fn explain_page() -> Result<Exit, CommandError> {
    printer::result(&diagnose::codes_page()).no_claim()?;
    Ok(Exit::Pass)
}

/// Details are for engineers and in English alone.
fn tell(entry: &diagnose::Entry, language: Language) -> String {
    let (title, cause) = (said(entry.title, language), said(entry.cause, language));
    let mut text = format!("{}: {title}\n\n{cause}\n\n{}\n", entry.code, entry.details);
    let label = match language {
        Language::English => "What to do",
        Language::Japanese => "処置",
    };
    let _ = write!(text, "\n{label}: {}\n", said(diagnose::action_words(entry.action), language));
    for reference in entry.references {
        let _ = writeln!(text, "See {reference}");
    }
    text
}
