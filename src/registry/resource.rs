//! Describing resources and resource templates, and listing those that come and go.
//!
//! A resource has one URI; a template reads whatever URIs it matches. Nothing is checked here but by
//! [`RegistryBuilder::add`](super::RegistryBuilder::add), all at once.

use std::future::Future;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::blocking::BlockingHandler;
use super::caching::Caching;
use super::call::AsyncHandler;
use super::completion::{Completers, Completing, IntoCompletion};
use super::contents::IntoContents;
use super::context::{BlockingContext, CallContext};
use super::handler::Handler;
use super::icon::Icon;
use super::outcome::{ListKind, ReadKind};
use super::output::{ContentAnnotations, NoArguments, ToolError};
use super::text_type::{self, TextType};
use super::watch::{ListUpdates, ListWatcher, Updates, Watch, WatchList, Watcher};

/// A registered resource or template as clients see it. Serialises as MCP's `Resource` or `ResourceTemplate`,
/// newest revision.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceInfo {
    #[serde(flatten)]
    pub(super) address: Address,
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mime_type: Option<String>,
    #[serde(rename = "size", skip_serializing_if = "Option::is_none")]
    pub(super) size_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) icons: Vec<Icon>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) annotations: Option<ContentAnnotations>,
    #[serde(skip)]
    pub(super) caching: Caching,
}

/// Where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Address {
    Uri(String),
    UriTemplate(String),
}

impl ResourceInfo {
    fn new(address: Address, name: impl Into<String>) -> Self {
        Self {
            address,
            name: name.into(),
            title: None,
            description: None,
            mime_type: None,
            size_bytes: None,
            icons: Vec::new(),
            annotations: None,
            caching: Caching::default(),
        }
    }

    /// Its URI or its template's text.
    pub fn address(&self) -> &str {
        match &self.address {
            Address::Uri(text) | Address::UriTemplate(text) => text,
        }
    }

    /// Its name, for programs and, without a title, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its type, if it is always the same.
    pub fn mime_type(&self) -> Option<&str> {
        self.mime_type.as_deref()
    }

    /// How long its contents may be kept.
    pub fn caching(&self) -> Caching {
        self.caching
    }
}

/// A complete resource, ready for [`RegistryBuilder::add`](super::RegistryBuilder::add).
pub struct Resource {
    pub(super) info: ResourceInfo,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) watch: Option<Arc<dyn Watch>>,
}

/// A resource that still lacks its function.
pub struct ResourceBuilder {
    info: ResourceInfo,
    watch: Option<Arc<dyn Watch>>,
}

/// A complete template, ready for [`RegistryBuilder::add`](super::RegistryBuilder::add).
pub struct ResourceTemplate {
    pub(super) info: ResourceInfo,
    pub(super) handler: Arc<dyn Handler>,
    /// Whether the type its function takes can be made of variables.
    pub(super) variables: TextType,
    pub(super) completers: Completers,
    pub(super) watch: Option<Arc<dyn Watch>>,
}

/// A template that still lacks its function.
pub struct ResourceTemplateBuilder {
    info: ResourceInfo,
    completers: Completers,
    watch: Option<Arc<dyn Watch>>,
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
        }
    }
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
            completers: Completers::default(),
            watch: None,
        }
    }
}

/// What resources and templates are described by.
macro_rules! descriptions {
    () => {
        /// The name for people.
        pub fn title(mut self, title: impl Into<String>) -> Self {
            self.info.title = Some(title.into());
            self
        }

        /// What it is, for the model.
        pub fn description(mut self, description: impl Into<String>) -> Self {
            self.info.description = Some(description.into());
            self
        }

        /// The type of all it gives, such as `text/plain`.
        pub fn mime_type(mut self, mime_type: impl Into<String>) -> Self {
            self.info.mime_type = Some(mime_type.into());
            self
        }

        /// An icon; may be called more than once.
        pub fn icon(mut self, icon: Icon) -> Self {
            self.info.icons.push(icon);
            self
        }

        /// Hints for whom it is and how much it matters.
        pub fn annotations(mut self, annotations: ContentAnnotations) -> Self {
            self.info.annotations = Some(annotations);
            self
        }

        /// How long its contents may be kept, and by whom. Not at all unless said so.
        pub fn caching(mut self, caching: Caching) -> Self {
            self.info.caching = caching;
            self
        }

        /// A function that watches for changes on behalf of subscribers. It is called with a URI when that gets its
        /// first subscriber, on a thread that may block for a short while; what it gives is dropped there after the
        /// last subscriber has left. In between, [`Updates::updated`] tells them of a change, from any thread. The
        /// subscriber does not wait for it: what changed in the moment before it is called, [`Updates::since`] helps
        /// to find.
        pub fn watch<F>(mut self, function: F) -> Self
        where
            F: Fn(&str, Updates) -> Result<Box<dyn Send>, ToolError> + Send + Sync + 'static,
        {
            self.watch = Some(Arc::new(Watcher(function)));
            self
        }
    };
}

impl ResourceBuilder {
    descriptions!();

    /// Its size in bytes, before any encoding.
    pub fn size_bytes(mut self, size_bytes: u64) -> Self {
        self.info.size_bytes = Some(size_bytes);
        self
    }

    /// The description alone, for a [`ResourceLister`]'s page.
    pub fn listed(self) -> ResourceInfo {
        self.info
    }

    /// An asynchronous function that reads it. Its future lives on a shard and must not block.
    pub fn read<T, F, H>(self, function: H) -> Resource
    where
        T: IntoContents + 'static,
        F: Future<Output = Result<T, ToolError>> + 'static,
        H: Fn(CallContext) -> F + Send + Sync + 'static,
    {
        let function = move |context, NoArguments {}| function(context);
        Resource {
            info: self.info,
            handler: Arc::new(AsyncHandler::<ReadKind, NoArguments, F, _>::new(function)),
            watch: self.watch,
        }
    }

