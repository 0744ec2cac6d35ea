//! The parts that tests need to speak to a server: [`Server`], [`Client`], [`Request`], [`Response`].

mod client;
mod event;
mod message;
mod metrics;
mod pressure;
mod process;
mod request;
mod response;
mod server;
mod specification;
mod stream;
mod tasks;
mod terminal;
mod transport;
mod wait;
mod watched;
mod websocket;

pub(crate) use client::{Client, Ending};
pub(crate) use message::{Dialect, Revision, echo, eras, tool};
pub(crate) use pressure::{
    assert_at_rest, assert_control_is_answered, assert_overload, assert_overloaded, busy_per_shard,
    connect_to, enqueue, hold, per_shard, send_long_call, waiting, waits,
};
pub(crate) use process::{Process, WEIR, example, fixture};
pub(crate) use request::{Request, chunked};
pub(crate) use response::Response;
pub(crate) use server::{Scratch, Server, Shared};
pub(crate) use specification::{CHILDS_OWN, HUGE, assert_conforms, parse};
pub(crate) use stream::EventStream;
pub(crate) use terminal::InTerminal;
pub(crate) use transport::{Conversation, Stdio, Transport, TransportKind, text_of};
pub(crate) use wait::{eventually, eventually_some};
pub(crate) use watched::{
    Watched, assert_updated, listen_to, subscribe, subscription_of, unsubscribe, uri_of,
};

pub(crate) use websocket::{
    BINARY, CLOSE, CONTINUATION, FIN, Incoming, PING, PONG, TEXT, WebSocket, frame, frame_header,
};

/// Names the current case if the test fails while this lives.
pub(crate) struct Case(String);

/// Use `let _case = case(…)` at the top of a loop over cases.
pub(crate) fn case(name: impl Into<String>) -> Case {
    Case(name.into())
}

impl Drop for Case {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("  in case: {}", self.0);
        }
    }
}
