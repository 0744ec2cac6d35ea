//! What shards and the thread that owns the pools tell each other about children.
//!
//! ```text
//! supervisor ── ChildOrder ──► the shard whose ring has the pipes
//! supervisor ◄─ ChildNews ──── the shard
//! ```
//!
//! Nothing of it is on a call's way.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::mcp::Announcement;
use crate::registry::ServerIndex;

use super::child::{ChildFailure, ChildLimits, ChildLists, ChildProfile, EndingStep, Introduction};
use super::local::{LocalLimits, LocalRefusal};
use super::mesh::ChildMesh;
use super::piped::PipeSockets;
use super::pool::MemberKey;

/// What a shard is to do, whose pipes are `S`.
#[derive(Debug)]
pub enum ChildOrder<S> {
    /// Talk to a child whose process was just started.
    Adopt(Box<Adoption<S>>),
    /// The process of a child is gone.
    Exited {
        /// The child's server.
        server: ServerIndex,
        /// The child.
        member: MemberKey,
    },
    /// Give a child no more calls, and end it when it has answered those it has.
    Retire {
        /// The child's server.
        server: ServerIndex,
        /// The child.
        member: MemberKey,
    },
    /// Ask a child of a server for its lists once more.
    Reread {
        /// The server.
        server: ServerIndex,
    },
    /// Refuse the calls of a server from now on for this reason, or refuse them no longer.
    Refuse {
        /// The server.
        server: ServerIndex,
        /// Why.
        refusal: Option<LocalRefusal>,
    },
}

/// A child, from its start on a shard's.
#[derive(Debug)]
pub struct Adoption<S> {
    /// Its server.
    pub server: ServerIndex,
    /// Its name in the server's pool.
    pub member: MemberKey,
    /// Our ends of its pipes.
    pub sockets: PipeSockets<S>,
    /// What it may take.
    pub limits: ChildLimits,
    /// What it is told of its client.
    pub profile: ChildProfile,
    /// Whether it is asked for the server's lists.
    pub wants_lists: bool,
}

/// What the supervisor hears from a shard.
#[derive(Debug)]
pub struct ChildNews {
    /// The shard.
    pub shard: u16,
    /// The server.
    pub server: ServerIndex,
    /// What happened.
    pub event: ChildNewsEvent,
}

/// What has happened to the children of one server on one shard.
#[derive(Debug)]
pub enum ChildNewsEvent {
    /// A child takes calls from now on.
    Ready {
        /// Which one.
        member: MemberKey,
        /// What it says of itself.
        introduction: Box<Introduction>,
        /// The server's lists, if it was asked for them.
        lists: Option<Box<ChildLists>>,
        /// The time from its start.
        took: Duration,
    },
    /// A list of the server has changed, as one of its children says.
    Changed(Announcement),
    /// The lists of a child that was asked for them once more.
    Listed {
        /// What it says of itself.
        introduction: Box<Introduction>,
        /// The lists.
        lists: Box<ChildLists>,
    },
    /// A child has got so many calls that another is to take its place.
    Worn {
        /// Which one.
        member: MemberKey,
        /// Whether it gets no more already.
        is_used_up: bool,
    },
    /// This step of a child's end is due.
    Step {
        /// Which one.
        member: MemberKey,
        /// What is to be done to its process.
        step: EndingStep,
    },
    /// A child is gone, with its process and its pipes.
    Gone {
        /// Which one.
        member: MemberKey,
        /// Why it was of no more use; `None` if it was ended on purpose.
        failure: Option<ChildFailure>,
        /// The last lines of its stderr, oldest first.
        last_errors: Vec<String>,
    },
    /// What the children of the server have to do; told when it has changed, and not with every call.
    Load {
        /// Calls that wait for a child on this shard.
        waiting: usize,
        /// Calls that were answered since this was last told.
        answered: u32,
        /// The time that children had those calls, in all.
        busy: Duration,
    },
}

/// Where shards send their news. It must not block.
pub trait Supervisor: Send + Sync + 'static {
    /// Leaves news for the supervisor.
    fn tell(&self, news: ChildNews);
}

/// What a shard knows of a server before any of its children is there.
#[derive(Debug, Clone)]
pub struct ServerParts {
    /// Its name, for logs.
    pub name: String,
    /// Whether only one client can be the cause of what one of its children says.
    pub is_attributed: bool,
    /// What its calls may take on one shard.
    pub limits: LocalLimits,
}

/// What every shard is given about children.
#[derive(Clone)]
pub struct ChildrenParts {
    /// The servers, by their index.
    pub servers: Vec<ServerParts>,
    /// What shards know of each other's children.
    pub mesh: Arc<ChildMesh>,
    /// Who hears of what happens to them.
    pub supervisor: Arc<dyn Supervisor>,
}

impl fmt::Debug for ChildrenParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildrenParts")
            .field("servers", &self.servers)
            .finish_non_exhaustive()
    }
}
