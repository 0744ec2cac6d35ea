//! Descriptions of what is registered, with every member that the schema of a revision knows and no other.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::registry::{PromptInfo, ResourceInfo, TaskSupport, ToolInfo};

use crate::mcp::revision::Revision;

pub(in crate::mcp) fn tool(info: &ToolInfo, revision: Revision) -> Value {
    let mut tool = Map::new();
    tool.insert("name".to_owned(), json!(info.name()));
    if let Some(title) = info.title().filter(|_| revision.has_titles()) {
        tool.insert("title".to_owned(), json!(title));
    }
    if let Some(description) = info.description() {
        tool.insert("description".to_owned(), json!(description));
    }
    if revision.has_icons() && !info.icons().is_empty() {
        tool.insert("icons".to_owned(), json!(info.icons()));
    }
    tool.insert("inputSchema".to_owned(), schema(info.input_schema(), revision));
    if let Some(output) = info.output_schema().filter(|schema| is_offered(schema, revision)) {
        tool.insert("outputSchema".to_owned(), schema(output, revision));
    }
    if let Some(annotations) = annotations(info, revision) {
        tool.insert("annotations".to_owned(), annotations);
    }
    if revision.has_item_meta() && !info.meta().is_empty() {
        tool.insert("_meta".to_owned(), json!(info.meta()));
    }
    if revision.has_requested_tasks() && info.task_support() != TaskSupport::Forbidden {
        tool.insert(
            "execution".to_owned(),
            json!({"taskSupport": info.task_support()}),
        );
    }
    Value::Object(tool)
}

/// Whether clients of this revision can call the tool at all.
pub(in crate::mcp) fn is_callable(info: &ToolInfo, revision: Revision) -> bool {
    revision.has_tasks() || info.task_support() != TaskSupport::Required
}

fn is_offered(output_schema: &Value, revision: Revision) -> bool {
    revision.has_any_structured_result()
        || revision.has_structured_results() && output_schema["type"] == "object"
}

/// The hints. Revisions that had hints but no titles kept the title among them.
fn annotations(info: &ToolInfo, revision: Revision) -> Option<Value> {
    if !revision.has_annotations() {
        return None;
    }
    let mut hints = serde_json::to_value(info.annotations()).ok()?;
    if let Some(title) = info.title().filter(|_| !revision.has_titles()) {
        hints["title"] = json!(title);
    }
    let is_empty = hints.as_object().is_none_or(Map::is_empty);
    (!is_empty).then_some(hints)
}

/// A schema as this revision allows it: before 2026-07-28 the schema of a property was an object, never a boolean.
fn schema(schema: &Value, revision: Revision) -> Value {
    let mut schema = schema.clone();
    if revision < Revision::V2026_07_28
        && let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut)
    {
        for property in properties.values_mut() {
            match property {
                Value::Bool(true) => *property = json!({}),
                Value::Bool(false) => *property = json!({"not": {}}),
                _ => {}
            }
        }
    }
    schema
}

/// A resource or a resource template.
pub(in crate::mcp) fn resource(info: &ResourceInfo, revision: Revision) -> Value {
    let mut resource = without_newer(info, revision);
    if !revision.has_item_meta()
        && let Some(annotations) = resource.get_mut("annotations").and_then(Value::as_object_mut)
    {
        annotations.shift_remove("lastModified");
    }
    resource
}

pub(in crate::mcp) fn prompt(info: &PromptInfo, revision: Revision) -> Value {
    let mut prompt = without_newer(info, revision);
    let arguments = prompt.get_mut("arguments").and_then(Value::as_array_mut);
    for argument in arguments.into_iter().flatten() {
        drop_newer(argument, revision);
    }
    prompt
}

fn without_newer(info: &impl Serialize, revision: Revision) -> Value {
    let mut described = serde_json::to_value(info).unwrap_or_default();
    drop_newer(&mut described, revision);
    described
}

fn drop_newer(described: &mut Value, revision: Revision) {
    let Some(members) = described.as_object_mut() else {
        return;
    };
    if !revision.has_titles() {
        members.shift_remove("title");
    }
    if !revision.has_item_meta() {
        members.shift_remove("_meta");
    }
    if !revision.has_icons() {
        members.shift_remove("icons");
    }
}
