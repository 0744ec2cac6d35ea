//! The messages of each revision, and the heads that go with them over HTTP.

use serde_json::{Value, json};

use crate::load::peer::{Endpoint, Framing, framed};
use crate::mcp::{Era, Revision, wrapped};

const META: &str = "io.modelcontextprotocol/";
const CLIENT_NAME: &str = "weir bench";
/// What every request begins with; its id follows.
const START: &str = r#"{"jsonrpc":"2.0","id":"#;

/// The revision that is spoken, and how requests are marked as being of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) revision: Revision,
}

/// Writes messages for one server.
#[derive(Clone, Debug)]
pub(crate) struct Speaker {
    pub(crate) endpoint: Endpoint,
    pub(crate) dialect: Dialect,
}

/// What a request is about, as its head says too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    pub(crate) method: &'a str,
    /// The tool's name.
    pub(crate) name: Option<&'a str>,
    /// Whole lines of further header fields.
    pub(crate) fields: &'a str,
}

impl<'a> About<'a> {
    /// A method without more to say.
    pub(crate) fn method(method: &'a str) -> About<'a> {
        About {
            method,
            name: None,
            fields: "",
        }
    }
}

impl Dialect {
    /// Whether requests need a session, or at least `initialize`, before them.
    pub(crate) fn has_handshake(self) -> bool {
        self.revision.era() == Era::Legacy
    }
}

impl Speaker {
    /// Appends a request with ready parameters, an object's text. Returns where the message begins.
    pub(crate) fn request(
        &self,
        about: &About<'_>,
        id: u64,
        params: &str,
        session: Option<&str>,
        out: &mut Vec<u8>,
    ) -> usize {
        let message = format!(r#"{START}{id},"method":"{}","params":{params}}}"#, about.method);
        self.post(about, message.as_bytes(), session, out)
    }

    /// Where the digits of the id are, from the beginning of the message.
    pub(crate) const fn id_offset() -> usize {
        START.len()
    }

    /// Appends a message as it is given.
    pub(crate) fn given(&self, message: &[u8], out: &mut Vec<u8>) -> usize {
        let head = self.head("POST");
        framed(self.endpoint.framing, head.as_bytes(), message, out)
    }

    pub(crate) fn initialized(&self, session: Option<&str>, out: &mut Vec<u8>) {
        let message = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        self.post(&About::method("notifications/initialized"), message, session, out);
    }

    /// Appends what ends a session.
    pub(crate) fn delete(&self, session: Option<&str>, out: &mut Vec<u8>) {
        let mut head = self.head("DELETE");
        self.mark(None, session, &mut head);
        framed(Framing::Http, head.as_bytes(), b"", out);
    }

    /// Appends what opens the stream of a session.
    pub(crate) fn listen(&self, session: Option<&str>, out: &mut Vec<u8>) {
        let mut head = self.head("GET");
        self.mark(None, session, &mut head);
        framed(Framing::Http, head.as_bytes(), b"", out);
    }

    pub(crate) fn initialize_params(&self) -> String {
        json!({
            "protocolVersion": self.dialect.revision.as_str(),
            "capabilities": {},
            "clientInfo": {"name": CLIENT_NAME, "version": env!("CARGO_PKG_VERSION")},
        })
        .to_string()
    }

    /// Parameters with this much inside, which is empty or members and a comma behind them each.
    pub(crate) fn params(&self, members: &str) -> String {
        if self.dialect.has_handshake() {
            return format!("{{{}}}", members.trim_end_matches(','));
        }
        let meta: Value = json!({
            format!("{META}protocolVersion"): self.dialect.revision.as_str(),
            format!("{META}clientInfo"): {"name": CLIENT_NAME, "version": env!("CARGO_PKG_VERSION")},
            format!("{META}clientCapabilities"): {},
        });
        format!(r#"{{{members}"_meta":{meta}}}"#)
    }

    fn post(&self, about: &About<'_>, message: &[u8], session: Option<&str>, out: &mut Vec<u8>) -> usize {
        if self.endpoint.framing.is_stream() {
            return framed(self.endpoint.framing, b"", message, out);
        }
        let mut head = self.head("POST");
        self.mark(Some(about), session, &mut head);
        framed(Framing::Http, head.as_bytes(), message, out)
    }

    fn head(&self, verb: &str) -> String {
        let Endpoint { path, host, .. } = &self.endpoint;
        let mut head = format!(
            "{verb} {path} HTTP/1.1\r\nhost: {host}\r\naccept: application/json, text/event-stream\r\n"
        );
        if verb == "POST" {
            field(&mut head, "content-type", "application/json");
        }
        for header in &self.endpoint.headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        head
    }

    /// The fields by which servers know what a request is about.
    fn mark(&self, about: Option<&About<'_>>, session: Option<&str>, head: &mut String) {
        let revision = self.dialect.revision;
        if let Some(session) = session {
            field(head, "mcp-session-id", session);
        }
        let is_first = about.is_some_and(|about| about.method == "initialize");
        // The field came with 2025-06-18, and a first request has nothing to refer to.
        if revision >= Revision::V2025_06_18 && !is_first {
            field(head, "mcp-protocol-version", revision.as_str());
        }
        if let (Era::Modern, Some(about)) = (revision.era(), about) {
            field(head, "mcp-method", about.method);
            if let Some(name) = about.name {
                field(head, "mcp-name", &wrapped(name));
            }
            head.push_str(about.fields);
        }
    }
}

/// Appends a header line.
pub(super) fn field(head: &mut String, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        head.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::peer::Address;

    fn speaker(revision: Revision, framing: Framing) -> Speaker {
        Speaker {
            endpoint: Endpoint {
                address: Address::Unix("x".to_owned()),
                framing,
                path: "/mcp".to_owned(),
                host: "here".to_owned(),
                headers: vec!["a: b".to_owned()],
            },
            dialect: Dialect { revision },
        }
    }

    fn request(revision: Revision, framing: Framing, session: Option<&str>) -> (String, usize) {
        let speaker = speaker(revision, framing);
        let mut out = Vec::new();
        let params = speaker.params(r#""name":"écho","arguments":{},"#);
        let about = About {
            method: "tools/call",
            name: Some("écho"),
            fields: "mcp-param-x: 1\r\n",
        };
        let at = speaker.request(&about, 1_000_000_000, &params, session, &mut out);
        (String::from_utf8(out).unwrap(), at + Speaker::id_offset())
    }

    #[test]
    fn a_modern_request_stands_for_itself() {
        let (text, id_at) = request(Revision::V2026_07_28, Framing::Http, None);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        for line in [
            "POST /mcp HTTP/1.1",
            "host: here",
            "a: b",
            "mcp-protocol-version: 2026-07-28",
            "mcp-method: tools/call",
            "mcp-name: =?base64?w6ljaG8=?=",
            "mcp-param-x: 1",
        ] {
            assert!(head.lines().any(|own| own == line), "{line}: {head}");
        }
        assert!(head.ends_with(&format!("content-length: {}", body.len())));
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            body["params"]["_meta"][format!("{META}protocolVersion")],
            "2026-07-28"
        );
        assert!(text[id_at..].starts_with("1000000000,"));
    }

    #[test]
    fn a_legacy_request_is_of_its_session() {
        let (text, id_at) = request(Revision::V2025_06_18, Framing::Http, Some("abc"));
        assert!(text.contains("\r\nmcp-session-id: abc\r\nmcp-protocol-version: 2025-06-18\r\n"));
        assert!(
            ["mcp-method", "mcp-param", "_meta"]
                .iter()
                .all(|modern| !text.contains(modern)),
            "{text}"
        );
        assert!(text[id_at..].starts_with("1000000000,"));
        let (text, _) = request(Revision::V2025_03_26, Framing::Http, Some("abc"));
        assert!(!text.contains("mcp-protocol-version"), "{text}");
        let (line, id_at) = request(Revision::V2025_11_25, Framing::Lines, None);
        let message: Value = serde_json::from_str(line.strip_suffix('\n').unwrap()).unwrap();
        assert_eq!(message["params"], json!({"name": "écho", "arguments": {}}));
        assert!(line[id_at..].starts_with("1000000000,"));
    }
}
