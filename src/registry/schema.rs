//! Schemas: derived from Rust types or written by hand, compiled once, then checked against on every call.
//!
//! Draft 2020-12 unless `$schema` says otherwise. Nothing is ever fetched; patterns run on an engine that is linear
//! in the text; what a schema can cost is bounded, before it is compiled by [`complexity`](super::complexity) and
//! while it runs by [`Steps`].

use jsonschema::json::SerdeJson;
use jsonschema::{PatternOptions, ValidationError, Validator};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;
use simd_json::Node as RawNode;

use super::complexity;
use super::output::ToolError;
use super::tape::{Steps, TapeJson, TapeNode};
use super::violations::{Violation, Violations};

/// A compiled pattern takes at most this; the engine's own default is ten times as much.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Error values one check may make, alternatives' included, before it stops counting violations.
const ERRORS_MAX: u32 = 1_000;

/// Why a schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Arguments and structured results are objects in every revision up to 2025-11-25.
    #[error("the root must be an object schema with \"type\": \"object\"")]
    RootNotObject,
    /// Nothing is fetched, and embedded resources are not told apart.
    #[error("reference {0:?} does not lead to a place within the schema; use \"#/$defs/…\"")]
    Reference(String),
    /// It would never end.
    #[error("the schema refers to itself at {0:?} without going down into the value")]
    Endless(String),
    /// It would take too long.
    #[error("one value may have to be checked against {subschemas} subschemas; the most is {max}")]
    TooComplex {
        /// How many.
        subschemas: u64,
        /// The limit.
        max: u64,
    },
    /// Schemas within schemas, or one reference leading to the next, too often.
    #[error("subschemas and references follow one another more than {max} times")]
    TooDeep {
        /// The limit.
        max: usize,
    },
    /// Not a schema.
    #[error("{0}")]
    Invalid(String),
}

/// A tool's arguments, compiled.
pub(super) struct InputSchema {
    validator: Validator<TapeJson>,
}

impl InputSchema {
    pub(super) fn compile(schema: &Value) -> Result<Self, SchemaError> {
        check_shape(schema)?;
        let validator = jsonschema::options_for::<TapeJson>()
            .offline()
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES_MAX))
            .build(schema)
            .map_err(|error| invalid(&error))?;
        Ok(Self { validator })
    }

    /// Checks one value, all of `nodes`. Valid arguments cost no allocation beyond what a recursive schema
    /// remembers.
    pub(super) fn check(&self, nodes: &[RawNode<'_>]) -> Result<(), Violations> {
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

    /// Names what is wrong with arguments that are known to be invalid.
    #[cold]
    fn violations(&self, nodes: &[RawNode<'_>]) -> Violations {
        let steps = Steps::for_nodes(nodes.len(), ERRORS_MAX);
        let errors: Vec<_> = self.validator.iter_errors(TapeNode::new(nodes, &steps)).collect();
        let named = errors.iter().map(violation);
        let found = Violations::first_of(named, !steps.are_used_up());
        if found.is_empty() {
            // The steps ran out before the first error.
            let message = "the arguments do not match the tool's schema";
            return Violations::one(Violation::new("", message));
        }
        found
    }
}

/// A tool's structured results, compiled.
pub(super) struct OutputSchema {
    validator: Validator<SerdeJson>,
}

impl OutputSchema {
    pub(super) fn compile(schema: &Value) -> Result<Self, SchemaError> {
        check_shape(schema)?;
        let validator = jsonschema::options()
            .offline()
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES_MAX))
            .build(schema)
            .map_err(|error| invalid(&error))?;
        Ok(Self { validator })
    }

    /// Holds a tool to its own schema. Breaking it is the tool's fault, with details for the log only.
    pub(super) fn check(&self, structured: Option<&Value>) -> Result<(), ToolError> {
        let Some(value) = structured else {
            return Err(ToolError::internal(
                "a tool with an output schema gave no structured result",
            ));
        };
        if self.validator.is_valid(value) {
            return Ok(());
        }
        let named = self.validator.iter_errors(value);
        let found = Violations::first_of(named.map(|error| violation(&error)), true);
        Err(ToolError::internal(format_args!(
            "the result breaks the tool's output schema: {found}"
        )))
    }
}

/// The schema of arguments of type `A`.
pub(super) fn of_input<A: JsonSchema>() -> Value {
    of_type::<A>(SchemaSettings::draft2020_12().for_deserialize())
}

/// The schema of results of type `T`.
pub(super) fn of_output<T: JsonSchema>() -> Value {
    of_type::<T>(SchemaSettings::draft2020_12().for_serialize())
}

fn of_type<T: JsonSchema>(settings: SchemaSettings) -> Value {
    // No `$schema`: 2020-12 is MCP's default, and clients with an older validator stumble over the address.
    let settings = settings.with(|settings| settings.meta_schema = None);
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    // The Rust type's name tells a client nothing.
    schema.remove("title");
    schema.to_value()
}

fn check_shape(schema: &Value) -> Result<(), SchemaError> {
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err(SchemaError::RootNotObject);
    }
    complexity::check(schema)
}

fn invalid(error: &ValidationError<'_>) -> SchemaError {
    SchemaError::Invalid(violation(error).to_string())
}

fn violation(error: &ValidationError<'_>) -> Violation {
    let message = error.masked_with("the value").to_string();
    Violation::new(error.instance_path().as_str(), &message)
}
