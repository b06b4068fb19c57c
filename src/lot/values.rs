//! The numbers of a run, kept small: a lot is a thousand runs, and all of them measured the same things.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ValueKey;
use kiln_limit::Range;
use kiln_model::Unit;

/// What many values of a run have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    pub unit: Unit,
    pub limit: Option<String>,
    pub range: Range,
}

/// A number with what it has in common with others, such as the limit it was held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Value<'a, F> {
    pub number: f64,
    pub facts: &'a F,
}

/// Numbers by what was measured where, in that order. The keys are held once for all runs that have the same ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "K: Deserialize<'de>, F: Deserialize<'de>"))]
pub struct Table<K: Serialize, F> {
    #[serde(serialize_with = "write_keys", deserialize_with = "read_keys")]
    keys: Arc<Vec<K>>,
    numbers: Vec<f64>,
    /// Of each number its place in `facts`.
    places: Vec<u32>,
    facts: Vec<F>,
}

/// All numbers of a run.
pub type Values = Table<ValueKey, Facts>;

fn write_keys<K: Serialize, S: Serializer>(keys: &Arc<Vec<K>>, serializer: S) -> Result<S::Ok, S::Error> {
    keys.as_slice().serialize(serializer)
}

fn read_keys<'de, K: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Vec<K>>, D::Error> {
    Vec::deserialize(deserializer).map(Arc::new)
}

impl<K: Serialize, F> Default for Table<K, F> {
    fn default() -> Self {
        Self { keys: Arc::default(), numbers: Vec::new(), places: Vec::new(), facts: Vec::new() }
    }
}

impl<K: Ord + Serialize, F: PartialEq> FromIterator<(K, f64, F)> for Table<K, F> {
    /// Of several values of one key the last counts.
    fn from_iter<I: IntoIterator<Item = (K, f64, F)>>(all: I) -> Self {
        let mut all: Vec<_> = all.into_iter().collect();
        all.reverse();
        all.sort_by(|(one, ..), (two, ..)| one.cmp(two));
        all.dedup_by(|(one, ..), (two, ..)| one == two);
        let mut table = Self::default();
        let mut keys = Vec::with_capacity(all.len());
        for (key, number, facts) in all {
            // Searched from the end: neighbours are of one measurement.
            let known = table.facts.iter().rposition(|known| *known == facts);
            let place = known.unwrap_or_else(|| {
                table.facts.push(facts);
                table.facts.len() - 1
            });
            keys.push(key);
            table.numbers.push(number);
            table.places.push(place as u32);
        }
        table.keys = Arc::new(keys);
        table
    }
}

impl<K: Ord + Clone + Serialize, F: PartialEq + Clone> Table<K, F> {
    pub fn iter(&self) -> impl Iterator<Item = (&K, Value<'_, F>)> {
        self.keys.iter().enumerate().filter_map(|(place, key)| Some((key, self.at(place)?)))
    }

    pub fn keys(&self) -> &Arc<Vec<K>> {
        &self.keys
    }

    /// The value of the key in this place.
    pub fn at(&self, place: usize) -> Option<Value<'_, F>> {
        let facts = self.facts.get(*self.places.get(place)? as usize)?;
        Some(Value { number: *self.numbers.get(place)?, facts })
    }

    pub fn get(&self, key: &K) -> Option<Value<'_, F>> {
        self.at(self.keys.binary_search(key).ok()?)
    }

    /// Leaves out what is not wanted.
    pub fn retain(&mut self, wanted: impl Fn(&K) -> bool) {
        let kept = self.iter().filter(|(key, _)| wanted(key));
        *self = kept.map(|(key, value)| (key.clone(), value.number, value.facts.clone())).collect();
    }

    /// Lets go of keys that one of `known` holds already, and adds them to it otherwise.
    pub fn share(&mut self, known: &mut Vec<Arc<Vec<K>>>) {
        if let Some(same) = known.iter().find(|keys| **keys == self.keys) {
            self.keys = Arc::clone(same);
        } else {
            known.push(Arc::clone(&self.keys));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_model::Component;

    fn key(gpu: u8) -> ValueKey {
        ValueKey { step: "load.gemm".to_owned(), measurement: "power.mean".to_owned(), component: Component::gpu(gpu) }
    }

    fn facts(limit: &str) -> Facts {
        Facts { unit: Unit::Watt, limit: Some(limit.to_owned()), range: Range::default() }
    }

    #[test]
    fn values_come_in_the_order_of_their_keys_and_the_last_of_one_key_counts() {
        let all = [(key(2), 3.0, facts("a")), (key(1), 1.0, facts("a")), (key(2), 4.0, facts("b"))];
        let values: Values = all.into_iter().collect();
        let seen: Vec<_> =
            values.iter().map(|(key, value)| (key.component, value.number, value.facts.limit.as_deref())).collect();
        assert_eq!(seen, [(Component::gpu(1), 1.0, Some("a")), (Component::gpu(2), 4.0, Some("b"))]);
    }

    #[test]
    fn runs_that_measured_the_same_hold_its_names_once() {
        let run = |number: f64| -> Values { [(key(1), number, facts("a"))].into_iter().collect() };
        let (mut one, mut two, mut known) = (run(1.0), run(2.0), Vec::new());
        one.share(&mut known);
        two.share(&mut known);
        assert!(Arc::ptr_eq(one.keys(), two.keys()) && known.len() == 1);
    }
}
