//! Clients for tests of a whole server, over sockets.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use super::Server;

/// Longer than anything here takes on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A call of a tool without arguments.
fn request(tool: &str) -> Vec<u8> {
    let params = format!(
        r#"{{"name":"{tool}","arguments":{{}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}"#
    );
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
    format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, \
         text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A client of one connection.
pub(super) struct Caller(pub(super) TcpStream);

impl Caller {
    pub(super) fn new(server: &Server) -> Caller {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Caller(stream)
    }

    /// Sends a call.
    pub(super) fn begin(&mut self, tool: &str) {
        self.0.write_all(&request(tool)).unwrap();
    }

    /// The answer to a call, up to this.
    pub(super) fn answer(&mut self, tool: &str, mark: &str) -> String {
        self.begin(tool);
        read_until(&mut self.0, "", mark)
    }

    /// What the tool says, which is a number.
    pub(super) fn call(&mut self, tool: &str) -> u64 {
        self.begin(tool);
        let mut answer = Vec::new();
        let mut bytes = [0; 4096];
        loop {
            let read = self.0.read(&mut bytes).unwrap();
            assert!(read > 0, "{tool} was not answered");
            answer.extend_from_slice(&bytes[..read]);
            let text = String::from_utf8_lossy(&answer);
            let said = text
                .split_once(r#""text":""#)
                .and_then(|(_, rest)| rest.split_once('"'));
            if let Some((said, rest)) = said
                && rest.ends_with("}}")
            {
                return said.parse().unwrap();
            }
        }
    }
}

/// A client that can be asked, in a session.
pub(super) struct Asked<'s> {
    server: &'s Server,
    headers: String,
}

impl<'s> Asked<'s> {
    pub(super) fn new(server: &'s Server) -> Asked<'s> {
        Self::of(server, "2025-06-18")
    }

    /// The same of a revision that has sessions.
    pub(super) fn of(server: &'s Server, revision: &str) -> Asked<'s> {
        let mut asked = Asked {
            server,
            headers: String::new(),
        };
        let capabilities = r#""capabilities":{"elicitation":{}},"clientInfo":{"name":"t","version":"1"}"#;
        let params = format!(r#"{{"protocolVersion":"{revision}",{capabilities}}}"#);
        let request = format!(r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{params}}}"#);
        let answer = read_until(&mut asked.post(&request), "", "serverInfo");
        let session_at = answer.to_lowercase().find("mcp-session-id:").expect("a session");
        let session = answer[session_at..].lines().next().unwrap();
        asked.headers = format!("{session}\r\nMCP-Protocol-Version: {revision}\r\n");
        asked
    }

    /// Sends a message on a connection of its own.
    pub(super) fn post(&self, message: &str) -> TcpStream {
        let mut stream = Caller::new(self.server).0;
        let (headers, length) = (&self.headers, message.len());
        let request = format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, \
             text/event-stream\r\n{headers}Content-Length: {length}\r\n\r\n{message}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    /// What the tool says to a client that takes `pause` before it answers; without one, it does not. The lateness is
    /// counted from the answer, or as the tool says.
    pub(super) fn call(&self, tool: &str, pause: Option<Duration>) -> u64 {
        let params = format!(r#"{{"name":"{tool}","arguments":{{}}}}"#);
        let request = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        let mut stream = self.post(&request);
        let asked = read_until(&mut stream, "", "requestedSchema");
        let Some(pause) = pause else {
            let told = read_until(&mut stream, &asked, r#""}]"#);
            return number_between(&told, r#""text":""#, '"');
        };
        let (_, id) = asked.split_once(r#""id":""#).expect("a question");
        let id = id.split_once('"').unwrap().0;
        // Its call has no handler by then, and the shard has gone to sleep.
        thread::sleep(pause);
        let answer = r#"{"action":"accept","content":{}}"#;
        let answered = Instant::now();
        let mut other = self.post(&format!(r#"{{"jsonrpc":"2.0","id":"{id}","result":{answer}}}"#));
        read_until(&mut stream, "", r#""}]"#);
        let late = answered.elapsed().as_micros();
        read_until(&mut other, "", "202");
        late as u64
    }
}

fn number_between(text: &str, before: &str, after: char) -> u64 {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("{text}"));
    rest.split_once(after).unwrap().0.parse().unwrap()
}

/// What comes up to this, and what came with it, behind what was `read` before.
pub(super) fn read_until(stream: &mut TcpStream, read: &str, mark: &str) -> String {
    let mut read = read.to_owned();
    let mut bytes = [0; 4096];
    while !read.contains(mark) {
        let length = stream.read(&mut bytes).unwrap();
        assert!(length > 0, "the connection ended after {read:?}");
        read.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
    }
    read
}
