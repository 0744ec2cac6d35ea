//! Asking the user, by a form whose answer has a type.
//!
//! For what only the user can decide. Not for passwords: forms go through the client and its model; send the user to a
//! page of yours by `Elicit::url` instead.

use schemars::JsonSchema;
use serde::Deserialize;
use weir::{CallContext, Elicit, Registry, RegistryError, Tool, ToolError};

#[derive(Deserialize, JsonSchema)]
pub struct Order {
    dish: String,
}

#[derive(Deserialize, JsonSchema)]
pub struct Delivery {
    /// Where it is brought.
    address: String,
    /// What else to know.
    remark: Option<String>,
}

async fn order(ctx: CallContext, order: Order) -> Result<String, ToolError> {
    // Nothing has happened yet: a newer client calls again with its answer, and this runs from its beginning.
    let form = Elicit::typed::<Delivery>(format!("Where shall {} be brought?", order.dish));
    let Some(delivery) = ctx.ask("delivery", form).await?.accepted() else {
        return Ok("Nothing was ordered.".to_owned());
    };
    let remark = delivery.remark.map(|remark| format!(" ({remark})")).unwrap_or_default();
    Ok(format!("{} comes to {}{remark}.", order.dish, delivery.address))
}

pub fn registry() -> Result<Registry, RegistryError> {
    let mut registry = Registry::builder();
    registry.add(Tool::new("order").description("Orders a dish.").run(order))?;
    Ok(registry.build())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir::testing::{Client, Reply, Revision};

    use super::*;

    #[test]
    fn users_say_where_they_live_or_not() {
        let answers = [
            (Reply::accept(json!({"address": "1 High Street"})), "soup comes to 1 High Street."),
            (Reply::decline(), "Nothing was ordered."),
        ];
        for revision in [Revision::V2025_06_18, Revision::V2026_07_28] {
            for (reply, text) in answers.clone() {
                let client = Client::new(registry().unwrap()).revision(revision);
                let mut client = client.answer(move |_| reply.clone());
                assert_eq!(client.call("order", json!({"dish": "soup"})).text(), text);
            }
        }
        let mut mute = Client::new(registry().unwrap());
        assert!(mute.call("order", json!({"dish": "soup"})).error_code().is_some());
    }
}
