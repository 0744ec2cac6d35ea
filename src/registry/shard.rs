//! One shard's tools: starting calls without allocating.
//!
//! Neither `Send` nor `Sync`. The order of a call: admit the arguments (no duplicate names), check them against the
//! compiled schema, make the typed arguments, make the future in a slot that was used before.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use simd_json::tape::Value;

use super::arguments::{ArgumentTape, admit};
use super::call::{CallFuture, Started};
use super::catalog::Registry;
use super::context::CallContext;
use super::handler::{ShardHandler, guard};
use super::info::ToolIndex;
use super::tape::{Steps, TapeNode};
use super::violations::Violations;

/// A registry's tools on one shard.
pub struct ShardTools {
    registry: Registry,
    tools: Vec<ShardTool>,
    /// Taken for the length of one start; `None` only meanwhile.
    tape: RefCell<Option<ArgumentTape>>,
}

struct ShardTool {
    name: Rc<str>,
    handler: Rc<dyn ShardHandler>,
}

/// Why a call did not start. The client's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The arguments break the tool's schema.
    #[error("{0}")]
    Violations(Violations),
}

impl ShardTools {
    pub(super) fn new(registry: Registry) -> Self {
        let tools = registry
            .registered()
            .iter()
            .map(|tool| ShardTool {
                name: tool.info.name().into(),
                handler: Arc::clone(&tool.handler).for_shard(tool.output.clone()),
            })
            .collect();
        Self {
            registry,
            tools,
            tape: RefCell::default(),
        }
    }

    /// The registry these tools are from.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Checks `arguments` (none is `{}`) and makes a call of them that has not run yet. Allocates nothing itself
    /// once a call of the tool has been here and ended, except for objects of more than 16 members, blocking calls
    /// and refusals.
    ///
    /// A panic in making the arguments or the future is the call's: it has started and fails when polled.
    ///
    /// # Errors
    /// [`StartError::Violations`] names what is wrong with the arguments.
    ///
    /// # Panics
    /// If `tool` comes from another, larger registry.
    pub fn start(
        &self,
        tool: ToolIndex,
        arguments: Option<Value<'_, '_>>,
        context: CallContext,
    ) -> Result<Started, StartError> {
        guard(|| self.start_unguarded(tool, arguments, context))
            .unwrap_or_else(|panicked| Ok(Started::Future(CallFuture::failed(panicked))))
    }

    fn start_unguarded(
        &self,
        index: ToolIndex,
        arguments: Option<Value<'_, '_>>,
        context: CallContext,
    ) -> Result<Started, StartError> {
        let tool = &self.tools[index.as_usize()];
        let schema = &self.registry.registered()[index.as_usize()].input;
        let mut tape = self.tape.take().unwrap_or_else(ArgumentTape::new).lend();
        let started = admit(arguments, &mut tape)
            .map_err(|error| Violations::one(error.into_violation()))
            .and_then(|()| schema.check(&tape.0))
            .and_then(|()| {
                let steps = Steps::for_nodes(0, 0);
                let context = context.for_tool(index, &tool.name);
                tool.handler
                    .start(TapeNode::new(&tape.0, &steps), context)
                    .map_err(|error| Violations::one(error.into_violation()))
            });
        self.tape.replace(Some(ArgumentTape::restore(tape)));
        started.map_err(StartError::Violations)
    }

    /// Slots at rest that calls of `tool` can use again.
    ///
    /// # Panics
    /// If `tool` comes from another, larger registry.
    pub fn slots_free(&self, tool: ToolIndex) -> usize {
        self.tools[tool.as_usize()].handler.slots_free()
    }
}

impl std::fmt::Debug for ShardTools {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ShardTools").field(&self.registry).finish()
    }
}
