//! Listings of the shapes of schemas that types and authors produce.
#![allow(dead_code, reason = "of these types only the schemas matter")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroI32;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::portable::{unportable_input, unportable_output};
use super::super::random;
use super::super::schema::{InputSchema, OutputSchema, of_input, of_output};
use super::{input, output};

/// The listed schema for arguments of type `A`, which every client accepts.
fn listed<A: JsonSchema>() -> Value {
    let listed = input(&of_input::<A>());
    assert_eq!(unportable_input(&listed), [], "{listed:#}");
    listed
}

/// The listed property of this name.
fn property<A: JsonSchema>(name: &str) -> Value {
    listed::<A>()["properties"][name].clone()
}

/// Whether arguments of type `A` pass the check.
fn is_taken<A: JsonSchema>(arguments: &Value) -> bool {
    keeps_to(&InputSchema::compile(&of_input::<A>()).unwrap(), arguments)
}

fn keeps_to(schema: &InputSchema, arguments: &Value) -> bool {
    let mut text = arguments.to_string().into_bytes();
    let tape = simd_json::to_tape(&mut text).unwrap();
    let mut nodes = tape.0;
    schema.check_or_leave_out(&mut nodes).is_ok()
}

#[derive(Deserialize, JsonSchema)]
struct Optional {
    required: String,
    /// How many.
    #[schemars(range(min = 1))]
    limit: Option<u64>,
    names: Option<Vec<String>>,
    holes: Option<Vec<Option<i64>>>,
    #[serde(default)]
    nested: Option<Inner>,
    #[serde(default)]
    settings: Settings,
    sort: Option<Sort>,
    told: Option<Told>,
    any: Option<Value>,
    flags: Option<HashMap<String, Option<bool>>>,
    pair: Option<(f64, f64)>,
}

#[derive(Deserialize, JsonSchema)]
struct Inner {
    depth: Option<u8>,
    name: String,
}

#[derive(Default, Deserialize, serde::Serialize, JsonSchema)]
#[serde(default)]
struct Settings {
    level: u32,
    label: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Sort {
    Name,
    Size,
}

/// Documented values.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Told {
    /// The first
    /// of all.
    First,
    Second,
    /// The last.
    Last,
}

#[test]
fn an_optional_argument_is_listed_as_what_it_is() {
    let listed = listed::<Optional>();
    assert_eq!(listed["required"], json!(["required"]));
    assert!(!listed.to_string().contains("null"), "{listed:#}");
    let expected = json!({
        "required": {"type": "string"},
        "limit": {"type": "integer", "minimum": 1, "description": "How many."},
        "names": {"type": "array", "items": {"type": "string"}},
        "holes": {"type": "array", "items": {"type": "integer"}},
        "nested": {
            "type": "object",
            "properties": {
                "depth": {"type": "integer", "minimum": 0, "maximum": 255},
                "name": {"type": "string"},
            },
            "required": ["name"],
        },
        "settings": {
            "type": "object",
            "properties": {
                "level": {"type": "integer", "minimum": 0, "default": 0},
                "label": {"type": "string"},
            },
            "default": {"level": 0},
        },
        "sort": {"type": "string", "enum": ["name", "size"]},
        "told": {
            "type": "string",
            "enum": ["second", "first", "last"],
            "description": "Documented values.\n- `first`: The first of all.\n- `last`: The last.",
        },
        "any": {},
        "flags": {"type": "object", "properties": {}, "additionalProperties": {"type": "boolean"}},
        "pair": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
    });
    for (name, expected) in expected.as_object().unwrap() {
        assert_eq!(listed["properties"][name], *expected, "{name}: {listed:#}");
    }
    assert_eq!(listed["properties"].as_object().unwrap().len(), 11);
}

