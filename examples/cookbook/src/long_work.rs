//! Long work on a processor, which reports how far it is and ends when nobody wants it any more.
//!
//! For work during which the client waits. Not for what takes longer than `--call-timeout`: see `task`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use weir::{BlockingContext, Registry, RegistryError, Tool, ToolError};

/// A piece takes about a millisecond: so soon does a call notice that it is cancelled.
const PIECE: u64 = 10_000;

#[derive(Deserialize, JsonSchema)]
pub struct Count {
    #[schemars(range(min = 1, max = 1_000_000_000_000_u64))]
    below: u64,
}

fn is_prime(number: u64) -> bool {
    number > 1 && (2..).take_while(|divisor| divisor * divisor <= number).all(|divisor| !number.is_multiple_of(divisor))
}

fn count_primes(ctx: &BlockingContext, count: Count) -> Result<String, ToolError> {
    let mut primes = 0;
    for start in (0..count.below).step_by(PIECE as usize) {
        if ctx.is_cancelled() {
            return Err(ToolError::Cancelled);
        }
        let end = count.below.min(start.saturating_add(PIECE));
        primes += (start..end).filter(|number| is_prime(*number)).count();
        ctx.progress((end, count.below));
    }
    Ok(format!("There are {primes} primes below {}.", count.below))
}

pub fn registry() -> Result<Registry, RegistryError> {
    let mut registry = Registry::builder();
    let tool = Tool::new("count_primes").description("Counts primes.").read_only();
    // One at a time, so that other tools keep a processor.
    registry.add(tool.timeout(Duration::from_secs(60)).concurrency(1).run_blocking(count_primes))?;
    Ok(registry.build())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir::testing::Client;

    use super::*;

    #[test]
    fn progress_is_reported() {
        let answer = Client::new(registry().unwrap()).call("count_primes", json!({"below": 30_000}));
        assert_eq!(answer.text(), "There are 3245 primes below 30000.");
        assert!(!answer.progress().is_empty());
    }

    #[test]
    fn work_that_nobody_wants_makes_room_for_other_work() {
        let mut client = Client::new(registry().unwrap());
        let endless = client.begin("count_primes", json!({"below": 1_000_000_000_000_u64}));
        client.cancel(endless);
        // Another call can begin once the thread has noticed, by the real clock.
        let is_answered = (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            client.call("count_primes", json!({"below": 10})).text() == "There are 4 primes below 10."
        });
        assert!(is_answered);
    }
}
