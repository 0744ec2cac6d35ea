//! One shard's registry: starting operations, and calls of tools without allocating.
//!
//! It is neither `Send` nor `Sync`. A call goes in this order: admit the arguments (no duplicate names), check them
//! against the compiled schema, make the typed arguments, make the future in a slot that was used before.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use simd_json::Node as RawNode;

use crate::jsonrpc::Value;
use crate::registry::asking::tool_error::ToolError;
use crate::registry::describing::catalog::Registry;
use crate::registry::info::index::{
    CompleterIndex, ListerIndex, PromptIndex, ResourceIndex, TemplateIndex, ToolIndex,
};
use crate::registry::mount::Mount;
use crate::registry::running::call::CallFuture;
use crate::registry::running::context::CallContext;
use crate::registry::running::guard::guard;
use crate::registry::running::handler::{Handler, OnShard, ShardHandler};
#[cfg(any(test, feature = "internals"))]
use crate::registry::running::spawner::NoSpawner;
use crate::registry::running::spawner::Spawner;
use crate::registry::running::started::Started;
use crate::registry::schemas::argument_error::ArgumentError;
use crate::registry::schemas::arguments::{ArgumentTape, admit};
use crate::registry::schemas::schema::InputSchema;
use crate::registry::schemas::tape::{Steps, TapeNode};
use crate::registry::schemas::violations::Violations;

/// A registry's functions on one shard.
pub struct ShardRegistry {
    registry: Registry,
    tools: Vec<ShardTool>,
    resources: Vec<Rc<dyn ShardHandler>>,
    templates: Vec<Rc<dyn ShardHandler>>,
    listers: Vec<Rc<dyn ShardHandler>>,
    prompts: Vec<Rc<dyn ShardHandler>>,
    completers: Vec<Rc<dyn ShardHandler>>,
    /// The tape is taken for the length of one start; it is `None` only meanwhile.
    tape: RefCell<Option<ArgumentTape>>,
}

struct ShardTool {
    name: Arc<str>,
    handler: Rc<dyn ShardHandler>,
}

/// Why a call did not start. The client is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The arguments break the tool's schema.
    #[error("{0}")]
    Violations(Violations),
}

impl Registry {
    /// One shard's own part: the slots that its calls will live in. Nothing of it can be spawned on other threads.
    #[cfg(test)]
    pub(crate) fn for_shard(&self) -> ShardRegistry {
        ShardRegistry::new(self.clone())
    }
}

impl ShardRegistry {
    /// The shard's part of this registry. Nothing of it can be spawned on other threads.
    #[cfg(any(test, feature = "internals"))]
    pub fn new(registry: Registry) -> Self {
        let spawner: Arc<dyn Spawner> = Arc::new(NoSpawner);
        Self::with_spawner(registry, &spawner)
    }

    /// The shard's part of this registry; `spawner` runs what does not run on shards.
    pub(crate) fn with_spawner(registry: Registry, spawner: &Arc<dyn Spawner>) -> Self {
        let inner = registry.inner();
        let tools = inner
            .tools
            .iter()
            .map(|tool| ShardTool {
                name: tool.info.name().into(),
                handler: Arc::clone(&tool.handler).for_shard(OnShard {
                    output: tool.output.clone(),
                    spawner,
                }),
            })
            .collect();
        let on_shard = |handler: &Arc<dyn Handler>| {
            let output = None;
            Arc::clone(handler).for_shard(OnShard { output, spawner })
        };
        Self {
            tools,
            resources: inner
                .resources
                .iter()
                .map(|entry| on_shard(&entry.handler))
                .collect(),
            templates: inner
                .templates
                .iter()
                .map(|entry| on_shard(&entry.handler))
                .collect(),
            listers: inner
                .listers
                .iter()
                .map(|entry| on_shard(&entry.handler))
                .collect(),
            prompts: inner
                .prompts
                .iter()
                .map(|entry| on_shard(&entry.handler))
                .collect(),
            completers: inner
                .completers
                .iter()
                .map(|entry| on_shard(&entry.handler))
                .collect(),
            tape: RefCell::default(),
            registry,
        }
    }

