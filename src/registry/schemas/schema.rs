//! Schemas: derived from Rust types or written by hand, compiled once, then used for checks on every call.
//!
//! A schema is draft 2020-12 unless `$schema` says otherwise. Nothing is ever fetched; patterns run on an engine that
//! is linear in the text; the cost of a schema is bounded, before it is compiled by [`complexity`](super::complexity)
//! and while it runs by [`Steps`].

use jsonschema::json::SerdeJson;
use jsonschema::{PatternOptions, ValidationError, Validator};
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::Value;
use simd_json::Node as RawNode;

use super::complexity;
use super::explain::{explain, plain};
use super::nulls;
use super::schema_error::SchemaError;
use super::tape::{Steps, TapeJson, TapeNode, nesting};
use super::violations::{Violation, Violations};

/// Bytes of a compiled pattern; the engine's own default is ten times as much.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Error values one check may make, alternatives' included, before it stops counting violations.
const ERRORS_MAX: u32 = 1_000;

/// Levels of a document times subschemas within one another up to which violations are searched for. The search
/// recurses, on a stack that a peer's document must not use up: measured, 2 KiB a level in an unoptimised build.
const SEARCH_LEVELS_MAX: usize = 512;

/// The compiled schema of a tool's arguments.
pub(in crate::registry) struct InputSchema {
    validator: Validator<TapeJson>,
    /// The schema, from which errors of arguments are explained.
    schema: Value,
    /// The number of subschemas within one another for the same value.
    depth: usize,
}

impl InputSchema {
    pub(in crate::registry) fn compile(schema: &Value) -> Result<Self, SchemaError> {
        let depth = check_shape(schema)?;
        let validator = jsonschema::options_for::<TapeJson>()
            .offline()
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES_MAX))
            .build(schema)
            .map_err(|error| invalid(&error))?;
        Ok(Self {
            validator,
            schema: schema.clone(),
            depth,
        })
    }

    /// Checks one value, all of `nodes`. Valid arguments cost no allocation beyond what a recursive schema remembers.
    pub(in crate::registry) fn check(&self, nodes: &[RawNode<'_>]) -> Result<(), Violations> {
        let steps = Steps::for_nodes(nodes.len(), ERRORS_MAX);
        let is_valid = self.validator.is_valid(TapeNode::new(nodes, &steps));
        if steps.are_used_up() {
            let message = "the arguments take too many steps to check against the tool's schema";
            return Err(Violations::one(Violation::new("", message)));
        }
        if is_valid {
            return Ok(());
        }
        Err(self.violations(nodes))
    }

    /// Does the same, and removes from arguments that break the schema each `null` for an argument that may be left
    /// out.
    pub(in crate::registry) fn check_or_leave_out<'t>(
        &self,
        nodes: &mut Vec<RawNode<'t>>,
    ) -> Result<(), Violations> {
        let Err(violations) = self.check(nodes) else {
            return Ok(());
        };
        let Some(without) = nulls::left_out(&self.schema, nodes) else {
            return Err(violations);
        };
        self.check(&without)?;
        *nodes = without;
        Ok(())
    }

    /// Names the violations of arguments that are known to be invalid.
    #[cold]
    fn violations(&self, nodes: &[RawNode<'_>]) -> Violations {
        let steps = Steps::for_nodes(nodes.len(), ERRORS_MAX);
        let found = if nesting(nodes) * self.depth <= SEARCH_LEVELS_MAX {
            let errors = self.validator.iter_errors(TapeNode::new(nodes, &steps));
            let named = errors.flat_map(|error| explain(&error, &self.schema));
            Violations::first_of(named, || !steps.are_used_up())
        } else {
            None
        };
        found.unwrap_or_else(|| {
            let message = "the arguments do not match the tool's schema";
            Violations::one(Violation::new("", message))
        })
    }
}

/// The compiled schema of a tool's structured results.
pub struct OutputSchema {
    validator: Validator<SerdeJson>,
    schema: Value,
}

