//! Typed arguments from tape nodes: a `serde::Deserializer` without a tree in between.
//!
//! Strings are borrowed, not copied. It reads as serde_json does, with one difference: a whole number written with a
//! fraction or exponent (`5.0`, `1e3`) fits an integer type, because JSON Schema calls it an integer (2020-12
//! Validation, 6.1.1). A number that does not fit its type is refused, never rounded or wrapped. Recursion is bounded
//! by the nesting that [`arguments`](super::arguments) admits.

use serde::Deserialize;
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use simd_json::{Node as RawNode, StaticNode};

use super::argument_error::ArgumentError;
use super::tape::{TapeNode, split_member, split_value};
use super::text::TextDeserializer;

/// Whole numbers up to here are exact in an `f64`.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Makes a `T` of a whole value.
pub(in crate::registry) fn from_tape<T: DeserializeOwned>(node: TapeNode<'_>) -> Result<T, ArgumentError> {
    T::deserialize(ValueDeserializer(node.nodes()))
}

/// Exactly one value.
#[derive(Clone, Copy)]
struct ValueDeserializer<'a>(&'a [RawNode<'a>]);

impl<'a> ValueDeserializer<'a> {
    // Inlined into what other crates derive, as the rest is, which is generic.
    #[inline]
    fn first(self) -> Result<RawNode<'a>, ArgumentError> {
        self.0
            .first()
            .copied()
            .ok_or_else(|| ArgumentError::new("a value is missing"))
    }

    /// The whole number behind a fraction or an exponent, if this is one.
    fn whole(self) -> Option<i64> {
        match self.0.first() {
            Some(RawNode::Static(StaticNode::F64(number)))
                if number.fract() == 0.0 && number.abs() <= EXACT_MAX =>
            {
                Some(*number as i64)
            }
            _ => None,
        }
    }

    fn visit_integer<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        match self.whole() {
            Some(number) if number < 0 => visitor.visit_i64(number),
            Some(number) => visitor.visit_u64(number.unsigned_abs()),
            None => self.deserialize_any(visitor),
        }
    }
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
            self.visit_integer(visitor)
        }
    )*};
}

impl<'a> Deserializer<'a> for ValueDeserializer<'a> {
    type Error = ArgumentError;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        match self.first()? {
            RawNode::String(string) => visitor.visit_borrowed_str(string),
            RawNode::Static(StaticNode::Null) => visitor.visit_unit(),
            RawNode::Static(StaticNode::Bool(value)) => visitor.visit_bool(value),
            // As in serde_json, a number that is not negative is unsigned.
            RawNode::Static(StaticNode::I64(number)) => match u64::try_from(number) {
                Ok(number) => visitor.visit_u64(number),
                Err(_) => visitor.visit_i64(number),
            },
            RawNode::Static(StaticNode::U64(number)) => visitor.visit_u64(number),
            RawNode::Static(StaticNode::F64(number)) => visitor.visit_f64(number),
            RawNode::Array { len, .. } => {
                let mut elements = ElementsAccess {
                    rest: &self.0[1..],
                    at: 0,
                    len,
                };
                let value = visitor.visit_seq(&mut elements)?;
                elements.end().map(|()| value)
            }
            RawNode::Object { len, .. } => {
                let mut members = MembersAccess {
                    rest: &self.0[1..],
                    value: None,
                    left: len,
                };
                let value = visitor.visit_map(&mut members)?;
                members.end(len).map(|()| value)
            }
        }
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        match self.first()? {
            RawNode::Static(StaticNode::Null) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
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
        match self.first()? {
            RawNode::String(variant) => visitor.visit_enum(Variant {
                name: variant,
                content: None,
            }),
            RawNode::Object { len: 1, .. } => {
                let (name, value, _) =
                    split_member(&self.0[1..]).ok_or_else(|| ArgumentError::new("a value is missing"))?;
                let variant = Variant {
                    name,
                    content: Some(ValueDeserializer(value)),
                };
                visitor.visit_enum(variant)
            }
            RawNode::Object { .. } => Err(ArgumentError::new("expected an object with a single member")),
            RawNode::Array { .. } | RawNode::Static(_) => Err(ArgumentError::new(
                "expected a string or an object with a single member",
            )),
        }
    }

    /// Null becomes the requested type, as anything would: the value is not wanted.
    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        <V: Visitor<'a>>
        bool f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
    }
}

struct ElementsAccess<'a> {
    rest: &'a [RawNode<'a>],
    at: usize,
    len: usize,
}

impl ElementsAccess<'_> {
    #[inline]
    fn end(&self) -> Result<(), ArgumentError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(ArgumentError::new(format!(
            "expected an array of {} elements, not {}",
            self.at, self.len
        )))
    }
}

impl<'a> SeqAccess<'a> for &mut ElementsAccess<'a> {
    type Error = ArgumentError;

    fn next_element_seed<S: DeserializeSeed<'a>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, ArgumentError> {
        let Some((value, rest)) = split_value(self.rest) else {
            return Ok(None);
        };
        let at = self.at;
        self.rest = rest;
        self.at += 1;
        seed.deserialize(ValueDeserializer(value))
            .map(Some)
            .map_err(|error| error.under_index(at))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.len - self.at)
    }
}

