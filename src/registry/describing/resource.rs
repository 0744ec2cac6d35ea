//! Descriptions of resources, each of which has one URI.
//!
//! Nothing is checked here: [`RegistryBuilder::add`](crate::RegistryBuilder::add) checks everything at once.

use std::sync::Arc;

use serde_json::Value;

use super::watch::{Updates, Watch, Watcher};
use crate::registry::app::{APP_MIME_TYPE, AppSettings};
use crate::registry::asking::tool_error::ToolError;
use crate::registry::caller::headers::HeaderNames;
use crate::registry::content::ContentAnnotations;
use crate::registry::icon::Icon;
use crate::registry::info::caching::Caching;
use crate::registry::info::resource_info::{Address, ResourceInfo};
use crate::registry::owned::Owned;
use crate::registry::running::async_function::AsyncFunction;
use crate::registry::running::blocking_function::BlockingFunction;
use crate::registry::running::contents::IntoContents;
use crate::registry::running::function_result::FunctionResult;
use crate::registry::running::outcome::ReadKind;
use crate::registry::running::output::NoArguments;
use crate::registry::running::states::Unbound;

/// A complete resource, ready for [`RegistryBuilder::add`](crate::RegistryBuilder::add).
pub struct Resource {
    pub(in crate::registry) info: ResourceInfo,
    pub(super) handler: Unbound,
    pub(in crate::registry) watch: Option<Arc<dyn Watch>>,
    pub(super) reads: HeaderNames,
}

/// A resource that still lacks its function.
pub struct ResourceBuilder {
    info: ResourceInfo,
    watch: Option<Arc<dyn Watch>>,
    reads: HeaderNames,
}

impl Resource {
    /// Begins a resource with an absolute URI.
    #[expect(
        clippy::new_ret_no_self,
        reason = "a resource begins without its function and cannot be whole yet"
    )]
    pub fn new(uri: impl Into<String>, name: impl Into<String>) -> ResourceBuilder {
        ResourceBuilder {
            info: ResourceInfo::new(Address::Uri(uri.into()), name),
            watch: None,
            reads: HeaderNames::default(),
        }
    }
}

impl Resource {
    /// Begins the page of an app (MCP Apps), at a URI `ui://…`, which tools name by
    /// [`ToolBuilder::app`](crate::ToolBuilder::app). Its text is HTML, of which a host reads nothing but this resource
    /// unless [`app_settings`](ResourceBuilder::app_settings) say otherwise.
    pub fn app(uri: impl Into<String>, name: impl Into<String>) -> ResourceBuilder {
        Self::new(uri, name).mime_type(APP_MIME_TYPE)
    }
}

impl ResourceBuilder {
    /// What the page of an app may load and use. Hosts read it with the list, and with the contents unless these have
    /// a member `ui` in their own `_meta`.
    pub fn app_settings(mut self, settings: AppSettings) -> Self {
        settings.write_to(&mut self.info.meta);
        self
    }

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

    /// A header of HTTP that the function reads by [`Caller::header`](crate::Caller::header); may be called more than
    /// once, for at most 16. No other headers are kept, so that calls that need none cost nothing.
    pub fn reads_header(mut self, name: impl AsRef<str>) -> Self {
        self.reads.add(name.as_ref());
        self
    }

    /// Its size in bytes, before any encoding.
    pub fn size_bytes(mut self, size_bytes: u64) -> Self {
        self.info.size_bytes = Some(size_bytes);
        self
    }

    /// The description alone, for the page of a [`ResourceLister`](crate::ResourceLister).
    pub fn listed(self) -> ResourceInfo {
        self.info
    }

    /// An asynchronous function that reads it. Its future lives on a shard and must not block.
    pub fn read<R, Form, H>(self, function: H) -> Resource
    where
        R: FunctionResult<Value: IntoContents>,
        H: AsyncFunction<NoArguments, R, Form>,
    {
        self.finish(function.unbound::<ReadKind>())
    }

    /// A function that reads it and may block; it runs on the worker pool.
    pub fn read_blocking<R, Form, H>(self, function: H) -> Resource
    where
        R: FunctionResult<Value: IntoContents>,
        H: BlockingFunction<NoArguments, R, Form>,
    {
        self.finish(function.unbound::<ReadKind>())
    }

    pub(super) fn finish(self, handler: Unbound) -> Resource {
        Resource {
            info: self.info,
            handler,
            watch: self.watch,
            reads: self.reads,
        }
    }
}

impl std::fmt::Debug for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Resource").field(&self.info).finish()
    }
}

impl std::fmt::Debug for ResourceBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ResourceBuilder").field(&self.info).finish()
    }
}
