//! What a server speaks, and which tools it has with which schemas: asked once, before a run.
//!
//! The newest revision comes first: a modern server answers `server/discover`. Whatever does not is taken for a legacy
//! one, and gets `initialize`.

use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::peer::{
    Address, Asked, Connection, Endpoint, Judge, Outcome, Poll, Progress, Source, header_value,
};
use super::script::{About, Dialect, Speaker};
use crate::mcp::{Era, Revision};

/// A server that has to start needs some time for its first answers.
const PATIENCE: Duration = Duration::from_secs(30);
/// A server that is silent for longer is spoken of.
const SILENCE: Duration = Duration::from_secs(2);
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// For all sessions that are open at the end.
const END_PATIENCE: Duration = Duration::from_secs(5);
/// A stream of events that is still open so long after its answer stays so.
const OPEN_PATIENCE: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(50);
const BUFFER_BYTES: usize = 64 << 10;
/// Pages of a list that are read.
const PAGES_MAX: usize = 64;

/// What was found out.
#[derive(Clone, Debug)]
pub(crate) struct Discovered {
    pub(crate) speaker: Speaker,
    /// Name and version, as far as it says.
    pub(crate) server: String,
    /// Its tools, or why it does not list them.
    pub(crate) tools: Result<Vec<Listed>, String>,
}

/// A tool as a server lists it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Listed {
    pub(crate) name: String,
    /// The schema of its arguments; null without one.
    pub(crate) input: Value,
    /// The schema of its structured results, if it promises one.
    pub(crate) output: Option<Value>,
}

/// Asks a server for what it speaks, or whether it speaks `wanted`, and for its tools.
///
/// # Errors
/// Says that there is no server, or none that speaks MCP in this revision.
pub(crate) fn discover(endpoint: &Endpoint, wanted: Option<Revision>) -> Result<Discovered, String> {
    discover_within(endpoint, wanted, PATIENCE, |_| {})
}

/// The same, with the time in which each answer has to come, and `tell` for what a silent server is waited for.
///
/// # Errors
/// As [`discover`].
pub(crate) fn discover_within(
    endpoint: &Endpoint,
    wanted: Option<Revision>,
    patience: Duration,
    tell: fn(&str),
) -> Result<Discovered, String> {
    if let Address::Internet(address) = &endpoint.address {
        TcpStream::connect_timeout(address, CONNECT_PATIENCE)
            .map_err(|error| format!("there is no server: {error}"))?;
    }
    let mut reasons = Vec::new();
    for revision in [Revision::V2026_07_28, Revision::NEWEST_LEGACY] {
        let revision = match wanted {
            Some(wanted) if wanted.era() == revision.era() => wanted,
            Some(_) => continue,
            None => revision,
        };
        let mut talk =
            Talk::open(endpoint, revision).map_err(|error| format!("there is no server: {error}"))?;
        (talk.patience, talk.tell) = (patience, tell);
        match talk.begin(wanted.is_some()) {
            Ok(server) => {
                let tools = talk.tools()?;
                talk.end();
                let speaker = talk.speaker;
                return Ok(Discovered {
                    speaker,
                    server,
                    tools,
                });
            }
            Err(reason) => reasons.push((revision, reason)),
        }
    }
    if let [(_, first), others @ ..] = &reasons[..]
        && others.iter().all(|(_, other)| other == first)
    {
        return Err(first.clone());
    }
    let reasons: Vec<String> = reasons
        .iter()
        .map(|(revision, reason)| format!("{}: {reason}", revision.as_str()))
        .collect();
    Err(format!(
        "the server speaks no MCP that is known here; {}",
        reasons.join("; ")
    ))
}

