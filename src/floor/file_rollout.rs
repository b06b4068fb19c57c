//! What a floor's file says about the program that agents should be.

use std::collections::BTreeSet;
use std::time::Duration;

use kiln_wire::{Digest, Serial};
use kiln_yaml::{Diagnostic, Diagnostics, Fields, Node};

use super::file::span;
use super::rollout::{Proof, RolloutRules, Wave};

/// How long an agent may take to come back where the file does not say it: a program of some 20 MB over a line of 1 Mbit/s, and
/// as long again for its way back.
const BACK: Duration = Duration::from_secs(15 * 60);
/// Shorter, and an agent that calls every minute could not be back; longer than a day, and nobody would look any more.
const BACK_WITHIN: std::ops::RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(24 * 3600);
const DIGEST_HELP: &str = "write `sha256:` and the 64 digits that `sha256sum` gives for the program";

pub(super) fn rollout(node: &Node, golden: &BTreeSet<Serial>, all: &mut Diagnostics) -> Option<RolloutRules> {
    let mut fields = Fields::of(node, "`agents`", all)?;
    let program = fields.required("program", all).and_then(|node| digest(node, all));
    let waves = fields.optional("waves", all).map(|node| waves(node, all));
    let back = fields.optional("back", all).and_then(|node| {
        let back = span(node, all)?;
        if !BACK_WITHIN.contains(&back) {
            all.push(Diagnostic::new(&node.place, "`back` lies between 10s and 24h"));
        }
        Some(back)
    });
    let usual = if golden.is_empty() { Proof::Back } else { Proof::Golden };
    let proof = fields.optional("proof", all).and_then(|node| {
        let proof = node.one_of("a proof", &[("back", Proof::Back), ("golden", Proof::Golden)], all)?;
        if proof == Proof::Golden && golden.is_empty() {
            let message = "no golden unit is named that could prove the program";
            all.push(Diagnostic::new(&node.place, message).help("add `golden: [SERIAL]` to the file, or write `back`"));
        }
        Some(proof)
    });
    fields.finish(all);
    Some(RolloutRules {
        program: program?,
        waves: waves.unwrap_or_else(|| vec![Wave::Agents(1), Wave::Agents(10), Wave::Rest]),
        back: back.unwrap_or(BACK),
        proof: proof.unwrap_or(usual),
        size: 0,
        signature: None,
    })
}

/// Nothing but a whole digest pins a program.
fn digest(node: &Node, all: &mut Diagnostics) -> Option<Digest> {
    let text = node.text(all)?;
    let digits = text.strip_prefix("sha256:").unwrap_or_default();
    let whole = digits.len() == 64 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if !whole {
        all.push(Diagnostic::new(&node.place, format!("`{text}` is no digest of a program")).help(DIGEST_HELP));
        return None;
    }
    text.parse().ok()
}

fn waves(node: &Node, all: &mut Diagnostics) -> Vec<Wave> {
    let elements = node.list("waves", all).unwrap_or_default();
    let waves: Vec<Wave> = elements.iter().filter_map(|node| wave(node, all)).collect();
    let last = waves.iter().position(|wave| *wave == Wave::Rest).map(|at| at + 1);
    let misplaced = waves.len() == elements.len() && last != Some(waves.len());
    if misplaced {
        let message = "the last wave is `all`, and no other one is";
        all.push(Diagnostic::new(&node.place, message).help("write for example `waves: [1, 10 %, all]`"));
    }
    waves
}

fn wave(node: &Node, all: &mut Diagnostics) -> Option<Wave> {
    let text = node.text(all)?;
    let number = |text: &str| text.trim().parse::<u32>().ok().filter(|number| (1..=100_000).contains(number));
    let wave = match text.strip_suffix('%') {
        _ if text == "all" => Some(Wave::Rest),
        Some(percent) => number(percent).filter(|percent| *percent <= 100).map(Wave::Percent),
        None => number(text).map(Wave::Agents),
    };
    if wave.is_none() {
        let message = format!("`{text}` is no wave");
        all.push(
            Diagnostic::new(&node.place, message).help("write a number of agents, a share such as `10 %`, or `all`"),
        );
    }
    wave
}
