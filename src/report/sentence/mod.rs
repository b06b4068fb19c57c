//! Sentences of the facts that a record holds: reasons, missing values, causes of trips and evidence, in every language.
//!
//! The facts are types of `event`, `limit` and `plan`; nobody but reports puts them into words. What a driver, a kernel or
//! a program says is quoted as it stands.

/// One sentence in both languages: a sentence without one of them does not compile.
macro_rules! say {
    ($language:expr, $en:literal, $ja:literal $(,)?) => {
        match $language {
            crate::language::Language::English => format!($en),
            crate::language::Language::Japanese => format!($ja),
        }
    };
}

/// A function with one sentence for each variant of an enum, in both languages: `PATTERN, NAME = VALUE => "en", "ja";`. The
/// second list has the variants whose words are made elsewhere. Both together must be all there are.
macro_rules! sentences {
    (
        $(#[$doc:meta])* $visible:vis fn $name:ident($language:ident, $of:ty) {
            $($pattern:pat $(, $blank:ident = $value:expr)* => $en:literal, $ja:literal;)*
        } {
            $($other:pat => $text:expr;)*
        }
    ) => {
        $(#[$doc])*
        $visible fn $name($language: crate::language::Language, what: &$of) -> String {
            match what {
                $($pattern => {
                    $(let $blank = $value;)*
                    say!($language, $en, $ja)
                })*
                $($other => $text,)*
            }
        }
    };
}

mod evidence;
mod gpu_work;
mod load_fault;
mod missing;
mod program;
mod reason;
#[cfg(test)]
mod test_facts;
#[cfg(test)]
mod tests;

pub use evidence::{evidence, from, trip_cause};
pub(crate) use gpu_work::wrong_place;
pub(crate) use load_fault::{load_fault, note_fact};
pub use missing::{missing, no_reference};
pub(crate) use reason::run_failure;
pub use reason::{interruption, reason, unmet, waiver};

use super::language::Language;
use kiln_model::{GpuIndex, ReadingFailure, Span};

/// Whole seconds.
fn seconds(span: Span) -> String {
    format!("{:.0} s", span.as_secs_f64())
}

fn gpus(all: &[GpuIndex]) -> String {
    all.iter().map(|gpu| format!("gpu/{}", gpu.0)).collect::<Vec<_>>().join(", ")
}

fn failure(language: Language, failure: ReadingFailure) -> String {
    match failure {
        ReadingFailure::Lost => say!(language, "GPU is lost", "GPUが応答しない"),
        ReadingFailure::Timeout => say!(language, "call timed out", "呼出しが時間内に終わらない"),
        ReadingFailure::NoPermission => say!(language, "no permission", "権限がない"),
        ReadingFailure::Driver(code) => say!(language, "driver error {code}", "ドライバーエラー {code}"),
    }
}
