//! The servers against which transcripts run.
//!
//! Clients over TCP share one of each kind. Over stdio each client has its own, started the same way; since a start
//! takes longer than most transcripts, it is kept for the next of its kind and revision. It ends with the tests.

use std::ffi::OsString;
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use super::client;
use crate::harness::{
    Conversation, Process, Revision, Server, Shared, Stdio, Transport, TransportKind, WEIR, example,
};

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fixture {
    /// The demo toolset.
    Demo,
    /// The same with one handler, for which others wait.
    OneHandler,
    /// The same with one handler, for which nobody can wait.
    NoQueue,
    /// The example that has one of everything.
    Everything,
    /// The same for the one test that changes its lists, of which all clients hear.
    Changing,
}

/// Idle servers over stdio, with the way to speak to them.
static IDLE: Mutex<Vec<(Fixture, Conversation)>> = Mutex::new(Vec::new());

/// A server of some kind, while a test uses it.
pub(super) struct Host {
    fixture: Fixture,
    server: Shared,
}

impl Fixture {
    pub(super) fn host(self) -> Host {
        static SERVERS: [OnceLock<Server>; 5] = [const { OnceLock::new() }; 5];
        let listening = || {
            let mut command = self.command();
            self.give(&mut command, "listen", "127.0.0.1:0");
            self.give(&mut command, "shards", self.shards());
            self.give(&mut command, "sse-legacy", "on");
            Server::over(Process::spawn(command))
        };
        Host {
            fixture: self,
            server: Shared::started(&SERVERS[self as usize], listening),
        }
    }

    /// The state that all servers of this kind share.
    fn command(self) -> Command {
        let (handlers, queue) = match self {
            Fixture::Demo | Fixture::Everything | Fixture::Changing => ("32", "64"),
            Fixture::OneHandler => ("1", "64"),
            Fixture::NoQueue => ("1", "0"),
        };
        let mut command = if self.is_example() {
            Command::new(example("everything"))
        } else {
            Command::new(WEIR)
        };
        if !self.is_example() {
            command.args(["serve", "--toolset", "demo", "--admin", "127.0.0.1:0"]);
        }
        self.give(&mut command, "pool-size", handlers);
        self.give(&mut command, "queue-depth", queue);
        command
    }

    /// A server with one handler has one shard; in the others messages meet across two.
    fn shards(self) -> &'static str {
        match self {
            Fixture::Demo | Fixture::Everything | Fixture::Changing => "2",
            Fixture::OneHandler | Fixture::NoQueue => "1",
        }
    }

    fn is_example(self) -> bool {
        matches!(self, Fixture::Everything | Fixture::Changing)
    }

    /// An option, in the words of the program.
    fn give(self, command: &mut Command, name: &str, value: &str) {
        let words: [OsString; 2] = if self.is_example() {
            ["--option".into(), format!("{name}={value}").into()]
        } else {
            [format!("--{name}").into(), value.into()]
        };
        command.args(words);
    }
}

impl Host {
    /// A new client; over stdio, of a new server.
    pub(super) fn connect(&self, kind: TransportKind, revision: Revision) -> Box<dyn Transport> {
        if kind != TransportKind::Stdio {
            return kind.connect(self.server.address, revision);
        }
        let mut command = self.fixture.command();
        self.fixture.give(&mut command, "transport", "stdio");
        Box::new(Stdio::start(command, revision))
    }

    /// A conversation that has begun: over stdio that of an earlier transcript, if there is one.
    pub(super) fn begun(&self, kind: TransportKind, revision: Revision) -> Conversation {
        if kind == TransportKind::Stdio
            && let Some(idle) = self.take_idle(revision)
        {
            return idle;
        }
        let mut conversation = Conversation::new(self.connect(kind, revision), client(revision));
        if !conversation.is_modern() {
            conversation.initialize();
        }
        conversation
    }

    /// Ends a conversation whose transcript is over, or keeps it for the next.
    pub(super) fn end(&self, kind: TransportKind, mut conversation: Conversation) {
        if kind != TransportKind::Stdio {
            return conversation.finish();
        }
        conversation.assert_quiet();
        IDLE.lock().unwrap().push((self.fixture, conversation));
    }

    fn take_idle(&self, revision: Revision) -> Option<Conversation> {
        let mut idle = IDLE.lock().unwrap();
        let fits = |(fixture, conversation): &(Fixture, Conversation)| {
            *fixture == self.fixture && conversation.dialect.revision == revision
        };
        let position = idle.iter().position(fits)?;
        let (_, mut conversation) = idle.swap_remove(position);
        conversation.dialect = client(revision);
        Some(conversation)
    }
}
