//! What the thread does to others: to processes by the launcher, to shards by their inboxes, to clients by what is
//! served. Tests have one of their own.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use crate::children::{ChildOrder, PipeSockets};
use crate::launcher::{Behind, ChildId, ChildSpec, PipeNumbers};
use crate::mcp::{ClientKey, SessionToken};
use crate::registry::ServerIndex;

use super::flight::Flight;
use super::said::Said;

/// Who does what the thread decides.
pub(super) trait Outside {
    /// Our end of a pipe, as the shards' rings have it.
    type Socket;

    /// Asks for a process; what becomes of it comes by mail.
    ///
    /// # Errors
    /// No process is asked for.
    fn spawn(&mut self, spec: &ChildSpec) -> io::Result<Begun<Self::Socket>>;

    /// Looks who holds the pipes of a child whose first process is `leader`, and was started by `spec`.
    fn behind(&mut self, leader: i32, pipes: PipeNumbers, spec: &ChildSpec) -> Behind;

    /// Asks what a process uses, which comes by mail.
    fn ask_usage(&mut self, process: ChildId);

    /// Sends SIGTERM to a process and its group.
    fn terminate(&mut self, process: ChildId);

    /// Sends SIGKILL to a process and all that came of it.
    fn kill(&mut self, process: ChildId);

    /// Keeps what was recorded of a child that has died.
    fn keep(&mut self, flight: &Flight<'_>);

    /// Tells a shard what to do.
    fn order(&mut self, shard: u16, order: ChildOrder<Self::Socket>);

    /// From now on clients are served what these have, and those who listen hear what has changed.
    fn publish(&mut self, known: &[Known<'_>]);

    /// A session is over, whose client has lost its child.
    fn end_session(&mut self, session: SessionToken);

    /// Whether a session is over.
    fn is_over(&self, session: SessionToken) -> bool;

    /// Every server has been ready or failed once: clients can come. Called once.
    fn open(&mut self);
}

/// A process that was asked for.
#[derive(Debug)]
pub(super) struct Begun<S> {
    pub(super) process: ChildId,
    /// Our ends of its pipes.
    pub(super) sockets: PipeSockets<S>,
    pub(super) pipes: PipeNumbers,
}

/// What a server has, in its own words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'k> {
    pub(super) server: ServerIndex,
    pub(super) name: &'k str,
    /// Only one client can be the cause of what its children say.
    pub(super) is_attributed: bool,
    /// What it said, one child after the other if they were told different things of their clients; nothing as long as
    /// no child was ready.
    pub(super) said: &'k [Arc<Said>],
    /// What the own children of clients have.
    pub(super) own: &'k HashMap<ClientKey, Arc<Said>>,
}
