//! The texts in which a server describes itself, prepared once: `initialize` and `server/discover` results, and every
//! list.
//!
//! A registry never changes; an edited one is a new registry with a protocol of its own. So each answer is a prepared
//! text with the request's id in front. Every revision gets the members its schema knows and no others. Invariant: the
//! order in a list is the order of registration, for every client and every time.

use std::sync::Arc;

use serde_json::Value;

use crate::jsonrpc::write_string;
use crate::registry::{CacheScope, Caching, ForeignKind, Registry};

use crate::mcp::lists::announce::Announcement;
use crate::mcp::lists::cursor::Cursor;
use crate::mcp::lists::describe;
use crate::mcp::lists::foreign;
use crate::mcp::lists::has::Has;
use crate::mcp::lists::introduction::{self, Identity, Introduction};
use crate::mcp::revision::{Era, Revision};

/// Items on one page of a list. The number is large because clients that do not know pages see only the first one.
pub(in crate::mcp) const PAGE_ITEMS_MAX: usize = 1_000;
/// Bytes of the items on one page, unless it has only one: what is sent to a client that asks for a few bytes.
pub(in crate::mcp) const PAGE_BYTES_MAX: usize = 1 << 20;

/// The things that can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mcp) enum Listed {
    Tools,
    Resources,
    ResourceTemplates,
    Prompts,
}

impl Listed {
    const ALL: [Self; 4] = [
        Self::Tools,
        Self::Resources,
        Self::ResourceTemplates,
        Self::Prompts,
    ];

    /// The member of the result that holds the items.
    const fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Resources => "resources",
            Self::ResourceTemplates => "resourceTemplates",
            Self::Prompts => "prompts",
        }
    }

    /// Whether the list ends with what listers find.
    fn has_tail(self, registry: &Registry) -> bool {
        self == Self::Resources && registry.listers().len() > 0
    }

    /// The kind of its items that other programs have.
    const fn kind(self) -> ForeignKind {
        match self {
            Self::Tools => ForeignKind::Tool,
            Self::Resources => ForeignKind::Resource,
            Self::ResourceTemplates => ForeignKind::Template,
            Self::Prompts => ForeignKind::Prompt,
        }
    }

    /// All items, each an object: ours, then those of other programs, server by server. Those that are for apps alone
    /// are for clients that show apps.
    fn items(self, registry: &Registry, revision: Revision, for_apps: bool) -> Vec<Vec<u8>> {
        let servers = registry.foreign_servers().iter();
        let foreign = servers.flat_map(|server| server.items(self.kind())).map(|item| {
            let mut out = Vec::with_capacity(item.text.len());
            foreign::write_item(self.kind(), &item.text, revision, &mut out);
            out
        });
        let own = self.describe(registry, revision, for_apps);
        let own = own.into_iter().map(|item| item.to_string().into_bytes());
        own.chain(foreign).collect()
    }

    fn describe(self, registry: &Registry, revision: Revision, for_apps: bool) -> Vec<Value> {
        match self {
            Self::Tools => registry
                .tools()
                .filter(|(_, info)| describe::is_callable(info, revision))
                .filter(|(_, info)| for_apps || !info.is_for_apps_only())
                .map(|(_, info)| describe::tool(info, revision))
                .collect(),
            Self::Resources => registry
                .resources()
                .map(|info| describe::resource(info, revision))
                .collect(),
            Self::ResourceTemplates => registry
                .templates()
                .map(|info| describe::resource(info, revision))
                .collect(),
            Self::Prompts => registry
                .prompts()
                .map(|info| describe::prompt(info, revision))
                .collect(),
        }
    }
}

/// The pages of a list for one revision. Most lists are the same in several revisions, and are kept once.
type Pages = Vec<Arc<[u8]>>;

