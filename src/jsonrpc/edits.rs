//! Replacements of parts of a text, all of which are found before any is made.

use std::borrow::Cow;

use super::elements::element_spans;
use super::members::members;
use super::span::Span;
use super::string::write_string;

/// A text and what is to take the places of its parts. Every other byte stays as it is.
#[derive(Debug)]
pub struct Edits<'t> {
    text: &'t [u8],
    /// Places, which do not overlap, and what takes them.
    made: Vec<(Span, Vec<u8>)>,
}

impl<'t> Edits<'t> {
    /// No replacements of parts of this text, which is JSON.
    pub fn new(text: &'t [u8]) -> Self {
        Self {
            text,
            made: Vec::new(),
        }
    }

    /// The place of the whole text.
    pub fn whole(&self) -> Span {
        Span {
            start: 0,
            end: self.text.len(),
        }
    }

    /// The members of the object at `place`, in order; none if it is something else.
    pub fn members(&self, place: Span) -> impl Iterator<Item = (Cow<'t, str>, Span)> + use<'t> {
        let object = place.of(self.text);
        members(object).map(move |member| (member.name(object), member.value.within(place)))
    }

    /// The elements of the array at `place`, in order; none if it is something else.
    pub fn elements(&self, place: Span) -> Vec<Span> {
        let array = place.of(self.text);
        if array.first() != Some(&b'[') {
            return Vec::new();
        }
        let spans = element_spans(array).into_iter();
        spans.map(|span| Span::from(span).within(place)).collect()
    }

    /// The string at `place`, without escapes; `None` if it is something else.
    pub fn string(&self, place: Span) -> Option<String> {
        serde_json::from_slice(place.of(self.text)).ok()
    }

    /// Puts another string in the place of the one there, if there is one.
    pub fn replace_string(&mut self, place: Span, with: impl FnOnce(&str) -> String) {
        if let Some(string) = self.string(place) {
            let mut written = Vec::new();
            write_string(&mut written, &with(&string));
            self.made.push((place, written));
        }
    }

    /// The text with all replacements; `None` if there are none.
    pub fn finish(mut self) -> Option<Vec<u8>> {
        if self.made.is_empty() {
            return None;
        }
        self.made.sort_by_key(|(place, _)| place.start);
        let mut out = Vec::with_capacity(self.text.len() + 64);
        let mut at = 0;
        for (place, written) in self.made {
            out.extend_from_slice(self.text.get(at..place.start).unwrap_or_default());
            out.extend_from_slice(&written);
            at = place.end;
        }
        out.extend_from_slice(self.text.get(at..).unwrap_or_default());
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_replaced_changes() {
        let text = br#"{ "a" : ["\u0078", 1.10,"y"] ,"b":"\n","a":7, "c":{"d":"e"}}"#;
        let mut edits = Edits::new(text);
        let whole = edits.whole();
        let all: Vec<(Cow<'_, str>, Span)> = edits.members(whole).collect();
        let names: Vec<&str> = all.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["a", "b", "a", "c"]);
        for (_, place) in &all {
            for element in edits.elements(*place) {
                edits.replace_string(element, |old| format!("<{old}>"));
            }
            edits.replace_string(*place, |old| format!("\"{old}"));
            let inner: Vec<Span> = edits.members(*place).map(|(_, place)| place).collect();
            inner
                .into_iter()
                .for_each(|place| edits.replace_string(place, |_| String::new()));
        }
        assert_eq!(
            String::from_utf8(edits.finish().unwrap()).unwrap(),
            r#"{ "a" : ["<x>", 1.10,"<y>"] ,"b":"\"\n","a":7, "c":{"d":""}}"#
        );
        assert_eq!(Edits::new(text).finish(), None);
    }
}
