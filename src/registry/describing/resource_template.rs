//! Descriptions of resource templates, each of which reads all URIs that it matches.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::completers::UnboundCompleters;
use super::watch::{Updates, Watch, Watcher};
use crate::registry::app::AppSettings;
use crate::registry::asking::tool_error::ToolError;
use crate::registry::caller::headers::HeaderNames;
use crate::registry::content::ContentAnnotations;
use crate::registry::icon::Icon;
use crate::registry::info::caching::Caching;
use crate::registry::info::resource_info::{Address, ResourceInfo};
use crate::registry::owned::Owned;
use crate::registry::running::async_function::AsyncFunction;
use crate::registry::running::blocking_function::BlockingFunction;
use crate::registry::running::completion::{CompletionRequest, IntoCompletion};
use crate::registry::running::contents::IntoContents;
use crate::registry::running::function_result::FunctionResult;
use crate::registry::running::outcome::{CompletionKind, ReadKind};
use crate::registry::running::states::Unbound;
use crate::registry::schemas::text_type::{self, TextType};

/// A complete template, ready for [`RegistryBuilder::add`](crate::RegistryBuilder::add).
pub struct ResourceTemplate {
    pub(in crate::registry) info: ResourceInfo,
    pub(super) handler: Unbound,
    /// Checks whether the type its function takes can be made of variables.
    pub(super) variables: TextType,
    pub(super) completers: UnboundCompleters,
    pub(in crate::registry) watch: Option<Arc<dyn Watch>>,
    pub(super) reads: HeaderNames,
}

/// A template that still lacks its function.
pub struct ResourceTemplateBuilder {
    info: ResourceInfo,
    pub(super) completers: UnboundCompleters,
    watch: Option<Arc<dyn Watch>>,
    reads: HeaderNames,
}

impl ResourceTemplate {
    /// Begins a template, such as `demo://greeting/{name}` or `file:///{+path}` (RFC 6570, simple and one
    /// reserved expansion).
    #[expect(
        clippy::new_ret_no_self,
        reason = "a template begins without its function and cannot be whole yet"
    )]
    pub fn new(uri_template: impl Into<String>, name: impl Into<String>) -> ResourceTemplateBuilder {
        ResourceTemplateBuilder {
            info: ResourceInfo::new(Address::UriTemplate(uri_template.into()), name),
            completers: UnboundCompleters::default(),
            watch: None,
            reads: HeaderNames::default(),
        }
    }
}

impl ResourceTemplateBuilder {
    /// The name for people.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.info.title = Some(title.into());
        self
    }

    /// A description for the model.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.info.description = Some(description.into());
        self
    }

    /// The MIME type of its contents, such as `text/plain`.
    pub fn mime_type(mut self, mime_type: impl Into<String>) -> Self {
        self.info.mime_type = Some(mime_type.into());
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

    /// What the pages of apps at these URIs may load and use; see
    /// [`ResourceBuilder::app_settings`](crate::ResourceBuilder::app_settings).
    pub fn app_settings(mut self, settings: AppSettings) -> Self {
        settings.write_to(&mut self.info.meta);
        self
    }

    /// Hints on its readers and its importance.
    pub fn annotations(mut self, annotations: ContentAnnotations) -> Self {
        self.info.annotations = Some(annotations);
        self
    }

    /// How long its contents may be kept, and by whom. By default they may not be kept.
    pub fn caching(mut self, caching: Caching) -> Self {
        self.info.caching = caching;
        self
    }

    /// A function that watches for changes on behalf of subscribers. It is called with a URI when that URI gets its
    /// first subscriber, on a thread that may block for a short while; its value is dropped there after the last
    /// subscriber has left. In between, [`Updates::updated`] announces a change, from any thread. The subscriber does
    /// not wait for this call; [`Updates::since`] helps to find changes in the moment before it.
    pub fn watch<F>(mut self, function: F) -> Self
    where
        F: Fn(&str, Updates) -> Result<Box<dyn Send>, ToolError> + Send + Sync + 'static,
    {
        self.watch = Some(Arc::new(Watcher(Owned::new(function))));
        self
    }

    /// A header of HTTP that the functions read by [`Caller::header`](crate::Caller::header), those that complete too;
    /// may be called more than once, for at most 16. No other headers are kept, so that calls that need none cost
    /// nothing.
    pub fn reads_header(mut self, name: impl AsRef<str>) -> Self {
        self.reads.add(name.as_ref());
        self
    }

    /// An asynchronous function that proposes values for `variable`.
    pub fn complete<R, Form, H>(mut self, variable: impl Into<String>, function: H) -> Self
    where
        R: FunctionResult<Value: IntoCompletion>,
        H: AsyncFunction<CompletionRequest, R, Form>,
    {
        self.completers
            .push(variable.into(), function.unbound::<CompletionKind>());
        self
    }

    /// A function that proposes values for `variable` and may block.
    pub fn complete_blocking<R, Form, H>(mut self, variable: impl Into<String>, function: H) -> Self
    where
        R: FunctionResult<Value: IntoCompletion>,
        H: BlockingFunction<CompletionRequest, R, Form>,
    {
        self.completers
            .push(variable.into(), function.unbound::<CompletionKind>());
        self
    }

    /// An asynchronous function that reads a URI that the template matches. It gets the variables, percent-decoded, as
    /// a type with a string, number, boolean or enum without data for each; a type that cannot be made of them is
    /// refused when the template is registered. A URI whose variables do not fit the type is not found. The future
    /// lives on a shard and must not block.
    pub fn read<A, R, Form, H>(self, function: H) -> ResourceTemplate
    where
        A: DeserializeOwned + 'static,
        R: FunctionResult<Value: IntoContents>,
        H: AsyncFunction<A, R, Form>,
    {
        self.finish(function.unbound::<ReadKind>(), text_type::check::<A>)
    }

    /// The same with a function that may block; it runs on the worker pool.
    pub fn read_blocking<A, R, Form, H>(self, function: H) -> ResourceTemplate
    where
        A: DeserializeOwned + Send + 'static,
        R: FunctionResult<Value: IntoContents>,
        H: BlockingFunction<A, R, Form>,
    {
        self.finish(function.unbound::<ReadKind>(), text_type::check::<A>)
    }

    pub(super) fn finish(self, handler: Unbound, variables: TextType) -> ResourceTemplate {
        ResourceTemplate {
            info: self.info,
            handler,
            variables,
            completers: self.completers,
            watch: self.watch,
            reads: self.reads,
        }
    }
}

impl std::fmt::Debug for ResourceTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ResourceTemplate").field(&self.info).finish()
    }
}

impl std::fmt::Debug for ResourceTemplateBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ResourceTemplateBuilder")
            .field(&self.info)
            .finish()
    }
}
