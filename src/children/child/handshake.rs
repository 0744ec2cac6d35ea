//! The handshake with a child, and the first reading of its lists.
//!
//! ```text
//!               ┌─ a modern answer, however late ───────────────────────┐
//! server/discover ─ another answer, silence ─► initialize ─► initialized ─┴─► tools/list … ─► prompts/list … ─► done
//! ```
//!
//! A server that speaks both eras stays in the one that spoke first, so the modern one is tried first, unless it is
//! known what the server's children speak. `initialize` is sent once in a child's life. What follows are the lists, if
//! they are wanted.
//! Specification: 2026-07-28, basic/versioning; basic/transports/stdio.

use crate::children::line::{Kind, write_own_meta};
use crate::jsonrpc::{members, write_string};
use crate::mcp::ClientProfile;
use crate::mcp::{Era, Revision};

use super::handshake_error::HandshakeError;
use super::introduction::{Introduction, ServerCapabilities};
use super::items::{ChildLists, ListName, ListReading};

/// What a child is told of its client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChildProfile {
    /// The era in which it is spoken to; `None` is found out.
    pub era: Option<Era>,
    /// The revision to ask for, if it is of the legacy era.
    pub revision: Revision,
    /// The object `capabilities`.
    pub capabilities: Box<[u8]>,
    /// The object `clientInfo`.
    pub client_info: Box<[u8]>,
}

impl ChildProfile {
    /// What a child is told that serves many clients, one call at a time: that whoever is there can be asked
    /// everything.
    pub fn interactive() -> ChildProfile {
        ChildProfile::of(ClientProfile::ANYBODY)
    }

    /// What a legacy child is told that serves many clients: that there is nobody to ask.
    #[cfg(any(test, feature = "internals"))]
    pub fn shared() -> ChildProfile {
        ChildProfile::of(ClientProfile::NOBODY)
    }

