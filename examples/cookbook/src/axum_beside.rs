//! A web application on axum and an MCP server in one program, which share what they serve.
//!
//! For programs that are there already. Not for serving both at one port: each has its own, and a proxy brings them
//! together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::{Router, extract::State, routing::get};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use weir::{CallContext, Registry, RegistryError, Server, Tool, ToolError};

#[derive(Default)]
pub struct Visits(AtomicU64);

impl Visits {
    async fn page(State(visits): State<Arc<Visits>>) -> String {
        format!("You are visitor {}.", visits.0.fetch_add(1, Ordering::Relaxed) + 1)
    }

    async fn tool(&self, _: CallContext) -> Result<String, ToolError> {
        Ok(self.0.load(Ordering::Relaxed).to_string())
    }
}

pub fn registry(visits: Arc<Visits>) -> Result<Registry, RegistryError> {
    let mut registry = Registry::builder().state(visits);
    registry
        .add(Tool::new("visits").description("How many visitors there were.").read_only().run_tokio(Visits::tool))?;
    Ok(registry.build())
}

pub struct Program {
    pub mcp: Server,
    pub site: SocketAddr,
    // The last one: it has to outlive the server, whose tools run on it.
    runtime: Runtime,
}

pub fn start(mcp: SocketAddr, site: SocketAddr) -> Result<Program, Box<dyn std::error::Error>> {
    let runtime = Runtime::new()?;
    let visits = Arc::new(Visits::default());
    let listener = runtime.block_on(TcpListener::bind(site))?;
    let site = listener.local_addr()?;
    let application = Router::new().route("/", get(Visits::page)).with_state(Arc::clone(&visits));
    runtime.spawn(async move { axum::serve(listener, application).await });
    let server = Server::builder("visits", "1.0.0").listen(mcp).shards(1).pool_size(16);
    let mcp = server.tokio_runtime(runtime.handle().clone()).start(registry(visits)?)?;
    Ok(Program { mcp, site, runtime })
}

impl Program {
    /// Lets calls end, then everything else.
    pub fn stop(self) {
        self.mcp.drain(Duration::from_secs(5), |_| false);
        self.runtime.shutdown_timeout(Duration::from_secs(5));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir::testing::Client;

    use super::*;

    #[test]
    fn the_tool_counts_visitors_of_the_site() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let program = start(any, any).unwrap();
        let site = format!("http://{}/", program.site);
        let page = program.runtime.block_on(async { reqwest::get(site).await.unwrap().text().await.unwrap() });
        assert_eq!(page, "You are visitor 1.");
        let mut client = Client::connect(&program.mcp.url());
        assert_eq!(client.call("visits", json!({})).text(), "1");
        drop(client);
        program.stop();
    }
}
