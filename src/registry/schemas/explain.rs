//! Validation errors in words that a model can act on: which values are allowed, not which keyword failed.
//!
//! Of alternatives the validator says only that none fits. Here the alternative that was probably meant is found, and
//! its own errors are reported; where the value is none of the allowed ones, those are listed.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::Value;

use super::unknown::nearest;
use super::violations::Violation;

/// How deep alternatives within alternatives are searched.
const DEPTH_MAX: usize = 8;

type Errors = [ValidationError<'static>];

/// The violations to report for an error of a value checked against `schema`.
pub(in crate::registry) fn explain(error: &ValidationError<'_>, schema: &Value) -> Vec<Violation> {
    explain_within(error, schema, DEPTH_MAX)
}

fn explain_within(error: &ValidationError<'_>, schema: &Value, depth_left: usize) -> Vec<Violation> {
    let (Some(context), Some(depth_left)) = (context(error), depth_left.checked_sub(1)) else {
        return vec![plain(error, schema)];
    };
    let place = error.instance_path().as_str();
    let all = alternatives(context, place);
    if all
        .iter()
        .all(|errors| errors.iter().all(|error| is_of_kind(error, place)))
    {
        return vec![other_kind(error, &all).unwrap_or_else(|| plain(error, schema))];
    }
    let scores: Vec<Score> = all.iter().map(|errors| Score::of(errors, place)).collect();
    let Some(best) = scores.iter().min() else {
        return vec![plain(error, schema)];
    };
    let mut meant = all
        .iter()
        .zip(&scores)
        .filter(|(_, score)| *score == best)
        .map(|(errors, _)| *errors);
    let (Some(first), second) = (meant.next(), meant.next()) else {
        return vec![plain(error, schema)];
    };
    if let Some(tag) = first.iter().find(|error| is_tag(error, place)) {
        let at = tag.instance_path().as_str();
        let values = named_values(&all, at);
        return vec![not_one_of(tag, &values, &[])];
    }
    if second.is_some() && !first.iter().all(|error| is_told_by_all(error, &all)) {
        let none = none_of(error, &all, &scores, best);
        return vec![none.unwrap_or_else(|| plain(error, schema))];
    }
    first
        .iter()
        .flat_map(|error| explain_within(error, schema, depth_left))
        .collect()
}

fn context<'e>(error: &'e ValidationError<'_>) -> Option<&'e Vec<Vec<ValidationError<'static>>>> {
    match error.kind() {
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            Some(context).filter(|context| !context.is_empty())
        }
        _ => None,
    }
}

/// The errors of each alternative, those of alternatives within alternatives one by one. `null` stands for an omitted
/// argument: a client that sent another value did not mean it.
fn alternatives<'e>(context: &'e [Vec<ValidationError<'static>>], place: &str) -> Vec<&'e Errors> {
    let mut all = Vec::new();
    for errors in context.iter().filter(|errors| !is_null(errors)) {
        match &errors[..] {
            [only] if only.instance_path().as_str() == place && self::context(only).is_some() => {
                all.extend(
                    self::context(only)
                        .into_iter()
                        .flat_map(|inner| alternatives(inner, place)),
                );
            }
            errors => all.push(errors),
        }
    }
    all
}

/// The distance of a value from an alternative; the least is nearest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    is_other_kind: bool,
    tags: usize,
    own: usize,
    total: usize,
}