#[test]
fn null_is_taken_for_whatever_may_be_left_out() {
    let whole = json!({
        "required": "r", "limit": 3, "names": ["n"], "holes": [1, null], "nested": {"name": "n", "depth": null},
        "settings": {"level": 1, "label": null}, "sort": "name", "told": "first", "any": [null],
        "flags": {"a": null}, "pair": [0.5, 1],
    });
    assert!(is_taken::<Optional>(&whole));
    for name in whole.as_object().unwrap().keys() {
        let mut arguments = whole.clone();
        arguments[name] = Value::Null;
        assert_eq!(is_taken::<Optional>(&arguments), name != "required", "{name}");
    }
    for (path, may_be_left_out) in [("/settings/level", true), ("/nested/name", false)] {
        let mut arguments = whole.clone();
        *arguments.pointer_mut(path).unwrap() = Value::Null;
        assert_eq!(is_taken::<Optional>(&arguments), may_be_left_out, "{path}");
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum External {
    /// Nothing else.
    Empty,
    Text(String),
    Sized {
        size: u32,
        unit: Option<Sort>,
    },
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Internal {
    /// A circle.
    Circle {
        radius: f64,
    },
    /// A square.
    Square {
        side: f64,
        turned: Option<f64>,
    },
    Point,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Untagged {
    Number(i64),
    Text(String),
    Many(Vec<i64>),
}

#[derive(Deserialize, JsonSchema)]
struct Unions {
    /// Outside.
    external: Option<External>,
    /// Which.
    internal: Internal,
    untagged: Untagged,
}

#[test]
fn unions_are_alternatives_of_one_type_each() {
    assert_eq!(
        property::<Unions>("external"),
        json!({
            "description": "Outside.",
            "anyOf": [
                {"type": "string", "enum": ["empty"], "description": "Nothing else."},
                {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"],
                    "additionalProperties": false},
                {"type": "object", "required": ["sized"], "additionalProperties": false, "properties": {"sized": {
                    "type": "object",
                    "properties": {
                        "size": {"type": "integer", "minimum": 0},
                        "unit": {"type": "string", "enum": ["name", "size"]},
                    },
                    "required": ["size"],
                }}},
            ],
        })
    );
    let internal = property::<Unions>("internal");
    assert_eq!(internal["description"], "Which.");
    assert_eq!(
        internal["anyOf"][1],
        json!({
            "type": "object",
            "description": "A square.",
            "properties": {
                "kind": {"type": "string", "enum": ["square"]},
                "side": {"type": "number"},
                "turned": {"type": "number"},
            },
            "required": ["kind", "side"],
        })
    );
    assert_eq!(
        property::<Unions>("untagged"),
        json!({"anyOf": [
            {"type": "integer"}, {"type": "string"}, {"type": "array", "items": {"type": "integer"}},
        ]})
    );
}

#[derive(Deserialize, JsonSchema)]
struct Flattened {
    /// Where to.
    target: String,
    #[serde(flatten)]
    shape: Internal,
}

#[test]
fn a_union_of_arguments_is_one_object() {
    let expected = json!({
        "type": "object",
        "properties": {
            "kind": {
                "type": "string",
                "enum": ["circle", "square", "point"],
                "description": "- `circle`: A circle.\n- `square`: A square.",
            },
            "radius": {"type": "number", "description": "Only with `kind` `circle`."},
            "side": {"type": "number", "description": "Only with `kind` `square`."},
            "turned": {"type": "number", "description": "Only with `kind` `square`."},
        },
        "required": ["kind"],
    });
    assert_eq!(listed::<Internal>(), expected);
    let mut flattened = expected;
    flattened["properties"]["target"] = json!({"type": "string", "description": "Where to."});
    flattened["required"] = json!(["kind", "target"]);
    let mut listed = listed::<Flattened>();
    listed["required"]
        .as_array_mut()
        .unwrap()
        .sort_by_key(Value::to_string);
    assert_eq!(listed, flattened);
    // Alternatives that do not go together are refused when they come.
    assert!(is_taken::<Flattened>(
        &json!({"target": "t", "kind": "square", "side": 1, "turned": null})
    ));
    assert!(!is_taken::<Flattened>(
        &json!({"target": "t", "kind": "square", "radius": 1})
    ));
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Command {
    /// Adds a note.
    Add {
        note: String,
    },
    Remove {
        id: u64,
    },
}

#[test]
fn commands_as_arguments_are_one_object() {
    let listed = listed::<Command>();
    assert_eq!(listed["description"], "Expects one of `add`, `remove`.");
    assert_eq!(
        listed["properties"]["add"]["properties"]["note"],
        json!({"type": "string"})
    );
    assert_eq!(listed["properties"]["add"]["description"], "Adds a note.");
    assert_eq!(listed.get("required"), None);
    assert!(is_taken::<Command>(&json!({"add": {"note": "n"}})));
    assert!(!is_taken::<Command>(
        &json!({"add": {"note": "n"}, "remove": {"id": 1}})
    ));
}

#[derive(Deserialize, JsonSchema)]
struct Node {
    /// The name.
    name: String,
    children: Option<Vec<Node>>,
    left: Option<Box<Node>>,
    parent: Option<Box<Other>>,
}

#[derive(Deserialize, JsonSchema)]
struct Other {
    node: Node,
    bag: BTreeMap<String, Other>,
}

#[test]
fn recursion_is_written_out_and_cut() {
    #[derive(Deserialize, JsonSchema)]
    struct Tree {
        root: Node,
    }
    let tree = listed::<Tree>();
    assert!(tree.to_string().len() < 20_000, "{}", tree.to_string().len());
    let child = &tree["properties"]["root"]["properties"]["children"]["items"];
    assert_eq!(
        child["properties"]["name"],
        json!({"type": "string", "description": "The name."})
    );
    let innermost = &child["properties"]["children"]["items"];
    assert_eq!(
        *innermost,
        json!({"type": "object", "properties": {}, "description": "Node, structured as above."})
    );
    // The root itself is recursive.
    let node = listed::<Node>();
    assert_eq!(node["properties"]["left"]["properties"]["name"]["type"], "string");
    assert_eq!(
        node["properties"]["left"]["properties"]["left"],
        json!({"type": "object", "properties": {}, "description": "Structured as the whole."})
    );
    // Below the cut values are still checked.
    let mut deep = json!({"name": "n"});
    for _ in 0..10 {
        deep = json!({"name": "n", "left": deep});
    }
    assert!(is_taken::<Node>(&deep));
    *deep.pointer_mut(&format!("{}/name", "/left".repeat(10))).unwrap() = json!(1);
    assert!(!is_taken::<Node>(&deep));
}

#[test]
fn what_would_grow_beyond_bounds_keeps_its_references() {
    let mut definitions = serde_json::Map::new();
    for level in 0..20 {
        let next = json!({"$ref": format!("#/$defs/a{}", level + 1)});
        let properties = json!({"x": next, "y": next});
        definitions.insert(
            format!("a{level}"),
            json!({"type": "object", "properties": properties}),
        );
    }
    definitions.insert("a20".into(), json!({"type": ["string", "null"]}));
    let schema = json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/a0"}}, "$defs": definitions});
    let listed = input(&schema);
    assert_eq!(listed["properties"]["a"], json!({"$ref": "#/$defs/a0"}));
    assert_eq!(listed["$defs"]["a20"], json!({"type": "string"}));
}

#[derive(Deserialize, JsonSchema)]
struct Odd {
    map: BTreeMap<u32, i64>,
    set: BTreeSet<String>,
    mixed: (String, u8, Option<String>),
    nonzero: NonZeroI32,
    unit: Option<char>,
    #[schemars(extend("format" = "partial-date-time"))]
    local: String,
    #[schemars(extend("format" = "uuid", "x-mcp-header" = "Id"))]
    id: Option<String>,
    values: Vec<Value>,
    free: BTreeMap<String, Value>,
    #[schemars(range(min = 3))]
    percent: Percent,
    /// Its own words.
    inner: Inner,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(transparent)]
struct Percent(#[schemars(range(max = 100))] u8);

#[test]
fn odd_shapes_are_said_in_common_words() {
    let listed = listed::<Odd>();
    let expected = json!({
        "map": {"type": "object", "properties": {}, "additionalProperties": {"type": "integer"}},
        "mixed": {
            "type": "array",
            "description": "In this order: string, integer, string.",
            "items": {"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 0, "maximum": 255}]},
            "minItems": 3,
            "maxItems": 3,
        },
        "nonzero": {"type": "integer"},
        "unit": {"type": "string", "minLength": 1, "maxLength": 1},
        "local": {"type": "string"},
        "id": {"type": "string", "format": "uuid", "x-mcp-header": "Id"},
        "values": {"type": "array", "items": {}},
        "free": {"type": "object", "properties": {}, "additionalProperties": true},
    });
    for (name, expected) in expected.as_object().unwrap() {
        let mut found = listed["properties"][name].clone();
        if name == "nonzero" {
            found
                .as_object_mut()
                .unwrap()
                .retain(|keyword, _| keyword == "type");
        }
        assert_eq!(found, *expected, "{name}");
    }
    assert_eq!(listed["properties"]["percent"]["maximum"], 100);
    assert_eq!(listed["properties"]["inner"]["description"], "Its own words.");
}

#[test]
fn written_shapes_are_rewritten_without_loss_where_they_can_be() {
    let listed = |property: Value| {
        let whole = input(&json!({"type": "object", "properties": {"a": property}}));
        assert_eq!(unportable_input(&whole), [], "{whole:#}");
        whole["properties"]["a"].clone()
    };
    for (given, expected) in [
        (json!(true), json!({})),
        (json!({"const": "x"}), json!({"type": "string", "enum": ["x"]})),
        (json!({"type": ["string"]}), json!({"type": "string"})),
        (
            json!({"type": ["string", "integer", "null"], "minimum": 2, "maxLength": 3, "description": "d"}),
            json!({"description": "d", "anyOf": [
                {"type": "string", "maxLength": 3}, {"type": "integer", "minimum": 2},
            ]}),
        ),
        (
            json!({"allOf": [{"type": "integer", "minimum": 1}, {"minimum": 3, "maximum": 9}], "description": "d"}),
            json!({"type": "integer", "minimum": 3, "maximum": 9, "description": "d"}),
        ),
        (
            json!({"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"],
                "anyOf": [{"properties": {"c": {"type": "string"}}}, {"properties": {"d": {"type": "string"}}}]}),
            json!({"anyOf": [
                {"type": "object", "required": ["b"], "properties": {"b": {"type": "string"}, "c": {"type": "string"}}},
                {"type": "object", "required": ["b"], "properties": {"b": {"type": "string"}, "d": {"type": "string"}}},
            ]}),
        ),
        (
            json!({"anyOf": [{"anyOf": [{"type": "string"}, {"type": "integer"}]}, {"type": "null"}]}),
            json!({"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        ),
        (
            json!({"type": "string", "enum": ["a", null], "default": null, "not": {"const": "b"}}),
            json!({"type": "string", "enum": ["a"]}),
        ),
        (
            json!({"type": "array", "items": [{"type": "string"}, {"type": "string"}]}),
            json!({"type": "array", "items": {"type": "string"}}),
        ),
    ] {
        assert_eq!(listed(given.clone()), expected, "{given}");
    }
}

#[test]
fn no_arguments_are_an_object_of_no_properties() {
    assert_eq!(
        listed::<crate::registry::running::output::NoArguments>(),
        json!({"type": "object", "properties": {}})
    );
}

/// A random value that is valid by a listed schema.
fn value_of(schema: &Value, rng: &mut fastrand::Rng) -> Value {
    if let Some(Value::Array(all)) = schema.get("anyOf") {
        return value_of(&all[rng.usize(..all.len())], rng);
    }
    if let Some(Value::Array(values)) = schema.get("enum") {
        return values[rng.usize(..values.len())].clone();
    }
    let number = |name: &str, other: i64| schema.get(name).and_then(Value::as_i64).unwrap_or(other);
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => json!("x".repeat(number("minLength", 1) as usize)),
        Some("integer") => json!(
            number("minimum", -9)
                .max(rng.i64(-9..9))
                .min(number("maximum", 9))
        ),
        Some("number") => json!(rng.f64()),
        Some("boolean") => json!(rng.bool()),
        Some("array") => {
            let len = number("minItems", rng.i64(0..3)) as usize;
            (0..len).map(|_| value_of(&schema["items"], rng)).collect()
        }
        Some("object") => {
            let mut members = serde_json::Map::new();
            for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
                let required = schema["required"].as_array();
                if rng.bool() || required.is_some_and(|names| names.contains(&json!(name))) {
                    members.insert(name.clone(), value_of(inner, rng));
                }
            }
            if let Some(others @ Value::Object(_)) = schema.get("additionalProperties") {
                for at in 0..rng.usize(..3) {
                    members.insert(at.to_string(), value_of(others, rng));
                }
            }
            Value::Object(members)
        }
        _ => random::document(rng, 2),
    }
}

/// Checks that each argument that may be left out at the root may be `null` in turn.
fn assert_listing_is_taken<A: JsonSchema>(rng: &mut fastrand::Rng, seed: u64) {
    let listed = listed::<A>();
    let checked = InputSchema::compile(&of_input::<A>()).unwrap();
    let validator = jsonschema::options().offline().build(&listed).unwrap();
    for _ in 0..200 {
        let value = value_of(&listed, rng);
        assert!(validator.is_valid(&value), "seed {seed}: {value} {listed:#}");
        assert!(keeps_to(&checked, &value), "seed {seed}: {value}");
        let required = listed["required"].as_array();
        for name in listed["properties"].as_object().unwrap().keys() {
            if !required.is_some_and(|names| names.contains(&json!(name))) {
                let mut with_null = value.clone();
                with_null[name] = Value::Null;
                assert!(keeps_to(&checked, &with_null), "seed {seed}: {with_null}");
            }
        }
    }
}

#[test]
fn what_the_listing_allows_is_taken_and_null_for_all_that_is_optional() {
    #[derive(Deserialize, JsonSchema)]
    struct Plain {
        inner: Inner,
        list: Vec<Unions>,
        #[serde(default)]
        count: u8,
        #[serde(default)]
        sort: Vec<Sort>,
        map: Option<BTreeMap<String, Optional>>,
    }
    let seed = fastrand::u64(..);
    let mut rng = fastrand::Rng::with_seed(seed);
    assert_listing_is_taken::<Optional>(&mut rng, seed);
    assert_listing_is_taken::<Unions>(&mut rng, seed);
    assert_listing_is_taken::<Plain>(&mut rng, seed);
}

#[derive(serde::Serialize, JsonSchema)]
struct Answer {
    count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<String>,
    kind: Option<AnswerKind>,
    pair: (String, u8),
    any: Value,
    nested: Vec<AnswerPart>,
}

#[derive(serde::Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum AnswerKind {
    /// Good.
    Good,
    Bad,
}

#[derive(serde::Serialize, JsonSchema)]
struct AnswerPart {
    parts: Vec<AnswerPart>,
    ratio: Option<f64>,
}

#[test]
fn results_keep_their_nulls() {
    let given = of_output::<Answer>();
    let listed = output(&given);
    assert_eq!(unportable_output(&listed), [], "{listed:#}");
    assert_eq!(listed["type"], "object");
    assert_eq!(
        listed["properties"]["count"],
        json!({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]})
    );
    let checked = OutputSchema::compile(&given).unwrap();
    let shown = jsonschema::options().offline().build(&listed).unwrap();
    let answer = json!({
        "count": null, "kind": null, "pair": ["a", 1], "any": null,
        "nested": [{"ratio": null, "parts": [{"ratio": 0.5, "parts": [{"ratio": 1.5, "parts": []}]}]}],
    });
    assert_eq!(checked.check(Some(&answer)), Ok(()));
    assert!(shown.is_valid(&answer), "{listed:#}");
    for (path, wrong) in [
        ("/count", json!("x")),
        ("/kind", json!("ugly")),
        ("/nested/0/ratio", json!("x")),
    ] {
        let mut answer = answer.clone();
        *answer.pointer_mut(path).unwrap() = wrong;
        assert!(!shown.is_valid(&answer), "{path}");
    }
}

#[test]
fn what_no_client_takes_is_found() {
    let words = |property: Value| {
        let found = unportable_input(&json!({"type": "object", "properties": {"a": property}}));
        found
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ")
    };
    for (property, expected) in [
        (json!({"type": ["integer", "null"]}), "`type` is a list"),
        (json!({"type": "integer", "default": null}), "the default is null"),
        (json!({"$ref": "#/$defs/x"}), "`$ref`"),
        (json!({"oneOf": [{"type": "string"}]}), "`oneOf`"),
        (
            json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
            "null is an alternative",
        ),
        (
            json!({"anyOf": [{"minimum": 1}]}),
            "an alternative without a type",
        ),
        (
            json!({"anyOf": [{"type": "string"}], "type": "string"}),
            "beside `anyOf`",
        ),
        (json!({"type": "array"}), "an array without `items`"),
        (json!({"type": "integer", "format": "uint32"}), "is not a format"),
        (json!(true), "a boolean schema"),
        (json!({"type": "string", "enum": ["a", null]}), "null is a value"),
        (
            json!({"type": "object", "required": ["b"]}),
            "is required, but is not a property",
        ),
        (json!({"properties": {}}), "beside a type other than object"),
        (
            json!({"type": "array", "items": {"const": 1}}),
            "/properties/a/items: `const`",
        ),
        (
            json!({"type": "object", "properties": {"x/y": true}}),
            "/properties/a/properties/x~1y",
        ),
    ] {
        assert!(
            words(property.clone()).contains(expected),
            "{property}: {}",
            words(property.clone())
        );
    }
    assert_eq!(
        words(json!({"type": "object", "properties": {}, "additionalProperties": false})),
        ""
    );
    let root = |schema: Value| unportable_input(&schema).len();
    assert_eq!(root(json!({"type": "object"})), 1);
    assert_eq!(
        root(json!({"type": "object", "properties": {}, "anyOf": [{"type": "object", "properties": {}}]})),
        2
    );
    assert_eq!(root(json!({"properties": {}})), 2);
}
