//! The members of one object in a text, where they lie.

use std::borrow::Cow;

use super::span::{Span, plain_text};
use super::walk::{Token, Walk};

/// One member of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name, with the quotes.
    pub name: Span,
    /// Its value.
    pub value: Span,
}

impl Member {
    /// The name without escapes; empty if it has an unpaired surrogate.
    pub fn name<'t>(&self, text: &'t [u8]) -> Cow<'t, str> {
        plain_text(self.name.of(text))
    }

    /// The member as it stands, from its name to the end of its value.
    pub fn whole(&self) -> Span {
        Span {
            start: self.name.start,
            end: self.value.end,
        }
    }
}

/// The members of `text`, which is an object, in order; none for any other text. Nothing comes behind a fault in it.
pub fn members(text: &[u8]) -> impl Iterator<Item = Member> {
    let mut walk = Walk::new(text).ok();
    let mut name = None;
    let mut begin = 0;
    std::iter::from_fn(move || {
        let walk = walk.as_mut()?;
        loop {
            let step = walk.next_step().ok()??;
            let span = Span::from(step.span);
            match (step.token, walk.depth()) {
                (Token::Name, 1) => name = Some(span),
                (Token::Open, 2) => begin = span.start,
                (Token::Close, 1) => {
                    let value = Span {
                        start: begin,
                        end: span.end,
                    };
                    return name.map(|name| Member { name, value });
                }
                (Token::Plain | Token::Number, 1) => return name.map(|name| Member { name, value: span }),
                _ => {}
            }
        }
    })
}

/// The places to be taken out of an object with `all` these members so that it lacks some of them, with the commas that
/// go with them. Those behind the last member that stays begin at the same place.
pub fn places_without(all: &[Member], is_lost: impl Fn(&Member) -> bool) -> impl Iterator<Item = Span> {
    let last_kept = all.iter().rposition(|member| !is_lost(member));
    let lost = all.iter().enumerate().filter(move |(_, member)| is_lost(member));
    lost.map(move |(at, member)| match (last_kept, all.get(at + 1)) {
        (Some(kept), _) if kept < at => Span {
            start: all.get(kept).map_or(member.name.start, |kept| kept.value.end),
            end: member.value.end,
        },
        (_, Some(next)) => Span {
            start: member.name.start,
            end: next.name.start,
        },
        (_, None) => member.whole(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, &str)> {
        let bytes = text.as_bytes();
        members(bytes)
            .map(|member| {
                let value = std::str::from_utf8(member.value.of(bytes)).unwrap();
                (member.name(bytes).into_owned(), value)
            })
            .collect()
    }

    #[test]
    fn members_are_found_whatever_their_values_are() {
        let text = r#" { "a" : 1.10 , "\u0062":{"a":[2,{"c":3}]},"a":[],"c" : "x,}" , "":null} "#;
        let expected = [
            ("a", "1.10"),
            ("b", r#"{"a":[2,{"c":3}]}"#),
            ("a", "[]"),
            ("c", r#""x,}""#),
            ("", "null"),
        ]
        .map(|(name, value)| (name.to_owned(), value));
        assert_eq!(found(text), expected);
    }

    #[test]
    fn members_are_taken_out_with_their_commas() {
        for (text, expected) in [
            (r#"{"x":1}"#, "{}"),
            (r#"{ "x" : 1 , "a":2}"#, r#"{ "a":2}"#),
            (r#"{"a":2 , "x":1 }"#, r#"{"a":2 }"#),
            (r#"{"a":1,"x":2 ,"b":3}"#, r#"{"a":1,"b":3}"#),
            (r#"{"x":1,"x":2}"#, "{}"),
            (r#"{"x":1,"a":2,"x":3,"x":4}"#, r#"{"a":2}"#),
            (r#"{"a":1,"x":3, "x":4,"b":2,"x":5}"#, r#"{"a":1,"b":2}"#),
            (r#"{"a":1}"#, r#"{"a":1}"#),
        ] {
            let bytes = text.as_bytes();
            let all: Vec<Member> = members(bytes).collect();
            let (mut left, mut at) = (String::new(), 0);
            for place in places_without(&all, |member| member.name(bytes) == "x") {
                left += text.get(at..place.start).unwrap_or_default();
                at = at.max(place.end);
            }
            left += &text[at..];
            assert_eq!(left, expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_object_has_none() {
        for text in ["[]", "[{\"a\":1}]", "1", "\"a\"", "", "{", "{}"] {
            assert_eq!(found(text), [], "{text}");
        }
        assert_eq!(found(r#"{"a":1,"b":tru}"#).len(), 1);
    }
}