impl OutputSchema {
    pub(crate) fn compile(schema: &Value) -> Result<Self, SchemaError> {
        check_shape(schema)?;
        let validator = jsonschema::options()
            .offline()
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES_MAX))
            .build(schema)
            .map_err(|error| invalid(&error))?;
        Ok(Self {
            validator,
            schema: schema.clone(),
        })
    }

    /// Checks a tool's result against its own schema.
    ///
    /// # Errors
    /// Says how the result breaks the schema, for the log only: the tool is at fault.
    pub(in crate::registry) fn check(&self, structured: Option<&Value>) -> Result<(), String> {
        let Some(value) = structured else {
            return Err("a tool with an output schema gave no structured result".to_owned());
        };
        match self.violations(value) {
            Some(found) => Err(format!("the result breaks the tool's output schema: {found}")),
            None => Ok(()),
        }
    }

    /// The violations of a value, if there are any.
    pub(crate) fn violations(&self, value: &Value) -> Option<Violations> {
        if self.validator.is_valid(value) {
            return None;
        }
        let named = self.validator.iter_errors(value);
        Violations::first_of(named.flat_map(|error| explain(&error, &self.schema)), || true)
    }
}

/// The schema of arguments of type `A`, as they are checked.
pub(in crate::registry) fn of_input<A: JsonSchema>() -> Value {
    of_type::<A>(SchemaSettings::draft2020_12().for_deserialize())
}

/// The schema of results of type `T`, as they are checked.
pub(in crate::registry) fn of_output<T: JsonSchema>() -> Value {
    of_type::<T>(SchemaSettings::draft2020_12().for_serialize())
}

fn of_type<T: JsonSchema>(settings: SchemaSettings) -> Value {
    // The schema has no `$schema`: 2020-12 is MCP's default, and clients with an older validator stumble over the
    // address.
    let settings = settings
        .with(|settings| settings.meta_schema = None)
        .with_transform(RecursiveTransform(drop_number_format));
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    // The type's name and description are for readers of the code; the tool has a title and a description of its own.
    schema.remove("title");
    schema.remove("description");
    let mut schema = schema.to_value();
    say_object(&mut schema);
    schema
}

/// Says at the root that all alternatives are objects, if they are; a derived enum says so only in each alternative.
fn say_object(schema: &mut Value) {
    let alternatives = ["oneOf", "anyOf"]
        .iter()
        .find_map(|keyword| schema.get(keyword)?.as_array());
    let is_object = |one: &Value| {
        let reference = one.get("$ref").and_then(Value::as_str);
        let target = reference.and_then(|reference| schema.pointer(reference.strip_prefix('#')?));
        target
            .unwrap_or(one)
            .get("type")
            .is_some_and(|kind| kind == "object")
    };
    if schema.get("type").is_none() && alternatives.is_some_and(|all| all.iter().all(is_object)) {
        schema["type"] = Value::from("object");
    }
}

/// Drops `"format": "uint64"` and its like from numbers. They are Rust's types, and JSON Schema has formats only for
/// strings. Validators in clients warn of each of them on every listing.
fn drop_number_format(schema: &mut Schema) {
    let is_number = |kind: &Value| matches!(kind.as_str(), Some("integer" | "number"));
    let is_numeric = schema.get("type").is_some_and(|kind| match kind {
        Value::Array(kinds) => kinds.iter().any(is_number),
        kind => is_number(kind),
    });
    if is_numeric {
        schema.remove("format");
    }
}

fn check_shape(schema: &Value) -> Result<usize, SchemaError> {
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err(SchemaError::RootNotObject);
    }
    complexity::check(schema)
}

fn invalid(error: &ValidationError<'_>) -> SchemaError {
    SchemaError::Invalid(plain(error, &Value::Null).to_string())
}

#[cfg(test)]
mod tests {
    use super::super::violations::{TEXT_BYTES_MAX, VIOLATIONS_MAX};
    use super::*;
    use serde_json::json;

    fn check(schema: &Value, document: &Value) -> Result<(), Violations> {
        let mut text = document.to_string().into_bytes();
        let tape = simd_json::to_tape(&mut text).unwrap();
        InputSchema::compile(schema).unwrap().check(&tape.0)
    }

    fn refused(schema: &Value, document: &Value) -> Violations {
        check(schema, document).expect_err("a violation")
    }

    fn paths(violations: &Violations) -> Vec<&str> {
        violations.iter().map(Violation::path).collect()
    }

