//! Healthy nodes pass: parts differ from one another as real ones do, and no profile takes spread for a fault.

use kiln::event::VerdictWord;

use crate::trial::Trial;

const NODES: [&str; 7] =
    ["hgx-h100-8", "hgx-h200-8", "hgx-h200-8-liquid", "hgx-b200-8", "gb200-tray-4", "pcie-l40s-8", "hgx-a100-8"];

/// More than 200 runs in all.
const SEEDS: std::ops::Range<u64> = 1..34;

fn passes(trial: &Trial, node: &str, seed: u64) {
    let tried = trial.run(node, seed, None);
    let word = tried.record.verdict.as_ref().map(|verdict| verdict.word);
    assert_eq!(word, Some(VerdictWord::Pass), "{node} seed {seed}:\n{}", tried.blemishes());
    assert_eq!(tried.record.findings, [], "{node} seed {seed}");
}

#[test]
fn acceptance_raises_no_false_alarm() {
    let trial = Trial::of("acceptance");
    std::thread::scope(|scope| {
        for node in NODES {
            let trial = &trial;
            scope.spawn(move || SEEDS.for_each(|seed| passes(trial, node, seed)));
        }
    });
}

#[test]
fn smoke_and_interconnect_pass_on_every_node() {
    for profile in ["smoke", "interconnect"] {
        let trial = Trial::of(profile);
        for node in NODES {
            (1..4).for_each(|seed| passes(&trial, node, seed));
        }
    }
}

#[test]
fn a_day_of_burn_in_passes() {
    passes(&Trial::of("burnin-24h"), "hgx-h200-8", 1);
}

#[test]
fn the_same_seed_is_the_same_run() {
    let trial = Trial::of("smoke");
    let (one, two) = (
        trial.run("hgx-h200-8", 7, Some("cold-plate-loose@gpu/3")),
        trial.run("hgx-h200-8", 7, Some("cold-plate-loose@gpu/3")),
    );
    assert_eq!(one.record, two.record);
    assert_ne!(one.record, trial.run("hgx-h200-8", 8, Some("cold-plate-loose@gpu/3")).record);
}
