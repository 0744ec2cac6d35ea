//! A server over a directory of the test's own, whose files change and are subscribed to.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::client::Client;
use super::message::Dialect;
use super::server::{Scratch, Server};
use super::stream::EventStream;

/// The server and its directory.
#[derive(Debug)]
pub(crate) struct Watched {
    server: Server,
    folder: Scratch,
}

impl Watched {
    /// Serves `demo` and the files `a.txt`, `b.txt` and `c.txt` on two shards.
    pub(crate) fn start(flags: &[&str]) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let folder = Scratch::new(&format!("watched-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        for name in ["a.txt", "b.txt", "c.txt"] {
            std::fs::write(folder.path().join(name), "first\n").unwrap();
        }
        let root = folder.path().to_str().unwrap().to_owned();
        let fixed = [
            "--toolset",
            "files",
            "--toolset",
            "demo",
            "--root",
            &root,
            "--shards",
            "2",
        ];
        let server = Server::start(&[&fixed, flags].concat());
        Self { server, folder }
    }

    /// Writes to a file of the directory, which is made if need be.
    pub(crate) fn change(&self, name: &str) {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let text = format!("change {}\n", NEXT.fetch_add(1, Ordering::Relaxed));
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Replaces a file of the directory by another in one step: that is one event, and the list of files stays the
    /// same.
    pub(crate) fn replace(&self, name: &str) {
        let outside = self.folder.path().with_extension("new");
        std::fs::write(&outside, "another\n").unwrap();
        std::fs::rename(outside, self.path(name)).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Waits until a server that was told to stop has done so in order.
    #[track_caller]
    pub(crate) fn wait_for_end(mut self) {
        assert_eq!(self.server.wait().code(), Some(0), "{}", self.server.stderr());
    }
}

impl Deref for Watched {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

/// The resource that a file is.
pub(crate) fn uri_of(name: &str) -> String {
    format!("file:///{name}")
}

/// Subscribes a session to a file.
#[track_caller]
pub(crate) fn subscribe(client: &mut Client, session: &Dialect, name: &str) {
    let request = session.request("subscribe", "resources/subscribe", json!({"uri": uri_of(name)}));
    assert_eq!(client.ask(&request).result(), &json!({}));
}

#[track_caller]
pub(crate) fn unsubscribe(client: &mut Client, session: &Dialect, name: &str) {
    let request = session.request(
        "unsubscribe",
        "resources/unsubscribe",
        json!({"uri": uri_of(name)}),
    );
    assert_eq!(client.ask(&request).result(), &json!({}));
}

/// A modern client's subscription to these files; its acknowledgement is checked.
#[track_caller]
pub(crate) fn listen_to(client: Client, id: impl Into<Value>, names: &[&str]) -> EventStream {
    let uris: Vec<String> = names.iter().map(|name| uri_of(name)).collect();
    let asked = json!({"resourceSubscriptions": uris});
    let id = id.into();
    let params = json!({"notifications": asked});
    let mut stream = client.open(&Dialect::modern().request(id.clone(), "subscriptions/listen", params));
    let acknowledged = stream.notification("notifications/subscriptions/acknowledged");
    assert_eq!(acknowledged["notifications"], asked, "{acknowledged}");
    assert_eq!(subscription_of(&acknowledged), &id);
    stream
}

/// The subscription that a notification's parameters name.
pub(crate) fn subscription_of(params: &Value) -> &Value {
    &params["_meta"]["io.modelcontextprotocol/subscriptionId"]
}

/// Waits for the next message, which must say that this file has changed. One write may be announced as several
/// changes: the file of the message before is skipped, and so is a change of the list.
#[track_caller]
pub(crate) fn assert_updated(stream: &mut EventStream, name: &str, before: Option<&str>) -> Value {
    let before = before.map(uri_of);
    loop {
        let mut message = stream.message();
        if message["method"] == "notifications/resources/list_changed" {
            continue;
        }
        assert_eq!(message["method"], "notifications/resources/updated", "{message}");
        let params = message["params"].take();
        if params["uri"] == uri_of(name).as_str() {
            return params;
        }
        assert_eq!(params["uri"].as_str(), before.as_deref(), "{params}");
    }
}
