//! The nearest right name to a wrong one, for messages.

/// The candidate a person most likely meant by `word`, if any is near enough.
///
/// Near enough: the same but for case and separators, or within one edit (insert, delete, replace, swap) per three letters.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', '.', ' '], "");
    let wanted = plain(word);
    let cut_off = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| {
            let distance = if plain(candidate) == wanted {
                0
            } else {
                strsim::damerau_levenshtein(&word.to_lowercase(), &candidate.to_lowercase())
            };
            (distance, candidate)
        })
        .filter(|(distance, candidate)| *distance <= cut_off && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many names a message lists before it stops.
const LISTED: usize = 24;

/// As many names that a word is a part of are offered as what was meant; more say too little.
const OFFERED: usize = 6;
/// Shorter words are part of too much.
const TELLING: usize = 3;

/// The candidates that the word is a part of: a person remembers the beginning of a name, or its main word.
fn holding<'c>(word: &str, candidates: &[&'c str]) -> Vec<&'c str> {
    let word = word.to_lowercase();
    let long_enough = word.chars().count() >= TELLING;
    candidates.iter().copied().filter(|name| long_enough && name.to_lowercase().contains(&word)).collect()
}

/// The help line for an unknown name: the nearest one, those that the word is a part of, or all if there is neither.
pub fn did_you_mean<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<String> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    if let Some(near) = nearest(word, candidates.iter().copied()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let holding: Vec<String> = holding(word, &candidates).iter().map(|name| format!("`{name}`")).collect();
    match holding.split_last() {
        Some((only, [])) => return Some(format!("did you mean {only}?")),
        Some((last, others)) if others.len() < OFFERED => {
            return Some(format!("did you mean {} or {last}?", others.join(", ")));
        }
        _ => {}
    }
    let listed: Vec<String> = candidates.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
    match candidates.len() {
        0 => None,
        1 => Some(format!("only {} is known here", listed[0])),
        count if count > LISTED => Some(format!("known: {} and {} more", listed.join(", "), count - LISTED)),
        _ => Some(format!("known: {}", listed.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let names = ["stages", "guards", "telemetry", "gpu.burn", "power.mean"];
        assert_eq!(nearest("stage", names), Some("stages"));
        assert_eq!(nearest("gaurds", names), Some("guards"));
        assert_eq!(nearest("gpu_burn", names), Some("gpu.burn"));
        assert_eq!(nearest("POWER.MEAN", names), Some("power.mean"));
        assert_eq!(nearest("teardown", names), None);
        assert_eq!(nearest("x", ["y"]), None, "a name changed in every letter is another name");
    }

    #[test]
    fn without_a_near_name_all_are_listed() {
        assert_eq!(did_you_mean("zzz", ["for", "count"]).as_deref(), Some("known: `for`, `count`"));
        assert_eq!(did_you_mean("coun", ["for", "count"]).as_deref(), Some("did you mean `count`?"));
        assert_eq!(did_you_mean("a", []), None);
    }

    #[test]
    fn a_part_of_a_name_finds_the_names_that_have_it() {
        let faults = ["cold-plate-loose", "fan-stuck", "psu-fan-slow"];
        assert_eq!(did_you_mean("cold-plate", faults).as_deref(), Some("did you mean `cold-plate-loose`?"));
        assert_eq!(did_you_mean("FAN", faults).as_deref(), Some("did you mean `fan-stuck` or `psu-fan-slow`?"));
        let many: Vec<String> = (0..8).map(|of| format!("fan-{of}{of}{of}")).collect();
        let many = did_you_mean("fan", many.iter().map(String::as_str));
        assert!(many.is_some_and(|help| help.starts_with("known: ")), "eight are no answer");
    }
}
