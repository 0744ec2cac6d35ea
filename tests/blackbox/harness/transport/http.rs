//! Streamable HTTP: a POST for each message, and all the streams and bodies from which its answers are read.
//!
//! A session opens its GET stream as soon as it may, so that it receives what the server sends unasked, as on a
//! channel. Streams must end in order: with the answer, or without one if the request was cancelled.

use std::net::SocketAddr;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;

use super::Transport;
use crate::harness::client::Client;
use crate::harness::event::Frame;
use crate::harness::message::Dialect;
use crate::harness::request::Request;
use crate::harness::stream::EventStream;
use crate::harness::wait::PATIENCE;

/// One client's requests under way, and its connections without any.
#[derive(Debug)]
pub(super) struct Http {
    address: SocketAddr,
    path: String,
    session: Option<String>,
    has_get_stream: bool,
    idle: Vec<Client>,
    under_way: Vec<Exchange>,
    /// The last message.
    text: String,
}

/// A request and the part of its answer that has come.
#[derive(Debug)]
struct Exchange {
    /// The id; null for the GET stream and for messages without an id.
    id: Value,
    may_end: bool,
    reply: Reply,
}

#[derive(Debug)]
enum Reply {
    Awaited(Client),
    Stream(Box<EventStream>),
}

impl Http {
    /// A client of the endpoint at this path.
    pub(super) fn new(address: SocketAddr, path: &str) -> Self {
        Self {
            address,
            path: path.to_owned(),
            session: None,
            has_get_stream: false,
            idle: Vec::new(),
            under_way: Vec::new(),
            text: String::new(),
        }
    }

    fn client(&mut self) -> Client {
        let idle = self.idle.pop();
        idle.unwrap_or_else(|| Client::connect(self.address))
    }

    fn under_session(&self, request: &Request) -> Request {
        let request = request.clone().with_target(&self.path);
        match &self.session {
            Some(session) => request.with("Mcp-Session-Id", session),
            None => request,
        }
    }

    /// Opens the GET stream of the session, in the revision of `like`.
    fn open_get_stream(&mut self, like: &Request) {
        let revision = like.field("mcp-protocol-version").unwrap();
        let request = Request::new("GET", "/mcp")
            .plus("Accept", "text/event-stream")
            .plus("MCP-Protocol-Version", revision);
        let request = self.under_session(&request);
        let stream = self.client().open(&request);
        self.has_get_stream = true;
        self.under_way.push(Exchange {
            id: Value::Null,
            may_end: false,
            reply: Reply::Stream(Box::new(stream)),
        });
    }

    /// Waits until one of the replies has more to read, and returns which.
    fn wait(&self) -> usize {
        if let Some(ready) = self.under_way.iter().position(Exchange::is_ready) {
            return ready;
        }
        let descriptors = self.under_way.iter().map(|exchange| exchange.client().as_fd());
        let mut polled: Vec<_> = descriptors
            .map(|descriptor| PollFd::from_borrowed_fd(descriptor, PollFlags::IN))
            .collect();
        assert!(!polled.is_empty(), "nothing is to come");
        let timeout = Timespec::try_from(PATIENCE).unwrap();
        poll(&mut polled, Some(&timeout)).unwrap();
        let ready = polled.iter().position(|polled| !polled.revents().is_empty());
        ready.unwrap_or_else(|| panic!("no message in {PATIENCE:?}: {:?}", self.under_way))
    }

    /// Reads on in one reply. `None` means that it was no message.
    fn read_on(&mut self, at: usize) -> Option<Value> {
        let mut exchange = self.under_way.remove(at);
        match exchange.reply {
            Reply::Awaited(mut client) => {
                if client.is_stream_next() {
                    exchange.reply = Reply::Stream(Box::new(client.receive_stream()));
                    self.under_way.insert(at, exchange);
                    return None;
                }
                let response = client.receive();
                if let Some(session) = response.field("mcp-session-id") {
                    self.session.get_or_insert_with(|| session.to_owned());
                }
                if !response.closes() {
                    self.idle.push(client);
                }
                let message = response.json().clone();
                self.text = String::from_utf8(response.body).unwrap();
                Some(message)
            }
            Reply::Stream(ref mut stream) => match stream.try_frame() {
                Ok(Some(Frame::Event(event))) => {
                    if let Some(message) = &event.message {
                        assert!(
                            !exchange.is_answered_by(message) || !exchange.may_end,
                            "{message}"
                        );
                        exchange.may_end |= exchange.is_answered_by(message);
                        self.text = event.data.unwrap_or_default();
                    }
                    self.under_way.insert(at, exchange);
                    event.message
                }
                Ok(Some(Frame::Comment(_))) => {
                    self.under_way.insert(at, exchange);
                    None
                }
                Ok(None) => {
                    assert!(
                        exchange.may_end,
                        "a stream ended without its answer: {exchange:?}"
                    );
                    if let Reply::Stream(stream) = exchange.reply {
                        self.idle.push(stream.into_client());
                    }
                    None
                }
                Err(ending) => panic!("a stream was cut: {ending:?}"),
            },
        }
    }
}

