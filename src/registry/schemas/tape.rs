//! A call's arguments as the schema validator sees them: nodes of a simd-json tape, in place.
//!
//! This is deliberately not `simd_json::tape::Value`, which hides its nodes: the validator needs each container's
//! identity to end recursive schemas. Every visit is charged to the check's [`Steps`], because a recursive schema with
//! alternatives can take exponential time on a small document. Invariants: a slice holds exactly one value; names in an
//! object are unique ([`arguments`](super::arguments) has checked both); once the steps are used up every container
//! looks empty, even in the middle, so that the rest of the check ends quickly, and its verdict means nothing.

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::ControlFlow;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, JsonNumber, Node, NodeIdentity, Object, cmp};
use jsonschema_value::LazyInstance;
use serde_json::{Number, Value};
use simd_json::{Node as RawNode, StaticNode};

/// Bytes of a string in a message.
const ECHO_BYTES_MAX: usize = 64;

/// The work that one check may still do: one step for each question about a value, and one for each value in a
/// container that is searched.
#[derive(Debug)]
pub(in crate::registry) struct Steps {
    left: Cell<u64>,
    are_used_up: Cell<bool>,
    errors_left: Cell<u32>,
}

impl Steps {
    /// A fixed allowance, and for each node as much as a large but sane schema takes.
    const FIXED: u64 = 100_000;
    const PER_NODE: u64 = 32;

    /// Steps for a document of `nodes` nodes. A check that makes more than `errors_max` error values ends too.
    pub(in crate::registry) fn for_nodes(nodes: usize, errors_max: u32) -> Self {
        Self {
            left: Cell::new(Self::FIXED + Self::PER_NODE * nodes as u64),
            are_used_up: Cell::new(false),
            errors_left: Cell::new(errors_max),
        }
    }

    /// Whether the check ended early.
    pub(super) fn are_used_up(&self) -> bool {
        self.are_used_up.get()
    }

    /// Takes `steps`; returns false if there are no more.
    fn charge(&self, steps: usize) -> bool {
        match self.left.get().checked_sub(steps as u64) {
            Some(left) if !self.are_used_up.get() => {
                self.left.set(left);
                true
            }
            _ => {
                self.are_used_up.set(true);
                false
            }
        }
    }

    fn charge_error(&self) {
        match self.errors_left.get().checked_sub(1) {
            Some(left) => self.errors_left.set(left),
            None => self.are_used_up.set(true),
        }
    }
}

/// One value on a tape. `Copy`.
#[derive(Debug, Clone, Copy)]
pub(in crate::registry) struct TapeNode<'a> {
    /// The node of this value and, for a container, those of everything in it.
    nodes: &'a [RawNode<'a>],
    steps: &'a Steps,
}

impl<'a> TapeNode<'a> {
    /// The value that fills `nodes`.
    pub(in crate::registry) fn new(nodes: &'a [RawNode<'a>], steps: &'a Steps) -> Self {
        Self { nodes, steps }
    }

    /// The value's nodes.
    pub(in crate::registry) fn nodes(&self) -> &'a [RawNode<'a>] {
        self.nodes
    }
}

/// Splits the first value off a run of values.
pub(super) fn split_value<'s, 'a>(
    nodes: &'s [RawNode<'a>],
) -> Option<(&'s [RawNode<'a>], &'s [RawNode<'a>])> {
    let count = match nodes.first()? {
        RawNode::Object { count, .. } | RawNode::Array { count, .. } => count + 1,
        RawNode::String(_) | RawNode::Static(_) => 1,
    };
    nodes.split_at_checked(count)
}

