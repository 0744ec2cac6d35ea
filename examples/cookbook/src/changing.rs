//! Changing the registry while the server runs: a tool that is there at times.
//!
//! For tools that come and go with something else: a licence, a plug-in, a maintenance. Not for what one caller may and
//! another may not: every client is shown the same list.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use schemars::JsonSchema;
use serde::Deserialize;
use weir::{CallContext, Registry, RegistryError, ServerHandle, Tool, ToolError};

#[derive(Default)]
pub struct Account(AtomicI64);

#[derive(Deserialize, JsonSchema)]
pub struct Sum {
    #[schemars(range(min = 1, max = 1_000))]
    sum: i64,
}

impl Account {
    async fn balance(&self, _: CallContext) -> Result<String, ToolError> {
        Ok(self.0.load(Ordering::Relaxed).to_string())
    }

    async fn pay(&self, _: CallContext, Sum { sum }: Sum) -> Result<String, ToolError> {
        Ok((self.0.fetch_add(sum, Ordering::Relaxed) + sum).to_string())
    }
}

pub fn registry() -> Result<Registry, RegistryError> {
    let mut registry = Registry::builder().state(Arc::new(Account::default()));
    // Clients are promised to hear of changes.
    registry.tools_list_changed();
    registry.add(Tool::new("balance").description("The balance.").read_only().run(Account::balance))?;
    Ok(registry.build())
}

/// Lets clients pay from now on, or no longer. The handle is `Server::handle`, or `ctx.server()` in a tool. Calls that
/// run go on to their end.
pub fn set_paying(server: &ServerHandle, is_allowed: bool) -> Result<(), RegistryError> {
    server.edit_registry(|registry| {
        registry.remove_tool("pay");
        if is_allowed {
            registry.add(Tool::new("pay").description("Pays in.").run(Account::pay))?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir::testing::Client;

    use super::*;

    #[test]
    fn clients_pay_while_they_may() {
        let mut client = Client::new(registry().unwrap());
        client.listen();
        set_paying(&client.server(), true).unwrap();
        assert_eq!(client.next_notification()["method"], "notifications/tools/list_changed");
        assert_eq!(client.call("pay", json!({"sum": 5})).text(), "5");
        set_paying(&client.server(), false).unwrap();
        assert_eq!(client.call("pay", json!({"sum": 5})).error_code(), Some(-32602));
        assert_eq!(client.call("balance", json!({})).text(), "5");
    }
}
