//! State of each user, whom the proxy in front of the server names in a header.
//!
//! For servers behind a proxy that authenticates. Not for a server that clients reach without it: they write any header
//! they like.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use schemars::JsonSchema;
use serde::Deserialize;
use weir::{BlockingContext, FromClient, Registry, RegistryError, Tool, ToolError};

const USER: &str = "x-user";
const ITEMS_MAX: usize = 100;

#[derive(Default)]
pub struct Lists(Mutex<HashMap<String, Vec<String>>>);

#[derive(Deserialize, JsonSchema)]
pub struct Item {
    #[schemars(length(min = 1, max = 200))]
    item: String,
}

impl Lists {
    /// What `change` makes of the caller's own list; it sees no other.
    fn own<T>(&self, ctx: &BlockingContext, change: impl FnOnce(&mut Vec<String>) -> T) -> Result<T, ToolError> {
        // The proxy lets no client send this header: a proof, though it came as a claim.
        let user = ctx.caller().header(USER)?.map(FromClient::unverified);
        let user = user.ok_or_else(|| ToolError::message("nobody is signed in"))?;
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(change(lists.entry(user.to_owned()).or_default()))
    }

    fn add(&self, ctx: &BlockingContext, Item { item }: Item) -> Result<&'static str, ToolError> {
        let is_added = self.own(ctx, |list| (list.len() < ITEMS_MAX).then(|| list.push(item)).is_some())?;
        is_added.then_some("Added.").ok_or_else(|| ToolError::message("the list is full"))
    }

    fn show(&self, ctx: &BlockingContext) -> Result<String, ToolError> {
        self.own(ctx, |list| list.join(", "))
    }
}

pub fn registry() -> Result<Registry, RegistryError> {
    let mut registry = Registry::builder().state(Arc::new(Lists::default()));
    let tool = |name: &str, text: &str| Tool::new(name).description(text).reads_header(USER);
    registry.add(tool("add", "Adds to the user's list.").run_blocking(Lists::add))?;
    registry.add(tool("show", "Shows the user's list.").read_only().run_blocking(Lists::show))?;
    Ok(registry.build())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir::testing::Client;

    use super::*;

    #[test]
    fn users_see_their_own_lists() {
        let mut nobody = Client::new(registry().unwrap());
        let mut ada = nobody.another().header(USER, "ada");
        let mut grace = nobody.another().header(USER, "grace");
        for item in ["bread", "milk"] {
            assert_eq!(ada.call("add", json!({"item": item})).text(), "Added.");
        }
        assert_eq!(ada.call("show", json!({})).text(), "bread, milk");
        assert_eq!(grace.call("show", json!({})).text(), "");
        assert!(nobody.call("show", json!({})).is_error());
    }
}
