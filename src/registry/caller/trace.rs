//! The trace that a request belongs to (W3C Trace Context, in `_meta` since 2026-07-28).

use serde_json::{Map, Value};

/// The trace that a request says it belongs to, as W3C Trace Context has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceContext {
    /// `traceparent`, such as `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01`: of this form, or of that of a
    /// later version, which has more behind it.
    pub traceparent: String,
    /// `tracestate`, as it was sent.
    pub tracestate: Option<String>,
    /// `baggage`, as it was sent.
    pub baggage: Option<String>,
}

impl TraceContext {
    /// What `_meta` says; `None` without a `traceparent` of the right form, without which the rest means nothing.
    pub(super) fn of_meta(meta: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| meta.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            traceparent: text("traceparent").filter(|text| is_traceparent(text))?,
            tracestate: text("tracestate"),
            baggage: text("baggage"),
        })
    }

    /// The id of the trace: 32 hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        self.part(1)
    }

    /// The id of the span that called: 16 hexadecimal digits.
    pub fn parent_id(&self) -> &str {
        self.part(2)
    }

    /// Whether the caller may have recorded the trace.
    pub fn is_sampled(&self) -> bool {
        let flags = u8::from_str_radix(self.part(3), 16);
        flags.is_ok_and(|flags| flags & 1 == 1)
    }

    fn part(&self, at: usize) -> &str {
        self.traceparent.split('-').nth(at).unwrap_or_default()
    }
}

/// Whether a text is a `traceparent` (W3C Trace Context, section 3.2). A version that is not known yet may have more
/// behind the parts of version 00.
fn is_traceparent(text: &str) -> bool {
    let is_hex = |part: &str, digits: usize| {
        let is_digit = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
        part.len() == digits && part.bytes().all(is_digit)
    };
    let is_id = |part: &str, digits| is_hex(part, digits) && part.bytes().any(|byte| byte != b'0');
    let mut parts = text.split('-');
    let mut next = || parts.next().unwrap_or_default();
    let (version, trace, parent, flags) = (next(), next(), next(), next());
    is_hex(version, 2)
        && version != "ff"
        && is_id(trace, 32)
        && is_id(parent, 16)
        && is_hex(flags, 2)
        && (version != "00" || parts.next().is_none())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn of(meta: &Value) -> Option<TraceContext> {
        TraceContext::of_meta(meta.as_object().unwrap())
    }

    #[test]
    fn a_trace_is_read_whole() {
        let trace = of(&json!({"traceparent": PARENT, "tracestate": "a=b", "baggage": "c=d"})).unwrap();
        assert_eq!(trace.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(trace.parent_id(), "b7ad6b7169203331");
        assert!(trace.is_sampled());
        assert_eq!(trace.tracestate.as_deref(), Some("a=b"));
        assert_eq!(trace.baggage.as_deref(), Some("c=d"));
        let unsampled = PARENT.replace("-01", "-00");
        assert!(
            !of(&json!({"traceparent": unsampled, "tracestate": 1}))
                .unwrap()
                .is_sampled()
        );
        let later = format!("{}-more", PARENT.replacen("00", "01", 1));
        assert!(of(&json!({"traceparent": later})).is_some());
    }

    #[test]
    fn what_is_no_trace_is_none() {
        let zero = format!("00-{}-b7ad6b7169203331-01", "0".repeat(32));
        let other = [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            &zero,
        ];
        for parent in other {
            assert_eq!(of(&json!({"traceparent": parent})), None, "{parent}");
        }
        assert_eq!(of(&json!({"traceparent": 7})), None);
        assert_eq!(of(&json!({"tracestate": "a=b"})), None);
    }
}
