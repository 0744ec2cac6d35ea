//! Tools, resources and prompts: written once as Rust functions, described for clients, started per request.
//!
//! A [`Registry`] is built before the first shard starts, is shared by all of them and never changes; another, made
//! from it by [`Registry::edit`], may take its place. Each shard has its own [`ShardRegistry`], which keeps the
//! reusable slots that running calls live in. Schemas are compiled when a tool is added; a call's arguments are checked
//! on the parsed tape and become the tool's typed arguments without another tree between.
//!
//! The module does not know JSON-RPC, eras or executors: the caller finds the operation, polls the future or runs the
//! blocking call, and writes the answer.
//!
//! ```
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//! use weir::{BlockingContext, CallContext, Registry, Tool, ToolError};
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
//! # Ok::<(), weir::RegistryError>(())
//! ```
//!
//! A running call may send its client progress and log messages, and ask it questions. They go into its [`CallLink`],
//! from which the shard takes them. A question is answered while the call waits, or by calling again: then `ask` gives
//! [`ToolError::InputRequired`], the tool passes that on, and runs again from its beginning once the answer is known.
//! So a tool must ask before it does what must not be done twice.
//!
//! ```
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//! use weir::{CallContext, Elicit, ElicitAnswer, LogLevel, NoArguments, Property, Registry, Tool};
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
//! # Ok::<(), weir::RegistryError>(())
//! ```
//!
//! Resources have a URI or a template of URIs, prompts have arguments, and both can complete what a user types:
//!
//! ```
//! use serde::Deserialize;
//! use weir::{CallContext, CompletionRequest, Registry};
//! use weir::{Prompt, PromptArgument, PromptArguments, Resource, ResourceTemplate};
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
//!         .complete("name", |_: CallContext, _: CompletionRequest| async { Ok(vec!["Ada", "Grace"]) })
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
//! # Ok::<(), weir::RegistryError>(())
//! ```

mod app;
mod asking;
mod caller;
mod content;
mod describing;
mod icon;
mod info;
mod meta;
mod mount;
mod operation;
mod owned;
mod panics;
mod prefixes;
mod running;
mod schemas;
mod shard;
#[cfg(test)]
pub(crate) mod specification;
mod uri;

