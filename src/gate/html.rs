//! HTML put together. Literals go in as they are; everything else is escaped here, and nowhere else.

use std::fmt::{Display, Write as _};

/// A page or a piece of one.
#[derive(Debug, Default)]
pub(crate) struct Html(String);

impl Html {
    /// Markup, which only a literal can be.
    pub(crate) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text or the value of a quoted attribute.
    pub(crate) fn text(&mut self, text: impl Display) -> &mut Self {
        let mut plain = String::new();
        let _ = write!(plain, "{text}");
        for letter in plain.chars() {
            match letter {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                // Marks that turn text around, or act on what shows it.
                letter if letter.is_control() || ('\u{202a}'..='\u{202e}').contains(&letter) => self.0.push('\u{fffd}'),
                letter if ('\u{2066}'..='\u{2069}').contains(&letter) => self.0.push('\u{fffd}'),
                letter => self.0.push(letter),
            }
        }
        self
    }

    pub(crate) fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_elsewhere_is_text_wherever_it_stands() {
        let mut html = Html::default();
        html.raw("<a title=\"").text("\" onclick='x'").raw("\">").text("<b>&\u{202e}\u{1b}").raw("</a>");
        assert_eq!(html.finish(), "<a title=\"&quot; onclick=&#39;x&#39;\">&lt;b&gt;&amp;\u{fffd}\u{fffd}</a>");
    }
}
