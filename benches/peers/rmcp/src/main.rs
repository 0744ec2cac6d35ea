//! The peer: one `echo` tool on rmcp, the official Rust SDK, in its fastest documented configuration.
//!
//! It is stateless, with JSON answers, one worker thread, and a tool router that is built once and shared. It checks
//! what rmcp checks by default and nothing more. It prints `listening ADDRESS` once it serves.

use std::io;
use std::sync::Arc;

use axum::serve::ListenerExt;
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ServerHandler, schemars, tool, tool_handler, tool_router};
use tokio::net::TcpListener;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct EchoRequest {
    /// The text to return.
    message: String,
}

/// Made anew for every request by rmcp, so it holds nothing but a count of what is shared.
#[derive(Clone)]
struct Echo {
    tool_router: Arc<ToolRouter<Echo>>,
}

#[tool_router]
impl Echo {
    #[tool(description = "Answers with the message it was given.")]
    fn echo(&self, Parameters(EchoRequest { message }): Parameters<EchoRequest>) -> String {
        message
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Echo {}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let echo = Echo {
        tool_router: Arc::new(Echo::tool_router()),
    };
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true);
    let service: StreamableHttpService<Echo, NeverSessionManager> =
        StreamableHttpService::new(move || Ok(echo.clone()), Arc::default(), config);
    let router = axum::Router::new().nest_service("/mcp", service);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening {}", listener.local_addr()?);
    let listener = listener.tap_io(|socket| {
        // Without it an answer may wait for the peer's acknowledgement; a failure shows in the latencies.
        let _ = socket.set_nodelay(true);
    });
    axum::serve(listener, router).await
}
