//! The thread's dealings with the world outside of it.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use crate::children::{ChildOrder, PipeSockets, foreign_server};
use crate::launcher::{Behind, ChildId, ChildPipes, ChildSpec, Launcher, Pid, PipeNumbers, behind};
use crate::mcp::{ClientKey, SessionToken};
use crate::registry::{ClientRules, ForeignKind, ForeignServer};
use crate::ring::Socket;
use crate::server::link::Link;
use crate::shard::{Inbox, ShardEvent};

use super::flight::{Flight, FlightRecorder};
use super::outside::{Begun, Known, Outside};
use super::said::Said;

/// Items that are left out and named in the log, each time lists are published: a list may have thousands.
const FAULTS_LOGGED_MAX: usize = 20;

/// Lists of clients' own children that differ from those of all.
const OWN_LISTS_MAX: usize = 64;
const OWN_LISTS_BYTES_MAX: usize = 8 << 20;

/// Launcher, shards and clients.
pub(super) struct Real {
    pub(super) launcher: Launcher,
    /// By the shards' numbers.
    pub(super) inboxes: Vec<Inbox<Socket>>,
    pub(super) link: Arc<Link>,
    /// How the clients of each server are told apart, if each has a child of its own.
    pub(super) clients: Vec<Option<Arc<ClientRules>>>,
    pub(super) recorder: Option<FlightRecorder>,
    /// Hears that clients can come.
    pub(super) opened: SyncSender<()>,
    /// They can.
    pub(super) is_open: bool,
}

impl Outside for Real {
    type Socket = Socket;

    fn spawn(&mut self, spec: &ChildSpec) -> io::Result<Begun<Socket>> {
        let (process, ends) = self.launcher.spawn(spec)?;
        // Nobody holds pipes without numbers.
        let pipes = ends.numbers().unwrap_or_default();
        let sockets = sockets_of(ends).inspect_err(|_| self.launcher.kill(process))?;
        Ok(Begun {
            process,
            sockets,
            pipes,
        })
    }

    fn behind(&mut self, leader: i32, pipes: PipeNumbers, spec: &ChildSpec) -> Behind {
        Pid::from_raw(leader).map_or(Behind::Unknown, |leader| behind(leader, pipes, spec))
    }

    fn ask_usage(&mut self, process: ChildId) {
        self.launcher.usage(process);
    }

    fn terminate(&mut self, process: ChildId) {
        self.launcher.terminate(process);
    }

    fn kill(&mut self, process: ChildId) {
        self.launcher.kill(process);
    }

    fn keep(&mut self, flight: &Flight<'_>) {
        let Some(recorder) = &self.recorder else {
            return;
        };
        match recorder.write(flight) {
            Ok(Some(path)) => {
                tracing::warn!(server = %flight.server, path = %path.display(), "its last words are kept")
            }
            Ok(None) => {}
            Err(error) => tracing::error!(server = %flight.server, %error, "its last words cannot be kept"),
        }
    }

    fn order(&mut self, shard: u16, order: ChildOrder<Socket>) {
        if let Some(inbox) = self.inboxes.get(usize::from(shard)) {
            inbox.post(ShardEvent::Children(order));
        }
    }

    fn publish(&mut self, known: &[Known<'_>]) {
        let servers: Vec<Arc<ForeignServer>> = known.iter().map(|known| self.common(known)).collect();
        let mut own: HashMap<ClientKey, Vec<Arc<ForeignServer>>> = HashMap::new();
        let mut kept = KeptLists::default();
        for (known, common) in known.iter().zip(&servers) {
            for (client, said) in known.own {
                let served = self.served(known, said);
                if served != common && kept.keeps(served) {
                    own.entry(*client).or_default().push(Arc::clone(served));
                }
            }
        }
        if kept.is_full {
            tracing::warn!(
                "the children of too many clients have lists of their own: some are served the lists of all"
            );
        }
        let faults = self.link.replace_foreign(&servers, &own, self.is_open);
        for fault in faults.iter().take(FAULTS_LOGGED_MAX) {
            tracing::warn!("{fault}");
        }
        if let Some(more @ 1..) = faults.len().checked_sub(FAULTS_LOGGED_MAX) {
            tracing::warn!(more, "more of what servers have is left out");
        }
    }

    fn end_session(&mut self, session: SessionToken) {
        self.link.end_session(session);
    }

    fn is_over(&self, session: SessionToken) -> bool {
        self.link.is_over(session)
    }

    fn open(&mut self) {
        self.is_open = true;
        // A start that was given up needs it no more.
        let _ = self.opened.send(());
    }
}

impl Real {
    /// What all clients are served of a server.
    fn common(&self, known: &Known<'_>) -> Arc<ForeignServer> {
        let mut said = known.said.iter().map(|said| self.served(known, said));
        let Some(first) = said.next() else {
            return Arc::new(ForeignServer::unknown(known.server, known.name));
        };
        let mut all = Arc::clone(first);
        for next in said {
            Arc::make_mut(&mut all).add_missing(ForeignServer::clone(next));
        }
        all
    }

    /// What one child has, as it is served.
    fn served<'s>(&self, known: &Known<'_>, said: &'s Said) -> &'s Arc<ForeignServer> {
        said.served.get_or_init(|| {
            let mut server = foreign_server(known.server, known.name, &said.introduction, &said.lists);
            let clients = self.clients.get(known.server.as_usize()).cloned().flatten();
            // A modern child is told which messages each request wants.
            server.features.logging &= known.is_attributed || server.is_modern;
            // A child of one call is gone before it could tell of anything.
            server.features.subscriptions &= !clients.as_ref().is_some_and(|rules| rules.is_by_call);
            server.clients = clients;
            Arc::new(server)
        })
    }
}

/// Lists of clients' own children that are kept beside those of all: so many different ones, and so many bytes of
/// items. Each is written once for every revision.
#[derive(Default)]
struct KeptLists<'s> {
    kept: Vec<&'s Arc<ForeignServer>>,
    bytes: usize,
    is_full: bool,
}

impl<'s> KeptLists<'s> {
    fn keeps(&mut self, server: &'s Arc<ForeignServer>) -> bool {
        if self.kept.iter().any(|kept| Arc::ptr_eq(kept, server)) {
            return true;
        }
        let kinds = ForeignKind::ALL.into_iter();
        let items = kinds.flat_map(|kind| server.items(kind));
        let bytes: usize = items.map(|item| item.name.len() + item.text.len()).sum();
        if self.kept.len() >= OWN_LISTS_MAX || self.bytes + bytes > OWN_LISTS_BYTES_MAX {
            self.is_full = true;
            return false;
        }
        self.bytes += bytes;
        self.kept.push(server);
        true
    }
}

fn sockets_of(pipes: ChildPipes) -> io::Result<PipeSockets<Socket>> {
    Ok(PipeSockets {
        input: Socket::pipe_end(pipes.stdin)?,
        output: Socket::pipe_end(pipes.stdout)?,
        errors: Socket::pipe_end(pipes.stderr)?,
    })
}
