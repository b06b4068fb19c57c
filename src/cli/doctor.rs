//! `kiln doctor`: whether this machine is ready for a run, line by line, with what to do.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use super::args::DoctorArgs;
use super::command_error::{CommandError, Sorted as _};
use super::exit_code::Exit;
use super::{cuda_look, doctor_judged, hardware, printer, skus};
use crate::load::cuda::Closeness;
use crate::node::doctor::{Advice, DoctorOptions, Readiness, advise, collect_facts};

/// One line as JSON.
#[derive(Debug, Serialize)]
struct Line<'a> {
    readiness: &'static str,
    subject: &'a str,
    finding: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    action: &'a str,
}

impl<'a> From<&'a Advice> for Line<'a> {
    fn from(advice: &'a Advice) -> Self {
        let Advice { readiness, subject, finding, action } = advice;
        Self { readiness: word(*readiness), subject, finding, action }
    }
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: &'static str,
    ready: bool,
    lines: Vec<Line<'a>>,
}

/// `kiln doctor [--gpu] [--json]`.
pub(super) fn doctor(args: &DoctorArgs) -> Result<Exit, CommandError> {
    let options = DoctorOptions {
        nvml: hardware::options(&args.hardware),
        out: args.out.clone().unwrap_or_else(|| PathBuf::from("runs")),
        skus: skus::known()?,
    };
    let closeness = if args.gpu { Closeness::Compute } else { Closeness::Load };
    let mut facts = collect_facts(&options, |inventory| cuda_look::ask(inventory, closeness));
    if let Some(inventory) = &facts.inventory {
        facts.planned = doctor_judged::planned(inventory, &options.skus)?;
        facts.identified = doctor_judged::identified(args, &options.skus)?;
    }
    let advice = advise(&facts);
    let ready = advice.iter().all(|line| line.readiness != Readiness::Bad);
    let text = if args.json { json(&advice, ready)? } else { text(&advice, ready) };
    printer::result(&text).no_claim()?;
    Ok(if ready { Exit::Pass } else { Exit::NoClaim })
}

const fn word(readiness: Readiness) -> &'static str {
    match readiness {
        Readiness::Good => "good",
        Readiness::Warning => "warning",
        Readiness::Bad => "bad",
    }
}

fn json(advice: &[Advice], ready: bool) -> Result<String, CommandError> {
    let lines = advice.iter().map(Line::from).collect();
    serde_json::to_string_pretty(&Document { schema: "kiln.doctor/1", ready, lines }).no_claim()
}

fn text(advice: &[Advice], ready: bool) -> String {
    let mut text = String::new();
    let width = advice.iter().map(|line| line.subject.len()).max().unwrap_or(0);
    for line in advice {
        let _ = writeln!(text, "{:<7}  {:<width$}  {}", word(line.readiness), line.subject, line.finding);
        if !line.action.is_empty() {
            let _ = writeln!(text, "{:<7}  {:<width$}  -> {}", "", "", line.action);
        }
    }
    text.push_str(if ready { "ready\n" } else { "not ready\n" });
    text
}
