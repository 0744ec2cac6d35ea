//! Operations of registered things, and all that is told apart by their kind outside the code of a feature.

use std::sync::Arc;

use super::caller::headers::HeaderNames;
use super::describing::catalog::Registry;
use super::info::index::{
    CompleterIndex, ListerIndex, PromptIndex, ResourceIndex, ServerIndex, TemplateIndex, ToolIndex,
};
use crate::metrics::Method;

/// Declares the kinds of operations, one row for each: the index of the registered thing, the method that asks for it,
/// whether the request may be answered with questions (2026-07-28, multi round-trip requests), and the registered name.
macro_rules! operations {
    ($(
        $(#[$meta:meta])*
        $kind:ident($index:ty) {
            method: $method:ident,
            may_ask: $may_ask:literal,
            name: |$registry:ident, $at:ident| $name:expr,
        }
    )+) => {
        /// One operation of a registered thing: a small value that identifies the function to run.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Operation { $($(#[$meta])* $kind($index),)+ }

        impl Operation {
            /// The method that asks for the operation.
            #[inline]
            pub(crate) fn method(self) -> Method {
                match self { $(Self::$kind(_) => Method::$method,)+ }
            }

            /// Whether a request for the operation may be answered with questions.
            #[inline]
            pub(crate) fn may_ask(self) -> bool {
                match self { $(Self::$kind(_) => $may_ask,)+ }
            }

            /// The registered name, for logs.
            ///
            /// # Panics
            /// If the operation comes from another registry, which is larger.
            pub(crate) fn name(self, registry: &Registry) -> &str {
                match self { $(Self::$kind($at) => { let $registry = registry; $name })+ }
            }
        }
    };
}

operations! {
    /// `tools/call` of a registered tool.
    Tool(ToolIndex) {
        method: ToolsCall,
        may_ask: true,
        name: |registry, index| registry.tool(index).name(),
    }
    /// `resources/read` of a registered resource.
    Resource(ResourceIndex) {
        method: ResourcesRead,
        may_ask: true,
        name: |registry, index| registry.resource(index).name(),
    }
    /// `resources/read` of a URI that a template matches.
    Template(TemplateIndex) {
        method: ResourcesRead,
        may_ask: true,
        name: |registry, index| registry.template(index).name(),
    }
    /// `resources/list` by a lister.
    ResourceList(ListerIndex) {
        method: ResourcesList,
        may_ask: false,
        name: |registry, index| &registry.inner().listers[index.as_usize()].name,
    }
    /// `prompts/get`.
    Prompt(PromptIndex) {
        method: PromptsGet,
        may_ask: true,
        name: |registry, index| registry.prompt(index).name(),
    }
    /// `completion/complete`.
    Completion(CompleterIndex) {
        method: CompletionComplete,
        may_ask: false,
        name: |registry, index| registry.completer_owner(index),
    }
}

impl Operation {
    /// The tool, if the operation calls one.
    pub fn tool(self) -> Option<ToolIndex> {
        match self {
            Self::Tool(index) => Some(index),
            _ => None,
        }
    }

    /// The method that asks for the operation, if such a request may be answered with questions.
    #[inline]
    pub(crate) fn asking_method(self) -> Option<&'static str> {
        self.may_ask().then(|| self.method().as_str())
    }
}

impl Registry {
    /// The headers that the function of an operation reads, if there are any.
    #[inline]
    pub(crate) fn headers_read_by(&self, operation: Operation) -> Option<&Arc<HeaderNames>> {
        let own = self.inner();
        match operation {
            Operation::Tool(index) => own.tools.get(index.as_usize())?.reads.as_ref(),
            Operation::Resource(index) => own.resources.get(index.as_usize())?.reads.as_ref(),
            Operation::Template(index) => own.templates.get(index.as_usize())?.reads.as_ref(),
            Operation::ResourceList(index) => own.listers.get(index.as_usize())?.reads.as_ref(),
            Operation::Prompt(index) => own.prompts.get(index.as_usize())?.reads.as_ref(),
            Operation::Completion(index) => own.completers.get(index.as_usize())?.reads.as_ref(),
        }
    }

    /// The names of all headers that anything reads, some perhaps twice.
    pub(crate) fn headers_read(&self) -> impl Iterator<Item = &str> {
        let own = self.inner();
        let tools = own.tools.iter().map(|entry| &entry.reads);
        let resources = own.resources.iter().map(|entry| &entry.reads);
        let templates = own.templates.iter().map(|entry| &entry.reads);
        let listers = own.listers.iter().map(|entry| &entry.reads);
        let prompts = own.prompts.iter().map(|entry| &entry.reads);
        let all = tools
            .chain(resources)
            .chain(templates)
            .chain(listers)
            .chain(prompts);
        all.flatten().flat_map(|names| names.iter())
    }

    /// The server that an operation goes to, if that is another program.
    #[inline]
    pub(crate) fn server_of(&self, operation: Operation) -> Option<ServerIndex> {
        self.inner().foreign.as_ref()?;
        self.foreign_server_of(operation)
    }

    /// The name of the server that an operation goes to, if that is another program.
    pub(crate) fn server_name(&self, operation: Operation) -> Option<&str> {
        let server = self.server_of(operation)?;
        let mut servers = self.foreign_servers().iter();
        let server = servers.find(|other| other.server == server)?;
        Some(&server.name)
    }

    fn foreign_server_of(&self, operation: Operation) -> Option<ServerIndex> {
        let own = self.inner();
        let foreign = own.foreign.as_deref()?;
        let server = match operation {
            Operation::Tool(index) => {
                let at = index.as_usize().checked_sub(own.tools.len())?;
                foreign.tools.server_at(at)?
            }
            Operation::Resource(index) => {
                let at = index.as_usize().checked_sub(own.resources.len())?;
                foreign.resources.server_at(at)?
            }
            Operation::Prompt(index) => {
                let at = index.as_usize().checked_sub(own.prompts.len())?;
                foreign.prompts.server_at(at)?
            }
            Operation::Template(index) => index.as_usize().checked_sub(own.templates.len())?,
            Operation::Completion(index) => index.as_usize().checked_sub(own.completers.len())?,
            Operation::ResourceList(_) => return None,
        };
        foreign.server(server).map(|server| server.server)
    }
}
