//! The thread's dealings with the world outside of it.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use crate::children::{ChildOrder, PipeSockets, foreign_server};
use crate::launcher::{Behind, ChildId, ChildPipes, ChildSpec, Launcher, Pid, PipeNumbers, behind};
use crate::mcp::SessionToken;
use crate::registry::{ClientRules, ForeignServer};
use crate::ring::Socket;
use crate::server::link::Link;
use crate::shard::{Inbox, ShardEvent};

use super::flight::{Flight, FlightRecorder};
use super::outside::{Begun, Known, Outside};

/// Items that are left out and named in the log, each time lists are published: a list may have thousands.
const FAULTS_LOGGED_MAX: usize = 20;

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
        let servers = known.iter().map(|known| {
            let described = known
                .said
                .iter()
                .map(|said| foreign_server(known.server, known.name, &said.introduction, &said.lists));
            let described = described.reduce(|mut all, next| {
                all.add_missing(next);
                all
            });
            Arc::new(match described {
                Some(mut server) => {
                    let clients = self.clients.get(known.server.as_usize()).cloned().flatten();
                    // A modern child is told which messages each request wants.
                    server.features.logging &= known.is_attributed || server.is_modern;
                    // A child of one call is gone before it could tell of anything.
                    server.features.subscriptions &= !clients.as_ref().is_some_and(|rules| rules.is_by_call);
                    server.clients = clients;
                    server
                }
                None => ForeignServer::unknown(known.server, known.name),
            })
        });
        let faults = self.link.replace_foreign(servers.collect(), self.is_open);
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

fn sockets_of(pipes: ChildPipes) -> io::Result<PipeSockets<Socket>> {
    Ok(PipeSockets {
        input: Socket::pipe_end(pipes.stdin)?,
        output: Socket::pipe_end(pipes.stdout)?,
        errors: Socket::pipe_end(pipes.stderr)?,
    })
}
