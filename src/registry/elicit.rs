//! Asking the user: by a form, or by sending them to a URL (MCP, Elicitation).
//!
//! A form's properties are flat; [`form_schema`] keeps them so. The answer is held to the form's schema before
//! a tool sees it. Never ask for secrets by a form; that is what URLs are for.

use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::capabilities::ClientCapabilities;
use super::form_schema;
use super::property::Property;
use super::question::{Question, QuestionMethod, QuestionRequest};
use super::registration::is_absolute_uri;
use super::schema::{self, OutputSchema};

/// A form for the client's user. The answer's content is a `T`.
#[derive(Debug, Clone)]
pub struct Elicit<T = Value> {
    message: String,
    schema: Result<Value, String>,
    content: PhantomData<fn() -> T>,
}

/// What the user did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ElicitAnswer<T = Value> {
    /// Filled the form in, or agreed to open the URL.
    Accept(T),
    /// Refused.
    Decline,
    /// Went away without a choice.
    Cancel,
}

impl<T> ElicitAnswer<T> {
    /// What was accepted, if it was.
    pub fn accepted(self) -> Option<T> {
        match self {
            Self::Accept(content) => Some(content),
            Self::Decline | Self::Cancel => None,
        }
    }
}

impl Elicit {
    /// A form without properties yet; the answer's content is a JSON object.
    pub fn form(message: impl Into<String>) -> Elicit {
        Elicit::of(
            message,
            Ok(json!({"type": "object", "properties": {}, "required": []})),
        )
    }

    /// A form with a property for each member of `T`, which must be flat: texts, numbers, booleans, choices (enums
    /// without data) and lists of choices. `Option`s need not be filled in.
    pub fn typed<T: DeserializeOwned + JsonSchema>(message: impl Into<String>) -> Elicit<T> {
        Elicit::of(message, form_schema::flat(&schema::of_input::<T>()))
    }

    /// Sends the user to `url`, an absolute one (since 2025-11-25). That the user has agreed to open it does not mean
    /// that anything has happened there, nor that it was this user.
    pub fn url(message: impl Into<String>, url: impl Into<String>) -> UrlElicit {
        UrlElicit {
            message: message.into(),
            url: url.into(),
            id: random_id(),
        }
    }

    /// Adds a property, or changes the one of this name.
    pub fn property(mut self, name: impl Into<String>, property: Property) -> Self {
        if let Ok(schema) = &mut self.schema {
            let name = name.into();
            if let Some(Value::Array(required)) = schema.get_mut("required") {
                required.retain(|other| *other != name.as_str());
                if !property.is_optional {
                    required.push(json!(name));
                }
            }
            schema["properties"][name] = Value::Object(property.schema);
        }
        self
    }

    /// The form's whole schema, written by hand, instead of properties one by one.
    pub fn schema(mut self, schema: Value) -> Self {
        self.schema = Ok(schema);
        self
    }
}

impl<T> Elicit<T> {
    fn of(message: impl Into<String>, schema: Result<Value, String>) -> Self {
        Self {
            message: message.into(),
            schema,
            content: PhantomData,
        }
    }
}

impl<T: DeserializeOwned> Question for Elicit<T> {
    type Answer = ElicitAnswer<T>;

    fn needs(&self) -> ClientCapabilities {
        ClientCapabilities::ELICITATION_FORM
    }

    fn request(&self, _: ClientCapabilities) -> QuestionRequest {
        let mut requested = self.schema.clone().unwrap_or_else(|_| json!({}));
        if let Some(members) = requested.as_object_mut()
            && members.get("required").is_some_and(|names| *names == json!([]))
        {
            members.shift_remove("required");
        }
        QuestionRequest {
            method: QuestionMethod::Elicit,
            params: json!({"mode": "form", "message": self.message, "requestedSchema": requested}),
        }
    }

    fn read(&self, answer: Value) -> Result<ElicitAnswer<T>, String> {
        let mut content = match read_action(answer)? {
            ElicitAnswer::Accept(content) => content,
            ElicitAnswer::Decline => return Ok(ElicitAnswer::Decline),
            ElicitAnswer::Cancel => return Ok(ElicitAnswer::Cancel),
        };
        // What was left blank comes as `null` from some clients.
        content.retain(|_, value| !value.is_null());
        let content = Value::Object(content);
        let schema = self.schema.as_ref().map_err(String::clone)?;
        let compiled = OutputSchema::compile(schema).map_err(|error| error.to_string())?;
        if let Some(violations) = compiled.violations(&content) {
            return Err(format!("the form's content does not match: {violations}"));
        }
        serde_json::from_value(content)
            .map(ElicitAnswer::Accept)
            .map_err(|error| format!("the form's content does not match: {error}"))
    }

    fn check(&self) -> Result<(), String> {
        let schema = self.schema.as_ref().map_err(String::clone)?;
        form_schema::check(schema)
    }
}

/// A URL for the client's user to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlElicit {
    message: String,
    url: String,
    id: String,
}

impl UrlElicit {
    /// What [`CallContext::elicitation_complete`](super::CallContext::elicitation_complete) tells the client
    /// (2025-11-25). Random, and new for each question.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl Question for UrlElicit {
    type Answer = ElicitAnswer<()>;

    fn needs(&self) -> ClientCapabilities {
        ClientCapabilities::ELICITATION_URL
    }

    /// With an `elicitationId`, which revisions other than 2025-11-25 do not have.
    fn request(&self, _: ClientCapabilities) -> QuestionRequest {
        let params = json!({
            "mode": "url",
            "message": self.message,
            "url": self.url,
            "elicitationId": self.id,
        });
        QuestionRequest {
            method: QuestionMethod::Elicit,
            params,
        }
    }

    fn read(&self, answer: Value) -> Result<ElicitAnswer<()>, String> {
        Ok(match read_action(answer)? {
            ElicitAnswer::Accept(_) => ElicitAnswer::Accept(()),
            ElicitAnswer::Decline => ElicitAnswer::Decline,
            ElicitAnswer::Cancel => ElicitAnswer::Cancel,
        })
    }

    fn check(&self) -> Result<(), String> {
        match (is_absolute_uri(&self.url), self.id.is_empty()) {
            (true, false) => Ok(()),
            (false, _) => Err(format!("{:?} is not an absolute URL", self.url)),
            (true, true) => Err("the system gave no random bytes for an id".to_owned()),
        }
    }
}

/// An `ElicitResult`; no content is an empty one.
fn read_action(answer: Value) -> Result<ElicitAnswer<Map<String, Value>>, String> {
    #[derive(Deserialize)]
    struct Given {
        action: Action,
        content: Option<Map<String, Value>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Action {
        Accept,
        Decline,
        Cancel,
    }
    let given: Given = serde_json::from_value(answer)
        .map_err(|error| format!("the answer is no elicitation result: {error}"))?;
    Ok(match given.action {
        Action::Accept => ElicitAnswer::Accept(given.content.unwrap_or_default()),
        Action::Decline => ElicitAnswer::Decline,
        Action::Cancel => ElicitAnswer::Cancel,
    })
}

/// 128 random bits in hexadecimal; empty if the system has none.
fn random_id() -> String {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        Err(_) => String::new(),
    }
}
