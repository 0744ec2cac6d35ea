//! What is put before the names and URIs of a part of what is served: of another program, or of a mounted toolset.
//!
//! | of the part `files` | is served as |
//! |---|---|
//! | the tool or prompt `read` | `files__read` |
//! | … whose name is longer than a name may be, or has other characters | `files__rea…_hash8` |
//! | the resource or template `file:///a` | `files+file:///a` |
//! | … `ui://card` | `ui://files/card`, because hosts want that scheme |

use sha2::{Digest, Sha256};

use crate::config::{is_of_names, name_prefix, uri_prefix};

/// The longest name that every client takes.
pub(super) const NAME_BYTES_MAX: usize = 64;
/// Characters that tell names apart which were cut.
pub(super) const HASH_CHARS: usize = 8;
/// What stands between a part and a name of its own.
const SEPARATOR: &str = "__";
/// The scheme of user interfaces, whose hosts look at it.
const UI: &str = "ui://";

/// The prefixes of one part.
#[derive(Debug, Clone)]
pub(super) struct Prefixes {
    part: String,
    /// With the separator.
    name: String,
    uri: String,
}

impl Prefixes {
    /// The prefixes of the part of this name.
    pub(super) fn new(part: &str) -> Self {
        Self {
            part: part.to_owned(),
            name: name_prefix(part) + SEPARATOR,
            uri: uri_prefix(part),
        }
    }

    /// What the names of tools and prompts begin with.
    pub(super) fn of_names(&self) -> &str {
        &self.name
    }

    /// The name under which a tool or prompt is served, unless it would be one that `is_taken`.
    pub(super) fn name(&self, own: &str, is_taken: impl FnOnce(&str) -> bool) -> String {
        let plain = format!("{}{own}", self.name);
        if plain.len() <= NAME_BYTES_MAX && plain.chars().all(is_of_names) && !is_taken(&plain) {
            return plain;
        }
        let mut cut: String = plain
            .chars()
            .map(|c| if is_of_names(c) { c } else { '_' })
            .collect();
        cut.truncate(NAME_BYTES_MAX - HASH_CHARS - 1);
        format!("{cut}_{}", hash(&self.part, own))
    }

    /// The URI, or the template of URIs, under which one is served.
    pub(super) fn uri(&self, own: &str) -> String {
        match own.strip_prefix(UI) {
            Some(rest) => format!("{UI}{}/{rest}", self.uri),
            None => format!("{}+{own}", self.uri),
        }
    }

    /// Whether this is what URIs of the part begin with.
    pub(super) fn is_of_uris(&self, prefix: &str) -> bool {
        self.uri == prefix
    }
}

/// What a served URI begins with, and the rest as its part calls it.
pub(super) fn split_uri(served: &str) -> Option<(&str, String)> {
    match served.strip_prefix(UI) {
        Some(rest) => {
            let (prefix, rest) = rest.split_once('/')?;
            Some((prefix, format!("{UI}{rest}")))
        }
        None => {
            let (prefix, own) = served.split_once('+')?;
            Some((prefix, own.to_owned()))
        }
    }
}

/// Eight characters that differ for names that differ, and are the same after a restart.
fn hash(part: &str, own: &str) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let digest = Sha256::new()
        .chain_update(part)
        .chain_update([0])
        .chain_update(own)
        .finalize();
    let characters = digest.iter().take(HASH_CHARS);
    characters
        .map(|byte| char::from(ALPHABET[usize::from(byte & 31)]))
        .collect()
}
