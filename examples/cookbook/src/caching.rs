//! Caching a slow upstream: whoever asks for the same thing waits for one answer, which is kept for a minute.
//!
//! For answers that are the same for everybody. Not for what depends on the caller, unless who that is belongs to the
//! key.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Mutex as AsyncMutex;
use weir::{CallContext, Registry, RegistryError, Tool, ToolError, time};

const FRESH: Duration = Duration::from_secs(60);
const ENTRIES_MAX: usize = 1_000;

/// What was fetched, and when. Whoever fetches holds the lock; if that call is cancelled, the next one fetches.
type Entry = Arc<AsyncMutex<Option<(Instant, String)>>>;

#[derive(Default)]
pub struct Rates {
    entries: Mutex<HashMap<String, Entry>>,
    fetched: AtomicU32,
}

#[derive(Deserialize, JsonSchema)]
pub struct Currency {
    #[schemars(regex(pattern = "^[A-Z]{3}$"))]
    currency: String,
}

impl Rates {
    /// In earnest this would be a request, as in `http_api`.
    async fn fetch(&self, currency: &str) -> Result<String, ToolError> {
        time::sleep(Duration::from_secs(2)).await;
        let fetched = self.fetched.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(format!("rate {fetched} of {currency}"))
    }

    fn entry(&self, currency: &str) -> Entry {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= ENTRIES_MAX && !entries.contains_key(currency) {
            // Rarely, and whoever waits for an entry keeps it.
            entries.clear();
        }
        Arc::clone(entries.entry(currency.to_owned()).or_default())
    }

    async fn rate(&self, _: CallContext, Currency { currency }: Currency) -> Result<String, ToolError> {
        let entry = self.entry(&currency);
        let mut kept = entry.lock().await;
        if let Some((since, rate)) = &*kept
            && time::now().duration_since(*since) < FRESH
        {
            return Ok(rate.clone());
        }
        let rate = self.fetch(&currency).await?;
        *kept = Some((time::now(), rate.clone()));
        Ok(rate)
    }
}

pub fn registry() -> Result<Registry, RegistryError> {
    let mut registry = Registry::builder().state(Arc::new(Rates::default()));
    registry.add(Tool::new("rate").description("The rate of a currency.").read_only().run_tokio(Rates::rate))?;
    Ok(registry.build())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir::testing::Client;

    use super::*;

    #[test]
    fn one_answer_serves_all_who_ask_within_a_minute() {
        let mut client = Client::new(registry().unwrap());
        let calls: Vec<_> = (0..10).map(|_| client.begin("rate", json!({"currency": "NOK"}))).collect();
        for call in calls {
            assert_eq!(client.finish(call).text(), "rate 1 of NOK");
        }
        assert_eq!(client.elapsed(), Duration::from_secs(2));
        client.advance(FRESH);
        assert_eq!(client.call("rate", json!({"currency": "NOK"})).text(), "rate 2 of NOK");
    }
}
