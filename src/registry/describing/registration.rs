//! Registration: every fault of a tool, resource or prompt is found here, before a server starts.

use std::sync::Arc;

use super::completers::{Completers, UnboundCompleters};
use super::entries::{
    Registered, RegisteredLister, RegisteredPrompt, RegisteredResource, RegisteredTemplate,
};
use super::foreign::ForeignKind;
use super::lister::ResourceLister;
use super::prompt::Prompt;
use super::registry_builder::RegistryBuilder;
use super::registry_error::{NAME_CHARS_MAX, RegistryError, TASK_TTL_MIN};
use super::resource::Resource;
use super::resource_template::ResourceTemplate;
use super::tool::Tool;
use super::toolset::Toolset;
use super::uri_template::UriTemplate;
use crate::registry::app::{self, AppError};
use crate::registry::caller::headers::HeaderNames;
use crate::registry::info::index::{PromptIndex, ResourceIndex, ToolIndex};
use crate::registry::meta::Meta;
use crate::registry::running::handler::Handler;
use crate::registry::running::states::{NoState, Unbound};
use crate::registry::schemas::param_header;
use crate::registry::schemas::schema::{InputSchema, OutputSchema};
use crate::registry::schemas::unknown::{KnownArguments, UnknownArguments};
use crate::registry::uri::is_absolute_uri;

impl RegistryBuilder {
    /// Adds a [`Tool`](crate::Tool), [`Resource`](crate::Resource), [`ResourceTemplate`](crate::ResourceTemplate),
    /// [`ResourceLister`](crate::ResourceLister) or [`Prompt`](crate::Prompt): checks it and compiles its schemas. Or a
    /// whole [`Toolset`](crate::Toolset).
    ///
    /// # Errors
    /// See [`RegistryError`]; the item is then not added.
    pub fn add(&mut self, item: impl Registrable) -> Result<&mut Self, RegistryError> {
        item.register(self)?;
        Ok(self)
    }
}

impl RegistryBuilder {
    /// A function with the value that it borrows.
    fn bound(
        &self,
        function: Unbound,
        item: impl FnOnce() -> String,
    ) -> Result<Arc<dyn Handler>, RegistryError> {
        let bound = function.bind(&self.inner.states);
        bound.map_err(|missing| missing.of(item()))
    }

    fn bound_completers(
        &self,
        functions: UnboundCompleters,
        item: impl FnOnce() -> String,
    ) -> Result<Completers, RegistryError> {
        let bound = functions.bind(&self.inner.states);
        bound.map_err(|missing| missing.of(item()))
    }
}

impl NoState {
    /// The error for what this is a function of.
    fn of(self, item: String) -> RegistryError {
        RegistryError::State {
            item,
            state: self.type_name,
        }
    }
}

/// An item that a registry can hold.
#[diagnostic::on_unimplemented(
    message = "a registry cannot hold `{Self}`",
    label = "no tool, prompt, resource or toolset",
    note = "a tool or prompt is whole once it has its function: `.run(…)`, `.run_tokio(…)` or `.run_blocking(…)`; a resource \
            has `.read(…)` and the like",
    note = "a type of your own is added once it implements `Toolset`"
)]
pub trait Registrable: sealed::Sealed {
    /// Checks it and adds it.
    #[doc(hidden)]
    fn register(self, to: &mut RegistryBuilder) -> Result<(), RegistryError>;
}

mod sealed {
    /// Keeps the trait to items that the protocol layer can serve.
    pub trait Sealed {}
}

impl sealed::Sealed for Tool {}