    #[test]
    fn every_failing_path_is_named() {
        let schema = json!({
            "type": "object",
            "properties": {
                "n": {"type": "integer"},
                "list": {"items": {"minimum": 3}},
                "deep": {"properties": {"a/b~c": {"const": true}}},
                "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            },
            "required": ["gone"],
            "additionalProperties": false,
        });
        let document = json!({
            "n": "five", "list": [1, 4, 2], "deep": {"a/b~c": 0}, "either": {}, "extra": 1,
        });
        let violations = refused(&schema, &document);
        let mut found = paths(&violations);
        found.sort_unstable();
        assert_eq!(
            found,
            ["", "", "/deep/a~1b~0c", "/either", "/list/0", "/list/2", "/n"]
        );
        let text = violations.to_string();
        for words in [
            r#"/n: "five" is not of type "integer""#,
            r#""gone" is a required property"#,
            "'extra'",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert_eq!(violations.more(), 0);
    }

    #[test]
    fn violations_are_bounded_in_number_and_bytes() {
        let schema = json!({"type": "object", "additionalProperties": {"type": "integer"}});
        let members: serde_json::Map<String, Value> = (0..500)
            .map(|at| (format!("{at}{}", "x".repeat(5_000)), json!("é".repeat(5_000))))
            .collect();
        let violations = refused(&schema, &Value::Object(members));
        assert_eq!(violations.iter().count(), VIOLATIONS_MAX);
        assert_eq!(violations.more(), 500 - VIOLATIONS_MAX);
        let text = violations.text();
        assert!(text.ends_with("; and 484 more"), "{text}");
        assert!(
            text.len() < VIOLATIONS_MAX * (2 * TEXT_BYTES_MAX + 4) + 100,
            "{}",
            text.len()
        );
    }

    #[test]
    fn a_search_for_violations_ends() {
        let schema = json!({"type": "object", "additionalProperties": {"items": {"type": "integer"}}});
        let document = json!({"list": vec!["text"; 100_000]});
        let violations = refused(&schema, &document);
        assert_eq!(violations.iter().count(), VIOLATIONS_MAX);
        assert!(violations.more() < 100_000);
    }

    #[test]
    fn names_of_members_are_echoed_in_part() {
        let schema = json!({"type": "object", "propertyNames": {"maxLength": 3}});
        let violations = refused(&schema, &json!({"x".repeat(1_000): 1}));
        let violation = violations.iter().next().unwrap();
        assert!(violation.message().starts_with("\"xxx"), "{violation}");
        assert!(violation.message().len() < 200, "{violation}");
    }

    #[test]
    fn exponential_checks_are_refused() {
        // Without the memory of verdicts and without the steps, these recursive alternatives take 2^100 checks.
        let alternative = |name: &str| {
            json!({
                "properties": {"next": {"$ref": "#/$defs/node"}, "side": {"$ref": "#/$defs/node"}},
                "required": [name],
                "unevaluatedProperties": false,
            })
        };
        let schema = json!({
            "type": "object",
            "properties": {"next": {"$ref": "#/$defs/node"}},
            "$defs": {"node": {"anyOf": [alternative("x"), alternative("y"), {"type": "null"}]}}
        });
        let mut document = json!({"x": 1});
        for _ in 0..100 {
            document = json!({"next": document, "x": 1, "y": 2});
        }
        let violations = refused(&schema, &document);
        assert!(violations.iter().count() >= 1);
    }

    #[test]
    fn checks_out_of_steps_say_so() {
        // There is no recursion, so the validator remembers no verdicts: 2^30 checks if it went on.
        let mut definitions = serde_json::Map::new();
        for level in 0..30 {
            let next = json!({"x": {"$ref": format!("#/$defs/a{}", level + 1)}});
            let alternatives = ["p", "q"].map(|name| json!({"properties": next, "required": [name]}));
            definitions.insert(format!("a{level}"), json!({"anyOf": alternatives}));
        }
        definitions.insert("a30".into(), json!({"type": "string"}));
        let schema = json!({"type": "object", "$ref": "#/$defs/a0", "$defs": definitions});
        let mut document = json!(0);
        for _ in 0..30 {
            document = json!({"p": 0, "q": 0, "x": document});
        }
        let violations = refused(&schema, &document);
        assert!(violations.text().contains("too many steps"), "{violations}");
    }

    #[test]
    fn violations_deep_down_do_not_use_up_the_stack() {
        // This is as deep as a schema may be at one value, repeated as deep as a document may be.
        let mut node = json!({"properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["x"]});
        for _ in 0..6 {
            node = json!({"anyOf": [{"allOf": [node]}, {"required": ["y"]}]});
        }
        let schema = json!({
            "type": "object",
            "properties": {"next": {"$ref": "#/$defs/node"}},
            "$defs": {"node": node},
        });
        let document = |levels: usize| {
            let text = [r#"{"next":"#.repeat(levels), "{}".into(), "}".repeat(levels)].concat();
            serde_json::from_str(&text).unwrap()
        };
        let small = std::thread::Builder::new().stack_size(1 << 20);
        let checks = small.spawn(move || {
            let deep = refused(&schema, &document(126));
            assert_eq!(paths(&deep), [""]);
            let shallow = refused(&schema, &document(2));
            assert_eq!(paths(&shallow), ["/next"]);
        });
        checks.unwrap().join().unwrap();
    }

    #[test]
    fn schemas_are_refused_with_the_reason() {
        let refused = |schema: Value| InputSchema::compile(&schema).err().expect("refused");
        assert_eq!(refused(json!({})), SchemaError::RootNotObject);
        assert_eq!(refused(json!(true)), SchemaError::RootNotObject);
        assert_eq!(
            refused(json!({"type": ["object", "null"]})),
            SchemaError::RootNotObject
        );
        let external = json!({"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1/a.json"}}});
        assert_eq!(
            refused(external),
            SchemaError::Reference("http://127.0.0.1/a.json".into())
        );
        let property = |schema: Value| json!({"type": "object", "properties": {"a": schema}});
        for schema in [
            property(json!({"type": "text"})),
            property(json!({"minimum": "1"})),
            property(json!({"pattern": "("})),
            property(json!({"pattern": "(?=a)b"})),
            property(json!({"pattern": "((((a{100}){100}){100}){100})"})),
            json!({"type": "object", "$schema": "https://example.com/mine"}),
        ] {
            assert!(
                matches!(refused(schema.clone()), SchemaError::Invalid(_)),
                "{schema}"
            );
        }
    }

    #[test]
    fn derived_numbers_have_no_format() {
        #[derive(serde::Serialize, serde::Deserialize, JsonSchema)]
        struct Inner {
            ratio: f32,
        }
        #[derive(serde::Serialize, serde::Deserialize, JsonSchema)]
        struct Numbers {
            count: u64,
            limit: Option<usize>,
            list: Vec<Inner>,
            /// A number's name is not its format.
            format: i32,
            #[schemars(extend("format" = "date-time"))]
            at: String,
        }
        for schema in [of_input::<Numbers>(), of_output::<Numbers>()] {
            assert_eq!(schema.to_string().matches(r#""format":""#).count(), 1, "{schema}");
            assert_eq!(schema["properties"]["at"]["format"], "date-time");
            assert_eq!(
                schema["properties"]["count"],
                json!({"type": "integer", "minimum": 0})
            );
            assert_eq!(schema["properties"]["format"]["type"], "integer");
        }
    }

    #[test]
    fn older_drafts_are_honoured() {
        let schema = json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": {"pair": {"items": [{"type": "string"}, {"type": "integer"}]}},
        });
        assert_eq!(check(&schema, &json!({"pair": ["a", 1]})), Ok(()));
        assert_eq!(
            paths(&refused(&schema, &json!({"pair": ["a", "b"]}))),
            ["/pair/1"]
        );
    }

    #[test]
    fn a_tool_that_breaks_its_own_schema_is_at_fault() {
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
        let output = OutputSchema::compile(&schema).unwrap();
        assert_eq!(output.check(Some(&json!({"n": 1}))), Ok(()));
        assert!(output.check(None).is_err());
        let broken = output.check(Some(&json!({"n": "secret"}))).unwrap_err();
        assert!(broken.contains("/n"), "{broken:?}");
    }
}
