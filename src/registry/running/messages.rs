//! What a prompt gives (MCP, Prompts: `GetPromptResult` without its envelope).

use serde::Serialize;

use crate::registry::content::{ContentBlock, Role};

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PromptMessage {
    /// Who says it.
    pub role: Role,
    /// What.
    pub content: ContentBlock,
}

impl PromptMessage {
    /// The user says a text.
    pub fn user(text: impl Into<String>) -> Self {
        Self {
            role: Role::User,
            content: ContentBlock::text(text),
        }
    }

    /// The model says a text.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self {
            role: Role::Assistant,
            content: ContentBlock::text(text),
        }
    }
}

/// What a prompt gives: messages, and perhaps a description of what they are now that the arguments are known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PromptOutput {
    /// Instead of the prompt's own description.
    pub description: Option<String>,
    /// The messages.
    pub messages: Vec<PromptMessage>,
}

/// What a prompt's function may return.
pub trait IntoMessages {
    /// The messages.
    fn into_messages(self) -> PromptOutput;
}

impl IntoMessages for PromptOutput {
    fn into_messages(self) -> PromptOutput {
        self
    }
}

impl IntoMessages for Vec<PromptMessage> {
    fn into_messages(self) -> PromptOutput {
        PromptOutput {
            description: None,
            messages: self,
        }
    }
}

impl IntoMessages for PromptMessage {
    fn into_messages(self) -> PromptOutput {
        vec![self].into_messages()
    }
}

/// One message of the user.
impl IntoMessages for String {
    fn into_messages(self) -> PromptOutput {
        PromptMessage::user(self).into_messages()
    }
}

/// One message of the user.
impl IntoMessages for &'static str {
    fn into_messages(self) -> PromptOutput {
        PromptMessage::user(self).into_messages()
    }
}
