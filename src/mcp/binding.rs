//! The digest that binds a `requestState` to its request: who sent it, which method it calls, with which parameters.
//!
//! The digest covers the principal, the method and all parameters except those that change from one round to the next,
//! in the order in which the client sent them; a client that repeats its request repeats that order. The digest is the
//! same whether it is made when the first request has asked or when the state comes back, and it outlives the text it
//! was made from.

use sha2::{Digest, Sha256};

use crate::jsonrpc::Value;
use crate::mcp::sessions::Principal;

/// Members of `params` that differ from round to round.
const CHANGING: [&str; 3] = ["_meta", "inputResponses", "requestState"];

/// A digest of one request: half of a SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Binding([u8; 16]);

impl Binding {
    /// The digest of a request of `method`.
    pub(super) fn of(principal: Principal, method: &str, params: Option<Value<'_, '_>>) -> Self {
        let mut digest = Sha256::new();
        digest.update(principal.0);
        text(&mut digest, method);
        for (name, value) in params.into_iter().flat_map(Value::members) {
            if !CHANGING.contains(&name) {
                text(&mut digest, name);
                add(&mut digest, value);
            }
        }
        let whole: [u8; 32] = digest.finalize().into();
        Self(*whole.first_chunk().unwrap_or(&[0; 16]))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Adds each value with its kind and length in front, so that no two JSON texts give the same bytes. The recursion is
/// no deeper than the parser allows.
fn add(digest: &mut Sha256, value: Value<'_, '_>) {
    if let Some(string) = value.as_str() {
        digest.update(b"s");
        text(digest, string);
    } else if let Some(number) = value.as_i128() {
        digest.update(b"i");
        digest.update(number.to_be_bytes());
    } else if let Some(number) = value.as_float() {
        digest.update(b"f");
        digest.update(number.to_bits().to_be_bytes());
    } else if let Some(is_true) = value.as_bool() {
        digest.update(if is_true { b"t" } else { b"n" });
    } else if value.is_object() {
        digest.update(b"{");
        for (name, member) in value.members() {
            text(digest, name);
            add(digest, member);
        }
        digest.update(b"}");
    } else if value.is_array() {
        digest.update(b"[");
        for element in value.elements() {
            add(digest, element);
        }
        digest.update(b"]");
    } else {
        digest.update(b"0");
    }
}

fn text(digest: &mut Sha256, text: &str) {
    digest.update(b"\"");
    digest.update((text.len() as u64).to_be_bytes());
    digest.update(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::Scratch;

    fn binding(principal: u8, method: &str, params: &str) -> Binding {
        let mut scratch = Scratch::new();
        let document = scratch.parse(params.as_bytes()).unwrap();
        Binding::of(Principal([principal; 16]), method, Some(document.root()))
    }

    #[test]
    fn everything_that_was_asked_counts() {
        let one = binding(
            0,
            "tools/call",
            r#"{"name":"a","arguments":{"b":[1,"2",true,null,1.5]}}"#,
        );
        let same = r#"{"name":"a", "_meta":{"x":1}, "arguments":{"b":[1,"2",true,null,1.5]}, "requestState":"s", "inputResponses":{}}"#;
        assert_eq!(one, binding(0, "tools/call", same));
        assert_ne!(one, binding(1, "tools/call", same));
        assert_ne!(one, binding(0, "prompts/get", same));
        for other in [
            r#"{"name":"b","arguments":{"b":[1,"2",true,null,1.5]}}"#,
            r#"{"name":"a","arguments":{"b":[1,"2",true,null,1.25]}}"#,
            r#"{"name":"a","arguments":{"b":[1,2,true,null,1.5]}}"#,
            r#"{"name":"a","arguments":{"b":[1,"2",false,null,1.5]}}"#,
            r#"{"name":"a","arguments":{"b":[1,"2",true,{},1.5]}}"#,
            r#"{"name":"a","arguments":{"b":[[1,"2",true,null],1.5]}}"#,
            r#"{"name":"a","arguments":{"b":[1,"2",true,null,1.5],"c":1}}"#,
            r#"{"name":"a"}"#,
        ] {
            assert_ne!(one, binding(0, "tools/call", other), "{other}");
        }
    }
}
