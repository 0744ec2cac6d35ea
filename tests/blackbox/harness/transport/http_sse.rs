//! HTTP+SSE of 2024-11-05: one stream that carries everything, and an address for POSTs that its first event names.

use std::collections::VecDeque;
use std::net::SocketAddr;

use serde_json::Value;

use super::Transport;
use crate::harness::client::Client;
use crate::harness::message::Revision;
use crate::harness::request::Request;
use crate::harness::specification;
use crate::harness::stream::EventStream;

/// One client: its stream, and the connection it posts on.
#[derive(Debug)]
pub(super) struct HttpSse {
    stream: EventStream,
    posting: Client,
    /// The address to post to.
    endpoint: String,
    revision: Revision,
    /// Errors about a body that is no message and has no id are answered only where it was posted.
    refusals: VecDeque<Value>,
    /// The last message of the stream.
    text: String,
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
            revision,
            refusals: VecDeque::new(),
            text: String::new(),
        }
    }
}

impl Transport for HttpSse {
    fn send(&mut self, message: &Request) {
        let request = Request::new("POST", &self.endpoint)
            .plus("Content-Type", "application/json")
            .with_body(message.body.clone());
        let response = self.posting.ask(&request);
        if response.has_json() {
            assert_eq!(response.status, 400, "{}", response.text());
            let refusal = specification::read(&response.body, self.revision);
            // The client that waits for an answer gets the error on the stream as well.
            if refusal.get("id").is_none() {
                self.refusals.push_back(refusal);
            }
            return;
        }
        response.assert_accepted();
    }

    fn send_unanswered(&mut self, message: &Request) {
        let request = Request::new("POST", &self.endpoint)
            .plus("Content-Type", "application/json")
            .with_body(message.body.clone());
        let response = self.posting.ask(&request);
        assert!(
            [202, 400].contains(&response.status) && !response.has_json(),
            "{response:?}"
        );
    }

    fn receive(&mut self) -> Value {
        if let Some(refusal) = self.refusals.pop_front() {
            return refusal;
        }
        let event = self.stream.next_event();
        let event = event.expect("the stream of a session goes on until its client leaves");
        self.text = event.data.unwrap_or_default();
        event.message.expect("no event is empty here")
    }

    fn text(&self) -> &str {
        &self.text
    }

    fn close(self: Box<Self>) {
        self.stream.leave();
    }
}
