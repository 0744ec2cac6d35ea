//! The properties of a form, in all shapes that clients know (MCP: `PrimitiveSchemaDefinition`).

use serde_json::{Map, Value, json};

/// One property of a form. It has to be filled in unless it is [`optional`](Property::optional).
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    pub(in crate::registry) schema: Map<String, Value>,
    pub(super) is_optional: bool,
}

/// The format of a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextFormat {
    /// An e-mail address.
    Email,
    /// A URI.
    Uri,
    /// `2026-07-28`.
    Date,
    /// `2026-07-28T12:00:00Z`.
    DateTime,
}

impl TextFormat {
    /// The name in JSON Schema.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Uri => "uri",
            Self::Date => "date",
            Self::DateTime => "date-time",
        }
    }
}

impl Property {
    /// A string.
    pub fn string() -> Self {
        Self::of("string")
    }

    /// A number.
    pub fn number() -> Self {
        Self::of("number")
    }

    /// A whole number.
    pub fn integer() -> Self {
        Self::of("integer")
    }

    /// A boolean.
    pub fn boolean() -> Self {
        Self::of("boolean")
    }

    /// One of these values.
    pub fn choice<V: Into<String>>(values: impl IntoIterator<Item = V>) -> Self {
        Self::of("string").with("enum", texts(values))
    }

    /// One of these values, each with a title for people (since 2025-11-25).
    pub fn titled_choice<V: Into<String>, T: Into<String>>(values: impl IntoIterator<Item = (V, T)>) -> Self {
        Self::of("string").with("oneOf", titled(values))
    }

    /// The same as clients up to 2025-06-18 read it: `enum` with `enumNames`.
    pub fn named_choice<V: Into<String>, T: Into<String>>(values: impl IntoIterator<Item = (V, T)>) -> Self {
        let (values, names): (Vec<String>, Vec<String>) = values
            .into_iter()
            .map(|(value, name)| (value.into(), name.into()))
            .unzip();
        Self::choice(values).with("enumNames", texts(names))
    }

    /// Any number of these values (since 2025-11-25).
    pub fn choices<V: Into<String>>(values: impl IntoIterator<Item = V>) -> Self {
        Self::of("array").with("items", json!({"type": "string", "enum": texts(values)}))
    }

    /// Any number of these values, each with a title for people (since 2025-11-25).
    pub fn titled_choices<V: Into<String>, T: Into<String>>(
        values: impl IntoIterator<Item = (V, T)>,
    ) -> Self {
        Self::of("array").with("items", json!({"anyOf": titled(values)}))
    }

    /// The user may leave it blank.
    pub fn optional(mut self) -> Self {
        self.is_optional = true;
        self
    }

    /// The name for people.
    pub fn title(self, title: impl Into<String>) -> Self {
        self.with("title", title.into())
    }

    /// The meaning of the property.
    pub fn description(self, description: impl Into<String>) -> Self {
        self.with("description", description.into())
    }

    /// The value that the form shows at first: a string, number or boolean; for several choices an array.
    pub fn default(self, value: impl Into<Value>) -> Self {
        self.with("default", value)
    }

    /// The format of a string. Clients may check it; the server does not.
    pub fn format(self, format: TextFormat) -> Self {
        self.with("format", format.as_str())
    }

    /// A string's least length in characters.
    pub fn min_length(self, chars: u32) -> Self {
        self.with("minLength", chars)
    }

    /// A string's greatest length in characters.
    pub fn max_length(self, chars: u32) -> Self {
        self.with("maxLength", chars)
    }

    /// The least number.
    pub fn minimum(self, number: impl Into<Value>) -> Self {
        self.with("minimum", number)
    }

    /// The greatest number.
    pub fn maximum(self, number: impl Into<Value>) -> Self {
        self.with("maximum", number)
    }

    /// The least number of choices.
    pub fn min_items(self, items: u32) -> Self {
        self.with("minItems", items)
    }

    /// The greatest number of choices.
    pub fn max_items(self, items: u32) -> Self {
        self.with("maxItems", items)
    }

    fn of(kind: &str) -> Self {
        let property = Self {
            schema: Map::new(),
            is_optional: false,
        };
        property.with("type", kind)
    }

    fn with(mut self, keyword: &str, value: impl Into<Value>) -> Self {
        self.schema.insert(keyword.to_owned(), value.into());
        self
    }
}

fn texts<V: Into<String>>(values: impl IntoIterator<Item = V>) -> Value {
    values.into_iter().map(Into::into).map(Value::String).collect()
}

fn titled<V: Into<String>, T: Into<String>>(values: impl IntoIterator<Item = (V, T)>) -> Value {
    let one = |(value, title): (V, T)| json!({"const": value.into(), "title": title.into()});
    values.into_iter().map(one).collect()
}
