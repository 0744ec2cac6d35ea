//! Questions to the client's model (MCP, Sampling; deprecated since 2026-07-28).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::capabilities::ClientCapabilities;
use super::question::{Question, QuestionMethod, QuestionRequest};
use crate::registry::content::{ContentBlock, Role};

/// A request to the client's model.
#[derive(Debug, Clone)]
pub struct Sample {
    messages: Vec<Value>,
    uses_tools: bool,
    params: Map<String, Value>,
    preferences: Map<String, Value>,
    include_context: Option<IncludeContext>,
    tools: Vec<Value>,
}

/// The context of other servers that the client adds; only clients that declare it are asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IncludeContext {
    /// The context of this server.
    ThisServer,
    /// The context of all servers.
    AllServers,
}

/// Whether the model uses tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// The model must use at least one.
    Required,
    /// The model uses none.
    None,
}

/// Content of a message to or from a model (MCP: `SamplingMessageContentBlock`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum SampleContent {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// A picture.
    Image {
        /// Base64.
        data: String,
        /// Such as `image/png`.
        mime_type: String,
    },
    /// Sound. Since 2025-03-26.
    Audio {
        /// Base64.
        data: String,
        /// Such as `audio/wav`.
        mime_type: String,
    },
    /// The model wants a tool called. Since 2025-11-25.
    ToolUse {
        /// The id of this use.
        id: String,
        /// The tool's name.
        name: String,
        /// Its arguments.
        input: Map<String, Value>,
    },
    /// The result of a tool. Since 2025-11-25.
    ToolResult {
        /// The id of the use.
        tool_use_id: String,
        /// `ContentBlock`s.
        content: Vec<Value>,
        /// `structuredContent`, if there is any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        structured_content: Option<Value>,
        /// Whether the tool failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        is_error: Option<bool>,
    },
}

impl SampleContent {
    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }

    /// The result of a tool, for the use with this id.
    pub fn tool_result(tool_use_id: impl Into<String>, blocks: &[ContentBlock]) -> Self {
        Self::ToolResult {
            tool_use_id: tool_use_id.into(),
            content: blocks.iter().map(|block| json!(block)).collect(),
            structured_content: None,
            is_error: None,
        }
    }

    fn is_of_tools(&self) -> bool {
        matches!(self, Self::ToolUse { .. } | Self::ToolResult { .. })
    }
}

impl From<&str> for SampleContent {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for SampleContent {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

/// The model's answer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SampleAnswer {
    /// The speaker; usually the model.
    pub role: Role,
    /// One block or, since 2025-11-25, several.
    #[serde(deserialize_with = "one_or_many")]
    pub content: Vec<SampleContent>,
    /// The name of the model.
    pub model: String,
    /// The reason why it stopped: `endTurn`, `stopSequence`, `maxTokens`, `toolUse` or a word of the client's own.
    pub stop_reason: Option<String>,
}

impl SampleAnswer {
    /// All text blocks, one after the other.
    pub fn text(&self) -> String {
        let text = |block: &SampleContent| match block {
            SampleContent::Text { text } => Some(text.clone()),
            _ => None,
        };
        self.content.iter().filter_map(text).collect()
    }
}

impl Sample {
    /// A request for at most so many tokens; the client may allow fewer.
    pub fn new(max_tokens: u32) -> Self {
        let mut params = Map::new();
        params.insert("maxTokens".to_owned(), json!(max_tokens));
        Self {
            messages: Vec::new(),
            uses_tools: false,
            params,
            preferences: Map::new(),
            include_context: None,
            tools: Vec::new(),
        }
    }

    /// Adds a message of one block.
    pub fn message(self, role: Role, content: impl Into<SampleContent>) -> Self {
        self.messages_of(role, vec![content.into()])
    }

    /// Adds a message of several blocks (since 2025-11-25; before that, of one).
    pub fn messages_of(mut self, role: Role, content: Vec<SampleContent>) -> Self {
        self.uses_tools |= content.iter().any(SampleContent::is_of_tools);
        let content = match content.as_slice() {
            [one] => json!(one),
            many => json!(many),
        };
        self.messages.push(json!({"role": role, "content": content}));
        self
    }

    /// The system prompt, which the model reads before the messages.
    pub fn system_prompt(self, prompt: impl Into<String>) -> Self {
        self.with("systemPrompt", prompt.into())
    }

    /// The sampling temperature.
    pub fn temperature(self, temperature: f64) -> Self {
        self.with("temperature", temperature)
    }

    /// A string that ends the answer; may be called more than once.
    pub fn stop_sequence(mut self, sequence: impl Into<String>) -> Self {
        push(&mut self.params, "stopSequences", json!(sequence.into()));
        self
    }

