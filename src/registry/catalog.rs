//! The registry: built once, then shared and never changed.

use std::collections::HashMap;
use std::sync::Arc;

use super::builder::Tool;
use super::handler::Handler;
use super::info::{ToolIndex, ToolInfo};
use super::operation::Operation;
use super::schema::{InputSchema, OutputSchema, SchemaError};
use super::shard::ShardRegistry;

/// The longest tool name (MCP, Tools: tool names).
const NAME_CHARS_MAX: usize = 128;

/// All tools of a server. Cloning it is cloning a pointer.
#[derive(Clone, Default)]
pub struct Registry {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    tools: Vec<Registered>,
    by_name: HashMap<String, ToolIndex>,
}

/// One tool, its schemas compiled.
pub(super) struct Registered {
    pub(super) info: ToolInfo,
    pub(super) input: InputSchema,
    pub(super) output: Option<Arc<OutputSchema>>,
    pub(super) handler: Arc<dyn Handler>,
}

/// A tool that cannot be registered. Its author's fault, in each case.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The name is empty, too long or has other characters than `[A-Za-z0-9_.-]`.
    #[error("tool name {0:?} is not 1 to {NAME_CHARS_MAX} characters of [A-Za-z0-9_.-]")]
    Name(String),
    /// The name is taken.
    #[error("a tool named {0:?} is already registered")]
    Duplicate(String),
    /// The arguments' schema cannot be used.
    #[error("input schema of tool {tool:?}: {source}")]
    InputSchema {
        /// The tool.
        tool: String,
        /// What is wrong.
        source: SchemaError,
    },
    /// The results' schema cannot be used.
    #[error("output schema of tool {tool:?}: {source}")]
    OutputSchema {
        /// The tool.
        tool: String,
        /// What is wrong.
        source: SchemaError,
    },
}

impl Registry {
    /// An empty registry to add tools to.
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder {
            inner: Inner::default(),
        }
    }

    /// The tool of this name. Does not allocate.
    pub fn find(&self, name: &str) -> Option<ToolIndex> {
        self.inner.by_name.get(name).copied()
    }

    /// A tool's description.
    ///
    /// # Panics
    /// If `index` comes from another, larger registry.
    pub fn tool(&self, index: ToolIndex) -> &ToolInfo {
        &self.inner.tools[index.as_usize()].info
    }

    /// All tools in the order they were registered.
    pub fn tools(&self) -> impl ExactSizeIterator<Item = (ToolIndex, &ToolInfo)> {
        self.inner
            .tools
            .iter()
            .enumerate()
            .map(|(at, tool)| (ToolIndex(at as u32), &tool.info))
    }

    /// The registered name of what an operation runs, for logs.
    ///
    /// # Panics
    /// If `operation` comes from another, larger registry.
    pub fn name_of(&self, operation: Operation) -> &str {
        match operation {
            Operation::Tool(index) => self.tool(index).name(),
        }
    }

    /// One shard's own part: the slots its calls will live in.
    pub fn for_shard(&self) -> ShardRegistry {
        ShardRegistry::new(self.clone())
    }

    pub(super) fn registered(&self) -> &[Registered] {
        &self.inner.tools
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.tools().map(|(_, tool)| tool.name()))
            .finish()
    }
}

/// Collects tools. Toolsets add theirs to the same builder.
pub struct RegistryBuilder {
    inner: Inner,
}

impl RegistryBuilder {
    /// Adds a tool: checks its name, compiles its schemas.
    ///
    /// # Errors
    /// See [`RegistryError`]; the tool is then not added.
    pub fn add(&mut self, tool: Tool) -> Result<&mut Self, RegistryError> {
        let Tool { info, handler } = tool;
        let name = info.name.clone();
        if !is_name(&name) {
            return Err(RegistryError::Name(name));
        }
        if self.inner.by_name.contains_key(&name) {
            return Err(RegistryError::Duplicate(name));
        }
        let input =
            InputSchema::compile(&info.input_schema).map_err(|source| RegistryError::InputSchema {
                tool: name.clone(),
                source,
            })?;
        let output = info
            .output_schema
            .as_ref()
            .map(OutputSchema::compile)
            .transpose()
            .map_err(|source| RegistryError::OutputSchema {
                tool: name.clone(),
                source,
            })?
            .map(Arc::new);
        let index = ToolIndex(self.inner.tools.len() as u32);
        self.inner.tools.push(Registered {
            info,
            input,
            output,
            handler,
        });
        self.inner.by_name.insert(name, index);
        Ok(self)
    }

