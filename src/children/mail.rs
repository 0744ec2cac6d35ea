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

use crate::mcp::{Client, ClientKey, ClientValues};
use crate::metrics::{ChildRefusal, ChildTally, DurationCounts};
use crate::registry::{ClientRules, ServerIndex};

use super::child::{ChildLimits, ChildLists, ChildProfile, EndingStep, Introduction, WarmupCall};
use super::local::{ChildEnd, LocalLimits, LocalRefusal};
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
    /// A child belongs to this client from now on.
    Assign(Assignment),
    /// The child of a client, whose calls wait for it, is on another shard, or on this one.
    Placed {
        /// The server.
        server: ServerIndex,
        /// The client.
        client: ClientKey,
        /// The shard that has its child.
        shard: u16,
    },
    /// A client has no child any more.
    Lost {
        /// The server.
        server: ServerIndex,
        /// The client.
        client: ClientKey,
        /// Whether it gets no other.
        is_over: bool,
    },
    /// Have a child tell when the resource at a URI is updated, or no longer.
    Subscribe {
        /// The child's server.
        server: ServerIndex,
        /// The child.
        member: MemberKey,
        /// The resource, as the child knows it.
        uri: String,
        /// Whether somebody listens.
        is_wanted: bool,
    },
    /// Ask a child for its lists once more.
    Reread {
        /// The child's server.
        server: ServerIndex,
        /// The child.
        member: MemberKey,
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
    /// What it is told of its client; `None` if it is not greeted before it has one.
    pub profile: Option<ChildProfile>,
    /// Whose it is from the beginning.
    pub owner: Option<ClientKey>,
    /// Whether it is asked for the server's lists.
    pub wants_lists: bool,
    /// The call that it is to answer before it takes others.
    pub warmup: Option<Arc<WarmupCall>>,
}

/// A child that is a client's from now on.
#[derive(Debug)]
pub struct Assignment {
    /// The child's server.
    pub server: ServerIndex,
    /// The child.
    pub member: MemberKey,
    /// The client.
    pub client: ClientKey,
    /// What it is told now, if it was not greeted before.
    pub greeting: Option<ChildProfile>,
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
    /// A list of a child has changed, as it says.
    Changed {
        /// Which child's.
        member: MemberKey,
    },
    /// The lists of a child that was asked for them once more.
    Listed {
        /// Which one.
        member: MemberKey,
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
    /// A child has had no calls for so long that it may be one too many.
    Resting {
        /// Which one.
        member: MemberKey,
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
        /// How it ended.
        end: Box<ChildEnd>,
    },
    /// Calls of a client wait on the shard, which knows no child of its.
    Wanted {
        /// The client.
        client: Client,
        /// What its child is to be started with, if that is its own.
        values: Option<ClientValues>,
    },
    /// No call of a client waits there any more.
    WantedNoMore(ClientKey),
    /// A client is gone for good.
    Left(ClientKey),
    /// A child is of no more use to its client.
    Disowned(MemberKey),
    /// The clients of these children have made calls since this was last told.
    Active(Vec<MemberKey>),
    /// No client is left on any shard, and none will come: the server's children are ended, and no more are wanted.
    Deserted,
    /// What the children of the server have to do; told when it has changed, and not with every call.
    Load {
        /// Calls that wait for a child on this shard.
        waiting: usize,
        /// Calls that children of this shard have.
        in_flight: u32,
        /// Calls that were answered by children of this shard since this was last told.
        answered: u32,
        /// The time that children had those calls, in all.
        busy: Duration,
        /// What children of this shard ask, and places that they have lost.
        tally: ChildTally,
        /// What became of the calls of this shard's clients since then.
        settled: Box<Settled>,
    },
}

/// What became of calls of clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// How long children had the calls that were answered.
    pub with_children: DurationCounts,
    /// The rest of their time: on the way, and waiting for a child.
    pub elsewhere: DurationCounts,
    /// Calls that were refused, by reason.
    pub refused: [u32; ChildRefusal::COUNT],
    /// Calls that were made once more because their child died.
    pub repeated: u32,
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
    /// Whether calls of tools that change nothing are made once more when a child dies of them.
    pub is_repeating: bool,
    /// What its calls may take on one shard.
    pub limits: LocalLimits,
    /// How its clients are told apart; `None` if every child serves all of them.
    pub clients: Option<ClientRules>,
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
