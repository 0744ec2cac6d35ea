//! The kinds of JSON-RPC messages.
//!
//! Member names are compared byte for byte after unescaping. The members that decide (`jsonrpc`, `id`,
//! `method`, `params`, `result`, `error`) may stand once each; others are ignored. Ids are strings or whole numbers
//! (MCP forbids `null`), `params` is an object (MCP has no positional parameters). Some clients write out members that
//! they leave empty: `params` may be `null`, and so may whichever of `method`, `result` and `error` the kind of message
//! does not have.
//! Specification: JSON-RPC 2.0 sections 4 and 5; MCP, base protocol, messages.

use super::id::Id;
use super::outline::Shape;
use super::value::Value;
use super::walk::number_text;

/// One message of any kind.
#[derive(Clone, Copy, Debug)]
pub enum Message<'t, 's> {
    /// A message that wants an answer.
    Request(Request<'t, 's>),
    /// A message that wants none.
    Notification(Notification<'t, 's>),
    /// An answer to a request of ours.
    Response(Response<'t, 's>),
}

/// A message with a method and an id.
#[derive(Clone, Copy, Debug)]
pub struct Request<'t, 's> {
    /// The id to answer with.
    pub id: Id<'s>,
    /// The method, unescaped.
    pub method: &'s str,
    /// The parameters, always an object.
    pub params: Option<Value<'t, 's>>,
    /// The message as it came.
    pub text: &'s [u8],
}

/// A message with a method and no id.
#[derive(Clone, Copy, Debug)]
pub struct Notification<'t, 's> {
    /// The method, unescaped.
    pub method: &'s str,
    /// The parameters, always an object.
    pub params: Option<Value<'t, 's>>,
    /// The message as it came.
    pub text: &'s [u8],
}

/// A message with a result or an error.
#[derive(Clone, Copy, Debug)]
pub struct Response<'t, 's> {
    /// Absent only in an error about a request whose id could not be read.
    pub id: Option<Id<'s>>,
    /// Whether it carries an error.
    pub is_error: bool,
    /// The result or the error, of whatever type.
    pub body: Value<'t, 's>,
    /// The message as it came.
    pub text: &'s [u8],
}

/// An object, or another value, that is not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed<'s> {
    /// The id, where one could be read without doubt.
    pub id: Option<Id<'s>>,
    /// The fault.
    pub fault: EnvelopeFault,
    /// The kind of message that its members suggest.
    pub shape: Shape,
}

/// The fault of a malformed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeFault {
    /// The text is a scalar, or an array where a single message belongs.
    #[error("a message is a JSON object")]
    NotAnObject,
    /// A member that decides stands twice.
    #[error("member `{0}` stands more than once")]
    Duplicate(&'static str),
    /// `jsonrpc` is missing or something else.
    #[error("member `jsonrpc` must be \"2.0\"")]
    Version,
    /// The id is neither a string nor a whole number within the range of a double.
    #[error("member `id` must be a string or an integer")]
    Id,
    /// The method is not a string.
    #[error("member `method` must be a string")]
    Method,
    /// The parameters are not an object.
    #[error("member `params` must be an object")]
    Params,
    /// Neither a request nor an answer, or both.
    #[error("a message has either a method, or an id and a result or an error")]
    Kind,
}

/// A string or a whole number, for an id or a token that is to be echoed as it came. `path` leads to it in `text`, the
/// whole message, where the spelling of a number that is not an integer of 64 bits is looked up.
pub fn echoable<'s>(value: Value<'_, 's>, text: &'s [u8], path: &[&str]) -> Option<Id<'s>> {
    match value.as_id() {
        None if value.is_whole() => number_text(text, path).map(Id::Verbatim),
        id => id,
    }
}