impl Registrable for Tool {
    fn register(self, to: &mut RegistryBuilder) -> Result<(), RegistryError> {
        let Tool {
            mut info,
            checked_input,
            checked_output,
            unknown_arguments,
            reads,
            handler,
        } = self;
        let name = to.served_name(checked_name(&info.name)?);
        info.name.clone_from(&name);
        check_meta(&name, &info.meta)?;
        check_app(&name, app::check(&info.meta))?;
        let reads = checked_headers(&name, reads)?;
        if to.inner.has(ForeignKind::Tool, &name) {
            return Err(RegistryError::Duplicate(name));
        }
        if info.limits.concurrency == Some(0) {
            return Err(RegistryError::Concurrency(name));
        }
        if let Some(ttl) = info.limits.task_ttl.filter(|ttl| *ttl < TASK_TTL_MIN) {
            return Err(RegistryError::TaskTtl { tool: name, ttl });
        }
        let checked = checked_input.as_ref().unwrap_or(&info.input_schema);
        let input = InputSchema::compile(checked).map_err(|source| RegistryError::InputSchema {
            tool: name.clone(),
            source,
        })?;
        let known = match unknown_arguments {
            UnknownArguments::Report => KnownArguments::of(checked),
            UnknownArguments::Ignore | UnknownArguments::Refuse => None,
        };
        info.param_headers =
            param_header::of_schema(&info.input_schema).map_err(|source| RegistryError::ParamHeader {
                tool: name.clone(),
                source,
            })?;
        let output = checked_output
            .as_ref()
            .or(info.output_schema.as_ref())
            .map(OutputSchema::compile)
            .transpose()
            .map_err(|source| RegistryError::OutputSchema {
                tool: name.clone(),
                source,
            })?
            .map(Arc::new);
        let handler = to.bound(handler, || format!("tool {name:?}"))?;
        let index = ToolIndex::after(to.inner.tools.len());
        to.inner.tools.push(Arc::new(Registered {
            info,
            input,
            known,
            output,
            handler,
            reads,
            mount: to.mount.clone(),
        }));
        to.inner.tools_by_name.insert(name, index);
        Ok(())
    }
}

impl sealed::Sealed for Resource {}

impl Registrable for Resource {
    fn register(self, to: &mut RegistryBuilder) -> Result<(), RegistryError> {
        let Resource {
            mut info,
            handler,
            watch,
            reads,
        } = self;
        if !is_absolute_uri(info.address()) {
            return Err(RegistryError::Uri(info.address().to_owned()));
        }
        to.serve_address(&mut info);
        let uri = info.address().to_owned();
        check_meta(&uri, &info.meta)?;
        check_app(&uri, app::check_resource(&uri, info.mime_type(), &info.meta))?;
        if to.inner.has(ForeignKind::Resource, &uri) {
            return Err(RegistryError::DuplicateUri(uri));
        }
        let handler = to.bound(handler, || format!("resource {uri:?}"))?;
        let index = ResourceIndex::after(to.inner.resources.len());
        let reads = checked_headers(&uri, reads)?;
        let entry = RegisteredResource {
            info,
            handler,
            watch: to.mounted_watch(watch),
            mount: to.mount.clone(),
            reads,
        };
        to.inner.resources.push(Arc::new(entry));
        to.inner.resources_by_uri.insert(uri, index);
        Ok(())
    }
}

impl sealed::Sealed for ResourceTemplate {}

impl Registrable for ResourceTemplate {
    fn register(self, to: &mut RegistryBuilder) -> Result<(), RegistryError> {
        let ResourceTemplate {
            mut info,
            handler,
            variables,
            completers,
            watch,
            reads,
        } = self;
        to.serve_address(&mut info);
        let text = info.address().to_owned();
        let reads = checked_headers(&text, reads)?;
        let template = UriTemplate::parse(&text).map_err(|source| RegistryError::Template {
            template: text.clone(),
            source,
        })?;
        check_meta(&text, &info.meta)?;
        check_app(&text, app::check_resource(&text, info.mime_type(), &info.meta))?;
        if to.inner.has(ForeignKind::Template, &text) {
            return Err(RegistryError::DuplicateTemplate(text));
        }
        variables(&template.variables(), &[]).map_err(|source| RegistryError::Variables {
            template: text.clone(),
            source,
        })?;
        let item = || format!("resource template {text:?}");
        let completers = checked_completers(&text, completers, |name| template.has_variable(name))?;
        let completers = to.bound_completers(completers, item)?;
        let handler = to.bound(handler, item)?;
        to.inner.templates.push(Arc::new(RegisteredTemplate {
            info,
            template,
            handler,
            completers,
            watch: to.mounted_watch(watch),
            mount: to.mount.clone(),
            reads,
        }));
        Ok(())
    }
}

impl sealed::Sealed for ResourceLister {}

