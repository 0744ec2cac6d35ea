//! A running server: it is started on free ports, counts as ready when it says so, and must be healthy when it is
//! dropped.

use std::io::Write;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use rustix::process::Signal;

use super::client::{Client, Ending};
use super::message::Dialect;
use super::metrics::Metrics;
use super::process::Process;
use super::request::Request;
use super::response::Response;
use super::stream::EventStream;
use super::wait::eventually_some;
use super::websocket::WebSocket;

/// A server of a test's own.
#[derive(Debug)]
pub(crate) struct Server {
    process: Process,
    pub(crate) address: SocketAddr,
    /// The admin address; `None` if it is off.
    pub(crate) admin: Option<SocketAddr>,
    /// Whether panics are expected. Otherwise words of a panic on stderr fail the test.
    pub(crate) may_panic: bool,
}

impl Server {
    /// `weir serve` with the `demo` toolset, one shard, and these flags besides.
    pub(crate) fn start(flags: &[&str]) -> Self {
        let mut arguments = vec!["serve", "--admin", "127.0.0.1:0", "--report", "json"];
        let has = |flag: &str| flags.iter().any(|given| given.split('=').next() == Some(flag));
        if !has("--listen") {
            arguments.extend(["--listen", "127.0.0.1:0"]);
        }
        if !has("--toolset") {
            arguments.extend(["--toolset", "demo"]);
        }
        if !has("--shards") {
            arguments.extend(["--shards", "1"]);
        }
        arguments.extend(flags);
        Self::over(Process::start(&arguments))
    }

