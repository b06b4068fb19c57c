//! Whether what the pages show can be read: text against what it stands on, by day and by night.

const STYLE: &str = include_str!("web/floor.css");
/// What WCAG 2.1 asks of text (success criterion 1.4.3).
const LEAST: f64 = 4.5;

/// The styles by day and by night.
fn themes() -> [&'static str; 2] {
    let (day, night) = STYLE.split_once("@media (prefers-color-scheme: dark) {").expect("two themes");
    [day, night]
}

/// What a property of a selector is set to.
fn value(theme: &'static str, selector: &str, property: &str) -> Option<&'static str> {
    let rules = theme.split('}').filter_map(|rule| rule.split_once('{'));
    let of = rules.filter(|(selectors, _)| selectors.split(',').any(|one| one.trim() == selector));
    let set = of.flat_map(|(_, body)| body.split(';')).filter_map(|pair| pair.split_once(':'));
    set.filter(|(name, _)| name.trim() == property).map(|(_, value)| value.trim()).next_back()
}

/// Relative luminance of `#rgb` or `#rrggbb`.
fn luminance(colour: &str) -> f64 {
    let digits = colour.strip_prefix('#').unwrap_or_else(|| panic!("{colour} is no colour in hexadecimal"));
    let wide: String = match digits.len() {
        3 => digits.chars().flat_map(|digit| [digit, digit]).collect(),
        _ => digits.to_owned(),
    };
    let part = |at: usize| {
        let value = f64::from(u8::from_str_radix(&wide[at..at + 2], 16).expect("hexadecimal")) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(0) + 0.7152 * part(2) + 0.0722 * part(4)
}

fn contrast(one: &str, other: &str) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn the_measure_is_that_of_the_standard() {
    assert!((contrast("#000", "#ffffff") - 21.0).abs() < 1e-9);
    // An example of WCAG's own technique G18: the lightest grey that passes on white.
    assert!(contrast("#767676", "#fff") >= LEAST && contrast("#777777", "#fff") < LEAST);
}

#[test]
fn words_and_tiles_can_be_read_by_day_and_by_night() {
    let mut looked_at = 0;
    for theme in themes() {
        let of = |selector: &str, property: &str| value(theme, selector, property);
        let mut holds = |what: &str, text: Option<&str>, behind: Option<&str>| {
            let (Some(text), Some(behind)) = (text, behind) else { panic!("{what}: a colour is missing") };
            assert!(contrast(text, behind) >= LEAST, "{what}: {text} on {behind} is {:.1}", contrast(text, behind));
            looked_at += 1;
        };
        let grounds = [("body", of("body", "background")), ("table", of("table", "background"))];
        for (name, ground) in grounds {
            for class in [".pass", ".fail", ".unsure", ".wait", ".small"] {
                holds(&format!("{class} on {name}"), of(class, "color"), ground);
            }
        }
        for class in ["pass", "fail", "unsure", "wait"] {
            let tile = format!(".tile.{class}");
            let own = of(&tile, "color").or_else(|| of(&format!(".{class}"), "color"));
            holds(&tile, own, of(&tile, "background"));
        }
        holds("an empty slot", of("body", "color"), of(".tile.empty", "background"));
        holds("what is told", of("body", "color"), of(".told", "background"));
    }
    assert_eq!(looked_at, 32);
    let [day, _] = themes();
    for bar in ["#stale", ".sim", "#scanning", "button"] {
        let [text, behind] = ["color", "background"].map(|property| value(day, bar, property).expect("a colour"));
        assert!(contrast(text, behind) >= LEAST, "{bar}");
    }
}