impl Score {
    fn of(errors: &Errors, place: &str) -> Self {
        let count =
            |is: &dyn Fn(&ValidationError<'_>) -> bool| errors.iter().filter(|error| is(error)).count();
        Self {
            is_other_kind: errors.iter().any(|error| is_of_kind(error, place)),
            tags: count(&|error| is_tag(error, place)),
            own: count(&|error| error.instance_path().as_str() == place),
            total: errors.len(),
        }
    }
}

/// Whether the value itself is of another type, or not one of named values.
fn is_of_kind(error: &ValidationError<'_>, place: &str) -> bool {
    let is_kind = match error.kind() {
        ValidationErrorKind::Type { .. }
        | ValidationErrorKind::Enum { .. }
        | ValidationErrorKind::Constant { .. } => true,
        _ => context(error).is_some_and(|all| all.iter().flatten().all(|error| is_of_kind(error, place))),
    };
    is_kind && error.instance_path().as_str() == place
}

/// Whether a member of the value has another value than the alternative's.
fn is_tag(error: &ValidationError<'_>, place: &str) -> bool {
    let is_named = matches!(
        error.kind(),
        ValidationErrorKind::Enum { .. } | ValidationErrorKind::Constant { .. }
    );
    let below = error.instance_path().as_str().strip_prefix(place);
    is_named && below.is_some_and(|below| below.starts_with('/') && !below[1..].contains('/'))
}

fn is_null(errors: &Errors) -> bool {
    let is_null = |error: &ValidationError<'_>| match error.kind() {
        ValidationErrorKind::Type { kind } => kinds_of(kind) == ["null"],
        ValidationErrorKind::Constant { expected_value } => expected_value.is_null(),
        _ => false,
    };
    !errors.is_empty() && errors.iter().all(is_null)
}

fn is_told_by_all(error: &ValidationError<'_>, all: &[&Errors]) -> bool {
    let text = error.to_string();
    all.iter()
        .all(|errors| errors.iter().any(|other| other.to_string() == text))
}

/// The properties by which the nearest alternatives are told apart, if each requires one that is missing.
fn none_of(
    error: &ValidationError<'_>,
    all: &[&Errors],
    scores: &[Score],
    best: &Score,
) -> Option<Violation> {
    let place = error.instance_path().as_str();
    let nearest = all.iter().zip(scores).filter(|(_, score)| *score == best);
    let wanted = nearest.map(|(errors, _)| {
        errors.iter().find_map(|error| match error.kind() {
            ValidationErrorKind::Required { property } if error.instance_path().as_str() == place => {
                Some(property.to_string())
            }
            _ => None,
        })
    });
    let wanted: Vec<String> = wanted.collect::<Option<_>>()?;
    Some(Violation::new(
        place,
        &format!("the object has none of {}", either(&wanted)),
    ))
}

/// The allowed values by name, and the allowed types of others.
fn other_kind(error: &ValidationError<'_>, all: &[&Errors]) -> Option<Violation> {
    let place = error.instance_path().as_str();
    let values = named_values(all, place);
    let mut kinds: Vec<String> = Vec::new();
    for errors in all {
        // The type of a named value adds nothing.
        if !named_values(&[errors], place).is_empty() {
            continue;
        }
        for error in flat(errors) {
            if let ValidationErrorKind::Type { kind } = error.kind() {
                let new = kinds_of(kind)
                    .into_iter()
                    .filter(|kind| kind != "null" && !kinds.contains(kind));
                kinds.extend(new.collect::<Vec<_>>());
            }
        }
    }
    (!values.is_empty() || !kinds.is_empty()).then(|| not_one_of(error, &values, &kinds))
}

/// The errors and those of alternatives within.
fn flat(errors: &Errors) -> Vec<&ValidationError<'static>> {
    let mut all = Vec::new();
    for error in errors {
        match context(error) {
            Some(inner) => all.extend(inner.iter().flat_map(|errors| flat(errors))),
            None => all.push(error),
        }
    }
    all
}

/// The values that any of the alternatives names at a place.
fn named_values(all: &[&Errors], place: &str) -> Vec<Value> {
    let mut values: Vec<Value> = Vec::new();
    let errors = all.iter().flat_map(|errors| flat(errors));
    for error in errors.filter(|error| error.instance_path().as_str() == place) {
        let named = match error.kind() {
            ValidationErrorKind::Enum { options } => options.as_array().cloned().unwrap_or_default(),
            ValidationErrorKind::Constant { expected_value } => vec![Value::clone(expected_value)],
            _ => Vec::new(),
        };
        let new = named
            .into_iter()
            .filter(|value| !value.is_null() && !values.contains(value));
        values.extend(new.collect::<Vec<_>>());
    }
    values
}