    /// Checks `arguments` (`None` is `{}`) and makes a call of them that has not run yet. It allocates nothing itself
    /// once a call of the tool has run here and ended, except for objects of more than 16 members, blocking calls and
    /// refusals.
    ///
    /// A panic while the arguments or the future are made belongs to the call: it has started, and fails when polled.
    /// So does a call of what another program serves.
    ///
    /// # Errors
    /// [`StartError::Violations`] names what is wrong with the arguments.
    pub fn start_tool(
        &self,
        tool: ToolIndex,
        arguments: Option<Value<'_, '_>>,
        mut context: CallContext,
    ) -> Result<Started, StartError> {
        guarded(|| {
            let registered = self.registry.inner().tools.get(tool.as_usize());
            let (Some(on_shard), Some(registered)) = (self.tools.get(tool.as_usize()), registered) else {
                return Ok(not_run_here());
            };
            let mount = registered.mount.as_ref();
            context.name_tool(tool, &on_shard.name);
            context.mount(mount);
            self.checked(&registered.input, arguments, |node| {
                let started = on_shard.handler.start(node, context)?.within(mount);
                match &registered.known {
                    None => Ok(started),
                    Some(known) => Ok(started.with_note(known.note(node.nodes()))),
                }
            })
        })
    }

    /// Checks the arguments of a call that is not to start yet.
    ///
    /// # Errors
    /// The same as [`ShardRegistry::start_tool`], except for faults that show only when the arguments are converted
    /// into the tool's own type.
    pub fn check_tool(&self, tool: ToolIndex, arguments: Option<Value<'_, '_>>) -> Result<(), StartError> {
        match self.registry.inner().tools.get(tool.as_usize()) {
            Some(tool) => self.check(&tool.input, arguments),
            None => Ok(()),
        }
    }

    /// Checks a prompt's arguments (`None` is `{}`) and makes an operation of them that has not run yet.
    ///
    /// # Errors
    /// [`StartError::Violations`] names what is wrong with the arguments.
    pub fn start_prompt(
        &self,
        prompt: PromptIndex,
        arguments: Option<Value<'_, '_>>,
        mut context: CallContext,
    ) -> Result<Started, StartError> {
        let registered = self.registry.inner().prompts.get(prompt.as_usize());
        let (Some(handler), Some(registered)) = (self.prompts.get(prompt.as_usize()), registered) else {
            return Ok(not_run_here());
        };
        guarded(|| {
            let mount = registered.mount.as_ref();
            context.mount(mount);
            self.checked(&registered.arguments, arguments, |node| {
                Ok(handler.start(node, context)?.within(mount))
            })
        })
    }

    /// Checks a prompt's arguments without starting anything.
    ///
    /// # Errors
    /// The same as [`ShardRegistry::start_prompt`], except for faults that show only when they are converted into the
    /// prompt's own type.
    pub fn check_prompt(
        &self,
        prompt: PromptIndex,
        arguments: Option<Value<'_, '_>>,
    ) -> Result<(), StartError> {
        match self.registry.inner().prompts.get(prompt.as_usize()) {
            Some(prompt) => self.check(&prompt.arguments, arguments),
            None => Ok(()),
        }
    }

    /// Makes an operation that reads a resource and has not run yet.
    ///
    /// # Errors
    /// Only those that the server's author asked for.
    pub fn start_resource(
        &self,
        resource: ResourceIndex,
        context: CallContext,
    ) -> Result<Started, StartError> {
        let entry = self.registry.inner().resources.get(resource.as_usize());
        let (Some(handler), Some(entry)) = (self.resources.get(resource.as_usize()), entry) else {
            return Ok(not_run_here());
        };
        start_with(handler, &[], context, entry.mount.as_ref())
    }

    /// Makes an operation that reads `uri` through a template and has not run yet.
    ///
    /// # Errors
    /// Fails when the variables do not fit the type that the template's function takes.
    pub fn start_template(
        &self,
        template: TemplateIndex,
        uri: &str,
        context: CallContext,
    ) -> Result<Started, StartError> {
        let entry = self.registry.inner().templates.get(template.as_usize());
        let (Some(handler), Some(entry)) = (self.templates.get(template.as_usize()), entry) else {
            return Ok(not_run_here());
        };
        let values = entry.template.values(uri).unwrap_or_default();
        let members: Vec<_> = values
            .iter()
            .map(|(name, value)| (*name, RawNode::String(value)))
            .collect();
        start_with(handler, &members, context, entry.mount.as_ref())
    }

    /// Makes an operation that lists resources, those behind `after`, and has not run yet.
    ///
    /// # Errors
    /// Only those that the server's author asked for.
    ///
    /// # Panics
    /// If `lister` comes from another, larger registry.
    pub fn start_lister(
        &self,
        lister: ListerIndex,
        after: Option<&str>,
        context: CallContext,
    ) -> Result<Started, StartError> {
        let member = after.map(|after| ("after", RawNode::String(after)));
        let entry = &self.registry.inner().listers[lister.as_usize()];
        let handler = &self.listers[lister.as_usize()];
        start_with(handler, member.as_slice(), context, entry.mount.as_ref())
    }

