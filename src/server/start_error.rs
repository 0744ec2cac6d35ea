//! Why a server could not start, with the next step.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

use super::failure::Failure;
use crate::admin::AdminError;
use crate::session::KeyError;
use crate::transport::http::admission::AdmissionPolicyError;
use crate::units::ShardId;
use crate::workers;

/// Why a server could not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The listening address cannot be had.
    #[error("cannot listen on {address}: {error}; {}", listen_advice(.error))]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The system's reason.
        error: io::Error,
    },
    /// There is no stdin or stdout to serve.
    #[error("stdin and stdout cannot be served: {0}")]
    Stdio(io::Error),
    /// The admin listener cannot be had.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// It was told to stop before all shards accepted.
    #[error("told to stop while starting")]
    CutShort,
    /// A shard did not come up.
    #[error("shard {shard} did not start: {reason}")]
    Shard {
        /// Which.
        shard: ShardId,
        /// Why.
        reason: String,
    },
    /// The worker threads did not start.
    #[error(transparent)]
    Workers(#[from] workers::StartError),
    /// The session key file cannot be used.
    #[error("session-key-file = {path:?}: {error}")]
    SessionKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: String,
    },
    /// No randomness for a session key.
    #[error(transparent)]
    Randomness(#[from] KeyError),
    /// An allow-list entry that can never match.
    #[error(transparent)]
    Policy(#[from] AdmissionPolicyError),
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
