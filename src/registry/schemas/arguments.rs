//! Admission of a call's arguments: the parsed value is copied onto the shard's own tape, and duplicate member names
//! are refused.
//!
//! After this every reader (validator, deserialiser, tool) sees the same single value under each name. JSON leaves
//! duplicates open, and layers that choose differently are a security hole. The copy is flat, strings stay where they
//! were parsed, and nothing is allocated once the tape is warm and objects are small.

use std::collections::HashSet;

use simd_json::Node as RawNode;
use simd_json::StaticNode;
use simd_json::tape::Tape;

use super::argument_error::ArgumentError;
use super::tape::{split_member, split_value};
use crate::jsonrpc::Value;

/// Up to this many members, names are compared pairwise; more go through a hash set with a random key, which is linear
/// whatever names a peer picks.
const PAIRWISE_MEMBERS_MAX: usize = 16;
/// The parser's own limit on nesting. It is checked here too, because this module and those after it recurse.
const DEPTH_MAX: usize = 128;
/// A tape that grew past this is freed after its call rather than kept.
const KEPT_NODES_MAX: usize = 16 * 1024;

/// A tape that a shard uses for one call after another.
#[derive(Debug)]
pub(in crate::registry) struct ArgumentTape(Tape<'static>);

impl ArgumentTape {
    pub(in crate::registry) fn new() -> Self {
        Self(Tape(Vec::new()))
    }

    /// The empty tape, to be filled by [`admit`] for one call.
    pub(in crate::registry) fn lend<'call>(self) -> Tape<'call> {
        self.0.reset()
    }

    /// Takes the tape back from a call.
    pub(in crate::registry) fn restore(tape: Tape<'_>) -> Self {
        if tape.0.capacity() > KEPT_NODES_MAX {
            return Self::new();
        }
        Self(tape.reset())
    }
}

/// Copies `arguments` onto `tape`; `None` becomes the empty object.
///
/// # Errors
/// Fails for a duplicate member name at any level, with its path; for nesting past the limit; and for a number beyond
/// the range of a double, which is infinite on the tape.
pub(in crate::registry) fn admit<'input>(
    arguments: Option<Value<'_, 'input>>,
    tape: &mut Tape<'input>,
) -> Result<(), ArgumentError> {
    match arguments {
        Some(value) => {
            tape.0.extend_from_slice(value.nodes());
            check(&tape.0, DEPTH_MAX)
        }
        None => {
            tape.0.push(RawNode::Object { len: 0, count: 0 });
            Ok(())
        }
    }
}

