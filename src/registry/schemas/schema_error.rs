//! The reasons why a schema cannot be used.

/// Why a schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// Arguments and structured results are objects in every revision up to 2025-11-25.
    #[error(
        "the root must be an object schema with \"type\": \"object\"; wrap a list, a number or a text in a struct, such as \
         `struct Found {{ items: Vec<Item> }}`"
    )]
    RootNotObject,
    /// Nothing is fetched, and embedded resources are not told apart.
    #[error("reference {0:?} does not lead to a place within the schema; use \"#/$defs/…\"")]
    Reference(String),
    /// The check would never end.
    #[error("the schema refers to itself at {0:?} without going down into the value")]
    Endless(String),
    /// The check would take too long.
    #[error("one value may have to be checked against {subschemas} subschemas; the most is {max}")]
    TooComplex {
        /// The number of subschemas.
        subschemas: u64,
        /// The limit.
        max: u64,
    },
    /// Schemas within schemas, or references leading to the next, are too many.
    #[error("subschemas and references follow one another more than {max} times")]
    TooDeep {
        /// The limit.
        max: usize,
    },
    /// The value is not a schema.
    #[error("{0}")]
    Invalid(String),
}
