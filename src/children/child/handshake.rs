//! The handshake with a legacy child, and the first reading of its lists.
//!
//! ```text
//! initialize ─► notifications/initialized ─► tools/list … ─► prompts/list … ─► resources … ─► templates … ─► done
//! ```
//!
//! `initialize` is sent once in a child's life. The lists of a server are read by its first child only.

use crate::children::line::Kind;
use crate::jsonrpc::{members, write_string};
use crate::mcp::Revision;

use super::handshake_error::HandshakeError;
use super::introduction::{Introduction, ServerCapabilities};
use super::items::{ChildLists, ListName, ListReading};

/// What a child is told of its client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChildProfile {
    /// The revision to ask for.
    pub revision: Revision,
    /// The object `capabilities`.
    pub capabilities: Box<[u8]>,
    /// The object `clientInfo`.
    pub client_info: Box<[u8]>,
}

impl ChildProfile {
    /// What a child is told that serves many clients: that there is nobody to ask.
    pub fn shared() -> ChildProfile {
        let version = env!("CARGO_PKG_VERSION");
        ChildProfile {
            revision: Revision::NEWEST_LEGACY,
            capabilities: Box::from(*b"{}"),
            client_info: format!(r#"{{"name":"weir","version":"{version}"}}"#)
                .into_bytes()
                .into_boxed_slice(),
        }
    }
}

/// How far it is.
#[derive(Debug)]
pub enum HandshakeStep {
    /// Something was asked, which the child has to answer.
    Waiting,
    /// It is over: what the child said of itself, and its lists, if they were asked for.
    Done(Box<(Introduction, Option<ChildLists>)>),
}

/// A handshake under way.
#[derive(Debug)]
pub struct Handshake {
    introduction: Option<Introduction>,
    wants_lists: bool,
    lists: ChildLists,
    reading: Option<(ListName, ListReading)>,
    /// The id of the request whose answer is awaited.
    id: u64,
}

impl Handshake {
    /// Begins: appends `initialize` under the id 1, with the following ids for what comes then.
    pub fn begin(profile: &ChildProfile, wants_lists: bool, out: &mut Vec<u8>) -> Handshake {
        out.extend_from_slice(
            br#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"#,
        );
        write_string(out, profile.revision.as_str());
        out.extend_from_slice(br#","capabilities":"#);
        out.extend_from_slice(&profile.capabilities);
        out.extend_from_slice(br#","clientInfo":"#);
        out.extend_from_slice(&profile.client_info);
        out.extend_from_slice(b"}}\n");
        Handshake {
            introduction: None,
            wants_lists,
            lists: ChildLists::default(),
            reading: None,
            id: 1,
        }
    }

    /// Reads the lists once more of a child that has introduced itself so: appends the first request, under the id
    /// behind `last_id`. `None` if it declares none.
    pub fn reread(introduction: &Introduction, last_id: u64, out: &mut Vec<u8>) -> Option<Handshake> {
        let mut handshake = Handshake {
            introduction: Some(introduction.clone()),
            wants_lists: true,
            lists: ChildLists::default(),
            reading: None,
            id: last_id,
        };
        match handshake.read_list_from(0, out) {
            HandshakeStep::Waiting => Some(handshake),
            HandshakeStep::Done(_) => None,
        }
    }

    /// The id of the last request of the handshake.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Takes an answer to a request of ours, its `result` or `error`, and appends what is to be written then. An
    /// answer to another request changes nothing.
    ///
    /// # Errors
    /// The child cannot be used.
    pub fn on_answer(
        &mut self,
        id: u64,
        kind: Kind,
        outcome: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<HandshakeStep, HandshakeError> {
        if id != self.id {
            return Ok(HandshakeStep::Waiting);
        }
        match self.reading.take() {
            None if kind == Kind::Error => Err(HandshakeError::Refused(message_of(outcome))),
            None => {
                self.introduction = Some(Introduction::read(outcome)?);
                out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n");
                Ok(self.read_list_from(0, out))
            }
            // A list that is declared and cannot be read is empty.
            Some((name, reading)) if kind == Kind::Error => Ok(self.end_list(name, reading, out)),
            Some((name, mut reading)) => {
                if let Some(cursor) = reading.add(name, outcome) {
                    self.id += 1;
                    write_list_request(out, self.id, name, Some(cursor));
                    self.reading = Some((name, reading));
                    return Ok(HandshakeStep::Waiting);
                }
                Ok(self.end_list(name, reading, out))
            }
        }
    }

    fn end_list(&mut self, name: ListName, reading: ListReading, out: &mut Vec<u8>) -> HandshakeStep {
        self.lists.put(name, reading.into_list());
        self.read_list_from(name as usize + 1, out)
    }

    /// Asks for the next list that the child declares.
    fn read_list_from(&mut self, first: usize, out: &mut Vec<u8>) -> HandshakeStep {
        let capabilities = self
            .introduction
            .as_ref()
            .map_or(ServerCapabilities::default(), |said| said.capabilities);
        let mut rest = ListName::ALL.into_iter().skip(first);
        let next = rest.find(|name| self.wants_lists && is_declared(*name, capabilities));
        if let Some(name) = next {
            self.id += 1;
            write_list_request(out, self.id, name, None);
            self.reading = Some((name, ListReading::default()));
            return HandshakeStep::Waiting;
        }
        let lists = self.wants_lists.then(|| std::mem::take(&mut self.lists));
        match self.introduction.take() {
            Some(introduction) => HandshakeStep::Done(Box::new((introduction, lists))),
            None => HandshakeStep::Waiting,
        }
    }
}

fn is_declared(name: ListName, capabilities: ServerCapabilities) -> bool {
    match name {
        ListName::Tools => capabilities.tools,
        ListName::Prompts => capabilities.prompts,
        ListName::Resources | ListName::ResourceTemplates => capabilities.resources,
    }
}

fn write_list_request(out: &mut Vec<u8>, id: u64, name: ListName, cursor: Option<&[u8]>) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(itoa::Buffer::new().format(id).as_bytes());
    out.extend_from_slice(br#","method":"#);
    write_string(out, name.method());
    out.extend_from_slice(br#","params":{"#);
    if let Some(cursor) = cursor {
        out.extend_from_slice(br#""cursor":"#);
        out.extend_from_slice(cursor);
    }
    out.extend_from_slice(b"}}\n");
}

/// The message of an error, of a bounded length.
fn message_of(error: &[u8]) -> String {
    const BYTES_MAX: usize = 200;
    let message = members(error).find(|member| member.name(error) == "message");
    let text = message.and_then(|member| serde_json::from_slice::<String>(member.value.of(error)).ok());
    let mut text = text.unwrap_or_else(|| "no reason given".to_owned());
    text.truncate(text.floor_char_boundary(BYTES_MAX));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESULT: &str = r#"{"protocolVersion":"2025-06-18","capabilities":{"tools":{},"resources":{}},"serverInfo":{"name":"n"}}"#;

    fn taken(out: &mut Vec<u8>) -> String {
        String::from_utf8(std::mem::take(out)).unwrap()
    }

    fn answer(handshake: &mut Handshake, result: &str, out: &mut Vec<u8>) -> HandshakeStep {
        let id = handshake.id();
        handshake
            .on_answer(id, Kind::Result, result.as_bytes(), out)
            .unwrap()
    }

    #[test]
    fn the_first_child_of_a_server_is_asked_for_everything() {
        let mut out = Vec::new();
        let mut handshake = Handshake::begin(&ChildProfile::shared(), true, &mut out);
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            taken(&mut out),
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"2025-11-25","capabilities":{{}},"clientInfo":{{"name":"weir","version":"{version}"}}}}}}"#
            ) + "\n"
        );
        assert!(matches!(
            answer(&mut handshake, RESULT, &mut out),
            HandshakeStep::Waiting
        ));
        assert_eq!(
            taken(&mut out),
            "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\",\"params\":{}}\n"
        );
        answer(
            &mut handshake,
            r#"{"tools":[{"name":"a"}],"nextCursor":"\u0032"}"#,
            &mut out,
        );
        assert_eq!(
            taken(&mut out),
            "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"tools/list\",\"params\":{\"cursor\":\"\\u0032\"}}\n"
        );
        answer(&mut handshake, r#"{"tools":[{"name":"b"}]}"#, &mut out);
        assert!(taken(&mut out).contains("\"id\":4,\"method\":\"resources/list\""));
        let refused = handshake.on_answer(4, Kind::Error, br#"{"code":-32601,"message":"no"}"#, &mut out);
        assert!(matches!(refused, Ok(HandshakeStep::Waiting)));
        assert!(taken(&mut out).contains("\"id\":5,\"method\":\"resources/templates/list\""));
        let done = answer(&mut handshake, r#"{"resourceTemplates":[]}"#, &mut out);
        let HandshakeStep::Done(done) = done else {
            panic!("{done:?}")
        };
        let (introduction, lists) = *done;
        assert_eq!(introduction.revision, Revision::V2025_06_18);
        let lists = lists.unwrap();
        assert_eq!(lists.list(ListName::Tools).len(), 2);
        assert!(lists.list(ListName::Resources).is_empty());
        assert!(out.is_empty());
    }

    #[test]
    fn later_children_are_only_greeted() {
        let mut out = Vec::new();
        let mut handshake = Handshake::begin(&ChildProfile::shared(), false, &mut out);
        out.clear();
        let HandshakeStep::Done(done) = answer(&mut handshake, RESULT, &mut out) else {
            panic!("it waits")
        };
        assert_eq!(done.1, None);
        assert_eq!(
            taken(&mut out),
            "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n"
        );
    }

    #[test]
    fn answers_to_nothing_change_nothing() {
        let mut out = Vec::new();
        let mut handshake = Handshake::begin(&ChildProfile::shared(), true, &mut out);
        out.clear();
        for id in [0, 2, 7] {
            let step = handshake.on_answer(id, Kind::Result, RESULT.as_bytes(), &mut out);
            assert!(matches!(step, Ok(HandshakeStep::Waiting)));
        }
        assert!(out.is_empty());
    }

    #[test]
    fn a_refusal_is_told_in_the_childs_words() {
        let mut out = Vec::new();
        let mut handshake = Handshake::begin(&ChildProfile::shared(), true, &mut out);
        let error = format!(r#"{{"code":-1,"message":"no {}"}}"#, "é".repeat(200));
        let refused = handshake
            .on_answer(1, Kind::Error, error.as_bytes(), &mut out)
            .unwrap_err();
        let told = refused.to_string();
        assert!(
            told.starts_with("it refused `initialize`: no éé") && told.len() < 250,
            "{told}"
        );
    }
}