impl<'t, 's> Message<'t, 's> {
    /// Reads one message out of `text`, which holds nothing else. It allocates nothing, and its time is linear in the
    /// number of top-level members.
    ///
    /// # Errors
    /// Fails when `value` is not a JSON-RPC 2.0 message as MCP wants them.
    pub fn read(value: Value<'t, 's>, text: &'s [u8]) -> Result<Self, Malformed<'s>> {
        if !value.is_object() {
            return Err(Malformed {
                id: None,
                fault: EnvelopeFault::NotAnObject,
                shape: Shape::Unknown,
            });
        }
        let (members, duplicate) = Members::collect(value);
        let shape = members.shape();
        let malformed = |id, fault| Malformed { id, fault, shape };
        let id = members.id.and_then(|id| echoable(id, text, &["id"]));
        match (duplicate, members.id) {
            // Two ids outweigh other faults: the answer may carry neither.
            (Some(name), _) => Err(malformed(
                id.filter(|_| name != "id"),
                EnvelopeFault::Duplicate(name),
            )),
            // An error about a request whose id could not be read (JSON-RPC 2.0, section 5).
            (None, Some(value)) if id.is_none() && !(value.is_null() && shape != Shape::Request) => {
                Err(malformed(None, EnvelopeFault::Id))
            }
            (None, _) => members
                .into_message(id, text)
                .map_err(|fault| malformed(id, fault)),
        }
    }
}

/// Whether a method is one of MCP's notifications, none of which is answered.
fn is_notification(method: Value<'_, '_>) -> bool {
    method
        .as_str()
        .is_some_and(|name| name.starts_with("notifications/"))
}

#[derive(Default)]
struct Members<'t, 's> {
    jsonrpc: Option<Value<'t, 's>>,
    id: Option<Value<'t, 's>>,
    method: Option<Value<'t, 's>>,
    params: Option<Value<'t, 's>>,
    result: Option<Value<'t, 's>>,
    error: Option<Value<'t, 's>>,
}

impl<'t, 's> Members<'t, 's> {
    /// The members that decide, and the name of one that stands twice.
    fn collect(object: Value<'t, 's>) -> (Self, Option<&'static str>) {
        let mut members = Self::default();
        let mut duplicate = None;
        for (name, value) in object.members() {
            let (slot, name) = match name {
                "jsonrpc" => (&mut members.jsonrpc, "jsonrpc"),
                "id" => (&mut members.id, "id"),
                "method" => (&mut members.method, "method"),
                "params" => (&mut members.params, "params"),
                "result" => (&mut members.result, "result"),
                "error" => (&mut members.error, "error"),
                _ => continue,
            };
            if slot.replace(value).is_some() && (duplicate.is_none() || name == "id") {
                duplicate = Some(name);
            }
        }
        (members, duplicate)
    }

    fn shape(&self) -> Shape {
        let has_outcome = self.result.is_some() || self.error.is_some();
        match self.method {
            Some(method) if !(method.is_null() && has_outcome) => match self.id {
                // JSON-RPC 1.0 wrote the id that a notification lacks as `null`, and some clients still do.
                Some(id) if !(id.is_null() && is_notification(method)) => Shape::Request,
                _ => Shape::Notification,
            },
            _ if has_outcome => Shape::Answer,
            _ => Shape::Unknown,
        }
    }

    fn into_message(self, id: Option<Id<'s>>, text: &'s [u8]) -> Result<Message<'t, 's>, EnvelopeFault> {
        if self.jsonrpc.and_then(Value::as_str) != Some("2.0") {
            return Err(EnvelopeFault::Version);
        }
        match self.shape() {
            Shape::Request | Shape::Notification => self.into_call(id, text),
            Shape::Answer => self.into_response(id, text).ok_or(EnvelopeFault::Kind),
            Shape::Unknown => Err(EnvelopeFault::Kind),
        }
    }

