//! What a running tool knows about its call.
//!
//! Contexts carry facts and, later, ways to speak to the client; they hold no protocol and no executor.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::info::ToolIndex;

/// The context of an asynchronous call. Cheap to make and to clone; it stays on its shard.
#[derive(Debug, Clone, Default)]
pub struct CallContext {
    tool: Option<(ToolIndex, Rc<str>)>,
}

impl CallContext {
    /// A context that is not yet a tool's; [`ShardRegistry::start_tool`](super::ShardRegistry::start_tool) names the tool.
    pub fn new() -> Self {
        Self::default()
    }

    /// The name of the tool that is running, empty before the call starts.
    pub fn tool_name(&self) -> &str {
        self.tool.as_ref().map_or("", |(_, name)| name)
    }

    /// The tool that is running, once the call started.
    pub fn tool_index(&self) -> Option<ToolIndex> {
        self.tool.as_ref().map(|(index, _)| *index)
    }

    pub(super) fn for_tool(mut self, index: ToolIndex, name: &Rc<str>) -> Self {
        self.tool = Some((index, Rc::clone(name)));
        self
    }
}

/// Asks a blocking call to stop. It crosses threads: the shard keeps one end, the worker reads the other.
#[derive(Debug, Clone, Default)]
pub struct Cancellation(Arc<AtomicBool>);

impl Cancellation {
    /// Not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the call to stop; it cannot be taken back.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody asked.
    pub fn is_cancelled(&self) -> bool {
        // Relaxed: the flag publishes nothing but itself.
        self.0.load(Ordering::Relaxed)
    }
}

/// The context of a blocking call, on a worker thread.
#[derive(Debug, Clone, Default)]
pub struct BlockingContext {
    cancellation: Cancellation,
}

impl BlockingContext {
    /// A context that reports what `cancellation` says.
    pub fn new(cancellation: Cancellation) -> Self {
        Self { cancellation }
    }

    /// Whether the client left, the call timed out or the server stops. A long computation looks every few
    /// milliseconds and returns [`ToolError::Cancelled`](super::ToolError::Cancelled).
    pub fn is_cancelled(&self) -> bool {
        self.cancellation.is_cancelled()
    }
}
