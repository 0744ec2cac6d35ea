//! Whether the clients in use accept a schema; the module `listed` says which client objects to what.
//!
//! Derived schemas are made acceptable; the author of a hand-written one can check it with this in a test.

use serde_json::{Map, Value};

use super::listed::{FORMATS, Place};
use super::violations::Violation;

/// Keywords that some client refuses, or loses, wherever they stand.
const REFUSED: [&str; 24] = [
    "$schema",
    "$id",
    "$anchor",
    "$ref",
    "$defs",
    "$dynamicRef",
    "$dynamicAnchor",
    "definitions",
    "oneOf",
    "allOf",
    "not",
    "if",
    "then",
    "else",
    "const",
    "prefixItems",
    "additionalItems",
    "unevaluatedItems",
    "unevaluatedProperties",
    "patternProperties",
    "propertyNames",
    "dependentSchemas",
    "dependentRequired",
    "dependencies",
];
/// Keywords that are refused at the root of arguments as well.
const REFUSED_AT_ROOT: [&str; 2] = ["anyOf", "enum"];
/// Keywords that may stand beside `anyOf`.
const WORDS: [&str; 4] = ["anyOf", "title", "description", "default"];
const OBJECT: [&str; 3] = ["properties", "required", "additionalProperties"];

/// The parts of a tool's `inputSchema` that some client in use would not accept: where, and why. Empty if all accept
/// it.
///
/// ```
/// use serde_json::json;
/// use weir::unportable_input;
///
/// let schema = json!({"type": "object", "properties": {"limit": {"type": ["integer", "null"]}}});
/// let found = unportable_input(&schema);
/// assert_eq!(found[0].to_string(), "/properties/limit: `type` is a list; one type is taken everywhere");
/// ```
pub fn unportable_input(schema: &Value) -> Vec<Violation> {
    let mut walk = Walk {
        found: Vec::new(),
        takes_null: false,
    };
    walk.root(schema);
    for keyword in REFUSED_AT_ROOT {
        if schema.get(keyword).is_some() {
            walk.tell(
                "",
                format!("`{keyword}` at the root is refused by the large model services"),
            );
        }
    }
    walk.found
}

/// The same for an `outputSchema`, whose values may be `null`.
pub fn unportable_output(schema: &Value) -> Vec<Violation> {
    let mut walk = Walk {
        found: Vec::new(),
        takes_null: true,
    };
    walk.root(schema);
    walk.found
}

struct Walk {
    found: Vec<Violation>,
    takes_null: bool,
}

impl Walk {
    fn tell(&mut self, path: &str, words: impl AsRef<str>) {
        self.found.push(Violation::new(path, words.as_ref()));
    }

    fn root(&mut self, schema: &Value) {
        if schema.get("type").is_none_or(|kind| kind != "object") {
            self.tell("", "the root is not of type object");
        }
        self.schema(schema, "");
    }

    fn schema(&mut self, schema: &Value, path: &str) {
        let Some(keywords) = schema.as_object() else {
            return self.tell(path, "a boolean schema; `{}` is taken everywhere");
        };
        for keyword in REFUSED.iter().filter(|keyword| keywords.contains_key(**keyword)) {
            self.tell(path, format!("`{keyword}` is not taken everywhere"));
        }
        self.kind(keywords, path);
        self.null(keywords, path);
        self.object(keywords, path);
        self.alternatives(keywords, path);
        for (keyword, value) in keywords {
            self.inside(keyword, value, path);
        }
    }

    fn inside(&mut self, keyword: &str, value: &Value, path: &str) {
        let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
        match (Place::of(keyword), value) {
            (Place::One, Value::Bool(_)) if keyword == "additionalProperties" => {}
            (Place::One, one) => self.schema(one, &format!("{path}/{keyword}")),
            (Place::List, Value::Array(list)) => {
                for (at, one) in list.iter().enumerate() {
                    self.schema(one, &format!("{path}/{keyword}/{at}"));
                }
            }
            (Place::Map, Value::Object(named)) => {
                for (name, one) in named {
                    self.schema(one, &format!("{path}/{keyword}/{}", escaped(name)));
                }
            }
            _ => {}
        }
    }

    fn kind(&mut self, keywords: &Map<String, Value>, path: &str) {
        let kind = keywords.get("type");
        if kind.is_some_and(Value::is_array) {
            self.tell(path, "`type` is a list; one type is taken everywhere");
        }
        let is_kind = |name: &str| kind.is_some_and(|kind| kind == name);
        if is_kind("array") && !keywords.get("items").is_some_and(Value::is_object) {
            self.tell(path, "an array without `items`");
        }
        if !is_kind("array") && keywords.contains_key("items") {
            self.tell(path, "`items` beside a type other than array");
        }
        let Some(format) = keywords.get("format") else {
            return;
        };
        if !is_kind("string") || !FORMATS.iter().any(|known| format == known) {
            self.tell(
                path,
                format!("{format} is not a format of JSON Schema for strings"),
            );
        }
    }

    fn null(&mut self, keywords: &Map<String, Value>, path: &str) {
        if self.takes_null {
            return;
        }
        if keywords.get("default").is_some_and(Value::is_null) {
            self.tell(path, "the default is null");
        }
        let values = keywords.get("enum").and_then(Value::as_array);
        if values.is_some_and(|values| values.contains(&Value::Null)) {
            self.tell(path, "null is a value of `enum`");
        }
    }

    fn object(&mut self, keywords: &Map<String, Value>, path: &str) {
        let is_object = keywords.get("type").is_some_and(|kind| kind == "object");
        if let Some(keyword) = OBJECT.iter().find(|keyword| keywords.contains_key(**keyword))
            && !is_object
        {
            self.tell(path, format!("`{keyword}` beside a type other than object"));
        }
        if is_object && !self.takes_null && !keywords.get("properties").is_some_and(Value::is_object) {
            self.tell(path, "an object without `properties`; an empty one is enough");
        }
        let Some(required) = keywords.get("required") else {
            return;
        };
        let names = required.as_array().filter(|names| !names.is_empty());
        if names.is_none() {
            self.tell(path, "`required` is empty; leave it out");
        }
        for name in names.into_iter().flatten().filter_map(Value::as_str) {
            if keywords.get("properties").and_then(|all| all.get(name)).is_none() {
                self.tell(path, format!("{name:?} is required, but is not a property"));
            }
        }
    }

    fn alternatives(&mut self, keywords: &Map<String, Value>, path: &str) {
        let Some(Value::Array(all)) = keywords.get("anyOf") else {
            return;
        };
        let is_beside = |keyword: &&String| !WORDS.contains(&keyword.as_str()) && !keyword.starts_with("x-");
        // The reference SDKs expect the root of results to be an object, with alternatives or without.
        let is_result = self.takes_null && path.is_empty();
        if let Some(beside) = keywords.keys().find(is_beside).filter(|_| !is_result) {
            self.tell(path, format!("`{beside}` stands beside `anyOf`"));
        }
        for (at, one) in all.iter().enumerate() {
            let kind = one.get("type");
            let path = format!("{path}/anyOf/{at}");
            if kind.is_none() {
                self.tell(&path, "an alternative without a type");
            }
            if !self.takes_null && kind.is_some_and(|kind| kind == "null") {
                self.tell(&path, "null is an alternative");
            }
        }
    }
}
