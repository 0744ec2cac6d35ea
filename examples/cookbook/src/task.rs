//! Work that a client does not wait for: it gets a task, and looks at it when it likes.
//!
//! For minutes and hours. Not for what has to survive the process: keep that in a queue of your own, and let a tool add
//! to it and another look.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use weir::time::sleep;
use weir::{CallContext, Registry, RegistryError, TaskSupport, Tool, ToolError};

#[derive(Deserialize, JsonSchema)]
pub struct Film {
    #[schemars(range(min = 1, max = 10))]
    minutes: u32,
}

async fn render(ctx: CallContext, film: Film) -> Result<String, ToolError> {
    for minute in 1..=film.minutes {
        // Here the work would be.
        sleep(Duration::from_secs(60)).await;
        ctx.progress((minute, film.minutes));
    }
    Ok(format!("{} minutes are rendered.", film.minutes))
}

pub fn registry() -> Result<Registry, RegistryError> {
    let mut registry = Registry::builder();
    let tool = Tool::new("render").description("Renders a film.").task(TaskSupport::Required);
    registry.add(tool.concurrency(2).run_tokio(render))?;
    Ok(registry.build())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir::testing::{Client, Revision};

    use super::*;

    #[test]
    fn a_film_is_rendered_while_nobody_waits() {
        for revision in [Revision::V2025_11_25, Revision::V2026_07_28] {
            let mut client = Client::new(registry().unwrap()).revision(revision);
            let task = client.begin_task("render", json!({"minutes": 10}));
            assert_eq!(client.task(&task).result()["status"], "working");
            assert_eq!(client.finish_task(&task).text(), "10 minutes are rendered.");
            assert_eq!(client.elapsed(), Duration::from_secs(600));
        }
    }

    #[test]
    fn a_film_that_nobody_wants_is_cancelled() {
        let mut client = Client::new(registry().unwrap());
        let task = client.begin_task("render", json!({"minutes": 10}));
        client.cancel_task(&task);
        assert_eq!(client.task(&task).result()["status"], "cancelled");
    }
}
