//! Tools, resources and prompts: written once as Rust functions, described for clients, started per request.
//!
//! A [`Registry`] is built before the first shard starts, is shared by all of them and never changes; another, made
//! from it by [`Registry::edit`], may take its place. Each shard takes its own [`ShardRegistry`], which keeps the
//! reusable slots that running calls live in. Schemas are compiled
//! when a tool is added; a call's arguments are checked on the parsed tape and become the tool's typed arguments
//! without another tree between.
//!
//! It does not know JSON-RPC, eras or executors: the caller finds the operation, polls the future or runs the blocking
//! call, and writes the answer.
//!
//! ```
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//! use weir::registry::{BlockingContext, CallContext, Registry, Tool, ToolError};
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Echo {
//!     message: String,
//! }
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Count {
//!     /// How far to count.
//!     #[schemars(range(max = 1_000_000))]
//!     limit: u64,
//! }
//!
//! let mut tools = Registry::builder();
//! // Asynchronous: lives on its shard, so the future need not be `Send`.
//! tools.add(
//!     Tool::new("echo")
//!         .title("Echo")
//!         .description("Answers with the message it was given.")
//!         .read_only()
//!         .idempotent()
//!         .run(|_: CallContext, args: Echo| async move { Ok(args.message) }),
//! )?;
//! // Blocking: runs on the worker pool and looks out for cancellation.
//! tools.add(Tool::new("count").run_blocking(|ctx: &BlockingContext, args: Count| {
//!     for _ in 0..args.limit {
//!         if ctx.is_cancelled() {
//!             return Err(ToolError::Cancelled);
//!         }
//!     }
//!     Ok(format!("counted to {}", args.limit))
//! }))?;
//! let registry = tools.build();
//! assert_eq!(registry.tools().count(), 2);
//! # Ok::<(), weir::registry::RegistryError>(())
//! ```
//!
//! A running call may speak to its client: say how far it is, log, and ask. What it says goes into its
//! [`CallLink`], from which the shard takes it. A question is answered while the call waits, or by calling again:
//! then `ask` gives [`ToolError::InputRequired`], the tool passes that on, and runs from its beginning once the
//! answer is known. So a tool asks before it does what must not be done twice.
//!
//! ```
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//! use weir::registry::{CallContext, Elicit, ElicitAnswer, LogLevel, NoArguments, Property, Registry, Tool};
//!
//! /// What the user fills in: a form of its own, checked before the tool sees it.
//! #[derive(Deserialize, JsonSchema)]
//! struct Traveller {
//!     name: String,
//!     age: Option<u8>,
//! }
//!
//! let mut tools = Registry::builder();
//! tools.add(Tool::new("book").run(|ctx: CallContext, _: NoArguments| async move {
//!     // Both questions go out before the first answer is waited for.
//!     let who = ctx.ask("who", Elicit::typed::<Traveller>("Who travels?"));
//!     let class = Property::titled_choice([("1", "First"), ("2", "Second")]).default("2");
//!     let how = ctx.ask("how", Elicit::form("How?").property("class", class));
//!     let (ElicitAnswer::Accept(who), ElicitAnswer::Accept(how)) = (who.await?, how.await?) else {
//!         return Ok("nothing was booked".to_owned());
//!     };
//!     ctx.log(LogLevel::Info, format!("booking in class {}", how["class"]));
//!     for step in 1..=3 {
//!         // Reaches the client only if it asked for progress.
//!         ctx.progress((step, 3));
//!     }
//!     Ok(format!("booked for {}", who.name))
//! }))?;
//! # Ok::<(), weir::registry::RegistryError>(())
//! ```
//!
//! Resources have a URI or a template of URIs, prompts have arguments, and both can complete what a user types:
//!
//! ```
//! use serde::Deserialize;
//! use weir::registry::{CallContext, Completing, Prompt, PromptArgument, PromptArguments};
//! use weir::registry::{Registry, Resource, ResourceTemplate};
//!
//! #[derive(Deserialize)]
//! struct Greeting {
//!     name: String,
//! }
//!
//! let mut registry = Registry::builder();
//! registry.add(
//!     Resource::new("demo://about", "about")
//!         .mime_type("text/plain")
//!         .read(|_: CallContext| async { Ok("A server.") }),
//! )?;
//! registry.add(
//!     ResourceTemplate::new("demo://greeting/{name}", "greeting")
//!         .complete("name", |_: CallContext, _: Completing| async { Ok(vec!["Ada", "Grace"]) })
//!         .read(|_: CallContext, args: Greeting| async move { Ok(format!("Hello, {}!", args.name)) }),
//! )?;
//! registry.add(
//!     Prompt::new("review")
//!         .argument(PromptArgument::required("code"))
//!         .run(|_: CallContext, args: PromptArguments| async move {
//!             Ok(format!("Review this: {}", args.get("code").unwrap_or_default()))
//!         }),
//! )?;
//! let registry = registry.build();
//! assert!(registry.find_template("demo://greeting/Ada").is_some());
//! # Ok::<(), weir::registry::RegistryError>(())
//! ```

mod argument_error;
mod arguments;
mod ask;
mod async_handler;
mod blocking_call;
mod blocking_context;
mod blocking_handler;
mod caching;
mod call;
mod cancellation;
mod capabilities;
mod catalog;
mod client;
mod client_link;
mod completers;
mod completion;
mod complexity;
mod content;
mod contents;
mod context;
mod deserialize;
mod editing;
mod elicit;
mod emission;
mod entries;
mod explain;
mod form_schema;
mod guard;
mod handler;
mod icon;
mod index;
mod link;
mod listed;
mod lister;
mod log_level;
mod messages;
mod note;
mod nulls;
mod operation;
mod outcome;
mod output;
mod panics;
mod param_header;
mod portable;
mod prompt;
mod prompt_info;
mod property;
mod question;
#[cfg(test)]
mod random;
mod registration;
mod registry_builder;
mod registry_error;
mod resource;
mod resource_info;
mod resource_page;
mod resource_template;
mod roots;
mod sample;
mod schema;
mod schema_error;
mod server_handle;
mod shard;
#[cfg(test)]
pub(crate) mod specification;
mod started;
mod tape;
mod text;
mod text_type;
mod tool;
mod tool_error;
mod tool_info;
mod unknown;
mod uri;
mod uri_template;
mod violations;
mod watch;

pub use ask::Ask;
pub use blocking_call::BlockingCall;
pub use blocking_context::{BlockingContext, PutQuestion};
pub use caching::{CacheScope, Caching};
pub use call::CallFuture;
pub use cancellation::Cancellation;
pub use capabilities::ClientCapabilities;
pub(crate) use capabilities::TASKS_EXTENSION;
pub(crate) use catalog::NoSuchArgument;
pub use catalog::Registry;
pub use client::{Asking, ClientFacts};
pub use completion::{COMPLETION_VALUES_MAX, Completing, Completion, IntoCompletion};
pub use content::{ContentAnnotations, ContentBlock, ResourceContents, Role};
pub use contents::{IntoContents, ReadOutput};
pub use context::CallContext;
pub use elicit::{Elicit, ElicitAnswer, UrlElicit};
pub use emission::{Emission, Progress};
pub use icon::{Icon, IconTheme};
pub use index::{CompleterIndex, ListerIndex, PromptIndex, ResourceIndex, TemplateIndex, ToolIndex};
pub use link::{CallLink, LinkListener, QUESTION_KEY_BYTES_MAX, QUESTIONS_MAX, UNSENT_BYTES_MAX, UNSENT_MAX};
pub use lister::ResourceLister;
pub use log_level::LogLevel;
pub use messages::{IntoMessages, PromptMessage, PromptOutput};
pub use operation::Operation;
pub use outcome::{Outcome, Output};
pub use output::{Content, IntoOutput, NoArguments, Structured, ToolOutput};
pub use panics::{Noted, PanicFacts, log_caught_panic, note_panic, note_panics_here, take_last_panic};
pub use param_header::{ParamHeader, ParamHeaderError, ParamKind};
pub use portable::{unportable_input, unportable_output};
pub use prompt::{Prompt, PromptArguments, PromptBuilder};
pub use prompt_info::{PromptArgument, PromptInfo};
pub use property::{Property, TextFormat};
pub use question::{AnswerError, NotedQuestion, Question, QuestionMethod, QuestionRequest};
pub use registration::Registrable;
pub use registry_builder::RegistryBuilder;
pub use registry_error::RegistryError;
pub use resource::{Resource, ResourceBuilder};
pub use resource_info::ResourceInfo;
pub use resource_page::{ListFrom, ResourcePage};
pub use resource_template::{ResourceTemplate, ResourceTemplateBuilder};
pub use roots::{ListRoots, Root};
pub use sample::{IncludeContext, Sample, SampleAnswer, SampleContent, ToolChoice};
pub use schema_error::SchemaError;
pub use server_handle::{Draft, Edited, RegistryEdit, ServerHandle, ServerLink};
pub use shard::{ShardRegistry, StartError};
pub use started::Started;
pub use text_type::TextTypeError;
pub use tool::{Derived, Given, Tool, ToolBuilder};
pub use tool_error::ToolError;
pub use tool_info::{Annotations, Execution, TaskSupport, ToolInfo};
pub use unknown::UnknownArguments;
#[cfg(feature = "files")]
pub(crate) use uri::percent_decode;
pub use uri_template::TemplateError;
pub use violations::{Violation, Violations};
pub use watch::{ListUpdates, Updates, Watch, WatchList};
