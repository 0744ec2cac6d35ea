//! Testing: a tool whose other side may hang, and every kind of test of it.
//!
//! For all tools. Not for what only a real socket has: one test against a running server, as the last one here, is
//! enough for that.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir::time::{sleep, timeout};
use weir::{CallContext, Registry, RegistryError, Structured, Tool, ToolError};

#[derive(Deserialize, JsonSchema)]
pub struct Parcel {
    #[schemars(range(min = 1, max = 30_000))]
    grams: u32,
}

#[derive(Serialize, JsonSchema)]
pub struct Price {
    cents: u32,
}

/// Stands for a service that never answers for heavy parcels.
async fn ask_carrier(parcel: Parcel) -> Price {
    let answers_after = if parcel.grams > 20_000 { 86_400 } else { 1 };
    sleep(Duration::from_secs(answers_after)).await;
    Price { cents: 300 + parcel.grams / 10 }
}

async fn quote(ctx: CallContext, parcel: Parcel) -> Result<Structured<Price>, ToolError> {
    ctx.progress((1, 2));
    let answer = timeout(Duration::from_secs(10), ask_carrier(parcel)).await;
    answer.map(Structured).map_err(|_| ToolError::unavailable("the carrier does not answer"))
}

pub fn registry() -> Result<Registry, RegistryError> {
    let mut registry = Registry::builder();
    registry.add(Tool::new("quote").description("The price of a parcel.").read_only().run_tokio(quote))?;
    Ok(registry.build())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir::Server;
    use weir::testing::{Client, Revision};

    use super::*;

    /// What models read is an interface, too: a change of it should be meant.
    #[test]
    fn the_list_is_as_it_was() {
        let listed = Client::new(registry().unwrap()).list_tools();
        assert_eq!(listed[0]["name"], "quote");
        assert_eq!(listed[0]["inputSchema"]["properties"]["grams"]["maximum"], 30_000);
        assert_eq!(listed[0]["outputSchema"]["required"], json!(["cents"]));
    }

    #[test]
    fn a_price_is_the_same_in_every_revision() {
        for revision in [Revision::V2024_11_05, Revision::V2025_06_18, Revision::V2026_07_28] {
            let mut client = Client::new(registry().unwrap()).revision(revision);
            let answer = client.call("quote", json!({"grams": 500}));
            assert_eq!((answer.text().as_str(), answer.progress().len()), (r#"{"cents":350}"#, 1));
        }
    }

    #[test]
    fn a_carrier_that_hangs_is_given_up_after_ten_seconds() {
        let mut client = Client::new(registry().unwrap());
        let answer = client.call("quote", json!({"grams": 25_000}));
        assert!(answer.is_error() && answer.text().contains("the carrier does not answer"));
        assert_eq!(client.elapsed(), Duration::from_secs(10));
    }

    #[test]
    fn a_running_server_says_the_same() {
        let server = Server::builder("parcels", "1.0.0").listen(([127, 0, 0, 1], 0).into()).shards(1).pool_size(8);
        let server = server.start(registry().unwrap()).unwrap();
        let mut client = Client::connect(&server.url());
        assert_eq!(client.call("quote", json!({"grams": 500})).structured()["cents"], 350);
        drop(client);
        assert!(server.drain(Duration::from_secs(5), |_| false).is_clean);
    }
}
