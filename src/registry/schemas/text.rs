//! Typed values from strings: members' names, the variables of a URI template, the arguments of a prompt.
//!
//! Numbers and booleans are read as JSON writes them, an enum by the name of a variant without data. Any other string
//! is refused for these; lists and objects cannot be made of strings.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, MapAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use simd_json::Node as RawNode;

use super::argument_error::ArgumentError;
use super::tape::{TapeNode, split_member};

/// Makes a `T` of an object whose members are strings.
pub(in crate::registry) fn from_texts<T: DeserializeOwned>(node: TapeNode<'_>) -> Result<T, ArgumentError> {
    T::deserialize(TextsDeserializer(node.nodes()))
}

/// An object of strings.
struct TextsDeserializer<'a>(&'a [RawNode<'a>]);

impl<'a> Deserializer<'a> for TextsDeserializer<'a> {
    type Error = ArgumentError;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        visitor.visit_map(TextsAccess {
            rest: self.0.get(1..).unwrap_or_default(),
            value: None,
        })
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ArgumentError> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        <V: Visitor<'a>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

struct TextsAccess<'a> {
    rest: &'a [RawNode<'a>],
    value: Option<(&'a str, &'a [RawNode<'a>])>,
}

impl<'a> MapAccess<'a> for TextsAccess<'a> {
    type Error = ArgumentError;

    fn next_key_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<Option<S::Value>, ArgumentError> {
        let Some((name, value, rest)) = split_member(self.rest) else {
            return Ok(None);
        };
        self.rest = rest;
        self.value = Some((name, value));
        seed.deserialize(TextDeserializer::name(name))
            .map(Some)
            .map_err(|error| error.under_name(name))
    }

    fn next_value_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<S::Value, ArgumentError> {
        let (name, value) = self
            .value
            .take()
            .ok_or_else(|| ArgumentError::new("a value was asked for before its name"))?;
        let [RawNode::String(text)] = value else {
            return Err(ArgumentError::new("expected a text").under_name(name));
        };
        seed.deserialize(TextDeserializer::value(text))
            .map_err(|error| error.under_name(name))
    }
}

/// One string.
pub(super) struct TextDeserializer<'a> {
    text: &'a str,
    /// A text for messages, behind what was expected.
    role: &'static str,
}

impl<'a> TextDeserializer<'a> {
    /// A member's name, as serde_json reads it.
    pub(in crate::registry) fn name(text: &'a str) -> Self {
        Self {
            text,
            role: " as name",
        }
    }

    fn value(text: &'a str) -> Self {
        Self { text, role: "" }
    }

    fn visit_number<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        // This is strict JSON: no sign but minus, no leading zero and, by the two tests before, no white space.
        let bytes = self.text.as_bytes();
        let begins = bytes
            .first()
            .is_some_and(|byte| byte.is_ascii_digit() || *byte == b'-');
        let ends = bytes.last().is_some_and(u8::is_ascii_digit);
        let number = (begins && ends)
            .then(|| serde_json::from_str::<serde_json::Number>(self.text).ok())
            .flatten()
            .ok_or_else(|| ArgumentError::new(format!("expected a number{}", self.role)))?;
        if let Some(number) = number.as_u64() {
            visitor.visit_u64(number)
        } else if let Some(number) = number.as_i64() {
            visitor.visit_i64(number)
        } else {
            visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN))
        }
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
            self.visit_number(visitor)
        }
    )*};
}

impl<'a> Deserializer<'a> for TextDeserializer<'a> {
    type Error = ArgumentError;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        visitor.visit_borrowed_str(self.text)
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    fn deserialize_bool<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        match self.text {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => Err(ArgumentError::new(format!("expected true or false{}", self.role))),
        }
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ArgumentError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ArgumentError> {
        visitor.visit_enum(BorrowedVariant(self.text))
    }

    forward_to_deserialize_any! {
        <V: Visitor<'a>>
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// A variant that has only its name.
struct BorrowedVariant<'a>(&'a str);

