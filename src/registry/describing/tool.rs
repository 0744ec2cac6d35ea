//! Descriptions of tools: name, texts, hints, schemas and, last, the function.
//!
//! Nothing is checked here; [`RegistryBuilder::add`](crate::RegistryBuilder::add) checks everything at once.

use std::time::Duration;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::registry::app::{self, ToolVisibility};
use crate::registry::caller::headers::HeaderNames;
use crate::registry::icon::Icon;
use crate::registry::info::tool_info::{Annotations, CallLimits, Execution, TaskSupport, TaskWord, ToolInfo};
use crate::registry::meta::Meta;
use crate::registry::running::async_function::AsyncFunction;
#[cfg(feature = "files")]
use crate::registry::running::blocking_context::BlockingContext;
use crate::registry::running::blocking_function::BlockingFunction;
use crate::registry::running::function_result::FunctionResult;
use crate::registry::running::outcome::ToolKind;
use crate::registry::running::output::IntoOutput;
#[cfg(feature = "files")]
use crate::registry::running::readied_handler;
use crate::registry::running::states::Unbound;
use crate::registry::schemas::listed;
use crate::registry::schemas::schema;
use crate::registry::schemas::unknown::{self, UnknownArguments};

/// A complete tool, ready for [`RegistryBuilder::add`](crate::RegistryBuilder::add).
pub struct Tool {
    pub(in crate::registry) info: ToolInfo,
    /// The schema that arguments are checked against, if it differs from the listed one.
    pub(super) checked_input: Option<Value>,
    /// The same for results.
    pub(super) checked_output: Option<Value>,
    pub(in crate::registry) unknown_arguments: UnknownArguments,
    pub(super) reads: HeaderNames,
    pub(super) handler: Unbound,
}

/// The arguments' schema comes from their Rust type.
#[derive(Debug)]
pub struct DerivedSchema(());

/// The arguments' schema was written by hand.
#[derive(Debug)]
pub struct ExplicitSchema {
    schema: Value,
    is_derived: bool,
}

/// A tool that still lacks its function.
#[derive(Debug)]
pub struct ToolBuilder<S> {
    name: String,
    title: Option<String>,
    description: Option<String>,
    annotations: Annotations,
    icons: Vec<Icon>,
    meta: Meta,
    task_support: TaskSupport,
    limits: CallLimits,
    asked_before_task: Vec<String>,
    unknown_arguments: UnknownArguments,
    reads: HeaderNames,
    input_schema: S,
    output_schema: Option<Value>,
}

impl Tool {
    /// Begins a tool. Names are 1 to 128 characters of `[A-Za-z0-9_.-]`.
    #[expect(
        clippy::new_ret_no_self,
        reason = "a tool begins without its function and cannot be whole yet"
    )]
    pub fn new(name: impl Into<String>) -> ToolBuilder<DerivedSchema> {
        ToolBuilder {
            name: name.into(),
            title: None,
            description: None,
            annotations: Annotations::default(),
            icons: Vec::new(),
            meta: Meta::NONE,
            task_support: TaskSupport::default(),
            limits: CallLimits::default(),
            asked_before_task: Vec::new(),
            unknown_arguments: UnknownArguments::default(),
            reads: HeaderNames::default(),
            input_schema: DerivedSchema(()),
            output_schema: None,
        }
    }
}

impl std::fmt::Debug for Tool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tool").field(&self.info).finish()
    }
}

impl<S> ToolBuilder<S> {
    /// The name for people.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// What the tool does, for the model.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// An icon; may be called more than once.
    pub fn icon(mut self, icon: Icon) -> Self {
        self.icons.push(icon);
        self
    }

    /// A member of its `_meta` in lists, since 2025-06-18; may be called more than once. Keys look like
    /// `com.example/team`; [`MetaKeyError`](crate::MetaKeyError) has the rules.
    pub fn meta(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.meta.insert(key, value);
        self
    }

    /// The page that a host shows for the tool's results, if it can (MCP Apps): the URI, `ui://…`, of a resource that
    /// [`Resource::app`](crate::Resource::app) registers. The page gets the arguments and the result; other clients
    /// have the result alone, so its text must be enough. `ctx.client().contains(ClientCapabilities::APPS)` tells the
    /// tool which it is.
    pub fn app(mut self, uri: impl Into<String>) -> Self {
        app::show(&mut self.meta, uri.into());
        self
    }

    /// Who is to call the tool, if it belongs to an app: the model, the app or, unless this is said, both.
    pub fn visibility(mut self, visibility: ToolVisibility) -> Self {
        app::limit(&mut self.meta, visibility);
        self
    }