    /// A function that reads it and may block; it runs on the worker pool.
    pub fn read_blocking<T, H>(self, function: H) -> Resource
    where
        T: IntoContents + 'static,
        H: Fn(&BlockingContext) -> Result<T, ToolError> + Send + Sync + 'static,
    {
        let function = move |context: &BlockingContext, NoArguments {}| function(context);
        Resource {
            info: self.info,
            handler: Arc::new(BlockingHandler::<ReadKind, NoArguments, T, _>::new(function)),
            watch: self.watch,
        }
    }
}

impl ResourceTemplateBuilder {
    descriptions!();

    /// An asynchronous function that proposes values for `variable`.
    pub fn complete<T, F, H>(mut self, variable: impl Into<String>, function: H) -> Self
    where
        T: IntoCompletion + 'static,
        F: Future<Output = Result<T, ToolError>> + 'static,
        H: Fn(CallContext, Completing) -> F + Send + Sync + 'static,
    {
        self.completers.push(variable.into(), function);
        self
    }

    /// A function that proposes values for `variable` and may block.
    pub fn complete_blocking<T, H>(mut self, variable: impl Into<String>, function: H) -> Self
    where
        T: IntoCompletion + 'static,
        H: Fn(&BlockingContext, Completing) -> Result<T, ToolError> + Send + Sync + 'static,
    {
        self.completers.push_blocking(variable.into(), function);
        self
    }

    /// An asynchronous function that reads what the template matches. It gets the variables, percent-decoded, as
    /// a type with a string, number, boolean or enum without data for each; a type that cannot be made of them is
    /// refused when the template is registered. A URI whose variables do not fit the type is not found. Its future
    /// lives on a shard and must not block.
    pub fn read<A, T, F, H>(self, function: H) -> ResourceTemplate
    where
        A: DeserializeOwned + 'static,
        T: IntoContents + 'static,
        F: Future<Output = Result<T, ToolError>> + 'static,
        H: Fn(CallContext, A) -> F + Send + Sync + 'static,
    {
        let handler = AsyncHandler::<ReadKind, A, F, H>::new(function);
        self.finish(Arc::new(handler), text_type::check::<A>)
    }

    /// The same with a function that may block; it runs on the worker pool.
    pub fn read_blocking<A, T, H>(self, function: H) -> ResourceTemplate
    where
        A: DeserializeOwned + Send + 'static,
        T: IntoContents + 'static,
        H: Fn(&BlockingContext, A) -> Result<T, ToolError> + Send + Sync + 'static,
    {
        let handler = BlockingHandler::<ReadKind, A, T, H>::new(function);
        self.finish(Arc::new(handler), text_type::check::<A>)
    }

    fn finish(self, handler: Arc<dyn Handler>, variables: TextType) -> ResourceTemplate {
        ResourceTemplate {
            info: self.info,
            handler,
            variables,
            completers: self.completers,
            watch: self.watch,
        }
    }
}

/// Lists resources that are not registered one by one, such as the files of a directory, when a client asks.
/// They are read through a template.
pub struct ResourceLister {
    pub(super) name: String,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) watch: Option<Arc<dyn WatchList>>,
}

/// What a lister is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ListFrom {
    /// What the page before said in [`ResourcePage::next`]; none for the first page. It went through the
    /// client's hands, and may be anything.
    pub after: Option<String>,
}

/// Some of a lister's resources.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResourcePage {
    /// Their descriptions; see [`ResourceBuilder::listed`].
    pub resources: Vec<ResourceInfo>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

impl ResourceLister {
    /// An asynchronous function; `name` is for the log.
    pub fn new<F, H>(name: impl Into<String>, function: H) -> Self
    where
        F: Future<Output = Result<ResourcePage, ToolError>> + 'static,
        H: Fn(CallContext, ListFrom) -> F + Send + Sync + 'static,
    {
        Self {
            name: name.into(),
            handler: Arc::new(AsyncHandler::<ListKind, ListFrom, F, H>::new(function)),
            watch: None,
        }
    }

    /// A function that watches for changes of what is listed: with it, clients are promised to hear of them. It is
    /// called once the server runs, on a thread that may block for a short while; what it gives is dropped there when
    /// the lister, or the server, is gone. In between, [`ListUpdates::changed`] tells of a change, from any thread.
    pub fn watch<F>(mut self, function: F) -> Self
    where
        F: Fn(ListUpdates) -> Result<Box<dyn Send>, ToolError> + Send + Sync + 'static,
    {
        self.watch = Some(Arc::new(ListWatcher(function)));
        self
    }

    /// A function that may block; it runs on the worker pool.
    pub fn blocking<H>(name: impl Into<String>, function: H) -> Self
    where
        H: Fn(&BlockingContext, ListFrom) -> Result<ResourcePage, ToolError> + Send + Sync + 'static,
    {
        Self {
            name: name.into(),
            handler: Arc::new(BlockingHandler::<ListKind, ListFrom, ResourcePage, H>::new(
                function,
            )),
            watch: None,
        }
    }
}

/// What is registered shows as its description.
macro_rules! shown {
    ($($name:ident: $field:ident,)+) => {
        $(impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.$field).finish()
            }
        })+
    };
}

shown! {
    Resource: info,
    ResourceBuilder: info,
    ResourceTemplate: info,
    ResourceTemplateBuilder: info,
    ResourceLister: name,
}