    /// Metadata that is passed on to the model's provider.
    pub fn metadata(self, metadata: Map<String, Value>) -> Self {
        self.with("metadata", metadata)
    }

    /// Part of the name of a suitable model; may be called more than once, best first.
    pub fn model_hint(mut self, name: impl Into<String>) -> Self {
        push(&mut self.preferences, "hints", json!({"name": name.into()}));
        self
    }

    /// The importance of a low price, from 0 to 1.
    pub fn cost_priority(self, priority: f64) -> Self {
        self.prefer("costPriority", priority)
    }

    /// The importance of speed, from 0 to 1.
    pub fn speed_priority(self, priority: f64) -> Self {
        self.prefer("speedPriority", priority)
    }

    /// The importance of intelligence, from 0 to 1.
    pub fn intelligence_priority(self, priority: f64) -> Self {
        self.prefer("intelligencePriority", priority)
    }

    /// Lets the client add context of servers. Left out for clients that do not declare it.
    pub fn include_context(mut self, context: IncludeContext) -> Self {
        self.include_context = Some(context);
        self
    }

    /// A tool the model may use (since 2025-11-25); the answer then asks for its use, and the server runs it.
    pub fn tool(
        mut self,
        name: impl Into<String>,
        description: impl Into<String>,
        input_schema: Value,
    ) -> Self {
        let tool = json!({
            "name": name.into(),
            "description": description.into(),
            "inputSchema": input_schema,
        });
        self.tools.push(tool);
        self
    }

    /// Whether the model uses the tools (since 2025-11-25).
    pub fn tool_choice(mut self, choice: ToolChoice) -> Self {
        self.uses_tools = true;
        self.with("toolChoice", json!({"mode": choice}))
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.params.insert(name.to_owned(), value.into());
        self
    }

    fn prefer(mut self, name: &str, priority: f64) -> Self {
        self.preferences
            .insert(name.to_owned(), json!(priority.clamp(0.0, 1.0)));
        self
    }
}

impl Question for Sample {
    type Answer = SampleAnswer;

    fn needs(&self) -> ClientCapabilities {
        let needs = ClientCapabilities::SAMPLING;
        if self.uses_tools || !self.tools.is_empty() {
            needs.with(ClientCapabilities::SAMPLING_TOOLS)
        } else {
            needs
        }
    }

    fn request(&self, client: ClientCapabilities) -> QuestionRequest {
        let mut params = self.params.clone();
        params.insert("messages".to_owned(), json!(self.messages));
        if !self.preferences.is_empty() {
            params.insert("modelPreferences".to_owned(), json!(self.preferences));
        }
        if !self.tools.is_empty() {
            params.insert("tools".to_owned(), json!(self.tools));
        }
        if let Some(context) = self.include_context
            && client.contains(ClientCapabilities::SAMPLING_CONTEXT)
        {
            let name = match context {
                IncludeContext::ThisServer => "thisServer",
                IncludeContext::AllServers => "allServers",
            };
            params.insert("includeContext".to_owned(), json!(name));
        }
        QuestionRequest {
            method: QuestionMethod::Sample,
            params: Value::Object(params),
        }
    }

    fn read(&self, answer: Value) -> Result<SampleAnswer, String> {
        serde_json::from_value(answer)
            .map_err(|error| format!("the answer is not a sampling result: {error}"))
    }

