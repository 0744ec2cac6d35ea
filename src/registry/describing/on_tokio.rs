//! Functions that need a tokio runtime, of everything that is registered.
//!
//! Most client libraries (HTTP, databases, queues) need one. All of such a function runs on the threads of one runtime,
//! which the server starts with the first call, and none of it on a shard; whatever ends the call (its client, its
//! deadline, the drain) drops its future there.
//!
//! ```
//! use std::time::Duration;
//!
//! use weir::{CallContext, NoArguments, Registry, Resource, Tool};
//!
//! let mut registry = Registry::builder();
//! registry.add(Tool::new("later").run_tokio(|ctx: CallContext, _: NoArguments| async move {
//!     for step in 1..=3 {
//!         tokio::time::sleep(Duration::from_millis(1)).await;
//!         ctx.progress((step, 3));
//!     }
//!     Ok("later")
//! }))?;
//! registry.add(Resource::new("demo://thread", "thread").read_tokio(|_: CallContext| async {
//!     let joined = tokio::spawn(async { "a task of its own" }).await;
//!     Ok(joined.unwrap_or("nothing"))
//! }))?;
//! # Ok::<(), weir::RegistryError>(())
//! ```

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::lister::ResourceLister;
use super::prompt::{Prompt, PromptBuilder};
use super::resource::{Resource, ResourceBuilder};
use super::resource_template::{ResourceTemplate, ResourceTemplateBuilder};
use super::tool::{DerivedSchema, ExplicitSchema, Tool, ToolBuilder};
use crate::registry::asking::tool_error::ToolError;
use crate::registry::info::tool_info::Execution;
use crate::registry::running::completion::{CompletionRequest, IntoCompletion};
use crate::registry::running::contents::IntoContents;
use crate::registry::running::function_result::FunctionResult;
use crate::registry::running::messages::IntoMessages;
use crate::registry::running::outcome::{CompletionKind, ListKind, PromptKind, ReadKind, ToolKind};
use crate::registry::running::output::{IntoOutput, NoArguments};
use crate::registry::running::resource_page::{ListRequest, ResourcePage};
use crate::registry::running::tokio_function::TokioFunction;
use crate::registry::schemas::text_type;

impl ToolBuilder<DerivedSchema> {
    /// An asynchronous function that needs a tokio runtime, as most client libraries do (HTTP, databases, queues). All
    /// of it runs on the runtime's threads, and its future is `Send`; otherwise it is the same as with
    /// [`run`](Self::run). What ends the call drops the future.
    pub fn run_tokio<A, R, Form, H>(self, function: H) -> Tool
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        R: FunctionResult<Value: IntoOutput>,
        H: TokioFunction<A, R, Form>,
    {
        self.derived_input::<A>().run_tokio(function)
    }
}

impl ToolBuilder<ExplicitSchema> {
    /// An asynchronous function that needs a tokio runtime, as most client libraries do (HTTP, databases, queues). All
    /// of it runs on the runtime's threads, and its future is `Send`; otherwise it is the same as with
    /// [`run`](Self::run). What ends the call drops the future.
    pub fn run_tokio<A, R, Form, H>(self, function: H) -> Tool
    where
        A: DeserializeOwned + Send + 'static,
        R: FunctionResult<Value: IntoOutput>,
        H: TokioFunction<A, R, Form>,
    {
        self.finish::<R::Value>(Execution::Tokio, function.unbound::<ToolKind>())
    }
}

impl PromptBuilder {
    /// The same as [`run`](Self::run) with a function that needs a tokio runtime, and runs on its threads.
    pub fn run_tokio<A, R, Form, H>(self, function: H) -> Prompt
    where
        A: DeserializeOwned + Send + 'static,
        R: FunctionResult<Value: IntoMessages>,
        H: TokioFunction<A, R, Form>,
    {
        self.finish(function.unbound::<PromptKind>(), text_type::check::<A>)
    }

    /// The same as [`complete`](Self::complete) with a function that needs a tokio runtime.
    pub fn complete_tokio<R, Form, H>(mut self, argument: impl Into<String>, function: H) -> Self
    where
        R: FunctionResult<Value: IntoCompletion>,
        H: TokioFunction<CompletionRequest, R, Form>,
    {
        self.completers
            .push(argument.into(), function.unbound::<CompletionKind>());
        self
    }
}

impl ResourceBuilder {
    /// The same as [`read`](Self::read) with a function that needs a tokio runtime, and runs on its threads.
    pub fn read_tokio<R, Form, H>(self, function: H) -> Resource
    where
        R: FunctionResult<Value: IntoContents>,
        H: TokioFunction<NoArguments, R, Form>,
    {
        self.finish(function.unbound::<ReadKind>())
    }
}

impl ResourceTemplateBuilder {
    /// The same as [`read`](Self::read) with a function that needs a tokio runtime, and runs on its threads.
    pub fn read_tokio<A, R, Form, H>(self, function: H) -> ResourceTemplate
    where
        A: DeserializeOwned + Send + 'static,
        R: FunctionResult<Value: IntoContents>,
        H: TokioFunction<A, R, Form>,
    {
        self.finish(function.unbound::<ReadKind>(), text_type::check::<A>)
    }

    /// The same as [`complete`](Self::complete) with a function that needs a tokio runtime.
    pub fn complete_tokio<R, Form, H>(mut self, variable: impl Into<String>, function: H) -> Self
    where
        R: FunctionResult<Value: IntoCompletion>,
        H: TokioFunction<CompletionRequest, R, Form>,
    {
        self.completers
            .push(variable.into(), function.unbound::<CompletionKind>());
        self
    }
}

impl ResourceLister {
    /// The same as [`new`](Self::new) with a function that needs a tokio runtime, and runs on its threads.
    pub fn tokio<Form, H>(name: impl Into<String>, function: H) -> Self
    where
        H: TokioFunction<ListRequest, Result<ResourcePage, ToolError>, Form>,
    {
        Self::with_handler(name, function.unbound::<ListKind>())
    }
}
