//! The peer: `echo`, `blob` and `sleep` on rmcp, the official Rust SDK, in its fastest documented configuration.
//!
//! It has JSON answers, one worker thread, and a tool router that is built once and shared; with the argument
//! `--sessions` it has legacy sessions, otherwise it is stateless. It checks what rmcp checks by default and nothing
//! more. It prints `listening ADDRESS` once it serves.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt;
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ServerHandler, schemars, tool, tool_handler, tool_router};
use tokio::net::TcpListener;

const ALPHABET: &str = "abcdefghijklmnopqrstuvwxyz";

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct EchoRequest {
    /// The text to return.
    message: String,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct BlobRequest {
    /// Bytes of the text to return.
    bytes: usize,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct SleepRequest {
    /// Milliseconds to wait.
    ms: u64,
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

    #[tool(description = "Answers with the alphabet, repeated to this many bytes.")]
    fn blob(&self, Parameters(BlobRequest { bytes }): Parameters<BlobRequest>) -> String {
        let mut text = ALPHABET.repeat(bytes / ALPHABET.len() + 1);
        text.truncate(bytes);
        text
    }

    #[tool(description = "Waits this many milliseconds.")]
    async fn sleep(&self, Parameters(SleepRequest { ms }): Parameters<SleepRequest>) -> String {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        format!("slept {ms} ms")
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Echo {}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let echo = Echo {
        tool_router: Arc::new(Echo::tool_router()),
    };
    let has_sessions = std::env::args().any(|argument| argument == "--sessions");
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(has_sessions)
        .with_json_response(true);
    let service: StreamableHttpService<Echo, LocalSessionManager> =
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
