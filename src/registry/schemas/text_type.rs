//! Whether a type can be made of strings, found out before a server starts.
//!
//! The type is made once from sample strings by a deserialiser that records what it asks for. A sample that the type's
//! own code refuses (an address, a date) proves nothing against the type; a request for a list does.

use std::cell::Cell;
use std::fmt;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, MapAccess, Unexpected, VariantAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;

use crate::registry::panics::catch;

/// Variants of one enum that are tried.
const VARIANTS_MAX: usize = 256;

/// Why the type that a function takes cannot be made of strings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextTypeError {
    /// The type wants a list, an object, or an enum's variant with data.
    #[error(
        "the type wants {wanted} for {name:?}; text can become only a string, a number, a boolean or an enum's name"
    )]
    Kind {
        /// The variable or argument.
        name: String,
        /// The kind of value that the type wants.
        wanted: String,
    },
    /// The type is not made of an object, or not of one of strings.
    #[error("the type cannot be made of an object of texts")]
    Shape,
    /// The type has a field that is not optional and never present.
    #[error("the type wants {0:?}, which is not among the names")]
    Missing(String),
    /// The type refuses a name.
    #[error("the type does not take {0:?}")]
    Unknown(String),
}

/// Checks whether a type can be made of strings with these names.
pub(in crate::registry) type TextType = fn(&[&str], &[&str]) -> Result<(), TextTypeError>;

/// Checks `A` for an object that always has the strings `given`, and may have those of `optional`.
pub(in crate::registry) fn check<A: DeserializeOwned>(
    given: &[&str],
    optional: &[&str],
) -> Result<(), TextTypeError> {
    let names: Vec<&str> = given.iter().chain(optional).copied().collect();
    // A failing sample ends a try, so each name comes first once.
    for first in 0..names.len().max(1) {
        let mut ordered = names.clone();
        ordered.rotate_left(first.min(names.len()));
        try_variants::<A>(&ordered)?;
    }
    // With as few members as possible: the others must be optional for the type, too.
    try_variants::<A>(given)
}

fn try_variants<A: DeserializeOwned>(names: &[&str]) -> Result<(), TextTypeError> {
    let variants = Cell::new(1);
    let mut variant = 0;
    while variant < variants.get().min(VARIANTS_MAX) {
        let probe = Probe {
            names,
            variant,
            variants: &variants,
        };
        // The type's own code may panic over a sample, which proves nothing either.
        if let Ok(Err(Stop::Refused(error))) = catch(|| A::deserialize(probe).map(drop)) {
            return Err(error);
        }
        variant += 1;
    }
    Ok(())
}

/// Why a try ended early.
#[derive(Debug)]
enum Stop {
    /// The type cannot be made of strings.
    Refused(TextTypeError),
    /// The type wants another kind of value; an outer level adds the name.
    Type(String),
    /// The type's own code refuses the sample.
    Sample,
}

impl Stop {
    fn wants<T>(wanted: &str) -> Result<T, Self> {
        Err(Self::Type(wanted.to_owned()))
    }

    fn under(self, name: &str) -> Self {
        match self {
            Self::Type(wanted) => Self::Refused(TextTypeError::Kind {
                name: name.to_owned(),
                wanted,
            }),
            other => other,
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Type(wanted) => write!(f, "{wanted} is wanted"),
            Self::Sample => f.write_str("the sample does not do"),
        }
    }
}

impl std::error::Error for Stop {}

impl serde::de::Error for Stop {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Sample
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        Self::Type(expected.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Refused(TextTypeError::Missing(field.to_owned()))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self::Refused(TextTypeError::Unknown(field.to_owned()))
    }
}

/// The whole object of strings.
#[derive(Clone, Copy)]
struct Probe<'a> {
    names: &'a [&'a str],
    /// The index of the variant that is tried.
    variant: usize,
    /// The largest number of variants of any enum met.
    variants: &'a Cell<usize>,
}

impl<'a> Deserializer<'a> for Probe<'a> {
    type Error = Stop;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Stop> {
        let members = Members { probe: self, at: 0 };
        visitor.visit_map(members).map_err(|stop| match stop {
            // An error within a member has the member's name by now.
            Stop::Type(_) => Stop::Refused(TextTypeError::Shape),
            stop => stop,
        })
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        <V: Visitor<'a>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

struct Members<'a> {
    probe: Probe<'a>,
    at: usize,
}

