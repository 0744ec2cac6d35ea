//! What a client can be asked, as bits: small enough for a sealed session id.

use std::fmt;

use serde_json::json;

use crate::jsonrpc::Value;
use crate::registry::app::{APP_MIME_TYPE, APPS_EXTENSION};

/// The name of the extension, which clients and servers share.
pub(crate) const TASKS_EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// A client's declared capabilities, as far as a server can use them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClientCapabilities(u16);

impl ClientCapabilities {
    /// No capability.
    pub const NONE: Self = Self(0);
    /// The client lists its roots.
    pub const ROOTS: Self = Self(1);
    /// The client samples from a model.
    pub const SAMPLING: Self = Self(1 << 1);
    /// The client samples with tools.
    pub const SAMPLING_TOOLS: Self = Self(1 << 2);
    /// The client includes context in sampling.
    pub const SAMPLING_CONTEXT: Self = Self(1 << 3);
    /// The client shows forms to its user.
    pub const ELICITATION_FORM: Self = Self(1 << 4);
    /// The client opens URLs for its user.
    pub const ELICITATION_URL: Self = Self(1 << 5);
    /// The client knows tasks: the extension `io.modelcontextprotocol/tasks`, since 2026-07-28.
    pub const TASKS: Self = Self(1 << 6);
    /// The client shows apps: the extension `io.modelcontextprotocol/ui`, with pages of HTML. In any revision.
    pub const APPS: Self = Self(1 << 7);

    /// Reads a `ClientCapabilities` object; unknown members are ignored.
    pub(crate) fn read(declared: Value<'_, '_>) -> Self {
        let mut found = Self::NONE;
        for (name, value) in declared.members() {
            match name {
                "roots" => found = found.with(Self::ROOTS),
                "sampling" => {
                    found = found.with(Self::SAMPLING);
                    found = found.with_if(value.member("tools").is_some(), Self::SAMPLING_TOOLS);
                    found = found.with_if(value.member("context").is_some(), Self::SAMPLING_CONTEXT);
                }
                "elicitation" => {
                    // An empty object means forms, because it did before there were modes.
                    let is_url = value.member("url").is_some();
                    found = found.with_if(is_url, Self::ELICITATION_URL);
                    found = found.with_if(!is_url || value.member("form").is_some(), Self::ELICITATION_FORM);
                }
                "extensions" => {
                    let is_declared = value
                        .member(TASKS_EXTENSION)
                        .is_some_and(|value| value.is_object());
                    found = found.with_if(is_declared, Self::TASKS);
                    let mime_types = value
                        .member(APPS_EXTENSION)
                        .and_then(|apps| apps.member("mimeTypes"));
                    let shows_apps = mime_types
                        .into_iter()
                        .flat_map(Value::elements)
                        .any(|mime_type| mime_type.as_str() == Some(APP_MIME_TYPE));
                    found = found.with_if(shows_apps, Self::APPS);
                }
                _ => {}
            }
        }
        found
    }

    /// Whether the client can be asked anything.
    pub const fn can_be_asked(self) -> bool {
        self.0 & !(Self::TASKS.0 | Self::APPS.0) != 0
    }

    /// Whether all of `others` are declared.
    pub const fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// The union with `others`.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// What is left without `others`.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Whether no capability is declared.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The capabilities as a `ClientCapabilities` object, such as `{"sampling":{"tools":{}}}`.
    pub fn to_json(self) -> serde_json::Value {
        let mut object = json!({});
        if self.contains(Self::ROOTS) {
            object["roots"] = json!({});
        }
        for (capability, path) in NESTED {
            if self.contains(capability) {
                let [outer, inner] = path;
                if object.get(outer).is_none() {
                    object[outer] = json!({});
                }
                if !inner.is_empty() {
                    object[outer][inner] = json!({});
                }
                if inner == APPS_EXTENSION {
                    object[outer][inner] = json!({"mimeTypes": [APP_MIME_TYPE]});
                }
            }
        }
        object
    }

