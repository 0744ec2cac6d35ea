//! MCP over WebSocket: the handshake, frames that keep the rules and frames that break them, conversations in both
//! eras, and every way to end.

mod calls;
mod ending;
mod floods;
mod frames;
mod handshake;
mod listening;
mod moving;
mod questions;
