//! Values on the tape, where they lie.
//!
//! This is `simd_json::tape::Value` reduced to what reading messages takes: strings that outlive the look at the tape,
//! ids, members one after another. Looking never allocates and never fails.

use simd_json::{Node, StaticNode, Tape};

use super::id::Id;

/// One JSON value: `'t` borrows the tape, `'s` the text its strings lie in.
#[derive(Clone, Copy, Debug)]
pub struct Value<'t, 's> {
    /// This value's node and, for a container, those of everything in it.
    nodes: &'t [Node<'s>],
}

impl<'t, 's> Value<'t, 's> {
    /// The value that fills `nodes`.
    pub(super) fn new(nodes: &'t [Node<'s>]) -> Self {
        Self { nodes }
    }

    /// The value that fills a tape. A server takes one out of a message.
    #[cfg(any(test, feature = "internals"))]
    pub fn of_tape(tape: &'t Tape<'s>) -> Self {
        Self::new(&tape.0)
    }

    /// This value's nodes and, of a container, those of everything in it.
    pub fn nodes(self) -> &'t [Node<'s>] {
        self.nodes
    }

    /// A string, unescaped.
    pub fn as_str(self) -> Option<&'s str> {
        match self.nodes.first()? {
            Node::String(text) => Some(text),
            _ => None,
        }
    }

    /// A string, or an integer of 64 bits. The tape does not know how any other number was written: see
    /// [`Value::is_whole`].
    pub fn as_id(self) -> Option<Id<'s>> {
        match *self.nodes.first()? {
            Node::String(text) => Some(Id::Text(text)),
            Node::Static(StaticNode::I64(number)) => Some(Id::Signed(number)),
            Node::Static(StaticNode::U64(number)) => {
                Some(i64::try_from(number).map_or(Id::Unsigned(number), Id::Signed))
            }
            _ => None,
        }
    }

    /// Whether it is an object.
    pub fn is_object(self) -> bool {
        matches!(self.nodes.first(), Some(Node::Object { .. }))
    }

    /// Whether it is an array.
    pub fn is_array(self) -> bool {
        matches!(self.nodes.first(), Some(Node::Array { .. }))
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        matches!(self.nodes.first(), Some(Node::Static(StaticNode::Null)))
    }

    /// A truth value.
    pub fn as_bool(self) -> Option<bool> {
        match *self.nodes.first()? {
            Node::Static(StaticNode::Bool(is_true)) => Some(is_true),
            _ => None,
        }
    }

    /// An integer, exactly.
    pub fn as_i128(self) -> Option<i128> {
        match *self.nodes.first()? {
            Node::Static(StaticNode::I64(number)) => Some(number.into()),
            Node::Static(StaticNode::U64(number)) => Some(number.into()),
            _ => None,
        }
    }

    /// A number that was not written as an integer.
    pub fn as_float(self) -> Option<f64> {
        match *self.nodes.first()? {
            Node::Static(StaticNode::F64(number)) => Some(number),
            _ => None,
        }
    }

    /// Whether it is a whole number that is no integer of 64 bits as it is written: `1.0`, `1e20`.
    pub fn is_whole(self) -> bool {
        self.as_float()
            .is_some_and(|number| number.is_finite() && number.fract() == 0.0)
    }

    /// Whether it is, or contains, a number beyond the range of a double, which is an infinite one here.
    pub fn has_number_out_of_range(self) -> bool {
        let is_infinite =
            |node: &Node<'_>| matches!(node, Node::Static(StaticNode::F64(number)) if number.is_infinite());
        self.nodes.iter().any(is_infinite)
    }

    /// A whole number, exactly, however it is written: `1.0` too.
    pub fn as_whole(self) -> Option<i128> {
        const EXACT_MAX: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;
        let float = self.as_float().filter(|_| self.is_whole());
        self.as_i128().or_else(|| {
            float
                .filter(|float| float.abs() <= EXACT_MAX)
                .map(|float| float as i128)
        })
    }

    /// A copy that outlives the text. It allocates; of members that stand twice, the last counts. The depth is that of
    /// the text, which the parser bounds. A number beyond the range of a double becomes `null`: check with
    /// [`Value::has_number_out_of_range`] before.
    pub fn to_json(self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self.nodes.first() {
            None | Some(Node::Static(StaticNode::Null)) => Json::Null,
            Some(Node::String(text)) => Json::from(*text),
            Some(Node::Static(StaticNode::Bool(is_true))) => Json::from(*is_true),
            Some(Node::Static(StaticNode::I64(number))) => Json::from(*number),
            Some(Node::Static(StaticNode::U64(number))) => Json::from(*number),
            Some(Node::Static(StaticNode::F64(number))) => Json::from(*number),
            Some(Node::Array { .. }) => self.elements().map(Self::to_json).collect(),
            Some(Node::Object { .. }) => self
                .members()
                .map(|(name, value)| (name.to_owned(), value.to_json()))
                .collect(),
        }
    }

    /// An object's members in order, names unescaped; nothing for any other value.
    #[inline]
    pub fn members(self) -> impl Iterator<Item = (&'s str, Value<'t, 's>)> {
        let mut inside = self.inside(Self::is_object);
        std::iter::from_fn(move || {
            let name = inside.next_value()?.as_str()?;
            Some((name, inside.next_value()?))
        })
    }

    /// An array's elements in order; nothing for any other value.
    pub fn elements(self) -> impl Iterator<Item = Value<'t, 's>> {
        let mut inside = self.inside(Self::is_array);
        std::iter::from_fn(move || inside.next_value())
    }

    /// The first member of this name.
    #[inline]
    pub fn member(self, name: &str) -> Option<Value<'t, 's>> {
        self.members()
            .find_map(|(other, value)| (other == name).then_some(value))
    }

    #[inline]
    fn inside(self, is_kind: fn(Self) -> bool) -> Run<'t, 's> {
        let nodes = match self.nodes.split_first() {
            Some((_, inside)) if is_kind(self) => inside,
            _ => &[],
        };
        Run { nodes }
    }
}