/// Splits the first member off the members of an object.
#[inline]
pub(super) fn split_member<'s, 'a>(
    nodes: &'s [RawNode<'a>],
) -> Option<(&'a str, &'s [RawNode<'a>], &'s [RawNode<'a>])> {
    let (RawNode::String(name), rest) = nodes.split_first()? else {
        return None;
    };
    let (value, rest) = split_value(rest)?;
    Some((name, value, rest))
}

/// How deeply the one value of `nodes` is nested: 1 for a scalar.
pub(super) fn nesting(nodes: &[RawNode<'_>]) -> usize {
    let Some((first, mut rest)) = nodes.split_first() else {
        return 0;
    };
    let mut deepest = 0;
    match first {
        RawNode::Array { .. } => {
            while let Some((value, next)) = split_value(rest) {
                deepest = deepest.max(nesting(value));
                rest = next;
            }
        }
        RawNode::Object { .. } => {
            while let Some((_, value, next)) = split_member(rest) {
                deepest = deepest.max(nesting(value));
                rest = next;
            }
        }
        RawNode::String(_) | RawNode::Static(_) => {}
    }
    deepest + 1
}

/// The representation, for the validator.
pub(super) struct TapeJson;

impl Json for TapeJson {
    type Node<'a> = TapeNode<'a>;
    type PreparedKey = Box<str>;
    type StringBuffer = ();

    // A lookup is a scan here, so one pass over the members beats two lookups.
    const KEYS_PER_LOOKUP: usize = 16;
    const ACYCLIC: bool = true;

    fn prepare_key(key: &str) -> Box<str> {
        key.into()
    }

    fn with_string_node<T>((): &mut (), string: &str, f: impl FnOnce(TapeNode<'_>) -> T) -> T {
        f(TapeNode::new(
            &[RawNode::String(string)],
            &Steps::for_nodes(1, u32::MAX),
        ))
    }
}

impl<'a> Node<'a, TapeJson> for TapeNode<'a> {
    type Object = TapeObject<'a>;
    type Array = TapeArray<'a>;
    type Number = TapeNumber;

    fn as_object(&self) -> Option<TapeObject<'a>> {
        let (RawNode::Object { len, .. }, members) = self.nodes.split_first()? else {
            return None;
        };
        let is_paid = self.steps.charge(1 + len);
        Some(TapeObject {
            len: if is_paid { *len } else { 0 },
            members: Members {
                nodes: if is_paid { members } else { &[] },
                steps: self.steps,
            },
        })
    }

    fn as_array(&self) -> Option<TapeArray<'a>> {
        let (RawNode::Array { len, .. }, elements) = self.nodes.split_first()? else {
            return None;
        };
        let is_paid = self.steps.charge(1 + len);
        Some(TapeArray {
            len: if is_paid { *len } else { 0 },
            elements: Elements {
                nodes: if is_paid { elements } else { &[] },
                steps: self.steps,
            },
        })
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        self.steps.charge(1);
        match self.nodes.first()? {
            RawNode::String(string) => Some(Cow::Borrowed(string)),
            _ => None,
        }
    }

    fn as_number(&self) -> Option<TapeNumber> {
        self.steps.charge(1);
        match self.nodes.first()? {
            RawNode::Static(number @ (StaticNode::I64(_) | StaticNode::U64(_) | StaticNode::F64(_))) => {
                Some(TapeNumber(*number))
            }
            _ => None,
        }
    }

    fn as_boolean(&self) -> Option<bool> {
        self.steps.charge(1);
        match self.nodes.first()? {
            RawNode::Static(StaticNode::Bool(value)) => Some(*value),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        self.json_type() == JsonType::Null
    }

    fn json_type(&self) -> JsonType {
        self.steps.charge(1);
        match self.nodes.first() {
            Some(RawNode::Object { .. }) => JsonType::Object,
            Some(RawNode::Array { .. }) => JsonType::Array,
            Some(RawNode::String(_)) => JsonType::String,
            Some(RawNode::Static(StaticNode::Bool(_))) => JsonType::Boolean,
            Some(RawNode::Static(StaticNode::Null)) | None => JsonType::Null,
            Some(RawNode::Static(_)) => JsonType::Number,
        }
    }

    fn string_length_within(&self, min: u64, max: u64) -> Option<bool> {
        self.steps.charge(1);
        let RawNode::String(string) = self.nodes.first()? else {
            return None;
        };
        // A character takes one to four bytes, so the byte length alone often decides.
        let bytes = string.len() as u64;
        let fewest = bytes.div_ceil(4);
        if bytes < min || fewest > max {
            return Some(false);
        }
        if min <= fewest && bytes <= max {
            return Some(true);
        }
        Some((min..=max).contains(&(string.chars().count() as u64)))
    }

    fn equals_value(&self, expected: &Value) -> bool {
        self.steps.charge(1);
        match (self.nodes.first(), expected) {
            (Some(RawNode::String(string)), Value::String(expected)) => string == expected,
            (Some(RawNode::String(_)), _) => false,
            _ => cmp::equal(&self.to_value(), expected),
        }
    }

    fn to_value(&self) -> Cow<'a, Value> {
        Cow::Owned(value_of(self.nodes))
    }

    /// What messages print: the beginning of a string, and only the type of a container. A peer's value may be huge,
    /// and there may be an error for each of its parts.
    fn lazy_value(&self) -> LazyInstance<'a> {
        self.steps.charge_error();
        let value = match self.nodes.first() {
            Some(RawNode::String(string)) if string.len() > ECHO_BYTES_MAX => {
                let end = string.floor_char_boundary(ECHO_BYTES_MAX);
                Value::String(format!("{}…", &string[..end]))
            }
            Some(RawNode::Array { .. }) => Value::Array(Vec::new()),
            Some(RawNode::Object { .. }) => Value::Object(serde_json::Map::new()),
            _ => value_of(self.nodes),
        };
        LazyInstance::Ready(Cow::Owned(value))
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::new(self.nodes.as_ptr() as usize))
    }
}