fn not_one_of(error: &ValidationError<'_>, values: &[Value], kinds: &[String]) -> Violation {
    let found = match &**error.instance() {
        Value::Object(_) => "the object".to_owned(),
        Value::Array(_) => "the array".to_owned(),
        value => value.to_string(),
    };
    let values: Vec<String> = values.iter().map(Value::to_string).collect();
    let kinds: Vec<String> = kinds.iter().map(|kind| format!("{kind:?}")).collect();
    let message = match (&values[..], &kinds[..]) {
        ([], kinds) => format!("{found} is not of type {}", either(kinds)),
        (values, []) => format!("{found} is not one of {}", either(values)),
        (values, kinds) => format!(
            "{found} is not one of {}, nor of type {}",
            either(values),
            either(kinds)
        ),
    };
    Violation::new(error.instance_path().as_str(), &message)
}

/// `a, b or c`
fn either(all: &[String]) -> String {
    match all {
        [others @ .., last] if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        all => all.concat(),
    }
}

fn kinds_of(kind: &TypeKind) -> Vec<String> {
    match kind {
        TypeKind::Single(kind) => vec![kind.to_string()],
        TypeKind::Multiple(kinds) => kinds.iter().map(|kind| kind.to_string()).collect(),
    }
}

/// The validator's own message. Containers print as their type; everything else is short by the time it is in an error.
pub(in crate::registry) fn plain(error: &ValidationError<'_>, schema: &Value) -> Violation {
    if let ValidationErrorKind::Type { kind } = error.kind() {
        let mut kinds = kinds_of(kind);
        // A client that sent another value did not mean `null`.
        kinds.retain(|kind| kind != "null");
        if !kinds.is_empty() {
            return not_one_of(error, &[], &kinds);
        }
    }
    let mut message = match &**error.instance() {
        Value::Object(_) => error.masked_with("the object").to_string(),
        Value::Array(_) => error.masked_with("the array").to_string(),
        _ => error.to_string(),
    };
    if let Some(meant) = meant(error, schema) {
        message = format!("{message}; did you mean {meant:?}?");
    }
    Violation::new(error.instance_path().as_str(), &message)
}

/// The property that was probably meant by one that is not allowed.
fn meant<'s>(error: &ValidationError<'_>, schema: &'s Value) -> Option<&'s str> {
    let (ValidationErrorKind::AdditionalProperties { unexpected }
    | ValidationErrorKind::UnevaluatedProperties { unexpected }) = error.kind()
    else {
        return None;
    };
    let (object, _) = error.schema_path().as_str().rsplit_once('/')?;
    let properties = schema.pointer(object)?.get("properties")?.as_object()?;
    let [name] = &unexpected[..] else { return None };
    nearest(name, properties.keys().map(String::as_str))
}

#[cfg(test)]
#[allow(dead_code, reason = "of these types only the schemas matter")]
mod tests {
    use schemars::JsonSchema;
    use serde::Deserialize;
    use serde_json::json;

    use super::super::schema::{InputSchema, of_input};
    use super::*;

    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Arguments {
        sort: Option<Sort>,
        told: Option<Told>,
        must: Option<Must>,
        shape: Option<Shape>,
        what: Option<What>,
        either: Option<Either>,
        limit: Option<u8>,
    }

