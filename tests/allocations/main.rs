//! The allocations of a warm call, counted by an allocator of this test's own: its tool's `String`, nothing else. And
//! the memory that open streams hold.
//!
//! | file | its part |
//! |---|---|
//! | `tools` | the registry alone |
//! | `shard` | a whole shard on the simulated ring, from the first byte read to the answer's send |
//! | `children` | calls of a child process, from its lines and to them |
//! | `streams` | streams in the live store: the memory of an idle one |
//! | `counting` | the allocator |
//! | `../rig` | the shard that is driven |
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the test drives the shard"
)]
#![allow(unsafe_code, reason = "an allocator is unsafe to implement")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod children;
mod counting;
#[path = "../rig/mod.rs"]
mod rig;
mod shard;
mod streams;
mod tools;

use counting::exempt;
