//! A shard on the simulated ring: driven as the pump drives it, with a clock that stands until it is told.
//!
//! | file | its part |
//! |---|---|
//! | `rig` | the shard, a small executor, and what must be left at the end |
//! | `tools` | the tools that it serves, whose calls tests hold and release |
//! | `client` | peers that send requests and judge their answers |
//! | `requests`, `pipelining`, `batches` | requests on one connection, one behind the other, and many in one |
//! | `accepting`, `draining` | how connections begin, and how everything ends |
//! | `bodies` | large bodies and large answers, cut anywhere |
//! | `pieces` | large answers piece by piece, and everybody's turn |
//! | `overload`, `slow_senders` | what runs out, and who gives way |
//! | `turns` | many at once: what takes a handler, and whose turn it is |
//! | `waiting`, `stealing`, `lingering`, `balance` | who gets a handler, where, and for how long |
//! | `limited` | calls of tools that may run only so many at once |
//! | `moving` | waiters on their way to another shard |
//! | `replacing` | another service takes the place of the one served |
//! | `streams` | answers in events, listeners, questions, cancellations |
//! | `caps` | connections past their caps, and peers that vanish |
//! | `websocket` | a peer that speaks WebSocket |
//! | `channels` | WebSockets: one thing at a time, and by chance |
//! | `events` | HTTP+SSE: one thing at a time, and by chance |
//! | `tasks` | calls that go on as tasks |
//! | `nursery` | the children of a server, played by the test |
//! | `forwarding` | calls that go to children, here and on another shard, one thing at a time and by chance |
//! | `asking` | children that ask the clients of their calls |
//! | `seeded` | requests and faults by chance |
//! | `dice` | chance that can be repeated |

mod accepting;
mod asking;
mod balance;
mod batches;
mod bodies;
mod caps;
mod channels;
mod client;
mod dice;
mod draining;
mod events;
mod forwarded_tasks;
mod forwarding;
mod limited;
mod lingering;
mod moving;
mod nursery;
mod overload;
mod owned;
mod owned_seeded;
mod pieces;
mod pipelining;
mod remote;
mod repeating;
mod replacing;
mod requests;
mod rig;
mod rounds;
mod seeded;
mod slow_senders;
mod stealing;
mod streamed;
mod streams;
mod tasks;
mod tools;
mod turns;
mod waiting;
mod websocket;
