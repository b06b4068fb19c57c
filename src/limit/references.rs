//! What a relative limit lacks to be judged by, and what excuses a miss.

use kiln_model::Unit;
use serde::{Deserialize, Serialize};

/// What a relative limit lacks to be judged by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoReference {
    /// The model has no such fact.
    Sku(String),
    /// The model's fact is not in the measurement's unit.
    SkuUnit { fact: String, unit: Unit },
    /// Too few siblings have a value.
    Peers,
    /// The run was given no baseline with this value.
    Baseline,
    /// No step has a number of it yet.
    First,
    /// The run was given no lot with this value.
    Lot,
    /// A term is not in the measurement's unit.
    TermUnit { term: String, unit: Unit },
    /// A term comes to no finite number.
    NotFinite { term: String },
    /// The lower end came to more than the upper.
    EmptyRange { low: f64, high: f64 },
    /// The regular expression does not compile any more.
    Pattern(String),

    /// The words of a journal of version 1.0. Nothing makes it any more.
    #[serde(untagged)]
    Legacy(String),
}

/// The waiver that covers a missed limit, as the profile has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WaiverForm")]
pub struct WaiverUse {
    /// Which measurement of which step and component may fail.
    pub matches: String,
    pub reason: String,
    /// The last day, as `2026-12-31`.
    pub until: String,
    pub by: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WaiverForm {
    Whole {
        matches: String,
        reason: String,
        until: String,
        by: String,
    },
    /// Version 1.0 of the journal has `REASON (until DAY, by NAME)`.
    Words(String),
}

impl From<WaiverForm> for WaiverUse {
    fn from(form: WaiverForm) -> Self {
        match form {
            WaiverForm::Whole { matches, reason, until, by } => Self { matches, reason, until, by },
            WaiverForm::Words(words) => {
                let parts = words.strip_suffix(')').and_then(|rest| rest.rsplit_once(" (until "));
                let parts = parts.and_then(|(reason, rest)| Some((reason, rest.split_once(", by ")?)));
                let (reason, (until, by)) = parts.unwrap_or((words.as_str(), ("", "")));
                let [reason, until, by] = [reason, until, by].map(str::to_owned);
                Self { matches: String::new(), reason, until, by }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: serde::de::DeserializeOwned>(text: &str) -> T {
        serde_json::from_str(text).expect("readable")
    }

    #[test]
    fn references_of_version_1_0_are_kept_as_they_stood() {
        assert_eq!(read::<NoReference>("\"sku.tdp\""), NoReference::Legacy("sku.tdp".to_owned()));
        assert_eq!(read::<NoReference>("{\"sku\":\"tdp\"}"), NoReference::Sku("tdp".to_owned()));
    }

    #[test]
    fn a_waiver_of_version_1_0_is_taken_apart() {
        let waiver: WaiverUse = read("\"ECN (old) (until 2090-12-31, by qa)\"");
        let parts = [waiver.reason.as_str(), &waiver.until, &waiver.by];
        assert_eq!(parts, ["ECN (old)", "2090-12-31", "qa"]);
        let whole = WaiverUse { matches: "a.b[gpu/1].c".to_owned(), ..waiver };
        assert_eq!(read::<WaiverUse>(&serde_json::to_string(&whole).expect("written")), whole);
    }
}
