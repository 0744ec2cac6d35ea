//! The guide: what there is to know about running Weir, connecting clients to it, and writing tools for it, that does
//! not fit into the README.
//!
//! | page | answers |
//! |---|---|
//! | [`files`] | What does the server offer without a line of code? |
//! | [`transports`] | How does a client connect: HTTP, stdio, WebSocket, HTTP+SSE, a browser? |
//! | [`messages`] | What does the server do with odd, wrong or oversized messages? |
//! | [`children`] | What do clients see of MCP servers that are other programs? |
//! | [`tools`] | How do I write tools, resources and prompts, and how do they talk to the client? |
//! | [`cookbook`] | What does a server for a database, an HTTP API, files, tasks look like? |
//! | [`testing`] | How do I test them, without a network and without waiting? |
//! | [`tasks`] | How do I run work that takes longer than a client waits? |
//! | [`embedding`] | How do I run the server inside my own program? |
//! | [`options`] | Which options matter, and where can they be given? |
//! | [`operating`] | How do I deploy, stop, restart and watch a server? |
//! | [`conformance`] | How do we know that it follows the specification? |
//! | [`comparison`] | How fast is it, beside what? |
//! | [`tuning`] | What can be turned, what does it cost, and what was measured? |
//!
//! The pages are Markdown files, so that they can be read in the repository as well; every Rust example in them is
//! compiled with the tests.

/// A page of the guide: the module `name`, whose documentation is the file.
///
/// A page ends with link definitions that lead from file to file. The first definition of a link counts, so those given
/// here lead from module to module instead.
macro_rules! page {
    ($name:ident, $file:literal) => {
        #[doc = "[files]: crate::guide::files"]
        #[doc = "[transports]: crate::guide::transports"]
        #[doc = "[messages]: crate::guide::messages"]
        #[doc = "[children]: crate::guide::children"]
        #[doc = "[tools]: crate::guide::tools"]
        #[doc = "[cookbook]: crate::guide::cookbook"]
        #[doc = "[testing]: crate::guide::testing"]
        #[doc = "[tasks]: crate::guide::tasks"]
        #[doc = "[embedding]: crate::guide::embedding"]
        #[doc = "[options]: crate::guide::options"]
        #[doc = "[operating]: crate::guide::operating"]
        #[doc = "[restarting]: crate::guide::operating#stopping-and-restarting"]
        #[doc = "[conformance]: crate::guide::conformance"]
        #[doc = "[comparison]: crate::guide::comparison"]
        #[doc = "[tuning]: crate::guide::tuning"]
        #[doc = "[refusals]: crate::guide::tuning#refusals"]
        #[doc = "[logs]: crate::guide::tuning#logs"]
        #[doc = "[watching]: crate::guide::tuning#watching-it"]
        #[doc = "[alerts]: crate::guide::tuning#alerts"]
        #[doc = "[advice]: crate::guide::tuning#advice"]
        #[doc = "[kernel]: crate::guide::tuning#the-kernel"]
        #[doc = "[replacing]: crate::guide::tuning#replacing-a-running-server"]
        #[doc = ""]
        #[doc = include_str!($file)]
        pub mod $name {}
    };
}

page!(files, "files.md");
page!(transports, "transports.md");
page!(messages, "messages.md");
page!(children, "children.md");
page!(tools, "tools.md");
page!(cookbook, "cookbook.md");
#[cfg(feature = "testing")]
page!(testing, "testing.md");
page!(tasks, "tasks.md");
page!(embedding, "embedding.md");
page!(options, "options.md");
page!(operating, "operating.md");
page!(conformance, "conformance.md");
page!(comparison, "comparison.md");
page!(tuning, "../../tuning.md");
