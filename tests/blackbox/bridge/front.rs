//! What stands between clients and a child: the server with a shared pool, or the peer that the environment names.

use std::cell::Cell;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::peer::Peer;
use super::sinner::{act, misbehaving};
use crate::harness::{
    Conversation, Dialect, Process, Revision, Server, Stdio, TransportKind, WEIR, case, eventually, text_of,
};

/// The variable that names a peer.
const PEER: &str = "BRIDGE_PEER";

thread_local! {
    /// What clients of this thread's test speak over.
    static TRANSPORT: Cell<TransportKind> = const { Cell::new(TransportKind::Http) };
}

/// Does something whose fronts serve, and have clients, over this transport.
pub(super) fn over(transport: TransportKind, what: impl FnOnce()) {
    let before = TRANSPORT.replace(transport);
    what();
    TRANSPORT.set(before);
}

/// A front of one child, and the child's mark.
pub(super) struct Front {
    pub(super) host: Host,
    pub(super) mark: String,
}

pub(super) enum Host {
    Weir(Server),
    /// A process for each client, with these arguments.
    OfClients(Vec<String>),
    Peer(
        SocketAddr,
        #[allow(dead_code, reason = "it is killed when it is dropped")] Process,
    ),
}

impl Front {
    /// A front of one `misbehave mcp`.
    pub(super) fn start() -> Front {
        Front::of(&["mcp"], "max=1")
    }

    /// A front of children that do these actions, with more settings of their pool.
    pub(super) fn of(actions: &[&str], pool: &str) -> Front {
        Front::with(actions, pool, &[])
    }

    /// The same with options of the server's.
    pub(super) fn with(actions: &[&str], pool: &str, flags: &[&str]) -> Front {
        let mark = new_mark();
        let command = command_line(&misbehaving(&mark, actions));
        let host = match std::env::var(PEER) {
            Ok(template) => start_peer(&template, &command),
            Err(_) if TRANSPORT.get() == TransportKind::Stdio => {
                Host::OfClients(arguments("stdio", &command, pool, flags))
            }
            Err(_) => Host::Weir(start_weir(&command, pool, flags)),
        };
        Front { host, mark }
    }

    /// A front of such a child that a shell starts by this script, in which `{child}` is the child's command line.
    pub(super) fn wrapped(script: &str, actions: &[&str], pool: &str) -> Front {
        let mark = new_mark();
        let script = script.replace("{child}", &command_line(&misbehaving(&mark, actions)));
        let command = format!("sh -c \"{script}\"");
        let host = Host::Weir(start_weir(&command, pool, &[]));
        Front { host, mark }
    }

    /// The server.
    #[track_caller]
    pub(super) fn weir(&mut self) -> &mut Server {
        match &mut self.host {
            Host::Weir(server) => server,
            Host::OfClients(_) | Host::Peer(..) => panic!("there is no such thing"),
        }
    }

    /// A client whose conversation has not begun.
    pub(super) fn connect(&self, dialect: Dialect) -> Conversation {
        let transport = match &self.host {
            Host::Weir(server) => TRANSPORT.get().connect(server.address, dialect.revision),
            Host::OfClients(arguments) => {
                let mut command = Command::new(WEIR);
                command.args(arguments);
                Box::new(Stdio::start(command, dialect.revision))
            }
            Host::Peer(address, _) => Box::new(Peer::new(*address)),
        };
        Conversation::new(transport, dialect)
    }

    /// The same over one of the transports that have an address.
    pub(super) fn connect_by(&self, kind: TransportKind, dialect: Dialect) -> Conversation {
        let address = match &self.host {
            Host::Weir(server) => server.address,
            Host::Peer(address, _) => *address,
            Host::OfClients(_) => panic!("there is no such thing"),
        };
        Conversation::new(kind.connect(address, dialect.revision), dialect)
    }

    /// A client of the newest legacy revision, in a conversation that has begun.
    pub(super) fn legacy(&self) -> Conversation {
        let mut client = self.connect(legacy());
        client.initialize();
        client
    }

    /// A client of the newest revision that the transport carries.
    pub(super) fn modern(&self) -> Conversation {
        if TRANSPORT.get().carries(Revision::MODERN) {
            self.connect(Dialect::modern().able(abilities()))
        } else {
            self.legacy()
        }
    }

