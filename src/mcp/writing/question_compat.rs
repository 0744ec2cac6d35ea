//! Questions as each revision has them: parts that its schema does not know are rewritten, or left out.
//!
//! The registry's questions have the form of the newest revision. Before 2025-11-25 forms had no modes, no defaults
//! except for booleans, and no choices with titles or of several values, and a message to a model had one block. Only
//! 2025-11-25 has ids of URL elicitations. Parts that a client did not declare were never put in.

use serde_json::{Map, Value, json};

use crate::registry::{QuestionMethod, QuestionRequest};

use crate::mcp::revision::Revision;

/// The parameters of another program's question as a client of this revision knows them; `None` if those are `params`
/// as they are.
pub fn older_question(method: &str, params: &[u8], revision: Revision) -> Option<Vec<u8>> {
    let method = match method {
        "elicitation/create" if !revision.has_elicitation_ids() => QuestionMethod::Elicit,
        "sampling/createMessage" if !revision.has_sampling_tools() => QuestionMethod::Sample,
        _ => return None,
    };
    let request = QuestionRequest {
        method,
        params: serde_json::from_slice(params).ok()?,
    };
    let older = self::params(&request, revision);
    (older != request.params).then(|| older.to_string().into_bytes())
}

/// The parameters of a question.
pub(in crate::mcp) fn params(request: &QuestionRequest, revision: Revision) -> Value {
    let mut params = request.params.clone();
    let Some(members) = params.as_object_mut() else {
        return json!({});
    };
    match request.method {
        QuestionMethod::Elicit => {
            if !revision.has_elicitation_ids() {
                members.shift_remove("elicitationId");
            }
            if !revision.has_elicitation_modes() {
                members.shift_remove("mode");
                if let Some(schema) = members.get_mut("requestedSchema").and_then(Value::as_object_mut) {
                    simplify_form(schema);
                }
            }
        }
        QuestionMethod::Sample if !revision.has_sampling_tools() => {
            members.shift_remove("tools");
            members.shift_remove("toolChoice");
            if let Some(messages) = members.get_mut("messages").and_then(Value::as_array_mut) {
                *messages = messages
                    .iter()
                    .flat_map(|message| single_blocks(message, revision))
                    .collect();
            }
        }
        QuestionMethod::Sample | QuestionMethod::ListRoots => {}
    }
    params
}

/// Messages of one block each, for the blocks that the revision knows.
fn single_blocks(message: &Value, revision: Revision) -> Vec<Value> {
    let content = &message["content"];
    let blocks = content
        .as_array()
        .map_or(std::slice::from_ref(content), Vec::as_slice);
    let known = blocks.iter().filter_map(|block| known_block(block, revision));
    known
        .map(|block| json!({"role": message["role"], "content": block}))
        .collect()
}

fn known_block(block: &Value, revision: Revision) -> Option<Value> {
    match block["type"].as_str()? {
        "text" | "image" => Some(block.clone()),
        "audio" if revision.has_audio() => Some(block.clone()),
        "audio" => {
            let kind = block["mimeType"].as_str().unwrap_or_default();
            Some(json!({"type": "text", "text": format!("[audio, {kind}]")}))
        }
        _ => None,
    }
}

/// A form as 2025-06-18 has it. That revision has no choice of several values, so such a choice is left out.
fn simplify_form(schema: &mut Map<String, Value>) {
    schema.shift_remove("$schema");
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    properties.retain(|_, property| property["type"] != "array");
    for property in properties.values_mut().filter_map(Value::as_object_mut) {
        simplify_property(property);
    }
    let names: Vec<String> = properties.keys().cloned().collect();
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| names.iter().any(|known| name == known));
    }
}

fn simplify_property(property: &mut Map<String, Value>) {
    if property.get("type").and_then(Value::as_str) != Some("boolean") {
        property.shift_remove("default");
    }
    if let Some(Value::Array(choices)) = property.shift_remove("oneOf") {
        let (values, names): (Vec<Value>, Vec<Value>) = choices
            .iter()
            .map(|choice| (choice["const"].clone(), choice["title"].clone()))
            .unzip();
        property.insert("enum".to_owned(), Value::Array(values));
        property.insert("enumNames".to_owned(), Value::Array(names));
    }
}
