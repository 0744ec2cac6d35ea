//! What is registered, called as a shard would and run to its end here. For tests.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use serde_json::{Value, json};

use crate::registry::{
    BlockingContext, CallContext, CallLink, LinkListener, Operation, Output, Registry, ServerHandle,
    ServerLink, StartError, Started, ToolError,
};

/// A listener that hears nothing, because the calls end before it could.
struct Deaf;

impl LinkListener for Deaf {
    fn on_emission(&self, _: u64) {}
}

/// A registry behind a server.
pub(super) struct Called {
    pub(super) registry: Registry,
    link: Arc<CallLink>,
}

impl Called {
    pub(super) fn new(registry: Registry) -> Self {
        Self::behind(registry, ServerHandle::default())
    }

    pub(super) fn with_server(registry: Registry, server: Arc<dyn ServerLink>) -> Self {
        Self::behind(registry, ServerHandle::new(server))
    }

    fn behind(registry: Registry, server: ServerHandle) -> Self {
        let link = CallLink::new(Arc::new(Deaf), server);
        Self { registry, link }
    }

    fn context(&self) -> CallContext {
        CallContext::with_link(Arc::clone(&self.link))
    }

    fn run(&self, started: Result<Started, StartError>) -> Result<Output, ToolError> {
        match started.unwrap() {
            Started::Readied(call) => {
                let begun = call.begin().map_or_else(Started::Blocking, Started::Future);
                self.run(Ok(begun))
            }
            Started::Blocking(call) => {
                call.run(&BlockingContext::default().with_link(Arc::clone(&self.link)))
            }
            Started::Future(call) => match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => panic!("it is not ready"),
            },
        }
    }

    /// The `content` of a tool's result.
    pub(super) fn tool(&self, name: &str, arguments: Value) -> Value {
        let mut bytes = arguments.to_string().into_bytes();
        let tape = simd_json::to_tape(&mut bytes).unwrap();
        let tool = self.registry.find(name).unwrap();
        let arguments = Some(crate::jsonrpc::Value::of_tape(&tape));
        let shard = self.registry.for_shard();
        let Ok(Output::Tool(output)) = self.run(shard.start_tool(tool, arguments, self.context())) else {
            panic!("{name} failed");
        };
        let mut text = Vec::new();
        output.write_content(&mut text);
        serde_json::from_slice(&text).unwrap()
    }

    /// The text of a tool's result.
    pub(super) fn text(&self, name: &str, arguments: Value) -> String {
        self.tool(name, arguments)[0]["text"].as_str().unwrap().to_owned()
    }

    /// The `contents` of a resource.
    pub(super) fn read(&self, uri: &str) -> Value {
        let shard = self.registry.for_shard();
        let started = match self.registry.find_resource(uri) {
            Some(resource) => shard.start_resource(resource, self.context()),
            None => shard.start_template(self.registry.find_template(uri).unwrap(), uri, self.context()),
        };
        let Ok(Output::Read(output)) = self.run(started) else {
            panic!("{uri} cannot be read");
        };
        let mut text = Vec::new();
        output.write_contents(uri, None, true, &mut text);
        serde_json::from_slice(&text).unwrap()
    }

    /// The messages of a prompt without arguments.
    pub(super) fn prompt(&self, name: &str) -> Value {
        let prompt = self.registry.find_prompt(name).unwrap();
        let shard = self.registry.for_shard();
        let Ok(Output::Prompt(output)) = self.run(shard.start_prompt(prompt, None, self.context())) else {
            panic!("{name} failed");
        };
        json!(output.messages)
    }

    /// What is proposed for a variable of a template.
    pub(super) fn completed(&self, template: &str, variable: &str, value: &str) -> Vec<String> {
        let found = self.registry.template_completer(template, variable);
        let completer = found.unwrap().unwrap().unwrap();
        let shard = self.registry.for_shard();
        let started = shard.start_completion(completer, value, None, self.context());
        assert!(!Operation::Completion(completer).may_ask());
        let Ok(Output::Completion(completion)) = self.run(started) else {
            panic!("{template} cannot be completed");
        };
        completion.values().to_vec()
    }

    /// The URIs that all listers list.
    pub(super) fn listed(&self) -> Vec<String> {
        let shard = self.registry.for_shard();
        let mut uris = Vec::new();
        for lister in self.registry.listers() {
            let Ok(Output::Resources(page)) = self.run(shard.start_lister(lister, None, self.context()))
            else {
                panic!("a lister failed");
            };
            uris.extend(page.resources.iter().map(|info| info.address().to_owned()));
        }
        uris
    }
}
