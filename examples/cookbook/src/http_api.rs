//! An HTTP API of somebody else, through reqwest.
//!
//! For whatever needs tokio. Not for an API that answers the same to everybody for a while: see `caching`.

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir::{CallContext, Registry, RegistryError, Structured, Tool, ToolError};

/// One client for all calls: it keeps connections.
pub struct Weather {
    http: reqwest::Client,
    base: String,
}

#[derive(Deserialize, JsonSchema)]
pub struct Place {
    #[schemars(regex(pattern = "^[a-z]{1,40}$"))]
    city: String,
}

#[derive(Deserialize, Serialize, JsonSchema)]
pub struct Report {
    celsius: f64,
}

impl Weather {
    async fn report(&self, _: CallContext, place: Place) -> Result<Structured<Report>, ToolError> {
        let response = self.http.get(format!("{}/{}", self.base, place.city)).send().await?;
        match response.status() {
            StatusCode::NOT_FOUND => Err(ToolError::not_found(format!("there is no weather for {}", place.city))),
            status if status.is_server_error() => Err(ToolError::unavailable("the weather service has a fault")),
            _ => Ok(Structured(response.error_for_status()?.json().await?)),
        }
    }
}

pub fn registry(base: String) -> Result<Registry, RegistryError> {
    let weather = Weather { http: reqwest::Client::new(), base };
    let mut registry = Registry::builder().state(Arc::new(weather));
    let tool = Tool::new("weather").description("The weather in a city.").read_only();
    let tool = tool.timeout(Duration::from_secs(5)).concurrency(8).queue(100);
    registry.add(tool.run_tokio(Weather::report))?;
    Ok(registry.build())
}

#[cfg(test)]
mod tests {
    use axum::{Router, routing::get};
    use serde_json::json;
    use weir::testing::Client;

    use super::*;

    #[test]
    fn what_the_api_says_reaches_the_client() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let down = get(|| async { StatusCode::BAD_GATEWAY });
        let api = Router::new().route("/oslo", get(|| async { r#"{"celsius": -3.5}"# })).route("/bergen", down);
        runtime.spawn(async move { axum::serve(listener, api).await });

        let mut client = Client::new(registry(base).unwrap());
        assert_eq!(client.call("weather", json!({"city": "oslo"})).structured()["celsius"], -3.5);
        assert!(client.call("weather", json!({"city": "atlantis"})).text().contains("no weather for atlantis"));
        assert!(client.call("weather", json!({"city": "bergen"})).text().contains("try again later"));
        assert!(client.call("weather", json!({"city": "../admin"})).is_error());
    }
}