    /// A request or a notification.
    fn into_call(self, id: Option<Id<'s>>, text: &'s [u8]) -> Result<Message<'t, 's>, EnvelopeFault> {
        let is_there = |value: Option<Value<'_, '_>>| value.is_some_and(|value| !value.is_null());
        if is_there(self.result) || is_there(self.error) {
            return Err(EnvelopeFault::Kind);
        }
        let method = self.method.and_then(Value::as_str).ok_or(EnvelopeFault::Method)?;
        let params = self.params.filter(|params| !params.is_null());
        if params.is_some_and(|params| !params.is_object()) {
            return Err(EnvelopeFault::Params);
        }
        Ok(match id {
            Some(id) => Message::Request(Request {
                id,
                method,
                params,
                text,
            }),
            None => Message::Notification(Notification { method, params, text }),
        })
    }

    /// A result needs an id; an error may lack it. If both are there, one must be `null`, which counts as absent.
    fn into_response(self, id: Option<Id<'s>>, text: &'s [u8]) -> Option<Message<'t, 's>> {
        let error = self.error.filter(|error| !error.is_null());
        let (is_error, body) = match (self.result, error) {
            (Some(result), Some(error)) if result.is_null() => (true, error),
            (Some(result), None) if id.is_some() => (false, result),
            (None, Some(error)) => (true, error),
            _ => return None,
        };
        Some(Message::Response(Response {
            id,
            is_error,
            body,
            text,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::Scratch;

    fn read(body: &str) -> String {
        let mut scratch = Scratch::new();
        let document = scratch.parse(body.as_bytes()).unwrap();
        match Message::read(document.root(), document.text()) {
            Ok(Message::Request(request)) => {
                format!(
                    "request {:?} {} {}",
                    request.id,
                    request.method,
                    request.params.is_some()
                )
            }
            Ok(Message::Notification(notification)) => {
                format!(
                    "notification {} {}",
                    notification.method,
                    notification.params.is_some()
                )
            }
            Ok(Message::Response(response)) => format!("response {:?} {}", response.id, response.is_error),
            Err(malformed) => format!("{:?} {:?}", malformed.id, malformed.fault),
        }
    }

    #[test]
    fn kinds() {
        let cases = [
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#,
                "request Signed(1) m false",
            ),
            (
                r#"{"method":"\u006d","x":[],"id":"a","jsonrpc":"2.0","params":{}}"#,
                r#"request Text("a") m true"#,
            ),
            (r#"{"jsonrpc":"2.0","method":"m"}"#, "notification m false"),
            (
                r#"{"jsonrpc":"2.0","id":1,"result":null}"#,
                "response Some(Signed(1)) false",
            ),
            (
                r#"{"jsonrpc":"2.0","id":"1","error":{}}"#,
                r#"response Some(Text("1")) true"#,
            ),
            (r#"{"jsonrpc":"2.0","error":{}}"#, "response None true"),
            (r#"{"jsonrpc":"2.0","id":null,"error":{}}"#, "response None true"),
            (
                r#"{"jsonrpc":"2.0","id":1,"result":{},"error":null}"#,
                "response Some(Signed(1)) false",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":null,"params":null,"result":null,"error":null}"#,
                "response Some(Signed(1)) false",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"result":null,"error":{}}"#,
                "response Some(Signed(1)) true",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":null}"#,
                "request Signed(1) m false",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"m","result":null,"error":null}"#,
                "request Signed(1) m false",
            ),
            (
                r#"{"jsonrpc":"2.0","method":"m","params":null}"#,
                "notification m false",
            ),
            (
                r#"{"jsonrpc":"2.0","id":null,"method":"notifications/x"}"#,
                "notification notifications/x false",
            ),
            (
                r#"{"jsonrpc":"2.0","method":"m","x":{"id":2},"id":1.0}"#,
                r#"request Verbatim("1.0") m false"#,
            ),
            (
                r#"{"jsonrpc":"2.0","method":"m","i\u0064":100000000000000000000}"#,
                r#"request Verbatim("100000000000000000000") m false"#,
            ),
            (
                r#"{"jsonrpc":"2.0","method":"m","id":1e2}"#,
                r#"request Verbatim("1e2") m false"#,
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(read(body), expected, "{body}");
        }
    }

    #[test]
    fn malformed() {
        let cases = [
            ("[]", "None NotAnObject"),
            ("1", "None NotAnObject"),
            ("{}", "None Version"),
            (
                r#"{"jsonrpc":"1.0","id":1,"method":"m"}"#,
                "Some(Signed(1)) Version",
            ),
            (
                r#"{"jsonrpc":2.0,"id":1,"method":"m"}"#,
                "Some(Signed(1)) Version",
            ),
            (r#"{"jsonrpc":"2.0","id":1}"#, "Some(Signed(1)) Kind"),
            (r#"{"jsonrpc":"2.0","result":1}"#, "None Kind"),
            (
                r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{}}"#,
                "Some(Signed(1)) Kind",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"m","result":1}"#,
                "Some(Signed(1)) Kind",
            ),
            (r#"{"jsonrpc":"2.0","id":1,"method":5}"#, "Some(Signed(1)) Method"),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":[]}"#,
                "Some(Signed(1)) Params",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"m","error":{}}"#,
                "Some(Signed(1)) Kind",
            ),
            (r#"{"jsonrpc":"2.0","id":1,"error":null}"#, "Some(Signed(1)) Kind"),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":null}"#,
                "Some(Signed(1)) Method",
            ),
            (r#"{"jsonrpc":"2.0","id":null,"result":1}"#, "None Kind"),
            (
                r#"{"jsonrpc":"2.0","id":null,"method":"m","error":null}"#,
                "None Id",
            ),
            (r#"{"jsonrpc":"2.0","id":1,"Method":"m"}"#, "Some(Signed(1)) Kind"),
            (
                r#"{"jsonrpc":"2.0","id":1,"method\u0000":"m"}"#,
                "Some(Signed(1)) Kind",
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(read(body), expected, "{body}");
        }
        for id in ["null", "1.5", "1e999", "true", "{}", "[]", "[1]"] {
            assert_eq!(
                read(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#)),
                "None Id"
            );
        }
    }

    #[test]
    fn what_is_malformed_has_a_shape() {
        for (body, shape) in [
            (r#"{"id":1,"method":"m"}"#, Shape::Request),
            (r#"{"id":null,"method":"m"}"#, Shape::Request),
            (r#"{"method":"m"}"#, Shape::Notification),
            (r#"{"jsonrpc":"2.0","method":5}"#, Shape::Notification),
            (
                r#"{"jsonrpc":"2.0","method":"m","params":[]}"#,
                Shape::Notification,
            ),
            (r#"{"id":1,"method":"m","result":{}}"#, Shape::Request),
            (r#"{"result":1}"#, Shape::Answer),
            (r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{}}"#, Shape::Answer),
            (r#"{"jsonrpc":"2.0","id":1.5,"error":{}}"#, Shape::Answer),
            (r#"{"jsonrpc":"2.0","id":1}"#, Shape::Unknown),
            ("[]", Shape::Unknown),
        ] {
            let mut scratch = Scratch::new();
            let document = scratch.parse(body.as_bytes()).unwrap();
            let read = Message::read(document.root(), document.text());
            assert_eq!(read.unwrap_err().shape, shape, "{body}");
        }
    }

    #[test]
    fn members_that_decide_stand_once() {
        let whole = r#"{"jsonrpc":"2.0","id":7,"method":"m","params":{},"other":1,"other":2"#;
        assert_eq!(read(&format!("{whole}}}")), "request Signed(7) m true");
        for (member, id) in [
            (r#""jsonrpc":"2.0""#, "Some(Signed(7))"),
            (r#""id":7"#, "None"),
            (r#""id":8"#, "None"),
            (r#""\u0069d":8"#, "None"),
            (r#""method":"m""#, "Some(Signed(7))"),
            (r#""params":{}"#, "Some(Signed(7))"),
        ] {
            let answer = read(&format!("{whole},{member}}}"));
            assert!(
                answer.starts_with(&format!("{id} Duplicate")),
                "{member}: {answer}"
            );
        }
        let twice = format!(r#"{whole},"method":"x","id":8}}"#);
        assert_eq!(read(&twice), r#"None Duplicate("id")"#);
    }
}