    /// Makes an operation that completes `value` and has not run yet. `arguments` are those that are settled already:
    /// an object, if there are any.
    ///
    /// # Errors
    /// [`StartError::Violations`] if one of `arguments` is no string, or stands twice.
    pub fn start_completion(
        &self,
        completer: CompleterIndex,
        value: &str,
        arguments: Option<Value<'_, '_>>,
        context: CallContext,
    ) -> Result<Started, StartError> {
        let Some(handler) = self.completers.get(completer.as_usize()) else {
            return Ok(not_run_here());
        };
        let violation =
            |error: ArgumentError| StartError::Violations(Violations::one(error.into_violation()));
        let mut settled = ArgumentTape::new().lend();
        admit(arguments, &mut settled).map_err(violation)?;
        let mut nodes = vec![
            RawNode::Object {
                len: 2,
                count: 3 + settled.0.len(),
            },
            RawNode::String("value"),
            RawNode::String(value),
            RawNode::String("arguments"),
        ];
        nodes.append(&mut settled.0);
        start_nodes(handler, &nodes, context)
    }

    /// Checks arguments. A check that panics is reported by the call, when it starts.
    fn check(&self, schema: &InputSchema, arguments: Option<Value<'_, '_>>) -> Result<(), StartError> {
        guard(|| self.checked(schema, arguments, |_| Ok(()))).unwrap_or(Ok(()))
    }

    /// Passes arguments that are valid by `schema` to `then`.
    fn checked<T>(
        &self,
        schema: &InputSchema,
        arguments: Option<Value<'_, '_>>,
        then: impl FnOnce(TapeNode<'_>) -> Result<T, ArgumentError>,
    ) -> Result<T, StartError> {
        let mut tape = self.tape.take().unwrap_or_else(ArgumentTape::new).lend();
        let checked = admit(arguments, &mut tape)
            .map_err(|error| Violations::one(error.into_violation()))
            .and_then(|()| schema.check_or_leave_out(&mut tape.0))
            .and_then(|()| {
                let steps = Steps::for_nodes(0, 0);
                then(TapeNode::new(&tape.0, &steps)).map_err(|error| Violations::one(error.into_violation()))
            });
        self.tape.replace(Some(ArgumentTape::restore(tape)));
        checked.map_err(StartError::Violations)
    }

    /// Unused slots that calls of `tool` can use again.
    ///
    /// # Panics
    /// If `tool` comes from another, larger registry.
    #[cfg(test)]
    pub fn slots_free(&self, tool: ToolIndex) -> usize {
        self.tools[tool.as_usize()].handler.slots_free()
    }
}

impl std::fmt::Debug for ShardRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ShardRegistry").field(&self.registry).finish()
    }
}

/// A call that has no function here, because another program serves it: it fails when it is polled.
#[cold]
fn not_run_here() -> Started {
    Started::Future(CallFuture::ended(Err(ToolError::internal(
        "another program serves this",
    ))))
}

/// A panic while the arguments or the future are made belongs to the operation: it has started, and fails when polled.
fn guarded(start: impl FnOnce() -> Result<Started, StartError>) -> Result<Started, StartError> {
    guard(start).unwrap_or_else(|panicked| Ok(Started::Future(CallFuture::ended(Err(panicked)))))
}

/// Starts with an object of these members.
fn start_with(
    handler: &Rc<dyn ShardHandler>,
    members: &[(&str, RawNode<'_>)],
    mut context: CallContext,
    mount: Option<&Arc<Mount>>,
) -> Result<Started, StartError> {
    let mut nodes = vec![RawNode::Object {
        len: members.len(),
        count: 2 * members.len(),
    }];
    for (name, value) in members {
        nodes.extend([RawNode::String(name), *value]);
    }
    context.mount(mount);
    let started = start_nodes(handler, &nodes, context);
    started.map(|started| started.within(mount))
}

/// Starts with one value, all of `nodes`.
fn start_nodes(
    handler: &Rc<dyn ShardHandler>,
    nodes: &[RawNode<'_>],
    context: CallContext,
) -> Result<Started, StartError> {
    guarded(|| {
        let steps = Steps::for_nodes(0, 0);
        let started = handler.start(TapeNode::new(nodes, &steps), context);
        started.map_err(|error| StartError::Violations(Violations::one(error.into_violation())))
    })
}

#[cfg(test)]
mod tests;
