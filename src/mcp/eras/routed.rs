//! The destination of one message.

use crate::mcp::call::Call;
use crate::mcp::features::listen::Listen;
use crate::mcp::features::methods::Found;
use crate::mcp::reply::Reply;
use crate::mcp::task::AwaitTask;
use crate::mcp::tasks::TaskReply;

/// The destination of a message.
pub(in crate::mcp) enum Routed<'s> {
    Reply(Reply),
    Call(Call<'s>),
    Listen(Box<Listen>),
    AwaitTask(Box<AwaitTask>),
}

impl<'s> From<Found<'s>> for Routed<'s> {
    fn from(found: Found<'s>) -> Self {
        match found {
            Found::Reply(reply) => Self::Reply(reply),
            Found::Call(call) => Self::Call(call),
        }
    }
}

impl From<TaskReply> for Routed<'_> {
    fn from(reply: TaskReply) -> Self {
        match reply {
            TaskReply::Now(reply) => Self::Reply(reply),
            TaskReply::Later(wanted) => Self::AwaitTask(wanted),
        }
    }
}
