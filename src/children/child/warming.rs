//! The call that makes a child warm: made when its handshake is over, and answered before it counts as ready.

use crate::children::line::write_own_meta;
use crate::config::Warmup;
use crate::jsonrpc::{members, write_string};
use crate::mcp::Era;

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarmupCall {
    tool: String,
    /// An object.
    arguments: Box<[u8]>,
}

impl WarmupCall {
    /// As the settings have it.
    pub fn new(warmup: &Warmup) -> WarmupCall {
        // Whatever stands there was read as JSON.
        let arguments = serde_json::to_vec(&warmup.arguments).unwrap_or_else(|_| b"{}".to_vec());
        WarmupCall {
            tool: warmup.tool.clone(),
            arguments: arguments.into_boxed_slice(),
        }
    }

    /// Appends the request under this id.
    pub(super) fn write(&self, out: &mut Vec<u8>, era: Era, id: u64) {
        out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
        out.extend_from_slice(itoa::Buffer::new().format(id).as_bytes());
        out.extend_from_slice(br#","method":"tools/call","params":{"name":"#);
        write_string(out, &self.tool);
        out.extend_from_slice(br#","arguments":"#);
        out.extend_from_slice(&self.arguments);
        if era == Era::Modern {
            out.push(b',');
            write_own_meta(out);
        }
        out.extend_from_slice(b"}}\n");
    }
}

/// Whether the result of a call says that the tool has failed.
pub(super) fn is_failure(result: &[u8]) -> bool {
    let mut said = members(result).filter(|member| member.name(result) == "isError");
    said.any(|member| member.value.of(result) == b"true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_request_of_its_era() {
        let warmup = Warmup {
            tool: "a \"tool\"".to_owned(),
            arguments: serde_json::from_str(r#"{"x":[1]}"#).unwrap(),
        };
        let call = WarmupCall::new(&warmup);
        let mut out = Vec::new();
        call.write(&mut out, Era::Legacy, 7);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{\"name\":\"a \\\"tool\\\"\",\"arguments\":{\"x\":[1]}}}\n"
        );
        let mut out = Vec::new();
        call.write(&mut out, Era::Modern, 7);
        let request: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            request["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"],
            "2026-07-28"
        );
        assert!(is_failure(br#"{"content":[],"isError":true}"#));
        assert!(!is_failure(br#"{"content":[],"isError":false}"#));
        assert!(!is_failure(br#"{}"#));
    }
}
