//! Session ids of the legacy era.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::kind::DAY_MS;
use crate::config::kind::Kind::{self, Path};
use crate::config::section::section;
use crate::config::spec::{option, switch};

section! {
    /// Session ids of the legacy era.
    #[derive(Eq)]
    pub struct SessionSettings {
        /// File with the sealing key; without one the key is random and ids end with the process.
        pub key_file: Option<PathBuf> = None => option("session-key-file", "FILE", Path,
            "Key that seals session ids, shared by replicas").derived("a random key"),
        /// How long an id is valid.
        pub max_age: Duration = Duration::from_secs(24 * 60 * 60) => option("session-max-age", "TIME",
            Kind::Duration { min_ms: 1_000, max_ms: 365 * DAY_MS },
            "How long a session id is valid"),
        /// Whether a legacy request without an id is refused.
        pub is_required: bool = false => switch("require-session",
            "Refuse legacy requests without a session id").for_listeners(),
    }
}
