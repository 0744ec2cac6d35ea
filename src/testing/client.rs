//! The client.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::answer::{Answer, Log, Progress};
use super::exchange::Exchange;
use super::question::{Question, Reply};
use super::request::Profile;
use super::wire::{Place, Wire};
use crate::config::Options;
use crate::mcp::{Era, Revision};
use crate::registry::{Registry, ServerHandle};
use crate::server::{Server, ServerBuilder, Waited};

/// Pages of a list before it is taken for endless.
const PAGES_MAX: usize = 1000;

pub(super) type Answerer = Box<dyn FnMut(&Question) -> Reply>;

/// A client of a server that runs in this process, or of one that runs somewhere else.
///
/// What is to be set is set before the first request, which starts the server and introduces the client to it. Every
/// method that sends something panics if what comes back is not what the specification has for it; a result that
/// says that something went wrong is an [`Answer`] as any other.
pub struct Client {
    source: Source,
    pub(super) profile: Profile,
    pub(super) answerer: Option<Answerer>,
    /// Whether the client has introduced itself.
    pub(super) is_introduced: bool,
    pub(super) session: Option<String>,
    pub(super) requests: u64,
    /// Connections for the next requests.
    pub(super) idle: Vec<Wire>,
    /// The tools as they are listed, by their names.
    pub(super) tools: Option<HashMap<String, Value>>,
    /// Whether what is sent now says that the client knows tasks.
    pub(super) knows_tasks: bool,
    /// Streams of notifications that are open.
    pub(super) streams: Vec<Exchange>,
    pub(super) notifications: Vec<Value>,
}

/// Where the server is, or how it will be made.
enum Source {
    Unstarted(Box<(ServerBuilder, Registry)>),
    At(Place),
    /// It is being started, or did not start.
    Nowhere,
}

/// A call that has begun and whose answer nobody has waited for yet. A connection on which it is dropped is closed.
#[derive(Debug)]
#[must_use = "`Client::finish` waits for the answer"]
pub struct PendingCall {
    pub(super) exchange: Exchange,
    pub(super) id: u64,
    /// The id of the first request: a call that is made again has another one.
    pub(super) first_id: u64,
    pub(super) method: String,
    pub(super) params: Value,
    pub(super) rounds: usize,
    pub(super) progress: Vec<Progress>,
    pub(super) logs: Vec<Log>,
}

impl Client {
    /// A client of a server with this registry, which runs in this process.
    pub fn new(registry: Registry) -> Client {
        Self::serving(Server::builder("test", "1"), registry)
    }

    /// The same with the settings of this server. Where it would listen, and what of the machine it would use, is of no
    /// importance; other programs that it would serve are not started.
    pub fn serving(builder: ServerBuilder, registry: Registry) -> Client {
        Self::of(Source::Unstarted(Box::new((builder, registry))))
    }

    /// A client of a running server, at a URL of the form `http://HOST[:PORT][/PATH]`. Its time is the real one.
    ///
    /// # Panics
    /// If it is no such URL.
    #[track_caller]
    pub fn connect(url: &str) -> Client {
        match Place::parse(url) {
            Some(place) => Self::of(Source::At(place)),
            None => panic!("{url:?} is no http://HOST[:PORT][/PATH]"),
        }
    }

    fn of(source: Source) -> Client {
        Client {
            source,
            profile: Profile {
                revision: Revision::V2026_07_28,
                name: "weir-testing".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                capabilities: None,
                log_level: Some("debug".to_owned()),
                fields: Vec::new(),
            },
            answerer: None,
            is_introduced: false,
            session: None,
            requests: 0,
            idle: Vec::new(),
            tools: None,
            knows_tasks: false,
            streams: Vec::new(),
            notifications: Vec::new(),
        }
    }

    /// Another client of the same server, which has what was set of this one but nobody who answers questions.
    #[track_caller]
    pub fn another(&mut self) -> Client {
        let mut other = Self::of(Source::At(self.place().clone()));
        other.profile = self.profile.clone();
        other
    }

    // Settings.

    /// The revision that it speaks: the newest unless it is set.
    #[track_caller]
    pub fn revision(mut self, revision: Revision) -> Client {
        self.set(|profile| profile.revision = revision);
        self
    }

    /// The client's name and version, as the server is told.
    #[track_caller]
    pub fn name(mut self, name: impl Into<String>, version: impl Into<String>) -> Client {
        self.set(|profile| (profile.name, profile.version) = (name.into(), version.into()));
        self
    }

