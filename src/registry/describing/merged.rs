//! What several other programs have, served together: the names under which clients know it, so that no two are the
//! same and each leads back to one server.
//!
//! | of a server `files` | is served as |
//! |---|---|
//! | the tool or prompt `read` | `files__read` |
//! | … whose name is longer than a name may be, or has other characters | `files__rea…_hash8` |
//! | the resource or template `file:///a` | `files+file:///a` |
//! | … `ui://card` | `ui://files/card`, because hosts want that scheme |
//!
//! Names are looked up whole and never taken apart, so that no separator can be read in two ways. A URI is, because it
//! need not be one that was listed; what stands before its first plus has none itself.

use sha2::{Digest, Sha256};

use super::foreign::{ForeignItem, ForeignKind, ForeignServer};
use crate::config::{is_of_names, name_prefix, uri_prefix};
use crate::jsonrpc::{Edits, Span};

/// The longest name that every client takes.
const NAME_BYTES_MAX: usize = 64;
/// Characters that tell names apart which were cut.
const HASH_CHARS: usize = 8;
/// What stands between a server and a name of its own.
const SEPARATOR: &str = "__";
/// The scheme of user interfaces, whose hosts look at it.
const UI: &str = "ui://";

/// The names of servers among each other.
#[derive(Debug, Clone, Default)]
pub(in crate::registry) struct MergedNames {
    servers: Vec<Prefixes>,
}

#[derive(Debug, Clone)]
struct Prefixes {
    server: String,
    /// With the separator.
    name: String,
    uri: String,
}

impl MergedNames {
    /// The names of these servers, whose prefixes differ.
    pub(in crate::registry) fn new<'n>(servers: impl IntoIterator<Item = &'n str>) -> Self {
        let servers = servers.into_iter().map(|server| Prefixes {
            server: server.to_owned(),
            name: name_prefix(server) + SEPARATOR,
            uri: uri_prefix(server),
        });
        Self {
            servers: servers.collect(),
        }
    }

    /// The name under which a tool or prompt of the server at this place is served.
    pub(in crate::registry) fn name(&self, server: usize, own: &str) -> String {
        let Some(prefixes) = self.servers.get(server) else {
            return own.to_owned();
        };
        let plain = format!("{}{own}", prefixes.name);
        if plain.len() <= NAME_BYTES_MAX
            && plain.chars().all(is_of_names)
            && !self.is_anothers(prefixes, &plain)
        {
            return plain;
        }
        let mut cut: String = plain
            .chars()
            .map(|c| if is_of_names(c) { c } else { '_' })
            .collect();
        cut.truncate(NAME_BYTES_MAX - HASH_CHARS - 1);
        format!("{cut}_{}", hash(&prefixes.server, own))
    }

    /// Whether a name could be one of another server, too, whose prefix is longer.
    fn is_anothers(&self, prefixes: &Prefixes, plain: &str) -> bool {
        let mut others = self.servers.iter();
        others.any(|other| other.name.len() > prefixes.name.len() && plain.starts_with(&other.name))
    }

    /// The URI, or the template of URIs, under which one of the server at this place is served.
    pub(in crate::registry) fn uri(&self, server: usize, own: &str) -> String {
        let Some(prefixes) = self.servers.get(server) else {
            return own.to_owned();
        };
        match own.strip_prefix(UI) {
            Some(rest) => format!("{UI}{}/{rest}", prefixes.uri),
            None => format!("{}+{own}", prefixes.uri),
        }
    }

    /// The place of the server that a URI leads to, and what that one calls it.
    pub(in crate::registry) fn own_uri(&self, served: &str) -> Option<(usize, String)> {
        let (prefix, own) = match served.strip_prefix(UI) {
            Some(rest) => {
                let (prefix, rest) = rest.split_once('/')?;
                (prefix, format!("{UI}{rest}"))
            }
            None => {
                let (prefix, own) = served.split_once('+')?;
                (prefix, own.to_owned())
            }
        };
        let mut servers = self.servers.iter();
        let server = servers.position(|server| server.uri == prefix)?;
        Some((server, own))
    }

    /// The server at this place with the names under which it is served.
    pub(in crate::registry) fn renamed(&self, server: usize, own: &ForeignServer) -> ForeignServer {
        let renamed = |kind: ForeignKind| {
            let items = own.items(kind).iter();
            items.map(|item| self.renamed_item(server, kind, item)).collect()
        };
        ForeignServer {
            tools: renamed(ForeignKind::Tool),
            prompts: renamed(ForeignKind::Prompt),
            resources: renamed(ForeignKind::Resource),
            templates: renamed(ForeignKind::Template),
            ..own.clone()
        }
    }

    fn renamed_item(&self, server: usize, kind: ForeignKind, item: &ForeignItem) -> ForeignItem {
        let (key, name) = match kind {
            ForeignKind::Tool | ForeignKind::Prompt => ("name", self.name(server, &item.name)),
            ForeignKind::Resource => ("uri", self.uri(server, &item.name)),
            ForeignKind::Template => ("uriTemplate", self.uri(server, &item.name)),
        };
        let mut edits = Edits::new(&item.text);
        for (member, place) in edits.members(edits.whole()) {
            if member == key {
                edits.replace_string(place, |_| name.clone());
            } else if member == "_meta" {
                rename_interface(&mut edits, place, &|uri| self.uri(server, uri));
            }
        }
        let text = edits.finish();
        ForeignItem {
            name,
            text: text.map_or_else(|| item.text.clone(), Vec::into_boxed_slice),
        }
    }
}

/// Renames the user interface that the `_meta` at this place names.
pub fn rename_interface(edits: &mut Edits<'_>, meta: Span, served: &dyn Fn(&str) -> String) {
    for (member, place) in edits.members(meta) {
        match &*member {
            "ui" => {
                for (member, place) in edits.members(place) {
                    if member == "resourceUri" {
                        edits.replace_string(place, served);
                    }
                }
            }
            "ui/resourceUri" => edits.replace_string(place, served),
            _ => {}
        }
    }
}

/// Eight characters that differ for names that differ, and are the same after a restart.
fn hash(server: &str, own: &str) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let digest = Sha256::new()
        .chain_update(server)
        .chain_update([0])
        .chain_update(own)
        .finalize();
    let characters = digest.iter().take(HASH_CHARS);
    characters
        .map(|byte| char::from(ALPHABET[usize::from(byte & 31)]))
        .collect()
}

#[cfg(test)]
mod tests;