/// Checks the one value of `nodes`.
fn check(nodes: &[RawNode<'_>], depth_left: usize) -> Result<(), ArgumentError> {
    let Some((first, inside)) = nodes.split_first() else {
        return Ok(());
    };
    let mut rest = inside;
    match first {
        RawNode::Object { len, .. } => {
            let depth_left = below(depth_left)?;
            while let Some((name, value, next)) = split_member(rest) {
                check(value, depth_left).map_err(|error| error.under_name(name))?;
                rest = next;
            }
            refuse_duplicates(inside, *len)
        }
        RawNode::Array { .. } => {
            let depth_left = below(depth_left)?;
            let mut at = 0;
            while let Some((value, next)) = split_value(rest) {
                check(value, depth_left).map_err(|error| error.under_index(at))?;
                rest = next;
                at += 1;
            }
            Ok(())
        }
        RawNode::Static(StaticNode::F64(number)) if number.is_infinite() => {
            Err(ArgumentError::new("the number is beyond the range of a double"))
        }
        RawNode::String(_) | RawNode::Static(_) => Ok(()),
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

#[cfg(test)]
mod tests {
    use super::super::random;
    use super::*;

    fn admitted(text: &str) -> Result<usize, (String, String)> {
        let mut bytes = text.as_bytes().to_vec();
        let parsed = simd_json::to_tape(&mut bytes).unwrap();
        let mut tape = ArgumentTape::new().lend();
        admit(Some(Value::of_tape(&parsed)), &mut tape)
            .map_err(|error| error.into_violation())
            .map_err(|violation| (violation.path().to_owned(), violation.message().to_owned()))?;
        assert_eq!(tape.0, parsed.0, "{text}");
        Ok(tape.0.len())
    }

    fn duplicate(path: &str) -> Result<usize, (String, String)> {
        Err((path.to_owned(), "the name occurs more than once".to_owned()))
    }

    #[test]
    fn the_copy_is_the_tape() {
        let mut rng = fastrand::Rng::with_seed(11);
        for _ in 0..2_000 {
            let text = random::document(&mut rng, 4).to_string();
            assert!(admitted(&text).is_ok(), "{text}");
        }
    }

    #[test]
    fn no_arguments_are_the_empty_object() {
        let mut tape = ArgumentTape::new().lend();
        admit(None, &mut tape).unwrap();
        assert_eq!(tape.0, [RawNode::Object { len: 0, count: 0 }]);
    }

    #[test]
    fn duplicates_are_refused_at_any_level() {
        assert_eq!(admitted(r#"{"a":1,"a":1}"#), duplicate("/a"));
        assert_eq!(
            admitted(r#"{"x":[0,{"y":{"a/b":1,"c":2,"a/b":3}}]}"#),
            duplicate("/x/1/y/a~1b")
        );
        assert_eq!(admitted(r#"{"":1,"b":{"":1},"":1}"#), duplicate("/"));
        // The name is written differently, but is the same.
        assert_eq!(admitted(r#"{"a":1,"\u0061":2}"#), duplicate("/a"));
        assert_eq!(admitted(r#"{"a":1,"A":2,"a\u0000":3}"#), Ok(7));
    }

    #[test]
    fn small_and_big_objects_agree_with_the_naive_way() {
        let seed = fastrand::u64(..);
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..500 {
            let names: Vec<u32> = (0..rng.usize(..40)).map(|_| rng.u32(..400)).collect();
            let members: Vec<String> = names.iter().map(|name| format!("\"n{name}\":0")).collect();
            let is_naively_duplicate = names
                .iter()
                .enumerate()
                .any(|(at, name)| names[..at].contains(name));
            let refused = admitted(&format!("{{{}}}", members.join(","))).is_err();
            assert_eq!(refused, is_naively_duplicate, "seed {seed}: {names:?}");
        }
    }

    #[test]
    fn a_hundred_thousand_members_are_looked_through() {
        let members: Vec<String> = (0..100_000).map(|at| format!("\"{at:06}\":0")).collect();
        assert_eq!(admitted(&format!("{{{}}}", members.join(","))), Ok(200_001));
        let twice = format!("{{{},\"000000\":1}}", members.join(","));
        assert_eq!(admitted(&twice), duplicate("/000000"));
    }

    #[test]
    fn numbers_out_of_range_are_refused_where_they_are() {
        let parsed = Tape(vec![
            RawNode::Array { len: 2, count: 2 },
            RawNode::Static(StaticNode::F64(1e300)),
            RawNode::Static(StaticNode::F64(f64::NEG_INFINITY)),
        ]);
        let mut tape = ArgumentTape::new().lend();
        let violation = admit(Some(Value::of_tape(&parsed)), &mut tape)
            .unwrap_err()
            .into_violation();
        assert_eq!(violation.path(), "/1");
        assert_eq!(violation.message(), "the number is beyond the range of a double");
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |levels: usize| ["[".repeat(levels), "]".repeat(levels)].concat();
        assert_eq!(admitted(&nested(DEPTH_MAX)), Ok(DEPTH_MAX));
        assert!(admitted(&nested(DEPTH_MAX + 1)).is_err());
    }

    #[test]
    fn a_grown_tape_is_not_kept() {
        let mut tape = ArgumentTape::new().lend();
        tape.0.reserve(KEPT_NODES_MAX + 1);
        assert_eq!(ArgumentTape::restore(tape).0.0.capacity(), 0);
        let mut tape = ArgumentTape::new().lend();
        tape.0.reserve(100);
        assert!(ArgumentTape::restore(tape).0.0.capacity() >= 100);
    }
}