    /// Waits until the process prints its address.
    pub(crate) fn over(mut process: Process) -> Self {
        let line = eventually_some("the server is ready", || {
            let said = process.stderr();
            assert!(process.is_running(), "the server ended at start: {said}");
            // An example prints it on stdout.
            let printed = process.stdout();
            let mut lines = said.lines().chain(printed.lines());
            lines.find(|line| line.contains("http://")).map(str::to_owned)
        });
        // Text or JSON: a value ends where no address goes on.
        let value = |key: &str| {
            let (_, rest) = line.split_once(key)?;
            let rest = rest.trim_start_matches(['"', ':', '=']);
            rest.split(['"', ' ', '/']).next()
        };
        let address = value("http://").unwrap().parse().unwrap();
        Self {
            address,
            admin: value("admin")
                .filter(|admin| *admin != "off")
                .map(|admin| admin.parse().unwrap()),
            process,
            may_panic: false,
        }
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// A WebSocket on a connection of its own.
    #[track_caller]
    pub(crate) fn open_websocket(&self) -> WebSocket {
        WebSocket::connect(self.address)
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub(crate) fn ask(&self, request: &Request) -> Response {
        self.connect().ask(request)
    }

    /// One request on a connection of its own that must be answered by an event stream.
    #[track_caller]
    pub(crate) fn open(&self, request: &Request) -> EventStream {
        self.connect().open(request)
    }

    /// The same for raw bytes.
    #[track_caller]
    pub(crate) fn ask_bytes(&self, bytes: &[u8]) -> Response {
        self.connect().ask_bytes(bytes)
    }

    /// Opens a session: `initialize`, then `notifications/initialized`.
    #[track_caller]
    pub(crate) fn open_session(&self, dialect: &Dialect) -> Dialect {
        let mut client = self.connect();
        let opened = client.ask(&dialect.initialize(0));
        assert_eq!(opened.result()["protocolVersion"], dialect.revision.0);
        let session = opened.field("mcp-session-id").expect("a session id").to_owned();
        let dialect = Dialect {
            session: Some(session),
            ..dialect.clone()
        };
        client
            .ask(&dialect.notification("notifications/initialized", serde_json::json!({})))
            .assert_status(202);
        dialect
    }

    /// A request to the admin listener.
    #[track_caller]
    pub(crate) fn ask_admin(&self, request: &Request) -> Response {
        let mut client = Client::connect(self.admin.unwrap());
        let response = client.ask(request);
        assert!(response.closes());
        assert_eq!(client.ending(), Ending::Closed(Vec::new()));
        response
    }

    #[track_caller]
    pub(crate) fn metrics(&self) -> Metrics {
        let response = self.ask_admin(&Request::new("GET", "/metrics"));
        assert_eq!(response.status, 200);
        Metrics::parse(std::str::from_utf8(&response.body).unwrap())
    }

    /// One figure of `/metrics`.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.metrics().sum(name, labels) as u64
    }

    /// The number of busy handlers.
    #[track_caller]
    pub(crate) fn busy_handlers(&self) -> u64 {
        self.metric("weir_pool_handlers", &[("state", "busy")])
    }

    /// Ends the server with SIGTERM; returns the report of a clean drain.
    #[track_caller]
    pub(crate) fn stop(mut self) -> serde_json::Value {
        self.signal(Signal::TERM);
        assert_eq!(self.wait().code(), Some(0), "{}", self.stderr());
        self.assert_no_panic();
        let text = self.stdout();
        serde_json::from_str(text.lines().last().unwrap_or_default())
            .unwrap_or_else(|error| panic!("no report: {error}: {text:?}"))
    }

    /// Ends the server with SIGKILL.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    /// Checks what must hold after any test: the server runs, answers a newcomer in both eras, and nothing panicked.
    #[track_caller]
    pub(crate) fn assert_well(&self) {
        let discovered = self.ask(&Dialect::modern().request(1, "server/discover", serde_json::json!({})));
        assert_eq!(
            discovered.result()["supportedVersions"],
            serde_json::json!(["2026-07-28"])
        );
        let legacy = Dialect::legacy(super::Revision::NEWEST_LEGACY);
        let initialized = self.ask(&legacy.initialize("well"));
        assert_eq!(initialized.result()["protocolVersion"], legacy.revision.0);
        self.assert_no_panic();
    }

    #[track_caller]
    fn assert_no_panic(&self) {
        let said = self.stderr();
        let is_panic = ["panicked", "RUST_BACKTRACE", "stack overflow"]
            .iter()
            .any(|word| said.contains(word));
        assert!(self.may_panic || !is_panic, "{said}");
    }
}

impl Deref for Server {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Server {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() && self.process.is_running() {
            self.assert_well();
        }
    }
}

/// A test's use of a server that several share; at its end the server must be healthy.
#[derive(Debug)]
pub(crate) struct Shared(&'static Server);

impl Shared {
    /// The server in `slot`, started by the first test that needs it and stopped when the tests end.
    pub(crate) fn get(slot: &'static OnceLock<Server>, flags: &[&str]) -> Self {
        Self::started(slot, || Server::start(flags))
    }

    /// The same, with a start of the test's own.
    pub(crate) fn started(slot: &'static OnceLock<Server>, start: impl FnOnce() -> Server) -> Self {
        Self(slot.get_or_init(|| {
            let server = start();
            end_with_tests(server.pid());
            server
        }))
    }

    /// The server that most tests share: both toolsets, two shards, a directory of its own.
    pub(crate) fn usual() -> Self {
        static USUAL: OnceLock<Server> = OnceLock::new();
        Self::get(&USUAL, &["--shards", "2", "--pool-size", "64"])
    }
}

impl Deref for Shared {
    type Target = Server;

    fn deref(&self) -> &Server {
        self.0
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.assert_well();
        }
    }
}

/// Statics are never dropped: a shell kills these servers when the pipe to it closes, however the tests end.
fn end_with_tests(pid: u32) {
    static KEEPER: OnceLock<Child> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let script = r#"trap '' INT TERM; while read -r pid; do pids="$pids $pid"; done; kill -9 $pids"#;
        Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    });
    writeln!(keeper.stdin.as_ref().unwrap(), "{pid}").unwrap();
}

/// A directory that is removed when the test ends.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