impl Registrable for ResourceLister {
    fn register(self, to: &mut RegistryBuilder) -> Result<(), RegistryError> {
        let ResourceLister {
            name,
            handler,
            watch,
            reads,
        } = self;
        let reads = checked_headers(&name, reads)?;
        let handler = to.bound(handler, || format!("resource lister {name:?}"))?;
        let entry = RegisteredLister {
            name,
            handler,
            watch,
            mount: to.mount.clone(),
            reads,
        };
        to.inner.listers.push(Arc::new(entry));
        Ok(())
    }
}

impl sealed::Sealed for Prompt {}

impl Registrable for Prompt {
    fn register(self, to: &mut RegistryBuilder) -> Result<(), RegistryError> {
        let Prompt {
            mut info,
            handler,
            texts,
            completers,
            reads,
        } = self;
        let name = to.served_name(checked_name(&info.name)?);
        info.name.clone_from(&name);
        check_meta(&name, &info.meta)?;
        let reads = checked_headers(&name, reads)?;
        if to.inner.has(ForeignKind::Prompt, &name) {
            return Err(RegistryError::DuplicatePrompt(name));
        }
        let names = || info.arguments.iter().map(|argument| &argument.name);
        if let Some(argument) = names().find(|one| names().filter(|other| other == one).count() > 1) {
            return Err(RegistryError::DuplicateArgument {
                prompt: name,
                argument: argument.clone(),
            });
        }
        let (required, optional) = info.argument_names();
        texts(&required, &optional).map_err(|source| RegistryError::ArgumentType {
            prompt: name.clone(),
            source,
        })?;
        let arguments = InputSchema::compile(&info.schema()).map_err(|source| RegistryError::Arguments {
            prompt: name.clone(),
            source,
        })?;
        let is_argument = |argument: &str| names().any(|known| known == argument);
        let item = || format!("prompt {name:?}");
        let completers = checked_completers(&name, completers, is_argument)?;
        let completers = to.bound_completers(completers, item)?;
        let handler = to.bound(handler, item)?;
        let index = PromptIndex::after(to.inner.prompts.len());
        to.inner.prompts.push(Arc::new(RegisteredPrompt {
            info,
            arguments,
            handler,
            completers,
            reads,
            mount: to.mount.clone(),
        }));
        to.inner.prompts_by_name.insert(name, index);
        Ok(())
    }
}

impl<T: Toolset> sealed::Sealed for T {}

impl<T: Toolset> Registrable for T {
    fn register(self, to: &mut RegistryBuilder) -> Result<(), RegistryError> {
        to.register_toolset(self)
    }
}

/// The completion functions of `owner`, one for an argument at most.
fn checked_completers(
    owner: &str,
    completers: UnboundCompleters,
    is_argument: impl Fn(&str) -> bool,
) -> Result<UnboundCompleters, RegistryError> {
    let names = || completers.names();
    let is_wrong = |name: &&String| !is_argument(name) || names().filter(|other| other == name).count() > 1;
    let wrong = names().find(is_wrong).cloned();
    match wrong {
        None => Ok(completers),
        Some(argument) => Err(RegistryError::Completion {
            owner: owner.to_owned(),
            argument,
        }),
    }
}

fn check_app(owner: &str, checked: Result<(), AppError>) -> Result<(), RegistryError> {
    checked.map_err(|source| RegistryError::App {
        owner: owner.to_owned(),
        source,
    })
}

fn check_meta(owner: &str, meta: &Meta) -> Result<(), RegistryError> {
    meta.check().map_err(|source| RegistryError::Meta {
        owner: owner.to_owned(),
        source,
    })
}

/// The headers that the functions of `owner` read.
fn checked_headers(owner: &str, names: HeaderNames) -> Result<Option<Arc<HeaderNames>>, RegistryError> {
    names.checked().map_err(|header| RegistryError::Header {
        owner: owner.to_owned(),
        header,
    })
}

fn checked_name(name: &str) -> Result<String, RegistryError> {
    let is_name = (1..=NAME_CHARS_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    if is_name {
        Ok(name.to_owned())
    } else {
        Err(RegistryError::Name(name.to_owned()))
    }
}

#[cfg(test)]
mod tests;
