//! What a floor's file says about power cycles of nodes that hang.

use std::time::Duration;

use kiln_yaml::{Diagnostic, Diagnostics, Fields, Node};

use super::file::span;
use super::power_cycle::{CycleRules, OrderedBy};

/// How long a node must be silent where the file does not say it.
const AFTER: Duration = Duration::from_secs(10 * 60);
/// A person may be asked as soon as a few calls are missing.
const ASKED_WITHIN: std::ops::RangeInclusive<Duration> = Duration::from_secs(10)..=LONGEST;
/// An agent that found the floor away calls again within a minute: a rule that waited less would switch off nodes that work.
const RULED_WITHIN: std::ops::RangeInclusive<Duration> = Duration::from_secs(120)..=LONGEST;
/// Who has waited a day has looked.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// How long a node may need to come back where the file does not say it: servers with eight GPUs and much memory boot for minutes.
const BACK: Duration = Duration::from_secs(15 * 60);
/// Shorter, and it would be switched off again while it boots.
const BACK_WITHIN: std::ops::RangeInclusive<Duration> = Duration::from_secs(120)..=LONGEST;
const TRIES: u32 = 5;
/// More switch a part on and off that somebody should have looked at.
const MOST_TRIES: u32 = 10;
const BMC: &str = "{bmc}";

pub(super) fn power_cycle(node: &Node, any_bmc: bool, all: &mut Diagnostics) -> Option<CycleRules> {
    let mut fields = Fields::of(node, "`power-cycle`", all)?;
    let program = fields.required("program", all).and_then(|node| program(node, all));
    let words = [("person", OrderedBy::Person), ("rule", OrderedBy::Rule)];
    let by = fields.optional("by", all).and_then(|node| node.one_of("who orders a power cycle", &words, all));
    let by = by.unwrap_or(OrderedBy::Person);
    let asked = fields.optional("after", all);
    let after = match by {
        OrderedBy::Person => {
            time(asked, AFTER, &ASKED_WITHIN, "`after` lies between 10s and 24h where a person orders", all)
        }
        OrderedBy::Rule => {
            time(asked, AFTER, &RULED_WITHIN, "`after` lies between 2m and 24h where a rule orders", all)
        }
    };
    let back = time(fields.optional("back", all), BACK, &BACK_WITHIN, "`back` lies between 2m and 24h", all);
    let tries = fields.optional("tries", all).and_then(|node| {
        let tries = node.whole::<u32>(all)?;
        if !(1..=MOST_TRIES).contains(&tries) {
            all.push(Diagnostic::new(&node.place, format!("`tries` lies between 1 and {MOST_TRIES}")));
        }
        Some(tries)
    });
    fields.finish(all);
    if !any_bmc {
        let message = "no slot has a BMC that could be asked";
        all.push(Diagnostic::new(&node.place, message).help("add for example `bmc: { \"01\": 10.0.1.1 }` to a rack"));
    }
    Some(CycleRules { program: program?, after: after?, by, back: back?, tries: tries.unwrap_or(TRIES) })
}

fn time(
    node: Option<&Node>,
    usual: Duration,
    within: &std::ops::RangeInclusive<Duration>,
    otherwise: &str,
    all: &mut Diagnostics,
) -> Option<Duration> {
    let Some(node) = node else { return Some(usual) };
    let time = span(node, all)?;
    if !within.contains(&time) {
        all.push(Diagnostic::new(&node.place, otherwise));
    }
    Some(time)
}

/// A program and its arguments with spaces between.
fn program(node: &Node, all: &mut Diagnostics) -> Option<Vec<String>> {
    let words: Vec<String> = node.text(all)?.split_whitespace().map(str::to_owned).collect();
    let arguments = words.get(1..).unwrap_or_default();
    let help = "write a program and its arguments, such as `ipmitool -I lanplus -H {bmc} chassis power cycle`; no shell reads it";
    if !arguments.iter().any(|word| word.contains(BMC)) {
        all.push(Diagnostic::new(&node.place, "no argument says which BMC is meant by `{bmc}`").help(help));
    }
    if let Some(other) = words.iter().find(|word| word.replace(BMC, "").contains(['{', '}'])) {
        let message = format!("`{other}` has a brace, and only `{BMC}` stands for something");
        all.push(Diagnostic::new(&node.place, message).help(help));
    }
    Some(words)
}