/// An object on a tape.
pub(super) struct TapeObject<'a> {
    len: usize,
    members: Members<'a>,
}

impl<'a> Object<'a, TapeJson> for TapeObject<'a> {
    type Node = TapeNode<'a>;
    type MemberName = &'a str;
    type MembersIter = Members<'a>;

    fn len(&self) -> usize {
        self.len
    }

    fn get(&self, key: &Box<str>) -> Option<TapeNode<'a>> {
        self.members()
            .find(|(name, _)| *name == &**key)
            .map(|(_, value)| value)
    }

    fn members(&self) -> Members<'a> {
        self.members
    }

    /// Names are nodes of the tape already.
    fn try_for_each_name_node<B>(
        &self,
        (): &mut (),
        mut f: impl FnMut(TapeNode<'_>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let mut rest = self.members.nodes;
        while let Some((_, _, next)) = split_member(rest) {
            if self.members.steps.are_used_up() {
                break;
            }
            f(TapeNode::new(&rest[..1], self.members.steps))?;
            rest = next;
        }
        ControlFlow::Continue(())
    }
}

/// The members of an object, in document order.
#[derive(Clone, Copy)]
pub(super) struct Members<'a> {
    nodes: &'a [RawNode<'a>],
    steps: &'a Steps,
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, TapeNode<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.steps.are_used_up() {
            return None;
        }
        let (name, value, rest) = split_member(self.nodes)?;
        self.nodes = rest;
        Some((name, TapeNode::new(value, self.steps)))
    }
}

/// An array on a tape.
pub(super) struct TapeArray<'a> {
    len: usize,
    elements: Elements<'a>,
}

impl<'a> Array<'a, TapeJson> for TapeArray<'a> {
    type Node = TapeNode<'a>;
    type ElementsIter = Elements<'a>;

    fn len(&self) -> usize {
        self.len
    }

    fn elements(&self) -> Elements<'a> {
        self.elements
    }
}

/// The elements of an array.
#[derive(Clone, Copy)]
pub(super) struct Elements<'a> {
    nodes: &'a [RawNode<'a>],
    steps: &'a Steps,
}

impl<'a> Iterator for Elements<'a> {
    type Item = TapeNode<'a>;

    fn next(&mut self) -> Option<TapeNode<'a>> {
        if self.steps.are_used_up() {
            return None;
        }
        let (value, rest) = split_value(self.nodes)?;
        self.nodes = rest;
        Some(TapeNode::new(value, self.steps))
    }
}

/// A number on a tape.
#[derive(Debug, Clone, Copy)]
pub(super) struct TapeNumber(StaticNode);

impl TapeNumber {
    fn number(self) -> Number {
        match self.0 {
            StaticNode::I64(number) => number.into(),
            StaticNode::U64(number) => number.into(),
            // Numbers past the range of `f64` are not admitted, so there is no infinity to lose here.
            StaticNode::F64(number) => Number::from_f64(number).unwrap_or_else(|| 0.into()),
            StaticNode::Bool(_) | StaticNode::Null => 0.into(),
        }
    }
}

impl JsonNumber for TapeNumber {
    fn as_u64(&self) -> Option<u64> {
        self.number().as_u64()
    }

    fn as_i64(&self) -> Option<i64> {
        self.number().as_i64()
    }

    fn as_f64(&self) -> Option<f64> {
        self.number().as_f64()
    }

    fn as_str(&self) -> Cow<'_, str> {
        Cow::Owned(self.number().to_string())
    }

    fn to_number(&self) -> Cow<'_, Number> {
        Cow::Owned(self.number())
    }

    fn is_written_as_integer(&self) -> bool {
        self.number().is_written_as_integer()
    }
}