impl<'a> MapAccess<'a> for Members<'a> {
    type Error = Stop;

    fn next_key_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<Option<S::Value>, Stop> {
        let Some(name) = self.probe.names.get(self.at) else {
            return Ok(None);
        };
        self.at += 1;
        seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<S::Value, Stop> {
        let name = self
            .probe
            .names
            .get(self.at.wrapping_sub(1))
            .copied()
            .unwrap_or_default();
        seed.deserialize(Sample(self.probe))
            .map_err(|stop| stop.under(name))
    }
}

/// One string, of whatever kind the type asks for.
struct Sample<'a>(Probe<'a>);

/// Kinds of values that no string becomes.
macro_rules! wanted {
    ($($method:ident($($argument:ty),*) $wanted:literal)*) => {$(
        fn $method<V: Visitor<'a>>(self, $(_: $argument,)* _: V) -> Result<V::Value, Stop> {
            Stop::wants($wanted)
        }
    )*};
}

macro_rules! samples {
    ($($method:ident $visit:ident $sample:literal)*) => {$(
        fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Stop> {
            visitor.$visit($sample)
        }
    )*};
}

impl<'a> Deserializer<'a> for Sample<'a> {
    type Error = Stop;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_borrowed_str("1")
    }

    samples! {
        deserialize_bool visit_bool true
        deserialize_i8 visit_i64 1
        deserialize_i16 visit_i64 1
        deserialize_i32 visit_i64 1
        deserialize_i64 visit_i64 1
        deserialize_i128 visit_i64 1
        deserialize_u8 visit_u64 1
        deserialize_u16 visit_u64 1
        deserialize_u32 visit_u64 1
        deserialize_u64 visit_u64 1
        deserialize_u128 visit_u64 1
        deserialize_f32 visit_f64 1.0
        deserialize_f64 visit_f64 1.0
    }

    wanted! {
        deserialize_seq() "a list"
        deserialize_tuple(usize) "a list"
        deserialize_tuple_struct(&'static str, usize) "a list"
        deserialize_map() "an object"
        deserialize_struct(&'static str, &'static [&'static str]) "an object"
        deserialize_unit() "nothing"
        deserialize_unit_struct(&'static str) "nothing"
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let Probe {
            variant,
            variants: most,
            ..
        } = self.0;
        most.set(most.get().max(variants.len()));
        match variants.get(variant % variants.len().max(1)) {
            Some(name) => visitor.visit_enum(SampleVariant(name)),
            None => Err(Stop::Sample),
        }
    }

    forward_to_deserialize_any! {
    <V: Visitor<'a>>
    char str string bytes byte_buf identifier ignored_any }
}

struct SampleVariant(&'static str);

impl<'a> EnumAccess<'a> for SampleVariant {
    type Error = Stop;
    type Variant = WithoutData;

    fn variant_seed<S: DeserializeSeed<'a>>(self, seed: S) -> Result<(S::Value, WithoutData), Stop> {
        let variant = seed.deserialize(BorrowedStrDeserializer::new(self.0))?;
        Ok((variant, WithoutData(self.0)))
    }
}

/// A variant that has only its name.
struct WithoutData(&'static str);

impl WithoutData {
    fn wants<T>(&self) -> Result<T, Stop> {
        Stop::wants(&format!("data of the variant {:?}", self.0))
    }
}

impl<'a> VariantAccess<'a> for WithoutData {
    type Error = Stop;

    fn unit_variant(self) -> Result<(), Stop> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'a>>(self, _: S) -> Result<S::Value, Stop> {
        self.wants()
    }

    fn tuple_variant<V: Visitor<'a>>(self, _: usize, _: V) -> Result<V::Value, Stop> {
        self.wants()
    }

    fn struct_variant<V: Visitor<'a>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Stop> {
        self.wants()
    }
}

#[cfg(test)]
#[allow(dead_code, reason = "of these types only the fields' types matter")]
mod tests {
    use std::collections::{BTreeMap, HashMap};
    use std::net::IpAddr;
    use std::num::NonZeroU8;

    use serde::Deserialize;

    use super::*;

    fn kind(name: &str, wanted: &str) -> Result<(), TextTypeError> {
        Err(TextTypeError::Kind {
            name: name.to_owned(),
            wanted: wanted.to_owned(),
        })
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum State {
        Open,
        Closed,
    }

    #[derive(Deserialize)]
    enum WithData {
        Plain,
        Other(u8),
    }

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u8),
        Text(String),
    }

    #[derive(Deserialize)]
    struct Wrapped(NonZeroU8);

    #[test]
    fn types_of_texts_are_taken() {
        #[derive(Deserialize)]
        struct All {
            address: IpAddr,
            id: i64,
            ratio: Option<f32>,
            is_open: bool,
            state: State,
            either: Either,
            wrapped: Wrapped,
            letter: char,
            text: String,
            any: serde_json::Value,
            elsewhere: Option<Vec<u8>>,
            #[serde(default)]
            elsewhere_too: Vec<u8>,
        }
        let names = [
            "address", "id", "ratio", "is_open", "state", "either", "wrapped", "letter", "text", "any",
        ];
        assert_eq!(check::<All>(&names, &[]), Ok(()));
        assert_eq!(check::<HashMap<String, u8>>(&["a"], &["b"]), Ok(()));
        assert_eq!(check::<BTreeMap<String, State>>(&["a"], &[]), Ok(()));
        assert_eq!(check::<Option<HashMap<String, String>>>(&["a"], &[]), Ok(()));
        assert_eq!(check::<crate::registry::NoArguments>(&["a"], &[]), Ok(()));
    }

    #[test]
    fn types_of_other_things_are_not() {
        #[derive(Deserialize)]
        struct Of<T> {
            // Its sample is refused, and the fields behind it are checked all the same.
            address: IpAddr,
            id: T,
        }
        let names = ["address", "id"];
        assert_eq!(check::<Of<Vec<String>>>(&names, &[]), kind("id", "a list"));
        assert_eq!(check::<Of<Option<(u8, u8)>>>(&names, &[]), kind("id", "a list"));
        assert_eq!(
            check::<Of<BTreeMap<String, u8>>>(&names, &[]),
            kind("id", "an object")
        );
        assert_eq!(
            check::<Of<crate::registry::NoArguments>>(&names, &[]),
            kind("id", "an object")
        );
        assert_eq!(check::<Of<()>>(&names, &[]), kind("id", "nothing"));
        assert_eq!(
            check::<Of<WithData>>(&names, &[]),
            kind("id", "data of the variant \"Other\"")
        );
        assert_eq!(
            check::<HashMap<String, Vec<u8>>>(&["a"], &[]),
            kind("a", "a list")
        );
        assert_eq!(check::<String>(&["a"], &[]), Err(TextTypeError::Shape));
        assert_eq!(check::<Vec<String>>(&["a"], &[]), Err(TextTypeError::Shape));
        assert_eq!(check::<()>(&["a"], &[]), Err(TextTypeError::Shape));
    }

    #[test]
    fn names_that_never_come_are_found() {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct ById {
            id: u64,
            page: Option<u64>,
        }
        assert_eq!(check::<ById>(&["id"], &[]), Ok(()));
        assert_eq!(check::<ById>(&["id"], &["page"]), Ok(()));
        let missing = Err(TextTypeError::Missing("id".to_owned()));
        assert_eq!(check::<ById>(&["page"], &[]), missing);
        assert_eq!(check::<ById>(&["page"], &["id"]), missing);
        assert_eq!(
            check::<ById>(&["id", "x"], &[]),
            Err(TextTypeError::Unknown("x".to_owned()))
        );
    }

    #[test]
    fn flattened_numbers_are_told_by_the_type() {
        #[derive(Deserialize)]
        struct Inner {
            id: u64,
        }
        #[derive(Deserialize)]
        struct Outer {
            #[serde(flatten)]
            inner: Inner,
        }
        // serde keeps flattened members as strings, and makes no numbers of them.
        assert!(check::<Outer>(&["id"], &[]).is_err());
    }
}
