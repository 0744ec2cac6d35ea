//! Questions to the user: by a form, or by sending them to a URL (MCP, Elicitation).
//!
//! The properties of a form are flat; [`form_schema`] keeps them so. The answer is checked against the form's schema
//! before a tool sees it. Never ask for secrets by a form; that is what URLs are for.

use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::capabilities::ClientCapabilities;
use super::form_schema;
use super::property::Property;
use super::question::{Question, QuestionMethod, QuestionRequest};
use super::tool_error::ToolError;
use crate::registry::schemas::schema::{self, OutputSchema};
use crate::registry::uri::is_absolute_uri;

/// A form for the client's user. The answer's content is a `T`.
#[derive(Debug, Clone)]
pub struct Elicit<T = Value> {
    message: String,
    schema: Result<Value, String>,
    content: PhantomData<fn() -> T>,
}

/// The user's action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ElicitAnswer<T = Value> {
    /// The user filled the form in, or agreed to open the URL.
    Accept(T),
    /// The user refused.
    Decline,
    /// The user went away without a choice.
    Cancel,
}

impl<T> ElicitAnswer<T> {
    /// The accepted content, if the user accepted.
    pub fn accepted(self) -> Option<T> {
        match self {
            Self::Accept(content) => Some(content),
            Self::Decline | Self::Cancel => None,
        }
    }
}

impl Elicit {
    /// A form that has no properties yet; the answer's content is a JSON object.
    pub fn form(message: impl Into<String>) -> Elicit {
        Elicit::of(
            message,
            Ok(json!({"type": "object", "properties": {}, "required": []})),
        )
    }

    /// A form with a property for each member of `T`, which must be flat: strings, numbers, booleans, choices (enums
    /// without data) and lists of choices. The user may leave `Option`s blank.
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
        // Some clients send `null` for a property that was left blank.
        content.retain(|_, value| !value.is_null());
        content.values_mut().for_each(write_whole_as_integer);
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
    /// The id for [`CallContext::elicitation_complete`](crate::CallContext::elicitation_complete) (2025-11-25). It is
    /// random, and new for each question.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl Question for UrlElicit {
    type Answer = ElicitAnswer<()>;

    fn needs(&self) -> ClientCapabilities {
        ClientCapabilities::ELICITATION_URL
    }

    /// The request has an `elicitationId`, which revisions other than 2025-11-25 do not have.
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
        if !is_absolute_uri(&self.url) {
            Err(format!("{:?} is not an absolute URL", self.url))
        } else if self.id.is_empty() {
            Err("the system gave no random bytes for an id".to_owned())
        } else {
            Ok(())
        }
    }
}

impl ToolError {
    /// The error that the user has to open these URLs first. Other revisions than 2025-11-25 have no such error: a tool
    /// does better to ask with [`Elicit::url`](crate::Elicit::url) where the client can be asked.
    pub fn url_elicitation_required(places: impl IntoIterator<Item = UrlElicit>) -> Self {
        let requests = places
            .into_iter()
            .map(|place| place.request(ClientCapabilities::NONE));
        Self::UrlElicitationRequired(requests.collect())
    }
}

