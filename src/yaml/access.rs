//! The parts of a list, a mapping and an enum, handed to serde one after the other.

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::Node;
use super::bridge::Reader;
use super::failure::{Failure, Hidden, Identity};

pub(super) struct Elements<'n, 'h> {
    pub(super) elements: std::slice::Iter<'n, Node>,
    pub(super) hidden: &'h Hidden,
}

impl<'de, 'n: 'de> SeqAccess<'de> for Elements<'n, '_> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Failure> {
        let Some(node) = self.elements.find(|node| !self.hidden.has(node)) else { return Ok(None) };
        seed.deserialize(Reader { node, hidden: self.hidden }).map(Some).map_err(|error| error.at(node))
    }
}

pub(super) struct Entries<'n, 'h> {
    pub(super) rest: std::slice::Iter<'n, (Node, Node)>,
    pub(super) value: Option<&'n Node>,
    pub(super) hidden: &'h Hidden,
}

impl<'de, 'n: 'de> MapAccess<'de> for Entries<'n, '_> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failure> {
        let Some((key, value)) = self.rest.find(|(_, value)| !self.hidden.has(value)) else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(Reader { node: key, hidden: self.hidden }).map(Some).map_err(|error| {
            // The place is the key's, but the value is what has to be hidden for the rest to be read.
            Failure { culprit: Some(Identity::of(value)), ..error.at(key) }
        })
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        let node = self.value.take().ok_or_else(|| Failure::new("a value without a key"))?;
        seed.deserialize(Reader { node, hidden: self.hidden }).map_err(|error| error.at(node))
    }
}

/// An enum: `word`, or `{ word: content }`.
pub(super) struct Choice<'n, 'h> {
    pub(super) name: &'n Node,
    pub(super) content: Option<&'n Node>,
    pub(super) hidden: &'h Hidden,
}

impl<'de, 'n: 'de> EnumAccess<'de> for Choice<'n, '_> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Failure> {
        let text = self.name.read_text()?;
        let deserializer: StrDeserializer<'_, Failure> = text.into_deserializer();
        match seed.deserialize(deserializer) {
            Ok(variant) => Ok((variant, self)),
            Err(error) => Err(Failure { place: Some(self.name.place.clone()), ..error }),
        }
    }
}

impl<'de, 'n: 'de> VariantAccess<'de> for Choice<'n, '_> {
    type Error = Failure;

    fn unit_variant(self) -> Result<(), Failure> {
        match self.content {
            Some(content) if !content.is_null() => {
                let message = format!("`{}` takes no value", self.name.raw().unwrap_or_default());
                Err(Failure { place: Some(content.place.clone()), ..Failure::new(message) })
            }
            _ => Ok(()),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Failure> {
        match self.content {
            Some(node) => seed.deserialize(Reader { node, hidden: self.hidden }).map_err(|error| error.at(node)),
            None => Err(self.needs_content()),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Failure> {
        match self.content {
            Some(node) => Reader { node, hidden: self.hidden }.deserialize_seq(visitor),
            None => Err(self.needs_content()),
        }
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Failure> {
        match self.content {
            Some(node) if !node.is_null() => Reader { node, hidden: self.hidden }.deserialize_map(visitor),
            // The word alone stands for the variant with all its defaults.
            _ => visitor.visit_map(Entries { rest: [].iter(), value: None, hidden: self.hidden }),
        }
    }
}

impl Choice<'_, '_> {
    fn needs_content(&self) -> Failure {
        let name = self.name.raw().unwrap_or_default();
        let help = Some(format!("write `{{ {name}: … }}`"));
        Failure { help, ..Failure::new(format!("`{name}` needs a value")) }
    }
}
