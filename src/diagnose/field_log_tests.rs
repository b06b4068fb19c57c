//! Kernel logs of the forms that people published (`fixtures/kernel-log`), each with what a run makes of it: the verdict under the
//! limits of the base profile, and what is found on which part. The numbers are invented.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use super::tests::{found, node, records};
use crate::{Charge, CodeCharge, KernelEvent, Places, charges, kernel_events};
use kiln_model::{Component, GpuIndex};

/// One log: its name, what it is to come to, its lines.
struct Log {
    name: String,
    expected: String,
    lines: Vec<String>,
}

/// Logs begin with `== name: what it comes to`. Lines of one record are joined by `\\n`, as nothing else is written so.
fn logs() -> Vec<Log> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/kernel-log/field.txt");
    let text = fs::read_to_string(path).expect("the logs");
    let mut logs: Vec<Log> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        if let Some(head) = line.strip_prefix("== ") {
            let (name, expected) = head.split_once(": ").unwrap_or((head, ""));
            logs.push(Log { name: name.to_owned(), expected: expected.to_owned(), lines: Vec::new() });
        } else if let Some(log) = logs.last_mut() {
            log.lines.push(line.replace("\\n", "\n"));
        }
    }
    logs
}

/// What is counted above its limit, with the part it is counted for, and whether that is proof.
fn missed(events: &[KernelEvent], charges: &[Charge]) -> Vec<(&'static str, Component, bool)> {
    let (mut missed, node) = (Vec::new(), Component::Node);
    let sum = |of: &dyn Fn(&Charge) -> bool| {
        events.iter().zip(charges).filter(|(_, charge)| of(charge)).map(|(event, _)| event.count).sum::<u64>()
    };
    for charge in charges {
        missed.extend(match *charge {
            Charge::Xid { gpu, how, .. } => {
                let on = Component::Gpu(gpu);
                match how {
                    CodeCharge::Failing => Some(("xid.failing", on, true)),
                    CodeCharge::Suspect => Some(("xid.suspect", on, false)),
                    CodeCharge::Own => Some(("xid.own", on, false)),
                    CodeCharge::Foreign | CodeCharge::Other => None,
                }
            }
            Charge::Sxid { how: CodeCharge::Failing, .. } => Some(("sxid.failing", node, true)),
            Charge::Sxid { how: CodeCharge::Suspect, .. } => Some(("sxid.suspect", node, false)),
            Charge::OffBus(gpu) => Some(("off-bus", Component::Gpu(gpu), true)),
            Charge::GpuPcie { gpu, corrected: false } => Some(("aer.uncorrected", Component::Gpu(gpu), true)),
            Charge::HostPcie { corrected: false } => Some(("pcie.uncorrected", node, true)),
            Charge::Hardware => Some(("hardware", node, true)),
            Charge::HardwareSuspect(_) => Some(("hardware.suspect", node, false)),
            Charge::Boot => Some(("boots", node, true)),
            Charge::Unplaced => Some(("unplaced", node, true)),
            _ => None,
        });
    }
    for gpu in [0, 1].map(GpuIndex) {
        if sum(&|charge| *charge == Charge::GpuPcie { gpu, corrected: true }) > 15 {
            missed.push(("aer.corrected.rate", Component::Gpu(gpu), true));
        }
    }
    if sum(&|charge| *charge == Charge::HostPcie { corrected: true }) > 15 {
        missed.push(("pcie.corrected.rate", node, true));
    }
    if sum(&|charge| *charge == Charge::Corrected) > 10 {
        missed.push(("edac.corrected.rate", node, true));
    }
    missed
}

/// What a run makes of a log, on one line.
fn told(lines: &[&str]) -> String {
    let events = kernel_events(&records(lines));
    let inventory = node();
    let charges = charges(&events, &Places::of(&inventory, &events));
    let missed = missed(&events, &charges);
    let verdict = match missed.iter().map(|(.., proof)| *proof).max() {
        Some(true) => "FAIL",
        Some(false) => "INCONCLUSIVE",
        None => "PASS",
    };
    let limits: Vec<_> = missed.iter().map(|(name, on, _)| (*name, *on)).collect();
    let mut text = verdict.to_owned();
    for finding in found(lines, &limits) {
        let _ = write!(text, "; {} {} {:?}", finding.code, finding.component, finding.action);
        let part = finding.cause.en.rsplit_once(". ").map(|(_, remark)| remark.trim_end_matches('.'));
        if let Some(remark) =
            part.filter(|part| ["Memory", "Drive", "Processor"].iter().any(|word| part.starts_with(word)))
        {
            let _ = write!(text, " ({remark})");
        } else if finding.component.gpu_index().is_none()
            && let Some(address) = &finding.pci_address
        {
            let _ = write!(text, " ({address})");
        }
    }
    text
}

#[test]
fn every_published_form_of_a_log_comes_to_what_it_proves_and_names_the_part() {
    let logs = logs();
    assert!(logs.len() > 100, "{} logs", logs.len());
    let mut wrong = String::new();
    for log in &logs {
        let lines: Vec<&str> = log.lines.iter().map(String::as_str).collect();
        let told = told(&lines);
        if told != log.expected {
            let _ = writeln!(wrong, "== {}: {told}\n   and not {}", log.name, log.expected);
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
