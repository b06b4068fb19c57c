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

/// The help line for an unknown name: the nearest one, or all of them if none is near.
pub fn did_you_mean<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<String> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    if let Some(near) = nearest(word, candidates.iter().copied()) {
        return Some(format!("did you mean `{near}`?"));
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
}
