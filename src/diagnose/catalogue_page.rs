//! The documentation page of all finding codes, from the data that `kiln explain` tells them by.

use std::fmt::Write as _;

use super::catalogue::{action_words, entries};

/// The page as Markdown.
pub fn codes_page() -> String {
    let mut page = String::from(
        "# Finding codes\n\n\
         <!-- Made by `kiln explain --page`; a test holds this file to it. -->\n\n\
         A finding names one cause by a stable code, the smallest component there is evidence for, and one action. \
         `kiln explain CODE` tells the same as this page.\n\n",
    );
    for entry in entries() {
        let _ = writeln!(page, "- [{}](#{}): {}", entry.code, entry.code.to_lowercase(), entry.title.en);
    }
    for entry in entries() {
        let _ = write!(
            page,
            "\n## {}\n\n**{}** ({})\n\n{}\n\n{}\n\nWhat to do: {}\n",
            entry.code,
            entry.title.en,
            entry.title.ja,
            entry.cause.en,
            entry.details,
            action_words(entry.action).en
        );
        for reference in entry.references {
            let _ = write!(page, "\nSee {reference}\n");
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the rules name: quoted words in capitals with a hyphen.
    const RULES: [&str; 15] = [
        include_str!("findings.rs"),
        include_str!("rule_heat.rs"),
        include_str!("rule_kernel.rs"),
        include_str!("rule_links.rs"),
        include_str!("rule_results.rs"),
        include_str!("rule_memory.rs"),
        include_str!("rule_sensor.rs"),
        include_str!("alike.rs"),
        include_str!("rule_speed.rs"),
        include_str!("rule_station.rs"),
        include_str!("rule_table.rs"),
        include_str!("rule_tools.rs"),
        include_str!("shared_heat.rs"),
        include_str!("rest_gap.rs"),
        include_str!("catalogue.rs"),
    ];

    #[test]
    fn the_committed_page_is_made_from_the_catalogue() {
        let committed = include_str!("../../docs/codes.md");
        assert!(committed == codes_page(), "docs/codes.md is not what `kiln explain --page` prints");
    }

    #[test]
    fn every_code_of_the_page_can_be_found_by_a_rule() {
        for entry in entries() {
            let quoted = format!("\"{}\"", entry.code);
            assert!(RULES.iter().any(|rule| rule.contains(&quoted)), "no rule names {}", entry.code);
        }
    }
}
