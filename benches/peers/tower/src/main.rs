//! A bridge as users of `tower-mcp` would write it: one child on stdio, served over HTTP under its own names.
//!
//! `tower-peer PORT COMMAND ARGUMENTS…`; the port 0 is the system's choice.

use std::env;

use tower_mcp::client::StdioClientTransport;
use tower_mcp::proxy::McpProxy;
use tower_mcp::transport::http::HttpTransport;

#[tokio::main]
async fn main() -> Result<(), tower_mcp::BoxError> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [port, program, rest @ ..] = &words[..] else {
        return Err("PORT COMMAND ARGUMENTS…".into());
    };
    let proxy = McpProxy::builder("tower-peer", "1.0.0")
        .separator("")
        .backend("", StdioClientTransport::spawn(program, rest).await?)
        .await
        .build_strict()
        .await?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port.parse()?)).await?;
    println!("listening {}", listener.local_addr()?);
    axum::serve(listener, HttpTransport::from_service(proxy).into_router_at("/mcp")).await?;
    Ok(())
}
