//! What a shorter profile would lose, on the terminal, with the arithmetic shown.

use std::fmt::Write as _;

use super::shortening::{Cheapest, IntermittentFault, Lost, Shortening, SoakCut, StepValue};
use super::text::{coverage_words, percent, shown, table};

/// The number of lost faults that are named; the others are only counted.
const LOST_TOLD: usize = 4;

pub(super) fn shortening_text(shortening: &Shortening) -> String {
    let mut text = format!(
        "\nShorter: with the whole profile and every step run, {} in {} a run\n",
        coverage_words(&shortening.base),
        shown(shortening.run_s)
    );
    text.push_str(&steps(&shortening.steps));
    for cut in &shortening.cuts {
        text.push_str(&soak_cut(cut));
    }
    if let Some(cheapest) = &shortening.cheapest {
        text.push_str(&cheapest_text(cheapest, shortening.run_s));
    }
    if let Some(intermittent) = &shortening.intermittent {
        text.push_str(&intermittent_text(intermittent));
    }
    text
}

fn steps(values: &[StepValue]) -> String {
    let row = |value: &StepValue| {
        let lost = if value.lost.is_empty() { "nothing".to_owned() } else { lost(&value.lost) };
        vec![
            value.step.clone(),
            shown(value.step_s),
            value.first.to_string(),
            value.only.to_string(),
            format!("{}/{}", value.without.caught, value.without.tried),
            value.run_again.to_string(),
            lost,
        ]
    };
    let rows: Vec<Vec<String>> = values.iter().map(row).collect();
    let heading = ["step", "takes", "first", "alone", "without it", "run again", "lost without it"];
    format!(
        "{}first, alone: runs the step was the first, or the only one, to prove. Runs not made again follow from which steps\n\
         proved what, taking steps to be independent of one another.\n",
        table(&heading, &rows)
    )
}

/// `cold-plate-loose (20 to 12 of 20), ...`.
fn lost(lost: &[Lost]) -> String {
    let told: Vec<String> = lost
        .iter()
        .take(LOST_TOLD)
        .map(|lost| format!("{} ({} to {} of {})", lost.fault, lost.caught, lost.still_caught, lost.tried))
        .collect();
    let rest = lost.len().saturating_sub(LOST_TOLD);
    if rest > 0 { format!("{} and {rest} more", told.join(", ")) } else { told.join(", ") }
}

fn soak_cut(cut: &SoakCut) -> String {
    let lost = if cut.lost.is_empty() { "nothing is lost".to_owned() } else { format!("lost: {}", lost(&cut.lost)) };
    format!(
        "\n{} at {} of its window ({}): {}; {lost} ({} runs made again)\n",
        cut.step,
        percent(cut.share),
        shown(cut.window_s),
        coverage_words(&cut.coverage),
        cut.run_again
    )
}

fn cheapest_text(cheapest: &Cheapest, before_s: f64) -> String {
    let dropped = if cheapest.dropped.is_empty() {
        "no step that takes time can go".to_owned()
    } else {
        format!("without {}", cheapest.dropped.join(", "))
    };
    let lost =
        if cheapest.lost.is_empty() { "nothing is lost".to_owned() } else { format!("lost: {}", lost(&cheapest.lost)) };
    format!(
        "\nThe cheapest that keeps the coverage: {dropped}; {} instead of {}: {}; {lost} ({} runs made again to check)\n",
        shown(cheapest.run_s),
        shown(before_s),
        coverage_words(&cheapest.coverage),
        cheapest.run_again
    )
}

fn intermittent_text(intermittent: &IntermittentFault) -> String {
    let window = shown(intermittent.window_s);
    let mut text = format!(
        "\nFaults that come and go, in the window T = {window} of {}:\n\
         \x20 at a fixed period N with a random start: P(none in T) = max(0, 1 - T/N); every N up to {window} shows\n\
         \x20 at random, every N on average: P(none in T) = exp(-T/N); N up to T / ln 20 = {} shows with 95 %\n",
        intermittent.step,
        shown(intermittent.likely_s)
    );
    let row = |row: &super::shortening::Odds| {
        vec![shown(row.period_s), percent(row.none_fixed), percent(row.none_random), shown(row.needed_s)]
    };
    let rows: Vec<Vec<String>> = intermittent.rows.iter().map(row).collect();
    for line in table(&["N", "P(none), fixed", "P(none), random", "T for 95 %"], &rows).lines() {
        let _ = writeln!(text, "  {line}");
    }
    text
}
