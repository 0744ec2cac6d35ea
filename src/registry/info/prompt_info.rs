//! A registered prompt as clients see it (MCP, Prompts: `Prompt`, `PromptArgument`).

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::registry::icon::Icon;
use crate::registry::meta::Meta;

/// A registered prompt as clients see it. Serialises as MCP's `Prompt`, newest revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PromptInfo {
    pub(in crate::registry) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::registry) title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::registry) description: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::registry) arguments: Vec<PromptArgument>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::registry) icons: Vec<Icon>,
    #[serde(rename = "_meta", skip_serializing_if = "Meta::is_empty")]
    pub(in crate::registry) meta: Meta,
}

impl PromptInfo {
    /// The name, unique in its registry.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The purpose of the prompt.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Its `_meta` in lists.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Its arguments.
    pub fn arguments(&self) -> &[PromptArgument] {
        &self.arguments
    }

    /// The names of the required arguments, and of the others.
    pub(in crate::registry) fn argument_names(&self) -> (Vec<&str>, Vec<&str>) {
        let named = |is_required: bool| {
            let all = self
                .arguments
                .iter()
                .filter(move |argument| argument.required == is_required);
            all.map(|argument| argument.name.as_str()).collect()
        };
        (named(true), named(false))
    }

    /// A schema for the arguments: an object of strings with the required ones.
    pub(in crate::registry) fn schema(&self) -> Value {
        let text = || json!({"type": "string"});
        let names = self
            .arguments
            .iter()
            .map(|argument| (argument.name.clone(), text()));
        let required = self.arguments.iter().filter(|argument| argument.required);
        json!({
            "type": "object",
            "properties": names.collect::<Map<_, _>>(),
            "required": required.map(|argument| &argument.name).collect::<Vec<_>>(),
            "additionalProperties": text(),
        })
    }
}

/// An argument of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PromptArgument {
    pub(in crate::registry) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::registry) title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::registry) description: Option<String>,
    pub(in crate::registry) required: bool,
}

impl PromptArgument {
    /// An argument that must be given.
    pub fn required(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            title: None,
            description: None,
            required: true,
        }
    }

    /// An argument that may be left out.
    pub fn optional(name: impl Into<String>) -> Self {
        Self {
            required: false,
            ..Self::required(name)
        }
    }

    /// The name for people.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// The meaning of the argument.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }
}
