//! What several other programs have, served together: the names under which clients know it, so that no two are the
//! same and each leads back to one server.
//!
//! The names are those that [`Prefixes`] gives.
//!
//! Names are looked up whole and never taken apart, so that no separator can be read in two ways. A URI is, because it
//! need not be one that was listed; what stands before its first plus has none itself.

use super::foreign::{ForeignItem, ForeignKind, ForeignServer};
use crate::jsonrpc::{Edits, Span};
use crate::registry::prefixes::{Prefixes, split_uri};

/// The names of servers among each other.
#[derive(Debug, Clone, Default)]
pub(in crate::registry) struct MergedNames {
    servers: Vec<Prefixes>,
}

impl MergedNames {
    /// The names of these servers, whose prefixes differ.
    pub(in crate::registry) fn new<'n>(servers: impl IntoIterator<Item = &'n str>) -> Self {
        let servers = servers.into_iter().map(Prefixes::new);
        Self {
            servers: servers.collect(),
        }
    }

    /// The name under which a tool or prompt of the server at this place is served.
    pub(in crate::registry) fn name(&self, server: usize, own: &str) -> String {
        match self.servers.get(server) {
            Some(prefixes) => prefixes.name(own, |plain| self.is_anothers(prefixes, plain)),
            None => own.to_owned(),
        }
    }

    /// Whether a name could be one of another server, too, whose prefix is longer.
    fn is_anothers(&self, prefixes: &Prefixes, plain: &str) -> bool {
        let mut others = self.servers.iter().map(Prefixes::of_names);
        others.any(|other| other.len() > prefixes.of_names().len() && plain.starts_with(other))
    }

    /// The URI, or the template of URIs, under which one of the server at this place is served.
    pub(in crate::registry) fn uri(&self, server: usize, own: &str) -> String {
        let prefixes = self.servers.get(server);
        prefixes.map_or_else(|| own.to_owned(), |prefixes| prefixes.uri(own))
    }

    /// The place of the server that a URI leads to, and what that one calls it.
    pub(in crate::registry) fn own_uri(&self, served: &str) -> Option<(usize, String)> {
        let (prefix, own) = split_uri(served)?;
        let mut servers = self.servers.iter();
        let server = servers.position(|server| server.is_of_uris(prefix))?;
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

#[cfg(test)]
mod tests;
