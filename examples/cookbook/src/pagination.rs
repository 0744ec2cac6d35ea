//! Pagination: a tool and a list of resources that give a page at a time.
//!
//! For more than a model should read at once. Not for tens of things, and not for a list that does not change while the
//! server runs: what is registered one by one is listed in pages by itself.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir::{
    CallContext, ForClient, ListRequest, Registry, RegistryError, Resource, ResourceLister, ResourcePage,
    ResourceTemplate, Structured, Tool, ToolError,
};

const PAGE: usize = 50;

pub struct Orders(pub BTreeMap<u64, String>);

#[derive(Deserialize, JsonSchema)]
pub struct After {
    /// The `next` of the page before; left out for the first page.
    after: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
pub struct Page {
    orders: Vec<String>,
    next: Option<u64>,
}

#[derive(Deserialize)]
pub struct Order {
    id: u64,
}

impl Orders {
    /// A page, and where the next one begins. The place is a key and no count, so that nothing is shown twice or left
    /// out when others add orders meanwhile.
    fn page(&self, after: Option<u64>) -> (Vec<(u64, &String)>, Option<u64>) {
        let rest = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let mut rest = self.0.range(rest).map(|(id, text)| (*id, text));
        let page: Vec<_> = rest.by_ref().take(PAGE).collect();
        let last = page.last().map(|(id, _)| *id);
        (page, rest.next().and(last))
    }

    async fn orders(&self, _: CallContext, After { after }: After) -> Result<Structured<Page>, ToolError> {
        let (page, next) = self.page(after);
        Ok(Structured(Page { orders: page.into_iter().map(|(_, text)| text.clone()).collect(), next }))
    }

    async fn list(&self, _: CallContext, request: ListRequest) -> Result<ResourcePage, ToolError> {
        // It went through the client's hands.
        let after = request.after.map(|after| after.parse()).transpose().for_client()?;
        let (page, next) = self.page(after);
        let listed = |(id, text): (u64, &String)| Resource::new(format!("order://{id}"), text).listed();
        Ok(ResourcePage { resources: page.into_iter().map(listed).collect(), next: next.map(|id| id.to_string()) })
    }

    async fn read(&self, _: CallContext, Order { id }: Order) -> Result<String, ToolError> {
        self.0.get(&id).cloned().ok_or_else(|| ToolError::not_found(format!("there is no order {id}")))
    }
}

pub fn registry(orders: Orders) -> Result<Registry, RegistryError> {
    let mut registry = Registry::builder().state(Arc::new(orders));
    registry.add(Tool::new("orders").description("Lists orders, a page at a time.").read_only().run(Orders::orders))?;
    registry.add(ResourceLister::new("orders", Orders::list))?;
    registry.add(ResourceTemplate::new("order://{id}", "order").read(Orders::read))?;
    Ok(registry.build())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir::testing::Client;

    use super::*;

    #[test]
    fn pages_have_every_order_once() {
        let orders = (1..=120).map(|id| (id, format!("order {id}"))).collect();
        let mut client = Client::new(registry(Orders(orders)).unwrap());
        let first = client.call("orders", json!({}));
        assert_eq!(
            (first.structured()["orders"][0].as_str(), &first.structured()["next"]),
            (Some("order 1"), &json!(50))
        );
        let last = client.call("orders", json!({"after": 100}));
        assert_eq!(last.structured()["orders"].as_array().unwrap().len(), 20);
        assert!(last.structured()["next"].is_null());
        assert_eq!(client.list_resources().len(), 120);
        assert_eq!(client.read("order://120").text(), "order 120");
    }
}
