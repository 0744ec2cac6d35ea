//! A client that takes what other programs write: every framing of HTTP/1.1, any fields, and messages of any kind.
//!
//! Nothing is judged here, and a status without a message becomes one, so that a test fails at once.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Dialect, Request, Transport, parse};

const PATIENCE: Duration = Duration::from_secs(20);

/// A client with a connection for each request.
pub(super) struct Peer {
    address: SocketAddr,
    session: Arc<Mutex<Option<String>>>,
    messages: Receiver<String>,
    sender: Sender<String>,
    under_way: HashMap<String, TcpStream>,
    text: String,
}

impl Peer {
    pub(super) fn new(address: SocketAddr) -> Self {
        let (sender, messages) = channel();
        Self {
            address,
            session: Arc::default(),
            messages,
            sender,
            under_way: HashMap::new(),
            text: String::new(),
        }
    }

    /// Sends a request, whose answer is read by a thread; waits for the status unless a message is to come.
    fn exchange(&mut self, request: &Request, is_answered: bool) -> TcpStream {
        let mut request = request.clone().with("Host", self.address.to_string());
        if let Some(session) = &*self.session.lock().unwrap() {
            request = request.with("Mcp-Session-Id", session);
        }
        let request = request.with("Connection", "close");
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(&request.encode()).unwrap();
        let reader = Reader {
            session: Arc::clone(&self.session),
            messages: self.sender.clone(),
            is_answered,
        };
        let (began, head) = channel();
        let input = stream.try_clone().unwrap();
        thread::spawn(move || reader.read(BufReader::new(input), &began));
        if !is_answered {
            let _ = head.recv_timeout(PATIENCE);
        }
        stream
    }
}

impl Transport for Peer {
    fn send(&mut self, request: &Request) {
        let message: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let is_answered = message.get("method").is_some() && message.get("id").is_some();
        let stream = self.exchange(request, is_answered);
        if is_answered {
            self.under_way.insert(message["id"].to_string(), stream);
        } else if message["method"] == "notifications/initialized" {
            let revision = request.field("mcp-protocol-version").unwrap();
            let get = Request::new("GET", "/mcp")
                .plus("Accept", "text/event-stream")
                .plus("MCP-Protocol-Version", revision);
            self.exchange(&get, false);
        }
    }

    fn receive(&mut self) -> Value {
        let next = self.messages.recv_timeout(PATIENCE);
        self.text = next.unwrap_or_else(|_| panic!("no message in {PATIENCE:?}"));
        parse(self.text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn text(&self) -> &str {
        &self.text
    }

    fn cancel(&mut self, dialect: &Dialect, id: &Value) {
        if !dialect.is_modern() {
            return self.send(&dialect.cancelled(id.clone()));
        }
        let stream = self.under_way.remove(&id.to_string());
        let _ = stream.unwrap().shutdown(Shutdown::Both);
    }

    fn close(self: Box<Self>) {}
}

struct Reader {
    session: Arc<Mutex<Option<String>>>,
    messages: Sender<String>,
    is_answered: bool,
}

impl Reader {
    fn read(&self, mut input: BufReader<TcpStream>, began: &Sender<()>) {
        let Some((status, fields)) = read_head(&mut input) else {
            let _ = began.send(());
            return self.say_if_answered(&json!({"ended": "without an answer"}));
        };
        if let Some(id) = fields.get("mcp-session-id") {
            self.session.lock().unwrap().get_or_insert_with(|| id.clone());
        }
        let _ = began.send(());
        let framing = if fields
            .get("transfer-encoding")
            .is_some_and(|value| value == "chunked")
        {
            Framing::Chunked
        } else if let Some(length) = fields.get("content-length") {
            Framing::Length(length.parse().unwrap())
        } else {
            Framing::Closed
        };
        let body = Body {
            input,
            framing,
            left: 0,
        };
        let kind = fields.get("content-type").map_or("", String::as_str);
        if kind.starts_with("text/event-stream") {
            return self.read_events(BufReader::new(body));
        }
        let mut text = String::new();
        let _ = BufReader::new(body).read_to_string(&mut text);
        if kind.starts_with("application/json") && text.contains("jsonrpc") {
            self.say(&text);
        } else {
            self.say_if_answered(&json!({"status": status, "body": text}));
        }
    }

    fn read_events(&self, body: BufReader<Body>) {
        let mut data = String::new();
        for line in body.lines().map_while(Result::ok) {
            if let Some(more) = line.strip_prefix("data:") {
                data.push_str(more.trim_start());
            } else if line.is_empty() && !data.is_empty() {
                self.say(&std::mem::take(&mut data));
            }
        }
    }

    fn say_if_answered(&self, what: &Value) {
        if self.is_answered {
            self.say(&what.to_string());
        }
    }

    fn say(&self, text: &str) {
        // The client may have left.
        let _ = self.messages.send(text.to_owned());
    }
}

/// The status and the fields.
fn read_head(input: &mut BufReader<TcpStream>) -> Option<(u16, HashMap<String, String>)> {
    let mut lines = input.lines().map_while(Result::ok);
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let fields = lines.take_while(|line| !line.is_empty()).filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    });
    Some((status, fields.collect()))
}

enum Framing {
    Chunked,
    Length(usize),
    Closed,
}

/// A body, unframed.
struct Body {
    input: BufReader<TcpStream>,
    framing: Framing,
    /// Bytes left of a chunk, with its end.
    left: usize,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.framing {
            Framing::Closed => self.input.read(buffer),
            Framing::Length(left) => {
                let most = buffer.len().min(*left);
                let count = self.input.read(&mut buffer[..most])?;
                *left -= count;
                Ok(count)
            }
            Framing::Chunked => {
                if self.left == 0 {
                    let mut line = String::new();
                    self.input.read_line(&mut line)?;
                    if line.trim().is_empty() {
                        line.clear();
                        self.input.read_line(&mut line)?;
                    }
                    self.left = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
                    if self.left == 0 {
                        return Ok(0);
                    }
                }
                let most = buffer.len().min(self.left);
                let count = self.input.read(&mut buffer[..most])?;
                self.left -= count;
                Ok(count)
            }
        }
    }
}
