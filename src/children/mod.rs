//! Child processes that are MCP servers on stdio, as values: what they say goes in, what is to be written, answered or
//! started comes out. No process is started here, and pipes are read and written only through a data ring, which tests
//! simulate; every step gets the time.
//!
//! A rule throughout: what a child says is passed on as the bytes it wrote. Nothing is decoded and written again; a
//! line is walked once, which checks it and finds where its parts lie, and only ids and progress tokens are replaced.
//!
//! ```text
//!             client's request                                   client's answer
//!                    │                                                  ▲
//!   write_request: our id, our token                   write_answer, write_progress: the client's
//!                    ▼                                                  │
//!  Child ─ Outgoing ─► stdin │ the process │ stdout ─► LineReader ─► Message ─► Child
//!                    one write a pass                 ─► stderr ─► ErrorLines
//! ```
//!
//! | part | what it does |
//! |---|---|
//! | `line` | the lines of a child: found in pieces, checked, taken apart, put together with other ids |
//! | `child` | one child: handshake, lists, calls in flight, what it is to read, its end |
//! | `piped` | a child with its pipes on a data ring |
//! | `local` | the children of one server on one shard, and the calls that wait for them |
//! | `mesh` | what shards know of each other's children |
//! | `mail` | what shards and the owner of the pools tell each other |
//! | `foreign` | what a child has, as entries of a registry |
//! | `pool` | the children of one server: when to start one, whether it fails too often, which one is next |
//! | `rate` | how much of what children say is logged |
//!
//! # Where it runs
//!
//! A [`Child`] belongs to the shard whose ring has its pipes, and only that shard touches it. Its caller's own type
//! `C` is what the shard needs to answer a client: a ticket and a connection of its own, or the address of a call
//! that came from another shard. So a call has two halves: the *client's half* stays on the shard of the connection,
//! without a handler (it waits as a call does that has asked its client), and the *child's half* is one entry of a
//! child's [`InFlight`]. Between shards they are joined by mail: the request goes as bytes, answers, progress and
//! errors come back as lines with the places of their parts, and the client's half puts its own id in.
//!
//! A [`Pool`] decides for one server, for all shards at once, so exactly one thread has it: the one that hears of
//! processes from the launcher. Shards tell it by mail what happened to a child, and how many calls wait
//! ([`ChildNews`]); it tells a shard to adopt a child's pipes, or to end one ([`ChildOrder`]). Nothing of it is on a
//! call's way.
//!
//! On a shard [`LocalChildren`] has the children of one server and its part of the server's queue: a call goes to a
//! local child with room or waits there. Each shard publishes for each server how many calls its children have room for
//! ([`ChildMesh`]): who has none takes some of another's and sends the call over. A shard with room tells a shard with
//! waiters, as with handlers. Where each child belongs to one client, there is no such choice: a shard that does not
//! know a client's child asks the owner of the pools ([`Owners`]), keeps the calls, and sends them where it is told.
//!
//! # Invariants
//!
//! - A call ends in exactly one event: its answer, a refusal, or the child's end.
//! - The bytes of a call of which some were taken by the pipe are never sent again.
//! - Ids and tokens that a child sees are ours and unique for its life; a message in which the client's own could hide
//!   behind a second member of the same name is refused.
//! - Everything a child can make us keep has a bound: a line, the lists, what it has not read, what is logged.

mod child;
mod foreign;
mod line;
mod local;
mod mail;
mod mesh;
mod piped;
#[cfg(test)]
pub(crate) mod played_process;
mod pool;
mod rate;

pub use crate::mcp::{Client, ClientKey, ClientProfile, ClientValues, KeptFields};
pub use crate::registry::ClientRules;
pub use child::{
    Abandoned, Answer, Asked, CallKey, CallTerms, CallTimes, Child, ChildCounters, ChildEvent, ChildFailure,
    ChildLimits, ChildLists, ChildProfile, Ended, Ending, EndingStep, ErrorLine, ErrorLines, Expired,
    Handshake, HandshakeError, HandshakeStep, InFlight, Introduction, ItemList, ListName, LogWish,
    OWN_IDS_MAX, Outgoing, PipeWrite, QuestionAnswer, QuestionRefusal, Recording, ServerCapabilities, Tape,
    WarmupCall,
};
pub use foreign::foreign_server;
pub use line::{
    EnvelopeTerms, InputRequest, InputRequired, Kind, LegacyTerms, Line, LineReader, Message, ModernTerms,
    ResultParts, Unreadable, capability_needed, level_of, older_notification, outcome_of, params_of,
    place_of_state, renamed_answer, renamed_request, sole_member, with_state, write_answer, write_as_modern,
    write_cancelled, write_legacy_answer, write_modern_answer, write_modern_question, write_modern_request,
    write_next_round, write_own_meta, write_progress, write_question, write_question_answer, write_request,
    write_request_of, write_task_request, write_without_breaks,
};
pub use local::{
    CallFailure, ChildEnd, Hearer, LocalChildren, LocalEvent, LocalLimits, LocalRefusal, SubmitTerms, Taken,
};
pub use mail::{
    Adoption, Assignment, ChildNews, ChildNewsEvent, ChildOrder, ChildrenParts, ServerParts, Settled,
    Supervisor,
};
pub use mesh::ChildMesh;
pub use piped::{PipeEnd, PipeKeys, PipeSockets, PipedChild};
pub use pool::{
    Estimate, Failures, Given, Load, MemberEnd, MemberKey, Owners, Pool, PoolSizes, PoolStatus, PoolStep,
    StartPlan, least_loaded, starting_pays,
};
pub use rate::RateLimit;