struct MembersAccess<'a> {
    rest: &'a [RawNode<'a>],
    value: Option<(&'a str, ValueDeserializer<'a>)>,
    left: usize,
}

impl MembersAccess<'_> {
    #[inline]
    fn end(&self, len: usize) -> Result<(), ArgumentError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        let taken = len - self.left;
        Err(ArgumentError::new(format!(
            "expected an object of {taken} members, not {len}"
        )))
    }
}

impl<'a> MapAccess<'a> for &mut MembersAccess<'a> {
    type Error = ArgumentError;

    fn next_key_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<Option<S::Value>, ArgumentError> {
        let Some((name, value, rest)) = split_member(self.rest) else {
            return Ok(None);
        };
        self.rest = rest;
        self.left -= 1;
        self.value = Some((name, ValueDeserializer(value)));
        seed.deserialize(TextDeserializer::name(name))
            .map(Some)
            .map_err(|error| error.under_name(name))
    }

    fn next_value_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<S::Value, ArgumentError> {
        let (name, value) = self
            .value
            .take()
            .ok_or_else(|| ArgumentError::new("a value was asked for before its name"))?;
        seed.deserialize(value).map_err(|error| error.under_name(name))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// An enum's variant: a string, or the name and value of an object's single member.
struct Variant<'a> {
    name: &'a str,
    content: Option<ValueDeserializer<'a>>,
}

impl<'a> EnumAccess<'a> for Variant<'a> {
    type Error = ArgumentError;
    type Variant = VariantContent<'a>;

    fn variant_seed<S: DeserializeSeed<'a>>(
        self,
        seed: S,
    ) -> Result<(S::Value, VariantContent<'a>), ArgumentError> {
        let value = seed.deserialize(BorrowedStrDeserializer::new(self.name))?;
        let content = VariantContent {
            name: self.name,
            content: self.content,
        };
        Ok((value, content))
    }
}

struct VariantContent<'a> {
    name: &'a str,
    content: Option<ValueDeserializer<'a>>,
}

impl<'a> VariantContent<'a> {
    fn present(&self, expected: &str) -> Result<ValueDeserializer<'a>, ArgumentError> {
        self.content
            .ok_or_else(|| ArgumentError::new(format!("expected {expected}, not only a variant's name")))
    }
}

