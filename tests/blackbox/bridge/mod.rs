//! Child processes behind the server: what clients get when an MCP server on stdio does everything wrong.
//!
//! | file | its part |
//! |---|---|
//! | `sinner` | the child of these tests |
//! | `children` | what it does, and the example of a child, spoken to over their pipes |
//! | `front` | what stands between clients and the child: the server, or a peer |
//! | `peer` | a client that takes what other programs write |
//! | `table` | what every bridge should do, a test for each row |
//! | `sins` | what children do wrong while they serve |
//! | `sessions` | children that belong to clients |
//! | `lives` | how they begin and end |
//! | `probe` | what is said of programs before they are served |
//! | `figures` | what operators are told of them |
//! | `storm` | all children killed at once |
//! | `processes` | the server as a process: what ends it, and what children write into its log |
//! | `wire` | tests of `table` and `asking` over the other transports |
//! | `upkeep` | children that are made warm, let go, and remembered |
//! | `wrappers` | programs that only start the child |
//! | `modern` | children of the modern era |
//! | `several` | several servers: an endpoint for each, and one for all |
//! | `lacking` | what they ask of clients that cannot answer it |
//! | `repeating` | calls that are made once more when their child dies |
//! | `tasks` | calls that go on as tasks |
//! | `task_questions` | what children ask while their calls run as tasks |
//! | `own_lists` | lists, where each client has a child of its own |
//! | `subscribing` | updates of resources, where each client has a child of its own |
//! | `asking` | what they say to the one client that they have at a time, besides answers |
//! | `between_calls` | what the own child of a client says while it has no call |
//!
//! The rows of `table` also judge other bridges. The environment names one, by its command line with `{port}` and
//! `{child}` in it, and the test runner's list of results is its column of the table:
//!
//! ```sh
//! BRIDGE_PEER='mcp-proxy --host 127.0.0.1 --port {port} -- {child}' cargo test --test blackbox bridge::table
//! ```

mod asking;
mod between_calls;
mod children;
mod figures;
mod front;
mod lacking;
mod lives;
mod modern;
mod own_lists;
mod peer;
mod probe;
mod processes;
mod repeating;
mod sessions;
mod several;
mod sinner;
mod sins;
mod storm;
mod subscribing;
mod table;
mod task_questions;
mod tasks;
mod upkeep;
mod wire;
mod wrappers;