    /// The bits, to be stored.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The capabilities of stored bits.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    fn with_if(self, condition: bool, others: Self) -> Self {
        if condition { self.with(others) } else { self }
    }
}

/// The place of each capability with modes in the object; without an inner name it is the object itself.
const NESTED: [(ClientCapabilities, [&str; 2]); 7] = [
    (ClientCapabilities::SAMPLING, ["sampling", ""]),
    (ClientCapabilities::SAMPLING_TOOLS, ["sampling", "tools"]),
    (ClientCapabilities::SAMPLING_CONTEXT, ["sampling", "context"]),
    (ClientCapabilities::ELICITATION_FORM, ["elicitation", "form"]),
    (ClientCapabilities::ELICITATION_URL, ["elicitation", "url"]),
    (ClientCapabilities::TASKS, ["extensions", TASKS_EXTENSION]),
    (ClientCapabilities::APPS, ["extensions", APPS_EXTENSION]),
];

/// Writes the names of the capabilities, for people: `sampling, sampling.tools`.
impl fmt::Display for ClientCapabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let roots = [(Self::ROOTS, ["roots", ""])];
        for (capability, [outer, inner]) in roots.into_iter().chain(NESTED) {
            if self.contains(capability) {
                let dot = if inner.is_empty() { "" } else { "." };
                write!(f, "{separator}{outer}{dot}{inner}")?;
                separator = ", ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::Scratch;
    use crate::registry::specification::{REVISIONS, assert_matches};

    fn read(declared: &serde_json::Value) -> ClientCapabilities {
        let mut scratch = Scratch::new();
        let text = declared.to_string();
        ClientCapabilities::read(scratch.parse(text.as_bytes()).unwrap().root())
    }

    #[test]
    fn every_combination_is_written_as_it_is_read() {
        for bits in 0..1 << 8 {
            let written = ClientCapabilities::from_bits(bits).to_json();
            for revision in REVISIONS {
                assert_matches(revision, "ClientCapabilities", &written);
            }
            // A client that declares a mode of sampling can sample.
            let modes =
                ClientCapabilities::SAMPLING_TOOLS.bits() | ClientCapabilities::SAMPLING_CONTEXT.bits();
            let sampling = if bits & modes == 0 {
                0
            } else {
                ClientCapabilities::SAMPLING.bits()
            };
            assert_eq!(read(&written).bits(), bits | sampling, "{written}");
        }
    }

    #[test]
    fn names_are_for_people() {
        let all = ClientCapabilities::ROOTS
            .with(ClientCapabilities::SAMPLING)
            .with(ClientCapabilities::ELICITATION_URL);
        assert_eq!(all.to_string(), "roots, sampling, elicitation.url");
        assert_eq!(ClientCapabilities::NONE.to_string(), "");
    }

    #[test]
    fn apps_are_pages_of_html() {
        let with = |apps: serde_json::Value| read(&json!({"extensions": {APPS_EXTENSION: apps}}));
        for (declared, expected) in [
            (
                json!({"mimeTypes": ["x/y", APP_MIME_TYPE]}),
                ClientCapabilities::APPS,
            ),
            (json!({"mimeTypes": ["text/html"]}), ClientCapabilities::NONE),
            (json!({"mimeTypes": APP_MIME_TYPE}), ClientCapabilities::NONE),
            (json!({}), ClientCapabilities::NONE),
            (json!(null), ClientCapabilities::NONE),
        ] {
            assert_eq!(with(declared.clone()), expected, "{declared}");
        }
        assert!(
            !ClientCapabilities::APPS
                .with(ClientCapabilities::TASKS)
                .can_be_asked()
        );
    }

    #[test]
    fn an_elicitation_without_modes_means_forms() {
        assert_eq!(
            read(&json!({"elicitation": {}})),
            ClientCapabilities::ELICITATION_FORM
        );
        assert_eq!(
            read(&json!({"elicitation": {"url": {}}})),
            ClientCapabilities::ELICITATION_URL
        );
        assert_eq!(
            read(&json!({"tasks": {}, "experimental": {"roots": {}}})),
            ClientCapabilities::NONE
        );
    }
}