/// A run of values one behind the other.
struct Run<'t, 's> {
    nodes: &'t [Node<'s>],
}

impl<'t, 's> Run<'t, 's> {
    #[inline]
    fn next_value(&mut self) -> Option<Value<'t, 's>> {
        let count = match self.nodes.first()? {
            Node::Object { count, .. } | Node::Array { count, .. } => count + 1,
            Node::String(_) | Node::Static(_) => 1,
        };
        let (nodes, rest) = self.nodes.split_at_checked(count)?;
        self.nodes = rest;
        Some(Value { nodes })
    }
}

#[cfg(test)]
mod tests {
    use crate::jsonrpc::{Id, Scratch};

    #[test]
    fn copies_say_the_same() {
        let text = r#"{"a":[1,-2,18446744073709551615,1.5,true,null,"\u00e9"],"b":{"c":{}}}"#;
        let mut scratch = Scratch::new();
        let document = scratch.parse(text.as_bytes()).unwrap();
        let expected: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(document.root().to_json(), expected);
        let mut numbers = document.root().member("a").unwrap().elements();
        assert_eq!(numbers.next().and_then(|one| one.as_i128()), Some(1));
        assert_eq!(numbers.next().and_then(|one| one.as_i128()), Some(-2));
        assert_eq!(
            numbers.next().and_then(|one| one.as_i128()),
            Some(u64::MAX.into())
        );
        let half = numbers.next().unwrap();
        assert_eq!((half.as_i128(), half.as_float()), (None, Some(1.5)));
        assert_eq!(numbers.next().and_then(|one| one.as_bool()), Some(true));
    }

    #[test]
    fn whole_numbers_are_whole_however_they_are_written() {
        let mut scratch = Scratch::new();
        let document = scratch
            .parse(b"[1, 1.0, -1e2, 1e20, 100000000000000000000, 1.5, 1e999, \"1\"]")
            .unwrap();
        let root = document.root();
        let whole: Vec<Option<i128>> = root.elements().map(|one| one.as_whole()).collect();
        assert_eq!(
            whole,
            [Some(1), Some(1), Some(-100), None, None, None, None, None]
        );
        let is_whole: Vec<bool> = root.elements().map(|one| one.is_whole()).collect();
        assert_eq!(is_whole, [false, true, true, true, true, false, false, false]);
        let out_of_range: Vec<bool> = root.elements().map(|one| one.has_number_out_of_range()).collect();
        assert_eq!(
            out_of_range,
            [false, false, false, false, false, false, true, false]
        );
        assert!(root.has_number_out_of_range());
    }

    #[test]
    fn values_are_found_where_they_lie() {
        let mut scratch = Scratch::new();
        let document = scratch
            .parse(br#"{"a":[1,{"b":null}],"\u0063":{"d":"e"},"f":18446744073709551615,"g":1.0}"#)
            .unwrap();
        let root = document.root();
        let names: Vec<&str> = root.members().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "c", "f", "g"]);
        assert_eq!(root.member("a").unwrap().elements().count(), 2);
        let inner = root.member("c").unwrap().member("d").unwrap();
        assert_eq!(inner.as_str(), Some("e"));
        assert_eq!(root.member("f").unwrap().as_id(), Some(Id::Unsigned(u64::MAX)));
        assert_eq!(root.member("g").unwrap().as_id(), None);
        assert!(root.member("a").unwrap().member("b").is_none());
        assert_eq!(inner.members().count() + inner.elements().count(), 0);
    }
}
