//! Admitting a call's arguments: the parsed value onto the shard's own tape, refusing duplicate member names.
//!
//! After this every reader (validator, deserialiser, tool) sees the same single value under each name (JSON leaves
//! duplicates open, and layers that choose differently are a hole). The copy is flat, strings stay where they were
//! parsed, and it allocates nothing once the tape is warm and objects are small.

use std::collections::HashSet;

use simd_json::Node as RawNode;
use simd_json::StaticNode;
use simd_json::base::{TypedValue as _, ValueAsScalar as _, ValueIntoString as _};
use simd_json::tape::{Tape, Value};

use super::deserialize::ArgumentError;
use super::tape::split_member;

/// Up to this many members, names are compared pairwise; more go through a hash set with a random key, which is
/// linear whatever names a peer picks.
const PAIRWISE_MEMBERS_MAX: usize = 16;
/// The parser's own limit on nesting, held to here too because this module and those after it recurse.
const DEPTH_MAX: usize = 128;
/// A tape that grew past this is freed after its call rather than kept.
const KEPT_NODES_MAX: usize = 16 * 1024;

/// A tape that a shard uses for one call after another.
#[derive(Debug)]
pub(super) struct ArgumentTape(Tape<'static>);

impl ArgumentTape {
    pub(super) fn new() -> Self {
        Self(Tape(Vec::new()))
    }

    /// The empty tape, to be filled by [`admit`] for one call.
    pub(super) fn lend<'call>(self) -> Tape<'call> {
        self.0.reset()
    }

    /// The tape back from a call.
    pub(super) fn restore(tape: Tape<'_>) -> Self {
        if tape.0.capacity() > KEPT_NODES_MAX {
            return Self::new();
        }
        Self(tape.reset())
    }
}

/// Copies `arguments` onto `tape`; none at all is the empty object.
///
/// # Errors
/// A duplicate member name at any level, with its path; nesting past the limit.
pub(super) fn admit<'input>(
    arguments: Option<Value<'_, 'input>>,
    tape: &mut Tape<'input>,
) -> Result<(), ArgumentError> {
    match arguments {
        Some(value) => copy(value, &mut tape.0, DEPTH_MAX),
        None => {
            tape.0.push(RawNode::Object { len: 0, count: 0 });
            Ok(())
        }
    }
}

fn copy<'input>(
    value: Value<'_, 'input>,
    out: &mut Vec<RawNode<'input>>,
    depth_left: usize,
) -> Result<(), ArgumentError> {
    if let Some(string) = value.into_string() {
        out.push(RawNode::String(string));
        return Ok(());
    }
    let start = out.len();
    if let Some(object) = value.as_object() {
        let depth_left = below(depth_left)?;
        let len = object.len();
        out.push(RawNode::Object { len, count: 0 });
        for (name, value) in object.iter() {
            out.push(RawNode::String(name));
            copy(value, out, depth_left).map_err(|error| error.under_name(name))?;
        }
        let count = out.len() - start - 1;
        out[start] = RawNode::Object { len, count };
        return refuse_duplicates(&out[start + 1..], len);
    }
    if let Some(array) = value.as_array() {
        let depth_left = below(depth_left)?;
        let len = array.len();
        out.push(RawNode::Array { len, count: 0 });
        for (at, value) in array.iter().enumerate() {
            copy(value, out, depth_left).map_err(|error| error.under_index(at))?;
        }
        let count = out.len() - start - 1;
        out[start] = RawNode::Array { len, count };
        return Ok(());
    }
    out.push(RawNode::Static(scalar(&value)));
    Ok(())
}

fn scalar(value: &Value<'_, '_>) -> StaticNode {
    // `as_u64` accepts what the parser made a non-negative `i64`; both stand for the same number.
    if let Some(number) = value.as_i64() {
        StaticNode::I64(number)
    } else if let Some(number) = value.as_u64() {
        StaticNode::U64(number)
    } else if let Some(number) = value.as_f64() {
        StaticNode::F64(number)
    } else if let Some(truth) = value.as_bool() {
        StaticNode::Bool(truth)
    } else {
        debug_assert!(value.as_null().is_some(), "{:?}", value.value_type());
        StaticNode::Null
    }
}

fn below(depth_left: usize) -> Result<usize, ArgumentError> {
    depth_left
        .checked_sub(1)
        .ok_or_else(|| ArgumentError::new(format!("nested deeper than {DEPTH_MAX} levels")))
}

fn refuse_duplicates(members: &[RawNode<'_>], len: usize) -> Result<(), ArgumentError> {
    if len < 2 {
        return Ok(());
    }
    let duplicate = if len <= PAIRWISE_MEMBERS_MAX {
        pairwise_duplicate(members)
    } else {
        hashed_duplicate(members, len)
    };
    match duplicate {
        Some(name) => Err(ArgumentError::new("the name occurs more than once").under_name(name)),
        None => Ok(()),
    }
}

fn pairwise_duplicate<'a>(members: &'a [RawNode<'a>]) -> Option<&'a str> {
    let mut seen = [""; PAIRWISE_MEMBERS_MAX];
    let mut seen_len = 0;
    let mut rest = members;
    while let Some((name, _, next)) = split_member(rest) {
        if seen[..seen_len].contains(&name) {
            return Some(name);
        }
        *seen.get_mut(seen_len)? = name;
        seen_len += 1;
        rest = next;
    }
    None
}

fn hashed_duplicate<'a>(members: &'a [RawNode<'a>], len: usize) -> Option<&'a str> {
    let mut seen = HashSet::with_capacity(len);
    let mut rest = members;
    while let Some((name, _, next)) = split_member(rest) {
        if !seen.insert(name) {
            return Some(name);
        }
        rest = next;
    }
    None
}
