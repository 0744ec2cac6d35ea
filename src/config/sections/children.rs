//! Other programs to serve.

use std::path::PathBuf;

use crate::config::kind::Kind::{Count, Path, Text};
use crate::config::section::section;
use crate::config::spec::option;

section! {
    /// Other programs to serve: MCP servers on stdio, which are started as often as it takes.
    pub struct ChildOptions {
        /// The command line of one, split as a shell would, and run without a shell.
        pub stdio: Option<String> = None => option("stdio", "COMMAND", Text,
            "Serve another program, an MCP server on stdio, with its arguments; so does everything after `--`").derived("none"),
        /// The settings of its pool, `KEY=VALUE,…`, or what those of a file are if it does not say otherwise.
        pub pool: Option<String> = None => option("pool", "KEY=VALUE,...", Text,
            "How many of these programs run, and whom they serve, such as mode=shared,max=4").derived("none"),
        /// A file of such programs, as clients have it: `mcpServers`, or `servers`.
        pub mcp_json: Option<PathBuf> = None => option("mcp-json", "FILE", Path,
            "Serve the programs of this file, which has `mcpServers` as clients have it: each at /servers/NAME/mcp, and all at /mcp").derived("none"),
        /// Programs that are started at one time, over all servers.
        pub starts_max: u32 = 2 => option("starts-max", "N", Count { min: 1, max: 1024 },
            "Programs that are started at one time, over all of those that are served"),
        /// Where to keep what went last between this and a child that died: files of the owner alone, 64 at most.
        pub flight_recorder: Option<PathBuf> = None => option("flight-recorder", "DIR", Path,
            "Keep the last 64 KiB each way of programs that died, in files of this directory").derived("none"),
    }
}