    /// A field of every HTTP request.
    #[track_caller]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Client {
        self.set(|profile| profile.fields.push((name.into(), value.into())));
        self
    }

    /// What the client can do, as the specification has it (`ClientCapabilities`). Unless it is set, that is everything
    /// that can be asked if there is [somebody who answers](Self::answer), and nothing otherwise.
    #[track_caller]
    pub fn capabilities(mut self, capabilities: Value) -> Client {
        self.set(|profile| profile.capabilities = Some(capabilities));
        self
    }

    /// The least severe level of the log messages that it wants, as `warning`; `debug` unless it is set. `None`: the
    /// client does not say.
    #[track_caller]
    pub fn log_level(mut self, level: Option<&str>) -> Client {
        self.set(|profile| profile.log_level = level.map(str::to_owned));
        self
    }

    /// Who answers what tools ask: in every revision, however its questions travel.
    #[track_caller]
    pub fn answer(mut self, answer: impl FnMut(&Question) -> Reply + 'static) -> Client {
        self.set(|_| ());
        self.answerer = Some(Box::new(answer));
        self
    }

    /// Changes the options of a server that runs in this process.
    ///
    /// # Panics
    /// If it runs somewhere else, or already.
    #[track_caller]
    pub fn configure(mut self, set: impl FnOnce(&mut Options)) -> Client {
        match std::mem::replace(&mut self.source, Source::Nowhere) {
            Source::Unstarted(unstarted) => {
                let (builder, registry) = *unstarted;
                self.source = Source::Unstarted(Box::new((builder.configure(set), registry)));
            }
            _ => panic!("the server runs already"),
        }
        self
    }

    #[track_caller]
    fn set(&mut self, set: impl FnOnce(&mut Profile)) {
        assert!(
            !self.is_introduced,
            "set what is to be set before the first request"
        );
        set(&mut self.profile);
    }

    // Requests.

    /// Calls a tool.
    #[track_caller]
    pub fn call(&mut self, tool: &str, arguments: Value) -> Answer {
        let call = self.begin(tool, arguments);
        self.finish(call)
    }

    /// Begins a call. When this returns, a server in this process has run what it can run of it now.
    #[track_caller]
    pub fn begin(&mut self, tool: &str, arguments: Value) -> PendingCall {
        let params = json!({"name": tool, "arguments": arguments});
        let call = self.send("tools/call", params);
        self.settle();
        call
    }

    /// Waits for the answer to a call.
    #[track_caller]
    pub fn finish(&mut self, call: PendingCall) -> Answer {
        let tool = (call.method == "tools/call")
            .then(|| call.params["name"].as_str().unwrap_or_default().to_owned());
        let answer = self.answer_to(call);
        if let Some(tool) = tool {
            self.check_output(&tool, &answer);
        }
        answer
    }

    /// Takes a call back: the server is told, or hears it by the end of the connection, as the revision has it.
    #[track_caller]
    pub fn cancel(&mut self, call: PendingCall) {
        if self.profile.revision.era() == Era::Legacy {
            let params = json!({"requestId": call.id, "reason": "the test has no use for it"});
            self.notify("notifications/cancelled", params);
        }
        drop(call);
        self.settle();
    }

    /// Reads a resource.
    #[track_caller]
    pub fn read(&mut self, uri: &str) -> Answer {
        self.request("resources/read", json!({"uri": uri}))
    }

    /// Gets a prompt. The arguments are strings.
    #[track_caller]
    pub fn prompt(&mut self, name: &str, arguments: Value) -> Answer {
        self.request("prompts/get", json!({"name": name, "arguments": arguments}))
    }

    /// The values that complete `value` of a prompt's argument, given those that are settled already.
    #[track_caller]
    pub fn complete_prompt(
        &mut self,
        prompt: &str,
        argument: &str,
        value: &str,
        settled: Value,
    ) -> Vec<String> {
        self.complete(
            json!({"type": "ref/prompt", "name": prompt}),
            argument,
            value,
            settled,
        )
    }

    /// The values that complete `value` of a variable of a template, given those that are settled already.
    #[track_caller]
    pub fn complete_template(
        &mut self,
        uri: &str,
        variable: &str,
        value: &str,
        settled: Value,
    ) -> Vec<String> {
        self.complete(
            json!({"type": "ref/resource", "uri": uri}),
            variable,
            value,
            settled,
        )
    }

    #[track_caller]
    fn complete(&mut self, reference: Value, name: &str, value: &str, settled: Value) -> Vec<String> {
        let mut params = json!({"ref": reference, "argument": {"name": name, "value": value}});
        if settled.as_object().is_some_and(|settled| !settled.is_empty()) {
            params["context"] = json!({"arguments": settled});
        }
        let answer = self.request("completion/complete", params);
        let values = answer.result()["completion"]["values"].as_array();
        let values = values.into_iter().flatten().filter_map(Value::as_str);
        values.map(str::to_owned).collect()
    }

    /// The tools, all pages of the list.
    #[track_caller]
    pub fn list_tools(&mut self) -> Vec<Value> {
        self.list("tools/list", "tools")
    }

    /// The resources, all pages of the list.
    #[track_caller]
    pub fn list_resources(&mut self) -> Vec<Value> {
        self.list("resources/list", "resources")
    }

    /// The templates of resources, all pages of the list.
    #[track_caller]
    pub fn list_templates(&mut self) -> Vec<Value> {
        self.list("resources/templates/list", "resourceTemplates")
    }

    /// The prompts, all pages of the list.
    #[track_caller]
    pub fn list_prompts(&mut self) -> Vec<Value> {
        self.list("prompts/list", "prompts")
    }

    #[track_caller]
    fn list(&mut self, method: &str, member: &str) -> Vec<Value> {
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        for _ in 0..PAGES_MAX {
            let params = cursor.map_or(json!({}), |cursor| json!({"cursor": cursor}));
            let answer = self.request(method, params);
            let page = answer.result();
            all.extend(page[member].as_array().into_iter().flatten().cloned());
            cursor = page["nextCursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                return all;
            }
        }
        panic!("{method} has more than {PAGES_MAX} pages");
    }

    /// Any request, with the parameters of the specification; what every request of the revision has is added.
    #[track_caller]
    pub fn request(&mut self, method: &str, params: Value) -> Answer {
        let call = self.send(method, params);
        self.answer_to(call)
    }

    /// A notification.
    #[track_caller]
    pub fn notify(&mut self, method: &str, params: Value) {
        self.introduce();
        self.post_aside(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// Listens to changes of lists from here on.
    #[track_caller]
    pub fn listen(&mut self) {
        self.open_stream(None);
    }

    /// Listens to changes of a resource from here on.
    #[track_caller]
    pub fn subscribe(&mut self, uri: &str) {
        self.open_stream(Some(uri));
    }

    /// The notifications that came since the last time, but progress and log messages of calls, which are with their
    /// [`Answer`]s. It waits for none.
    #[track_caller]
    pub fn notifications(&mut self) -> Vec<Value> {
        self.settle();
        self.hear_streams();
        std::mem::take(&mut self.notifications)
    }

    /// The next of these notifications, for which it waits.
    #[track_caller]
    pub fn next_notification(&mut self) -> Value {
        let mut deadline = None;
        self.hear_streams();
        while self.notifications.is_empty() {
            self.await_streams(&mut deadline);
            self.hear_streams();
        }
        self.notifications.remove(0)
    }

    // The server.

    /// What tools reach the server by: changes of the registry, announcements.
    ///
    /// # Panics
    /// If the server runs somewhere else.
    #[track_caller]
    pub fn server(&mut self) -> ServerHandle {
        match self.place() {
            Place::Here(server) => server.handle().clone(),
            Place::There { .. } => panic!("the server runs somewhere else"),
        }
    }

    /// Lets so much time pass in a server that runs in this process, and everything happen that is due in it. It takes
    /// no real time, unless a call waits for something that goes by the real clock: a socket, another thread, tokio's
    /// own timers. Then it takes as long as it says, so that such a call can end in time.
    ///
    /// # Panics
    /// If the server runs somewhere else.
    #[track_caller]
    pub fn advance(&mut self, time: Duration) {
        match self.place() {
            Place::Here(server) => {
                let waited = server.advance(time);
                assert!(waited == Waited::Reached, "time does not pass: {waited:?}");
            }
            Place::There { .. } => panic!("the server runs somewhere else, by the real clock"),
        }
    }

    /// How much time has passed in a server that runs in this process. It passes only while a client waits.
    ///
    /// # Panics
    /// If the server runs somewhere else.
    #[track_caller]
    pub fn elapsed(&mut self) -> Duration {
        match self.place() {
            Place::Here(server) => server.elapsed(),
            Place::There { .. } => panic!("the server runs somewhere else, by the real clock"),
        }
    }

    /// Waits for so long, by the server's clock.
    #[track_caller]
    pub(super) fn pass(&mut self, time: Duration) {
        match self.place() {
            Place::Here(_) => self.advance(time),
            Place::There { .. } => std::thread::sleep(time),
        }
    }

    /// Lets a server in this process run what it can run now.
    #[track_caller]
    fn settle(&mut self) {
        if let Place::Here(server) = self.place() {
            server.settle();
        }
    }

    #[track_caller]
    pub(super) fn place(&mut self) -> &Place {
        if let Source::Unstarted(_) = &self.source {
            let Source::Unstarted(unstarted) = std::mem::replace(&mut self.source, Source::Nowhere) else {
                unreachable!("it was looked at");
            };
            let (builder, registry) = *unstarted;
            match builder.start_stepped(registry) {
                Ok(server) => self.source = Source::At(Place::Here(Arc::new(server))),
                Err(error) => panic!("the server does not start: {error}"),
            }
        }
        match &self.source {
            Source::At(place) => place,
            _ => panic!("the server did not start"),
        }
    }
}