    /// What a child is told that serves clients of this profile. It hears of us by name: it is made ready before its
    /// client is known.
    pub fn of(profile: ClientProfile) -> ChildProfile {
        let version = env!("CARGO_PKG_VERSION");
        ChildProfile {
            era: Some(Era::Legacy),
            revision: profile.revision,
            capabilities: profile.capabilities.to_json().to_string().into_bytes().into(),
            client_info: format!(r#"{{"name":"weir","version":"{version}"}}"#)
                .into_bytes()
                .into_boxed_slice(),
        }
    }

    /// The same for a child that is spoken to in this era; in `None` what it speaks is found out.
    #[must_use]
    pub fn speaking(self, era: Option<Era>) -> ChildProfile {
        ChildProfile { era, ..self }
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
    greeting: Greeting,
    introduction: Option<Introduction>,
    wants_lists: bool,
    lists: ChildLists,
    reading: Option<(ListName, ListReading)>,
    /// The id of the last request.
    id: u64,
}

/// How a child is asked what it is.
#[derive(Debug)]
enum Greeting {
    /// `server/discover` was asked under this id, and there is nothing to fall back to.
    Discover(u64),
    /// The same, and if it comes to nothing `initialize` is asked with this profile.
    Probe(u64, Box<ChildProfile>),
    /// `initialize` was asked, and perhaps `server/discover` before under this id, which was not answered.
    Initialize(Option<u64>),
}

impl Handshake {
    /// Begins: appends `server/discover` or `initialize` under the id 1, with the following ids for what comes then.
    pub fn begin(profile: &ChildProfile, wants_lists: bool, out: &mut Vec<u8>) -> Handshake {
        let id = 1;
        let greeting = match profile.era {
            None => Greeting::Probe(id, Box::new(profile.clone())),
            Some(Era::Modern) => Greeting::Discover(id),
            Some(Era::Legacy) => Greeting::Initialize(None),
        };
        if profile.era == Some(Era::Legacy) {
            write_initialize(out, id, profile);
        } else {
            write_discover(out, id);
        }
        Handshake {
            greeting,
            introduction: None,
            wants_lists,
            lists: ChildLists::default(),
            reading: None,
            id,
        }
    }

    /// Reads the lists once more of a child that has introduced itself so: appends the first request, under the id
    /// behind `last_id`. `None` if it declares none.
    pub fn reread(introduction: &Introduction, last_id: u64, out: &mut Vec<u8>) -> Option<Handshake> {
        let mut handshake = Handshake {
            greeting: Greeting::Initialize(None),
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

    /// The child has not answered for a while: one that may be of the legacy era is asked as such. An answer that comes
    /// after all still counts.
    pub fn on_silence(&mut self, out: &mut Vec<u8>) {
        if let Greeting::Probe(id, _) = self.greeting
            && self.introduction.is_none()
        {
            self.fall_back(Some(id), out);
        }
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
        if self.introduction.is_none() && self.greeting.discovers(id) {
            return self.on_discovered(kind, outcome, out);
        }
        if id != self.id {
            return Ok(HandshakeStep::Waiting);
        }
        match self.reading.take() {
            None if kind == Kind::Error => Err(HandshakeError::Refused("initialize", message_of(outcome))),
            None => {
                self.introduction = Some(Introduction::read(outcome)?);
                out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n");
                Ok(self.read_list_from(0, out))
            }
            // A list that is declared and cannot be read is empty, unless something was read of it before.
            Some((name, mut reading)) if kind == Kind::Error => {
                reading.refuse();
                Ok(self.end_list(name, reading, out))
            }
            Some((name, mut reading)) => {
                if let Some(cursor) = reading.add(name, outcome) {
                    self.id += 1;
                    let is_modern = is_modern(self.introduction.as_ref());
                    write_list_request(out, self.id, name, Some(cursor), is_modern);
                    self.reading = Some((name, reading));
                    return Ok(HandshakeStep::Waiting);
                }
                Ok(self.end_list(name, reading, out))
            }
        }
    }

    /// The child has answered `server/discover`.
    fn on_discovered(
        &mut self,
        kind: Kind,
        outcome: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<HandshakeStep, HandshakeError> {
        let discovered = match kind {
            Kind::Error => Err(HandshakeError::Refused("server/discover", message_of(outcome))),
            _ => Introduction::discovered(outcome),
        };
        match (discovered, &mut self.greeting) {
            (Ok(introduction), _) => {
                self.introduction = Some(introduction);
                Ok(self.read_list_from(0, out))
            }
            (Err(error), Greeting::Discover(_)) => Err(error),
            (Err(_), Greeting::Probe(..)) => {
                self.fall_back(None, out);
                Ok(HandshakeStep::Waiting)
            }
            (Err(_), Greeting::Initialize(discover)) => {
                *discover = None;
                Ok(HandshakeStep::Waiting)
            }
        }
    }

    /// Asks a child that was probed as one of the legacy era; under `discover` it may still answer.
    fn fall_back(&mut self, discover: Option<u64>, out: &mut Vec<u8>) {
        let greeting = std::mem::replace(&mut self.greeting, Greeting::Initialize(discover));
        if let Greeting::Probe(_, profile) = greeting {
            self.id += 1;
            write_initialize(out, self.id, &profile);
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
            write_list_request(out, self.id, name, None, is_modern(self.introduction.as_ref()));
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

impl Greeting {
    /// Whether `server/discover` was asked under this id, and is not answered.
    fn discovers(&self, id: u64) -> bool {
        match self {
            Greeting::Discover(asked) | Greeting::Probe(asked, _) => *asked == id,
            Greeting::Initialize(asked) => *asked == Some(id),
        }
    }
}

fn is_modern(introduction: Option<&Introduction>) -> bool {
    introduction.is_some_and(|said| said.revision.era() == Era::Modern)
}

fn is_declared(name: ListName, capabilities: ServerCapabilities) -> bool {
    match name {
        ListName::Tools => capabilities.tools,
        ListName::Prompts => capabilities.prompts,
        ListName::Resources | ListName::ResourceTemplates => capabilities.resources,
    }
}

fn write_head(out: &mut Vec<u8>, id: u64, method: &str) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(itoa::Buffer::new().format(id).as_bytes());
    out.extend_from_slice(br#","method":"#);
    write_string(out, method);
    out.extend_from_slice(br#","params":{"#);
}

/// Appends the line that asks a modern child what it is; any such child answers it at any time.
pub(super) fn write_discover(out: &mut Vec<u8>, id: u64) {
    write_head(out, id, "server/discover");
    write_own_meta(out);
    out.extend_from_slice(b"}}\n");
}

fn write_initialize(out: &mut Vec<u8>, id: u64, profile: &ChildProfile) {
    write_head(out, id, "initialize");
    out.extend_from_slice(br#""protocolVersion":"#);
    write_string(out, profile.revision.as_str());
    out.extend_from_slice(br#","capabilities":"#);
    out.extend_from_slice(&profile.capabilities);
    out.extend_from_slice(br#","clientInfo":"#);
    out.extend_from_slice(&profile.client_info);
    out.extend_from_slice(b"}}\n");
}

fn write_list_request(out: &mut Vec<u8>, id: u64, name: ListName, cursor: Option<&[u8]>, is_modern: bool) {
    write_head(out, id, name.method());
    if is_modern {
        write_own_meta(out);
    }
    if let Some(cursor) = cursor {
        out.extend_from_slice(if is_modern {
            br#","cursor":"#
        } else {
            br#""cursor":"#
        });
        out.extend_from_slice(cursor);
    }
    out.extend_from_slice(b"}}\n");
}

/// The message of an error, of a bounded length.
pub(super) fn message_of(error: &[u8]) -> String {
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

    const DISCOVERED: &str =
        r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}"#;

    fn probe(out: &mut Vec<u8>) -> Handshake {
        let handshake = Handshake::begin(&ChildProfile::shared().speaking(None), true, out);
        let asked = taken(out);
        assert!(
            asked.starts_with(r#"{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"#),
            "{asked}"
        );
        handshake
    }

    #[test]
    fn a_modern_child_is_asked_for_its_lists_at_once() {
        let mut out = Vec::new();
        let mut handshake = probe(&mut out);
        answer(&mut handshake, DISCOVERED, &mut out);
        let asked = taken(&mut out);
        assert!(
            asked.contains(r#""id":2,"method":"tools/list","params":{"_meta":{"#),
            "{asked}"
        );
        answer(&mut handshake, r#"{"tools":[],"nextCursor":"c"}"#, &mut out);
        let asked = taken(&mut out);
        assert!(asked.contains(r#"}},"cursor":"c"}}"#), "{asked}");
        let done = answer(&mut handshake, r#"{"tools":[{"name":"a"}]}"#, &mut out);
        let HandshakeStep::Done(done) = done else {
            panic!("{done:?}")
        };
        assert_eq!(done.0.revision, Revision::V2026_07_28);
        assert!(out.is_empty());
    }

    #[test]
    fn any_other_answer_than_a_modern_one_means_the_other_era() {
        for (kind, outcome) in [
            (Kind::Error, r#"{"code":-32601,"message":"Method not found"}"#),
            (
                Kind::Error,
                r#"{"code":-32602,"message":"Invalid request parameters"}"#,
            ),
            (Kind::Error, "7"),
            (Kind::Result, "{}"),
            (Kind::Result, "[1]"),
            (Kind::Result, RESULT),
            (
                Kind::Result,
                r#"{"supportedVersions":["2027-01-01"],"capabilities":{}}"#,
            ),
        ] {
            let mut out = Vec::new();
            let mut handshake = probe(&mut out);
            let step = handshake.on_answer(1, kind, outcome.as_bytes(), &mut out);
            assert!(matches!(step, Ok(HandshakeStep::Waiting)), "{outcome}");
            assert!(
                taken(&mut out).contains(r#""id":2,"method":"initialize""#),
                "{outcome}"
            );
            // It is not asked twice, whatever comes.
            handshake.on_silence(&mut out);
            handshake
                .on_answer(1, kind, outcome.as_bytes(), &mut out)
                .unwrap();
            assert!(out.is_empty(), "{outcome}");
            answer(&mut handshake, RESULT, &mut out);
            assert!(taken(&mut out).contains("notifications/initialized"));
        }
    }

    #[test]
    fn after_a_silence_the_answer_that_comes_counts() {
        let mut out = Vec::new();
        // Whatever is read first decides, and a modern child refuses what it reads then.
        let mut handshake = probe(&mut out);
        handshake.on_silence(&mut out);
        assert!(taken(&mut out).contains(r#""id":2,"method":"initialize""#));
        let step = handshake.on_answer(1, Kind::Result, DISCOVERED.as_bytes(), &mut out);
        assert!(matches!(step, Ok(HandshakeStep::Waiting)));
        assert!(taken(&mut out).contains(r#""id":3,"method":"tools/list""#));
        let refused = handshake.on_answer(2, Kind::Error, br#"{"code":-32022,"message":"no"}"#, &mut out);
        assert!(matches!(refused, Ok(HandshakeStep::Waiting)));
        let done = answer(&mut handshake, r#"{"tools":[]}"#, &mut out);
        assert!(matches!(done, HandshakeStep::Done(_)));
        // The other way round.
        let mut handshake = probe(&mut out);
        handshake.on_silence(&mut out);
        handshake
            .on_answer(1, Kind::Error, br#"{"code":-32601,"message":"no"}"#, &mut out)
            .unwrap();
        taken(&mut out);
        answer(&mut handshake, RESULT, &mut out);
        assert!(taken(&mut out).contains("notifications/initialized"));
    }

    #[test]
    fn a_child_that_has_answered_is_not_silent_while_its_lists_are_read() {
        let mut out = Vec::new();
        let mut handshake = probe(&mut out);
        handshake
            .on_answer(1, Kind::Result, DISCOVERED.as_bytes(), &mut out)
            .unwrap();
        taken(&mut out);
        handshake.on_silence(&mut out);
        assert_eq!(taken(&mut out), "");
        let done = answer(&mut handshake, r#"{"tools":[{"name":"a"}]}"#, &mut out);
        let HandshakeStep::Done(done) = done else {
            panic!("{done:?}")
        };
        assert_eq!(done.1.unwrap().list(ListName::Tools).len(), 1);
    }

    #[test]
    fn a_child_that_is_known_to_be_modern_has_to_be() {
        let mut out = Vec::new();
        let profile = ChildProfile::shared().speaking(Some(Era::Modern));
        let mut handshake = Handshake::begin(&profile, true, &mut out);
        handshake.on_silence(&mut out);
        assert_eq!(taken(&mut out).lines().count(), 1);
        let error = br#"{"code":-32601,"message":"Method not found"}"#;
        let refused = handshake.on_answer(1, Kind::Error, error, &mut out).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "it refused `server/discover`: Method not found"
        );
        let mut handshake = Handshake::begin(&profile, true, &mut out);
        let refused = handshake.on_answer(1, Kind::Result, b"{}", &mut out).unwrap_err();
        assert!(refused.to_string().contains("not one of 2026-07-28"), "{refused}");
    }
}
