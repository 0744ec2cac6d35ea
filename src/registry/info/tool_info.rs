//! A registered tool as clients see it (MCP, Tools: `Tool`, `ToolAnnotations`).

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::registry::app;
use crate::registry::icon::Icon;
use crate::registry::meta::Meta;
use crate::registry::schemas::param_header::ParamHeader;

/// Where a tool's code runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Execution {
    /// A future, polled on the shard that decoded the request.
    Shard,
    /// A function that may block, on a thread of the worker pool.
    Worker,
    /// A future, polled on a thread of the tokio runtime.
    Tokio,
}

/// Whether a tool's calls go on as tasks: its clients get a task's id at once and come back for the result (MCP
/// 2025-11-25, tasks; the extension `io.modelcontextprotocol/tasks` since 2026-07-28).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TaskSupport {
    /// Never: every client waits.
    #[default]
    Forbidden,
    /// For clients that know tasks; others wait. In 2025-11-25 the client chooses, call by call.
    Optional,
    /// Always: clients that do not know tasks are refused, because the work takes longer than a client would wait.
    Required,
}

/// Who says whether a tool's calls go on as tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskWord {
    /// Whoever registered it in this process.
    Registered,
    /// The program that has the tool.
    Declared,
    /// Nobody: the program that has the tool says nothing of tasks, and needs to know of none.
    Unsaid,
}

/// Hints for clients, which must not trust them. Serialises as MCP's `ToolAnnotations`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Annotations {
    /// The tool changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only_hint: Option<bool>,
    /// Its changes may destroy something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destructive_hint: Option<bool>,
    /// Calling it again with the same arguments changes nothing more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotent_hint: Option<bool>,
    /// It deals with the world outside this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_world_hint: Option<bool>,
}

impl Annotations {
    /// Whether no hint was given.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Limits of a tool's calls; those that are `None` follow from the server's options.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CallLimits {
    /// How long a call may take.
    pub(crate) timeout: Option<Duration>,
    /// How many may be in flight at once.
    pub(crate) concurrency: Option<u32>,
    /// How many may wait for that.
    pub(crate) queue: Option<u32>,
    /// How long a task is kept that is made of a call.
    pub(crate) task_ttl: Option<Duration>,
}

/// A registered tool's description. Serialises as MCP's `Tool`, newest revision; older revisions know fewer
/// members and ignore the others.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolInfo {
    pub(in crate::registry) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::registry) title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::registry) description: Option<String>,
    pub(in crate::registry) input_schema: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::registry) output_schema: Option<Value>,
    #[serde(skip_serializing_if = "Annotations::is_empty")]
    pub(in crate::registry) annotations: Annotations,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::registry) icons: Vec<Icon>,
    #[serde(rename = "_meta", skip_serializing_if = "Meta::is_empty")]
    pub(in crate::registry) meta: Meta,
    #[serde(skip)]
    pub(in crate::registry) execution: Execution,
    #[serde(skip)]
    pub(in crate::registry) param_headers: Vec<ParamHeader>,
    #[serde(skip)]
    pub(in crate::registry) task_support: TaskSupport,
    #[serde(skip)]
    pub(in crate::registry) task_word: TaskWord,
    #[serde(skip)]
    pub(in crate::registry) limits: CallLimits,
    #[serde(skip)]
    pub(in crate::registry) asked_before_task: Vec<String>,
}

impl ToolInfo {
    /// The name: 1 to 128 characters of `[A-Za-z0-9_.-]`, unique in its registry.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name for people.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// What the tool does, for the model.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The arguments' schema; its root says `"type": "object"`.
    pub fn input_schema(&self) -> &Value {
        &self.input_schema
    }

    /// The schema of structured results, if the tool gives any; its root says `"type": "object"`.
    pub fn output_schema(&self) -> Option<&Value> {
        self.output_schema.as_ref()
    }

    /// The hints.
    pub fn annotations(&self) -> &Annotations {
        &self.annotations
    }

    /// Its icons.
    pub fn icons(&self) -> &[Icon] {
        &self.icons
    }

    /// Its `_meta`.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Whether it is for an app, and not for the model.
    pub(crate) fn is_for_apps_only(&self) -> bool {
        app::is_for_apps_only(&self.meta)
    }

    /// The arguments that clients repeat as HTTP headers (since 2026-07-28): those whose schema says
    /// `"x-mcp-header": "Name"`.
    pub fn param_headers(&self) -> &[ParamHeader] {
        &self.param_headers
    }

    /// Whether its calls go on as tasks.
    pub fn task_support(&self) -> TaskSupport {
        self.task_support
    }

    /// Who says so.
    pub(crate) fn task_word(&self) -> TaskWord {
        self.task_word
    }

    /// How long its calls may take, if that is not what the server's options say.
    pub fn timeout(&self) -> Option<Duration> {
        self.limits.timeout
    }

    /// How many of its calls may be in flight at once, if there is a limit.
    pub fn concurrency(&self) -> Option<u32> {
        self.limits.concurrency
    }

    /// How many calls may wait for that, if there is a limit of its own.
    pub fn queue(&self) -> Option<u32> {
        self.limits.queue
    }

    /// How long a task is kept that is made of a call whose client asks for no time, if that is not what the server's
    /// options say.
    pub fn task_ttl(&self) -> Option<Duration> {
        self.limits.task_ttl
    }

    /// Keys of the questions that a client since 2026-07-28 answers before its call becomes a task.
    pub fn asked_before_task(&self) -> &[String] {
        &self.asked_before_task
    }

    /// Where its calls run.
    pub fn execution(&self) -> Execution {
        self.execution
    }
}
