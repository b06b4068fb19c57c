//! A text in English and, where given, Japanese.
//!
//! Which language is shown is the reporters' choice.

use serde::{Deserialize, Serialize};

/// Something a person reads. English is always there; Japanese falls back to it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Text {
    pub en: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ja: Option<String>,
}

impl Text {
    pub fn english(en: impl Into<String>) -> Self {
        Self { en: en.into(), ja: None }
    }
}
