//! Where one message leads.

use super::call::Call;
use super::features::Found;
use super::listen::Listen;
use super::reply::Reply;
use super::task::AwaitTask;
use super::tasks::TaskReply;

/// Where a message leads.
pub(super) enum Routed<'s> {
    Reply(Reply),
    Call(Call<'s>),
    Listen(Listen),
    AwaitTask(AwaitTask),
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