pub(crate) use app::APPS_EXTENSION;
pub use app::{APP_MIME_TYPE, AppError, AppSettings, ToolVisibility};
pub use asking::ask::Ask;
pub use asking::capabilities::ClientCapabilities;
pub(crate) use asking::capabilities::TASKS_EXTENSION;
pub use asking::client::{Asking, ClientFacts};
pub use asking::elicit::{Elicit, ElicitAnswer, UrlElicit};
pub use asking::emission::{Emission, Progress};
pub use asking::link::{
    CallLink, LinkListener, QUESTION_KEY_BYTES_MAX, QUESTIONS_MAX, UNSENT_BYTES_MAX, UNSENT_MAX,
};
pub use asking::log_level::LogLevel;
pub use asking::property::{Property, TextFormat};
pub use asking::question::{AnswerError, AskedQuestion, Question, QuestionMethod, QuestionRequest};
pub use asking::roots::{ListRoots, Root};
pub use asking::sample::{IncludeContext, Sample, SampleAnswer, SampleContent, ToolChoice};
pub use asking::server_handle::{Draft, Edited, RegistryEdit, ServerHandle, ServerLink};
pub use asking::tool_error::{ForClient, ToolError};
pub use caller::client_info::{CLIENT_TEXT_BYTES_MAX, ClientInfo, ClientText};
pub use caller::facts::{CallerFacts, CallerSource, ClientPlaces, ClientSource, HeaderSource, MetaSource};
pub use caller::from_client::FromClient;
pub use caller::headers::{HeaderFault, HeaderNames};
pub use caller::identity::{CallerSession, Principal, Transport};
pub use caller::origin::Origin;
pub use caller::trace::TraceContext;
pub use caller::view::Caller;
pub use content::{ContentAnnotations, ContentBlock, ResourceContents, ResourceLink, Role};
pub(crate) use describing::catalog::NoSuchArgument;
pub use describing::catalog::Registry;
pub use describing::client_rules::ClientRules;
pub use describing::foreign::{
    ForeignFault, ForeignFaultKind, ForeignFeatures, ForeignItem, ForeignKind, ForeignServer, declared_tasks,
};
pub use describing::lister::ResourceLister;
pub use describing::merged::rename_interface;
pub use describing::prompt::{Prompt, PromptArguments, PromptBuilder};
pub use describing::registration::Registrable;
pub use describing::registry_builder::RegistryBuilder;
#[cfg(feature = "internals")]
pub use describing::registry_builder::with_foreign;
pub use describing::registry_error::RegistryError;
pub use describing::resource::{Resource, ResourceBuilder};
pub use describing::resource_template::{ResourceTemplate, ResourceTemplateBuilder};
pub use describing::tool::{DerivedSchema, ExplicitSchema, Tool, ToolBuilder};
pub use describing::toolset::Toolset;
pub use describing::uri_template::TemplateError;
pub use describing::watch::{ListUpdates, Updates, Watch, WatchList};
pub use icon::{Icon, IconTheme};
pub use info::caching::{CacheScope, Caching};
pub use info::index::{
    CompleterIndex, ListerIndex, PromptIndex, ResourceIndex, ServerIndex, TemplateIndex, ToolIndex,
};
pub use info::prompt_info::{PromptArgument, PromptInfo};
pub use info::resource_info::ResourceInfo;
pub(crate) use info::tool_info::TaskWord;
pub use info::tool_info::{Annotations, Execution, TaskSupport, ToolInfo};
pub use meta::{Meta, MetaKeyError};
pub use operation::Operation;
pub use owned::{Discarded, discard_by};
pub use panics::{Noted, PanicFacts, log_caught_panic, note_panic, note_panics_here, take_last_panic};
pub use running::async_function::AsyncFunction;
pub use running::blocking_call::BlockingCall;
pub use running::blocking_context::{BlockingContext, PendingAnswer};
pub use running::blocking_function::BlockingFunction;
pub use running::call::CallFuture;
pub use running::cancellation::Cancellation;
pub use running::collect_budget::CollectBudget;
pub use running::completion::{COMPLETION_VALUES_MAX, Completion, CompletionRequest, IntoCompletion};
pub use running::contents::{IntoContents, ReadOutput};
pub use running::context::CallContext;
#[cfg(feature = "internals")]
pub use running::context::linked_context;
pub use running::function_result::FunctionResult;
pub use running::messages::{IntoMessages, PromptMessage, PromptOutput};
pub use running::outcome::{Outcome, Output};
pub use running::output::{Content, IntoOutput, NoArguments, Structured, StructuredWithText, ToolOutput};
pub use running::resource_page::{ListRequest, ResourcePage};
#[cfg(any(test, feature = "internals", not(feature = "tokio")))]
pub use running::spawner::NoSpawner;
pub use running::spawner::{AbortOnDrop, SpawnedFuture, Spawner};
pub use running::started::Started;
pub use running::streamed::{AnswerSource, Collected, Step, StreamedBytes, StreamedText};
#[cfg(feature = "tokio")]
pub use running::tokio_function::TokioFunction;
#[cfg(feature = "cli")]
pub(crate) use schemas::param_header::of_schema as param_headers;
pub use schemas::param_header::{ParamHeader, ParamHeaderError, ParamKind};
pub use schemas::portable::{unportable_input, unportable_output};
#[cfg(feature = "cli")]
pub(crate) use schemas::schema::OutputSchema;
pub use schemas::schema_error::SchemaError;
pub use schemas::text_type::TextTypeError;
pub use schemas::unknown::UnknownArguments;
pub use schemas::violations::{Violation, Violations};
pub use shard::{ShardRegistry, StartError};
#[cfg(feature = "files")]
pub(crate) use uri::percent_decode;