    /// Hints that the tool changes nothing.
    pub fn read_only(mut self) -> Self {
        self.annotations.read_only_hint = Some(true);
        self
    }

    /// Hints whether the tool's changes may destroy something. Clients assume they do.
    pub fn destructive(mut self, is_destructive: bool) -> Self {
        self.annotations.destructive_hint = Some(is_destructive);
        self
    }

    /// Hints that calling again with the same arguments changes nothing more.
    pub fn idempotent(mut self) -> Self {
        self.annotations.idempotent_hint = Some(true);
        self
    }

    /// Hints whether the tool deals with the world outside this server. Clients assume it does.
    pub fn open_world(mut self, is_open_world: bool) -> Self {
        self.annotations.open_world_hint = Some(is_open_world);
        self
    }

    /// Lets calls go on as tasks: the client gets a task's id at once and comes back for the result, which is kept for
    /// a while. The function is the same either way; while it runs as a task, its questions are answered through the
    /// task, and cancelling the task cancels the call.
    pub fn task(mut self, support: TaskSupport) -> Self {
        self.task_support = support;
        self
    }

    /// How long a task of this tool is kept from its beginning, if its client asks for no time, instead of the server's
    /// `--task-ttl` (15 minutes): shorter or longer, up to `--task-ttl-max` (a day). A call may run so long as a task,
    /// and has to end before: its client comes back for the result in what is left. At least a second.
    pub fn task_ttl(mut self, ttl: Duration) -> Self {
        self.limits.task_ttl = Some(ttl);
        self
    }

    /// How long a call may take, instead of the server's `--call-timeout`: shorter or longer. The time that it waits
    /// for its client's answers is not counted, a call that goes on as a task may run as long as that is kept, and the
    /// calls of a batch have the server's timeout together.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = Some(timeout);
        self
    }

    /// How many calls may be in flight at once, over all shards: at least one. A call beyond that waits, without a
    /// handler and with the queue's deadline, until one of those before it has ended; whoever came first goes first,
    /// whichever shard it came to. One that cannot wait, or waits in vain, is refused with `reason: tool`.
    ///
    /// A call is in flight until its function is over: as long as its task runs, while it waits for its client's
    /// answers, and, if it blocks, after its client has left or its time is over. Clients since 2026-07-28 answer by
    /// calling again, which is another call. A call of a batch does not wait, and is refused at once.
    ///
    /// A tool that takes this one's name while the server runs takes over its calls and those that wait.
    pub fn concurrency(mut self, calls: u32) -> Self {
        self.limits.concurrency = Some(calls);
        self
    }

    /// How many calls may wait for those that [`concurrency`](Self::concurrency) lets run; the next one is refused.
    /// Without it, as many wait as the shards' queues take: half of each at most.
    pub fn queue(mut self, calls: u32) -> Self {
        self.limits.queue = Some(calls);
        self
    }

    /// A question, by its key, that must be answered before a call becomes a task; may be called more than once.
    /// Clients since 2026-07-28 are asked at once and call again with the answer; only then is there a task. Other
    /// clients cannot be asked so, and the running task asks them.
    pub fn ask_before_task(mut self, key: impl Into<String>) -> Self {
        self.asked_before_task.push(key.into());
        self
    }

    /// What happens to arguments that the schema does not name. They are ignored unless this, or the schema, says
    /// otherwise.
    pub fn unknown_arguments(mut self, choice: UnknownArguments) -> Self {
        self.unknown_arguments = choice;
        self
    }

    /// A header of HTTP that the function reads by [`Caller::header`](crate::Caller::header); may be called more than
    /// once, for at most 16. No other headers are kept, so that calls that need none cost nothing.
    pub fn reads_header(mut self, name: impl AsRef<str>) -> Self {
        self.reads.add(name.as_ref());
        self
    }

    /// A schema for [`ToolOutput::structured`](crate::ToolOutput::structured) results, written by hand.
    /// [`Structured`](crate::Structured) results have a schema of their own.
    pub fn output_schema(mut self, schema: Value) -> Self {
        self.output_schema = Some(schema);
        self
    }

    fn with_input<T>(self, input_schema: T) -> ToolBuilder<T> {
        ToolBuilder {
            name: self.name,
            title: self.title,
            description: self.description,
            annotations: self.annotations,
            icons: self.icons,
            meta: self.meta,
            task_support: self.task_support,
            limits: self.limits,
            asked_before_task: self.asked_before_task,
            unknown_arguments: self.unknown_arguments,
            reads: self.reads,
            input_schema,
            output_schema: self.output_schema,
        }
    }
}

