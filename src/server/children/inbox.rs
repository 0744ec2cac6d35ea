//! What the thread hears: from shards about children, from the launcher about their processes, from the server about
//! its own end.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};

use crate::children::{ChildNews, Supervisor};
use crate::launcher::{ChildEvents, ChildId, Exit, Pid, TreeUsage};
use crate::mcp::{ChildOwner, ClientKey, SessionToken};
use crate::registry::ServerIndex;

/// A word to the thread.
#[derive(Debug)]
pub(super) enum Mail {
    /// A shard has news.
    News(ChildNews),
    /// A process runs, or could not be started.
    Spawned(ChildId, io::Result<Pid>),
    /// A process has ended.
    Exited(ChildId, Exit),
    /// A session has ended.
    SessionEnded(SessionToken),
    /// What a process uses, with all that came of it.
    Usage(ChildId, TreeUsage),
    /// Somebody listens to a resource of a server, who is the first at an endpoint.
    Listened {
        /// The server.
        server: ServerIndex,
        /// The resource, as the server knows it.
        uri: String,
        /// The client, if its own child is to tell.
        owner: Option<Box<ChildOwner>>,
    },
    /// Nobody listens to it at an endpoint any more.
    Unlistened {
        /// The server.
        server: ServerIndex,
        /// The resource, as the server knows it.
        uri: String,
        /// The client, if its own child told.
        client: Option<ClientKey>,
    },
    /// The server drains: its shards end their children, and none is started any more.
    Drain,
    /// Everything ends now.
    Stop,
}

/// The thread's inbox, from outside. Nobody waits for room in it: of what it can be sent there is no more than there
/// are children and shards, but for news that others' bounds hold down.
#[derive(Debug, Clone)]
pub(super) struct SupervisorInbox(Sender<Mail>);

impl SupervisorInbox {
    pub(super) fn new() -> (SupervisorInbox, Receiver<Mail>) {
        let (to, from) = mpsc::channel();
        (SupervisorInbox(to), from)
    }

    /// Leaves a word. A thread that is gone needs none.
    pub(super) fn send(&self, mail: Mail) {
        let _ = self.0.send(mail);
    }
}

impl Supervisor for SupervisorInbox {
    fn tell(&self, news: ChildNews) {
        self.send(Mail::News(news));
    }
}

impl ChildEvents for SupervisorInbox {
    fn spawned(&self, child: ChildId, result: io::Result<Pid>) {
        self.send(Mail::Spawned(child, result));
    }

    fn exited(&self, child: ChildId, exit: Exit) {
        self.send(Mail::Exited(child, exit));
    }

    fn usage(&self, child: ChildId, usage: TreeUsage) {
        self.send(Mail::Usage(child, usage));
    }
}
