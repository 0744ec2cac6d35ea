//! The place of a mounted toolset: what its names and URIs are for clients.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::content::ContentBlock;
use super::prefixes::{Prefixes, split_uri};

/// The place of a mounted toolset, perhaps within another one's.
#[derive(Debug)]
pub(super) struct Mount {
    part: String,
    prefixes: Prefixes,
    within: Option<Arc<Mount>>,
    /// Known when all of the toolset is registered.
    served: OnceLock<Served>,
}

/// Says of a URI, as clients would know it, whether the toolset serves it.
struct Served(Box<dyn Fn(&str) -> bool + Send + Sync>);

impl Mount {
    pub(super) fn new(prefix: &str, within: Option<Arc<Mount>>) -> Self {
        Self {
            part: prefix.to_owned(),
            prefixes: Prefixes::new(prefix),
            within,
            served: OnceLock::new(),
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

    /// The URI, or the template of URIs, under which something that is called `own` here is served when it is
    /// registered.
    pub(super) fn address(&self, own: &str) -> String {
        let uri = self.prefixes.uri(own);
        match &self.within {
            Some(within) => within.address(&uri),
            None => uri,
        }
    }

    /// Keeps which URIs the toolset serves, now that all of it is registered.
    pub(super) fn serves(&self, is_served: impl Fn(&str) -> bool + Send + Sync + 'static) {
        // Nothing is added to a toolset later.
        let _ = self.served.set(Served(Box::new(is_served)));
    }

    /// The URI under which clients know one that a function of the toolset gives: its own ones have the prefix, and
    /// those of anybody else stay as they are.
    pub(super) fn uri(&self, given: &str) -> String {
        let address = self.address(given);
        match self.served.get() {
            Some(Served(is_served)) if is_served(&address) => address,
            _ => given.to_owned(),
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

    /// Whether this place is that one, or within it.
    pub(super) fn is_at(&self, place: &Mount) -> bool {
        std::ptr::eq(self, place) || self.within.as_ref().is_some_and(|within| within.is_at(place))
    }

    /// The prefix of this place, or of one that it is within, whose URIs could not be told from those of `place`,
    /// although it is another prefix: URIs begin with it in lower case.
    pub(super) fn alike(&self, place: &Mount) -> Option<&str> {
        let is_alike = self.address(":") == place.address(":") && self.path() != place.path();
        match &self.within {
            _ if is_alike => Some(&self.part),
            Some(within) => within.alike(place),
            None => None,
        }
    }

    /// Its prefix behind all that it is within.
    fn path(&self) -> Vec<&str> {
        let outer = self.within.as_ref().map(|within| within.path());
        let mut path = outer.unwrap_or_default();
        path.push(&self.part);
        path
    }

    /// Gives a block of content the URI that clients know.
    pub(super) fn serve_block(&self, block: &mut ContentBlock) {
        if let Some(uri) = block.uri_mut() {
            *uri = self.uri(uri);
        }
    }
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Served")
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
            assert_eq!(inner.address(own), served);
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
    fn only_what_is_served_gets_the_prefixes() {
        let outer = Arc::new(Mount::new("team_a", None));
        let inner = Mount::new("tracker", Some(Arc::clone(&outer)));
        inner.serves(|served| served.starts_with("team-a+tracker+t:"));
        assert_eq!(inner.uri("t:1"), "team-a+tracker+t:1");
        assert_eq!(inner.uri("https://example.com/1"), "https://example.com/1");
    }

    #[test]
    fn prefixes_that_differ_in_names_alone_are_alike() {
        let at = |path: &[&str]| {
            let within = |outer: Option<Arc<Mount>>, prefix: &&str| Some(Arc::new(Mount::new(prefix, outer)));
            path.iter().fold(None, within).unwrap()
        };
        for (one, other, expected) in [
            (&["q"][..], &["Q"][..], Some("q")),
            (&["team_a"], &["team-a"], Some("team_a")),
            (&["q", "r"], &["Q"], Some("q")),
            (&["q", "r"], &["q", "R"], Some("r")),
            (&["q"], &["q"], None),
            (&["q"], &["q", "Q"], None),
            (&["q", "r"], &["s", "R"], None),
        ] {
            assert_eq!(at(one).alike(&at(other)), expected, "{one:?} {other:?}");
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