/// The prepared texts, each a JSON value.
pub(in crate::mcp) struct Lists {
    pages: [[Pages; Revision::ALL.len()]; Listed::ALL.len()],
    /// The tools for clients that show no apps, if they differ.
    tools_without_apps: Option<Box<[Pages; Revision::ALL.len()]>>,
    tails: [Vec<u8>; Revision::ALL.len()],
    initialize: [Vec<u8>; Revision::ALL.len()],
    discover: Vec<u8>,
    meta: Vec<u8>,
    has: Has,
    has_tasks: bool,
    makes_tasks: bool,
}

impl Lists {
    pub(in crate::mcp) fn new(registry: &Registry, identity: &Identity) -> Self {
        let introduction = Introduction::new(registry, identity);
        let of_all_revisions = |listed: Listed, for_apps: bool| {
            let mut before = Pages::new();
            Revision::ALL.map(|revision| {
                let items = listed.items(registry, revision, for_apps);
                before = shared(pages(listed, &items, registry, introduction, revision), &before);
                before.clone()
            })
        };
        Self {
            pages: Listed::ALL.map(|listed| of_all_revisions(listed, true)),
            tools_without_apps: has_app_tools(registry)
                .then(|| Box::new(of_all_revisions(Listed::Tools, false))),
            tails: Revision::ALL.map(|revision| tail(registry, revision)),
            initialize: Revision::ALL.map(|revision| introduction.initialize(revision)),
            discover: introduction.discover(),
            meta: introduction.meta(),
            has: Has::of(registry),
            has_tasks: introduction::has_tasks(registry),
            makes_tasks: introduction::makes_tasks(registry),
        }
    }

    /// The lists that differ from those of `other`, for a client of any revision.
    pub(in crate::mcp) fn changes_since(&self, other: &Lists) -> Vec<Announcement> {
        let differs = |listed: Listed| self.pages[listed as usize] != other.pages[listed as usize];
        let has_new_resources =
            differs(Listed::Resources) || differs(Listed::ResourceTemplates) || self.tails != other.tails;
        [
            (differs(Listed::Tools), Announcement::ToolsChanged),
            (differs(Listed::Prompts), Announcement::PromptsChanged),
            (has_new_resources, Announcement::ResourcesChanged),
        ]
        .into_iter()
        .filter_map(|(is_changed, what)| is_changed.then_some(what))
        .collect()
    }

    /// A page of a list, counted from zero, for a client that shows apps or one that does not.
    pub(in crate::mcp) fn page(
        &self,
        listed: Listed,
        (revision, shows_apps): (Revision, bool),
        page: usize,
    ) -> Option<&[u8]> {
        let pages = match &self.tools_without_apps {
            Some(tools) if listed == Listed::Tools && !shows_apps => tools,
            _ => self.pages.get(listed as usize)?,
        };
        pages.get(revision.index())?.get(page).map(Arc::as_ref)
    }

    /// The page that the listers begin with; pages before it are prepared.
    pub(in crate::mcp) fn tail_page(&self, revision: Revision) -> usize {
        self.pages
            .get(Listed::Resources as usize)
            .and_then(|pages| pages.get(revision.index()))
            .map_or(0, Vec::len)
    }

    /// The part of that page in front of what the first lister finds: items, each with a comma behind it.
    pub(in crate::mcp) fn tail(&self, revision: Revision) -> &[u8] {
        self.tails.get(revision.index()).map_or(b"", Vec::as_slice)
    }

    /// The result of `initialize`.
    pub(in crate::mcp) fn initialize(&self, revision: Revision) -> &[u8] {
        self.initialize.get(revision.index()).map_or(b"{}", Vec::as_slice)
    }

    /// The result of `server/discover`.
    pub(in crate::mcp) fn discover(&self) -> &[u8] {
        &self.discover
    }

    /// The features of the server.
    #[inline]
    pub(in crate::mcp) fn has(&self) -> Has {
        self.has
    }

    /// Whether there are tools whose calls may go on as tasks.
    pub(in crate::mcp) fn has_tasks(&self) -> bool {
        self.has_tasks
    }

    /// Whether calls of some of them may be tasks because the server decides so (since 2026-07-28).
    pub(in crate::mcp) fn makes_tasks(&self) -> bool {
        self.makes_tasks
    }