/// The request that opens a stream of events: a subscription, or the stream of a session of its own.
///
/// # Errors
/// Says why no session could be opened.
pub(super) fn stream_request(speaker: &Speaker) -> Result<Vec<u8>, String> {
    let mut request = Vec::new();
    if !speaker.dialect.has_handshake() {
        let params = speaker.params(r#""notifications":{"toolsListChanged":true},"#);
        speaker.request(
            &About::method("subscriptions/listen"),
            1,
            &params,
            None,
            &mut request,
        );
        return Ok(request);
    }
    let revision = speaker.dialect.revision;
    let mut talk = Talk::open(&speaker.endpoint, revision).map_err(|error| error.to_string())?;
    talk.begin(true)?;
    speaker.listen(talk.session.as_deref(), &mut request);
    Ok(request)
}

/// Ends sessions, as clients should that need them no more. What does not work, or takes long, is left to the server.
pub(super) fn end_sessions(speaker: &Speaker, sessions: &[String]) {
    let end = Instant::now() + END_PATIENCE;
    let Some(Ok(mut talk)) =
        (!sessions.is_empty()).then(|| Talk::open(&speaker.endpoint, speaker.dialect.revision))
    else {
        return;
    };
    for session in sessions {
        talk.session = Some(session.clone());
        if Instant::now() > end || !talk.end() {
            return;
        }
    }
}

/// One connection on which questions are asked one by one.
struct Talk {
    speaker: Speaker,
    connection: Connection,
    poll: Poll,
    session: Option<String>,
    next_id: u64,
    /// Whether the connection carries no further question, because the server closes it or leaves a stream open on it.
    is_spent: bool,
    /// How long an answer may take, and what is called when one takes long.
    patience: Duration,
    tell: fn(&str),
}

impl Talk {
    fn open(endpoint: &Endpoint, revision: Revision) -> io::Result<Talk> {
        let connection = Connection::open(endpoint, Source::Any)?;
        let poll = Poll::new()?;
        poll.watch(connection.socket(), 0)?;
        Ok(Talk {
            speaker: Speaker {
                endpoint: endpoint.clone(),
                dialect: Dialect { revision },
            },
            connection,
            poll,
            session: None,
            next_id: 1,
            is_spent: false,
            patience: PATIENCE,
            tell: |_| {},
        })
    }

    /// Begins in the revision; the server's name and version.
    fn begin(&mut self, is_wanted: bool) -> Result<String, String> {
        let revision = self.speaker.dialect.revision;
        if revision.era() == Era::Modern {
            let params = self.speaker.params("");
            let result = self.ask("server/discover", &params)?;
            let supported = result["supportedVersions"].as_array().into_iter().flatten();
            if !supported.into_iter().any(|version| version == revision.as_str()) {
                return Err("not among the revisions that it supports".to_owned());
            }
            return Ok(named(&result["_meta"]["io.modelcontextprotocol/serverInfo"]));
        }
        let params = self.speaker.initialize_params();
        let result = self.ask("initialize", &params)?;
        self.session = header_value(self.connection.answer(), "mcp-session-id");
        let spoken = result["protocolVersion"].as_str().unwrap_or_default();
        let spoken = Revision::parse(spoken.as_bytes())
            .filter(|spoken| spoken.era() == Era::Legacy)
            .ok_or_else(|| format!("it answers with the unknown revision {spoken:?}"))?;
        if is_wanted && spoken != revision {
            return Err(format!("it speaks {} instead", spoken.as_str()));
        }
        self.speaker.dialect.revision = spoken;
        let server = named(&result["serverInfo"]);
        let mut notification = Vec::new();
        self.speaker
            .initialized(self.session.as_deref(), &mut notification);
        if self.speaker.endpoint.framing.is_stream() {
            // Nothing answers it, so it goes out with the next question.
            return self.send_before(notification).map(|()| server);
        }
        match self.exchange(&notification, None) {
            Ok(Outcome::Status(200..=204)) => Ok(server),
            Ok(outcome) => Err(format!("notifications/initialized: {}", self.unlike_mcp(outcome))),
            Err(error) => Err(error),
        }
    }

    /// Writes a message that nothing answers.
    fn send_before(&mut self, message: Vec<u8>) -> Result<(), String> {
        // A ping carries it, because a connection has one request at a time.
        let mut both = message;
        let id = self.next_id;
        self.next_id += 1;
        self.speaker
            .request(&About::method("ping"), id, "{}", None, &mut both);
        self.exchange(&both, Some(id)).map(|_| ())
    }

    /// All pages of its tools. The inner error is of a server that answers, and does not list them.
    fn tools(&mut self) -> Result<Result<Vec<Listed>, String>, String> {
        let (mut tools, mut cursor) = (Vec::new(), None::<String>);
        for _ in 0..PAGES_MAX {
            let members = cursor
                .map(|cursor| format!(r#""cursor":{},"#, Value::from(cursor)))
                .unwrap_or_default();
            let params = self.speaker.params(&members);
            let outcome = self.send("tools/list", &params)?;
            let mut result = match self.result("tools/list", outcome) {
                Ok(result) => result,
                Err(reason) => return Ok(Err(reason)),
            };
            let page = result["tools"].as_array_mut().map(std::mem::take);
            tools.extend(page.into_iter().flatten().filter_map(listed));
            cursor = result["nextCursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        Ok(Ok(tools))
    }

    /// Ends the session, if there is one; whether that was answered.
    fn end(&mut self) -> bool {
        if self.session.is_none() {
            return true;
        }
        let mut request = Vec::new();
        self.speaker.delete(self.session.as_deref(), &mut request);
        self.exchange(&request, None).is_ok()
    }

    fn ask(&mut self, method: &str, params: &str) -> Result<Value, String> {
        let outcome = self.send(method, params)?;
        self.result(method, outcome)
    }

    /// Sends a request, and waits for its answer.
    fn send(&mut self, method: &str, params: &str) -> Result<Outcome, String> {
        let id = self.next_id;
        self.next_id += 1;
        let mut request = Vec::new();
        let about = About::method(method);
        self.speaker
            .request(&about, id, params, self.session.as_deref(), &mut request);
        self.exchange(&request, Some(id))
    }

    /// The result of the last answer.
    fn result(&self, method: &str, outcome: Outcome) -> Result<Value, String> {
        let message = self.connection.message().and_then(|(_, message)| message);
        match message {
            Some(mut message) if outcome == Outcome::Ok => Ok(message["result"].take()),
            Some(message) if message["error"]["message"].is_string() => Err(format!(
                "{method} is answered with {}: {}",
                message["error"]["code"],
                message["error"]["message"].as_str().unwrap_or_default()
            )),
            _ => Err(self.unlike_mcp(outcome)),
        }
    }

    /// What an answer that is no MCP says, and what to do about it.
    fn unlike_mcp(&self, outcome: Outcome) -> String {
        let path = &self.speaker.endpoint.path;
        let answer = self.connection.answer();
        match outcome {
            Outcome::Status(401) => "it answers with status 401: it wants a token: --token".to_owned(),
            Outcome::Status(404) => format!(
                "there is nothing at {path} (status 404): Weir's path is /mcp; or is this the admin listener?"
            ),
            Outcome::Status(405) => {
                format!("{path} takes no POST (status 405): is this the admin listener?")
            }
            Outcome::Refused(_) => match header_value(answer, "retry-after") {
                Some(value) => format!("it refuses; Retry-After: {value}"),
                None => "it refuses, without Retry-After".to_owned(),
            },
            Outcome::Status(status) => format!("it answers with status {status}"),
            outcome => format!("no answer came but {}", outcome.meaning()),
        }
    }

    /// Why no answer came.
    fn unanswered(&mut self, outcome: Outcome) -> String {
        if let Address::Program(words) = &self.speaker.endpoint.address {
            let program = words.first().cloned().unwrap_or_default();
            if outcome == Outcome::Malformed {
                return format!("{program} says back what it is told, or other than JSON-RPC");
            }
            if let Some(status) = self.connection.exit() {
                return format!("{program} ended without an answer, {status}");
            }
        }
        format!("no answer came but {}", outcome.meaning())
    }

    /// What is waited for, and how long.
    fn silence(&self) -> String {
        let who = match &self.speaker.endpoint.address {
            Address::Program(words) => words.first().map_or("the program", String::as_str),
            Address::Internet(_) | Address::Unix(_) => "the server",
        };
        format!(
            "{who} has been silent for {} s; its answer in revision {} is waited for, for at most {} s (--timeout)",
            SILENCE.as_secs(),
            self.speaker.dialect.revision.as_str(),
            self.patience.as_secs_f64()
        )
    }

    /// Goes on over another connection.
    fn renew(&mut self) -> io::Result<()> {
        self.connection = Connection::open(&self.speaker.endpoint, Source::Any)?;
        self.is_spent = false;
        self.poll.watch(self.connection.socket(), 0)
    }

    /// Sends a request, and waits for what comes back.
    fn exchange(&mut self, request: &[u8], id: Option<u64>) -> Result<Outcome, String> {
        let asked = Asked {
            id,
            ..Asked::default()
        };
        let mut judge = Judge::default();
        let mut buffer = vec![0; BUFFER_BYTES];
        let begun = Instant::now();
        let mut is_told = false;
        if self.is_spent {
            self.renew().map_err(|error| error.to_string())?;
        }
        let mut answered = None::<Instant>;
        let mut progress = self.connection.ask(request);
        loop {
            match progress {
                Progress::Waiting => {}
                Progress::GaveWay => {
                    let again = self.poll.again(self.connection.socket(), 0);
                    again.map_err(|error| error.to_string())?;
                }
                Progress::Answered { outcome, is_last, .. } => {
                    self.is_spent = is_last;
                    return Ok(outcome);
                }
                Progress::Broken(Outcome::Status(status)) => {
                    return Err(format!("it does not open a WebSocket: status {status}"));
                }
                Progress::Broken(outcome) => return Err(self.unanswered(outcome)),
            }
            if self.connection.has_answer() {
                answered.get_or_insert_with(Instant::now);
            }
            if answered.is_some_and(|answered| answered.elapsed() > OPEN_PATIENCE) {
                progress = self.connection.take_answer(&mut judge, &asked);
                answered = None;
                continue;
            }
            let elapsed = begun.elapsed();
            if elapsed > self.patience {
                return Err(format!("no answer came in {} s", self.patience.as_secs_f64()));
            }
            if elapsed > SILENCE && !is_told {
                is_told = true;
                (self.tell)(&self.silence());
            }
            self.poll.wait(POLL).map_err(|error| error.to_string())?;
            progress = self.connection.progress(request, &mut buffer, &mut judge, &asked);
        }
    }
}

/// A tool of a list, if it has a name.
fn listed(mut tool: Value) -> Option<Listed> {
    let name = tool["name"].as_str()?.to_owned();
    let (input, output) = (tool["inputSchema"].take(), tool["outputSchema"].take());
    Some(Listed {
        name,
        input,
        output: Some(output).filter(|output| !output.is_null()),
    })
}

/// A name and a version.
fn named(info: &Value) -> String {
    let text = |name: &str| info[name].as_str().unwrap_or_default().to_owned();
    let (name, version) = (text("name"), text("version"));
    match (name.as_str(), version.as_str()) {
        ("", _) => "a server without a name".to_owned(),
        (name, "") => name.to_owned(),
        (name, version) => format!("{name} {version}"),
    }
}
