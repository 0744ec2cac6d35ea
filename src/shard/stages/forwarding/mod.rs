//! Calls that go to the children of a server: from a request to a child, and from what the child says to the client.
//!
//! Such a call needs no handler: nothing of this process works for it. It has an entry of its own from the beginning to
//! its answer, and what bounds these is the queue of the server and what its children take at once.
//!
//! ```text
//! request ─► entry ─► a child here ─────────────────► answer ─► the client
//!                 ├─► the queue here ─ room ─► …        ▲
//!                 └─► mail ─► a child of another shard ─┴─ mail
//! ```
//!
//! | file | its part |
//! |---|---|
//! | `giving` | requests → children, here or elsewhere; calls that are wanted no more |
//! | `answering` | what children say → the client |
//! | `parking` | the same of modern clients: a call waits at its child for a retry |
//! | `asking` | what children ask → the client, and its answer → the child |
//! | `modern` | what children of 2026-07-28 need and say |
//! | `renaming` | names, where several servers are served together |
//! | `rounds` | what they ask by their answers, of legacy clients |
//! | `states` | what they want back from modern clients |
//! | `repeating` | calls that are made once more when their child dies |
//! | `telling` | what they tell unasked → the call, or the client |
//! | `tasks` | calls that go on as tasks |
//! | `driving` | the pipes, what the supervisor orders, and time |

mod answering;
mod asking;
mod driving;
mod giving;
mod modern;
mod parking;
mod renaming;
mod repeating;
mod rounds;
mod states;
mod tasks;
mod telling;

pub(super) use renaming::for_child;
