//! HTTP+SSE of 2024-11-05: one stream that brings everything, and a place to post to that its first event names.

use std::net::SocketAddr;

use serde_json::Value;

use super::Transport;
use crate::harness::client::Client;
use crate::harness::message::Revision;
use crate::harness::request::Request;
use crate::harness::stream::EventStream;

/// One client: its stream, and the connection it posts on.
#[derive(Debug)]
pub(super) struct HttpSse {
    stream: EventStream,
    posting: Client,
    /// Where to post.
    endpoint: String,
}

impl HttpSse {
    pub(super) fn connect(address: SocketAddr, revision: Revision) -> Self {
        let request = Request::new("GET", "/sse").plus("Accept", "text/event-stream");
        let mut stream = Client::connect(address).open(&request);
        stream.judge_by(revision);
        let endpoint = stream.endpoint();
        Self {
            stream,
            posting: Client::connect(address),
            endpoint,
        }
    }
}

impl Transport for HttpSse {
    fn send(&mut self, message: &Request) {
        let request = Request::new("POST", &self.endpoint)
            .plus("Content-Type", "application/json")
            .with_body(message.body.clone());
        self.posting.send(&request);
        let accepted = self.posting.receive();
        accepted.assert_status(202);
        assert!(!accepted.closes(), "{accepted:?}");
    }

    fn receive(&mut self) -> Value {
        let event = self.stream.next_event();
        let event = event.expect("the stream of a session goes on until its client leaves");
        event.message.expect("no event is empty here")
    }

    fn close(self: Box<Self>) {
        self.stream.leave();
    }
}