    /// The value of `_meta` in every modern result.
    pub(in crate::mcp) fn meta(&self) -> &[u8] {
        &self.meta
    }
}

/// The prepared pages of a list. There is at least one, unless listers end the list: then they fill the last page, and
/// [`tail`] goes in front of it.
fn pages(
    listed: Listed,
    items: &[Vec<u8>],
    registry: &Registry,
    introduction: Introduction<'_>,
    revision: Revision,
) -> Vec<Vec<u8>> {
    let mut pages = chunks(items);
    let has_tail = listed.has_tail(registry);
    if has_tail {
        pages.pop();
    } else if pages.is_empty() {
        pages.push(&[]);
    }
    let page = |(at, items): (usize, &&[Vec<u8>])| {
        let mut out = b"{".to_vec();
        write_string(&mut out, listed.member());
        out.extend_from_slice(b":[");
        out.extend_from_slice(&items.join(&b','));
        out.push(b']');
        if has_tail || at + 1 < pages.len() {
            out.extend_from_slice(br#","nextCursor":"#);
            write_string(&mut out, &Cursor::Page(at + 1).to_string());
        }
        if revision.era() == Era::Modern {
            out.extend_from_slice(br#","resultType":"complete""#);
            introduction.write_cacheable(list_caching(listed, registry), &mut out);
        }
        out.push(b'}');
        out
    };
    pages.iter().enumerate().map(page).collect()
}

/// The pages, of which those that are like the ones of another revision are the same.
fn shared(pages: Vec<Vec<u8>>, others: &[Arc<[u8]>]) -> Pages {
    let mut others = others.iter();
    let one = |page: Vec<u8>| match others.next() {
        Some(other) if **other == *page => Arc::clone(other),
        _ => Arc::from(page),
    };
    pages.into_iter().map(one).collect()
}

/// The items of each page.
fn chunks(items: &[Vec<u8>]) -> Vec<&[Vec<u8>]> {
    let (mut pages, mut rest) = (Vec::new(), items);
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |item: &&Vec<u8>| {
            bytes += item.len() + 1;
            bytes <= PAGE_BYTES_MAX
        };
        let count = rest.iter().take(PAGE_ITEMS_MAX).take_while(fits).count();
        let (page, behind) = rest.split_at(count.max(1));
        pages.push(page);
        rest = behind;
    }
    pages
}

/// The registered resources on the page that the first lister goes on with: items, each with a comma behind it.
fn tail(registry: &Registry, revision: Revision) -> Vec<u8> {
    if !Listed::Resources.has_tail(registry) {
        return Vec::new();
    }
    let items = Listed::Resources.items(registry, revision, true);
    let last = chunks(&items).pop().unwrap_or_default();
    last.iter()
        .flat_map(|item| [item.as_slice(), b","])
        .flatten()
        .copied()
        .collect()
}

/// How long a list may be kept, which is the same on all of its pages. Nothing registered depends on the client, except
/// for tools that are for apps alone; what a lister finds may depend on it, and may be gone at once.
pub(in crate::mcp) fn list_caching(listed: Listed, registry: &Registry) -> Caching {
    let caching = introduction::caching(registry);
    match listed {
        _ if listed.has_tail(registry) => Caching::default(),
        Listed::Tools if has_app_tools(registry) => caching.with_scope(CacheScope::Private),
        _ => caching,
    }
}

fn has_app_tools(registry: &Registry) -> bool {
    registry.tools().any(|(_, info)| info.is_for_apps_only())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_pages_are_kept_once() {
        let text = |text: &str| text.as_bytes().to_vec();
        let older = shared(vec![text("a"), text("b")], &[]);
        let newer = shared(vec![text("a"), text("c"), text("d")], &older);
        assert!(Arc::ptr_eq(&older[0], &newer[0]));
        let texts: Vec<&[u8]> = newer.iter().map(Arc::as_ref).collect();
        assert_eq!(texts, [b"a", b"c", b"d"]);
    }
}
