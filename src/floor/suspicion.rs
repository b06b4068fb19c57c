//! Is it the unit, or what it was tested with? One code, seen in one scope more often than the rest of the lot explains.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "counts become floats far below 2^53, and floats become counts that were bounded before"
)]

use std::collections::{BTreeMap, BTreeSet};

use kiln_wire::Scope;

/// Fewer units than this with one code in one scope are never called a pattern.
const LEAST: u32 = 3;
/// Of how many suspicions over a whole lot of sound stations one may be false, before it is shared out over all the
/// comparisons made: every scope against every code.
const FALSE_SUSPICIONS: f64 = 0.01;

/// What one unit showed at its first try since a person last cleared its surroundings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Showing<'a> {
    pub codes: &'a [String],
    pub scopes: &'a [Scope],
}

/// A scope in which a code is seen too often.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspicion {
    pub scope: Scope,
    pub code: String,
    /// Units in the scope that show the code, and all units in it.
    pub hits: u32,
    pub of: u32,
    /// The same of the rest of the lot.
    pub rest_hits: u32,
    pub rest: u32,
    /// How likely so many are, at the rate of the rest.
    pub tail: f64,
}

/// The probability of at least `hits` of `of` at a rate.
pub fn binomial_tail(hits: u32, of: u32, rate: f64) -> f64 {
    if hits == 0 {
        return 1.0;
    }
    if rate <= 0.0 {
        return 0.0;
    }
    if rate >= 1.0 {
        return 1.0;
    }
    let (of_f, odds) = (f64::from(of), (rate / (1.0 - rate)).ln());
    // Logarithms of the terms: a thousand units at a rate of a per mille are far below what a float holds.
    let mut log = of_f * (1.0 - rate).ln();
    let mut sum = 0.0;
    for k in 0..=of {
        if k >= hits {
            sum += log.exp();
        }
        log += ((of_f - f64::from(k)) / (f64::from(k) + 1.0)).ln() + odds;
    }
    sum.min(1.0)
}

/// The probability that of all units that show something at least `hits` were among the `of`, had they been drawn blindly
/// (the hypergeometric tail).
fn draw_tail(hits: u32, of: u32, rest_hits: u32, rest: u32) -> f64 {
    let (all, showing) = (of + rest, hits + rest_hits);
    let ln_choose = |n: u32, k: u32| -> f64 {
        (1..=k.min(n - k)).map(|i| (f64::from(n - k.min(n - k) + i) / f64::from(i)).ln()).sum()
    };
    let terms = hits.max(showing.saturating_sub(rest))..=showing.min(of);
    let term = |k: u32| (ln_choose(of, k) + ln_choose(rest, showing - k) - ln_choose(all, showing)).exp();
    terms.map(term).sum()
}

/// Every scope that is suspect by what the units of a lot showed, the least likely first.
pub fn suspicions(lot: &[Showing<'_>]) -> Vec<Suspicion> {
    let mut units: BTreeMap<&Scope, u32> = BTreeMap::new();
    let mut hits: BTreeMap<(&Scope, &str), u32> = BTreeMap::new();
    let mut all_hits: BTreeMap<&str, u32> = BTreeMap::new();
    for unit in lot {
        let codes: BTreeSet<&str> = unit.codes.iter().map(String::as_str).collect();
        for code in &codes {
            *all_hits.entry(code).or_default() += 1;
        }
        for scope in unit.scopes {
            *units.entry(scope).or_default() += 1;
            for code in &codes {
                *hits.entry((scope, code)).or_default() += 1;
            }
        }
    }
    let comparisons = (units.len() * all_hits.len()).max(1) as f64;
    let all = lot.len() as u32;
    let mut found: Vec<Suspicion> = Vec::new();
    for ((scope, code), hits) in hits {
        let of = units[scope];
        if hits < LEAST {
            continue;
        }
        let (rest, rest_hits) = (all - of, all_hits[code] - hits);
        // Half a hit in one more unit stands for what is not known of a rest that shows nothing.
        let rate = (f64::from(rest_hits) + 0.5) / (f64::from(rest) + 1.0);
        let most = FALSE_SUSPICIONS / comparisons;
        let tail = binomial_tail(hits, of, rate);
        // A rest of few units has no rate worth the name: what could as well be the chance of the draw is no suspicion, and
        // what every unit shows is not held against what they share.
        if tail < most && draw_tail(hits, of, rest_hits, rest) < most {
            found.push(Suspicion { scope: scope.clone(), code: code.to_owned(), hits, of, rest_hits, rest, tail });
        }
    }
    found.sort_by(|one, other| one.tail.total_cmp(&other.tail));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_that_of_the_tables() {
        // Ten throws of a coin: at least 8 heads, 56 of 1024.
        assert!((binomial_tail(8, 10, 0.5) - 56.0 / 1024.0).abs() < 1e-12);
        assert!((binomial_tail(1, 20, 0.05) - (1.0 - 0.95f64.powi(20))).abs() < 1e-12);
        assert_eq!([binomial_tail(0, 5, 0.1), binomial_tail(3, 5, 0.0), binomial_tail(3, 5, 1.0)], [1.0, 0.0, 1.0]);
        let far = binomial_tail(60, 1000, 0.001);
        assert!(far > 0.0 && far < 1e-70, "{far}");
    }

    #[test]
    fn the_chance_of_a_draw_is_that_of_an_urn() {
        // All three of three white balls among three drawn of six: 1 in 20.
        assert!((draw_tail(3, 3, 0, 3) - 0.05).abs() < 1e-12);
        assert!((draw_tail(18, 18, 0, 1) - 1.0 / 19.0).abs() < 1e-12);
        assert!((draw_tail(18, 18, 0, 0) - 1.0).abs() < 1e-12);
    }

    fn lot(racks: u32, slots: u32, shows: impl Fn(u32, u32) -> bool) -> Vec<(Vec<String>, Vec<Scope>)> {
        let unit = |rack: u32, slot: u32| {
            let codes = if shows(rack, slot) { vec!["HOT".to_owned()] } else { Vec::new() };
            (codes, vec![Scope::Rack(format!("r{rack}").parse().expect("a name"))])
        };
        (0..racks).flat_map(|rack| (0..slots).map(move |slot| unit(rack, slot))).collect()
    }

    fn found(lot: &[(Vec<String>, Vec<Scope>)]) -> Vec<Suspicion> {
        let showing: Vec<Showing<'_>> = lot.iter().map(|(codes, scopes)| Showing { codes, scopes }).collect();
        suspicions(&showing)
    }

    #[test]
    fn one_rack_that_fails_where_others_do_not_is_suspect() {
        let found = found(&lot(10, 18, |rack, slot| rack == 3 && slot < 8));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].scope, Scope::Rack("r3".parse().expect("a name")));
        assert_eq!((found[0].hits, found[0].of, found[0].rest_hits, found[0].rest), (8, 18, 0, 162));
    }

    #[test]
    fn what_all_show_alike_and_what_few_show_is_held_against_no_scope() {
        assert_eq!(found(&lot(10, 18, |_, _| true)), []);
        assert_eq!(found(&lot(1, 18, |_, _| true)), [], "a single rack has no rest to be compared with");
        assert_eq!(found(&lot(2, 18, |rack, slot| rack == 0 || slot > 0)), [], "and one unit is hardly one");
        assert_eq!(found(&lot(10, 18, |rack, slot| rack == 3 && slot < 2)), []);
        assert_eq!(found(&lot(10, 18, |rack, slot| (rack * 18 + slot) % 9 == 0)), []);
    }
}