/// Reads an `ElicitResult`; missing content counts as empty.
fn read_action(answer: Value) -> Result<ElicitAnswer<Map<String, Value>>, String> {
    #[derive(Deserialize)]
    struct Reply {
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
    let given: Reply = serde_json::from_value(answer)
        .map_err(|error| format!("the answer is not an elicitation result: {error}"))?;
    Ok(match given.action {
        Action::Accept => ElicitAnswer::Accept(given.content.unwrap_or_default()),
        Action::Decline => ElicitAnswer::Decline,
        Action::Cancel => ElicitAnswer::Cancel,
    })
}

/// Writes whole numbers that are exact as a double as integers: `5.0` is an integer to JSON Schema, though not to
/// serde_json.
fn write_whole_as_integer(value: &mut Value) {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let Some(number) = value.as_f64().filter(|_| value.is_f64()) else {
        return;
    };
    if number.fract() == 0.0 && number.abs() <= EXACT_MAX {
        *value = Value::from(number as i64);
    }
}

/// 128 random bits in hexadecimal; empty if the system has none.
fn random_id() -> String {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::property::TextFormat;
    use super::*;
    use crate::registry::specification::assert_matches;

    /// A form with every shape that a property can have.
    fn whole_form() -> Elicit {
        let colours = [("r", "Red"), ("g", "Green")];
        Elicit::form("Tell me all.")
            .property(
                "name",
                Property::string()
                    .title("Name")
                    .description("Yours.")
                    .min_length(2)
                    .max_length(5)
                    .default("Ada"),
            )
            .property("mail", Property::string().format(TextFormat::Email).optional())
            .property("site", Property::string().format(TextFormat::Uri).optional())
            .property("day", Property::string().format(TextFormat::Date).optional())
            .property(
                "moment",
                Property::string().format(TextFormat::DateTime).optional(),
            )
            .property("age", Property::integer().minimum(0).maximum(150).default(30))
            .property(
                "score",
                Property::number()
                    .minimum(0.5)
                    .maximum(9.5)
                    .default(1.5)
                    .optional(),
            )
            .property("sure", Property::boolean().default(true))
            .property("one", Property::choice(["a", "b"]).default("a").optional())
            .property("titled", Property::titled_choice(colours).default("g").optional())
            .property("named", Property::named_choice(colours).default("r").optional())
            .property(
                "some",
                Property::choices(["a", "b", "c"])
                    .min_items(1)
                    .max_items(2)
                    .default(vec!["a"])
                    .optional(),
            )
            .property("tints", Property::titled_choices(colours).optional())
    }

    fn read<Q: Question>(question: &Q, answer: Value) -> Result<Q::Answer, String> {
        question.check().unwrap();
        question.read(answer)
    }

    fn accept(content: Value) -> Value {
        json!({"action": "accept", "content": content})
    }

    #[test]
    fn every_shape_is_the_specifications() {
        let form = whole_form();
        assert_eq!(form.check(), Ok(()));
        let request = form.request(ClientCapabilities::NONE);
        assert_eq!(request.method, QuestionMethod::Elicit);
        for revision in ["2025-11-25", "2026-07-28"] {
            assert_matches(revision, "ElicitRequestFormParams", &request.params);
            let one = json!({"method": request.method.as_str(), "params": request.params});
            if revision == "2026-07-28" {
                assert_matches(revision, "InputRequest", &one);
            }
            // Each is checked as the shape it is meant to be: the union would take some of them for another.
            for (name, shape) in [
                ("name", "StringSchema"),
                ("mail", "StringSchema"),
                ("moment", "StringSchema"),
                ("age", "NumberSchema"),
                ("score", "NumberSchema"),
                ("sure", "BooleanSchema"),
                ("one", "UntitledSingleSelectEnumSchema"),
                ("titled", "TitledSingleSelectEnumSchema"),
                ("named", "LegacyTitledEnumSchema"),
                ("some", "UntitledMultiSelectEnumSchema"),
                ("tints", "TitledMultiSelectEnumSchema"),
            ] {
                assert_matches(
                    revision,
                    shape,
                    &request.params["requestedSchema"]["properties"][name],
                );
            }
        }
        let requested = &request.params["requestedSchema"];
        assert_eq!(requested["required"], json!(["name", "age", "sure"]));
        assert_eq!(requested["properties"]["name"]["default"], "Ada");
        assert_eq!(
            requested["properties"]["named"]["enumNames"],
            json!(["Red", "Green"])
        );
        assert_eq!(
            requested["properties"]["tints"]["items"]["anyOf"][1]["title"],
            "Green"
        );
    }

    #[test]
    fn a_form_without_properties_is_one() {
        let request = Elicit::form("Go on?").request(ClientCapabilities::NONE);
        let expected = json!({"type": "object", "properties": {}});
        assert_eq!(request.params["requestedSchema"], expected);
        let answer = read(&Elicit::form("Go on?"), json!({"action": "accept"}));
        assert_eq!(answer, Ok(ElicitAnswer::Accept(json!({}))));
    }

    #[test]
    fn answers_are_held_to_the_form() {
        let form = whole_form();
        let least = json!({"name": "Ada", "age": 36, "sure": false});
        assert_eq!(
            read(&form, accept(least.clone())),
            Ok(ElicitAnswer::Accept(least.clone()))
        );
        let mut blank = least.clone();
        blank["mail"] = Value::Null;
        assert_eq!(
            read(&form, accept(blank)),
            Ok(ElicitAnswer::Accept(least.clone()))
        );
        // A whole number is an integer, however it is written.
        let mut whole = least.clone();
        whole["age"] = json!(36.0);
        assert_eq!(
            read(&form, accept(whole)),
            Ok(ElicitAnswer::Accept(least.clone()))
        );
        for (name, wrong) in [
            ("name", json!("A")),
            ("name", json!("Adalbert")),
            ("name", json!(3)),
            ("name", Value::Null),
            ("age", json!(151)),
            ("age", json!(1.5)),
            ("score", json!(0.25)),
            ("sure", json!("yes")),
            ("one", json!("c")),
            ("titled", json!("Red")),
            ("named", json!("x")),
            ("some", json!([])),
            ("some", json!(["a", "b", "c"])),
            ("some", json!(["d"])),
            ("tints", json!("r")),
            ("tints", json!(["x"])),
        ] {
            let mut content = least.clone();
            content[name] = wrong.clone();
            let refused = read(&form, accept(content)).expect_err(name);
            assert!(
                refused.starts_with("the form's content does not match"),
                "{refused}"
            );
        }
        for no_answer in [
            json!(null),
            json!({}),
            json!({"action": "ok"}),
            accept(json!([1])),
        ] {
            assert!(read(&form, no_answer.clone()).is_err(), "{no_answer}");
        }
        assert_eq!(
            read(&form, json!({"action": "decline"})),
            Ok(ElicitAnswer::Decline)
        );
        let left = json!({"action": "cancel", "content": {}});
        assert_eq!(read(&form, left), Ok(ElicitAnswer::Cancel));
    }

    #[test]
    fn a_property_may_change_its_mind() {
        let form = Elicit::form("?")
            .property("a", Property::string())
            .property("a", Property::boolean().optional());
        let requested = form.request(ClientCapabilities::NONE).params["requestedSchema"].clone();
        assert_eq!(
            requested,
            json!({"type": "object", "properties": {"a": {"type": "boolean"}}})
        );
    }

    #[test]
    fn forms_that_no_client_can_show_are_their_authors_fault() {
        let nested = json!({"type": "object", "properties": {"a": {"type": "object"}}});
        let patterned = json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "x"}}});
        let untitled = json!({"type": "object", "properties": {"a": {"oneOf": [{"const": "x"}]}}});
        let unknown = json!({"type": "object", "properties": {}, "required": ["a"]});
        for wrong in [
            json!(null),
            json!({}),
            json!({"type": "array"}),
            json!({"type": "object", "oneOf": [{"type": "object", "properties": {"a": {"type": "string"}}}]}),
            nested,
            patterned,
            untitled,
            unknown,
        ] {
            assert!(
                Elicit::form("?").schema(wrong.clone()).check().is_err(),
                "{wrong}"
            );
        }
        for (property, words) in [
            (Property::string().minimum(1), "cannot have this \"minimum\""),
            (
                Property::integer().min_length(1),
                "cannot have this \"minLength\"",
            ),
            (
                Property::choice(["a"]).format(TextFormat::Date),
                "cannot have this \"format\"",
            ),
            (Property::number().maximum("many"), "many"),
        ] {
            let fault = Elicit::form("?").property("a", property).check().unwrap_err();
            assert!(fault.contains(words), "{fault}");
        }
        let fine = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]});
        assert_eq!(Elicit::form("?").schema(fine).check(), Ok(()));
    }

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Colour {
        /// The warm one.
        Red,
        Green,
    }

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    enum Size {
        S,
        L,
    }

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    struct Order {
        /// The person who orders.
        #[schemars(length(min = 1))]
        name: String,
        /// The number of pieces.
        #[schemars(range(max = 9))]
        count: u8,
        price: f64,
        gift: Option<bool>,
        colour: Colour,
        size: Option<Size>,
        also: Vec<Colour>,
    }

    #[test]
    fn a_type_becomes_a_flat_form() {
        let form = Elicit::typed::<Order>("What?");
        assert_eq!(form.check(), Ok(()));
        let request = form.request(ClientCapabilities::NONE);
        for revision in ["2025-11-25", "2026-07-28"] {
            assert_matches(revision, "ElicitRequestFormParams", &request.params);
        }
        // Variants without a description come first in derived schemas.
        let colours =
            json!([{"const": "green", "title": "green"}, {"const": "red", "title": "The warm one."}]);
        let requested = &request.params["requestedSchema"];
        let expected = json!({
            "type": "object",
            "properties": {
                "name": {"type": "string", "description": "The person who orders.", "minLength": 1},
                "count": {"type": "integer", "description": "The number of pieces.", "minimum": 0, "maximum": 9},
                "price": {"type": "number"},
                "gift": {"type": "boolean"},
                "colour": {"type": "string", "oneOf": colours},
                "size": {"type": "string", "enum": ["S", "L"]},
                "also": {"type": "array", "items": {"anyOf": colours}},
            },
            "required": ["name", "count", "price", "colour", "also"],
        });
        assert_eq!(*requested, expected);
        let content = json!({"name": "Ada", "count": 2, "price": 3, "colour": "red", "also": ["green"]});
        let order = Order {
            name: "Ada".to_owned(),
            count: 2,
            price: 3.0,
            gift: None,
            colour: Colour::Red,
            size: None,
            also: vec![Colour::Green],
        };
        assert_eq!(read(&form, accept(content)).unwrap().accepted(), Some(order));
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    struct Deep {
        #[expect(dead_code, reason = "only its schema matters")]
        inner: Order,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    struct Endless {
        #[expect(dead_code, reason = "only its schema matters")]
        next: Option<Box<Endless>>,
    }

    #[test]
    fn a_type_that_is_not_flat_cannot_be_asked_for() {
        let deep = Elicit::typed::<Deep>("?").check();
        assert!(deep.unwrap_err().contains("\"inner\""));
        assert!(Elicit::typed::<Endless>("?").check().is_err());
        assert!(Elicit::typed::<String>("?").check().is_err());
        assert!(
            Elicit::typed::<std::collections::BTreeMap<String, Vec<String>>>("?")
                .check()
                .is_ok()
        );
        let endless = json!({
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/a"}},
            "$defs": {"a": {"$ref": "#/$defs/a"}},
        });
        assert!(form_schema::flat(&endless).is_err());
    }

    #[test]
    fn urls_have_an_id_of_their_own() {
        let place = Elicit::url("Sign in.", "https://example.com/login?x=1");
        assert_eq!(place.check(), Ok(()));
        assert_ne!(place.id(), Elicit::url("Sign in.", "https://example.com/").id());
        assert_eq!(place.id().len(), 32);
        let request = place.request(ClientCapabilities::NONE);
        assert_matches("2025-11-25", "ElicitRequestURLParams", &request.params);
        assert_eq!(request.params["elicitationId"], place.id());
        assert_eq!(place.needs(), ClientCapabilities::ELICITATION_URL);
        assert_eq!(
            read(&place, json!({"action": "accept"})),
            Ok(ElicitAnswer::Accept(()))
        );
        assert_eq!(
            read(&place, json!({"action": "decline"})),
            Ok(ElicitAnswer::Decline)
        );
        assert!(read(&place, json!("accept")).is_err());
        for wrong in ["", "example.com", "https://exa mple.com", "/login"] {
            assert!(Elicit::url("Sign in.", wrong).check().is_err(), "{wrong}");
        }
    }
}