    /// The finished registry.
    pub fn build(self) -> Registry {
        Registry {
            inner: Arc::new(self.inner),
        }
    }
}

impl std::fmt::Debug for RegistryBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.inner.tools.iter().map(|tool| tool.info.name());
        f.debug_list().entries(names).finish()
    }
}

fn is_name(name: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::super::output::{NoArguments, Structured};
    use super::*;
    use crate::registry::CallContext;
    use schemars::JsonSchema;
    use serde::Serialize;
    use serde_json::json;

    fn tool(name: &str) -> Tool {
        Tool::new(name).run(|_: CallContext, _: NoArguments| async { Ok("") })
    }

    #[test]
    fn tools_keep_their_order_and_are_found_by_name() {
        let mut tools = Registry::builder();
        let names: Vec<String> = (0..50).map(|at| format!("tool-{}", 97 * at % 50)).collect();
        for name in &names {
            tools.add(tool(name)).unwrap();
        }
        let registry = tools.build();
        assert!(registry.tools().map(|(_, tool)| tool.name()).eq(names.iter()));
        for (at, name) in names.iter().enumerate() {
            let index = registry.find(name).unwrap();
            assert_eq!(index.as_usize(), at);
            assert_eq!(registry.tool(index).name(), name);
        }
        assert_eq!(registry.find("tool-50"), None);
    }

    #[test]
    fn names_are_checked() {
        let mut tools = Registry::builder();
        for name in ["a", "A.b_c-9", &"x".repeat(128)] {
            assert!(tools.add(tool(name)).is_ok(), "{name}");
        }
        for name in ["", &"x".repeat(129), "a b", "a/b", "é", "a\0"] {
            let refused = tools.add(tool(name)).err();
            assert!(matches!(refused, Some(RegistryError::Name(_))), "{name}");
        }
        assert!(matches!(tools.add(tool("a")), Err(RegistryError::Duplicate(_))));
        assert_eq!(tools.build().tools().len(), 3);
    }

    #[test]
    fn unusable_schemas_name_the_tool() {
        let mut tools = Registry::builder();
        let external = json!({"type": "object", "$ref": "https://example.com/arguments.json"});
        let untyped = Tool::new("outside")
            .input_schema(external)
            .run(|_: CallContext, _: serde_json::Value| async { Ok("") });
        let error = tools.add(untyped).unwrap_err();
        assert!(matches!(error, RegistryError::InputSchema { .. }));
        assert!(
            error
                .to_string()
                .starts_with("input schema of tool \"outside\": reference"),
            "{error}"
        );
        let list = Tool::new("list").run(|_: CallContext, _: NoArguments| async { Ok(Structured(vec![1])) });
        let error = tools.add(list).unwrap_err();
        assert!(matches!(error, RegistryError::OutputSchema { .. }), "{error}");
        // Refused means not there.
        assert!(tools.add(tool("outside")).is_ok());
    }

    #[derive(Serialize, JsonSchema)]
    struct Sum {
        sum: i64,
    }

    #[test]
    fn structured_results_bring_their_schema() {
        let mut tools = Registry::builder();
        let sum =
            Tool::new("sum").run(|_: CallContext, _: NoArguments| async { Ok(Structured(Sum { sum: 3 })) });
        tools.add(sum).unwrap();
        let registry = tools.build();
        let (_, info) = registry.tools().next().unwrap();
        assert_eq!(
            serde_json::to_value(info).unwrap(),
            json!({
                "name": "sum",
                "inputSchema": {"type": "object"},
                "outputSchema": {
                    "type": "object",
                    "properties": {"sum": {"type": "integer"}},
                    "required": ["sum"],
                },
            })
        );
    }
}
