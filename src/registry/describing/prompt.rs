//! Descriptions of prompts (MCP, Prompts).
//!
//! The arguments of a prompt are strings. They are checked against its declaration before its function runs, which gets
//! them as a type of its own or as [`PromptArguments`].

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::completers::UnboundCompleters;
use crate::registry::caller::headers::HeaderNames;
use crate::registry::icon::Icon;
use crate::registry::info::prompt_info::{PromptArgument, PromptInfo};
use crate::registry::meta::Meta;
use crate::registry::running::async_function::AsyncFunction;
use crate::registry::running::blocking_function::BlockingFunction;
use crate::registry::running::completion::{CompletionRequest, IntoCompletion};
use crate::registry::running::function_result::FunctionResult;
use crate::registry::running::messages::IntoMessages;
use crate::registry::running::outcome::{CompletionKind, PromptKind};
use crate::registry::running::states::Unbound;
use crate::registry::schemas::text_type::{self, TextType};

/// A prompt's arguments by name, for functions without a type of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct PromptArguments(BTreeMap<String, String>);

impl PromptArguments {
    /// The value of an argument, if it was given.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// A complete prompt, ready for [`RegistryBuilder::add`](crate::RegistryBuilder::add).
pub struct Prompt {
    pub(in crate::registry) info: PromptInfo,
    pub(super) handler: Unbound,
    /// Checks whether the type its function takes can be made of its arguments.
    pub(in crate::registry) texts: TextType,
    pub(super) completers: UnboundCompleters,
    pub(super) reads: HeaderNames,
}

/// A prompt that still lacks its function.
pub struct PromptBuilder {
    info: PromptInfo,
    pub(super) completers: UnboundCompleters,
    reads: HeaderNames,
}

impl Prompt {
    /// Begins a prompt. Names are 1 to 128 characters of `[A-Za-z0-9_.-]`.
    #[expect(
        clippy::new_ret_no_self,
        reason = "a prompt begins without its function and cannot be whole yet"
    )]
    pub fn new(name: impl Into<String>) -> PromptBuilder {
        PromptBuilder {
            info: PromptInfo {
                name: name.into(),
                title: None,
                description: None,
                arguments: Vec::new(),
                icons: Vec::new(),
                meta: Meta::NONE,
            },
            completers: UnboundCompleters::default(),
            reads: HeaderNames::default(),
        }
    }
}

impl PromptBuilder {
    /// The name for people.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.info.title = Some(title.into());
        self
    }

    /// The purpose of the prompt.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.info.description = Some(description.into());
        self
    }

    /// An icon; may be called more than once.
    pub fn icon(mut self, icon: Icon) -> Self {
        self.info.icons.push(icon);
        self
    }

    /// A member of its `_meta` in lists, since 2025-06-18; may be called more than once. Keys look like
    /// `com.example/team`; [`MetaKeyError`](crate::MetaKeyError) has the rules.
    pub fn meta(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.info.meta.insert(key, value);
        self
    }

    /// The next argument.
    pub fn argument(mut self, argument: PromptArgument) -> Self {
        self.info.arguments.push(argument);
        self
    }

    /// A header of HTTP that the functions read by [`Caller::header`](crate::Caller::header), those that complete too;
    /// may be called more than once, for at most 16. No other headers are kept, so that calls that need none cost
    /// nothing.
    pub fn reads_header(mut self, name: impl AsRef<str>) -> Self {
        self.reads.add(name.as_ref());
        self
    }

    /// An asynchronous function that proposes values for `argument`.
    pub fn complete<R, Form, H>(mut self, argument: impl Into<String>, function: H) -> Self
    where
        R: FunctionResult<Value: IntoCompletion>,
        H: AsyncFunction<CompletionRequest, R, Form>,
    {
        self.completers
            .push(argument.into(), function.unbound::<CompletionKind>());
        self
    }

    /// A function that proposes values for `argument` and may block.
    pub fn complete_blocking<R, Form, H>(mut self, argument: impl Into<String>, function: H) -> Self
    where
        R: FunctionResult<Value: IntoCompletion>,
        H: BlockingFunction<CompletionRequest, R, Form>,
    {
        self.completers
            .push(argument.into(), function.unbound::<CompletionKind>());
        self
    }

    /// An asynchronous function that gives the messages. It gets the arguments as [`PromptArguments`], or as a type
    /// with a string, number, boolean or enum without data for each. Its future lives on a shard and must not block.
    pub fn run<A, R, Form, H>(self, function: H) -> Prompt
    where
        A: DeserializeOwned + 'static,
        R: FunctionResult<Value: IntoMessages>,
        H: AsyncFunction<A, R, Form>,
    {
        self.finish(function.unbound::<PromptKind>(), text_type::check::<A>)
    }

    /// The same with a function that may block; it runs on the worker pool.
    pub fn run_blocking<A, R, Form, H>(self, function: H) -> Prompt
    where
        A: DeserializeOwned + Send + 'static,
        R: FunctionResult<Value: IntoMessages>,
        H: BlockingFunction<A, R, Form>,
    {
        self.finish(function.unbound::<PromptKind>(), text_type::check::<A>)
    }

    pub(super) fn finish(self, handler: Unbound, texts: TextType) -> Prompt {
        Prompt {
            info: self.info,
            handler,
            texts,
            completers: self.completers,
            reads: self.reads,
        }
    }
}

impl std::fmt::Debug for Prompt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Prompt").field(&self.info).finish()
    }
}

impl std::fmt::Debug for PromptBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PromptBuilder").field(&self.info).finish()
    }
}