/// A copy as a serde_json tree, for keywords that compare whole values.
fn value_of(nodes: &[RawNode<'_>]) -> Value {
    let Some((first, mut rest)) = nodes.split_first() else {
        return Value::Null;
    };
    match first {
        RawNode::String(string) => Value::String((*string).to_owned()),
        RawNode::Static(StaticNode::Null) => Value::Null,
        RawNode::Static(StaticNode::Bool(value)) => Value::Bool(*value),
        RawNode::Static(number) => Value::Number(TapeNumber(*number).number()),
        RawNode::Array { len, .. } => {
            let mut elements = Vec::with_capacity(*len);
            while let Some((value, next)) = split_value(rest) {
                elements.push(value_of(value));
                rest = next;
            }
            Value::Array(elements)
        }
        RawNode::Object { len, .. } => {
            let mut members = serde_json::Map::with_capacity(*len);
            while let Some((name, value, next)) = split_member(rest) {
                members.insert(name.to_owned(), value_of(value));
                rest = next;
            }
            Value::Object(members)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::random;
    use super::*;
    use jsonschema::json::SerdeJson;
    use serde_json::json;

    /// Documents and schemas per seeded run; each pair is one comparison.
    const ROUNDS: usize = 1_500;

    fn build<F: Json>(schema: &Value) -> Option<jsonschema::Validator<F>> {
        jsonschema::options_for::<F>().offline().build(schema).ok()
    }

    /// The place of each error, in the document and in the schema.
    fn named<'e>(errors: impl Iterator<Item = jsonschema::ValidationError<'e>>) -> Vec<(String, String)> {
        errors
            .map(|error| {
                (
                    error.instance_path().to_string(),
                    error.evaluation_path().to_string(),
                )
            })
            .collect()
    }

    #[test]
    fn validates_as_a_serde_json_tree_does() {
        let seed = fastrand::u64(..);
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut valid, mut invalid) = (0, 0);
        for _ in 0..ROUNDS {
            let schema = random::schema_document(&mut rng);
            let document = random::document(&mut rng, 4);
            let mut text = document.to_string().into_bytes();
            // The document is parsed once, so that both sides see the same numbers.
            let tree: Value = serde_json::from_slice(&text).unwrap();
            let tape = simd_json::to_tape(&mut text).unwrap();
            let (Some(on_tape), Some(on_tree)) = (build::<TapeJson>(&schema), build::<SerdeJson>(&schema))
            else {
                panic!("seed {seed}: {schema}");
            };
            let steps = Steps::for_nodes(tape.0.len(), u32::MAX);
            let node = TapeNode::new(&tape.0, &steps);
            let expected = on_tree.is_valid(&tree);
            let context = format!("seed {seed}, schema {schema}, document {tree}");
            assert_eq!(on_tape.is_valid(node), expected, "{context}");
            let errors = named(on_tree.iter_errors(&tree));
            assert_eq!(named(on_tape.iter_errors(node)), errors, "{context}");
            assert!(!steps.are_used_up(), "{context}");
            *(if expected { &mut valid } else { &mut invalid }) += 1;
        }
        // The generator must produce both, or the comparison means little.
        assert!(
            valid > ROUNDS / 20 && invalid > ROUNDS / 20,
            "seed {seed}: {valid}, {invalid}"
        );
    }

    #[test]
    fn copies_equal_the_tree() {
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..ROUNDS {
            let text = random::document(&mut rng, 4).to_string();
            let tree: Value = serde_json::from_str(&text).unwrap();
            let mut bytes = text.into_bytes();
            let tape = simd_json::to_tape(&mut bytes).unwrap();
            assert_eq!(value_of(&tape.0), tree);
        }
    }

    #[test]
    fn used_up_steps_end_an_exponential_check() {
        // There are two ways to go down at each level, and the bottom fits neither.
        let schema = json!({
            "$ref": "#/$defs/node",
            "$defs": {"node": {"type": "object", "anyOf": [
                {"properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["x"]},
                {"properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["y"]},
            ]}}
        });
        let mut text = [r#"{"x":0,"y":0,"next":"#.repeat(60), "0".into(), "}".repeat(60)].concat();
        let mut bytes = std::mem::take(&mut text).into_bytes();
        let tape = simd_json::to_tape(&mut bytes).unwrap();
        let validator = build::<TapeJson>(&schema).unwrap();
        let steps = Steps::for_nodes(tape.0.len(), 1_000);
        // Errors are not remembered between alternatives as verdicts are: only the steps end this.
        let errors = validator.iter_errors(TapeNode::new(&tape.0, &steps)).count();
        assert!(steps.are_used_up());
        assert!(errors < 1_000, "{errors}");
    }
}