    fn check(&self) -> Result<(), String> {
        if self.messages.is_empty() {
            Err("there is no message".to_owned())
        } else {
            Ok(())
        }
    }
}

fn push(members: &mut Map<String, Value>, name: &str, value: Value) {
    if let Value::Array(list) = members.entry(name).or_insert_with(|| json!([])) {
        list.push(value);
    }
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<SampleContent>, D::Error> {
    // This goes through a value because the error of an untagged enum would not say what is wrong.
    let value = Value::deserialize(deserializer)?;
    let blocks = match value {
        Value::Array(_) => serde_json::from_value(value),
        one => serde_json::from_value(one).map(|block| vec![block]),
    };
    blocks.map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::specification::{REVISIONS, assert_matches};

    fn all() -> ClientCapabilities {
        ClientCapabilities::from_bits(u16::MAX)
    }

    fn answer(content: &Value) -> Value {
        json!({"role": "assistant", "content": content, "model": "m", "stopReason": "endTurn"})
    }

    #[test]
    fn a_full_request_is_the_specifications() {
        let metadata = json!({"trace": 1}).as_object().cloned().unwrap();
        let sample = Sample::new(100)
            .message(Role::User, "Add 2 and 3.")
            .system_prompt("Be brief.")
            .temperature(0.5)
            .stop_sequence("END")
            .stop_sequence("STOP")
            .metadata(metadata)
            .model_hint("big")
            .model_hint("small")
            .cost_priority(2.0)
            .speed_priority(-1.0)
            .intelligence_priority(0.25)
            .include_context(IncludeContext::ThisServer);
        let request = sample.request(all());
        assert_eq!(request.method.as_str(), "sampling/createMessage");
        let expected = json!({
            "maxTokens": 100,
            "systemPrompt": "Be brief.",
            "temperature": 0.5,
            "stopSequences": ["END", "STOP"],
            "metadata": {"trace": 1},
            "messages": [{"role": "user", "content": {"type": "text", "text": "Add 2 and 3."}}],
            "modelPreferences": {
                "hints": [{"name": "big"}, {"name": "small"}],
                "costPriority": 1.0,
                "speedPriority": 0.0,
                "intelligencePriority": 0.25,
            },
            "includeContext": "thisServer",
        });
        assert_eq!(request.params, expected);
        for revision in REVISIONS {
            let whole = json!({
                "jsonrpc": "2.0", "id": 1, "method": request.method.as_str(), "params": request.params,
            });
            assert_matches(revision, "CreateMessageRequest", &whole);
        }
        // Context is only for clients that declare it.
        let bare = sample.request(ClientCapabilities::SAMPLING).params;
        assert_eq!(bare.get("includeContext"), None);
        assert_eq!(sample.needs(), ClientCapabilities::SAMPLING);
    }

    #[test]
    fn tools_need_a_client_that_declares_them() {
        let with_tools = ClientCapabilities::SAMPLING.with(ClientCapabilities::SAMPLING_TOOLS);
        let plain = || Sample::new(1).message(Role::User, "?");
        assert_eq!(plain().needs(), ClientCapabilities::SAMPLING);
        let used = SampleContent::ToolUse {
            id: "u".to_owned(),
            name: "add".to_owned(),
            input: Map::new(),
        };
        let given = SampleContent::tool_result("u", &[ContentBlock::text("5")]);
        let tool = plain()
            .tool("add", "Adds.", json!({"type": "object"}))
            .tool_choice(ToolChoice::Required);
        let rounds = plain()
            .message(Role::Assistant, used.clone())
            .messages_of(Role::User, vec![given.clone(), SampleContent::text("and?")]);
        for sample in [&tool, &rounds, &plain().tool_choice(ToolChoice::None)] {
            assert_eq!(sample.needs(), with_tools);
            let params = sample.request(all()).params;
            for revision in ["2025-11-25", "2026-07-28"] {
                assert_matches(revision, "CreateMessageRequestParams", &params);
            }
        }
        let params = tool.request(all()).params;
        assert_eq!(params["toolChoice"], json!({"mode": "required"}));
        let messages = &rounds.request(all()).params["messages"];
        assert_eq!(messages[1]["content"]["type"], "tool_use");
        assert_eq!(messages[2]["content"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn answers_are_one_block_or_several() {
        let sample = Sample::new(1).message(Role::User, "?");
        let text = json!({"type": "text", "text": "5", "annotations": {"priority": 1}});
        let one = sample.read(answer(&text)).unwrap();
        assert_eq!(
            (one.text(), one.model.as_str(), one.role),
            ("5".to_owned(), "m", Role::Assistant)
        );
        assert_eq!(one.stop_reason.as_deref(), Some("endTurn"));
        let image = json!({"type": "image", "data": "AA==", "mimeType": "image/png"});
        let audio = json!({"type": "audio", "data": "AA==", "mimeType": "audio/wav"});
        let used = json!({"type": "tool_use", "id": "u", "name": "add", "input": {"a": 2}});
        let several = sample
            .read(answer(&json!([text, image, audio, used, text])))
            .unwrap();
        assert_eq!((several.content.len(), several.text()), (5, "55".to_owned()));
        let short = json!({"role": "user", "content": text, "model": "m"});
        assert_eq!(sample.read(short).unwrap().stop_reason, None);
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let sample = Sample::new(1).message(Role::User, "?");
        for wrong in [
            json!(null),
            json!({}),
            json!({"role": "robot", "content": {"type": "text", "text": ""}, "model": "m"}),
            answer(&json!("5")),
            answer(&json!({"type": "video"})),
            answer(&json!([{"type": "text"}])),
        ] {
            let refused = sample.read(wrong.clone());
            assert!(
                refused.is_err_and(|text| text.starts_with("the answer is not a sampling")),
                "{wrong}"
            );
        }
        assert!(Sample::new(1).check().is_err());
        assert_eq!(sample.check(), Ok(()));
    }
}
