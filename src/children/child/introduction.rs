//! What a child says of itself in answer to `initialize` or `server/discover`.

use crate::children::line::write_without_breaks;
use crate::jsonrpc::{Member, element_spans, members};
use crate::mcp::{Era, Revision, SERVER_INFO_KEY};

use super::handshake_error::HandshakeError;

/// A child's word on itself, in pieces of JSON as it wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// The revision that it speaks.
    pub revision: Revision,
    /// What it can, as far as it matters here.
    pub capabilities: ServerCapabilities,
    /// The object `capabilities`.
    pub capabilities_text: Box<[u8]>,
    /// The object `serverInfo`; empty if a modern child does not say.
    pub server_info: Box<[u8]>,
    /// The string `instructions`, with its quotes.
    pub instructions: Option<Box<[u8]>>,
}

/// The capabilities of a server that decide what is asked of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerCapabilities {
    /// It has tools.
    pub tools: bool,
    /// It has prompts.
    pub prompts: bool,
    /// It has resources.
    pub resources: bool,
    /// It completes arguments.
    pub completions: bool,
    /// It logs to its client.
    pub logging: bool,
    /// Its resources can be subscribed to.
    pub subscribe: bool,
    /// It says when its tools change.
    pub tools_changed: bool,
    /// It says when its prompts change.
    pub prompts_changed: bool,
    /// It says when its resources change.
    pub resources_changed: bool,
}

impl Introduction {
    /// Reads the result of `initialize`.
    ///
    /// # Errors
    /// It is not one, or has a revision that is not spoken here.
    pub fn read(result: &[u8]) -> Result<Introduction, HandshakeError> {
        let (mut revision, mut capabilities, mut server_info, mut instructions) = (None, None, None, None);
        for member in members(result) {
            let value = member.value.of(result);
            match &*member.name(result) {
                "protocolVersion" => revision = Some(value),
                "capabilities" if value.first() == Some(&b'{') => capabilities = Some(value),
                "serverInfo" if value.first() == Some(&b'{') => server_info = Some(value),
                "instructions" if value.first() == Some(&b'"') => instructions = Some(value),
                _ => {}
            }
        }
        let revision = revision.and_then(|name| serde_json::from_slice::<String>(name).ok());
        let revision = revision.ok_or(HandshakeError::Malformed("it has no `protocolVersion`"))?;
        let known = Revision::parse(revision.as_bytes()).filter(|known| known.era() == Era::Legacy);
        let capabilities = capabilities.ok_or(HandshakeError::Malformed("it has no `capabilities`"))?;
        let server_info = server_info.ok_or(HandshakeError::Malformed("it has no `serverInfo`"))?;
        Ok(Introduction {
            revision: known.ok_or(HandshakeError::Revision(revision))?,
            capabilities: ServerCapabilities::read(capabilities),
            capabilities_text: on_a_line(capabilities),
            server_info: on_a_line(server_info),
            instructions: instructions.map(on_a_line),
        })
    }

    /// Reads the result of `server/discover`.
    ///
    /// # Errors
    /// It is not one, or the child does not speak 2026-07-28.
    pub fn discovered(result: &[u8]) -> Result<Introduction, HandshakeError> {
        let (mut versions, mut capabilities, mut server_info, mut instructions) = (None, None, None, None);
        for member in members(result) {
            let value = member.value.of(result);
            match &*member.name(result) {
                "supportedVersions" if value.first() == Some(&b'[') => versions = Some(value),
                "capabilities" if value.first() == Some(&b'{') => capabilities = Some(value),
                "instructions" if value.first() == Some(&b'"') => instructions = Some(value),
                "_meta" => {
                    let found = members(value)
                        .filter(|member| member.name(value) == SERVER_INFO_KEY)
                        .last();
                    let info = found.map(|member| member.value.of(value));
                    server_info = info.filter(|info| info.first() == Some(&b'{'));
                }
                _ => {}
            }
        }
        let revision = Revision::V2026_07_28;
        let versions = versions.ok_or(HandshakeError::NotModern("it has no `supportedVersions`"))?;
        if !has_string(versions, revision.as_str()) {
            return Err(HandshakeError::NotModern("`supportedVersions` lacks it"));
        }
        let capabilities = capabilities.ok_or(HandshakeError::NotModern("it has no `capabilities`"))?;
        Ok(Introduction {
            revision,
            capabilities: ServerCapabilities::read(capabilities),
            capabilities_text: on_a_line(capabilities),
            server_info: server_info.map(on_a_line).unwrap_or_default(),
            instructions: instructions.map(on_a_line),
        })
    }
}

