//! The reasons why a server could not start, with the next step.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

use super::cause::Cause;
use super::failure::Failure;
use crate::config::UnixName;
use crate::units::{ShardId, with_causes};

/// Why a server could not start.
///
/// Its `Debug` is its text, too, for programs whose `main` returns it.
#[derive(Error)]
#[non_exhaustive]
pub enum StartError {
    /// The server cannot listen on the address.
    #[error("cannot listen on {address}: {error}; {}", listen_advice(.error))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        error: io::Error,
    },
    /// The server cannot listen on the Unix socket.
    #[error("cannot listen on unix:{name}: {cause}")]
    Unix {
        /// The name of the socket.
        name: UnixName,
        /// The reason, with the next step.
        cause: Cause,
    },
    /// A user who may connect to Unix sockets is not known.
    #[error(transparent)]
    UnixPeers(Cause),
    /// There is no stdin or stdout to serve.
    #[error("stdin and stdout cannot be served: {0}")]
    Stdio(io::Error),
    /// The admin listener cannot be made.
    #[error(transparent)]
    Admin(Cause),
    /// It was told to stop before all shards accepted.
    #[error("told to stop while starting")]
    CutShort,
    /// A shard did not start.
    #[error("shard {shard} did not start: {reason}")]
    Shard {
        /// The shard.
        shard: ShardId,
        /// The reason.
        reason: String,
    },
    /// Other programs cannot be started at all: their launcher or its thread, or an account of theirs.
    #[error("other programs cannot be served: {0}")]
    Children(Cause),
    /// The worker threads did not start.
    #[error(transparent)]
    Workers(Cause),
    /// The session key file cannot be used.
    #[error("session-key-file = {path:?}: {error}")]
    SessionKey {
        /// The file.
        path: PathBuf,
        /// The fault.
        error: String,
    },
    /// The system gave no randomness for a session key.
    #[error(transparent)]
    Randomness(Cause),
    /// The options say something of a tool that there is not.
    #[error(transparent)]
    Tools(Cause),
    /// An allow-list entry can never match.
    #[error(transparent)]
    Policy(Cause),
}

impl fmt::Debug for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&with_causes(self))
    }
}

impl StartError {
    pub(super) fn of_shard(shard: ShardId, failure: &Failure) -> Self {
        Self::Shard {
            shard,
            reason: failure.to_string(),
        }
    }
}

fn listen_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "stop who has it, choose another with --listen, or say --reuse-port on to share it with another server of \
             this user"
        }
        _ => "choose another with --listen",
    }
}
