//! Tools whose schemas are the point: one written by hand that uses much of JSON Schema 2020-12, one whose arguments
//! travel in HTTP headers too, one with a structured result, and one with every kind of optional argument.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use weir::{CallContext, RegistryBuilder, RegistryError, Structured, Tool, UnknownArguments};

#[derive(Deserialize, JsonSchema)]
struct Routed {
    /// Where the call should go; proxies can read it from the header `Mcp-Param-Region`.
    #[schemars(extend("x-mcp-header" = "Region"))]
    region: String,
    /// How urgent it is.
    #[schemars(extend("x-mcp-header" = "Priority"), range(min = 0, max = 9))]
    #[serde(default)]
    priority: i64,
    /// Whether it only counts as a try.
    #[schemars(extend("x-mcp-header" = "Dry-Run"))]
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize, JsonSchema)]
struct Numbers {
    /// What to add up.
    #[schemars(length(max = 1_000))]
    numbers: Vec<f64>,
}

#[derive(Serialize, JsonSchema)]
struct Sum {
    /// Of all numbers.
    sum: f64,
    /// How many there were.
    count: usize,
}

/// Everything that may be left out.
#[derive(Deserialize, JsonSchema)]
struct Query {
    /// Text in the title.
    text: Option<String>,
    /// In one of these states.
    states: Option<Vec<State>>,
    /// Who works on it.
    assigned: Option<Assigned>,
    order: Option<Order>,
    /// Two numbers: from, and to.
    numbers: Option<(u32, u32)>,
    /// Values of fields by their names.
    #[serde(default)]
    fields: BTreeMap<String, Option<String>>,
    /// How many at most.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 100))]
    limit: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// To be done.
    Open,
    /// Done, or not to be done.
    Closed,
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "to", rename_all = "lowercase")]
enum Assigned {
    Nobody,
    User {
        /// The user's name.
        name: String,
        /// Whether the user's team counts too.
        team: Option<bool>,
    },
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Order {
    Number,
    Title,
}

fn ten() -> u8 {
    10
}

pub(crate) fn register(registry: &mut RegistryBuilder) -> Result<(), RegistryError> {
    registry.add(
        Tool::new("json_schema_2020_12_tool")
            .description("Tool with JSON Schema 2020-12 features")
            .input_schema(contact_schema())
            .run(|_: CallContext, contact: Value| async move { Ok(format!("A contact: {contact}")) }),
    )?;
    registry.add(
        Tool::new("test_param_headers")
            .description("Its arguments are repeated in headers, for proxies that route by them.")
            .read_only()
            .run(|_: CallContext, args: Routed| async move {
                let mode = if args.dry_run { "a try" } else { "meant" };
                Ok(format!(
                    "To {} with priority {}, {mode}",
                    args.region, args.priority
                ))
            }),
    )?;
    registry.add(
        Tool::new("test_structured_content")
            .description("Adds numbers up and answers with a structured result.")
            .read_only()
            .idempotent()
            .run(|_: CallContext, args: Numbers| async move {
                Ok(Structured(Sum {
                    sum: args.numbers.iter().sum(),
                    count: args.numbers.len(),
                }))
            }),
    )?;
    registry.add(
        Tool::new("test_optional_arguments")
            .description("Says what it would look for. Everything may be left out.")
            .read_only()
            .idempotent()
            .unknown_arguments(UnknownArguments::Refuse)
            .run(|_: CallContext, query: Query| async move { Ok(described(&query)) }),
    )?;
    Ok(())
}

fn described(query: &Query) -> String {
    let of = |assigned: &Assigned| match assigned {
        Assigned::Nobody => "nobody".to_owned(),
        Assigned::User {
            name,
            team: Some(true),
        } => format!("the team of {name}"),
        Assigned::User { name, .. } => name.clone(),
    };
    let Query {
        text,
        states,
        assigned,
        order,
        numbers,
        fields,
        limit,
    } = query;
    let assigned = assigned.as_ref().map(of);
    format!("text {text:?}, {states:?}, {assigned:?}, {order:?}, {numbers:?}, {fields:?}, at most {limit}")
}

fn contact_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": {"street": {"type": "string"}, "city": {"type": "string"}}
            }
        },
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"}
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": false
    })
}