impl<'a> EnumAccess<'a> for BorrowedVariant<'a> {
    type Error = ArgumentError;
    type Variant = NoData;

    fn variant_seed<S: DeserializeSeed<'a>>(self, seed: S) -> Result<(S::Value, NoData), ArgumentError> {
        let variant = seed.deserialize(BorrowedStrDeserializer::new(self.0))?;
        Ok((variant, NoData))
    }
}

struct NoData;

impl NoData {
    fn missing<T>(&self, expected: &str) -> Result<T, ArgumentError> {
        Err(ArgumentError::new(format!(
            "expected {expected}, not only a variant's name"
        )))
    }
}

impl<'a> VariantAccess<'a> for NoData {
    type Error = ArgumentError;

    fn unit_variant(self) -> Result<(), ArgumentError> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'a>>(self, _: S) -> Result<S::Value, ArgumentError> {
        self.missing("a value")
    }

    fn tuple_variant<V: Visitor<'a>>(self, _: usize, _: V) -> Result<V::Value, ArgumentError> {
        self.missing("an array")
    }

    fn struct_variant<V: Visitor<'a>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, ArgumentError> {
        self.missing("an object")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    use serde::Deserialize;

    use super::super::tape::Steps;
    use super::*;

    fn read<T: DeserializeOwned>(texts: &[(&str, &str)]) -> Result<T, String> {
        let mut nodes = vec![RawNode::Object {
            len: texts.len(),
            count: 2 * texts.len(),
        }];
        for (name, text) in texts {
            nodes.extend([RawNode::String(name), RawNode::String(text)]);
        }
        from_texts(TapeNode::new(&nodes, &Steps::for_nodes(0, 0)))
            .map_err(|error| error.into_violation().to_string())
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Everything {
        id: i64,
        ratio: Option<f32>,
        #[serde(default)]
        is_open: bool,
        state: State,
        letter: Option<char>,
        wrapped: Option<Wrapped>,
        address: Option<Ipv4Addr>,
        #[serde(default)]
        text: String,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum State {
        Open,
        InWork,
        Closed(u8),
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Wrapped(u8);

    #[test]
    fn texts_become_numbers_booleans_and_enums() {
        let all = [
            ("id", "-7"),
            ("ratio", "1e2"),
            ("is_open", "true"),
            ("state", "in-work"),
            ("letter", "é"),
            ("wrapped", "9"),
            ("address", "10.0.0.1"),
            ("text", "12"),
        ];
        let expected = Everything {
            id: -7,
            ratio: Some(100.0),
            is_open: true,
            state: State::InWork,
            letter: Some('é'),
            wrapped: Some(Wrapped(9)),
            address: Some(Ipv4Addr::new(10, 0, 0, 1)),
            text: "12".to_owned(),
        };
        assert_eq!(read(&all), Ok(expected));
        let map: BTreeMap<String, u16> = read(&[("a", "1"), ("b", "255")]).unwrap();
        assert_eq!(map.values().sum::<u16>(), 256);
    }

    #[test]
    fn other_texts_are_refused_by_name() {
        for (name, text, expected) in [
            ("id", "", "/id: expected a number"),
            ("id", "1x", "/id: expected a number"),
            ("id", "+1", "/id: expected a number"),
            ("id", " 1", "/id: expected a number"),
            (
                "id",
                "1.5",
                "/id: invalid type: floating point `1.5`, expected i64",
            ),
            (
                "id",
                "9223372036854775808",
                "/id: invalid value: integer `9223372036854775808`, expected i64",
            ),
            ("is_open", "yes", "/is_open: expected true or false"),
            (
                "state",
                "gone",
                "/state: unknown variant `gone`, expected one of `open`, `in-work`, `closed`",
            ),
            (
                "state",
                "closed",
                "/state: expected a value, not only a variant's name",
            ),
            (
                "letter",
                "ab",
                "/letter: invalid value: a string, expected a character",
            ),
        ] {
            let mut all = BTreeMap::from([("id", "1"), ("state", "open")]);
            all.insert(name, text);
            let all: Vec<_> = all.into_iter().collect();
            assert_eq!(
                read::<Everything>(&all),
                Err(expected.to_owned()),
                "{name}={text}"
            );
        }
        assert_eq!(
            read::<Everything>(&[("state", "open")]),
            Err("missing field `id`".to_owned())
        );
    }
}
