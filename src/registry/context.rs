//! What a running tool knows about its call, and how it speaks to the client and the server.
//!
//! Contexts hold no protocol and no executor: what is said goes into the call's [`CallLink`]. Without one, as in most
//! unit tests, nobody listens and nobody can be asked.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::capabilities::ClientCapabilities;
use super::emission::{Emission, Progress};
use super::info::ToolIndex;
use super::link::CallLink;
use super::log_level::LogLevel;
use super::output::ToolError;
use super::question::{Ask, Question};
use super::server_handle::ServerHandle;

/// The context of an asynchronous call. Cheap to make and to clone; it stays on its shard.
#[derive(Debug, Clone, Default)]
pub struct CallContext {
    tool: Option<(ToolIndex, Rc<str>)>,
    link: Option<Arc<CallLink>>,
}

impl CallContext {
    /// A context that is not yet a tool's; [`ShardRegistry::start_tool`](super::ShardRegistry::start_tool) names the
    /// tool. Nobody hears what is said.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same for a call that speaks to its client.
    pub fn with_link(link: Arc<CallLink>) -> Self {
        Self {
            tool: None,
            link: Some(link),
        }
    }

    /// The name of the tool that is running, empty before the call starts.
    pub fn tool_name(&self) -> &str {
        self.tool.as_ref().map_or("", |(_, name)| name)
    }

    /// The tool that is running, once the call started.
    pub fn tool_index(&self) -> Option<ToolIndex> {
        self.tool.as_ref().map(|(index, _)| *index)
    }

    /// Puts a question and waits for the answer. The question goes out at once; one asked before another is awaited
    /// goes out with it. The `key` is the tool's own name for the question, unique in the call and the same every
    /// time the tool runs: clients since 2026-07-28 answer by calling again, and the tool runs again from its
    /// beginning with the answers it has. So ask before doing what must not be done twice, and pass errors on
    /// with `?`.
    ///
    /// # Errors
    /// [`ToolError::MissingCapability`] if this client cannot be asked; [`ToolError::InputRequired`] if it will call
    /// again; [`ToolError::InvalidAnswer`] for an answer that is none; [`ToolError::Message`] if the client answered
    /// with an error; [`ToolError::Cancelled`] and [`ToolError::TimedOut`]; [`ToolError::Internal`] for a key that
    /// was used before, is empty or too long.
    pub fn ask<Q: Question>(&self, key: &str, question: Q) -> Ask<Q> {
        Ask::put(self.link.as_ref(), key, question)
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
    link: Option<Arc<CallLink>>,
}

impl BlockingContext {
    /// A context that reports what `cancellation` says. Nobody hears what is said.
    pub fn new(cancellation: Cancellation) -> Self {
        Self {
            cancellation,
            link: None,
        }
    }

    /// The same for a call that speaks to its client.
    pub fn with_link(mut self, link: Arc<CallLink>) -> Self {
        self.link = Some(link);
        self
    }

    /// Whether the client left, the call timed out or the server stops. A long computation looks every few
    /// milliseconds and returns [`ToolError::Cancelled`].
    pub fn is_cancelled(&self) -> bool {
        self.cancellation.is_cancelled()
    }

    /// Puts a question and blocks this thread until the answer is there or the call is cancelled. Otherwise as
    /// [`CallContext::ask`].
    ///
    /// # Errors
    /// As [`CallContext::ask`].
    pub fn ask<Q: Question>(&self, key: &str, question: Q) -> Result<Q::Answer, ToolError> {
        self.put(key, question).wait(self)
    }

    /// Puts a question without waiting, to put several before the first answer.
    pub fn put<Q: Question>(&self, key: &str, question: Q) -> PutQuestion<Q> {
        PutQuestion(Ask::put(self.link.as_ref(), key, question))
    }
}

/// A question a blocking call has put and can wait for.
#[derive(Debug)]
#[must_use = "the answer is what waiting gives"]
pub struct PutQuestion<Q>(Ask<Q>);

impl<Q: Question> PutQuestion<Q> {
    /// Blocks this thread until the answer is there or the call is cancelled.
    ///
    /// # Errors
    /// As [`CallContext::ask`].
    pub fn wait(self, context: &BlockingContext) -> Result<Q::Answer, ToolError> {
        self.0.wait(|| context.is_cancelled())
    }
}

/// What both contexts say.
macro_rules! speaking {
    ($context:ty) => {
        impl $context {
            /// Tells the client how far the call has come: `ctx.progress((3, 10))`, or a [`Progress`] with a message.
            /// Dropped if the client did not ask for it, and unless it is more than the last time.
            pub fn progress(&self, progress: impl Into<Progress>) {
                if let Some(link) = self.link.as_ref().filter(|link| link.wants_progress()) {
                    link.progress(progress.into());
                }
            }

            /// Whether the client wants progress: to spare the work of finding out.
            pub fn wants_progress(&self) -> bool {
                self.link.as_ref().is_some_and(|link| link.wants_progress())
            }

            /// Sends the client a log message: a text or any JSON. Dropped if the client wants none as mild as this.
            /// Never say what the client's user may not know.
            pub fn log(&self, level: LogLevel, data: impl Into<Value>) {
                if let Some(link) = self.link.as_ref().filter(|link| link.wants_log(level)) {
                    let data = data.into();
                    link.emit(Emission::Log {
                        level,
                        logger: None,
                        data,
                    });
                }
            }

            /// The same from a named part of the server.
            pub fn log_as(&self, logger: &str, level: LogLevel, data: impl Into<Value>) {
                if let Some(link) = self.link.as_ref().filter(|link| link.wants_log(level)) {
                    let (logger, data) = (Some(logger.to_owned()), data.into());
                    link.emit(Emission::Log {
                        level,
                        logger,
                        data,
                    });
                }
            }

            /// Whether a log message of this level would reach anybody: to spare the work of making it.
            pub fn wants_log(&self, level: LogLevel) -> bool {
                self.link.as_ref().is_some_and(|link| link.wants_log(level))
            }

            /// What the client can be asked.
            pub fn client(&self) -> ClientCapabilities {
                self.link
                    .as_ref()
                    .map_or(ClientCapabilities::NONE, |link| link.capabilities())
            }

            /// The server around this call.
            pub fn server(&self) -> &ServerHandle {
                static NOWHERE: ServerHandle = ServerHandle::NOWHERE;
                self.link.as_ref().map_or(&NOWHERE, |link| link.server())
            }

            /// Lets the client's connection go while the call runs on; the client comes back for the rest after
            /// `retry` (2025-11-25, polling; elsewhere it changes nothing).
            pub fn close_stream(&self, retry: Duration) {
                if let Some(link) = &self.link {
                    link.emit(Emission::CloseStream { retry });
                }
            }

            /// Tells the client that what it sent its user to a URL for is done (2025-11-25 only). The id is
            /// [`UrlElicit::id`](super::UrlElicit::id).
            pub fn elicitation_complete(&self, elicitation_id: impl Into<String>) {
                if let Some(link) = &self.link {
                    let elicitation_id = elicitation_id.into();
                    link.emit(Emission::ElicitationComplete { elicitation_id });
                }
            }
        }
    };
}

speaking!(CallContext);
speaking!(BlockingContext);