impl<'a> VariantAccess<'a> for VariantContent<'a> {
    type Error = ArgumentError;

    fn unit_variant(self) -> Result<(), ArgumentError> {
        match self.content {
            Some(value) => <()>::deserialize(value).map_err(|error| error.under_name(self.name)),
            None => Ok(()),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'a>>(self, seed: S) -> Result<S::Value, ArgumentError> {
        seed.deserialize(self.present("a value")?)
            .map_err(|error| error.under_name(self.name))
    }

    fn tuple_variant<V: Visitor<'a>>(self, _: usize, visitor: V) -> Result<V::Value, ArgumentError> {
        self.present("an array")?
            .deserialize_any(visitor)
            .map_err(|error| error.under_name(self.name))
    }

    fn struct_variant<V: Visitor<'a>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ArgumentError> {
        self.present("an object")?
            .deserialize_any(visitor)
            .map_err(|error| error.under_name(self.name))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;

    use super::super::arguments::{ArgumentTape, admit};
    use super::super::random;
    use super::super::tape::Steps;
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Everything {
        a: Option<i8>,
        #[serde(default)]
        b: Vec<Shape>,
        name: Option<Box<Everything>>,
        #[serde(rename = "ключ", default)]
        numbers: BTreeMap<i16, f32>,
        #[serde(default, rename = "")]
        pair: Option<(u64, String)>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Shape {
        A,
        B(f64),
        Name(i64, bool),
        Ab { a: char, b: () },
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Text(String),
        Number(u32),
        Shapes(Vec<Shape>),
        Tagged(Tagged),
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "name", rename_all = "lowercase")]
    enum Tagged {
        A { b: Option<f32> },
        Ab,
    }

    fn from_text<T: DeserializeOwned>(text: &str) -> Result<T, ArgumentError> {
        let mut bytes = text.as_bytes().to_vec();
        let parsed = simd_json::to_tape(&mut bytes).unwrap();
        let mut tape = ArgumentTape::new().lend();
        admit(Some(crate::jsonrpc::Value::of_tape(&parsed)), &mut tape)?;
        from_tape(TapeNode::new(&tape.0, &Steps::for_nodes(0, 0)))
    }

    /// Compares verdict and value with serde_json's; they differ only where a whole number is written as a fraction.
    fn assert_as_serde_json<T: DeserializeOwned + PartialEq + Debug>(text: &str) -> bool {
        let ours = from_text::<T>(text);
        let theirs = serde_json::from_str::<T>(text);
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs, "{text}"),
            (Ok(ours), Err(error)) => assert!(text.contains(".0"), "{text}: {ours:?}, {error}"),
            (Err(ours), Ok(theirs)) => panic!("{text}: {ours}, {theirs:?}"),
            (Err(_), Err(_)) => return false,
        }
        true
    }

    #[test]
    fn reads_as_serde_json_does() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut read = [0; 6];
        for _ in 0..20_000 {
            let text = random::document(&mut rng, 3).to_string();
            read[0] += usize::from(assert_as_serde_json::<Everything>(&text));
            read[1] += usize::from(assert_as_serde_json::<Shape>(&text));
            read[2] += usize::from(assert_as_serde_json::<Untagged>(&text));
            read[3] += usize::from(assert_as_serde_json::<BTreeMap<String, Option<f64>>>(&text));
            read[4] += usize::from(assert_as_serde_json::<Vec<(bool, i32)>>(&text));
            read[5] += usize::from(assert_as_serde_json::<serde_json::Value>(&text));
        }
        // Each type must be read sometimes, or the comparison means little.
        assert!(read.iter().all(|count| *count > 20), "seed {seed}: {read:?}");
        assert_eq!(read[5], 20_000);
    }

    #[test]
    fn chosen_texts_read_as_serde_json_reads_them() {
        for text in [
            r#""a""#,
            r#"{"a":null}"#,
            r#"{"b":1}"#,
            r#"{"name":[1,true]}"#,
            r#"{"name":[1]}"#,
            r#"{"name":[1,true,2]}"#,
            r#"{"ab":{"a":"x","b":null}}"#,
            r#"{"ab":["x",null]}"#,
            r#"{"ab":{"a":"xy","b":null}}"#,
            r#"{"a":null,"b":1}"#,
            "1",
            "{}",
        ] {
            assert_as_serde_json::<Shape>(text);
        }
        for text in [
            r#"{"1":1,"-2":2.5}"#,
            r#"{"01":1}"#,
            r#"{" 1":1}"#,
            r#"{"1 ":1}"#,
            r#"{"40000":1}"#,
            r#"{"x":1}"#,
            r#"{"":1}"#,
            r#"{"1e1":1}"#,
            r#"{"+1":1}"#,
        ] {
            assert_as_serde_json::<BTreeMap<i16, f32>>(text);
        }
        for text in [r#"{"true":1}"#, r#"{"yes":1}"#] {
            assert_as_serde_json::<BTreeMap<bool, u8>>(text);
        }
        assert_as_serde_json::<BTreeMap<Option<Tagless>, u8>>(r#"{"one":1,"two":2}"#);
        assert_as_serde_json::<BTreeMap<Tagless, u8>>(r#"{"three":1}"#);
    }

    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Tagless {
        One,
        Two,
    }

    #[test]
    fn numbers_are_exact_or_refused() {
        assert_eq!(from_text::<u64>("18446744073709551615").unwrap(), u64::MAX);
        assert_eq!(from_text::<i64>("-9223372036854775808").unwrap(), i64::MIN);
        assert_eq!(
            from_text::<u64>("9007199254740993").unwrap(),
            9_007_199_254_740_993
        );
        assert_eq!(from_text::<u8>("5.0").unwrap(), 5);
        assert_eq!(from_text::<u64>("1e3").unwrap(), 1_000);
        assert_eq!(from_text::<i8>("-2.0").unwrap(), -2);
        assert_eq!(from_text::<u64>("-0.0").unwrap(), 0);
        for text in ["5.5", "-1", "256", "256.0", "1e300", "-0.5"] {
            assert!(from_text::<u8>(text).is_err(), "{text}");
        }
        // Past 2^53 the digits that were written are gone.
        assert!(from_text::<u64>("9007199254740993.0").is_ok_and(|number| number == 9_007_199_254_740_992));
        assert!(from_text::<u64>("1e16").is_err());
        assert!(from_text::<i64>("9223372036854775808").is_err());
    }

    #[test]
    fn errors_name_the_path_and_not_the_value() {
        let violation = |text: &str| from_text::<Everything>(text).unwrap_err().into_violation();
        assert_eq!(
            violation(r#"{"name":{"b":["a",{"name":[1,0]}]}}"#).path(),
            "/name/b/1/name/1"
        );
        assert_eq!(violation(r#"{"ключ":{"70000":1}}"#).path(), "/ключ/70000");
        let text = format!(r#"{{"a":"{}"}}"#, "secret".repeat(1_000));
        assert_eq!(
            violation(&text).to_string(),
            "/a: invalid type: a string, expected i8"
        );
    }

    #[test]
    fn strings_are_lent() {
        let mut bytes = br#"{"message":"lent"}"#.to_vec();
        let range = bytes.as_ptr_range();
        let (begin, end) = (range.start as usize, range.end as usize);
        let tape = simd_json::to_tape(&mut bytes).unwrap();
        let read = BTreeMap::<&str, &str>::deserialize(ValueDeserializer(&tape.0)).unwrap();
        let at = read["message"].as_ptr() as usize;
        assert!((begin..end).contains(&at));
    }
}