/// Whether an array has this string.
fn has_string(array: &[u8], wanted: &str) -> bool {
    let mut elements = element_spans(array).into_iter();
    elements.any(|span| {
        let text = array.get(span).unwrap_or_default();
        serde_json::from_slice::<String>(text).is_ok_and(|text| text == wanted)
    })
}

impl ServerCapabilities {
    fn read(object: &[u8]) -> ServerCapabilities {
        let mut found = ServerCapabilities::default();
        for member in members(object) {
            let value = member.value.of(object);
            // `false` and `null` are not what the schema allows, and mean no.
            if value.first() != Some(&b'{') {
                continue;
            }
            let has = |name: &str| has_true(value, name);
            match &*member.name(object) {
                "tools" => (found.tools, found.tools_changed) = (true, has("listChanged")),
                "prompts" => (found.prompts, found.prompts_changed) = (true, has("listChanged")),
                "resources" => {
                    (found.resources, found.resources_changed) = (true, has("listChanged"));
                    found.subscribe = has("subscribe");
                }
                "completions" => found.completions = true,
                "logging" => found.logging = true,
                _ => {}
            }
        }
        found
    }
}

fn has_true(object: &[u8], name: &str) -> bool {
    let is_it = |member: &Member| member.name(object) == name && member.value.of(object) == b"true";
    members(object).any(|member| is_it(&member))
}

fn on_a_line(json: &[u8]) -> Box<[u8]> {
    let mut out = Vec::with_capacity(json.len());
    write_without_breaks(&mut out, json);
    out.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_introduction_is_kept_as_it_was_written() {
        let result = br#"{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true},"prompts":{},"resources":{"subscribe":true,"listChanged":false},"logging":false,"x":{"a":1.0}},"serverInfo":{"name":"n", "version":"1"},"instructions":"Use\nit."}"#;
        let read = Introduction::read(result).unwrap();
        assert_eq!(read.revision, Revision::V2025_06_18);
        let capabilities = ServerCapabilities {
            tools: true,
            tools_changed: true,
            prompts: true,
            resources: true,
            subscribe: true,
            ..ServerCapabilities::default()
        };
        assert_eq!(read.capabilities, capabilities);
        assert_eq!(&*read.server_info, br#"{"name":"n", "version":"1"}"#);
        assert_eq!(read.instructions.as_deref(), Some(&br#""Use\nit.""#[..]));
        assert!(
            read.capabilities_text
                .ends_with(br#""logging":false,"x":{"a":1.0}}"#)
        );
    }

    #[test]
    fn what_is_no_introduction_is_named() {
        for (result, part) in [
            ("{}", "`protocolVersion`"),
            (
                r#"{"protocolVersion":"2025-06-18","serverInfo":{}}"#,
                "`capabilities`",
            ),
            (
                r#"{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":7}"#,
                "`serverInfo`",
            ),
            (
                r#"{"protocolVersion":"1999-01-01","capabilities":{},"serverInfo":{}}"#,
                "1999-01-01",
            ),
            (
                r#"{"protocolVersion":"2026-07-28","capabilities":{},"serverInfo":{}}"#,
                "2026-07-28",
            ),
        ] {
            let error = Introduction::read(result.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(part), "{result}: {error}");
        }
    }

    #[test]
    fn a_discovered_child_is_modern_or_refused() {
        let result = r#"{"resultType":"complete","supportedVersions":["2025-11-25", "2026-07-28"],"capabilities":{"tools":{},"logging":{}},"instructions":"i","ttlMs":0,"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"n","version":"1.0"}}}"#;
        let read = Introduction::discovered(result.as_bytes()).unwrap();
        assert_eq!(read.revision, Revision::V2026_07_28);
        assert!(read.capabilities.tools && read.capabilities.logging);
        assert_eq!(&*read.server_info, br#"{"name":"n","version":"1.0"}"#);
        assert_eq!(read.instructions.as_deref(), Some(&br#""i""#[..]));
        let nameless = result.replace("serverInfo", "other");
        let read = Introduction::discovered(nameless.as_bytes()).unwrap();
        assert!(read.server_info.is_empty());
        for (result, part) in [
            ("{}", "no `supportedVersions`"),
            (
                r#"{"supportedVersions":["2025-11-25"],"capabilities":{}}"#,
                "lacks it",
            ),
            (
                r#"{"supportedVersions":"2026-07-28","capabilities":{}}"#,
                "no `supportedVersions`",
            ),
            (r#"{"supportedVersions":["2026-07-28"]}"#, "no `capabilities`"),
            ("7", "no `supportedVersions`"),
        ] {
            let error = Introduction::discovered(result.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(part), "{result}: {error}");
        }
    }
}
