//! URI templates (RFC 6570), matched against URIs to find the values that a template was expanded with.
//!
//! A template may have simple expansions `{name}` and one reserved expansion `{+name}`. A simple value has at least one
//! byte and no `/`, `?` or `#`; a reserved one has at least one byte of any kind. Both are percent-decoded. Every other
//! form (lists, modifiers, other operators) is refused when the template is registered, and so are two expressions
//! without a text between them, which could not be taken apart in one way.
//!
//! Matching never backtracks, and takes time linear in the URI whatever a peer sends. It still finds every match:
//! before the reserved expression each value is the shortest that lets the next text follow, behind it the same from
//! the end. A text with one of the three separators between two values has only one possible place; without a
//! separator, whatever a shorter value leaves over can be taken by the next value.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memmem;

use crate::registry::uri::percent_decode;

/// The bytes that end a simple value.
const SEPARATORS: [u8; 3] = *b"/?#";

/// A parsed template: texts and variables alternate, with one text more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::registry) struct UriTemplate {
    texts: Vec<String>,
    variables: Vec<Variable>,
    /// Place of the reserved expression; past the end when there is none.
    reserved: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Variable {
    name: String,
}

/// Why URIs cannot be matched against a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The template has no expression, so it is a resource.
    #[error("it has no expression; register a resource instead")]
    NoExpression,
    /// A brace has no partner.
    #[error("a brace has no partner")]
    Brace,
    /// The template has `{/x}`, `{?x}` and the like, `{x*}`, `{x:3}`, `{x,y}`, or no name.
    #[error("{{{0}}} is not supported; {{name}} and {{+name}} are")]
    Expression(String),
    /// Two expressions have nothing between them.
    #[error("{{{0}}} follows another expression without a text between them")]
    Adjacent(String),
    /// There is a second `{+name}`.
    #[error("{{+{0}}} is the second reserved expression; there may be one")]
    SecondReserved(String),
    /// A name occurs twice.
    #[error("the variable {0:?} occurs more than once")]
    Repeated(String),
    /// The template has a character that no URI has.
    #[error("it has a character that no URI has")]
    Character,
}

impl UriTemplate {
    pub(in crate::registry) fn parse(template: &str) -> Result<Self, TemplateError> {
        let mut parsed = Self {
            texts: Vec::new(),
            variables: Vec::new(),
            reserved: usize::MAX,
        };
        let mut rest = template;
        while let Some((text, behind)) = rest.split_once('{') {
            let (expression, behind) = behind.split_once('}').ok_or(TemplateError::Brace)?;
            parsed.push_text(text)?;
            parsed.push_expression(expression)?;
            rest = behind;
        }
        parsed.push_text(rest)?;
        if parsed.variables.is_empty() {
            Err(TemplateError::NoExpression)
        } else {
            Ok(parsed)
        }
    }