impl ToolBuilder<DerivedSchema> {
    /// A schema for the arguments, written by hand and listed as it is written;
    /// [`unportable_input`](crate::unportable_input) tells whether all clients accept it. The function may then take
    /// any `Deserialize` type, such as `serde_json::Value`.
    pub fn input_schema(self, schema: Value) -> ToolBuilder<ExplicitSchema> {
        self.with_input(ExplicitSchema {
            schema,
            is_derived: false,
        })
    }

    /// A function that may block and runs on the worker pool, unless `at_once` gives its result, on the shard and
    /// without waiting for anything. Both must answer alike; both borrow the registry's
    /// [state](crate::RegistryBuilder::state).
    #[cfg(feature = "files")]
    pub(crate) fn run_blocking_unless<A, S, R>(
        self,
        at_once: impl Fn(&S, &A) -> Option<R> + Send + Sync + 'static,
        function: impl Fn(&S, &BlockingContext, A) -> R + Send + Sync + 'static,
    ) -> Tool
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        S: Send + Sync + 'static,
        R: FunctionResult<Value: IntoOutput>,
    {
        let handler = readied_handler::unbound::<ToolKind, A, S, R>(at_once, function);
        self.derived_input::<A>()
            .finish::<R::Value>(Execution::Worker, handler)
    }

    pub(super) fn derived_input<A: JsonSchema>(self) -> ToolBuilder<ExplicitSchema> {
        self.with_input(ExplicitSchema {
            schema: schema::of_input::<A>(),
            is_derived: true,
        })
    }

    /// An asynchronous function. Its future lives on the shard that decoded the request, need not be `Send`
    /// and must not block.
    pub fn run<A, R, Form, H>(self, function: H) -> Tool
    where
        A: DeserializeOwned + JsonSchema + 'static,
        R: FunctionResult<Value: IntoOutput>,
        H: AsyncFunction<A, R, Form>,
    {
        self.derived_input::<A>().run(function)
    }

    /// A function that may block; it runs on the worker pool.
    pub fn run_blocking<A, R, Form, H>(self, function: H) -> Tool
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        R: FunctionResult<Value: IntoOutput>,
        H: BlockingFunction<A, R, Form>,
    {
        self.derived_input::<A>().run_blocking(function)
    }
}

impl ToolBuilder<ExplicitSchema> {
    /// An asynchronous function. Its future lives on the shard that decoded the request, need not be `Send`
    /// and must not block.
    pub fn run<A, R, Form, H>(self, function: H) -> Tool
    where
        A: DeserializeOwned + 'static,
        R: FunctionResult<Value: IntoOutput>,
        H: AsyncFunction<A, R, Form>,
    {
        self.finish::<R::Value>(Execution::Shard, function.unbound::<ToolKind>())
    }

    /// A function that may block; it runs on the worker pool.
    pub fn run_blocking<A, R, Form, H>(self, function: H) -> Tool
    where
        A: DeserializeOwned + Send + 'static,
        R: FunctionResult<Value: IntoOutput>,
        H: BlockingFunction<A, R, Form>,
    {
        self.finish::<R::Value>(Execution::Worker, function.unbound::<ToolKind>())
    }

    pub(super) fn finish<T: IntoOutput>(self, execution: Execution, handler: Unbound) -> Tool {
        let ExplicitSchema {
            mut schema,
            is_derived,
        } = self.input_schema;
        if self.unknown_arguments == UnknownArguments::Refuse {
            unknown::refuse(&mut schema);
        }
        let (input_schema, checked_input) = if is_derived {
            (listed::input(&schema), Some(schema))
        } else {
            (schema, None)
        };
        let (output_schema, checked_output) = match (self.output_schema, T::output_schema()) {
            (Some(written), _) => (Some(written), None),
            (None, Some(derived)) => (Some(listed::output(&derived)), Some(derived)),
            (None, None) => (None, None),
        };
        let info = ToolInfo {
            name: self.name,
            title: self.title,
            description: self.description,
            input_schema,
            output_schema,
            annotations: self.annotations,
            icons: self.icons,
            meta: self.meta,
            execution,
            // Registration reads them from the schema.
            param_headers: Vec::new(),
            task_support: self.task_support,
            task_word: TaskWord::Registered,
            limits: self.limits,
            asked_before_task: self.asked_before_task,
        };
        Tool {
            info,
            checked_input,
            checked_output,
            unknown_arguments: self.unknown_arguments,
            reads: self.reads,
            handler,
        }
    }
}
