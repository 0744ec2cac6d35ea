//! The result of a prompt (MCP, Prompts: `GetPromptResult` without its envelope).

use serde::Serialize;

use crate::registry::content::{ContentBlock, Role};
use crate::registry::meta::{Meta, MetaKeyError};

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PromptMessage {
    /// The speaker.
    pub role: Role,
    /// The content.
    pub content: ContentBlock,
}

impl PromptMessage {
    /// A text of the user.
    pub fn user(text: impl Into<String>) -> Self {
        Self {
            role: Role::User,
            content: ContentBlock::text(text),
        }
    }

    /// A text of the model.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self {
            role: Role::Assistant,
            content: ContentBlock::text(text),
        }
    }
}

/// The result of a prompt: messages, and perhaps a description that fits them now that the arguments are known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PromptOutput {
    /// A description instead of the prompt's own.
    pub description: Option<String>,
    /// The messages.
    pub messages: Vec<PromptMessage>,
    /// The `_meta` of the result.
    pub meta: Meta,
}

impl PromptOutput {
    /// # Errors
    /// A key of one `_meta` is none.
    pub(in crate::registry) fn check(&self) -> Result<(), MetaKeyError> {
        self.meta.check()?;
        let mut messages = self.messages.iter();
        messages.try_for_each(|message| message.content.check())
    }
}

/// A type that a prompt's function may return.
#[diagnostic::on_unimplemented(
    message = "a prompt's function cannot return `{Self}`",
    label = "not a prompt's messages",
    note = "return a `String`, a `PromptMessage` or a `Vec` of them, or a `PromptOutput`"
)]
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
            messages: self,
            ..PromptOutput::default()
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
