//! A page in the making: text escaped, phrases in one language or both, the frame around everything.
//!
//! A page with two languages carries each phrase twice, and a style rule shows one; nothing needs a script.

use std::fmt::{Display, Write as _};

use super::super::language::{Language, Languages};
use super::super::phrase::Phrase;
use super::super::plain::plain;

const STYLE: &str = include_str!("page.css");
/// Reads values off the plots under the pointer, and opens what is folded before printing. Nothing is lost without it.
const SCRIPT: &str = include_str!("page.js");

/// HTML under construction.
#[derive(Debug)]
pub(super) struct Page {
    html: String,
    languages: Languages,
}

impl Page {
    pub(super) fn new(languages: Languages) -> Self {
        Self { html: String::new(), languages }
    }

    pub(super) const fn languages(&self) -> Languages {
        self.languages
    }

    /// Markup as it stands; never text from outside.
    pub(super) fn raw(&mut self, markup: &str) {
        self.html.push_str(markup);
    }

    /// Formatted markup; what is filled in must be numbers or escaped.
    pub(super) fn put(&mut self, markup: std::fmt::Arguments<'_>) {
        let _ = self.html.write_fmt(markup);
    }

    /// Text from anywhere.
    pub(super) fn text(&mut self, text: &str) {
        escape(&mut self.html, text);
    }

    /// What `tell` says, in every language of the page.
    pub(super) fn tell(&mut self, tell: impl Fn(Language) -> String) {
        self.each(&tell, |html, language, text| match language {
            None => escape(html, text),
            Some(language) => {
                let _ = write!(html, "<span lang={}>", language.code());
                escape(html, text);
                html.push_str("</span>");
            }
        });
    }

    /// Text inside a drawing, at a place.
    pub(super) fn label(&mut self, attributes: &str, tell: impl Fn(Language) -> String) {
        self.each(&tell, |html, language, text| {
            let _ = match language {
                None => write!(html, "<text {attributes}>"),
                Some(language) => write!(html, "<text {attributes} lang={}>", language.code()),
            };
            escape(html, text);
            html.push_str("</text>");
        });
    }

    /// Once where all languages say the same, else once for each.
    fn each(&mut self, tell: &impl Fn(Language) -> String, mut put: impl FnMut(&mut String, Option<Language>, &str)) {
        let told: Vec<(Language, String)> = self.languages.all().map(|language| (language, tell(language))).collect();
        if told.iter().all(|(_, text)| *text == told[0].1) {
            put(&mut self.html, None, &told[0].1);
        } else {
            for (language, text) in &told {
                put(&mut self.html, Some(*language), text);
            }
        }
    }

    pub(super) fn say(&mut self, phrase: Phrase) {
        self.tell(|language| phrase.say(language).to_owned());
    }

    pub(super) fn say_with(&mut self, phrase: Phrase, blanks: &[&dyn Display]) {
        self.tell(|language| phrase.with(language, blanks));
    }

    /// `<th>` of a phrase.
    pub(super) fn head_cell(&mut self, phrase: Phrase) {
        self.raw("<th>");
        self.say(phrase);
        self.raw("</th>");
    }

    /// A table's row of headings.
    pub(super) fn head_row(&mut self, phrases: &[Phrase]) {
        self.raw("<tr>");
        for phrase in phrases {
            self.head_cell(*phrase);
        }
        self.raw("</tr>\n");
    }

    /// `<td>` of a text.
    pub(super) fn cell(&mut self, text: &str) {
        self.raw("<td>");
        self.text(text);
        self.raw("</td>");
    }

    /// A part of the page that links lead to.
    pub(super) fn target(&mut self, id: &str, put: impl FnOnce(&mut Self)) {
        self.put(format_args!("<div id=\"{}\">", escaped(id)));
        put(self);
        self.raw("</div>\n");
    }

    /// A section heading.
    pub(super) fn section(&mut self, phrase: Phrase) {
        self.raw("<h2>");
        self.say(phrase);
        self.raw("</h2>\n");
    }

    /// The whole page around what was put so far.
    pub(super) fn finish(self, title: &str) -> String {
        let first = self.languages.first();
        let mut html = String::with_capacity(self.html.len() + STYLE.len() + SCRIPT.len() + 2000);
        let _ = write!(html, "<!doctype html>\n<html lang={}>\n<head>\n<meta charset=\"utf-8\">\n", first.code());
        html.push_str("<meta name=\"viewport\" content=\"width=device-width\">\n");
        // Nothing is ever fetched, whatever a text from the node may try.
        html.push_str(
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
             script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'\">\n<link rel=\"icon\" href=\"data:,\">\n<title>",
        );
        escape(&mut html, title);
        let _ = write!(html, "</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n");
        if self.languages.all().count() > 1 {
            html.push_str("<p class=tongues>");
            for language in self.languages.all() {
                let (code, name) = (language.code(), language.own_name());
                let checked = if language == first { " checked" } else { "" };
                let _ = write!(
                    html,
                    "<label lang={code}><input type=radio name=tongue id=in-{code} value={code}{checked}>{name}</label> "
                );
            }
            html.push_str("</p>\n");
        }
        html.push_str("<main>\n");
        html.push_str(&self.html);
        let _ = write!(html, "</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n");
        html
    }
}

/// Text as HTML content or attribute value, without what acts on a terminal or turns the direction of writing.
pub(super) fn escape(into: &mut String, text: &str) {
    for letter in plain(text).chars() {
        match letter {
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '&' => into.push_str("&amp;"),
            '"' => into.push_str("&quot;"),
            '\'' => into.push_str("&#39;"),
            // Unicode's direction overrides and isolates: a log line must not write backwards over what follows it.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => into.push('\u{fffd}'),
            other => into.push(other),
        }
    }
}

pub(super) fn escaped(text: &str) -> String {
    let mut into = String::with_capacity(text.len());
    escape(&mut into, text);
    into
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_markup_is_text() {
        assert_eq!(
            escaped("<img src=x onerror=\"alert('1')\">&\u{1b}[31m\u{202e}\u{0}"),
            "&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;\u{fffd}"
        );
    }

    #[test]
    fn a_page_with_two_languages_says_each_phrase_in_both_and_the_same_only_once() {
        let mut page = Page::new(Languages::BOTH);
        page.say(Phrase::Fail);
        page.tell(|_| "gpu/3 & <more>".to_owned());
        assert_eq!(page.html, "<span lang=en>FAIL</span><span lang=ja>不合格</span>gpu/3 &amp; &lt;more&gt;");
        let mut page = Page::new(Languages::only(Language::Japanese));
        page.say(Phrase::Fail);
        assert_eq!(page.html, "不合格");
    }
}
