//! Reading limits on words: lists of plain values and regular expressions.

use super::parse::{ParseLimitError, Parsed, Part, Target, Wanted};
use super::{Bound, Pattern, Scalar};
use kiln_model::Unit;

pub(super) fn pattern(part: Part<'_>, target: &Target<'_>) -> Parsed<Bound> {
    if target.wanted != Wanted::Text {
        let message = format!("`{}` is {}: a regular expression needs a text", target.name, described(target.wanted));
        return Err(ParseLimitError::new(part, message));
    }
    if part.text.is_empty() {
        return Err(ParseLimitError::new(part, "the regular expression is empty"));
    }
    match regex::Regex::new(part.text) {
        // Found in nothing and in a text that nobody writes, it is found in all.
        Ok(regex) if regex.is_match("") && regex.is_match("\u{10fffd}\u{10fffd}") => {
            let text = "the regular expression matches every text: a limit that nothing can fail";
            Err(ParseLimitError::new(part, text).help("say where the text begins and ends: `~ ^96\\..*$`"))
        }
        Ok(_) => Ok(Bound::Matches(Pattern(part.text.to_owned()))),
        Err(error) => {
            let said = error.to_string();
            let last = said.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Err(ParseLimitError::new(part, format!("not a regular expression: {last}")))
        }
    }
}

pub(super) fn one_of(part: Part<'_>, target: &Target<'_>) -> Parsed<Bound> {
    let Some(inner) = part.text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) else {
        return Err(ParseLimitError::new(part, "the list is not closed").help("write `in [a, b]`"));
    };
    let mut values = Vec::new();
    for item in items(Part { text: inner, at: part.at + 1 })? {
        values.push(word(item, target)?);
    }
    if values.contains(&Scalar::Flag(true)) && values.contains(&Scalar::Flag(false)) {
        let text = "true or false is all there is: a limit that nothing can fail";
        return Err(ParseLimitError::new(part, text).help("write `== true` or `== false`"));
    }
    Ok(Bound::OneOf(values))
}

/// The items of a list, split at commas outside double quotes.
fn items(inner: Part<'_>) -> Parsed<Vec<Part<'_>>> {
    let mut items = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, character) in inner.text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => {
                items.push(inner.from(start).until(at - start).trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(inner.from(start).trim());
    match items.iter().find(|item| item.text.is_empty()) {
        Some(empty) => Err(ParseLimitError::new(*empty, "an item of the list is empty").help("write `in [a, b]`")),
        None => Ok(items),
    }
}

/// A plain value of the kind the measurement has.
pub(super) fn word(part: Part<'_>, target: &Target<'_>) -> Parsed<Scalar> {
    match target.wanted {
        Wanted::Flag => match part.text {
            "true" => Ok(Scalar::Flag(true)),
            "false" => Ok(Scalar::Flag(false)),
            _ => Err(ParseLimitError::new(part, format!("`{}` is true or false, not `{}`", target.name, part.text))
                .help("write `== true` or `== false`")),
        },
        Wanted::Text if part.text.starts_with('"') => serde_json::from_str(part.text)
            .map(Scalar::Text)
            .map_err(|_| ParseLimitError::new(part, "the quotes do not close")),
        Wanted::Text => Ok(Scalar::Text(part.text.to_owned())),
        Wanted::Number(Unit::One) => match part.text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Scalar::Number(value)),
            _ => Err(ParseLimitError::new(part, format!("`{}` is not a number", part.text))),
        },
        Wanted::Number(unit) => {
            Err(ParseLimitError::new(part, format!("`{}` is measured in {unit}: a list cannot say so", target.name))
                .help(format!("write a range: `a..b {unit}`")))
        }
    }
}

pub(super) fn described(wanted: Wanted) -> &'static str {
    match wanted {
        Wanted::Number(_) => "a number",
        Wanted::Text => "a text",
        Wanted::Flag => "true or false",
    }
}