    /// One client of each era, as far as the transport carries it.
    pub(super) fn both(&self) -> [Conversation; 2] {
        [self.legacy(), self.modern()]
    }

    /// The children that run, and what they left behind.
    pub(super) fn processes(&self) -> Vec<u32> {
        let entries = std::fs::read_dir("/proc").unwrap();
        let pids = entries.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
        let has_mark = |pid: &u32| {
            let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let mut arguments = arguments.split(|byte| *byte == 0);
            arguments.any(|argument| argument == self.mark.as_bytes())
        };
        pids.filter(has_mark).collect()
    }

    /// Waits until so many calls have told the child to count.
    pub(super) fn wait_until_counted(&self, count: usize) {
        let mut other = self.legacy();
        eventually("calls reach the child", || {
            other.text_of("act", act(["counted"])) == count.to_string()
        });
    }
}

/// A mark that no other child has.
fn new_mark() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("bridge-{}-{number}", std::process::id())
}

pub(super) fn legacy() -> Dialect {
    Dialect::legacy(Revision::NEWEST_LEGACY).able(abilities())
}

fn abilities() -> Value {
    json!({"elicitation": {}, "sampling": {}, "roots": {}})
}

/// The line by which a shell would start it.
pub(super) fn command_line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<String> = words
        .map(|word| format!("'{}'", word.to_str().unwrap()))
        .collect();
    words.join(" ")
}

fn start_weir(command: &str, pool: &str, flags: &[&str]) -> Server {
    let mut listening = vec![
        "--admin",
        "127.0.0.1:0",
        "--report",
        "json",
        "--listen",
        "127.0.0.1:0",
    ];
    if TRANSPORT.get() == TransportKind::HttpSse {
        listening.extend(["--sse-legacy", "on"]);
    }
    listening.extend(flags);
    let arguments = arguments("serve", command, pool, &listening);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Server::over(Process::start(&arguments))
}

/// Children are shared unless the pool says otherwise.
fn arguments(how: &str, command: &str, pool: &str, flags: &[&str]) -> Vec<String> {
    let pool = if pool.contains("mode=") {
        pool.to_owned()
    } else {
        format!("mode=shared,{pool}")
    };
    let mut arguments = vec![how, "--stdio", command, "--pool", &pool];
    match flags.iter().position(|flag| *flag == "--shards") {
        // One client has one shard.
        Some(at) if how == "stdio" => arguments.extend([&flags[..at], &flags[at + 2..]].concat()),
        Some(_) => arguments.extend(flags),
        None => arguments.extend([flags, &["--shards", "1"]].concat()),
    }
    arguments.into_iter().map(str::to_owned).collect()
}

fn start_peer(template: &str, command: &str) -> Host {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let line = template.replace("{port}", &address.port().to_string());
    let line = line.replace("{child}", command);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec {line}")]);
    let process = Process::spawn(shell);
    eventually("the peer listens", || TcpStream::connect(address).is_ok());
    Host::Peer(address, process)
}

/// The names in all pages of a list.
pub(super) fn names_of(client: &mut Conversation, method: &str, list: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut params = json!({});
    loop {
        let page = client.ask(method, params);
        let items = page[list].as_array().unwrap_or_else(|| panic!("no list: {page}"));
        names.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
        let Some(cursor) = page.get("nextCursor").filter(|cursor| !cursor.is_null()) else {
            return names;
        };
        assert!(names.len() < 10_000, "the list has no end");
        params = json!({"cursor": cursor});
    }
}

/// The text of a call of `act` with these steps.
#[track_caller]
pub(super) fn told(client: &mut Conversation, arguments: Value) -> String {
    let id = client.call("act", arguments);
    text_of(&client.result(&id)).to_owned()
}

/// The lines that the child has heard, tool calls aside.
#[track_caller]
pub(super) fn heard(client: &mut Conversation) -> Vec<String> {
    serde_json::from_str(&told(client, act(["heard"]))).unwrap()
}

/// Calls that write such a thing before they answer, and later calls.
pub(super) fn harmless(rubbish: &[&str]) {
    let front = Front::start();
    for mut client in front.both() {
        for rubbish in rubbish {
            let _case = case(format!("{rubbish:?}"));
            assert_eq!(told(&mut client, act([json!(["write", rubbish])])), "done");
            assert_eq!(client.text_of("echo", json!({"message": "then"})), "then");
        }
        if !client.is_modern() {
            client.assert_quiet();
        }
    }
}
