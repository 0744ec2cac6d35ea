//! The place of a mounted toolset: what its names and URIs are for clients.

use std::sync::Arc;

use super::content::ContentBlock;
use super::prefixes::{Prefixes, split_uri};

/// The place of a mounted toolset, perhaps within another one's.
#[derive(Debug)]
pub(super) struct Mount {
    prefixes: Prefixes,
    within: Option<Arc<Mount>>,
}

impl Mount {
    pub(super) fn new(prefix: &str, within: Option<Arc<Mount>>) -> Self {
        Self {
            prefixes: Prefixes::new(prefix),
            within,
        }
    }

    /// The name under which a tool or prompt of the toolset is served.
    pub(super) fn name(&self, own: &str) -> String {
        let name = self.prefixes.name(own, |_| false);
        match &self.within {
            Some(within) => within.name(&name),
            None => name,
        }
    }

    /// The URI, or the template of URIs, under which one of the toolset is served.
    pub(super) fn uri(&self, own: &str) -> String {
        let uri = self.prefixes.uri(own);
        match &self.within {
            Some(within) => within.uri(&uri),
            None => uri,
        }
    }

    /// What the toolset calls a URI of its own.
    pub(super) fn own_uri(&self, served: &str) -> Option<String> {
        let (prefix, own) = match &self.within {
            Some(within) => split(&within.own_uri(served)?)?,
            None => split(served)?,
        };
        self.prefixes.is_of_uris(&prefix).then_some(own)
    }

    /// Gives a block of content the URI that clients know.
    pub(super) fn serve_block(&self, block: &mut ContentBlock) {
        if let Some(uri) = block.uri_mut() {
            *uri = self.uri(uri);
        }
    }
}

fn split(served: &str) -> Option<(String, String)> {
    split_uri(served).map(|(prefix, own)| (prefix.to_owned(), own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_within_another_has_both_prefixes() {
        let outer = Arc::new(Mount::new("team_a", None));
        let inner = Mount::new("tracker", Some(Arc::clone(&outer)));
        assert_eq!(outer.name("search"), "team_a__search");
        assert_eq!(inner.name("search"), "team_a__tracker__search");
        for (own, served) in [
            ("tracker://issue/1+2", "team-a+tracker+tracker://issue/1+2"),
            ("ui://card", "ui://team-a/tracker/card"),
            ("t:{+rest}", "team-a+tracker+t:{+rest}"),
        ] {
            assert_eq!(inner.uri(own), served);
            assert_eq!(inner.own_uri(served).as_deref(), Some(own));
        }
        for foreign in [
            "t:1",
            "team-a+t:1",
            "tracker+t:1",
            "team-b+tracker+t:1",
            "ui://team-a",
            "",
        ] {
            assert_eq!(inner.own_uri(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_long_name_is_cut_and_told_apart() {
        let outer = Arc::new(Mount::new("team_a", None));
        let inner = Mount::new("tracker", Some(outer));
        let [one, other] = ["a", "b"].map(|end| inner.name(&("x".repeat(63) + end)));
        assert_ne!(one, other);
        assert!(one.len() <= 64 && one.starts_with("team_a__tracker__x"), "{one}");
    }
}
