//! The streams on which a server announces things: a GET in the legacy era, `subscriptions/listen` since.

use serde_json::json;

use super::client::Client;
use super::exchange::Exchange;
use super::wire::{Deadline, Wire};
use crate::mcp::Era;

impl Client {
    /// Opens a stream for changes of this resource or, without one, of lists, unless there is one for it.
    #[track_caller]
    pub(super) fn open_stream(&mut self, uri: Option<&str>) {
        match self.profile.revision.era() {
            Era::Modern => self.open_subscription(uri),
            Era::Legacy => {
                self.introduce();
                if self.streams.is_empty() {
                    self.open_get();
                }
                if let Some(uri) = uri {
                    let answer = self.request("resources/subscribe", json!({"uri": uri}));
                    answer.result();
                }
            }
        }
    }

    #[track_caller]
    fn open_get(&mut self) {
        let place = self.place().clone();
        let request = self.profile.get(place.target(), self.session.as_deref(), None);
        let sent = self.send_bytes(&request);
        let mut exchange = sent.unwrap_or_else(|error| panic!("GET: {error}"));
        let head = exchange.head().unwrap_or_else(|error| panic!("GET: {error}"));
        assert_eq!(head.status, 200, "GET");
        self.streams.push(exchange);
    }

    #[track_caller]
    fn open_subscription(&mut self, uri: Option<&str>) {
        let wanted = match uri {
            Some(uri) => json!({"resourceSubscriptions": [uri]}),
            None => {
                json!({"toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true})
            }
        };
        let mut call = self.send("subscriptions/listen", json!({"notifications": wanted}));
        let first = call.exchange.message();
        match first {
            Ok(Some(message)) if message["method"] == "notifications/subscriptions/acknowledged" => {
                self.check(super::schemas::check_said(self.profile.revision, &message));
                self.streams.push(call.exchange);
            }
            other => panic!("subscriptions/listen: {other:?}"),
        }
    }

    /// Takes what came on the streams.
    #[track_caller]
    pub(super) fn hear_streams(&mut self) {
        for mut stream in std::mem::take(&mut self.streams) {
            while let Some(message) = read_now(&mut stream) {
                // The answer to `subscriptions/listen` ends it.
                if message.get("method").is_some() {
                    self.hear(&message, None);
                }
            }
            if !stream.is_over() {
                self.streams.push(stream);
            }
        }
    }

    /// Waits until something comes on a stream.
    #[track_caller]
    pub(super) fn await_streams(&mut self, deadline: &mut Option<Deadline>) {
        let wires: Vec<&Wire> = self.streams.iter().map(Exchange::wire).collect();
        let Some(first) = wires.first() else {
            panic!("no stream is open: `Client::listen` or `Client::subscribe` comes first");
        };
        let deadline = *deadline.get_or_insert_with(|| first.deadline());
        if let Err(error) = Wire::await_any(&wires, deadline) {
            panic!("no notification: {error}");
        }
    }
}

#[track_caller]
fn read_now(stream: &mut Exchange) -> Option<serde_json::Value> {
    stream
        .message_now()
        .unwrap_or_else(|error| panic!("a stream of notifications: {error}"))
}
