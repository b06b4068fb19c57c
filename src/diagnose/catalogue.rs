//! What every finding code means: in a few words, the cause, the one thing to do, and a paragraph for who wants to know.
//!
//! The files below `catalogue/` hold the words, by area; rules name codes only. Japanese texts are for the operator on the floor;
//! details are for engineers and in English alone.

mod gpu;
mod gpu_setup;
mod link;
mod memory;
mod node;
mod run;

use std::sync::LazyLock;

use kiln_event::Action;
use kiln_model::Text;

/// A text in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    pub en: &'static str,
    pub ja: &'static str,
}

/// One code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Stable and countable.
    pub code: &'static str,
    pub title: Words,
    /// A sentence for the operator.
    pub cause: Words,
    pub action: Action,
    /// How it shows, and what it is told apart from.
    pub details: &'static str,
    /// Where more is said, if anywhere.
    pub references: &'static [&'static str],
}

impl Words {
    pub fn text(self) -> Text {
        Text { en: self.en.to_owned(), ja: Some(self.ja.to_owned()) }
    }
}

/// Builds an entry from (English, Japanese) pairs.
const fn new(
    code: &'static str,
    title: (&'static str, &'static str),
    cause: (&'static str, &'static str),
    action: Action,
    details: &'static str,
    references: &'static [&'static str],
) -> Entry {
    let (title, cause) = (Words { en: title.0, ja: title.1 }, Words { en: cause.0, ja: cause.1 });
    Entry { code, title, cause, action, details, references }
}

const AREAS: [&[Entry]; 6] =
    [gpu::ENTRIES, gpu_setup::ENTRIES, link::ENTRIES, memory::ENTRIES, node::ENTRIES, run::ENTRIES];

/// The entries of all areas, sorted at first use: alphabetical order mixes the areas.
static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let mut entries = AREAS.concat();
    entries.sort_by_key(|entry| entry.code);
    entries
});

/// All codes, in alphabetical order.
pub fn entries() -> &'static [Entry] {
    &ENTRIES
}

pub fn entry(code: &str) -> Option<&'static Entry> {
    let entries = entries();
    entries.binary_search_by_key(&code, |entry| entry.code).ok().map(|place| &entries[place])
}

/// The code of what no rule knows a cause for.
pub(super) const GENERAL: &str = "LIMIT-MISSED";

/// The entry of a code, or the general one: profiles may use codes of their own.
pub(super) fn entry_or_general(code: &str) -> &'static Entry {
    entry(code).or_else(|| entry(GENERAL)).expect("the general entry is in the catalogue")
}

/// The word for an action as a person reads it.
pub const fn action_words(action: Action) -> Words {
    let (en, ja) = match action {
        Action::Reseat => ("Power off, reseat the part and test again.", "電源を切り、部品を挿し直して再試験する。"),
        Action::ReplaceFru => ("Replace the part.", "部品を交換する。"),
        Action::CheckCoolant => (
            "Check the fans of the zone, or coolant supply, valves and flow of the branch.",
            "その系統のファン、または冷却液の供給・弁・流量を確認する。",
        ),
        Action::CheckCooling => {
            ("Check fans, ducts, coolant flow and heatsinks.", "ファン・ダクト・冷却液の流量・ヒートシンクを確認する。")
        }
        Action::CheckPower => ("Check power supplies and power cables.", "電源ユニットと電源ケーブルを確認する。"),
        Action::Reconfigure => ("Correct the setting and test again.", "設定を直して再試験する。"),
        Action::UpdateFirmware => ("Bring firmware to the released version.", "ファームウェアを指定版にする。"),
        Action::RetestLonger => ("Test again for longer.", "より長い時間で再試験する。"),
        Action::ResetGpu => ("Reset the GPU and test again.", "GPUをリセットして再試験する。"),
        Action::Reboot => ("Start the node again and test again.", "ノードを再起動して再試験する。"),
        Action::FixStation => (
            "Put the test station right and test again; the unit is not to blame.",
            "試験ステーションの環境を直して再試験する。装置の不良ではない。",
        ),
        Action::CallEngineer => ("Call a test engineer.", "試験技術者を呼ぶ。"),
    };
    Words { en, ja }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_ordered_unique_and_found() {
        assert!(entries().is_sorted_by(|one, two| one.code < two.code));
        for entry in entries() {
            assert_eq!(super::entry(entry.code), Some(entry));
            assert!(entry.code.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'-')), "{}", entry.code);
        }
        assert_eq!(entry("GPU-TOASTED"), None);
        assert_eq!(entry_or_general("GPU-TOASTED").code, GENERAL);
    }

    #[test]
    fn every_area_is_in_alphabetical_order() {
        for area in AREAS {
            assert!(area.is_sorted_by(|one, two| one.code < two.code), "{:?}", area.first().map(|entry| entry.code));
        }
    }

    #[test]
    fn no_cause_that_waits_for_a_reset_asks_for_a_longer_test() {
        for entry in entries() {
            let waits = ["waits for a reset", "needs a reset", "reset to be"]
                .iter()
                .any(|words| entry.cause.en.contains(words));
            if waits {
                assert_eq!(entry.action, Action::ResetGpu, "{}", entry.code);
            }
        }
        assert_eq!(entry("HBM-REMAP-PENDING").map(|entry| entry.action), Some(Action::ResetGpu));
        assert_eq!(entry("GPU-RECOVERY-NEEDED").map(|entry| entry.action), Some(Action::ResetGpu));
    }

    #[test]
    fn every_code_says_everything_in_both_languages() {
        for entry in entries() {
            for words in [entry.title, entry.cause] {
                assert!(!words.en.is_empty() && words.ja.chars().any(|sign| sign > '\u{3000}'), "{}", entry.code);
            }
            assert!(!entry.title.en.ends_with('.') && entry.cause.en.ends_with('.'), "{}", entry.code);
            assert!(entry.cause.ja.ends_with('。') && entry.details.ends_with('.'), "{}", entry.code);
        }
    }
}