    fn push_text(&mut self, text: &str) -> Result<(), TemplateError> {
        if text.contains('}') {
            return Err(TemplateError::Brace);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TemplateError::Character);
        }
        self.texts.push(text.to_owned());
        Ok(())
    }

    fn push_expression(&mut self, expression: &str) -> Result<(), TemplateError> {
        let (is_reserved, name) = match expression.strip_prefix('+') {
            Some(name) => (true, name),
            None => (false, expression),
        };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(TemplateError::Expression(expression.to_owned()));
        }
        if self.variables.iter().any(|variable| variable.name == name) {
            return Err(TemplateError::Repeated(name.to_owned()));
        }
        let text_before = self.texts.last().map_or("", String::as_str);
        if !self.variables.is_empty() && text_before.is_empty() {
            return Err(TemplateError::Adjacent(expression.to_owned()));
        }
        if is_reserved {
            if self.reserved != usize::MAX {
                return Err(TemplateError::SecondReserved(name.to_owned()));
            }
            self.reserved = self.variables.len();
        }
        self.variables.push(Variable {
            name: name.to_owned(),
        });
        Ok(())
    }

    /// The variables' names, in order.
    pub(super) fn variables(&self) -> Vec<&str> {
        self.variables
            .iter()
            .map(|variable| variable.name.as_str())
            .collect()
    }

    pub(super) fn has_variable(&self, name: &str) -> bool {
        self.variables.iter().any(|variable| variable.name == name)
    }

    /// The variables' names and decoded values, if `uri` matches and its values are UTF-8.
    pub(in crate::registry) fn values<'u>(&self, uri: &'u str) -> Option<Vec<(&str, Cow<'u, str>)>> {
        let spans = self.spans(uri.as_bytes())?;
        let decoded = spans.into_iter().map(|span| percent_decode(uri.get(span)?));
        let names = self.variables.iter().map(|variable| variable.name.as_str());
        names
            .zip(decoded)
            .map(|(name, value)| Some((name, value?)))
            .collect()
    }

    /// The ranges of the values.
    fn spans(&self, uri: &[u8]) -> Option<Vec<Range<usize>>> {
        let (first, last) = (self.texts.first()?, self.texts.last()?);
        let last_variable = self.variables.len().checked_sub(1)?;
        let mut start = first.len();
        let mut end = uri.len().checked_sub(last.len())?;
        if start > end || !uri.starts_with(first.as_bytes()) || !uri.ends_with(last.as_bytes()) {
            return None;
        }
        // The reserved one takes what the others leave.
        let rest = self.reserved.min(last_variable);
        let mut spans = vec![0..0; self.variables.len()];
        for (span, text) in spans.iter_mut().zip(self.texts.get(1..)?).take(rest) {
            // The value itself has at least one byte.
            let from = start + 1;
            let at = from + memmem::find(uri.get(from..end)?, text.as_bytes())?;
            *span = start..at;
            start = at + text.len();
        }
        for (span, text) in spans.iter_mut().zip(&self.texts).skip(rest + 1).rev() {
            let at = start + memmem::rfind(uri.get(start..end.checked_sub(1)?)?, text.as_bytes())?;
            *span = at + text.len()..end;
            end = at;
        }
        *spans.get_mut(rest)? = start..end;
        let is_value = |(at, span): (usize, &Range<usize>)| {
            let value = uri.get(span.clone()).unwrap_or_default();
            !value.is_empty() && (at == self.reserved || !value.iter().any(|byte| SEPARATORS.contains(byte)))
        };
        spans.iter().enumerate().all(is_value).then_some(spans)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(template: &str, uri: &str) -> Option<Vec<String>> {
        let template = UriTemplate::parse(template).unwrap();
        let values = template.values(uri)?;
        Some(values.into_iter().map(|(_, value)| value.into_owned()).collect())
    }

    fn matched(template: &str, uri: &str, expected: &[&str]) {
        assert_eq!(
            values(template, uri).as_deref(),
            Some(&expected.iter().map(|&value| value.to_owned()).collect::<Vec<_>>()[..]),
            "{template} {uri}"
        );
    }

    #[test]
    fn values_come_back_decoded() {
        matched("demo://greeting/{name}", "demo://greeting/Ada", &["Ada"]);
        matched("demo://greeting/{name}", "demo://greeting/%C3%A9%2Fx", &["é/x"]);
        matched("test://template/{id}/data", "test://template/123/data", &["123"]);
        matched("file:///{+path}", "file:///a/b%20c.rs", &["a/b c.rs"]);
        matched("x:{a}-{b}", "x:1-2-3", &["1", "2-3"]);
        matched("x:{a}/{b}", "x:1-2/3", &["1-2", "3"]);
        matched("x:{a}/{+b}/{c}.{d}", "x:1/2/3/4.5.6", &["1", "2/3", "4.5", "6"]);
        matched("x:{+b}/data", "x:data/data/data", &["data/data"]);
        matched("x:{a}", "x:%252e", &["%2e"]);
        matched("x:{a}y", "x:yy", &["y"]);
    }

    #[test]
    fn what_the_template_cannot_have_made_does_not_match() {
        for (template, uri) in [
            ("demo://greeting/{name}", "demo://greeting/"),
            ("demo://greeting/{name}", "demo://greeting"),
            ("demo://greeting/{name}", "demo://greeting/a/b"),
            ("demo://greeting/{name}", "demo://greeting/a?b"),
            ("demo://greeting/{name}", "DEMO://greeting/a"),
            ("demo://greeting/{name}", ""),
            ("x:{a}", "x:%"),
            ("x:{a}", "x:%2"),
            ("x:{a}", "x:%zz"),
            ("x:{a}", "x:%+1"),
            ("x:{a}", "x:%ff"),
            ("x:{a}/data", "x:/data"),
            ("x:{a}/data", "x:1/data/"),
            ("x:aba{v}aba", "x:aba"),
            ("x:{a}-{b}", "x:-"),
            ("x:{a}-{b}", "x:1-"),
            ("x:{+a}/{b}", "x:/1"),
        ] {
            assert_eq!(values(template, uri), None, "{template} {uri}");
        }
    }

    #[test]
    fn other_templates_are_refused() {
        let refused = |template: &str| UriTemplate::parse(template).unwrap_err();
        assert_eq!(refused("x:y"), TemplateError::NoExpression);
        for template in ["x:{a", "x:a}", "x:{a}}", "x:{a}{"] {
            assert_eq!(refused(template), TemplateError::Brace, "{template}");
        }
        for form in [
            "", "+", "/a", "?a", "&a", "#a", ".a", ";a", "a*", "a:3", "a,b", "+a*", "é", "{a",
        ] {
            let expected = TemplateError::Expression(form.to_owned());
            assert_eq!(refused(&format!("x:{{{form}}}")), expected, "{form}");
        }
        assert_eq!(refused("x:{a}{b}"), TemplateError::Adjacent("b".to_owned()));
        assert_eq!(
            refused("x:{+a}/{+b}"),
            TemplateError::SecondReserved("b".to_owned())
        );
        assert_eq!(refused("x:{a}/{a}"), TemplateError::Repeated("a".to_owned()));
        assert_eq!(refused("x: {a}"), TemplateError::Character);
    }

    /// Whether any choice of places matches: exponential, but certainly right.
    fn matches_naively(texts: &[String], reserved: usize, at: usize, uri: &[u8]) -> bool {
        let Some(rest) = uri.strip_prefix(texts[0].as_bytes()) else {
            return false;
        };
        if texts.len() == 1 {
            return rest.is_empty();
        }
        (1..=rest.len()).any(|length| {
            let value = &rest[..length];
            (at == reserved || !value.iter().any(|byte| SEPARATORS.contains(byte)))
                && matches_naively(&texts[1..], reserved, at + 1, &rest[length..])
        })
    }

    #[test]
    fn never_going_back_misses_no_match() {
        let seed = fastrand::u64(..);
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut text =
            |length: usize| -> String { (0..length).map(|_| ["a", "b", "/"][rng.usize(..3)]).collect() };
        let mut lengths = fastrand::Rng::with_seed(seed);
        let mut matches = 0;
        for _ in 0..40_000 {
            let variables = lengths.usize(1..4);
            let reserved = lengths.usize(..variables + 1);
            let mut template = text(lengths.usize(..2));
            for at in 0..variables {
                let operator = if at == reserved { "+" } else { "" };
                template += &format!("{{{operator}v{at}}}");
                template += &text(lengths.usize(usize::from(at + 1 < variables)..3));
            }
            let uri = text(lengths.usize(..12));
            let parsed = UriTemplate::parse(&template).unwrap();
            let is_naive = matches_naively(&parsed.texts, parsed.reserved, 0, uri.as_bytes());
            let values = parsed.values(&uri);
            assert_eq!(values.is_some(), is_naive, "seed {seed}: {template} {uri}");
            if let Some(values) = values {
                let made = values.iter().fold(template.clone(), |made, (name, value)| {
                    made.replace(&format!("{{+{name}}}"), value)
                        .replace(&format!("{{{name}}}"), value)
                });
                assert_eq!(made, uri, "seed {seed}: {template}");
                matches += 1;
            }
        }
        assert!(matches > 1_000, "seed {seed}: {matches}");
    }
}
