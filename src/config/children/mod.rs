//! Other programs to serve: which, with what environment, and how many of each.
//!
//! They come from `--stdio "COMMAND ARGUMENTS"`, or from a file in the form that desktop clients and editors have for
//! their servers: `mcpServers` of Claude Desktop, Claude Code, Cursor and others, `servers` of VS Code. Everything here
//! is pure: the caller passes in texts, and how to look up a variable or to read a file.
//!
//! | file | its part |
//! |---|---|
//! | `pool` | the settings of one server's pool, and their defaults |
//! | `server` | a server: its program and environment |
//! | `served_names` | how several are told apart in names and URIs |
//! | `keys`, `values` | reads the settings of a pool, key by key |
//! | `json` | JSON with comments and commas at the end of lists |
//! | `variables` | `${VAR}` and its like |
//! | `env_file` | files of variables |
//! | `file` | reads a file of servers |
//! | `command_line` | splits a command line, and names its server |
//! | `named` | the servers that the options name, all together |
//!
//! Unknown keys of a pool are refused; other unknown keys are other programs' affair.

mod command_line;
mod env_file;
mod file;
mod json;
mod keys;
mod named;
mod pool;
mod served_names;
mod server;
mod values;
mod variables;

#[cfg(feature = "cli")]
pub use command_line::joined;
pub use named::named_servers;
pub use pool::{
    AnonymousClients, ChildEra, EnvSource, LossPolicy, PoolMode, PoolSettings, RetryPolicy, Rlimit, Warmup,
};
pub(super) use served_names::refuse_alike;
pub use served_names::{is_of_names, name_prefix, uri_prefix};
pub use server::ChildServer;