    #[derive(Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Sort {
        Name,
        Size,
    }

    #[derive(Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Told {
        /// The first.
        First,
        /// The last.
        Last,
        Other,
    }

    #[derive(Deserialize, JsonSchema)]
    struct Must {
        told: Told,
        all: Vec<Sort>,
    }

    #[derive(Deserialize, JsonSchema)]
    #[serde(tag = "kind", rename_all = "lowercase")]
    enum Shape {
        Circle { radius: f64 },
        Square { side: f64, turned: Option<f64> },
        Point,
    }

    #[derive(Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum What {
        Nothing,
        Text(String),
        Sized { size: u32 },
    }

    #[derive(Deserialize, JsonSchema)]
    #[serde(untagged)]
    enum Either {
        Number(i64),
        Text(String),
        Many(Vec<i64>),
    }

    fn told(arguments: &Value) -> String {
        let mut text = arguments.to_string().into_bytes();
        let tape = simd_json::to_tape(&mut text).unwrap();
        let schema = InputSchema::compile(&of_input::<Arguments>()).unwrap();
        let violations = schema.check(&tape.0).expect_err("a violation");
        violations
            .to_string()
            .strip_prefix("invalid arguments: ")
            .unwrap()
            .to_owned()
    }

    #[test]
    fn an_optional_choice_names_its_values() {
        for (arguments, expected) in [
            (
                json!({"sort": "x"}),
                r#"/sort: "x" is not one of "name" or "size""#,
            ),
            (json!({"sort": 5}), r#"/sort: 5 is not one of "name" or "size""#),
            (
                json!({"sort": {}}),
                r#"/sort: the object is not one of "name" or "size""#,
            ),
            (
                json!({"told": "x"}),
                r#"/told: "x" is not one of "other", "first" or "last""#,
            ),
            (
                json!({"must": {"told": "x", "all": []}}),
                r#"/must/told: "x" is not one of "other", "first" or "last""#,
            ),
            (
                json!({"must": {"told": "last", "all": ["name", "x"]}}),
                r#"/must/all/1: "x" is not one of "name" or "size""#,
            ),
            (
                json!({"must": {"told": "last"}}),
                r#"/must: "all" is a required property"#,
            ),
            (json!({"must": 1}), r#"/must: 1 is not of type "object""#),
            (
                json!({"limit": 300}),
                "/limit: 300 is greater than the maximum of 255",
            ),
        ] {
            assert_eq!(told(&arguments), expected, "{arguments}");
        }
    }

    #[test]
    fn the_alternative_that_was_meant_is_told() {
        for (arguments, expected) in [
            (
                json!({"shape": {"kind": "x"}}),
                r#"/shape/kind: "x" is not one of "circle", "square" or "point""#,
            ),
            (
                json!({"shape": {"kind": "circle"}}),
                r#"/shape: "radius" is a required property"#,
            ),
            (
                json!({"shape": {"kind": "square", "side": "x", "turned": "y"}}),
                r#"/shape/side: "x" is not of type "number"; /shape/turned: "y" is not of type "number""#,
            ),
            (json!({"shape": {}}), r#"/shape: "kind" is a required property"#),
            (
                json!({"shape": "circle"}),
                r#"/shape: "circle" is not of type "object""#,
            ),
            (
                json!({"what": "x"}),
                r#"/what: "x" is not one of "nothing", nor of type "object""#,
            ),
            (
                json!({"what": {"x": 1}}),
                r#"/what: the object has none of "text" or "sized""#,
            ),
            (
                json!({"what": {"sized": {"size": "x"}}}),
                r#"/what/sized/size: "x" is not of type "integer""#,
            ),
            (
                json!({"either": true}),
                r#"/either: true is not of type "integer", "string" or "array""#,
            ),
            (
                json!({"either": [1, "x"]}),
                r#"/either/1: "x" is not of type "integer""#,
            ),
        ] {
            assert_eq!(told(&arguments), expected, "{arguments}");
        }
    }

    #[test]
    fn a_misspelt_name_comes_with_the_right_one() {
        assert_eq!(
            told(&json!({"limt": 1})),
            "Additional properties are not allowed ('limt' was unexpected); did you mean \"limit\"?"
        );
        assert!(!told(&json!({"zzzz": 1})).contains("did you mean"));
    }
}
