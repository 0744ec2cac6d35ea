//! What kind of JSON-RPC message an object is.
//!
//! Member names are compared byte for byte after unescaping. The members that decide (`jsonrpc`, `id`,
//! `method`, `params`, `result`, `error`) may stand once each; others are ignored. Ids are strings or integers
//! (MCP forbids `null`), `params` is an object (MCP has no positional parameters).
//! Specification: JSON-RPC 2.0 sections 4 and 5; MCP, base protocol, messages.

use simd_json::prelude::*;
use simd_json::tape;

use super::id::Id;
use super::scratch::Value;

/// One message of any kind.
#[derive(Clone, Copy, Debug)]
pub enum Message<'t, 's> {
    /// Wants an answer.
    Request(Request<'t, 's>),
    /// Wants none.
    Notification(Notification<'t, 's>),
    /// Answers a request of ours.
    Response(Response<'s>),
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
pub struct Response<'s> {
    /// Absent only in an error about a request whose id could not be read.
    pub id: Option<Id<'s>>,
    /// Whether it carries an error.
    pub is_error: bool,
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
        let object = value.as_object().ok_or(Malformed {
            id: None,
            fault: EnvelopeFault::NotAnObject,
        })?;
        let members = Members::collect(&object)?;
        let id = match members.id {
            None => None,
            Some(value) => Some(read_id(value).ok_or(Malformed {
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
    fn collect(object: &tape::Object<'t, 's>) -> Result<Self, Malformed<'s>> {
        let mut members = Self::default();
        let mut duplicate = None;
        for (name, value) in object.iter() {
            let (slot, name) = match name {
                "jsonrpc" => (&mut members.jsonrpc, "jsonrpc"),
                "id" => (&mut members.id, "id"),
                "method" => (&mut members.method, "method"),
                "params" => (&mut members.params, "params"),
                "result" => (&mut members.result, "result"),
                "error" => (&mut members.error, "error"),
                _ => continue,
            };
            if slot.replace(value).is_some() {
                duplicate = duplicate.or(Some(name));
                if name == "id" {
                    duplicate = Some("id");
                }
            }
        }
        match duplicate {
            None => Ok(members),
            Some(name) => Err(Malformed {
                id: members.id.filter(|_| name != "id").and_then(read_id),
                fault: EnvelopeFault::Duplicate(name),
            }),
        }
    }

    fn into_message(self, id: Option<Id<'s>>) -> Result<Message<'t, 's>, EnvelopeFault> {
        if self.jsonrpc.and_then(|value| value.into_string()) != Some("2.0") {
            return Err(EnvelopeFault::Version);
        }
        match (self.method, self.result, self.error) {
            (Some(method), None, None) => {
                let method = method.into_string().ok_or(EnvelopeFault::Method)?;
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
            (None, Some(_), None) if id.is_some() => Ok(Message::Response(Response { id, is_error: false })),
            (None, None, Some(_)) => Ok(Message::Response(Response { id, is_error: true })),
            _ => Err(EnvelopeFault::Kind),
        }
    }
}

fn read_id<'s>(value: Value<'_, 's>) -> Option<Id<'s>> {
    if let Some(text) = value.into_string() {
        return Some(Id::Text(text));
    }
    // Never a float: `1.0` and `1e2` are refused, as nobody could echo them as they came.
    match value.value_type() {
        ValueType::I64 => value.as_i64().map(Id::Signed),
        ValueType::U64 => value
            .as_i64()
            .map(Id::Signed)
            .or_else(|| value.as_u64().map(Id::Unsigned)),
        _ => None,
    }
}
