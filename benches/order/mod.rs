//! A tool whose schema takes some work to validate, and arguments for it.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use weir::{CallContext, Tool};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "made to be measured, not read")]
pub(crate) struct Order {
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[a-z]+-[0-9]+$"))]
    id: String,
    urgent: Option<bool>,
    items: Vec<Item>,
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "made to be measured, not read")]
struct Item {
    name: String,
    #[schemars(range(min = 1, max = 1_000))]
    count: u32,
    price: f64,
    tags: Vec<String>,
}

/// A tool of this name that takes an order.
pub(crate) fn tool(name: &str) -> Tool {
    Tool::new(name).run(|_: CallContext, args: Order| async move { Ok(args.id) })
}

/// The JSON of an order of so many items.
pub(crate) fn arguments(items: usize) -> String {
    let item = json!({"name": "bolt M8", "count": 25, "price": 0.35, "tags": ["steel", "metric"]});
    json!({"id": "order-1234", "urgent": null, "items": vec![item; items]}).to_string()
}
