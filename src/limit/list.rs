//! Lists as text values: `3, 7`, or `none`. Checks write them and diagnosis reads them, by one grammar.

use std::fmt::Display;

const EMPTY: &str = "none";
const BETWEEN: &str = ", ";

/// Writes a list as a text value.
pub fn write_list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() { EMPTY.to_owned() } else { items.join(BETWEEN) }
}

/// Reads the items of a list that is a text value.
pub fn read_list(text: &str) -> Vec<&str> {
    if text == EMPTY || text.is_empty() { Vec::new() } else { text.split(BETWEEN).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        assert_eq!((write_list([3, 7]).as_str(), read_list("3, 7")), ("3, 7", vec!["3", "7"]));
        assert_eq!((write_list::<u8>([]).as_str(), read_list("none")), ("none", vec![]));
        assert_eq!(read_list(""), Vec::<&str>::new());
    }
}
