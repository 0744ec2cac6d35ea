//! Child processes behind the server: what clients get when an MCP server on stdio does everything wrong.
//!
//! | file | its part |
//! |---|---|
//! | `sinner` | the child of these tests |
//! | `children` | what it does, and the example of a child, spoken to over their pipes |

mod children;
mod sinner;