impl Transport for Http {
    fn send(&mut self, request: &Request) {
        let message: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let under_session = self.under_session(request);
        let mut client = self.client();
        if is_answered(&message) {
            client.send(&under_session);
            self.under_way.push(Exchange {
                id: message["id"].clone(),
                may_end: false,
                reply: Reply::Awaited(client),
            });
            return;
        }
        let method = message["method"].as_str();
        let response = client.ask(&under_session);
        // A message whose name is not a notification's may be refused, which only a status tells.
        let may_refuse = method.is_some_and(|method| !method.starts_with("notifications/"));
        if !(may_refuse && (400..500).contains(&response.status)) {
            response.assert_status(202);
        }
        if !response.closes() {
            self.idle.push(client);
        }
        match method {
            Some("notifications/initialized") if self.session.is_some() && !self.has_get_stream => {
                self.open_get_stream(request);
            }
            Some("notifications/cancelled") => {
                let id = &message["params"]["requestId"];
                let cancelled = self.under_way.iter_mut().find(|exchange| exchange.id == *id);
                cancelled.into_iter().for_each(|exchange| exchange.may_end = true);
            }
            _ => {}
        }
    }

    fn send_unanswered(&mut self, message: &Request) {
        let under_session = self.under_session(message);
        let mut client = self.client();
        let response = client.ask(&under_session);
        assert!(
            [202, 400].contains(&response.status) && response.body.is_empty(),
            "{response:?}"
        );
        self.idle.push(client);
    }

    fn receive(&mut self) -> Value {
        loop {
            let at = self.wait();
            if let Some(message) = self.read_on(at) {
                return message;
            }
        }
    }

    fn text(&self) -> &str {
        &self.text
    }

    /// A modern client closes the reply's connection; a legacy one sends a notification.
    fn cancel(&mut self, dialect: &Dialect, id: &Value) {
        if dialect.is_modern() {
            self.under_way.retain(|exchange| exchange.id != *id);
        } else {
            self.send(&dialect.cancelled(id.clone()));
        }
    }

    fn close(mut self: Box<Self>) {
        self.under_way.retain(|exchange| !exchange.id.is_null());
        while !self.under_way.is_empty() {
            let at = self.wait();
            assert_eq!(self.read_on(at), None, "nobody asked for more");
        }
        if let Some(session) = self.session.take() {
            let deletion = Request::new("DELETE", &self.path).plus("Mcp-Session-Id", session);
            self.client().ask(&deletion).assert_status(200);
        }
    }
}

impl Exchange {
    fn client(&self) -> &Client {
        match &self.reply {
            Reply::Awaited(client) => client,
            Reply::Stream(stream) => stream.under(),
        }
    }

    /// Whether there is something to read, so that its beginning need not be waited for.
    fn is_ready(&self) -> bool {
        match &self.reply {
            Reply::Awaited(client) => !client.input().is_empty(),
            Reply::Stream(stream) => stream.is_ready(),
        }
    }

    fn is_answered_by(&self, message: &Value) -> bool {
        !self.id.is_null() && message.get("method").is_none() && message["id"] == self.id
    }
}

/// Whether a message is answered by one: a request, a batch with one, or a body that is no message at all.
fn is_answered(message: &Value) -> bool {
    match message {
        Value::Array(messages) => messages.is_empty() || messages.iter().any(is_answered),
        Value::Object(members) => members.contains_key("id") && members.contains_key("method"),
        _ => true,
    }
}
