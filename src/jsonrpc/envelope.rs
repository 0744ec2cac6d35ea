//! What kind of JSON-RPC message an object is.
//!
//! Member names are compared byte for byte after unescaping. The members that decide (`jsonrpc`, `id`,
//! `method`, `params`, `result`, `error`) may stand once each; others are ignored. Ids are strings or integers
//! (MCP forbids `null`), `params` is an object (MCP has no positional parameters).
//! Specification: JSON-RPC 2.0 sections 4 and 5; MCP, base protocol, messages.

use super::id::Id;
use super::value::Value;

/// One message of any kind.
#[derive(Clone, Copy, Debug)]
pub enum Message<'t, 's> {
    /// Wants an answer.
    Request(Request<'t, 's>),
    /// Wants none.
    Notification(Notification<'t, 's>),
    /// Answers a request of ours.
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
}

/// A message with a method and no id.
#[derive(Clone, Copy, Debug)]
pub struct Notification<'t, 's> {
    /// The method, unescaped.
    pub method: &'s str,
    /// The parameters, always an object.
    pub params: Option<Value<'t, 's>>,
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
}

/// An object, or another value, that is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed<'s> {
    /// The id, where one could be read without doubt.
    pub id: Option<Id<'s>>,
    /// What is wrong.
    pub fault: EnvelopeFault,
}

/// What is wrong with a malformed message.
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
    /// The id is neither a string nor an integer of 64 bits.
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

impl<'t, 's> Message<'t, 's> {
    /// Reads one message. Allocates nothing; linear in the number of top-level members.
    ///
    /// # Errors
    /// When `value` is no JSON-RPC 2.0 message as MCP wants them.
    pub fn read(value: Value<'t, 's>) -> Result<Self, Malformed<'s>> {
        if !value.is_object() {
            let fault = EnvelopeFault::NotAnObject;
            return Err(Malformed { id: None, fault });
        }
        let members = Members::collect(value)?;
        let id = match members.id {
            None => None,
            Some(value) => Some(value.as_id().ok_or(Malformed {
                id: None,
                fault: EnvelopeFault::Id,
            })?),
        };
        members.into_message(id).map_err(|fault| Malformed { id, fault })
    }
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
    fn collect(object: Value<'t, 's>) -> Result<Self, Malformed<'s>> {
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
            // Two ids outweigh other faults: the answer may carry neither.
            if slot.replace(value).is_some() && (duplicate.is_none() || name == "id") {
                duplicate = Some(name);
            }
        }
        match duplicate {
            None => Ok(members),
            Some(name) => Err(Malformed {
                id: members.id.filter(|_| name != "id").and_then(Value::as_id),
                fault: EnvelopeFault::Duplicate(name),
            }),
        }
    }

    fn into_message(self, id: Option<Id<'s>>) -> Result<Message<'t, 's>, EnvelopeFault> {
        if self.jsonrpc.and_then(Value::as_str) != Some("2.0") {
            return Err(EnvelopeFault::Version);
        }
        match (self.method, self.result, self.error) {
            (Some(method), None, None) => {
                let method = method.as_str().ok_or(EnvelopeFault::Method)?;
                let params = match self.params {
                    None => None,
                    Some(value) if value.is_object() => Some(value),
                    Some(_) => return Err(EnvelopeFault::Params),
                };
                Ok(match id {
                    Some(id) => Message::Request(Request { id, method, params }),
                    None => Message::Notification(Notification { method, params }),
                })
            }
            (None, Some(body), None) if id.is_some() => Ok(Message::Response(Response {
                id,
                is_error: false,
                body,
            })),
            (None, None, Some(body)) => Ok(Message::Response(Response {
                id,
                is_error: true,
                body,
            })),
            _ => Err(EnvelopeFault::Kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::Scratch;

    fn read(body: &str) -> String {
        let mut scratch = Scratch::new();
        let document = scratch.parse(body.as_bytes()).unwrap();
        match Message::read(document.root()) {
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
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":null}"#,
                "Some(Signed(1)) Params",
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
        for id in ["null", "1.5", "1.0", "1e2", "true", "{}", "[]", "[1]"] {
            assert_eq!(
                read(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#)),
                "None Id"
            );
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
